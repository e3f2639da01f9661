/* SPDX-License-Identifier: GPL-2.0-or-later
 * Views and statistics of a trace from its stored summaries: chunk sums in the index, TRACE_STEP sums in each chunk, samples only at
 * the ends of a span or when a pixel is narrower than a step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/trace/reader.h"

/* ---- statistics ------------------------------------------------------------------------------------------- */
struct tally {
    struct measure_acc i, p; /* sample sums */
    float min_i, max_i;
    double cells; /* covered, in samples, fractions included */
    int64_t touched;
};

static void tally_sums(struct tally *t, double i, double p, float lo, float hi, int64_t n) {
    measure_acc_add(&t->i, i);
    measure_acc_add(&t->p, p);
    t->min_i = lo < t->min_i ? lo : t->min_i;
    t->max_i = hi > t->max_i ? hi : t->max_i;
    t->cells += (double)n;
    t->touched += n;
}

static double constant_voltage(const struct trace_reader *r) {
    return r->info.voltage_v;
}

static void tally_cell(struct trace_reader *r, const struct measure_block *b, int64_t n, double weight, struct tally *t) {
    int64_t k = n - b->first;
    double i = (double)b->current_a[k], v = b->voltage_v ? (double)b->voltage_v[k] : constant_voltage(r);
    measure_acc_add(&t->i, i * weight);
    measure_acc_add(&t->p, i * v * weight);
    t->min_i = b->current_a[k] < t->min_i ? b->current_a[k] : t->min_i;
    t->max_i = b->current_a[k] > t->max_i ? b->current_a[k] : t->max_i;
    t->cells += weight;
    t->touched++;
}

static void tally_samples(struct trace_reader *r, const struct measure_block *b, int64_t from, int64_t to, struct tally *t) {
    for (int64_t n = from; n < to; n += MEASURE_PIECE) {
        size_t m = (size_t)(to - n < MEASURE_PIECE ? to - n : MEASURE_PIECE);
        struct measure_sums s;
        measure_sums(b->current_a + (n - b->first), b->voltage_v ? b->voltage_v + (n - b->first) : NULL, constant_voltage(r), m, &s);
        tally_sums(t, s.i, s.p, s.i_min, s.i_max, (int64_t)m);
    }
}

/* Part of chunk i inside [x0, x1) (samples, fractional): entries where whole steps fit, samples at the ends. */
static int tally_part(struct trace_reader *r, size_t i, double x0, double x1, struct tally *t, struct err *reterr) {
    struct trace_chunk h = {0};
    struct measure_block b = {0};
    int rc = trace_chunk_load(r, i, &h, reterr);
    if (rc < 0)
        return rc;
    rc = trace_chunk_decode(r, &h, MEASURE_WANT_VALUES, &b, reterr);
    if (rc < 0)
        return rc;
    double lo = x0 > (double)b.first ? x0 : (double)b.first;
    double end = (double)(b.first + b.count), hi = x1 < end ? x1 : end;
    int64_t a = (int64_t)ceil(lo), z = (int64_t)floor(hi);
    if (a > z) { /* inside one cell */
        tally_cell(r, &b, z, hi - lo, t);
        return 0;
    }
    if ((double)a > lo)
        tally_cell(r, &b, a - 1, (double)a - lo, t);
    if ((double)z < hi)
        tally_cell(r, &b, z, hi - (double)z, t);
    int64_t ea = (a - b.first + TRACE_STEP - 1) / TRACE_STEP, ez = (z - b.first) / TRACE_STEP;
    if (ea >= ez) {
        tally_samples(r, &b, a, z, t);
        return 0;
    }
    const struct trace_entry *e = (const struct trace_entry *)(const void *)(r->payload.data + sizeof h);
    tally_samples(r, &b, a, b.first + ea * TRACE_STEP, t);
    for (int64_t k = ea; k < ez; k++)
        tally_sums(t, e[k].sum_i, e[k].sum_p, e[k].min_i, e[k].max_i, TRACE_STEP);
    tally_samples(r, &b, b.first + ez * TRACE_STEP, z, t);
    return 0;
}

/* NAN ends mean the recording's own. */
static int resolve_span(const struct trace_reader *r, double *from_s, double *to_s, struct err *reterr) {
    double lo = (double)r->info.first * r->info.period_s, hi = (double)r->info.end * r->info.period_s;
    if (isnan(*from_s))
        *from_s = lo;
    if (isnan(*to_s))
        *to_s = hi;
    if (r->n_chunks == 0)
        return err_set(reterr, JF_E_NOT_FOUND, "the trace holds no samples");
    if (!isfinite(*from_s) || !isfinite(*to_s) || *to_s <= *from_s || *to_s <= lo || *from_s >= hi)
        return err_set(reterr, JF_E_INVAL, "the span is empty: the recording covers %.9g to %.9g s", lo, hi);
    return 0;
}

int trace_stats(struct trace_reader *r, double from_s, double to_s, struct trace_stats *ret_s, struct err *reterr) {
    int rc = resolve_span(r, &from_s, &to_s, reterr);
    if (rc < 0)
        return rc;
    double dt = r->info.period_s, x0 = from_s / dt, x1 = to_s / dt;
    x0 = x0 > (double)r->info.first ? x0 : (double)r->info.first;
    x1 = x1 < (double)r->info.end ? x1 : (double)r->info.end;
    struct tally t = {.min_i = INFINITY, .max_i = -INFINITY};
    double unrecorded = 0;
    for (size_t i = trace_chunk_find(r, (int64_t)floor(x0)); i < r->n_chunks && (double)r->chunks[i].first < x1; i++) {
        const struct trace_index *ix = &r->chunks[i];
        double a = (double)ix->first, z = (double)(ix->first + ix->count);
        double lo = a > x0 ? a : x0, hi = z < x1 ? z : x1;
        if (i > 0 && (ix->flags & MEASURE_SEGMENT_START)) {
            double before = (double)(r->chunks[i - 1].first + r->chunks[i - 1].count);
            unrecorded += a - (before > x0 ? before : x0);
        }
        if (ix->flags & MEASURE_GAP)
            continue;
        if (lo <= a && hi >= z && r->checked[i] != 2) {
            tally_sums(&t, ix->sum_i, ix->sum_p, ix->min_i, ix->max_i, ix->count);
        } else {
            rc = tally_part(r, i, x0, x1, &t, reterr);
            if (rc < 0 && rc != JF_E_CORRUPT)
                return rc;
        }
    }
    double gap = x1 - x0 - t.cells - unrecorded;
    ret_s->from_s = x0 * dt;
    ret_s->to_s = x1 * dt;
    ret_s->recorded_s = t.cells * dt;
    ret_s->samples = t.touched;
    ret_s->gap_s = gap > 1e-5 ? gap * dt : 0;
    ret_s->charge_c = measure_acc_get(&t.i) * dt;
    ret_s->energy_j = measure_acc_get(&t.p) * dt;
    ret_s->current_mean_a = t.cells > 0 ? measure_acc_get(&t.i) / t.cells : NAN;
    ret_s->power_mean_w = t.cells > 0 ? measure_acc_get(&t.p) / t.cells : NAN;
    ret_s->current_min_a = t.cells > 0 ? (double)t.min_i : NAN;
    ret_s->current_max_a = t.cells > 0 ? (double)t.max_i : NAN;
    return 0;
}

static json_t *real_or_null(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *trace_stats_json(const struct trace_stats *s) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "from_s", real_or_null(s->from_s), "to_s", real_or_null(s->to_s),
                     "recorded_s", real_or_null(s->recorded_s), "energy_j", real_or_null(s->energy_j), "charge_c", real_or_null(s->charge_c),
                     "current_mean_a", real_or_null(s->current_mean_a), "current_min_a", real_or_null(s->current_min_a), "current_max_a",
                     real_or_null(s->current_max_a), "power_mean_w", real_or_null(s->power_mean_w), "samples", (json_int_t)s->samples, "gap_s",
                     real_or_null(s->gap_s));
}

json_t *trace_info_json(const struct trace_reader *r) {
    const struct trace_info *in = &r->info;
    return json_pack("{s:f, s:o, s:b, s:b, s:b, s:b, s:b, s:f, s:f, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:b, s:I, s:O}", "period_s", in->period_s,
                     "voltage_v", real_or_null(in->voltage_v), "voltage_channel", (in->channels & TRACE_VOLTAGE) != 0, "range_channel",
                     (in->channels & TRACE_RANGE) != 0, "marker_channel", (in->channels & TRACE_MARKERS) != 0, "quality_channel",
                     (in->channels & TRACE_QUALITY) != 0, "block", in->block, "from_s", (double)in->first * in->period_s, "to_s",
                     (double)in->end * in->period_s, "samples", (json_int_t)in->samples, "gap_samples", (json_int_t)in->gap_samples, "chunks",
                     in->n_chunks, "segments", in->n_segments, "gaps", in->n_gaps, "events", in->n_events, "bad_records", in->n_bad, "complete",
                     in->complete, "size_bytes", (json_int_t)in->size, "info", r->info_object);
}

/* ---- view ------------------------------------------------------------------------------------------------- */
struct pixel {
    double sum_i, sum_p, n;
    float min_i, max_i;
};

struct canvas {
    struct pixel *px;
    int points;
    double x0, per_pixel; /* samples */
};

static void paint(struct canvas *c, int p, double i, double w, float lo, float hi, double n) {
    if (p < 0 || p >= c->points)
        return;
    struct pixel *q = &c->px[p];
    q->min_i = q->n == 0 || lo < q->min_i ? lo : q->min_i;
    q->max_i = q->n == 0 || hi > q->max_i ? hi : q->max_i;
    q->sum_i += i;
    q->sum_p += w;
    q->n += n;
}

/* A summary belongs to the pixel of its middle: at this level it is narrower than a pixel. */
static int pixel_of(const struct canvas *c, double x) {
    double p = floor((x - c->x0) / c->per_pixel);
    return p < 0 || p >= c->points ? -1 : (int)p;
}

static int paint_steps(struct trace_reader *r, size_t i, struct canvas *c, struct err *reterr) {
    struct trace_chunk h = {0};
    const struct trace_entry *e = NULL;
    int rc = trace_chunk_entries(r, i, &h, &e, reterr);
    if (rc < 0)
        return rc;
    for (uint32_t k = 0; k < h.n_entries; k++) {
        uint32_t n = k + 1 < h.n_entries ? TRACE_STEP : h.count - k * TRACE_STEP;
        double mid = (double)h.first + (double)k * TRACE_STEP + 0.5 * n;
        paint(c, pixel_of(c, mid), e[k].sum_i, e[k].sum_p, e[k].min_i, e[k].max_i, n);
    }
    return 0;
}

static int paint_samples(struct trace_reader *r, size_t i, struct canvas *c, struct err *reterr) {
    struct trace_chunk h = {0};
    struct measure_block b = {0};
    int rc = trace_chunk_load(r, i, &h, reterr);
    if (rc == 0)
        rc = trace_chunk_decode(r, &h, MEASURE_WANT_VALUES, &b, reterr);
    if (rc < 0 || !b.current_a)
        return rc;
    double x1 = c->x0 + c->per_pixel * c->points;
    int64_t from = b.first, to = b.first + b.count;
    from = (double)from < c->x0 ? (int64_t)floor(c->x0) : from;
    to = (double)to > x1 ? (int64_t)ceil(x1) : to;
    for (int64_t n = from; n < to; n++) {
        double lo = ((double)n - c->x0) / c->per_pixel, hi = ((double)n + 1 - c->x0) / c->per_pixel;
        int p0 = lo < 0 ? 0 : (int)lo, p1 = hi >= c->points ? c->points - 1 : (int)ceil(hi) - 1;
        float x = b.current_a[n - b.first];
        double v = b.voltage_v ? (double)b.voltage_v[n - b.first] : r->info.voltage_v;
        for (int p = p0; p <= p1; p++)
            paint(c, p, (double)x, (double)x * v, x, x, 1);
    }
    return 0;
}

static int paint_all(struct trace_reader *r, struct canvas *c, struct err *reterr) {
    double x1 = c->x0 + c->per_pixel * c->points;
    for (size_t i = trace_chunk_find(r, (int64_t)floor(c->x0)); i < r->n_chunks && (double)r->chunks[i].first < x1; i++) {
        const struct trace_index *ix = &r->chunks[i];
        int rc = 0;
        if (ix->flags & MEASURE_GAP)
            continue;
        if (c->per_pixel >= TRACE_CHUNK)
            paint(c, pixel_of(c, (double)ix->first + 0.5 * ix->count), ix->sum_i, ix->sum_p, ix->min_i, ix->max_i, ix->count);
        else if (c->per_pixel >= TRACE_STEP)
            rc = paint_steps(r, i, c, reterr);
        else
            rc = paint_samples(r, i, c, reterr);
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
    }
    return 0;
}

/* ---- marker edges, gaps, segments of a span ---------------------------------------------------------------- */
static int add_edges(json_t *edges, double dt, int64_t n, uint8_t before, uint8_t after) {
    for (int line = 0; line < 8; line++)
        if (((before ^ after) >> line) & 1) {
            if (json_array_size(edges) >= TRACE_VIEW_MAX_EDGES)
                return 1;
            json_t *e = json_pack("{s:f, s:i, s:i}", "t_s", (double)n * dt, "line", line, "level", (after >> line) & 1);
            if (json_array_append_new(edges, e) < 0)
                return JF_E_NOMEM;
        }
    return 0;
}

/* 0: all of them; 1: cut at the limit. Reads only chunks in which a marker changes. */
static int collect_edges(struct trace_reader *r, double x0, double x1, json_t *edges, struct err *reterr) {
    bool known = false;
    uint8_t last = 0;
    int rc = 0;
    for (size_t i = trace_chunk_find(r, (int64_t)floor(x0)); i < r->n_chunks && (double)r->chunks[i].first < x1; i++) {
        const struct trace_index *ix = &r->chunks[i];
        if (ix->flags & MEASURE_GAP) {
            known = false;
            continue;
        }
        if (ix->flags & MEASURE_SEGMENT_START)
            known = false;
        if (known && (double)ix->first >= x0)
            rc = add_edges(edges, r->info.period_s, ix->first, last, ix->first_markers);
        struct trace_chunk h = {0};
        struct measure_block b = {0};
        int got = ix->n_marker_changes > 0 ? trace_chunk_load(r, i, &h, reterr) : 1;
        if (got == 0)
            got = trace_chunk_decode(r, &h, MEASURE_WANT_MARKERS, &b, reterr);
        if (got < 0 && got != JF_E_CORRUPT)
            return got;
        for (uint32_t k = 1; got == 0 && rc == 0 && b.markers && k < b.count; k++) {
            double x = (double)(b.first + k);
            if (b.markers[k] != b.markers[k - 1] && x >= x0 && x < x1)
                rc = add_edges(edges, r->info.period_s, b.first + k, b.markers[k - 1], b.markers[k]);
        }
        if (rc != 0)
            return rc < 0 ? err_set(reterr, rc, "no memory for the view") : rc;
        known = true;
        last = ix->last_markers;
    }
    return 0;
}

#define MAX_SPANS 1024
/* join: a span that continues the last one extends it: a long hole may be stored in pieces. Segments that touch stay two. */
static int add_span(json_t *list, double dt, int64_t from, int64_t to, bool join) {
    size_t n = json_array_size(list);
    json_t *last = join && n > 0 ? json_array_get(list, n - 1) : NULL;
    if (last && json_real_value(json_array_get(last, 1)) >= (double)from * dt)
        return json_array_set_new(last, 1, json_real((double)to * dt));
    if (n >= MAX_SPANS)
        return 0;
    return json_array_append_new(list, json_pack("[f, f]", (double)from * dt, (double)to * dt));
}

static int collect_spans(const struct trace_reader *r, double x0, double x1, json_t *gaps, json_t *segments) {
    double dt = r->info.period_s;
    int64_t start = r->n_chunks ? r->chunks[0].first : 0, end = start;
    int bad = 0;
    for (size_t i = 0; i < r->n_chunks && !bad; i++) {
        const struct trace_index *ix = &r->chunks[i];
        bool inside = (double)ix->first < x1 && (double)(ix->first + ix->count) > x0;
        if (i > 0 && (ix->flags & MEASURE_SEGMENT_START)) {
            if ((double)start < x1 && (double)end > x0)
                bad |= add_span(segments, dt, start, end, false);
            start = ix->first;
        } else if (i > 0 && ix->first > end && inside) {
            bad |= add_span(gaps, dt, end, ix->first, true);
        }
        if ((ix->flags & MEASURE_GAP) && inside)
            bad |= add_span(gaps, dt, ix->first, ix->first + ix->count, true);
        end = ix->first + ix->count;
    }
    if (r->n_chunks && (double)start < x1 && (double)end > x0)
        bad |= add_span(segments, dt, start, end, false);
    return bad;
}

static json_t *column(const struct canvas *c, int which) {
    json_t *a = json_array();
    for (int p = 0; a && p < c->points; p++) {
        const struct pixel *q = &c->px[p];
        double v = NAN;
        if (q->n > 0)
            v = which == 0 ? (double)q->min_i : which == 1 ? q->sum_i / q->n : which == 2 ? (double)q->max_i : q->sum_p / q->n;
        if (json_array_append_new(a, real_or_null(v)) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

int trace_view(struct trace_reader *r, double from_s, double to_s, int points, json_t **ret_view, struct err *reterr) {
    int rc = resolve_span(r, &from_s, &to_s, reterr);
    if (rc < 0)
        return rc;
    if (points < 1 || points > TRACE_VIEW_MAX_POINTS)
        return err_set_at(reterr, JF_E_INVAL, "points", "1 to %d points are possible", TRACE_VIEW_MAX_POINTS);
    double dt = r->info.period_s;
    struct canvas c = {.points = points, .x0 = from_s / dt, .per_pixel = (to_s - from_s) / dt / points};
    if (!(c.per_pixel > 1e-9) || fabs(c.x0) > 4e15)
        return err_set(reterr, JF_E_INVAL, "the span is too short to draw");
    json_t *edges = json_array(), *gaps = json_array(), *segments = json_array();
    c.px = calloc((size_t)points, sizeof *c.px);
    if (!c.px || !edges || !gaps || !segments) {
        rc = err_set(reterr, JF_E_NOMEM, "no memory for the view");
        goto out;
    }
    rc = paint_all(r, &c, reterr);
    int cut = rc == 0 && (r->info.channels & TRACE_MARKERS) ? collect_edges(r, c.x0, to_s / dt, edges, reterr) : 0;
    if (cut < 0)
        rc = cut;
    if (rc == 0) {
        collect_spans(r, c.x0, to_s / dt, gaps, segments);
        *ret_view = json_pack("{s:f, s:f, s:f, s:i, s:o, s:{s:o, s:o, s:o}, s:{s:o}, s:O, s:b, s:O, s:O}", "from_s", from_s, "to_s", to_s, "period_s", dt,
                              "points", points, "voltage_v", real_or_null(r->info.voltage_v), "current_a", "min", column(&c, 0), "mean", column(&c, 1),
                              "max", column(&c, 2), "power_w", "mean", column(&c, 3), "edges", edges, "edges_truncated", cut == 1, "gaps", gaps,
                              "segments", segments);
        if (!*ret_view)
            rc = err_set(reterr, JF_E_NOMEM, "no memory for the view");
    }
out:
    free(c.px);
    json_decref(edges);
    json_decref(gaps);
    json_decref(segments);
    return rc;
}
