/* SPDX-License-Identifier: GPL-2.0-or-later
 * Statistics against published tables, kappa against its own definition by simulation, and the Monte Carlo quantile against
 * distributions whose quantile is known in closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "measure/analysis.h"
#include "measure/stats.h"

static void near(double got, double want, double tol) {
    if (!(fabs(got - want) <= tol))
        fail_msg("got %.12g, want %.12g +- %g", got, want, tol);
}

/* Student's t, two-sided 95 % and 99 %, as in every table. */
static void t_quantiles(void **state) {
    (void)state;
    static const struct {
        int dof;
        double q975, q995;
    } table[] = {{1, 12.706, 63.657}, {2, 4.303, 9.925}, {3, 3.182, 5.841}, {4, 2.776, 4.604}, {5, 2.571, 4.032}, {9, 2.262, 3.250},
                 {10, 2.228, 3.169},  {20, 2.086, 2.845}, {30, 2.042, 2.750}, {120, 1.980, 2.617}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        near(measure_t_quantile(0.975, table[i].dof), table[i].q975, 6e-4);
        near(measure_t_quantile(0.995, table[i].dof), table[i].q995, 6e-4);
        near(measure_t_quantile(0.025, table[i].dof), -table[i].q975, 6e-4);
        near(measure_t_cdf(measure_t_quantile(0.9, table[i].dof), table[i].dof), 0.9, 1e-12);
    }
    near(measure_t_cdf(1, 1), 0.75, 1e-14); /* Cauchy: 1/2 + atan(1)/pi */
    near(measure_t_quantile(0.975, 1e7), 1.959964, 1e-5);
}

static void medians(void **state) {
    (void)state;
    near(measure_median((double[]){5, 1, 3}, 3), 3, 0);
    near(measure_median((double[]){4, 1, 3, 2}, 4), 2.5, 0);
    near(measure_stddev((double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8), sqrt(32.0 / 7), 1e-15);
    assert_true(isnan(measure_stddev((double[]){1}, 1)));
}

/* Anscombe's first quartet: slope 0.5001, standard error 0.1179, p = 0.00217. */
static void slope_of_anscombe(void **state) {
    (void)state;
    static const double x[] = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}, y[] = {8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};
    double b, p;
    measure_slope(x, y, 11, &b, &p);
    near(b, 0.5001, 5e-5);
    near(p, 0.00217, 5e-6);
    measure_slope(x, x, 11, &b, &p);
    near(b, 1, 1e-15);
    near(p, 0, 1e-12);
}

#define DRAWS 200000
static int by_value(const void *a, const void *b) {
    double x, y;
    x = *(const double *)a;
    y = *(const double *)b;
    return (x > y) - (x < y);
}

/* kappa_n: 95 % quantile of |median|/s of n normal values, over t(0.975, n-1). */
static void kappa_by_simulation(void **state) {
    (void)state;
    static const int sizes[] = {3, 4, 5, 6, 7, 8, 10, 12, 15, 19, 20, 25, 30};
    double *v = malloc(DRAWS * sizeof *v);
    struct measure_rng g;
    measure_rng_init(&g, 42);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int n = sizes[s];
        for (int d = 0; d < DRAWS; d++) {
            double x[32];
            for (int i = 0; i < n; i++)
                x[i] = measure_rng_normal(&g);
            double sd = measure_stddev(x, n);
            v[d] = fabs(measure_median(x, (size_t)n)) / sd;
        }
        qsort(v, DRAWS, sizeof *v, by_value);
        double kappa = v[(int)(0.95 * DRAWS)] / measure_t_quantile(0.975, n - 1);
        near(measure_kappa(n), kappa, 0.012 * kappa);
    }
    /* as the specification prints them */
    near(measure_kappa(3), 0.594, 5e-4);
    near(measure_kappa(5), 0.486, 5e-4);
    near(measure_kappa(7), 0.427, 5e-4);
    near(measure_kappa(10), 0.357, 5e-4);
    free(v);
}

static void d2_by_simulation(void **state) {
    (void)state;
    struct measure_rng g;
    measure_rng_init(&g, 7);
    for (int n = 2; n <= 25; n++) {
        double sum = 0;
        for (int d = 0; d < 40000; d++) {
            double lo = INFINITY, hi = -INFINITY;
            for (int i = 0; i < n; i++) {
                double x = measure_rng_normal(&g);
                lo = fmin(lo, x);
                hi = fmax(hi, x);
            }
            sum += hi - lo;
        }
        near(measure_d2(n), sum / 40000, 0.02);
    }
}

static void quantile_of_known_sums(void **state) {
    (void)state;
    double uc, u95;
    struct measure_component one[] = {{.distribution = "normal", .u = 2}};
    assert_int_equal(budget_evaluate(one, 1, DRAWS, 1, &uc, &u95), 0);
    near(uc, 2, 1e-15);
    near(u95, 2 * 1.959964, 0.02);
    one[0].distribution = "rectangular";
    assert_int_equal(budget_evaluate(one, 1, DRAWS, 1, &uc, &u95), 0);
    near(u95, 2 * sqrt(3) * 0.95, 0.01);
    one[0].distribution = "t";
    one[0].dof = 4;
    assert_int_equal(budget_evaluate(one, 1, DRAWS, 1, &uc, &u95), 0);
    near(u95, 2 * 2.776, 0.05);
    /* two equal rectangular components: triangular on +-2a, 95 % of |x| at 2a(1 - sqrt(0.05)) */
    struct measure_component two[] = {{.distribution = "rectangular", .u = 1 / sqrt(3)}, {.distribution = "rectangular", .u = 1 / sqrt(3)}};
    assert_int_equal(budget_evaluate(two, 2, DRAWS, 1, &uc, &u95), 0);
    near(u95, 2 * (1 - sqrt(0.05)), 0.01);
    near(uc, sqrt(2.0 / 3), 1e-15);
    /* the same seed gives the same digits */
    double again;
    assert_int_equal(budget_evaluate(two, 2, DRAWS, 1, &uc, &again), 0);
    assert_true(again == u95);
    assert_int_equal(budget_evaluate(two, 0, DRAWS, 1, &uc, &again), 0);
    assert_true(again == 0 && uc == 0);
}

static void kernel_sums(void **state) {
    (void)state;
    float c[777], v[777];
    struct measure_rng g;
    measure_rng_init(&g, 11);
    for (int i = 0; i < 777; i++) {
        c[i] = (float)(measure_rng_uniform(&g) - 0.2);
        v[i] = (float)(3 + 0.1 * measure_rng_uniform(&g));
    }
    for (size_t n = 1; n <= 777; n += 31) {
        long double si = 0, sp = 0, sv = 0, pm = -1e9L;
        float lo = INFINITY, hi = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            si += (long double)c[i];
            sv += (long double)v[i];
            long double p = (long double)c[i] * (long double)v[i];
            sp += p;
            pm = p > pm ? p : pm;
            lo = fminf(lo, c[i]);
            hi = fmaxf(hi, c[i]);
        }
        struct measure_sums s;
        measure_sums(c, v, NAN, n, &s);
        near(s.i, (double)si, 1e-12);
        near(s.p, (double)sp, 1e-12);
        near(s.v, (double)sv, 1e-11);
        near(s.p_max, (double)pm, 1e-12);
        assert_true(s.i_min == lo && s.i_max == hi);
        measure_sums(c, NULL, 3, n, &s);
        near(s.p, 3 * (double)si, 1e-12);
        near(s.v, 3.0 * (double)n, 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_quantiles),      cmocka_unit_test(medians),          cmocka_unit_test(slope_of_anscombe),
        cmocka_unit_test(kappa_by_simulation), cmocka_unit_test(d2_by_simulation), cmocka_unit_test(quantile_of_known_sums),
        cmocka_unit_test(kernel_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
