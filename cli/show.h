/* SPDX-License-Identifier: GPL-2.0-or-later
 * How numbers and tables look on a terminal. Numbers are written with a point whatever the locale (no setlocale). */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>
#include <stddef.h>

#define SHOW_CELL 96

/* "12.35 mJ", "5.710 mJ", "0 J" (below 1e-15), "-" for NaN. Four significant digits. */
const char *show_si(double value, const char *unit, char dst[SHOW_CELL]);
/* A number out of a JSON object by dotted path ("energy_per_inference_j.median"); NaN when absent or null. */
double show_number(const json_t *doc, const char *path);
const char *show_text(const json_t *doc, const char *path); /* "-" when absent; borrowed */
/* Removes control characters in place: a peer's text must not drive the terminal. Returns s. */
char *show_clean(char *s);

/* A table that is as wide as its cells (a cell of SHOW_CELL characters or more ends in "..."): add row by row, then print. At most SHOW_COLS columns. Right-aligned columns are
 * those whose heading begins with '>'. */
#define SHOW_COLS 12
struct show_table;
struct show_table *show_table_new(const char *const *headings, size_t n); /* NULL: no memory; the calls below allow it */
void show_table_row(struct show_table *t, const char *const *cells); /* n cells; copies */
void show_table_print(const struct show_table *t); /* stdout; on a terminal the last column is cut to its width */
int show_columns(void); /* of the terminal on stdout; 0: it is none */
void show_table_free(struct show_table *t);

/* A line for each reason and note of a result's document. */
void show_reasons(const json_t *result);

/* Indented JSON on stdout, as --json prints it. */
void show_json(const json_t *doc);

#endif
