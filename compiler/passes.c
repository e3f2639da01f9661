/* SPDX-License-Identifier: GPL-2.0-or-later
 * Passes over the representation (compiler/passes.h). */
#include "compiler/passes.h"

#include <string.h>

static void remove_node(struct ir_model *m, int i) {
    m->n_nodes--;
    memmove(&m->nodes[i], &m->nodes[i + 1], (size_t)(m->n_nodes - i) * sizeof *m->nodes);
}

static int uses(const struct ir_model *m, int tensor) {
    int n = 0;
    for (int i = 0; i < m->n_nodes; i++) {
        for (int k = 0; k < m->nodes[i].n_inputs; k++) {
            n += m->nodes[i].inputs[k] == tensor;
        }
    }
    return n;
}

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
        if (n->op == IR_DEQUANTIZE && n->output == m->output && uses(m, m->output) == 0 && n->inputs[0] >= 0 && n->inputs[0] != m->input) {
            m->output = n->inputs[0];
            m->float_output = true;
            remove_node(m, i);
            break;
        }
    }
}

int ir_normalize(struct ir_model *m, struct err *reterr) {
    strip_edges(m);
    return ir_check(m, reterr);
}
