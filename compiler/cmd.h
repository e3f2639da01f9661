/* SPDX-License-Identifier: GPL-2.0-or-later
 * The commands of jf-model: one file cmd_NAME.c each, which exports one struct cmd; compiler/main.c lists them. What commands share:
 * options from a table (the same table prints --help), exit codes, the error sentence. */
#ifndef COMPILER_CMD_H
#define COMPILER_CMD_H

#include <stdbool.h>

#include "base/err.h"

enum { CMD_DONE = 0, CMD_REFUSED = 1, CMD_USAGE = 2 };

struct cmd {
    const char *name, *synopsis, *summary; /* "run", "MODEL [OPTIONS]", one line for the list of commands */
    int (*run)(const struct cmd *self, int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

extern const struct cmd cmd_check;
extern const struct cmd cmd_diff;
extern const struct cmd cmd_dump;
extern const struct cmd cmd_emit;
extern const struct cmd cmd_firmware;
extern const struct cmd cmd_matrix;
extern const struct cmd cmd_requantize;
extern const struct cmd cmd_run;
extern const struct cmd cmd_targets;
extern const struct cmd cmd_vendor;

/* One option. value NULL: a switch that sets *flag; else "--name VALUE" or "--name=VALUE" sets *text, borrowed from argv. Rows of the same
 * name, one after the other, take one value each. */
struct cmd_option {
    const char *name, *value, *help; /* "--out", "DIR", "where the files go" */
    const char **text;
    bool *flag;
};
#define CMD_TARGETS_HELP "where the targets' files lie (default: the installed ones)"
#define CMD_END {NULL, NULL, NULL, NULL, NULL}

/* Options and up to max words that are none. True: go on. False: *ret_code is the exit code (--help was printed, or a sentence about
 * what is not understood). rows ends with CMD_END. min is the least number of words; what names one ("MODEL"). */
struct cmd_words {
    const char *what;
    int min, max, n;
    const char **words; /* room for max */
};
bool cmd_parse(const struct cmd *self, int argc, char **argv, const struct cmd_option *rows, struct cmd_words *words, int *ret_code);

/* "jf-model: name: text" on stderr; always CMD_REFUSED. */
int cmd_fail(const struct err *e, const char *name);
/* "jf-model: text (try ...)" on stderr; always CMD_USAGE. */
int cmd_misuse(const struct cmd *self, const char *fmt, ...) JF_PRINTF(2, 3);

#endif
