/* SPDX-License-Identifier: GPL-2.0-or-later
 * Second pass: sums over windows, edges, idle blocks and stages. Full cells go through the kernel in pieces, cut cells by their
 * share. Pure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/analysis.h"

#define DITHER_SAMPLES 64 /* differences looked at per block and span */

struct span_ref {
    struct integral *s;
};

struct integrator {
    struct analysis *a;
    struct span_ref *list; /* ascending x0 */
    size_t n, at;
    size_t stage_at;
    double voltage, v_min;
    bool burden; /* sums of squares are wanted */
    bool rc; /* stage edges are wanted */
};

static void count_quality(struct integral *s, const uint8_t *q, int64_t n) {
    int64_t i = 0;
    while (i < n) {
        uint64_t word;
        if (i + 8 <= n && (memcpy(&word, q + i, 8), word == 0)) {
            i += 8;
            continue;
        }
        s->over += (q[i] & MEASURE_OVERRANGE) != 0;
        s->clipped += (q[i] & MEASURE_CLIPPED) != 0;
        i++;
    }
}

static void watch_voltage(struct integral *s, const float *v, size_t n, double v_min) {
    for (size_t i = 0; i < n; i++) {
        s->low_run = (double)v[i] < v_min ? s->low_run + 1 : 0;
        s->brownout = s->brownout || s->low_run >= 2;
    }
}

static double sum_of_squares(const float *c, size_t n) {
    double s[4] = {0};
    for (size_t i = 0; i < n; i++)
        s[i & 3] += (double)c[i] * (double)c[i];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

static const struct measure_range *range_spec(const struct integrator *it, int g) {
    static const struct measure_range none = {0};
    return g < it->a->cap->instrument.n_ranges ? &it->a->cap->instrument.ranges[g] : &none;
}

static double corrected_power(const struct integrator *it, int g, double p, double v) {
    const struct measure_range *r = range_spec(it, g);
    return (p * (1 + r->gain_corr_rel) + r->offset_corr_a * v) * (1 + it->a->cap->instrument.voltage_gain_corr_rel);
}

/* Full cells [from, to) of one range. */
static void add_run(const struct integrator *it, struct integral *s, const struct measure_block *b, int64_t from, int64_t to, int range) {
    const float *v = b->voltage_v;
    double p = 0, peak = -INFINITY, before_i = measure_acc_get(&s->i), before_v = measure_acc_get(&s->v);
    for (int64_t n = from; n < to; n += MEASURE_PIECE) {
        size_t m = (size_t)(to - n < MEASURE_PIECE ? to - n : MEASURE_PIECE);
        int64_t k = n - b->first;
        struct measure_sums q;
        measure_sums(b->current_a + k, v ? v + k : NULL, it->voltage, m, &q);
        measure_acc_add(&s->p, q.p);
        measure_acc_add(&s->i, q.i);
        measure_acc_add(&s->v, q.v);
        p += q.p;
        peak = q.p_max > peak ? q.p_max : peak;
        s->i_max = q.i_max > s->i_max ? q.i_max : s->i_max;
        s->burden_max_v = fmax(s->burden_max_v, range_spec(it, range)->shunt_ohm * (double)q.i_max);
        if (it->burden)
            s->range_ii[range] += sum_of_squares(b->current_a + k, m);
        if (v && !isnan(it->v_min)) {
            if ((double)q.v_min < it->v_min)
                watch_voltage(s, v + k, m, it->v_min);
            else
                s->low_run = 0;
        }
    }
    s->cells += (double)(to - from);
    peak = corrected_power(it, range, peak, it->voltage > 0 ? it->voltage : 0);
    s->peak_w = peak > s->peak_w ? peak : s->peak_w;
    s->range_p[range] += p;
    s->range_i[range] += measure_acc_get(&s->i) - before_i;
    s->range_v[range] += measure_acc_get(&s->v) - before_v;
    s->range_cells[range] += (double)(to - from);
    if (b->quality)
        count_quality(s, b->quality + (from - b->first), to - from);
}

static void note_change(struct integral *s, int64_t at) {
    double lo = fmax(fmax((double)at - 3, (double)s->change_end), s->x0), hi = fmin((double)at + 3, s->x1);
    if (hi > lo)
        s->near_change += hi - lo;
    s->change_end = at + 3;
}

static int range_at(const struct measure_block *b, int64_t n) {
    int g = b->range ? b->range[n - b->first] : 0;
    return g < MEASURE_MAX_RANGES ? g : MEASURE_MAX_RANGES - 1;
}

/* Cells [from, to) of one range through the filter: those behind a change one by one. */
static void filter_run(const struct integrator *it, struct integral *s, const struct measure_block *b, int64_t from, int64_t to, int range) {
    for (; from < to && (s->spike->last_range != range || s->spike->replace > 0); from++) {
        int64_t k = from - b->first;
        double raw = (double)b->current_a[k], said;
        if (spike_sample(s->spike, raw, range, &said)) {
            s->spike_w += (said - raw) * (b->voltage_v ? (double)b->voltage_v[k] : it->voltage);
            s->spike_cells++;
        }
    }
    spike_run(s->spike, b->current_a + (from - b->first), to - from);
}

static void add_cells(const struct integrator *it, struct integral *s, const struct measure_block *b, int64_t from, int64_t to) {
    while (from < to) {
        int64_t n = from;
        int g = range_at(b, from);
        if (s->last_range >= 0 && g != s->last_range)
            note_change(s, from);
        s->last_range = g;
        if (!b->range) {
            n = to;
        } else {
            const uint8_t *r = b->range - b->first;
            uint64_t pattern = r[from] * 0x0101010101010101ull, word;
            while (n + 8 <= to && (memcpy(&word, r + n, 8), word == pattern))
                n += 8;
            while (n < to && r[n] == r[from])
                n++;
        }
        add_run(it, s, b, from, n, g);
        if (s->spike)
            filter_run(it, s, b, from, n, g);
        from = n;
    }
}

static void add_cut_cell(const struct integrator *it, struct integral *s, const struct measure_block *b, int64_t n, double weight) {
    int64_t k = n - b->first;
    if (k < 0 || k >= b->count || weight <= 0)
        return;
    double i = (double)b->current_a[k], v = b->voltage_v ? (double)b->voltage_v[k] : it->voltage;
    measure_acc_add(&s->p, i * v * weight);
    measure_acc_add(&s->i, i * weight);
    measure_acc_add(&s->v, v * weight);
    s->cells += weight;
    int g = range_at(b, n);
    s->range_p[g] += i * v * weight;
    s->range_i[g] += i * weight;
    s->range_v[g] += v * weight;
    s->range_ii[g] += i * i * weight;
    s->range_cells[g] += weight;
    double peak = corrected_power(it, g, i * v, v);
    s->peak_w = peak > s->peak_w ? peak : s->peak_w;
    if (b->quality)
        count_quality(s, b->quality + k, 1);
    s->last_range = g;
}

static void look_at_dither(struct integral *s, const struct measure_block *b, int64_t from, int64_t to) {
    to = to - from > DITHER_SAMPLES ? from + DITHER_SAMPLES : to;
    for (int64_t n = from + 1; n < to; n++) {
        double d = (double)b->current_a[n - b->first] - (double)b->current_a[n - 1 - b->first];
        s->diff2 += d * d;
        s->diffs++;
    }
}

static void add_block(const struct integrator *it, struct integral *s, const struct measure_block *b) {
    int64_t end = b->first + b->count;
    int64_t a = (int64_t)ceil(s->x0), z = (int64_t)floor(s->x1);
    if (a > z) {
        add_cut_cell(it, s, b, z, s->x1 - s->x0);
        return;
    }
    add_cut_cell(it, s, b, a - 1, (double)a - s->x0);
    int64_t from = a > b->first ? a : b->first, to = z < end ? z : end;
    if (from < to) {
        look_at_dither(s, b, from, to);
        add_cells(it, s, b, from, to);
    }
    add_cut_cell(it, s, b, z, s->x1 - (double)z);
}

/* Mean of R*i over the two cells about x, as far as they lie in this block. */
static double edge_ri(const struct integrator *it, const struct measure_block *b, double x) {
    double sum = 0;
    int64_t from = (int64_t)floor(x - 1), end = b->first + b->count;
    for (int64_t n = from; n < from + 3; n++) {
        double weight = fmin((double)n + 1, x + 1) - fmax((double)n, x - 1);
        if (n >= b->first && n < end && weight > 0)
            sum += weight / 2 * range_spec(it, range_at(b, n))->shunt_ohm * (double)b->current_a[n - b->first];
    }
    return sum;
}

static void merge(struct integral *to, const struct integral *s) {
    measure_acc_add(&to->p, measure_acc_get(&s->p));
    measure_acc_add(&to->i, measure_acc_get(&s->i));
    measure_acc_add(&to->v, measure_acc_get(&s->v));
    to->cells += s->cells;
    for (int g = 0; g < MEASURE_MAX_RANGES; g++) {
        to->range_p[g] += s->range_p[g];
        to->range_i[g] += s->range_i[g];
        to->range_v[g] += s->range_v[g];
        to->range_ii[g] += s->range_ii[g];
        to->range_cells[g] += s->range_cells[g];
    }
}

static void add_stage(const struct integrator *it, const struct stage_span *st, const struct measure_block *b) {
    struct stage_sum *q = &it->a->stage_sums[st->window][st->code];
    struct integral s = {.x0 = st->x0, .x1 = st->x1, .last_range = -1};
    struct measure_block plain = *b; /* quality was counted for the window */
    plain.quality = NULL;
    add_block(it, &s, &plain);
    merge(&q->sum, &s);
    if (it->rc)
        q->rc += edge_ri(it, b, st->x1) - edge_ri(it, b, st->x0);
    q->runs += st->x0 >= (double)b->first && st->x0 < (double)b->first + b->count;
}

static int integrate_block(void *user, const struct measure_block *b) {
    struct integrator *it = user;
    struct analysis *a = it->a;
    double first = (double)b->first, end = (double)(b->first + b->count);
    while (it->at < it->n && it->list[it->at].s->x1 <= first)
        it->at++;
    while (it->stage_at < a->n_stages && a->stages[it->stage_at].x1 + 1 <= first)
        it->stage_at++;
    if ((b->flags & MEASURE_GAP) || !b->current_a)
        return 0;
    for (size_t i = it->at; i < it->n && it->list[i].s->x0 < end; i++)
        if (it->list[i].s->x1 > first)
            add_block(it, it->list[i].s, b);
    for (size_t i = it->stage_at; i < a->n_stages && a->stages[i].x0 - 1 < end; i++)
        add_stage(it, &a->stages[i], b);
    return 0;
}

static int by_start(const void *a, const void *b) {
    const struct integral *x = ((const struct span_ref *)a)->s, *y = ((const struct span_ref *)b)->s;
    return (x->x0 > y->x0) - (x->x0 < y->x0);
}

static int stage_by_start(const void *a, const void *b) {
    const struct stage_span *x = a, *y = b;
    return (x->x0 > y->x0) - (x->x0 < y->x0);
}

static size_t plan(struct analysis *a, struct span_ref *list) {
    size_t n = 0;
    bool filtered = strcmp(a->cap->instrument.driver, "ppk2") == 0;
    for (int k = 0; k < a->cap->n_requests; k++) {
        const struct window_n *w = &a->windows[k];
        if (!a->r->windows[k].found)
            continue;
        a->window_sums[k] = (struct integral){.x0 = w->span.x0, .x1 = w->span.x1, .last_range = -1};
        a->probes[2 * k] = (struct integral){.x0 = w->span.x0 - 1, .x1 = w->span.x0 + 1, .last_range = -1};
        a->probes[2 * k + 1] = (struct integral){.x0 = w->span.x1 - 1, .x1 = w->span.x1 + 1, .last_range = -1};
        if (filtered) {
            spike_init(&a->spikes[k]);
            a->window_sums[k].spike = &a->spikes[k];
        }
        list[n++].s = &a->window_sums[k];
        list[n++].s = &a->probes[2 * k];
        list[n++].s = &a->probes[2 * k + 1];
    }
    for (int i = 0; i < a->n_idle; i++)
        list[n++].s = &a->idle[i];
    qsort(list, n, sizeof *list, by_start);
    return n;
}

int analysis_integrate(struct analysis *a, const struct measure_source *src, struct err *reterr) {
    struct span_ref *list = malloc(((size_t)a->n_idle + 3 * MEASURE_MAX_WINDOWS) * sizeof *list);
    if (!list)
        return err_set(reterr, JF_E_NOMEM, "no memory for the windows");
    struct integrator it = {.a = a, .list = list, .voltage = a->cap->supply.voltage_v, .v_min = a->cap->supply.v_min};
    it.burden = analysis_burden_subtracted(a);
    it.rc = a->cap->supply.capacitance != MEASURE_C_UNKNOWN;
    it.n = plan(a, list);
    for (size_t i = 1; i < a->n_stages; i++)
        if (a->stages[i].x0 < a->stages[i - 1].x0) {
            qsort(a->stages, a->n_stages, sizeof *a->stages, stage_by_start);
            break;
        }
    int rc = 0;
    if (it.n > 0) {
        double from = list[0].s->x0, to = 0;
        for (size_t i = 0; i < it.n; i++)
            to = i == 0 || list[i].s->x1 > to ? list[i].s->x1 : to;
        rc = src->each(src->self, (int64_t)floor(from) - 1, (int64_t)ceil(to) + 1, MEASURE_WANT_VALUES, integrate_block, &it, reterr);
    }
    for (size_t i = 0; i < it.n; i++)
        analysis_correct(a, list[i].s);
    for (int k = 0; k < a->cap->n_requests && a->n_stages > 0; k++)
        for (int c = 1; c < 8; c++)
            analysis_correct(a, &a->stage_sums[k][c].sum);
    free(list);
    return rc;
}
