/* SPDX-License-Identifier: GPL-2.0-or-later
 * The quick form of the coverage study: U95 covers the truth in at least 90 of 100 runs, gross and net, for three fixed seeds and each
 * instrument model. It can also cover too often: a U95 that is simply large is no achievement, so 100 of 100 everywhere fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "tests/bench/coverage.h"

static void covers(const char *name, uint64_t seeds) {
    int gross = 0, net = 0, judged = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (int m = 0; m < COVERAGE_MODELS; m++) {
            if (strcmp(coverage_models[m].name, name) != 0)
                continue;
            struct coverage c = coverage_of(&coverage_models[m], seed, 100, 5000);
            assert_int_equal(c.runs, 100);
            assert_in_range(c.judged, 90, 100);
            if (c.gross * 100 < 90 * c.judged || c.net * 100 < 90 * c.judged)
                fail_msg("%s, seed %d: %d gross and %d net of %d covered", name, (int)seed, c.gross, c.net, c.judged);
            gross += c.gross;
            net += c.net;
            judged += c.judged;
        }
    assert_true(gross < judged && net < judged);
    assert_true(gross * 1000 <= 985 * judged && net * 1000 <= 985 * judged);
}

static void ppk2_like(void **state) {
    (void)state;
    covers("ppk2-like", 3);
}

static void ppk2_calibrated(void **state) {
    (void)state;
    covers("ppk2-calibrated", 1);
}

static void scope_like(void **state) {
    (void)state;
    covers("scope-like", 3);
}

static void scope_scatter(void **state) {
    (void)state;
    covers("scope-scatter", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ppk2_like), cmocka_unit_test(ppk2_calibrated), cmocka_unit_test(scope_like),
                                       cmocka_unit_test(scope_scatter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
