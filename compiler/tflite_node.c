/* SPDX-License-Identifier: GPL-2.0-or-later
 * Operators of a .tflite file (compiler/tflite_node.h). Slots and codes: tensorflow/lite/schema/schema.fbs. */
#include "compiler/tflite_node.h"

#include <stdio.h>
#include <string.h>

struct reading {
    struct fb_file *f;
    const struct ir_model *m;
    struct ir_node *n;
    const struct fb_table *options; /* NULL: none in the file */
    uint32_t i;
};

JF_PRINTF(2, 3) static int refuse(const struct reading *r, const char *fmt, ...) {
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is the line above */
    va_end(ap);
    char where[32];
    (void)snprintf(where, sizeof where, "node %u", r->i);
    return err_set_at(r->f->e, JF_E_UNSUPPORTED, where, "node %u (%s): %s", r->i, ir_op_name(r->n->op), text);
}

static const struct ir_tensor *operand(const struct reading *r, int k) {
    return k < r->n->n_inputs && r->n->inputs[k] >= 0 ? &r->m->tensors[r->n->inputs[k]] : NULL;
}
static const struct ir_tensor *result(const struct reading *r) { return &r->m->tensors[r->n->output]; }

static int option(const struct reading *r, int slot, int size, int64_t fallback, int64_t *ret_v) {
    *ret_v = fallback;
    return r->options ? fb_scalar(r->f, r->options, slot, size, fallback, ret_v) : 0;
}
static int option_i32(const struct reading *r, int slot, int64_t fallback, int32_t *ret_v) {
    int64_t v;
    int rc = option(r, slot, 4, fallback, &v);
    *ret_v = (int32_t)v;
    return rc;
}
static int option_bool(const struct reading *r, int slot, bool *ret_v) {
    int64_t v;
    int rc = option(r, slot, 1, 0, &v);
    *ret_v = v != 0;
    return rc;
}
static int option_float(const struct reading *r, int slot, float *ret_v) { return r->options ? fb_float(r->f, r->options, slot, ret_v) : 0; }

static int activation(const struct reading *r, int slot) {
    int64_t v;
    int rc = option(r, slot, 1, 0, &v);
    if (rc == 0 && v != 0 && v != 1 && v != 3) {
        return refuse(r, "fused activation %lld is not supported (none, RELU, RELU6)", (long long)v);
    }
    r->n->activation = v == 1 ? IR_ACT_RELU : v == 3 ? IR_ACT_RELU6 : IR_ACT_NONE;
    return rc;
}

/* The numbers of a constant operand that describes: at most `max`, exactly `want` unless that is negative. */
static int numbers(const struct reading *r, int k, const char *what, int32_t *dst, int max, int want, int *ret_n) {
    const struct ir_tensor *t = operand(r, k);
    if (!t || t->type != IR_I32 || !t->data || t->elements > max || (want >= 0 && t->elements != want)) {
        return refuse(r, "its %s must be a constant int32 tensor of %s%d elements", what, want < 0 ? "at most " : "", want < 0 ? max : want);
    }
    for (int32_t i = 0; i < t->elements; i++) {
        dst[i] = ir_const_i32(t, i);
    }
    *ret_n = t->elements;
    return 0;
}

/* An axis counted from the end when negative. */
static int axis_of(const struct reading *r, int32_t axis, int rank, int32_t *ret_axis) {
    if (axis < -rank || axis >= rank) {
        return refuse(r, "axis %d of a tensor with %d", axis, rank);
    }
    *ret_axis = axis < 0 ? axis + rank : axis;
    return 0;
}

/* --- one reader per kind of operator -------------------------------------------------------------------------------- */

/* Slots: 0 padding, 1 and 2 strides. */
static int window(const struct reading *r, int32_t k_h, int32_t k_w) {
    const struct ir_tensor *x = operand(r, 0);
    struct ir_node *n = r->n;
    int64_t padding;
    int rc = option(r, 0, 1, 0, &padding);
    rc = rc < 0 ? rc : option_i32(r, 1, 0, &n->stride_w);
    rc = rc < 0 ? rc : option_i32(r, 2, 0, &n->stride_h);
    if (rc < 0) {
        return rc;
    }
    if (!r->options) {
        return refuse(r, "its options are missing");
    }
    if (padding != 0 && padding != 1) {
        return refuse(r, "padding %lld is neither SAME nor VALID", (long long)padding);
    }
    /* what does not fit here (shape, sizes out of range) is refused by the shape inference */
    if (padding == 0 && x && x->rank == 4 && k_h >= 1 && k_w >= 1 && k_h <= 32767 && k_w <= 32767 && n->dil_h >= 1 && n->dil_w >= 1 && n->dil_h <= 32767 && n->dil_w <= 32767) {
        int32_t rows = ir_same_padding(x->shape[1], k_h, n->stride_h, n->dil_h), columns = ir_same_padding(x->shape[2], k_w, n->stride_w, n->dil_w);
        n->pad_top = rows / 2;
        n->pad_bottom = rows - rows / 2;
        n->pad_left = columns / 2;
        n->pad_right = columns - columns / 2;
    }
    return 0;
}

static int read_conv(const struct reading *r) {
    bool deep = r->n->op == IR_DEPTHWISE;
    const struct ir_tensor *w = operand(r, 1);
    int rc = deep ? option_i32(r, 3, 0, &r->n->depth_mult) : 0;
    rc = rc < 0 ? rc : option_i32(r, deep ? 5 : 4, 1, &r->n->dil_w);
    rc = rc < 0 ? rc : option_i32(r, deep ? 6 : 5, 1, &r->n->dil_h);
    rc = rc < 0 ? rc : activation(r, deep ? 4 : 3);
    return rc < 0 ? rc : window(r, w && w->rank == 4 ? w->shape[1] : 0, w && w->rank == 4 ? w->shape[2] : 0);
}

static int read_pool(const struct reading *r) {
    int rc = option_i32(r, 3, 0, &r->n->filter_w);
    rc = rc < 0 ? rc : option_i32(r, 4, 0, &r->n->filter_h);
    rc = rc < 0 ? rc : activation(r, 5);
    return rc < 0 ? rc : window(r, r->n->filter_h, r->n->filter_w);
}

static int read_dense(const struct reading *r) {
    int64_t format;
    int rc = option(r, 1, 1, 0, &format);
    if (rc == 0 && format != 0) {
        return refuse(r, "its weights are shuffled, which is not supported");
    }
    return rc < 0 ? rc : activation(r, 0);
}

static int read_binary(const struct reading *r) { return activation(r, 0); }
static int read_nothing(const struct reading *r) {
    (void)r;
    return 0;
}

static int read_concat(const struct reading *r) {
    int32_t axis;
    const struct ir_tensor *x = operand(r, 0);
    int rc = option_i32(r, 0, 0, &axis);
    rc = rc < 0 ? rc : activation(r, 1);
    if (rc == 0 && r->n->activation != IR_ACT_NONE) {
        return refuse(r, "a fused activation is not supported");
    }
    return rc < 0 || !x ? rc : axis_of(r, axis, x->rank, &r->n->axis);
}

static int read_mean(const struct reading *r) {
    int32_t axes[IR_MAX_DIMS] = {0}, axis = 0;
    const struct ir_tensor *x = operand(r, 0);
    int n = 0, rc = numbers(r, 1, "axes", axes, IR_MAX_DIMS, -1, &n);
    for (int i = 0; i < n && rc == 0 && x; i++) {
        rc = axis_of(r, axes[i], x->rank, &axis);
        r->n->axes |= 1u << axis;
    }
    return rc;
}

static int read_leaky(const struct reading *r) { return option_float(r, 0, &r->n->alpha); }
static int read_softmax(const struct reading *r) { return r->options ? option_float(r, 0, &r->n->beta) : refuse(r, "its options are missing"); }

static int read_pad(const struct reading *r) {
    int32_t pads[2 * IR_MAX_DIMS] = {0};
    const struct ir_tensor *x = operand(r, 0), *v = operand(r, 2);
    int n = 0, rc = x ? numbers(r, 1, "paddings", pads, 2 * IR_MAX_DIMS, 2 * x->rank, &n) : 0;
    for (int d = 0; d < n / 2; d++) {
        r->n->begin[d] = pads[2 * d];
        r->n->end[d] = pads[2 * d + 1];
    }
    r->n->pad_value = ir_zero_point(result(r));
    if (rc < 0 || !v) {
        return rc;
    }
    if (v->type != IR_I8 || !v->data || v->elements != 1 || !ir_same_quantization(v, result(r))) {
        return refuse(r, "its value must be one constant int8 quantized as the output");
    }
    r->n->pad_value = (v->data[0] ^ 0x80) - 128; /* two's complement of eight bits */
    return 0;
}

static int read_transpose(const struct reading *r) {
    const struct ir_tensor *x = operand(r, 0);
    int n = 0;
    return x ? numbers(r, 1, "order of axes", r->n->perm, IR_MAX_DIMS, x->rank, &n) : 0;
}

/* First and last cell of one axis from begin, end, step and the masks, as the reference clamps them. */
static void slice_axis(struct ir_node *n, int d, int32_t cells, const int32_t masks[3]) {
    int32_t step = n->step[d], lo = step > 0 ? 0 : -1, hi = step > 0 ? cells : cells - 1;
    int64_t from = n->begin[d] < 0 ? (int64_t)n->begin[d] + cells : n->begin[d], to = n->end[d] < 0 ? (int64_t)n->end[d] + cells : n->end[d];
    from = from < lo ? lo : from > hi ? hi : from;
    to = to < lo ? lo : to > hi ? hi : to;
    from = masks[0] >> d & 1 ? (step > 0 ? 0 : cells - 1) : from;
    to = masks[1] >> d & 1 ? (step > 0 ? cells : -1) : to;
    int64_t way = step > 0 ? to - from : from - to, stride = step > 0 ? step : -(int64_t)step;
    int64_t count = stride > 0 ? (way + stride - 1) / stride : 0; /* 0 was refused */
    if (masks[2] >> d & 1) {
        count = 1;
        n->step[d] = 1;
    }
    n->begin[d] = (int32_t)from;
    n->size[d] = (int32_t)(count > 0 ? count : 0);
}

static int read_slice(const struct reading *r) {
    struct ir_node *n = r->n;
    const struct ir_tensor *x = operand(r, 0);
    int32_t masks[3], ellipsis, fresh;
    bool offset;
    int count = 0, rank = x ? x->rank : 0;
    int rc = numbers(r, 1, "begin", n->begin, IR_MAX_DIMS, rank, &count);
    rc = rc < 0 ? rc : numbers(r, 2, "end", n->end, IR_MAX_DIMS, rank, &count);
    rc = rc < 0 ? rc : numbers(r, 3, "strides", n->step, IR_MAX_DIMS, rank, &count);
    rc = rc < 0 ? rc : option_i32(r, 0, 0, &masks[0]);
    rc = rc < 0 ? rc : option_i32(r, 1, 0, &masks[1]);
    rc = rc < 0 ? rc : option_i32(r, 2, 0, &ellipsis);
    rc = rc < 0 ? rc : option_i32(r, 3, 0, &fresh);
    rc = rc < 0 ? rc : option_i32(r, 4, 0, &masks[2]);
    rc = rc < 0 ? rc : option_bool(r, 5, &offset);
    if (rc < 0) {
        return rc;
    }
    if (ellipsis || fresh || offset) {
        return refuse(r, "an ellipsis, a new axis or ends as offsets are not supported");
    }
    for (int d = 0; d < rank; d++) {
        if (n->step[d] == 0 || n->step[d] == INT32_MIN) {
            return refuse(r, "its stride of axis %d is %d", d, n->step[d]);
        }
        slice_axis(n, d, x->shape[d], masks);
    }
    return 0;
}

/* The axis is the first operand. */
static int read_split(const struct reading *r) {
    int32_t axis = 0, parts;
    int count = 0;
    const struct ir_tensor *x = operand(r, 1);
    int rc = numbers(r, 0, "axis", &axis, 1, 1, &count);
    rc = rc < 0 ? rc : option_i32(r, 0, 0, &parts);
    if (rc < 0) {
        return rc;
    }
    if (!x || parts != r->n->n_outputs) {
        return refuse(r, "%d parts, but %d outputs", parts, r->n->n_outputs);
    }
    r->n->inputs[0] = r->n->inputs[1];
    return axis_of(r, axis, x->rank, &r->n->axis);
}

static int read_resize(const struct reading *r) {
    int slot = r->n->op == IR_RESIZE_BILINEAR ? 2 : 0, count = 0;
    int rc = numbers(r, 1, "size", r->n->size, 2, 2, &count);
    rc = rc < 0 ? rc : option_bool(r, slot, &r->n->align_corners);
    return rc < 0 ? rc : option_bool(r, slot + 1, &r->n->half_pixel);
}

/* --- the table ------------------------------------------------------------------------------------------------------- */

struct op_row {
    int builtin;
    enum ir_op op;
    int (*read)(const struct reading *);
    int min_inputs, max_inputs; /* in the file */
    int keep; /* the node's operands: the first so many; 0: all */
};
static const struct op_row op_rows[] = {
    {0, IR_ADD, read_binary, 2, 2, 0},
    {1, IR_AVERAGE_POOL, read_pool, 1, 1, 0},
    {2, IR_CONCAT, read_concat, 1, IR_MAX_INPUTS, 0},
    {3, IR_CONV, read_conv, 2, 3, 0},
    {4, IR_DEPTHWISE, read_conv, 2, 3, 0},
    {6, IR_DEQUANTIZE, read_nothing, 1, 1, 0},
    {9, IR_DENSE, read_dense, 2, 3, 0},
    {14, IR_LOGISTIC, read_nothing, 1, 1, 0},
    {17, IR_MAX_POOL, read_pool, 1, 1, 0},
    {18, IR_MUL, read_binary, 2, 2, 0},
    {19, IR_RELU, read_nothing, 1, 1, 0},
    {21, IR_RELU6, read_nothing, 1, 1, 0},
    {22, IR_RESHAPE, read_nothing, 1, 2, 1},
    {23, IR_RESIZE_BILINEAR, read_resize, 2, 2, 1},
    {25, IR_SOFTMAX, read_softmax, 1, 1, 0},
    {28, IR_TANH, read_nothing, 1, 1, 0},
    {34, IR_PAD, read_pad, 2, 2, 1},
    {39, IR_TRANSPOSE, read_transpose, 2, 2, 1},
    {40, IR_MEAN, read_mean, 2, 2, 1},
    {41, IR_SUB, read_binary, 2, 2, 0},
    {43, IR_RESHAPE, read_nothing, 1, 1, 0}, /* SQUEEZE */
    {45, IR_SLICE, read_slice, 4, 4, 1},
    {49, IR_SPLIT, read_split, 2, 2, 1},
    {60, IR_PAD, read_pad, 3, 3, 1}, /* PADV2 */
    {70, IR_RESHAPE, read_nothing, 2, 2, 1}, /* EXPAND_DIMS */
    {97, IR_RESIZE_NEAREST, read_resize, 2, 2, 1},
    {98, IR_LEAKY_RELU, read_leaky, 1, 1, 0},
    {114, IR_QUANTIZE, read_nothing, 1, 1, 0},
};

static int builtin_of(struct fb_file *f, const struct fb_vec *codes, int64_t index, int *ret_builtin) {
    struct fb_table c;
    int64_t old = 0, fresh = 0;
    if (index < 0 || index >= codes->n) {
        return err_set(f->e, JF_E_PARSE, "operator code %lld does not exist", (long long)index);
    }
    int r = fb_element(f, codes, (uint32_t)index, &c);
    r = r < 0 ? r : fb_scalar(f, &c, 0, 1, 0, &old);
    r = r < 0 ? r : fb_scalar(f, &c, 3, 4, 0, &fresh);
    if (r == 0) {
        *ret_builtin = (int)(old > fresh ? old : fresh);
    }
    return r;
}

int tflite_indices(struct fb_file *f, const struct fb_table *t, int slot, int n_tensors, int *dst, int max, int *ret_n) {
    struct fb_vec v;
    int r = fb_vector(f, t, slot, 4, &v);
    if (r < 0) {
        return r;
    }
    if (v.n > (uint32_t)max) {
        return err_set(f->e, JF_E_UNSUPPORTED, "a node or model has %u tensors where at most %d are supported", v.n, max);
    }
    for (uint32_t i = 0; i < v.n; i++) {
        int32_t t_index = (int32_t)fb_u32(f->p + v.at + 4 * (size_t)i);
        if (t_index < -1 || t_index >= n_tensors) {
            return fb_bad(f, v.at + 4 * (size_t)i, "a tensor index does not exist");
        }
        dst[i] = t_index;
    }
    *ret_n = (int)v.n;
    return 0;
}

static int read_options(struct reading *r, const struct fb_table *t, const struct op_row *row) {
    struct fb_table o;
    size_t to = 0;
    int64_t at = fb_field(r->f, t, 4, 4);
    if (at < 0) {
        return (int)at;
    }
    if (at > 0) { /* else all defaults; fine where the operator has no options that matter */
        int rc = fb_follow(r->f, (size_t)at, &to);
        rc = rc < 0 ? rc : fb_open(r->f, to, &o);
        if (rc < 0) {
            return rc;
        }
        r->options = &o;
    }
    int rc = row->read(r);
    r->options = NULL; /* o ends here */
    return rc;
}

int tflite_node(struct fb_file *f, const struct fb_vec *ops, const struct fb_vec *codes, uint32_t i, const struct ir_model *m, struct ir_node *n) {
    struct reading r = {f, m, n, NULL, i};
    struct fb_table t;
    int64_t code = 0;
    int builtin = 0;
    int rc = fb_element(f, ops, i, &t);
    rc = rc < 0 ? rc : fb_scalar(f, &t, 0, 4, 0, &code);
    rc = rc < 0 ? rc : builtin_of(f, codes, code, &builtin);
    rc = rc < 0 ? rc : tflite_indices(f, &t, 1, m->n_tensors, n->inputs, IR_MAX_INPUTS, &n->n_inputs);
    rc = rc < 0 ? rc : tflite_indices(f, &t, 2, m->n_tensors, n->outputs, IR_MAX_OUTPUTS, &n->n_outputs);
    if (rc < 0) {
        return err_prefix(f->e, "node %u", i);
    }
    const struct op_row *row = NULL;
    for (size_t k = 0; k < sizeof op_rows / sizeof op_rows[0]; k++) {
        row = op_rows[k].builtin == builtin ? &op_rows[k] : row;
    }
    if (!row) {
        return err_set(f->e, JF_E_UNSUPPORTED, "node %u: operator %d of TensorFlow Lite is not supported", i, builtin);
    }
    n->op = row->op;
    n->dil_h = n->dil_w = 1;
    for (int k = 0; k < n->n_outputs; k++) {
        n->n_outputs = n->outputs[k] < 0 ? 0 : n->n_outputs;
    }
    if (n->n_outputs < 1 || (n->n_outputs > 1 && n->op != IR_SPLIT)) {
        return err_set(f->e, JF_E_PARSE, "node %u (%s): it must have one output", i, ir_op_name(n->op));
    }
    if (n->n_inputs < row->min_inputs || n->n_inputs > row->max_inputs) {
        return refuse(&r, "it has %d inputs; %d to %d are understood", n->n_inputs, row->min_inputs, row->max_inputs);
    }
    rc = read_options(&r, &t, row);
    n->n_inputs = row->keep && n->n_inputs > row->keep ? row->keep : n->n_inputs;
    return rc;
}
