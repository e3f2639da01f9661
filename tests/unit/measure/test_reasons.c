/* SPDX-License-Identifier: GPL-2.0-or-later
 * Each reason code by a capture that deserves it, and by nothing else: the same capture without the fault is valid and silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/measure/synth.h"

#define W 5 /* windows of a run */
#define N 20 /* inferences of a window */

static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};

struct bed {
    struct synth s;
    struct measure_config cfg;
    struct measure_result r;
};

static struct bed *bed_new(void) {
    struct bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    synth_init(&b->s, 2e-5, 3.0);
    b->s.noise_a = 1e-5;
    b->s.host_jitter_s = 1e-5;
    b->s.cap_.instrument.n_markers = 5;
    measure_config_init(&b->cfg);
    b->cfg.draws = 1000;
    return b;
}

static struct bed *bed_usual(void) {
    struct bed *b = bed_new();
    synth_usual(&b->s, W, N, &usual, 0.002, 4);
    return b;
}

static void go(struct bed *b) {
    struct measure_source src = synth_source(&b->s);
    struct err e = {0};
    if (measure_run(&src, &b->s.cap_, &b->cfg, &b->r, &e) < 0)
        fail_msg("measure_run: %s (%s)", e.text, e.where);
}

static void tell(const struct bed *b) {
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (b->r.reasons[c].raised)
            print_message("raised %s: %s\n", measure_code_word((enum measure_code)c), b->r.reasons[c].text);
}

/* Exactly `code` among those that are not notes, with this verdict; frees the bed. windows: expected mask, 0 for the run. */
static void expect(struct bed *b, enum measure_code code, uint64_t windows, enum measure_verdict verdict) {
    go(b);
    bool good = b->r.reasons[code].raised && b->r.reasons[code].windows == windows && b->r.verdict == verdict && b->r.reasons[code].text[0];
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (b->r.reasons[c].raised && c != (int)code && measure_code_grade((enum measure_code)c) != MEASURE_GRADE_NOTE)
            good = false;
    if (!good) {
        tell(b);
        fail_msg("wanted %s for windows %#llx and %s; got windows %#llx and %s", measure_code_word(code), (unsigned long long)windows,
                 measure_verdict_name(verdict), (unsigned long long)b->r.reasons[code].windows, measure_verdict_name(b->r.verdict));
    }
    synth_done(&b->s);
    free(b);
}

/* Sets or clears marker bits of every level inside [t0, t1), splitting levels at the ends. */
static void force_markers(struct synth *s, double t0, double t1, uint8_t clear, uint8_t set) {
    for (int end = 0; end < 2; end++) {
        double t = end ? t1 : t0;
        for (size_t i = 0; i < s->n; i++) {
            double next = i + 1 < s->n ? s->lv[i + 1].t : s->t_end;
            if (s->lv[i].t < t && t < next) {
                struct synth_level copy = s->lv[i];
                copy.t = t;
                if (s->n == s->cap) {
                    s->cap *= 2;
                    s->lv = realloc(s->lv, s->cap * sizeof *s->lv);
                    assert_non_null(s->lv);
                }
                memmove(s->lv + i + 2, s->lv + i + 1, (s->n - i - 1) * sizeof *s->lv);
                s->lv[i + 1] = copy;
                s->n++;
                break;
            }
        }
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->lv[i].t >= t0 - 1e-12 && s->lv[i].t < t1 - 1e-12)
            s->lv[i].m = (uint8_t)((s->lv[i].m & ~clear) | set);
}

static int64_t sample_at(const struct synth *s, double t) {
    return (int64_t)(t / s->dt);
}

/* ---- nothing wrong ------------------------------------------------------------------------------------------- */
static void nothing_wrong(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    go(b);
    tell(b);
    for (int c = 0; c < MEASURE_N_CODES; c++)
        assert_false(b->r.reasons[c].raised);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_int_equal(b->r.net_verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

/* ---- samples ------------------------------------------------------------------------------------------------- */
static void sample_gap(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.gap_from = sample_at(&b->s, b->s.win[2].t0 + 0.05);
    b->s.gap_to = b->s.gap_from + 100;
    expect(b, MEASURE_R_SAMPLE_GAP, 1u << 2, MEASURE_INVALID);
}

static void gap_elsewhere_is_harmless(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.gap_from = sample_at(&b->s, 1.0);
    b->s.gap_to = b->s.gap_from + 128;
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_int_equal(b->r.loss.gap_samples, 128);
    synth_done(&b->s);
    free(b);
}

static void spare_window_saves_the_run(void **state) {
    (void)state;
    struct bed *b = bed_new();
    synth_usual(&b->s, 6, N, &usual, 0.002, 4);
    b->s.gap_from = sample_at(&b->s, b->s.win[2].t0 + 0.05);
    b->s.gap_to = b->s.gap_from + 100;
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_int_equal(b->r.n_usable, 5);
    assert_false(b->r.windows[2].usable);
    synth_done(&b->s);
    free(b);
}

static void sample_loss_by_clock(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.loss_at = sample_at(&b->s, b->s.win[2].t0 - 0.1);
    b->s.loss_n = 128; /* a multiple of 64: no counter shows it */
    go(b);
    assert_true(b->r.reasons[MEASURE_R_SAMPLE_LOSS_BY_CLOCK].raised);
    assert_true(b->r.reasons[MEASURE_R_SAMPLE_LOSS_BY_CLOCK].windows & (1u << 2));
    assert_int_equal(b->r.verdict, MEASURE_INVALID);
    assert_int_equal(b->r.loss.steps, 1);
    assert_true(fabs(b->r.loss.lost_s - 128 * 2e-5) < 1e-4);
    synth_done(&b->s);
    free(b);
}

static void latency_is_not_loss(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.late_from = sample_at(&b->s, 5.0);
    b->s.late_to = sample_at(&b->s, 6.5); /* one and a half second late, then caught up */
    b->s.late_s = 0.02;
    go(b);
    assert_int_equal(b->r.loss.steps, 0);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

static void loss_check_weak_without_host_times(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.no_stamps = true;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_LOSS_CHECK_WEAK].raised);
    assert_int_equal(b->r.n_usable, W); /* windows were found by their order */
    assert_int_equal(b->r.verdict, MEASURE_SUSPECT);
    synth_done(&b->s);
    free(b);
}

static void loss_check_weak_scatter(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.host_jitter_s = 0.05;
    expect(b, MEASURE_R_LOSS_CHECK_WEAK, 0, MEASURE_SUSPECT);
}

static void loss_check_weak_short_capture(void **state) {
    (void)state;
    struct bed *b = bed_new();
    synth_usual(&b->s, W, N, &usual, 0.002, 0.2);
    expect(b, MEASURE_R_LOSS_CHECK_WEAK, 0, MEASURE_SUSPECT);
}

static void overrange(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.over_at = sample_at(&b->s, b->s.win[1].t0 + 0.03);
    expect(b, MEASURE_R_OVERRANGE, 1u << 1, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.instrument.ranges[1].to_a = 0.025; /* below the inference's 30 mA */
    expect(b, MEASURE_R_OVERRANGE, 31, MEASURE_INVALID);
}

static void clipped(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.clip_at = sample_at(&b->s, b->s.win[0].t0 + 0.03);
    expect(b, MEASURE_R_CLIPPED, 1, MEASURE_INVALID);
}

static void range_switching(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.with_range = true;
    b->s.range_period = 400; /* 6 of 400 samples: 1.5 % */
    expect(b, MEASURE_R_RANGE_SWITCHING, 31, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.with_range = true;
    b->s.range_period = 800; /* 0.75 % */
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_true(fabs(b->r.windows[0].near_range_change - 6.0 / 800) < 1e-3);
    synth_done(&b->s);
    free(b);
}

/* ---- markers ------------------------------------------------------------------------------------------------- */
static void marker_missing(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    force_markers(&b->s, 0, b->s.t_end, 0, 1); /* wire open: always high */
    expect(b, MEASURE_R_MARKER_MISSING, 31, MEASURE_INVALID);
    b = bed_usual();
    force_markers(&b->s, b->s.win[3].t0 - 0.001, b->s.win[3].t1 + 0.001, 0, 1);
    expect(b, MEASURE_R_MARKER_MISSING, 1u << 3, MEASURE_INVALID);
    b = bed_usual();
    force_markers(&b->s, 0, b->s.t_end, 2, 0); /* inference line dead */
    expect(b, MEASURE_R_MARKER_MISSING, 31, MEASURE_INVALID);
}

static void marker_surplus(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    force_markers(&b->s, b->s.win[1].t0 + 0.08, b->s.win[1].t0 + 0.081, 0, 1);
    expect(b, MEASURE_R_MARKER_SURPLUS, 1u << 1, MEASURE_INVALID);
}

static void marker_glitch(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    double t = floor((b->s.win[1].t0 + 0.08) / b->s.dt) * b->s.dt;
    force_markers(&b->s, t, t + b->s.dt, 0, 1); /* one sample */
    expect(b, MEASURE_R_MARKER_GLITCH, 1u << 1, MEASURE_INVALID);
}

static void marker_swapped(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    for (size_t i = 0; i < b->s.n; i++) {
        uint8_t m = b->s.lv[i].m;
        b->s.lv[i].m = (uint8_t)((m & ~3) | (m & 1) << 1 | (m & 2) >> 1);
    }
    expect(b, MEASURE_R_MARKER_SWAPPED, 31, MEASURE_INVALID);
}

static void marker_parity(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.requests[2].inferences = N - 1; /* one toggle more than asked for */
    b->s.cap_.requests[2].device_inferences = N - 1;
    go(b);
    assert_int_equal(b->r.reasons[MEASURE_R_MARKER_PARITY].windows, 1u << 2);
    assert_int_equal(b->r.verdict, MEASURE_INVALID);
    synth_done(&b->s);
    free(b);
}

static void inference_count(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.requests[2].inferences = N + 2;
    b->s.cap_.requests[2].device_inferences = N + 2;
    expect(b, MEASURE_R_INFERENCE_COUNT, 1u << 2, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.requests[4].device_inferences = N - 1; /* the board counted otherwise */
    expect(b, MEASURE_R_INFERENCE_COUNT, 1u << 4, MEASURE_INVALID);
}

static void stage_code(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    double t = b->s.win[1].t0 + 0.0005 + 0.002; /* inside the first inference stage */
    force_markers(&b->s, t, t + 0.0002, 7 << 2, 5 << 2);
    expect(b, MEASURE_R_STAGE_CODE, 1u << 1, MEASURE_INVALID);
    b = bed_usual();
    t = floor((b->s.win[1].t0 + 0.0025) / b->s.dt) * b->s.dt;
    force_markers(&b->s, t, t + b->s.dt, 7 << 2, 5 << 2); /* one sample: a transition */
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

static void window_cut(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.n_stretches = 5;
    b->s.t_end = b->s.win[4].t1 - 0.01; /* the recording ends */
    go(b);
    assert_int_equal(b->r.reasons[MEASURE_R_WINDOW_CUT].windows, 1u << 4);
    assert_int_equal(b->r.verdict, MEASURE_INVALID);
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    b->s.cap_.instrument.block = true;
    for (int k = 0; k < W; k++) {
        b->s.acq[k] = (struct synth_acquisition){b->s.win[k].t0 - 0.2, b->s.win[k].t1 + (k == 3 ? -0.02 : 0.2)};
        b->s.cap_.requests[k].segment = k;
    }
    b->s.n_acq = W;
    b->s.cap_.n_stretches = 0;
    expect(b, MEASURE_R_WINDOW_CUT, 1u << 3, MEASURE_INVALID);
}

static void short_window(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.method = MEASURE_METHOD_MLPERF_TINY;
    expect(b, MEASURE_R_SHORT_WINDOW, 31, MEASURE_INVALID);
    b = bed_usual();
    b->cfg.min_inferences = N + 1;
    expect(b, MEASURE_R_SHORT_WINDOW, 31, MEASURE_INVALID);
}

/* ---- clocks --------------------------------------------------------------------------------------------------- */
static void clock_mismatch(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    for (int k = 0; k < W; k++)
        b->s.cap_.requests[k].device_hz /= 4; /* the published factor of four */
    expect(b, MEASURE_R_CLOCK_MISMATCH, 0, MEASURE_INVALID);
    b = bed_usual();
    for (int k = 0; k < W; k++)
        b->s.cap_.requests[k].device_hz *= 1 + 5e-4;
    expect(b, MEASURE_R_CLOCK_MISMATCH, 0, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.clock_tol_rel = 0.03; /* the same on an RC clock is fine */
    for (int k = 0; k < W; k++)
        b->s.cap_.requests[k].device_hz *= 1 + 5e-4;
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_true(fabs(b->r.clock.device_over_trace * (1 + 5e-4) - 1) < 5e-5);
    synth_done(&b->s);
    free(b);
}

static void clock_by_host_and_unchecked(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    for (int k = 0; k < W; k++)
        b->s.cap_.requests[k].device_hz = 0;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_CLOCK_BY_HOST].raised);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_string_equal(b->r.clock.by, "host");
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    for (int k = 0; k < W; k++) {
        b->s.cap_.requests[k].device_hz = 0;
        b->s.cap_.requests[k].done_ns += 4 * (b->s.cap_.requests[k].done_ns - b->s.cap_.requests[k].start_ns);
    }
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_INVALID);
    assert_true(b->r.reasons[MEASURE_R_CLOCK_MISMATCH].raised);
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    for (int k = 0; k < W; k++)
        b->s.cap_.requests[k].device_hz = 0, b->s.cap_.requests[k].start_ns = b->s.cap_.requests[k].done_ns = 0;
    expect(b, MEASURE_R_CLOCK_UNCHECKED, 0, MEASURE_SUSPECT);
}

/* ---- the board ------------------------------------------------------------------------------------------------ */
static void board_reports(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.device.model = MEASURE_BAD;
    expect(b, MEASURE_R_WRONG_MODEL, 0, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.device.firmware = MEASURE_BAD;
    expect(b, MEASURE_R_WRONG_FIRMWARE, 0, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.device.back_powered = true;
    expect(b, MEASURE_R_BACK_POWERED, 0, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.device.golden = MEASURE_BAD;
    expect(b, MEASURE_R_WRONG_OUTPUT, 0, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.requests[3].output = MEASURE_BAD;
    expect(b, MEASURE_R_WRONG_OUTPUT, 1u << 3, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.device.golden = MEASURE_UNCHECKED;
    expect(b, MEASURE_R_NO_GOLDEN_OUTPUT, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.requests[0].reset_seen = true;
    expect(b, MEASURE_R_DEVICE_RESET, 1, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.device.brownout_reset = true;
    expect(b, MEASURE_R_BROWNOUT, 0, MEASURE_INVALID);
}

static void debug_residue_judges_net_only(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.device.debug_reported = true;
    b->s.cap_.device.dbgmcu_cr = 7;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_DEBUG_RESIDUE].raised);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    assert_int_equal(b->r.net_verdict, MEASURE_SUSPECT);
    synth_done(&b->s);
    free(b);
}

/* ---- supply ---------------------------------------------------------------------------------------------------- */
static void supply(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.with_voltage = true;
    b->s.cap_.supply.provenance = MEASURE_VOLTAGE_MEASURED;
    b->s.cap_.supply.v_min = 2.7;
    b->s.dip_from = sample_at(&b->s, b->s.win[1].t0 + 0.05);
    b->s.dip_to = b->s.dip_from + 2;
    b->s.dip_v = 2.5;
    expect(b, MEASURE_R_BROWNOUT, 1u << 1, MEASURE_INVALID);
    b = bed_usual(); /* a single sample is no evidence */
    b->s.with_voltage = true;
    b->s.cap_.supply.provenance = MEASURE_VOLTAGE_MEASURED;
    b->s.cap_.supply.v_min = 2.7;
    b->s.dip_from = sample_at(&b->s, b->s.win[1].t0 + 0.05);
    b->s.dip_to = b->s.dip_from + 1;
    b->s.dip_v = 2.5;
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    b->s.cap_.supply.v_max = 2.9;
    expect(b, MEASURE_R_SUPPLY_OUT_OF_RANGE, 31, MEASURE_INVALID);
    b = bed_usual();
    b->s.cap_.supply.provenance = MEASURE_VOLTAGE_STATED;
    b->s.cap_.supply.tolerance_v = 0.01;
    expect(b, MEASURE_R_VOLTAGE_STATED, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.device.reset_cause_reported = false;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_BROWNOUT_UNOBSERVABLE].raised);
    synth_done(&b->s);
    free(b);
}

/* ---- uncertainty and environment ------------------------------------------------------------------------------- */
static void uncertainty_unknown(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.instrument.ranges[0].kind = MEASURE_SPEC_UNKNOWN;
    go(b);
    assert_false(b->r.energy.u_known);
    assert_true(isnan(b->r.energy.u95));
    expect(b, MEASURE_R_UNCERTAINTY_UNKNOWN, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.instrument.n_ranges = 0;
    expect(b, MEASURE_R_UNCERTAINTY_UNKNOWN, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.supply.provenance = MEASURE_VOLTAGE_STATED; /* and no tolerance: never zero */
    go(b);
    assert_true(b->r.reasons[MEASURE_R_UNCERTAINTY_UNKNOWN].raised && isnan(b->r.energy.u95));
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    b->s.cap_.instrument.clock_ppm = -1;
    expect(b, MEASURE_R_UNCERTAINTY_UNKNOWN, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.supply.capacitance = MEASURE_C_UNKNOWN;
    expect(b, MEASURE_R_UNCERTAINTY_UNKNOWN, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.instrument.voltage_kind = MEASURE_SPEC_UNKNOWN;
    expect(b, MEASURE_R_UNCERTAINTY_UNKNOWN, 0, MEASURE_SUSPECT);
}

static void environment(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.temperature_c = 31;
    expect(b, MEASURE_R_TEMPERATURE_SHIFT, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.instrument.calibration_expired = true;
    expect(b, MEASURE_R_CALIBRATION_EXPIRED, 0, MEASURE_SUSPECT);
    b = bed_usual();
    b->s.cap_.temperature_c = NAN;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_TEMPERATURE_UNKNOWN].raised);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
    b = bed_usual();
    b->s.cap_.instrument.ranges[0].kind = MEASURE_SPEC_TYPICAL;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_SPEC_TYPICAL].raised);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

static void edge_uncertainty(void **state) {
    (void)state;
    struct bed *b = bed_new();
    synth_usual(&b->s, W, 1, &(struct synth_inference){.amp = {0.02}, .s = {0.0010}}, 0.002, 4); /* 1 ms on a grid of 20 us: 2 % */
    go(b);
    assert_int_equal(b->r.reasons[MEASURE_R_EDGE_UNCERTAINTY].windows, 31);
    assert_int_equal(b->r.verdict, MEASURE_SUSPECT);
    synth_done(&b->s);
    free(b);
}

/* ---- idle ------------------------------------------------------------------------------------------------------- */
static void no_idle(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    b->s.cap_.n_stretches = 0;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_NO_IDLE].raised);
    assert_false(b->r.net.has);
    assert_true(b->r.energy.has);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

static void short_stretches_do_not_count(void **state) {
    (void)state;
    struct bed *b = bed_usual();
    for (int i = 0; i < b->s.cap_.n_stretches; i++)
        b->s.cap_.stretches[i].to_ns = b->s.cap_.stretches[i].from_ns + 900000000;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_NO_IDLE].raised);
    synth_done(&b->s);
    free(b);
}

static void net_insignificant(void **state) {
    (void)state;
    struct bed *b = bed_new();
    struct synth_inference faint = {.amp = {0.00201, 0.00201, 0.00201, 0.00201, 0.00201}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};
    synth_usual(&b->s, W, N, &faint, 0.002, 4);
    b->s.cap_.instrument.ranges[0].offset_a = 0;
    b->s.cap_.instrument.ranges[0].gain_rel = 0;
    b->s.noise_a = 1e-3;
    go(b);
    assert_true(b->r.reasons[MEASURE_R_NET_INSIGNIFICANT].raised);
    synth_done(&b->s);
    free(b);
}

/* Idle current that differs from stretch to stretch. */
static void idle_drift(void **state) {
    (void)state;
    struct bed *b = bed_new();
    synth_hold(&b->s, 4, 0.002, 3);
    for (int k = 0; k < W; k++) {
        synth_idle(&b->s, 1.2, 0.002 + 0.00002 * k);
        synth_window(&b->s, N, &usual, 0.004);
    }
    synth_idle(&b->s, 1.2, 0.0021);
    synth_hold(&b->s, 4, 0.002, 3);
    expect(b, MEASURE_R_IDLE_DRIFT, 0, MEASURE_SUSPECT);
}

static struct bed *varying(const double *factor) {
    struct bed *b = bed_new();
    synth_hold(&b->s, 4, 0.002, 3);
    synth_idle(&b->s, 1.2, 0.002);
    for (int k = 0; k < W; k++) {
        struct synth_inference inf = usual;
        for (int i = 0; i < SYNTH_STAGES; i++)
            inf.amp[i] *= factor[k];
        synth_window(&b->s, N, &inf, 0.004);
        synth_idle(&b->s, 1.2, 0.002);
    }
    synth_hold(&b->s, 4, 0.002, 3);
    return b;
}

static void high_spread(void **state) {
    (void)state;
    expect(varying((const double[]){1, 1.006, 1, 0.9995, 1}), MEASURE_R_HIGH_SPREAD, 0, MEASURE_SUSPECT);
    struct bed *b = varying((const double[]){1, 1.004, 1, 0.9995, 1});
    go(b);
    assert_int_equal(b->r.verdict, MEASURE_VALID);
    synth_done(&b->s);
    free(b);
}

static void outliers_are_marked_and_kept(void **state) {
    (void)state;
    struct bed *b = varying((const double[]){1, 1.004, 1.0001, 0.9999, 1.0002});
    go(b);
    for (int k = 0; k < W; k++)
        assert_int_equal(b->r.windows[k].outlier, k == 1);
    assert_int_equal(b->r.n_usable, W);
    assert_true(b->r.energy.mean > b->r.energy.median * 1.0005); /* it is in the mean */
    synth_done(&b->s);
    free(b);
    b = varying((const double[]){1, 1.0004, 1.0001, 0.9997, 1.0002});
    go(b);
    for (int k = 0; k < W; k++)
        assert_false(b->r.windows[k].outlier);
    synth_done(&b->s);
    free(b);
}

static void not_steady(void **state) {
    (void)state;
    expect(varying((const double[]){1, 1.001, 1.002, 1.003, 1.004}), MEASURE_R_NOT_STEADY, 0, MEASURE_SUSPECT);
}

static void contradictions_are_errors(void **state) {
    (void)state;
    static const struct {
        const char *where;
        int what;
    } cases[] = {{"instrument.period_s", 0}, {"requests", 1}, {"supply.voltage_v", 2}, {"requests[1]", 3}, {"instrument.n_markers", 4}, {"requests[2]", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bed *b = bed_usual();
        struct measure_capture *c = &b->s.cap_;
        struct measure_source src = synth_source(&b->s);
        struct err e = {0};
        switch (cases[i].what) {
        case 0:
            c->instrument.period_s = 0;
            break;
        case 1:
            c->n_requests = 0;
            break;
        case 2:
            c->supply.voltage_v = -1;
            break;
        case 3:
            c->requests[1].ready_ns = c->requests[1].sent_ns - 1;
            break;
        case 4:
            c->instrument.n_markers = 1;
            break;
        default:
            c->requests[2].inferences = 0;
        }
        assert_int_equal(measure_run(&src, c, &b->cfg, &b->r, &e), JF_E_INVAL);
        assert_string_equal(e.where, cases[i].where);
        synth_done(&b->s);
        free(b);
    }
}

#define T(f) cmocka_unit_test(f)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(nothing_wrong), T(sample_gap), T(gap_elsewhere_is_harmless), T(spare_window_saves_the_run), T(sample_loss_by_clock), T(latency_is_not_loss),
        T(loss_check_weak_without_host_times), T(loss_check_weak_scatter), T(loss_check_weak_short_capture), T(overrange), T(clipped), T(range_switching),
        T(marker_missing), T(marker_surplus), T(marker_glitch), T(marker_swapped), T(marker_parity), T(inference_count), T(stage_code), T(window_cut),
        T(short_window), T(clock_mismatch), T(clock_by_host_and_unchecked), T(board_reports), T(debug_residue_judges_net_only), T(supply),
        T(uncertainty_unknown), T(environment), T(edge_uncertainty), T(no_idle), T(short_stretches_do_not_count), T(net_insignificant), T(idle_drift),
        T(high_spread), T(outliers_are_marked_and_kept), T(not_steady), T(contradictions_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
