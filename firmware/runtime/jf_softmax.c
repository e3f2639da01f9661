/* SPDX-License-Identifier: MIT
 * int8 softmax: gemmlowp's fixed-point exp and reciprocal (tflm), or a table of floats (litert). */
#include "firmware/runtime/jf_fixed.h"
#include "firmware/runtime/jf_kernels.h"

#define ACCUM_BITS 12

static int leading_zeros(uint32_t v) {
    int n = 0;
    for (; n < 32 && !(v & 0x80000000u); n++) {
        v <<= 1;
    }
    return n;
}

static int8_t row_max(const int8_t *in, int32_t n) {
    int8_t m = in[0];
    for (int32_t i = 1; i < n; i++) {
        m = in[i] > m ? in[i] : m;
    }
    return m;
}

static void row_tflm(const struct jfk_softmax *p, const int8_t *in, int8_t *out, int32_t max) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->n; i++) {
        int32_t d = in[i] - max;
        if (d >= p->diff_min) {
            sum += jfk_round_shift(jfk_exp_negative(jfk_high_mul(d * (1 << p->shift), p->mult), 5), ACCUM_BITS);
        }
    }
    int zeros = leading_zeros((uint32_t)sum);
    int over_unit = ACCUM_BITS - zeros;
    int32_t scale = jfk_reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
    for (int32_t i = 0; i < p->n; i++) {
        int32_t d = in[i] - max, v = -128;
        if (d >= p->diff_min) {
            int32_t e = jfk_exp_negative(jfk_high_mul(d * (1 << p->shift), p->mult), 5);
            int down = over_unit + 31 - 8;
            v += down > 31 ? 0 : jfk_round_shift(jfk_high_mul(scale, e), down); /* 2^31 >> 32 rounds to 0 */
        }
        out[i] = (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v);
    }
}

static void row_litert(const struct jfk_softmax *p, const int8_t *in, int8_t *out, int32_t max) {
    float sum = 0.0f;
    for (int32_t i = 0; i < p->n; i++) {
        sum += p->table[max - in[i]];
    }
    float inverse = 1.0f / (sum * (1.0f / 256.0f));
    for (int32_t i = 0; i < p->n; i++) {
        volatile float biased = p->table[max - in[i]] * inverse + 12582912.0f; /* nearest even */
        int32_t v = (int32_t)(biased - 12582912.0f) - 128;
        out[i] = (int8_t)(v > 127 ? 127 : v);
    }
}

void jfk_softmax(const struct jfk_softmax *p, const int8_t *in, int8_t *out) {
    for (int32_t r = 0; r < p->rows; r++, in += p->n, out += p->n) {
        if (p->table) {
            row_litert(p, in, out, row_max(in, p->n));
        } else {
            row_tflm(p, in, out, row_max(in, p->n));
        }
    }
}
