/* SPDX-License-Identifier: GPL-2.0-or-later
 * How far the output of a convolution or a pool must start before its input so that the kernel may write into memory that it has already
 * read. A kernel that makes its output in order, `tile` cells (pixels of all channels) at a time, may write a tile's bytes in any order and may
 * read all that the tile's cells need until its last write; it never reads again what only earlier tiles need. The portable kernels have
 * tile 1; another kernel asks with its own tile (e.g. 2 for pairs of pixels, out_w for whole rows) and puts the answer in lowered_node.overlap. */
#ifndef COMPILER_OVERLAP_H
#define COMPILER_OVERLAP_H

#include "compiler/lower.h"

/* Bytes; the smallest d for which output at address A and input at A + d are safe. NO_OVERLAP when nothing is gained. tile >= 1. */
int32_t overlap_conv(const struct jfk_conv *c, int32_t tile);
int32_t overlap_pool(const struct jfk_pool *p, int32_t tile);
int32_t overlap_dense(const struct jfk_dense *d);

/* The largest tile of any instruction set's convolution (jf_dsp.h, jf_mve.h): one layout is good for all. */
#define OVERLAP_CONV_TILE 2

/* Fills overlap[] of a node, good for the kernels of every instruction set. */
void overlap_of_node(struct lowered_node *l, const struct ir_model *m);

#endif
