/* SPDX-License-Identifier: GPL-2.0-or-later
 * Requantization to powers of two (compiler/requant.h). */
#include "compiler/requant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_POWER (-1000)

int requant_exponent(float scale) {
    int e = 0;
    float f = frexpf(scale, &e);
    return f == 0.5f ? e - 1 : NOT_POWER;
}

/* Operators whose outputs are quantized as their inputs. */
static bool keeps_quantization(enum ir_op op) {
    switch (op) {
    case IR_AVERAGE_POOL:
    case IR_MAX_POOL:
    case IR_PAD:
    case IR_CONCAT:
    case IR_RESHAPE:
    case IR_TRANSPOSE:
    case IR_SLICE:
    case IR_SPLIT:
    case IR_RESIZE_NEAREST:
    case IR_RESIZE_BILINEAR:
        return true;
    default:
        return false;
    }
}

static bool fixed_output(enum ir_op op) { return op == IR_SOFTMAX || op == IR_LOGISTIC || op == IR_TANH; }

/* ---- groups of tensors that are quantized alike: a forest, the root stands for the group --------------------------- */
static int root_of(int *up, int i) {
    while (up[i] != i) {
        up[i] = up[up[i]];
        i = up[i];
    }
    return i;
}

static void group(const struct ir_model *m, int *up) {
    for (int i = 0; i < m->n_tensors; i++) {
        up[i] = i;
    }
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        if (!keeps_quantization(n->op)) {
            continue;
        }
        int first = root_of(up, n->inputs[0]);
        for (int k = 1; k < n->n_inputs; k++) {
            if (n->inputs[k] >= 0) {
                up[root_of(up, n->inputs[k])] = first;
            }
        }
        for (int k = 0; k < n->n_outputs; k++) {
            up[root_of(up, n->outputs[k])] = first;
        }
    }
}

/* ---- one tensor ---------------------------------------------------------------------------------------------------- */
static double scale_at(const struct ir_tensor *t, int64_t element) {
    if (t->n_scales <= 1) {
        return (double)ir_scale(t, 0);
    }
    int64_t inner = 1;
    for (int d = t->rank - 1; d > t->axis; d--) {
        inner *= t->shape[d];
    }
    return (double)ir_scale(t, (int32_t)(element / inner % t->n_scales));
}

static int zero_at(const struct ir_tensor *t, int64_t element) {
    if (!t->zero_points || t->n_scales == 0) {
        return 0;
    }
    return t->n_scales == 1 ? t->zero_points[0] : t->zero_points[element % t->n_scales];
}

/* Smallest e with value <= 127 * 2^e (+ half a step: rounding does not saturate). */
static int exponent_for(double value) {
    if (!(value > 0)) {
        return -7;
    }
    int e = (int)ceil(log2(value / 127.5));
    while (value > 127.5 * ldexp(1, e)) {
        e++;
    }
    return e < -60 ? -60 : e > 60 ? 60 : e;
}

static double representable(const struct ir_tensor *t) {
    double s = (double)ir_scale(t, 0);
    int z = ir_zero_point(t);
    return fmax((127 - z) * s, (128 + z) * s);
}

static double largest_constant(const struct ir_tensor *t) {
    double m = 0;
    for (int64_t k = 0; k < t->elements; k++) {
        m = fmax(m, fabs(((int8_t)t->data[k] - zero_at(t, k)) * scale_at(t, k)));
    }
    return m;
}

static int set_scale(struct ir_model *m, int tensor, int exponent, struct err *reterr) {
    float *s = ir_alloc(m, sizeof *s);
    int32_t *z = ir_alloc(m, sizeof *z);
    if (!s || !z) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    *s = (float)ldexp(1, exponent);
    struct ir_tensor *t = &m->tensors[tensor];
    t->scales = s;
    t->zero_points = z;
    t->n_scales = 1;
    t->axis = 0;
    return 0;
}

/* Constant int8 data at the new scale 2^e. */
static int move_constant(struct ir_model *m, int tensor, int exponent, struct err *reterr) {
    const struct ir_tensor old = m->tensors[tensor];
    int8_t *q = ir_alloc(m, (size_t)old.elements);
    if (!q) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int64_t k = 0; k < old.elements; k++) {
        double v = rint(((int8_t)old.data[k] - zero_at(&old, k)) * scale_at(&old, k) / ldexp(1, exponent));
        q[k] = (int8_t)fmin(fmax(v, -127), 127);
    }
    m->tensors[tensor].data = (const uint8_t *)q;
    return set_scale(m, tensor, exponent, reterr);
}

/* The bias of a product whose operands have their new scales; `unit`: the old scale of channel k. */
static int move_bias(struct ir_model *m, int bias, int x, int w, struct err *reterr) {
    const struct ir_tensor old = m->tensors[bias];
    double product = (double)ir_scale(&m->tensors[x], 0) * (double)ir_scale(&m->tensors[w], 0);
    int32_t *b = ir_alloc(m, (size_t)old.elements * sizeof *b);
    if (!b) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int32_t k = 0; k < old.elements; k++) {
        double v = rint(ir_const_i32(&old, k) * scale_at(&old, k) / product);
        if (!(fabs(v) <= 2147483647.0)) {
            return err_set(reterr, JF_E_UNSUPPORTED, "'%s': value %d leaves int32 at the scale %g", old.name, k, product);
        }
        b[k] = (int32_t)v;
    }
    m->tensors[bias].data = (const uint8_t *)b;
    return set_scale(m, bias, requant_exponent((float)product), reterr);
}

/* ---- the model ----------------------------------------------------------------------------------------------------- */
/* Largest value of every group, at its root; NAN: the group is fixed. */
static void measure_groups(const struct ir_model *m, const double *max_abs, int *up, double *largest) {
    group(m, up);
    for (int i = 0; i < m->n_tensors; i++) {
        const struct ir_tensor *t = &m->tensors[i];
        if (t->type != IR_I8 || t->n_scales == 0) {
            continue;
        }
        double v = t->data ? largest_constant(t) : max_abs && max_abs[i] > 0 ? max_abs[i] : representable(t);
        int r = root_of(up, i);
        largest[r] = fmax(largest[r], v);
    }
    for (int i = 0; i < m->n_nodes; i++) {
        if (fixed_output(m->nodes[i].op)) {
            largest[root_of(up, m->nodes[i].output)] = NAN;
        }
    }
}

static bool is_weight(const struct ir_node *n, int k) { return k == 1 && (n->op == IR_CONV || n->op == IR_DEPTHWISE || n->op == IR_DENSE); }

static int move_tensors(struct ir_model *m, int *up, const double *largest, bool *done, struct err *reterr) {
    int r = 0;
    for (int i = 0; r >= 0 && i < m->n_tensors; i++) {
        const struct ir_tensor *t = &m->tensors[i];
        double v = largest[root_of(up, i)];
        if (t->type != IR_I8 || t->n_scales == 0 || isnan(v)) {
            continue;
        }
        r = t->data ? move_constant(m, i, exponent_for(v), reterr) : set_scale(m, i, exponent_for(v), reterr);
        done[i] = r >= 0;
    }
    return r;
}

int requant_power_of_two(struct ir_model *m, const double *max_abs, struct err *reterr) {
    size_t n = (size_t)m->n_tensors;
    int *up = calloc(n, sizeof *up);
    double *largest = calloc(n, sizeof *largest), *pad = calloc((size_t)m->n_nodes, sizeof *pad);
    bool *done = calloc(n, sizeof *done);
    if (!up || !largest || !done || !pad) {
        free(up);
        free(largest);
        free(done);
        free(pad);
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    measure_groups(m, max_abs, up, largest);
    for (int i = 0; i < m->n_nodes; i++) { /* a padding cell's real value, before the scales change */
        const struct ir_tensor *x = &m->tensors[m->nodes[i].inputs[0]];
        pad[i] = m->nodes[i].op == IR_PAD ? (m->nodes[i].pad_value - ir_zero_point(x)) * (double)ir_scale(x, 0) : 0;
    }
    int r = move_tensors(m, up, largest, done, reterr);
    for (int i = 0; r >= 0 && i < m->n_nodes; i++) {
        struct ir_node *nd = &m->nodes[i];
        if (nd->op == IR_PAD) {
            const struct ir_tensor *x = &m->tensors[nd->inputs[0]];
            double q = rint(pad[i] / (double)ir_scale(x, 0)) + ir_zero_point(x);
            nd->pad_value = (int32_t)fmin(fmax(q, -128), 127);
        }
        if (is_weight(nd, 1) && nd->n_inputs > 2 && nd->inputs[2] >= 0 && !done[nd->inputs[2]]) {
            done[nd->inputs[2]] = true; /* a bias that two nodes share has one scale: the second node is refused by ir_check */
            r = move_bias(m, nd->inputs[2], nd->inputs[0], nd->inputs[1], reterr);
        }
    }
    free(up);
    free(largest);
    free(done);
    free(pad);
    return r < 0 ? r : ir_check(m, reterr);
}
