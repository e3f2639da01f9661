/* SPDX-License-Identifier: GPL-2.0-or-later
 * The check of a model: after ir_check every later step may rely on shapes, types, order and finite scales. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/ir.h"
#include "compiler/ir_text.h"

struct check {
    const struct ir_model *m;
    int i; /* node */
    struct err *e;
};

JF_PRINTF(2, 3) static int fail(const struct check *c, const char *fmt, ...) {
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is the line above */
    va_end(ap);
    char where[32];
    (void)snprintf(where, sizeof where, "node %d", c->i);
    return err_set_at(c->e, JF_E_UNSUPPORTED, where, "node %d (%s): %s", c->i, ir_op_name(c->m->nodes[c->i].op), text);
}

static const struct ir_node *node(const struct check *c) { return &c->m->nodes[c->i]; }
static const struct ir_tensor *in(const struct check *c, int k) {
    const struct ir_node *n = node(c);
    return k < n->n_inputs && n->inputs[k] >= 0 ? &c->m->tensors[n->inputs[k]] : NULL;
}
static const struct ir_tensor *out(const struct check *c) { return &c->m->tensors[node(c)->output]; }

static bool scales_ok(const struct ir_tensor *t) {
    for (int32_t k = 0; k < t->n_scales; k++) {
        if (!isfinite(t->scales[k]) || t->scales[k] <= 0.0f) {
            return false;
        }
    }
    return t->n_scales > 0;
}

static bool zeros_ok(const struct ir_tensor *t, int lo, int hi) {
    for (int32_t k = 0; t->zero_points && k < t->n_scales; k++) {
        if (t->zero_points[k] < lo || t->zero_points[k] > hi) {
            return false;
        }
    }
    return true;
}

static int activation_tensor(const struct check *c, const struct ir_tensor *t, const char *what) {
    if (!t || t->type != IR_I8) {
        return fail(c, "its %s%s%s is not an int8 tensor: only fully quantized int8 models are compiled", what, t ? " " : "", t ? t->name : "");
    }
    if (t->n_scales != 1 || !scales_ok(t) || !zeros_ok(t, -128, 127)) {
        return fail(c, "its %s %s lacks one positive scale and a zero point from -128 to 127", what, t->name);
    }
    return 0;
}

/* --- operators with weights --------------------------------------------------------------------------------------- */

/* An int32 accumulator must not overflow for any input: per channel, sum |w - zp_w| * max |x - zp_x| + |bias| < 2^31. Weight k
 * of channel ch lies at ch * step + k * stride. */
static int accumulators(const struct check *c, int32_t channels, int32_t per_channel, int32_t step, int32_t stride) {
    const struct ir_tensor *x = in(c, 0), *w = in(c, 1), *b = in(c, 2);
    int64_t zx = ir_zero_point(x), most = zx + 128 > 127 - zx ? zx + 128 : 127 - zx, zw = ir_zero_point(w);
    for (int32_t ch = 0; ch < channels; ch++) {
        int64_t sum = b ? llabs((long long)ir_const_i32(b, ch)) : 0;
        const uint8_t *p = w->data + (size_t)ch * (size_t)step;
        for (int32_t k = 0; k < per_channel; k++, p += stride) {
            sum += most * llabs((int8_t)*p - (long long)zw);
        }
        if (sum > INT32_MAX) {
            return fail(c, "the accumulator of channel %d can exceed 32 bits", ch);
        }
    }
    return 0;
}

/* Weights and bias of conv, depthwise, dense; axis: along which scales may run. */
static int weights(const struct check *c, int axis, int32_t channels) {
    const struct ir_tensor *w = in(c, 1), *b = in(c, 2);
    bool dense = node(c)->op == IR_DENSE;
    if (w->type != IR_I8 || !w->data) {
        return fail(c, "its weights %s must be a constant int8 tensor", w->name);
    }
    if (!scales_ok(w) || (w->n_scales > 1 && (w->axis != axis || w->n_scales != channels))) {
        return fail(c, "its weights need positive scales, per tensor or along axis %d", axis);
    }
    if (!zeros_ok(w, dense && w->n_scales == 1 ? -128 : 0, dense && w->n_scales == 1 ? 127 : 0)) {
        return fail(c, "its weights' zero points must be 0");
    }
    if (b && (b->type != IR_I32 || !b->data || b->elements != channels)) {
        return fail(c, "its bias must be a constant int32 tensor of %d elements", channels);
    }
    return 0;
}

/* int16 fields of the kernels. */
static int image(const struct check *c) {
    const struct ir_tensor *x = in(c, 0), *o = out(c);
    if (x->rank != 4 || o->rank != 4 || x->shape[0] != 1) {
        return fail(c, "it needs NHWC tensors with batch 1");
    }
    for (int d = 0; d < 3; d++) {
        if (ir_dim(x, d) > 32767 || ir_dim(o, d) > 32767) {
            return fail(c, "a dimension is above 32767");
        }
    }
    return 0;
}

static int check_conv(const struct check *c) {
    const struct ir_node *n = node(c);
    const struct ir_tensor *x = in(c, 0), *w = in(c, 1), *o = out(c);
    bool depthwise = n->op == IR_DEPTHWISE;
    int32_t channels = ir_dim(o, 0);
    int r = weights(c, depthwise ? 3 : 0, channels);
    r = r < 0 ? r : image(c);
    if (r < 0) {
        return r;
    }
    bool fits = depthwise ? w->shape[0] == 1 && n->depth_mult >= 1 && channels % n->depth_mult == 0 && channels / n->depth_mult == ir_dim(x, 0) : w->shape[3] == ir_dim(x, 0);
    if (!fits) {
        return fail(c, "its weights do not fit the channels of input and output");
    }
    int32_t taps = w->elements / channels;
    return depthwise ? accumulators(c, channels, taps, 1, channels) : accumulators(c, channels, taps, taps, 1);
}

static int check_dense(const struct check *c) {
    const struct ir_tensor *w = in(c, 1);
    int r = weights(c, 0, w->shape[0]);
    return r < 0 ? r : accumulators(c, w->shape[0], w->shape[1], w->shape[1], 1);
}

/* --- the others ---------------------------------------------------------------------------------------------------- */

static int check_same(const struct check *c) {
    for (int k = 0; k < node(c)->n_inputs; k++) {
        int r = activation_tensor(c, in(c, k), k ? "further input" : "input");
        if (r < 0) {
            return r;
        }
        if (!ir_same_quantization(in(c, k), out(c))) {
            return fail(c, "input and output are quantized differently");
        }
    }
    return 0;
}

static int check_pool(const struct check *c) {
    int r = image(c);
    return r < 0 ? r : check_same(c);
}

static int check_resize(const struct check *c) {
    if (node(c)->align_corners && node(c)->half_pixel) {
        return fail(c, "align_corners and half_pixel_centers exclude each other");
    }
    return check_pool(c);
}

static int check_binary(const struct check *c) { return activation_tensor(c, in(c, 1), "second input"); }

static int check_mean(const struct check *c) {
    return in(c, 0)->elements / out(c)->elements > 1 << 22 ? fail(c, "it adds up more than %d values", 1 << 22) : 0;
}

static int check_softmax(const struct check *c) {
    const struct ir_tensor *x = in(c, 0), *o = out(c);
    if (ir_dim(x, 0) > 4095) {
        return fail(c, "%d classes; its sum has room for 4095", ir_dim(x, 0));
    }
    if (ir_scale(o, 0) != 1.0f / 256.0f || ir_zero_point(o) != -128 || !isfinite(node(c)->beta) || node(c)->beta <= 0.0f) {
        return fail(c, "its output must have scale 1/256 and zero point -128, and beta be positive");
    }
    return 0;
}

/* The reference's fixed-point kernels write these scales and zero points, whatever the tensor says. */
static int check_sigmoid(const struct check *c) {
    bool tanh = node(c)->op == IR_TANH;
    if (ir_scale(out(c), 0) != (tanh ? 1.0f / 128.0f : 1.0f / 256.0f) || ir_zero_point(out(c)) != (tanh ? 0 : -128)) {
        return fail(c, "its output must have scale %s", tanh ? "1/128 and zero point 0" : "1/256 and zero point -128");
    }
    return 0;
}

static int check_leaky(const struct check *c) { return isfinite(node(c)->alpha) ? 0 : fail(c, "its alpha is not finite"); }

static int check_pad(const struct check *c) {
    if (node(c)->pad_value < -128 || node(c)->pad_value > 127) {
        return fail(c, "its value %d is not an int8", node(c)->pad_value);
    }
    return check_same(c);
}

static int check_nothing(const struct check *c) {
    (void)c;
    return 0;
}

static int check_dequantize(const struct check *c) { return fail(c, "it is supported only as the model's last node"); }

static int check_rules(const struct check *c) {
    static int (*const rules[IR_OPS])(const struct check *) = {
        [IR_CONV] = check_conv,       [IR_DEPTHWISE] = check_conv,  [IR_DENSE] = check_dense,       [IR_ADD] = check_binary,           [IR_SUB] = check_binary,
        [IR_MUL] = check_binary,      [IR_AVERAGE_POOL] = check_pool, [IR_MAX_POOL] = check_pool,   [IR_MEAN] = check_mean,            [IR_RELU] = check_nothing,
        [IR_RELU6] = check_same,      [IR_LEAKY_RELU] = check_leaky, [IR_LOGISTIC] = check_sigmoid, [IR_TANH] = check_sigmoid,         [IR_SOFTMAX] = check_softmax,
        [IR_PAD] = check_pad,         [IR_CONCAT] = check_same,     [IR_RESHAPE] = check_same,      [IR_TRANSPOSE] = check_same,       [IR_SLICE] = check_same,
        [IR_SPLIT] = check_same,      [IR_QUANTIZE] = check_nothing, [IR_DEQUANTIZE] = check_dequantize, [IR_RESIZE_NEAREST] = check_resize, [IR_RESIZE_BILINEAR] = check_resize,
    };
    return rules[node(c)->op](c);
}

int ir_check_node(const struct ir_model *m, int i, struct err *reterr) {
    const struct check c = {m, i, reterr};
    const struct ir_node *n = &m->nodes[i];
    if (n->op == IR_DEQUANTIZE) {
        return check_dequantize(&c);
    }
    int r = activation_tensor(&c, in(&c, 0), "input");
    for (int k = 0; k < n->n_outputs && r == 0; k++) {
        r = activation_tensor(&c, &m->tensors[n->outputs[k]], "output");
        if (r == 0 && k > 0 && !ir_same_quantization(&m->tensors[n->outputs[k]], out(&c))) {
            r = fail(&c, "its outputs are quantized differently");
        }
    }
    return r < 0 ? r : check_rules(&c);
}

/* --- order and shapes ---------------------------------------------------------------------------------------------- */

/* Equal when axes of size 1 are left out. */
static bool same_squeezed(int ra, const int32_t *a, int rb, const int32_t *b) {
    int i = 0, k = 0;
    for (;;) {
        for (; i < ra && a[i] == 1; i++) {
        }
        for (; k < rb && b[k] == 1; k++) {
        }
        if (i == ra || k == rb) {
            return i == ra && k == rb;
        }
        if (a[i++] != b[k++]) {
            return false;
        }
    }
}

static bool shape_agrees(enum ir_op op, const struct ir_tensor *o, int rank, const int32_t *shape, int32_t elements) {
    switch (op) {
    case IR_DENSE: /* rows may be several axes */
        return o->elements == elements && ir_dim(o, 0) == shape[rank - 1];
    case IR_MEAN:
    case IR_SLICE: /* may drop axes of size 1 */
        return same_squeezed(o->rank, o->shape, rank, shape);
    case IR_RESHAPE:
        return true;
    default:
        return o->rank == rank && memcmp(o->shape, shape, (size_t)rank * sizeof *shape) == 0;
    }
}

static int link_shape(struct ir_model *m, const struct check *c, int k) {
    const struct ir_node *n = node(c);
    struct ir_tensor *o = &m->tensors[n->outputs[k]];
    struct err e = {0};
    struct ir_tensor want = {0};
    int32_t shape[IR_MAX_DIMS] = {0};
    int rank = 0;
    if (ir_infer(m, n, k, shape, &rank, &e) < 0) {
        return fail(c, "%s", e.text);
    }
    if (ir_set_shape(&want, rank, shape) < 0) {
        return fail(c, "its output would have more than %d elements", IR_MAX_ELEMENTS);
    }
    if (o->rank == IR_RANK_UNKNOWN) {
        return ir_set_shape(o, rank, shape);
    }
    if (!shape_agrees(n->op, o, rank, shape, want.elements) || (n->op == IR_RESHAPE && o->elements != m->tensors[n->inputs[0]].elements)) {
        char got[80], follows[80];
        ir_shape_text(o->rank, o->shape, got, sizeof got);
        ir_shape_text(rank, shape, follows, sizeof follows);
        return n->op == IR_RESHAPE ? fail(c, "input and output differ in size") : fail(c, "its output %s is %s, but %s follows from its inputs and attributes", o->name, got, follows);
    }
    return 0;
}

static int link_node(struct ir_model *m, const struct check *c) {
    const struct ir_node *n = node(c);
    if (n->op >= IR_OPS || n->n_inputs < 1 || n->n_inputs > IR_MAX_INPUTS || n->n_outputs < 1 || n->n_outputs > IR_MAX_OUTPUTS || (n->n_outputs > 1 && n->op != IR_SPLIT)) {
        return fail(c, "it has %d inputs and %d outputs", n->n_inputs, n->n_outputs);
    }
    if (n->activation != IR_ACT_NONE && n->activation != IR_ACT_RELU && n->activation != IR_ACT_RELU6) {
        return fail(c, "fused activation %d is not supported (none, RELU, RELU6)", (int)n->activation);
    }
    for (int k = 0; k < n->n_inputs; k++) {
        if (n->inputs[k] < 0) {
            continue;
        }
        struct ir_tensor *t = &m->tensors[n->inputs[k]];
        if (!t->data && t->producer < 0 && n->inputs[k] != m->input) {
            return fail(c, "input %s is used before any node makes it (a cycle, or wrong order)", t->name);
        }
        t->last_use = c->i;
    }
    for (int k = 0; k < n->n_outputs; k++) {
        struct ir_tensor *o = &m->tensors[n->outputs[k]];
        if (o->data || o->producer >= 0 || n->outputs[k] == m->input) {
            return fail(c, "output %s is written twice or is a constant", o->name);
        }
        int r = link_shape(m, c, k);
        if (r < 0) {
            return r;
        }
        o->producer = c->i;
    }
    return 0;
}

int ir_link(struct ir_model *m, struct err *reterr) {
    struct err local = {0};
    struct check c = {m, 0, reterr ? reterr : &local};
    for (int t = 0; t < m->n_tensors; t++) {
        m->tensors[t].producer = m->tensors[t].last_use = -1;
    }
    if (m->tensors[m->input].data || m->tensors[m->input].rank < 0) {
        return err_set(reterr, JF_E_UNSUPPORTED, "the model's input is a constant or has no shape");
    }
    for (; c.i < m->n_nodes; c.i++) {
        int r = link_node(m, &c);
        if (r < 0) {
            return r;
        }
    }
    if (m->tensors[m->output].producer < 0) {
        return err_set(reterr, JF_E_PARSE, "no node makes the model's output");
    }
    m->tensors[m->output].last_use = m->n_nodes;
    return 0;
}

/* The input of a model that is not int8: told with the first node that reads it. */
static int refuse_input(const struct ir_model *m, struct err *reterr) {
    static const char *const types[] = {[IR_I8] = "int8 without one scale", [IR_I32] = "int32", [IR_F32] = "float", [IR_OTHER] = "of another type"};
    const struct ir_tensor *x = &m->tensors[m->input];
    int at = 0;
    for (int i = m->n_nodes - 1; i >= 0; i--) {
        for (int k = 0; k < m->nodes[i].n_inputs; k++) {
            at = m->nodes[i].inputs[k] == m->input ? i : at;
        }
    }
    return err_set(reterr, JF_E_UNSUPPORTED, "node %d (%s): the model's input \"%.60s\" is %s; it must be a quantized int8 tensor", at, ir_op_name(m->nodes[at].op), x->name, types[x->type]);
}

int ir_check(struct ir_model *m, struct err *reterr) {
    int r = ir_link(m, reterr);
    const struct ir_tensor *x = &m->tensors[m->input];
    if (r == 0 && (x->type != IR_I8 || x->n_scales != 1)) {
        r = refuse_input(m, reterr);
    }
    for (int i = 0; i < m->n_nodes && r == 0; i++) {
        r = ir_check_node(m, i, reterr);
    }
    return r;
}
