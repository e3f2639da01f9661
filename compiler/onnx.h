/* SPDX-License-Identifier: GPL-2.0-or-later
 * Front end for ONNX models quantized to 8 bits: QDQ form (QuantizeLinear, DequantizeLinear around float operators, as ONNX Runtime's
 * quantizer and the vendors' exporters write it) and the QLinear operators. onnx.ai/onnx/operators, opsets up to those of the
 * onnx.proto that the program was built with; unknown fields are skipped.
 *
 * What becomes of the model: int8 activations in NHWC, weights OHWI. uint8 becomes int8 (zero point and data minus 128), which
 * changes no real value. A QuantizeLinear at the input and a DequantizeLinear at the output are cut off: the compiled model
 * takes and gives int8. Four-dimensional inputs and outputs of convolutions are therefore NHWC where the file says NCHW. */
#ifndef COMPILER_ONNX_H
#define COMPILER_ONNX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "compiler/ir.h"

#define ONNX_MAX_BYTES (64u << 20)

/* Reads a whole file's bytes, which are not needed afterwards. ret_m: ir_done() frees it, also after an error. The result has
 * passed ir_check(). JF_E_PARSE: no ONNX file, damaged, contradictory; JF_E_UNSUPPORTED: float, another operator or form;
 * both with the node's index, operator and name. JF_E_NOMEM. */
int onnx_read(const void *bytes, size_t n, struct ir_model *ret_m, struct err *reterr) JF_MUST_CHECK;

#endif
