/* SPDX-License-Identifier: GPL-2.0-or-later
 * Sample sums. Pure. The lane arrays let the compiler vectorise without reordering what C orders: the result does not depend
 * on the compiler's flags. */
#include "measure/kernel.h"

#include <math.h>

#define LANES 8

static double fold(const double *acc) {
    return ((acc[0] + acc[4]) + (acc[2] + acc[6])) + ((acc[1] + acc[5]) + (acc[3] + acc[7]));
}

static void fold_extremes(const float *lo, const float *hi, struct measure_sums *ret) {
    ret->i_min = lo[0];
    ret->i_max = hi[0];
    for (int l = 1; l < LANES; l++) {
        ret->i_min = lo[l] < ret->i_min ? lo[l] : ret->i_min;
        ret->i_max = hi[l] > ret->i_max ? hi[l] : ret->i_max;
    }
}

static void sums_constant(const float *restrict c, double voltage, size_t n, struct measure_sums *ret) {
    double si[LANES] = {0};
    float lo[LANES], hi[LANES];
    for (int l = 0; l < LANES; l++) {
        lo[l] = INFINITY;
        hi[l] = -INFINITY;
    }
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++) {
            float x = c[k + (size_t)l];
            si[l] += (double)x;
            lo[l] = x < lo[l] ? x : lo[l];
            hi[l] = x > hi[l] ? x : hi[l];
        }
    for (int l = 0; k < n; k++, l++) {
        float x = c[k];
        si[l] += (double)x;
        lo[l] = x < lo[l] ? x : lo[l];
        hi[l] = x > hi[l] ? x : hi[l];
    }
    fold_extremes(lo, hi, ret);
    ret->i = fold(si);
    ret->p = ret->i * voltage;
    ret->v = voltage * (double)n;
    ret->v_min = (float)voltage;
    ret->p_max = (double)ret->i_max * voltage;
}

static void sums_measured(const float *restrict c, const float *restrict v, size_t n, struct measure_sums *ret) {
    double si[LANES] = {0}, sv[LANES] = {0}, sp[LANES] = {0}, pm[LANES];
    float lo[LANES], hi[LANES], vl[LANES];
    for (int l = 0; l < LANES; l++) {
        lo[l] = vl[l] = INFINITY;
        hi[l] = -INFINITY;
        pm[l] = (double)-INFINITY;
    }
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++) {
            float x = c[k + (size_t)l], y = v[k + (size_t)l];
            double p = (double)x * (double)y;
            si[l] += (double)x;
            sv[l] += (double)y;
            sp[l] += p;
            lo[l] = x < lo[l] ? x : lo[l];
            hi[l] = x > hi[l] ? x : hi[l];
            vl[l] = y < vl[l] ? y : vl[l];
            pm[l] = p > pm[l] ? p : pm[l];
        }
    for (int l = 0; k < n; k++, l++) {
        float x = c[k], y = v[k];
        double p = (double)x * (double)y;
        si[l] += (double)x;
        sv[l] += (double)y;
        sp[l] += p;
        lo[l] = x < lo[l] ? x : lo[l];
        hi[l] = x > hi[l] ? x : hi[l];
        vl[l] = y < vl[l] ? y : vl[l];
        pm[l] = p > pm[l] ? p : pm[l];
    }
    fold_extremes(lo, hi, ret);
    ret->i = fold(si);
    ret->v = fold(sv);
    ret->p = fold(sp);
    ret->v_min = vl[0];
    ret->p_max = pm[0];
    for (int l = 1; l < LANES; l++) {
        ret->v_min = vl[l] < ret->v_min ? vl[l] : ret->v_min;
        ret->p_max = pm[l] > ret->p_max ? pm[l] : ret->p_max;
    }
}

void measure_sums(const float *current_a, const float *voltage_v, double voltage, size_t n, struct measure_sums *ret) {
    if (voltage_v)
        sums_measured(current_a, voltage_v, n, ret);
    else
        sums_constant(current_a, voltage, n, ret);
}
