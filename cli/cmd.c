/* SPDX-License-Identifier: GPL-2.0-or-later
 * The command table and what all commands share. */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cli/opts.h"
#include "cli/show.h"

const struct cmd cmd_table[] = {
    {"submit", "submit FIRMWARE.elf | --model FILE [OPTIONS]", "queue a measurement of a firmware image or a model", cmd_submit},
    {"watch", "watch JOB", "follow a job: stage, progress, live power, result", cmd_watch},
    {"jobs", "jobs [JOB | OPTIONS]", "list jobs, or show one with its cause", cmd_jobs},
    {"cancel", "cancel JOB...", "cancel queued or running jobs", cmd_cancel},
    {"benches", "benches", "list benches with state, health and present job", cmd_benches},
    {"models", "models [MODEL | OPTIONS]", "list uploaded models, or show what became of one", cmd_models},
    {"results", "results [RESULT | OPTIONS]", "list results, or show one with its uncertainty budget", cmd_results},
    {"compare", "compare RESULT RESULT... [OPTIONS]", "differences of results, with their uncertainty", cmd_compare},
    {"reanalyze", "reanalyze RESULT [OPTIONS]", "analyse a stored trace again: a new result", cmd_reanalyze},
    {"trace", "trace RESULT|TRACE [OPTIONS]", "plot a stored trace, its statistics, or download it", cmd_trace},
    {"export", "export RESULT --as LAYOUT [OPTIONS]", "write a result's data in another tool's layout", cmd_export},
    {"import", "import DIR|TAR [OPTIONS]", "store a published energy session as a result", cmd_import},
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
    bool measures = strcmp(name, "submit") == 0 || strcmp(name, "watch") == 0;
    printf("\nExit status: 0 %s, 1 failed or refused, 2 wrong usage, 3 no daemon reachable%s.\n",
           strcmp(name, "watch") == 0    ? "measured and valid"
           : strcmp(name, "submit") == 0 ? "queued (with --wait: measured and valid)"
                                         : "done",
           measures ? ",\n4 measured, but the result is suspect or invalid" : "");
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

int cmd_collect(struct client *c, const char *base, long long limit, json_t **ret_items, struct err *reterr) {
    json_t *items = json_array();
    char cursor[512] = "";
    int r = 0;
    bool paged = limit > 0;
    while (items && (!paged || (long long)json_array_size(items) < limit)) {
        char path[1024], page[24] = "";
        json_t *doc = NULL;
        long long want = limit - (long long)json_array_size(items);
        (void)snprintf(path, sizeof path, "%s", base);
        if (paged) {
            (void)snprintf(page, sizeof page, "%lld", want < 100 ? want : 100);
        }
        cmd_query(path, sizeof path, "limit", page);
        cmd_query(path, sizeof path, "cursor", cursor);
        r = client_json(c, "GET", path, NULL, &doc, reterr);
        if (r < 0) {
            break;
        }
        json_t *got = json_object_get(doc, "items");
        const char *next = json_string_value(json_object_get(doc, "next"));
        size_t before = json_array_size(items);
        if (json_is_array(got)) {
            (void)json_array_extend(items, got);
        }
        (void)snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        json_decref(doc);
        if (!cursor[0] || json_array_size(items) == before) {
            break;
        }
    }
    if (r < 0) {
        json_decref(items);
        return r;
    }
    *ret_items = items;
    return 0;
}

const char *cmd_short(const char *id) {
    size_t n = strlen(id);
    return n > CMD_SHORT ? id + n - CMD_SHORT : id;
}

int cmd_resolve(struct client *c, const char *list, const char *word, char dst[CMD_ID], struct err *reterr) {
    size_t len = strlen(word), i;
    const char *what = strcmp(list, "/jobs") == 0 ? "job" : "result";
    if (len < 4 || len > 36 || strspn(word, "0123456789abcdef-") != len) {
        return err_set(reterr, JF_E_NOT_FOUND, "\"%.60s\" is no id of a %s", word, what);
    }
    (void)snprintf(dst, CMD_ID, "%s", word);
    if (len == 36) {
        return 0;
    }
    json_t *items = NULL, *item;
    int r = cmd_collect(c, list, 1000, &items, reterr), found = 0;
    if (r < 0) {
        return r;
    }
    json_array_foreach(items, i, item) {
        const char *id = show_text(item, "id");
        size_t n = strlen(id);
        if (n >= len && n < CMD_ID && strcmp(id + n - len, word) == 0) {
            (void)snprintf(dst, CMD_ID, "%s", id);
            found++;
        }
    }
    json_decref(items);
    if (found > 1) {
        return err_set(reterr, JF_E_CONFLICT, "\"%s\" fits %d %ss; give more of the id", word, found, what);
    }
    return found ? 0 : err_set(reterr, JF_E_NOT_FOUND, "no %s has an id that ends in \"%s\"", what, word);
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
