/* SPDX-License-Identifier: GPL-2.0-or-later
 * The compiler's intermediate representation: flat arrays of tensors and nodes in execution order, NHWC, batch 1, int8
 * activations with explicit quantization. Front ends (compiler/tflite.h) fill it; nothing of a file format is in it: padding is
 * given as numbers, slices are normalized, operands that only describe a shape became attributes. Owns its arrays and what
 * ir_alloc() gave; constant data may be borrowed from the source file's bytes, which then outlive the model. */
#ifndef COMPILER_IR_H
#define COMPILER_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IR_MAX_DIMS 5
#define IR_MAX_TENSORS 2048
#define IR_MAX_NODES 1024
#define IR_MAX_INPUTS 16
#define IR_MAX_OUTPUTS 16
#define IR_MAX_ELEMENTS (64 << 20)
#define IR_RANK_UNKNOWN (-1) /* ir_check() infers the shape */

enum ir_type { IR_I8, IR_I32, IR_F32, IR_OTHER };

/* What each reads beside its first input, an int8 activation (attributes: struct ir_node). Where two operands are named, either
 * may be a constant (`data`), and shapes broadcast as in numpy.
 *  CONV          weights OHWI, bias i32 or -1    stride, dil, pad, activation; weights' scales per tensor or axis 0
 *  DEPTHWISE     weights 1HWC, bias or -1        the same and depth_mult; scales per tensor or axis 3
 *  DENSE         weights OI, bias or -1          activation; scales per tensor or axis 0
 *  ADD SUB MUL   second operand                  activation
 *  AVERAGE_POOL MAX_POOL  -                      filter, stride, pad (cells outside do not count), activation; same quantization
 *  MEAN          -                               axes
 *  RELU RELU6 LEAKY_RELU LOGISTIC TANH  -        alpha (LEAKY_RELU)
 *  SOFTMAX       -                               beta; over the last axis
 *  PAD           -                               begin, end (cells before and after, per axis), pad_value; same quantization
 *  CONCAT        up to IR_MAX_INPUTS             axis; same quantization
 *  RESHAPE       -                               also what squeezes or adds axes; same quantization
 *  TRANSPOSE     -                               perm: axis d of the output is axis perm[d] of the input; same quantization
 *  SLICE         -                               begin, step (may be negative), size (cells taken per axis of the input; the output may
 *                                                drop axes of size 1); same quantization
 *  SPLIT         -                               axis; n_outputs equal parts; same quantization
 *  QUANTIZE      -                               int8 to int8 of another quantization; float to int8 only first in a model
 *  DEQUANTIZE    -                               int8 to float, only last in a model: ir_normalize() takes both off
 *  RESIZE_NEAREST RESIZE_BILINEAR  -             align_corners, half_pixel; same quantization */
enum ir_op {
    IR_CONV,
    IR_DEPTHWISE,
    IR_DENSE,
    IR_ADD,
    IR_SUB,
    IR_MUL,
    IR_AVERAGE_POOL,
    IR_MAX_POOL,
    IR_MEAN,
    IR_RELU,
    IR_RELU6,
    IR_LEAKY_RELU,
    IR_LOGISTIC,
    IR_TANH,
    IR_SOFTMAX,
    IR_PAD,
    IR_CONCAT,
    IR_RESHAPE,
    IR_TRANSPOSE,
    IR_SLICE,
    IR_SPLIT,
    IR_QUANTIZE,
    IR_DEQUANTIZE,
    IR_RESIZE_NEAREST,
    IR_RESIZE_BILINEAR,
    IR_OPS
};

enum ir_activation { IR_ACT_NONE, IR_ACT_RELU, IR_ACT_RELU6 };

struct ir_tensor {
    char name[64];
    enum ir_type type;
    int32_t shape[IR_MAX_DIMS];
    int rank; /* IR_RANK_UNKNOWN until inferred */
    int32_t elements;
    const uint8_t *data; /* constant, little endian, unaligned; NULL: an activation */
    /* quantization: n_scales 0 (none), 1 (per tensor) or per axis; both arrays have n_scales elements; zero_points NULL: all 0 */
    const float *scales;
    const int32_t *zero_points;
    int32_t n_scales, axis;
    int producer, last_use; /* node index; producer -1: model input or constant; last_use -1: never; n_nodes: the model's output */
};

struct ir_node {
    enum ir_op op;
    int inputs[IR_MAX_INPUTS], n_inputs; /* tensor indices; -1: absent */
    union {
        int output; /* of all but SPLIT, which has several */
        int outputs[IR_MAX_OUTPUTS];
    };
    int n_outputs;
    int32_t stride_h, stride_w, dil_h, dil_w, filter_h, filter_w, depth_mult;
    int32_t pad_top, pad_left, pad_bottom, pad_right; /* in cells of the input */
    enum ir_activation activation;
    float alpha, beta;
    int32_t axis;
    uint32_t axes; /* bit d: axis d */
    int32_t begin[IR_MAX_DIMS], end[IR_MAX_DIMS], step[IR_MAX_DIMS], size[IR_MAX_DIMS], perm[IR_MAX_DIMS];
    int32_t pad_value; /* quantized */
    bool align_corners, half_pixel;
};

struct ir_block; /* memory that lives as long as the model */

struct ir_model {
    struct ir_tensor *tensors;
    struct ir_node *nodes;
    int n_tensors, n_nodes, input, output;
    /* the model took or gave floats, and a QUANTIZE or DEQUANTIZE at its edge was taken off: the caller converts with the scale and zero
     * point of `input` or `output` (compiler/passes.h) */
    bool float_input, float_output;
    struct ir_block *blocks;
};

const char *ir_op_name(enum ir_op op); /* "CONV_2D" */
float ir_scale(const struct ir_tensor *t, int32_t i); /* of channel i; the only one when per tensor; 0 when there is none */
int32_t ir_zero_point(const struct ir_tensor *t); /* of a per-tensor quantized one */
int32_t ir_const_i32(const struct ir_tensor *t, int32_t i);
int32_t ir_dim(const struct ir_tensor *t, int from_end); /* 1 for dimensions that do not exist: NHWC as 4D */
bool ir_same_shape(const struct ir_tensor *a, const struct ir_tensor *b);
bool ir_same_quantization(const struct ir_tensor *a, const struct ir_tensor *b); /* of two per-tensor quantized ones */

/* Zeroed memory, aligned for anything, freed by ir_done(). NULL: no memory. */
void *ir_alloc(struct ir_model *m, size_t n) JF_MUST_CHECK;
/* Appends an empty tensor or node (all zero; producer and last_use -1) and gives its index; JF_E_NOMEM, JF_E_TOO_LARGE. Pointers
 * into the arrays become invalid. */
int ir_add_tensor(struct ir_model *m) JF_MUST_CHECK;
int ir_add_node(struct ir_model *m) JF_MUST_CHECK;
/* Gives a tensor a shape and its number of elements; JF_E_UNSUPPORTED when a dimension is below 1 or the product too large. */
int ir_set_shape(struct ir_tensor *t, int rank, const int32_t *shape) JF_MUST_CHECK;
/* The cells that "same" padding adds to one axis in all (half of it, rounded down, lies before): out = ceil(in / stride). */
int32_t ir_same_padding(int32_t in, int32_t k, int32_t stride, int32_t dil);
void ir_done(struct ir_model *m);

/* The shape of output k of a node, from its inputs' shapes and its attributes. RESHAPE keeps what the output says. JF_E_UNSUPPORTED with
 * a sentence that does not name the node. */
int ir_infer(const struct ir_model *m, const struct ir_node *n, int k, int32_t shape[IR_MAX_DIMS], int *ret_rank, struct err *reterr) JF_MUST_CHECK;

/* Order (nothing is used before it is made, nothing made twice) and shapes: unknown ones are inferred, known ones compared. Fills producer
 * and last_use. JF_E_UNSUPPORTED with "node 3 (CONV_2D): ...". May be called again after a change. */
int ir_link(struct ir_model *m, struct err *reterr) JF_MUST_CHECK;
/* The rules of one node of a linked model: types, quantization, sizes, accumulator range. */
int ir_check_node(const struct ir_model *m, int node, struct err *reterr) JF_MUST_CHECK;
/* ir_link() and the rules of all nodes: after it every later step may rely on shapes, types, order and finite scales. */
int ir_check(struct ir_model *m, struct err *reterr) JF_MUST_CHECK;

#endif
