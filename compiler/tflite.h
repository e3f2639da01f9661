/* SPDX-License-Identifier: GPL-2.0-or-later
 * The TensorFlow Lite front end: int8 flatbuffers (schema version 3, one subgraph). Every offset, length and product is
 * checked against the file; no recursion. Schema: tensorflow/lite/schema/schema.fbs. */
#ifndef COMPILER_TFLITE_H
#define COMPILER_TFLITE_H

#include "compiler/ir.h"

#define TFLITE_MAX_BYTES (64u << 20)

/* bytes must outlive *ret_m. JF_E_PARSE names the byte; JF_E_UNSUPPORTED names node or tensor. */
int tflite_read(const uint8_t *bytes, size_t n, struct ir_model *ret_m, struct err *reterr) JF_MUST_CHECK;

#endif
