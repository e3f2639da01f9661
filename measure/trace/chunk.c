/* SPDX-License-Identifier: GPL-2.0-or-later
 * Chunks: whole, or only the head, the entries, a channel or one block of samples, each under its own checksum. */
#include <string.h>

#include "base/crc32.h"
#include "measure/trace/reader.h"

bool trace_head_fits(const struct trace_chunk *h, size_t len) {
    bool gap = (h->flags & MEASURE_GAP) != 0;
    uint64_t need = sizeof *h + (uint64_t)h->n_entries * sizeof(struct trace_entry);
    for (int c = 0; c < TRACE_N_CHANNELS; c++)
        need += h->len[c];
    return h->crc_head == crc32c_update(0, h, offsetof(struct trace_chunk, crc_head)) && h->count >= 1 && (gap || h->count <= TRACE_CHUNK) && need == len &&
           h->n_entries == (gap ? 0 : (h->count + TRACE_STEP - 1) / TRACE_STEP) && h->n_stamps <= TRACE_MAX_STAMPS &&
           h->front[0] <= h->len[0] && h->front[1] <= h->len[1] && (gap || h->len[TRACE_C_CURRENT] > 0);
}

static bool head_is_leafs(const struct trace_chunk *h, const struct trace_leaf *l) {
    return trace_head_fits(h, l->len) && h->first == l->first && h->count == l->count && !(h->flags & MEASURE_GAP);
}

static int damaged(struct trace_reader *r, const struct trace_leaf *l, const char *what, struct err *reterr) {
    (void)trace_corrupt(reterr, l->offset, what);
    return trace_mark_bad(r, l->offset);
}

/* n bytes of the chunk's payload from `at` on, into r->payload. */
static int read_part(struct trace_reader *r, const struct trace_leaf *l, size_t at, size_t n, const uint8_t **ret_p, struct err *reterr) {
    uint8_t *p;
    *ret_p = r->payload.data;
    buf_clear(&r->payload);
    if (at > l->len || n > l->len - at || l->offset > r->size)
        return damaged(r, l, "the chunk contradicts its index", reterr);
    if (buf_reserve(&r->payload, n, &p) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace record");
    int rc = trace_read_at(r, l->offset + sizeof(struct trace_record) + at, p, n, reterr);
    *ret_p = p;
    return rc == JF_E_CORRUPT ? trace_mark_bad(r, l->offset) : rc;
}

int trace_chunk_head(struct trace_reader *r, const struct trace_leaf *l, struct trace_chunk *ret_h, const struct trace_entry **ret_e, struct err *reterr) {
    size_t entries = ret_e ? (size_t)(l->count + TRACE_STEP - 1) / TRACE_STEP * sizeof **ret_e : 0;
    const uint8_t *p;
    int rc = read_part(r, l, 0, sizeof *ret_h + entries, &p, reterr);
    if (rc < 0)
        return rc;
    memcpy(ret_h, p, sizeof *ret_h);
    if (!head_is_leafs(ret_h, l))
        return damaged(r, l, "the chunk's head is damaged", reterr);
    if (ret_e && ret_h->crc_entries != crc32c_update(0, p + sizeof *ret_h, entries))
        return damaged(r, l, "the chunk's summaries are damaged", reterr);
    if (ret_e)
        *ret_e = (const struct trace_entry *)(const void *)(p + sizeof *ret_h);
    return 0;
}

static size_t channel_at(const struct trace_chunk *h, int c) {
    size_t at = sizeof *h + h->n_entries * sizeof(struct trace_entry);
    for (int k = 0; k < c; k++)
        at += h->len[k];
    return at;
}

/* One channel, checked, into r->payload. */
static int read_channel(struct trace_reader *r, const struct trace_leaf *l, const struct trace_chunk *h, int c, const uint8_t **ret_p, struct err *reterr) {
    int rc = read_part(r, l, channel_at(h, c), h->len[c], ret_p, reterr);
    if (rc == 0 && h->crc[c] != crc32c_update(0, *ret_p, h->len[c]))
        rc = damaged(r, l, "a channel is damaged", reterr);
    return rc;
}

static int decode_channel(struct trace_reader *r, const struct trace_leaf *l, const struct trace_chunk *h, int c, const uint8_t *p, struct measure_block *b,
                          struct err *reterr) {
    uint8_t *levels[TRACE_N_CHANNELS] = {[TRACE_C_RANGE] = r->range, [TRACE_C_MARKERS] = r->markers, [TRACE_C_QUALITY] = r->quality};
    int rc;
    switch (c) {
    case TRACE_C_CURRENT:
        rc = trace_floats_decode(r->codec, p, h->len[c], h->front[0], h->enc[c], h->count, r->current);
        b->current_a = r->current;
        break;
    case TRACE_C_VOLTAGE:
        rc = trace_floats_decode(r->codec, p, h->len[c], h->front[1], h->enc[c], h->count, r->volts);
        b->voltage_v = r->volts;
        break;
    case TRACE_C_STAMPS:
        rc = h->n_stamps == 0 ? 0 : trace_decode(r->codec, p, h->len[c], h->enc[c], (size_t)h->n_stamps * 2, 8, r->stamps);
        b->stamps = h->n_stamps == 0 ? NULL : r->stamps;
        b->n_stamps = h->n_stamps;
        break;
    default:
        rc = trace_decode(r->codec, p, h->len[c], h->enc[c], h->count, 1, levels[c]);
        *(c == TRACE_C_RANGE ? &b->range : c == TRACE_C_MARKERS ? &b->markers : &b->quality) = levels[c];
    }
    return rc < 0 ? damaged(r, l, "a channel cannot be decoded", reterr) : 0;
}

static unsigned wanted_by(int c) {
    return c == TRACE_C_MARKERS ? MEASURE_WANT_MARKERS : c == TRACE_C_STAMPS ? MEASURE_WANT_STAMPS : MEASURE_WANT_VALUES;
}

int trace_chunk_load(struct trace_reader *r, const struct trace_leaf *l, unsigned want, struct measure_block *ret_b, struct err *reterr) {
    struct trace_record rec = {0};
    struct trace_chunk h;
    const uint8_t *whole = NULL;
    int rc;
    if (want & MEASURE_WANT_VALUES) {
        rc = trace_read_record(r, l->offset, &rec, reterr);
        if (rc < 0)
            return rc == JF_E_CORRUPT ? trace_mark_bad(r, l->offset) : rc;
        if (rec.type != TRACE_T_CHUNK || rec.len != l->len || rec.len < sizeof h)
            return damaged(r, l, "not the chunk that the index names", reterr);
        whole = r->payload.data;
        memcpy(&h, whole, sizeof h);
        if (!head_is_leafs(&h, l))
            return damaged(r, l, "the chunk contradicts its index", reterr);
    } else {
        rc = trace_chunk_head(r, l, &h, NULL, reterr);
        if (rc < 0)
            return rc;
    }
    *ret_b = (struct measure_block){.first = h.first, .count = h.count, .flags = h.flags};
    for (int c = 0; c < TRACE_N_CHANNELS; c++) {
        const uint8_t *p = whole ? whole + channel_at(&h, c) : NULL;
        if (h.enc[c] == TRACE_E_ABSENT || !(want & wanted_by(c)))
            continue;
        if (!whole)
            rc = read_channel(r, l, &h, c, &p, reterr);
        if (rc == 0)
            rc = decode_channel(r, l, &h, c, p, ret_b, reterr);
        if (rc < 0)
            return rc;
    }
    if ((want & MEASURE_WANT_VALUES) && !ret_b->current_a)
        return damaged(r, l, "the chunk holds no current", reterr);
    return 0;
}

static int decode_block(struct trace_reader *r, const struct trace_leaf *l, const struct trace_chunk *h, int c, uint32_t k, float *dst, struct err *reterr) {
    uint8_t front[sizeof(uint32_t) + 4 * TRACE_MAX_PALETTE + TRACE_CHUNK / TRACE_BLOCK * sizeof(struct trace_block)];
    struct trace_front f;
    const uint8_t *p = NULL;
    size_t at, len, n, from = channel_at(h, c);
    uint32_t crc;
    if (h->front[c] > sizeof front)
        return damaged(r, l, "a channel cannot be decoded", reterr);
    int rc = read_part(r, l, from, h->front[c], &p, reterr);
    if (rc < 0)
        return rc;
    memcpy(front, p, h->front[c]);
    if (h->crc[c] != crc32c_update(0, front, h->front[c]) || trace_front_parse(front, h->front[c], h->enc[c], h->count, &f) < 0)
        return damaged(r, l, "a channel is damaged", reterr);
    if (f.n_blocks == 0) {
        for (size_t i = 0; i < TRACE_BLOCK; i++)
            dst[i] = f.constant;
        return 0;
    }
    if (trace_front_block(&f, k / TRACE_BLOCK, &at, &len, &crc, &n) < 0 || at > h->len[c] - h->front[c] || len > h->len[c] - h->front[c] - at)
        return damaged(r, l, "a channel is damaged", reterr);
    rc = read_part(r, l, from + h->front[c] + at, len, &p, reterr);
    if (rc < 0)
        return rc;
    if (crc != crc32c_update(0, p, len) || trace_block_decode(r->codec, &f, p, len, n, dst) < 0)
        return damaged(r, l, "a block of samples is damaged", reterr);
    return 0;
}

int trace_chunk_samples(struct trace_reader *r, const struct trace_leaf *l, const struct trace_chunk *h, uint32_t k, struct measure_block *ret_b,
                        struct err *reterr) {
    uint32_t from = k - k % TRACE_BLOCK, left = h->count - from;
    if (k >= h->count)
        return err_set(reterr, JF_E_BUG, "sample %u of a chunk of %u", k, h->count);
    *ret_b = (struct measure_block){.first = h->first + from, .count = left < TRACE_BLOCK ? left : TRACE_BLOCK, .current_a = r->current};
    int rc = decode_block(r, l, h, TRACE_C_CURRENT, k, r->current, reterr);
    if (rc == 0 && h->enc[TRACE_C_VOLTAGE] != TRACE_E_ABSENT) {
        rc = decode_block(r, l, h, TRACE_C_VOLTAGE, k, r->volts, reterr);
        ret_b->voltage_v = r->volts;
    }
    return rc;
}

int trace_chunk_changes(struct trace_reader *r, const struct trace_leaf *l, trace_change_fn *fn, void *user, struct err *reterr) {
    struct trace_chunk h;
    const uint8_t *p = NULL;
    int rc = trace_chunk_head(r, l, &h, NULL, reterr);
    if (rc < 0 || h.enc[TRACE_C_MARKERS] == TRACE_E_ABSENT)
        return rc;
    rc = read_channel(r, l, &h, TRACE_C_MARKERS, &p, reterr);
    if (rc == 0 && trace_decode(r->codec, p, h.len[TRACE_C_MARKERS], h.enc[TRACE_C_MARKERS], h.count, 1, r->markers) < 0)
        rc = damaged(r, l, "a channel cannot be decoded", reterr);
    for (uint32_t k = 1; rc == 0 && k < h.count; k++)
        if (r->markers[k] != r->markers[k - 1])
            rc = fn(user, h.first + k, r->markers[k - 1], r->markers[k]);
    return rc;
}
