/* SPDX-License-Identifier: GPL-2.0-or-later
 * The commands of `joulefarm`, one function each: argv[0] is the command's name. They return the exit code. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/client.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3, EXIT_NOT_VALID = 4 };

struct cmd {
    const char *name;
    const char *synopsis;
    const char *sentence;
    int (*run)(struct client *c, int argc, char **argv);
};
extern const struct cmd cmd_table[]; /* ends with a NULL name */

int cmd_submit(struct client *c, int argc, char **argv);
int cmd_watch(struct client *c, int argc, char **argv);
int cmd_jobs(struct client *c, int argc, char **argv);
int cmd_cancel(struct client *c, int argc, char **argv);
int cmd_benches(struct client *c, int argc, char **argv);
int cmd_results(struct client *c, int argc, char **argv);
int cmd_trace(struct client *c, int argc, char **argv);
int cmd_version(struct client *c, int argc, char **argv);

/* Follows a job to its end: progress on a terminal, a line per change elsewhere; prints the result. */
int watch_job(struct client *c, const char *job, bool json);
/* The lines that say what one API result means, on stdout. */
void cmd_result_print(const json_t *result);
/* Prints "joulefarm: text" on stderr and returns the exit code that fits. */
int cmd_fail(const struct err *e);
/* --help of one command: its synopsis, sentence and options. Always EXIT_OK. */
struct opt_row;
int cmd_help(const char *name, const struct opt_row *rows);
/* Appends "name=value" to a query string, percent-encoded; value NULL or "": nothing. */
void cmd_query(char *dst, size_t size, const char *name, const char *value);

#endif
