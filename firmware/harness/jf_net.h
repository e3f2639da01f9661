/* SPDX-License-Identifier: MIT
 * The model as the harness sees it: one int8 input tensor, one int8 output tensor, and what they mean. An emitted model (firmware/runtime/jf_model.h)
 * becomes one in firmware/boards/common/jf_net_model.c; unit tests make their own. */
#ifndef FIRMWARE_HARNESS_JF_NET_H
#define FIRMWARE_HARNESS_JF_NET_H

#include <stdint.h>

struct jf_tensor {
    int32_t n; /* elements, one byte each */
    double scale;
    int32_t zero_point;
};

struct jf_net {
    const char *id;       /* ad01, kws01, ic01, vww01, ... */
    const char *sha256;   /* of the .tflite, hex */
    const char *numerics; /* tflm | litert */
    struct jf_tensor in, out;
    int8_t *input;        /* where an inference reads; its content does not survive the inference (the arena is reused) */
    const int8_t *output; /* where it leaves its result, good until the next input is written */
    uint32_t golden_crc;  /* CRC-32 of the output for the embedded input */
    const void *ctx;      /* given back to each function */
    void (*init)(const void *ctx);                      /* stage `init`: once per boot */
    void (*golden)(const void *ctx, int8_t *ret_input); /* the embedded input, in.n bytes */
    void (*infer)(const void *ctx);
    /* The same, and after() is told each layer's output in the order of execution; it is good until after() returns. */
    void (*layers)(const void *ctx, void (*after)(void *user, int32_t layer, const int8_t *output, int32_t n), void *user);
};

#define JF_NET_INPUT_MAX 27648
#define JF_NET_OUTPUT_MAX 2048

#endif
