/* SPDX-License-Identifier: GPL-2.0-or-later
 * Marker edges, gaps and segments of a span. Pages in which nothing of the kind happens are stepped over. */
#include <math.h>

#include "measure/trace/pyramid.h"
#include "measure/trace/reader.h"

#define MAX_SPANS 1024

/* ---- marker edges ------------------------------------------------------------------------------------------- */
struct edges {
    struct trace_reader *r;
    json_t *list;
    double x0, x1;
    bool known; /* the level before the next node was seen */
    uint8_t last;
};

static int add_edge(void *user, int64_t n, uint8_t before, uint8_t after) {
    struct edges *e = user;
    if ((double)n < e->x0 || (double)n >= e->x1)
        return 0;
    for (int line = 0; line < 8; line++)
        if (((before ^ after) >> line) & 1) {
            if (json_array_size(e->list) >= TRACE_VIEW_MAX_EDGES)
                return 1;
            json_t *j = json_pack("{s:f, s:i, s:i}", "t_s", (double)n * e->r->info.period_s, "line", line, "level", (after >> line) & 1);
            if (json_array_append_new(e->list, j) < 0)
                return JF_E_NOMEM;
        }
    return 0;
}

static int edges_below(struct edges *e, const struct trace_node *n, int depth, struct err *reterr) {
    const struct trace_page_ref *p;
    int rc = trace_page_get(e->r, n, depth, &p, reterr);
    if (rc == JF_E_CORRUPT) {
        e->known = false;
        return 0;
    }
    for (uint32_t i = rc < 0 ? 0 : trace_child_find(p, (int64_t)floor(e->x0)); rc == 0 && i < p->head.n; i++) {
        struct trace_node c = trace_node_at(p, i);
        if ((double)c.first >= e->x1)
            break;
        if (c.flags & (TRACE_NODE_GAP_FIRST | TRACE_NODE_SEGMENT))
            e->known = false;
        if (e->known)
            rc = add_edge(e, c.first, e->last, c.first_markers);
        if (rc == 0 && c.n_changes > 0 && p->head.level > 1) {
            rc = edges_below(e, &c, depth + 1, reterr);
        } else if (rc == 0 && c.n_changes > 0) {
            struct trace_leaf l = trace_leaf_at(p, i);
            rc = trace_chunk_changes(e->r, &l, add_edge, e, reterr);
            rc = rc == JF_E_CORRUPT ? 0 : rc;
        }
        e->known = !(c.flags & TRACE_NODE_GAP_LAST);
        e->last = c.last_markers;
    }
    return rc;
}

int trace_collect_edges(struct trace_reader *r, double x0, double x1, json_t *list, struct err *reterr) {
    struct edges e = {.r = r, .list = list, .x0 = x0, .x1 = x1};
    int rc = r->root.level == 0 || r->root.n_changes == 0 ? 0 : edges_below(&e, &r->root, 0, reterr);
    return rc == JF_E_NOMEM ? err_set(reterr, rc, "no memory for the view") : rc;
}

/* ---- gaps and segments -------------------------------------------------------------------------------------- */
struct spans {
    struct trace_reader *r;
    json_t *gaps, *segments;
    double x0, x1;
    int64_t start, end; /* of the segment that goes on */
    bool open;
};

/* join: a span that continues the last one extends it: a long hole may be stored in pieces. Segments that touch stay two. */
static int add_span(const struct spans *s, json_t *list, int64_t from, int64_t to, bool join) {
    double dt = s->r->info.period_s, a = fmax((double)from, s->x0), z = fmin((double)to, s->x1);
    size_t n = json_array_size(list);
    json_t *last = join && n > 0 ? json_array_get(list, n - 1) : NULL;
    if (!(a < z))
        return 0;
    if (last && json_real_value(json_array_get(last, 1)) >= a * dt)
        return json_array_set_new(last, 1, json_real(z * dt)) < 0 ? JF_E_NOMEM : 0;
    if (n >= MAX_SPANS)
        return 0;
    return json_array_append_new(list, json_pack("[f, f]", a * dt, z * dt)) < 0 ? JF_E_NOMEM : 0;
}

static int spans_below(struct spans *s, const struct trace_node *n, int depth, struct err *reterr) {
    const struct trace_page_ref *p;
    int rc = trace_page_get(s->r, n, depth, &p, reterr);
    if (rc == JF_E_CORRUPT) {
        s->end = n->end;
        return add_span(s, s->gaps, n->first, n->end, true);
    }
    for (uint32_t i = rc < 0 ? 0 : trace_child_find(p, (int64_t)floor(s->x0)); rc == 0 && i < p->head.n; i++) {
        struct trace_node c = trace_node_at(p, i);
        if ((double)c.first >= s->x1)
            break;
        if (p->head.level > 1 && (c.n_segments > 0 || c.gap_samples > 0)) {
            if (json_array_size(s->gaps) < MAX_SPANS || json_array_size(s->segments) < MAX_SPANS)
                rc = spans_below(s, &c, depth + 1, reterr);
            continue;
        }
        if (s->open && (c.flags & TRACE_NODE_SEGMENT)) {
            rc = add_span(s, s->segments, s->start, s->end, false);
            s->start = c.first;
        }
        if (!s->open)
            s->start = c.first;
        s->open = true;
        s->end = c.end;
        if (rc == 0 && c.gap_samples > 0)
            rc = add_span(s, s->gaps, c.first, c.end, true);
    }
    return rc;
}

int trace_collect_spans(struct trace_reader *r, double x0, double x1, json_t *gaps, json_t *segments, struct err *reterr) {
    struct spans s = {.r = r, .gaps = gaps, .segments = segments, .x0 = x0, .x1 = x1};
    if (r->root.level == 0)
        return 0;
    int rc = 0;
    if (r->root.n_gaps == 0 && r->root.gap_samples == 0 && r->info.n_segments == 1)
        s = (struct spans){.r = r, .gaps = gaps, .segments = segments, .x0 = x0, .x1 = x1, .start = r->root.first, .end = r->root.end, .open = true};
    else
        rc = spans_below(&s, &r->root, 0, reterr);
    if (rc == 0 && s.open)
        rc = add_span(&s, segments, s.start, s.end, false);
    return rc == JF_E_NOMEM ? err_set(reterr, rc, "no memory for the view") : rc;
}
