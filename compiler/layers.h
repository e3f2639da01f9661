/* SPDX-License-Identifier: GPL-2.0-or-later
 * What each layer of a model answered: from a run on the host, from a file that such a run wrote, or from what a board printed. Two
 * answers are compared layer by layer. */
#ifndef COMPILER_LAYERS_H
#define COMPILER_LAYERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "compiler/lower.h"

struct layer {
    int node, index; /* node, and its output's index among the model's tensors; -1: not known (a board counts its outputs) */
    char op[24], tensor[64];
    int32_t n;
    double scale; /* 0: not known */
    int32_t zero_point;
    uint32_t crc; /* CRC-32 of the values */
    int8_t *values; /* owned; NULL: only the checksum is known */
};

struct layers {
    struct layer *list;
    int n;
    char model_sha256[65], numerics[8], input[64]; /* "": not known */
};
void layers_done(struct layers *l);

/* The outputs of every node, in order of execution, for an input of the model's size. JF_E_NOMEM. */
int layers_run(const struct program *p, const int8_t *input, struct layers *ret_l, struct err *reterr) JF_MUST_CHECK;

/* {"format":"joulefarm-layers-1","model_sha256","numerics","input","layers":[{"node","index","op","tensor","elements","scale","zero_point","crc32",
 * "values":[...]}...]}. New reference; NULL: no memory. */
json_t *layers_json(const struct layers *l);
/* Such a document, or a board's transcript: lines that contain m-jf-layer-[K,N,CRC32] (firmware/harness/jf_ext.c), K counting from 0.
 * JF_E_PARSE with what is wrong where; JF_E_IO. */
int layers_read(const char *path, struct layers *ret_l, struct err *reterr) JF_MUST_CHECK;

/* One layer of a beside one of b. */
struct layer_diff {
    const struct layer *a, *b; /* borrowed */
    bool equal;
    bool by_values; /* false: only the checksums could be compared, the figures below are 0 */
    int32_t differing, max_steps; /* how many values differ, and the largest difference in quantization steps of a */
    double max_real, mean_real; /* absolute differences of the real values; both scales known, else 0 */
    int32_t first; /* index of the first differing value; -1 */
};
/* Pairs the layers by tensor name where both know names that occur once, else by order. JF_E_CONFLICT when the number of layers or a
 * layer's size differs: they are not runs of one network. *ret_d: array of *ret_n, to be freed. */
int layers_compare(const struct layers *a, const struct layers *b, struct layer_diff **ret_d, int *ret_n, struct err *reterr) JF_MUST_CHECK;
/* Index of the largest value of the last layer; -1 when its values are not known. */
int32_t layers_top1(const struct layers *l);

#endif
