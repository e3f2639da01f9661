/* SPDX-License-Identifier: GPL-2.0-or-later
 * Accessors and the check of a model: after ir_check every later step may rely on shapes, types, order and finite scales. */
#include "compiler/ir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ir_op_name(enum ir_op op) {
    static const char *const names[IR_OPS] = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE", "SOFTMAX"};
    return op < IR_OPS ? names[op] : "?";
}

static uint32_t load32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

float ir_scale(const struct ir_tensor *t, int32_t i) {
    float v = 0.0f;
    if (t->n_scales > 0) {
        uint32_t bits = load32(t->scales + 4 * (size_t)(t->n_scales > 1 ? i : 0));
        memcpy(&v, &bits, sizeof v);
    }
    return v;
}

int32_t ir_zero_point(const struct ir_tensor *t) { return t->zero_points ? (int32_t)load32(t->zero_points) : 0; }
int32_t ir_const_i32(const struct ir_tensor *t, int32_t i) { return (int32_t)load32(t->data + 4 * (size_t)i); }
int32_t ir_dim(const struct ir_tensor *t, int from_end) { return from_end < t->rank ? t->shape[t->rank - 1 - from_end] : 1; }

void ir_done(struct ir_model *m) {
    free(m->tensors);
    free(m->nodes);
    memset(m, 0, sizeof *m);
}

/* --- the check -------------------------------------------------------------------------------------------------- */

struct check {
    struct ir_model *m;
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

static const struct ir_tensor *in(const struct check *c, int k) {
    const struct ir_node *n = &c->m->nodes[c->i];
    return k < n->n_inputs && n->inputs[k] >= 0 ? &c->m->tensors[n->inputs[k]] : NULL;
}
static const struct ir_tensor *out(const struct check *c) { return &c->m->tensors[c->m->nodes[c->i].output]; }

static bool scales_ok(const struct ir_tensor *t) {
    for (int32_t k = 0; k < t->n_scales; k++) {
        float s = ir_scale(t, k);
        if (!isfinite(s) || s <= 0.0f) {
            return false;
        }
    }
    return t->n_scales > 0;
}

static bool zeros_ok(const struct ir_tensor *t, int lo, int hi) {
    for (int32_t k = 0; t->zero_points && k < t->n_scales; k++) {
        int32_t low = (int32_t)load32(t->zero_points + 8 * (size_t)k), high = (int32_t)load32(t->zero_points + 8 * (size_t)k + 4);
        if (high != (low < 0 ? -1 : 0) || low < lo || low > hi) {
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

/* Weights and bias of conv, depthwise, dense; channels: along which axis scales may run. */
static int weights(const struct check *c, int axis) {
    const struct ir_tensor *w = in(c, 1), *b = in(c, 2), *o = out(c);
    if (!w || w->type != IR_I8 || !w->data) {
        return fail(c, "its weights must be a constant int8 tensor");
    }
    if (!scales_ok(w) || (w->n_scales > 1 && w->axis != axis)) {
        return fail(c, "its weights need positive scales, per tensor or along axis %d", axis);
    }
    if (!zeros_ok(w, axis == 0 && c->m->nodes[c->i].op == IR_DENSE ? -128 : 0, c->m->nodes[c->i].op == IR_DENSE ? 127 : 0)) {
        return fail(c, "its weights' zero points must be 0");
    }
    int32_t channels = ir_dim(o, 0);
    if (b && (b->type != IR_I32 || !b->data || b->elements != channels)) {
        return fail(c, "its bias must be a constant int32 tensor of %d elements", channels);
    }
    return 0;
}

static int window_out(int32_t size, int32_t k, int32_t stride, int32_t dil, bool same) {
    int64_t span = (int64_t)(k - 1) * dil + 1;
    return (int)(same ? ((int64_t)size + stride - 1) / stride : size >= span ? (size - span) / stride + 1 : 0);
}

static int window(const struct check *c, int32_t k_h, int32_t k_w) {
    const struct ir_node *n = &c->m->nodes[c->i];
    const struct ir_tensor *x = in(c, 0), *o = out(c);
    if (n->stride_h < 1 || n->stride_w < 1 || n->dil_h < 1 || n->dil_w < 1 || k_h < 1 || k_w < 1 || n->stride_h > 1024 || n->stride_w > 1024 ||
        n->dil_h > 1024 || n->dil_w > 1024 || k_h > 1024 || k_w > 1024) {
        return fail(c, "stride, dilation or kernel are outside 1 to 1024");
    }
    if (!x || x->rank != 4 || o->rank != 4 || ir_dim(x, 3) != 1 || ir_dim(o, 3) != 1) {
        return fail(c, "it needs NHWC tensors with batch 1");
    }
    for (int d = 0; d < 3; d++) {
        if (ir_dim(x, d) > 32767 || ir_dim(o, d) > 32767) {
            return fail(c, "a dimension is above 32767");
        }
    }
    if (window_out(ir_dim(x, 2), k_h, n->stride_h, n->dil_h, n->same_padding) != ir_dim(o, 2) ||
        window_out(ir_dim(x, 1), k_w, n->stride_w, n->dil_w, n->same_padding) != ir_dim(o, 1)) {
        return fail(c, "its output shape does not follow from input, kernel, stride and padding");
    }
    return 0;
}

static int check_conv(const struct check *c) {
    const struct ir_node *n = &c->m->nodes[c->i];
    const struct ir_tensor *x = in(c, 0), *w = in(c, 1), *o = out(c);
    bool depthwise = n->op == IR_DEPTHWISE;
    int r = weights(c, depthwise ? 3 : 0);
    if (r < 0) {
        return r;
    }
    if (!x || !w || w->rank != 4) {
        return fail(c, "its weights must have four dimensions");
    }
    r = window(c, ir_dim(w, 2), ir_dim(w, 1));
    if (r < 0) {
        return r;
    }
    bool fits = depthwise ? w->shape[0] == 1 && w->shape[3] == ir_dim(o, 0) && n->depth_mult >= 1 && ir_dim(o, 0) % n->depth_mult == 0 &&
                                ir_dim(o, 0) / n->depth_mult == ir_dim(x, 0)
                          : w->shape[0] == ir_dim(o, 0) && w->shape[3] == ir_dim(x, 0);
    if (!fits) {
        return fail(c, "its weights do not fit the channels of input and output");
    }
    int32_t channels = ir_dim(o, 0), taps = w->elements / channels;
    return depthwise ? accumulators(c, channels, taps, 1, channels) : accumulators(c, channels, taps, taps, 1);
}

static int check_dense(const struct check *c) {
    const struct ir_tensor *x = in(c, 0), *w = in(c, 1), *o = out(c);
    int r = weights(c, 0);
    if (r < 0) {
        return r;
    }
    if (w->rank != 2 || w->n_scales != 1) {
        return fail(c, "its weights must be a matrix with one scale");
    }
    if (w->shape[0] != ir_dim(o, 0) || x->elements % w->shape[1] != 0 || x->elements / w->shape[1] != o->elements / w->shape[0]) {
        return fail(c, "its weights do not fit input and output");
    }
    return accumulators(c, w->shape[0], w->shape[1], w->shape[1], 1);
}

static int check_pool(const struct check *c) {
    const struct ir_node *n = &c->m->nodes[c->i];
    const struct ir_tensor *x = in(c, 0), *o = out(c);
    int r = window(c, n->filter_h, n->filter_w);
    if (r < 0) {
        return r;
    }
    if (!x || ir_dim(x, 0) != ir_dim(o, 0) || ir_scale(x, 0) != ir_scale(o, 0) || ir_zero_point(x) != ir_zero_point(o)) {
        return fail(c, "channels and quantization of input and output must be equal");
    }
    return 0;
}

static int check_same_size(const struct check *c) {
    const struct ir_node *n = &c->m->nodes[c->i];
    const struct ir_tensor *x = in(c, 0), *y = in(c, 1), *o = out(c);
    if (!x || x->elements != o->elements) {
        return fail(c, "input and output differ in size");
    }
    if (n->op == IR_ADD) {
        int r = activation_tensor(c, y, "second input");
        if (r < 0 || !y || y->data) {
            return r < 0 ? r : fail(c, "its second input is a constant");
        }
        bool same = x->rank == y->rank && x->rank == o->rank;
        for (int d = 0; same && d < x->rank; d++) {
            same = x->shape[d] == y->shape[d] && x->shape[d] == o->shape[d];
        }
        return same ? 0 : fail(c, "broadcasting is not supported");
    }
    if (n->op == IR_RESHAPE && (ir_scale(x, 0) != ir_scale(o, 0) || ir_zero_point(x) != ir_zero_point(o))) {
        return fail(c, "input and output are quantized differently");
    }
    if (n->op == IR_SOFTMAX && ir_dim(x, 0) > 4095) {
        return fail(c, "%d classes; its sum has room for 4095", ir_dim(x, 0));
    }
    if (n->op == IR_SOFTMAX && (ir_scale(o, 0) != 1.0f / 256.0f || ir_zero_point(o) != -128 || !isfinite(n->beta) || n->beta <= 0.0f)) {
        return fail(c, "its output must have scale 1/256 and zero point -128, and beta be positive");
    }
    return 0;
}

static int check_node(const struct check *c) {
    static int (*const rules[IR_OPS])(const struct check *) = {check_conv, check_conv, check_dense, check_same_size, check_pool, check_pool, check_same_size, check_same_size};
    const struct ir_node *n = &c->m->nodes[c->i];
    const struct ir_tensor *x = in(c, 0);
    int r = activation_tensor(c, x, "input");
    r = r < 0 ? r : activation_tensor(c, out(c), "output");
    if (r < 0) {
        return r;
    }
    if (!x || x->data) {
        return fail(c, "its input is a constant");
    }
    if (n->activation != 0 && n->activation != 1 && n->activation != 3) {
        return fail(c, "fused activation %d is not supported (none, RELU, RELU6)", n->activation);
    }
    return rules[n->op](c);
}

int ir_check(struct ir_model *m, struct err *reterr) {
    struct check c = {m, 0, reterr};
    struct ir_tensor *input = &m->tensors[m->input];
    if (input->data || input->type != IR_I8 || input->n_scales != 1) {
        return err_set(reterr, JF_E_UNSUPPORTED, "the model's input must be a quantized int8 tensor");
    }
    for (c.i = 0; c.i < m->n_nodes; c.i++) {
        struct ir_node *n = &m->nodes[c.i];
        for (int k = 0; k < n->n_inputs; k++) {
            if (n->inputs[k] < 0) {
                continue;
            }
            struct ir_tensor *t = &m->tensors[n->inputs[k]];
            if (!t->data && t->producer < 0 && n->inputs[k] != m->input) {
                return fail(&c, "input %s is used before any node makes it (a cycle, or wrong order)", t->name);
            }
            t->last_use = c.i;
        }
        struct ir_tensor *o = &m->tensors[n->output];
        if (o->data || o->producer >= 0 || n->output == m->input) {
            return fail(&c, "output %s is written twice or is a constant", o->name);
        }
        int r = check_node(&c);
        if (r < 0) {
            return r;
        }
        o->producer = c.i;
    }
    if (m->tensors[m->output].producer < 0) {
        return err_set(reterr, JF_E_PARSE, "no node makes the model's output");
    }
    m->tensors[m->output].last_use = m->n_nodes;
    return 0;
}
