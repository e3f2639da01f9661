/* SPDX-License-Identifier: GPL-2.0-or-later
 * Codec of float channels, bit for bit. Where a chunk holds few distinct values, as behind any converter, it stores what the converter
 * sent: a palette of the values and, per sample, an index into it. Otherwise the floats themselves. Both are cut into blocks that decode
 * alone, and each block into byte planes: noise fills the low mantissa bytes, which are stored as they are; the others are coded. */
#include <string.h>

#include "base/crc32.h"
#include "measure/trace/codec_inner.h"

#define PROBE 2048 /* samples after which a chunk with too many values is given up */

/* ---- palette ------------------------------------------------------------------------------------------------ */
/* Numbers the values in order of appearance; the count, or 0 when a palette would not pay. */
static uint32_t find_values(struct trace_palette *c, const uint32_t *x, size_t n) {
    uint32_t count = 0, last = ~x[0];
    uint32_t most = n / 4 < TRACE_MAX_PALETTE ? (uint32_t)(n / 4) : TRACE_MAX_PALETTE;
    uint16_t code = 0;
    memset(c->slots, 0, TRACE_SLOTS * sizeof *c->slots);
    for (size_t i = 0; i < n; i++) {
        if (x[i] != last) {
            uint32_t h = (x[i] * 0x9E3779B1u) >> 16;
            last = x[i];
            while (c->slots[h] != 0 && c->values[c->slots[h] - 1] != last)
                h = (h + 1) % TRACE_SLOTS;
            if (c->slots[h] == 0) {
                if (count == most || (i < PROBE && count > PROBE / 2))
                    return 0;
                c->values[count++] = last;
                c->slots[h] = (uint16_t)count;
            }
            code = (uint16_t)(c->slots[h] - 1);
        }
        c->codes[i] = code;
    }
    return count;
}

/* Puts the palette in ascending order of its bits, so that neighbours in value are neighbours in code, and renumbers the samples. */
static void sort_values(struct trace_palette *c, uint32_t count, size_t n) {
    uint16_t *order = c->order, *other = c->rank;
    for (uint32_t i = 0; i < count; i++)
        order[i] = (uint16_t)i;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        uint32_t begin[257] = {0};
        for (uint32_t i = 0; i < count; i++)
            begin[((c->values[order[i]] >> shift) & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            begin[b + 1] += begin[b];
        for (uint32_t i = 0; i < count; i++)
            other[begin[(c->values[order[i]] >> shift) & 255]++] = order[i];
        memcpy(order, other, count * sizeof *order);
    }
    for (uint32_t i = 0; i < count; i++) {
        c->rank[order[i]] = (uint16_t)i;
        c->spare[i] = c->values[order[i]];
    }
    memcpy(c->values, c->spare, count * sizeof *c->values);
    for (size_t i = 0; i < n; i++)
        c->codes[i] = c->rank[c->codes[i]];
}

/* ---- planes ------------------------------------------------------------------------------------------------- */
static void split4(const uint8_t *restrict src, size_t n, uint8_t (*restrict dst)[TRACE_BLOCK]) {
    for (size_t i = 0; i < n; i++) {
        dst[0][i] = src[4 * i];
        dst[1][i] = src[4 * i + 1];
        dst[2][i] = src[4 * i + 2];
        dst[3][i] = src[4 * i + 3];
    }
}

static void split_codes(const uint16_t *restrict src, size_t n, bool wide, uint8_t (*restrict dst)[TRACE_BLOCK]) {
    for (size_t i = 0; i < n; i++)
        dst[0][i] = (uint8_t)src[i];
    for (size_t i = 0; wide && i < n; i++)
        dst[1][i] = (uint8_t)(src[i] >> 8);
}

static void join4(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict d, const uint8_t *restrict e, size_t n, float *restrict dst) {
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)a[i] | (uint32_t)b[i] << 8 | (uint32_t)d[i] << 16 | (uint32_t)e[i] << 24;
        memcpy(&dst[i], &x, sizeof x);
    }
}

/* try: 0 stores a plane raw without a look. Returns the bytes, or < 0. */
static int put_plane(struct trace_codec *c, const uint8_t *plane, size_t n, bool look, struct buf *out) {
    uint8_t *p;
    size_t bound = ZSTD_compressBound(n);
    if (memcmp(plane, plane + 1, n - 1) == 0) {
        int rc = buf_put(out, plane, 1);
        return rc < 0 ? rc : 1;
    }
    if (look) {
        int rc = buf_reserve(out, bound, &p);
        if (rc < 0)
            return rc;
        size_t got = ZSTD_compress2(c->cc, p, bound, plane, n);
        if (!ZSTD_isError(got) && got < n - n / 32) {
            out->len += got;
            return (int)got;
        }
    }
    int rc = buf_put(out, plane, n);
    return rc < 0 ? rc : (int)n;
}

static int put_block(struct trace_codec *c, const float *src, const uint16_t *codes, uint32_t n_palette, size_t n, uint8_t *skip, struct buf *out) {
    int planes = n_palette == 0 ? 4 : n_palette <= 256 ? 1 : 2;
    uint16_t len[4];
    size_t at = out->len;
    int rc = buf_put(out, len, (size_t)planes * sizeof *len);
    if (n_palette == 0)
        split4((const uint8_t *)src, n, c->planes);
    else
        split_codes(codes, n, planes == 2, c->planes);
    for (int k = 0; k < planes && rc >= 0; k++) {
        rc = put_plane(c, c->planes[k], n, skip[k] == 0, out);
        if (rc < 0)
            return rc;
        /* a plane of noise stays one: it is looked at again after some blocks only */
        skip[k] = skip[k] > 0 ? skip[k] - 1 : (size_t)rc == n ? 5 : 0;
        len[k] = (uint16_t)rc;
    }
    if (rc >= 0)
        memcpy(out->data + at, len, (size_t)planes * sizeof *len);
    return rc < 0 ? rc : 0;
}

int trace_floats_encode(struct trace_codec *c, const float *src, size_t n, struct buf *out, uint8_t *ret_enc, uint32_t *ret_len, uint32_t *ret_front) {
    size_t before = out->len, n_blocks = (n + TRACE_BLOCK - 1) / TRACE_BLOCK;
    int rc = trace_codec_encoder(c);
    if (rc < 0)
        return rc;
    if (memcmp(src, src + 1, (n - 1) * sizeof *src) == 0) {
        *ret_enc = TRACE_E_CONSTANT;
        *ret_len = *ret_front = sizeof *src;
        return buf_put(out, src, sizeof *src);
    }
    struct trace_palette *pal = c->palette;
    uint32_t n_palette = find_values(pal, (const uint32_t *)(const void *)src, n);
    if (n_palette > 256)
        sort_values(pal, n_palette, n);
    struct trace_block table[TRACE_CHUNK / TRACE_BLOCK] = {0};
    uint8_t skip[4] = {0};
    rc = buf_put(out, &n_palette, sizeof n_palette);
    if (rc == 0)
        rc = buf_put(out, pal->values, n_palette * sizeof *pal->values);
    size_t table_at = out->len;
    if (rc == 0)
        rc = buf_put(out, table, n_blocks * sizeof *table);
    size_t first = out->len;
    for (size_t k = 0; k < n_blocks && rc == 0; k++) {
        size_t at = k * TRACE_BLOCK, m = n - at < TRACE_BLOCK ? n - at : TRACE_BLOCK, from = out->len;
        rc = put_block(c, src + at, pal->codes + at, n_palette, m, skip, out);
        table[k] = (struct trace_block){.end = (uint32_t)(out->len - first), .crc = crc32c_update(0, out->data + from, out->len - from)};
    }
    if (rc < 0)
        return rc;
    memcpy(out->data + table_at, table, n_blocks * sizeof *table);
    *ret_enc = TRACE_E_BLOCKS;
    *ret_front = (uint32_t)(first - before);
    *ret_len = (uint32_t)(out->len - before);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */
int trace_front_parse(const uint8_t *src, size_t len, uint8_t enc, size_t n, struct trace_front *ret_f) {
    *ret_f = (struct trace_front){.enc = enc, .n = n};
    if (enc == TRACE_E_CONSTANT && len == sizeof ret_f->constant) {
        memcpy(&ret_f->constant, src, sizeof ret_f->constant);
        return 0;
    }
    if (enc != TRACE_E_BLOCKS || len < sizeof ret_f->n_palette || n == 0)
        return JF_E_CORRUPT;
    memcpy(&ret_f->n_palette, src, sizeof ret_f->n_palette);
    ret_f->n_blocks = (n + TRACE_BLOCK - 1) / TRACE_BLOCK;
    ret_f->palette = src + sizeof ret_f->n_palette;
    if (ret_f->n_palette > TRACE_MAX_PALETTE || len != sizeof ret_f->n_palette + 4 * (size_t)ret_f->n_palette + sizeof(struct trace_block) * ret_f->n_blocks)
        return JF_E_CORRUPT;
    ret_f->table = ret_f->palette + 4 * (size_t)ret_f->n_palette;
    return 0;
}

int trace_front_block(const struct trace_front *f, size_t k, size_t *ret_at, size_t *ret_len, uint32_t *ret_crc, size_t *ret_n) {
    struct trace_block before = {0}, b;
    if (k >= f->n_blocks)
        return JF_E_CORRUPT;
    if (k > 0)
        memcpy(&before, f->table + (k - 1) * sizeof before, sizeof before);
    memcpy(&b, f->table + k * sizeof b, sizeof b);
    if (b.end < before.end || b.end - before.end > 5 * TRACE_BLOCK)
        return JF_E_CORRUPT;
    *ret_at = before.end;
    *ret_len = b.end - before.end;
    *ret_crc = b.crc;
    *ret_n = k + 1 < f->n_blocks ? TRACE_BLOCK : f->n - k * TRACE_BLOCK;
    return 0;
}

/* The plane's bytes: those of the file, or decoded into c->planes[k]. NULL: damaged. */
static const uint8_t *get_plane(struct trace_codec *c, int k, const uint8_t *src, size_t len, size_t n) {
    if (len == n)
        return src;
    if (len == 1)
        memset(c->planes[k], src[0], n);
    else if (ZSTD_decompressDCtx(c->dc, c->planes[k], n, src, len) != n)
        return NULL;
    return c->planes[k];
}

static int paint_codes(const struct trace_front *f, const uint8_t *const *p, size_t n, float *dst) {
    uint32_t most = 0;
    if (f->n_palette <= 256) {
        float values[256] = {0};
        memcpy(values, f->palette, f->n_palette * sizeof *values);
        for (size_t i = 0; i < n; i++)
            dst[i] = values[p[0][i]];
        for (size_t i = 0; i < n; i++)
            most = p[0][i] > most ? p[0][i] : most;
        return most < f->n_palette ? 0 : JF_E_CORRUPT;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t code = (uint32_t)p[0][i] | (uint32_t)p[1][i] << 8;
        most = code > most ? code : most;
    }
    if (most >= f->n_palette)
        return JF_E_CORRUPT;
    for (size_t i = 0; i < n; i++) {
        uint32_t code = (uint32_t)p[0][i] | (uint32_t)p[1][i] << 8;
        memcpy(&dst[i], f->palette + 4 * (size_t)code, sizeof *dst);
    }
    return 0;
}

int trace_block_decode(struct trace_codec *c, const struct trace_front *f, const uint8_t *src, size_t len, size_t n, float *dst) {
    int planes = f->n_palette == 0 ? 4 : f->n_palette <= 256 ? 1 : 2;
    uint16_t lens[4] = {0};
    const uint8_t *p[4] = {0};
    size_t at = (size_t)planes * sizeof *lens;
    if (len < at || n > TRACE_BLOCK)
        return JF_E_CORRUPT;
    memcpy(lens, src, at);
    for (int k = 0; k < planes; k++) {
        if (lens[k] == 0 || lens[k] > len - at || !(p[k] = get_plane(c, k, src + at, lens[k], n)))
            return JF_E_CORRUPT;
        at += lens[k];
    }
    if (at != len)
        return JF_E_CORRUPT;
    if (f->n_palette > 0)
        return paint_codes(f, p, n, dst);
    join4(p[0], p[1], p[2], p[3], n, dst);
    return 0;
}

int trace_floats_decode(struct trace_codec *c, const uint8_t *src, size_t len, size_t front, uint8_t enc, size_t n, float *dst) {
    struct trace_front f;
    if (front > len || trace_front_parse(src, front, enc, n, &f) < 0)
        return JF_E_CORRUPT;
    if (f.n_blocks == 0) {
        for (size_t i = 0; i < n; i++)
            dst[i] = f.constant;
        return front == len ? 0 : JF_E_CORRUPT;
    }
    size_t end = 0;
    for (size_t k = 0; k < f.n_blocks; k++) {
        size_t at, m, samples;
        uint32_t crc;
        if (trace_front_block(&f, k, &at, &m, &crc, &samples) < 0 || at > len - front || m > len - front - at ||
            trace_block_decode(c, &f, src + front + at, m, samples, dst + k * TRACE_BLOCK) < 0)
            return JF_E_CORRUPT;
        end = at + m;
    }
    return end == len - front ? 0 : JF_E_CORRUPT;
}
