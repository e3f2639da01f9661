/* SPDX-License-Identifier: MIT
 * Elementwise kernels of jf_kernels.h: add, subtract, multiply, table. */
#include "firmware/runtime/jf_kernels.h"
#include "firmware/runtime/jf_requant.h"

static inline int8_t sum_of(const struct jfk_add *p, int32_t a, int32_t b) {
    int32_t x = a - p->a_zp, y = b - p->b_zp, v;
    if (p->out_mult == 0) { /* below 2^31: 255 * 2^21 twice, and the rounding bit */
        v = (x * p->a_mult + y * p->b_mult + (INT32_C(1) << (p->out_shift - 1))) >> p->out_shift;
    } else {
        int32_t sx = jfk_multiply(x * (1 << p->left_shift), p->a_mult, p->a_shift);
        int32_t sy = jfk_multiply(y * (1 << p->left_shift), p->b_mult, p->b_shift);
        v = jfk_multiply(p->subtract ? sx - sy : sx + sy, p->out_mult, p->out_shift);
    }
    return jfk_clamped(v, p->out_zp, p->act_min, p->act_max);
}

static inline int8_t product_of(const struct jfk_mul *p, int32_t a, int32_t b) {
    int32_t acc = (a - p->a_zp) * (b - p->b_zp);
    int32_t v = p->scale > 0.0f ? jfk_nearest_even((float)acc * p->scale) : jfk_multiply(acc, p->mult, p->shift);
    return jfk_clamped(v, p->out_zp, p->act_min, p->act_max);
}

/* Where both operands of the output's next element lie: an odometer over the axes. */
struct walk {
    const struct jfk_spread *s;
    int32_t at[JFK_DIMS], a, b;
};

static inline void step(struct walk *w) {
    for (int d = JFK_DIMS - 1; d >= 0; d--) {
        w->a += w->s->a_step[d];
        w->b += w->s->b_step[d];
        if (++w->at[d] < w->s->shape[d]) {
            return;
        }
        w->a -= w->s->a_step[d] * w->s->shape[d];
        w->b -= w->s->b_step[d] * w->s->shape[d];
        w->at[d] = 0;
    }
}

void jfk_add(const struct jfk_add *p, const int8_t *a, const int8_t *b, int8_t *out) {
    struct walk w = {p->spread, {0}, 0, 0};
    if (!w.s) {
        for (int32_t i = 0; i < p->n; i++) {
            out[i] = sum_of(p, a[i], b[i]);
        }
        return;
    }
    for (int32_t i = 0; i < p->n; i++) {
        out[i] = sum_of(p, a[w.a], b[w.b]);
        step(&w);
    }
}

void jfk_mul(const struct jfk_mul *p, const int8_t *a, const int8_t *b, int8_t *out) {
    struct walk w = {p->spread, {0}, 0, 0};
    if (!w.s) {
        for (int32_t i = 0; i < p->n; i++) {
            out[i] = product_of(p, a[i], b[i]);
        }
        return;
    }
    for (int32_t i = 0; i < p->n; i++) {
        out[i] = product_of(p, a[w.a], b[w.b]);
        step(&w);
    }
}

void jfk_table(const struct jfk_table *p, const int8_t *in, int8_t *out) {
    const int8_t *middle = p->table + 128;
    for (int32_t i = 0; i < p->n; i++) {
        out[i] = middle[in[i]];
    }
}
