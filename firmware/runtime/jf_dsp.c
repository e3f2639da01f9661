/* SPDX-License-Identifier: MIT
 * Kernels of jf_dsp.h. SMLAD multiplies two pairs of 16 bits: activations are widened once per patch, weights stay bytes and are widened on the
 * way (SXTB16), each for two cells. Instructions: Arm v7-M Architecture Reference Manual (DDI 0403), A7. */
#include "firmware/runtime/jf_dsp.h"
#include "firmware/runtime/jf_dsp_int.h"
#include "firmware/runtime/jf_patch.h"

#if JFD_HAVE_DSP
#include <arm_acle.h>

static inline uint32_t load32(const int8_t *p) {
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

/* The bytes 1 and 3 of v, widened: with __sxtb16 (0 and 2), all four. */
static inline int16x2_t odd16(uint32_t v) {
    int16x2_t r;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}
static inline int16x2_t even16(uint32_t v) { return __sxtb16((int8x4_t)v); }

/* How accumulators become bytes: by jfk_requantize, or the short way: every channel scaled by less than 1 (or 0), in tflm numerics; without clamping
 * when the bounds are those of the type. Each kernel is compiled for all three. */
enum way { WAY_LONG, WAY_CLAMPED, WAY_SHORT };

static enum way way_of(const struct jfk_requant *q, int32_t channels) {
    for (int32_t i = 0; i < channels; i++) {
        if (q->scale || (q->shift[i] >= 0 && q->mult[i] != 0)) {
            return WAY_LONG;
        }
    }
    return q->act_min == -128 && q->act_max == 127 ? WAY_SHORT : WAY_CLAMPED;
}

/* The short ways: twice an accumulator below 2^30, high part rounded (SaturatingRoundingDoublingHighMul); then half away from zero. */
static inline __attribute__((always_inline)) int8_t scaled(enum way way, const struct jfk_requant *q, int32_t mult, int32_t right, int32_t acc) {
    int32_t v = jfd_high_mul((int32_t)((uint32_t)acc * 2u), mult);
    v += v >> 31;
    v = ((v + (int32_t)((UINT32_C(1) << right) >> 1)) >> right) + q->out_zp;
    if (way == WAY_SHORT) {
        __asm__("ssat %0, #8, %0" : "+r"(v));
        return (int8_t)v;
    }
    v = v < q->act_min ? q->act_min : v;
    return (int8_t)(v > q->act_max ? q->act_max : v);
}

/* q is a copy of the caller's, original is what the model has: what is written through a byte pointer could otherwise change it, and it would be read
 * again each time. */
static inline __attribute__((always_inline)) int8_t finish(enum way way, const struct jfk_requant *original, const struct jfk_requant *q, int32_t channel, int32_t acc) {
    if (way == WAY_LONG) {
        return jfk_requantize(original, acc, channel);
    }
    return scaled(way, q, q->mult[channel], -q->shift[channel], acc);
}

/* acc[channel*2 + cell] += the dot products of two channels' weights (bytes, as in jf_dsp.h) with two cells' patches, over groups*4 taps. A group of
 * the patches is four words: taps 0 and 2, taps 1 and 3 of the first cell, then of the second. groups >= 1. */
__attribute__((naked, noinline)) static void dot_2x2(int32_t *acc __attribute__((unused)), const int8_t *w __attribute__((unused)),
                                                     const int16_t *patches __attribute__((unused)), int32_t groups __attribute__((unused))) {
    __asm__ volatile(".macro jfd_group\n"
                     "ldrd r0, r12, [r1], #8\n"
                     "ldmia r2!, {r4-r7}\n"
                     "sxtb16 lr, r0\n"
                     "sxtb16 r0, r0, ror #8\n"
                     "smlad r8, lr, r4, r8\n"
                     "smlad r9, lr, r6, r9\n"
                     "smlad r8, r0, r5, r8\n"
                     "smlad r9, r0, r7, r9\n"
                     "sxtb16 lr, r12\n"
                     "sxtb16 r12, r12, ror #8\n"
                     "smlad r10, lr, r4, r10\n"
                     "smlad r11, lr, r6, r11\n"
                     "smlad r10, r12, r5, r10\n"
                     "smlad r11, r12, r7, r11\n"
                     ".endm\n"
                     "push {r0, r4-r11, lr}\n"
                     "ldm r0, {r8-r11}\n"
                     "lsrs r3, r3, #1\n"
                     "bcc 1f\n"
                     "jfd_group\n"
                     "1: lsrs r3, r3, #1\n"
                     "bcc 2f\n"
                     "jfd_group\n"
                     "jfd_group\n"
                     "2: cmp r3, #0\n"
                     "beq 4f\n"
                     "3: jfd_group\n"
                     "jfd_group\n"
                     "jfd_group\n"
                     "jfd_group\n"
                     "subs r3, r3, #1\n"
                     "bne 3b\n"
                     "4: pop {r0}\n"
                     "stm r0, {r8-r11}\n"
                     "pop {r4-r11, pc}\n"
                     ".purgem jfd_group\n");
}

/* n bytes (a multiple of 4) as one cell's words of a patch. */
static inline int16_t *widen(int16_t *patch, const int8_t *src, int32_t n) {
    for (const int8_t *end = src + n; src < end; src += 4, patch += 8) {
        uint32_t v = load32(src);
        int16x2_t even = even16(v), odd = odd16(v);
        __builtin_memcpy(patch, &even, 4);
        __builtin_memcpy(patch + 2, &odd, 4);
    }
    return patch;
}

static inline int16_t *widen_zero(int16_t *patch, int32_t zp, int32_t n) {
    uint32_t v = ((uint32_t)zp & 0xFFFFu) * 0x10001u;
    for (int32_t i = 0; i < n; i += 4, patch += 8) {
        __builtin_memcpy(patch, &v, 4);
        __builtin_memcpy(patch + 2, &v, 4);
    }
    return patch;
}

/* The patch of one cell when in_c is a multiple of 4. */
static void patch_words(const struct jfk_conv *p, const int8_t *in, int32_t y0, int32_t x0, int16_t *patch) {
    int32_t c = p->in_c, row = p->k_w * c;
    if (p->dil_w == 1 && jfp_inside(p, y0, x0)) {
        const int8_t *a = in + (y0 * p->in_w + x0) * c;
        for (int32_t ky = 0; ky < p->k_h; ky++, a += p->dil_h * p->in_w * c) {
            patch = widen(patch, a, row);
        }
        return;
    }
    struct jfp_span ty = jfp_taps(y0, p->in_h, p->k_h, p->dil_h), tx = jfp_taps(x0, p->in_w, p->k_w, p->dil_w);
    patch = widen_zero(patch, p->in_zp, ty.from * row);
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        const int8_t *a = in + ((y0 + ky * p->dil_h) * p->in_w + x0 + tx.from * p->dil_w) * c;
        patch = widen_zero(patch, p->in_zp, tx.from * c);
        if (p->dil_w == 1) {
            patch = widen(patch, a, (tx.to - tx.from) * c);
        } else {
            for (int32_t kx = tx.from; kx < tx.to; kx++, a += p->dil_w * c) {
                patch = widen(patch, a, c);
            }
        }
        patch = widen_zero(patch, p->in_zp, (p->k_w - tx.to) * c);
    }
    (void)widen_zero(patch, p->in_zp, (p->k_h - ty.to) * row);
}

/* The same through bytes, for any in_c. */
static void patch_bytes(const struct jfk_conv *p, const int8_t *in, int32_t y0, int32_t x0, int16_t *patch, int8_t *bytes) {
    const int8_t *end = bytes + JFD_PATCH(p->k_h * p->k_w * p->in_c);
    int8_t *to = jfp_gather(p, in, y0, x0, bytes);
    while (to < end) {
        *to++ = 0;
    }
    (void)widen(patch, bytes, end - bytes);
}

/* All channels of one or two cells, whose patches are ready. */
static inline __attribute__((always_inline)) void cells_by(enum way way, const struct jfk_conv *p, const int16_t *patches, int32_t groups, int8_t *out, int two) {
    const struct jfk_requant q = p->rq;
    const int32_t *bias = p->bias;
    const int8_t *w = p->weights;
    int32_t n = p->out_c;
    int8_t *next = two ? out + n : out; /* of one cell the second's answer is written first, to the same place */
    for (int32_t oc = 0; oc < n; oc += 2, w += 8 * groups) {
        int pair = oc + 1 < n;
        int32_t b0 = bias[oc], b1 = pair ? bias[oc + 1] : 0;
        int32_t acc[4] = {b0, b0, b1, b1};
        dot_2x2(acc, w, patches, groups);
        next[oc] = finish(way, &p->rq, &q, oc, acc[1]);
        int8_t first = finish(way, &p->rq, &q, oc, acc[0]);
        if (pair) {
            next[oc + 1] = finish(way, &p->rq, &q, oc + 1, acc[3]);
            out[oc + 1] = finish(way, &p->rq, &q, oc + 1, acc[2]);
        }
        out[oc] = first;
    }
}

static void cells(enum way way, const struct jfk_conv *p, const int16_t *patches, int32_t groups, int8_t *out, int two) {
    switch (way) {
    case WAY_LONG:
        cells_by(WAY_LONG, p, patches, groups, out, two);
        break;
    case WAY_CLAMPED:
        cells_by(WAY_CLAMPED, p, patches, groups, out, two);
        break;
    case WAY_SHORT:
        cells_by(WAY_SHORT, p, patches, groups, out, two);
        break;
    }
}

void jfd_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch) {
    int16_t *patches = scratch;
    int32_t n = (int32_t)p->k_h * p->k_w * p->in_c, groups = (n + 3) / 4;
    int8_t *bytes = (int8_t *)(patches + 8 * groups);
    enum way way = way_of(&p->rq, p->out_c);
    int waiting = 0;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            if (p->in_c % 4 == 0) {
                patch_words(p, in, y0, x0, patches + 4 * waiting);
            } else {
                patch_bytes(p, in, y0, x0, patches + 4 * waiting, bytes);
            }
            if (waiting) {
                cells(way, p, patches, groups, out, 1);
                out += 2 * p->out_c;
            }
            waiting = !waiting;
        }
    }
    if (waiting) {
        cells(way, p, patches, groups, out, 0);
    }
}

/* Two taps, or one, of four channels: pointers at[], weights w[] step on. In assembly, because the compiler would load all taps first and spill. */
#define LOW_HIGH(x, v, even, other) \
    "sxtb16 %[" even "], %[" x "]\n" \
    "sxtb16 %[" other "], %[" v "]\n" \
    "smlabb %[a0], %[" even "], %[" other "], %[a0]\n" \
    "smlatt %[a2], %[" even "], %[" other "], %[a2]\n" \
    "sxtb16 %[" x "], %[" x "], ror #8\n" \
    "sxtb16 %[" v "], %[" v "], ror #8\n" \
    "smlabb %[a1], %[" x "], %[" v "], %[a1]\n" \
    "smlatt %[a3], %[" x "], %[" v "], %[a3]\n"

/* Four channels of one cell, c to c + 3. at[t] + c: the inputs of tap t; w: four bytes a tap. */
static inline __attribute__((always_inline)) void depthwise4(enum way way, const struct jfk_conv *p, const struct jfk_requant *q, const int8_t *const *at, int32_t taps_n, int32_t c,
                                                             const int8_t *w, int8_t *out) {
    const int32_t *bias = p->bias + c;
    int32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
    uint32_t x0, x1, v0, v1, even, other;
#pragma GCC unroll 4
    for (int32_t t = 0; t + 2 <= taps_n; t += 2) {
        __asm__ volatile("ldrd %[x0], %[x1], [%[at]], #8\n"
                         "ldrd %[v0], %[v1], [%[w]], #8\n"
                         "ldr %[x0], [%[x0], %[c]]\n"
                         "ldr %[x1], [%[x1], %[c]]\n" LOW_HIGH("x0", "v0", "even", "other") LOW_HIGH("x1", "v1", "even", "other")
                         : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [at] "+r"(at), [w] "+r"(w), [x0] "=&r"(x0), [x1] "=&r"(x1), [v0] "=&r"(v0), [v1] "=&r"(v1),
                           [even] "=&r"(even), [other] "=&r"(other)
                         : [c] "r"(c)
                         : "memory");
    }
    if (taps_n & 1) {
        __asm__ volatile("ldr %[x0], [%[at]]\n"
                         "ldr %[v0], [%[w]]\n"
                         "ldr %[x0], [%[x0], %[c]]\n" LOW_HIGH("x0", "v0", "even", "other")
                         : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [x0] "=&r"(x0), [v0] "=&r"(v0), [even] "=&r"(even), [other] "=&r"(other)
                         : [c] "r"(c), [at] "r"(at), [w] "r"(w)
                         : "memory");
    }
    out[c] = finish(way, &p->rq, q, c, a0);
    out[c + 1] = finish(way, &p->rq, q, c + 1, a1);
    out[c + 2] = finish(way, &p->rq, q, c + 2, a2);
    out[c + 3] = finish(way, &p->rq, q, c + 3, a3);
}

static inline __attribute__((always_inline)) void depthwise_by(enum way way, const struct jfk_conv *p, const int8_t *const *at, int8_t *out) {
    const struct jfk_requant q = p->rq;
    const int8_t *w = p->weights;
    int32_t taps_n = p->k_h * p->k_w, n = p->out_c, c = 0;
    for (; c + 4 <= n; c += 4, w += 4 * taps_n) {
        if (taps_n == 9) {
            depthwise4(way, p, &q, at, 9, c, w, out);
        } else {
            depthwise4(way, p, &q, at, taps_n, c, w, out);
        }
    }
    for (int32_t i = 0; c + i < n; i++) {
        int32_t acc = p->bias[c + i];
        for (int32_t t = 0; t < taps_n; t++) {
            acc += at[t][c + i] * w[4 * t + i];
        }
        out[c + i] = finish(way, &p->rq, &q, c + i, acc);
    }
}

static void depthwise_cell(enum way way, const struct jfk_conv *p, const int8_t *const *at, int8_t *out) {
    switch (way) {
    case WAY_LONG:
        depthwise_by(WAY_LONG, p, at, out);
        break;
    case WAY_CLAMPED:
        depthwise_by(WAY_CLAMPED, p, at, out);
        break;
    case WAY_SHORT:
        depthwise_by(WAY_SHORT, p, at, out);
        break;
    }
}

void jfd_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch) {
    const int8_t **at = scratch;
    int8_t *padding = (int8_t *)(at + p->k_h * p->k_w);
    enum way way = way_of(&p->rq, p->out_c);
    (void)jfp_fill(padding, p->in_zp, p->in_c);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        int whole = 0;
        for (int32_t ox = 0; ox < p->out_w; ox++, out += p->out_c) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            int was = whole;
            whole = jfp_inside(p, y0, x0);
            if (was && whole) {
                jfp_point_on(at, p->k_h * p->k_w, p->stride_w * p->in_c);
            } else {
                jfp_point_at(p, in, y0, x0, padding, at);
            }
            depthwise_cell(way, p, at, out);
        }
    }
}

/* acc[output] += the dot products of four outputs' weights (as in jf_dsp.h) with groups*4 inputs. */
__attribute__((naked, noinline)) static void dot_4x1(int32_t *acc __attribute__((unused)), const int8_t *w __attribute__((unused)), const int8_t *in __attribute__((unused)),
                                                     int32_t groups __attribute__((unused))) {
    __asm__ volatile(".macro jfd_output sum, weights\n"
                     "sxtb16 lr, \\weights\n"
                     "sxtb16 \\weights, \\weights, ror #8\n"
                     "smlad \\sum, lr, r12, \\sum\n"
                     "smlad \\sum, \\weights, r0, \\sum\n"
                     ".endm\n"
                     ".macro jfd_four\n"
                     "ldr r0, [r2], #4\n"
                     "ldmia r1!, {r4-r7}\n"
                     "sxtb16 r12, r0\n"
                     "sxtb16 r0, r0, ror #8\n"
                     "jfd_output r8, r4\n"
                     "jfd_output r9, r5\n"
                     "jfd_output r10, r6\n"
                     "jfd_output r11, r7\n"
                     ".endm\n"
                     "push {r0, r4-r11, lr}\n"
                     "ldm r0, {r8-r11}\n"
                     "lsrs r3, r3, #1\n"
                     "bcc 1f\n"
                     "jfd_four\n"
                     "1: lsrs r3, r3, #1\n"
                     "bcc 2f\n"
                     "jfd_four\n"
                     "jfd_four\n"
                     "2: cmp r3, #0\n"
                     "beq 4f\n"
                     "3: jfd_four\n"
                     "jfd_four\n"
                     "jfd_four\n"
                     "jfd_four\n"
                     "subs r3, r3, #1\n"
                     "bne 3b\n"
                     "4: pop {r0}\n"
                     "stm r0, {r8-r11}\n"
                     "pop {r4-r11, pc}\n"
                     ".purgem jfd_output\n"
                     ".purgem jfd_four\n");
}

/* one: the same scale for all outputs, rq_step 0. */
static inline __attribute__((always_inline)) void dense_by(enum way way, int one, const struct jfk_dense *p, const int8_t *in, int8_t *out) {
    const struct jfk_requant q = p->rq;
    const int32_t *bias = p->bias;
    const int8_t *w = p->weights;
    int32_t n = p->in_n, out_n = p->out_n, groups = n / 4, mult = q.mult[0], right = -q.shift[0];
    for (int32_t o = 0; o < out_n; o += 4, w += 4 * JFD_PATCH(n)) {
        int32_t left = out_n - o < 4 ? out_n - o : 4;
        int32_t acc[4];
        if (left == 4) {
            __builtin_memcpy(acc, bias + o, sizeof acc);
        } else { /* what is there, again in the places of what is not */
            for (int32_t i = 0; i < 4; i++) {
                acc[i] = bias[i < left ? o + i : o];
            }
        }
        dot_4x1(acc, w, in, groups);
        for (int32_t k = 4 * groups; k < n; k++) {
            for (int32_t i = 0; i < 4; i++) {
                acc[i] += in[k] * w[16 * groups + 4 * i + k % 4];
            }
        }
        if (one && left == 4) {
            out[o] = scaled(way, &q, mult, right, acc[0]);
            out[o + 1] = scaled(way, &q, mult, right, acc[1]);
            out[o + 2] = scaled(way, &q, mult, right, acc[2]);
            out[o + 3] = scaled(way, &q, mult, right, acc[3]);
            continue;
        }
        for (int32_t i = 0; i < left; i++) {
            out[o + i] = jfk_requantize(&p->rq, acc[i], (o + i) * p->rq_step);
        }
    }
}

void jfd_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out) {
    int one = p->rq_step == 0 && way_of(&p->rq, 1) != WAY_LONG;
    for (int32_t b = 0; b < p->batch; b++, in += p->in_n, out += p->out_n) {
        if (one) {
            dense_by(WAY_CLAMPED, 1, p, in, out);
        } else {
            dense_by(WAY_LONG, 0, p, in, out);
        }
    }
}
#endif
