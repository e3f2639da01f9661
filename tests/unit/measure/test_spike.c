/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2's spike filter: by hand from the vendor's rules, and in an analysis against a second filter written here, which looks at every sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>

#include "measure/spike.h"
#include "tests/unit/measure/judge.h"

static void by_hand(void **state) {
    /* ten samples of 1 A in range 0, then 5 A. 0.18 and 0.06 are the weights of what is new. */
    static const struct {
        int range;
        double want[5];
    } cases[] = {{1, {1.72, 2.3104, 2.794528, 5, 5}}, {4, {1, 1, 1.24, 5, 5}}};
    (void)state;
    for (int c = 0; c < 2; c++) {
        struct spike_filter f;
        double y;
        spike_init(&f);
        for (int i = 0; i < 10; i++) {
            assert_false(spike_sample(&f, 1, 0, &y));
            assert_true(y == 1);
        }
        for (int i = 0; i < 5; i++) {
            assert_int_equal(spike_sample(&f, 5, cases[c].range, &y), i < 3);
            assert_true(fabs(y - cases[c].want[i]) < 1e-12);
        }
    }
}

/* Every sample, no shortcut; differences by (filtered - raw) only. */
struct plain {
    double fast, slow, extra;
    int last, since, n;
    int64_t from, to, replaced;
};

static int plain_block(void *user, const struct measure_block *b) {
    struct plain *p = user;
    for (uint32_t k = 0; k < b->count; k++) {
        int64_t n = b->first + k;
        if (n < p->from || n >= p->to)
            continue;
        double x = (double)b->current_a[k];
        int r = b->range[k];
        p->since = p->n > 0 && r != p->last ? 0 : p->since + 1;
        bool kept_out = r == 4 && p->since < 2;
        if (p->n == 0)
            p->fast = p->slow = x;
        else if (!kept_out) {
            p->fast = 0.18 * x + 0.82 * p->fast;
            p->slow = 0.06 * x + 0.94 * p->slow;
        }
        if (p->since < 3) {
            p->extra += (r == 4 ? p->slow : p->fast) - x;
            p->replaced++;
        }
        p->last = r;
        p->n++;
    }
    return 0;
}

static void beside_the_raw_figure(void **state) {
    (void)state;
    for (int driver = 0; driver < 2; driver++) {
        struct synth s;
        struct measure_config cfg;
        struct err e = {0};
        struct measure_result *r = calloc(1, sizeof *r);
        assert_non_null(r);
        synth_init(&s, 1e-5, 3.0);
        s.phi = 0.5;
        synth_usual(&s, 5, 50, &usual, 0.002, 4);
        s.noise_a = 1e-5;
        s.with_range = s.auto_range = true;
        s.range_amp = 0.020; /* each inference goes up and down */
        snprintf(s.cap_.instrument.driver, sizeof s.cap_.instrument.driver, "%s", driver ? "sigrok" : "ppk2");
        measure_config_init(&cfg);
        cfg.draws = 100;
        cfg.rule = MEASURE_RULE_MLCOMMONS; /* whole samples */
        struct measure_source src = synth_source(&s);
        assert_int_equal(measure_run(&src, &s.cap_, &cfg, r, &e), 0);
        if (driver) { /* another instrument has no such figure */
            assert_true(isnan(r->quality.spike_energy_j) && isnan(r->windows[0].spike_energy_j));
        } else {
            for (int k = 0; k < 5; k++) {
                struct plain p = {.last = -1, .since = 1000};
                p.from = (int64_t)nearbyint(r->windows[k].from_s / s.dt);
                p.to = (int64_t)nearbyint(r->windows[k].to_s / s.dt);
                assert_int_equal(src.each(src.self, p.from, p.to, MEASURE_WANT_VALUES, plain_block, &p, &e), 0);
                assert_int_equal(p.replaced, 2 * 50 * 3);
                double got = r->windows[k].spike_energy_j - r->windows[k].energy_j, want = p.extra * 3.0 * s.dt;
                if (!(fabs(got - want) < 1e-5 * fabs(want)))
                    fail_msg("window %d: the filter adds %.9g J instead of %.9g J", k, got, want);
                assert_true(fabs(r->windows[k].spike_share * (double)(p.to - p.from) - (double)p.replaced) < 1e-6);
            }
            assert_true(fabs(r->energy.median - synth_truth(&s, 0) / 50) < 1e-3 * r->energy.median); /* the raw one is untouched */
            /* real edges of 20 mA, smoothed over: up they lose, down they gain */
            assert_true(fabs(r->quality.spike_energy_j - r->energy.median) > 1e-5 * r->energy.median);
        }
        free(r);
        synth_done(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(beside_the_raw_figure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
