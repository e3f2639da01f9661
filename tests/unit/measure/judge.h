/* SPDX-License-Identifier: GPL-2.0-or-later
 * A synthetic capture judged, and its figures looked at: what the tests of whole analyses share. Include behind cmocka.h. */
#ifndef TESTS_JUDGE_H
#define TESTS_JUDGE_H

#include "tests/unit/measure/synth.h"

/* One inference of 8.2 ms: input, inference, output, post, a pause. */
static const struct synth_inference usual __attribute__((unused)) = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};

/* The caller frees. cfg NULL: the defaults, with 2000 draws. An error is a failed test. */
static inline struct measure_result *judge(struct synth *s, const struct measure_config *cfg) {
    struct measure_config quick;
    struct measure_source src = synth_source(s);
    struct measure_result *r = calloc(1, sizeof *r);
    struct err e = {0};
    measure_config_init(&quick);
    quick.draws = 2000;
    assert_non_null(r);
    if (measure_run(&src, &s->cap_, cfg ? cfg : &quick, r, &e) < 0)
        fail_msg("measure_run: %s (%s)", e.text, e.where);
    return r;
}

static inline void near_rel(double got, double want, double rel) {
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("got %.9g, want %.9g within %g", got, want, rel);
}

static inline const struct measure_component *line_of(const struct measure_figure_stat *f, const char *name) {
    for (int i = 0; i < f->n_budget; i++)
        if (strcmp(f->budget[i].name, name) == 0)
            return &f->budget[i];
    return NULL;
}

#endif
