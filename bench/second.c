/* SPDX-License-Identifier: GPL-2.0-or-later
 * The second instrument of an attempt: a logic analyzer that sees the marker lines by a clock of its own, on a capture thread of its own
 * (bench/capture.h), whose changes of level go into the trace as events. Refuses what cannot be aligned later: a board without `jf sync`, a current
 * instrument that does not see line 0. Main thread. */
#include <math.h>
#include <stdio.h>

#include "bench/attempt.h"
#include "firmware/include/jf_device.h"

#define OPEN_MS 20000
#define APART_MS 200 /* between an infer command and a train: the analysis looks for a window's edges a little beyond its command */
#define TRAIN_UNITS 806 /* the sum of a train's gaps */
#define SYNC_UNIT_US 101 /* no multiple of a usual sample period: the edges of a train fall on all phases of the grid */

static const char *name_of(const struct attempt *a) { return a->second_info.model[0] ? a->second_info.model : a->w->conf.logic_driver; }

static int ask(struct attempt *a, const struct capture_request *q, struct capture_reply *rep, struct err *reterr) {
    int r = attempt_capture_of(a, a->second, q, OPEN_MS, rep, reterr);
    return r < 0 ? err_prefix(reterr, "the logic analyzer") : 0;
}

static int check(struct attempt *a, struct err *reterr) {
    const struct bench_conf *c = &a->w->conf;
    int need = c->scheme == MEASURE_SCHEME_PHASES ? JF_LINES : 1;
    if (!(a->second_info.caps & POWER_CAP_MARKERS_ONLY)) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "logic", "the second instrument must be a logic analyzer: marker lines and no current");
    }
    if (a->second_info.n_markers < need) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "logic.mapping", "the marker scheme needs %d lines and the logic analyzer delivers %d", need,
                          a->second_info.n_markers);
    }
    if (c->sync_line >= a->info.n_markers) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "logic.sync_line", "the analyzer itself must see line 0 as its marker line %d, and it delivers %d",
                          c->sync_line, a->info.n_markers);
    }
    return 0;
}

int second_open(struct attempt *a, struct err *reterr) {
    if (!a->w->logic_driver) {
        return 0;
    }
    int r = capture_new(a->w->logic_driver, a->w->conf.logic, a->w->clock, a->ring, &a->second, reterr);
    if (r < 0) {
        return attempt_blame(a, "host", r);
    }
    struct capture_request q = {.op = CAPTURE_OPEN};
    struct capture_reply rep;
    r = ask(a, &q, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->second_info = rep.info;
    attempt_log(a, "analyzer", "second instrument: %s %s, serial %s, %d lines", rep.info.driver, name_of(a), rep.info.serial, rep.info.n_markers);
    return attempt_blame(a, "analyzer", check(a, reterr));
}

/* The description comes before the first edges. */
static void describe(struct attempt *a) {
    const struct power_info *i = &a->second_info;
    const json_t *names = json_object_get(json_object_get(a->w->conf.logic, "mapping"), "markers");
    json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:i, s:f, s:O*}", "driver", i->driver, "model", i->model, "serial", i->serial, "period_s",
                          1 / i->rate_hz, "marker_phase", i->marker_phase, "clock_ppm", i->clock_ppm, "lines", i->n_markers, "sync_line",
                          a->w->conf.sync_line, "sync_unit_s", a->sync_unit_us * 1e-6, "names", names);
    tracer_event(a->ring, clock_raw_ns(a->w->clock), "second", o);
}

int second_start(struct attempt *a, struct err *reterr) {
    if (!a->second) {
        return 0;
    }
    double rate = json_number_value(json_object_get(a->w->conf.logic, "rate_hz"));
    struct capture_request q = {.op = CAPTURE_SETUP, .setup = {.rate_hz = rate, .trigger_marker = -1}};
    struct capture_reply rep;
    int r = ask(a, &q, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->second_info = rep.info;
    double own = a->info.shape == POWER_BLOCK || a->info.rate_hz <= 0 ? 0 : 1 / a->info.rate_hz; /* a block instrument's is known later */
    double dt = fmax(own, 1 / a->second_info.rate_hz);
    a->sync_unit_us = dt * 1e6 > SYNC_UNIT_US ? (unsigned)ceil(dt * 1e6 * 1.01) : SYNC_UNIT_US; /* the shortest gap is 11 units */
    if (a->sync_unit_us > JF_SYNC_UNIT_MAX_US) {
        return attempt_blame(a, "analyzer", err_set(reterr, JF_E_UNSUPPORTED, "samples of %.3g s are too coarse for a sync train", dt));
    }
    describe(a);
    q.op = CAPTURE_START;
    r = ask(a, &q, &rep, reterr);
    a->second_started = r == 0;
    return r;
}

double second_train_s(const struct attempt *a) { return a->second ? a->sync_unit_us * 1e-6 * TRAIN_UNITS + APART_MS * 1e-3 + 0.1 : 0; }

int second_sync(struct attempt *a, struct err *reterr) {
    if (!a->second) {
        return 0;
    }
    if (!a->dut.about.jf) {
        return attempt_blame(a, "board", err_set(reterr, JF_E_UNSUPPORTED, "two instruments need sync trains, and this firmware has no jf extension"));
    }
    char text[DUT_COMMAND_MAX];
    (void)snprintf(text, sizeof text, "jf sync %u%%", a->sync_unit_us);
    int r = attempt_pause(a, APART_MS, reterr);
    return r < 0 ? r : attempt_command(a, text, 5000 + (int)(a->sync_unit_us * 1e-3 * TRAIN_UNITS), reterr);
}

int second_stop(struct attempt *a, struct err *reterr) {
    if (!a->second || !a->second_started) {
        return 0;
    }
    struct capture_request q = {.op = CAPTURE_STOP};
    struct capture_reply rep;
    a->second_started = false;
    return ask(a, &q, &rep, reterr);
}

json_t *second_json(const struct attempt *a) {
    const struct power_info *i = &a->second_info;
    return !a->second ? NULL
                      : json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "driver", i->driver, "model", i->model, "serial", i->serial, "firmware", i->firmware,
                                  "rate_hz", i->rate_hz, "clock_ppm", i->clock_ppm);
}
