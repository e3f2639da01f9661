/* SPDX-License-Identifier: MIT
 * What the DSP kernels share. Instructions: Arm v7-M Architecture Reference Manual (DDI 0403), A7. */
#ifndef JF_DSP_INT_H
#define JF_DSP_INT_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && !defined(__ARM_FEATURE_MVE)
#define JFD_HAVE_DSP 1

/* (a*b + 2^31) >> 32 */
static inline int32_t jfd_high_mul(int32_t a, int32_t b) {
    int32_t r;
    __asm__("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
#else
#define JFD_HAVE_DSP 0
#endif

#endif
