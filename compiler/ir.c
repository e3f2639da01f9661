/* SPDX-License-Identifier: GPL-2.0-or-later
 * The representation's memory and accessors (compiler/ir.h). */
#include "compiler/ir.h"

#include <stdlib.h>
#include <string.h>

struct ir_block {
    struct ir_block *next;
    max_align_t bytes[];
};

const char *ir_op_name(enum ir_op op) {
    static const char *const names[IR_OPS] = {
        [IR_CONV] = "CONV_2D",
        [IR_DEPTHWISE] = "DEPTHWISE_CONV_2D",
        [IR_DENSE] = "FULLY_CONNECTED",
        [IR_ADD] = "ADD",
        [IR_SUB] = "SUB",
        [IR_MUL] = "MUL",
        [IR_AVERAGE_POOL] = "AVERAGE_POOL_2D",
        [IR_MAX_POOL] = "MAX_POOL_2D",
        [IR_MEAN] = "MEAN",
        [IR_RELU] = "RELU",
        [IR_RELU6] = "RELU6",
        [IR_LEAKY_RELU] = "LEAKY_RELU",
        [IR_LOGISTIC] = "LOGISTIC",
        [IR_TANH] = "TANH",
        [IR_SOFTMAX] = "SOFTMAX",
        [IR_PAD] = "PAD",
        [IR_CONCAT] = "CONCATENATION",
        [IR_RESHAPE] = "RESHAPE",
        [IR_TRANSPOSE] = "TRANSPOSE",
        [IR_SLICE] = "STRIDED_SLICE",
        [IR_SPLIT] = "SPLIT",
        [IR_QUANTIZE] = "QUANTIZE",
        [IR_DEQUANTIZE] = "DEQUANTIZE",
        [IR_RESIZE_NEAREST] = "RESIZE_NEAREST_NEIGHBOR",
        [IR_RESIZE_BILINEAR] = "RESIZE_BILINEAR",
    };
    return op < IR_OPS ? names[op] : "?";
}

float ir_scale(const struct ir_tensor *t, int32_t i) { return t->n_scales > 0 ? t->scales[t->n_scales > 1 ? i : 0] : 0.0f; }
int32_t ir_zero_point(const struct ir_tensor *t) { return t->zero_points ? t->zero_points[0] : 0; }
int32_t ir_dim(const struct ir_tensor *t, int from_end) { return from_end < t->rank ? t->shape[t->rank - 1 - from_end] : 1; }

int32_t ir_const_i32(const struct ir_tensor *t, int32_t i) {
    const uint8_t *p = t->data + 4 * (size_t)i;
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

bool ir_same_shape(const struct ir_tensor *a, const struct ir_tensor *b) {
    return a->rank == b->rank && (a->rank <= 0 || memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0);
}

bool ir_same_quantization(const struct ir_tensor *a, const struct ir_tensor *b) {
    return a->n_scales == 1 && b->n_scales == 1 && ir_scale(a, 0) == ir_scale(b, 0) && ir_zero_point(a) == ir_zero_point(b);
}

void *ir_alloc(struct ir_model *m, size_t n) {
    struct ir_block *b = calloc(1, sizeof *b + n);
    if (!b) {
        return NULL;
    }
    b->next = m->blocks;
    m->blocks = b;
    return b->bytes;
}

int ir_add_tensor(struct ir_model *m) {
    if (m->n_tensors >= IR_MAX_TENSORS) {
        return JF_E_TOO_LARGE;
    }
    struct ir_tensor *grown = realloc(m->tensors, (size_t)(m->n_tensors + 1) * sizeof *grown);
    if (!grown) {
        return JF_E_NOMEM;
    }
    m->tensors = grown;
    grown[m->n_tensors] = (struct ir_tensor){.producer = -1, .last_use = -1};
    return m->n_tensors++;
}

int ir_add_node(struct ir_model *m) {
    if (m->n_nodes >= IR_MAX_NODES) {
        return JF_E_TOO_LARGE;
    }
    struct ir_node *grown = realloc(m->nodes, (size_t)(m->n_nodes + 1) * sizeof *grown);
    if (!grown) {
        return JF_E_NOMEM;
    }
    m->nodes = grown;
    grown[m->n_nodes] = (struct ir_node){.dil_h = 1, .dil_w = 1, .n_outputs = 1};
    return m->n_nodes++;
}

int ir_set_shape(struct ir_tensor *t, int rank, const int32_t *shape) {
    int64_t elements = 1;
    if (rank < 0 || rank > IR_MAX_DIMS) {
        return JF_E_UNSUPPORTED;
    }
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 1 || shape[d] > IR_MAX_ELEMENTS || elements > IR_MAX_ELEMENTS / shape[d]) {
            return JF_E_UNSUPPORTED;
        }
        t->shape[d] = shape[d];
        elements *= shape[d];
    }
    t->rank = rank;
    t->elements = (int32_t)elements;
    return 0;
}

int32_t ir_same_padding(int32_t in, int32_t k, int32_t stride, int32_t dil) {
    int64_t out = stride > 0 ? ((int64_t)in + stride - 1) / stride : 0, total = (out - 1) * stride + (int64_t)(k - 1) * dil + 1 - in;
    return total > 0 && total <= INT32_MAX ? (int32_t)total : 0;
}

void ir_done(struct ir_model *m) {
    for (struct ir_block *b = m->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(m->tensors);
    free(m->nodes);
    memset(m, 0, sizeof *m);
}
