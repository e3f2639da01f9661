/* SPDX-License-Identifier: MIT
 * gemmlowp's fixed-point arithmetic: multiplication, exp and 1/(1+x). Constants and order of operations: github.com/google/gemmlowp
 * fixedpoint/fixedpoint.h. Qn below: n integer bits, 31 - n fractional ones. */
#ifndef JF_FIXED_H
#define JF_FIXED_H

#include <stdint.h>

/* a*b/2^31, rounded half up; a or b is above INT32_MIN. For negative products too: gemmlowp's nudge 1 - 2^30 followed by a division
 * that truncates toward zero is the same number as this floor. */
static inline int32_t jfk_high_mul(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31); }

/* x / 2^e, rounded half away from zero; e 0..31. */
static inline int32_t jfk_round_shift(int32_t x, int e) {
    int32_t mask = (int32_t)((UINT32_C(1) << e) - 1u);
    int32_t rest = x & mask;
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> e) + (rest > threshold ? 1 : 0);
}

static inline int32_t jfk_shift_left_saturating(int32_t x, int e) {
    int64_t v = (int64_t)x * (INT64_C(1) << e);
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* exp(a) for a in [-1/4, 0), Q0: a Taylor polynomial around -1/8. */
static inline int32_t jfk_exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    int32_t x = a + (INT32_C(1) << 28), x2 = jfk_high_mul(x, x), x3 = jfk_high_mul(x2, x), x4 = jfk_high_mul(x2, x2);
    int32_t tail = jfk_round_shift(jfk_high_mul(jfk_round_shift(x4, 2) + x3, third) + x2, 1);
    return exp_minus_eighth + jfk_high_mul(exp_minus_eighth, x + tail);
}

/* exp(a) for a <= 0 with 4 or 5 integer bits -> Q0. */
static inline int32_t jfk_exp_negative(int32_t a, int integer_bits) {
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* exp(-2^(k-2)) */
    const int quarter_bit = 31 - integer_bits - 2;
    const int32_t quarter = (int32_t)(INT64_C(1) << quarter_bit);
    int32_t part = (a & (quarter - 1)) - quarter;
    int32_t result = jfk_exp_quarter(jfk_shift_left_saturating(part, integer_bits));
    int32_t rest = part - a;
    for (int k = 0; k < integer_bits + 2; k++) {
        if (rest & (INT32_C(1) << (quarter_bit + k))) {
            result = jfk_high_mul(result, factors[k]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 2/(1+a) for a in [0, 1), Q0 -> Q2: three Newton steps from 48/17 - 32/17 d. */
static inline int32_t jfk_twice_reciprocal(int32_t a) {
    int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + jfk_high_mul(half, -1010580540);
    for (int i = 0; i < 3; i++) {
        int32_t missing = (INT32_C(1) << 29) - jfk_high_mul(half, x);
        x += jfk_shift_left_saturating(jfk_high_mul(x, missing), 2);
    }
    return x;
}

/* 1/(1+a), Q0 -> Q0. */
static inline int32_t jfk_reciprocal(int32_t a) { return jfk_shift_left_saturating(jfk_twice_reciprocal(a), 1); }

#endif
