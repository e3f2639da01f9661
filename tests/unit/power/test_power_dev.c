/* SPDX-License-Identifier: GPL-2.0-or-later
 * The wrapper around power drivers, over a driver that does whatever the case tells it to: order of calls, missing slots,
 * and each block invariant P1..P5 of drivers/power/power.c broken once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/power/power.h"

static struct power_block plan[3]; /* what the next pump delivers */
static int n_plan;
static float amps[4] = {0.1f, 0.2f, 0.3f, 0.4f};
static uint8_t ranges[4] = {0, 1, 1, 0};

static int t_open(const json_t *conf, const struct clock_src *clock, void **ret_dev, struct err *reterr) {
    (void)clock;
    if (json_object_get(conf, "fail")) {
        return err_set(reterr, JF_E_INSTRUMENT, "told to fail");
    }
    *ret_dev = plan;
    return 0;
}
static int t_info(void *dev, struct power_info *ret_info) {
    (void)dev;
    *ret_info = (struct power_info){.driver = "test", .n_ranges = 2};
    return 0;
}
static int t_setup(void *dev, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    (void)dev;
    (void)reterr;
    *ret_granted = *asked;
    return 0;
}
static int t_ok(void *dev, struct err *reterr) {
    (void)dev;
    (void)reterr;
    return 0;
}
static int t_pump(void *dev, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    (void)dev;
    (void)budget_ms;
    (void)reterr;
    for (int i = 0; i < n_plan; i++) {
        int r = fn(user, &plan[i]);
        if (r < 0) {
            return r;
        }
    }
    return n_plan;
}
static void t_close(void *dev, bool leave_supply_on) {
    (void)dev;
    (void)leave_supply_on;
}
static const struct power_driver stream = {.name = "test", .open = t_open, .info = t_info, .setup = t_setup, .start = t_ok, .pump = t_pump, .stop = t_ok, .close = t_close};

static int take(void *user, const struct power_block *b) {
    *(int64_t *)user += b->count;
    return 0;
}

static struct power_dev *opened(void) {
    struct power_dev *d = NULL;
    json_t *conf = json_object();
    assert_int_equal(power_dev_open(&stream, conf, clock_system(), &d, NULL), 0);
    json_decref(conf);
    return d;
}
static struct power_dev *running(void) {
    struct power_dev *d = opened();
    struct power_setup s = {.trigger_marker = -1};
    assert_int_equal(power_dev_setup(d, &s, NULL, NULL), 0);
    assert_int_equal(power_dev_start(d, NULL), 0);
    return d;
}
static struct power_block good(int64_t first, uint32_t count) {
    return (struct power_block){.first = first, .count = count, .period_s = 1e-5, .current_a = amps, .range = ranges};
}

static void test_order(void **state) {
    (void)state;
    struct power_dev *d = opened();
    int64_t n = 0;
    struct err e = {0};
    bool on = false;
    double v = 0;
    assert_int_equal(power_dev_start(d, &e), JF_E_CONFLICT);
    assert_int_equal(power_dev_pump(d, 0, take, &n, &e), JF_E_CONFLICT);
    assert_int_equal(power_dev_arm(d, &e), JF_E_UNSUPPORTED);
    assert_int_equal(power_dev_supply(d, POWER_SUPPLY_ON, 3.3, &on, &v, &e), JF_E_UNSUPPORTED);
    assert_int_equal(power_dev_stop(d, &e), 0);
    struct power_setup s = {.rate_hz = NAN, .trigger_marker = -1};
    assert_int_equal(power_dev_setup(d, &s, NULL, &e), JF_E_INVAL);
    s.rate_hz = 1;
    assert_int_equal(power_dev_setup(d, &s, NULL, &e), 0);
    assert_int_equal(power_dev_start(d, &e), 0);
    assert_int_equal(power_dev_start(d, &e), JF_E_CONFLICT);
    assert_int_equal(power_dev_setup(d, &s, NULL, &e), JF_E_CONFLICT);
    assert_int_equal(power_dev_pump(d, -1, take, &n, &e), JF_E_INVAL);
    power_dev_cancel(d); /* no slot: nothing happens */
    power_dev_close(d, false);
    power_dev_close(NULL, false);
}

static void test_open(void **state) {
    (void)state;
    struct power_dev *d = NULL;
    struct err e = {0};
    json_t *bad = json_pack("{s:b}", "fail", 1), *ok = json_object();
    assert_int_equal(power_dev_open(&stream, bad, clock_system(), &d, &e), JF_E_INSTRUMENT);
    assert_int_equal(power_dev_open(NULL, ok, clock_system(), &d, &e), JF_E_INVAL);
    assert_int_equal(power_dev_open(&stream, NULL, clock_system(), &d, &e), JF_E_INVAL);
    struct power_driver half = stream;
    half.pump = NULL;
    assert_int_equal(power_dev_open(&half, ok, clock_system(), &d, &e), JF_E_BUG);
    assert_null(d);
    json_decref(bad);
    json_decref(ok);
}

static void test_good_blocks(void **state) {
    (void)state;
    struct power_dev *d = running();
    int64_t n = 0;
    plan[0] = good(0, 4);
    plan[1] = (struct power_block){.first = 4, .count = 36, .period_s = 1e-5, .flags = POWER_GAP};
    plan[2] = good(40, 2);
    n_plan = 3;
    assert_int_equal(power_dev_pump(d, 0, take, &n, NULL), 3);
    assert_int_equal(n, 42);
    power_dev_close(d, false);
}

static void test_bad_blocks(void **state) {
    (void)state;
    static float broken[4] = {0.1f, NAN, 0.1f, 0.1f};
    static uint8_t beyond[4] = {0, 1, 2, 0};
    for (int k = 0; k < 11; k++) {
        struct power_dev *d = running();
        struct err e = {0};
        int64_t n = 0;
        plan[0] = good(0, 4);
        plan[1] = good(4, 4);
        n_plan = 2;
        struct power_block *b = &plan[1];
        switch (k) {
        case 0: b->count = 0; break;
        case 1: b->count = UINT32_MAX; break;
        case 2: b->first = 5; break;
        case 3: b->first = 3; break;
        case 4: b->period_s = 0; break;
        case 5: b->period_s = NAN; break;
        case 6: b->period_s = 2e-5; break;
        case 7: b->current_a = NULL; break;
        case 8: b->flags = POWER_GAP; break; /* with arrays */
        case 9: b->current_a = broken; break;
        default: b->range = beyond; break;
        }
        assert_int_equal(power_dev_pump(d, 0, take, &n, &e), JF_E_BUG);
        assert_int_equal(e.code, JF_E_BUG);
        assert_int_equal(n, 4); /* the sound block before it was delivered, the bad one not */
        power_dev_close(d, false);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_open), cmocka_unit_test(test_good_blocks), cmocka_unit_test(test_bad_blocks)};
    return cmocka_run_group_tests_name("power_dev", tests, NULL, NULL);
}
