/* SPDX-License-Identifier: GPL-2.0-or-later
 * The codec's memory, shared by codec.c (levels and stamps) and floats.c. */
#ifndef MEASURE_TRACE_CODEC_INNER_H
#define MEASURE_TRACE_CODEC_INNER_H

#include <zstd.h>

#include "measure/trace/codec.h"
#include "measure/trace/trace.h"

#define TRACE_SLOTS 65536u /* of the hash table of values: four times the largest palette */

/* Only an encoder has one. */
struct trace_palette {
    uint16_t codes[TRACE_CHUNK];
    uint16_t slots[TRACE_SLOTS]; /* index into values + 1; 0: empty */
    uint32_t values[TRACE_MAX_PALETTE]; /* in order of appearance, then ascending */
    uint32_t spare[TRACE_MAX_PALETTE];
    uint16_t order[TRACE_MAX_PALETTE];
    uint16_t rank[TRACE_MAX_PALETTE]; /* of values[i] in ascending order */
};

struct trace_codec {
    ZSTD_CCtx *cc; /* NULL until something is encoded, as palette */
    ZSTD_DCtx *dc;
    struct trace_palette *palette;
    uint8_t planes[4][TRACE_BLOCK];
};

/* Makes what encoding needs. */
int trace_codec_encoder(struct trace_codec *c) JF_MUST_CHECK;

#endif
