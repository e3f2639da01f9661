/* SPDX-License-Identifier: GPL-2.0-or-later
 * Changes of a model that make it smaller or faster. What a pass does to the outputs is said with it: "exact" passes give the same
 * bytes for every input, in either numerics. */
#ifndef COMPILER_PASSES_H
#define COMPILER_PASSES_H

#include "compiler/ir.h"

/* What every front end calls last: takes a QUANTIZE off a float input and a DEQUANTIZE off a float output (float_input, float_output),
 * and checks. Exact. */
int ir_normalize(struct ir_model *m, struct err *reterr) JF_MUST_CHECK;

#endif
