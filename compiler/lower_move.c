/* SPDX-License-Identifier: GPL-2.0-or-later
 * Operators that only move values (PAD, CONCATENATION, TRANSPOSE, STRIDED_SLICE, SPLIT) as strided copies; and those that reduce or
 * interpolate (MEAN, RESIZE), and SOFTMAX. */
#include <math.h>
#include <stdlib.h>

#include "compiler/lower_int.h"

#if defined(__GNUC__) && !defined(__clang__)
/* What is allocated here belongs to the program's node and is freed by program_free_node(); the analyzer loses it. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static void natural_steps(int rank, const int32_t *shape, int32_t steps[IR_MAX_DIMS]) {
    int32_t step = 1;
    for (int d = IR_MAX_DIMS - 1; d >= 0; d--) {
        steps[d] = d < rank ? step : 0;
        step *= d < rank ? shape[d] : 1;
    }
}

/* Adjacent axes that both sides walk as one become one: longer rows. */
static void collapse(int *rank, int32_t *shape, int32_t *in, int32_t *out) {
    int to = 0;
    for (int d = 1; d < *rank; d++) {
        if (in[to] == in[d] * shape[d] && out[to] == out[d] * shape[d]) {
            shape[to] *= shape[d];
        } else {
            to++;
            shape[to] = shape[d];
        }
        in[to] = in[d];
        out[to] = out[d];
    }
    *rank = *rank > 0 ? to + 1 : 0;
}

static void put_move(struct jfk_move *k, int rank, const int32_t *shape_of, const int32_t *in_of, const int32_t *out_of) {
    int32_t shape[IR_MAX_DIMS] = {0}, in[IR_MAX_DIMS] = {0}, out[IR_MAX_DIMS] = {0};
    for (int d = 0; d < rank; d++) {
        shape[d] = shape_of[d];
        in[d] = in_of[d];
        out[d] = out_of[d];
    }
    collapse(&rank, shape, in, out);
    for (int d = 0; d < JFK_DIMS; d++) {
        int from = d - (JFK_DIMS - rank);
        k->shape[d] = from < 0 ? 1 : shape[from];
        k->in_step[d] = from < 0 ? 0 : in[from];
        k->out_step[d] = from < 0 ? 0 : out[from];
    }
}

static void move_transpose(const struct lowering *g, struct jfk_move *k) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    int32_t in[IR_MAX_DIMS], out[IR_MAX_DIMS], through[IR_MAX_DIMS] = {0};
    natural_steps(x->rank, x->shape, in);
    natural_steps(o->rank, o->shape, out);
    for (int d = 0; d < x->rank; d++) {
        through[d] = in[g->n->perm[d]];
    }
    put_move(k, o->rank, o->shape, through, out);
}

static void move_slice(const struct lowering *g, struct jfk_move *k) {
    const struct ir_tensor *x = lower_in(g, 0);
    int32_t in[IR_MAX_DIMS], out[IR_MAX_DIMS];
    natural_steps(x->rank, x->shape, in);
    natural_steps(x->rank, g->n->size, out);
    for (int d = 0; d < x->rank; d++) {
        k->in_at += g->n->begin[d] * in[d];
        in[d] *= g->n->step[d];
    }
    put_move(k, x->rank, g->n->size, in, out);
}

static void move_pad(const struct lowering *g, struct jfk_move *k) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    int32_t in[IR_MAX_DIMS], out[IR_MAX_DIMS];
    natural_steps(x->rank, x->shape, in);
    natural_steps(o->rank, o->shape, out);
    for (int d = 0; d < x->rank; d++) {
        k->out_at += g->n->begin[d] * out[d];
    }
    put_move(k, x->rank, x->shape, in, out);
    g->l->fill = true;
    g->l->fill_value = g->n->pad_value;
}

/* Part i of a larger tensor along one axis, beginning there at `from`: into it (CONCAT) or out of it (SPLIT). */
static void move_part(const struct ir_tensor *whole, const struct ir_tensor *part, int32_t axis, int32_t from, bool into, struct jfk_move *k) {
    int32_t w[IR_MAX_DIMS], p[IR_MAX_DIMS];
    natural_steps(whole->rank, whole->shape, w);
    natural_steps(part->rank, part->shape, p);
    *(into ? &k->out_at : &k->in_at) = from * w[axis];
    put_move(k, part->rank, part->shape, into ? p : w, into ? w : p);
}

int lower_move(const struct lowering *g) {
    struct lowered_node *l = g->l;
    l->kernel = KERNEL_MOVE;
    l->n_moves = g->n->op == IR_CONCAT ? g->n->n_inputs : g->n->n_outputs;
    l->moves = calloc((size_t)l->n_moves, sizeof *l->moves);
    if (!l->moves) {
        return JF_E_NOMEM;
    }
    const int32_t one = 1;
    int32_t from = 0;
    for (int i = 0; i < l->n_moves; i++) {
        struct jfk_move *k = &l->moves[i];
        switch (g->n->op) {
        case IR_RESHAPE: /* of a constant */
            put_move(k, 1, &lower_out(g)->elements, &one, &one);
            break;
        case IR_TRANSPOSE:
            move_transpose(g, k);
            break;
        case IR_SLICE:
            move_slice(g, k);
            break;
        case IR_PAD:
            move_pad(g, k);
            break;
        case IR_CONCAT:
            move_part(lower_out(g), lower_in(g, i), g->n->axis, from, true, k);
            from += lower_in(g, i)->shape[g->n->axis];
            break;
        default: /* SPLIT */
            move_part(lower_in(g, 0), &g->m->tensors[g->n->outputs[i]], g->n->axis, from, false, k);
            from += g->m->tensors[g->n->outputs[i]].shape[g->n->axis];
            break;
        }
    }
    return 0;
}

/* Division by the count goes into the multiplier, as in the reference: shifted left as far as it fits, divided, truncated. */
static void divide_multiplier(int32_t *mult, int8_t *shift, int32_t n) {
    int left = 0;
    while ((n >> left) > 1) {
        left++;
    }
    left = left < 31 + *shift ? left : 31 + *shift;
    *mult = (int32_t)(((int64_t)*mult << left) / n);
    *shift = (int8_t)(*shift - left);
}

/* Over height and width, with both kept as 1, XNNPACK's global average pool runs: one scale. Else TensorFlow Lite's own: the quotient of
 * floats, scaled, and a bias. */
static void mean_floats(const struct lowering *g, struct jfk_mean *k) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    if (x->rank == 4 && o->rank == 4 && g->n->axes == 6) {
        k->scale = ir_scale(x, 0) / (ir_scale(o, 0) * (float)k->n);
    } else {
        k->scale = ir_scale(x, 0) / ir_scale(o, 0);
        k->bias = -(float)ir_zero_point(x) * k->scale;
        k->quotient = 1;
    }
}

int lower_mean(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    struct jfk_mean *k = &g->l->k.mean;
    int32_t steps[IR_MAX_DIMS];
    g->l->kernel = KERNEL_MEAN;
    natural_steps(x->rank, x->shape, steps);
    k->n = 1;
    for (int d = 0; d < JFK_DIMS; d++) {
        int from = d - (JFK_DIMS - x->rank);
        bool there = from >= 0, cut = there && g->n->axes >> from & 1u;
        k->cut[d] = cut ? x->shape[from] : 1;
        k->cut_step[d] = cut ? steps[from] : 0;
        k->kept[d] = there && !cut ? x->shape[from] : 1;
        k->kept_step[d] = there && !cut ? steps[from] : 0;
        k->n *= k->cut[d];
    }
    double ratio = (double)ir_scale(x, 0) / (double)ir_scale(o, 0);
    if (!isfinite(ratio) || ratio >= 256.0) { /* 22 bits of count, 8 of a value, one of sign */
        return JF_E_UNSUPPORTED;
    }
    if (g->numerics == NUMERICS_LITERT) {
        mean_floats(g, k);
    }
    lower_multiplier(ratio, &k->mult, &k->shift);
    divide_multiplier(&k->mult, &k->shift, k->n);
    k->in_zp = ir_zero_point(x);
    k->out_zp = ir_zero_point(o);
    return 0;
}

int lower_softmax(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0);
    struct lowered_node *l = g->l;
    struct jfk_softmax *s = &l->k.softmax;
    double real = (double)g->n->beta * (double)ir_scale(x, 0) * (double)(1 << 26);
    l->kernel = KERNEL_SOFTMAX;
    s->n = ir_dim(x, 0);
    s->rows = x->elements / s->n;
    lower_multiplier(real < 2147483647.0 ? real : 2147483647.0, &s->mult, &s->shift);
    if (s->shift < 0) { /* an input scale below 2^-26: every difference counts as 0 */
        s->mult = 0;
        s->shift = 0;
    }
    double radius = 31.0 * (double)(1 << 26) / (double)(INT64_C(1) << s->shift);
    s->diff_min = -(int32_t)floor(radius);
    if (g->numerics == NUMERICS_LITERT) {
        l->table = calloc(256, sizeof *l->table);
        if (!l->table) {
            return JF_E_NOMEM;
        }
        if (!isfinite(ir_scale(x, 0) * g->n->beta)) {
            return JF_E_UNSUPPORTED;
        }
        for (int i = 0; i < 256; i++) {
            l->table[i] = expf(-ir_scale(x, 0) * g->n->beta * (float)i);
        }
        s->table = l->table;
    }
    return 0;
}

/* --- resizing: one axis at a time ------------------------------------------------------------------------------------- */

struct axis {
    int32_t in, out;
    bool align, half;
    int16_t *low, *high, *frac;
};

static void nearest_axis(const struct axis *a) {
    float scale = a->align && a->out > 1 ? (float)(a->in - 1) / (float)(a->out - 1) : (float)a->in / (float)a->out;
    for (int32_t i = 0; i < a->out; i++) {
        float at = ((float)i + (a->half ? 0.5f : 0.0f)) * scale;
        int32_t cell = (int32_t)(a->align ? roundf(at) : floorf(at));
        a->low[i] = (int16_t)(cell < a->in - 1 ? cell : a->in - 1);
    }
}

/* 10 fractional bits, all in integers: the reference's ResizeBilinearInteger. False: a cell beyond the input (sizes above some 2000). */
static bool bilinear_axis_tflm(const struct axis *a) {
    int32_t scale = ((1 << 10) * a->in + a->out / 2) / a->out;
    if (a->align && a->out > 1) {
        scale = ((1 << 10) * (a->in - 1) + (a->out - 1) / 2) / (a->out - 1);
    }
    for (int32_t i = 0; i < a->out; i++) {
        int64_t at = (int64_t)i * scale + (a->half ? scale / 2 - (1 << 9) : 0);
        int64_t low = at / (1 << 10) > 0 ? at / (1 << 10) : 0, high = (at + (1 << 10) - 1) / (1 << 10);
        high = high < a->in - 1 ? high : a->in - 1;
        if (low > a->in - 1) {
            return false;
        }
        a->low[i] = (int16_t)low;
        a->high[i] = (int16_t)high;
        a->frac[i] = (int16_t)(at - low * (1 << 10));
    }
    return true;
}

/* 11 fractional bits from floats: XNNPACK's indirection_init_resize_bilinear2d_hwc_q11. */
static void bilinear_axis_litert(const struct axis *a) {
    int32_t less = a->align && a->out != 1;
    float scale = (float)(a->in - less) / (float)(a->out - less), offset = a->half ? 0.5f * scale - 0.5f : 0.0f;
    for (int32_t i = 0; i < a->out; i++) {
        float at = (float)i * scale + offset;
        at = at < 0.0f ? 0.0f : at;
        at = at > (float)(a->in - 1) ? (float)(a->in - 1) : at;
        int32_t low = (int32_t)at;
        a->low[i] = (int16_t)low;
        a->high[i] = (int16_t)(low + 1 < a->in - 1 ? low + 1 : a->in - 1);
        a->frac[i] = (int16_t)lrintf((at - (float)low) * 2048.0f);
    }
}

int lower_resize(const struct lowering *g) {
    const struct ir_tensor *x = lower_in(g, 0), *o = lower_out(g);
    struct lowered_node *l = g->l;
    struct jfk_resize *k = &l->k.resize;
    bool nearest = g->n->op == IR_RESIZE_NEAREST, fits = true;
    *k = (struct jfk_resize){.in_h = (int16_t)ir_dim(x, 2), .in_w = (int16_t)ir_dim(x, 1), .c = (int16_t)ir_dim(x, 0), .out_h = (int16_t)ir_dim(o, 2), .out_w = (int16_t)ir_dim(o, 1)};
    l->kernel = nearest ? KERNEL_RESIZE_NEAREST : KERNEL_RESIZE_BILINEAR;
    int32_t n = (int32_t)k->out_h + k->out_w;
    l->places = calloc((size_t)n * 3, sizeof *l->places);
    if (!l->places) {
        return JF_E_NOMEM;
    }
    const struct axis axes[2] = {{k->in_h, k->out_h, g->n->align_corners, g->n->half_pixel, l->places, l->places + n, l->places + 2 * (size_t)n},
                                 {k->in_w, k->out_w, g->n->align_corners, g->n->half_pixel, l->places + k->out_h, l->places + n + k->out_h, l->places + 2 * (size_t)n + k->out_h}};
    for (int i = 0; i < 2; i++) {
        if (nearest) {
            nearest_axis(&axes[i]);
        } else if (g->numerics == NUMERICS_TFLM) {
            fits = fits && bilinear_axis_tflm(&axes[i]);
        } else {
            bilinear_axis_litert(&axes[i]);
        }
    }
    k->frac_bits = g->numerics == NUMERICS_TFLM ? 10 : 11;
    k->y = axes[0].low;
    k->y1 = axes[0].high;
    k->y_frac = axes[0].frac;
    k->x = axes[1].low;
    k->x1 = axes[1].high;
    k->x_frac = axes[1].frac;
    return fits ? 0 : JF_E_UNSUPPORTED;
}
