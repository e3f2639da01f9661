/* SPDX-License-Identifier: MIT
 * Addition of jf_dsp.h. */
#include "firmware/runtime/jf_dsp.h"
#include "firmware/runtime/jf_dsp_int.h"

#if JFD_HAVE_DSP
/* jfk_multiply for a shift of 0 or less and |2x| below 2^31: away is -1, or 0 when nothing is shifted out. */
struct scale {
    int32_t mult, right, half, away;
};

static inline struct scale scale_of(int32_t mult, int32_t shift) {
    return (struct scale){mult, -shift, shift ? INT32_C(1) << (-shift - 1) : 0, shift ? -1 : 0};
}

static inline int32_t scaled(int32_t twice, struct scale s) {
    int32_t v = jfd_high_mul(twice, s.mult);
    return (v + (v >> 31 & s.away) + s.half) >> s.right;
}

void jfd_add(const struct jfk_add *p, const int8_t *a, const int8_t *b, int8_t *out) {
    const struct scale sa = scale_of(p->a_mult, p->a_shift), sb = scale_of(p->b_mult, p->b_shift), so = scale_of(p->out_mult, p->out_shift);
    int32_t a_zp = p->a_zp, b_zp = p->b_zp, out_zp = p->out_zp, lo = p->act_min, hi = p->act_max, left = p->left_shift + 1;
    const int8_t *end = a + p->n;
    for (; a < end; a++, b++, out++) {
        int32_t x = scaled((int32_t)((uint32_t)(*a - a_zp) << left), sa), y = scaled((int32_t)((uint32_t)(*b - b_zp) << left), sb);
        int32_t v = scaled(2 * (p->subtract ? x - y : x + y), so) + out_zp;
        v = v < lo ? lo : v;
        *out = (int8_t)(v > hi ? hi : v);
    }
}
#endif
