/* SPDX-License-Identifier: GPL-2.0-or-later
 * Views: each pixel from the coarsest summaries that are clearly narrower than it: pages, groups of chunks, chunks, tiles, steps (those
 * at most as wide), samples last. What a view reads depends on its points, not on the length of the trace. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/trace/pyramid.h"
#include "measure/trace/reader.h"

struct canvas {
    struct trace_reader *r;
    struct trace_pixel *px;
    int points;
    double x0, x1, per_pixel; /* samples */
    double scale; /* pixels per sample */
    double most; /* samples that a summary may span: NARROW pixels */
};
#define NARROW 0.75

static inline void paint(struct trace_pixel *q, const struct trace_entry *e, double n) {
    q->min_i = e->min_i < q->min_i ? e->min_i : q->min_i;
    q->max_i = e->max_i > q->max_i ? e->max_i : q->max_i;
    q->sum_i += e->sum_i;
    q->sum_p += e->sum_p;
    q->samples += n;
}

/* A summary belongs to the pixel of its middle: it is narrower than a pixel. */
static inline void paint_summary(const struct canvas *c, const struct trace_entry *e, double first, double width, double samples) {
    double p = (first + 0.5 * width - c->x0) * c->scale;
    if (p >= 0 && p < c->points && samples > 0)
        paint(&c->px[(int)p], e, samples);
}

/* n summaries of `width` samples that begin at sample first and end at sample end. */
static void paint_row(const struct canvas *c, const struct trace_entry *e, size_t n, double first, double width, double end) {
    double begin = floor((c->x0 - first) / width) - 1, last = ceil((c->x1 - first) / width) + 1;
    size_t from = begin > 0 ? (size_t)fmin(begin, (double)n) : 0, to = last < (double)n ? (size_t)fmax(last, 0) : n;
    for (size_t k = from; k < to; k++) {
        double a = first + (double)k * width, w = fmin(width, end - a);
        paint_summary(c, &e[k], a, w, w);
    }
}

/* Fewer than two samples per pixel: a sample fills every pixel that it touches. */
static void paint_wide(const struct canvas *c, const struct measure_block *b, int64_t from, int64_t to) {
    for (int64_t n = from; n < to; n++) {
        double lo = ((double)n - c->x0) * c->scale, hi = ((double)n + 1 - c->x0) * c->scale;
        int p0 = lo < 0 ? 0 : (int)lo, p1 = hi >= c->points ? c->points - 1 : (int)ceil(hi) - 1;
        float x = b->current_a[n - b->first];
        double v = b->voltage_v ? (double)b->voltage_v[n - b->first] : c->r->info.voltage_v;
        struct trace_entry e = {(double)x, (double)x * v, x, x};
        for (int p = p0; p <= p1; p++)
            paint(&c->px[p], &e, 1);
    }
}

/* The same, pixel by pixel: each takes the samples that touch it. */
static void paint_narrow(const struct canvas *c, const struct measure_block *b, int64_t from, int64_t to) {
    int p = (int)fmax(0, floor(((double)from - c->x0) * c->scale));
    for (; p < c->points; p++) {
        int64_t a = (int64_t)floor(c->x0 + (double)p * c->per_pixel), z = (int64_t)ceil(c->x0 + ((double)p + 1) * c->per_pixel);
        a = a > from ? a : from;
        z = z < to ? z : to;
        if (a >= to)
            break;
        if (a >= z)
            continue;
        struct measure_sums s;
        measure_sums(b->current_a + (a - b->first), b->voltage_v ? b->voltage_v + (a - b->first) : NULL, c->r->info.voltage_v, (size_t)(z - a), &s);
        paint(&c->px[p], &(struct trace_entry){s.i, s.p, s.i_min, s.i_max}, (double)(z - a));
    }
}

static void paint_samples(const struct canvas *c, const struct measure_block *b) {
    int64_t from = b->first, to = b->first + b->count;
    from = (double)from < c->x0 ? (int64_t)floor(c->x0) : from;
    to = (double)to > c->x1 ? (int64_t)ceil(c->x1) : to;
    if (c->per_pixel < 2)
        paint_wide(c, b, from, to);
    else
        paint_narrow(c, b, from, to);
}

#define WHOLE (4 * TRACE_BLOCK) /* samples of a chunk from which on it is read at once */

static int paint_chunk(const struct canvas *c, const struct trace_leaf *l, struct err *reterr) {
    struct trace_chunk h;
    const struct trace_entry *e;
    struct measure_block b = {0};
    double first = (double)l->first, lo = fmax(c->x0 - first, 0), hi = fmin(c->x1 - first, (double)l->count);
    bool steps = c->per_pixel >= TRACE_STEP;
    if (!steps && hi - lo > WHOLE) {
        int rc = trace_chunk_load(c->r, l, MEASURE_WANT_VALUES, &b, reterr);
        if (rc == 0)
            paint_samples(c, &b);
        return rc;
    }
    int rc = trace_chunk_head(c->r, l, &h, steps ? &e : NULL, reterr);
    if (rc == 0 && steps) {
        paint_row(c, e, h.n_entries, first, TRACE_STEP, (double)(h.first + h.count));
        return 0;
    }
    for (uint32_t k = (uint32_t)lo / TRACE_BLOCK * TRACE_BLOCK; rc == 0 && (double)k < hi; k += TRACE_BLOCK) {
        rc = trace_chunk_samples(c->r, l, &h, k, &b, reterr);
        if (rc == 0)
            paint_samples(c, &b);
    }
    return rc;
}

/* Leaves of page p; tiles where chunks are too wide and tiles are not. */
static int paint_leaves(const struct canvas *c, const struct trace_page_ref *p, struct err *reterr) {
    const struct trace_entry *tiles = NULL;
    uint32_t n_tiles = 0, tile = 0;
    int rc = 0;
    if (c->most >= TRACE_TILE && c->most < TRACE_CHUNK)
        rc = trace_tiles_get(c->r, p, &tiles, &n_tiles, reterr);
    for (uint32_t i = 0; i < p->head.n && rc == 0; i++) {
        struct trace_leaf l = trace_leaf_at(p, i);
        uint32_t mine = n_tiles == 0 || l.flags & MEASURE_GAP ? 0 : (uint32_t)((l.count + TRACE_TILE - 1) / TRACE_TILE);
        double first = (double)l.first, end = (double)(l.first + l.count);
        if (first >= c->x1)
            break;
        if (end > c->x0 && !(l.flags & MEASURE_GAP)) {
            if (end - first <= c->most)
                paint_summary(c, &(struct trace_entry){l.sum_i, l.sum_p, l.min_i, l.max_i}, first, end - first, end - first);
            else if (mine > 0)
                paint_row(c, tiles + tile, mine, first, TRACE_TILE, end);
            else
                rc = paint_chunk(c, &l, reterr);
        }
        tile += mine;
        rc = rc == JF_E_CORRUPT ? 0 : rc; /* what is damaged stays blank */
    }
    return rc;
}

/* The node by its groups, where all of them are narrow enough. */
static int paint_groups(const struct canvas *c, const struct trace_node *n, bool *ret_done, struct err *reterr) {
    struct trace_group g[TRACE_FANOUT / TRACE_GROUP];
    uint32_t count;
    int rc = trace_groups_get(c->r, n, g, &count, reterr);
    *ret_done = rc == 0 && count > 0;
    for (uint32_t i = 0; i < count; i++)
        *ret_done = *ret_done && (double)g[i].end - (double)g[i].first <= c->most;
    for (uint32_t i = 0; *ret_done && i < count; i++)
        paint_summary(c, &(struct trace_entry){g[i].sum_i, g[i].sum_p, g[i].min_i, g[i].max_i}, (double)g[i].first, (double)(g[i].end - g[i].first),
                      (double)g[i].samples);
    return rc;
}

static int paint_node(const struct canvas *c, const struct trace_node *n, int depth, struct err *reterr) {
    const struct trace_page_ref *p;
    double width = (double)n->end - (double)n->first;
    bool done = false;
    int rc = 0;
    if (width <= c->most) {
        paint_summary(c, &(struct trace_entry){n->sum_i, n->sum_p, n->min_i, n->max_i}, (double)n->first, width, (double)n->samples);
        return 0;
    }
    if (width * TRACE_GROUP / TRACE_FANOUT <= c->most)
        rc = paint_groups(c, n, &done, reterr);
    if (rc < 0 || done)
        return rc;
    rc = trace_page_get(c->r, n, depth, &p, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? 0 : rc;
    if (p->head.level == 1)
        return paint_leaves(c, p, reterr);
    for (uint32_t i = trace_child_find(p, (int64_t)floor(c->x0)); i < p->head.n && rc == 0; i++) {
        struct trace_node child = trace_node_at(p, i);
        if ((double)child.first >= c->x1)
            break;
        rc = paint_node(c, &child, depth + 1, reterr);
    }
    return rc;
}

int trace_pixels(struct trace_reader *r, double from_s, double to_s, int points, struct trace_pixel *ret_px, struct err *reterr) {
    int rc = trace_resolve_span(r, &from_s, &to_s, reterr);
    if (rc < 0)
        return rc;
    if (points < 1 || points > TRACE_VIEW_MAX_POINTS)
        return err_set_at(reterr, JF_E_INVAL, "points", "1 to %d points are possible", TRACE_VIEW_MAX_POINTS);
    double dt = r->info.period_s;
    struct canvas c = {.r = r, .px = ret_px, .points = points, .x0 = from_s / dt, .per_pixel = (to_s - from_s) / dt / points};
    if (!(c.per_pixel > 1e-9) || fabs(c.x0) > 4e15)
        return err_set(reterr, JF_E_INVAL, "the span is too short to draw");
    c.x1 = c.x0 + c.per_pixel * points;
    c.scale = 1 / c.per_pixel;
    c.most = NARROW * c.per_pixel;
    for (int p = 0; p < points; p++)
        ret_px[p] = (struct trace_pixel){.min_i = INFINITY, .max_i = -INFINITY};
    return paint_node(&c, &r->root, 0, reterr);
}

static json_t *column(const struct trace_pixel *px, int points, int which) {
    json_t *a = json_array();
    for (int p = 0; a && p < points; p++) {
        const struct trace_pixel *q = &px[p];
        double v = NAN;
        if (q->samples > 0)
            v = which == 0 ? (double)q->min_i : which == 1 ? q->sum_i / q->samples : which == 2 ? (double)q->max_i : q->sum_p / q->samples;
        if (json_array_append_new(a, trace_real(v)) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

int trace_view(struct trace_reader *r, double from_s, double to_s, int points, json_t **ret_view, struct err *reterr) {
    json_t *edges = json_array(), *gaps = json_array(), *segments = json_array();
    struct trace_pixel *px = calloc(points >= 1 && points <= TRACE_VIEW_MAX_POINTS ? (size_t)points : 1, sizeof *px);
    double dt = r->info.period_s;
    int cut = 0, rc;
    if (!px || !edges || !gaps || !segments) {
        rc = err_set(reterr, JF_E_NOMEM, "no memory for the view");
        goto out;
    }
    rc = trace_resolve_span(r, &from_s, &to_s, reterr);
    if (rc == 0)
        rc = trace_pixels(r, from_s, to_s, points, px, reterr);
    if (rc == 0 && (r->info.channels & TRACE_MARKERS))
        cut = trace_collect_edges(r, from_s / dt, to_s / dt, edges, reterr);
    rc = cut < 0 ? cut : rc;
    if (rc == 0)
        rc = trace_collect_spans(r, from_s / dt, to_s / dt, gaps, segments, reterr);
    if (rc == 0) {
        *ret_view = json_pack("{s:f, s:f, s:f, s:i, s:o, s:{s:o, s:o, s:o}, s:{s:o}, s:O, s:b, s:O, s:O}", "from_s", from_s, "to_s", to_s, "period_s", dt,
                              "points", points, "voltage_v", trace_real(r->info.voltage_v), "current_a", "min", column(px, points, 0), "mean",
                              column(px, points, 1), "max", column(px, points, 2), "power_w", "mean", column(px, points, 3), "edges", edges,
                              "edges_truncated", cut == 1, "gaps", gaps, "segments", segments);
        if (!*ret_view)
            rc = err_set(reterr, JF_E_NOMEM, "no memory for the view");
    }
out:
    free(px);
    json_decref(edges);
    json_decref(gaps);
    json_decref(segments);
    return rc;
}
