/* SPDX-License-Identifier: GPL-2.0-or-later
 * Passes over the representation (compiler/passes.h). Each looks for one pattern and makes one change; the driver repeats. Invariant 1: between two
 * changes the model is linked, so that producer and last_use are true. Every change removes a node or turns one into a cheaper kind, so it ends. */
#include "compiler/passes.h"

#include <stdio.h>
#include <string.h>

#include "compiler/lower.h"

static void remove_node(struct ir_model *m, int i) {
    m->n_nodes--;
    memmove(&m->nodes[i], &m->nodes[i + 1], (size_t)(m->n_nodes - i) * sizeof *m->nodes);
}

static int uses(const struct ir_model *m, int tensor) {
    int n = tensor == m->output;
    for (int i = 0; i < m->n_nodes; i++) {
        for (int k = 0; k < m->nodes[i].n_inputs; k++) {
            n += m->nodes[i].inputs[k] == tensor;
        }
    }
    return n;
}

/* --- what is always done ------------------------------------------------------------------------------------------ */

/* float -> QUANTIZE -> ... -> DEQUANTIZE -> float becomes int8 -> ... -> int8. */
static void strip_edges(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        if (n->op == IR_QUANTIZE && n->inputs[0] == m->input && m->tensors[m->input].type == IR_F32 && uses(m, m->input) == 1 && n->output != m->output) {
            m->input = n->output;
            m->float_input = true;
            remove_node(m, i);
            break;
        }
    }
    for (int i = m->n_nodes - 1; i >= 0; i--) {
        const struct ir_node *n = &m->nodes[i];
        if (n->op == IR_DEQUANTIZE && n->output == m->output && uses(m, m->output) == 1 && n->inputs[0] >= 0 && n->inputs[0] != m->input) {
            m->output = n->inputs[0];
            m->float_output = true;
            remove_node(m, i);
            break;
        }
    }
}

static bool only_moves(enum ir_op op) {
    return op == IR_RESHAPE || op == IR_TRANSPOSE || op == IR_PAD || op == IR_CONCAT || op == IR_SLICE || op == IR_SPLIT;
}

/* What constants made here may take together: a file cannot ask for more memory than it is worth. Beyond, the node stays. */
#define FOLDED_MAX_BYTES (16 << 20)

static bool all_constant(const struct ir_model *m, const struct ir_node *n, int64_t *room) {
    for (int k = 0; k < n->n_inputs; k++) {
        if (n->inputs[k] < 0 || !m->tensors[n->inputs[k]].data) {
            return false;
        }
    }
    for (int k = 0; k < n->n_outputs; k++) {
        *room -= m->tensors[n->outputs[k]].elements;
    }
    return *room >= 0;
}

/* The results of node i, computed by its kernel, become constants. Moving is the same in either numerics. */
static int evaluate(struct ir_model *m, int i, struct err *reterr) {
    struct lowered_node l;
    const int8_t *in[IR_MAX_INPUTS] = {0};
    int8_t *out[IR_MAX_OUTPUTS] = {0};
    int32_t out_n[IR_MAX_OUTPUTS] = {0};
    int r = ir_check_node(m, i, reterr);
    if (r < 0) {
        return r;
    }
    r = program_lower_node(m, i, NUMERICS_TFLM, &l);
    for (int k = 0; k < l.n_in && r == 0; k++) {
        in[k] = (const int8_t *)m->tensors[l.in[k]].data;
    }
    for (int k = 0; k < l.n_out && r == 0; k++) {
        out_n[k] = m->tensors[l.out[k]].elements;
        out[k] = ir_alloc(m, (size_t)out_n[k]);
        r = out[k] ? 0 : JF_E_NOMEM;
    }
    if (r == 0) {
        program_run_node(&l, in, out, out_n);
        for (int k = 0; k < l.n_out; k++) {
            m->tensors[l.out[k]].data = (const uint8_t *)out[k];
        }
        remove_node(m, i);
    }
    program_free_node(&l);
    return r < 0 ? err_set(reterr, r, "no memory for a constant") : 0;
}

int ir_normalize(struct ir_model *m, struct err *reterr) {
    int64_t room = FOLDED_MAX_BYTES;
    strip_edges(m);
    int r = ir_link(m, reterr);
    for (int i = 0; i < m->n_nodes && r == 0;) {
        const struct ir_node *n = &m->nodes[i];
        if (only_moves(n->op) && n->output != m->output && all_constant(m, n, &room)) {
            r = evaluate(m, i, reterr);
        } else {
            i++;
        }
    }
    return r < 0 ? r : ir_check(m, reterr);
}

/* --- exact passes ---------------------------------------------------------------------------------------------------- */

static bool drop_dead(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        int n = 0;
        for (int k = 0; k < m->nodes[i].n_outputs; k++) {
            n += uses(m, m->nodes[i].outputs[k]);
        }
        if (n == 0) {
            remove_node(m, i);
            return true;
        }
    }
    return false;
}

/* A transposition whose axes of more than one cell keep their order moves nothing. */
static bool flatten_transpose(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        struct ir_node *n = &m->nodes[i];
        if (n->op != IR_TRANSPOSE) {
            continue;
        }
        const struct ir_tensor *x = &m->tensors[n->inputs[0]];
        int32_t before = -1;
        bool sorted = true;
        for (int d = 0; d < x->rank; d++) {
            if (x->shape[n->perm[d]] > 1) {
                sorted = sorted && n->perm[d] > before;
                before = n->perm[d];
            }
        }
        if (sorted) {
            n->op = IR_RESHAPE;
            return true;
        }
    }
    return false;
}

static bool is_conv(enum ir_op op) { return op == IR_CONV || op == IR_DEPTHWISE; }

static bool fold_pad(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        struct ir_node *n = &m->nodes[i];
        const struct ir_tensor *x = &m->tensors[n->inputs[0]];
        int p = x->producer;
        if (!is_conv(n->op) || p < 0) {
            continue;
        }
        const struct ir_node *pad = &m->nodes[p];
        bool image = pad->op == IR_PAD && x->rank == 4 && pad->begin[0] == 0 && pad->end[0] == 0 && pad->begin[3] == 0 && pad->end[3] == 0;
        if (!image || pad->pad_value != ir_zero_point(x) || uses(m, n->inputs[0]) != 1 || m->tensors[pad->inputs[0]].data) {
            continue;
        }
        int64_t most = 0;
        const int32_t sums[4] = {pad->begin[1], pad->end[1], pad->begin[2], pad->end[2]};
        for (int k = 0; k < 4; k++) {
            most = sums[k] > most ? sums[k] : most;
        }
        if (most > 1024) {
            continue;
        }
        n->pad_top += sums[0];
        n->pad_bottom += sums[1];
        n->pad_left += sums[2];
        n->pad_right += sums[3];
        n->inputs[0] = pad->inputs[0];
        remove_node(m, p);
        return true;
    }
    return false;
}

static bool clamps_at_the_end(enum ir_op op) {
    return is_conv(op) || op == IR_DENSE || op == IR_ADD || op == IR_SUB || op == IR_MUL || op == IR_AVERAGE_POOL || op == IR_MAX_POOL;
}

static bool fuse_activation(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        const struct ir_tensor *x = &m->tensors[n->inputs[0]];
        if ((n->op != IR_RELU && n->op != IR_RELU6) || x->producer < 0 || !ir_same_quantization(x, &m->tensors[n->output]) || uses(m, n->inputs[0]) != 1) {
            continue;
        }
        struct ir_node *p = &m->nodes[x->producer];
        if (clamps_at_the_end(p->op)) {
            p->activation = n->op == IR_RELU6 || p->activation == IR_ACT_RELU6 ? IR_ACT_RELU6 : IR_ACT_RELU;
            p->output = n->output;
            remove_node(m, i);
            return true;
        }
    }
    return false;
}

/* --- with another rounding --------------------------------------------------------------------------------------------- */

static bool positive_constants(const struct ir_tensor *c, int32_t channels) {
    bool fits = c->data && c->type == IR_I8 && c->n_scales == 1 && (c->elements == 1 || (c->elements == channels && ir_dim(c, 0) == channels));
    for (int32_t k = 0; fits && k < c->elements; k++) {
        fits = (int8_t)c->data[k] > ir_zero_point(c);
    }
    return fits;
}

/* The weights once more, with each channel's scale times its constant. The bias counts in units of the input's and the weights' scale, so it is
 * scaled with them. */
static int scaled_weights(struct ir_model *m, const struct ir_node *p, const struct ir_tensor *c, int32_t channels) {
    float *scales = ir_alloc(m, (size_t)channels * sizeof *scales);
    int32_t *zeros = ir_alloc(m, (size_t)channels * sizeof *zeros);
    int t = scales && zeros ? ir_add_tensor(m) : JF_E_NOMEM;
    if (t < 0) {
        return t;
    }
    const struct ir_tensor *w = &m->tensors[p->inputs[1]];
    for (int32_t k = 0; k < channels; k++) {
        int32_t q = (int8_t)c->data[c->elements > 1 ? k : 0] - ir_zero_point(c);
        scales[k] = ir_scale(w, k) * (ir_scale(c, 0) * (float)q);
    }
    m->tensors[t] = *w;
    m->tensors[t].scales = scales;
    m->tensors[t].zero_points = zeros;
    m->tensors[t].n_scales = channels;
    m->tensors[t].axis = p->op == IR_DEPTHWISE ? 3 : 0;
    return t;
}

/* 1: done, 0: nothing to do. */
static int fold_multiplication(struct ir_model *m) {
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        for (int k = 0; k < 2 && n->op == IR_MUL; k++) {
            int from = m->tensors[n->inputs[k]].producer, constant = n->inputs[1 - k], out = n->output;
            if (from < 0 || uses(m, n->inputs[k]) != 1) {
                continue;
            }
            struct ir_node *p = &m->nodes[from];
            int32_t channels = ir_dim(&m->tensors[p->output], 0);
            bool weighted = is_conv(p->op) || (p->op == IR_DENSE && ir_zero_point(&m->tensors[p->inputs[1]]) == 0);
            if (!weighted || p->activation == IR_ACT_RELU6 || !ir_same_shape(&m->tensors[p->output], &m->tensors[out])) {
                continue;
            }
            struct ir_tensor c = m->tensors[constant];
            if (!positive_constants(&c, channels)) {
                continue;
            }
            int t = scaled_weights(m, p, &c, channels);
            if (t < 0) {
                return t;
            }
            p->inputs[1] = t;
            p->output = out;
            p->activation = n->activation != IR_ACT_NONE ? n->activation : p->activation;
            remove_node(m, i);
            return 1;
        }
    }
    return 0;
}

/* --- driver ---------------------------------------------------------------------------------------------------------------- */

const char *ir_passes_name(enum ir_passes p) {
    static const char *const names[] = {"none", "exact", "rounding"};
    return names[p];
}

int ir_passes_parse(const char *s, enum ir_passes *ret_p) {
    for (int p = IR_PASSES_NONE; p <= IR_PASSES_ROUNDING; p++) {
        if (strcmp(s, ir_passes_name((enum ir_passes)p)) == 0) {
            *ret_p = (enum ir_passes)p;
            return 0;
        }
    }
    return JF_E_INVAL;
}

void ir_changes_text(const struct ir_changes *c, char *dst, size_t size) {
    (void)snprintf(dst, size, "%d dead, %d transposes, %d pads, %d activations, %d multiplications", c->dead, c->transposes, c->pads, c->activations, c->multiplications);
}

int ir_optimize(struct ir_model *m, enum ir_passes passes, struct ir_changes *ret_c, struct err *reterr) {
    struct ir_changes c = {0};
    const struct {
        bool (*change)(struct ir_model *);
        int *count;
    } rows[] = {{drop_dead, &c.dead}, {flatten_transpose, &c.transposes}, {fold_pad, &c.pads}, {fuse_activation, &c.activations}};
    int r = 0;
    for (size_t k = 0; passes != IR_PASSES_NONE && k < sizeof rows / sizeof rows[0] && r == 0;) {
        if (rows[k].change(m)) {
            (*rows[k].count)++;
            r = ir_link(m, reterr);
            k = 0;
            continue;
        }
        k++;
        if (k == sizeof rows / sizeof rows[0] && passes == IR_PASSES_ROUNDING) {
            int folded = fold_multiplication(m);
            c.multiplications += folded > 0;
            r = folded < 0 ? err_set(reterr, folded, "no memory for weights") : folded > 0 ? ir_link(m, reterr) : 0;
            k = folded > 0 ? 0 : k;
        }
    }
    if (ret_c) {
        *ret_c = c;
    }
    return r < 0 ? r : ir_check(m, reterr);
}
