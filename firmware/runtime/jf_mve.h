/* SPDX-License-Identifier: MIT
 * Kernels for Helium, the M-profile vector extension (Cortex-M55): the same bytes as those of jf_kernels.h, from the same structs, but weights in
 * another order and the input's zero point inside the bias, both prepared by the compiler (compiler/pack.c):
 *
 *   bias     [out_c], never NULL: the model's, less in_zp times the sum of the channel's weights. Padding is then in_zp.
 *   conv, dense  weights by four outputs; four outputs: for every sixteen taps or inputs, sixteen of each output. Missing ones are 0.
 *   depthwise    weights as TensorFlow Lite lays them out. depth_mult 1.
 *
 * Scratch is aligned to 8 and not kept between calls. Output may overlap input as the portable kernels' may. */
#ifndef JF_MVE_H
#define JF_MVE_H

#include "firmware/runtime/jf_kernels.h"

void jfv_conv2d(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch);
void jfv_depthwise(const struct jfk_conv *p, const int8_t *in, int8_t *out, void *scratch);
void jfv_dense(const struct jfk_dense *p, const int8_t *in, int8_t *out);

/* Bytes of scratch. The convolution: a patch. Depthwise: a pointer per tap, a padding cell. */
#define JFV_BLOCK(taps) (((taps) + 15) / 16 * 16)
#define JFV_CONV_SCRATCH(taps) JFV_BLOCK(taps)
#define JFV_DEPTHWISE_SCRATCH(taps, channels) (4 * (taps) + JFV_BLOCK(channels))

#endif
