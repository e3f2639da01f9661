/* SPDX-License-Identifier: MIT
 * Kernels of jf_kernels.h that reduce, move or interpolate: mean, strided copies, resizing. */
#include "firmware/runtime/jf_kernels.h"
#include "firmware/runtime/jf_requant.h"

static int32_t sum_block(const int8_t *in, const int32_t *cells, const int32_t *steps) {
    int32_t sum = 0;
    for (int32_t a = 0; a < cells[0]; a++, in += steps[0]) {
        const int8_t *pb = in;
        for (int32_t b = 0; b < cells[1]; b++, pb += steps[1]) {
            const int8_t *pc = pb;
            for (int32_t c = 0; c < cells[2]; c++, pc += steps[2]) {
                const int8_t *pd = pc;
                for (int32_t d = 0; d < cells[3]; d++, pd += steps[3]) {
                    const int8_t *pe = pd;
                    for (int32_t e = 0; e < cells[4]; e++, pe += steps[4]) {
                        sum += *pe;
                    }
                }
            }
        }
    }
    return sum;
}

/* Half away from zero; |v| below 2^23. */
static int32_t half_away(float v) {
    int32_t whole = (int32_t)v;
    float rest = v - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

static int32_t mean_of(const struct jfk_mean *p, int32_t sum) {
    int32_t acc = sum - p->n * p->in_zp;
    if (p->quotient) {
        volatile float product = (float)sum / (float)p->n * p->scale; /* not fused with the addition */
        return half_away(product + p->bias);
    }
    return p->scale > 0.0f ? jfk_nearest_even((float)acc * p->scale) : jfk_multiply(acc, p->mult, p->shift);
}

void jfk_mean(const struct jfk_mean *p, const int8_t *in, int8_t *out) {
    int32_t at[JFK_DIMS] = {0}, place = 0;
    for (;;) {
        *out++ = jfk_clamped(mean_of(p, sum_block(in + place, p->cut, p->cut_step)), p->out_zp, -128, 127);
        int d = JFK_DIMS - 1;
        for (; d >= 0; d--) {
            place += p->kept_step[d];
            if (++at[d] < p->kept[d]) {
                break;
            }
            place -= p->kept_step[d] * p->kept[d];
            at[d] = 0;
        }
        if (d < 0) {
            return;
        }
    }
}

static void copy_row(int8_t *out, int32_t out_step, const int8_t *in, int32_t in_step, int32_t n) {
    if (out_step == 1 && in_step == 1) {
        for (int32_t i = 0; i < n; i++) {
            out[i] = in[i];
        }
        return;
    }
    for (int32_t i = 0; i < n; i++, out += out_step, in += in_step) {
        *out = *in;
    }
}

void jfk_move(const struct jfk_move *p, const int8_t *in, int8_t *out) {
    const int32_t *n = p->shape, *is = p->in_step, *os = p->out_step;
    for (int32_t a = 0; a < n[0]; a++) {
        for (int32_t b = 0; b < n[1]; b++) {
            for (int32_t c = 0; c < n[2]; c++) {
                const int8_t *x = in + p->in_at + a * is[0] + b * is[1] + c * is[2];
                int8_t *y = out + p->out_at + a * os[0] + b * os[1] + c * os[2];
                for (int32_t d = 0; d < n[3]; d++, x += is[3], y += os[3]) {
                    copy_row(y, os[4], x, is[4], n[4]);
                }
            }
        }
    }
}

void jfk_fill(int8_t *out, int32_t n, int32_t value) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int8_t)value;
    }
}

void jfk_resize_nearest(const struct jfk_resize *p, const int8_t *in, int8_t *out) {
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        const int8_t *row = in + (int32_t)p->y[oy] * p->in_w * p->c;
        for (int32_t ox = 0; ox < p->out_w; ox++, out += p->c) {
            copy_row(out, 1, row + (int32_t)p->x[ox] * p->c, 1, p->c);
        }
    }
}

void jfk_resize_bilinear(const struct jfk_resize *p, const int8_t *in, int8_t *out) {
    const int32_t one = INT32_C(1) << p->frac_bits, bits = 2 * p->frac_bits, half = INT32_C(1) << (bits - 1);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        const int8_t *top = in + (int32_t)p->y[oy] * p->in_w * p->c, *bottom = in + (int32_t)p->y1[oy] * p->in_w * p->c;
        int32_t fy = p->y_frac[oy];
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t fx = p->x_frac[ox], left = (int32_t)p->x[ox] * p->c, right = (int32_t)p->x1[ox] * p->c;
            for (int32_t c = 0; c < p->c; c++) {
                int32_t t = top[left + c] * (one - fx) + top[right + c] * fx, b = bottom[left + c] * (one - fx) + bottom[right + c] * fx;
                int32_t v = t * (one - fy) + b * fy; /* below 2^31: 7 bits and twice at most 11, weights add up to one */
                *out++ = (int8_t)(p->frac_bits == 10 ? (v + (v > 0 ? half : -half)) / (one * one) : (v + half) >> bits);
            }
        }
    }
}
