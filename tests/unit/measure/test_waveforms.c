/* SPDX-License-Identifier: GPL-2.0-or-later
 * Energies of analytic waveforms (constant, ramp, PWM, RC edge) at several rates and phases of the grid, against closed forms; constant
 * memory; the RC term. The waveforms are sampled as cell means, which is what an integrating front end delivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "measure/measure.h"

#define V 3.0

struct wave { /* i(t) through its antiderivative, markers through the window's edges */
    double (*charge)(const struct wave *w, double t); /* integral of i from 0 to t */
    double dt, t0, t1, end; /* the window is [t0, t1) */
    double a, b; /* parameters */
    double phi;
};

static int wave_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    const struct wave *w = self;
    enum { BLOCK = 4096 };
    static float c[BLOCK];
    static uint8_t m[BLOCK];
    (void)want;
    (void)reterr;
    int64_t end = (int64_t)(w->end / w->dt);
    for (int64_t n = 0; n < end; n += BLOCK) {
        int64_t count = end - n < BLOCK ? end - n : BLOCK;
        if (n + count <= from || n >= to)
            continue;
        double before = w->charge(w, (double)n * w->dt);
        for (int64_t k = 0; k < count; k++) {
            double after = w->charge(w, (double)(n + k + 1) * w->dt), t = ((double)(n + k) + w->phi) * w->dt;
            c[k] = (float)((after - before) / w->dt);
            before = after;
            bool in = t >= w->t0 && t < w->t1;
            m[k] = (uint8_t)(in ? 2 : t >= w->t1 ? 1 : 3); /* one inference: line 1 toggles at the end ... */
            if (in && t >= w->t0 + 4 * w->dt && t < w->t1 - 4 * w->dt)
                m[k] = 0; /* ... and at the start of the inference */
            else if (in)
                m[k] = 2;
            if (t >= w->t1)
                m[k] = 3;
        }
        struct measure_block b = {.first = n, .count = (uint32_t)count, .flags = n == 0 ? MEASURE_SEGMENT_START : 0, .current_a = c, .markers = m};
        int rc = fn(user, &b);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static double constant(const struct wave *w, double t) {
    return w->a * t;
}

static double ramp(const struct wave *w, double t) { /* a + b t */
    return w->a * t + 0.5 * w->b * t * t;
}

static double pwm(const struct wave *w, double t) { /* period a: 20 mA for a third, else 1 mA */
    double n = floor(t / w->a), rest = t - n * w->a, on = w->a / 3;
    return n * (on * 0.020 + (w->a - on) * 0.001) + fmin(rest, on) * 0.020 + fmax(rest - on, 0) * 0.001;
}

static double rc_edge(const struct wave *w, double t) { /* from 2 mA to 20 mA at t0 with time constant a, back at t1 */
    double q = 0.002 * t;
    if (t > w->t0)
        q += 0.018 * ((t - w->t0) - w->a * (1 - exp(-(t - w->t0) / w->a)));
    if (t > w->t1)
        q -= 0.018 * ((t - w->t1) - w->a * (1 - exp(-(t - w->t1) / w->a)));
    return q;
}

static void capture_of(const struct wave *w, struct measure_capture *c) {
    measure_capture_init(c);
    c->instrument.period_s = w->dt;
    c->instrument.marker_phase = w->phi;
    c->instrument.n_markers = 2;
    c->instrument.n_ranges = 1;
    c->instrument.clock_ppm = 0;
    c->instrument.ranges[0] = (struct measure_range){.to_a = 1, .kind = MEASURE_SPEC_LIMIT};
    c->instrument.voltage_kind = MEASURE_SPEC_LIMIT;
    c->supply.voltage_v = V;
    c->supply.provenance = MEASURE_VOLTAGE_SET;
    c->supply.capacitance = MEASURE_C_DECLARED;
    c->n_requests = 1;
    c->requests[0].inferences = 1;
}

static struct measure_result result_of(struct wave *w, const struct measure_capture *c) {
    struct measure_source src = {.each = wave_each, .self = w};
    struct measure_config cfg;
    struct measure_result r;
    struct err e = {0};
    measure_config_init(&cfg);
    cfg.draws = 100;
    if (measure_run(&src, c, &cfg, &r, &e) < 0)
        fail_msg("%s (%s)", e.text, e.where);
    return r;
}

/* The edges are known to half a sample each: |error| <= dt/2 * (i(t0) + i(t1)) * V, plus float32 samples. */
static void check(struct wave w, double edge_amps) {
    static const double rates[] = {1e3, 1e4, 99999, 1e6};
    static const double shifts[] = {0, 0.1, 0.37, 0.5, 0.93};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (size_t s = 0; s < sizeof shifts / sizeof shifts[0]; s++)
            for (int phase = 0; phase <= 2; phase++) {
                struct wave x = w;
                struct measure_capture c;
                x.dt = 1 / rates[r];
                x.t0 += shifts[s] * x.dt;
                x.t1 += shifts[(s + 2) % 5] * x.dt;
                x.phi = phase / 2.0;
                capture_of(&x, &c);
                struct measure_result res = result_of(&x, &c);
                assert_true(res.windows[0].found);
                double want = V * (x.charge(&x, x.t1) - x.charge(&x, x.t0)), err = fabs(res.windows[0].energy_j - want);
                if (!(err <= 0.5001 * x.dt * edge_amps * V + 1e-7 * want))
                    fail_msg("rate %g, shift %g, phase %g: %.12g J instead of %.12g J", rates[r], shifts[s], x.phi, res.windows[0].energy_j, want);
                assert_true(fabs(res.windows[0].duration_s - (x.t1 - x.t0)) <= 1.0001 * x.dt);
            }
}

static void constant_wave(void **state) {
    (void)state;
    check((struct wave){.charge = constant, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 0.010}, 0.020);
}

static void ramp_wave(void **state) {
    (void)state;
    check((struct wave){.charge = ramp, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 0.001, .b = 0.03}, 0.0041 + 0.0116);
}

static void pwm_wave(void **state) {
    (void)state;
    check((struct wave){.charge = pwm, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 0.00123}, 0.040);
}

static void rc_wave(void **state) {
    (void)state;
    check((struct wave){.charge = rc_edge, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 0.002}, 0.040);
}

/* On the grid, with the marker read in the middle of the cell, nothing is lost at all. */
static void exact_on_the_grid(void **state) {
    (void)state;
    struct wave w = {.charge = constant, .dt = 1.0 / 1024, .t0 = 100.0 / 1024, .t1 = 356.0 / 1024, .end = 0.5, .a = 1.0 / 64, .phi = 0.5};
    struct measure_capture c;
    capture_of(&w, &c);
    struct measure_result r = result_of(&w, &c);
    assert_true(r.windows[0].energy_j == V * 256 / 1024 / 64);
    assert_true(r.windows[0].duration_s == 0.25);
}

/* Measured in front of 1 kohm and 10 uF the charge of the capacitor comes late: E_dut = E_meas + V*C*R*(i(t1) - i(t0)). */
static void rc_term_is_corrected(void **state) {
    (void)state;
    struct wave w = {.charge = rc_edge, .dt = 1e-5, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 1000 * 10e-6, .phi = 0.5};
    struct measure_capture c;
    capture_of(&w, &c);
    c.instrument.ranges[0].shunt_ohm = 1000;
    c.supply.capacitance_f = 10e-6;
    double truth = V * 0.020 * (w.t1 - w.t0);
    struct measure_result r = result_of(&w, &c);
    double corrected = fabs(r.windows[0].energy_j - truth);
    c.supply.capacitance_f = 0;
    r = result_of(&w, &c);
    double plain = fabs(r.windows[0].energy_j - truth);
    assert_true(plain > 0.03 * truth); /* 10 ms of 250 ms */
    assert_true(corrected < 1e-3 * truth);
}

static void memory_does_not_grow(void **state) {
    (void)state;
    struct wave w = {.charge = constant, .dt = 1e-5, .t0 = 0.1, .t1 = 0.35, .end = 0.5, .a = 0.010, .phi = 0.5};
    struct measure_capture c;
    capture_of(&w, &c);
    (void)result_of(&w, &c);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    w.end = 200; /* 20 million samples */
    w.t1 = 150;
    struct measure_result r = result_of(&w, &c);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(r.samples, 20000000);
    assert_true(after.ru_maxrss <= before.ru_maxrss + 4096); /* KiB, the peak; the samples alone would be 100 MB */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_wave), cmocka_unit_test(ramp_wave),       cmocka_unit_test(pwm_wave),          cmocka_unit_test(rc_wave),
        cmocka_unit_test(exact_on_the_grid), cmocka_unit_test(rc_term_is_corrected), cmocka_unit_test(memory_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
