/* SPDX-License-Identifier: GPL-2.0-or-later
 * The numbers that limits speak of (compiler/quantity.h): one small function each, one row each. */
#include "compiler/quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ir_tensor *in(const struct ir_model *m, int node, int k) {
    const struct ir_node *n = &m->nodes[node];
    return k < n->n_inputs && n->inputs[k] >= 0 ? &m->tensors[n->inputs[k]] : NULL;
}
static const struct ir_tensor *out(const struct ir_model *m, int node) { return &m->tensors[m->nodes[node].output]; }

static bool is_op(const struct ir_model *m, int node, enum ir_op op) { return m->nodes[node].op == op; }
static bool has_weights(const struct ir_model *m, int node) { return is_op(m, node, IR_CONV) || is_op(m, node, IR_DEPTHWISE) || is_op(m, node, IR_DENSE); }
static bool has_window(const struct ir_model *m, int node) {
    return is_op(m, node, IR_CONV) || is_op(m, node, IR_DEPTHWISE) || is_op(m, node, IR_AVERAGE_POOL) || is_op(m, node, IR_MAX_POOL);
}
static bool is_pool(const struct ir_model *m, int node) { return is_op(m, node, IR_AVERAGE_POOL) || is_op(m, node, IR_MAX_POOL); }

/* ---- windows --------------------------------------------------------------------------------------------------------- */
static int64_t kernel(const struct ir_model *m, int node, int axis) { /* axis 0: height, 1: width */
    const struct ir_node *n = &m->nodes[node];
    if (is_pool(m, node)) {
        return axis ? n->filter_w : n->filter_h;
    }
    const struct ir_tensor *w = in(m, node, 1);
    return w ? ir_dim(w, axis ? 1 : 2) : 1;
}
static int64_t stride(const struct ir_model *m, int node, int axis) { return axis ? m->nodes[node].stride_w : m->nodes[node].stride_h; }
static int64_t dilation(const struct ir_model *m, int node, int axis) {
    return is_pool(m, node) ? 1 : axis ? m->nodes[node].dil_w : m->nodes[node].dil_h;
}
static int64_t dilated(const struct ir_model *m, int node, int axis) { return (kernel(m, node, axis) - 1) * dilation(m, node, axis) + 1; }

/* before and behind along one axis */
static void padding(const struct ir_model *m, int node, int axis, int64_t *ret_before, int64_t *ret_behind) {
    const struct ir_node *n = &m->nodes[node];
    *ret_before = axis ? n->pad_left : n->pad_top;
    *ret_behind = axis ? n->pad_right : n->pad_bottom;
}

#define WINDOW(name, expr)                                                                                                                           \
    static bool name(const struct ir_model *m, int node, int64_t *ret_v) {                                                                           \
        if (!has_window(m, node)) {                                                                                                                  \
            return false;                                                                                                                            \
        }                                                                                                                                            \
        *ret_v = (expr);                                                                                                                             \
        return true;                                                                                                                                 \
    }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
WINDOW(kernel_h, kernel(m, node, 0))
WINDOW(kernel_w, kernel(m, node, 1))
WINDOW(kernel_area, kernel(m, node, 0) * kernel(m, node, 1))
WINDOW(kernel_length, max64(kernel(m, node, 0), kernel(m, node, 1)))
WINDOW(kernel_difference, llabs((long long)(kernel(m, node, 0) - kernel(m, node, 1))))
WINDOW(dilated_h, dilated(m, node, 0))
WINDOW(dilated_area, dilated(m, node, 0) * dilated(m, node, 1))
WINDOW(stride_h, stride(m, node, 0))
WINDOW(stride_w, stride(m, node, 1))
WINDOW(stride_difference, llabs((long long)(stride(m, node, 0) - stride(m, node, 1))))
WINDOW(dilation_h, dilation(m, node, 0))
WINDOW(dilation_w, dilation(m, node, 1))

static bool pad_max(const struct ir_model *m, int node, int64_t *ret_v) {
    int64_t p[4];
    if (!has_window(m, node)) {
        return false;
    }
    padding(m, node, 0, &p[0], &p[1]);
    padding(m, node, 1, &p[2], &p[3]);
    *ret_v = max64(max64(p[0], p[1]), max64(p[2], p[3]));
    return true;
}

static bool pad_difference(const struct ir_model *m, int node, int64_t *ret_v) {
    int64_t p[4];
    if (!has_window(m, node)) {
        return false;
    }
    padding(m, node, 0, &p[0], &p[1]);
    padding(m, node, 1, &p[2], &p[3]);
    *ret_v = max64(llabs((long long)(p[1] - p[0])), llabs((long long)(p[3] - p[2])));
    return true;
}

static bool spatial_axes(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *x = in(m, node, 0);
    if (!has_window(m, node) || !x) {
        return false;
    }
    *ret_v = (ir_dim(x, 2) > 1 || kernel(m, node, 0) > 1) + (ir_dim(x, 1) > 1 || kernel(m, node, 1) > 1);
    return true;
}

/* ---- shapes -------------------------------------------------------------------------------------------------------- */
#define SHAPE(name, expr)                                                                                                                            \
    static bool name(const struct ir_model *m, int node, int64_t *ret_v) {                                                                           \
        const struct ir_tensor *x = in(m, node, 0), *o = out(m, node);                                                                               \
        if (!x || !o) {                                                                                                                              \
            return false;                                                                                                                            \
        }                                                                                                                                            \
        *ret_v = (expr);                                                                                                                             \
        return true;                                                                                                                                 \
    }
SHAPE(in_channels, ir_dim(x, 0))
SHAPE(out_channels, ir_dim(o, 0))
SHAPE(in_pixels, (int64_t)ir_dim(x, 1) * ir_dim(x, 2))
SHAPE(out_pixels, (int64_t)ir_dim(o, 1) * ir_dim(o, 2))
SHAPE(out_h, ir_dim(o, 2))
SHAPE(out_w, ir_dim(o, 1))
SHAPE(in_elements, x->elements)
SHAPE(rank, max64(x->rank, o->rank))
SHAPE(batch, ir_dim(x, 3))
SHAPE(first_layer, m->nodes[node].inputs[0] == m->input)
SHAPE(zero_point_size, max64(labs((long)ir_zero_point(x)), labs((long)ir_zero_point(o))))
SHAPE(activation_bits, x->type == IR_I8 && o->type == IR_I8 ? 8 : 32)

static int64_t largest(const struct ir_tensor *t) {
    int64_t v = 0;
    for (int d = 0; d < t->rank; d++) {
        v = max64(v, t->shape[d]);
    }
    return v;
}
SHAPE(dim_max, max64(largest(x), largest(o)))
SHAPE(rows_columns_max, max64(max64(ir_dim(x, 1), ir_dim(x, 2)), max64(ir_dim(o, 1), ir_dim(o, 2))))

static bool operands(const struct ir_model *m, int node, int64_t *ret_v) {
    if (!is_op(m, node, IR_ADD) && !is_op(m, node, IR_SUB) && !is_op(m, node, IR_MUL)) {
        return false;
    }
    *ret_v = m->nodes[node].n_inputs;
    return true;
}

static bool after_flatten(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *x = in(m, node, 0);
    if (!x) {
        return false;
    }
    const struct ir_node *p = x->producer >= 0 ? &m->nodes[x->producer] : NULL;
    const struct ir_tensor *before = p && p->op == IR_RESHAPE ? &m->tensors[p->inputs[0]] : NULL;
    *ret_v = before && (int64_t)ir_dim(before, 1) * ir_dim(before, 2) > 1;
    return true;
}

static bool depth_multiplier(const struct ir_model *m, int node, int64_t *ret_v) {
    *ret_v = m->nodes[node].depth_mult;
    return is_op(m, node, IR_DEPTHWISE);
}

static bool fused_activation(const struct ir_model *m, int node, int64_t *ret_v) {
    enum ir_activation a = m->nodes[node].activation;
    *ret_v = a == IR_ACT_RELU6 ? 6 : a == IR_ACT_RELU;
    return true;
}

/* ---- weights ------------------------------------------------------------------------------------------------------- */
static bool weight_bits(const struct ir_model *m, int node, int64_t *ret_v) {
    *ret_v = 8; /* the representation has no other */
    return has_weights(m, node);
}

static bool weight_scales(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *w = in(m, node, 1);
    if (!has_weights(m, node) || !w) {
        return false;
    }
    *ret_v = w->n_scales;
    return true;
}

static bool weight_sum(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *w = in(m, node, 1);
    if (!has_weights(m, node) || !w || !w->data) {
        return false;
    }
    int32_t channels = ir_dim(out(m, node), 0);
    bool last = is_op(m, node, IR_DEPTHWISE); /* channels innermost */
    int64_t most = 0;
    int32_t taps = w->elements / channels;
    for (int32_t c = 0; c < channels; c++) {
        int64_t sum = 0;
        for (int32_t k = 0; k < taps; k++) {
            sum += abs((int8_t)w->data[last ? (size_t)k * (size_t)channels + (size_t)c : (size_t)c * (size_t)taps + (size_t)k]);
        }
        most = max64(most, sum);
    }
    *ret_v = most;
    return true;
}

static bool bias_channels(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *b = in(m, node, 2);
    if (!has_weights(m, node)) {
        return false;
    }
    *ret_v = b ? b->elements : 0;
    return true;
}

static bool bias_bits(const struct ir_model *m, int node, int64_t *ret_v) {
    const struct ir_tensor *b = in(m, node, 2);
    if (!has_weights(m, node) || !b || !b->data) {
        return false;
    }
    int64_t most = 1;
    for (int32_t i = 0; i < b->elements; i++) {
        int64_t v = ir_const_i32(b, i), bits = 1;
        for (v = v < 0 ? ~v : v; v; v >>= 1) {
            bits++;
        }
        most = max64(most, bits);
    }
    *ret_v = most;
    return true;
}

/* ---- quantization -------------------------------------------------------------------------------------------------- */
static bool exact_power(const struct ir_tensor *t) {
    for (int32_t i = 0; i < t->n_scales; i++) {
        int e;
        if (frexpf(ir_scale(t, i), &e) != 0.5f) {
            return false;
        }
    }
    return true;
}

static bool power_of_two(const struct ir_model *m, int node, int64_t *ret_v) {
    *ret_v = exact_power(out(m, node));
    for (int k = 0; k < m->nodes[node].n_inputs; k++) {
        const struct ir_tensor *x = in(m, node, k);
        if (x && x->type == IR_I8 && !exact_power(x)) {
            *ret_v = 0;
        }
    }
    return true;
}

/* ---- of the model ---------------------------------------------------------------------------------------------------- */
int64_t quantity_weight_bytes(const struct ir_model *m) {
    int64_t sum = 0;
    bool *used = calloc((size_t)m->n_tensors, sizeof *used);
    if (!used) {
        return -1;
    }
    for (int i = 0; i < m->n_nodes; i++) {
        for (int k = 0; k < m->nodes[i].n_inputs; k++) {
            const struct ir_tensor *t = in(m, i, k);
            if (t && t->data && !used[m->nodes[i].inputs[k]]) {
                used[m->nodes[i].inputs[k]] = true;
                sum += (int64_t)t->elements * (t->type == IR_I8 ? 1 : 4);
            }
        }
    }
    free(used);
    return sum;
}

static int root_of(const struct ir_model *m, int t) {
    for (int steps = 0; steps < m->n_nodes; steps++) {
        int p = m->tensors[t].producer;
        if (p < 0 || m->nodes[p].op != IR_RESHAPE) {
            break;
        }
        t = m->nodes[p].inputs[0];
    }
    return t;
}

int64_t quantity_activation_bytes(const struct ir_model *m) {
    int64_t most = 0;
    /* last[t]: until when the memory that starts at tensor t is needed, through all that share it */
    int *last = calloc((size_t)m->n_tensors, sizeof *last);
    if (!last) {
        return -1;
    }
    for (int t = 0; t < m->n_tensors; t++) {
        last[t] = -1;
    }
    for (int t = 0; t < m->n_tensors; t++) {
        const struct ir_tensor *x = &m->tensors[t];
        if (!x->data && (x->producer >= 0 || t == m->input)) {
            int root = root_of(m, t), end = x->last_use > x->producer ? x->last_use : x->producer;
            last[root] = last[root] > end ? last[root] : end;
        }
    }
    for (int i = 0; i < m->n_nodes; i++) {
        int64_t sum = 0;
        for (int t = 0; t < m->n_tensors; t++) {
            sum += last[t] >= i && m->tensors[t].producer <= i ? m->tensors[t].elements : 0;
        }
        most = max64(most, sum);
    }
    free(last);
    return most;
}

int64_t quantity_bank_bytes(const struct ir_model *m, int node, bool weights, int64_t banks, int64_t side) {
    const struct ir_tensor *t = weights ? in(m, node, 1) : out(m, node);
    if (!t || (weights && !has_weights(m, node))) {
        return 0;
    }
    bool depthwise = is_op(m, node, IR_DEPTHWISE);
    int64_t channels = ir_dim(t, 0), rest = t->elements / max64(1, channels);
    if (weights && !depthwise) {
        const struct ir_tensor *x = in(m, node, 0);
        channels = x ? ir_dim(x, 0) : channels;
        rest = t->elements / max64(1, channels);
    }
    int64_t per_pass = banks * side;
    return (channels + per_pass - 1) / per_pass * side * rest;
}

static bool model_weights(const struct ir_model *m, int64_t *ret_v) {
    *ret_v = quantity_weight_bytes(m);
    return *ret_v >= 0;
}
static bool model_activations(const struct ir_model *m, int64_t *ret_v) {
    *ret_v = quantity_activation_bytes(m);
    return *ret_v >= 0;
}
static bool model_nodes(const struct ir_model *m, int64_t *ret_v) {
    *ret_v = m->n_nodes;
    return true;
}

#define NODE(n, meaning, f) {n, meaning, false, f, NULL}
#define MODEL(n, meaning, f) {n, meaning, true, NULL, f}
static const struct quantity rows[] = {
    NODE("kernel_h", "rows of the kernel (convolutions and pools)", kernel_h),
    NODE("kernel_w", "columns of the kernel", kernel_w),
    NODE("kernel_area", "kernel_h times kernel_w", kernel_area),
    NODE("kernel_length", "the larger of kernel_h and kernel_w", kernel_length),
    NODE("kernel_difference", "kernel_h and kernel_w apart; 0: square", kernel_difference),
    NODE("dilated_kernel_h", "(kernel_h - 1) * dilation_h + 1", dilated_h),
    NODE("dilated_kernel_area", "the dilated kernel's rows times columns", dilated_area),
    NODE("stride_h", "stride along rows", stride_h),
    NODE("stride_w", "stride along columns", stride_w),
    NODE("stride_difference", "stride_h and stride_w apart", stride_difference),
    NODE("dilation_h", "dilation along rows", dilation_h),
    NODE("dilation_w", "dilation along columns", dilation_w),
    NODE("pad_max", "the widest padding of the four sides", pad_max),
    NODE("pad_difference", "padding before and behind apart, the larger of both axes; 0: symmetric", pad_difference),
    NODE("spatial_axes", "1 for a one-dimensional convolution or pool, 2 for an image", spatial_axes),
    NODE("in_channels", "last dimension of the input", in_channels),
    NODE("out_channels", "last dimension of the output", out_channels),
    NODE("in_pixels", "rows times columns of the input", in_pixels),
    NODE("out_pixels", "rows times columns of the output", out_pixels),
    NODE("out_h", "rows of the output", out_h),
    NODE("out_w", "columns of the output", out_w),
    NODE("in_elements", "all elements of the input", in_elements),
    NODE("rows_columns_max", "the largest row or column count of input and output", rows_columns_max),
    NODE("dim_max", "the largest dimension of input and output", dim_max),
    NODE("rank", "dimensions of input or output, the larger", rank),
    NODE("batch", "fourth dimension from the end of the input", batch),
    NODE("operands", "inputs of an element-wise operator", operands),
    NODE("first_layer", "1: it reads the model's input", first_layer),
    NODE("after_flatten", "1: its input is an image that a RESHAPE made flat", after_flatten),
    NODE("depth_multiplier", "outputs per input channel of a depthwise convolution", depth_multiplier),
    NODE("fused_activation", "0 none, 1 RELU, 6 RELU6", fused_activation),
    NODE("activation_bits", "bits of input and output", activation_bits),
    NODE("weight_bits", "bits of a weight", weight_bits),
    NODE("weight_scales", "number of scales of the weights; 1: per tensor", weight_scales),
    NODE("weight_sum_abs", "sum of the weights' magnitudes in the channel where it is largest", weight_sum),
    NODE("bias_channels", "elements of the bias; 0: none", bias_channels),
    NODE("bias_bits", "bits of the widest bias, sign included", bias_bits),
    NODE("zero_point_size", "magnitude of the zero points of input and output, the larger; 0: symmetric", zero_point_size),
    NODE("power_of_two_scales", "1: every scale of inputs, weights and output is a power of two", power_of_two),
    MODEL("weight_bytes", "bytes of all constants: weights, biases, constant operands", model_weights),
    MODEL("activation_bytes", "the largest sum of activations alive at one node", model_activations),
    MODEL("nodes", "nodes of the graph", model_nodes),
    {"layers", "nodes that the target counts as layers (`layer: true`)", true, NULL, NULL},
};

const struct quantity *quantity_at(int i) { return i >= 0 && (size_t)i < sizeof rows / sizeof rows[0] ? &rows[i] : NULL; }

const struct quantity *quantity_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}
