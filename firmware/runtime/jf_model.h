/* SPDX-License-Identifier: MIT
 * What `jf-model emit` makes: one `const struct jfm_model jfm_<id>` a model. Input and output lie in the model's static arena:
 * write `input`, call run, read `output` before the next run; the input does not survive. Not reentrant. */
#ifndef JF_MODEL_H
#define JF_MODEL_H

#include <stdint.h>

/* Called after each node, in execution order: its index and its output. */
struct jfm_hook {
    void (*after)(void *ctx, int32_t node, const int8_t *output, int32_t n);
    void *ctx;
};

struct jfm_model {
    const char *id; /* "ad01" */
    const char *source_sha256; /* of the model's file, 64 hex digits */
    const char *numerics; /* "tflm" | "litert" */
    const char *passes; /* "none" | "exact" | "rounding": what the compiler was allowed to change before */
    int32_t n_nodes, in_n, out_n, in_zp, out_zp; /* elements of one byte */
    float in_scale, out_scale;
    int8_t *input;
    const int8_t *output;
    uint32_t arena_bytes;
    /* Self-test: with the input jfm_lcg_fill(input, in_n, golden_seed) the output has golden_output_crc32, and all node outputs in
     * execution order have golden_all_crc32. Computed by the compiler's host run. */
    uint32_t golden_seed, golden_output_crc32, golden_all_crc32;
    void (*run)(const struct jfm_hook *hook); /* hook NULL: none */
};

/* CRC-32 as in zip, continuing crc (0 to start). */
uint32_t jfm_crc32(uint32_t crc, const int8_t *data, int32_t n);
/* The reference input: x0 = 12345*seed; x = 1664525 x + 1013904223; byte = (x >> 24) - 128. */
void jfm_lcg_fill(int8_t *dst, int32_t n, uint32_t seed);
/* Fills the model's golden input, runs it, compares the output's CRC. 1: equal. *ret_crc is the CRC found. */
int jfm_self_test(const struct jfm_model *m, uint32_t *ret_crc);

#endif
