/* SPDX-License-Identifier: GPL-2.0-or-later
 * `joulefarm watch`: follows one job over the event stream. The job's state is read from the job itself (twice a second), the
 * stream adds what is live: progress and power. On a terminal one line is redrawn; elsewhere a line per change. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

struct watch {
    struct client *c; /* for requests; the stream has a client of its own */
    const char *job;
    bool tty, json;
    char id[CMD_ID];
    bool block; /* the bench's instrument tells nothing before the run is over */
    char stage[24], state[24], bench[64], attempt[64], text[80], last[160];
    double fraction, power_w;
    json_t *doc; /* the newest job */
    struct err failure;
    bool ended;
};

static bool is_final(const char *state) {
    return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "canceled") == 0;
}

static void draw(struct watch *w) {
    if (w->json) {
        return;
    }
    if (!w->tty) {
        char line[160];
        const char *stage = is_final(w->state) ? "" : w->stage;
        (void)snprintf(line, sizeof line, "%s%s%s%s%s", w->state, stage[0] ? ": " : "", stage, w->bench[0] ? " on " : "", w->bench);
        if (strcmp(line, w->last) != 0) {
            printf("%s\n", line);
            (void)fflush(stdout);
            memcpy(w->last, line, sizeof line);
        }
        return;
    }
    char bar[24], power[SHOW_CELL] = "", line[320];
    int full = isfinite(w->fraction) ? (int)(w->fraction * 20 + 0.5) : 0;
    for (int i = 0; i < 20; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[20] = '\0';
    const char *reading = isfinite(w->power_w) ? show_si(w->power_w, "W", power) : w->block && strcmp(w->stage, "run") == 0 ? "captured after the run" : "";
    bool final = is_final(w->state);
    (void)snprintf(line, sizeof line, "[%s] %-8s %-8s %s%s%s", bar, w->stage[0] && !final ? w->stage : w->state, w->bench, reading, reading[0] ? "  " : "", w->text);
    int columns = show_columns();
    printf("\r\x1b[2K%.*s", columns > 1 ? columns - 1 : (int)sizeof line, line); /* a line that wraps could not be redrawn */
    (void)fflush(stdout);
}

static void copy(char *dst, size_t size, const json_t *doc, const char *key) {
    const char *s = json_string_value(json_object_get(doc, key));
    (void)snprintf(dst, size, "%s", s ? s : "");
    (void)show_clean(dst);
}

static void learn_bench(struct watch *w) {
    char path[128];
    struct err e = {0};
    json_t *doc = NULL;
    (void)snprintf(path, sizeof path, "/benches/%s", w->bench);
    if (client_json(w->c, "GET", path, NULL, &doc, &e) == 0) {
        w->block = json_is_false(json_object_get(doc, "streaming"));
        json_decref(doc);
    }
}

static bool refresh(struct watch *w) {
    char path[256];
    json_t *doc = NULL;
    (void)snprintf(path, sizeof path, "/jobs/%.100s", w->job);
    int r = client_json(w->c, "GET", path, NULL, &doc, &w->failure);
    if (r < 0) {
        w->ended = r != JF_E_GONE && r != JF_E_TIMEOUT; /* a restarting daemon is waited for */
        return w->ended;
    }
    w->failure.code = 0;
    json_decref(w->doc);
    w->doc = doc;
    char stage[24];
    copy(w->state, sizeof w->state, doc, "state");
    copy(stage, sizeof stage, doc, "stage");
    if (strcmp(stage, w->stage) != 0) {
        memcpy(w->stage, stage, sizeof stage);
        w->fraction = w->power_w = (double)NAN;
        w->text[0] = '\0';
    }
    char before[sizeof w->bench];
    memcpy(before, w->bench, sizeof before);
    copy(w->bench, sizeof w->bench, doc, "on_bench");
    if (w->tty && w->bench[0] && strcmp(before, w->bench) != 0) {
        learn_bench(w);
    }
    copy(w->attempt, sizeof w->attempt, doc, "attempt");
    w->ended = is_final(w->state);
    draw(w);
    return w->ended;
}

static bool mine(const struct watch *w, const json_t *data) {
    const char *job = json_string_value(json_object_get(data, "job"));
    const char *attempt = json_string_value(json_object_get(data, "attempt"));
    return (job && strcmp(job, w->job) == 0) || (attempt && w->attempt[0] && strcmp(attempt, w->attempt) == 0);
}

static bool on_event(void *user, const char *event, const json_t *data) {
    struct watch *w = user;
    if (!mine(w, data)) {
        return false;
    }
    if (strcmp(event, "live") == 0) {
        w->power_w = show_number(data, "power_w");
        draw(w);
        return false;
    }
    if (strcmp(event, "progress") == 0) {
        w->fraction = show_number(data, "fraction");
        copy(w->text, sizeof w->text, data, "text");
        draw(w);
        return false;
    }
    return refresh(w);
}

static bool on_tick(void *user) {
    struct watch *w = user;
    return w->ended || refresh(w);
}

static int print_outcome(struct watch *w) {
    struct err e = {0};
    char path[256];
    json_t *list = NULL;
    int code = EXIT_FAILED;
    (void)snprintf(path, sizeof path, "/results");
    cmd_query(path, sizeof path, "job", w->job);
    if (client_json(w->c, "GET", path, NULL, &list, &e) < 0) {
        return cmd_fail(&e);
    }
    json_t *r = json_array_get(json_object_get(list, "items"), 0);
    if (w->json) {
        json_t *both = json_pack("{s:O, s:O?}", "job", w->doc, "result", r);
        show_json(both);
        json_decref(both);
    } else if (r) {
        cmd_result_print(r);
    } else {
        char text[512];
        (void)snprintf(text, sizeof text, "%s", show_text(w->doc, "cause.text"));
        const char *cls = show_text(w->doc, "cause.class");
        bool same = strcmp(cls, w->state) == 0;
        printf("%s%s%s%s: %s\n", w->state, same ? "" : " (", same ? "" : cls, same ? "" : ")", show_clean(text));
    }
    if (r && strcmp(w->state, "done") == 0) {
        code = strcmp(show_text(r, "verdict"), "valid") == 0 ? EXIT_OK : EXIT_NOT_VALID;
    }
    json_decref(list);
    return code;
}

int watch_job(struct client *c, const char *job, bool json) {
    struct watch w = {.c = c, .json = json, .tty = isatty(STDOUT_FILENO) && !json, .fraction = (double)NAN, .power_w = (double)NAN};
    struct client *stream = NULL;
    struct err e = {0};
    int r = cmd_resolve(c, "/jobs", job, w.id, &e);
    if (r < 0) {
        return cmd_fail(&e);
    }
    w.job = w.id;
    if (!refresh(&w) && w.failure.code == 0) {
        if (w.tty) {
            printf("\r\x1b[2Kjob %s (Ctrl-C leaves it running)\n", cmd_short(w.id));
        }
        r = client_open(client_server(c), &stream, &e);
        const struct client_stream s = {on_event, on_tick, &w};
        r = r < 0 ? r : client_stream(stream, &s, &e);
        client_close(stream);
    }
    if (w.tty) {
        printf("\r\x1b[2K");
    }
    if (w.failure.code) {
        e = w.failure;
        r = e.code;
    }
    int code = r < 0 ? cmd_fail(&e) : print_outcome(&w);
    json_decref(w.doc);
    return code;
}

int cmd_watch(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print job and result as JSON at the end"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    const char *words[1];
    size_t n;
    struct err e = {0};
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && help) {
        return cmd_help("watch", rows);
    }
    if (r == 0 && n != 1) {
        r = err_set(&e, JF_E_INVAL, "watch wants one job id");
    }
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    return watch_job(c, words[0], json);
}
