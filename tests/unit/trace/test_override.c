/* SPDX-License-Identifier: GPL-2.0-or-later
 * Overrides of a re-analysis: every threshold of the stored configuration can be set, nothing else, and only within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/trace/override.h"
#include "measure/trace/result_json.h"

static void test_all(void **state) {
    (void)state;
    struct measure_config cfg;
    double phase = (double)NAN;
    const char *key;
    json_t *v;
    measure_config_init(&cfg);
    json_t *all = measure_config_json(&cfg);
    json_object_foreach(all, key, v) { /* its own value is within the bounds and changes nothing */
        struct measure_config copy = cfg;
        struct err e = {0};
        if (trace_override(key, v, &copy, &phase, &e) < 0) {
            fail_msg("%s: %s", key, e.text);
        }
        json_t *after = measure_config_json(&copy);
        assert_true(json_equal(all, after));
        json_decref(after);
    }
    json_decref(all);
    assert_true(isnan(phase));
}

static void test_text(void **state) {
    (void)state;
    struct measure_config cfg;
    double phase = (double)NAN;
    struct err e = {0};
    measure_config_init(&cfg);
    assert_int_equal(trace_override_text("rule=eembc", &cfg, &phase, &e), 0);
    assert_int_equal(trace_override_text("edge_rel=0.25", &cfg, &phase, &e), 0);
    assert_int_equal(trace_override_text("min_windows=3", &cfg, &phase, &e), 0);
    assert_int_equal(trace_override_text("marker_phase=0.75", &cfg, &phase, &e), 0);
    assert_int_equal(cfg.rule, MEASURE_RULE_EEMBC);
    assert_true(cfg.edge_rel == 0.25 && cfg.min_windows == 3 && phase == 0.75);
    static const char *const bad[] = {"", "=1", "edge_rel", "edge_rel=", "edge_rel=x", "edge_rel=-1", "edge_rel=1e999", "edge_rel=nan", "min_windows=1.5", "min_windows=65", "rule=best", "rule=", "rule=1",
                                      "draws=0", "draws=4000000000", "idle_block_s=0", "loss_block_s=0", "marker_phase=1.01", "marker_phase=-0.1", "Rule=edge", "nonsense=1", "edge_rel=[1]",
                                      "a_key_that_is_longer_than_any_key_of_the_table_could_be=1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct measure_config before = cfg;
        double phase_before = phase;
        if (trace_override_text(bad[i], &cfg, &phase, &e) != JF_E_INVAL) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_memory_equal(&before, &cfg, sizeof cfg);
        assert_true(phase_before == phase);
        assert_true(e.text[0] != '\0');
    }
    assert_int_equal(trace_override_text("nonsense=1", &cfg, &phase, &e), JF_E_INVAL);
    assert_non_null(strstr(e.text, "spread_rel")); /* it lists what is known */
    assert_string_equal(e.where, "nonsense");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
