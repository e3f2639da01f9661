/* SPDX-License-Identifier: GPL-2.0-or-later
 * A made-up capture with known truth, for tests and studies of measure/: a piecewise constant current and marker levels over real
 * time, sampled by an instrument with settable errors and faults. The truth is computed here in closed form (sums of level times
 * duration), never from samples. Memory does not depend on the length of the capture. */
#ifndef TESTS_SYNTH_H
#define TESTS_SYNTH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/measure.h"
#include "measure/stats.h"

#define SYNTH_BLOCK 1000
#define SYNTH_MAX_WINDOWS 64
#define SYNTH_HOST0 1000000000000LL /* host time of device time 0, ns */

struct synth_level { /* holds from t until the next one's t */
    double t, amp;
    double lag; /* with tau_s: the analyzer's current at t */
    uint8_t m;
};

struct synth_acquisition {
    double from, to;
};

struct synth {
    double dt, phi, volt;
    struct synth_level *lv;
    size_t n, cap;
    double t_end;
    double tau_s; /* > 0: a shunt and a capacitance on the board's side: the analyzer's current follows with this time constant (synth_smear) */
    /* instrument errors: reported = true * (1 + gain) + offset + noise, quantized by step */
    double noise_a, gain, offset_a, step_a;
    int noise_hold; /* samples that share one draw of the noise; 0: 1 */
    /* auto_range: range 1 from range_amp upwards, each with errors of its own: true = reported * (1 + gain) + offset */
    bool auto_range;
    double range_amp, range_gain[2], range_offset[2], range_step[2];
    double volt_reported; /* what the voltage channel says; 0: the truth */
    uint64_t seed;
    double host_rate; /* host seconds per device second, minus 1 */
    double host_jitter_s; /* one-sided exponential arrival delay */
    int64_t gap_from, gap_to; /* announced hole, samples */
    int64_t loss_at, loss_n; /* silently dropped samples */
    int64_t late_from, late_to; /* samples whose arrival is late by late_s */
    double late_s;
    bool with_voltage, with_range, no_stamps;
    int64_t range_from, range_to; /* samples reported in range 1 */
    int64_t range_period; /* > 0: the range toggles every so many samples */
    int64_t clip_at, over_at; /* flagged sample; < 0 none */
    int64_t dip_from, dip_to; /* samples at dip_v */
    double dip_v;
    struct synth_acquisition acq[SYNTH_MAX_WINDOWS];
    int n_acq; /* > 0: block instrument */
    /* truth */
    struct {
        double t0, t1, charge;
    } win[SYNTH_MAX_WINDOWS];
    int n_win;
    struct measure_capture cap_;
};

static inline void synth_init(struct synth *s, double dt, double volt) {
    memset(s, 0, sizeof *s);
    s->dt = dt;
    s->phi = 0.5;
    s->volt = volt;
    s->seed = 1;
    s->clip_at = s->over_at = -1;
    struct measure_capture *c = &s->cap_;
    measure_capture_init(c);
    c->instrument.period_s = dt;
    c->instrument.marker_phase = 0.5;
    c->instrument.n_markers = 5;
    c->instrument.n_ranges = 2;
    c->instrument.clock_ppm = 0;
    c->instrument.voltage_kind = MEASURE_SPEC_LIMIT;
    for (int i = 0; i < 2; i++)
        c->instrument.ranges[i] = (struct measure_range){.to_a = 1, .kind = MEASURE_SPEC_LIMIT};
    c->supply.voltage_v = volt;
    c->supply.provenance = MEASURE_VOLTAGE_SET;
    c->supply.capacitance = MEASURE_C_DECLARED;
    c->device.golden = MEASURE_GOOD;
    c->device.reset_cause_reported = true;
    c->temperature_c = 25;
    c->instrument.calibration_c = 25;
}

static inline void synth_done(struct synth *s) {
    free(s->lv);
    s->lv = NULL;
}

/* Appends `duration` seconds of amp with marker byte m. */
static inline void synth_hold(struct synth *s, double duration, double amp, uint8_t m) {
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->lv = realloc(s->lv, s->cap * sizeof *s->lv);
        if (!s->lv)
            abort();
    }
    s->lv[s->n++] = (struct synth_level){.t = s->t_end, .amp = amp, .m = m};
    s->t_end += duration;
}

static inline int64_t synth_host(const struct synth *s, double t) {
    return SYNTH_HOST0 + (int64_t)llround(t * (1 + s->host_rate) * 1e9);
}

#define SYNTH_STAGES 5
struct synth_inference { /* one inference: currents and durations of input, inference, output, post; a pause uncoded */
    double amp[SYNTH_STAGES], s[SYNTH_STAGES];
};

/* An idle stretch known to the host. */
static inline void synth_idle(struct synth *s, double duration, double amp) {
    struct measure_stretch *st = &s->cap_.stretches[s->cap_.n_stretches++];
    *st = (struct measure_stretch){.from_ns = synth_host(s, s->t_end), .to_ns = synth_host(s, s->t_end + duration), .segment = -1};
    synth_hold(s, duration, amp, (uint8_t)(1 | (s->n > 0 ? s->lv[s->n - 1].m & 2 : 2)));
}

/* One infer command in scheme phases (line 0 idle high): 12 ms of talk, the window, 12 ms of talk. */
static inline void synth_window(struct synth *s, uint32_t n, const struct synth_inference *inf, double talk_amp) {
    static const uint8_t code[SYNTH_STAGES] = {3, 2, 6, 4, 0};
    struct measure_request *q = &s->cap_.requests[s->cap_.n_requests++];
    uint8_t line1 = s->n > 0 ? s->lv[s->n - 1].m & 2 : 2;
    q->inferences = n;
    q->sent_ns = synth_host(s, s->t_end);
    synth_hold(s, 0.012, talk_amp, (uint8_t)(1 | line1));
    q->start_ns = synth_host(s, s->t_end);
    double charge = 0;
    s->win[s->n_win].t0 = s->t_end;
    for (uint32_t i = 0; i < n; i++) {
        line1 ^= 2;
        for (int k = 0; k < SYNTH_STAGES; k++)
            if (inf->s[k] > 0) {
                synth_hold(s, inf->s[k], inf->amp[k], (uint8_t)(line1 | code[k] << 2));
                charge += inf->s[k] * inf->amp[k];
            }
    }
    /* the closing toggle of line 1 comes a little before the window line rises */
    line1 ^= 2;
    double tail = 8 * s->dt;
    synth_hold(s, tail, inf->amp[0], line1);
    charge += tail * inf->amp[0];
    s->win[s->n_win].t1 = s->t_end;
    s->win[s->n_win].charge = charge;
    q->device_hz = 1e6;
    q->device_ticks = (uint64_t)llround((s->t_end - s->win[s->n_win].t0) * 1e6);
    q->device_inferences = n;
    q->done_ns = synth_host(s, s->t_end);
    s->n_win++;
    synth_hold(s, 0.012, talk_amp, (uint8_t)(1 | line1));
    q->ready_ns = synth_host(s, s->t_end);
}

/* One infer command in scheme mlperf: the falling edges of two pulses of `hold` seconds bound n inferences of amp. */
static inline void synth_window_mlperf(struct synth *s, uint32_t n, double inference_s, double amp, double talk_amp, double hold) {
    struct measure_request *q = &s->cap_.requests[s->cap_.n_requests++];
    q->inferences = n;
    q->sent_ns = synth_host(s, s->t_end);
    synth_hold(s, 0.012, talk_amp, 1);
    q->start_ns = synth_host(s, s->t_end);
    s->win[s->n_win].t0 = s->t_end;
    synth_hold(s, hold, amp, 0);
    synth_hold(s, n * inference_s, amp, 1);
    s->win[s->n_win].t1 = s->t_end;
    s->win[s->n_win].charge = (hold + n * inference_s) * amp;
    s->n_win++;
    synth_hold(s, hold, amp, 0);
    q->done_ns = synth_host(s, s->t_end);
    synth_hold(s, 0.012, talk_amp, 1);
    q->ready_ns = synth_host(s, s->t_end);
}

/* ---- sampling ----------------------------------------------------------------------------------------------- */
struct synth_cursor {
    size_t i;
};

/* From now on the analyzer sees the load's current through a lag; all levels must be there. In closed form, level by level. */
static inline void synth_smear(struct synth *s, double tau_s) {
    s->tau_s = tau_s;
    for (size_t i = 0; i < s->n; i++)
        s->lv[i].lag = i == 0 ? s->lv[0].amp
                              : s->lv[i - 1].amp + (s->lv[i - 1].lag - s->lv[i - 1].amp) * exp(-(s->lv[i].t - s->lv[i - 1].t) / tau_s);
}

/* Charge that passes the analyzer over [a, b) inside level l. */
static inline double synth_charge(const struct synth *s, const struct synth_level *l, double a, double b) {
    double q = (b - a) * l->amp;
    if (s->tau_s > 0)
        q += (l->lag - l->amp) * s->tau_s * (exp(-(a - l->t) / s->tau_s) - exp(-(b - l->t) / s->tau_s));
    return q;
}

/* Mean current over [a, b), marker byte at time m. */
static inline double synth_mean(const struct synth *s, struct synth_cursor *c, double a, double b) {
    while (c->i + 1 < s->n && s->lv[c->i + 1].t <= a)
        c->i++;
    double q = 0, t = a;
    for (size_t i = c->i; i < s->n && t < b; i++) {
        double end = i + 1 < s->n ? s->lv[i + 1].t : INFINITY;
        double to = end < b ? end : b;
        q += synth_charge(s, &s->lv[i], t, to);
        t = to;
    }
    return q / (b - a);
}

static inline uint8_t synth_marker(const struct synth *s, struct synth_cursor *c, double t) {
    while (c->i + 1 < s->n && s->lv[c->i + 1].t <= t)
        c->i++;
    return s->lv[c->i].m;
}

struct synth_buffers {
    float i[SYNTH_BLOCK], v[SYNTH_BLOCK];
    uint8_t m[SYNTH_BLOCK], r[SYNTH_BLOCK], q[SYNTH_BLOCK];
};

/* Fills one block of samples n .. n+count (device index), whose true time index is n + shift. */
static inline void synth_fill(const struct synth *s, struct synth_buffers *b, struct synth_cursor *ci, struct synth_cursor *cm, int64_t n, int count,
                              int64_t shift) {
    for (int k = 0; k < count; k++) {
        int64_t at = n + k;
        double t = (double)(at + shift) * s->dt;
        double x = synth_mean(s, ci, t, t + s->dt) * (1 + s->gain) + s->offset_a;
        int rg = s->auto_range && x >= s->range_amp;
        double step = s->auto_range ? s->range_step[rg] : s->step_a;
        if (s->auto_range)
            x = (x - s->range_offset[rg]) / (1 + s->range_gain[rg]);
        if (s->noise_a > 0) { /* noise depends on the sample alone, so that every pass sees the same */
            struct measure_rng g;
            measure_rng_init(&g, s->seed * 0x9e3779b97f4a7c15ull + (uint64_t)(s->noise_hold > 1 ? at / s->noise_hold : at));
            x += s->noise_a * measure_rng_normal(&g);
        }
        if (step > 0)
            x = step * nearbyint(x / step);
        b->i[k] = (float)x;
        b->m[k] = synth_marker(s, cm, t + s->phi * s->dt);
        b->v[k] = (float)(at >= s->dip_from && at < s->dip_to ? s->dip_v : s->volt_reported > 0 ? s->volt_reported : s->volt);
        b->r[k] = (uint8_t)(at >= s->range_from && at < s->range_to);
        if (s->auto_range)
            b->r[k] = (uint8_t)rg;
        if (s->range_period > 0)
            b->r[k] = (uint8_t)(at / s->range_period & 1);
        b->q[k] = (uint8_t)((at == s->clip_at ? MEASURE_CLIPPED : 0) | (at == s->over_at ? MEASURE_OVERRANGE : 0));
    }
}

static inline int synth_emit(const struct synth *s, int64_t n0, int64_t n1, uint32_t flags, measure_block_fn *fn, void *user, int64_t from, int64_t to) {
    struct synth_buffers *b = malloc(sizeof *b);
    struct synth_cursor ci = {0}, cm = {0};
    struct measure_rng jitter;
    measure_rng_init(&jitter, s->seed + 77);
    int rc = b ? 0 : JF_E_NOMEM;
    for (int64_t n = n0; n < n1 && rc >= 0;) {
        int64_t end = n + SYNTH_BLOCK < n1 ? n + SYNTH_BLOCK : n1;
        bool gap = false;
        if (s->gap_to > s->gap_from) {
            if (n >= s->gap_from && n < s->gap_to) {
                gap = true;
                end = end < s->gap_to ? end : s->gap_to;
            } else if (n < s->gap_from && end > s->gap_from) {
                end = s->gap_from;
            }
        }
        if (s->loss_n > 0 && n < s->loss_at && end > s->loss_at)
            end = s->loss_at;
        int64_t shift = s->loss_n > 0 && n >= s->loss_at ? s->loss_n : 0;
        struct measure_block blk = {.first = n, .count = (uint32_t)(end - n)};
        double delay = s->host_jitter_s > 0 ? -s->host_jitter_s * log(1 - measure_rng_uniform(&jitter)) : 0;
        if (n >= s->late_from && n < s->late_to)
            delay += s->late_s;
        if (!s->no_stamps && s->n_acq == 0)
            blk.host_raw_ns = synth_host(s, (double)(end + shift) * s->dt) + (int64_t)(delay * 1e9);
        blk.flags = (n == n0 ? flags & MEASURE_SEGMENT_START : 0) | (end == n1 ? flags & MEASURE_SEGMENT_END : 0);
        if (gap) {
            blk.flags |= MEASURE_GAP;
            blk.host_raw_ns = 0;
        } else if (n < to && end > from) {
            synth_fill(s, b, &ci, &cm, n, (int)(end - n), shift);
            blk.current_a = b->i;
            blk.markers = b->m;
            blk.voltage_v = s->with_voltage ? b->v : NULL;
            blk.range = s->with_range ? b->r : NULL;
            blk.quality = b->q;
        }
        if (n < to && end > from)
            rc = fn(user, &blk);
        n = end;
    }
    free(b);
    return rc;
}

static inline int synth_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    const struct synth *s = self;
    (void)want;
    (void)reterr;
    int rc = 0;
    if (s->n_acq == 0)
        return synth_emit(s, 0, (int64_t)floor(s->t_end / s->dt), MEASURE_SEGMENT_START, fn, user, from, to);
    for (int i = 0; i < s->n_acq && rc >= 0; i++)
        rc = synth_emit(s, (int64_t)ceil(s->acq[i].from / s->dt), (int64_t)floor(s->acq[i].to / s->dt), MEASURE_SEGMENT_START | MEASURE_SEGMENT_END, fn,
                        user, from, to);
    return rc;
}

static inline struct measure_source synth_source(struct synth *s) {
    return (struct measure_source){.each = synth_each, .self = s};
}

/* The usual run: idle, then windows with an idle stretch behind each. lead: seconds before and after everything. */
static inline void synth_usual(struct synth *s, int windows, uint32_t n, const struct synth_inference *inf, double idle_amp, double lead) {
    synth_hold(s, lead, idle_amp, 3);
    synth_idle(s, 1.2, idle_amp);
    for (int k = 0; k < windows; k++) {
        synth_window(s, n, inf, idle_amp * 2);
        synth_idle(s, 1.2, idle_amp);
    }
    synth_hold(s, lead, idle_amp, 3);
}

static inline double synth_truth(const struct synth *s, int k) { /* energy of window k, J */
    return s->win[k].charge * s->volt;
}

#endif
