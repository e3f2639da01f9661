/* SPDX-License-Identifier: GPL-2.0-or-later
 * A program prepared for another instruction set's kernels: which nodes have one there, their weights in its order, the input's zero point folded into the
 * bias, and scratch memory between the tensors alive at the node. The program itself stays as it is, for the host. */
#ifndef COMPILER_PACK_H
#define COMPILER_PACK_H

#include "compiler/isa.h"
#include "compiler/lower.h"

struct packed_node {
    enum isa isa; /* ISA_PORTABLE: nothing below counts */
    int8_t *weights; /* owned */
    int32_t n_weights;
    int32_t *bias, n_bias; /* owned; one an output channel */
    int32_t *mult, n_mult; /* owned */
    int8_t *shift; /* owned */
    int32_t scratch_bytes, scratch_at; /* in the arena, aligned to 8; 0 bytes: the kernel takes none */
};

struct packing {
    enum isa isa;
    struct packed_node *nodes; /* one a node */
    int n_nodes;
    int32_t arena_bytes; /* the program's, or more where scratch needs it */
};

/* JF_E_NOMEM; JF_E_TOO_LARGE: beyond PROGRAM_MAX_ARENA. Free with packing_done(). */
int packing_build(const struct program *p, enum isa isa, struct packing *ret_k, struct err *reterr) JF_MUST_CHECK;
void packing_done(struct packing *k); /* a zeroed one too */

#endif
