/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the parts of the lowering share. Each lower_*() fills one node's kernel arguments and operands from a checked node: 0, JF_E_NOMEM,
 * or JF_E_UNSUPPORTED when the ratio of its scales is out of range. What they allocate belongs to the node. */
#ifndef COMPILER_LOWER_INT_H
#define COMPILER_LOWER_INT_H

#include "compiler/lower.h"

/* One node to be lowered. */
struct lowering {
    const struct ir_model *m;
    const struct ir_node *n;
    enum numerics numerics;
    struct lowered_node *l;
};

static inline const struct ir_tensor *lower_in(const struct lowering *g, int k) { return &g->m->tensors[g->n->inputs[k]]; }
static inline const struct ir_tensor *lower_out(const struct lowering *g) { return &g->m->tensors[g->n->output]; }

/* real = mult * 2^(shift - 31), mult in [2^30, 2^31) (negative for a negative real); a scale too small to matter (dead channels) becomes 0,
 * one too large saturates. */
void lower_multiplier(double real, int32_t *ret_mult, int8_t *ret_shift);
/* The range of a fused activation. */
void lower_bounds(enum ir_activation activation, const struct ir_tensor *o, int32_t *ret_min, int32_t *ret_max);

int lower_conv(const struct lowering *g) JF_MUST_CHECK;
int lower_dense(const struct lowering *g) JF_MUST_CHECK;
int lower_pool(const struct lowering *g) JF_MUST_CHECK;
int lower_softmax(const struct lowering *g) JF_MUST_CHECK;
int lower_mean(const struct lowering *g) JF_MUST_CHECK;
int lower_resize(const struct lowering *g) JF_MUST_CHECK;
int lower_binary(const struct lowering *g) JF_MUST_CHECK; /* lower_binary.c: ADD, SUB, MUL */
int lower_table(const struct lowering *g) JF_MUST_CHECK;  /* lower_table.c: operators of one operand that treat elements alike */
int lower_move(const struct lowering *g) JF_MUST_CHECK;   /* lower_move.c: PAD, CONCAT, TRANSPOSE, SLICE, SPLIT */

#endif
