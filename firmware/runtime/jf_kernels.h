/* SPDX-License-Identifier: MIT
 * int8 kernels in portable C99: freestanding, no allocation, no libc beyond memcpy. One source for the boards and for the
 * host. Tensors are NHWC, batch 1; weights as TensorFlow Lite lays them out (conv OHWI, depthwise 1HWC, dense OI). All arrays are
 * borrowed; output may not overlap input unless a function says so. No errors: shapes are checked by the compiler.
 *
 * Numerics. tflm: gemmlowp's SaturatingRoundingDoublingHighMul followed by RoundingDivideByPOT, as TensorFlow Lite for
 * Microcontrollers and CMSIS-NN compute ("double rounding"). litert: one float multiplication rounded to nearest even, as
 * XNNPACK computes. */
#ifndef JF_KERNELS_H
#define JF_KERNELS_H

#include <stdint.h>

/* How an accumulator becomes an output value. mult/shift: one a channel (tflm: value = mult * 2^(shift - 31)); scale: the
 * same as a float (litert; NULL selects tflm). */
struct jfk_requant {
    const int32_t *mult;
    const int8_t *shift;
    const float *scale;
    int32_t out_zp, act_min, act_max;
};

struct jfk_conv {
    int16_t in_h, in_w, in_c, out_h, out_w, out_c;
    int16_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, dil_h, dil_w, depth_mult;
    int32_t in_zp;
    const int8_t *weights;
    const int32_t *bias; /* [out_c]; NULL: 0 */
    struct jfk_requant rq;
};
void jfk_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out);
void jfk_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out);

struct jfk_dense {
    int32_t in_n, out_n, batch;
    int32_t in_zp, w_zp;
    const int8_t *weights;
    const int32_t *bias;
    struct jfk_requant rq; /* one multiplier for all outputs */
};
void jfk_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out);

struct jfk_add {
    int32_t n, a_zp, b_zp, left_shift;
    int32_t a_mult, b_mult, out_mult;
    int8_t a_shift, b_shift, out_shift;
    float a_scale, b_scale; /* litert: s_a/s_out, s_b/s_out; both 0 selects tflm */
    int32_t out_zp, act_min, act_max;
};
void jfk_add(const struct jfk_add *p, const int8_t *a, const int8_t *b, int8_t *out); /* out may be a or b */

struct jfk_pool {
    int16_t in_h, in_w, c, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left;
    int32_t act_min, act_max;
};
void jfk_average_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out);
void jfk_max_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out);

/* Softmax over the last axis, output scale 1/256, zero point -128. tflm: gemmlowp's fixed-point exp with 5 integer bits.
 * table (litert): 256 floats, exp(scale*beta*-i); NULL selects tflm. */
struct jfk_softmax {
    int32_t rows, n;
    int32_t mult; /* tflm: of (x - max), with left shift `shift` */
    int8_t shift;
    int32_t diff_min;
    const float *table;
};
void jfk_softmax(const struct jfk_softmax *p, const int8_t *in, int8_t *out);

/* x * mult * 2^(shift - 31), double rounding. mult above INT32_MIN, shift -31..31. */
int32_t jfk_multiply(int32_t x, int32_t mult, int shift);
/* What every kernel does with the accumulator of channel ch: scaled, rounded, moved to the output's zero point, clamped. */
int8_t jfk_requantize(const struct jfk_requant *q, int32_t acc, int32_t ch);

#endif
