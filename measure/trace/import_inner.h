/* SPDX-License-Identifier: GPL-2.0-or-later
 * Shared by the readers of foreign sessions, for nobody else. */
#ifndef MEASURE_TRACE_IMPORT_INNER_H
#define MEASURE_TRACE_IMPORT_INNER_H

#include "measure/trace/import.h"

#define IMPORT_MAX_TEXT (4u << 20)  /* results.txt, log.txt, timestamps */
#define IMPORT_MAX_DATA (64u << 20) /* samples */

struct import_file {
    char *data; /* owned, one NUL behind size */
    size_t size;
};

/* Whole file of the directory dirfd. A missing, special, linked, empty or too large one is an error that names it. */
int import_file_read(int dirfd, const char *name, size_t max, struct import_file *ret_f,
                     struct err *reterr) JF_MUST_CHECK;
void import_file_done(struct import_file *f); /* idempotent */
/* The same, as JSON; the error names line and column. */
int import_file_json(int dirfd, const char *name, size_t max, json_t **ret_j, struct err *reterr) JF_MUST_CHECK;

/* Walks lines without their ends, each cut at 500 characters. fn: < 0 ends the walk and is returned. A NUL byte:
 * JF_E_PARSE. */
typedef int import_line_fn(void *user, const char *line, int number, struct err *reterr);
int import_lines(const struct import_file *f, const char *name, import_line_fn *fn, void *user,
                 struct err *reterr) JF_MUST_CHECK;

/* results.txt into the printed texts and window numbers of s (format is set before). At least one window. */
int import_printed(int dirfd, struct import_session *s, struct err *reterr) JF_MUST_CHECK;

/* log.txt against the windows of s: one run a window, with the same count of inferences; what differs is noted in s, a log without
 * runs says nothing. count: where a line's count begins, NULL: not a run. source and noun word the differences. */
int import_check_log(int dirfd, struct import_session *s, const char *(*count)(const char *line), const char *source,
                     const char *noun, struct err *reterr) JF_MUST_CHECK;

void import_differ(struct import_session *s, const char *fmt, ...) JF_PRINTF(2, 3);
void import_fixed(struct import_value *v, double x, int digits); /* computed text with that many decimals */
void import_shortest(struct import_value *v, double x);          /* the shortest text that reads back as x */

int import_eembc(int dirfd, struct import_session *s, struct err *reterr) JF_MUST_CHECK;
int import_mlcommons(int dirfd, struct import_session *s, struct err *reterr) JF_MUST_CHECK;

#endif
