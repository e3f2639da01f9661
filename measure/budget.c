/* SPDX-License-Identifier: GPL-2.0-or-later
 * Uncertainty: components, their sum, and its 95 % quantile by Monte Carlo (JCGM 101:2008). Pure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/analysis.h"
#include "measure/stats.h"

void budget_add(struct budget *b, const char *name, const char *distribution, char type, double u, double dof, const char *source) {
    if (b->n >= MEASURE_MAX_COMPONENTS)
        return;
    struct measure_component *c = &b->list[b->n++];
    *c = (struct measure_component){.distribution = distribution, .type = type, .negative = u < 0, .u = fabs(u), .dof = dof};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->source, sizeof c->source, "%s", source ? source : "");
}

bool budget_spec(enum measure_spec kind, double limit, double *ret_u, const char **ret_distribution) {
    switch (kind) {
    case MEASURE_SPEC_LIMIT:
    case MEASURE_SPEC_TYPICAL:
        *ret_u = limit / sqrt(3);
        *ret_distribution = "rectangular";
        return true;
    case MEASURE_SPEC_K2:
        *ret_u = limit / 2;
        *ret_distribution = "normal";
        return true;
    case MEASURE_SPEC_UNKNOWN:
        break;
    }
    return false;
}

/* The k-th smallest (0-based) of x[0..n): Hoare's selection. */
static double select_kth(double *x, size_t n, size_t k) {
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        double pivot = x[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        for (;;) {
            while (i < hi && x[i] < pivot)
                i++;
            while (j > lo && x[j] > pivot)
                j--;
            if (i >= j)
                break;
            double t = x[i];
            x[i++] = x[j];
            x[j--] = t;
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return x[k];
}

/* All normal components are drawn as one: their sum is normal. */
int budget_evaluate(const struct measure_component *list, int n, uint32_t draws, uint64_t seed, double *ret_uc, double *ret_u95) {
    double normal2 = 0, all2 = 0;
    for (int i = 0; i < n; i++) {
        all2 += list[i].u * list[i].u;
        if (strcmp(list[i].distribution, "normal") == 0)
            normal2 += list[i].u * list[i].u;
    }
    *ret_uc = sqrt(all2);
    *ret_u95 = 0;
    if (all2 <= 0 || draws == 0)
        return 0;
    double *sum = calloc(draws, sizeof *sum), normal = sqrt(normal2);
    if (!sum)
        return JF_E_NOMEM;
    struct measure_rng rng;
    measure_rng_init(&rng, seed);
    for (uint32_t d = 0; d < draws; d++)
        sum[d] = normal > 0 ? normal * measure_rng_normal(&rng) : 0;
    for (int i = 0; i < n; i++) {
        if (list[i].u <= 0 || strcmp(list[i].distribution, "normal") == 0)
            continue;
        bool t = strcmp(list[i].distribution, "t") == 0;
        double half = list[i].u * sqrt(3);
        for (uint32_t d = 0; d < draws; d++)
            sum[d] += t ? list[i].u * measure_rng_t(&rng, list[i].dof) : half * (2 * measure_rng_uniform(&rng) - 1);
    }
    for (uint32_t d = 0; d < draws; d++)
        sum[d] = fabs(sum[d]);
    *ret_u95 = select_kth(sum, draws, (size_t)(0.95 * draws));
    free(sum);
    return 0;
}
