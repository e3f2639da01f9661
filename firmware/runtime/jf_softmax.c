/* SPDX-License-Identifier: MIT
 * int8 softmax: gemmlowp's fixed-point exp and reciprocal (tflm), or a table of floats (litert). Constants and order of operations:
 * github.com/google/gemmlowp fixedpoint/fixedpoint.h. Qn below: n integer bits, 31 - n fractional ones. */
#include "firmware/runtime/jf_kernels.h"

#define ACCUM_BITS 12

static int32_t high_mul(int32_t a, int32_t b) { return jfk_multiply(a, b, 0); }

static int32_t round_shift(int32_t x, int e) {
    int32_t mask = (int32_t)((UINT32_C(1) << e) - 1u), rest = x & mask, threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> e) + (rest > threshold ? 1 : 0);
}

static int32_t shift_left_saturating(int32_t x, int e) {
    int64_t v = (int64_t)x * (INT64_C(1) << e);
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* exp(a) for a in [-1/4, 0), Q0: a Taylor polynomial around -1/8. */
static int32_t exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    int32_t x = a + (INT32_C(1) << 28), x2 = high_mul(x, x), x3 = high_mul(x2, x), x4 = high_mul(x2, x2);
    int32_t tail = round_shift(high_mul(round_shift(x4, 2) + x3, third) + x2, 1);
    return exp_minus_eighth + high_mul(exp_minus_eighth, x + tail);
}

/* exp(a) for a <= 0 in Q5 -> Q0. */
static int32_t exp_negative(int32_t a) {
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* exp(-2^(k-2)) */
    const int32_t quarter = INT32_C(1) << 24;
    int32_t part = (a & (quarter - 1)) - quarter;
    int32_t result = exp_quarter(shift_left_saturating(part, 5));
    int32_t rest = part - a;
    for (int k = 0; k < 7; k++) {
        if (rest & (INT32_C(1) << (24 + k))) {
            result = high_mul(result, factors[k]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 1/(1+a) for a in [0, 1), Q0 -> Q0: three Newton steps from 48/17 - 32/17 d. */
static int32_t reciprocal(int32_t a) {
    int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_mul(half, -1010580540);
    for (int i = 0; i < 3; i++) {
        int32_t missing = (INT32_C(1) << 29) - high_mul(half, x);
        x += shift_left_saturating(high_mul(x, missing), 2);
    }
    return shift_left_saturating(x, 1);
}

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
            sum += round_shift(exp_negative(high_mul(d * (1 << p->shift), p->mult)), ACCUM_BITS);
        }
    }
    int zeros = leading_zeros((uint32_t)sum);
    int over_unit = ACCUM_BITS - zeros;
    int32_t scale = reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
    for (int32_t i = 0; i < p->n; i++) {
        int32_t d = in[i] - max, v = -128;
        if (d >= p->diff_min) {
            int32_t e = exp_negative(high_mul(d * (1 << p->shift), p->mult));
            int down = over_unit + 31 - 8;
            v += down > 31 ? 0 : round_shift(high_mul(scale, e), down); /* 2^31 >> 32 rounds to 0 */
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
