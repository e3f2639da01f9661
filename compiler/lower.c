/* SPDX-License-Identifier: GPL-2.0-or-later
 * Quantization parameters of each kernel call (compiler/lower.h). Rules: TensorFlow Lite's quantization_util (QuantizeMultiplier),
 * as measured against its kernels; see compiler/README.md. */
#include "compiler/lower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
/* What lower_*() allocate belongs to the program's node and is freed by program_done(); the analyzer loses it in the array. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

const char *numerics_name(enum numerics n) { return n == NUMERICS_TFLM ? "tflm" : "litert"; }

int numerics_parse(const char *s, enum numerics *ret_n) {
    for (int n = NUMERICS_TFLM; n <= NUMERICS_LITERT; n++) {
        if (strcmp(s, numerics_name((enum numerics)n)) == 0) {
            *ret_n = (enum numerics)n;
            return 0;
        }
    }
    return JF_E_INVAL;
}

/* real = mult * 2^(shift - 31), mult in [2^30, 2^31); a scale too small to matter (dead channels) becomes 0. */
static void quantize_multiplier(double real, int32_t *ret_mult, int8_t *ret_shift) {
    int e;
    double q = frexp(real, &e);
    int64_t m = (int64_t)round(q * 2147483648.0);
    if (m == INT64_C(2147483648)) {
        m /= 2;
        e++;
    }
    if (real == 0.0 || e < -31) {
        m = 0;
        e = 0;
    }
    if (e > 30) { /* saturates, as the reference does */
        m = INT32_MAX;
        e = 30;
    }
    *ret_mult = (int32_t)m;
    *ret_shift = (int8_t)e;
}

static void clamp_bounds(const struct ir_node *n, const struct ir_tensor *o, int32_t *ret_min, int32_t *ret_max) {
    int32_t zp = ir_zero_point(o);
    *ret_min = -128;
    *ret_max = 127;
    if (n->activation == 1 || n->activation == 3) {
        *ret_min = zp > -128 ? zp : -128;
    }
    if (n->activation == 3) {
        double six = zp + round(6.0 / (double)ir_scale(o, 0));
        *ret_max = six < 127 ? (int32_t)six : 127;
    }
}

static int alloc_channels(struct lowered_node *l, int32_t n, bool single) {
    size_t count = (size_t)n;
    l->channels = n;
    l->mult = calloc(count, sizeof *l->mult);
    l->shift = calloc(count, sizeof *l->shift);
    l->scale = single ? calloc(count, sizeof *l->scale) : NULL;
    return l->mult && l->shift && (!single || l->scale) ? 0 : JF_E_NOMEM;
}

static int copy_bias(struct lowered_node *l, const struct ir_tensor *b, const int32_t **ret_bias) {
    *ret_bias = NULL;
    if (!b) {
        return 0;
    }
    l->bias = calloc((size_t)b->elements, sizeof *l->bias);
    if (!l->bias) {
        return JF_E_NOMEM;
    }
    for (int32_t i = 0; i < b->elements; i++) {
        l->bias[i] = ir_const_i32(b, i);
    }
    *ret_bias = l->bias;
    return 0;
}

static struct jfk_requant requant_of(const struct lowered_node *l, const struct ir_node *n, const struct ir_tensor *o) {
    struct jfk_requant q = {.mult = l->mult, .shift = l->shift, .scale = l->scale, .out_zp = ir_zero_point(o)};
    clamp_bounds(n, o, &q.act_min, &q.act_max);
    return q;
}

static int32_t pad_before(int32_t in, int32_t out, int32_t k, int32_t stride, int32_t dil, bool same) {
    int64_t total = (int64_t)(out - 1) * stride + (int64_t)(k - 1) * dil + 1 - in;
    return same && total > 0 ? (int32_t)(total / 2) : 0;
}

static int lower_conv(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    const struct ir_tensor *t = p->model->tensors, *x = &t[n->inputs[0]], *w = &t[n->inputs[1]], *o = &t[n->output];
    const struct ir_tensor *b = n->n_inputs > 2 && n->inputs[2] >= 0 ? &t[n->inputs[2]] : NULL;
    bool single = p->numerics == NUMERICS_LITERT;
    struct jfk_conv *c = &l->k.conv;
    if (alloc_channels(l, ir_dim(o, 0), single) < 0 || copy_bias(l, b, &c->bias) < 0) {
        return JF_E_NOMEM;
    }
    for (int32_t i = 0; i < l->channels; i++) {
        quantize_multiplier((double)ir_scale(x, 0) * (double)ir_scale(w, i) / (double)ir_scale(o, 0), &l->mult[i], &l->shift[i]);
        if (single) {
            l->scale[i] = ir_scale(x, 0) * ir_scale(w, i) / ir_scale(o, 0);
            if (!isfinite(l->scale[i])) {
                return JF_E_UNSUPPORTED;
            }
        }
    }
    c->in_h = (int16_t)ir_dim(x, 2);
    c->in_w = (int16_t)ir_dim(x, 1);
    c->in_c = (int16_t)ir_dim(x, 0);
    c->out_h = (int16_t)ir_dim(o, 2);
    c->out_w = (int16_t)ir_dim(o, 1);
    c->out_c = (int16_t)ir_dim(o, 0);
    c->k_h = (int16_t)ir_dim(w, 2);
    c->k_w = (int16_t)ir_dim(w, 1);
    c->stride_h = (int16_t)n->stride_h;
    c->stride_w = (int16_t)n->stride_w;
    c->dil_h = (int16_t)n->dil_h;
    c->dil_w = (int16_t)n->dil_w;
    c->depth_mult = (int16_t)(n->op == IR_DEPTHWISE ? n->depth_mult : 1);
    c->pad_top = (int16_t)pad_before(c->in_h, c->out_h, c->k_h, c->stride_h, c->dil_h, n->same_padding);
    c->pad_left = (int16_t)pad_before(c->in_w, c->out_w, c->k_w, c->stride_w, c->dil_w, n->same_padding);
    c->in_zp = ir_zero_point(x);
    c->weights = (const int8_t *)w->data;
    c->rq = requant_of(l, n, o);
    return 0;
}

static int lower_dense(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    const struct ir_tensor *t = p->model->tensors, *x = &t[n->inputs[0]], *w = &t[n->inputs[1]], *o = &t[n->output];
    const struct ir_tensor *b = n->n_inputs > 2 && n->inputs[2] >= 0 ? &t[n->inputs[2]] : NULL;
    bool single = p->numerics == NUMERICS_LITERT;
    struct jfk_dense *d = &l->k.dense;
    if (alloc_channels(l, 1, single) < 0 || copy_bias(l, b, &d->bias) < 0) {
        return JF_E_NOMEM;
    }
    float product = ir_scale(x, 0) * ir_scale(w, 0); /* in float first: the reference's FULLY_CONNECTED does so */
    quantize_multiplier((double)product / (double)ir_scale(o, 0), &l->mult[0], &l->shift[0]);
    if (single) {
        l->scale[0] = product / ir_scale(o, 0);
    }
    if (!isfinite(product) || (single && !isfinite(l->scale[0]))) {
        return JF_E_UNSUPPORTED;
    }
    d->in_n = w->shape[1];
    d->out_n = w->shape[0];
    d->batch = x->elements / w->shape[1];
    d->in_zp = ir_zero_point(x);
    d->w_zp = ir_zero_point(w);
    d->weights = (const int8_t *)w->data;
    d->rq = requant_of(l, n, o);
    return 0;
}

/* XNNPACK's own limits of an addition's input to output scale (xnn_create_add_nd_qs8); beyond them the float sum could even be
 * inf - inf. */
static bool add_ratio_ok(float ratio) { return ratio >= 0x1.0p-10f && ratio < 0x1.0p+8f; }

static int lower_add(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    const struct ir_tensor *t = p->model->tensors, *x = &t[n->inputs[0]], *y = &t[n->inputs[1]], *o = &t[n->output];
    struct jfk_add *a = &l->k.add;
    double sx = (double)ir_scale(x, 0), sy = (double)ir_scale(y, 0), twice = 2.0 * (sx > sy ? sx : sy);
    a->n = o->elements;
    a->a_zp = ir_zero_point(x);
    a->b_zp = ir_zero_point(y);
    a->out_zp = ir_zero_point(o);
    a->left_shift = 20;
    quantize_multiplier(sx / twice, &a->a_mult, &a->a_shift);
    quantize_multiplier(sy / twice, &a->b_mult, &a->b_shift);
    quantize_multiplier(twice / ((double)(1 << 20) * (double)ir_scale(o, 0)), &a->out_mult, &a->out_shift);
    if (p->numerics == NUMERICS_LITERT) {
        a->a_scale = ir_scale(x, 0) / ir_scale(o, 0);
        a->b_scale = ir_scale(y, 0) / ir_scale(o, 0);
        if (!add_ratio_ok(a->a_scale) || !add_ratio_ok(a->b_scale)) {
            return JF_E_UNSUPPORTED;
        }
    }
    clamp_bounds(n, o, &a->act_min, &a->act_max);
    l->in[1] = n->inputs[1];
    return 0;
}

static int lower_pool(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    const struct ir_tensor *x = &p->model->tensors[n->inputs[0]], *o = &p->model->tensors[n->output];
    struct jfk_pool *k = &l->k.pool;
    k->in_h = (int16_t)ir_dim(x, 2);
    k->in_w = (int16_t)ir_dim(x, 1);
    k->c = (int16_t)ir_dim(x, 0);
    k->out_h = (int16_t)ir_dim(o, 2);
    k->out_w = (int16_t)ir_dim(o, 1);
    k->k_h = (int16_t)n->filter_h;
    k->k_w = (int16_t)n->filter_w;
    k->stride_h = (int16_t)n->stride_h;
    k->stride_w = (int16_t)n->stride_w;
    k->pad_top = (int16_t)pad_before(k->in_h, k->out_h, k->k_h, k->stride_h, 1, n->same_padding);
    k->pad_left = (int16_t)pad_before(k->in_w, k->out_w, k->k_w, k->stride_w, 1, n->same_padding);
    clamp_bounds(n, o, &k->act_min, &k->act_max);
    return 0;
}

static int lower_softmax(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    const struct ir_tensor *x = &p->model->tensors[n->inputs[0]];
    struct jfk_softmax *s = &l->k.softmax;
    double real = (double)n->beta * (double)ir_scale(x, 0) * (double)(1 << 26);
    s->n = ir_dim(x, 0);
    s->rows = x->elements / s->n;
    quantize_multiplier(real < 2147483647.0 ? real : 2147483647.0, &s->mult, &s->shift);
    if (s->shift < 0) { /* an input scale below 2^-26: every difference counts as 0 */
        s->mult = 0;
        s->shift = 0;
    }
    double radius = 31.0 * (double)(1 << 26) / (double)(INT64_C(1) << s->shift);
    s->diff_min = -(int32_t)floor(radius);
    if (p->numerics == NUMERICS_LITERT) {
        l->table = calloc(256, sizeof *l->table);
        if (!l->table) {
            return JF_E_NOMEM;
        }
        if (!isfinite(ir_scale(x, 0) * n->beta)) {
            return JF_E_UNSUPPORTED;
        }
        for (int i = 0; i < 256; i++) {
            l->table[i] = expf(-ir_scale(x, 0) * n->beta * (float)i);
        }
        s->table = l->table;
    }
    return 0;
}

static int lower_node(const struct program *p, const struct ir_node *n, struct lowered_node *l) {
    l->op = n->op;
    l->in[0] = n->inputs[0];
    l->in[1] = -1;
    l->out = n->output;
    switch (n->op) {
    case IR_CONV:
    case IR_DEPTHWISE:
        return lower_conv(p, n, l);
    case IR_DENSE:
        return lower_dense(p, n, l);
    case IR_ADD:
        return lower_add(p, n, l);
    case IR_AVERAGE_POOL:
    case IR_MAX_POOL:
        return lower_pool(p, n, l);
    case IR_SOFTMAX:
        return lower_softmax(p, n, l);
    case IR_RESHAPE:
    case IR_OPS:
        break;
    }
    return 0;
}

int program_build(const struct ir_model *m, enum numerics numerics, struct program *ret_p, struct err *reterr) {
    struct program p = {.model = m, .numerics = numerics, .n_nodes = m->n_nodes};
    p.nodes = calloc((size_t)m->n_nodes, sizeof *p.nodes);
    p.offset = calloc((size_t)m->n_tensors, sizeof *p.offset);
    int r = p.nodes && p.offset ? 0 : JF_E_NOMEM;
    int at = 0;
    for (; at < m->n_nodes && r == 0; at++) {
        r = lower_node(&p, &m->nodes[at], &p.nodes[at]);
    }
    r = r < 0 ? r : program_plan(&p);
    if (r == JF_E_UNSUPPORTED) {
        (void)err_set(reterr, r, "node %d (%s): the ratio of its scales is beyond a float's range", at - 1, ir_op_name(m->nodes[at - 1].op));
    } else if (r < 0) {
        (void)err_set(reterr, r, r == JF_E_TOO_LARGE ? "the activations need more than 64 MiB" : "no memory to lower the model");
    }
    if (r < 0) {
        program_done(&p);
        return r;
    }
    *ret_p = p;
    return 0;
}

void program_done(struct program *p) {
    for (int i = 0; p->nodes && i < p->n_nodes; i++) {
        free(p->nodes[i].mult);
        free(p->nodes[i].shift);
        free(p->nodes[i].bias);
        free(p->nodes[i].scale);
        free(p->nodes[i].table);
    }
    free(p->nodes);
    free(p->offset);
    memset(p, 0, sizeof *p);
}
