/* SPDX-License-Identifier: GPL-2.0-or-later
 * ADD, SUB and MUL: scales, broadcasting, and the table that an operation with one constant becomes. */
#include <math.h>
#include <stdlib.h>

#include "compiler/lower_int.h"

#if defined(__GNUC__) && !defined(__clang__)
/* What is allocated here belongs to the program's node and is freed by program_free_node(); the analyzer loses it. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* XNNPACK's own limits of an addition's input to output scale (xnn_create_add_nd_qs8) and of a product's (xnn_create_multiply_nd_qs8): what is
 * beyond them, TensorFlow Lite computes itself, as `tflm` does. */
static bool add_ratio_ok(float ratio) { return ratio >= 0x1.0p-10f && ratio < 0x1.0p+8f; }
static bool mul_ratio_ok(float ratio) { return ratio >= 0x1.0p-16f && ratio < 0x1.0p+8f; }

/* Fixed point as XNNPACK does it: multipliers of at most 21 bits, the larger with exactly 21 (microparams-init: qs8_add_minmax). */
static void add_single(struct jfk_add *k, float a, float b) {
    int exponent;
    (void)frexpf(a > b ? a : b, &exponent);
    int shift = 20 - (exponent - 1);
    k->a_mult = (int32_t)lrintf(ldexpf(a, shift));
    k->b_mult = (int32_t)lrintf(ldexpf(b, shift)) * (k->subtract ? -1 : 1);
    k->out_shift = (int8_t)shift;
    k->out_mult = 0;
    k->a_shift = k->b_shift = 0;
}

static int arguments_add(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *y = lower_in(g, 1), *o = lower_out(g);
    struct jfk_add *a = &g->l->k.add;
    float fx = ir_scale(x, 0), fy = ir_scale(y, 0), fo = ir_scale(o, 0);
    double twice = 2.0 * (double)(fx > fy ? fx : fy);
    a->n = o->elements;
    a->a_zp = ir_zero_point(x);
    a->b_zp = ir_zero_point(y);
    a->out_zp = ir_zero_point(o);
    a->left_shift = 20;
    a->subtract = g->n->op == IR_SUB;
    lower_bounds(g->n->activation, o, &a->act_min, &a->act_max);
    if (g->numerics == NUMERICS_LITERT && add_ratio_ok(fx / fo) && add_ratio_ok(fy / fo)) {
        add_single(a, fx / fo, fy / fo);
        return 0;
    }
    double mx = (double)fx / twice, my = (double)fy / twice, mo = twice / ((double)(1 << 20) * (double)fo);
    if (a->subtract) { /* the reference's SUB divides floats */
        float twice_f = (float)twice;
        mx = (double)(fx / twice_f);
        my = (double)(fy / twice_f);
        mo = (double)(twice_f / ((float)(1 << 20) * fo));
    }
    if (!isfinite(mo) || mo >= 1.0 || !isfinite(mx) || !isfinite(my) || mo <= 0.0) { /* the reference requires multipliers below one */
        return JF_E_UNSUPPORTED;
    }
    lower_multiplier(mx, &a->a_mult, &a->a_shift);
    lower_multiplier(my, &a->b_mult, &a->b_shift);
    lower_multiplier(mo, &a->out_mult, &a->out_shift);
    if (a->out_mult == 0) { /* everything rounds to 0; out_mult 0 would mean litert */
        a->out_mult = 1;
        a->out_shift = -31;
    }
    return 0;
}

static int arguments_mul(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *y = lower_in(g, 1), *o = lower_out(g);
    struct jfk_mul *k = &g->l->k.mul;
    double real = (double)ir_scale(x, 0) * (double)ir_scale(y, 0) / (double)ir_scale(o, 0);
    float single = ir_scale(x, 0) * ir_scale(y, 0) / ir_scale(o, 0);
    if (!isfinite(single) || real >= 0x1p15) { /* a product has 16 bits and a sign */
        return JF_E_UNSUPPORTED;
    }
    k->n = o->elements;
    k->a_zp = ir_zero_point(x);
    k->b_zp = ir_zero_point(y);
    k->out_zp = ir_zero_point(o);
    lower_bounds(g->n->activation, o, &k->act_min, &k->act_max);
    lower_multiplier(real, &k->mult, &k->shift);
    k->scale = g->numerics == NUMERICS_LITERT && mul_ratio_ok(single) ? single : 0.0f;
    return 0;
}

static void steps_of(const struct ir_tensor *t, int32_t steps[JFK_DIMS]) {
    int32_t step = 1;
    for (int d = 0; d < JFK_DIMS; d++) { /* from the last axis */
        int32_t cells = ir_dim(t, d);
        steps[JFK_DIMS - 1 - d] = cells == 1 ? 0 : step;
        step *= cells;
    }
}

static int spread_of(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *y = lower_in(g, 1), *o = lower_out(g);
    if (x->elements == o->elements && y->elements == o->elements) {
        return 0;
    }
    struct jfk_spread *s = calloc(1, sizeof *s);
    if (!s) {
        return JF_E_NOMEM;
    }
    g->l->spread = s;
    for (int d = 0; d < JFK_DIMS; d++) {
        s->shape[JFK_DIMS - 1 - d] = ir_dim(o, d);
    }
    steps_of(x, s->a_step);
    steps_of(y, s->b_step);
    if (g->n->op == IR_MUL) {
        g->l->k.mul.spread = s;
    } else {
        g->l->k.add.spread = s;
    }
    return 0;
}

static void combine(const struct lowering *g, const int8_t *a, const int8_t *b, int8_t *out) {
    if (g->n->op == IR_MUL) {
        struct jfk_mul k = g->l->k.mul;
        k.n = 1;
        jfk_mul(&k, a, b, out);
    } else {
        struct jfk_add k = g->l->k.add;
        k.n = 1;
        jfk_add(&k, a, b, out);
    }
}

/* With one constant value, 256 results say all: exact, and one load an element. */
static int table_of(const struct lowering *g, int constant) {
    struct lowered_node *l = g->l;
    const int8_t value = (int8_t)lower_in(g, constant)->data[0];
    l->bytes = calloc(256, 1);
    if (!l->bytes) {
        return JF_E_NOMEM;
    }
    for (int q = -128; q < 128; q++) {
        int8_t x = (int8_t)q;
        combine(g, constant == 0 ? &value : &x, constant == 0 ? &x : &value, &l->bytes[q + 128]);
    }
    l->kernel = KERNEL_TABLE;
    l->in[0] = g->n->inputs[1 - constant];
    l->n_in = 1;
    l->k.table = (struct jfk_table){lower_out(g)->elements, l->bytes};
    return 0;
}

int lower_binary(const struct lowering *g) {
    bool mul = g->n->op == IR_MUL;
    int r = mul ? arguments_mul(g) : arguments_add(g);
    g->l->kernel = mul ? KERNEL_MUL : KERNEL_ADD;
    for (int k = 1; r == 0 && k >= 0; k--) {
        if (lower_in(g, k)->data && lower_in(g, k)->elements == 1 && !lower_in(g, 1 - k)->data) {
            return table_of(g, k);
        }
    }
    return r < 0 ? r : spread_of(g);
}
