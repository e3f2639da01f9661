/* SPDX-License-Identifier: GPL-2.0-or-later
 * Channel bytes <-> samples. Pure; one codec per thread (scratch and zstd contexts). Any input is safe to decode: what does not fit is
 * JF_E_CORRUPT. */
#ifndef MEASURE_TRACE_CODEC_H
#define MEASURE_TRACE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "measure/trace/format.h"

struct trace_codec;
int trace_codec_new(struct trace_codec **ret_c) JF_MUST_CHECK;
void trace_codec_free(struct trace_codec *c); /* NULL allowed */

/* Appends n elements of `width` bytes (1: a level; 8: a stamp's number) to out; *ret_enc tells how (enum trace_encoding), *ret_len the bytes. */
int trace_encode(struct trace_codec *c, const void *src, size_t n, size_t width, struct buf *out, uint8_t *ret_enc, uint32_t *ret_len) JF_MUST_CHECK;
/* Decodes exactly n elements into dst. */
int trace_decode(struct trace_codec *c, const uint8_t *src, size_t len, uint8_t enc, size_t n, size_t width, void *dst) JF_MUST_CHECK;

/* Appends n (1 to TRACE_CHUNK) floats, bit for bit; *ret_front: the bytes before the first block (all of them when they are not blocks). */
int trace_floats_encode(struct trace_codec *c, const float *src, size_t n, struct buf *out, uint8_t *ret_enc, uint32_t *ret_len, uint32_t *ret_front) JF_MUST_CHECK;

/* A float channel's front, parsed; borrows the bytes. */
struct trace_front {
    uint8_t enc;
    size_t n, n_blocks; /* samples; 0 blocks: constant */
    float constant;
    uint32_t n_palette;
    const uint8_t *palette, *table;
};
int trace_front_parse(const uint8_t *src, size_t len, uint8_t enc, size_t n, struct trace_front *ret_f) JF_MUST_CHECK;
/* Where block k's bytes are, counted from the end of the front; *ret_n: its samples. */
int trace_front_block(const struct trace_front *f, size_t k, size_t *ret_at, size_t *ret_len, uint32_t *ret_crc, size_t *ret_n) JF_MUST_CHECK;
/* dst: n floats. */
int trace_block_decode(struct trace_codec *c, const struct trace_front *f, const uint8_t *src, size_t len, size_t n, float *dst) JF_MUST_CHECK;
/* All blocks of a channel of `len` bytes whose front has `front` bytes, into dst: n floats. */
int trace_floats_decode(struct trace_codec *c, const uint8_t *src, size_t len, size_t front, uint8_t enc, size_t n, float *dst) JF_MUST_CHECK;

#endif
