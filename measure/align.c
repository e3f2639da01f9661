/* SPDX-License-Identifier: GPL-2.0-or-later
 * See align.h. Votes: all differences a_i - b_j of one train within the search limits, sorted; a shift's votes are the differences inside a window
 * of twice the tolerance. Time n log n in the pairs of one train and its neighbourhood. */
#include "measure/align.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_PAIRS ((size_t)1 << 21) /* of one train */
#define TOLERANCE_PERIODS 1.5 /* an edge may lie anywhere in its cell, on either side, and the cells' phases differ */
#define SQRT12 3.4641016151377544

const struct align_limits align_limits_default = {
    .offset_s = 1, .rate = 200e-6, .inlier_share = 0.9, .train_share = 0.7, .runner_up = 2, .burst_gap_s = 0.02, .burst_edges = 20};

struct train {
    size_t from, to; /* edges of b */
    double shift_s; /* fitted alone */
};
struct pairs { /* matched edges of all trains */
    double *a, *b;
    size_t n;
};
struct work {
    const struct align_edges *a, *b;
    const struct align_limits *lim;
    double tolerance_s;
    struct train train[ALIGN_MAX_TRAINS];
    int n_trains;
    double voted; /* sum of the trains' votes */
    size_t both; /* edges of both sides in the trains kept */
    double *diff; /* [MAX_PAIRS], grows */
    size_t cap_diff;
    struct pairs pairs;
    struct align_fit *ret;
};

static int refuse(struct align_fit *f, enum align_refusal why) {
    f->refusal = why;
    return 0;
}

static int check(const struct align_edges *e, struct err *reterr) {
    if (!(e->period_s > 0) || !isfinite(e->period_s))
        return err_set(reterr, JF_E_INVAL, "a sample period of %g s cannot be aligned", e->period_s);
    for (size_t i = 0; i < e->n; i++)
        if (!isfinite(e->t[i]) || (i > 0 && e->t[i] < e->t[i - 1]))
            return err_set(reterr, JF_E_INVAL, "edge %zu is not behind the one before it", i);
    return 0;
}

static size_t lower(const double *t, size_t n, double x) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The bursts of e that are long enough; at most max are listed, all are counted. */
static int find_trains(const struct align_edges *e, const struct align_limits *lim, struct train *list, int max) {
    int n = 0;
    for (size_t from = 0, i = 1; i <= e->n; i++) {
        if (i < e->n && e->t[i] - e->t[i - 1] <= lim->burst_gap_s)
            continue;
        if (i - from >= lim->burst_edges) {
            if (n < max)
                list[n] = (struct train){.from = from, .to = i};
            n++;
        }
        from = i;
    }
    return n;
}

static int ascending(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

/* All differences a - b of the train that lie in [lo, hi], sorted. */
static int differences(struct work *w, const struct train *t, double lo, double hi, size_t *ret_n) {
    size_t n = 0;
    for (size_t j = t->from; j < t->to; j++) {
        size_t i = lower(w->a->t, w->a->n, w->b->t[j] + lo);
        for (; i < w->a->n && w->a->t[i] - w->b->t[j] <= hi; i++) {
            if (n == w->cap_diff) {
                size_t cap = w->cap_diff ? 2 * w->cap_diff : 4096;
                double *p = cap <= MAX_PAIRS ? realloc(w->diff, cap * sizeof *p) : NULL;
                if (!p)
                    return cap <= MAX_PAIRS ? JF_E_NOMEM : JF_E_TOO_LARGE;
                w->diff = p;
                w->cap_diff = cap;
            }
            w->diff[n++] = w->a->t[i] - w->b->t[j];
        }
    }
    if (n > 1)
        qsort(w->diff, n, sizeof *w->diff, ascending);
    *ret_n = n;
    return 0;
}

/* Most differences inside a window of `width`, at least `away` from the shift `not` (NAN: anywhere); *ret_mid is the window's mean. */
static int votes(const double *d, size_t n, double width, double not, double away, double *ret_mid) {
    int best = 0;
    size_t lo = 0;
    double sum = 0;
    for (size_t hi = 0; hi < n; hi++) {
        sum += d[hi] - d[0];
        while (d[hi] - d[lo] > width)
            sum -= d[lo++] - d[0];
        double mid = d[0] + sum / (double)(hi - lo + 1);
        int count = (int)(hi - lo + 1);
        if (count > best && !(fabs(mid - not) < away)) {
            best = count;
            *ret_mid = mid;
        }
    }
    return best;
}

/* Edges of a under train t at shift s, whether matched or not. */
static size_t edges_of_a(const struct work *w, const struct train *t, double s) {
    double slack = w->tolerance_s;
    return lower(w->a->t, w->a->n, w->b->t[t->to - 1] + s + slack) - lower(w->a->t, w->a->n, w->b->t[t->from] + s - slack);
}

/* Pairs each edge of the train with the nearest one of a, within tolerance of `shift + rate * (t - ref)`, one to one. */
static size_t match(const struct work *w, const struct train *t, double shift, double rate, double ref, double *ret_a, double *ret_b) {
    size_t n = 0, next = 0;
    for (size_t j = t->from; j < t->to; j++) {
        double want = w->b->t[j] + shift + rate * (w->b->t[j] - ref);
        size_t i = lower(w->a->t, w->a->n, want);
        if (i > 0 && (i == w->a->n || want - w->a->t[i - 1] < w->a->t[i] - want))
            i--;
        if (i < next || i >= w->a->n || fabs(w->a->t[i] - want) > w->tolerance_s)
            continue;
        ret_a[n] = w->a->t[i];
        ret_b[n++] = w->b->t[j];
        next = i + 1;
    }
    return n;
}

static double middle(const struct work *w, const struct train *t) {
    return (w->b->t[t->from] + w->b->t[t->to - 1]) / 2;
}

/* One train alone: its shift, or why not. lo, hi: the shifts to search. */
static int fit_train(struct work *w, int k, double lo, double hi) {
    struct train *t = &w->train[k];
    struct align_fit *f = w->ret;
    size_t n;
    int rc = differences(w, t, lo, hi, &n);
    if (rc < 0)
        return rc;
    /* the rate is not known yet: over half a train it moves an edge by a little more */
    double width = 2 * (w->tolerance_s + w->lim->rate * (w->b->t[t->to - 1] - w->b->t[t->from]) / 2), other;
    int best = n > 0 ? votes(w->diff, n, width, NAN, 0, &t->shift_s) : 0;
    int second = best > 0 ? votes(w->diff, n, width, t->shift_s, 2 * width, &other) : 0;
    size_t seen = best > 0 ? edges_of_a(w, t, t->shift_s) : 0, own = t->to - t->from;
    double share = 2.0 * best / (double)(seen + own);
    f->worst_runner_up = second > f->worst_runner_up ? second : f->worst_runner_up;
    f->worst_share = share < f->worst_share ? share : f->worst_share;
    if (best < w->lim->runner_up * second) { /* said first: of a train with constant gaps both are true */
        snprintf(f->text, sizeof f->text, "sync train %d fits at two places: %d of %zu edges at one shift, %d at another", k, best, own, second);
        return refuse(f, ALIGN_AMBIGUOUS);
    }
    if (share < w->lim->train_share) {
        snprintf(f->text, sizeof f->text, "sync train %d: %d of %zu and %zu edges have a partner; %.0f %% are needed", k, best, own, seen,
                 100 * w->lim->train_share);
        return refuse(f, ALIGN_POOR);
    }
    w->voted += best;
    w->both += own + seen;
    return 0;
}

/* A train that a did not see (nothing at all near it) is left out: it was sent before a began or behind its end. */
static bool seen_by_a(const struct work *w, const struct train *t, double lo, double hi) {
    double from = w->b->t[t->from] + lo, to = w->b->t[t->to - 1] + hi;
    return lower(w->a->t, w->a->n, to) - lower(w->a->t, w->a->n, from) >= w->lim->burst_edges;
}

static int fit_each(struct work *w, double prior_s) {
    const struct align_limits *lim = w->lim;
    int kept = 0;
    double drift_slack = 4 * w->tolerance_s;
    for (int k = 0; k < w->n_trains; k++) {
        struct train *t = &w->train[k];
        double lo = prior_s - lim->offset_s, hi = prior_s + lim->offset_s;
        if (kept > 0) { /* the trains before say where this one must be */
            const struct train *p = &w->train[kept - 1];
            double reach = lim->rate * (middle(w, t) - middle(w, p)) + drift_slack;
            /* A jump of a clock must be seen as one, not as a train without edges. */
            reach = fmax(reach, fmin(lim->offset_s, 0.25 * (middle(w, t) - middle(w, p))));
            lo = p->shift_s - reach;
            hi = p->shift_s + reach;
        }
        if (!seen_by_a(w, t, lo, hi))
            continue;
        w->train[kept] = *t;
        int rc = fit_train(w, kept, lo, hi);
        if (rc < 0 || w->ret->refusal != ALIGN_GOOD)
            return rc;
        kept++;
    }
    w->n_trains = kept;
    if (kept < 2) {
        snprintf(w->ret->text, sizeof w->ret->text, "%d sync train%s on both instruments; one before and one behind all windows are needed", kept,
                 kept == 1 ? "" : "s");
        return refuse(w->ret, ALIGN_NO_TRAIN);
    }
    if (2 * w->voted < w->lim->inlier_share * (double)w->both) {
        snprintf(w->ret->text, sizeof w->ret->text, "%.0f of %zu sync edges have a partner; %.0f %% are needed", w->voted, (w->both + 1) / 2,
                 100 * w->lim->inlier_share);
        return refuse(w->ret, ALIGN_POOR);
    }
    return 0;
}

/* The line through n pairs; ref is the mean of b. */
static void least_squares(const struct pairs *p, struct align_fit *f) {
    double sb = 0, sd = 0, sxx = 0, sxy = 0, rss = 0, n = (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        sb += (p->b[i] - p->b[0]) / n;
        sd += (p->a[i] - p->b[i] - (p->a[0] - p->b[0])) / n;
    }
    f->ref_s = p->b[0] + sb;
    f->offset_s = p->a[0] - p->b[0] + sd;
    for (size_t i = 0; i < p->n; i++) {
        double x = p->b[i] - f->ref_s, y = p->a[i] - p->b[i] - f->offset_s;
        sxx += x * x;
        sxy += x * y;
    }
    f->rate = sxx > 0 ? sxy / sxx : 0;
    for (size_t i = 0; i < p->n; i++) {
        double y = p->a[i] - p->b[i] - f->offset_s - f->rate * (p->b[i] - f->ref_s);
        rss += y * y;
    }
    f->residual_s = sqrt(rss / n);
    f->u_offset_s = 1 / sqrt(n);
    f->u_rate = sxx > 0 ? 1 / sqrt(sxx) : INFINITY;
}

static int fit_all(struct work *w) {
    struct align_fit *f = w->ret;
    const struct train *first = &w->train[0], *last = &w->train[w->n_trains - 1];
    double ref = middle(w, first), rate = (last->shift_s - first->shift_s) / (middle(w, last) - ref), shift = first->shift_s;
    for (int pass = 0; pass < 2; pass++) { /* the ends' line finds the partners, the partners' line finds them again */
        w->pairs.n = 0;
        for (int k = 0; k < w->n_trains; k++) {
            const struct train *t = &w->train[k];
            w->pairs.n += match(w, t, shift, rate, ref, w->pairs.a + w->pairs.n, w->pairs.b + w->pairs.n);
        }
        if (w->pairs.n < 2)
            break;
        least_squares(&w->pairs, f);
        shift = f->offset_s;
        rate = f->rate;
        ref = f->ref_s;
    }
    f->trains = w->n_trains;
    f->edges = (int)((w->both + 1) / 2);
    f->inliers = (int)w->pairs.n;
    if (f->inliers < w->lim->inlier_share * f->edges) {
        snprintf(f->text, sizeof f->text, "the sync trains lie on no common line: %d of %d edges do; a clock jumped or samples were lost between them",
                 f->inliers, f->edges);
        return refuse(f, ALIGN_RATE);
    }
    if (!(fabs(f->rate) <= w->lim->rate)) {
        snprintf(f->text, sizeof f->text, "the clocks differ by %.1f ppm; at most %.0f ppm are searched", f->rate * 1e6, w->lim->rate * 1e6);
        return refuse(f, ALIGN_RATE);
    }
    /* Edges locked to a grid scatter less than they are off: never below what the two grids alone give. */
    double s = fmax(f->residual_s, hypot(w->a->period_s, w->b->period_s) / SQRT12);
    f->u_offset_s *= s;
    f->u_rate *= s;
    f->from_s = w->pairs.a[0];
    f->to_s = w->pairs.a[w->pairs.n - 1];
    return 0;
}

int align_fit(const struct align_edges *a, const struct align_edges *b, double prior_s, const struct align_limits *lim, struct align_fit *ret,
              struct err *reterr) {
    *ret = (struct align_fit){.worst_share = 1};
    int rc = check(a, reterr);
    rc = rc < 0 ? rc : check(b, reterr);
    if (rc == 0 && !isfinite(prior_s))
        rc = err_set(reterr, JF_E_INVAL, "the prior offset is not a number");
    if (rc < 0)
        return rc;
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(reterr, JF_E_NOMEM, "no memory for the alignment");
    *w = (struct work){.a = a, .b = b, .lim = lim, .ret = ret, .tolerance_s = TOLERANCE_PERIODS * (a->period_s + b->period_s)};
    int of_a = find_trains(a, lim, w->train, 0), of_b = find_trains(b, lim, w->train, ALIGN_MAX_TRAINS);
    w->n_trains = of_b < ALIGN_MAX_TRAINS ? of_b : ALIGN_MAX_TRAINS;
    if (of_a < 2 || of_b < 2) {
        snprintf(ret->text, sizeof ret->text, "%d sync trains on the current's instrument, %d on the markers'; at least two are needed on both", of_a, of_b);
        rc = refuse(ret, ALIGN_NO_TRAIN);
        goto done;
    }
    w->pairs.a = malloc(b->n * sizeof *w->pairs.a);
    w->pairs.b = malloc(b->n * sizeof *w->pairs.b);
    rc = w->pairs.a && w->pairs.b ? fit_each(w, prior_s) : JF_E_NOMEM;
    if (rc == 0 && ret->refusal == ALIGN_GOOD)
        rc = fit_all(w);
    if (rc < 0)
        err_set(reterr, rc, rc == JF_E_NOMEM ? "no memory for the alignment" : "a sync train meets too many edges");
done:
    free(w->diff);
    free(w->pairs.a);
    free(w->pairs.b);
    free(w);
    return rc;
}

double align_map(const struct align_fit *f, double b_s) {
    return b_s + f->offset_s + f->rate * (b_s - f->ref_s);
}

bool align_covers(const struct align_fit *f, double a_s) {
    return f->refusal == ALIGN_GOOD && a_s >= f->from_s && a_s <= f->to_s;
}
