/* SPDX-License-Identifier: GPL-2.0-or-later
 * Window rules times marker schemes: each window's energy and duration against sums made here, sample by sample, from the same capture
 * and the rule's own words. The rule eembc against the loop that defines it, and against arguments that would keep that loop busy for
 * years. Numbers, rates and indices that nobody could have measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>

#include "measure/rules.h"
#include "tests/unit/measure/judge.h"

/* ---- the definition of eembc -------------------------------------------------------------------------------- */
static void eembc_by_definition(double fs, double t0, double t1, int64_t *ret_a, int64_t *ret_b) {
    double t = 0, dt = 1 / fs;
    int64_t n = 0;
    for (; t < t0; n++)
        t += dt;
    *ret_a = n;
    for (; t < t1; n++)
        t += dt;
    *ret_b = n;
}

static void eembc_is_its_loop(void **state) {
    struct measure_rng g;
    (void)state;
    measure_rng_init(&g, 3);
    for (int i = 0; i < 2000; i++) {
        /* the published 1 kHz, any rate, and rates whose period is a short binary fraction (ties in rounding) */
        double fs = i % 3 == 0 ? 1000 : i % 3 == 1 ? exp(measure_rng_uniform(&g) * 16 - 2) : ldexp(1 + i % 7 / 4.0, i % 20 - 4);
        double t1 = measure_rng_uniform(&g) * 2e5 / fs, t0 = t1 * measure_rng_uniform(&g);
        if (i % 5 == 0) { /* exactly at a sample */
            t0 = floor(t0 * fs) / fs;
            t1 = floor(t1 * fs) / fs;
        }
        int64_t a, b, want_a, want_b;
        eembc_by_definition(fs, t0, t1, &want_a, &want_b);
        measure_rule_eembc(fs, t0, t1, &a, &b);
        if (a != want_a || b != want_b)
            fail_msg("fs %.17g, %.17g to %.17g: [%lld, %lld) instead of [%lld, %lld)", fs, t0, t1, (long long)a, (long long)b, (long long)want_a,
                     (long long)want_b);
    }
}

static void eembc_comes_back(void **state) {
    static const double odd[] = {0, -1, 1e-300, 1e300, 1e-9, 1e18, NAN, INFINITY, -INFINITY, 5e-324, 1.7e308};
    const int n = (int)(sizeof odd / sizeof odd[0]);
    (void)state;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++) {
                int64_t a = -1, b = -1;
                measure_rule_eembc(odd[i], odd[j], odd[k], &a, &b);
                assert_true(a >= 0 && a <= b && b <= MEASURE_RULE_MAX);
            }
}

/* ---- rules and schemes on a capture ------------------------------------------------------------------------------ */
struct samples {
    float *i;
    uint8_t *m;
    int64_t n;
};

static int keep(void *user, const struct measure_block *b) {
    struct samples *s = user;
    s->i = realloc(s->i, (size_t)(b->first + b->count) * sizeof *s->i);
    s->m = realloc(s->m, (size_t)(b->first + b->count));
    assert_true(s->i && s->m);
    memcpy(s->i + b->first, b->current_a, b->count * sizeof *s->i);
    memcpy(s->m + b->first, b->markers, b->count);
    s->n = b->first + b->count;
    return 0;
}

/* Edges of window k on line 0, by looking: its fall and rise (phases), or the k-th pair of falls (mlperf). */
static void edges_by_eye(const struct samples *s, enum measure_scheme scheme, int k, int64_t *ret_n0, int64_t *ret_n1) {
    int falls = 0;
    *ret_n0 = *ret_n1 = -1;
    for (int64_t n = 1; n < s->n && *ret_n1 < 0; n++) {
        bool fall = (s->m[n - 1] & 1) && !(s->m[n] & 1), rise = !(s->m[n - 1] & 1) && (s->m[n] & 1);
        if (scheme == MEASURE_SCHEME_PHASES) {
            if (fall && falls++ == k)
                *ret_n0 = n;
            if (rise && *ret_n0 >= 0)
                *ret_n1 = n;
        } else if (fall) {
            if (falls == 2 * k)
                *ret_n0 = n;
            if (falls == 2 * k + 1)
                *ret_n1 = n;
            falls++;
        }
    }
}

static long double cells_between(const struct samples *s, double x0, double x1) {
    long double sum = 0;
    for (int64_t n = (int64_t)floor(x0); n < (int64_t)ceil(x1); n++) {
        double from = fmax(x0, (double)n), to = fmin(x1, (double)n + 1);
        sum += (long double)s->i[n] * (long double)(to - from);
    }
    return sum;
}

static void capture_of(struct synth *s, enum measure_scheme scheme, double phi) {
    synth_init(s, 1e-3, 3.0); /* coarse, as published sessions are */
    s->noise_a = 1e-4;
    s->phi = s->cap_.instrument.marker_phase = phi;
    s->cap_.scheme = scheme;
    synth_hold(s, 4.0003, 0.002, 3);
    for (int k = 0; k < 5; k++) {
        synth_idle(s, 1.2, 0.002);
        if (scheme == MEASURE_SCHEME_PHASES)
            synth_window(s, 200, &usual, 0.004);
        else
            synth_window_mlperf(s, 200, 0.0082, 0.030, 0.004, 0.003);
    }
    synth_hold(s, 4.5, 0.002, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
}

static void every_rule_in_every_scheme(void **state) {
    static const double phases[] = {0.5, 0.25, 1};
    (void)state;
    for (int c = 0; c < 2 * 3 * 3; c++) {
        enum measure_scheme scheme = c % 2 ? MEASURE_SCHEME_PHASES : MEASURE_SCHEME_MLPERF;
        enum measure_rule rule = (enum measure_rule)(c / 2 % 3);
        double phi = phases[c / 6];
        struct synth s;
        struct samples all = {0};
        struct measure_config cfg;
        struct err e = {0};
        struct measure_result *r = calloc(1, sizeof *r);
        assert_non_null(r);
        capture_of(&s, scheme, phi);
        struct measure_source src = synth_source(&s);
        assert_int_equal(src.each(src.self, 0, INT64_MAX / 4, MEASURE_WANT_MARKERS | MEASURE_WANT_VALUES, keep, &all, &e), 0);
        measure_config_init(&cfg);
        cfg.draws = 100;
        cfg.rule = rule;
        if (measure_run(&src, &s.cap_, &cfg, r, &e) < 0)
            fail_msg("%s", e.text);
        assert_int_equal(r->n_usable, 5);
        for (int k = 0; k < 5; k++) {
            int64_t n0, n1, a, b;
            edges_by_eye(&all, scheme, k, &n0, &n1);
            double x0 = (double)n0 + phi - 0.5, x1 = (double)n1 + phi - 0.5, duration = (x1 - x0) * s.dt;
            if (rule == MEASURE_RULE_EEMBC) {
                eembc_by_definition(1 / s.dt, x0 * s.dt, x1 * s.dt, &a, &b);
                x0 = (double)a;
                x1 = (double)b;
            } else if (rule == MEASURE_RULE_MLCOMMONS) {
                x0 = (double)n0;
                x1 = (double)n1;
                duration = (double)n1 / (1 / s.dt) - (double)n0 / (1 / s.dt);
            }
            double want = (double)cells_between(&all, x0, x1) * 3.0 * s.dt;
            if (!(fabs(r->windows[k].energy_j - want) <= 1e-12 * want) || !(fabs(r->windows[k].duration_s - duration) <= 1e-12 * duration))
                fail_msg("%s, %s, phi %g, window %d: %.17g J, %.17g s instead of %.17g J, %.17g s", measure_scheme_name(scheme), measure_rule_name(rule), phi,
                         k, r->windows[k].energy_j, r->windows[k].duration_s, want, duration);
        }
        free(all.i);
        free(all.m);
        free(r);
        synth_done(&s);
    }
}

/* ---- what nobody measured --------------------------------------------------------------------------------------------- */
struct odd_source {
    struct measure_source inner;
    int64_t at, shift;
    float value;
    struct measure_block copy;
    float current[SYNTH_BLOCK];
    measure_block_fn *fn;
    void *user;
};

static int odd_block(void *user, const struct measure_block *b) {
    struct odd_source *o = user;
    o->copy = *b;
    if (b->current_a) {
        memcpy(o->current, b->current_a, b->count * sizeof *o->current);
        if (o->at >= b->first && o->at < b->first + b->count)
            o->current[o->at - b->first] = o->value;
        o->copy.current_a = o->current;
    }
    o->copy.first += o->shift;
    return o->fn(o->user, &o->copy);
}

static int odd_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    struct odd_source *o = self;
    o->fn = fn;
    o->user = user;
    return o->inner.each(o->inner.self, from - o->shift, to - o->shift, want, odd_block, o, reterr);
}

static int run_odd(struct synth *s, struct odd_source *o, struct measure_config *cfg, struct measure_result *r, struct err *e) {
    struct measure_source src = {.each = odd_each, .self = o};
    o->inner = synth_source(s);
    *e = (struct err){0};
    return measure_run(&src, &s->cap_, cfg, r, e);
}

static void a_sample_that_is_no_number(void **state) {
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int c = 0; c < 6; c++) {
        struct synth s;
        struct odd_source o = {.value = odd[c % 3]};
        struct measure_config cfg;
        struct err e;
        struct measure_result *r = calloc(1, sizeof *r);
        assert_non_null(r);
        synth_init(&s, 1e-4, 3.0);
        synth_usual(&s, 6, 50, &usual, 0.002, 4);
        measure_config_init(&cfg);
        cfg.draws = 1000;
        bool idle = c >= 3;
        o.at = (int64_t)((idle ? 4.6 : s.win[2].t0 + 0.1) / s.dt);
        assert_int_equal(run_odd(&s, &o, &cfg, r, &e), 0);
        assert_int_equal(r->n_usable, idle ? 6 : 5);
        assert_int_equal(r->reasons[MEASURE_R_SAMPLE_GAP].windows, idle ? 0 : 1u << 2);
        assert_int_equal(r->verdict, MEASURE_VALID);
        assert_true(isfinite(r->energy.median) && isfinite(r->energy.u95) && isfinite(r->net.median) && isfinite(r->net.u95));
        assert_true(fabs(r->energy.median - synth_truth(&s, 0) / 50) < 1e-3 * r->energy.median);
        assert_true(fabs(r->idle.power_w - 0.006) < 1e-6 && isfinite(r->power_peak_w));
        free(r);
        synth_done(&s);
    }
}

static void indices_beyond_reason(void **state) {
    static const int64_t shifts[] = {(int64_t)1 << 51, -((int64_t)1 << 51), (int64_t)1 << 53, -((int64_t)1 << 60)};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int rule = 0; rule < 3; rule++) {
            struct synth s;
            struct odd_source o = {.at = -1, .shift = shifts[i]};
            struct measure_config cfg;
            struct err e;
            struct measure_result *r = calloc(1, sizeof *r);
            assert_non_null(r);
            synth_init(&s, 1e-4, 3.0);
            synth_usual(&s, 5, 20, &usual, 0.002, 4);
            measure_config_init(&cfg);
            cfg.draws = 100;
            cfg.rule = (enum measure_rule)rule;
            int rc = run_odd(&s, &o, &cfg, r, &e);
            if (i < 2)
                assert_int_equal(rc, 0); /* far out, and judged as it is: host times fit no more */
            else
                assert_true(rc < 0 && e.text[0]);
            free(r);
            synth_done(&s);
        }
}

static void thresholds_out_of_bounds(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double value;
    } cases[] = {{"glitch_s", 1e300}, {"glitch_s", -1}, {"idle_guard_s", 1e300}, {"idle_block_s", 0}, {"idle_block_s", NAN}, {"loss_block_s", 0}, {"loss_block_s", 1e-300},
                 {"idle_min_s", INFINITY}, {"stage_min_samples", -1}, {"steady_p", 2}, {"min_windows", 65}, {"loss_hold", 0}, {"loss_samples", 0}, {"draws", 4e9},
                 {"draws", 0}};
    struct synth s;
    struct measure_result *r = calloc(1, sizeof *r);
    assert_non_null(r);
    synth_init(&s, 1e-4, 3.0);
    synth_usual(&s, 2, 20, &usual, 0.002, 4);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct measure_config cfg;
        struct err e = {0};
        struct measure_source src = synth_source(&s);
        measure_config_init(&cfg);
        const struct {
            const char *name;
            double *d;
            int *n;
        } at[] = {{"glitch_s", &cfg.glitch_s, NULL}, {"idle_guard_s", &cfg.idle_guard_s, NULL}, {"idle_block_s", &cfg.idle_block_s, NULL},
                  {"loss_block_s", &cfg.loss_block_s, NULL}, {"idle_min_s", &cfg.idle_min_s, NULL}, {"stage_min_samples", &cfg.stage_min_samples, NULL},
                  {"steady_p", &cfg.steady_p, NULL}, {"min_windows", NULL, &cfg.min_windows}, {"loss_hold", NULL, &cfg.loss_hold},
                  {"loss_samples", NULL, &cfg.loss_samples}};
        if (strcmp(cases[i].name, "draws") == 0)
            cfg.draws = (uint32_t)cases[i].value;
        for (size_t k = 0; k < sizeof at / sizeof at[0]; k++)
            if (strcmp(at[k].name, cases[i].name) == 0) {
                if (at[k].d)
                    *at[k].d = cases[i].value;
                else
                    *at[k].n = (int)cases[i].value;
            }
        if (measure_run(&src, &s.cap_, &cfg, r, &e) != JF_E_INVAL)
            fail_msg("%s = %g passed", cases[i].name, cases[i].value);
        assert_string_equal(e.where, cases[i].name);
    }
    free(r);
    synth_done(&s);
}

static void captures_out_of_bounds(void **state) {
    (void)state;
    struct synth s;
    struct measure_result *r = calloc(1, sizeof *r);
    assert_non_null(r);
    synth_init(&s, 1e-4, 3.0);
    synth_usual(&s, 2, 20, &usual, 0.002, 4);
    struct measure_capture *good = malloc(sizeof *good), *c = &s.cap_;
    assert_non_null(good);
    *good = *c;
    for (int i = 0; i < 12; i++) {
        struct measure_config cfg;
        struct err e = {0};
        struct measure_source src = synth_source(&s);
        measure_config_init(&cfg);
        *c = *good;
        switch (i) {
        case 0: c->instrument.period_s = 1e-300; break;
        case 1: c->instrument.period_s = NAN; break;
        case 2: c->instrument.ranges[0].shunt_ohm = 1e300; break;
        case 3: c->instrument.ranges[1].gain_corr_rel = -1; break;
        case 4: c->instrument.ranges[1].offset_corr_a = INFINITY; break;
        case 5: c->instrument.voltage_gain_corr_rel = NAN; break;
        case 6: c->supply.capacitance_f = 1e30; break;
        case 7: c->requests[0].sent_ns = INT64_MIN; break;
        case 8: c->requests[1].ready_ns = INT64_MAX; break;
        case 9: c->requests[0].segment = -7; break;
        case 10: c->stretches[0].from_ns = INT64_MIN; break;
        default: c->stretches[0].to_ns = INT64_MAX; break;
        }
        if (measure_run(&src, c, &cfg, r, &e) != JF_E_INVAL)
            fail_msg("case %d passed", i);
        assert_true(e.where[0] && e.text[0]);
    }
    free(good);
    free(r);
    synth_done(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eembc_is_its_loop),        cmocka_unit_test(eembc_comes_back),      cmocka_unit_test(every_rule_in_every_scheme),
        cmocka_unit_test(a_sample_that_is_no_number), cmocka_unit_test(indices_beyond_reason), cmocka_unit_test(thresholds_out_of_bounds),
        cmocka_unit_test(captures_out_of_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
