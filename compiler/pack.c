/* SPDX-License-Identifier: GPL-2.0-or-later
 * Weight orders of firmware/runtime/jf_dsp.h and jf_mve.h, and the place of scratch memory (compiler/pack.h). */
#include "compiler/pack.h"

#include <stdlib.h>
#include <string.h>

#include "firmware/runtime/jf_dsp.h"
#include "firmware/runtime/jf_mve.h"

#define ACCUMULATOR_LIMIT (INT64_C(1) << 30) /* jf_dsp.h: an accumulator is doubled before the rounding multiplication */
#define SCRATCH_ALIGN 8

/* A matrix of weights, whatever the operator: at[row * row_step + col * col_step]; a row makes one output channel. */
struct matrix {
    const int8_t *at;
    int32_t rows, cols, row_step, col_step;
    bool *constant; /* rows that count as 0: see fold() */
};

static int weight(const struct matrix *m, int32_t row, int32_t col) {
    return row < m->rows && col < m->cols && !m->constant[row] ? m->at[(size_t)row * (size_t)m->row_step + (size_t)col * (size_t)m->col_step] : 0;
}

static int32_t round_up(int32_t n, int32_t to) { return (n + to - 1) / to * to; }

/* Blocks of `rows` rows; in a block, for every `cols` columns, these columns of its first row, of its second, ... Missing ones are 0. */
static int pack_weights(const struct matrix *m, int32_t rows, int32_t cols, struct packed_node *n) {
    int64_t bytes = (int64_t)round_up(m->rows, rows) * round_up(m->cols, cols);
    n->weights = bytes <= INT32_MAX ? malloc((size_t)bytes) : NULL;
    if (!n->weights) {
        return JF_E_NOMEM;
    }
    n->n_weights = (int32_t)bytes;
    int8_t *to = n->weights;
    for (int32_t row = 0; row < m->rows; row += rows) {
        for (int32_t col = 0; col < m->cols; col += cols) {
            for (int32_t r = row; r < row + rows; r++) {
                for (int32_t c = col; c < col + cols; c++) {
                    *to++ = (int8_t)weight(m, r, c);
                }
            }
        }
    }
    return 0;
}

/* A channel whose accumulators, from lo to hi, all give one output (dead channels have weights of 0 and a bias of 2^30): weights 0, bias four times
 * the answer, scale 1/4. False: not constant. */
static bool fold_constant(const struct matrix *m, int32_t row, const struct jfk_requant *q, int64_t lo, int64_t hi, struct packed_node *n) {
    int8_t low = jfk_requantize(q, (int32_t)lo, row); /* both fit: checked with the model */
    if (low != jfk_requantize(q, (int32_t)hi, row)) {
        return false;
    }
    m->constant[row] = true;
    n->bias[row] = 4 * (low - q->out_zp);
    n->mult[row] = 1 << 30;
    n->shift[row] = -1;
    return true;
}

/* Bias and scales of the packed kernel. With limit, false when an accumulator that is scaled down may reach it. */
static bool fold(const struct matrix *m, const struct jfk_requant *q, const int32_t *bias, int32_t zp, bool limit, struct packed_node *n) {
    int64_t most = zp + 128 > 127 - zp ? zp + 128 : 127 - zp;
    for (int32_t row = 0; row < m->rows; row++) {
        int64_t sum = 0, size = 0, b = bias ? bias[row] : 0;
        for (int32_t col = 0; col < m->cols; col++) {
            int w = weight(m, row, col); /* -128..127 */
            sum += w;
            size += w < 0 ? -w : w;
        }
        size *= most;
        n->bias[row] = (int32_t)(uint32_t)(b - zp * sum);
        bool small = !limit || llabs(b) + size < ACCUMULATOR_LIMIT || q->scale || q->shift[row < n->n_mult ? row : 0] >= 0;
        if (!small && (n->n_mult != m->rows || !fold_constant(m, row, q, b - size, b + size, n))) {
            return false;
        }
    }
    return true;
}

/* What a kernel wants: weights by `rows` outputs and `cols` taps (rows 0: all), limit: are its accumulators doubled? */
struct order {
    enum isa isa;
    int32_t rows, cols;
    bool limit;
};

/* n_mult: length of q's arrays. A node that cannot be packed stays ISA_PORTABLE. */
static int pack_node(struct matrix m, const struct order *o, const struct jfk_requant *q, int32_t n_mult, const int32_t *bias, int32_t zp, struct packed_node *n) {
    m.constant = calloc((size_t)m.rows, sizeof *m.constant);
    n->bias = calloc((size_t)m.rows, sizeof *n->bias);
    n->mult = calloc((size_t)n_mult, sizeof *n->mult);
    n->shift = calloc((size_t)n_mult, sizeof *n->shift);
    n->n_bias = m.rows;
    n->n_mult = n_mult;
    int r = m.constant && n->bias && n->mult && n->shift ? 0 : JF_E_NOMEM;
    if (r == 0) {
        memcpy(n->mult, q->mult, (size_t)n_mult * sizeof *n->mult);
        memcpy(n->shift, q->shift, (size_t)n_mult * sizeof *n->shift);
        if (fold(&m, q, bias, zp, o->limit, n)) {
            n->isa = o->isa;
            r = pack_weights(&m, o->rows ? o->rows : m.rows, o->cols, n);
        } else {
            n->scratch_bytes = 0;
        }
    }
    free(m.constant);
    return r;
}

static int pack(const struct lowered_node *l, enum isa isa, struct packed_node *n) {
    static const struct order conv[] = {{ISA_DSP, 2, 4, true}, {ISA_MVE, 4, 16, false}};
    static const struct order depthwise[] = {{ISA_DSP, 4, 1, true}, {ISA_MVE, 0, 1, false}};
    static const struct order dense[] = {{ISA_DSP, 4, 4, true}, {ISA_MVE, 4, 16, false}};
    const int which = isa == ISA_DSP ? 0 : 1;
    const struct jfk_conv *c = &l->k.conv;
    const struct jfk_dense *d = &l->k.dense;
    const struct jfk_add *a = &l->k.add;
    int32_t taps = l->kernel == KERNEL_CONV || l->kernel == KERNEL_DEPTHWISE ? (int32_t)c->k_h * c->k_w : 0;
    if (l->kernel == KERNEL_CONV) {
        int32_t cols = taps * c->in_c;
        const struct matrix m = {c->weights, c->out_c, cols, cols, 1, NULL};
        n->scratch_bytes = isa == ISA_DSP ? JFD_CONV_SCRATCH(cols, c->in_c) : JFV_CONV_SCRATCH(cols);
        return pack_node(m, &conv[which], &c->rq, l->channels, c->bias, c->in_zp, n);
    }
    if (l->kernel == KERNEL_DEPTHWISE && c->depth_mult == 1) {
        const struct matrix m = {c->weights, c->out_c, taps, 1, c->out_c, NULL};
        n->scratch_bytes = isa == ISA_DSP ? JFD_DEPTHWISE_SCRATCH(taps, c->in_c) : JFV_DEPTHWISE_SCRATCH(taps, c->in_c);
        return pack_node(m, &depthwise[which], &c->rq, l->channels, c->bias, c->in_zp, n);
    }
    if (l->kernel == KERNEL_DENSE && d->w_zp == 0) {
        const struct matrix m = {d->weights, d->out_n, d->in_n, d->in_n, 1, NULL};
        return pack_node(m, &dense[which], &d->rq, l->channels, d->bias, d->in_zp, n);
    }
    if (l->kernel == KERNEL_ADD && isa == ISA_DSP) {
        n->isa = a->out_mult != 0 && !a->spread && a->a_shift <= 0 && a->b_shift <= 0 && a->out_shift <= 0 ? ISA_DSP : ISA_PORTABLE;
    }
    return 0;
}

/* Is the tensor's memory in use while node i runs? */
static bool alive(const struct program *p, int tensor, int i) {
    const struct ir_tensor *t = &p->model->tensors[tensor];
    int last = tensor == p->model->output ? p->n_nodes : t->last_use;
    return p->offset[tensor] >= 0 && t->producer <= i && (last >= i || t->producer == i);
}

/* The lowest place where the node's scratch meets no living tensor: 0 or a tensor's end. */
static void place_scratch(const struct program *p, int i, struct packed_node *n) {
    const struct ir_tensor *t = p->model->tensors;
    int32_t best = INT32_MAX;
    for (int candidate = -1; candidate < p->model->n_tensors; candidate++) {
        if (candidate >= 0 && !alive(p, candidate, i)) {
            continue;
        }
        int32_t at = candidate < 0 ? 0 : round_up(p->offset[candidate] + t[candidate].elements, SCRATCH_ALIGN);
        bool free_there = at < best;
        for (int k = 0; free_there && k < p->model->n_tensors; k++) {
            free_there = !alive(p, k, i) || p->offset[k] >= at + n->scratch_bytes || p->offset[k] + t[k].elements <= at;
        }
        best = free_there ? at : best;
    }
    n->scratch_at = best;
}

int packing_build(const struct program *p, enum isa isa, struct packing *ret_k, struct err *reterr) {
    struct packing k = {.isa = isa, .n_nodes = p->n_nodes, .arena_bytes = p->arena_bytes};
    k.nodes = calloc((size_t)p->n_nodes + 1, sizeof *k.nodes);
    int r = k.nodes ? 0 : JF_E_NOMEM;
    for (int i = 0; i < p->n_nodes && r == 0; i++) {
        struct packed_node *n = &k.nodes[i];
        r = isa != ISA_PORTABLE ? pack(&p->nodes[i], isa, n) : 0;
        if (r < 0 || n->scratch_bytes == 0) {
            continue;
        }
        place_scratch(p, i, n);
        int64_t end = (int64_t)n->scratch_at + n->scratch_bytes;
        if (end > PROGRAM_MAX_ARENA) {
            r = JF_E_TOO_LARGE;
        } else if (end > k.arena_bytes) {
            k.arena_bytes = (int32_t)end;
        }
    }
    if (r < 0) {
        packing_done(&k);
        return err_set(reterr, r, r == JF_E_TOO_LARGE ? "activations and scratch need more than 64 MiB" : "no memory to pack the weights");
    }
    *ret_k = k;
    return 0;
}

void packing_done(struct packing *k) {
    for (int i = 0; k->nodes && i < k->n_nodes; i++) {
        free(k->nodes[i].weights);
        free(k->nodes[i].bias);
        free(k->nodes[i].mult);
        free(k->nodes[i].shift);
    }
    free(k->nodes);
    memset(k, 0, sizeof *k);
}
