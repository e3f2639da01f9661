/* SPDX-License-Identifier: GPL-2.0-or-later
 * Statistics of small samples. Pure. */
#ifndef MEASURE_STATS_H
#define MEASURE_STATS_H

#include <stddef.h>
#include <stdint.h>

double measure_mean(const double *x, int n); /* n >= 1 */
double measure_stddev(const double *x, int n); /* n-1 in the denominator; NAN for n < 2 */
double measure_median(double *x, size_t n); /* reorders x; n >= 1; even n: mean of the middle two */
double measure_t_cdf(double t, double dof);
double measure_t_quantile(double p, double dof); /* 0 < p < 1 */
/* kappa_n: the 95 % half width of the median of n normal values is kappa_n * s * t(0.975, n-1). n >= 3. */
double measure_kappa(int n);
double measure_d2(int n); /* expected range of n normal values over sigma; n >= 2 (above 25: 25's) */
/* Least-squares slope of y over x and its two-sided p value; n >= 3. p is 0 for an exact line of non-zero slope. */
void measure_slope(const double *x, const double *y, int n, double *ret_slope, double *ret_p);

/* Deterministic generator (xoshiro256++, seeded by splitmix64): the same numbers on every machine. */
struct measure_rng {
    uint64_t s[4];
    double spare;
    int has_spare;
};
void measure_rng_init(struct measure_rng *r, uint64_t seed);
double measure_rng_uniform(struct measure_rng *r); /* [0, 1) */
double measure_rng_normal(struct measure_rng *r);
double measure_rng_t(struct measure_rng *r, double dof); /* dof >= 1 */

#endif
