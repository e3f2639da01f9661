/* SPDX-License-Identifier: GPL-2.0-or-later
 * The pyramid under construction: leaves in, pages out. Deterministic: the reader that recovers a file builds the very pages that its
 * writer wrote, and can so tell which of them survived. One thread; memory is that of one unfinished page per level.
 * Invariants: (P1) leaves ascend and do not overlap. (P2) a page is complete before its parent knows it, and stands behind everything
 * that it covers. (P3) a page below the root of its level has TRACE_FANOUT children. */
#ifndef MEASURE_TRACE_PYRAMID_H
#define MEASURE_TRACE_PYRAMID_H

#include <stdbool.h>

#include "base/buf.h"
#include "measure/trace/format.h"
#include "measure/trace/trace.h"

/* Stores a page's payload; *ret_offset: where its record begins. */
typedef int pyramid_page_fn(void *user, const uint8_t *payload, size_t len, uint64_t *ret_offset, struct err *reterr);

struct pyramid {
    pyramid_page_fn *put;
    void *user;
    struct pyramid_level {
        struct buf children; /* trace_leaf on level 1, trace_node above */
        struct buf groups; /* trace_group; the last one is still growing */
        uint32_t n;
        struct trace_node sum; /* of the children so far */
    } levels[TRACE_MAX_LEVEL + 1]; /* [0] unused */
    struct buf tiles; /* of level 1's page */
    struct buf page; /* scratch */
    bool tiled; /* false: pages carry no tiles */
    bool any, last_gap;
};

void pyramid_init(struct pyramid *ret_p, pyramid_page_fn *put, void *user, bool tiled);
void pyramid_done(struct pyramid *p);
/* entries: the chunk's n summaries of TRACE_STEP samples (0 for a hole). */
int pyramid_add(struct pyramid *p, const struct trace_leaf *leaf, const struct trace_entry *entries, size_t n, struct err *reterr) JF_MUST_CHECK;
/* Writes the unfinished pages. *ret_root: the top; level 0 when no leaf was added. */
int pyramid_finish(struct pyramid *p, struct trace_node *ret_root, struct err *reterr) JF_MUST_CHECK;

/* The node that stands for one leaf (level 0). */
struct trace_node trace_leaf_node(const struct trace_leaf *l);
/* Appends what lies behind `sum` to it; sum->level and its record are left alone. first: sum is empty. */
void trace_node_append(struct trace_node *sum, const struct trace_node *next, bool first);
/* dst takes e's sums, minimum and maximum in; starts from {0, 0, INFINITY, -INFINITY}. */
void trace_entry_add(struct trace_entry *dst, const struct trace_entry *e);

#endif
