/* SPDX-License-Identifier: GPL-2.0-or-later
 * The compiler's intermediate representation: flat arrays of tensors and nodes in execution order, NHWC, batch 1, int8
 * activations with explicit quantization. Owns its arrays; constant data is borrowed from the source file's bytes. */
#ifndef COMPILER_IR_H
#define COMPILER_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IR_MAX_DIMS 5
#define IR_MAX_TENSORS 2048
#define IR_MAX_NODES 1024
#define IR_MAX_INPUTS 8
#define IR_MAX_ELEMENTS (64 << 20)

enum ir_type { IR_I8, IR_I32, IR_OTHER };
enum ir_op { IR_CONV, IR_DEPTHWISE, IR_DENSE, IR_ADD, IR_AVERAGE_POOL, IR_MAX_POOL, IR_RESHAPE, IR_SOFTMAX, IR_OPS };

struct ir_tensor {
    char name[64];
    enum ir_type type;
    int32_t shape[IR_MAX_DIMS];
    int rank;
    int32_t elements;
    const uint8_t *data; /* constant, little endian, unaligned; NULL: an activation */
    /* quantization: n_scales 0 (none), 1 (per tensor) or per axis */
    const uint8_t *scales; /* float32 little endian, unaligned */
    const uint8_t *zero_points; /* int64, or NULL: all 0 */
    int32_t n_scales, axis;
    int producer, last_use; /* node index; producer -1: model input or constant; last_use -1: never */
};

struct ir_node {
    enum ir_op op;
    int inputs[IR_MAX_INPUTS], n_inputs, output; /* tensor indices; -1: absent */
    bool same_padding;
    int32_t stride_h, stride_w, dil_h, dil_w, filter_h, filter_w, depth_mult;
    int activation; /* 0 none, 1 relu, 3 relu6 */
    float beta;
};

struct ir_model {
    struct ir_tensor *tensors;
    struct ir_node *nodes;
    int n_tensors, n_nodes, input, output;
};

const char *ir_op_name(enum ir_op op); /* "CONV_2D" */
float ir_scale(const struct ir_tensor *t, int32_t i); /* i is taken modulo n_scales' meaning: 0 when per tensor */
int32_t ir_zero_point(const struct ir_tensor *t); /* of a per-tensor quantized one */
int32_t ir_const_i32(const struct ir_tensor *t, int32_t i);
int32_t ir_dim(const struct ir_tensor *t, int from_end); /* 1 for dimensions that do not exist: NHWC as 4D */
void ir_done(struct ir_model *m);

/* Shapes, types, quantization and order of every node; fills producer and last_use. JF_E_PARSE / JF_E_UNSUPPORTED with
 * "node 3 (CONV_2D): ..." */
int ir_check(struct ir_model *m, struct err *reterr) JF_MUST_CHECK;

#endif
