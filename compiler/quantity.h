/* SPDX-License-Identifier: GPL-2.0-or-later
 * Named whole numbers of a node or of a model, which the limits of a target refer to (compiler/targets/README.md lists them with
 * their meaning). Pure. */
#ifndef COMPILER_QUANTITY_H
#define COMPILER_QUANTITY_H

#include "compiler/ir.h"

struct quantity {
    const char *name, *meaning;
    bool model; /* of the whole model, else of one node */
    /* false: it does not apply to this node (a kernel of a RESHAPE) */
    bool (*node_value)(const struct ir_model *m, int node, int64_t *ret_v);
    bool (*model_value)(const struct ir_model *m, int64_t *ret_v);
};

const struct quantity *quantity_find(const char *name); /* NULL: there is none */
const struct quantity *quantity_at(int i); /* in the order of the documentation; NULL behind the last */

/* What a model keeps: every constant as it is in the file, and the largest sum of activations that are alive at one
 * node (a RESHAPE shares its input's memory). -1: no memory to count them. */
int64_t quantity_weight_bytes(const struct ir_model *m);
int64_t quantity_activation_bytes(const struct ir_model *m);
/* Bytes of tensor t that fall to one of `banks` memories when its channels are dealt over them, `side` channels side by side in
 * each. For weights of a convolution the channels are those of the input. */
int64_t quantity_bank_bytes(const struct ir_model *m, int node, bool weights, int64_t banks, int64_t side);

#endif
