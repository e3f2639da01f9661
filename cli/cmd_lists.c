/* SPDX-License-Identifier: GPL-2.0-or-later
 * Commands that list things: jobs, benches, results; and cancel. --limit bounds each list. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define OPT_END {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}

static const char *progress_of(const json_t *job) {
    const char *state = show_text(job, "state");
    bool over = strcmp(state, "failed") == 0 || strcmp(state, "canceled") == 0;
    return strcmp(state, "active") == 0 || strcmp(state, "queued") == 0 ? show_text(job, "stage") : over ? show_text(job, "cause.text") : "-";
}

/* "2026-11-21 10:42:14Z" of an RFC 3339 time. */
static const char *short_time(const char *iso, char dst[24]) {
    (void)snprintf(dst, 24, "%.10s %.8sZ", iso, strlen(iso) >= 19 ? iso + 11 : "-");
    return strlen(iso) >= 19 ? dst : iso;
}

static const char *bench_of(const json_t *job) {
    const char *b = show_text(job, show_text(job, "on_bench")[0] == '-' ? "bench" : "on_bench");
    return b[0] == '-' ? show_text(job, "board_type") : b;
}

static int show_job(struct client *c, const char *word, bool json) {
    char id[CMD_ID], path[160], text[512], at[24];
    struct err e = {0};
    json_t *j = NULL;
    int r = cmd_resolve(c, "/jobs", word, id, &e);
    (void)snprintf(path, sizeof path, "/jobs/%s", r < 0 ? "" : id);
    if (r < 0 || client_json(c, "GET", path, NULL, &j, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(j);
        json_decref(j);
        return EXIT_OK;
    }
    printf("job       %s\nstate     %s%s\n", show_text(j, "id"), show_text(j, "state"),
           json_is_true(json_object_get(j, "cancel_requested")) && strcmp(show_text(j, "state"), "active") == 0 ? ", being canceled" : "");
    printf("stage     %s\nbench     %s\n", show_text(j, "stage"), bench_of(j));
    printf("asked     %s, %.0f windows\n", show_text(j, "method"), show_number(j, "windows"));
    printf("firmware  %s\n", show_text(j, "firmware"));
    if (json_is_string(json_object_get(j, "model"))) {
        printf("model     %s, numerics %s\n", show_text(j, "model"), show_text(j, "numerics"));
    }
    printf("submitted %s\n", short_time(show_text(j, "created_at"), at));
    printf("finished  %s\nattempts  %.0f\nresult    %s\n", short_time(show_text(j, "finished_at"), at), show_number(j, "attempts"), show_text(j, "result"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(j, "labels"), key, value) {
        (void)snprintf(text, sizeof text, "%s=%s", key, json_is_string(value) ? json_string_value(value) : "?");
        printf("label     %s\n", show_clean(text));
    }
    if (json_is_object(json_object_get(j, "cause"))) {
        (void)snprintf(text, sizeof text, "%s (%s): %s", show_text(j, "cause.class"), show_text(j, "cause.code"), show_text(j, "cause.text"));
        printf("cause     %s\n", show_clean(text));
    }
    json_decref(j);
    return EXIT_OK;
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
    if (opts_parse(argc, argv, rows, words, 1, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("jobs", rows);
    }
    if (n == 1) {
        return show_job(c, words[0], json);
    }
    cmd_query(path, sizeof path, "state", state);
    cmd_query(path, sizeof path, "bench", bench);
    if (cmd_collect(c, path, limit, &items, &e) < 0) {
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
            char windows[24], at[24];
            (void)snprintf(windows, sizeof windows, "%.0f", show_number(j, "windows"));
            const char *cells[] = {cmd_short(show_text(j, "id")), show_text(j, "state"), bench_of(j), show_text(j, "method"), windows,
                                   short_time(show_text(j, "created_at"), at), progress_of(j)};
            show_table_row(t, cells);
        }
        show_table_print(t);
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
    if (cmd_collect(c, "/benches", 0, &items, &e) < 0) {
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
            const char *job = cmd_short(show_text(b, "job"));
            const char *cells[] = {show_text(b, "name"),       show_text(b, "state"), show_text(b, "health"),
                                   show_text(b, "board.type"), show_text(b, "analyzer.driver"), job, show_text(b, "reason")};
            show_table_row(t, cells);
        }
        show_table_print(t);
        show_table_free(t);
    }
    json_decref(items);
    return EXIT_OK;
}

int cmd_cancel(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *words[64];
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print the answers as a JSON list"},
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
    json_t *answers = json_array();
    for (size_t i = 0; i < n; i++) {
        char path[160], id[CMD_ID] = "";
        json_t *doc = NULL;
        int r = cmd_resolve(c, "/jobs", words[i], id, &e);
        (void)snprintf(path, sizeof path, "/jobs/%s/cancel", id);
        r = r < 0 ? r : client_json(c, "POST", path, NULL, &doc, &e);
        if (r < 0) {
            (void)err_prefix(&e, "%s", words[i]);
            code = cmd_fail(&e);
            continue;
        }
        const char *state = show_text(doc, "state");
        if (!json) {
            bool over = strcmp(state, "done") == 0 || strcmp(state, "failed") == 0;
            printf("%s: %s%s\n", cmd_short(id), strcmp(state, "canceled") == 0 ? "canceled" : over ? "was over already, " : "cancel requested", over ? state : "");
        }
        (void)json_array_append_new(answers, doc);
    }
    if (json) {
        show_json(answers);
    }
    json_decref(answers);
    return code;
}

static void result_row(struct show_table *t, const json_t *r) {
    char e[SHOW_CELL], net[SHOW_CELL], u[SHOW_CELL], lat[SHOW_CELL], verdict[SHOW_CELL];
    const json_t *reason = json_array_get(json_object_get(r, "reasons"), 0);
    size_t more = json_array_size(json_object_get(r, "reasons"));
    (void)snprintf(verdict, sizeof verdict, "%s%s%s%s", show_text(r, "verdict"), more ? ": " : "", more ? show_text(reason, "code") : "", more > 1 ? ", ..." : "");
    char where[SHOW_CELL];
    const char *origin = show_text(r, "origin");
    (void)snprintf(where, sizeof where, "%.60s%s", strcmp(origin, "imported") == 0 ? "(imported)" : show_text(r, "bench"), strcmp(origin, "reanalysed") == 0 ? ", again" : "");
    const char *cells[] = {cmd_short(show_text(r, "id")), show_text(r, "board.model_id"), where,
                           show_si(show_number(r, "energy_per_inference_j.median"), "J", e), show_si(show_number(r, "energy_per_inference_j.u95"), "J", u),
                           show_si(show_number(r, "net_energy_per_inference_j.median"), "J", net),
                           show_si(show_number(r, "latency_per_inference_s.median"), "s", lat), verdict};
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
        show_table_row(t, cells);
    }
    show_table_print(t);
    show_table_free(t);
}

static void show_stages(const json_t *r) {
    const json_t *stages = json_object_get(r, "stages");
    size_t i;
    const json_t *s;
    if (json_array_size(stages) == 0) {
        return;
    }
    printf("\nstages, per inference\n");
    static const char *const head[] = {"stage", ">duration", ">energy", ">net", ">share"};
    struct show_table *t = show_table_new(head, 5);
    json_array_foreach(stages, i, s) {
        char d[SHOW_CELL], e[SHOW_CELL], n[SHOW_CELL], share[SHOW_CELL];
        if (!isfinite(show_number(s, "share"))) {
            (void)snprintf(share, sizeof share, "in other"); /* too short for the sampling grid */
        } else {
            (void)snprintf(share, sizeof share, "%.1f %%", fabs(show_number(s, "share")) < 5e-4 ? 0 : 100 * show_number(s, "share"));
        }
        const char *cells[] = {show_text(s, "name"), show_si(show_number(s, "duration_s"), "s", d), show_si(show_number(s, "energy_j"), "J", e),
                               show_si(show_number(s, "net_energy_j"), "J", n), share};
        show_table_row(t, cells);
    }
    show_table_print(t);
    show_table_free(t);
}

/* Which ranges were used, and what stands beside the raw figure. */
static void show_quality(const json_t *r) {
    const json_t *shares = json_object_get(json_object_get(r, "quality"), "range_share");
    char a[SHOW_CELL], text[160] = "";
    size_t at = 0;
    for (size_t g = 0; g < json_array_size(shares) && json_array_size(shares) > 1; g++) {
        double share = json_number_value(json_array_get(shares, g));
        int n = share > 0 ? snprintf(text + at, sizeof text - at, "%s%zu: %.3g %%", at ? ", " : "", g, 100 * share) : 0;
        at = n > 0 && (size_t)n < sizeof text - at ? at + (size_t)n : at;
    }
    if (at > 0) {
        printf("ranges    %s; %.2g %% of the samples close to a change\n", text, 100 * show_number(r, "quality.near_range_change"));
    }
    if (show_number(r, "quality.spike_filtered_share") > 0) {
        printf("filtered  %s per inference through the analyzer's spike filter (%.2g %% of the samples replaced)\n",
               show_si(show_number(r, "quality.spike_filtered_energy_per_inference_j"), "J", a), 100 * show_number(r, "quality.spike_filtered_share"));
    }
}

void cmd_result_print(const json_t *r) {
    char a[SHOW_CELL], b[SHOW_CELL], k[SHOW_CELL];
    printf("result    %s   bench %s   verdict %s\n", show_text(r, "id"), show_text(r, "bench"), show_text(r, "verdict"));
    if (strcmp(show_text(r, "origin"), "measured") != 0) {
        bool again = json_is_string(json_object_get(r, "source_result"));
        printf("origin    %s%s%s, rule %s\n", show_text(r, "origin"), again ? " from " : "", again ? show_text(r, "source_result") : "", show_text(r, "window_rule"));
    }
    if (!isfinite(show_number(r, "energy_per_inference_j.median"))) {
        printf("gross     none\nnet       none\n");
        show_reasons(r);
        return;
    }
    double u95 = show_number(r, "energy_per_inference_j.u95");
    (void)snprintf(k, sizeof k, " (k = %.3g)", show_number(r, "energy_per_inference_j.k"));
    printf("gross     %s per inference, U95 %s%s\n", show_si(show_number(r, "energy_per_inference_j.median"), "J", a), isfinite(u95) ? show_si(u95, "J", b) : "unknown", isfinite(u95) ? k : "");
    if (isfinite(show_number(r, "net_energy_per_inference_j.median"))) {
        printf("net       %s per inference, U95 %s, idle %s\n", show_si(show_number(r, "net_energy_per_inference_j.median"), "J", a),
               show_si(show_number(r, "net_energy_per_inference_j.u95"), "J", b), show_si(show_number(r, "idle_power_w"), "W", k));
    } else {
        printf("net       none (no idle stretch)\n");
    }
    printf("latency   %s per inference; mean power %s, peak %s\n", show_si(show_number(r, "latency_per_inference_s.median"), "s", a),
           show_si(show_number(r, "power_w.mean"), "W", b), show_si(show_number(r, "power_w.peak"), "W", k));
    show_quality(r);
    show_reasons(r);
}

static int show_one(struct client *c, const char *id, bool json) {
    char path[160], whole[CMD_ID];
    struct err e = {0};
    json_t *r = NULL;
    int bad = cmd_resolve(c, "/results", id, whole, &e);
    (void)snprintf(path, sizeof path, "/results/%s", bad < 0 ? "" : whole);
    if (bad < 0 || client_json(c, "GET", path, NULL, &r, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(r);
    } else {
        cmd_result_print(r);
        show_stages(r);
        show_budget(r);
        printf("\ntrace     %s\n", show_text(r, "trace"));
    }
    json_decref(r);
    return EXIT_OK;
}

int cmd_results(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *job = NULL, *bench = NULL, *verdict = NULL, *origin = NULL, *words[1];
    long long limit = 20;
    const struct opt_row rows[] = {{"job", OPT_TEXT, &job, 0, 0, "JOB", "only results of this job"},
                                   {"bench", OPT_TEXT, &bench, 0, 0, "NAME", "only results of this bench"},
                                   {"verdict", OPT_TEXT, &verdict, 0, 0, "VERDICT", "valid, suspect or invalid"},
                                   {"origin", OPT_TEXT, &origin, 0, 0, "ORIGIN", "measured, imported or reanalysed"},
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
    char id[CMD_ID] = "";
    if (job && cmd_resolve(c, "/jobs", job, id, &e) < 0) {
        return cmd_fail(&e);
    }
    cmd_query(path, sizeof path, "job", id);
    cmd_query(path, sizeof path, "bench", bench);
    cmd_query(path, sizeof path, "verdict", verdict);
    cmd_query(path, sizeof path, "origin", origin);
    if (cmd_collect(c, path, limit, &items, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(items);
    } else {
        static const char *const head[] = {"result", "model", "bench", ">J/inference", ">U95", ">net", ">latency", "verdict"};
        struct show_table *t = show_table_new(head, 8);
        size_t i;
        json_t *r;
        json_array_foreach(items, i, r) {
            result_row(t, r);
        }
        show_table_print(t);
        show_table_free(t);
    }
    json_decref(items);
    return EXIT_OK;
}
