/* SPDX-License-Identifier: GPL-2.0-or-later
 * Marker faults of scheme mlperf, the debounce threshold, which windows a loss costs, and the method's five inputs. The faults of scheme phases are in
 * test_reasons.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/measure/judge.h"

/* Exactly this code, for these windows, among all that are not notes. Frees. */
static void only(struct synth *s, struct measure_result *r, enum measure_code code, uint64_t windows, enum measure_verdict verdict) {
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (r->reasons[c].raised != (c == (int)code) && measure_code_grade((enum measure_code)c) != MEASURE_GRADE_NOTE)
            fail_msg("%s: %s %s", measure_code_word(code), measure_code_word((enum measure_code)c), r->reasons[c].raised ? r->reasons[c].text : "missing");
    assert_int_equal(r->reasons[code].windows, windows);
    assert_int_equal(r->verdict, verdict);
    assert_true(r->reasons[code].text[0]);
    free(r);
    synth_done(s);
}

static void pulse(struct synth *s, double at, double width) { /* the line goes low for a while inside a level that is high */
    for (size_t i = 0; i < s->n; i++) {
        double end = i + 1 < s->n ? s->lv[i + 1].t : s->t_end;
        if (s->lv[i].t <= at && at + width < end) {
            s->lv = realloc(s->lv, (s->n + 2) * sizeof *s->lv);
            assert_non_null(s->lv);
            memmove(s->lv + i + 3, s->lv + i + 1, (s->n - i - 1) * sizeof *s->lv);
            s->lv[i + 1] = (struct synth_level){.t = at, .amp = s->lv[i].amp, .m = (uint8_t)(s->lv[i].m & ~1)};
            s->lv[i + 2] = (struct synth_level){.t = at + width, .amp = s->lv[i].amp, .m = s->lv[i].m};
            s->n += 2;
            s->cap = s->n;
            return;
        }
    }
    fail_msg("no level holds %g s", at);
}

static void mlperf(struct synth *s, bool block) {
    synth_init(s, 2e-5, 3.0);
    s->cap_.scheme = MEASURE_SCHEME_MLPERF;
    s->cap_.instrument.n_markers = 1;
    s->cap_.instrument.block = block;
    s->noise_a = 1e-5;
    synth_hold(s, 4, 0.002, 1);
    for (int k = 0; k < 5; k++) {
        double from = s->t_end;
        struct measure_stretch *st = &s->cap_.stretches[s->cap_.n_stretches++];
        *st = (struct measure_stretch){.from_ns = synth_host(s, s->t_end), .to_ns = synth_host(s, s->t_end + 1.2), .segment = block ? k : -1};
        synth_hold(s, 1.2, 0.002, 1);
        s->cap_.requests[k].segment = block ? k : -1;
        synth_window_mlperf(s, 40, 0.008, 0.025, 0.004, 0.001);
        synth_hold(s, 0.1, 0.002, 1);
        if (block)
            s->acq[s->n_acq++] = (struct synth_acquisition){from, s->t_end};
        synth_hold(s, 0.1, 0.002, 1);
    }
    synth_hold(s, 4.5, 0.002, 1);
}

static void mlperf_glitch(void **state) {
    (void)state;
    struct synth s;
    mlperf(&s, false);
    pulse(&s, floor((s.win[2].t0 + 0.1) / s.dt) * s.dt, s.dt); /* one sample */
    only(&s, judge(&s, NULL), MEASURE_R_MARKER_GLITCH, 1u << 2, MEASURE_INVALID);
}

static void mlperf_surplus_and_missing(void **state) {
    (void)state;
    struct synth s;
    mlperf(&s, false);
    pulse(&s, s.win[1].t0 + 0.1, 0.001);
    only(&s, judge(&s, NULL), MEASURE_R_MARKER_SURPLUS, 1u << 1, MEASURE_INVALID);
    mlperf(&s, false);
    for (size_t i = 0; i < s.n; i++)
        if (fabs(s.lv[i].t - s.win[4].t1) < 1e-9)
            s.lv[i].m = 1;
    only(&s, judge(&s, NULL), MEASURE_R_MARKER_MISSING, 1u << 4, MEASURE_INVALID);
}

static void mlperf_window_cut(void **state) {
    (void)state;
    struct synth s;
    mlperf(&s, true);
    s.acq[3].to = s.win[3].t1 - 0.02; /* the acquisition ends before the closing edge */
    only(&s, judge(&s, NULL), MEASURE_R_WINDOW_CUT, 1u << 3, MEASURE_INVALID);
    mlperf(&s, true);
    s.n_acq = 4; /* the last one was never recorded */
    only(&s, judge(&s, NULL), MEASURE_R_WINDOW_CUT, 1u << 4, MEASURE_INVALID);
}

/* A pulse of 0.2 ms is an edge where two samples count, and none where a level must hold for 0.5 ms. */
static void how_long_a_level_must_last(void **state) {
    (void)state;
    struct synth s;
    struct measure_config cfg;
    measure_config_init(&cfg);
    cfg.draws = 1000;
    mlperf(&s, false);
    pulse(&s, s.win[1].t0 + 0.1, 0.0002);
    only(&s, judge(&s, &cfg), MEASURE_R_MARKER_SURPLUS, 1u << 1, MEASURE_INVALID);
    mlperf(&s, false);
    pulse(&s, s.win[1].t0 + 0.1, 0.0002);
    cfg.glitch_s = 0.0005;
    only(&s, judge(&s, &cfg), MEASURE_R_MARKER_GLITCH, 1u << 1, MEASURE_INVALID);
}

static void edges_outside_commands_are_listed(void **state) {
    (void)state;
    struct synth s;
    mlperf(&s, false);
    pulse(&s, 1.0, 0.001); /* boot */
    pulse(&s, 2.5, 0.001); /* timestamp% */
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->verdict, MEASURE_VALID);
    assert_int_equal(r->edges_ignored, 2);
    assert_true(fabs(r->ignored_s[0] - 1.0) <= s.dt && fabs(r->ignored_s[1] - 2.5) <= s.dt);
    free(r);
    synth_done(&s);
}

/* ---- which windows a loss costs -------------------------------------------------------------------------------- */
static void a_loss_costs_the_windows_it_touches(void **state) {
    static const int64_t sizes[] = {64, 128, 640};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct synth s;
        synth_init(&s, 1e-5, 3.0); /* a PPK2's period: 64 samples are 640 us */
        s.host_jitter_s = 2e-5;
        s.noise_a = 1e-5;
        synth_usual(&s, 8, 20, &usual, 0.002, 4);
        s.loss_at = (int64_t)((s.win[3].t0 + 0.05) / s.dt);
        s.loss_n = sizes[i];
        struct measure_result *r = judge(&s, NULL);
        uint64_t mask = r->reasons[MEASURE_R_SAMPLE_LOSS_BY_CLOCK].windows;
        assert_int_equal(r->loss.steps, 1);
        assert_true(fabs(r->loss.lost_s / s.dt - (double)sizes[i]) < 15);
        assert_true(mask & (1u << 3));
        assert_int_equal(mask & ~0x3eu, 0); /* the bracket is two blocks of a second at most, a window comes every 1.4 s */
        for (int k = 0; k < 8; k++)
            assert_int_equal(r->windows[k].usable, !((mask >> k) & 1));
        assert_int_equal(r->verdict, MEASURE_VALID); /* five and more remain */
        assert_true(fabs(r->energy.median - synth_truth(&s, 0) / 20) < 1e-3 * r->energy.median);
        free(r);
        synth_done(&s);
    }
}

/* ---- five inputs -------------------------------------------------------------------------------------------------- */
static void mlperf_tiny_needs_five_inputs(void **state) {
    static const struct {
        const char *inputs[5];
        int distinct;
        bool good;
    } cases[] = {{{"sha256:a", "sha256:b", "sha256:c", "sha256:d", "sha256:e"}, 5, true},
                 {{"sha256:a", "sha256:b", "sha256:c", "sha256:d", "sha256:a"}, 4, false},
                 {{"embedded", "embedded", "embedded", "embedded", "embedded"}, 1, false},
                 {{"sha256:a", "sha256:b", "sha256:c", "sha256:d", ""}, -1, false}};
    (void)state;
    for (int c = 0; c < 4; c++) {
        for (int quick = 0; quick < 2; quick++) {
            struct synth s;
            synth_init(&s, 1e-3, 3.0);
            s.noise_a = 1e-5;
            synth_usual(&s, 5, 1250, &usual, 0.002, 4);
            s.cap_.method = quick ? MEASURE_METHOD_QUICK : MEASURE_METHOD_MLPERF_TINY;
            s.cap_.instrument.n_markers = 2;
            for (int k = 0; k < 5; k++)
                snprintf(s.cap_.requests[k].input, sizeof s.cap_.requests[k].input, "%s", cases[c].inputs[k]);
            struct measure_result *r = judge(&s, NULL);
            assert_int_equal(r->quality.inputs_distinct, cases[c].distinct);
            bool raised = !quick && !cases[c].good;
            assert_int_equal(r->reasons[MEASURE_R_INPUTS_NOT_DISTINCT].raised, raised);
            assert_int_equal(r->verdict, raised ? MEASURE_INVALID : MEASURE_VALID);
            free(r);
            synth_done(&s);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlperf_glitch),
        cmocka_unit_test(mlperf_surplus_and_missing),
        cmocka_unit_test(mlperf_window_cut),
        cmocka_unit_test(how_long_a_level_must_last),
        cmocka_unit_test(edges_outside_commands_are_listed),
        cmocka_unit_test(a_loss_costs_the_windows_it_touches),
        cmocka_unit_test(mlperf_tiny_needs_five_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
