/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the files of the ONNX front end share: onnx_proto.c (the file's messages), onnx.c (names, the order of axes, the walk over the
 * graph), onnx_quant.c (quantization, constants), onnx_ops.c (one function an operator). */
#ifndef COMPILER_ONNX_IMPL_H
#define COMPILER_ONNX_IMPL_H

#include "compiler/onnx.h"
#include <onnx/onnx.pb-c.h>

/* ---- onnx_proto.c ------------------------------------------------------------------------------------------------ */
/* The parsed file without anything that nests without bound (subgraphs, sequences). Freed with onnx__model_proto__free_unpacked. */
int onnx_unpack(const uint8_t *bytes, size_t n, Onnx__ModelProto **ret_p, struct err *reterr) JF_MUST_CHECK;

const Onnx__AttributeProto *onnx_attr(const Onnx__NodeProto *n, const char *name); /* NULL: absent */
int64_t onnx_attr_int(const Onnx__NodeProto *n, const char *name, int64_t dflt);
float onnx_attr_float(const Onnx__NodeProto *n, const char *name, float dflt);
/* Compares a string attribute; absent: compares dflt. */
bool onnx_attr_is(const Onnx__NodeProto *n, const char *name, const char *value, const char *dflt);
/* Copies the first `want` integers of a list, each clamped to int32; absent: leaves dst. JF_E_PARSE when the length differs. */
int onnx_attr_ints(const Onnx__NodeProto *n, const char *name, int want, int32_t *dst, struct err *reterr) JF_MUST_CHECK;

/* The elements of a constant, of any of the five types that occur (float, uint8, int8, int32, int64); count checked against the dims. */
struct onnx_array {
    int type; /* ONNX__TENSOR_PROTO__DATA_TYPE__* */
    int rank;
    int64_t dims[IR_MAX_DIMS];
    int64_t n;
    const Onnx__TensorProto *t; /* borrowed */
};
int onnx_array(const Onnx__TensorProto *t, struct onnx_array *ret_a, struct err *reterr) JF_MUST_CHECK;
float onnx_array_float(const struct onnx_array *a, int64_t i); /* of a float array */
int64_t onnx_array_int(const struct onnx_array *a, int64_t i); /* of an integer array */

/* ---- onnx.c ------------------------------------------------------------------------------------------------------ */
enum onnx_layout {
    ONNX_PLAIN, /* stored as the file orders it */
    ONNX_LAST   /* N, C, spatial in the file; stored N, H, W, C (one spatial axis: 1, 1, L, C) */
};

/* What a name stands for. A float value between DequantizeLinear and QuantizeLinear and its int8 value are one tensor here. */
struct onnx_value {
    const char *name;                 /* borrowed */
    const Onnx__TensorProto *data;    /* constant; else NULL */
    const Onnx__TensorProto *scale;   /* of a dequantized constant, else NULL */
    const Onnx__TensorProto *zero;    /* may be NULL then */
    int32_t axis;
    int tensor; /* of the model; -1: constant */
    enum onnx_layout layout;
    int logical_rank; /* axes that the file sees */
    bool integer;     /* the int8 side */
};

struct onnx_cx {
    struct ir_model *m;
    const Onnx__GraphProto *g;
    int64_t opset;
    struct onnx_value *values;
    int n_values, cap_values;
    int *pending_from; /* per tensor: the tensor whose quantization follows from it, or -1 (moves of data between float operators) */
    int cap_pending;
    const Onnx__NodeProto *node; /* the one at work */
};

struct onnx_value *onnx_find(const struct onnx_cx *cx, const char *name); /* NULL: unknown */
int onnx_uses(const struct onnx_cx *cx, const char *name); /* how many node inputs and graph outputs read it */
int onnx_float_uses(const struct onnx_cx *cx, const char *name); /* of these, how many are no QuantizeLinear */
/* Input k of the node: absent is JF_E_PARSE. Pointers into values become invalid with onnx_define(). */
int onnx_input(const struct onnx_cx *cx, size_t k, struct onnx_value *ret_v, struct err *reterr) JF_MUST_CHECK;
bool onnx_has_input(const struct onnx_cx *cx, size_t k);
/* Input k as an activation (a tensor of the model). */
int onnx_activation(struct onnx_cx *cx, size_t k, struct onnx_value *ret_v, struct err *reterr) JF_MUST_CHECK;
/* Input k as a constant list of integers (shapes, axes, pads); returns the count. */
int onnx_const_ints(const struct onnx_cx *cx, size_t k, int max, int64_t *dst, struct err *reterr) JF_MUST_CHECK;
/* Defines output k of the node. */
int onnx_define(struct onnx_cx *cx, size_t k, const struct onnx_value *v, struct err *reterr) JF_MUST_CHECK;

int onnx_define_name(struct onnx_cx *cx, const char *name, const struct onnx_value *v, struct err *reterr) JF_MUST_CHECK;

/* Reorders by TRANSPOSE where it must; *v becomes the reordered value. */
int onnx_to_plain(struct onnx_cx *cx, struct onnx_value *v, struct err *reterr) JF_MUST_CHECK;
int onnx_to_last(struct onnx_cx *cx, struct onnx_value *v, struct err *reterr) JF_MUST_CHECK;
/* The stored axis of the file's axis (negative: from the end). JF_E_PARSE when out of range. */
int onnx_axis(const struct onnx_value *v, int64_t axis, int32_t *ret_axis, struct err *reterr) JF_MUST_CHECK;

/* A new tensor of the model: int8, no quantization, unknown shape. */
int onnx_tensor(struct onnx_cx *cx, struct err *reterr) JF_MUST_CHECK;
/* A new node reading `in` (-1: none), with a new int8 output tensor without quantization and unknown shape; returns the node's index. */
int onnx_emit(struct onnx_cx *cx, enum ir_op op, const int *in, int n_in, struct err *reterr) JF_MUST_CHECK;
/* Infers and sets the shape of every output of the node. */
int onnx_shape(struct onnx_cx *cx, int node, struct err *reterr) JF_MUST_CHECK;
/* The output keeps its input's quantization: given now when that is known, else both get theirs together. */
int onnx_same_quantization(struct onnx_cx *cx, int from, int to, struct err *reterr) JF_MUST_CHECK;
int onnx_set_quantization(struct onnx_cx *cx, int tensor, float scale, int32_t zero, struct err *reterr) JF_MUST_CHECK;
bool onnx_pending(const struct onnx_cx *cx, int tensor); /* no quantization yet */
/* The int8 constant behind a dequantized constant (uint8: minus 128) as a tensor of the model. */
struct onnx_place {
    const int32_t *shape; /* in the model */
    int rank;
    const int32_t *order; /* which element of the file goes to each place of the model; NULL: as it is */
    bool symmetric;       /* zero points are taken off, all 0 in the model; so they are beside several scales */
    int32_t scale_axis;   /* axis of the model's shape that a scale per channel belongs to; -1: one scale only */
    int32_t file_axis;    /* the same in the file's */
};
int onnx_constant(struct onnx_cx *cx, const struct onnx_value *v, const struct onnx_place *place, int *ret_tensor, struct err *reterr) JF_MUST_CHECK;
/* The bias of a product x*w as int32 with scale s_x*s_w. v NULL: no bias (*ret_tensor -1). */
int onnx_bias(struct onnx_cx *cx, const struct onnx_value *v, int x, int w, int32_t n, int *ret_tensor, struct err *reterr) JF_MUST_CHECK;
/* JF_E_UNSUPPORTED with the sentence. */
int onnx_unsupported(struct err *reterr, const char *fmt, ...) JF_PRINTF(2, 3);

/* ---- onnx_quant.c: the operators that quantize, carried out on cx->node ------------------------------------------- */
int onnx_quantize(struct onnx_cx *cx, struct err *reterr) JF_MUST_CHECK;
int onnx_dequantize(struct onnx_cx *cx, struct err *reterr) JF_MUST_CHECK;
int onnx_qlinear(struct onnx_cx *cx, const char *op, struct err *reterr) JF_MUST_CHECK; /* op: the float operator inside */

/* ---- onnx_ops.c -------------------------------------------------------------------------------------------------- */
/* Converts cx->node: what computes here, what moves data in onnx_shape.c. JF_E_UNSUPPORTED for an operator that has no row in either
 * table. */
int onnx_convert(struct onnx_cx *cx, struct err *reterr) JF_MUST_CHECK;
int onnx_convert_shape(struct onnx_cx *cx, struct err *reterr) JF_MUST_CHECK;
/* Infers the node's shape and defines its output as data moved from `in`: quantized, and integer, as that is. */
int onnx_finish_moved(struct onnx_cx *cx, int node, const struct onnx_value *in, enum onnx_layout layout, struct err *reterr) JF_MUST_CHECK;

#endif
