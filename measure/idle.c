/* SPDX-License-Identifier: GPL-2.0-or-later
 * Idle stretches: which samples they are, their power and its uncertainty (measurement specification, section 3). Pure. */
#include <math.h>
#include <stdlib.h>

#include "measure/analysis.h"
#include "measure/stats.h"

#define MAX_BLOCKS 256 /* of one stretch: longer ones use longer blocks */

static double guard_cells(const struct analysis *a) {
    const struct measure_instrument *in = &a->cap->instrument;
    double r = 0, c = a->cap->supply.capacitance == MEASURE_C_UNKNOWN ? 0 : a->cap->supply.capacitance_f;
    for (int i = 0; i < in->n_ranges; i++)
        r = in->ranges[i].shunt_ohm > r ? in->ranges[i].shunt_ohm : r;
    return (a->cfg->idle_guard_s + 10 * r * c) / a->dt;
}

/* Host times of a stretch on the device's time line, in samples. Block instruments have no common clock with the host: the
 * opening edge of the segment's window was announced by `m-infer-start`, which left the UART just before it, the closing one
 * by `m-infer-done` just behind it. A busy host reads lines late, never early: the edge that puts the stretch later is right. */
static bool locate(const struct analysis *a, const struct measure_stretch *st, double *ret_lo, double *ret_hi) {
    if (!a->cap->instrument.block) {
        if (!a->map.ok || st->from_ns == 0)
            return false;
        *ret_lo = hostmap_device_s(&a->map, st->from_ns) / a->dt;
        *ret_hi = hostmap_device_s(&a->map, st->to_ns) / a->dt;
    } else {
        int k = 0;
        while (k < a->cap->n_requests && (a->cap->requests[k].segment >= 0 ? a->cap->requests[k].segment : k) != st->segment)
            k++;
        if (k == a->cap->n_requests || !a->r->windows[k].found || a->cap->requests[k].start_ns == 0)
            return false;
        const struct measure_request *q = &a->cap->requests[k];
        double late = a->windows[k].x1 - a->windows[k].x0 - (double)(q->done_ns - q->start_ns) * 1e-9 / a->dt;
        double open = a->windows[k].x0 + (q->done_ns > q->start_ns && late > 0 ? late : 0);
        *ret_lo = open + (double)(st->from_ns - q->start_ns) * 1e-9 / a->dt;
        *ret_hi = open + (double)(st->to_ns - q->start_ns) * 1e-9 / a->dt;
        *ret_lo = *ret_lo > (double)a->windows[k].seg_from ? *ret_lo : (double)a->windows[k].seg_from;
        *ret_hi = *ret_hi < (double)a->windows[k].seg_to ? *ret_hi : (double)a->windows[k].seg_to;
    }
    *ret_lo = *ret_lo > (double)a->scan.first ? *ret_lo : (double)a->scan.first;
    *ret_hi = *ret_hi < (double)a->scan.end ? *ret_hi : (double)a->scan.end;
    return *ret_hi > *ret_lo;
}

/* The longest part of [lo, hi) that keeps `guard` from marker edges. */
static void keep_clear(const struct analysis *a, double guard, double *lo, double *hi) {
    double from = *lo, best_lo = *lo, best_hi = *lo;
    size_t i = scan_find(&a->scan, (int64_t)floor(*lo - guard));
    for (; i < a->scan.n_marks && (double)a->scan.marks[i].n < *hi + guard; i++) {
        if (a->scan.marks[i].set)
            continue;
        double n = (double)a->scan.marks[i].n, to = n - guard < *hi ? n - guard : *hi;
        if (to - from > best_hi - best_lo) {
            best_lo = from;
            best_hi = to;
        }
        from = n + guard > from ? n + guard : from;
    }
    if (*hi - from > best_hi - best_lo) {
        best_lo = from;
        best_hi = *hi;
    }
    *lo = best_lo;
    *hi = best_hi;
}

static int add_blocks(struct analysis *a, double lo, double hi) {
    double block = a->cfg->idle_block_s / a->dt;
    int n = (int)fmin(floor((hi - lo) / block), 1e6);
    if (n < 2 || block < 1)
        return 0;
    if (n > MAX_BLOCKS) {
        n = MAX_BLOCKS;
        block = (hi - lo) / n;
    }
    while (a->n_idle + n > a->cap_idle) {
        int want = a->cap_idle ? a->cap_idle * 2 : 256;
        struct integral *p = realloc(a->idle, (size_t)want * sizeof *p);
        if (!p)
            return JF_E_NOMEM;
        a->idle = p;
        a->cap_idle = want;
    }
    struct idle_stretch *st = &a->stretches[a->n_stretches++];
    *st = (struct idle_stretch){.x0 = lo, .x1 = lo + n * block, .first = a->n_idle, .n = n};
    for (int i = 0; i < n; i++)
        a->idle[a->n_idle++] = (struct integral){.x0 = floor(lo + i * block), .x1 = floor(lo + (i + 1) * block), .last_range = -1};
    return 0;
}

int analysis_idle_plan(struct analysis *a, struct err *reterr) {
    double guard = guard_cells(a), behind = -INFINITY;
    for (int s = 0; s < a->cap->n_stretches; s++) {
        double lo, hi;
        if (!locate(a, &a->cap->stretches[s], &lo, &hi) || (hi - lo) * a->dt < 0.999 * a->cfg->idle_min_s)
            continue;
        lo += guard;
        hi -= guard;
        keep_clear(a, guard, &lo, &hi);
        lo = lo > behind ? lo : behind;
        if (hi <= lo || scan_gap_overlap(&a->scan, lo, hi) > 0)
            continue;
        if (add_blocks(a, lo, hi) < 0)
            return err_set(reterr, JF_E_NOMEM, "no memory for the idle stretches");
        behind = hi;
    }
    return 0;
}

static double block_power(const struct integral *b) {
    return measure_acc_get(&b->p) / b->cells;
}

/* Blocks that the recording does not fully cover were dropped by the caller's gap check: all have cells. */
void analysis_idle_power(struct analysis *a) {
    struct measure_idle *idle = &a->r->idle;
    double sum = 0, var = 0, pooled = 0, dof = 0, u_first = 0, u_last = 0, means[MAX_BLOCKS];
    *idle = (struct measure_idle){.power_w = NAN, .u_w = NAN, .before_w = NAN, .after_w = NAN, .drift_w = NAN};
    a->block_sd_w = NAN;
    for (int s = 0; s < a->n_stretches; s++) {
        const struct idle_stretch *st = &a->stretches[s];
        int n = 0;
        for (int i = 0; i < st->n; i++) {
            const struct integral *b = &a->idle[st->first + i];
            if (b->cells <= 0 || !isfinite(block_power(b)))
                continue; /* a damaged sample costs its block */
            means[n++] = block_power(b);
            a->idle_cells += b->cells;
            for (int g = 0; g < MEASURE_MAX_RANGES; g++) {
                a->idle_range_p[g] += b->range_p[g];
                a->idle_range_cells[g] += b->range_cells[g];
            }
        }
        if (n < 2)
            continue;
        double p = measure_mean(means, n), sd = measure_stddev(means, n), u = sd / sqrt(n);
        if (idle->n == 0) {
            idle->before_w = p;
            u_first = u;
        }
        idle->after_w = p;
        u_last = u;
        sum += p;
        var += u * u;
        pooled += sd * sd * (n - 1);
        dof += n - 1;
        idle->n++;
    }
    if (idle->n == 0)
        return;
    idle->has = true;
    idle->power_w = sum / idle->n;
    idle->u_w = sqrt(var) / idle->n;
    idle->dof = dof;
    idle->drift_w = fabs(idle->before_w - idle->after_w);
    a->block_sd_w = sqrt(pooled / dof);
    a->block_s = (a->idle[0].x1 - a->idle[0].x0) * a->dt;
    double limit = fmax(3 * sqrt(u_first * u_first + u_last * u_last), a->cfg->idle_drift_rel * fabs(idle->power_w));
    if (idle->n > 1 && idle->drift_w > limit)
        analysis_raise(a, MEASURE_R_IDLE_DRIFT, -1, "idle power went from %.6g W to %.6g W", idle->before_w, idle->after_w);
}
