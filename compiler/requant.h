/* SPDX-License-Identifier: GPL-2.0-or-later
 * Another quantization of the same network for targets whose scales are powers of two and whose zero points are 0 (MAX78000, MAX78002,
 * ESP-DL): what it does to each layer is measured, never assumed. */
#ifndef COMPILER_REQUANT_H
#define COMPILER_REQUANT_H

#include "compiler/ir.h"

/* Changes m in place. max_abs[tensor]: the largest absolute real value seen on a calibration set (NULL, or 0 for a tensor: what the present
 * quantization can represent). Activations: the smallest power of two at which that value is below 127.5 steps, zero point 0; tensors
 * that must be quantized alike stay alike; the outputs of SOFTMAX, LOGISTIC and TANH keep theirs, which the kernels fix. Weights: one
 * power of two a tensor, nothing saturates. Biases: int32 at the product of the two. The old constants stay valid (the new ones are
 * the model's own memory). m has passed ir_check() and passes it again. JF_E_NOMEM; JF_E_UNSUPPORTED when a bias leaves int32. */
int requant_power_of_two(struct ir_model *m, const double *max_abs, struct err *reterr) JF_MUST_CHECK;

/* The exponent e of a scale 2^e; -1000 when it is no power of two. */
int requant_exponent(float scale);

#endif
