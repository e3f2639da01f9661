/* SPDX-License-Identifier: GPL-2.0-or-later
 * The `accuracy` object of an analyzer: symmetric limits, and limits of [-below, +above] as a correction with what remains. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "drivers/power/conf.h"

static int read_accuracy(const char *text, struct power_accuracy *a, struct err *e) {
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    *e = (struct err){0};
    int r = power_conf_accuracy(j, a, e);
    json_decref(j);
    return r;
}

static bool is(double got, double want) {
    return fabs(got - want) < 1e-15;
}

static void limits(void **state) {
    struct power_accuracy a;
    struct err e;
    (void)state;
    assert_int_equal(read_accuracy("{\"accuracy\": {\"current_gain\": 0.02, \"current_offset_a\": 1e-4, \"kind\": \"limit\"}}", &a, &e), 0);
    assert_true(a.given && a.kind == POWER_SPEC_LIMIT);
    assert_true(is(a.current_gain, 0.02) && is(a.current_gain_corr, 0) && is(a.current_offset_a, 1e-4) && is(a.current_offset_corr_a, 0));
    assert_int_equal(read_accuracy("{\"accuracy\": {\"current_gain\": 0.08, \"current_gain_below\": 0.02, \"current_offset_a\": 1e-4, "
                                   "\"current_offset_below_a\": 3e-4, \"kind\": \"typical\"}}",
                                   &a, &e),
                     0);
    assert_true(is(a.current_gain_corr, 0.03) && is(a.current_gain, 0.05)); /* [-2 %, +8 %] */
    assert_true(is(a.current_offset_corr_a, -1e-4) && is(a.current_offset_a, 2e-4)); /* [-300, +100] uA */
    assert_int_equal(read_accuracy("{}", &a, &e), 0);
    assert_true(!a.given && a.kind == POWER_SPEC_UNKNOWN && is(a.current_gain_corr, 0));
}

static void refused(void **state) {
    static const struct {
        const char *text, *where;
    } cases[] = {{"{\"accuracy\": {\"kind\": \"limit\"}}", "current_gain"},
                 {"{\"accuracy\": {\"current_gain\": 0.1}}", "accuracy.kind"},
                 {"{\"accuracy\": {\"current_gain\": 0.1, \"current_gain_below\": -0.1, \"kind\": \"k2\"}}", "current_gain_below"},
                 {"{\"accuracy\": {\"current_gain\": 0.1, \"current_offset_below_a\": \"x\", \"kind\": \"k2\"}}", "current_offset_below_a"},
                 {"{\"accuracy\": 7}", "accuracy"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct power_accuracy a;
        struct err e;
        assert_int_equal(read_accuracy(cases[i].text, &a, &e), JF_E_INVAL);
        assert_string_equal(e.where, cases[i].where);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits), cmocka_unit_test(refused)};
    return cmocka_run_group_tests_name("power_conf", tests, NULL, NULL);
}
