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

/* Which kernel a node calls; several operators share one. */
enum kernel {
    KERNEL_NONE, /* RESHAPE: the same memory */
    KERNEL_CONV,
    KERNEL_DEPTHWISE,
    KERNEL_DENSE,
    KERNEL_ADD,
    KERNEL_MUL,
    KERNEL_TABLE,
    KERNEL_AVERAGE_POOL,
    KERNEL_MAX_POOL,
    KERNEL_MEAN,
    KERNEL_SOFTMAX,
    KERNEL_MOVE, /* moves[0..n_moves): from operand i (when there are several) to output i (when there are several) */
    KERNEL_RESIZE_NEAREST,
    KERNEL_RESIZE_BILINEAR,
    KERNELS
};

/* The output may not share memory with that operand. */
#define NO_OVERLAP INT32_MAX

struct lowered_node {
    enum ir_op op;
    enum kernel kernel;
    union {
        struct jfk_conv conv;
        struct jfk_dense dense;
        struct jfk_add add;
        struct jfk_mul mul;
        struct jfk_table table;
        struct jfk_pool pool;
        struct jfk_mean mean;
        struct jfk_softmax softmax;
        struct jfk_resize resize;
    } k;
    int in[IR_MAX_INPUTS], n_in; /* operands in the arena or constants: tensor indices; weights and bias are not among them */
    int out[IR_MAX_OUTPUTS], n_out;
    /* The output may begin `overlap[k]` bytes or more before operand k, inside its memory, when operand k dies here: the kernel then never
     * writes what it still reads (compiler/overlap.h computes it for kernels that go through output cells in order). */
    int32_t overlap[IR_MAX_INPUTS];
    int32_t channels; /* length of the multiplier arrays */
    /* owned; what the kernel's const pointers mean */
    int32_t *mult, *bias;
    int8_t *shift, *bytes; /* bytes: the 256 of KERNEL_TABLE */
    float *scale, *table;
    struct jfk_spread *spread;
    struct jfk_move *moves;
    int n_moves;
    bool fill; /* KERNEL_MOVE: the output is first filled with fill_value */
    int32_t fill_value;
    int16_t *places; /* of resizing: y, x, then y1, x1, y_frac, x_frac */
};

struct program {
    const struct ir_model *model; /* borrowed */
    enum numerics numerics;
    struct lowered_node *nodes;
    int n_nodes;
    int32_t *offset; /* per tensor: place in the arena, -1: none */
    int32_t arena_bytes, lower_bound_bytes; /* no layout of these kernels' distances is smaller: compiler/plan.c */
};

int program_build(const struct ir_model *m, enum numerics numerics, struct program *ret_p, struct err *reterr) JF_MUST_CHECK;
void program_done(struct program *p);

/* One node of a linked model, checked itself; then program_free_node(), on failure too. JF_E_NOMEM, or JF_E_UNSUPPORTED: its scales' ratio. */
int program_lower_node(const struct ir_model *m, int node, enum numerics numerics, struct lowered_node *ret_l) JF_MUST_CHECK;
void program_free_node(struct lowered_node *l);

/* The static layout (compiler/plan.c): fills offset, arena_bytes, lower_bound_bytes. With share false no two tensors but RESHAPE's share
 * memory: what a test compares with. JF_E_NOMEM, JF_E_TOO_LARGE. May be called again, e.g. after overlap[] changed. */
int program_plan(struct program *p, bool share) JF_MUST_CHECK;

/* The largest arena a program may have. */
#define PROGRAM_MAX_ARENA (64 << 20)

/* Runs the program on the host. arena: arena_bytes; the input lies at offset[model->input]. after(): each output of each node. */
void program_run(const struct program *p, int8_t *arena, void (*after)(void *ctx, int node, const int8_t *out, int32_t n), void *ctx);
/* Runs one node with its operands and outputs wherever they are. */
void program_run_node(const struct lowered_node *l, const int8_t *const *in, int8_t *const *out, const int32_t *out_n);

#endif
