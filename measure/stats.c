/* SPDX-License-Identifier: GPL-2.0-or-later
 * Statistics of small samples and a generator. Pure; sources: Student's distribution through the incomplete beta function by
 * Lentz's continued fraction; kappa from 3e6 simulated samples per n (a test repeats it); d2 from the published control-chart table;
 * xoshiro256++ and splitmix64 by Blackman and Vigna (public domain); gamma deviates by Marsaglia and Tsang (2000). */
#include "measure/stats.h"

#include <math.h>
#include <stdlib.h>

double measure_mean(const double *x, int n) {
    double s = 0;
    for (int i = 0; i < n; i++)
        s += x[i];
    s /= n;
    double r = 0;
    for (int i = 0; i < n; i++)
        r += x[i] - s;
    return s + r / n;
}

double measure_stddev(const double *x, int n) {
    if (n < 2)
        return NAN;
    double m = measure_mean(x, n), q = 0;
    for (int i = 0; i < n; i++)
        q += (x[i] - m) * (x[i] - m);
    return sqrt(q / (n - 1));
}

static int by_value(const void *a, const void *b) {
    double x, y;
    x = *(const double *)a;
    y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *x, size_t n) {
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

/* Continued fraction of the incomplete beta function. */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double d = 1 - (a + b) * x / (a + 1), c = 1;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 500; m++) {
        double k = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + k * d;
        c = 1 + k / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        k = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + k * d;
        c = 1 + k / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        double step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return h;
}

static double incomplete_beta(double a, double b, double x) {
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double measure_t_cdf(double t, double dof) {
    double tail = 0.5 * incomplete_beta(dof / 2, 0.5, dof / (dof + t * t));
    return t > 0 ? 1 - tail : tail;
}

double measure_t_quantile(double p, double dof) {
    if (p == 0.5)
        return 0;
    if (p < 0.5)
        return -measure_t_quantile(1 - p, dof);
    double lo = 0, hi = 2;
    while (measure_t_cdf(hi, dof) < p && hi < 1e12)
        hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; i++) {
        double mid = 0.5 * (lo + hi);
        if (measure_t_cdf(mid, dof) < p)
            lo = mid;
        else
            hi = mid;
    }
    return 0.5 * (lo + hi);
}

double measure_kappa(int n) {
    static const double table[] = {0.594,  0.5155, 0.486,  0.4367, 0.427,  0.3908, 0.3852, 0.357,  0.3542, 0.3307, 0.3287, 0.3096,
                                   0.3080, 0.2924, 0.2914, 0.2775, 0.2768};
    const int last = 3 + (int)(sizeof table / sizeof table[0]) - 1;
    if (n < 3)
        n = 3;
    if (n <= last)
        return table[n - 3];
    /* Asymptote sqrt(pi/2/n) with the offset that joins the table; even n are a little better than odd ones. */
    return sqrt(M_PI_2 / (n + (n % 2 ? 1.5 : 2.3)));
}

double measure_d2(int n) {
    static const double table[] = {1.128, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970, 3.078, 3.173, 3.258, 3.336,
                                   3.407, 3.472, 3.532, 3.588, 3.640, 3.689, 3.735, 3.778, 3.819, 3.858, 3.895, 3.931};
    if (n < 2)
        n = 2;
    return table[n > 25 ? 23 : n - 2];
}

void measure_slope(const double *x, const double *y, int n, double *ret_slope, double *ret_p) {
    double mx = measure_mean(x, n), my = measure_mean(y, n), sxx = 0, sxy = 0, see = 0;
    for (int i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        sxy += (x[i] - mx) * (y[i] - my);
    }
    double b = sxx > 0 ? sxy / sxx : 0;
    for (int i = 0; i < n; i++) {
        double e = y[i] - my - b * (x[i] - mx);
        see += e * e;
    }
    *ret_slope = b;
    double sb = sxx > 0 ? sqrt(see / (n - 2) / sxx) : 0;
    if (b == 0)
        *ret_p = 1;
    else if (sb <= 0)
        *ret_p = 0;
    else
        *ret_p = 2 * (1 - measure_t_cdf(fabs(b / sb), n - 2));
}

/* ---- generator -------------------------------------------------------------------------------------------- */
static uint64_t rotl(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

void measure_rng_init(struct measure_rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
    r->has_spare = 0;
    r->spare = 0;
}

double measure_rng_uniform(struct measure_rng *r) {
    uint64_t *s = r->s, out = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return (double)(out >> 11) * 0x1p-53;
}

double measure_rng_normal(struct measure_rng *r) {
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    double a, b, q;
    do {
        a = 2 * measure_rng_uniform(r) - 1;
        b = 2 * measure_rng_uniform(r) - 1;
        q = a * a + b * b;
    } while (q >= 1 || q <= 0);
    double f = sqrt(-2 * log(q) / q);
    r->spare = b * f;
    r->has_spare = 1;
    return a * f;
}

/* Gamma deviate of shape k >= 0.5, scale 1. */
static double gamma_deviate(struct measure_rng *r, double k) {
    double boost = 1;
    if (k < 1) {
        double u;
        do {
            u = measure_rng_uniform(r);
        } while (u <= 0);
        boost = pow(u, 1 / k);
        k += 1;
    }
    double d = k - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = measure_rng_normal(r), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = measure_rng_uniform(r);
        if (u > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

double measure_rng_t(struct measure_rng *r, double dof) {
    double z = measure_rng_normal(r);
    return z / sqrt(2 * gamma_deviate(r, dof / 2) / dof);
}
