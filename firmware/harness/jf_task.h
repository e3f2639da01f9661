/* SPDX-License-Identifier: MIT
 * What each MLPerf Tiny task does around its model: the form of the bytes the host loads, their way into the int8 input tensor, the model's own
 * post-processing, and the numbers `results%` prints. Pure; no wire. Formats: mlcommons/tiny, reference submissions. */
#ifndef FIRMWARE_HARNESS_JF_TASK_H
#define FIRMWARE_HARNESS_JF_TASK_H

#include <stdint.h>

struct jf_net;

enum jf_load {
    JF_LOAD_I8,      /* the int8 tensor itself (kws01) */
    JF_LOAD_U8,      /* unsigned pixels: value - 128 (ic01, vww01) */
    JF_LOAD_F32_LE   /* binary32, little endian, quantised here (ad01) */
};

enum jf_result {
    JF_RESULT_VALUES, /* every output element, dequantised */
    JF_RESULT_MSE     /* one value: mean squared difference of input and output (autoencoder) */
};

struct jf_task {
    const char *id;
    enum jf_load load;
    enum jf_result result;
};

/* By model id; an unknown id is loaded as int8 and printed as values. */
const struct jf_task *jf_task_find(const char *id);

/* Bytes that the host must load for this net. */
int32_t jf_task_load_bytes(const struct jf_task *t, const struct jf_net *n);

/* Loaded bytes -> in.n int8 values. Rounds half away from zero and saturates, as TensorFlow Lite quantises; not-a-number becomes the zero point. */
void jf_task_quantise(const struct jf_task *t, const struct jf_net *n, const uint8_t *loaded, int8_t *ret_tensor);

/* Stage `post`, cheap and integer: the winning class, or for JF_RESULT_MSE the sum of squared differences in output steps, capped. The number is
 * kept so that the work cannot be left out; it is not printed. */
int32_t jf_task_post(const struct jf_task *t, const struct jf_net *n, const int8_t *in, const int8_t *out);

/* JF_RESULT_VALUES: the dequantised value of element i. */
double jf_task_value(const struct jf_net *n, const int8_t *out, int32_t i);
/* JF_RESULT_MSE: against the loaded binary32 bytes, or against the dequantised input tensor when loaded is NULL (embedded input). */
double jf_task_mse(const struct jf_net *n, const uint8_t *loaded, const int8_t *in, const int8_t *out);

#endif
