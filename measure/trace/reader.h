/* SPDX-License-Identifier: GPL-2.0-or-later
 * The reader's inside, shared by reader.c (structure, chunks) and view.c (summaries). Internal to measure/trace. */
#ifndef MEASURE_TRACE_READER_H
#define MEASURE_TRACE_READER_H

#include "base/buf.h"
#include "measure/trace/codec.h"
#include "measure/trace/format.h"
#include "measure/trace/trace.h"

struct trace_reader {
    int fd;
    uint64_t size;
    json_t *header; /* the whole header object */
    json_t *info_object; /* borrowed from header, or owned empty object */
    struct trace_info info;
    struct trace_index *chunks; /* [n_chunks], ascending, gaps included */
    size_t n_chunks;
    struct trace_index *events; /* [n_events] */
    size_t n_events;
    uint8_t *checked; /* [n_chunks]: 1 good, 2 bad */
    struct trace_codec *codec;
    struct buf payload; /* of the chunk read last */
    /* decoded channels */
    float *current, *volts;
    uint8_t *range, *markers, *quality;
    struct measure_stamp *stamps;
};

/* Reads chunk i's payload and checks it. On success *ret_head is its head and the entries follow it in r->payload.
 * JF_E_CORRUPT: the chunk is bad (counted once in info.n_bad). */
int trace_chunk_load(struct trace_reader *r, size_t i, struct trace_chunk *ret_head, struct err *reterr) JF_MUST_CHECK;
/* Reads only head and entries (no checksum: it needs the whole record; used where the index already vouches for the span). */
int trace_chunk_entries(struct trace_reader *r, size_t i, struct trace_chunk *ret_head, const struct trace_entry **ret_e, struct err *reterr) JF_MUST_CHECK;
/* Decodes the wanted channels (MEASURE_WANT_*) of the loaded chunk into the reader's arrays and describes it as a block. */
int trace_chunk_decode(struct trace_reader *r, const struct trace_chunk *h, unsigned want, struct measure_block *ret_b, struct err *reterr) JF_MUST_CHECK;
/* Index of the first chunk whose end lies behind sample n (n_chunks: none). */
size_t trace_chunk_find(const struct trace_reader *r, int64_t n);

#endif
