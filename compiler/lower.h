/* SPDX-License-Identifier: GPL-2.0-or-later
 * From the model to kernel calls: quantized multipliers, clamp bounds, padding, and the arena's layout. Everything that the host
 * executes and that the emitter writes comes from here, so that both are the same. */
#ifndef COMPILER_LOWER_H
#define COMPILER_LOWER_H

#include "compiler/ir.h"
#include "firmware/runtime/jf_kernels.h"

enum numerics { NUMERICS_TFLM, NUMERICS_LITERT };
const char *numerics_name(enum numerics n);
int numerics_parse(const char *s, enum numerics *ret_n);

struct lowered_node {
    enum ir_op op;
    union {
        struct jfk_conv conv;
        struct jfk_dense dense;
        struct jfk_add add;
        struct jfk_pool pool;
        struct jfk_softmax softmax;
    } k;
    int in[2], out; /* tensor indices; in[1] -1 when there is none */
    int32_t channels; /* length of the multiplier arrays */
    int32_t *mult, *bias; /* owned; what the kernel's const pointers mean */
    int8_t *shift;
    float *scale, *table;
};

struct program {
    const struct ir_model *model; /* borrowed */
    enum numerics numerics;
    struct lowered_node *nodes;
    int n_nodes;
    int32_t *offset; /* per tensor: place in the arena, -1: none */
    int32_t arena_bytes, lower_bound_bytes; /* the bound: largest sum of tensors alive at one node */
};

int program_build(const struct ir_model *m, enum numerics numerics, struct program *ret_p, struct err *reterr) JF_MUST_CHECK;
void program_done(struct program *p);

/* The static layout (compiler/plan.c): fills offset, arena_bytes, lower_bound_bytes. JF_E_NOMEM, JF_E_TOO_LARGE. */
int program_plan(struct program *p) JF_MUST_CHECK;

/* The largest arena a program may have. */
#define PROGRAM_MAX_ARENA (64 << 20)

/* Runs the program on the host. arena: arena_bytes; the input lies at offset[model->input]. after(): each node's output. */
void program_run(const struct program *p, int8_t *arena, void (*after)(void *ctx, int node, const int8_t *out, int32_t n), void *ctx);

#endif
