/* SPDX-License-Identifier: GPL-2.0-or-later
 * Commands that list things: jobs, benches, results; and cancel. Follows the API's cursor, page by page, up to --limit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define OPT_END {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}

/* All items of a list, at most limit (0: the list is not paged); base may carry a query. */
static int collect(struct client *c, const char *base, long long limit, json_t **ret_items, struct err *reterr) {
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

static const char *progress_of(const json_t *job) {
    const char *state = show_text(job, "state");
    return strcmp(state, "active") == 0 ? show_text(job, "stage") : strcmp(state, "failed") == 0 ? show_text(job, "cause.text") : "-";
}

int cmd_jobs(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *state = NULL, *bench = NULL, *words[1];
    long long limit = 20;
    const struct opt_row rows[] = {{"state", OPT_TEXT, &state, 0, 0, "STATE", "queued, active, done, failed or canceled"},
                                   {"bench", OPT_TEXT, &bench, 0, 0, "NAME", "only jobs of this bench"},
                                   {"limit", OPT_INT, &limit, 1, 100000, "N", "at most N jobs, newest first (20)"},
                                   {"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   OPT_END};
    struct err e = {0};
    size_t n;
    json_t *items;
    char path[512] = "/jobs";
    if (opts_parse(argc, argv, rows, words, 0, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("jobs", rows);
    }
    cmd_query(path, sizeof path, "state", state);
    cmd_query(path, sizeof path, "bench", bench);
    if (collect(c, path, limit, &items, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(items);
    } else {
        static const char *const head[] = {"job", "state", "bench", "method", ">windows", "submitted", "stage or cause"};
        struct show_table *t = show_table_new(head, 7);
        size_t i;
        json_t *j;
        json_array_foreach(items, i, j) {
            char windows[24];
            (void)snprintf(windows, sizeof windows, "%.0f", show_number(j, "windows"));
            const char *b = show_text(j, show_text(j, "on_bench")[0] == '-' ? "bench" : "on_bench");
            const char *cells[] = {show_text(j, "id"),     show_text(j, "state"),      b[0] == '-' ? show_text(j, "board_type") : b,
                                   show_text(j, "method"), windows, show_text(j, "created_at"), progress_of(j)};
            if (t) {
                show_table_row(t, cells);
            }
        }
        if (t) {
            show_table_print(t);
        }
        show_table_free(t);
    }
    json_decref(items);
    return EXIT_OK;
}

int cmd_benches(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *words[1];
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"}, {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"}, OPT_END};
    struct err e = {0};
    size_t n;
    json_t *items;
    if (opts_parse(argc, argv, rows, words, 0, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("benches", rows);
    }
    if (collect(c, "/benches", 0, &items, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(items);
    } else {
        static const char *const head[] = {"bench", "state", "health", "board", "analyzer", "job", "reason"};
        struct show_table *t = show_table_new(head, 7);
        size_t i;
        json_t *b;
        json_array_foreach(items, i, b) {
            const char *job = show_text(b, "job");
            const char *cells[] = {show_text(b, "name"),       show_text(b, "state"), show_text(b, "health"),
                                   show_text(b, "board.type"), show_text(b, "analyzer.driver"), job, show_text(b, "reason")};
            if (t) {
                show_table_row(t, cells);
            }
        }
        if (t) {
            show_table_print(t);
        }
        show_table_free(t);
    }
    json_decref(items);
    return EXIT_OK;
}

int cmd_cancel(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *words[64];
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print each answer as JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   OPT_END};
    struct err e = {0};
    size_t n;
    if (opts_parse(argc, argv, rows, words, 64, &n, &e) < 0 || (!help && n == 0)) {
        if (!e.code) {
            (void)err_set(&e, JF_E_INVAL, "cancel wants at least one job id");
        }
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("cancel", rows);
    }
    int code = EXIT_OK;
    for (size_t i = 0; i < n; i++) {
        char path[256] = "";
        json_t *doc = NULL;
        (void)snprintf(path, sizeof path, "/jobs/%.100s/cancel", words[i]);
        if (client_json(c, "POST", path, NULL, &doc, &e) < 0) {
            (void)err_prefix(&e, "%s", words[i]);
            code = cmd_fail(&e);
            continue;
        }
        if (json) {
            show_json(doc);
        } else {
            printf("%s: %s\n", words[i], strcmp(show_text(doc, "state"), "canceled") == 0 ? "canceled" : "cancel requested");
        }
        json_decref(doc);
    }
    return code;
}

static void result_row(struct show_table *t, const json_t *r) {
    char e[SHOW_CELL], net[SHOW_CELL], u[SHOW_CELL], lat[SHOW_CELL], gross[SHOW_CELL * 2 + 8];
    const char *model = show_text(r, "board.model_id");
    (void)snprintf(gross, sizeof gross, "%s", show_si(show_number(r, "energy_per_inference_j.median"), "J", e));
    const char *cells[] = {show_text(r, "id"), model, show_text(r, "bench"), gross, show_si(show_number(r, "net_energy_per_inference_j.median"), "J", net),
                           show_si(show_number(r, "energy_per_inference_j.u95"), "J", u),
                           show_si(show_number(r, "latency_per_inference_s.median"), "s", lat), show_text(r, "verdict")};
    show_table_row(t, cells);
}

static void show_budget(const json_t *r) {
    const json_t *budget = json_object_get(json_object_get(r, "energy_per_inference_j"), "budget");
    size_t i;
    const json_t *b;
    if (json_array_size(budget) == 0) {
        return;
    }
    printf("\nuncertainty budget of the gross energy per inference\n");
    static const char *const head[] = {"component", "distribution", ">u", "type"};
    struct show_table *t = show_table_new(head, 4);
    json_array_foreach(budget, i, b) {
        char u[SHOW_CELL];
        const char *cells[] = {show_text(b, "component"), show_text(b, "distribution"), show_si(show_number(b, "u"), "J", u), show_text(b, "type")};
        if (t) {
            show_table_row(t, cells);
        }
    }
    if (t) {
        show_table_print(t);
    }
    show_table_free(t);
}

static void show_stages(const json_t *r) {
    const json_t *stages = json_object_get(r, "stages");
    size_t i;
    const json_t *s;
    if (json_array_size(stages) == 0) {
        return;
    }
    printf("\nstages (means per window)\n");
    static const char *const head[] = {"stage", ">duration", ">energy", ">net", ">share"};
    struct show_table *t = show_table_new(head, 5);
    json_array_foreach(stages, i, s) {
        char d[SHOW_CELL], e[SHOW_CELL], n[SHOW_CELL], share[SHOW_CELL];
        (void)snprintf(share, sizeof share, "%.1f %%", 100 * show_number(s, "share"));
        const char *cells[] = {show_text(s, "name"), show_si(show_number(s, "duration_s"), "s", d), show_si(show_number(s, "energy_j"), "J", e),
                               show_si(show_number(s, "net_energy_j"), "J", n), share};
        if (t) {
            show_table_row(t, cells);
        }
    }
    if (t) {
        show_table_print(t);
    }
    show_table_free(t);
}

static void show_reasons(const json_t *r) {
    static const char *const lists[] = {"reasons", "notes"};
    for (size_t k = 0; k < 2; k++) {
        size_t i;
        const json_t *x;
        json_array_foreach(json_object_get(r, lists[k]), i, x) {
            const char *code = json_is_string(x) ? json_string_value(x) : show_text(x, "code");
            printf("%s %-22s %s\n", k == 0 ? "reason" : "note  ", code, json_is_string(x) ? "" : show_text(x, "text"));
        }
    }
}

void cmd_result_print(const json_t *r) {
    char a[SHOW_CELL], b[SHOW_CELL], k[SHOW_CELL];
    printf("result    %s   bench %s   verdict %s\n", show_text(r, "id"), show_text(r, "bench"), show_text(r, "verdict"));
    printf("gross     %s per inference, U95 %s (k = %.3g)\n", show_si(show_number(r, "energy_per_inference_j.median"), "J", a),
           show_si(show_number(r, "energy_per_inference_j.u95"), "J", b), show_number(r, "energy_per_inference_j.k"));
    if (isfinite(show_number(r, "net_energy_per_inference_j.median"))) {
        printf("net       %s per inference, U95 %s, idle %s\n", show_si(show_number(r, "net_energy_per_inference_j.median"), "J", a),
               show_si(show_number(r, "net_energy_per_inference_j.u95"), "J", b), show_si(show_number(r, "idle_power_w"), "W", k));
    } else {
        printf("net       none (no idle stretch)\n");
    }
    printf("latency   %s per inference; mean power %s, peak %s\n", show_si(show_number(r, "latency_per_inference_s.median"), "s", a),
           show_si(show_number(r, "power_w.mean"), "W", b), show_si(show_number(r, "power_w.peak"), "W", k));
    show_reasons(r);
}

static int show_one(struct client *c, const char *id, bool json) {
    char path[256];
    struct err e = {0};
    json_t *r = NULL;
    (void)snprintf(path, sizeof path, "/results/%.100s", id);
    if (client_json(c, "GET", path, NULL, &r, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(r);
    } else {
        cmd_result_print(r);
        show_stages(r);
        show_budget(r);
    }
    json_decref(r);
    return EXIT_OK;
}

int cmd_results(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *job = NULL, *bench = NULL, *verdict = NULL, *words[1];
    long long limit = 20;
    const struct opt_row rows[] = {{"job", OPT_TEXT, &job, 0, 0, "JOB", "only results of this job"},
                                   {"bench", OPT_TEXT, &bench, 0, 0, "NAME", "only results of this bench"},
                                   {"verdict", OPT_TEXT, &verdict, 0, 0, "VERDICT", "valid, suspect or invalid"},
                                   {"limit", OPT_INT, &limit, 1, 100000, "N", "at most N results, newest first (20)"},
                                   {"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   OPT_END};
    struct err e = {0};
    size_t n;
    json_t *items;
    char path[512] = "/results";
    if (opts_parse(argc, argv, rows, words, 1, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("results", rows);
    }
    if (n == 1) {
        return show_one(c, words[0], json);
    }
    cmd_query(path, sizeof path, "job", job);
    cmd_query(path, sizeof path, "bench", bench);
    cmd_query(path, sizeof path, "verdict", verdict);
    if (collect(c, path, limit, &items, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(items);
    } else {
        static const char *const head[] = {"result", "model", "bench", ">gross/inference", ">net", ">U95", ">latency", "verdict"};
        struct show_table *t = show_table_new(head, 8);
        size_t i;
        json_t *r;
        json_array_foreach(items, i, r) {
            if (t) {
                result_row(t, r);
            }
        }
        if (t) {
            show_table_print(t);
        }
        show_table_free(t);
    }
    json_decref(items);
    return EXIT_OK;
}
