/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ONNX front end's operators (compiler/onnx.h), one function each. A function reads cx->node, emits nodes of the model and defines
 * its output; what it cannot express exactly it refuses. Source: onnx.ai/onnx/operators. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx_impl.h"

#define FLOAT ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

/* Infers shapes, defines output 0 as a float of the given layout. */
static int finish(struct onnx_cx *cx, int node, enum onnx_layout layout, int logical_rank, struct err *reterr) {
    int r = onnx_shape(cx, node, reterr);
    if (r < 0) {
        return r;
    }
    int out = cx->m->nodes[node].output;
    struct onnx_value v = {.tensor = out, .layout = layout, .logical_rank = layout == ONNX_LAST ? logical_rank : cx->m->tensors[out].rank};
    return onnx_define(cx, 0, &v, reterr);
}

int onnx_finish_moved(struct onnx_cx *cx, int node, const struct onnx_value *in, enum onnx_layout layout, struct err *reterr) {
    int r = onnx_shape(cx, node, reterr);
    int out = cx->m->nodes[node].output;
    r = r < 0 ? r : onnx_same_quantization(cx, in->tensor, out, reterr);
    if (r < 0) {
        return r;
    }
    struct onnx_value v = {.tensor = out, .layout = layout, .logical_rank = layout == ONNX_LAST ? in->logical_rank : cx->m->tensors[out].rank, .integer = in->integer};
    return onnx_define(cx, 0, &v, reterr);
}

static int need_quantized(const struct onnx_cx *cx, const struct onnx_value *v, struct err *reterr) {
    if (v->integer) {
        return err_set(reterr, JF_E_PARSE, "'%s' is an integer where the operator takes a float: a DequantizeLinear is missing", v->name);
    }
    if (onnx_pending(cx, v->tensor)) {
        return onnx_unsupported(reterr, "'%s' is float: it has to pass a QuantizeLinear first (QDQ form)", v->name);
    }
    return 0;
}

/* ---- sliding windows ---------------------------------------------------------------------------------------------- */
struct sliding {
    int32_t k[2], stride[2], dil[2], pad[4]; /* pad: top, left, bottom, right */
};

/* kernel_shape, strides, dilations, pads, auto_pad of a node over `spatial` axes (1 or 2); one axis becomes the second of two. kernel: the weights'
 * sizes, or NULL. */
static int sliding(struct onnx_cx *cx, const struct ir_tensor *x, int spatial, const int32_t *kernel, struct sliding *ret_s, struct err *reterr) {
    const Onnx__NodeProto *n = cx->node;
    int32_t k[2] = {kernel ? kernel[0] : 0, kernel && spatial > 1 ? kernel[1] : 0}, st[2] = {1, 1}, dil[2] = {1, 1}, pads[4] = {0, 0, 0, 0};
    int r = onnx_attr_ints(n, "kernel_shape", spatial, k, reterr);
    r = r < 0 ? r : onnx_attr_ints(n, "strides", spatial, st, reterr);
    r = r < 0 ? r : onnx_attr_ints(n, "dilations", spatial, dil, reterr);
    r = r < 0 ? r : onnx_attr_ints(n, "pads", 2 * spatial, pads, reterr);
    if (r < 0) {
        return r;
    }
    int skip = 2 - spatial;
    struct sliding s = {{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}};
    for (int d = 0; d < spatial; d++) {
        s.k[skip + d] = k[d];
        s.stride[skip + d] = st[d];
        s.dil[skip + d] = dil[d];
        s.pad[skip + d] = pads[d];
        s.pad[2 + skip + d] = pads[spatial + d];
        if (kernel && k[d] != kernel[d]) {
            return err_set(reterr, JF_E_PARSE, "kernel_shape differs from the weights' shape");
        }
        if (k[d] < 1 || st[d] < 1 || dil[d] < 1 || pads[d] < 0 || pads[spatial + d] < 0) {
            return err_set(reterr, JF_E_PARSE, "kernel_shape, strides and dilations start at 1, pads at 0");
        }
    }
    if (onnx_attr_is(n, "auto_pad", "VALID", "NOTSET")) {
        memset(s.pad, 0, sizeof s.pad);
    } else if (!onnx_attr_is(n, "auto_pad", "NOTSET", "NOTSET")) {
        bool lower = onnx_attr_is(n, "auto_pad", "SAME_LOWER", "NOTSET");
        if (!lower && !onnx_attr_is(n, "auto_pad", "SAME_UPPER", "NOTSET")) {
            return err_set(reterr, JF_E_PARSE, "auto_pad has an unknown value");
        }
        for (int d = 0; d < 2; d++) {
            int32_t total = ir_same_padding(x->shape[1 + d], s.k[d], s.stride[d], s.dil[d]);
            s.pad[d] = lower ? total - total / 2 : total / 2;
            s.pad[2 + d] = total - s.pad[d];
        }
    }
    *ret_s = s;
    return 0;
}

static void put_sliding(struct ir_node *n, const struct sliding *s) {
    n->filter_h = s->k[0], n->filter_w = s->k[1];
    n->stride_h = s->stride[0], n->stride_w = s->stride[1];
    n->dil_h = s->dil[0], n->dil_w = s->dil[1];
    n->pad_top = s->pad[0], n->pad_left = s->pad[1], n->pad_bottom = s->pad[2], n->pad_right = s->pad[3];
}

/* order[]: the file's O I H W (or O I W) to O H W I, or to 1 H W O for a depthwise one (I = 1). */
static int32_t *conv_order(const int32_t d[4], bool depthwise) {
    size_t n = (size_t)d[0] * (size_t)d[1] * (size_t)d[2] * (size_t)d[3], at = 0;
    int32_t *order = n ? malloc(n * sizeof *order) : NULL;
    if (!order) {
        return NULL;
    }
    if (depthwise) {
        for (int32_t yx = 0; yx < d[2] * d[3]; yx++) {
            for (int32_t o = 0; o < d[0]; o++) {
                order[at++] = o * d[2] * d[3] + yx;
            }
        }
        return order;
    }
    for (int32_t o = 0; o < d[0]; o++) {
        for (int32_t yx = 0; yx < d[2] * d[3]; yx++) {
            for (int32_t i = 0; i < d[1]; i++) {
                order[at++] = (o * d[1] + i) * d[2] * d[3] + yx;
            }
        }
    }
    return order;
}

static int conv_weights(struct onnx_cx *cx, const struct onnx_value *w, const int32_t d[4], bool depthwise, int *ret_tensor, struct err *reterr) {
    const int32_t deep[4] = {1, d[2], d[3], d[0]}, wide[4] = {d[0], d[2], d[3], d[1]};
    int32_t *order = conv_order(d, depthwise);
    if (!order) {
        return err_set(reterr, JF_E_NOMEM, "empty weights, or no memory");
    }
    struct onnx_place p = {depthwise ? deep : wide, 4, order, true, depthwise ? 3 : 0, 0};
    int r = onnx_constant(cx, w, &p, ret_tensor, reterr);
    free(order);
    return r;
}

static int op_conv(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0}, w = {0}, b = {0};
    struct onnx_array a = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : need_quantized(cx, &x, reterr);
    r = r < 0 ? r : onnx_input(cx, 1, &w, reterr);
    r = r < 0 || !onnx_has_input(cx, 2) ? r : onnx_input(cx, 2, &b, reterr);
    r = r < 0 ? r : onnx_to_last(cx, &x, reterr);
    if (r < 0) {
        return r;
    }
    if (!w.data) {
        return onnx_unsupported(reterr, "the weights '%s' have to be a constant", w.name);
    }
    r = onnx_array(w.data, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (a.rank != x.logical_rank || (a.rank != 3 && a.rank != 4)) {
        return onnx_unsupported(reterr, "weights with %d axes for an input with %d; one and two spatial axes are handled", a.rank, x.logical_rank);
    }
    int32_t d[4] = {(int32_t)a.dims[0], (int32_t)a.dims[1], a.rank == 4 ? (int32_t)a.dims[2] : 1, (int32_t)a.dims[a.rank - 1]};
    int32_t in_c = cx->m->tensors[x.tensor].shape[3];
    int64_t group = onnx_attr_int(cx->node, "group", 1);
    bool depthwise = group > 1 && group == in_c && d[1] == 1 && d[0] % in_c == 0;
    if (!depthwise && (group != 1 || d[1] != in_c)) {
        return onnx_unsupported(reterr, "group %lld with %d input channels and weights for %d: only ordinary and depthwise convolutions are handled", (long long)group, in_c, d[1]);
    }
    struct sliding s = {{0, 0}, {0, 0}, {0, 0}, {0, 0, 0, 0}};
    int wt = -1, bt = -1;
    r = sliding(cx, &cx->m->tensors[x.tensor], a.rank - 2, a.rank == 4 ? &d[2] : &d[3], &s, reterr);
    r = r < 0 ? r : conv_weights(cx, &w, d, depthwise, &wt, reterr);
    r = r < 0 ? r : onnx_bias(cx, b.name ? &b : NULL, x.tensor, wt, d[0], &bt, reterr);
    if (r < 0) {
        return r;
    }
    int in[3] = {x.tensor, wt, bt};
    int node = onnx_emit(cx, depthwise ? IR_DEPTHWISE : IR_CONV, in, 3, reterr);
    if (node < 0) {
        return node;
    }
    put_sliding(&cx->m->nodes[node], &s);
    cx->m->nodes[node].depth_mult = depthwise ? d[0] / in_c : 1;
    return finish(cx, node, ONNX_LAST, x.logical_rank, reterr);
}

static int pool(struct onnx_cx *cx, enum ir_op op, struct err *reterr) {
    struct onnx_value x = {0};
    struct sliding s = {{0, 0}, {0, 0}, {0, 0}, {0, 0, 0, 0}};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : onnx_to_last(cx, &x, reterr);
    r = r < 0 ? r : sliding(cx, &cx->m->tensors[x.tensor], x.logical_rank - 2, NULL, &s, reterr);
    if (r < 0) {
        return r;
    }
    const struct ir_tensor *t = &cx->m->tensors[x.tensor];
    if (s.dil[0] != 1 || s.dil[1] != 1 || cx->node->n_output > 1) {
        return onnx_unsupported(reterr, "dilations and the output of indices are not handled");
    }
    bool padded = s.pad[0] || s.pad[1] || s.pad[2] || s.pad[3];
    if (op == IR_AVERAGE_POOL && padded && onnx_attr_int(cx->node, "count_include_pad", 0)) {
        return onnx_unsupported(reterr, "count_include_pad = 1: padded cells do not count here");
    }
    for (int d = 0; onnx_attr_int(cx->node, "ceil_mode", 0) && d < 2; d++) {
        if ((t->shape[1 + d] + s.pad[d] + s.pad[2 + d] - s.k[d]) % s.stride[d]) {
            return onnx_unsupported(reterr, "ceil_mode = 1 with a window that does not fit evenly");
        }
    }
    r = op == IR_AVERAGE_POOL && !x.integer ? need_quantized(cx, &x, reterr) : 0;
    int node = r < 0 ? r : onnx_emit(cx, op, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    put_sliding(&cx->m->nodes[node], &s);
    return onnx_finish_moved(cx, node, &x, ONNX_LAST, reterr);
}

static int op_max_pool(struct onnx_cx *cx, struct err *reterr) { return pool(cx, IR_MAX_POOL, reterr); }
static int op_average_pool(struct onnx_cx *cx, struct err *reterr) { return pool(cx, IR_AVERAGE_POOL, reterr); }

/* GlobalAveragePool and ReduceMean. */
static int mean(struct onnx_cx *cx, struct onnx_value *x, const int64_t *axes, int n_axes, bool keep, struct err *reterr) {
    int r = need_quantized(cx, x, reterr);
    uint32_t mask = 0;
    for (int i = 0; r >= 0 && i < n_axes; i++) {
        int32_t a = 0;
        r = onnx_axis(x, axes[i], &a, reterr);
        mask |= 1u << a;
    }
    int node = r < 0 ? r : onnx_emit(cx, IR_MEAN, &x->tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    cx->m->nodes[node].axes = mask;
    r = onnx_shape(cx, node, reterr);
    if (r < 0 || keep) {
        return r < 0 ? r : finish(cx, node, x->layout, x->logical_rank, reterr);
    }
    /* the axes go: NHWC with H and W reduced to 1 is N C in any order; else the rest is in the file's order */
    struct onnx_value y = {.name = "", .tensor = cx->m->nodes[node].output, .layout = x->layout, .logical_rank = x->logical_rank};
    r = onnx_to_plain(cx, &y, reterr);
    if (r < 0) {
        return r;
    }
    const struct ir_tensor *t = &cx->m->tensors[y.tensor];
    int32_t shape[IR_MAX_DIMS] = {1};
    int rank = 0;
    for (int d = 0; d < t->rank; d++) {
        bool gone = false;
        for (int i = 0; i < n_axes; i++) {
            gone |= (axes[i] < 0 ? axes[i] + t->rank : axes[i]) == d;
        }
        if (!gone) {
            shape[rank++] = t->shape[d];
        }
    }
    int squeeze = onnx_emit(cx, IR_RESHAPE, &y.tensor, 1, reterr);
    if (squeeze < 0) {
        return squeeze;
    }
    int out = cx->m->nodes[squeeze].output;
    if (ir_set_shape(&cx->m->tensors[out], rank ? rank : 1, shape) < 0) {
        return onnx_unsupported(reterr, "an empty result");
    }
    r = onnx_same_quantization(cx, y.tensor, out, reterr);
    struct onnx_value z = {.tensor = out, .logical_rank = rank ? rank : 1};
    return r < 0 ? r : onnx_define(cx, 0, &z, reterr);
}

static int op_global_average(struct onnx_cx *cx, struct err *reterr) {
    static const int64_t spatial[IR_MAX_DIMS] = {2, 3, 4, 5, 6};
    struct onnx_value x = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : onnx_to_last(cx, &x, reterr);
    return r < 0 ? r : mean(cx, &x, spatial, x.logical_rank - 2, true, reterr);
}

static int op_reduce_mean(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t axes[IR_MAX_DIMS] = {0, 1, 2, 3, 4};
    int n = 0, r = onnx_activation(cx, 0, &x, reterr);
    const Onnx__AttributeProto *a = onnx_attr(cx->node, "axes");
    if (r < 0) {
        return r;
    }
    if (a) {
        if (a->n_ints > IR_MAX_DIMS) {
            return err_set(reterr, JF_E_PARSE, "axes has %zu entries", a->n_ints);
        }
        for (n = 0; n < (int)a->n_ints; n++) {
            axes[n] = a->ints[n];
        }
    } else {
        n = onnx_has_input(cx, 1) ? onnx_const_ints(cx, 1, IR_MAX_DIMS, axes, reterr) : x.logical_rank;
    }
    return n < 0 ? n : mean(cx, &x, axes, n, onnx_attr_int(cx->node, "keepdims", 1) != 0, reterr);
}

/* ---- products ----------------------------------------------------------------------------------------------------- */
static int dense(struct onnx_cx *cx, struct onnx_value *x, const struct onnx_value *w, bool transposed, const struct onnx_value *b, struct err *reterr) {
    struct onnx_array a;
    if (!w->data) {
        return onnx_unsupported(reterr, "'%s' has to be a constant", w->name);
    }
    int r = onnx_array(w->data, &a, reterr);
    r = r < 0 ? r : need_quantized(cx, x, reterr);
    r = r < 0 ? r : onnx_to_plain(cx, x, reterr);
    if (r < 0) {
        return r;
    }
    if (a.rank != 2 || a.n < 1) {
        return onnx_unsupported(reterr, "'%s' has %d axes: only products with a matrix are handled", w->name, a.rank);
    }
    int32_t shape[2] = {(int32_t)a.dims[transposed ? 0 : 1], (int32_t)a.dims[transposed ? 1 : 0]}; /* O I */
    int32_t *order = NULL;
    if (!transposed) {
        order = malloc((size_t)a.n * sizeof *order);
        if (!order) {
            return err_set(reterr, JF_E_NOMEM, "no memory");
        }
        for (int32_t o = 0; o < shape[0]; o++) {
            for (int32_t i = 0; i < shape[1]; i++) {
                order[o * shape[1] + i] = i * shape[0] + o;
            }
        }
    }
    int wt = -1, bt = -1;
    struct onnx_place p = {shape, 2, order, false, 0, transposed ? 0 : 1}; /* the kernel takes a zero point beside one scale */
    r = onnx_constant(cx, w, &p, &wt, reterr);
    free(order);
    r = r < 0 ? r : onnx_bias(cx, b, x->tensor, wt, shape[0], &bt, reterr);
    int in[3] = {x->tensor, wt, bt};
    int node = r < 0 ? r : onnx_emit(cx, IR_DENSE, in, 3, reterr);
    return node < 0 ? node : finish(cx, node, ONNX_PLAIN, 0, reterr);
}

static int op_gemm(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0}, w = {0}, b = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : onnx_input(cx, 1, &w, reterr);
    r = r < 0 || !onnx_has_input(cx, 2) ? r : onnx_input(cx, 2, &b, reterr);
    if (r < 0) {
        return r;
    }
    if (onnx_attr_float(cx->node, "alpha", 1) != 1.0f || onnx_attr_float(cx->node, "beta", 1) != 1.0f || onnx_attr_int(cx->node, "transA", 0)) {
        return onnx_unsupported(reterr, "alpha and beta other than 1 and transA are not handled");
    }
    return dense(cx, &x, &w, onnx_attr_int(cx->node, "transB", 0) != 0, b.name ? &b : NULL, reterr);
}

static int op_matmul(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0}, w = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : onnx_input(cx, 1, &w, reterr);
    return r < 0 ? r : dense(cx, &x, &w, false, NULL, reterr);
}

/* ---- element by element ------------------------------------------------------------------------------------------- */
/* MatMul followed by the addition of a constant: the product's bias. 1: taken. */
static int add_as_bias(struct onnx_cx *cx, const struct onnx_value *x, const struct onnx_value *c, struct err *reterr) {
    if (!c->data || !onnx_pending(cx, x->tensor) || onnx_uses(cx, x->name) != 1) {
        return 0;
    }
    for (int i = cx->m->n_nodes - 1; i >= 0; i--) {
        struct ir_node *n = &cx->m->nodes[i];
        if (n->output != x->tensor) {
            continue;
        }
        if (n->op != IR_DENSE || n->inputs[2] >= 0 || n->activation != IR_ACT_NONE) {
            return 0;
        }
        int bias = -1;
        int r = onnx_bias(cx, c, n->inputs[0], n->inputs[1], cx->m->tensors[n->inputs[1]].shape[0], &bias, reterr);
        cx->m->nodes[i].inputs[2] = bias;
        r = r < 0 ? r : onnx_define(cx, 0, x, reterr);
        return r < 0 ? r : 1;
    }
    return 0;
}

/* A constant operand, broadcast as numpy does against `like`: rank filled up in front, then ordered like it. */
static int const_operand(struct onnx_cx *cx, const struct onnx_value *c, const struct onnx_value *like, int *ret_tensor, struct err *reterr) {
    struct onnx_array a;
    int r = onnx_array(c->data, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (!c->scale) { /* a float: one value is exact at a scale of its own */
        if (a.type != FLOAT || a.n != 1) {
            return onnx_unsupported(reterr, "'%s' is a float constant: only single numbers and quantized constants are handled", c->name);
        }
        float v = onnx_array_float(&a, 0);
        int8_t *q = ir_alloc(cx->m, 1);
        int32_t one = 1;
        int t = onnx_tensor(cx, reterr);
        if (t < 0 || !q || ir_set_shape(&cx->m->tensors[t], 1, &one) < 0) {
            return t < 0 ? t : err_set(reterr, JF_E_NOMEM, "no memory");
        }
        *q = v > 0 ? 1 : v < 0 ? -1 : 0;
        cx->m->tensors[t].data = (const uint8_t *)q;
        *ret_tensor = t;
        return onnx_set_quantization(cx, t, v == 0 ? 1.0f : fabsf(v), 0, reterr);
    }
    int rank = like->layout == ONNX_LAST ? 4 : a.rank ? a.rank : 1, front = like->logical_rank - a.rank;
    int32_t f[IR_MAX_DIMS] = {1, 1, 1, 1, 1}, shape[IR_MAX_DIMS] = {1, 1, 1, 1, 1};
    if (like->layout == ONNX_LAST && front < 0) {
        return err_set(reterr, JF_E_PARSE, "'%s' has more axes than the operand beside it", c->name);
    }
    for (int d = 0; d < a.rank; d++) {
        f[(like->layout == ONNX_LAST ? front : 0) + d] = (int32_t)a.dims[d];
    }
    memcpy(shape, f, sizeof shape);
    int32_t *order = NULL;
    if (like->layout == ONNX_LAST) { /* N C H W or N C L */
        int32_t h = like->logical_rank == 4 ? f[2] : 1, w = f[like->logical_rank - 1], at = 0;
        shape[1] = h, shape[2] = w, shape[3] = f[1];
        order = a.n ? malloc((size_t)a.n * sizeof *order) : NULL;
        for (int32_t n = 0; order && n < f[0]; n++) {
            for (int32_t yx = 0; yx < h * w; yx++) {
                for (int32_t ch = 0; ch < f[1]; ch++) {
                    order[at++] = (n * f[1] + ch) * h * w + yx;
                }
            }
        }
        if (!order) {
            return err_set(reterr, JF_E_NOMEM, "an empty constant, or no memory");
        }
    }
    struct onnx_place p = {shape, rank, order, false, -1, -1};
    r = onnx_constant(cx, c, &p, ret_tensor, reterr);
    free(order);
    return r;
}

static int binary(struct onnx_cx *cx, enum ir_op op, struct err *reterr) {
    struct onnx_value v[2] = {{0}, {0}};
    int r = onnx_input(cx, 0, &v[0], reterr);
    r = r < 0 ? r : onnx_input(cx, 1, &v[1], reterr);
    if (r < 0) {
        return r;
    }
    if (v[0].tensor < 0 && v[1].tensor < 0) {
        return onnx_unsupported(reterr, "both operands are constants: fold them when exporting");
    }
    for (int k = 0; op == IR_ADD && k < 2; k++) {
        if (v[k].tensor >= 0 && (r = add_as_bias(cx, &v[k], &v[1 - k], reterr)) != 0) {
            return r < 0 ? r : 0;
        }
    }
    int lead = v[0].tensor >= 0 ? 0 : 1, in[2] = {-1, -1};
    if (v[0].tensor >= 0 && v[1].tensor >= 0 && v[0].layout != v[1].layout) {
        lead = v[0].layout == ONNX_LAST && v[1].logical_rank == v[0].logical_rank ? 0 : v[1].layout == ONNX_LAST && v[1].logical_rank == v[0].logical_rank ? 1 : -1;
        r = lead >= 0 ? onnx_to_last(cx, &v[1 - lead], reterr) : onnx_to_plain(cx, v[0].layout == ONNX_LAST ? &v[0] : &v[1], reterr);
        lead = lead < 0 ? 0 : lead;
    }
    for (int k = 0; r >= 0 && k < 2; k++) {
        if (v[k].tensor >= 0) {
            r = need_quantized(cx, &v[k], reterr);
            in[k] = v[k].tensor;
        } else {
            r = const_operand(cx, &v[k], &v[1 - k], &in[k], reterr);
        }
    }
    int node = r < 0 ? r : onnx_emit(cx, op, in, 2, reterr);
    return node < 0 ? node : finish(cx, node, v[lead].layout, v[lead].logical_rank, reterr);
}

static int op_add(struct onnx_cx *cx, struct err *reterr) { return binary(cx, IR_ADD, reterr); }
static int op_sub(struct onnx_cx *cx, struct err *reterr) { return binary(cx, IR_SUB, reterr); }
static int op_mul(struct onnx_cx *cx, struct err *reterr) { return binary(cx, IR_MUL, reterr); }

/* Fused into the operator that made the float when that one has no activation and nobody else reads it. */
static int activation(struct onnx_cx *cx, enum ir_activation act, struct err *reterr) {
    struct onnx_value x = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    if (r < 0) {
        return r;
    }
    if (!x.integer && onnx_pending(cx, x.tensor) && onnx_uses(cx, x.name) == 1) {
        for (int i = cx->m->n_nodes - 1; i >= 0; i--) {
            struct ir_node *n = &cx->m->nodes[i];
            if (n->output != x.tensor) {
                continue;
            }
            bool fits = n->op == IR_CONV || n->op == IR_DEPTHWISE || n->op == IR_DENSE || n->op == IR_ADD || n->op == IR_SUB || n->op == IR_MUL;
            if (fits && n->activation == IR_ACT_NONE) {
                n->activation = act;
                return onnx_define(cx, 0, &x, reterr);
            }
            break;
        }
    }
    r = need_quantized(cx, &x, reterr);
    int node = r < 0 ? r : onnx_emit(cx, act == IR_ACT_RELU ? IR_RELU : IR_RELU6, &x.tensor, 1, reterr);
    return node < 0 ? node : finish(cx, node, x.layout, x.logical_rank, reterr);
}

static int op_relu(struct onnx_cx *cx, struct err *reterr) { return activation(cx, IR_ACT_RELU, reterr); }

/* A bound of Clip: an attribute (opset below 11) or a constant input. */
static int clip_bound(struct onnx_cx *cx, size_t k, const char *name, float dflt, float *ret, struct err *reterr) {
    struct onnx_value v = {0};
    struct onnx_array a;
    *ret = onnx_attr_float(cx->node, name, dflt);
    if (!onnx_has_input(cx, k)) {
        return 0;
    }
    int r = onnx_input(cx, k, &v, reterr);
    if (r >= 0 && !v.data) {
        return onnx_unsupported(reterr, "the bound '%s' has to be a constant", v.name);
    }
    r = r < 0 ? r : onnx_array(v.data, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (a.n != 1) {
        return err_set(reterr, JF_E_PARSE, "the bound '%s' has to be one number", v.name);
    }
    if (v.scale) {
        return onnx_unsupported(reterr, "the bound '%s' is quantized", v.name);
    }
    *ret = a.type == FLOAT ? onnx_array_float(&a, 0) : (float)onnx_array_int(&a, 0);
    return 0;
}

static int op_clip(struct onnx_cx *cx, struct err *reterr) {
    float lo = 0, hi = 0;
    int r = clip_bound(cx, 1, "min", -3.4028235e38f, &lo, reterr);
    r = r < 0 ? r : clip_bound(cx, 2, "max", 3.4028235e38f, &hi, reterr);
    if (r < 0) {
        return r;
    }
    if (lo != 0 || (hi != 6 && hi < 3.4e38f)) {
        return onnx_unsupported(reterr, "bounds %g to %g: only 0 to 6 (RELU6) and 0 to infinity (RELU) are handled", (double)lo, (double)hi);
    }
    return activation(cx, hi == 6 ? IR_ACT_RELU6 : IR_ACT_RELU, reterr);
}

static int op_leaky_relu(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : need_quantized(cx, &x, reterr);
    int node = r < 0 ? r : onnx_emit(cx, IR_LEAKY_RELU, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    cx->m->nodes[node].alpha = onnx_attr_float(cx->node, "alpha", 0.01f);
    return finish(cx, node, x.layout, x.logical_rank, reterr);
}

/* Operators whose int8 form has one output quantization: another one is reached by requantizing behind it. */
static int fixed_output(struct onnx_cx *cx, enum ir_op op, const struct onnx_value *x, float scale, int32_t zero, struct err *reterr) {
    int r = need_quantized(cx, x, reterr);
    int node = r < 0 ? r : onnx_emit(cx, op, &x->tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    r = onnx_set_quantization(cx, cx->m->nodes[node].output, scale, zero, reterr);
    return r < 0 ? r : finish(cx, node, x->layout, x->logical_rank, reterr);
}

static int op_sigmoid(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    return r < 0 ? r : fixed_output(cx, IR_LOGISTIC, &x, 1.0f / 256, -128, reterr);
}

static int op_tanh(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int r = onnx_activation(cx, 0, &x, reterr);
    return r < 0 ? r : fixed_output(cx, IR_TANH, &x, 1.0f / 128, 0, reterr);
}

static int op_softmax(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int32_t axis = 0;
    int r = onnx_activation(cx, 0, &x, reterr);
    r = r < 0 ? r : onnx_axis(&x, onnx_attr_int(cx->node, "axis", cx->opset < 13 ? 1 : -1), &axis, reterr);
    if (r < 0) {
        return r;
    }
    const struct ir_tensor *t = &cx->m->tensors[x.tensor];
    int32_t behind = 1; /* before opset 13 all axes from `axis` on are one */
    for (int d = axis + 1; d < t->rank; d++) {
        behind *= t->shape[d];
    }
    if (behind != 1) {
        return onnx_unsupported(reterr, "softmax over an axis that is not the last one");
    }
    if (axis != t->rank - 1) { /* the axes behind have one element each: move it to the end */
        int32_t shape[IR_MAX_DIMS] = {1, 1, 1, 1, 1};
        memcpy(shape, t->shape, sizeof(int32_t) * (size_t)(axis + 1));
        int rank = axis + 1, node = onnx_emit(cx, IR_RESHAPE, &x.tensor, 1, reterr);
        if (node < 0 || x.layout == ONNX_LAST) {
            return node < 0 ? node : onnx_unsupported(reterr, "softmax over a spatial axis");
        }
        int out = cx->m->nodes[node].output;
        if (ir_set_shape(&cx->m->tensors[out], rank, shape) < 0) {
            return err_set(reterr, JF_E_PARSE, "an empty tensor");
        }
        r = onnx_same_quantization(cx, x.tensor, out, reterr);
        x.tensor = out;
    }
    return r < 0 ? r : fixed_output(cx, IR_SOFTMAX, &x, 1.0f / 256, -128, reterr);
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */
int onnx_convert(struct onnx_cx *cx, struct err *reterr) {
    static const struct {
        const char *name;
        int (*fn)(struct onnx_cx *cx, struct err *reterr);
    } table[] = {
        {"Conv", op_conv},
        {"MaxPool", op_max_pool},
        {"AveragePool", op_average_pool},
        {"GlobalAveragePool", op_global_average},
        {"ReduceMean", op_reduce_mean},
        {"Gemm", op_gemm},
        {"MatMul", op_matmul},
        {"Add", op_add},
        {"Sub", op_sub},
        {"Mul", op_mul},
        {"Relu", op_relu},
        {"Clip", op_clip},
        {"LeakyRelu", op_leaky_relu},
        {"Sigmoid", op_sigmoid},
        {"Tanh", op_tanh},
        {"Softmax", op_softmax},
    };
    const char *op = cx->node->op_type ? cx->node->op_type : "";
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(op, table[i].name) == 0) {
            return table[i].fn(cx, reterr);
        }
    }
    return onnx_convert_shape(cx, reterr);
}
