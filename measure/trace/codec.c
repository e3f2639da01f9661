/* SPDX-License-Identifier: GPL-2.0-or-later
 * Channel codec: constants, runs, byte planes with zstd. Noise lives in the low mantissa bytes; splitting the planes lets zstd
 * pass those through and squeeze the rest. Any input is safe to decode. */
#include "measure/trace/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "measure/trace/format.h"
#include "measure/trace/trace.h"

#define SCRATCH (TRACE_CHUNK * 16)
#define LEVEL 1

struct trace_codec {
    ZSTD_CCtx *cc;
    ZSTD_DCtx *dc;
    uint8_t *scratch; /* SCRATCH bytes */
};

int trace_codec_new(struct trace_codec **ret_c) {
    struct trace_codec *c = calloc(1, sizeof *c);
    if (!c)
        return JF_E_NOMEM;
    c->cc = ZSTD_createCCtx();
    c->dc = ZSTD_createDCtx();
    c->scratch = malloc(SCRATCH);
    if (!c->cc || !c->dc || !c->scratch) {
        trace_codec_free(c);
        return JF_E_NOMEM;
    }
    *ret_c = c;
    return 0;
}

void trace_codec_free(struct trace_codec *c) {
    if (!c)
        return;
    ZSTD_freeCCtx(c->cc);
    ZSTD_freeDCtx(c->dc);
    free(c->scratch);
    free(c);
}

static void split4(const uint8_t *restrict src, size_t n, uint8_t *restrict dst) {
    uint8_t *restrict a = dst, *restrict b = dst + n, *restrict d = dst + 2 * n, *restrict e = dst + 3 * n;
    for (size_t i = 0; i < n; i++) {
        a[i] = src[4 * i];
        b[i] = src[4 * i + 1];
        d[i] = src[4 * i + 2];
        e[i] = src[4 * i + 3];
    }
}

static void join4(const uint8_t *restrict src, size_t n, uint8_t *restrict dst) {
    const uint8_t *restrict a = src, *restrict b = src + n, *restrict d = src + 2 * n, *restrict e = src + 3 * n;
    for (size_t i = 0; i < n; i++) {
        dst[4 * i] = a[i];
        dst[4 * i + 1] = b[i];
        dst[4 * i + 2] = d[i];
        dst[4 * i + 3] = e[i];
    }
}

static void split(const uint8_t *src, size_t n, size_t width, uint8_t *dst) {
    if (width == 4) {
        split4(src, n, dst);
        return;
    }
    for (size_t b = 0; b < width; b++)
        for (size_t i = 0; i < n; i++)
            dst[b * n + i] = src[i * width + b];
}

static void join(const uint8_t *src, size_t n, size_t width, uint8_t *dst) {
    if (width == 4) {
        join4(src, n, dst);
        return;
    }
    for (size_t b = 0; b < width; b++)
        for (size_t i = 0; i < n; i++)
            dst[i * width + b] = src[b * n + i];
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
    int rc = 0;
    if (n == 0) {
        *ret_enc = TRACE_E_ABSENT;
    } else if (memcmp(src, (const uint8_t *)src + width, bytes - width) == 0) {
        *ret_enc = TRACE_E_CONSTANT;
        rc = buf_put(out, src, width);
    } else if (width == 1 && (rc = put_runs(src, n, out)) != 0) {
        *ret_enc = TRACE_E_RUNS;
    } else {
        const void *from = src;
        if (width > 1) {
            split(src, n, width, c->scratch);
            from = c->scratch;
        }
        uint8_t *p;
        size_t bound = ZSTD_compressBound(bytes);
        rc = buf_reserve(out, bound, &p);
        if (rc < 0)
            return rc;
        size_t got = ZSTD_compressCCtx(c->cc, p, bound, from, bytes, LEVEL);
        if (ZSTD_isError(got) || got >= bytes) {
            *ret_enc = TRACE_E_RAW;
            rc = buf_put(out, src, bytes);
        } else {
            *ret_enc = width > 1 ? TRACE_E_PLANES : TRACE_E_ZSTD;
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
    case TRACE_E_PLANES:
        if (bytes > SCRATCH || ZSTD_decompressDCtx(c->dc, c->scratch, bytes, src, len) != bytes)
            return JF_E_CORRUPT;
        join(c->scratch, n, width, dst);
        return 0;
    default:
        return JF_E_CORRUPT;
    }
}
