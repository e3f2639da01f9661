/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the fuzz targets of the two front ends do with a model that was read: passes, lowering and (for small ones) a run on the host. */
#ifndef TESTS_FUZZ_FUZZ_MODEL_H
#define TESTS_FUZZ_FUZZ_MODEL_H

#include <stdint.h>
#include <stdlib.h>

#include "compiler/lower.h"
#include "compiler/passes.h"

/* Multiply-accumulates of a node, roughly: enough to leave out runs that would only take long. */
static inline double fuzz_work(const struct ir_model *m) {
    double sum = 0;
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        double k = 1;
        if (n->op == IR_CONV || n->op == IR_DEPTHWISE || n->op == IR_DENSE) {
            k = m->tensors[n->inputs[1]].elements;
        } else if (n->op == IR_AVERAGE_POOL || n->op == IR_MAX_POOL) {
            k = (double)n->filter_h * n->filter_w;
        } else if (n->op == IR_MEAN) {
            k = (double)m->tensors[n->inputs[0]].elements / m->tensors[n->output].elements;
        }
        sum += (double)m->tensors[n->output].elements * k * n->n_outputs;
    }
    return sum;
}

/* dice: chooses passes and numerics. Frees m. */
static inline void fuzz_model(struct ir_model *m, size_t dice) {
    struct program p;
    struct err e = {0};
    if (ir_optimize(m, (enum ir_passes)(dice >> 1 & 1 ? IR_PASSES_ROUNDING : IR_PASSES_EXACT), NULL, &e) < 0 && !e.text[0]) {
        abort(); /* a refusal without a sentence */
    }
    if (!e.text[0] && fuzz_work(m) < 1e7 && program_build(m, (enum numerics)(dice & 1), &p, &e) == 0) {
        int8_t *arena = calloc(1, (size_t)p.arena_bytes + 1);
        if (arena) {
            program_run(&p, arena, NULL, NULL);
        }
        free(arena);
        program_done(&p);
    }
    ir_done(m);
}

#endif
