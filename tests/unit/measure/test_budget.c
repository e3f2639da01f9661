/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the analysis does about known errors and what its budget says about unknown ones, each against a figure worked out by hand or
 * a truth in closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/measure/judge.h"

/* Five windows of n inferences whose edges all lie at the same place of the sampling grid, `share` of a cell behind its beginning. */
static void on_the_grid(struct synth *s, uint32_t n, double share) {
    struct synth_inference grid = usual;
    for (int i = 0; i < SYNTH_STAGES; i++)
        grid.s[i] = fmax(1, nearbyint(usual.s[i] / s->dt)) * s->dt;
    synth_hold(s, 4, 0.002, 3);
    for (int k = 0; k < 6; k++) {
        double opens = s->t_end + 1.2 + 0.012; /* synth_window talks for 12 ms first */
        synth_hold(s, (ceil(opens / s->dt) + share) * s->dt - opens, 0.002, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
        synth_idle(s, 1.2, 0.002);
        if (k < 5)
            synth_window(s, n, &grid, 0.004);
    }
    synth_hold(s, 4.5, 0.002, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
}

static double truth_per_inference(const struct synth *s, int n) {
    return synth_truth(s, 0) / n;
}

/* ---- known errors ------------------------------------------------------------------------------------------- */
/* Limits [-2 %, +8 %] and [-100 uA, +300 uA]: corrected by 3 % and 100 uA, u = 10 %/sqrt 12 and 400 uA/sqrt 12. */
static void limits_on_one_side(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    struct measure_range *g = &s.cap_.instrument.ranges[1];
    measure_asymmetric(0.02, 0.08, &g->gain_corr_rel, &g->gain_rel);
    measure_asymmetric(1e-4, 3e-4, &g->offset_corr_a, &g->offset_a);
    near_rel(g->gain_corr_rel, 0.03, 1e-12);
    near_rel(g->offset_corr_a, 1e-4, 1e-12);
    s.auto_range = s.with_range = true;
    s.range_amp = 0.005; /* idle in range 0 */
    s.range_gain[1] = 0.03; /* true = reported * (1 + gain) + offset */
    s.range_offset[1] = 1e-4;
    struct measure_result *r = judge(&s, NULL);
    double e = truth_per_inference(&s, 50), t = (s.win[0].t1 - s.win[0].t0) / 50;
    near_rel(r->energy.median, e, 1e-4);
    near_rel(r->idle.power_w, 0.006, 1e-5); /* the other range is as it was */
    near_rel(r->net.median, e - 0.006 * t, 2e-4);
    near_rel(line_of(&r->energy, "gain[1]")->u, (e - 3e-4 * t) * 0.10 / sqrt(12), 0.01);
    near_rel(line_of(&r->energy, "offset[1]")->u, 3 * t * 4e-4 / sqrt(12), 1e-3);
    near_rel(r->power_peak_w, 0.09, 1e-4);
    double stages = 0;
    for (int i = 0; i < MEASURE_N_STAGES; i++)
        stages += r->stages[i].energy_j;
    near_rel(stages, r->energy.mean, 1e-12);
    near_rel(r->stages[2].energy_j, 3 * 0.030 * 0.006, 2e-3); /* inference: corrected as well */
    free(r);
    synth_done(&s);
}

static void voltage_is_corrected(void **state) {
    (void)state;
    for (int measured = 0; measured < 2; measured++) {
        struct synth s;
        synth_init(&s, 1e-5, 3.0);
        synth_usual(&s, 5, 50, &usual, 0.002, 4);
        s.cap_.instrument.voltage_gain_corr_rel = 0.02;
        s.cap_.instrument.voltage_offset_corr_v = -0.03;
        s.volt_reported = (3.0 + 0.03) / 1.02;
        s.with_voltage = measured;
        s.cap_.supply.voltage_v = s.volt_reported;
        s.cap_.supply.provenance = measured ? MEASURE_VOLTAGE_MEASURED : MEASURE_VOLTAGE_SET;
        struct measure_result *r = judge(&s, NULL);
        near_rel(r->energy.median, truth_per_inference(&s, 50), 1e-4);
        near_rel(r->voltage_v, 3.0, 1e-6);
        free(r);
        synth_done(&s);
    }
}

/* A set voltage stands before the shunt: behind it E is the integral of (V - R*i)*i. */
static void burden_where_the_plane_is_behind_the_shunt(void **state) {
    (void)state;
    static const struct {
        enum measure_plane plane;
        enum measure_provenance provenance;
        bool subtracted;
    } cases[] = {{MEASURE_PLANE_ANALYZER_OUT, MEASURE_VOLTAGE_SET, false}, {MEASURE_PLANE_BOARD_PIN, MEASURE_VOLTAGE_SET, true},
                 {MEASURE_PLANE_CORE_RAIL, MEASURE_VOLTAGE_SET, true}, {MEASURE_PLANE_BOARD_PIN, MEASURE_VOLTAGE_MEASURED, false}};
    for (int c = 0; c < 4; c++) {
        struct synth s;
        const double ohm = 4.0;
        synth_init(&s, 1e-5, 3.0);
        synth_usual(&s, 5, 50, &usual, 0.002, 4);
        s.cap_.instrument.ranges[0].shunt_ohm = ohm;
        s.cap_.supply.plane = cases[c].plane;
        s.cap_.supply.provenance = cases[c].provenance;
        s.with_voltage = cases[c].provenance == MEASURE_VOLTAGE_MEASURED;
        double q = 0, qq = 0, t = 0;
        for (int i = 0; i < SYNTH_STAGES; i++) {
            q += usual.amp[i] * usual.s[i];
            qq += usual.amp[i] * usual.amp[i] * usual.s[i];
            t += usual.s[i];
        }
        struct measure_result *r = judge(&s, NULL);
        near_rel(r->energy.median, 3.0 * q - (cases[c].subtracted ? ohm * qq : 0), 3e-4);
        near_rel(r->idle.power_w, 3.0 * 0.002 - (cases[c].subtracted ? ohm * 0.002 * 0.002 : 0), 1e-5);
        assert_int_equal(r->quality.burden_subtracted, cases[c].subtracted);
        near_rel(r->quality.burden_mean_v, ohm * q / t, 3e-3);
        near_rel(r->quality.burden_max_v, ohm * 0.030, 1e-5);
        free(r);
        synth_done(&s);
    }
}

/* ---- the charge in the capacitance ----------------------------------------------------------------------------- */
/* 50 ohm, 20 uF; the current is 10 mA where a window opens and 8 mA (tail: 10 mA) where it closes, 4 mA outside: the two cells about an
 * edge average inside and outside. Stages: by the currents on either side of each boundary. */
static void rc_of_windows_and_stages(void **state) {
    (void)state;
    struct synth s;
    const double ohm = 50, farad = 20e-6;
    synth_init(&s, 1.0 / 65536, 3.0);
    on_the_grid(&s, 1, 1e-6);
    s.cap_.instrument.ranges[0].shunt_ohm = ohm;
    s.cap_.supply.capacitance_f = 0;
    struct measure_result *plain = judge(&s, NULL);
    s.cap_.supply.capacitance_f = farad;
    struct measure_result *r = judge(&s, NULL);
    double sum = 0, edge = 3.0 * farad * ohm;
    /* input from 10/4 mA to 30/10, inference to 12/30, output to 15/12, post to 8/15: means of both sides */
    static const double level[] = {0.007, 0.020, 0.021, 0.0135, 0.0115};
    static const int order[] = {1, 2, 3, 4}; /* input, inference, output, post in the result */
    for (int i = 0; i < 4; i++) {
        double want = edge * (level[i + 1] - level[i]), got = r->stages[order[i]].energy_j - plain->stages[order[i]].energy_j;
        if (!(fabs(got - want) < 1e-3 * fabs(want)))
            fail_msg("stage %s: %.4g J instead of %.4g J", r->stages[order[i]].name, got, want);
    }
    for (int i = 0; i < MEASURE_N_STAGES; i++)
        sum += r->stages[i].energy_j;
    near_rel(sum, r->energy.mean, 1e-12);
    assert_true(fabs(r->energy.mean - plain->energy.mean) < edge * 0.003); /* 7 mA at both ends of the window */
    free(plain);
    free(r);
    synth_done(&s);
}

/* A window that opens at 30 mA and closes at 8 mA, in a room of 4 mA. */
static void rc_in_the_budget(void **state) {
    (void)state;
    struct synth s;
    const double ohm = 50, farad = 20e-6, v = 3.0;
    synth_init(&s, 1e-5, v);
    synth_hold(&s, 4, 0.002, 1);
    s.cap_.scheme = MEASURE_SCHEME_MLPERF;
    for (int k = 0; k < 5; k++) {
        struct measure_stretch *st = &s.cap_.stretches[s.cap_.n_stretches++];
        *st = (struct measure_stretch){.from_ns = synth_host(&s, s.t_end), .to_ns = synth_host(&s, s.t_end + 1.2), .segment = -1};
        synth_hold(&s, 1.2, 0.002, 1);
        synth_window_mlperf(&s, 40, 0.008, 0.030, 0.004, 0.001);
        for (size_t i = s.n - 3; i < s.n; i++) /* from the closing edge on: 8 mA */
            if (s.lv[i].t >= s.win[k].t1 - 1e-12)
                s.lv[i].amp = 0.008;
    }
    synth_hold(&s, 4.5, 0.002, 1);
    s.cap_.instrument.ranges[0].shunt_ohm = ohm;
    s.cap_.supply.capacitance_f = farad;
    s.cap_.supply.capacitance_tol_rel = 0.2;
    /* edges: the mean of the two cells about them is (4 + 30)/2 and (30 + 8)/2 mA */
    double want = v * farad * ohm * (0.019 - 0.017) / 40, energy = v * 0.030 * (0.001 + 40 * 0.008) / 40;
    struct measure_result *r = judge(&s, NULL);
    near_rel(r->energy.median - energy, want, 0.15);
    near_rel(line_of(&r->energy, "capacitance")->u, want * 0.2 / sqrt(3), 0.15);
    assert_string_equal(line_of(&r->energy, "capacitance")->distribution, "rectangular");
    free(r);
    s.cap_.supply.capacitance = MEASURE_C_MAX; /* a bound only: nothing is corrected, all of it is uncertain */
    r = judge(&s, NULL);
    near_rel(r->energy.median, energy, 1e-6);
    near_rel(line_of(&r->energy, "capacitance")->u, want / sqrt(3), 0.15);
    free(r);
    s.cap_.supply.capacitance = MEASURE_C_UNKNOWN;
    r = judge(&s, NULL);
    assert_false(r->energy.u_known || r->net.u_known);
    assert_true(isnan(r->energy.u95));
    assert_true(r->reasons[MEASURE_R_UNCERTAINTY_UNKNOWN].raised);
    assert_non_null(strstr(r->reasons[MEASURE_R_UNCERTAINTY_UNKNOWN].text, "capacitance"));
    assert_true(r->latency.u_known); /* time does not smear with it */
    free(r);
    synth_done(&s);
}

/* ---- scatter ------------------------------------------------------------------------------------------------------ */
/* Two windows: no scatter to speak of; what noise and edges predict, as a normal, divided by sqrt 2. */
static void fewer_than_three_windows(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-4, 3.0);
    synth_usual(&s, 2, 50, &usual, 0.002, 4);
    struct measure_result *r = judge(&s, NULL);
    const struct measure_component *c = line_of(&r->energy, "predicted scatter");
    assert_non_null(c);
    assert_null(line_of(&r->energy, "scatter"));
    assert_string_equal(c->distribution, "normal");
    /* edges: 7 mA on the mean of the two cells at either end, rectangular +-dt/2; no noise */
    double edge = 3.0 * 0.007 * s.dt / sqrt(12);
    near_rel(c->u, edge * sqrt(2) / 50 / sqrt(2), 0.25);
    near_rel((r->energy.ci95[1] - r->energy.ci95[0]) / 2, 1.959964 * c->u, 1e-5);
    free(r);
    synth_done(&s);
}

/* Five windows at the same place of the grid agree to the last digit and hide the edges' error: it is added undivided. */
static void locked_to_the_grid(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1.0 / 8192, 3.0);
    on_the_grid(&s, 50, 0.3);
    struct measure_result *r = judge(&s, NULL);
    assert_true(r->energy.stddev < 1e-9 * r->energy.median);
    const struct measure_component *c = line_of(&r->energy, "grid lock");
    assert_non_null(c);
    near_rel(c->u, 3.0 * 0.007 * s.dt / sqrt(12) * sqrt(2) / 50, 0.25);
    free(r);
    synth_done(&s);
}

/* A step of 50 uA and less noise than half of it: its error is the same in every sample; q/sqrt 12 stays undivided. */
static void quantization_without_dither(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    struct synth_inference flat = {.amp = {0.02003, 0.02003, 0.02003, 0.02003, 0.02003}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};
    synth_usual(&s, 5, 50, &flat, 0.002, 4);
    s.step_a = s.cap_.instrument.ranges[0].resolution_a = 50e-6;
    s.noise_a = 5e-6;
    struct measure_result *r = judge(&s, NULL);
    double t = (s.win[0].t1 - s.win[0].t0) / 50;
    assert_non_null(line_of(&r->energy, "quantization[0]"));
    near_rel(line_of(&r->energy, "quantization[0]")->u, 3.0 * t * 50e-6 / sqrt(12), 1e-3);
    assert_true(fabs(r->energy.median - truth_per_inference(&s, 50)) > 1e-5 * 3.0 * t); /* it is there: 20 or 30 uA off */
    free(r);
    s.noise_a = 50e-6; /* dithered: it averages out */
    r = judge(&s, NULL);
    assert_null(line_of(&r->energy, "quantization[0]"));
    near_rel(r->energy.median, truth_per_inference(&s, 50), 1e-4);
    free(r);
    synth_done(&s);
}

static void ranges_that_share_a_reference(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    struct synth_inference both = {.amp = {0.010, 0.030, 0.010, 0.010, 0.010}, .s = {0.004, 0.004, 0, 0, 0}};
    synth_usual(&s, 5, 50, &both, 0.002, 4);
    s.auto_range = s.with_range = true;
    s.range_amp = 0.020;
    s.cap_.instrument.ranges[0].gain_rel = s.cap_.instrument.ranges[1].gain_rel = 0.01;
    struct measure_result *r = judge(&s, NULL);
    double e = r->energy.median, part = 0.25, q3 = sqrt(3);
    near_rel(line_of(&r->energy, "gain[0]")->u, 0.01 / q3 * e * part, 0.02);
    near_rel(line_of(&r->energy, "gain[1]")->u, 0.01 / q3 * e * (1 - part), 0.02);
    near_rel(r->quality.range_share[0], 0.5, 0.02);
    near_rel(r->quality.range_share[1], 0.5, 0.02);
    free(r);
    s.cap_.instrument.shared_reference = true; /* added linearly */
    r = judge(&s, NULL);
    assert_null(line_of(&r->energy, "gain[0]"));
    near_rel(line_of(&r->energy, "gain")->u, 0.01 / q3 * e, 1e-3);
    free(r);
    synth_done(&s);
}

/* ---- idle ---------------------------------------------------------------------------------------------------------- */
/* Noise that holds for 16 samples: the spread of 50-ms block means tells how well the mean is known; the naive sd/sqrt(samples) is four times
 * too small. */
static void idle_noise_is_correlated(void **state) {
    (void)state;
    const int runs = 60, hold = 16;
    double sum2 = 0, stated = 0;
    for (int i = 0; i < runs; i++) {
        struct synth s;
        synth_init(&s, 1e-4, 3.0);
        synth_usual(&s, 1, 20, &usual, 0.002, 4);
        s.noise_a = 2e-4;
        s.noise_hold = hold;
        s.seed = 100 + (uint64_t)i;
        struct measure_result *r = judge(&s, NULL);
        assert_int_equal(r->idle.n, 2);
        double off = r->idle.power_w - 0.006;
        sum2 += off * off;
        stated += r->idle.u_w / runs;
        free(r);
        synth_done(&s);
    }
    double actual = sqrt(sum2 / runs), naive = 2e-4 * 3.0 / sqrt(2 * 1.0 / 1e-4);
    if (!(stated > 0.75 * actual && stated < 1.3 * actual))
        fail_msg("idle power scatters by %.3g W, its uncertainty says %.3g W", actual, stated);
    near_rel(actual, naive * sqrt(hold), 0.25);
}

static void spread_alarm_scales_with_the_windows(void **state) {
    /* The published 90th percentile is 0.5 % for five windows; d2: 1.693, 2.326, 3.078 for 3, 5, 10 (control charts). */
    static const struct {
        int n;
        double limit;
    } cases[] = {{3, 0.005 * 1.693 / 2.326}, {5, 0.005}, {10, 0.005 * 3.078 / 2.326}};
    (void)state;
    for (int c = 0; c < 3; c++)
        for (int above = 0; above < 2; above++) {
            struct synth s;
            synth_init(&s, 2e-5, 3.0);
            synth_hold(&s, 4, 0.002, 3);
            synth_idle(&s, 1.2, 0.002);
            for (int k = 0; k < cases[c].n; k++) {
                struct synth_inference inf = usual;
                for (int i = 0; i < SYNTH_STAGES; i++)
                    inf.amp[i] *= k == cases[c].n / 2 ? 1 + cases[c].limit * (above ? 1.1 : 0.9) : 1;
                synth_window(&s, 20, &inf, 0.004);
                synth_idle(&s, 1.2, 0.002);
            }
            synth_hold(&s, 4, 0.002, 1);
            struct measure_result *r = judge(&s, NULL);
            assert_int_equal(r->reasons[MEASURE_R_HIGH_SPREAD].raised, above);
            free(r);
            synth_done(&s);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_on_one_side),       cmocka_unit_test(voltage_is_corrected),
        cmocka_unit_test(burden_where_the_plane_is_behind_the_shunt), cmocka_unit_test(rc_of_windows_and_stages),
        cmocka_unit_test(rc_in_the_budget),         cmocka_unit_test(fewer_than_three_windows),
        cmocka_unit_test(locked_to_the_grid),       cmocka_unit_test(quantization_without_dither),
        cmocka_unit_test(ranges_that_share_a_reference), cmocka_unit_test(idle_noise_is_correlated),
        cmocka_unit_test(spread_alarm_scales_with_the_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
