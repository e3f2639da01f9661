/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the parts of the C writer share. Each emit_*() writes the tables and the argument structures of node i. */
#ifndef COMPILER_EMIT_INT_H
#define COMPILER_EMIT_INT_H

#include <stdio.h>

#include "compiler/lower.h"

/* static const arrays n<node>_<what>[n]; */
void emit_i32(FILE *f, int node, const char *what, const int32_t *v, int32_t n);
void emit_i16(FILE *f, int node, const char *what, const int16_t *v, int32_t n);
void emit_i8(FILE *f, int node, const char *what, const int8_t *v, int32_t n);
void emit_float(FILE *f, int node, const char *what, const float *v, int32_t n);

/* All kernels but those with weights. */
void emit_arguments(FILE *f, int i, const struct lowered_node *l);

#endif
