/* SPDX-License-Identifier: GPL-2.0-or-later
 * Executes a lowered program on the host with the very kernels that the board runs. */
#include "compiler/lower.h"

static void run_moves(const struct lowered_node *l, const int8_t *const *in, int8_t *const *out, const int32_t *out_n) {
    if (l->fill) {
        jfk_fill(out[0], out_n[0], l->fill_value);
    }
    for (int i = 0; i < l->n_moves; i++) {
        jfk_move(&l->moves[i], in[l->n_in > 1 ? i : 0], out[l->n_out > 1 ? i : 0]);
    }
}

void program_run_node(const struct lowered_node *l, const int8_t *const *in, int8_t *const *out, const int32_t *out_n) {
    switch (l->kernel) {
    case KERNEL_CONV:
        jfk_conv2d(&l->k.conv, in[0], out[0]);
        break;
    case KERNEL_DEPTHWISE:
        jfk_depthwise(&l->k.conv, in[0], out[0]);
        break;
    case KERNEL_DENSE:
        jfk_dense(&l->k.dense, in[0], out[0]);
        break;
    case KERNEL_ADD:
        jfk_add(&l->k.add, in[0], in[1], out[0]);
        break;
    case KERNEL_MUL:
        jfk_mul(&l->k.mul, in[0], in[1], out[0]);
        break;
    case KERNEL_TABLE:
        jfk_table(&l->k.table, in[0], out[0]);
        break;
    case KERNEL_AVERAGE_POOL:
        jfk_average_pool(&l->k.pool, in[0], out[0]);
        break;
    case KERNEL_MAX_POOL:
        jfk_max_pool(&l->k.pool, in[0], out[0]);
        break;
    case KERNEL_MEAN:
        jfk_mean(&l->k.mean, in[0], out[0]);
        break;
    case KERNEL_SOFTMAX:
        jfk_softmax(&l->k.softmax, in[0], out[0]);
        break;
    case KERNEL_MOVE:
        run_moves(l, in, out, out_n);
        break;
    case KERNEL_RESIZE_NEAREST:
        jfk_resize_nearest(&l->k.resize, in[0], out[0]);
        break;
    case KERNEL_RESIZE_BILINEAR:
        jfk_resize_bilinear(&l->k.resize, in[0], out[0]);
        break;
    case KERNEL_NONE: /* the same memory */
    case KERNELS:
        break;
    }
}

void program_run(const struct program *p, int8_t *arena, void (*after)(void *ctx, int node, const int8_t *out, int32_t n), void *ctx) {
    for (int i = 0; i < p->n_nodes; i++) {
        const struct lowered_node *l = &p->nodes[i];
        const int8_t *in[IR_MAX_INPUTS] = {0};
        int8_t *out[IR_MAX_OUTPUTS] = {0};
        int32_t out_n[IR_MAX_OUTPUTS] = {0};
        for (int k = 0; k < l->n_in; k++) {
            const struct ir_tensor *t = &p->model->tensors[l->in[k]];
            in[k] = t->data ? (const int8_t *)t->data : arena + p->offset[l->in[k]];
        }
        for (int k = 0; k < l->n_out; k++) {
            out[k] = arena + p->offset[l->out[k]];
            out_n[k] = p->model->tensors[l->out[k]].elements;
        }
        program_run_node(l, in, out, out_n);
        for (int k = 0; after && k < l->n_out; k++) {
            after(ctx, i, out[k], out_n[k]);
        }
    }
}
