/* SPDX-License-Identifier: GPL-2.0-or-later
 * Command line options as tables: one row an option, from which both the parser and --help are made. */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum opt_kind { OPT_FLAG, OPT_TEXT, OPT_INT, OPT_REAL, OPT_LIST };
#define OPT_LIST_MAX 32

struct opt_list {
    const char *items[OPT_LIST_MAX];
    size_t n;
};

/* dst: bool *, const char **, long long *, double * or struct opt_list *, by kind. Numbers are checked against [min, max]. */
struct opt_row {
    const char *name; /* long name without dashes; "" ends the table */
    enum opt_kind kind;
    void *dst;
    double min, max;
    const char *value; /* what --help calls the value */
    const char *help;
};

/* Parses argv[1..]; words that are no option go to ret_words (at most max_words, else an error). "--" ends options.
 * JF_E_INVAL with a sentence naming the option. */
int opts_parse(int argc, char **argv, const struct opt_row *rows, const char **ret_words, size_t max_words, size_t *ret_n,
               struct err *reterr) JF_MUST_CHECK;
void opts_print(const struct opt_row *rows); /* the table's --help lines, on stdout */

#endif
