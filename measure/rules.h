/* SPDX-License-Identifier: GPL-2.0-or-later
 * Window rules: which samples belong to a window [t0, t1). Pure. */
#ifndef MEASURE_RULES_H
#define MEASURE_RULES_H

#include <stdint.h>

#include "measure/config.h"

struct measure_span {
    double x0, x1; /* in samples; fractions count by their share of the cell */
    double duration_s;
};

/* eembc: t = 0, t += 1/fs per sample in double; sample n counts when t0 <= t_n < t1. Writes the half-open sample span; nothing
 * ([0, 0)) for a rate that is not above 0 or times that are not finite; no index exceeds MEASURE_RULE_MAX. Time: some 50 steps, whatever
 * the arguments. */
#define MEASURE_RULE_MAX ((int64_t)1 << 52)
void measure_rule_eembc(double fs_hz, double t0_s, double t1_s, int64_t *ret_a, int64_t *ret_b);
/* mlcommons: samples [a, b); elapsed = b/fs - a/fs, each quotient in double (not (b-a)/fs: it differs in the printed digits). */
double measure_rule_mlcommons_elapsed(double fs_hz, int64_t a, int64_t b);

/* Applies a rule to a window between two edges. n0, n1: first changed samples; x0, x1: edge times in samples (n + phi - 1/2). */
void measure_rule_apply(enum measure_rule rule, double period_s, int64_t n0, int64_t n1, double x0, double x1, struct measure_span *ret);

#endif
