/* SPDX-License-Identifier: GPL-2.0-or-later
 * Channel bytes <-> samples. Pure; one codec per thread (scratch and zstd contexts). */
#ifndef MEASURE_TRACE_CODEC_H
#define MEASURE_TRACE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct trace_codec;
int trace_codec_new(struct trace_codec **ret_c) JF_MUST_CHECK;
void trace_codec_free(struct trace_codec *c); /* NULL allowed */

/* Appends n elements of `width` bytes (1, 4, 8) to out; *ret_enc tells how (enum trace_encoding), *ret_len the bytes. */
int trace_encode(struct trace_codec *c, const void *src, size_t n, size_t width, struct buf *out, uint8_t *ret_enc, uint32_t *ret_len) JF_MUST_CHECK;
/* Decodes exactly n elements into dst. JF_E_CORRUPT for anything that does not fit. */
int trace_decode(struct trace_codec *c, const uint8_t *src, size_t len, uint8_t enc, size_t n, size_t width, void *dst) JF_MUST_CHECK;

#endif
