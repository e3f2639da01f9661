/* SPDX-License-Identifier: GPL-2.0-or-later
 * The command table and what all commands share. */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cli/opts.h"
#include "cli/show.h"

const struct cmd cmd_table[] = {
    {"submit", "submit FIRMWARE.elf [OPTIONS]", "queue a measurement of a firmware image", cmd_submit},
    {"watch", "watch JOB", "follow a job: stage, progress, live power, result", cmd_watch},
    {"jobs", "jobs [OPTIONS]", "list jobs", cmd_jobs},
    {"cancel", "cancel JOB...", "cancel queued or running jobs", cmd_cancel},
    {"benches", "benches", "list benches with state, health and present job", cmd_benches},
    {"results", "results [RESULT | OPTIONS]", "list results, or show one with its uncertainty budget", cmd_results},
    {"trace", "trace RESULT|TRACE [OPTIONS]", "plot a stored trace, its statistics, or download it", cmd_trace},
    {"version", "version", "versions of client and daemon", cmd_version},
    {NULL, NULL, NULL, NULL},
};

int cmd_fail(const struct err *e) {
    char text[sizeof e->text];
    (void)snprintf(text, sizeof text, "%s", e->text[0] ? e->text : err_sentence(e->code));
    (void)fprintf(stderr, "joulefarm: %s\n", show_clean(text));
    return e->code == JF_E_GONE ? EXIT_UNREACHABLE : EXIT_FAILED;
}

int cmd_help(const char *name, const struct opt_row *rows) {
    for (const struct cmd *c = cmd_table; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            printf("usage: joulefarm %s\n%s\n\n", c->synopsis, c->sentence);
        }
    }
    opts_print(rows);
    return EXIT_OK;
}

void cmd_query(char *dst, size_t size, const char *name, const char *value) {
    static const char hex[] = "0123456789ABCDEF";
    if (!value || !value[0]) {
        return;
    }
    size_t n = strlen(dst);
    n += (size_t)snprintf(dst + n, size - n, "%c%s=", strchr(dst, '?') ? '&' : '?', name);
    for (const unsigned char *p = (const unsigned char *)value; *p && n + 4 < size; p++) {
        bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-._~", *p);
        if (plain) {
            dst[n++] = (char)*p;
        } else {
            dst[n++] = '%';
            dst[n++] = hex[*p >> 4];
            dst[n++] = hex[*p & 15];
        }
    }
    dst[n < size ? n : size - 1] = '\0';
}

int cmd_version(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print the daemon's answer as JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    struct err e = {0};
    const char *words[1];
    size_t n;
    json_t *doc = NULL;
    if (opts_parse(argc, argv, rows, words, 0, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("version", rows);
    }
    if (client_json(c, "GET", "/version", NULL, &doc, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(doc);
    } else {
        printf("client %s\ndaemon %s at %s\n", JF_VERSION, show_text(doc, "version"), client_server(c));
    }
    json_decref(doc);
    return EXIT_OK;
}
