/* SPDX-License-Identifier: GPL-2.0-or-later
 * One operator of a .tflite file into one node: options, and operands that only describe (paddings, axes, sizes) into attributes. */
#ifndef COMPILER_TFLITE_NODE_H
#define COMPILER_TFLITE_NODE_H

#include "compiler/flatbuf.h"
#include "compiler/ir.h"

/* Up to `max` tensor indices of a field, each below n_tensors, -1 for an absent one. */
int tflite_indices(struct fb_file *f, const struct fb_table *t, int slot, int n_tensors, int *dst, int max, int *ret_n) JF_MUST_CHECK;
/* m's tensors are read; *n is zeroed. Errors name node i. */
int tflite_node(struct fb_file *f, const struct fb_vec *ops, const struct fb_vec *codes, uint32_t i, const struct ir_model *m, struct ir_node *n) JF_MUST_CHECK;

#endif
