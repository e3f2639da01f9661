/* SPDX-License-Identifier: GPL-2.0-or-later
 * Shape inference: what each operator's output shape is, from its inputs' shapes and its attributes. Numbers come from files: every
 * sum is made in 64 bits and a result that is no shape is refused. */
#include <stdio.h>
#include <string.h>

#include "compiler/ir.h"

struct ask {
    const struct ir_model *m;
    const struct ir_node *n;
    const struct ir_tensor *x; /* its first input; has a shape */
    int part; /* which output */
    int32_t *shape;
    int *rank;
    struct err *e;
};

static const struct ir_tensor *operand(const struct ask *a, int k) {
    return k < a->n->n_inputs && a->n->inputs[k] >= 0 ? &a->m->tensors[a->n->inputs[k]] : NULL;
}

static int give(const struct ask *a, int rank, const int64_t *shape) {
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 1 || shape[d] > IR_MAX_ELEMENTS) {
            return err_set(a->e, JF_E_UNSUPPORTED, "axis %d of its output would have %lld cells", d, (long long)shape[d]);
        }
        a->shape[d] = (int32_t)shape[d];
    }
    *a->rank = rank;
    return 0;
}

static int as_input(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    memcpy(a->shape, x->shape, sizeof x->shape);
    *a->rank = x->rank;
    return 0;
}

static int64_t cells(int32_t in, int32_t before, int32_t after, int32_t k, int32_t stride, int32_t dil) {
    int64_t span = (int64_t)(k - 1) * dil + 1, size = (int64_t)in + before + after;
    return size >= span ? (size - span) / stride + 1 : 0;
}

/* Limits that make every later product fit: window and padding sizes to 1024. */
static bool window_sane(const struct ir_node *n, int32_t k_h, int32_t k_w) {
    const int32_t at_least_one[] = {n->stride_h, n->stride_w, n->dil_h, n->dil_w, k_h, k_w};
    const int32_t pads[] = {n->pad_top, n->pad_left, n->pad_bottom, n->pad_right};
    bool ok = true;
    for (size_t i = 0; i < sizeof at_least_one / sizeof at_least_one[0]; i++) {
        ok = ok && at_least_one[i] >= 1 && at_least_one[i] <= 1024;
    }
    for (size_t i = 0; i < 4; i++) {
        ok = ok && pads[i] >= 0 && pads[i] <= 32767;
    }
    return ok;
}

static int window(const struct ask *a, int32_t k_h, int32_t k_w, int64_t channels) {
    const struct ir_tensor *x = a->x;
    const struct ir_node *n = a->n;
    if (!window_sane(n, k_h, k_w)) {
        return err_set(a->e, JF_E_UNSUPPORTED, "stride, dilation, kernel (1 to 1024) or padding (0 to 32767) are out of range");
    }
    if (x->rank != 4) {
        return err_set(a->e, JF_E_UNSUPPORTED, "it needs NHWC tensors with batch 1");
    }
    const int64_t shape[4] = {x->shape[0], cells(x->shape[1], n->pad_top, n->pad_bottom, k_h, n->stride_h, n->dil_h),
                              cells(x->shape[2], n->pad_left, n->pad_right, k_w, n->stride_w, n->dil_w), channels};
    return give(a, 4, shape);
}

static int conv(const struct ask *a) {
    const struct ir_tensor *w = operand(a, 1);
    if (!w || w->rank != 4) {
        return err_set(a->e, JF_E_UNSUPPORTED, "its weights must have four dimensions");
    }
    return window(a, w->shape[1], w->shape[2], a->n->op == IR_DEPTHWISE ? w->shape[3] : w->shape[0]);
}

static int pool(const struct ask *a) { return window(a, a->n->filter_h, a->n->filter_w, ir_dim(a->x, 0)); }

/* [.., in] with weights [out, in]. When the file says rows x out in another shape, that stands: ir_check compares elements. */
static int dense(const struct ask *a) {
    const struct ir_tensor *x = a->x, *w = operand(a, 1);
    if (!w || w->rank != 2) {
        return err_set(a->e, JF_E_UNSUPPORTED, "its weights must be a matrix");
    }
    const int64_t shape[2] = {x->elements % w->shape[1] == 0 ? x->elements / w->shape[1] : 0, w->shape[0]};
    return shape[0] ? give(a, 2, shape) : err_set(a->e, JF_E_UNSUPPORTED, "its weights do not fit its input");
}

static int broadcast(const struct ask *a) {
    const struct ir_tensor *x = a->x, *y = operand(a, 1);
    if (!y) {
        return err_set(a->e, JF_E_UNSUPPORTED, "its second operand is missing");
    }
    int rank = x->rank > y->rank ? x->rank : y->rank;
    int64_t shape[IR_MAX_DIMS] = {0};
    for (int d = 0; d < rank; d++) {
        int32_t p = ir_dim(x, d), q = ir_dim(y, d);
        if (p != q && p != 1 && q != 1) {
            return err_set(a->e, JF_E_UNSUPPORTED, "its operands' shapes do not broadcast (%d and %d cells)", p, q);
        }
        shape[rank - 1 - d] = p > q ? p : q;
    }
    return give(a, rank, shape);
}

/* With the reduced axes kept as 1; a file's shape without them has the same elements and stands. */
static int mean(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    int64_t shape[IR_MAX_DIMS] = {0};
    if (a->n->axes == 0 || a->n->axes >> x->rank) {
        return err_set(a->e, JF_E_UNSUPPORTED, "its axes are none of its input's");
    }
    for (int d = 0; d < x->rank; d++) {
        shape[d] = a->n->axes >> d & 1u ? 1 : x->shape[d];
    }
    return give(a, x->rank, shape);
}

static int pad(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    int64_t shape[IR_MAX_DIMS] = {0};
    for (int d = 0; d < x->rank; d++) {
        if (a->n->begin[d] < 0 || a->n->end[d] < 0) {
            return err_set(a->e, JF_E_UNSUPPORTED, "it pads axis %d by a negative number of cells", d);
        }
        shape[d] = (int64_t)x->shape[d] + a->n->begin[d] + a->n->end[d];
    }
    return give(a, x->rank, shape);
}

static int concat(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    int64_t shape[IR_MAX_DIMS] = {0};
    if (a->n->axis < 0 || a->n->axis >= x->rank) {
        return err_set(a->e, JF_E_UNSUPPORTED, "axis %d is none of its input's", a->n->axis);
    }
    for (int k = 0; k < a->n->n_inputs; k++) {
        const struct ir_tensor *y = operand(a, k);
        if (!y || y->rank != x->rank) {
            return err_set(a->e, JF_E_UNSUPPORTED, "its inputs differ in rank");
        }
        for (int d = 0; d < x->rank; d++) {
            if (d != a->n->axis && y->shape[d] != x->shape[d]) {
                return err_set(a->e, JF_E_UNSUPPORTED, "its inputs differ along axis %d", d);
            }
            shape[d] = d == a->n->axis ? shape[d] + y->shape[d] : x->shape[d];
        }
    }
    return give(a, x->rank, shape);
}

static int transpose(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    int64_t shape[IR_MAX_DIMS] = {0};
    uint32_t seen = 0;
    for (int d = 0; d < x->rank; d++) {
        int32_t p = a->n->perm[d];
        if (p < 0 || p >= x->rank || seen >> p & 1u) {
            return err_set(a->e, JF_E_UNSUPPORTED, "its order of axes is no permutation");
        }
        seen |= 1u << p;
        shape[d] = x->shape[p];
    }
    return give(a, x->rank, shape);
}

/* All axes; a file's shape may drop those of size 1. */
static int slice(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    const struct ir_node *n = a->n;
    int64_t shape[IR_MAX_DIMS] = {0};
    for (int d = 0; d < x->rank; d++) {
        int64_t last = n->begin[d] + (int64_t)n->step[d] * ((int64_t)n->size[d] - 1);
        if (n->size[d] < 1 || n->step[d] == 0 || n->begin[d] < 0 || n->begin[d] >= x->shape[d] || last < 0 || last >= x->shape[d]) {
            return err_set(a->e, JF_E_UNSUPPORTED, "it takes %d cells from %d by %d of axis %d, which has %d", n->size[d], n->begin[d], n->step[d], d, x->shape[d]);
        }
        shape[d] = n->size[d];
    }
    return give(a, x->rank, shape);
}

static int split(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    int64_t shape[IR_MAX_DIMS] = {0};
    if (a->n->axis < 0 || a->n->axis >= x->rank || a->n->n_outputs < 1 || x->shape[a->n->axis] % a->n->n_outputs != 0) {
        return err_set(a->e, JF_E_UNSUPPORTED, "axis %d cannot be split into %d equal parts", a->n->axis, a->n->n_outputs);
    }
    for (int d = 0; d < x->rank; d++) {
        shape[d] = d == a->n->axis ? x->shape[d] / a->n->n_outputs : x->shape[d];
    }
    return give(a, x->rank, shape);
}

static int resize(const struct ask *a) {
    const struct ir_tensor *x = a->x;
    if (x->rank != 4) {
        return err_set(a->e, JF_E_UNSUPPORTED, "it needs NHWC tensors with batch 1");
    }
    const int64_t shape[4] = {x->shape[0], a->n->size[0], a->n->size[1], x->shape[3]};
    return give(a, 4, shape);
}

static int as_said(const struct ask *a) {
    const struct ir_tensor *o = &a->m->tensors[a->n->outputs[a->part]];
    if (o->rank == IR_RANK_UNKNOWN) {
        return err_set(a->e, JF_E_UNSUPPORTED, "nothing says its output's shape");
    }
    memcpy(a->shape, o->shape, sizeof o->shape);
    *a->rank = o->rank;
    return 0;
}

int ir_infer(const struct ir_model *m, const struct ir_node *n, int k, int32_t shape[IR_MAX_DIMS], int *ret_rank, struct err *reterr) {
    static int (*const rules[IR_OPS])(const struct ask *) = {
        [IR_CONV] = conv,         [IR_DEPTHWISE] = conv,     [IR_DENSE] = dense,       [IR_ADD] = broadcast,          [IR_SUB] = broadcast,
        [IR_MUL] = broadcast,     [IR_AVERAGE_POOL] = pool,  [IR_MAX_POOL] = pool,     [IR_MEAN] = mean,              [IR_RELU] = as_input,
        [IR_RELU6] = as_input,    [IR_LEAKY_RELU] = as_input, [IR_LOGISTIC] = as_input, [IR_TANH] = as_input,          [IR_SOFTMAX] = as_input,
        [IR_PAD] = pad,           [IR_CONCAT] = concat,      [IR_RESHAPE] = as_said,   [IR_TRANSPOSE] = transpose,    [IR_SLICE] = slice,
        [IR_SPLIT] = split,       [IR_QUANTIZE] = as_input,  [IR_DEQUANTIZE] = as_input, [IR_RESIZE_NEAREST] = resize, [IR_RESIZE_BILINEAR] = resize,
    };
    const struct ir_tensor *x = n->n_inputs > 0 && n->inputs[0] >= 0 ? &m->tensors[n->inputs[0]] : NULL;
    const struct ask a = {m, n, x, k, shape, ret_rank, reterr};
    if (n->op >= IR_OPS || !x || x->rank < 0) {
        return err_set(reterr, JF_E_UNSUPPORTED, "its first input is missing or has no shape");
    }
    return rules[n->op](&a);
}
