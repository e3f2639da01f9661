/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ONNX front end's operators that move data or only name it anew (compiler/onnx.h). Quantization passes through them, also while it
 * is not known yet. Where the file's order of axes matters the tensor is brought into it first (onnx_to_plain), by a TRANSPOSE of
 * the model unless that would move nothing. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "compiler/onnx_impl.h"

#define FLOAT ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

/* A RESHAPE of a value in the file's order to dims. */
static int reshape_to(struct onnx_cx *cx, const struct onnx_value *x, int rank, const int64_t *dims, struct err *reterr) {
    int32_t shape[IR_MAX_DIMS] = {1, 1, 1, 1, 1};
    int64_t n = 1;
    if (rank > IR_MAX_DIMS) {
        return onnx_unsupported(reterr, "a shape of %d axes, at most %d are handled", rank, IR_MAX_DIMS);
    }
    for (int d = 0; d < rank; d++) {
        if (dims[d] < 1 || dims[d] > IR_MAX_ELEMENTS || (n *= dims[d]) > IR_MAX_ELEMENTS) {
            return err_set(reterr, JF_E_PARSE, "a shape with the dimension %lld", (long long)dims[d]);
        }
        shape[d] = (int32_t)dims[d];
    }
    if (n != cx->m->tensors[x->tensor].elements) {
        return err_set(reterr, JF_E_PARSE, "%d elements do not fit a shape of %lld", cx->m->tensors[x->tensor].elements, (long long)n);
    }
    int node = onnx_emit(cx, IR_RESHAPE, &x->tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    int out = cx->m->nodes[node].output;
    if (ir_set_shape(&cx->m->tensors[out], rank ? rank : 1, shape) < 0) {
        return err_set(reterr, JF_E_PARSE, "an empty shape");
    }
    int r = onnx_same_quantization(cx, x->tensor, out, reterr);
    struct onnx_value v = {.tensor = out, .logical_rank = rank ? rank : 1, .integer = x->integer};
    return r < 0 ? r : onnx_define(cx, 0, &v, reterr);
}

/* Input 0 with its elements in the file's order, and the shape that the file sees: reordered only where something would move. */
static int flat_input(struct onnx_cx *cx, struct onnx_value *ret_x, int64_t shape[IR_MAX_DIMS], struct err *reterr) {
    int r = onnx_activation(cx, 0, ret_x, reterr);
    if (r < 0) {
        return r;
    }
    const int32_t *s = cx->m->tensors[ret_x->tensor].shape;
    bool last = ret_x->layout == ONNX_LAST, four = ret_x->logical_rank == 4;
    if (last && s[3] != 1 && s[1] * s[2] != 1) {
        r = onnx_to_plain(cx, ret_x, reterr);
        s = cx->m->tensors[ret_x->tensor].shape;
        last = false;
    }
    for (int d = 0; r >= 0 && d < ret_x->logical_rank; d++) {
        shape[d] = !last ? s[d] : d == 0 ? s[0] : d == 1 ? s[3] : four && d == 2 ? s[1] : s[2];
    }
    return r;
}

static int op_reshape(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t dims[IR_MAX_DIMS + 3] = {0}, from[IR_MAX_DIMS] = {0}, known = 1;
    int r = flat_input(cx, &x, from, reterr);
    int rank = r < 0 ? r : onnx_const_ints(cx, 1, IR_MAX_DIMS + 3, dims, reterr), free_axis = -1;
    if (rank < 0) {
        return rank;
    }
    for (int d = 0; d < rank; d++) {
        if (dims[d] == 0 && !onnx_attr_int(cx->node, "allowzero", 0)) {
            dims[d] = d < x.logical_rank ? from[d] : 0;
        }
        if (dims[d] == -1 && free_axis < 0) {
            free_axis = d;
        } else if (dims[d] < 1 || dims[d] > IR_MAX_ELEMENTS || (known *= dims[d]) > IR_MAX_ELEMENTS) {
            return err_set(reterr, JF_E_PARSE, "a shape with the dimension %lld", (long long)dims[d]);
        }
    }
    if (free_axis >= 0) {
        dims[free_axis] = cx->m->tensors[x.tensor].elements / known;
    }
    return reshape_to(cx, &x, rank, dims, reterr);
}

static int op_flatten(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t from[IR_MAX_DIMS] = {0};
    int r = flat_input(cx, &x, from, reterr);
    if (r < 0) {
        return r;
    }
    int64_t axis = onnx_attr_int(cx->node, "axis", 1), dims[2] = {1, 1};
    axis = axis < 0 ? axis + x.logical_rank : axis;
    if (axis < 0 || axis > x.logical_rank) {
        return err_set(reterr, JF_E_PARSE, "axis %lld of a tensor with %d axes", (long long)axis, x.logical_rank);
    }
    for (int d = 0; d < x.logical_rank; d++) {
        dims[d < axis ? 0 : 1] *= from[d];
    }
    return reshape_to(cx, &x, 2, dims, reterr);
}

/* The axes of Squeeze and Unsqueeze: attribute before opset 13, input since; normalized against `rank`. Returns the count. */
static int axes_of(const struct onnx_cx *cx, int rank, int64_t *axes, struct err *reterr) {
    const Onnx__AttributeProto *a = onnx_attr(cx->node, "axes");
    int n = 0;
    if (a) {
        if (a->n_ints > IR_MAX_DIMS) {
            return err_set(reterr, JF_E_PARSE, "axes has %zu entries", a->n_ints);
        }
        for (n = 0; n < (int)a->n_ints; n++) {
            axes[n] = a->ints[n];
        }
    } else if (onnx_has_input(cx, 1)) {
        n = onnx_const_ints(cx, 1, IR_MAX_DIMS, axes, reterr);
    }
    for (int i = 0; i < n; i++) {
        int64_t full = rank < 0 ? -rank + n : rank; /* Unsqueeze counts in the result: rank is given negative */
        axes[i] = axes[i] < 0 ? axes[i] + full : axes[i];
        if (axes[i] < 0 || axes[i] >= full) {
            return err_set(reterr, JF_E_PARSE, "axis %lld is out of range", (long long)axes[i]);
        }
    }
    return n;
}

static int op_squeeze(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t axes[IR_MAX_DIMS] = {0}, dims[IR_MAX_DIMS] = {0}, from[IR_MAX_DIMS] = {0};
    int r = flat_input(cx, &x, from, reterr), rank = 0;
    if (r < 0) {
        return r;
    }
    int n = axes_of(cx, x.logical_rank, axes, reterr);
    for (int d = 0; n >= 0 && d < x.logical_rank; d++) {
        bool gone = n == 0 && from[d] == 1;
        for (int i = 0; i < n; i++) {
            gone |= axes[i] == d;
        }
        if (gone && from[d] != 1) {
            return err_set(reterr, JF_E_PARSE, "axis %d has %lld elements and cannot go", d, (long long)from[d]);
        }
        if (!gone) {
            dims[rank++] = from[d];
        }
    }
    return n < 0 ? n : reshape_to(cx, &x, rank, dims, reterr);
}

static int op_unsqueeze(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t axes[IR_MAX_DIMS] = {0}, dims[2 * IR_MAX_DIMS] = {0}, from[IR_MAX_DIMS] = {0};
    int r = flat_input(cx, &x, from, reterr);
    if (r < 0) {
        return r;
    }
    int n = axes_of(cx, -x.logical_rank, axes, reterr), at = 0;
    for (int d = 0; n >= 0 && d < x.logical_rank + n; d++) {
        bool fresh = false;
        for (int i = 0; i < n; i++) {
            fresh |= axes[i] == d;
        }
        if (!fresh && at >= x.logical_rank) {
            return err_set(reterr, JF_E_PARSE, "an axis is named twice");
        }
        dims[d] = fresh ? 1 : from[at++];
    }
    return n < 0 ? n : reshape_to(cx, &x, x.logical_rank + n, dims, reterr);
}

static bool is_perm(const int32_t *perm, int rank, int a, int b, int c) { return rank == 4 && perm[0] == 0 && perm[1] == a && perm[2] == b && perm[3] == c; }

static int op_transpose(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int32_t perm[IR_MAX_DIMS];
    uint32_t seen = 0;
    int r = onnx_activation(cx, 0, &x, reterr), rank = x.logical_rank;
    for (int d = 0; d < rank; d++) {
        perm[d] = rank - 1 - d;
    }
    r = r < 0 ? r : onnx_attr_ints(cx->node, "perm", rank, perm, reterr);
    if (r < 0) {
        return r;
    }
    for (int d = 0; d < rank; d++) {
        seen |= perm[d] >= 0 && perm[d] < rank ? 1u << perm[d] : 0;
    }
    if (seen != (1u << rank) - 1) {
        return err_set(reterr, JF_E_PARSE, "perm is no permutation");
    }
    /* between N C H W and N H W C: the stored order is the same */
    if ((x.layout == ONNX_LAST && is_perm(perm, rank, 2, 3, 1)) || (x.layout == ONNX_PLAIN && is_perm(perm, rank, 3, 1, 2))) {
        x.layout = x.layout == ONNX_LAST ? ONNX_PLAIN : ONNX_LAST;
        return onnx_define(cx, 0, &x, reterr);
    }
    r = onnx_to_plain(cx, &x, reterr);
    int node = r < 0 ? r : onnx_emit(cx, IR_TRANSPOSE, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    memcpy(cx->m->nodes[node].perm, perm, sizeof(int32_t) * (size_t)rank);
    return onnx_finish_moved(cx, node, &x, ONNX_PLAIN, reterr);
}

static int op_identity(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int r = onnx_input(cx, 0, &x, reterr);
    return r < 0 ? r : onnx_define(cx, 0, &x, reterr);
}

static int op_constant(struct onnx_cx *cx, struct err *reterr) {
    const Onnx__AttributeProto *a = onnx_attr(cx->node, "value");
    if (!a || !a->t) {
        return onnx_unsupported(reterr, "only the attribute 'value' is handled");
    }
    struct onnx_value v = {.data = a->t, .tensor = -1};
    return onnx_define(cx, 0, &v, reterr);
}

static int op_concat(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value v[IR_MAX_INPUTS];
    int in[IR_MAX_INPUTS], n = (int)cx->node->n_input, r = 0;
    bool last = true, integer = false;
    if (cx->node->n_input < 1 || cx->node->n_input > IR_MAX_INPUTS) {
        return onnx_unsupported(reterr, "%zu inputs, 1 to %d are handled", cx->node->n_input, IR_MAX_INPUTS);
    }
    for (int i = 0; r >= 0 && i < n; i++) {
        memset(&v[i], 0, sizeof v[i]);
        r = onnx_activation(cx, (size_t)i, &v[i], reterr);
        last &= v[i].layout == ONNX_LAST;
        integer |= v[i].integer;
        if (r >= 0 && v[i].logical_rank != v[0].logical_rank) {
            return err_set(reterr, JF_E_PARSE, "'%s' has %d axes, '%s' %d", v[0].name, v[0].logical_rank, v[i].name, v[i].logical_rank);
        }
    }
    for (int i = 0; r >= 0 && !last && i < n; i++) {
        r = onnx_to_plain(cx, &v[i], reterr);
    }
    for (int i = 0; r >= 0 && i < n; i++) {
        in[i] = v[i].tensor;
        if (onnx_pending(cx, in[i])) {
            return onnx_unsupported(reterr, "'%s' is float: it has to pass a QuantizeLinear first (QDQ form)", v[i].name);
        }
        if (v[i].integer != integer) {
            return err_set(reterr, JF_E_PARSE, "integers and floats in one concatenation");
        }
    }
    /* The result's quantization: that of the QuantizeLinear behind it. Not known here; the first input's, to which the others are brought. That
     * is exact when all agree, as quantizers make them. */
    for (int i = 1; r >= 0 && i < n; i++) {
        if (!ir_same_quantization(&cx->m->tensors[in[0]], &cx->m->tensors[in[i]])) {
            return onnx_unsupported(reterr, "'%s' and '%s' have different scales or zero points; quantize the inputs of a concatenation alike", v[0].name, v[i].name);
        }
    }
    int32_t axis = 0;
    r = r < 0 ? r : onnx_axis(&v[0], onnx_attr_int(cx->node, "axis", 1), &axis, reterr);
    int node = r < 0 ? r : onnx_emit(cx, IR_CONCAT, in, n, reterr);
    if (node < 0) {
        return node;
    }
    cx->m->nodes[node].axis = axis;
    return onnx_finish_moved(cx, node, &v[0], last ? ONNX_LAST : ONNX_PLAIN, reterr);
}

static int32_t clamp_index(int64_t v, int32_t n, int32_t lo, int32_t hi) {
    v = v < 0 && v >= -(int64_t)n ? v + n : v;
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

static int op_slice(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t p[4][IR_MAX_DIMS] = {{0}, {0}, {0, 1, 2, 3, 4}, {1, 1, 1, 1, 1}}; /* starts, ends, axes, steps */
    int r = onnx_activation(cx, 0, &x, reterr), n = 0;
    if (r < 0) {
        return r;
    }
    if (cx->opset < 10) {
        return onnx_unsupported(reterr, "opset %lld: slices of opset 10 and later are handled", (long long)cx->opset);
    }
    for (size_t k = 0; k < 4; k++) {
        int got = onnx_has_input(cx, 1 + k) || k < 2 ? onnx_const_ints(cx, 1 + k, IR_MAX_DIMS, p[k], reterr) : n;
        if (got < 0) {
            return got;
        }
        if (k > 0 && got != n) {
            return err_set(reterr, JF_E_PARSE, "starts, ends, axes and steps differ in length");
        }
        n = got;
    }
    int node = onnx_emit(cx, IR_SLICE, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    struct ir_node *nd = &cx->m->nodes[node];
    const struct ir_tensor *t = &cx->m->tensors[x.tensor];
    for (int d = 0; d < t->rank; d++) {
        nd->begin[d] = 0, nd->step[d] = 1, nd->size[d] = t->shape[d];
    }
    for (int i = 0; i < n; i++) {
        int32_t d = 0;
        r = onnx_axis(&x, p[2][i], &d, reterr);
        if (r < 0) {
            return r;
        }
        int32_t len = t->shape[d];
        if (p[3][i] == 0 || p[3][i] > INT_MAX || p[3][i] < -INT_MAX) {
            return err_set(reterr, JF_E_PARSE, "a step of %lld", (long long)p[3][i]);
        }
        int32_t step = (int32_t)p[3][i];
        int32_t from = clamp_index(p[0][i], len, 0, step > 0 ? len : len - 1), to = clamp_index(p[1][i], len, step > 0 ? 0 : -1, step > 0 ? len : len - 1);
        int64_t span = step > 0 ? (int64_t)to - from : (int64_t)from - to, by = step > 0 ? step : -(int64_t)step;
        if (span <= 0) {
            return onnx_unsupported(reterr, "an empty slice on axis %d", d);
        }
        nd->begin[d] = from, nd->step[d] = step, nd->size[d] = (int32_t)((span + by - 1) / by);
    }
    return onnx_finish_moved(cx, node, &x, x.layout, reterr);
}

/* Parts of equal or unequal size, each its own slice. */
static int op_split(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t parts[IR_MAX_OUTPUTS] = {0}, at = 0;
    int32_t axis = 0;
    int r = onnx_activation(cx, 0, &x, reterr), n = (int)cx->node->n_output;
    r = r < 0 ? r : onnx_axis(&x, onnx_attr_int(cx->node, "axis", 0), &axis, reterr);
    if (r < 0) {
        return r;
    }
    const Onnx__AttributeProto *a = onnx_attr(cx->node, "split");
    if (cx->node->n_output < 1 || cx->node->n_output > IR_MAX_OUTPUTS || (a && a->n_ints != cx->node->n_output)) {
        return onnx_unsupported(reterr, "%zu outputs, 1 to %d are handled", cx->node->n_output, IR_MAX_OUTPUTS);
    }
    int32_t len = cx->m->tensors[x.tensor].shape[axis];
    for (int i = 0; i < n; i++) {
        parts[i] = a ? a->ints[i] : len / n;
    }
    if (!a && onnx_has_input(cx, 1)) {
        int got = onnx_const_ints(cx, 1, IR_MAX_OUTPUTS, parts, reterr);
        if (got < 0 || got != n) {
            return got < 0 ? got : err_set(reterr, JF_E_PARSE, "%d sizes for %d outputs", got, n);
        }
    } else if (!a && len % n) {
        return onnx_unsupported(reterr, "%d elements do not split into %d equal parts", len, n);
    }
    for (int i = 0; i < n; i++) {
        if (parts[i] < 1 || parts[i] > len - at) {
            return err_set(reterr, JF_E_PARSE, "the parts do not fit an axis of %d elements", len);
        }
        int node = onnx_emit(cx, IR_SLICE, &x.tensor, 1, reterr);
        if (node < 0) {
            return node;
        }
        struct ir_node *nd = &cx->m->nodes[node];
        const struct ir_tensor *t = &cx->m->tensors[x.tensor];
        for (int d = 0; d < t->rank; d++) {
            nd->begin[d] = d == axis ? (int32_t)at : 0, nd->step[d] = 1, nd->size[d] = d == axis ? (int32_t)parts[i] : t->shape[d];
        }
        at += parts[i];
        struct onnx_value v = {.tensor = nd->output, .layout = x.layout, .logical_rank = x.logical_rank, .integer = x.integer};
        r = onnx_shape(cx, node, reterr);
        r = r < 0 ? r : onnx_same_quantization(cx, x.tensor, v.tensor, reterr);
        r = r < 0 ? r : onnx_define(cx, (size_t)i, &v, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int op_pad(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0}, c = {0};
    int64_t pads[2 * IR_MAX_DIMS] = {0};
    struct onnx_array a;
    double value = 0;
    int r = onnx_activation(cx, 0, &x, reterr);
    if (r < 0) {
        return r;
    }
    if (cx->opset < 11 || !onnx_attr_is(cx->node, "mode", "constant", "constant") || onnx_has_input(cx, 3) || x.integer || onnx_pending(cx, x.tensor)) {
        return onnx_unsupported(reterr, "only the padding of a dequantized value with a constant (opset 11 and later, all axes) is handled");
    }
    int n = onnx_const_ints(cx, 1, 2 * IR_MAX_DIMS, pads, reterr);
    if (n < 0 || n != 2 * x.logical_rank) {
        return n < 0 ? n : err_set(reterr, JF_E_PARSE, "%d pads for %d axes", n, x.logical_rank);
    }
    if (onnx_has_input(cx, 2)) {
        r = onnx_input(cx, 2, &c, reterr);
        if (r >= 0 && (!c.data || c.scale)) {
            return onnx_unsupported(reterr, "the padding value has to be a constant");
        }
        r = r < 0 ? r : onnx_array(c.data, &a, reterr);
        if (r < 0 || a.n != 1 || a.type != FLOAT) {
            return r < 0 ? r : err_set(reterr, JF_E_PARSE, "the padding value has to be one float");
        }
        value = (double)onnx_array_float(&a, 0);
    }
    int node = onnx_emit(cx, IR_PAD, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    struct ir_node *nd = &cx->m->nodes[node];
    const struct ir_tensor *t = &cx->m->tensors[x.tensor];
    for (int d = 0; d < x.logical_rank; d++) {
        int32_t s = 0;
        r = onnx_axis(&x, d, &s, reterr);
        if (r < 0) {
            return r;
        }
        if (pads[d] < 0 || pads[x.logical_rank + d] < 0 || pads[d] > IR_MAX_ELEMENTS || pads[x.logical_rank + d] > IR_MAX_ELEMENTS) {
            return onnx_unsupported(reterr, "pads below 0 (cropping) or absurd ones");
        }
        nd->begin[s] = (int32_t)pads[d], nd->end[s] = (int32_t)pads[x.logical_rank + d];
    }
    double q = rint(value / (double)ir_scale(t, 0)) + ir_zero_point(t);
    nd->pad_value = q < -128 ? -128 : q > 127 ? 127 : (int32_t)q;
    return onnx_finish_moved(cx, node, &x, x.layout, reterr);
}

/* The sizes of the two spatial axes that Resize asks for. */
static int resize_sizes(struct onnx_cx *cx, const struct onnx_value *x, int64_t hw[2], struct err *reterr) {
    int64_t sizes[4] = {0};
    struct onnx_value s = {0};
    struct onnx_array a;
    const struct ir_tensor *t = &cx->m->tensors[x->tensor]; /* N H W C */
    size_t k = cx->opset < 11 ? 1 : 2;
    if (onnx_has_input(cx, 3)) {
        int n = onnx_const_ints(cx, 3, 4, sizes, reterr);
        if (n != 4 || sizes[0] != t->shape[0] || sizes[1] != t->shape[3]) {
            return n < 0 ? n : onnx_unsupported(reterr, "only height and width can be resized");
        }
        hw[0] = sizes[2], hw[1] = sizes[3];
        return 0;
    }
    int r = onnx_input(cx, k, &s, reterr);
    if (r >= 0 && (!s.data || s.scale)) {
        return onnx_unsupported(reterr, "the scales have to be a constant");
    }
    r = r < 0 ? r : onnx_array(s.data, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (a.type != FLOAT || a.n != 4 || onnx_array_float(&a, 0) != 1.0f || onnx_array_float(&a, 1) != 1.0f) {
        return onnx_unsupported(reterr, "only height and width can be resized, by four float scales");
    }
    for (int d = 0; d < 2; d++) {
        double v = floor((double)t->shape[1 + d] * (double)onnx_array_float(&a, 2 + d));
        hw[d] = v >= 1 && v <= IR_MAX_ELEMENTS ? (int64_t)v : 0;
        if (fabs((double)t->shape[1 + d] * (double)onnx_array_float(&a, 2 + d) - v) > 1e-6) {
            return onnx_unsupported(reterr, "a scale that does not give a whole number of cells");
        }
    }
    return 0;
}

static int op_resize(struct onnx_cx *cx, struct err *reterr) {
    struct onnx_value x = {0};
    int64_t hw[2] = {0, 0};
    const Onnx__NodeProto *n = cx->node;
    int r = onnx_activation(cx, 0, &x, reterr);
    if (r >= 0 && x.logical_rank != 4) {
        return onnx_unsupported(reterr, "an input with %d axes, four are handled", x.logical_rank);
    }
    r = r < 0 ? r : onnx_to_last(cx, &x, reterr);
    r = r < 0 ? r : resize_sizes(cx, &x, hw, reterr);
    if (r < 0) {
        return r;
    }
    const char *dflt = cx->opset < 11 ? "asymmetric" : "half_pixel";
    bool nearest = onnx_attr_is(n, "mode", "nearest", "nearest"), linear = onnx_attr_is(n, "mode", "linear", "nearest");
    bool align = onnx_attr_is(n, "coordinate_transformation_mode", "align_corners", dflt), asym = onnx_attr_is(n, "coordinate_transformation_mode", "asymmetric", dflt);
    bool half = onnx_attr_is(n, "coordinate_transformation_mode", "half_pixel", dflt) || (onnx_attr_is(n, "coordinate_transformation_mode", "pytorch_half_pixel", dflt) && hw[0] > 1 && hw[1] > 1);
    const struct ir_tensor *t = &cx->m->tensors[x.tensor];
    bool whole = hw[0] % t->shape[1] == 0 && hw[1] % t->shape[2] == 0;
    const char *round = cx->opset < 11 ? "floor" : "round_prefer_floor";
    bool fits = nearest ? (asym && (onnx_attr_is(n, "nearest_mode", "floor", round))) || (half && whole && !onnx_attr_is(n, "nearest_mode", "floor", round) && !onnx_attr_is(n, "nearest_mode", "ceil", round)) : linear && (align || asym || half);
    if (!fits) {
        return onnx_unsupported(reterr, "this mode has no int8 form: nearest with asymmetric and floor, or half_pixel by whole factors; linear with align_corners, asymmetric or half_pixel");
    }
    if (hw[0] < 1 || hw[1] < 1 || hw[0] > IR_MAX_ELEMENTS || hw[1] > IR_MAX_ELEMENTS) {
        return err_set(reterr, JF_E_PARSE, "a size below 1");
    }
    int node = onnx_emit(cx, nearest ? IR_RESIZE_NEAREST : IR_RESIZE_BILINEAR, &x.tensor, 1, reterr);
    if (node < 0) {
        return node;
    }
    struct ir_node *nd = &cx->m->nodes[node];
    nd->align_corners = align;
    nd->half_pixel = half;
    nd->size[0] = (int32_t)hw[0], nd->size[1] = (int32_t)hw[1];
    t = &cx->m->tensors[x.tensor]; /* the new tensor may have moved all of them */
    int32_t shape[4] = {t->shape[0], (int32_t)hw[0], (int32_t)hw[1], t->shape[3]};
    if (ir_set_shape(&cx->m->tensors[nd->output], 4, shape) < 0) {
        return err_set(reterr, JF_E_PARSE, "too many elements");
    }
    r = onnx_same_quantization(cx, x.tensor, nd->output, reterr);
    struct onnx_value v = {.tensor = cx->m->nodes[node].output, .layout = ONNX_LAST, .logical_rank = 4, .integer = x.integer};
    return r < 0 ? r : onnx_define(cx, 0, &v, reterr);
}

int onnx_convert_shape(struct onnx_cx *cx, struct err *reterr) {
    static const struct {
        const char *name;
        int (*fn)(struct onnx_cx *cx, struct err *reterr);
    } table[] = {
        {"Reshape", op_reshape}, {"Flatten", op_flatten}, {"Squeeze", op_squeeze},   {"Unsqueeze", op_unsqueeze}, {"Transpose", op_transpose},
        {"Identity", op_identity}, {"Dropout", op_identity}, {"Constant", op_constant}, {"Concat", op_concat}, {"Slice", op_slice},
        {"Split", op_split},     {"Pad", op_pad},         {"Resize", op_resize},
    };
    const char *op = cx->node->op_type ? cx->node->op_type : "";
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(op, table[i].name) == 0) {
            return table[i].fn(cx, reterr);
        }
    }
    return onnx_unsupported(reterr, "this operator is not handled");
}
