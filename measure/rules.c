/* SPDX-License-Identifier: GPL-2.0-or-later
 * Window rules (measurement specification, section 3). Pure. */
#include "measure/rules.h"

void measure_rule_eembc(double fs_hz, double t0_s, double t1_s, int64_t *ret_a, int64_t *ret_b) {
    /* The published tool's time base drifts: it adds 1/fs up. Multiplying instead matches a third of the published windows only. */
    double t = 0, dt = 1 / fs_hz;
    int64_t n = 0;
    while (t < t0_s) {
        t += dt;
        n++;
    }
    *ret_a = n;
    while (t < t1_s) {
        t += dt;
        n++;
    }
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
