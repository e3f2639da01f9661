/* SPDX-License-Identifier: MIT
 * Where a convolution's cell reads: what the kernels for instruction sets of their own share. */
#ifndef JF_PATCH_H
#define JF_PATCH_H

#include "firmware/runtime/jf_kernels.h"

/* The last word overlaps the one before it. */
static inline int8_t *jfp_copy(int8_t *dst, const int8_t *src, int32_t n) {
    if (n < 4) {
        for (int32_t i = 0; i < n; i++) {
            dst[i] = src[i];
        }
        return dst + n;
    }
    for (int32_t i = 0; i < n - 4; i += 4) {
        __builtin_memcpy(dst + i, src + i, 4);
    }
    __builtin_memcpy(dst + n - 4, src + n - 4, 4);
    return dst + n;
}

static inline int8_t *jfp_fill(int8_t *dst, int32_t value, int32_t n) {
    while (n-- > 0) {
        *dst++ = (int8_t)value;
    }
    return dst;
}

struct jfp_span {
    int32_t from, to;
}; /* of kernel taps along one axis that lie inside the input */

static inline struct jfp_span jfp_taps(int32_t origin, int32_t in, int32_t k, int32_t dil) {
    struct jfp_span s = {0, k};
    while (s.from < k && origin + s.from * dil < 0) {
        s.from++;
    }
    while (s.to > s.from && origin + (s.to - 1) * dil >= in) {
        s.to--;
    }
    return s;
}

/* Does the kernel at y0, x0 lie inside the input? */
static inline int jfp_inside(const struct jfk_conv *p, int32_t y0, int32_t x0) {
    return y0 >= 0 && x0 >= 0 && y0 + (p->k_h - 1) * p->dil_h < p->in_h && x0 + (p->k_w - 1) * p->dil_w < p->in_w;
}

/* The bytes of a patch that reaches over the input's edge, or with a dilation. */
static inline int8_t *jfp_gather_border(const struct jfk_conv *p, const int8_t *in, int32_t y0, int32_t x0, int8_t *to) {
    int32_t c = p->in_c, row = p->k_w * c;
    struct jfp_span ty = jfp_taps(y0, p->in_h, p->k_h, p->dil_h), tx = jfp_taps(x0, p->in_w, p->k_w, p->dil_w);
    to = jfp_fill(to, p->in_zp, ty.from * row);
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        const int8_t *a = in + ((y0 + ky * p->dil_h) * p->in_w + x0 + tx.from * p->dil_w) * c;
        to = jfp_fill(to, p->in_zp, tx.from * c);
        if (p->dil_w == 1) {
            to = jfp_copy(to, a, (tx.to - tx.from) * c);
        } else {
            for (int32_t kx = tx.from; kx < tx.to; kx++, a += p->dil_w * c) {
                to = jfp_copy(to, a, c);
            }
        }
        to = jfp_fill(to, p->in_zp, (p->k_w - tx.to) * c);
    }
    return jfp_fill(to, p->in_zp, (p->k_h - ty.to) * row);
}

/* The k_h*k_w*in_c bytes that the cell at y0, x0 reads, padding as in_zp; their end. */
static inline int8_t *jfp_gather(const struct jfk_conv *p, const int8_t *in, int32_t y0, int32_t x0, int8_t *to) {
    int32_t c = p->in_c, row = p->k_w * c;
    if (p->dil_w != 1 || !jfp_inside(p, y0, x0)) {
        return jfp_gather_border(p, in, y0, x0, to);
    }
    const int8_t *a = in + (y0 * p->in_w + x0) * c;
    for (int32_t ky = 0; ky < p->k_h; ky++, a += p->dil_h * p->in_w * c) {
        to = jfp_copy(to, a, row);
    }
    return to;
}

/* at[]: where the taps of the cell at y0, x0 begin. */
static inline void jfp_point_at(const struct jfk_conv *p, const int8_t *in, int32_t y0, int32_t x0, const int8_t *padding, const int8_t **at) {
    for (int32_t ky = 0, y = y0; ky < p->k_h; ky++, y += p->dil_h) {
        const int8_t *a = in + (y * p->in_w + x0) * p->in_c;
        for (int32_t kx = 0, x = x0; kx < p->k_w; kx++, x += p->dil_w, a += p->dil_w * p->in_c) {
            *at++ = y >= 0 && y < p->in_h && x >= 0 && x < p->in_w ? a : padding;
        }
    }
}

static inline void jfp_point_on(const int8_t **at, int32_t n, int32_t step) {
    for (const int8_t **end = at + n; at < end; at++) {
        *at += step;
    }
}

#endif
