/* SPDX-License-Identifier: GPL-2.0-or-later
 * Text of the representation (compiler/ir_text.h). */
#include "compiler/ir_text.h"

#include <stdarg.h>
#include <string.h>

#include "firmware/runtime/jf_model.h"

struct text {
    char *p;
    size_t n, used;
};

JF_PRINTF(2, 3) static void add(struct text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (t->used < t->n) {
        int k = vsnprintf(t->p + t->used, t->n - t->used, fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is above */
        t->used += k > 0 ? (size_t)k : 0;
    }
    va_end(ap);
}

void ir_shape_text(int rank, const int32_t *shape, char *dst, size_t size) {
    struct text t = {dst, size, 0};
    add(&t, rank == IR_RANK_UNKNOWN ? "unknown" : rank == 0 ? "scalar" : "");
    for (int d = 0; d < rank; d++) {
        add(&t, "%s%d", d ? "x" : "", shape[d]);
    }
}

static void add_list(struct text *t, const char *name, const int32_t *v, int n) {
    add(t, "%s%s ", t->used ? " " : "", name);
    for (int i = 0; i < n; i++) {
        add(t, "%s%d", i ? "," : "", v[i]);
    }
}

static void add_window(struct text *t, const struct ir_node *n) {
    const int32_t pads[4] = {n->pad_top, n->pad_left, n->pad_bottom, n->pad_right};
    if (n->op == IR_AVERAGE_POOL || n->op == IR_MAX_POOL) {
        add(t, "filter %dx%d ", n->filter_h, n->filter_w);
    }
    add(t, "stride %dx%d", n->stride_h, n->stride_w);
    if (n->dil_h != 1 || n->dil_w != 1) {
        add(t, " dilation %dx%d", n->dil_h, n->dil_w);
    }
    if (n->op == IR_DEPTHWISE) {
        add(t, " multiplier %d", n->depth_mult);
    }
    if (pads[0] || pads[1] || pads[2] || pads[3]) {
        add_list(t, "pad", pads, 4);
    }
}

void ir_attributes_text(const struct ir_node *n, int rank, char *dst, size_t size) {
    struct text t = {dst, size, 0};
    dst[0] = '\0';
    switch (n->op) {
    case IR_CONV:
    case IR_DEPTHWISE:
    case IR_AVERAGE_POOL:
    case IR_MAX_POOL:
        add_window(&t, n);
        break;
    case IR_LEAKY_RELU:
        add(&t, "alpha %.9g", (double)n->alpha);
        break;
    case IR_SOFTMAX:
        add(&t, "beta %.9g", (double)n->beta);
        break;
    case IR_MEAN:
        add(&t, "axes");
        for (int d = 0; d < rank; d++) {
            if (n->axes >> d & 1u) {
                add(&t, " %d", d);
            }
        }
        break;
    case IR_CONCAT:
    case IR_SPLIT:
        add(&t, "axis %d", n->axis);
        break;
    case IR_PAD:
        add_list(&t, "before", n->begin, rank);
        add_list(&t, "after", n->end, rank);
        add(&t, " value %d", n->pad_value);
        break;
    case IR_TRANSPOSE:
        add_list(&t, "perm", n->perm, rank);
        break;
    case IR_SLICE:
        add_list(&t, "begin", n->begin, rank);
        add_list(&t, "step", n->step, rank);
        add_list(&t, "size", n->size, rank);
        break;
    case IR_RESIZE_NEAREST:
    case IR_RESIZE_BILINEAR:
        add(&t, "size %dx%d%s%s", n->size[0], n->size[1], n->align_corners ? " align_corners" : "", n->half_pixel ? " half_pixel" : "");
        break;
    default:
        break;
    }
    if (n->activation != IR_ACT_NONE) {
        add(&t, "%sact %s", t.used ? " " : "", n->activation == IR_ACT_RELU6 ? "RELU6" : "RELU");
    }
}

static bool named(const struct ir_model *m, int tensor) {
    bool found = tensor == m->input || tensor == m->output;
    for (int i = 0; i < m->n_nodes && !found; i++) {
        for (int k = 0; k < m->nodes[i].n_inputs && !found; k++) {
            found = m->nodes[i].inputs[k] == tensor;
        }
        for (int k = 0; k < m->nodes[i].n_outputs && !found; k++) {
            found = m->nodes[i].outputs[k] == tensor;
        }
    }
    return found;
}

static void print_tensor(FILE *f, int index, const struct ir_tensor *t) {
    static const char *const types[] = {[IR_I8] = "i8", [IR_I32] = "i32", [IR_F32] = "f32", [IR_OTHER] = "other"};
    char shape[80];
    ir_shape_text(t->rank, t->shape, shape, sizeof shape);
    (void)fprintf(f, "%%%d \"%s\" %s %s", index, t->name, types[t->type], shape);
    if (t->n_scales == 1) {
        (void)fprintf(f, " scale %.9g zero %d", (double)ir_scale(t, 0), ir_zero_point(t));
    } else if (t->n_scales > 1) {
        float least = t->scales[0], most = t->scales[0];
        for (int32_t k = 1; k < t->n_scales; k++) {
            least = t->scales[k] < least ? t->scales[k] : least;
            most = t->scales[k] > most ? t->scales[k] : most;
        }
        (void)fprintf(f, " %d scales %.9g to %.9g along axis %d", t->n_scales, (double)least, (double)most, t->axis);
    }
    if (t->data && t->type != IR_OTHER) {
        (void)fprintf(f, " constant crc32 %08x", jfm_crc32(0, (const int8_t *)t->data, t->elements * (t->type == IR_I8 ? 1 : 4)));
    }
    (void)fputc('\n', f);
}

static void print_node(FILE *f, int index, const struct ir_model *m) {
    const struct ir_node *n = &m->nodes[index];
    char attributes[300];
    ir_attributes_text(n, m->tensors[n->inputs[0]].rank, attributes, sizeof attributes);
    (void)fprintf(f, "node %d %s", index, ir_op_name(n->op));
    for (int k = 0; k < n->n_inputs; k++) {
        if (n->inputs[k] < 0) {
            (void)fprintf(f, " -");
        } else {
            (void)fprintf(f, " %%%d", n->inputs[k]);
        }
    }
    (void)fprintf(f, " ->");
    for (int k = 0; k < n->n_outputs; k++) {
        (void)fprintf(f, " %%%d", n->outputs[k]);
    }
    (void)fprintf(f, "%s%s\n", attributes[0] ? " " : "", attributes);
}

void ir_print(FILE *f, const struct ir_model *m) {
    for (int t = 0; t < m->n_tensors; t++) {
        if (named(m, t)) {
            print_tensor(f, t, &m->tensors[t]);
        }
    }
    for (int i = 0; i < m->n_nodes; i++) {
        print_node(f, i, m);
    }
    (void)fprintf(f, "input %%%d%s\noutput %%%d%s\n", m->input, m->float_input ? " (of a float: quantize before)" : "", m->output, m->float_output ? " (to a float: dequantize after)" : "");
}
