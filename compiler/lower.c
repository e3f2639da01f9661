/* SPDX-License-Identifier: GPL-2.0-or-later
 * Quantization parameters of each kernel call (compiler/lower.h): the driver and the operators with weights or windows. Rules: TensorFlow
 * Lite's quantization_util (QuantizeMultiplier), as measured against its kernels; see compiler/README.md. */
#include "compiler/lower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/lower_int.h"
#include "compiler/overlap.h"

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

void lower_multiplier(double real, int32_t *ret_mult, int8_t *ret_shift) {
    int e;
    double q = frexp(real, &e);
    int64_t m = (int64_t)round(q * 2147483648.0);
    if (m == INT64_C(2147483648) || m == -INT64_C(2147483648)) {
        m /= 2;
        e++;
    }
    if (real == 0.0 || e < -31) {
        m = 0;
        e = 0;
    }
    if (e > 30) { /* saturates, as the reference does */
        m = real < 0.0 ? -INT32_MAX : INT32_MAX;
        e = 30;
    }
    *ret_mult = (int32_t)m;
    *ret_shift = (int8_t)e;
}

void lower_bounds(enum ir_activation activation, const struct ir_tensor *o, int32_t *ret_min, int32_t *ret_max) {
    int32_t zp = ir_zero_point(o);
    *ret_min = activation == IR_ACT_NONE ? -128 : zp;
    *ret_max = 127;
    if (activation == IR_ACT_RELU6) {
        float six = roundf(6.0f / ir_scale(o, 0)); /* a quotient of floats, as in the reference */
        *ret_max = six < (float)(127 - zp) ? zp + (int32_t)six : 127;
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

static int copy_bias(const struct lowering *g, const int32_t **ret_bias) {
    *ret_bias = NULL;
    if (g->n->n_inputs < 3 || g->n->inputs[2] < 0) {
        return 0;
    }
    const struct ir_tensor *b = lower_in(g, 2);
    g->l->bias = calloc((size_t)b->elements, sizeof *g->l->bias);
    if (!g->l->bias) {
        return JF_E_NOMEM;
    }
    for (int32_t i = 0; i < b->elements; i++) {
        g->l->bias[i] = ir_const_i32(b, i);
    }
    *ret_bias = g->l->bias;
    return 0;
}

static struct jfk_requant requant_of(const struct lowering *g) {
    const struct lowered_node *l = g->l;
    struct jfk_requant q = {.mult = l->mult, .shift = l->shift, .scale = l->scale, .out_zp = ir_zero_point(lower_out(g))};
    lower_bounds(g->n->activation, lower_out(g), &q.act_min, &q.act_max);
    return q;
}

/* Multipliers of each channel. A dense layer with one scale multiplies input's and weights' scales as floats first: the reference's
 * FULLY_CONNECTED does so. */
static int scale_channels(const struct lowering *g, bool float_product) {
    const struct ir_tensor *x = lower_in(g, 0), *w = lower_in(g, 1), *o = lower_out(g);
    struct lowered_node *l = g->l;
    for (int32_t i = 0; i < l->channels; i++) {
        float product = ir_scale(x, 0) * ir_scale(w, i);
        double exact = float_product ? (double)product : (double)ir_scale(x, 0) * (double)ir_scale(w, i);
        lower_multiplier(exact / (double)ir_scale(o, 0), &l->mult[i], &l->shift[i]);
        if (l->scale) {
            l->scale[i] = product / ir_scale(o, 0);
        }
        if (!isfinite(product) || (l->scale && !isfinite(l->scale[i]))) {
            return JF_E_UNSUPPORTED;
        }
    }
    return 0;
}

int lower_conv(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *w = lower_in(g, 1), *o = lower_out(g);
    const struct ir_node *n = g->n;
    struct jfk_conv *c = &g->l->k.conv;
    g->l->kernel = n->op == IR_DEPTHWISE ? KERNEL_DEPTHWISE : KERNEL_CONV;
    if (alloc_channels(g->l, ir_dim(o, 0), g->numerics == NUMERICS_LITERT) < 0 || copy_bias(g, &c->bias) < 0) {
        return JF_E_NOMEM;
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
    c->pad_top = (int16_t)n->pad_top;
    c->pad_left = (int16_t)n->pad_left;
    c->in_zp = ir_zero_point(x);
    c->weights = (const int8_t *)w->data;
    c->rq = requant_of(g);
    return scale_channels(g, false);
}

int lower_dense(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *w = lower_in(g, 1);
    struct jfk_dense *d = &g->l->k.dense;
    g->l->kernel = KERNEL_DENSE;
    if (alloc_channels(g->l, w->n_scales, g->numerics == NUMERICS_LITERT) < 0 || copy_bias(g, &d->bias) < 0) {
        return JF_E_NOMEM;
    }
    d->in_n = w->shape[1];
    d->out_n = w->shape[0];
    d->batch = x->elements / w->shape[1];
    d->in_zp = ir_zero_point(x);
    d->w_zp = ir_zero_point(w);
    d->weights = (const int8_t *)w->data;
    d->rq = requant_of(g);
    d->rq_step = w->n_scales > 1;
    return scale_channels(g, w->n_scales == 1);
}

int lower_pool(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    struct jfk_pool *k = &g->l->k.pool;
    g->l->kernel = g->n->op == IR_MAX_POOL ? KERNEL_MAX_POOL : KERNEL_AVERAGE_POOL;
    k->in_h = (int16_t)ir_dim(x, 2);
    k->in_w = (int16_t)ir_dim(x, 1);
    k->c = (int16_t)ir_dim(x, 0);
    k->out_h = (int16_t)ir_dim(o, 2);
    k->out_w = (int16_t)ir_dim(o, 1);
    k->k_h = (int16_t)g->n->filter_h;
    k->k_w = (int16_t)g->n->filter_w;
    k->stride_h = (int16_t)g->n->stride_h;
    k->stride_w = (int16_t)g->n->stride_w;
    k->pad_top = (int16_t)g->n->pad_top;
    k->pad_left = (int16_t)g->n->pad_left;
    lower_bounds(g->n->activation, o, &k->act_min, &k->act_max);
    return 0;
}

/* The same memory; a constant is copied. */
static int lower_reshape(const struct lowering *g) {
    if (lower_in(g, 0)->data) {
        return lower_move(g);
    }
    g->l->kernel = KERNEL_NONE;
    return 0;
}

static int lower_node(const struct lowering *g) {
    static int (*const rows[IR_OPS])(const struct lowering *) = {
        [IR_CONV] = lower_conv,         [IR_DEPTHWISE] = lower_conv,  [IR_DENSE] = lower_dense,     [IR_ADD] = lower_binary,           [IR_SUB] = lower_binary,
        [IR_MUL] = lower_binary,        [IR_AVERAGE_POOL] = lower_pool, [IR_MAX_POOL] = lower_pool, [IR_MEAN] = lower_mean,            [IR_RELU] = lower_table,
        [IR_RELU6] = lower_table,       [IR_LEAKY_RELU] = lower_table, [IR_LOGISTIC] = lower_table, [IR_TANH] = lower_table,           [IR_SOFTMAX] = lower_softmax,
        [IR_PAD] = lower_move,          [IR_CONCAT] = lower_move,     [IR_RESHAPE] = lower_reshape, [IR_TRANSPOSE] = lower_move,       [IR_SLICE] = lower_move,
        [IR_SPLIT] = lower_move,        [IR_QUANTIZE] = lower_table,  [IR_DEQUANTIZE] = lower_reshape, [IR_RESIZE_NEAREST] = lower_resize, [IR_RESIZE_BILINEAR] = lower_resize,
    };
    struct lowered_node *l = g->l;
    l->op = g->n->op;
    l->n_in = l->op == IR_CONV || l->op == IR_DEPTHWISE || l->op == IR_DENSE ? 1 : g->n->n_inputs;
    l->n_out = g->n->n_outputs;
    memcpy(l->in, g->n->inputs, sizeof l->in);
    memcpy(l->out, g->n->outputs, sizeof l->out);
    int r = rows[l->op](g);
    overlap_of_node(l, g->m);
    return r;
}

int program_lower_node(const struct ir_model *m, int node, enum numerics numerics, struct lowered_node *ret_l) {
    const struct lowering g = {m, &m->nodes[node], numerics, ret_l};
    memset(ret_l, 0, sizeof *ret_l);
    return lower_node(&g);
}

void program_free_node(struct lowered_node *l) {
    free(l->mult);
    free(l->shift);
    free(l->bias);
    free(l->scale);
    free(l->table);
    free(l->bytes);
    free(l->spread);
    free(l->moves);
    free(l->places);
}

int program_build(const struct ir_model *m, enum numerics numerics, struct program *ret_p, struct err *reterr) {
    struct program p = {.model = m, .numerics = numerics, .n_nodes = m->n_nodes};
    p.nodes = calloc((size_t)m->n_nodes, sizeof *p.nodes);
    p.offset = calloc((size_t)m->n_tensors, sizeof *p.offset);
    int r = p.nodes && p.offset ? 0 : JF_E_NOMEM;
    int at = 0;
    for (; at < m->n_nodes && r == 0; at++) {
        r = program_lower_node(m, at, numerics, &p.nodes[at]);
    }
    r = r < 0 ? r : program_plan(&p, true);
    if (r == JF_E_UNSUPPORTED) {
        (void)err_set(reterr, r, "node %d (%s): the ratio of its scales is beyond what its arithmetic can hold", at - 1, ir_op_name(m->nodes[at - 1].op));
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
        program_free_node(&p->nodes[i]);
    }
    free(p->nodes);
    free(p->offset);
    memset(p, 0, sizeof *p);
}
