/* SPDX-License-Identifier: GPL-2.0-or-later
 * The truth file. Owns the file and the state that turns marker events into windows, inferences, stages and idle
 * stretches; every figure is a difference of elec's exact running integrals at event times. One thread.
 *
 * phases: line 0 low is a window, line 1 toggles at each inference start and after the last, lines 2..4 a stage code.
 * mlperf: falling edges of line 0 pair up as begin and end; a reset drops a begun pair. */
#include "sim/truth.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_PS (ELEC_PS_PER_S / 10) /* of measurement.md section 3: idle is judged 100 ms away from traffic and edges */
#define QUIET_MAX 64 /* listed per idle stretch */
#define STAGES 8
#define NET_MIN_PS (ELEC_PS_PER_S / 5) /* a quiet stretch this long (guards taken off) speaks for its idle state */

static const char *const stage_names[STAGES] = {"other", "init", "inference", "input", "post", "illegal_5", "output", "illegal_7"};

struct stage {
    double s, joule;
};

struct truth {
    FILE *file; /* NULL: records are dropped */
    enum truth_scheme scheme;
    struct elec *elec;
    int64_t windows, slips, resets;
    bool armed; /* line 0 was high since the last reset: before that, low pins are not a window */
    /* the open window */
    bool open;
    struct elec_totals begin, last_edge, last_inference;
    int64_t toggles;
    struct stage stage[STAGES];
    /* the open idle stretch */
    struct elec_totals idle_begin;
    json_t *quiet; /* of this stretch */
    double quiet_s, quiet_j;
    double quiet_w; /* of its last quiet stretch that is long enough to speak for it; < 0: none */
    double last_quiet_w; /* < 0: none since the last reset */
    int64_t asleep_ps, asleep_since; /* since -1: awake */
    /* quiet: no marker edge, no UART traffic, no reset or supply change */
    bool uart_busy;
    int powered; /* 1, 0; -1: not told yet */
    int64_t quiet_since;
    /* the window whose idle after is still to come */
    int64_t net_index;
    double net_before_w, net_energy_j, net_s;
    int64_t net_inferences;
};

static double seconds(int64_t ps) { return (double)ps / (double)ELEC_PS_PER_S; }

static void put(struct truth *t, json_t *record) {
    if (t->file && record) {
        if (json_dumpf(record, t->file, JSON_COMPACT | JSON_REAL_PRECISION(17)) == 0) {
            fputc('\n', t->file);
        }
    }
    json_decref(record);
}

static void set_real(json_t *o, const char *key, double v) { json_object_set_new(o, key, json_real(v)); }

/* {"type", times, energy and charge of [a, b)} */
static json_t *span_json(const char *type, const struct elec_totals *a, const struct elec_totals *b) {
    json_t *o = json_object();
    json_object_set_new(o, "type", json_string(type));
    set_real(o, "from_s", seconds(a->t_ps));
    set_real(o, "to_s", seconds(b->t_ps));
    set_real(o, "duration_s", seconds(b->t_ps - a->t_ps));
    set_real(o, "energy_j", elec_sum_diff(b->load_j, a->load_j));
    set_real(o, "charge_c", elec_sum_diff(b->load_c, a->load_c));
    set_real(o, "energy_pin_j", elec_sum_diff(b->pin_j, a->pin_j));
    set_real(o, "charge_pin_c", elec_sum_diff(b->pin_c, a->pin_c));
    return o;
}

/* --- idle -------------------------------------------------------------------------------------------------------- */
static void net_close(struct truth *t, double after_w) {
    double idle_w = t->net_before_w >= 0.0 ? 0.5 * (t->net_before_w + after_w) : after_w;
    double net = t->net_energy_j - idle_w * t->net_s;
    json_t *o = json_pack("{s:s, s:I, s:f, s:f, s:f}", "type", "net", "index", (json_int_t)t->net_index, "idle_after_w",
                          after_w, "idle_power_w", idle_w, "net_energy_j", net);
    json_object_set_new(o, "idle_before_w", t->net_before_w >= 0.0 ? json_real(t->net_before_w) : json_null());
    if (t->net_inferences > 0) {
        set_real(o, "net_energy_per_inference_j", net / (double)t->net_inferences);
    }
    put(t, o);
    t->net_index = -1;
}

/* The quiet stretch that ends at `to`, less the guards: what it drew. False: too short to say. */
static bool quiet_measure(const struct truth *t, int64_t to, struct elec_totals *ret_a, struct elec_totals *ret_b) {
    int64_t from = t->quiet_since + GUARD_PS;
    int64_t kept = elec_history_from_ps(t->elec);
    from = from > kept ? from : kept; /* of a very long stretch, the kept end speaks */
    to -= GUARD_PS;
    if (t->uart_busy || to <= from) {
        return false;
    }
    elec_totals_at(t->elec, to, ret_b);
    elec_totals_at(t->elec, from, ret_a);
    return ret_b->t_ps > ret_a->t_ps;
}

static json_t *quiet_json(const struct elec_totals *a, const struct elec_totals *b) {
    double joule = elec_sum_diff(b->load_j, a->load_j);
    return json_pack("{s:f, s:f, s:f, s:f}", "from_s", seconds(a->t_ps), "to_s", seconds(b->t_ps), "energy_j", joule,
                     "mean_power_w", joule / seconds(b->t_ps - a->t_ps));
}

static void quiet_end(struct truth *t, int64_t now) {
    struct elec_totals a, b;
    if (!t->open && quiet_measure(t, now, &a, &b)) {
        double joule = elec_sum_diff(b.load_j, a.load_j);
        double s = seconds(b.t_ps - a.t_ps);
        t->quiet_s += s;
        t->quiet_j += joule;
        if (b.t_ps - a.t_ps >= NET_MIN_PS) {
            t->last_quiet_w = joule / s;
            t->quiet_w = joule / s;
        }
        if (json_array_size(t->quiet) < QUIET_MAX) {
            json_array_append_new(t->quiet, quiet_json(&a, &b));
        }
        if (t->net_index >= 0 && b.t_ps - a.t_ps >= NET_MIN_PS) {
            net_close(t, joule / s);
        }
    }
    t->quiet_since = now;
}

static void idle_write(struct truth *t, bool provisional) {
    struct elec_totals now;
    elec_totals_now(t->elec, &now);
    if (now.t_ps <= t->idle_begin.t_ps) {
        return;
    }
    json_t *o = span_json("idle", &t->idle_begin, &now);
    double whole_w = elec_sum_diff(now.load_j, t->idle_begin.load_j) / seconds(now.t_ps - t->idle_begin.t_ps);
    set_real(o, "whole_mean_power_w", whole_w);
    int64_t asleep = t->asleep_ps + (t->asleep_since >= 0 ? now.t_ps - t->asleep_since : 0);
    set_real(o, "asleep_s", seconds(asleep));
    json_t *list = json_copy(t->quiet);
    double s = t->quiet_s;
    double joule = t->quiet_j;
    double last_w = t->quiet_w >= 0.0 ? t->quiet_w : whole_w;
    struct elec_totals a, b;
    if (provisional && quiet_measure(t, now.t_ps, &a, &b)) { /* still going on */
        s += seconds(b.t_ps - a.t_ps);
        joule += elec_sum_diff(b.load_j, a.load_j);
        last_w = b.t_ps - a.t_ps >= NET_MIN_PS ? elec_sum_diff(b.load_j, a.load_j) / seconds(b.t_ps - a.t_ps) : last_w;
        json_array_append_new(list, quiet_json(&a, &b));
    }
    set_real(o, "mean_power_w", last_w);
    set_real(o, "quiet_s", s);
    set_real(o, "quiet_energy_j", joule);
    json_object_set_new(o, "quiet_mean_power_w", s > 0.0 ? json_real(joule / s) : json_null());
    json_object_set_new(o, "quiet", list);
    if (provisional) {
        json_object_set_new(o, "open", json_true());
    }
    put(t, o);
}

static void idle_start(struct truth *t) {
    elec_totals_now(t->elec, &t->idle_begin);
    json_array_clear(t->quiet);
    t->quiet_s = 0.0;
    t->quiet_j = 0.0;
    t->quiet_w = -1.0;
    t->asleep_ps = 0;
    if (t->asleep_since >= 0) {
        t->asleep_since = t->idle_begin.t_ps;
    }
}

/* --- windows ------------------------------------------------------------------------------------------------------ */
static void window_open(struct truth *t, const struct elec_totals *now) {
    idle_write(t, false);
    t->open = true;
    t->begin = *now;
    t->last_edge = *now;
    t->toggles = 0;
    memset(t->stage, 0, sizeof t->stage);
}

static json_t *stages_json(const struct truth *t) {
    json_t *o = json_object();
    for (int k = 0; k < STAGES; k++) {
        if (k == 0 || t->stage[k].s > 0.0) {
            json_object_set_new(o, stage_names[k], json_pack("{s:f, s:f}", "s", t->stage[k].s, "energy_j", t->stage[k].joule));
        }
    }
    return o;
}

static void window_close(struct truth *t, const struct elec_totals *now) {
    t->open = false;
    bool real = t->scheme == TRUTH_MLPERF || t->toggles >= 2;
    json_t *o = span_json(real ? "window" : "glitch", &t->begin, now);
    if (real) {
        int64_t n = t->scheme == TRUTH_PHASES ? t->toggles - 1 : 0;
        json_object_set_new(o, "index", json_integer(t->windows));
        json_object_set_new(o, "inferences", n > 0 ? json_integer(n) : json_null());
        json_object_set_new(o, "idle_before_w", t->last_quiet_w >= 0.0 ? json_real(t->last_quiet_w) : json_null());
        if (t->scheme == TRUTH_PHASES) {
            json_object_set_new(o, "stages", stages_json(t));
        }
        t->net_index = t->windows++;
        t->net_before_w = t->last_quiet_w;
        t->net_energy_j = elec_sum_diff(now->load_j, t->begin.load_j);
        t->net_s = seconds(now->t_ps - t->begin.t_ps);
        t->net_inferences = n;
    }
    put(t, o);
    idle_start(t);
    truth_flush(t);
}

static void inference_edge(struct truth *t, const struct elec_totals *now) {
    if (t->toggles > 0) {
        json_t *o = span_json("inference", &t->last_inference, now);
        json_object_set_new(o, "window", json_integer(t->windows));
        json_object_set_new(o, "index", json_integer(t->toggles - 1));
        put(t, o);
    }
    t->toggles++;
    t->last_inference = *now;
}

static void phases_edge(struct truth *t, unsigned before, unsigned levels, const struct elec_totals *now) {
    unsigned changed = before ^ levels;
    if (t->open) {
        struct stage *s = &t->stage[(before >> 2) & 7u];
        s->s += seconds(now->t_ps - t->last_edge.t_ps);
        s->joule += elec_sum_diff(now->load_j, t->last_edge.load_j);
        t->last_edge = *now;
    } else if ((changed & 1u) && !(levels & 1u)) {
        window_open(t, now);
    }
    if (t->open && (changed & 2u)) {
        inference_edge(t, now);
    }
    if (t->open && (levels & 1u)) {
        window_close(t, now);
    }
}

static void mlperf_edge(struct truth *t, unsigned before, unsigned levels, const struct elec_totals *now) {
    if (!(before & 1u) || (levels & 1u)) {
        return;
    }
    if (t->open) {
        window_close(t, now);
    } else {
        window_open(t, now);
    }
}

/* --- observer ------------------------------------------------------------------------------------------------------ */
static void on_markers(void *ctx, int64_t t_ps, uint8_t before, uint8_t levels) {
    struct truth *t = ctx;
    struct elec_totals now;
    elec_totals_now(t->elec, &now);
    quiet_end(t, t_ps);
    if (!t->armed) {
        t->armed = levels & 1u;
    } else if (t->scheme == TRUTH_PHASES) {
        phases_edge(t, before, levels, &now);
    } else {
        mlperf_edge(t, before, levels, &now);
    }
}

static void on_reset(struct truth *t, int64_t t_ps, const char *type, double value) {
    struct elec_totals now;
    elec_totals_now(t->elec, &now);
    t->armed = elec_markers_true(t->elec) & 1u;
    if (t->open) {
        if (now.t_ps > t->begin.t_ps) { /* else it is the reset itself that pulled line 0 low */
            put(t, span_json("window-cut", &t->begin, &now));
        }
        t->open = false;
        idle_start(t);
    }
    t->net_index = -1;
    t->last_quiet_w = -1.0;
    t->uart_busy = false;
    t->asleep_since = -1;
    put(t, json_pack("{s:s, s:f, s:f}", "type", type, "t_s", seconds(t_ps), "value", value));
    truth_flush(t);
}

static void on_note(void *ctx, int64_t t_ps, enum elec_note note, double value) {
    struct truth *t = ctx;
    switch (note) {
    case ELEC_SLEEP:
        t->asleep_since = t->asleep_since < 0 ? t_ps : t->asleep_since;
        return;
    case ELEC_WAKE:
        t->asleep_ps += t->asleep_since >= 0 ? t_ps - t->asleep_since : 0;
        t->asleep_since = -1;
        return;
    case ELEC_UART_BUSY:
        quiet_end(t, t_ps);
        t->uart_busy = true;
        return;
    case ELEC_UART_IDLE:
        t->uart_busy = false;
        t->quiet_since = t_ps;
        return;
    case ELEC_SLIP:
        t->slips++;
        put(t, json_pack("{s:s, s:f, s:f}", "type", "slip", "t_s", seconds(t_ps), "slipped_s", value));
        truth_flush(t);
        return;
    case ELEC_POWER_ON:
    case ELEC_POWER_OFF:
        if (t->powered == (note == ELEC_POWER_ON)) {
            return; /* supply and board both tell */
        }
        t->powered = note == ELEC_POWER_ON;
        /* fall through */
    case ELEC_RESET:
        quiet_end(t, t_ps);
        t->resets += note == ELEC_RESET;
        on_reset(t, t_ps, note == ELEC_RESET ? "reset" : note == ELEC_POWER_ON ? "power-on" : "power-off", value);
        return;
    }
}

int truth_open(const char *path, enum truth_scheme scheme, struct elec *e, struct truth **ret_truth, struct err *reterr) {
    struct truth *t = calloc(1, sizeof *t);
    if (!t) {
        return err_set(reterr, JF_E_NOMEM, "truth");
    }
    int rc = JF_E_NOMEM;
    t->quiet = json_array();
    if (!t->quiet) {
        err_set(reterr, rc, "truth");
        goto fail_truth;
    }
    if (path && path[0]) {
        t->file = fopen(path, "we");
        if (!t->file) {
            rc = err_set_errno(reterr, JF_E_IO, errno, "truth file %.300s", path);
            goto fail_truth;
        }
    }
    t->scheme = scheme;
    t->elec = e;
    t->last_quiet_w = -1.0;
    t->asleep_since = -1;
    t->net_index = -1;
    t->powered = -1;
    idle_start(t);
    elec_observe(e, &(struct elec_observer){.markers = on_markers, .note = on_note, .ctx = t});
    put(t, json_pack("{s:s, s:i, s:s, s:s}", "type", "start", "version", 1, "scheme",
                     scheme == TRUTH_PHASES ? "phases" : "mlperf", "plane", "board-pin"));
    *ret_truth = t;
    return 0;

fail_truth:
    json_decref(t->quiet);
    free(t);
    return rc;
}

void truth_close(struct truth *t) {
    if (!t) {
        return;
    }
    if (!t->open) {
        idle_write(t, true);
    }
    elec_observe(t->elec, &(struct elec_observer){0});
    if (t->file) {
        fclose(t->file);
    }
    json_decref(t->quiet);
    free(t);
}

void truth_flush(struct truth *t) {
    if (t->file) {
        fflush(t->file);
    }
}

void truth_snapshot(struct truth *t) {
    if (!t->open) {
        struct elec_totals a, b;
        int64_t now = elec_now_ps(t->elec);
        idle_write(t, true);
        if (t->net_index >= 0 && quiet_measure(t, now, &a, &b) && b.t_ps - a.t_ps >= NET_MIN_PS) {
            net_close(t, elec_sum_diff(b.load_j, a.load_j) / seconds(b.t_ps - a.t_ps));
        }
    }
    truth_flush(t);
}

bool truth_window_open(const struct truth *t) { return t->open && (t->scheme == TRUTH_MLPERF || t->toggles > 0); }

double truth_window_s(const struct truth *t) {
    return truth_window_open(t) ? seconds(elec_now_ps(t->elec) - t->begin.t_ps) : 0.0;
}

int64_t truth_windows(const struct truth *t) { return t->windows; }
int64_t truth_slips(const struct truth *t) { return t->slips; }
