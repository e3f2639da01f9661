/* SPDX-License-Identifier: GPL-2.0-or-later
 * Statistics of any span: whole pages and chunks by their stored sums, the two chunks at the ends by their entries, samples only inside one
 * step of TRACE_STEP at each end. The sums are stored bottom up, so that those of a short span in a long trace are as exact as those of a
 * short trace: nothing is a difference of totals. */
#include <math.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/trace/pyramid.h"
#include "measure/trace/reader.h"

struct tally {
    struct measure_acc i, p; /* sample sums */
    float min_i, max_i;
    double cells, gap; /* covered; missing; in samples, fractions included */
    int64_t touched;
};

static const struct tally nothing = {.min_i = INFINITY, .max_i = -INFINITY};

static void tally_merge(struct tally *t, const struct tally *u) {
    measure_acc_add(&t->i, u->i.sum);
    measure_acc_add(&t->p, u->p.sum);
    t->i.carry += u->i.carry;
    t->p.carry += u->p.carry;
    t->min_i = u->min_i < t->min_i ? u->min_i : t->min_i;
    t->max_i = u->max_i > t->max_i ? u->max_i : t->max_i;
    t->cells += u->cells;
    t->gap += u->gap;
    t->touched += u->touched;
}

static void tally_sums(struct tally *t, double i, double p, float lo, float hi, int64_t n) {
    measure_acc_add(&t->i, i);
    measure_acc_add(&t->p, p);
    t->min_i = lo < t->min_i ? lo : t->min_i;
    t->max_i = hi > t->max_i ? hi : t->max_i;
    t->cells += (double)n;
    t->touched += n;
}

static void tally_node(struct tally *t, const struct trace_node *n) {
    tally_sums(t, n->sum_i, n->sum_p, n->min_i, n->max_i, n->samples);
    t->i.carry += n->lo_i;
    t->p.carry += n->lo_p;
    t->gap += (double)n->gap_samples;
}

static void tally_cell(const struct trace_reader *r, const struct measure_block *b, int64_t n, double weight, struct tally *t) {
    int64_t k = n - b->first;
    double i = (double)b->current_a[k], v = b->voltage_v ? (double)b->voltage_v[k] : r->info.voltage_v;
    measure_acc_add(&t->i, i * weight);
    measure_acc_add(&t->p, i * v * weight);
    t->min_i = b->current_a[k] < t->min_i ? b->current_a[k] : t->min_i;
    t->max_i = b->current_a[k] > t->max_i ? b->current_a[k] : t->max_i;
    t->cells += weight;
    t->touched++;
}

/* [lo, hi) inside block b: the cut cells at the ends by their share. */
static void tally_samples(const struct trace_reader *r, const struct measure_block *b, double lo, double hi, struct tally *t) {
    int64_t a = (int64_t)ceil(lo), z = (int64_t)floor(hi);
    if (a > z) { /* inside one cell */
        tally_cell(r, b, z, hi - lo, t);
        return;
    }
    if ((double)a > lo)
        tally_cell(r, b, a - 1, (double)a - lo, t);
    if ((double)z < hi)
        tally_cell(r, b, z, hi - (double)z, t);
    if (a < z) {
        struct measure_sums s;
        measure_sums(b->current_a + (a - b->first), b->voltage_v ? b->voltage_v + (a - b->first) : NULL, r->info.voltage_v, (size_t)(z - a), &s);
        tally_sums(t, s.i, s.p, s.i_min, s.i_max, z - a);
    }
}

/* The part of chunk l inside [x0, x1), step by step; only steps that are cut are read as samples. */
static int tally_part(struct trace_reader *r, const struct trace_leaf *l, double x0, double x1, struct tally *t, struct err *reterr) {
    struct trace_chunk h = {0};
    const struct trace_entry *stored;
    struct trace_entry e[TRACE_CHUNK / TRACE_STEP];
    struct measure_block b = {0};
    int64_t block = -1;
    int rc = trace_chunk_head(r, l, &h, &stored, reterr);
    if (rc < 0)
        return rc;
    memcpy(e, stored, h.n_entries * sizeof *e); /* the samples' bytes take the same buffer */
    double begin = (double)l->first, end = begin + (double)l->count, lo = fmax(x0, begin), hi = fmin(x1, end);
    uint32_t from = (uint32_t)((lo - begin) / TRACE_STEP), to = (uint32_t)ceil((hi - begin) / TRACE_STEP);
    for (uint32_t k = from; k < to && k < h.n_entries; k++) {
        double a = begin + (double)k * TRACE_STEP, z = fmin(a + TRACE_STEP, end);
        if (lo <= a && hi >= z) {
            tally_sums(t, e[k].sum_i, e[k].sum_p, e[k].min_i, e[k].max_i, (int64_t)(z - a));
            continue;
        }
        if (block != k / (TRACE_BLOCK / TRACE_STEP))
            rc = trace_chunk_samples(r, l, &h, k * TRACE_STEP, &b, reterr);
        if (rc < 0)
            return rc;
        block = k / (TRACE_BLOCK / TRACE_STEP);
        tally_samples(r, &b, fmax(lo, a), fmin(hi, z), t);
    }
    return 0;
}

/* What is damaged is missing. */
static int tally_children(struct trace_reader *r, const struct trace_node *n, int depth, double x0, double x1, struct tally *t, struct err *reterr) {
    const struct trace_page_ref *p;
    int rc = trace_page_get(r, n, depth, &p, reterr);
    if (rc < 0) {
        t->gap += fmin(x1, (double)n->end) - fmax(x0, (double)n->first);
        return rc == JF_E_CORRUPT ? 0 : rc;
    }
    for (uint32_t i = trace_child_find(p, (int64_t)floor(x0)); i < p->head.n && rc == 0; i++) {
        struct trace_node c = trace_node_at(p, i);
        double lo = fmax(x0, (double)c.first), hi = fmin(x1, (double)c.end);
        if ((double)c.first >= x1)
            break;
        if (hi <= lo)
            continue;
        if (lo <= (double)c.first && hi >= (double)c.end) {
            tally_node(t, &c);
        } else if (p->head.level > 1) {
            rc = tally_children(r, &c, depth + 1, x0, x1, t, reterr);
        } else if (c.gap_samples > 0) {
            t->gap += hi - lo;
        } else {
            struct trace_leaf l = trace_leaf_at(p, i);
            struct tally part = nothing;
            rc = tally_part(r, &l, x0, x1, &part, reterr);
            if (rc == 0)
                tally_merge(t, &part);
            else if (rc == JF_E_CORRUPT)
                t->gap += hi - lo;
            rc = rc == JF_E_CORRUPT ? 0 : rc;
        }
    }
    return rc;
}

int trace_resolve_span(const struct trace_reader *r, double *from_s, double *to_s, struct err *reterr) {
    double lo = (double)r->info.first * r->info.period_s, hi = (double)r->info.end * r->info.period_s;
    if (isnan(*from_s))
        *from_s = lo;
    if (isnan(*to_s))
        *to_s = hi;
    if (r->root.level == 0)
        return err_set(reterr, JF_E_NOT_FOUND, "the trace holds no samples");
    if (!isfinite(*from_s) || !isfinite(*to_s) || *to_s <= *from_s || *to_s <= lo || *from_s >= hi)
        return err_set(reterr, JF_E_INVAL, "the span is empty: the recording covers %.9g to %.9g s", lo, hi);
    return 0;
}

int trace_stats(struct trace_reader *r, double from_s, double to_s, struct trace_stats *ret_s, struct err *reterr) {
    int rc = trace_resolve_span(r, &from_s, &to_s, reterr);
    if (rc < 0)
        return rc;
    double dt = r->info.period_s, x0 = from_s / dt, x1 = to_s / dt;
    x0 = fmax(x0, (double)r->info.first);
    x1 = fmin(x1, (double)r->info.end);
    struct tally t = nothing;
    if (x0 <= (double)r->root.first && x1 >= (double)r->root.end)
        tally_node(&t, &r->root);
    else if (x0 < x1)
        rc = tally_children(r, &r->root, 0, x0, x1, &t, reterr);
    if (rc < 0)
        return rc;
    ret_s->from_s = x0 * dt;
    ret_s->to_s = x1 * dt;
    ret_s->recorded_s = t.cells * dt;
    ret_s->samples = t.touched;
    ret_s->gap_s = t.gap * dt;
    ret_s->charge_c = measure_acc_get(&t.i) * dt;
    ret_s->energy_j = measure_acc_get(&t.p) * dt;
    ret_s->current_mean_a = t.cells > 0 ? measure_acc_get(&t.i) / t.cells : NAN;
    ret_s->power_mean_w = t.cells > 0 ? measure_acc_get(&t.p) / t.cells : NAN;
    ret_s->current_min_a = t.cells > 0 ? (double)t.min_i : NAN;
    ret_s->current_max_a = t.cells > 0 ? (double)t.max_i : NAN;
    return 0;
}

json_t *trace_real(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *trace_stats_json(const struct trace_stats *s) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "from_s", trace_real(s->from_s), "to_s", trace_real(s->to_s),
                     "recorded_s", trace_real(s->recorded_s), "energy_j", trace_real(s->energy_j), "charge_c", trace_real(s->charge_c),
                     "current_mean_a", trace_real(s->current_mean_a), "current_min_a", trace_real(s->current_min_a), "current_max_a",
                     trace_real(s->current_max_a), "power_mean_w", trace_real(s->power_mean_w), "samples", (json_int_t)s->samples, "gap_s",
                     trace_real(s->gap_s));
}

json_t *trace_info_json(const struct trace_reader *r) {
    const struct trace_info *in = &r->info;
    return json_pack("{s:f, s:o, s:b, s:b, s:b, s:b, s:b, s:f, s:f, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:b, s:I, s:O}", "period_s", in->period_s,
                     "voltage_v", trace_real(in->voltage_v), "voltage_channel", (in->channels & TRACE_VOLTAGE) != 0, "range_channel",
                     (in->channels & TRACE_RANGE) != 0, "marker_channel", (in->channels & TRACE_MARKERS) != 0, "quality_channel",
                     (in->channels & TRACE_QUALITY) != 0, "block", in->block, "from_s", (double)in->first * in->period_s, "to_s",
                     (double)in->end * in->period_s, "samples", (json_int_t)in->samples, "gap_samples", (json_int_t)in->gap_samples, "chunks",
                     in->n_chunks, "segments", in->n_segments, "gaps", in->n_gaps, "events", in->n_events, "bad_records", in->n_bad, "complete",
                     in->complete, "size_bytes", (json_int_t)in->size, "info", r->info_object);
}
