/* SPDX-License-Identifier: GPL-2.0-or-later
 * The inner loops over samples: sums in double over fixed lanes (vectorisable, deterministic order), merged compensated. */
#ifndef MEASURE_KERNEL_H
#define MEASURE_KERNEL_H

#include <stddef.h>

/* Sums over one run of samples. Powers are those of v[n]*i[n], or voltage*i[n] where v is NULL. */
struct measure_sums {
    double i, v, p; /* plain sums: A, V, W (times samples) */
    float i_min, i_max, v_min; /* NAN samples are skipped by min and max */
    double p_max;
};

/* n >= 1. Longest exact piece is the caller's choice; MEASURE_PIECE keeps the rounding below 1e-14 relative. */
#define MEASURE_PIECE 1024
void measure_sums(const float *current_a, const float *voltage_v, double voltage, size_t n, struct measure_sums *ret);

/* Compensated accumulator (Neumaier): value = sum + carry. */
struct measure_acc {
    double sum, carry;
};

static inline void measure_acc_add(struct measure_acc *a, double x) {
    double t = a->sum + x;
    double as = a->sum < 0 ? -a->sum : a->sum, ax = x < 0 ? -x : x;
    a->carry += as >= ax ? (a->sum - t) + x : (x - t) + a->sum;
    a->sum = t;
}

static inline double measure_acc_get(const struct measure_acc *a) {
    return a->sum + a->carry;
}

#endif
