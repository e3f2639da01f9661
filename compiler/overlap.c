/* SPDX-License-Identifier: GPL-2.0-or-later
 * Overlap distances (compiler/overlap.h). Sizes: 64-bit sums, because an address of a cell outside the input (padding) is only compared. */
#include "compiler/overlap.h"

struct window {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, stride_h, stride_w, pad_top, pad_left;
};

static int64_t at_least_zero(int64_t v) { return v > 0 ? v : 0; }

/* The first byte of the input that output row oy or a later one may still read, from column ox of that row on. Rows below read no lower
 * bytes than their first row's start. A window that lies in the padding alone counts as reading at its clamped place: never too high. */
static int64_t first_read(const struct window *w, int64_t oy, int64_t ox) {
    int64_t y = at_least_zero(oy * w->stride_h - w->pad_top), x = at_least_zero(ox * w->stride_w - w->pad_left);
    int64_t here = (y * w->in_w + x) * w->in_c;
    if (oy + 1 < w->out_h) {
        int64_t next = at_least_zero((oy + 1) * w->stride_h - w->pad_top) * w->in_w * w->in_c;
        here = next < here ? next : here;
    }
    return here;
}

static int32_t window_distance(const struct window *w, int32_t tile) {
    int64_t cells = (int64_t)w->out_h * w->out_w, most = 0;
    for (int64_t p = 0; p < cells; p += tile) {
        int64_t end = (p + tile < cells ? p + tile : cells) * w->out_c;
        /* the tile may span rows: what its first row reads from its first column on, and its later rows from their start, is covered by
         * first_read() of its first cell */
        int64_t need = end - first_read(w, p / w->out_w, p % w->out_w);
        most = need > most ? need : most;
    }
    return most < NO_OVERLAP ? (int32_t)most : NO_OVERLAP;
}

int32_t overlap_conv(const struct jfk_conv *c, int32_t tile) {
    const struct window w = {c->in_h, c->in_w, c->in_c, c->out_h, c->out_w, c->out_c, c->stride_h, c->stride_w, c->pad_top, c->pad_left};
    return window_distance(&w, tile);
}

int32_t overlap_pool(const struct jfk_pool *p, int32_t tile) {
    const struct window w = {p->in_h, p->in_w, p->c, p->out_h, p->out_w, p->c, p->stride_h, p->stride_w, p->pad_top, p->pad_left};
    return window_distance(&w, tile);
}

/* Row b is read whole while its outputs are written. */
int32_t overlap_dense(const struct jfk_dense *d) {
    int64_t last = (int64_t)d->batch * d->out_n - ((int64_t)d->batch - 1) * d->in_n, most = d->out_n > last ? d->out_n : last;
    return most < NO_OVERLAP ? (int32_t)most : NO_OVERLAP;
}

void overlap_of_node(struct lowered_node *l, const struct ir_model *m) {
    int32_t out_n = m->tensors[l->out[0]].elements;
    for (int k = 0; k < l->n_in; k++) {
        bool full = m->tensors[l->in[k]].elements == out_n;
        switch (l->kernel) {
        case KERNEL_CONV:
            l->overlap[k] = overlap_conv(&l->k.conv, OVERLAP_CONV_TILE);
            break;
        case KERNEL_DEPTHWISE:
            l->overlap[k] = overlap_conv(&l->k.conv, 1);
            break;
        case KERNEL_DENSE:
            l->overlap[k] = overlap_dense(&l->k.dense);
            break;
        case KERNEL_AVERAGE_POOL:
        case KERNEL_MAX_POOL:
            l->overlap[k] = overlap_pool(&l->k.pool, 1);
            break;
        case KERNEL_ADD:
        case KERNEL_MUL:
        case KERNEL_TABLE:
        case KERNEL_SOFTMAX: /* element i is written after element i of the operand was read for the last time */
            l->overlap[k] = full ? 0 : NO_OVERLAP;
            break;
        default:
            l->overlap[k] = NO_OVERLAP;
            break;
        }
    }
}
