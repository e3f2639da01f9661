/* SPDX-License-Identifier: GPL-2.0-or-later
 * Changes of a model that make it smaller or faster. What a pass does to the outputs is said with it: "exact" passes give the same
 * bytes for every input, in either numerics; the outputs of nodes that vanish do, of course. */
#ifndef COMPILER_PASSES_H
#define COMPILER_PASSES_H

#include "compiler/ir.h"

/* What every front end calls last: takes a QUANTIZE off a float input and a DEQUANTIZE off a float output (float_input, float_output),
 * evaluates nodes that only move constants (RESHAPE, TRANSPOSE, PAD, CONCATENATION, STRIDED_SLICE, SPLIT), and checks. Exact. */
int ir_normalize(struct ir_model *m, struct err *reterr) JF_MUST_CHECK;

enum ir_passes { IR_PASSES_NONE, IR_PASSES_EXACT, IR_PASSES_ROUNDING };
const char *ir_passes_name(enum ir_passes p);                /* "none", "exact", "rounding" */
int ir_passes_parse(const char *s, enum ir_passes *ret_p); /* JF_E_INVAL */

struct ir_changes {
    int dead; /* nodes whose outputs nothing uses */
    int transposes; /* that move no element: became RESHAPE */
    int pads; /* PAD into the convolution that alone reads it. Its value must be the zero point: what the convolution's own padding counts as */
    int activations; /* RELU, RELU6 without rescaling into the node whose output they alone read: clamping is clamping */
    int multiplications; /* MUL by positive constants into the scales of the convolution's or dense layer's weights. Not exact: one rounding and
                          * one saturation less. Only with IR_PASSES_ROUNDING */
};

/* "0 dead, 1 pads, ...": the counts in words. */
void ir_changes_text(const struct ir_changes *c, char *dst, size_t size);

/* Runs the passes on a checked model until nothing changes, and checks again. *ret_c (or NULL) counts. */
int ir_optimize(struct ir_model *m, enum ir_passes passes, struct ir_changes *ret_c, struct err *reterr) JF_MUST_CHECK;

#endif
