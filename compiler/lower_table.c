/* SPDX-License-Identifier: GPL-2.0-or-later
 * Operators of one operand that treat elements alike, as 256 results: RELU, RELU6, LEAKY_RELU, LOGISTIC, TANH, QUANTIZE. The rules are those of
 * TensorFlow Lite for Microcontrollers' reference kernels (tflm); of XNNPACK and of the tables that TensorFlow Lite makes for LOGISTIC and TANH
 * (litert). */
#include <math.h>
#include <stdlib.h>

#include "compiler/lower_int.h"
#include "firmware/runtime/jf_fixed.h"

static int8_t clamped(int64_t v, int32_t lo, int32_t hi) { return (int8_t)(v < lo ? lo : v > hi ? hi : v); }

/* A multiplier for values of 9 bits. */
static int ratio_of(double real, int32_t *mult, int8_t *shift) {
    if (!isfinite(real) || fabs(real) >= 0x1p22) {
        return JF_E_UNSUPPORTED;
    }
    lower_multiplier(real, mult, shift);
    return 0;
}

static int fill_rescaled(const struct lowering *g, int8_t *table) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    bool relu = g->n->op == IR_RELU;
    double ratio = relu ? (double)(ir_scale(x, 0) / ir_scale(o, 0)) : (double)ir_scale(x, 0) / (double)ir_scale(o, 0);
    int32_t mult, zx = ir_zero_point(x), zo = ir_zero_point(o);
    int8_t shift;
    int r = ratio_of(ratio, &mult, &shift);
    for (int32_t q = -128; q < 128 && r == 0; q++) {
        table[q + 128] = clamped((int64_t)zo + jfk_multiply(q - zx, mult, shift), relu ? zo : -128, 127);
    }
    return r;
}

/* XNNPACK scales values of eight bits by multipliers with eight fractional ones, rounded half up (qs8-vcvt, qs8-vlrelu). Ratios beyond its limits
 * are left to TensorFlow Lite's own kernels. */
static bool eighths(float ratio) { return fabsf(ratio) >= 0x1.0p-8f && ratio <= 128.0f && ratio >= -127.99609375f; }

static void fill_eighths(const struct lowering *g, float positive, float negative, int8_t *table) {
    int32_t up = (int32_t)lrintf(256.0f * positive), down = (int32_t)lrintf(256.0f * negative), zx = ir_zero_point(lower_in(g, 0));
    for (int32_t q = -128; q < 128; q++) {
        int32_t v = (q - zx) * (q >= zx ? up : down);
        table[q + 128] = clamped(((v + 128) >> 8) + ir_zero_point(lower_out(g)), -128, 127);
    }
}

static int fill_quantize(const struct lowering *g, int8_t *table) {
    float ratio = ir_scale(lower_in(g, 0), 0) / ir_scale(lower_out(g), 0);
    if (g->numerics == NUMERICS_TFLM || !eighths(ratio)) {
        return fill_rescaled(g, table);
    }
    fill_eighths(g, ratio, ratio, table);
    return 0;
}

static int fill_relu6(const struct lowering *g, int8_t *table) {
    int32_t lo, hi;
    lower_bounds(IR_ACT_RELU6, lower_out(g), &lo, &hi);
    for (int32_t q = -128; q < 128; q++) {
        table[q + 128] = clamped(q, lo, hi);
    }
    return 0;
}

static int fill_leaky(const struct lowering *g, int8_t *table) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    int32_t same, leak, zx = ir_zero_point(x), zo = ir_zero_point(o);
    int8_t same_shift, leak_shift;
    float positive = ir_scale(x, 0) / ir_scale(o, 0), negative = positive * g->n->alpha;
    if (g->numerics == NUMERICS_LITERT && eighths(positive) && eighths(negative)) {
        fill_eighths(g, positive, negative, table);
        return 0;
    }
    int r = ratio_of((double)(ir_scale(x, 0) / ir_scale(o, 0)), &same, &same_shift);
    r = r < 0 ? r : ratio_of((double)(ir_scale(x, 0) * g->n->alpha / ir_scale(o, 0)), &leak, &leak_shift);
    for (int32_t q = -128; q < 128 && r == 0; q++) {
        int32_t v = q - zx;
        int64_t scaled = v >= 0 ? jfk_multiply(v, same, same_shift) : leak < 0 ? -(int64_t)jfk_multiply(v, -leak, leak_shift) : jfk_multiply(v, leak, leak_shift);
        table[q + 128] = clamped(zo + scaled, -128, 127);
    }
    return r;
}

static int32_t fixed_logistic(int32_t a) { /* Q4 -> Q0 */
    int32_t positive = jfk_reciprocal(jfk_exp_negative(a > 0 ? -a : a, 4));
    return a == 0 ? INT32_C(1) << 30 : a > 0 ? positive : INT32_MAX - positive;
}

static int32_t fixed_tanh(int32_t a) { /* Q4 -> Q0; the doubled argument has five integer bits */
    int32_t t = jfk_shift_left_saturating(jfk_twice_reciprocal(jfk_exp_negative(a > 0 ? -a : a, 5)) - (INT32_C(1) << 29), 2);
    return a == 0 ? 0 : a < 0 ? -t : t;
}

static int fill_fixed(const struct lowering *g, int8_t *table) {
    const struct ir_tensor *x = lower_in(g, 0);
    bool tanh = g->n->op == IR_TANH;
    int32_t mult, zx = ir_zero_point(x);
    int8_t shift;
    lower_multiplier((double)ir_scale(x, 0) * (double)(1 << 27), &mult, &shift);
    double radius = floor(ldexp(15.0 * (double)(1 << 27), -shift));
    for (int32_t q = -128; q < 128; q++) {
        int32_t v = q - zx, out = -128;
        if (v > -radius && v < radius) {
            int32_t a = jfk_multiply(v, mult, shift);
            out = tanh ? jfk_round_shift(fixed_tanh(a), 31 - 7) : jfk_round_shift(fixed_logistic(a), 31 - 8) - 128;
        } else if (v > -radius) {
            out = 127;
        }
        table[q + 128] = clamped(out, -128, 127);
    }
    return 0;
}

static int fill_float(const struct lowering *g, int8_t *table) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    for (int32_t q = -128; q < 128; q++) {
        float v = ir_scale(x, 0) * (float)(q - ir_zero_point(x));
        float y = g->n->op == IR_TANH ? tanhf(v) : 1.0f / (1.0f + (float)exp(-(double)v));
        table[q + 128] = clamped((int64_t)roundf(y * (1.0f / ir_scale(o, 0))) + ir_zero_point(o), -128, 127);
    }
    return 0;
}

int lower_table(const struct lowering *g) {
    struct lowered_node *l = g->l;
    l->bytes = calloc(256, 1);
    if (!l->bytes) {
        return JF_E_NOMEM;
    }
    l->kernel = KERNEL_TABLE;
    l->k.table = (struct jfk_table){lower_out(g)->elements, l->bytes};
    switch (g->n->op) {
    case IR_RELU6:
        return fill_relu6(g, l->bytes);
    case IR_LEAKY_RELU:
        return fill_leaky(g, l->bytes);
    case IR_LOGISTIC:
    case IR_TANH:
        return g->numerics == NUMERICS_TFLM ? fill_fixed(g, l->bytes) : fill_float(g, l->bytes);
    case IR_QUANTIZE:
        return fill_quantize(g, l->bytes);
    default: /* RELU */
        return fill_rescaled(g, l->bytes);
    }
}
