/* SPDX-License-Identifier: GPL-2.0-or-later
 * Calibration records: what supersedes what, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/calibration.h"

#define NOW 1795219200000000000LL /* 2026-11-21 */

static struct measure_instrument table(void) {
    struct measure_capture *c = calloc(1, sizeof *c);
    assert_non_null(c);
    measure_capture_init(c);
    struct measure_instrument in = c->instrument;
    free(c);
    snprintf(in.serial, sizeof in.serial, "F0E1");
    snprintf(in.spec_source, sizeof in.spec_source, "the model's table");
    in.n_ranges = 3;
    for (int i = 0; i < 3; i++)
        in.ranges[i] = (struct measure_range){.gain_rel = 0.10, .offset_a = 1e-6, .shunt_ohm = 10, .kind = MEASURE_SPEC_TYPICAL};
    in.clock_ppm = 100;
    return in;
}

static int apply(const char *record, struct measure_instrument *in, struct err *e) {
    char text[1024];
    json_error_t je;
    snprintf(text, sizeof text, "{\"calibration_record\": %s}", record);
    json_t *j = json_loads(text, 0, &je);
    if (!j)
        fail_msg("%s", je.text);
    *e = (struct err){0};
    int rc = calibration_apply(j, NOW, in, e);
    json_decref(j);
    return rc;
}

#define HEAD "\"id\": \"K-7\", \"unit_serial\": \"F0E1\", \"date\": \"2026-03-02\", \"kind\": \"k2\""

static void supersedes_where_it_speaks(void **state) {
    struct measure_instrument in = table();
    struct err e;
    (void)state;
    int rc = apply("{" HEAD ", \"due\": \"2027-03-02\", \"temperature_c\": 23, \"clock_ppm\": 5, \"voltage\": {\"gain_high\": 0.001}, \"ranges\": ["
                   "{\"range\": 1, \"gain_low\": -0.01, \"gain_high\": 0.03, \"offset_low_a\": -1e-6, \"offset_high_a\": 3e-6}]}", &in, &e);
    if (rc < 0)
        fail_msg("%s", e.text);
    assert_true(fabs(in.ranges[1].gain_corr_rel - 0.01) < 1e-15 && fabs(in.ranges[1].gain_rel - 0.02) < 1e-15);
    assert_true(fabs(in.ranges[1].offset_corr_a - 1e-6) < 1e-18 && fabs(in.ranges[1].offset_a - 2e-6) < 1e-18);
    assert_int_equal(in.ranges[1].kind, MEASURE_SPEC_K2);
    assert_true(fabs(in.ranges[1].shunt_ohm - 10) < 1e-12);
    assert_int_equal(in.ranges[0].kind, MEASURE_SPEC_TYPICAL); /* it does not speak of range 0 */
    assert_true(fabs(in.ranges[0].gain_rel - 0.10) < 1e-15);
    assert_true(fabs(in.voltage_gain_rel - 0.001) < 1e-15 && fabs(in.voltage_gain_corr_rel) < 1e-15);
    assert_int_equal(in.voltage_kind, MEASURE_SPEC_K2);
    assert_true(fabs(in.clock_ppm - 5) < 1e-12 && fabs(in.calibration_c - 23) < 1e-12);
    assert_string_equal(in.calibration, "K-7");
    assert_string_equal(in.spec_source, "calibration K-7 of 2026-03-02");
    assert_false(in.calibration_expired);
}

static void expires(void **state) {
    static const struct {
        const char *due;
        bool expired;
    } cases[] = {{"2026-11-20", true}, {"2026-11-21", false}, {"2030-01-01", false}, {"2025-12-31", true}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct measure_instrument in = table();
        struct err e;
        char record[256];
        snprintf(record, sizeof record, "{" HEAD ", \"due\": \"%s\"}", cases[i].due);
        assert_int_equal(apply(record, &in, &e), 0);
        assert_int_equal(in.calibration_expired, cases[i].expired);
    }
}

static void refused(void **state) {
    static const struct {
        const char *record, *says;
        int code;
    } cases[] = {
        {"{\"id\": \"K-7\", \"unit_serial\": \"OTHER\", \"date\": \"2026-03-02\", \"kind\": \"k2\"}", "unit OTHER", JF_E_IDENTITY},
        {"{\"unit_serial\": \"F0E1\", \"date\": \"2026-03-02\", \"kind\": \"k2\"}", "needs an id", JF_E_INVAL},
        {"{\"id\": \"K-7\", \"unit_serial\": \"F0E1\", \"date\": \"2.3.2026\", \"kind\": \"k2\"}", "YYYY-MM-DD", JF_E_INVAL},
        {"{\"id\": \"K-7\", \"unit_serial\": \"F0E1\", \"date\": \"2026-03-02\", \"kind\": \"typical\"}", "limit or k2", JF_E_INVAL},
        {"{" HEAD ", \"ranges\": [{\"range\": 3, \"gain_high\": 0.1}]}", "ranges 0 to 2", JF_E_INVAL},
        {"{" HEAD ", \"ranges\": [{\"range\": 0}]}", "gain_high", JF_E_INVAL},
        {"{" HEAD ", \"ranges\": [{\"range\": 0, \"gain_low\": 0.2, \"gain_high\": 0.1}]}", "in this order", JF_E_INVAL},
        {"{" HEAD ", \"voltage\": {\"gain_low\": -0.1}}", "gain_high", JF_E_INVAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct measure_instrument in = table();
        struct err e;
        int rc = apply(cases[i].record, &in, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].says))
            fail_msg("%s: %d %s", cases[i].record, rc, e.text);
        assert_true(strncmp(e.where, "analyzer.calibration_record", 27) == 0);
    }
}

static void none_changes_nothing(void **state) {
    struct measure_instrument in = table(), before = in;
    struct err e;
    (void)state;
    assert_int_equal(apply("null", &in, &e), 0);
    assert_memory_equal(&in, &before, sizeof in);
    assert_int_equal(calibration_apply(NULL, NOW, &in, &e), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(supersedes_where_it_speaks), cmocka_unit_test(expires), cmocka_unit_test(refused),
                                       cmocka_unit_test(none_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
