/* SPDX-License-Identifier: GPL-2.0-or-later
 * Codec of levels (range, markers, quality) and of stamps: constants, runs, zstd. */
#include <stdlib.h>
#include <string.h>

#include "measure/trace/codec_inner.h"

/* The lowest level finds no matches but still codes literals by their frequency, at several times the speed of level 1: what an
 * analyzer delivers is noise around a level, where matches cost bits. Set through parameters, since a level below zero alone would turn
 * the literals' code off. 1002: ZSTD_c_literalCompressionMode, named by zstd.h for static linking only. */
#define LEVEL (-100)
#define LITERALS ZSTD_c_experimentalParam5
#define LITERALS_ON 1

int trace_codec_new(struct trace_codec **ret_c) {
    struct trace_codec *c = calloc(1, sizeof *c);
    if (!c)
        return JF_E_NOMEM;
    c->dc = ZSTD_createDCtx();
    if (!c->dc) {
        trace_codec_free(c);
        return JF_E_NOMEM;
    }
    *ret_c = c;
    return 0;
}

int trace_codec_encoder(struct trace_codec *c) {
    if (!c->palette)
        c->palette = malloc(sizeof *c->palette);
    if (!c->palette)
        return JF_E_NOMEM;
    if (c->cc)
        return 0;
    c->cc = ZSTD_createCCtx();
    if (!c->cc)
        return JF_E_NOMEM;
    /* a library that does not know the second only compresses less */
    (void)ZSTD_CCtx_setParameter(c->cc, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(c->cc, LITERALS, LITERALS_ON);
    (void)ZSTD_CCtx_setParameter(c->cc, ZSTD_c_contentSizeFlag, 0);
    return 0;
}

void trace_codec_free(struct trace_codec *c) {
    if (!c)
        return;
    ZSTD_freeCCtx(c->cc);
    ZSTD_freeDCtx(c->dc);
    free(c->palette);
    free(c);
}

/* Appends runs of a u8 channel when that is shorter than n/8 bytes; 1: done, 0: too many runs, < 0 error. */
static int put_runs(const uint8_t *src, size_t n, struct buf *out) {
    size_t before = out->len, limit = before + n / 8 + TRACE_RUN_BYTES;
    for (size_t i = 0; i < n;) {
        uint8_t rec[TRACE_RUN_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24), src[i]};
        if (out->len + sizeof rec > limit) {
            out->len = before;
            return 0;
        }
        int rc = buf_put(out, rec, sizeof rec);
        if (rc < 0)
            return rc;
        uint8_t v = src[i++];
        uint64_t pattern = v * 0x0101010101010101ull, word;
        while (i + 8 <= n && (memcpy(&word, src + i, 8), word == pattern))
            i += 8;
        while (i < n && src[i] == v)
            i++;
    }
    return 1;
}

int trace_encode(struct trace_codec *c, const void *src, size_t n, size_t width, struct buf *out, uint8_t *ret_enc, uint32_t *ret_len) {
    size_t before = out->len, bytes = n * width;
    int rc = trace_codec_encoder(c);
    if (rc < 0)
        return rc;
    if (n == 0) {
        *ret_enc = TRACE_E_ABSENT;
    } else if (memcmp(src, (const uint8_t *)src + width, bytes - width) == 0) {
        *ret_enc = TRACE_E_CONSTANT;
        rc = buf_put(out, src, width);
    } else if (width == 1 && (rc = put_runs(src, n, out)) != 0) {
        *ret_enc = TRACE_E_RUNS;
    } else {
        uint8_t *p;
        size_t bound = ZSTD_compressBound(bytes);
        rc = buf_reserve(out, bound, &p);
        if (rc < 0)
            return rc;
        size_t got = ZSTD_compress2(c->cc, p, bound, src, bytes);
        if (ZSTD_isError(got) || got >= bytes) {
            *ret_enc = TRACE_E_RAW;
            rc = buf_put(out, src, bytes);
        } else {
            *ret_enc = TRACE_E_ZSTD;
            out->len += got;
        }
    }
    *ret_len = (uint32_t)(out->len - before);
    return rc < 0 ? rc : 0;
}

static int get_runs(const uint8_t *src, size_t len, size_t n, uint8_t *dst) {
    if (len == 0 || len % TRACE_RUN_BYTES != 0)
        return JF_E_CORRUPT;
    size_t runs = len / TRACE_RUN_BYTES, from = 0;
    for (size_t r = 0; r < runs; r++) {
        const uint8_t *p = src + r * TRACE_RUN_BYTES;
        size_t to = n;
        if (r + 1 < runs)
            to = (size_t)p[5] | (size_t)p[6] << 8 | (size_t)p[7] << 16 | (size_t)p[8] << 24;
        if (to <= from || to > n)
            return JF_E_CORRUPT;
        memset(dst + from, p[4], to - from);
        from = to;
    }
    return from == n ? 0 : JF_E_CORRUPT;
}

int trace_decode(struct trace_codec *c, const uint8_t *src, size_t len, uint8_t enc, size_t n, size_t width, void *dst) {
    size_t bytes = n * width;
    switch (enc) {
    case TRACE_E_RAW:
        if (len != bytes)
            return JF_E_CORRUPT;
        memcpy(dst, src, bytes);
        return 0;
    case TRACE_E_CONSTANT:
        if (len != width)
            return JF_E_CORRUPT;
        if (width == 1)
            memset(dst, src[0], n);
        else
            for (size_t i = 0; i < n; i++)
                memcpy((uint8_t *)dst + i * width, src, width);
        return 0;
    case TRACE_E_RUNS:
        return width == 1 ? get_runs(src, len, n, dst) : JF_E_CORRUPT;
    case TRACE_E_ZSTD:
        return ZSTD_decompressDCtx(c->dc, dst, bytes, src, len) == bytes ? 0 : JF_E_CORRUPT;
    default:
        return JF_E_CORRUPT;
    }
}
