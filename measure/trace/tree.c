/* SPDX-License-Identifier: GPL-2.0-or-later
 * The stored pyramid, page by page, as a query needs it: opening a file and asking it cost the same whatever its length. Nothing in a
 * page is trusted: its children must lie inside what its parent said about it, in time and in the file, so that no page is reached
 * twice and every way down ends. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "measure/trace/pyramid.h"
#include "measure/trace/reader.h"

#define MOST_FRONT (sizeof(struct trace_page) + TRACE_FANOUT / TRACE_GROUP * sizeof(struct trace_group))

static size_t child_size(uint32_t level) {
    return level == 1 ? sizeof(struct trace_leaf) : sizeof(struct trace_node);
}

static size_t groups_size(const struct trace_page *h) {
    return h->n_groups * sizeof(struct trace_group);
}

struct trace_leaf trace_leaf_at(const struct trace_page_ref *p, uint32_t i) {
    struct trace_leaf l;
    memcpy(&l, p->children + i * sizeof l, sizeof l);
    return l;
}

struct trace_node trace_node_at(const struct trace_page_ref *p, uint32_t i) {
    struct trace_node n;
    if (p->head.level == 1) {
        struct trace_leaf l = trace_leaf_at(p, i);
        return trace_leaf_node(&l);
    }
    memcpy(&n, p->children + i * sizeof n, sizeof n);
    return n;
}

static int64_t child_end(const struct trace_page_ref *p, uint32_t i) {
    struct trace_node n = trace_node_at(p, i);
    return n.end;
}

uint32_t trace_child_find(const struct trace_page_ref *p, int64_t n) {
    uint32_t lo = 0, hi = p->head.n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (child_end(p, mid) > n)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static bool head_fits(const struct trace_page *h, const struct trace_node *n) {
    return h->crc_head == crc32c_update(0, h, offsetof(struct trace_page, crc_head)) && h->level == n->level && h->n >= 1 && h->n <= TRACE_FANOUT &&
           h->n_groups == (h->n + TRACE_GROUP - 1) / TRACE_GROUP && h->n_tiles <= TRACE_FANOUT * TRACE_TILES &&
           n->len == sizeof *h + groups_size(h) + h->n * child_size(h->level) + h->n_tiles * sizeof(struct trace_entry);
}

static bool leaf_fits(const struct trace_leaf *l, int64_t from, int64_t to) {
    bool gap = (l->flags & MEASURE_GAP) != 0;
    return l->first >= from && l->count >= 1 && (gap || l->count <= TRACE_CHUNK) && l->count <= to - l->first;
}

/* I1: children ascend and do not overlap, in time and in the file, and lie inside their page's node. */
static bool children_fit(const struct trace_page_ref *p) {
    const struct trace_node *n = &p->node;
    int64_t from = n->first;
    uint64_t at = n->start;
    for (uint32_t i = 0; i < p->head.n; i++) {
        if (p->head.level == 1) {
            struct trace_leaf l = trace_leaf_at(p, i);
            if (!leaf_fits(&l, from, n->end) || l.offset < at || l.offset >= n->offset)
                return false;
            from = l.first + l.count;
            at = l.offset;
        } else {
            struct trace_node c = trace_node_at(p, i);
            if (c.level != n->level - 1 || c.first < from || c.end <= c.first || c.end > n->end || c.start < at || c.offset < c.start || c.offset >= n->offset)
                return false;
            from = c.end;
            at = c.offset;
        }
    }
    return true;
}

static bool node_fits(const struct trace_reader *r, const struct trace_node *n) {
    return n->level >= 1 && n->level < TRACE_MAX_LEVEL && n->first >= -TRACE_MAX_INDEX && n->end <= TRACE_MAX_INDEX && n->first < n->end &&
           n->start >= r->body && n->start < n->offset && n->offset < r->size && n->len >= sizeof(struct trace_page);
}

/* Reads the page's front and children into p->buf. */
static int read_page(struct trace_reader *r, const struct trace_node *n, struct trace_page_ref *p, struct err *reterr) {
    size_t most = MOST_FRONT + TRACE_FANOUT * child_size(n->level), want = n->len < most ? n->len : most;
    uint8_t *b;
    buf_clear(&p->buf);
    if (!node_fits(r, n))
        return trace_corrupt(reterr, n->offset, "no page of the index can be there");
    if (buf_reserve(&p->buf, most, &b) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    int rc = trace_read_at(r, n->offset + sizeof(struct trace_record), b, want, reterr);
    if (rc < 0)
        return rc;
    memcpy(&p->head, b, sizeof p->head);
    size_t at = sizeof p->head + groups_size(&p->head);
    p->node = *n;
    p->children = b + at;
    if (!head_fits(&p->head, n) || p->head.crc_children != crc32c_update(0, p->children, p->head.n * child_size(p->head.level)) || !children_fit(p))
        return trace_corrupt(reterr, n->offset, "a page of the index is damaged");
    return 0;
}

static void page_in_memory(const struct trace_reader *r, const struct trace_node *n, struct trace_page_ref *p) {
    const uint8_t *b = r->memory[n->offset & ~TRACE_IN_MEMORY].data;
    memcpy(&p->head, b, sizeof p->head);
    p->node = *n;
    p->children = b + sizeof p->head + groups_size(&p->head);
}

static const struct trace_patch *find_patch(const struct trace_reader *r, uint64_t offset) {
    for (size_t i = 0; i < r->n_patches; i++)
        if (r->patches[i].offset == offset)
            return &r->patches[i];
    return NULL;
}

/* What stands between the page's first record and the page itself is looked at instead of it. */
static int patch_page(struct trace_reader *r, const struct trace_node *n, struct trace_node *ret, struct err *reterr) {
    *ret = (struct trace_node){0};
    (void)trace_mark_bad(r, n->offset);
    if (r->n_patches == TRACE_MAX_PATCHES || n->start < r->body || n->offset > r->size || n->start >= n->offset)
        return JF_E_CORRUPT;
    int rc = trace_rebuild(r, n->start, n->offset, n, ret, reterr);
    if (rc < 0)
        return rc;
    struct trace_patch *grown = realloc(r->patches, (r->n_patches + 1) * sizeof *grown);
    if (!grown)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    r->patches = grown;
    r->patches[r->n_patches++] = (struct trace_patch){.offset = n->offset, .node = *ret};
    return 0;
}

int trace_page_get(struct trace_reader *r, const struct trace_node *n, int depth, const struct trace_page_ref **ret_p, struct err *reterr) {
    if (depth >= TRACE_MAX_DEPTH)
        return trace_corrupt(reterr, n->offset, "the index is too deep");
    struct trace_page_ref *p = &r->pages[depth];
    *ret_p = p;
    if (p->offset == n->offset)
        return 0;
    struct trace_node as = *n;
    const struct trace_patch *patch = find_patch(r, n->offset);
    int rc = 0;
    p->offset = 0;
    if (patch) {
        as = patch->node;
    } else if (!(n->offset & TRACE_IN_MEMORY)) {
        rc = read_page(r, n, p, reterr);
        if (rc == 0) {
            p->offset = n->offset;
            return 0;
        }
        if (rc == JF_E_CORRUPT)
            rc = patch_page(r, n, &as, reterr);
    }
    if (rc < 0)
        return rc;
    if (as.level == 0)
        return trace_corrupt(reterr, n->offset, "nothing is left of what a page of the index covered");
    if (as.offset & TRACE_IN_MEMORY)
        page_in_memory(r, &as, p);
    else
        rc = read_page(r, &as, p, reterr);
    if (rc == 0)
        p->offset = n->offset;
    return rc;
}

int trace_groups_get(struct trace_reader *r, const struct trace_node *n, struct trace_group ret_g[TRACE_FANOUT / TRACE_GROUP], uint32_t *ret_n,
                     struct err *reterr) {
    uint8_t b[MOST_FRONT];
    struct trace_page h;
    *ret_n = 0;
    if (find_patch(r, n->offset) || (n->offset & TRACE_IN_MEMORY) || !node_fits(r, n))
        return 0;
    int rc = trace_read_at(r, n->offset + sizeof(struct trace_record), b, n->len < sizeof b ? n->len : sizeof b, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? 0 : rc;
    memcpy(&h, b, sizeof h);
    if (!head_fits(&h, n) || h.crc_groups != crc32c_update(0, b + sizeof h, groups_size(&h)))
        return 0;
    memcpy(ret_g, b + sizeof h, groups_size(&h));
    *ret_n = h.n_groups;
    return 0;
}

int trace_tiles_get(struct trace_reader *r, const struct trace_page_ref *p, const struct trace_entry **ret_e, uint32_t *ret_n, struct err *reterr) {
    size_t bytes = p->head.n_tiles * sizeof(struct trace_entry), at = sizeof p->head + groups_size(&p->head) + p->head.n * child_size(p->head.level), tiles = 0;
    uint8_t *b;
    *ret_n = 0;
    for (uint32_t i = 0; i < p->head.n; i++) {
        struct trace_leaf l = trace_leaf_at(p, i);
        tiles += l.flags & MEASURE_GAP ? 0 : (size_t)(l.count + TRACE_TILE - 1) / TRACE_TILE;
    }
    if (bytes == 0 || tiles != p->head.n_tiles)
        return 0;
    buf_clear(&r->tiles);
    if (buf_reserve(&r->tiles, bytes, &b) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    int rc = trace_read_at(r, p->node.offset + sizeof(struct trace_record) + at, b, bytes, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? 0 : rc;
    if (p->head.crc_tiles != crc32c_update(0, b, bytes)) {
        (void)trace_mark_bad(r, p->node.offset);
        return 0;
    }
    *ret_e = (const struct trace_entry *)(const void *)b;
    *ret_n = p->head.n_tiles;
    return 0;
}

struct leaf_walk {
    int64_t from, to;
    trace_leaf_fn *fn;
    void *user;
};

static int walk_node(struct trace_reader *r, const struct trace_node *n, int depth, const struct leaf_walk *w, struct err *reterr) {
    const struct trace_page_ref *p;
    int rc = trace_page_get(r, n, depth, &p, reterr);
    if (rc == JF_E_CORRUPT) {
        struct trace_leaf hole = {.offset = n->start, .first = n->first, .count = n->end - n->first, .flags = MEASURE_GAP};
        return w->fn(w->user, &hole, reterr);
    }
    for (uint32_t i = rc < 0 ? 0 : trace_child_find(p, w->from); rc >= 0 && i < p->head.n; i++) {
        if (p->head.level == 1) {
            struct trace_leaf l = trace_leaf_at(p, i);
            if (l.first >= w->to)
                break;
            rc = w->fn(w->user, &l, reterr);
        } else {
            struct trace_node c = trace_node_at(p, i);
            if (c.first >= w->to)
                break;
            rc = walk_node(r, &c, depth + 1, w, reterr);
        }
    }
    return rc;
}

int trace_each_leaf(struct trace_reader *r, int64_t from, int64_t to, trace_leaf_fn *fn, void *user, struct err *reterr) {
    struct leaf_walk w = {from, to, fn, user};
    return r->root.level == 0 ? 0 : walk_node(r, &r->root, 0, &w, reterr);
}
