/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ONNX front end's walk (compiler/onnx.h): names and what they stand for, the order of axes, the graph and its ends. Knows no
 * operator: those that quantize are in onnx_quant.c, the others in onnx_ops.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx_impl.h"
#include "compiler/passes.h"

#define MAX_VALUES 16384
#define FLOAT ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define UINT8 ONNX__TENSOR_PROTO__DATA_TYPE__UINT8
#define INT8 ONNX__TENSOR_PROTO__DATA_TYPE__INT8

static const char *shown(const char *s) { return s && s[0] ? s : "(no name)"; }

int onnx_unsupported(struct err *reterr, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(reterr, JF_E_UNSUPPORTED, "%s", text);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
struct onnx_value *onnx_find(const struct onnx_cx *cx, const char *name) {
    for (int i = cx->n_values - 1; i >= 0; i--) { /* what a node reads was mostly defined just before */
        if (strcmp(cx->values[i].name, name) == 0) {
            return &cx->values[i];
        }
    }
    return NULL;
}

int onnx_uses(const struct onnx_cx *cx, const char *name) {
    int n = 0;
    for (size_t i = 0; i < cx->g->n_node; i++) {
        for (size_t k = 0; k < cx->g->node[i]->n_input; k++) {
            n += strcmp(cx->g->node[i]->input[k], name) == 0;
        }
    }
    for (size_t i = 0; i < cx->g->n_output; i++) {
        n += cx->g->output[i]->name && strcmp(cx->g->output[i]->name, name) == 0;
    }
    return n;
}

int onnx_float_uses(const struct onnx_cx *cx, const char *name) {
    int quantized = 0;
    for (size_t i = 0; i < cx->g->n_node; i++) {
        const Onnx__NodeProto *n = cx->g->node[i];
        quantized += n->n_input && n->op_type && strcmp(n->op_type, "QuantizeLinear") == 0 && strcmp(n->input[0], name) == 0;
    }
    return onnx_uses(cx, name) - quantized;
}

int onnx_define_name(struct onnx_cx *cx, const char *name, const struct onnx_value *v, struct err *reterr) {
    if (!name || !name[0]) {
        return err_set(reterr, JF_E_PARSE, "an output without a name");
    }
    if (onnx_find(cx, name)) {
        return err_set(reterr, JF_E_PARSE, "'%s' is made twice", name);
    }
    if (cx->n_values == cx->cap_values) {
        int cap = cx->cap_values ? 2 * cx->cap_values : 256;
        struct onnx_value *p = cap > MAX_VALUES ? NULL : realloc(cx->values, (size_t)cap * sizeof *p);
        if (!p) {
            return err_set(reterr, JF_E_NOMEM, "more than %d named values, or no memory", MAX_VALUES);
        }
        cx->values = p;
        cx->cap_values = cap;
    }
    cx->values[cx->n_values] = *v;
    cx->values[cx->n_values++].name = name;
    return 0;
}

int onnx_define(struct onnx_cx *cx, size_t k, const struct onnx_value *v, struct err *reterr) {
    if (k >= cx->node->n_output) {
        return err_set(reterr, JF_E_PARSE, "output %zu is missing", k);
    }
    if (v->tensor >= 0) {
        struct ir_tensor *t = &cx->m->tensors[v->tensor];
        if (t->name[0] == '\0') {
            (void)snprintf(t->name, sizeof t->name, "%s", cx->node->output[k]);
        }
    }
    return onnx_define_name(cx, cx->node->output[k], v, reterr);
}

bool onnx_has_input(const struct onnx_cx *cx, size_t k) { return k < cx->node->n_input && cx->node->input[k][0]; }

int onnx_input(const struct onnx_cx *cx, size_t k, struct onnx_value *ret_v, struct err *reterr) {
    if (!onnx_has_input(cx, k)) {
        return err_set(reterr, JF_E_PARSE, "input %zu is missing", k);
    }
    const struct onnx_value *v = onnx_find(cx, cx->node->input[k]);
    if (!v) {
        return err_set(reterr, JF_E_PARSE, "reads '%s' before any node makes it (or the graph has a cycle)", cx->node->input[k]);
    }
    *ret_v = *v;
    return 0;
}

int onnx_activation(struct onnx_cx *cx, size_t k, struct onnx_value *ret_v, struct err *reterr) {
    int r = onnx_input(cx, k, ret_v, reterr);
    if (r >= 0 && ret_v->tensor < 0) {
        r = onnx_unsupported(reterr, "'%s' is a constant where an activation belongs", ret_v->name);
    }
    return r;
}

int onnx_const_ints(const struct onnx_cx *cx, size_t k, int max, int64_t *dst, struct err *reterr) {
    struct onnx_value v = {0};
    struct onnx_array a;
    int r = onnx_input(cx, k, &v, reterr);
    if (r < 0) {
        return r;
    }
    if (!v.data || v.scale) {
        return onnx_unsupported(reterr, "'%s' has to be a constant", v.name);
    }
    r = onnx_array(v.data, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (a.n > max || a.type == FLOAT) {
        return err_set(reterr, JF_E_PARSE, "'%s' has to hold at most %d integers", v.name, max);
    }
    for (int64_t i = 0; i < a.n; i++) {
        dst[i] = onnx_array_int(&a, i);
    }
    return (int)a.n;
}

/* ---- nodes of the model ------------------------------------------------------------------------------------------- */
int onnx_tensor(struct onnx_cx *cx, struct err *reterr) {
    int t = ir_add_tensor(cx->m);
    if (t < 0) {
        return err_set(reterr, t, "more than %d tensors, or no memory", IR_MAX_TENSORS);
    }
    if (t >= cx->cap_pending) {
        int cap = t + 256;
        int *p = realloc(cx->pending_from, (size_t)cap * sizeof *p);
        if (!p) {
            return err_set(reterr, JF_E_NOMEM, "no memory");
        }
        cx->pending_from = p;
        cx->cap_pending = cap;
    }
    cx->pending_from[t] = -1;
    cx->m->tensors[t].type = IR_I8;
    cx->m->tensors[t].rank = IR_RANK_UNKNOWN;
    return t;
}

int onnx_emit(struct onnx_cx *cx, enum ir_op op, const int *in, int n_in, struct err *reterr) {
    int t = onnx_tensor(cx, reterr);
    if (t < 0) {
        return t;
    }
    int i = ir_add_node(cx->m);
    if (i < 0) {
        return err_set(reterr, i, "more than %d nodes, or no memory", IR_MAX_NODES);
    }
    struct ir_node *n = &cx->m->nodes[i];
    n->op = op;
    for (int k = 0; k < n_in; k++) {
        n->inputs[k] = in[k];
    }
    n->n_inputs = n_in;
    n->output = t;
    n->n_outputs = 1;
    n->stride_h = n->stride_w = n->dil_h = n->dil_w = n->depth_mult = 1;
    n->beta = 1.0f;
    return i;
}

int onnx_shape(struct onnx_cx *cx, int node, struct err *reterr) {
    const struct ir_node *n = &cx->m->nodes[node];
    for (int k = 0; k < n->n_outputs; k++) {
        int32_t shape[IR_MAX_DIMS];
        int rank = 0;
        int r = ir_infer(cx->m, n, k, shape, &rank, reterr);
        if (r < 0) {
            return r;
        }
        if (ir_set_shape(&cx->m->tensors[n->outputs[k]], rank, shape) < 0) {
            return onnx_unsupported(reterr, "the output has a dimension below 1 or more than %d elements", IR_MAX_ELEMENTS);
        }
    }
    return 0;
}

/* ---- the order of axes -------------------------------------------------------------------------------------------- */
int onnx_axis(const struct onnx_value *v, int64_t axis, int32_t *ret_axis, struct err *reterr) {
    int64_t a = axis < 0 ? axis + v->logical_rank : axis;
    if (a < 0 || a >= v->logical_rank) {
        return err_set(reterr, JF_E_PARSE, "axis %lld of a tensor with %d axes", (long long)axis, v->logical_rank);
    }
    static const int32_t last4[4] = {0, 3, 1, 2}, last3[3] = {0, 3, 2};
    *ret_axis = v->layout == ONNX_PLAIN ? (int32_t)a : v->logical_rank == 4 ? last4[a] : last3[a];
    return 0;
}

/* A TRANSPOSE or RESHAPE (perm NULL) of v to the given shape. */
static int reorder(struct onnx_cx *cx, struct onnx_value *v, const int32_t *perm, int rank, const int32_t *shape, struct err *reterr) {
    int node = onnx_emit(cx, perm ? IR_TRANSPOSE : IR_RESHAPE, &v->tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    int out = cx->m->nodes[node].output;
    if (perm) {
        memcpy(cx->m->nodes[node].perm, perm, (size_t)rank * sizeof *perm);
    }
    if (ir_set_shape(&cx->m->tensors[out], rank, shape) < 0) {
        return onnx_unsupported(reterr, "a tensor of an absurd shape");
    }
    char name[64];
    (void)snprintf(name, sizeof name, "%.50s/%s", cx->m->tensors[v->tensor].name, perm ? "transposed" : "reshaped");
    memcpy(cx->m->tensors[out].name, name, sizeof name);
    int r = onnx_same_quantization(cx, v->tensor, out, reterr);
    v->tensor = out;
    return r;
}

int onnx_to_plain(struct onnx_cx *cx, struct onnx_value *v, struct err *reterr) {
    static const int32_t perm[4] = {0, 3, 1, 2};
    if (v->layout == ONNX_PLAIN) {
        return 0;
    }
    int32_t s[4], moved[4];
    memcpy(s, cx->m->tensors[v->tensor].shape, sizeof s); /* N H W C */
    moved[0] = s[0], moved[1] = s[3], moved[2] = s[1], moved[3] = s[2];
    int r = s[3] == 1 || s[1] * s[2] == 1 ? 0 : reorder(cx, v, perm, 4, moved, reterr);
    int32_t line[3] = {s[0], s[3], s[2]};
    if (r >= 0 && (v->logical_rank == 3 || s[3] == 1 || s[1] * s[2] == 1)) {
        r = v->logical_rank == 3 ? reorder(cx, v, NULL, 3, line, reterr) : reorder(cx, v, NULL, 4, moved, reterr);
    }
    v->layout = ONNX_PLAIN;
    return r;
}

int onnx_to_last(struct onnx_cx *cx, struct onnx_value *v, struct err *reterr) {
    static const int32_t perm[4] = {0, 2, 3, 1};
    if (v->layout == ONNX_LAST) {
        return 0;
    }
    const struct ir_tensor *t = &cx->m->tensors[v->tensor];
    if (t->rank != 3 && t->rank != 4) {
        return onnx_unsupported(reterr, "'%s' has %d axes; batch, channels and one or two spatial axes are handled", v->name, t->rank);
    }
    int32_t s[4] = {t->shape[0], t->shape[1], t->rank == 4 ? t->shape[2] : 1, t->shape[t->rank - 1]}; /* N C H W */
    int32_t moved[4] = {s[0], s[2], s[3], s[1]};
    int r = 0;
    if (s[1] == 1 || s[2] * s[3] == 1) {
        r = reorder(cx, v, NULL, 4, moved, reterr);
    } else {
        r = t->rank == 3 ? reorder(cx, v, NULL, 4, s, reterr) : 0;
        r = r < 0 ? r : reorder(cx, v, perm, 4, moved, reterr);
    }
    v->layout = ONNX_LAST;
    return r;
}

/* ---- the graph ---------------------------------------------------------------------------------------------------- */
/* Whether the first real operator behind this name is a Transpose: then the file's own order is NHWC already. */
static bool feeds_transpose(const struct onnx_cx *cx, const char *name) {
    for (size_t i = 0; i < cx->g->n_node; i++) { /* in order: one pass follows the chain of what only quantizes */
        const Onnx__NodeProto *n = cx->g->node[i];
        if (n->n_input == 0 || strcmp(n->input[0], name) != 0 || !n->op_type) {
            continue;
        }
        if (n->n_output && (strcmp(n->op_type, "QuantizeLinear") == 0 || strcmp(n->op_type, "DequantizeLinear") == 0)) {
            name = n->output[0];
            continue;
        }
        return strcmp(n->op_type, "Transpose") == 0;
    }
    return false;
}

static int graph_input(struct onnx_cx *cx, const Onnx__ValueInfoProto *info, struct err *reterr) {
    const Onnx__TypeProto__Tensor *type = info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? info->type->tensor_type : NULL;
    if (!type || !type->shape || !type->has_elem_type || (type->elem_type != FLOAT && type->elem_type != INT8 && type->elem_type != UINT8)) {
        return onnx_unsupported(reterr, "input '%s' has to be a float, int8 or uint8 tensor of a known shape", shown(info->name));
    }
    if (!info->name || !info->name[0]) {
        return err_set(reterr, JF_E_PARSE, "an input without a name");
    }
    int rank = (int)type->shape->n_dim;
    int32_t dims[IR_MAX_DIMS] = {0};
    if (type->shape->n_dim < 1 || type->shape->n_dim > IR_MAX_DIMS) {
        return onnx_unsupported(reterr, "input '%s' has %zu dimensions, 1 to %d are handled", shown(info->name), type->shape->n_dim, IR_MAX_DIMS);
    }
    for (int d = 0; d < rank; d++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[d];
        bool known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (!known && d > 0) {
            return onnx_unsupported(reterr, "input '%s' has no fixed size on axis %d; fix it when exporting", shown(info->name), d);
        }
        int64_t v = known ? dim->dim_value : 1; /* a symbolic batch is 1 */
        dims[d] = v < 1 || v > IR_MAX_ELEMENTS ? 0 : (int32_t)v;
    }
    struct onnx_value v = {.name = info->name, .tensor = onnx_tensor(cx, reterr), .logical_rank = rank, .integer = type->elem_type != FLOAT};
    if (v.tensor < 0) {
        return v.tensor;
    }
    int32_t s[4] = {dims[0], dims[2], dims[3], dims[1]}, line[4] = {dims[0], 1, dims[2], dims[1]};
    if ((rank == 4 || rank == 3) && !feeds_transpose(cx, info->name)) {
        v.layout = ONNX_LAST;
    }
    struct ir_tensor *t = &cx->m->tensors[v.tensor];
    (void)snprintf(t->name, sizeof t->name, "%s", info->name);
    if (ir_set_shape(t, v.layout == ONNX_PLAIN ? rank : 4, v.layout == ONNX_PLAIN ? dims : rank == 4 ? s : line) < 0) {
        return onnx_unsupported(reterr, "input '%s' has a dimension below 1 or too many elements", info->name);
    }
    cx->m->input = v.tensor;
    return onnx_define_name(cx, info->name, &v, reterr);
}

static int graph_ends(struct onnx_cx *cx, struct err *reterr) {
    int inputs = 0;
    for (size_t i = 0; i < cx->g->n_initializer; i++) {
        struct onnx_value v = {.data = cx->g->initializer[i], .tensor = -1};
        int r = onnx_define_name(cx, cx->g->initializer[i]->name, &v, reterr);
        if (r < 0) {
            return err_prefix(reterr, "constant %zu", i);
        }
    }
    for (size_t i = 0; i < cx->g->n_input; i++) {
        const char *name = cx->g->input[i]->name;
        if (name && onnx_find(cx, name)) {
            continue; /* an initializer's default */
        }
        if (inputs++ > 0) {
            return onnx_unsupported(reterr, "the graph has more than one input ('%s' is the second)", shown(name));
        }
        int r = graph_input(cx, cx->g->input[i], reterr);
        if (r < 0) {
            return r;
        }
    }
    return inputs == 1 ? 0 : err_set(reterr, JF_E_PARSE, "the graph has no input");
}

static int graph_output(struct onnx_cx *cx, struct err *reterr) {
    if (cx->g->n_output != 1 || !cx->g->output[0]->name) {
        return onnx_unsupported(reterr, "the graph has %zu outputs, one is handled", cx->g->n_output);
    }
    const struct onnx_value *v = onnx_find(cx, cx->g->output[0]->name);
    if (!v || v->tensor < 0) {
        return err_set(reterr, JF_E_PARSE, "no node makes the output '%s'", cx->g->output[0]->name);
    }
    cx->m->output = v->tensor;
    for (int i = 0; i < cx->m->n_tensors; i++) {
        const struct ir_tensor *t = &cx->m->tensors[i];
        if (t->n_scales == 0 && !t->data) {
            return onnx_unsupported(reterr, "'%s' is float: no QuantizeLinear follows it (the model has to be quantized in QDQ form throughout)", shown(t->name));
        }
    }
    return 0;
}

static int convert_node(struct onnx_cx *cx, size_t i, struct err *reterr) {
    cx->node = cx->g->node[i];
    const char *op = cx->node->op_type ? cx->node->op_type : "";
    bool foreign = cx->node->domain && cx->node->domain[0] && strcmp(cx->node->domain, "ai.onnx") != 0;
    int r = foreign                              ? onnx_unsupported(reterr, "the operator belongs to the domain '%s'", cx->node->domain)
            : strcmp(op, "QuantizeLinear") == 0   ? onnx_quantize(cx, reterr)
            : strcmp(op, "DequantizeLinear") == 0 ? onnx_dequantize(cx, reterr)
            : strcmp(op, "QLinearConv") == 0      ? onnx_qlinear(cx, "Conv", reterr)
            : strcmp(op, "QLinearMatMul") == 0    ? onnx_qlinear(cx, "MatMul", reterr)
                                                  : onnx_convert(cx, reterr);
    return r < 0 ? err_prefix(reterr, "node %zu (%s '%s')", i, op, shown(cx->node->name)) : 0;
}

static int64_t opset_of(const Onnx__ModelProto *p) {
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *d = p->opset_import[i]->domain;
        if ((!d || !d[0] || strcmp(d, "ai.onnx") == 0) && p->opset_import[i]->has_version) {
            return p->opset_import[i]->version;
        }
    }
    return 1;
}

int onnx_read(const void *bytes, size_t n, struct ir_model *ret_m, struct err *reterr) {
    memset(ret_m, 0, sizeof *ret_m);
    Onnx__ModelProto *p = NULL;
    if (n > ONNX_MAX_BYTES) {
        return err_set(reterr, JF_E_TOO_LARGE, "the file has %zu bytes, at most %u are read", n, ONNX_MAX_BYTES);
    }
    int r = onnx_unpack(bytes, n, &p, reterr);
    if (r < 0) {
        return r;
    }
    struct onnx_cx cx = {.m = ret_m, .g = p->graph, .opset = opset_of(p)};
    r = graph_ends(&cx, reterr);
    for (size_t i = 0; r >= 0 && i < cx.g->n_node; i++) {
        r = convert_node(&cx, i, reterr);
    }
    r = r < 0 ? r : graph_output(&cx, reterr);
    r = r < 0 ? r : ir_normalize(ret_m, reterr);
    free(cx.values);
    free(cx.pending_from);
    onnx__model_proto__free_unpacked(p, NULL);
    return r;
}
