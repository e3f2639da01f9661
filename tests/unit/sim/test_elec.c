/* SPDX-License-Identifier: GPL-2.0-or-later
 * The electrical model against closed forms: rectangles, the RC step response, droop, bounded history, wire faults. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "sim/faults.h"
#include "tests/unit/sim/load.h"

static void close_to(double got, double want, double rel) {
    if (!(fabs(got - want) <= rel * fabs(want))) {
        fail_msg("got %.17g, want %.17g within %g", got, want, rel);
    }
}

static struct elec *make(double ohm, double farad, struct faults *f) {
    struct elec_conf c = {.supply_v = 3.3, .supply_on = true, .shunt_ohm = ohm, .capacitance_f = farad, .faults = f};
    struct elec *e = NULL;
    assert_int_equal(elec_new(&c, &e, NULL), 0);
    return e;
}

/* 1000 periods of 3 us at 20 mA and 7 us at 5 mA: mean 9.5 mA whatever the slices. */
static void square_wave_exact(void **state) {
    (void)state;
    struct elec *e = make(0, 0, NULL);
    for (int k = 0; k < 1000; k++) {
        load_for(e, 3 * US, 1 * US, 20e-3);
        load_for(e, 7 * US, 3 * US, 5e-3);
    }
    struct elec_totals t;
    elec_totals_now(e, &t);
    close_to(t.load_c.hi + t.load_c.lo, 9.5e-3 * 10e-3, 1e-14);
    close_to(t.load_j.hi + t.load_j.lo, 3.3 * 9.5e-3 * 10e-3, 1e-14);
    close_to(elec_current_mean_a(e, 0, 10 * MS), 9.5e-3, 1e-13);
    close_to(elec_current_mean_a(e, 1 * US, 4 * US), (2 * 20e-3 + 1 * 5e-3) / 3, 1e-13);
    close_to(elec_voltage_mean_v(e, 0, MS), 3.3, 1e-15);
    elec_free(e);
}

/* Step 0 -> I behind R and C: i_a = I (1 - exp(-t/RC)); Q(T) = I (T - tau (1 - exp(-T/tau))). */
static void rc_step(void **state) {
    (void)state;
    const double r = 10.0;
    const double c = 10e-6; /* tau = 100 us */
    const double tau = r * c;
    const double i = 30e-3;
    for (int slice = 0; slice < 3; slice++) {
        static const int64_t slices[] = {7 * US, 100 * US, 1000 * US};
        struct elec *e = make(r, c, NULL);
        load_for(e, MS, 100 * US, 0.0);
        load_for(e, MS, slices[slice], i);
        double q = i * (1e-3 - tau * -expm1(-1e-3 / tau));
        close_to(elec_current_mean_a(e, MS, 2 * MS), q / 1e-3, 1e-12);
        double part = i * (50e-6 - tau * (exp(-100e-6 / tau) - exp(-150e-6 / tau)));
        close_to(elec_current_mean_a(e, MS + 100 * US, MS + 150 * US), part / 50e-6, 1e-11);
        close_to(elec_voltage_mean_v(e, MS, 2 * MS), 3.3 - r * q / 1e-3, 1e-12);
        struct elec_totals t;
        elec_totals_now(e, &t);
        /* load: I times the mean pin voltage; source = pin + R i_a^2 losses, an identity that checks pin_j */
        close_to(t.load_j.hi, i * (3.3 * 1e-3 - r * q), 1e-12);
        double x = exp(-1e-3 / tau);
        double square = i * i * (1e-3 - 2 * tau * (1 - x) + tau / 2 * (1 - x * x));
        close_to(t.pin_j.hi, 3.3 * q - r * square, 1e-12);
        /* what left the source minus what the load took sits on the capacitor: dQ = C dV */
        double dv = -r * i * -expm1(-1e-3 / tau);
        close_to(t.pin_c.hi - t.load_c.hi, c * dv, 1e-9);
        elec_free(e);
    }
}

static void droop(void **state) {
    (void)state;
    struct elec *e = make(2.0, 0, NULL);
    load_for(e, MS, MS, 50e-3);
    close_to(elec_supply_v(e), 3.2, 1e-12);
    elec_supply_set(e, false, 3.3);
    load_for(e, MS, MS, 50e-3); /* whatever the board says: no source, no current */
    assert_true(elec_supply_v(e) == 0.0);
    assert_true(elec_current_mean_a(e, MS, 2 * MS) == 0.0);
    assert_false(elec_supply_on(e));
    elec_free(e);
}

/* 40 s of alternating 0.1 ms slices: bounded, at least 12 s kept, sums exact. */
static void long_history(void **state) {
    (void)state;
    struct elec *e = make(0, 0, NULL);
    for (int k = 0; k < 200000; k++) {
        load_for(e, MS / 10, MS / 10, 20e-3);
        load_for(e, MS / 10, MS / 10, 10e-3);
    }
    int64_t now = elec_now_ps(e);
    assert_true(now == 40 * ELEC_PS_PER_S);
    assert_true(now - elec_history_from_ps(e) >= 12 * ELEC_PS_PER_S);
    assert_true(now - elec_history_from_ps(e) <= 15 * ELEC_PS_PER_S);
    close_to(elec_current_mean_a(e, now - 12 * ELEC_PS_PER_S, now), 15e-3, 1e-12);
    struct elec_totals t, u;
    elec_totals_now(e, &t);
    close_to(t.load_c.hi + t.load_c.lo, 0.6, 1e-15);
    elec_totals_at(e, now - 10 * ELEC_PS_PER_S - MS / 20, &u);
    close_to(elec_sum_diff(t.load_c, u.load_c), 15e-3 * 10 + 10e-3 * 0.05e-3, 1e-13);
    elec_free(e);
}

static void sleeping_is_cheap(void **state) {
    (void)state;
    struct elec *e = make(0, 0, NULL);
    load_for(e, 100 * ELEC_PS_PER_S, MS, 1e-3);
    assert_true(elec_now_ps(e) - elec_history_from_ps(e) >= 12 * ELEC_PS_PER_S);
    struct elec_cursor cur = {0};
    double a, v;
    int64_t flat = elec_flat(e, &cur, 95 * ELEC_PS_PER_S, &a, &v);
    assert_true(flat > 95 * ELEC_PS_PER_S);
    close_to(a, 1e-3, 1e-12);
    elec_free(e);
}

static void cursor_agrees(void **state) {
    (void)state;
    struct elec *e = make(3.0, 2e-6, NULL);
    for (int k = 0; k < 500; k++) {
        load_for(e, (k % 7 + 1) * 3 * US, 2 * US, (k % 11) * 2e-3);
    }
    struct elec_cursor cur = {0};
    for (int64_t t = 0; t + 10 * US <= elec_now_ps(e); t += 10 * US) {
        double a, v;
        elec_cell(e, &cur, t, t + 10 * US, &a, &v);
        assert_true(fabs(a - elec_current_mean_a(e, t, t + 10 * US)) < 1e-15);
    }
    elec_free(e);
}

static void markers_and_wires(void **state) {
    (void)state;
    struct faults *f = NULL;
    assert_int_equal(faults_new(&f, NULL), 0);
    struct elec *e = make(0, 0, f);
    load_mark(e, 0x01);
    load_for(e, 10 * MS, MS, 1e-3);
    load_mark(e, 0x00);
    load_for(e, 10 * MS, MS, 1e-3);
    assert_int_equal(elec_markers_at(e, 10 * MS - 1), 0x01);
    assert_int_equal(elec_markers_at(e, 10 * MS), 0x00);

    json_t *p = json_pack("{s:i, s:f}", "line", 0, "us", 1500.0);
    assert_int_equal(faults_set(f, "marker-delay", true, p, NULL), 0);
    json_decref(p);
    assert_int_equal(elec_markers_at(e, 11 * MS + 400 * US), 0x01);
    assert_int_equal(elec_markers_at(e, 11 * MS + 500 * US), 0x00);
    assert_int_equal(faults_set(f, "marker-delay", false, NULL, NULL), 0);

    assert_int_equal(faults_set(f, "marker-open", true, NULL, NULL), 0); /* line 0 floats high */
    assert_int_equal(elec_markers_at(e, 15 * MS), 0x01);
    assert_int_equal(elec_markers_true(e), 0x00);
    assert_int_equal(faults_set(f, "marker-open", false, NULL, NULL), 0);

    p = json_pack("{s:i, s:i}", "line", 3, "level", 1);
    assert_int_equal(faults_set(f, "marker-stuck", true, p, NULL), 0);
    json_decref(p);
    assert_int_equal(elec_markers_at(e, 15 * MS), 0x08);
    elec_free(e);
    faults_free(f);
}

static void brown_out(void **state) {
    (void)state;
    struct faults *f = NULL;
    assert_int_equal(faults_new(&f, NULL), 0);
    struct elec *e = make(0, 0, f);
    load_for(e, MS, MS, 10e-3);
    json_t *p = json_pack("{s:f, s:f, s:i}", "v", 1.5, "s", 0.002, "count", 1);
    assert_int_equal(faults_set(f, "brown-out", true, p, NULL), 0);
    json_decref(p);
    load_for(e, MS, MS, 10e-3);
    close_to(elec_supply_v(e), 1.5, 1e-12);
    close_to(elec_voltage_mean_v(e, MS, 2 * MS), 1.5, 1e-12);
    load_for(e, 3 * MS, MS, 10e-3);
    close_to(elec_supply_v(e), 3.3, 1e-12);
    close_to(elec_voltage_mean_v(e, MS, 5 * MS), (2 * 1.5 + 2 * 3.3) / 4, 1e-12);
    elec_free(e);
    faults_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(square_wave_exact), cmocka_unit_test(rc_step),       cmocka_unit_test(droop),
        cmocka_unit_test(long_history),      cmocka_unit_test(sleeping_is_cheap), cmocka_unit_test(cursor_agrees),
        cmocka_unit_test(markers_and_wires), cmocka_unit_test(brown_out),
    };
    return cmocka_run_group_tests_name("elec", tests, NULL, NULL);
}
