/* SPDX-License-Identifier: GPL-2.0-or-later
 * The representation as text, one line a tensor or node, stable, made to be compared with diff. */
#ifndef COMPILER_IR_TEXT_H
#define COMPILER_IR_TEXT_H

#include <stdio.h>

#include "compiler/ir.h"

/* "1x32x32x3"; "scalar" for rank 0. */
void ir_shape_text(int rank, const int32_t *shape, char *dst, size_t size);
/* "stride 2x2 pad 0,0,1,1 act RELU": what of a node's attributes is not its operator's default; "" when nothing. */
void ir_attributes_text(const struct ir_node *n, int rank, char *dst, size_t size);
/* `%4 "name" i8 1x5x5x64 scale 0.1 zero -128` for each tensor that a node or the model names, in order of index, with a checksum for constants; then
 * `node 3 CONV_2D %4 %1 %2 -> %5 stride 2x2 ...`; then input and output. */
void ir_print(FILE *f, const struct ir_model *m);

#endif
