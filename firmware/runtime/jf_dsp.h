/* SPDX-License-Identifier: MIT
 * Kernels for the DSP extension of Armv7E-M and Armv8-M (Cortex-M4, M7, M33): the same bytes as those of
 * jf_kernels.h, from the same structs, but weights in another order and the input's zero point inside the bias, both prepared by the compiler
 * (compiler/pack.c):
 *
 *   bias     [out_c], never NULL: the model's, less in_zp times the sum of the channel's weights. Padding is then in_zp.
 *   conv     weights by pairs of output channels; a pair: for every four of its k_h*k_w*in_c taps, four of the first channel and four of the second.
 *            Missing taps and a missing second channel are 0.
 *   depthwise  weights by four channels; four channels: tap by tap, one of each. depth_mult 1.
 *   dense    weights by four outputs; four outputs: for every four inputs, four of each output. w_zp 0.
 *
 * The accumulator of a channel with a negative shift stays below 2^30 (checked by the compiler). Scratch is aligned to 8 and not kept between calls. Output may overlap input as
 * the portable kernels' may; the convolution works on JFD_CONV_TILE output cells at a time, after it has read all that they need. */
#ifndef JF_DSP_H
#define JF_DSP_H

#include "firmware/runtime/jf_kernels.h"

#define JFD_CONV_TILE 2

void jfd_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch);
void jfd_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch);
void jfd_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out);
/* tflm numerics, operands of one shape, no scale above 1. */
void jfd_add(const struct jfk_add *p, const int8_t *a, const int8_t *b, int8_t *out);

/* Bytes of scratch. The convolution: two patches of 16 bit, and one of 8 bit when in_c is no multiple of 4. Depthwise: a pointer per tap, a padding cell. */
#define JFD_PATCH(taps) (((taps) + 3) / 4 * 4)
#define JFD_CONV_SCRATCH(taps, in_c) (4 * JFD_PATCH(taps) + ((in_c) % 4 ? JFD_PATCH(taps) : 0))
#define JFD_DEPTHWISE_SCRATCH(taps, channels) (4 * (taps) + JFD_PATCH(channels))

#endif
