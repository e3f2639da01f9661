/* SPDX-License-Identifier: GPL-2.0-or-later
 * Files whose writer did not close them, and pages that are damaged: the records themselves are walked, and the pyramid is built anew from
 * the chunks. Pages that the writer wrote are found again behind their last chunk, bit for bit, so that memory stays bounded; only those
 * that are missing are kept in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "measure/trace/pyramid.h"
#include "measure/trace/reader.h"

struct walk {
    struct trace_reader *r;
    struct pyramid pyramid;
    uint64_t behind; /* the last chunk, and the pages found behind it */
    int64_t end; /* behind the last leaf */
    bool any, lost; /* lost: damage was stepped over since */
};

static int keep_in_memory(struct trace_reader *r, const uint8_t *payload, size_t len, uint64_t *ret_offset, struct err *reterr) {
    struct trace_page h;
    memcpy(&h, payload, sizeof h);
    len -= h.n_tiles * sizeof(struct trace_entry);
    h.n_tiles = h.crc_tiles = 0;
    if (r->n_memory == TRACE_MAX_MEMORY)
        return err_set(reterr, JF_E_TOO_LARGE, "too much of the trace's index is damaged");
    struct buf *grown = realloc(r->memory, (r->n_memory + 1) * sizeof *grown);
    if (!grown)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    r->memory = grown;
    struct buf *b = &r->memory[r->n_memory];
    buf_init(b, len);
    if (buf_put(b, payload, len) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace's index");
    memcpy(b->data, &h, sizeof h);
    *ret_offset = TRACE_IN_MEMORY | r->n_memory++;
    return 0;
}

static int find_page(void *user, const uint8_t *payload, size_t len, uint64_t *ret_offset, struct err *reterr) {
    struct walk *w = user;
    struct trace_reader *r = w->r;
    struct trace_record rec = {0};
    if (trace_read_record(r, w->behind, &rec, NULL) == 0 && rec.type == TRACE_T_INDEX && rec.len == len && memcmp(r->payload.data, payload, len) == 0) {
        *ret_offset = w->behind;
        w->behind += sizeof rec + len;
        return 0;
    }
    return keep_in_memory(r, payload, len, ret_offset, reterr);
}

/* A stretch without a record is a hole. */
static int add_hole(struct walk *w, int64_t to, uint64_t at, struct err *reterr) {
    struct trace_leaf hole = {.offset = at, .first = w->end, .count = to - w->end, .flags = MEASURE_GAP};
    w->end = to;
    return pyramid_add(&w->pyramid, &hole, NULL, 0, reterr);
}

/* The chunk in r->payload. JF_E_CORRUPT: it cannot follow what came before. */
static int add_chunk(struct walk *w, uint64_t at, const struct trace_record *rec, const struct trace_node *within, struct err *reterr) {
    struct trace_chunk h;
    if (rec->len < sizeof h)
        return JF_E_CORRUPT;
    memcpy(&h, w->r->payload.data, sizeof h);
    if (!trace_head_fits(&h, rec->len) || (w->any && h.first < w->end) || h.first < -TRACE_MAX_INDEX || h.first > TRACE_MAX_INDEX - h.count ||
        (within && (h.first < within->first || h.first + h.count > within->end)))
        return JF_E_CORRUPT;
    struct trace_leaf leaf = {.offset = at, .first = h.first, .count = h.count, .sum_i = h.sum_i, .sum_p = h.sum_p, .min_i = h.min_i, .max_i = h.max_i,
                              .len = rec->len, .flags = h.flags, .n_changes = h.n_changes, .first_markers = h.first_markers, .last_markers = h.last_markers};
    /* the payload's buffer is read into again when a page is looked for: the entries are copied */
    struct trace_entry entries[TRACE_CHUNK / TRACE_STEP];
    memcpy(entries, w->r->payload.data + sizeof h, h.n_entries * sizeof *entries);
    /* before a new segment nothing need be missing, but behind damage it may */
    bool hole = w->any && h.first > w->end && (w->lost || !(h.flags & MEASURE_SEGMENT_START));
    int rc = hole ? add_hole(w, h.first, at, reterr) : 0;
    w->behind = at + sizeof *rec + rec->len;
    w->any = true;
    w->lost = false;
    w->end = h.first + h.count;
    return rc < 0 ? rc : pyramid_add(&w->pyramid, &leaf, entries, h.n_entries, reterr);
}

uint64_t trace_find_sync(struct trace_reader *r, uint64_t at, uint64_t end) {
    uint8_t window[65536];
    const uint32_t sync = TRACE_SYNC;
    while (at + sizeof sync <= end) {
        size_t n = end - at < sizeof window ? (size_t)(end - at) : sizeof window;
        if (trace_read_at(r, at, window, n, NULL) < 0)
            break;
        for (size_t k = 0; k + sizeof sync <= n; k++)
            if (memcmp(window + k, &sync, sizeof sync) == 0)
                return at + k;
        at += n - (sizeof sync - 1);
    }
    return end;
}

static int walk_records(struct walk *w, uint64_t at, uint64_t end, const struct trace_node *within, struct err *reterr) {
    struct trace_reader *r = w->r;
    while (at < end) {
        struct trace_record rec = {0};
        int rc = trace_read_record(r, at, &rec, reterr);
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
        if (rc < 0) {
            uint64_t next = trace_find_sync(r, at + 1, end);
            if (next < r->size)
                (void)trace_mark_bad(r, at); /* damage inside; the torn tail of a killed writer is not counted */
            w->lost = true;
            at = next;
            continue;
        }
        if (rec.type == TRACE_T_CHUNK)
            rc = add_chunk(w, at, &rec, within, reterr);
        else if (rec.type == TRACE_T_EVENT && !within)
            rc = trace_add_event(r, at);
        if (rc == JF_E_CORRUPT)
            w->lost = trace_mark_bad(r, at) < 0;
        else if (rc < 0)
            return rc;
        at += sizeof rec + rec.len;
    }
    return 0;
}

int trace_rebuild(struct trace_reader *r, uint64_t start, uint64_t end, const struct trace_node *within, struct trace_node *ret_root,
                  struct err *reterr) {
    struct walk w = {.r = r, .behind = start};
    pyramid_init(&w.pyramid, find_page, &w, true);
    if (within && !(within->flags & TRACE_NODE_SEGMENT)) {
        w.any = true;
        w.end = within->first;
    }
    int rc = walk_records(&w, start, end, within, reterr);
    if (rc == 0 && within && w.any && w.end < within->end)
        rc = add_hole(&w, within->end, start, reterr);
    if (rc == 0)
        rc = pyramid_finish(&w.pyramid, ret_root, reterr);
    pyramid_done(&w.pyramid);
    return rc;
}
