/* SPDX-License-Identifier: GPL-2.0-or-later
 * Bounds-checked access to a flatbuffer (compiler/flatbuf.h). */
#include "compiler/flatbuf.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

uint32_t fb_u32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint16_t fb_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

int fb_bad(struct fb_file *f, size_t at, const char *what) {
    char where[32];
    (void)snprintf(where, sizeof where, "byte %zu", at);
    return err_set_at(f->e, JF_E_PARSE, where, "at byte %zu: %s", at, what);
}

static bool fb_inside(const struct fb_file *f, size_t at, size_t len) { return at <= f->n && len <= f->n - at; }

int fb_follow(struct fb_file *f, size_t at, size_t *ret_to) {
    if (!fb_inside(f, at, 4)) {
        return fb_bad(f, at, "an offset lies outside the file");
    }
    size_t to = at + fb_u32(f->p + at);
    if (to == at || !fb_inside(f, to, 4)) {
        return fb_bad(f, at, "an offset points outside the file");
    }
    *ret_to = to;
    return 0;
}

int fb_open(struct fb_file *f, size_t at, struct fb_table *ret_t) {
    if (!fb_inside(f, at, 4)) {
        return fb_bad(f, at, "a table lies outside the file");
    }
    int64_t vt = (int64_t)at - (int32_t)fb_u32(f->p + at);
    if (vt < 0 || !fb_inside(f, (size_t)vt, 4)) {
        return fb_bad(f, at, "a table's vtable lies outside the file");
    }
    uint16_t len = fb_u16(f->p + vt), size = fb_u16(f->p + vt + 2);
    if (len < 4 || (len & 1) || !fb_inside(f, (size_t)vt, len) || size < 4 || !fb_inside(f, at, size)) {
        return fb_bad(f, (size_t)vt, "a vtable is malformed");
    }
    *ret_t = (struct fb_table){at, (size_t)vt, len};
    return 0;
}

int64_t fb_field(struct fb_file *f, const struct fb_table *t, int slot, size_t size) {
    size_t entry = 4 + 2 * (size_t)slot;
    if (entry + 2 > t->vtable_len) { /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): table_open filled t or failed */
        return 0;
    }
    uint16_t off = fb_u16(f->p + t->vtable + entry);
    if (off == 0) {
        return 0;
    }
    if (!fb_inside(f, t->at + off, size)) {
        return fb_bad(f, t->vtable + entry, "a field lies outside the file");
    }
    return (int64_t)(t->at + off);
}

int fb_scalar(struct fb_file *f, const struct fb_table *t, int slot, int size, int64_t fallback, int64_t *ret_v) {
    int64_t at = fb_field(f, t, slot, (size_t)size);
    if (at < 0) {
        return (int)at;
    }
    *ret_v = at == 0 ? fallback : size == 1 ? (int8_t)f->p[at] : (int64_t)(int32_t)fb_u32(f->p + at);
    return 0;
}

int fb_vector(struct fb_file *f, const struct fb_table *t, int slot, size_t size, struct fb_vec *ret_v) {
    size_t to = 0;
    int64_t at = fb_field(f, t, slot, 4);
    *ret_v = (struct fb_vec){0, 0};
    if (at <= 0) {
        return (int)at;
    }
    int r = fb_follow(f, (size_t)at, &to);
    if (r < 0) {
        return r;
    }
    uint32_t n = fb_u32(f->p + to);
    if (n > f->n / size || !fb_inside(f, to + 4, n * size)) {
        return fb_bad(f, to, "a vector is longer than the file");
    }
    *ret_v = (struct fb_vec){to + 4, n};
    return 0;
}

int fb_element(struct fb_file *f, const struct fb_vec *v, uint32_t i, struct fb_table *ret_t) {
    size_t to = 0;
    int r = fb_follow(f, v->at + 4 * (size_t)i, &to);
    return r < 0 ? r : fb_open(f, to, ret_t);
}

int fb_float(struct fb_file *f, const struct fb_table *t, int slot, float *ret_v) {
    int64_t at = fb_field(f, t, slot, 4);
    if (at < 0) {
        return (int)at;
    }
    uint32_t bits = at ? fb_u32(f->p + at) : 0;
    memcpy(ret_v, &bits, sizeof bits);
    return 0;
}
