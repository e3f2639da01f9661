/* SPDX-License-Identifier: MIT
 * Kernels of jf_mve.h. VMLADAV multiplies and adds sixteen pairs of bytes into one register; a tail is masked (VCTP). Instructions: Armv8-M Architecture
 * Reference Manual (DDI 0553), C2. */
#include "firmware/runtime/jf_mve.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

#include "firmware/runtime/jf_patch.h"

/* Four neighbouring channels' accumulators to bytes, n of them. As jfk_requantize: VQRDMULH is SaturatingRoundingDoublingHighMul; VRSHL rounds half up,
 * so that one is taken from negative values first. */
static inline void finish4(const struct jfk_requant *q, int32_t channel, int32_t n, int32x4_t acc, int8_t *out) {
    if (q->scale) {
        int32_t v[4];
        vstrwq_s32(v, acc);
        for (int32_t i = 0; i < n; i++) {
            out[i] = jfk_requantize(q, v[i], channel + i);
        }
        return;
    }
    mve_pred16_t some = vctp32q((uint32_t)n);
    int32x4_t shift = vldrbq_z_s32(q->shift + channel, some), mult = vldrwq_z_s32(q->mult + channel, some);
    int32x4_t left = vmaxq_s32(shift, vdupq_n_s32(0)), right = vminq_s32(shift, vdupq_n_s32(0));
    int32x4_t v = vqrdmulhq_s32(vshlq_s32(acc, left), mult);
    v = vrshlq_s32(vaddq_s32(v, vshrq_n_s32(vandq_s32(v, right), 31)), right);
    v = vaddq_s32(v, vdupq_n_s32(q->out_zp));
    v = vminq_s32(vmaxq_s32(v, vdupq_n_s32(q->act_min)), vdupq_n_s32(q->act_max));
    vstrbq_p_s32(out, v, some);
}

/* Dot products of n bytes with four outputs' weights, in blocks of sixteen, added to n_out biases. */
static inline int32x4_t dot4(const int8_t *a, int32_t n, const int8_t *w, const int32_t *bias, int32_t n_out) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (; n > 0; n -= 16, a += 16, w += 64) {
        int8x16_t x = vldrbq_z_s8(a, vctp8q((uint32_t)n));
        s0 = vmladavaq_s8(s0, x, vldrbq_s8(w));
        s1 = vmladavaq_s8(s1, x, vldrbq_s8(w + 16));
        s2 = vmladavaq_s8(s2, x, vldrbq_s8(w + 32));
        s3 = vmladavaq_s8(s3, x, vldrbq_s8(w + 48));
    }
    int32x4_t v = vdupq_n_s32(s0);
    v = vsetq_lane_s32(s1, v, 1);
    v = vsetq_lane_s32(s2, v, 2);
    v = vsetq_lane_s32(s3, v, 3);
    return vaddq_s32(v, vldrwq_z_s32(bias, vctp32q((uint32_t)n_out)));
}

void jfv_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch) {
    int32_t n = (int32_t)p->k_h * p->k_w * p->in_c, block = 4 * JFV_BLOCK(n);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        for (int32_t ox = 0; ox < p->out_w; ox++, out += p->out_c) {
            int32_t x0 = ox * p->stride_w - p->pad_left;
            const int8_t *w = p->weights;
            (void)jfp_gather(p, in, y0, x0, scratch);
            for (int32_t c = 0; c < p->out_c; c += 4, w += block) {
                int32_t left = p->out_c - c < 4 ? p->out_c - c : 4;
                finish4(&p->rq, c, left, dot4(scratch, n, w, p->bias + c, left), out + c);
            }
        }
    }
}

static void depthwise_cell(const struct jfk_conv *p, const int8_t *const *at, int8_t *out) {
    int32_t taps = p->k_h * p->k_w, channels = p->out_c;
    for (int32_t c = 0; c < channels; c += 4) {
        int32_t left = channels - c < 4 ? channels - c : 4;
        mve_pred16_t some = vctp32q((uint32_t)left);
        const int8_t *w = p->weights + c;
        int32x4_t acc = vldrwq_z_s32(p->bias + c, some);
        for (int32_t t = 0; t < taps; t++, w += channels) {
            acc = vaddq_s32(acc, vmulq_s32(vldrbq_z_s32(at[t] + c, some), vldrbq_z_s32(w, some)));
        }
        finish4(&p->rq, c, left, acc, out + c);
    }
}

void jfv_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch) {
    const int8_t **at = scratch;
    int8_t *padding = (int8_t *)(at + p->k_h * p->k_w);
    (void)jfp_fill(padding, p->in_zp, p->in_c);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        int32_t y0 = oy * p->stride_h - p->pad_top;
        for (int32_t ox = 0; ox < p->out_w; ox++, out += p->out_c) {
            jfp_point_at(p, in, y0, ox * p->stride_w - p->pad_left, padding, at);
            depthwise_cell(p, at, out);
        }
    }
}

void jfv_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_n, out += p->out_n) {
        const int8_t *w = p->weights;
        for (int32_t o = 0; o < p->out_n; o += 4, w += 4 * JFV_BLOCK(p->in_n)) {
            int32_t left = p->out_n - o < 4 ? p->out_n - o : 4, v[4];
            vstrwq_s32(v, dot4(in, p->in_n, w, p->bias + o, left));
            for (int32_t i = 0; i < left; i++) {
                out[o + i] = jfk_requantize(&p->rq, v[i], (o + i) * p->rq_step);
            }
        }
    }
}
#endif
