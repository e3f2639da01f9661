/* SPDX-License-Identifier: MIT
 * Rounding and clamping that the kernels share. */
#ifndef JF_REQUANT_H
#define JF_REQUANT_H

#include <stdint.h>

#include "firmware/runtime/jf_fixed.h"

/* Nearest even without libm: adding 1.5*2^23 leaves the rounded integer in the low bits (|v| < 2^22). */
static inline int32_t jfk_nearest_even(float v) {
    if (v > 4000000.0f) {
        return 4000000;
    }
    if (v < -4000000.0f) {
        return -4000000;
    }
    volatile float biased = v + 12582912.0f;
    return (int32_t)(biased - 12582912.0f);
}

/* Clamps v + zp to [lo, hi]; compares before adding, because v may be near the type's limits. */
static inline int8_t jfk_clamped(int32_t v, int32_t zp, int32_t lo, int32_t hi) {
    v = v < lo - zp ? lo - zp : v;
    v = v > hi - zp ? hi - zp : v;
    return (int8_t)(v + zp);
}

#endif
