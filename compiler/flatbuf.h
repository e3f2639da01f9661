/* SPDX-License-Identifier: GPL-2.0-or-later
 * Access to a flatbuffer (flatbuffers.dev/internals): tables, vectors and scalars, unaligned, every offset and length checked
 * against the file. Knows nothing of a schema. Failures are JF_E_PARSE with the byte. */
#ifndef COMPILER_FLATBUF_H
#define COMPILER_FLATBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct fb_file {
    const uint8_t *p;
    size_t n;
    struct err *e; /* not NULL */
};
struct fb_table {
    size_t at, vtable;
    uint32_t vtable_len;
};
struct fb_vec {
    size_t at; /* of the first element */
    uint32_t n;
};

uint32_t fb_u32(const uint8_t *p);
int fb_bad(struct fb_file *f, size_t at, const char *what);
/* Where the offset at `at` points. */
int fb_follow(struct fb_file *f, size_t at, size_t *ret_to) JF_MUST_CHECK;
int fb_open(struct fb_file *f, size_t at, struct fb_table *ret_t) JF_MUST_CHECK;
/* Position of a field's value of `size` bytes, 0 when absent, negative when malformed. */
int64_t fb_field(struct fb_file *f, const struct fb_table *t, int slot, size_t size) JF_MUST_CHECK;
/* A signed integer of 1 or 4 bytes. */
int fb_scalar(struct fb_file *f, const struct fb_table *t, int slot, int size, int64_t fallback, int64_t *ret_v) JF_MUST_CHECK;
int fb_float(struct fb_file *f, const struct fb_table *t, int slot, float *ret_v) JF_MUST_CHECK; /* 0 when absent */
/* A vector of elements of `size` bytes; empty when absent. */
int fb_vector(struct fb_file *f, const struct fb_table *t, int slot, size_t size, struct fb_vec *ret_v) JF_MUST_CHECK;
/* Table i of a vector of tables; i below v->n. */
int fb_element(struct fb_file *f, const struct fb_vec *v, uint32_t i, struct fb_table *ret_t) JF_MUST_CHECK;

#endif
