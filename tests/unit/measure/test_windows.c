/* SPDX-License-Identifier: GPL-2.0-or-later
 * Windows, energies, stages and latency of captures whose truth is known in closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "tests/unit/measure/synth.h"

static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};

static void near_rel(double got, double want, double rel) {
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("got %.12g, want %.12g within %g (off by %.3g)", got, want, rel, (got - want) / want);
}

static struct measure_result *run(struct synth *s) {
    struct measure_config cfg;
    struct measure_source src = synth_source(s);
    struct measure_result *r = calloc(1, sizeof *r);
    struct err e = {0};
    measure_config_init(&cfg);
    cfg.draws = 2000;
    assert_non_null(r);
    if (measure_run(&src, &s->cap_, &cfg, r, &e) < 0)
        fail_msg("measure_run: %s (%s)", e.text, e.where);
    return r;
}

static void usual_run_is_valid(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    s.noise_a = 1e-5;
    synth_usual(&s, 5, 50, &usual, 0.002, 4);
    struct measure_result *r = run(&s);
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (r->reasons[c].raised)
            print_message("%s: %s\n", measure_code_word((enum measure_code)c), r->reasons[c].text);
    assert_int_equal(r->verdict, MEASURE_VALID);
    assert_int_equal(r->n_usable, 5);
    for (int k = 0; k < 5; k++) {
        near_rel(r->windows[k].energy_j, synth_truth(&s, k), 1e-4);
        near_rel(r->windows[k].duration_s, s.win[k].t1 - s.win[k].t0, 1e-4);
        near_rel(r->windows[k].net_energy_j, synth_truth(&s, k) - 0.006 * (s.win[k].t1 - s.win[k].t0), 2e-4);
    }
    near_rel(r->idle.power_w, 0.006, 1e-3);
    near_rel(r->energy.median, synth_truth(&s, 0) / 50, 1e-4);
    near_rel(r->latency.median, (s.win[0].t1 - s.win[0].t0) / 50, 1e-4);
    near_rel(r->clock.device_over_trace, 1, 1e-4);
    assert_string_equal(r->clock.by, "device");
    free(r);
    synth_done(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(usual_run_is_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
