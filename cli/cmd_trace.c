/* SPDX-License-Identifier: GPL-2.0-or-later
 * `joulefarm trace`: what a stored trace holds: a plot in characters, exact statistics of a span, or the file itself. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define PLOT_ROWS 12

struct trace_opts {
    double from_s, to_s;
    long long points;
    bool stats, json, help;
    const char *output;
};

/* A result's id is accepted too: its trace is meant. */
static int trace_id(struct client *c, const char *word, char *dst, size_t size, struct err *reterr) {
    char path[160], result[CMD_ID];
    json_t *doc = NULL;
    (void)snprintf(dst, size, "%s", word);
    if (strncmp(word, "sha256:", 7) == 0) {
        return 0;
    }
    int r = cmd_resolve(c, "/results", word, result, reterr);
    if (r < 0) {
        return r;
    }
    (void)snprintf(path, sizeof path, "/results/%s", result);
    r = client_json(c, "GET", path, NULL, &doc, reterr);
    if (r < 0) {
        return r;
    }
    const char *id = json_string_value(json_object_get(doc, "trace"));
    if (!id) {
        r = err_set(reterr, JF_E_NOT_FOUND, "result %s has no trace", word);
    } else {
        (void)snprintf(dst, size, "%s", id);
    }
    json_decref(doc);
    return r;
}

static double at(const json_t *pair, size_t i) { return json_number_value(json_array_get(pair, i)); }

/* What column [a, b) is beside a reading: '!' holds a loss, ' ' nothing was recorded, '|' an acquisition begins, '_' recorded. */
static char coverage(const json_t *view, double a, double b, bool has_value) {
    const json_t *segments = json_object_get(view, "segments"), *s;
    size_t i;
    json_array_foreach(json_object_get(view, "gaps"), i, s) {
        if (at(s, 0) < b && at(s, 1) > a) {
            return '!';
        }
    }
    json_array_foreach(segments, i, s) {
        if (i > 0 && at(s, 0) >= a && at(s, 0) < b) {
            return '|';
        }
    }
    return has_value ? '_' : ' ';
}

/* One line below the plot, only when something is to be told. */
static void print_coverage(const json_t *view, const json_t *lo) {
    size_t n = json_array_size(lo);
    double from = show_number(view, "from_s"), step = (show_number(view, "to_s") - from) / (double)n;
    bool lost = false, parts = false, holes = false;
    for (size_t i = 0; i < n; i++) {
        char k = coverage(view, from + (double)i * step, from + (double)(i + 1) * step, json_is_number(json_array_get(lo, i)));
        lost |= k == '!';
        parts |= k == '|';
        holes |= k == ' ';
    }
    if (!lost && !parts && !holes) {
        return;
    }
    printf("%12s  ", "");
    for (size_t i = 0; i < n; i++) {
        putchar(coverage(view, from + (double)i * step, from + (double)(i + 1) * step, json_is_number(json_array_get(lo, i))));
    }
    printf("\n%12s  _ recorded%s%s%s\n", "", parts ? ", | another acquisition (the time between was not recorded)" : "", lost ? ", ! samples lost" : "",
           holes ? ", blank: not recorded" : "");
}

static void plot(const json_t *view) {
    const json_t *current = json_object_get(view, "current_a"), *lo = json_object_get(current, "min"), *hi = json_object_get(current, "max");
    size_t n = json_array_size(lo);
    double top = 0;
    for (size_t i = 0; i < n; i++) {
        double v = json_number_value(json_array_get(hi, i));
        top = v > top ? v : top;
    }
    if (n == 0 || top <= 0) {
        printf("nothing to plot in this span\n");
        return;
    }
    for (int row = PLOT_ROWS; row > 0; row--) {
        char label[SHOW_CELL];
        double floor_a = top * (row - 1) / PLOT_ROWS, ceil_a = top * row / PLOT_ROWS;
        printf("%12s |", row == PLOT_ROWS || row == 1 ? show_si(row == 1 ? 0 : top, "A", label) : "");
        for (size_t i = 0; i < n; i++) {
            const json_t *l = json_array_get(lo, i), *h = json_array_get(hi, i);
            bool inside = json_is_number(h) && json_number_value(h) > floor_a && json_number_value(l) < ceil_a;
            bool below = json_is_number(l) && json_number_value(l) >= ceil_a;
            putchar(inside ? '#' : below ? ':' : ' ');
        }
        putchar('\n');
    }
    char a[SHOW_CELL], b[SHOW_CELL];
    printf("%12s +%s ... %s\n", "", show_si(show_number(view, "from_s"), "s", a), show_si(show_number(view, "to_s"), "s", b));
    print_coverage(view, lo);
}

static void span_query(char *path, size_t size, const struct trace_opts *o) {
    char number[40];
    if (isfinite(o->from_s)) {
        (void)snprintf(number, sizeof number, "%.17g", o->from_s);
        cmd_query(path, size, "from_s", number);
    }
    if (isfinite(o->to_s)) {
        (void)snprintf(number, sizeof number, "%.17g", o->to_s);
        cmd_query(path, size, "to_s", number);
    }
}

static int show_trace(struct client *c, const char *id, const struct trace_opts *o) {
    char path[512], a[SHOW_CELL], b[SHOW_CELL], d[SHOW_CELL], m[SHOW_CELL];
    struct err e = {0};
    json_t *doc = NULL;
    (void)snprintf(path, sizeof path, "/traces/%.100s/%s", id, o->stats ? "stats" : "view");
    span_query(path, sizeof path, o);
    if (!o->stats) {
        (void)snprintf(a, sizeof a, "%lld", o->points);
        cmd_query(path, sizeof path, "points", a);
    }
    if (client_json(c, "GET", path, NULL, &doc, &e) < 0) {
        return cmd_fail(&e);
    }
    if (o->json) {
        show_json(doc);
    } else if (o->stats) {
        printf("energy    %s\ncharge    %s\n", show_si(show_number(doc, "energy_j"), "J", a), show_si(show_number(doc, "charge_c"), "C", b));
        printf("current   mean %s", show_si(show_number(doc, "current_mean_a"), "A", m));
        printf(", %s to %s\n", show_si(show_number(doc, "current_min_a"), "A", a), show_si(show_number(doc, "current_max_a"), "A", b));
        printf("power     mean %s\n", show_si(show_number(doc, "power_mean_w"), "W", m));
        printf("recorded  %s, lost %s\n", show_si(show_number(doc, "recorded_s"), "s", d), show_si(show_number(doc, "gap_s"), "s", a));
    } else {
        plot(doc);
    }
    json_decref(doc);
    return EXIT_OK;
}

int cmd_trace(struct client *c, int argc, char **argv) {
    struct trace_opts o = {.from_s = (double)NAN, .to_s = (double)NAN, .points = 64};
    const struct opt_row rows[] = {{"from-s", OPT_REAL, &o.from_s, -1e9, 1e9, "S", "begin of the span, seconds of the trace"},
                                   {"to-s", OPT_REAL, &o.to_s, -1e9, 1e9, "S", "end of the span"},
                                   {"points", OPT_INT, &o.points, 1, 10000, "N", "columns of the plot (64)"},
                                   {"stats", OPT_FLAG, &o.stats, 0, 0, NULL, "exact energy, charge and mean of the span"},
                                   {"output", OPT_TEXT, &o.output, 0, 0, "FILE", "download the trace file (see jf-trace)"},
                                   {"json", OPT_FLAG, &o.json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &o.help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    const char *words[1];
    char id[128], path[256];
    size_t n;
    struct err e = {0};
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && o.help) {
        return cmd_help("trace", rows);
    }
    if (r == 0 && n != 1) {
        r = err_set(&e, JF_E_INVAL, "trace wants one result or trace id");
    }
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (trace_id(c, words[0], id, sizeof id, &e) < 0) {
        return cmd_fail(&e);
    }
    if (!o.output) {
        return show_trace(c, id, &o);
    }
    (void)snprintf(path, sizeof path, "/traces/%.100s/content", id);
    if (client_download(c, path, o.output, &e) < 0) {
        return cmd_fail(&e);
    }
    printf("%s\n", o.output);
    return EXIT_OK;
}
