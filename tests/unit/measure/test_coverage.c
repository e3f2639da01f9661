/* SPDX-License-Identifier: GPL-2.0-or-later
 * The committed table of the coverage study (tests/bench/coverage.md) says that U95 covers 930 to 970 of 1000 runs for each instrument
 * model, gross and net, and nearly so in two repeats; and its first runs, made again here, still come out as the table has them. So neither a U95 that became too small nor one
 * that became comfortably large passes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "tests/bench/coverage.h"

#define TABLE "tests/bench/coverage.md"

struct row {
    int runs, valid, gross, net; /* gross, net: of 1000 */
    double u_gross, u_net; /* % */
    int first[3]; /* valid, gross, net of the first COVERAGE_FIRST runs; seed 1 only */
};

/* The row of a model and seed: cells between bars. */
static struct row row_of(const char *model, int seed) {
    char line[512], want[64];
    struct row r = {0};
    FILE *f = fopen(TABLE, "r");
    if (!f)
        fail_msg("cannot open %s (tests run from the top of the tree)", TABLE);
    snprintf(want, sizeof want, "| %s |", model);
    while (fgets(line, sizeof line, f)) {
        char *cell = line;
        int at = 0;
        if (strncmp(line, want, strlen(want)) != 0)
            continue;
        for (int bars = 0; bars < 3 && cell; bars++)
            cell = strchr(cell + (bars > 0), '|');
        if (!cell || sscanf(cell, "| %d | %d | %d | %d | %d | %lf %% | %lf %% |", &at, &r.runs, &r.valid, &r.gross, &r.net, &r.u_gross, &r.u_net) != 7)
            fail_msg("the row of %s cannot be read: %s", model, line);
        if (at != seed)
            continue;
        char *last = strrchr(cell, '%');
        if (seed == 1 && (!last || sscanf(last, "%% | %d, %d, %d", &r.first[0], &r.first[1], &r.first[2]) != 3))
            fail_msg("the first runs of %s cannot be read: %s", model, line);
        fclose(f);
        return r;
    }
    fclose(f);
    fail_msg("%s has no row for %s, seed %d", TABLE, model, seed);
    return r;
}

static void table_covers(void **state) {
    (void)state;
    for (int m = 0; m < COVERAGE_MODELS; m++)
        for (int seed = 1; seed <= 3; seed++) {
            struct row r = row_of(coverage_models[m].name, seed);
            assert_int_equal(r.runs, 1000);
            assert_in_range(r.valid, 900, 1000);
            int slack = seed == 1 ? 20 : 26; /* repeats of the study: one of fifty may lie beyond three standard errors of 7 */
            assert_in_range(r.gross, 950 - slack, 950 + slack);
            assert_in_range(r.net, 950 - slack, 950 + slack);
        }
}

static void first_runs_again(void **state) {
    (void)state;
    for (int m = 0; m < COVERAGE_MODELS; m++) {
        const struct coverage_model *model = &coverage_models[m];
        struct row r = row_of(model->name, 1);
        struct coverage c = coverage_of(model, 1, COVERAGE_FIRST, COVERAGE_DRAWS);
        assert_int_equal(c.runs, COVERAGE_FIRST);
        if (c.judged != r.first[0] || c.gross != r.first[1] || c.net != r.first[2])
            fail_msg("%s: %d valid, %d gross and %d net covered; the table says %d, %d, %d", model->name, c.judged, c.gross, c.net, r.first[0], r.first[1], r.first[2]);
        /* the mean over 40 runs against that over 1000: the widths differ little from run to run */
        if (fabs(100 * c.u_rel_gross / r.u_gross - 1) > 0.08 || fabs(100 * c.u_rel_net / r.u_net - 1) > 0.08)
            fail_msg("%s: mean U95 %.3f and %.3f %%; the table says %.3f and %.3f %%", model->name, 100 * c.u_rel_gross, 100 * c.u_rel_net, r.u_gross, r.u_net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(table_covers), cmocka_unit_test(first_runs_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
