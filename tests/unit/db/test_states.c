/* SPDX-License-Identifier: GPL-2.0-or-later
 * Every (state, event) pair of the four machines against pictures written by hand from the design: a letter is the
 * successor, '.' refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "db/store.h"

/* picture[from][event]: letter of the successor in `letters`. */
static void check(const struct sm_table *t, const char *letters, const char *const *picture) {
    assert_int_equal(strlen(letters), t->n_states);
    for (int from = 0; from < t->n_states; from++) {
        assert_int_equal(strlen(picture[from]), t->n_events);
        for (int event = 0; event < t->n_events; event++) {
            struct err e = {0};
            int to = sm_next(t, from, event, &e);
            const char *want = strchr(letters, picture[from][event]);
            if (want) {
                assert_int_equal(to, want - letters);
            } else {
                assert_int_equal(to, JF_E_CONFLICT);
                assert_non_null(strstr(e.text, t->events[event]));
            }
        }
    }
}

static void test_job(void **state) {
    (void)state;
    /* queued active done failed canceled; claim requeue finish fail cancel */
    static const char *const picture[] = {"a..fc", ".qdfc", ".....", ".....", "....."};
    check(&store_job_machine, "qadfc", picture);
}

static void test_attempt(void **state) {
    (void)state;
    /* claim Prepare Flash Arm Run aNalyse Store rElease sUcceeded faIled Canceled Lost; to_prepare..to_release, succeed
     * fail cancel lose */
    static const char *const picture[] = {
        "pfarnseUICL", ".farnseUICL", "..arnseUICL", "...rnseUICL", "....nseUICL", ".....seUICL",
        "......eUICL", ".......UICL", "...........", "...........", "...........", "...........",
    };
    check(&store_attempt_machine, "cpfarnseUICL", picture);
}

static void test_lease(void **state) {
    (void)state;
    /* held released expired; renew release expire claim */
    static const char *const picture[] = {"hre.", "...h", "...h"};
    check(&store_lease_machine, "hre", picture);
}

static void test_bench(void **state) {
    (void)state;
    /* idle leased recovering maintenance offline; ready claim release lose safe give-up drain restore */
    static const char *const picture[] = {"il.r..m.", "..ir....", "...room.", "...m..mo", "i..r.om."};
    check(&store_bench_machine, "ilrmo", picture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_job), cmocka_unit_test(test_attempt),
                                       cmocka_unit_test(test_lease), cmocka_unit_test(test_bench)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
