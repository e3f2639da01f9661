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
int cmd_reanalyze(struct client *c, int argc, char **argv);
int cmd_compare(struct client *c, int argc, char **argv);
int cmd_models(struct client *c, int argc, char **argv);
int cmd_trace(struct client *c, int argc, char **argv);
int cmd_import(struct client *c, int argc, char **argv);
int cmd_export(struct client *c, int argc, char **argv);
int cmd_version(struct client *c, int argc, char **argv);

/* Follows a job to its end: progress on a terminal, a line per change elsewhere; prints the result. */
int watch_job(struct client *c, const char *job, bool json);
/* The lines that say what one API result means, on stdout. */
void cmd_result_print(const json_t *result);
/* All items of a list, at most limit (0: the list is not paged), newest first; base may carry a query. *ret_items: owned array. */
int cmd_collect(struct client *c, const char *base, long long limit, json_t **ret_items, struct err *reterr) JF_MUST_CHECK;
/* What the tables show of an id: its last CMD_SHORT characters (the random part of a UUIDv7). Borrowed from id. */
#define CMD_SHORT 12
const char *cmd_short(const char *id);
/* A whole id out of what a person typed: a whole one, or the end of one of the newest 1000 under list ("/jobs", "/results"),
 * at least 4 characters. Else JF_E_NOT_FOUND, or JF_E_CONFLICT when it fits several. */
#define CMD_ID 80
int cmd_resolve(struct client *c, const char *list, const char *word, char dst[CMD_ID], struct err *reterr) JF_MUST_CHECK;
/* Prints "joulefarm: text" on stderr and returns the exit code that fits. */
int cmd_fail(const struct err *e);
/* --help of one command: its synopsis, sentence and options. Always EXIT_OK. */
struct opt_row;
int cmd_help(const char *name, const struct opt_row *rows);
/* Appends "name=value" to a query string, percent-encoded; value NULL or "": nothing. */
void cmd_query(char *dst, size_t size, const char *name, const char *value);

#endif
