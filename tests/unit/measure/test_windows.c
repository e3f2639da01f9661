/* SPDX-License-Identifier: GPL-2.0-or-later
 * Windows, energies, stages and latency of captures whose truth is known in closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "tests/unit/measure/judge.h"

static void usual_run_is_valid(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    s.noise_a = 1e-5;
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    struct measure_result *r = judge(&s, NULL);
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (r->reasons[c].raised)
            print_message("%s: %s\n", measure_code_word((enum measure_code)c), r->reasons[c].text);
    assert_int_equal(r->verdict, MEASURE_VALID);
    assert_int_equal(r->n_usable, 5);
    for (int k = 0; k < 5; k++) {
        near_rel(r->windows[k].energy_j, synth_truth(&s, k), 1e-4);
        near_rel(r->windows[k].duration_s, s.win[k].t1 - s.win[k].t0, 1e-4);
        near_rel(r->windows[k].net_energy_j, synth_truth(&s, k) - 0.006 * (s.win[k].t1 - s.win[k].t0), 2e-4);
    }
    near_rel(r->idle.power_w, 0.006, 1e-3);
    near_rel(r->energy.median, synth_truth(&s, 0) / 50, 1e-4);
    near_rel(r->latency.median, (s.win[0].t1 - s.win[0].t0) / 50, 1e-4);
    near_rel(r->clock.device_over_trace, 1, 1e-4);
    assert_string_equal(r->clock.by, "device");
    free(r);
    synth_done(&s);
}

/* ---- stages ------------------------------------------------------------------------------------------------- */
static void stages_add_up(void **state) {
    (void)state;
    static const double rates[] = {1e5, 77777};
    for (int i = 0; i < 2; i++) {
        struct synth s;
        synth_init(&s, 1 / rates[i], 3.0);
        synth_usual(&s, 5, 100, &usual, 0.002, 4);
        struct measure_result *r = judge(&s, NULL);
        assert_true(r->has_stages);
        static const struct {
            const char *name;
            int k;
        } want[] = {{"input", 0}, {"inference", 1}, {"output", 2}, {"post", 3}};
        double e = 0, t = 0, share = 0;
        for (int st = 0; st < MEASURE_N_STAGES; st++) {
            e += r->stages[st].energy_j;
            t += r->stages[st].duration_s;
            share += r->stages[st].share;
            for (int w = 0; w < 4; w++)
                if (strcmp(want[w].name, r->stages[st].name) == 0) {
                    double energy = 3.0 * usual.amp[want[w].k] * usual.s[want[w].k];
                    /* two edges, each known to half a sample, a hundred times at drifting phases */
                    near_rel(r->stages[st].energy_j, energy, 0.5 * s.dt / usual.s[want[w].k]);
                    near_rel(r->stages[st].duration_s, usual.s[want[w].k], 0.5 * s.dt / usual.s[want[w].k]);
                    near_rel(r->stages[st].net_energy_j, r->stages[st].energy_j - r->idle.power_w * r->stages[st].duration_s, 1e-12);
                }
        }
        near_rel(e, r->energy.mean, 1e-12);
        near_rel(t, r->latency.mean, 1e-12);
        near_rel(share, 1, 1e-12);
        assert_true(r->stages[0].energy_j == 0); /* no init in this firmware */
        free(r);
        synth_done(&s);
    }
}

/* ---- a block instrument ---------------------------------------------------------------------------------------- */
/* results_s: how long the board prints what it found. */
static void block_capture(struct synth *s, double dt, double results_s) {
    synth_init(s, dt, 3.0);
    s->with_voltage = true;
    s->cap_.supply.provenance = MEASURE_VOLTAGE_MEASURED;
    s->cap_.instrument.block = true;
    synth_hold(s, 0.5, 0.002, 3);
    for (int k = 0; k < 5; k++) {
        double from = s->t_end - 0.01;
        synth_idle(s, 1.2, 0.002);
        synth_window(s, 50, &usual, 0.004);
        synth_hold(s, results_s, 0.004, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
        synth_idle(s, 1.2, 0.002);
        s->cap_.stretches[2 * k].segment = s->cap_.stretches[2 * k + 1].segment = k;
        s->cap_.requests[k].segment = k;
        s->acq[s->n_acq++] = (struct synth_acquisition){from, s->t_end};
        synth_hold(s, 0.2, 0.002, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
    }
    s->noise_a = 1e-5;
}

static void block_instrument(void **state) {
    (void)state;
    struct synth s;
    block_capture(&s, 1e-5, 0);
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->verdict, MEASURE_VALID);
    assert_int_equal(r->idle.n, 10);
    near_rel(r->idle.power_w, 0.006, 1e-3);
    near_rel(r->energy.median, synth_truth(&s, 0) / 50, 2e-4);
    near_rel(r->net.median, (synth_truth(&s, 0) - 0.006 * (s.win[0].t1 - s.win[0].t0)) / 50, 3e-4);
    assert_true(r->has_stages); /* 300 us are 30 samples */
    free(r);
    synth_done(&s);
    block_capture(&s, 4e-5, 0);
    r = judge(&s, NULL);
    assert_false(r->has_stages); /* 300 us are 7.5 samples: null */
    assert_int_equal(r->verdict, MEASURE_VALID);
    free(r);
    synth_done(&s);
}

/* A busy host reads `m-infer-start` more than the guard time late; the printing behind the window is still no idle. */
static void block_instrument_late_host(void **state) {
    (void)state;
    struct synth s;
    block_capture(&s, 1e-5, 0.4);
    for (int k = 0; k < 5; k++)
        s.cap_.requests[k].start_ns += (int64_t)llround(0.8e9 * (s.win[k].t1 - s.win[k].t0));
    assert_true(0.8 * (s.win[0].t1 - s.win[0].t0) > 0.15);
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->idle.n, 10);
    near_rel(r->idle.power_w, 0.006, 1e-4);
    free(r);
    synth_done(&s);
}

/* ---- scheme mlperf ---------------------------------------------------------------------------------------------- */
static void mlperf_capture(struct synth *s) {
    synth_init(s, 1e-5, 3.0);
    s->cap_.scheme = MEASURE_SCHEME_MLPERF;
    s->cap_.instrument.n_markers = 1;
    s->host_rate = 8e-5;
    s->host_jitter_s = 2e-5;
    synth_hold(s, 2, 0.002, 1);
    synth_hold(s, 0.001, 0.002, 0); /* old firmware, boot, timestamp%: not ours */
    synth_hold(s, 2, 0.002, 1);
    synth_hold(s, 1.2, 0.002, 1);
    for (int k = 0; k < 5; k++) {
        struct measure_stretch *st = &s->cap_.stretches[s->cap_.n_stretches++];
        *st = (struct measure_stretch){.from_ns = synth_host(s, s->t_end), .to_ns = synth_host(s, s->t_end + 1.2), .segment = -1};
        synth_hold(s, 1.2, 0.002, 1);
        synth_window_mlperf(s, 40, 0.008, 0.025, 0.004, 0.001);
    }
    synth_hold(s, 4.5, 0.002, 1);
}

static void mlperf_scheme(void **state) {
    (void)state;
    struct synth s;
    mlperf_capture(&s);
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->n_usable, 5);
    assert_int_equal(r->edges_ignored, 1);
    for (int k = 0; k < 5; k++)
        near_rel(r->windows[k].energy_j, synth_truth(&s, k), 1e-4);
    assert_true(fabs(r->loss.rate_ppm - 80) < 5);
    assert_string_equal(r->clock.by, "host"); /* plain firmware: no stamps of its own */
    assert_int_equal(r->verdict, MEASURE_VALID);
    free(r);
    synth_done(&s);
}

static void mlperf_missing_and_surplus_edges(void **state) {
    (void)state;
    struct synth s;
    mlperf_capture(&s);
    for (size_t i = 0; i < s.n; i++) /* the closing pulse of window 1 is lost */
        if (fabs(s.lv[i].t - s.win[1].t1) < 1e-9)
            s.lv[i].m = 1;
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->reasons[MEASURE_R_MARKER_MISSING].windows, 2);
    assert_int_equal(r->verdict, MEASURE_INVALID);
    free(r);
    synth_done(&s);
    mlperf_capture(&s);
    for (size_t i = 0; i < s.n; i++)
        if (fabs(s.lv[i].t - s.win[3].t0) < 1e-9) { /* a third pulse in the talk before window 3 */
            s.lv = realloc(s.lv, (s.n + 2) * sizeof *s.lv);
            memmove(s.lv + i + 2, s.lv + i, (s.n - i) * sizeof *s.lv);
            s.lv[i] = (struct synth_level){.t = s.lv[i + 2].t - 0.002, .amp = 0.004, .m = 0};
            s.lv[i + 1] = (struct synth_level){.t = s.lv[i + 2].t - 0.001, .amp = 0.004, .m = 1};
            s.n += 2;
            s.cap = s.n;
            break;
        }
    r = judge(&s, NULL);
    assert_int_equal(r->reasons[MEASURE_R_MARKER_SURPLUS].windows, 8);
    free(r);
    synth_done(&s);
}

/* ---- rules on an own capture ------------------------------------------------------------------------------------ */
static void rules_differ_by_samples_only(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-4, 3.0);
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    double energy[3];
    for (int rule = 0; rule < 3; rule++) {
        struct measure_config cfg;
        struct measure_source src = synth_source(&s);
        struct measure_result *r = calloc(1, sizeof *r);
        struct err e = {0};
        measure_config_init(&cfg);
        cfg.draws = 100;
        cfg.rule = (enum measure_rule)rule;
        assert_int_equal(measure_run(&src, &s.cap_, &cfg, r, &e), 0);
        assert_int_equal(r->n_usable, 5);
        energy[rule] = r->windows[0].energy_j;
        double n = (r->windows[0].to_s - r->windows[0].from_s) / s.dt;
        if (rule != MEASURE_RULE_EDGE)
            assert_true(fabs(n - nearbyint(n)) < 1e-6); /* whole samples */
        free(r);
    }
    near_rel(energy[MEASURE_RULE_EEMBC], energy[MEASURE_RULE_EDGE], 2 * s.dt / 0.4);
    near_rel(energy[MEASURE_RULE_MLCOMMONS], energy[MEASURE_RULE_EDGE], 2 * s.dt / 0.4);
    synth_done(&s);
}

/* ---- budget ------------------------------------------------------------------------------------------------------ */
/* By hand: gain 10 % rectangular of the energy measured in its range; offset V*T; idle's share of both where it lies. */
static void budget_by_hand(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    s.with_range = true;
    s.auto_range = true;
    s.range_amp = 0.005; /* idle in range 0, windows in range 1 */
    s.noise_a = 1e-6;
    s.cap_.instrument.ranges[0].gain_rel = 0.05;
    s.cap_.instrument.ranges[1].gain_rel = 0.10;
    s.cap_.instrument.ranges[0].offset_a = 1e-5;
    s.cap_.instrument.ranges[1].offset_a = 1e-4;
    s.cap_.instrument.voltage_gain_rel = 0.02;
    s.cap_.instrument.clock_ppm = 40;
    struct measure_result *r = judge(&s, NULL);
    double e = synth_truth(&s, 0) / 50, t = (s.win[0].t1 - s.win[0].t0) / 50, net = e - 0.006 * t, q3 = sqrt(3);
    assert_null(line_of(&r->energy, "gain[0]"));
    near_rel(line_of(&r->energy, "gain[1]")->u, 0.10 * e / q3, 1e-3);
    near_rel(line_of(&r->energy, "offset[1]")->u, 1e-4 * 3 * t / q3, 1e-3);
    near_rel(line_of(&r->energy, "voltage gain")->u, 0.02 * e / q3, 1e-3);
    near_rel(line_of(&r->energy, "time base")->u, 40e-6 * e / q3, 1e-3);
    near_rel(line_of(&r->net, "gain[0]")->u, 0.05 * 0.006 * t / q3, 2e-3);
    near_rel(line_of(&r->net, "gain[1]")->u, 0.10 * e / q3, 1e-3);
    near_rel(line_of(&r->net, "offset[0]")->u, 1e-5 * 3 * t / q3, 2e-3);
    near_rel(line_of(&r->net, "voltage gain")->u, 0.02 * net / q3, 1e-3);
    assert_non_null(line_of(&r->net, "idle"));
    double sum = 0;
    for (int i = 0; i < r->energy.n_budget; i++)
        sum += r->energy.budget[i].u * r->energy.budget[i].u;
    near_rel(r->energy.u_c, sqrt(sum), 1e-12);
    free(r);
    /* all in one range: its offset cancels in the net figure */
    s.auto_range = s.with_range = false;
    r = judge(&s, NULL);
    assert_true(line_of(&r->net, "offset[0]")->u < 1e-6 * line_of(&r->energy, "offset[0]")->u + 1e-15);
    near_rel(line_of(&r->net, "gain[0]")->u, 0.05 * net / q3, 1e-3);
    free(r);
    synth_done(&s);
}

/* A set voltage whose source has no specification is known by the declared tolerance, else not at all. */
static void declared_tolerance_of_a_set_voltage(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    s.cap_.instrument.voltage_kind = MEASURE_SPEC_UNKNOWN;
    struct measure_result *r = judge(&s, NULL);
    assert_false(r->energy.u_known);
    assert_non_null(strstr(r->reasons[MEASURE_R_UNCERTAINTY_UNKNOWN].text, "voltage"));
    free(r);
    s.cap_.supply.tolerance_v = 0.03;
    r = judge(&s, NULL);
    assert_true(r->energy.u_known);
    near_rel(line_of(&r->energy, "voltage")->u, r->energy.median * 0.01 / sqrt(3), 1e-9);
    free(r);
    synth_done(&s);
}

/* Idle power is known as well as independent blocks of white noise make it. */
static void idle_uncertainty(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    s.noise_a = 1e-3;
    struct measure_result *r = judge(&s, NULL);
    double used = 6 * 20 * 0.05; /* six stretches of 1.2 s, 0.1 s of guard at each end, in blocks of 50 ms */
    near_rel(r->idle.u_w, 1e-3 * 3.0 / sqrt(used / s.dt), 0.25);
    assert_int_equal(r->idle.n, 6);
    near_rel(line_of(&r->net, "idle")->u, r->latency.mean * r->idle.u_w, 1e-9);
    free(r);
    synth_done(&s);
}

/* What happens within 100 ms of the UART's traffic is not idle. */
static void idle_keeps_its_distance(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    synth_hold(&s, 4, 0.002, 3);
    for (int k = 0; k < 6; k++) {
        synth_idle(&s, 1.2, 0.002);
        size_t last = s.n - 1; /* the first and the last 90 ms of the stretch are busy */
        double from = s.lv[last].t;
        uint8_t m = s.lv[last].m;
        s.t_end = from;
        s.n = last;
        synth_hold(&s, 0.09, 0.010, m);
        synth_hold(&s, 1.02, 0.002, m);
        synth_hold(&s, 0.09, 0.010, m);
        if (k < 5)
            synth_window(&s, 50, &usual, 0.004);
    }
    synth_hold(&s, 4, 0.002, 3);
    struct measure_result *r = judge(&s, NULL);
    assert_int_equal(r->idle.n, 6);
    near_rel(r->idle.power_w, 0.006, 1e-6);
    free(r);
    synth_done(&s);
}

/* A code of one sample between two stages bounds them at its middle: half a sample for each. */
static void transition_is_bounded_at_its_middle(void **state) {
    (void)state;
    struct synth s;
    struct synth_inference grid = {.amp = {0.02, 0.02, 0.02, 0.02, 0.02}, .s = {0.0010, 0.0050, 0.0020, 0, 0}};
    synth_init(&s, 1.0 / 65536, 3.0);
    for (int k = 0; k < 3; k++)
        grid.s[k] = nearbyint(grid.s[k] / s.dt) * s.dt;
    synth_usual(&s, 5, 1, &grid, 0.002, 4);
    struct measure_result *r = judge(&s, NULL);
    double plain = r->stages[2].duration_s; /* inference */
    free(r);
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.lv[i].m >> 2 == 2 && s.lv[i + 1].m >> 2 == 6) { /* the next stage's first sample reads as code 4 */
            s.lv = realloc(s.lv, (s.n + 1) * sizeof *s.lv);
            memmove(s.lv + i + 2, s.lv + i + 1, (s.n - i - 1) * sizeof *s.lv);
            s.lv[i + 1].m = (uint8_t)((s.lv[i + 2].m & 3) | 4 << 2);
            s.lv[i + 2].t += s.dt;
            s.n++;
            s.cap = s.n;
            i++;
        }
    r = judge(&s, NULL);
    assert_true(fabs(r->stages[2].duration_s - plain - 0.5 * s.dt) < 1e-3 * s.dt);
    assert_true(r->stages[4].duration_s == 0); /* no post stage came of it */
    free(r);
    synth_done(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_tolerance_of_a_set_voltage), cmocka_unit_test(idle_uncertainty), cmocka_unit_test(idle_keeps_its_distance), cmocka_unit_test(transition_is_bounded_at_its_middle),
        cmocka_unit_test(usual_run_is_valid), cmocka_unit_test(stages_add_up), cmocka_unit_test(block_instrument), cmocka_unit_test(block_instrument_late_host), cmocka_unit_test(mlperf_scheme),
        cmocka_unit_test(mlperf_missing_and_surplus_edges), cmocka_unit_test(rules_differ_by_samples_only), cmocka_unit_test(budget_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
