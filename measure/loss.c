/* SPDX-License-Identifier: GPL-2.0-or-later
 * Arrival delays are one-sided: the smallest of a block of time lies on a line (offset, rate) unless samples were lost, which
 * lifts it for good. A lift that recovers was latency. Robust at every stage: slopes and levels are medians. */
#include "measure/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/stats.h"

/* Median of the slopes between minima `lag` blocks apart; work holds n values. */
static double slope_by_lag(const struct minimum *m, const double *y, size_t n, size_t lag, double *work) {
    size_t k = 0;
    for (size_t i = 0; i + lag < n; i++)
        work[k++] = (y[i + lag] - y[i]) / (m[i + lag].t_s - m[i].t_s);
    return k > 0 ? measure_median(work, k) : 0;
}

static double median_of(const double *x, size_t n, double *work) {
    memcpy(work, x, n * sizeof *work);
    return measure_median(work, n);
}

/* Robust standard deviation from the differences between neighbours: what hides a step. A few steps do not touch it, nor does the slow
 * wander of an oscillator, which no line follows. */
static double local_scatter(const double *res, size_t n, double *work) {
    for (size_t i = 0; i + 1 < n; i++)
        work[i] = fabs(res[i + 1] - res[i]);
    return n > 1 ? 1.4826 / M_SQRT2 * measure_median(work, n - 1) : 0;
}

/* Whether a later block is back at the old level. Looks ahead so far only: an oscillator's wander adds up over minutes. */
static bool recovers(const double *res, size_t n, size_t from, double level) {
    for (size_t k = from; k < n && k < from + LOSS_LOOK_AHEAD; k++)
        if (res[k] < level)
            return true;
    return false;
}

static void find_steps(const struct scan *s, const double *res, size_t hold, double least, struct hostmap *ret, double *work) {
    size_t since = 0; /* first block behind the last step */
    for (size_t j = 1; j + hold <= s->n_minima && ret->n_steps < LOSS_MAX_STEPS; j++) {
        size_t back = j - since < hold ? j - since : hold;
        if (back == 0)
            continue;
        double before = median_of(res + j - back, back, work), low = INFINITY;
        for (size_t k = j; k < j + hold; k++)
            low = res[k] < low ? res[k] : low;
        if (low - before < least)
            continue;
        if (recovers(res, s->n_minima, j + hold, before + least / 2))
            continue; /* late, not lost: a delay cannot go below that of the line */
        double after = median_of(res + j, hold, work);
        ret->steps[ret->n_steps++] = (struct loss_step){.from_s = s->minima[j - 1].t_s, .to_s = s->minima[j].t_s, .size_s = after - before};
        since = j;
    }
}

static double steps_before(const struct hostmap *m, double t) {
    double sum = 0;
    for (int i = 0; i < m->n_steps; i++)
        if (t >= m->steps[i].to_s)
            sum += m->steps[i].size_s;
    return sum;
}

int loss_fit(const struct scan *s, const struct measure_config *cfg, double period_s, struct hostmap *ret, struct err *reterr) {
    memset(ret, 0, sizeof *ret);
    size_t n = s->n_minima;
    if (n < 2)
        return 0;
    double *y = malloc(n * sizeof *y), *res = malloc(n * sizeof *res), *work = malloc(n * sizeof *work);
    if (!y || !res || !work) {
        free(y);
        free(res);
        free(work);
        return err_set(reterr, JF_E_NOMEM, "no memory for the clock fit");
    }
    const struct minimum *m = s->minima;
    size_t hold = cfg->loss_hold > 0 ? (size_t)cfg->loss_hold : 1;
    for (size_t i = 0; i < n; i++)
        y[i] = m[i].delay_s;
    size_t lag = n / 4 < LOSS_LOOK_AHEAD ? n / 4 : LOSS_LOOK_AHEAD; /* short: few pairs then straddle a loss */
    double rate = slope_by_lag(m, y, n, lag > 0 ? lag : 1, work);
    for (size_t i = 0; i < n; i++)
        res[i] = y[i] - rate * m[i].t_s;
    double least = cfg->loss_samples * period_s, noise = 4 * local_scatter(res, n, work);
    find_steps(s, res, hold, least > noise ? least : noise, ret, work);
    for (size_t i = 0; i < n; i++)
        y[i] -= steps_before(ret, m[i].t_s);
    rate = slope_by_lag(m, y, n, n / 2, work);
    for (size_t i = 0; i < n; i++)
        res[i] = y[i] - rate * m[i].t_s;
    ret->ok = true;
    ret->base_ns = s->base_ns;
    ret->rate = rate;
    ret->offset_s = median_of(res, n, work);
    ret->scatter_s = local_scatter(res, n, work);
    ret->first_s = m[0].t_s;
    ret->last_s = m[n - 1].t_s;
    free(y);
    free(res);
    free(work);
    return 0;
}

double hostmap_device_s(const struct hostmap *m, int64_t host_ns) {
    double h = (double)(host_ns - m->base_ns) * 1e-9 - m->offset_s, t = h / (1 + m->rate);
    for (int i = 0; i < m->n_steps; i++) { /* ascending: each loss shifts what lies behind it */
        double later = t - m->steps[i].size_s;
        if (later >= m->steps[i].from_s)
            t = later;
    }
    return t;
}
