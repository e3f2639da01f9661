/* SPDX-License-Identifier: GPL-2.0-or-later
 * The reader's inside, shared by reader.c (file, header, events), tree.c (pages), recover.c (damage), chunk.c (samples), stats.c, view.c
 * and spans.c (queries). Internal to measure/trace. */
#ifndef MEASURE_TRACE_READER_H
#define MEASURE_TRACE_READER_H

#include "base/buf.h"
#include "measure/trace/codec.h"
#include "measure/trace/format.h"
#include "measure/trace/trace.h"

#define TRACE_MAX_DEPTH (2 * TRACE_MAX_LEVEL) /* of pages inside each other, rebuilt ones included */
#define TRACE_MAX_PATCHES 1024
#define TRACE_MAX_MEMORY 2048 /* pages that exist in memory only */
#define TRACE_MAX_BAD 65536
#define TRACE_IN_MEMORY (UINT64_C(1) << 63) /* of an offset: an index into trace_reader.memory */

/* A page that was read: pointers into buf, or into a page in memory. */
struct trace_page_ref {
    uint64_t offset; /* as its parent gave it; 0: nothing here yet */
    struct trace_page head;
    const uint8_t *children; /* trace_leaf on level 1, trace_node above; read through trace_leaf_at, trace_node_at */
    struct trace_node node; /* the node that it really is: differs from the parent's where it was rebuilt */
    struct buf buf;
};

struct trace_reader {
    int fd;
    uint64_t size, body; /* body: of the first record behind the header */
    json_t *header; /* the whole header object */
    json_t *info_object; /* borrowed from header */
    struct trace_info info;
    struct trace_node root; /* level 0: no samples */
    uint64_t events_offset, capture_offset; /* as the footer says; 0: none */
    uint64_t *events; /* offsets, in file order, once events_known */
    size_t n_events, cap_events;
    bool events_known;
    struct trace_page_ref pages[TRACE_MAX_DEPTH]; /* one per depth: queries go down and forwards */
    struct buf *memory; /* [n_memory] payloads of pages without tiles */
    size_t n_memory;
    struct trace_patch {
        uint64_t offset; /* of the damaged page */
        struct trace_node node; /* what its records were found to hold; level 0: nothing */
    } *patches; /* [n_patches] */
    size_t n_patches;
    uint64_t *bad; /* [n_bad] offsets of damaged records, ascending */
    size_t n_bad, cap_bad;
    struct trace_codec *codec;
    struct buf payload; /* of the record read last */
    struct buf tiles;
    /* decoded channels */
    float *current, *volts;
    uint8_t *range, *markers, *quality;
    struct measure_stamp *stamps;
};

/* ---- reader.c -------------------------------------------------------------------------------------------------- */
int trace_corrupt(struct err *reterr, uint64_t offset, const char *what);
int trace_read_at(const struct trace_reader *r, uint64_t offset, void *dst, size_t n, struct err *reterr) JF_MUST_CHECK;
/* Reads a record at offset into r->payload and checks it; JF_E_CORRUPT when sync, length or checksum are wrong. */
int trace_read_record(struct trace_reader *r, uint64_t offset, struct trace_record *ret_rec, struct err *reterr) JF_MUST_CHECK;
/* Counts the record at offset as damaged, once. Returns JF_E_CORRUPT. */
int trace_mark_bad(struct trace_reader *r, uint64_t offset);
int trace_add_event(struct trace_reader *r, uint64_t offset) JF_MUST_CHECK;

/* ---- tree.c ---------------------------------------------------------------------------------------------------- */
/* The page of node n at this depth of the query; valid until another page is read at the same depth. A damaged page is rebuilt from the
 * records that it covers. JF_E_CORRUPT: nothing could be found: the node's span is a gap. */
int trace_page_get(struct trace_reader *r, const struct trace_node *n, int depth, const struct trace_page_ref **ret_p, struct err *reterr) JF_MUST_CHECK;
struct trace_leaf trace_leaf_at(const struct trace_page_ref *p, uint32_t i); /* level 1 */
struct trace_node trace_node_at(const struct trace_page_ref *p, uint32_t i); /* any level: child i */
/* The first child that ends behind sample n (p->head.n: none). */
uint32_t trace_child_find(const struct trace_page_ref *p, int64_t n);
/* Only the page's groups: *ret_n of them, 0 when they cannot be had. */
int trace_groups_get(struct trace_reader *r, const struct trace_node *n, struct trace_group ret_g[TRACE_FANOUT / TRACE_GROUP], uint32_t *ret_n,
                     struct err *reterr) JF_MUST_CHECK;
/* The tiles of a page of level 1, in r->tiles; *ret_n 0: it has none. */
int trace_tiles_get(struct trace_reader *r, const struct trace_page_ref *p, const struct trace_entry **ret_e, uint32_t *ret_n, struct err *reterr) JF_MUST_CHECK;
/* Every leaf that overlaps samples [from, to), ascending; what cannot be read comes as a hole. */
typedef int trace_leaf_fn(void *user, const struct trace_leaf *leaf, struct err *reterr);
int trace_each_leaf(struct trace_reader *r, int64_t from, int64_t to, trace_leaf_fn *fn, void *user, struct err *reterr) JF_MUST_CHECK;

/* ---- recover.c -------------------------------------------------------------------------------------------------- */
/* Builds the pyramid of the records in bytes [start, end). within: the page that these records belonged to, whose span is filled with holes
 * where nothing is found; NULL: the whole file, events included. *ret_root level 0: no chunk there. */
int trace_rebuild(struct trace_reader *r, uint64_t start, uint64_t end, const struct trace_node *within, struct trace_node *ret_root,
                  struct err *reterr) JF_MUST_CHECK;

/* The next place at or behind `at` where a sync word stands; end: none. */
uint64_t trace_find_sync(struct trace_reader *r, uint64_t at, uint64_t end);

/* ---- chunk.c ----------------------------------------------------------------------------------------------------- */
/* Reads and checks the chunk's head, and its entries where ret_e is not NULL (valid until the next record is read). */
int trace_chunk_head(struct trace_reader *r, const struct trace_leaf *l, struct trace_chunk *ret_h, const struct trace_entry **ret_e, struct err *reterr) JF_MUST_CHECK;
/* Does a head that was read from `len` payload bytes describe them? */
bool trace_head_fits(const struct trace_chunk *h, size_t len);
/* Reads, checks and decodes the wanted channels (MEASURE_WANT_*) into the reader's arrays and describes them as a block. */
int trace_chunk_load(struct trace_reader *r, const struct trace_leaf *l, unsigned want, struct measure_block *ret_b, struct err *reterr) JF_MUST_CHECK;
/* The block of TRACE_BLOCK samples that holds sample k of the chunk, as a block of current and voltage. */
int trace_chunk_samples(struct trace_reader *r, const struct trace_leaf *l, const struct trace_chunk *h, uint32_t k, struct measure_block *ret_b,
                        struct err *reterr) JF_MUST_CHECK;
/* Calls fn for each change of the marker byte inside the chunk, at sample n from `before` to `after`. != 0 of fn stops. */
typedef int trace_change_fn(void *user, int64_t n, uint8_t before, uint8_t after);
int trace_chunk_changes(struct trace_reader *r, const struct trace_leaf *l, trace_change_fn *fn, void *user, struct err *reterr) JF_MUST_CHECK;

/* ---- stats.c, spans.c ----------------------------------------------------------------------------------------------- */
/* NAN ends mean the recording's own. */
int trace_resolve_span(const struct trace_reader *r, double *from_s, double *to_s, struct err *reterr) JF_MUST_CHECK;
json_t *trace_real(double v); /* null where it is not finite */
/* Marker edges of [x0, x1) samples; 0: all of them, 1: cut at TRACE_VIEW_MAX_EDGES. */
int trace_collect_edges(struct trace_reader *r, double x0, double x1, json_t *edges, struct err *reterr) JF_MUST_CHECK;
/* Gaps and segments inside [x0, x1), cut to it. */
int trace_collect_spans(struct trace_reader *r, double x0, double x1, json_t *gaps, json_t *segments, struct err *reterr) JF_MUST_CHECK;

#endif
