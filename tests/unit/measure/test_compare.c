/* SPDX-License-Identifier: GPL-2.0-or-later
 * Comparison of two results. Expected: root sums by hand and the distribution of a difference of two rectangles (a triangle). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/compare.h"

struct pair {
    struct measure_figure_stat fa, fb;
    struct compare_side a, b;
    struct compare_config cfg;
    struct compare_result r;
};

static void line(struct measure_figure_stat *f, const char *name, const char *distribution, double u, const char *source) {
    struct measure_component *c = &f->budget[f->n_budget++];
    *c = (struct measure_component){.distribution = distribution, .type = 'B', .negative = u < 0, .u = fabs(u), .dof = INFINITY};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->source, sizeof c->source, "%s", source);
}

static struct compare_side side(const struct measure_figure_stat *f) {
    return (struct compare_side){.model = "sha256:aa", .voltage_v = 3.0, .plane = "board-pin", .rule = "edge", .method = "mlperf-tiny",
                                 .inputs = "5 inputs sha256:bb", .core_hz = 280e6, .idle_state = "wfi", .gross = f};
}

static struct pair *pair_new(double a, double b) {
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->fa = (struct measure_figure_stat){.has = true, .u_known = true, .median = a};
    p->fb = (struct measure_figure_stat){.has = true, .u_known = true, .median = b};
    p->a = side(&p->fa);
    p->b = side(&p->fb);
    compare_config_init(&p->cfg);
    return p;
}

static void go(struct pair *p) {
    struct err e = {0};
    if (compare_results(&p->a, &p->b, &p->cfg, &p->r, &e) < 0)
        fail_msg("compare_results: %s", e.text);
}

static void near_rel(double got, double want, double rel) {
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("got %.9g, want %.9g", got, want);
}

/* u^2 = 3^2 + 4^2; 95 % of a normal. */
static void nothing_shared(void **state) {
    (void)state;
    struct pair *p = pair_new(100, 89);
    line(&p->fa, "scatter", "normal", 3, "");
    line(&p->fb, "scatter", "normal", 4, "");
    go(p);
    assert_true(p->r.gross.has);
    near_rel(p->r.gross.u_c, 5, 1e-12);
    near_rel(p->r.gross.u95, 5 * 1.959964, 0.01);
    assert_int_equal(p->r.gross.n_shared, 0);
    assert_true(p->r.gross.differs); /* 11 > 9.8 */
    p->fb.median = 91;
    go(p);
    assert_false(p->r.gross.differs); /* 9 < 9.8 */
    free(p);
}

/* One gain of one unit: 10 % of 100 and of 90 leave 10 % of the difference. */
static void a_shared_gain_cancels(void **state) {
    (void)state;
    struct pair *p = pair_new(100, 90);
    line(&p->fa, "gain[2]", "rectangular", 10, "ppk2 PPK2 F0, table");
    line(&p->fb, "gain[2]", "rectangular", 9, "ppk2 PPK2 F0, table");
    line(&p->fa, "scatter", "normal", 0.3, "");
    line(&p->fb, "scatter", "normal", 0.4, "");
    go(p);
    assert_int_equal(p->r.gross.n_shared, 1);
    assert_string_equal(p->r.gross.shared[0], "gain[2]");
    near_rel(p->r.gross.u_c, sqrt(1 + 0.25), 1e-12); /* sqrt(10^2 + 9^2 - 2*10*9 + 0.3^2 + 0.4^2) */
    assert_true(p->r.gross.differs);
    assert_true(p->r.gross.u95_unshared > 20); /* it would have hidden the difference */
    free(p);
}

/* Not the same error: another unit, another calibration, another range, an unknown unit. */
static void what_is_not_shared(void **state) {
    static const struct {
        const char *name, *source;
    } other[] = {{"gain[2]", "ppk2 PPK2 F1, table"}, {"gain[2]", "ppk2 PPK2 F0, record 7"}, {"gain[1]", "ppk2 PPK2 F0, table"}, {"gain[2]", ""}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pair *p = pair_new(100, 90);
        line(&p->fa, "gain[2]", "rectangular", 10, i == 3 ? "" : "ppk2 PPK2 F0, table");
        line(&p->fb, other[i].name, "rectangular", 10, other[i].source);
        go(p);
        assert_int_equal(p->r.gross.n_shared, 0);
        near_rel(p->r.gross.u_c, 10 * sqrt(2), 1e-12);
        /* Sum of two rectangles of half width a: 95 % of the triangle lie within 2a(1 - sqrt 0.05). */
        near_rel(p->r.gross.u95, 2 * 10 * sqrt(3) * (1 - sqrt(0.05)), 0.01);
        free(p);
    }
}

/* Net figures: a line that lifts one and lowers the other adds up. */
static void opposite_signs_add(void **state) {
    (void)state;
    struct pair *p = pair_new(10, 9);
    line(&p->fa, "gain[0]", "normal", 1, "u");
    line(&p->fb, "gain[0]", "normal", -2, "u");
    go(p);
    near_rel(p->r.gross.u_c, 3, 1e-12);
    free(p);
}

static void each_unlike_thing_refuses(void **state) {
    (void)state;
    for (int k = COMPARE_MODEL; k < COMPARE_N_KEYS; k++) {
        for (int unknown = 0; unknown < 2; unknown++) {
            struct pair *p = pair_new(100, 90);
            line(&p->fa, "scatter", "normal", 1, "");
            line(&p->fb, "scatter", "normal", 1, "");
            p->a.net = &p->fa;
            p->b.net = &p->fb;
            char *text[COMPARE_N_KEYS] = {[COMPARE_MODEL] = p->b.model,   [COMPARE_PLANE] = p->b.plane,   [COMPARE_RULE] = p->b.rule,
                                          [COMPARE_METHOD] = p->b.method, [COMPARE_INPUTS] = p->b.inputs, [COMPARE_IDLE_STATE] = p->b.idle_state};
            if (text[k])
                snprintf(text[k], 8, "%s", unknown ? "" : "other");
            else if (k == COMPARE_VOLTAGE)
                p->b.voltage_v = unknown ? NAN : 3.04;
            else
                p->b.core_hz = unknown ? NAN : 279e6;
            go(p);
            assert_int_equal(p->r.n_unlike, 1);
            assert_int_equal(p->r.unlike[0].key, k);
            assert_non_null(strstr(p->r.unlike[0].text, compare_key_name((enum compare_key)k)));
            assert_int_equal(p->r.refused, k != COMPARE_IDLE_STATE);
            assert_int_equal(p->r.gross.has, k == COMPARE_IDLE_STATE);
            assert_true(p->r.net_refused && !p->r.net.has);
            free(p);
        }
    }
}

static void invalid_is_never_compared(void **state) {
    (void)state;
    struct pair *p = pair_new(100, 90);
    p->b.verdict = MEASURE_INVALID;
    p->cfg.force = true;
    go(p);
    assert_true(p->r.refused && !p->r.gross.has);
    assert_int_equal(p->r.unlike[0].key, COMPARE_VERDICT);
    p->b.verdict = MEASURE_SUSPECT; /* may be compared: its reasons stand beside it */
    line(&p->fa, "scatter", "normal", 1, "");
    line(&p->fb, "scatter", "normal", 1, "");
    go(p);
    assert_true(p->r.gross.has && !p->r.forced);
    free(p);
}

static void unknown_uncertainty_never_differs(void **state) {
    (void)state;
    struct pair *p = pair_new(100, 1);
    p->fb.u_known = false;
    go(p);
    assert_true(p->r.gross.has && !p->r.gross.u_known && !p->r.gross.differs && isnan(p->r.gross.u95));
    p->fb.u_known = true;
    line(&p->fb, "scatter", "normal", NAN, "");
    struct err e = {0};
    assert_int_equal(compare_results(&p->a, &p->b, &p->cfg, &p->r, &e), JF_E_INVAL);
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_shared), cmocka_unit_test(a_shared_gain_cancels), cmocka_unit_test(what_is_not_shared), cmocka_unit_test(opposite_signs_add),
        cmocka_unit_test(each_unlike_thing_refuses), cmocka_unit_test(invalid_is_never_compared),
        cmocka_unit_test(unknown_uncertainty_never_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
