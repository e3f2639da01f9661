/* SPDX-License-Identifier: MIT
 * Convolution, depthwise, dense and pooling kernels of jf_kernels.h. Arithmetic: github.com/google/gemmlowp
 * (fixedpoint.h) as restated in the TensorFlow Lite 8-bit quantization specification. */
#include "firmware/runtime/jf_kernels.h"

#include "firmware/runtime/jf_requant.h"

int32_t jfk_multiply(int32_t x, int32_t mult, int shift) {
    int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    return jfk_round_shift(jfk_high_mul((int32_t)((uint32_t)x << left), mult), right);
}

static inline int8_t requant(const struct jfk_requant *q, int32_t acc, int32_t ch) {
    int32_t v = q->scale ? jfk_nearest_even((float)acc * q->scale[ch]) : jfk_multiply(acc, q->mult[ch], q->shift[ch]);
    return jfk_clamped(v, q->out_zp, q->act_min, q->act_max);
}

int8_t jfk_requantize(const struct jfk_requant *q, int32_t acc, int32_t ch) { return requant(q, acc, ch); }

struct span {
    int32_t from, to;
}; /* of kernel taps that lie inside the input */

static inline struct span taps(int32_t origin, int32_t in, int32_t k, int32_t dil) {
    struct span s = {0, k};
    while (s.from < k && origin + s.from * dil < 0) {
        s.from++;
    }
    while (s.to > s.from && origin + (s.to - 1) * dil >= in) {
        s.to--;
    }
    return s;
}

static inline int32_t dot(const int8_t *a, const int8_t *w, int32_t n, int32_t zp) {
    int32_t acc = 0, i = 0;
    for (; i + 4 <= n; i += 4) {
        acc += (a[i] - zp) * w[i] + (a[i + 1] - zp) * w[i + 1];
        acc += (a[i + 2] - zp) * w[i + 2] + (a[i + 3] - zp) * w[i + 3];
    }
    for (; i < n; i++) {
        acc += (a[i] - zp) * w[i];
    }
    return acc;
}

/* Four dot products of one input with weights `step` apart: the input is loaded and shifted once for four multiplications. */
struct quad {
    int32_t v[4];
};

static inline struct quad dot4(struct quad acc, const int8_t *a, const int8_t *w0, int32_t step, int32_t n, int32_t zp) {
    const int8_t *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
    for (const int8_t *end = a + n; a < end; a++) {
        int32_t x = *a - zp;
        acc.v[0] += x * *w0++;
        acc.v[1] += x * *w1++;
        acc.v[2] += x * *w2++;
        acc.v[3] += x * *w3++;
    }
    return acc;
}

static inline struct quad bias4(const int32_t *bias, int32_t at) {
    struct quad q = {{0, 0, 0, 0}};
    for (int32_t i = 0; bias && i < 4; i++) {
        q.v[i] = bias[at + i];
    }
    return q;
}

/* conv_at for four output channels; dil_w 1. */
static struct quad conv4_at(const struct jfk_conv *p, struct quad acc, const int8_t *in, const int8_t *w, int32_t y0, int32_t x0, struct span ty,
                            struct span tx) {
    int32_t per_row = p->k_w * p->in_c, per_out = p->k_h * per_row, n = (tx.to - tx.from) * p->in_c;
    const int8_t *a = in + ((y0 + ty.from * p->dil_h) * p->in_w + x0 + tx.from) * p->in_c;
    w += ty.from * per_row + tx.from * p->in_c;
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        acc = dot4(acc, a, w, per_out, n, p->in_zp);
        a += (int32_t)p->dil_h * p->in_w * p->in_c;
        w += per_row;
    }
    return acc;
}

static int32_t conv_at(const struct jfk_conv *p, const int8_t *in, const int8_t *w, int32_t y0, int32_t x0, struct span ty, struct span tx) {
    int32_t acc = 0;
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        const int8_t *row = in + (int32_t)((y0 + ky * p->dil_h) * p->in_w) * p->in_c;
        const int8_t *wrow = w + ky * p->k_w * p->in_c;
        if (p->dil_w == 1) { /* taps of a row are contiguous in both */
            acc += dot(row + (x0 + tx.from) * p->in_c, wrow + tx.from * p->in_c, (tx.to - tx.from) * p->in_c, p->in_zp);
            continue;
        }
        for (int32_t kx = tx.from; kx < tx.to; kx++) {
            acc += dot(row + (x0 + kx * p->dil_w) * p->in_c, wrow + kx * p->in_c, p->in_c, p->in_zp);
        }
    }
    return acc;
}

void jfk_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out) {
    int32_t per_out = (int32_t)p->k_h * p->k_w * p->in_c;
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        struct span ty = taps(y0, p->in_h, p->k_h, p->dil_h);
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            struct span tx = taps(x0, p->in_w, p->k_w, p->dil_w);
            int32_t oc = 0;
            for (; p->dil_w == 1 && oc + 4 <= p->out_c; oc += 4) {
                struct quad q = conv4_at(p, bias4(p->bias, oc), in, p->weights + oc * per_out, y0, x0, ty, tx);
                for (int32_t i = 0; i < 4; i++) {
                    *out++ = requant(&p->rq, q.v[i], oc + i);
                }
            }
            for (; oc < p->out_c; oc++) {
                int32_t acc = conv_at(p, in, p->weights + oc * per_out, y0, x0, ty, tx);
                *out++ = requant(&p->rq, acc + (p->bias ? p->bias[oc] : 0), oc);
            }
        }
    }
}

static int32_t depthwise_at(const struct jfk_conv *p, const int8_t *in, const int8_t *w, int32_t y0, int32_t x0, struct span ty, struct span tx) {
    int32_t acc = 0;
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        const int8_t *a = in + ((y0 + ky * p->dil_h) * p->in_w + x0 + tx.from * p->dil_w) * p->in_c;
        const int8_t *wt = w + (ky * p->k_w + tx.from) * p->out_c;
        for (int32_t kx = tx.from; kx < tx.to; kx++) {
            acc += (*a - p->in_zp) * *wt;
            a += (int32_t)p->dil_w * p->in_c;
            wt += p->out_c;
        }
    }
    return acc;
}

/* depthwise_at for four neighbouring channels; depth_mult 1. */
static struct quad depthwise4_at(const struct jfk_conv *p, struct quad acc, const int8_t *in, const int8_t *w, int32_t y0, int32_t x0, struct span ty,
                                 struct span tx) {
    int32_t c = p->in_c, zp = p->in_zp, step = p->dil_w * c;
    for (int32_t ky = ty.from; ky < ty.to; ky++) {
        const int8_t *a = in + ((y0 + ky * p->dil_h) * p->in_w + x0 + tx.from * p->dil_w) * c;
        const int8_t *wt = w + (ky * p->k_w + tx.from) * c;
        for (int32_t kx = tx.from; kx < tx.to; kx++) {
            acc.v[0] += (a[0] - zp) * wt[0];
            acc.v[1] += (a[1] - zp) * wt[1];
            acc.v[2] += (a[2] - zp) * wt[2];
            acc.v[3] += (a[3] - zp) * wt[3];
            a += step;
            wt += c;
        }
    }
    return acc;
}

void jfk_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out) {
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        struct span ty = taps(y0, p->in_h, p->k_h, p->dil_h);
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            struct span tx = taps(x0, p->in_w, p->k_w, p->dil_w);
            int32_t oc = 0;
            for (; p->depth_mult == 1 && oc + 4 <= p->out_c; oc += 4) {
                struct quad q = depthwise4_at(p, bias4(p->bias, oc), in + oc, p->weights + oc, y0, x0, ty, tx);
                for (int32_t i = 0; i < 4; i++) {
                    *out++ = requant(&p->rq, q.v[i], oc + i);
                }
            }
            for (; oc < p->out_c; oc++) {
                int32_t acc = depthwise_at(p, in + oc / p->depth_mult, p->weights + oc, y0, x0, ty, tx);
                *out++ = requant(&p->rq, acc + (p->bias ? p->bias[oc] : 0), oc);
            }
        }
    }
}

void jfk_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_n) {
        int32_t o = 0;
        for (; p->w_zp == 0 && o + 4 <= p->out_n; o += 4) {
            struct quad q = dot4(bias4(p->bias, o), in, p->weights + (int64_t)o * p->in_n, p->in_n, p->in_n, p->in_zp);
            for (int32_t i = 0; i < 4; i++) {
                *out++ = requant(&p->rq, q.v[i], (o + i) * p->rq_step);
            }
        }
        for (; o < p->out_n; o++) {
            const int8_t *w = p->weights + (int64_t)o * p->in_n;
            int32_t acc = p->bias ? p->bias[o] : 0;
            if (p->w_zp == 0) {
                acc += dot(in, w, p->in_n, p->in_zp);
            } else {
                for (int32_t i = 0; i < p->in_n; i++) {
                    acc += (in[i] - p->in_zp) * (w[i] - p->w_zp);
                }
            }
            *out++ = requant(&p->rq, acc, o * p->rq_step);
        }
    }
}

void jfk_average_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out) {
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        struct span ty = taps(y0, p->in_h, p->k_h, 1);
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            struct span tx = taps(x0, p->in_w, p->k_w, 1);
            int32_t count = (ty.to - ty.from) * (tx.to - tx.from);
            for (int32_t c = 0; c < p->c; c++) {
                int32_t sum = 0;
                for (int32_t ky = ty.from; ky < ty.to; ky++) {
                    for (int32_t kx = tx.from; kx < tx.to; kx++) {
                        sum += in[((y0 + ky) * p->in_w + x0 + kx) * p->c + c];
                    }
                }
                int32_t v = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                v = v < p->act_min ? p->act_min : v;
                *out++ = (int8_t)(v > p->act_max ? p->act_max : v);
            }
        }
    }
}

void jfk_max_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out) {
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        struct span ty = taps(y0, p->in_h, p->k_h, 1);
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            struct span tx = taps(x0, p->in_w, p->k_w, 1);
            for (int32_t c = 0; c < p->c; c++) {
                int32_t v = -128;
                for (int32_t ky = ty.from; ky < ty.to; ky++) {
                    for (int32_t kx = tx.from; kx < tx.to; kx++) {
                        const int8_t *x = &in[((y0 + ky) * p->in_w + x0 + kx) * p->c + c];
                        v = *x > v ? *x : v;
                    }
                }
                v = v < p->act_min ? p->act_min : v;
                *out++ = (int8_t)(v > p->act_max ? p->act_max : v);
            }
        }
    }
}
