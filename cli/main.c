/* SPDX-License-Identifier: GPL-2.0-or-later
 * joulefarm: the client. Speaks only the HTTP API. This file: the command table, global options, exit codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"

static void usage(FILE *f) {
    (void)fprintf(f, "usage: joulefarm [--server URL] COMMAND [OPTIONS]\n\n");
    for (const struct cmd *c = cmd_table; c->name; c++) {
        (void)fprintf(f, "  %-10s %s\n", c->name, c->sentence);
    }
    (void)fprintf(f,
                  "\n`joulefarm COMMAND --help` lists a command's options; most take --json.\n"
                  "The server is --server, else $JOULEFARM_SERVER, else %s.\n"
                  "Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 no daemon reachable, 4 measured but not valid.\n",
                  CLIENT_DEFAULT_SERVER);
}

static const struct cmd *find(const char *name) {
    for (const struct cmd *c = cmd_table; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *server = getenv("JOULEFARM_SERVER");
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            usage(stdout);
            return EXIT_OK;
        }
        if (strcmp(argv[at], "--version") == 0) {
            printf("joulefarm %s\n", JF_VERSION);
            return EXIT_OK;
        }
        if (strcmp(argv[at], "--server") == 0 && at + 1 < argc) {
            server = argv[++at];
        } else if (strncmp(argv[at], "--server=", 9) == 0) {
            server = argv[at] + 9;
        } else {
            (void)fprintf(stderr, "joulefarm: there is no option %s before a command (try --help)\n", argv[at]);
            return EXIT_USAGE;
        }
    }
    const struct cmd *cmd = at < argc ? find(argv[at]) : NULL;
    if (!cmd) {
        if (at < argc) {
            (void)fprintf(stderr, "joulefarm: there is no command \"%s\"\n\n", argv[at]);
        }
        usage(stderr);
        return EXIT_USAGE;
    }
    struct client *c;
    struct err e = {0};
    if (client_open(server && server[0] ? server : CLIENT_DEFAULT_SERVER, &c, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    int code = cmd->run(c, argc - at, argv + at);
    client_close(c);
    if (fflush(stdout) != 0 && code == EXIT_OK) {
        code = EXIT_FAILED;
    }
    return code;
}
