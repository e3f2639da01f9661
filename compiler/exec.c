/* SPDX-License-Identifier: GPL-2.0-or-later
 * Executes a lowered program on the host with the very kernels that the board runs. */
#include "compiler/lower.h"

static void run_node(const struct lowered_node *l, const int8_t *a, const int8_t *b, int8_t *out) {
    switch (l->op) {
    case IR_CONV:
        jfk_conv2d(&l->k.conv, a, out);
        break;
    case IR_DEPTHWISE:
        jfk_depthwise(&l->k.conv, a, out);
        break;
    case IR_DENSE:
        jfk_dense(&l->k.dense, a, out);
        break;
    case IR_ADD:
        jfk_add(&l->k.add, a, b, out);
        break;
    case IR_AVERAGE_POOL:
        jfk_average_pool(&l->k.pool, a, out);
        break;
    case IR_MAX_POOL:
        jfk_max_pool(&l->k.pool, a, out);
        break;
    case IR_SOFTMAX:
        jfk_softmax(&l->k.softmax, a, out);
        break;
    case IR_RESHAPE: /* the same memory */
    case IR_OPS:
        break;
    }
}

void program_run(const struct program *p, int8_t *arena, void (*after)(void *ctx, int node, const int8_t *out, int32_t n), void *ctx) {
    for (int i = 0; i < p->n_nodes; i++) {
        const struct lowered_node *l = &p->nodes[i];
        int8_t *out = arena + p->offset[l->out];
        run_node(l, arena + p->offset[l->in[0]], l->in[1] >= 0 ? arena + p->offset[l->in[1]] : 0, out);
        if (after) {
            after(ctx, i, out, p->model->tensors[l->out].elements);
        }
    }
}
