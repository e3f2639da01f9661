/* SPDX-License-Identifier: GPL-2.0-or-later
 * Building the pyramid (pyramid.h). Pure but for the page function. */
#include "measure/trace/pyramid.h"

#include <math.h>
#include <string.h>

#include "base/crc32.h"
#include "measure/kernel.h"

void trace_entry_add(struct trace_entry *dst, const struct trace_entry *e) {
    dst->sum_i += e->sum_i;
    dst->sum_p += e->sum_p;
    dst->min_i = e->min_i < dst->min_i ? e->min_i : dst->min_i;
    dst->max_i = e->max_i > dst->max_i ? e->max_i : dst->max_i;
}

struct trace_node trace_leaf_node(const struct trace_leaf *l) {
    bool gap = (l->flags & MEASURE_GAP) != 0, start = (l->flags & MEASURE_SEGMENT_START) != 0;
    struct trace_node n = {
        .offset = l->offset, .start = l->offset, .first = l->first, .end = l->first + l->count, .len = l->len, .n_chunks = 1,
        .samples = gap ? 0 : l->count, .gap_samples = gap ? l->count : 0, .n_segments = start, .n_gaps = gap && !(l->flags & TRACE_LEAF_SAME_GAP),
        .min_i = INFINITY, .max_i = -INFINITY, .flags = (uint8_t)(start ? TRACE_NODE_SEGMENT : 0)};
    if (gap) {
        n.flags |= TRACE_NODE_GAP_FIRST | TRACE_NODE_GAP_LAST;
        return n;
    }
    n.sum_i = l->sum_i;
    n.sum_p = l->sum_p;
    n.min_i = l->min_i;
    n.max_i = l->max_i;
    n.n_changes = l->n_changes;
    n.first_markers = l->first_markers;
    n.last_markers = l->last_markers;
    return n;
}

static void add_pair(double *sum, double *lo, double x, double x_lo) {
    struct measure_acc a = {*sum, *lo};
    measure_acc_add(&a, x);
    a.carry += x_lo;
    *sum = a.sum;
    *lo = a.carry;
}

static uint32_t saturated(uint64_t n) {
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void trace_node_append(struct trace_node *sum, const struct trace_node *next, bool first) {
    if (first) {
        uint8_t level = sum->level;
        *sum = *next;
        sum->level = level;
        return;
    }
    /* a change at the seam counts where both levels were seen */
    bool seen = !(sum->flags & TRACE_NODE_GAP_LAST) && !(next->flags & (TRACE_NODE_GAP_FIRST | TRACE_NODE_SEGMENT));
    sum->n_changes = saturated((uint64_t)sum->n_changes + next->n_changes + (seen && sum->last_markers != next->first_markers));
    sum->last_markers = next->last_markers;
    sum->flags = (uint8_t)((sum->flags & ~TRACE_NODE_GAP_LAST) | (next->flags & TRACE_NODE_GAP_LAST));
    sum->end = next->end;
    sum->samples += next->samples;
    sum->gap_samples += next->gap_samples;
    add_pair(&sum->sum_i, &sum->lo_i, next->sum_i, next->lo_i);
    add_pair(&sum->sum_p, &sum->lo_p, next->sum_p, next->lo_p);
    sum->min_i = next->min_i < sum->min_i ? next->min_i : sum->min_i;
    sum->max_i = next->max_i > sum->max_i ? next->max_i : sum->max_i;
    sum->n_chunks = saturated((uint64_t)sum->n_chunks + next->n_chunks);
    sum->n_segments = saturated((uint64_t)sum->n_segments + next->n_segments);
    sum->n_gaps = saturated((uint64_t)sum->n_gaps + next->n_gaps);
}

void pyramid_init(struct pyramid *ret_p, pyramid_page_fn *put, void *user, bool tiled) {
    *ret_p = (struct pyramid){.put = put, .user = user, .tiled = tiled};
    for (int l = 1; l <= TRACE_MAX_LEVEL; l++) {
        buf_init(&ret_p->levels[l].children, TRACE_FANOUT * sizeof(struct trace_node));
        buf_init(&ret_p->levels[l].groups, TRACE_FANOUT / TRACE_GROUP * sizeof(struct trace_group));
    }
    buf_init(&ret_p->tiles, TRACE_FANOUT * TRACE_TILES * sizeof(struct trace_entry));
    buf_init(&ret_p->page, TRACE_MAX_PAYLOAD);
}

void pyramid_done(struct pyramid *p) {
    if (!p)
        return;
    for (int l = 1; l <= TRACE_MAX_LEVEL; l++) {
        buf_done(&p->levels[l].children);
        buf_done(&p->levels[l].groups);
    }
    buf_done(&p->tiles);
    buf_done(&p->page);
}

static int add_group(struct pyramid_level *l, const struct trace_node *n) {
    struct trace_group g = {.first = n->first, .min_i = INFINITY, .max_i = -INFINITY};
    size_t last = (l->n / TRACE_GROUP) * sizeof g;
    if (l->n % TRACE_GROUP == 0) {
        int rc = buf_put(&l->groups, &g, sizeof g);
        if (rc < 0)
            return rc;
    }
    memcpy(&g, l->groups.data + last, sizeof g);
    g.end = n->end;
    g.samples += n->samples;
    g.sum_i += n->sum_i;
    g.sum_p += n->sum_p;
    g.min_i = n->min_i < g.min_i ? n->min_i : g.min_i;
    g.max_i = n->max_i > g.max_i ? n->max_i : g.max_i;
    memcpy(l->groups.data + last, &g, sizeof g);
    return 0;
}

static int add_tiles(struct pyramid *p, const struct trace_entry *e, size_t n) {
    const size_t per = TRACE_TILE / TRACE_STEP;
    for (size_t at = 0; at < n; at += per) {
        struct trace_entry t = {.min_i = INFINITY, .max_i = -INFINITY};
        for (size_t k = at; k < n && k < at + per; k++)
            trace_entry_add(&t, &e[k]);
        int rc = buf_put(&p->tiles, &t, sizeof t);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int flush_page(struct pyramid *p, int level, struct err *reterr);

static int add_child(struct pyramid *p, int level, const void *child, size_t size, const struct trace_node *n, struct err *reterr) {
    struct pyramid_level *l = &p->levels[level];
    if (buf_put(&l->children, child, size) < 0 || add_group(l, n) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    l->sum.level = (uint8_t)level;
    trace_node_append(&l->sum, n, l->n == 0);
    l->n++;
    return l->n == TRACE_FANOUT ? flush_page(p, level, reterr) : 0;
}

static int flush_page(struct pyramid *p, int level, struct err *reterr) {
    struct pyramid_level *l = &p->levels[level];
    struct buf *tiles = level == 1 && p->tiled ? &p->tiles : NULL;
    if (level == TRACE_MAX_LEVEL)
        return err_set(reterr, JF_E_TOO_LARGE, "the trace has too many chunks");
    struct trace_page head = {.level = (uint32_t)level, .n = l->n, .n_groups = (l->n + TRACE_GROUP - 1) / TRACE_GROUP,
                              .n_tiles = tiles ? (uint32_t)(tiles->len / sizeof(struct trace_entry)) : 0,
                              .crc_groups = crc32c_update(0, l->groups.data, l->groups.len),
                              .crc_children = crc32c_update(0, l->children.data, l->children.len),
                              .crc_tiles = tiles ? crc32c_update(0, tiles->data, tiles->len) : 0};
    head.crc_head = crc32c_update(0, &head, offsetof(struct trace_page, crc_head));
    buf_clear(&p->page);
    if (buf_put(&p->page, &head, sizeof head) < 0 || buf_put(&p->page, l->groups.data, l->groups.len) < 0 ||
        buf_put(&p->page, l->children.data, l->children.len) < 0 || (tiles && buf_put(&p->page, tiles->data, tiles->len) < 0))
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    l->sum.len = (uint32_t)p->page.len;
    int rc = p->put(p->user, p->page.data, p->page.len, &l->sum.offset, reterr);
    if (rc < 0)
        return rc;
    struct trace_node self = l->sum;
    buf_clear(&l->groups);
    buf_clear(&l->children);
    l->n = 0;
    if (level == 1)
        buf_clear(&p->tiles);
    return add_child(p, level + 1, &self, sizeof self, &self, reterr);
}

int pyramid_add(struct pyramid *p, const struct trace_leaf *leaf, const struct trace_entry *entries, size_t n, struct err *reterr) {
    struct trace_leaf l = *leaf;
    bool gap = (l.flags & MEASURE_GAP) != 0;
    l.flags &= MEASURE_GAP | MEASURE_SEGMENT_START | MEASURE_SEGMENT_END;
    if (gap && p->any && p->last_gap)
        l.flags |= TRACE_LEAF_SAME_GAP;
    p->any = true;
    p->last_gap = gap;
    if (p->tiled && add_tiles(p, entries, n) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    struct trace_node node = trace_leaf_node(&l);
    return add_child(p, 1, &l, sizeof l, &node, reterr);
}

int pyramid_finish(struct pyramid *p, struct trace_node *ret_root, struct err *reterr) {
    *ret_root = (struct trace_node){0};
    for (int level = 1; level <= TRACE_MAX_LEVEL; level++) {
        struct pyramid_level *l = &p->levels[level];
        bool above = false;
        for (int k = level + 1; k <= TRACE_MAX_LEVEL; k++)
            above = above || p->levels[k].n > 0;
        if (l->n == 0)
            continue;
        if (!above && level > 1 && l->n == 1) { /* a page with one child would only be in the way */
            memcpy(ret_root, l->children.data, sizeof *ret_root);
            return 0;
        }
        int rc = flush_page(p, level, reterr);
        if (rc < 0)
            return rc;
    }
    return 0;
}
