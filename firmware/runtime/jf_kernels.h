/* SPDX-License-Identifier: MIT
 * int8 kernels in portable C99: freestanding, no allocation, no libc beyond memcpy. One source for the boards and for the
 * host. Tensors are NHWC, batch 1; weights as TensorFlow Lite lays them out (conv OHWI, depthwise 1HWC, dense OI). All arrays are
 * borrowed. No errors: shapes are checked by the compiler.
 *
 * Overlap. Convolution, depthwise, dense and pooling make their output cells in order, each after its last read of the input (dense: a
 * row), so the output may lie in the input's memory when it starts far enough before it: compiler/overlap.h computes how far from the
 * same geometry. Softmax, table, add and mul may write over an operand of the output's shape. The others may not overlap.
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
    struct jfk_requant rq; /* output o: multiplier o * rq_step; step 0: one for all, 1: one each */
    int32_t rq_step;
};
void jfk_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out);

#define JFK_DIMS 5

/* Operands of different shapes: the output's shape, outermost axis first, and each operand's step along each axis (0: repeated). */
struct jfk_spread {
    int32_t shape[JFK_DIMS], a_step[JFK_DIMS], b_step[JFK_DIMS];
};

/* out = a + b, or a - b. tflm: both shifted left by left_shift (20), scaled, added, scaled. litert (out_mult 0): a * a_mult + b * b_mult, of
 * values less their zero points, rounded half up to out_shift bits less, as XNNPACK adds. */
struct jfk_add {
    int32_t n, a_zp, b_zp, left_shift;
    int32_t a_mult, b_mult, out_mult;
    int8_t a_shift, b_shift, out_shift;
    int8_t subtract; /* tflm only: litert negates b_mult */
    int32_t out_zp, act_min, act_max;
    const struct jfk_spread *spread; /* NULL: both operands have the output's shape */
};
void jfk_add(const struct jfk_add *p, const int8_t *a, const int8_t *b, int8_t *out); /* out may be an operand of n elements */

/* out = a * b. scale (litert): s_a * s_b / s_out, rounded to nearest even; 0 selects tflm. */
struct jfk_mul {
    int32_t n, a_zp, b_zp;
    int32_t mult;
    int8_t shift;
    float scale;
    int32_t out_zp, act_min, act_max;
    const struct jfk_spread *spread;
};
void jfk_mul(const struct jfk_mul *p, const int8_t *a, const int8_t *b, int8_t *out); /* out may be an operand of n elements */

/* out[i] = table[in[i] + 128]: every operator of one operand that treats elements alike. out may be in. */
struct jfk_table {
    int32_t n;
    const int8_t *table; /* [256] */
};
void jfk_table(const struct jfk_table *p, const int8_t *in, int8_t *out);

struct jfk_pool {
    int16_t in_h, in_w, c, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left;
    int32_t act_min, act_max;
};
void jfk_average_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out);
void jfk_max_pool(const struct jfk_pool *p, const int8_t *in, int8_t *out);

/* Mean over some axes: kept and reduced axes of the input, each outermost first, with the steps in the input. sum - n * in_zp is scaled by
 * mult, shift (which hold the division by n). litert (scale not 0): by scale, rounded to nearest even; with `quotient`, sum / n * scale + bias in
 * floats, rounded half away from zero. */
struct jfk_mean {
    int32_t kept[JFK_DIMS], kept_step[JFK_DIMS], cut[JFK_DIMS], cut_step[JFK_DIMS];
    int32_t n, in_zp, mult;
    int8_t shift;
    int8_t quotient;
    float scale, bias;
    int32_t out_zp;
};
void jfk_mean(const struct jfk_mean *p, const int8_t *in, int8_t *out);

/* Copies a block of up to five axes between two arrays with steps of their own: transposition, slices, parts, concatenation, padding. */
struct jfk_move {
    int32_t shape[JFK_DIMS], in_step[JFK_DIMS], out_step[JFK_DIMS]; /* outermost axis first */
    int32_t in_at, out_at; /* of the first element */
};
void jfk_move(const struct jfk_move *p, const int8_t *in, int8_t *out);
void jfk_fill(int8_t *out, int32_t n, int32_t value);

/* Resizing of height and width. Nearest: y[oy], x[ox] are the cells taken. Bilinear: y[oy], x[ox] are the lower cells, y1, x1 the upper
 * ones, y_frac, x_frac the weight of the upper, of 2^frac_bits (10: tflm, rounded half away from zero; 11: litert, half up). */
struct jfk_resize {
    int16_t in_h, in_w, c, out_h, out_w;
    const int16_t *y, *x, *y1, *x1, *y_frac, *x_frac;
    int8_t frac_bits;
};
void jfk_resize_nearest(const struct jfk_resize *p, const int8_t *in, int8_t *out);
void jfk_resize_bilinear(const struct jfk_resize *p, const int8_t *in, int8_t *out);

/* Softmax over the last axis, output scale 1/256, zero point -128. tflm: gemmlowp's fixed-point exp with 5 integer bits.
 * table (litert): 256 floats, exp(scale*beta*-i); NULL selects tflm. */
struct jfk_softmax {
    int32_t rows, n;
    int32_t mult; /* tflm: of (x - max), with left shift `shift` */
    int8_t shift;
    int32_t diff_min;
    const float *table;
};
void jfk_softmax(const struct jfk_softmax *p, const int8_t *in, int8_t *out); /* out may be in */

/* x * mult * 2^(shift - 31), double rounding. mult above INT32_MIN, shift -31..31. */
int32_t jfk_multiply(int32_t x, int32_t mult, int shift);
/* What every kernel does with the accumulator of channel ch: scaled, rounded, moved to the output's zero point, clamped. */
int8_t jfk_requantize(const struct jfk_requant *q, int32_t acc, int32_t ch);

#endif
