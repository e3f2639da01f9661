/* SPDX-License-Identifier: GPL-2.0-or-later
 * Window rules (measurement specification, section 3). Pure. */
#include "measure/rules.h"

#include <math.h>

/* First n >= *n with t_n >= to, where t_(n+1) = t_n + dt in double: the published tool's time base drifts because it adds 1/fs up
 * (multiplying instead matches a third of the published windows only). Between two powers of two every addition rounds alike, so that
 * whole stretches are taken at once: the cost does not depend on the rate or the time asked for. */
static void advance(double dt, double to, double *t, int64_t *n) {
    while (*t < to && *n < MEASURE_RULE_MAX) {
        double one = *t + dt, two = one + dt, step = two - one; /* from `one` on, a tie has settled on even */
        *t = one;
        ++*n;
        if (!(one < to))
            return;
        if (!(step > 0)) { /* dt no longer moves t: no sample ever reaches `to` */
            *n = MEASURE_RULE_MAX;
            return;
        }
        int e;
        (void)frexp(one, &e);
        double room = floor((fmin(ldexp(1.0, e), to) - one) / step) - 2;
        if (room < 1)
            continue;
        room = fmin(room, (double)(MEASURE_RULE_MAX - *n));
        *t = one + room * step; /* exact: a multiple of the ulp below the next power of two */
        *n += (int64_t)room;
    }
}

void measure_rule_eembc(double fs_hz, double t0_s, double t1_s, int64_t *ret_a, int64_t *ret_b) {
    double t = 0, dt = 1 / fs_hz;
    int64_t n = 0;
    *ret_a = *ret_b = 0;
    if (!(fs_hz > 0) || !isfinite(dt) || !isfinite(t0_s) || !isfinite(t1_s))
        return;
    advance(dt, t0_s, &t, &n);
    *ret_a = n;
    advance(dt, t1_s, &t, &n);
    *ret_b = n;
}

double measure_rule_mlcommons_elapsed(double fs_hz, int64_t a, int64_t b) {
    double tb = (double)b / fs_hz, ta = (double)a / fs_hz;
    return tb - ta;
}

void measure_rule_apply(enum measure_rule rule, double period_s, int64_t n0, int64_t n1, double x0, double x1, struct measure_span *ret) {
    int64_t a = n0, b = n1;
    switch (rule) {
    case MEASURE_RULE_EEMBC:
        measure_rule_eembc(1 / period_s, x0 * period_s, x1 * period_s, &a, &b);
        *ret = (struct measure_span){.x0 = (double)a, .x1 = (double)b, .duration_s = x1 * period_s - x0 * period_s};
        return;
    case MEASURE_RULE_MLCOMMONS:
        *ret = (struct measure_span){.x0 = (double)a, .x1 = (double)b, .duration_s = measure_rule_mlcommons_elapsed(1 / period_s, a, b)};
        return;
    case MEASURE_RULE_EDGE:
        break;
    }
    *ret = (struct measure_span){.x0 = x0, .x1 = x1, .duration_s = (x1 - x0) * period_s};
}
