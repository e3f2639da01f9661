/* SPDX-License-Identifier: GPL-2.0-or-later
 * The C writer's tables, and the arguments of the kernels without weights. */
#include <inttypes.h>

#include "compiler/emit_int.h"

void emit_i32(FILE *f, int node, const char *what, const int32_t *v, int32_t n) {
    (void)fprintf(f, "static const int32_t n%d_%s[%" PRId32 "] = {", node, what, n);
    for (int32_t i = 0; i < n; i++) {
        (void)fprintf(f, "%s%" PRId32 ",", i % 12 ? "" : "\n    ", v[i]);
    }
    (void)fprintf(f, "\n};\n");
}

void emit_i16(FILE *f, int node, const char *what, const int16_t *v, int32_t n) {
    (void)fprintf(f, "static const int16_t n%d_%s[%" PRId32 "] = {", node, what, n);
    for (int32_t i = 0; i < n; i++) {
        (void)fprintf(f, "%s%d,", i % 24 ? "" : "\n    ", v[i]);
    }
    (void)fprintf(f, "\n};\n");
}

void emit_i8(FILE *f, int node, const char *what, const int8_t *v, int32_t n) {
    (void)fprintf(f, "static const int8_t n%d_%s[%" PRId32 "] __attribute__((aligned(4))) = {", node, what, n);
    for (int32_t i = 0; i < n; i++) {
        (void)fprintf(f, "%s%d,", i % 32 ? "" : "\n    ", v[i]);
    }
    (void)fprintf(f, "\n};\n");
}

void emit_float(FILE *f, int node, const char *what, const float *v, int32_t n) {
    (void)fprintf(f, "static const float n%d_%s[%" PRId32 "] = {", node, what, n);
    for (int32_t i = 0; i < n; i++) {
        (void)fprintf(f, "%s%af,", i % 8 ? "" : "\n    ", (double)v[i]);
    }
    (void)fprintf(f, "\n};\n");
}

static void put_five(FILE *f, const int32_t *v) { (void)fprintf(f, "{%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 "}, ", v[0], v[1], v[2], v[3], v[4]); }

static void put_spread(FILE *f, int i, const struct jfk_spread *s) {
    if (s) {
        (void)fprintf(f, "static const struct jfk_spread n%d_spread = {", i);
        put_five(f, s->shape);
        put_five(f, s->a_step);
        put_five(f, s->b_step);
        (void)fprintf(f, "};\n");
    }
}

static void put_end_of_binary(FILE *f, int i, const struct jfk_spread *s) {
    (void)fprintf(f, s ? "&n%d_spread};\n" : "0};\n", i);
}

static void put_add(FILE *f, int i, const struct jfk_add *a) {
    put_spread(f, i, a->spread);
    (void)fprintf(f, "static const struct jfk_add n%d = {%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %d, %d, %d, %d, %" PRId32 ", %" PRId32
                  ", %" PRId32 ", ",
                  i, a->n, a->a_zp, a->b_zp, a->left_shift, a->a_mult, a->b_mult, a->out_mult, a->a_shift, a->b_shift, a->out_shift, a->subtract, a->out_zp, a->act_min, a->act_max);
    put_end_of_binary(f, i, a->spread);
}

static void put_mul(FILE *f, int i, const struct jfk_mul *m) {
    put_spread(f, i, m->spread);
    (void)fprintf(f, "static const struct jfk_mul n%d = {%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %d, %af, %" PRId32 ", %" PRId32 ", %" PRId32 ", ", i, m->n, m->a_zp, m->b_zp,
                  m->mult, m->shift, (double)m->scale, m->out_zp, m->act_min, m->act_max);
    put_end_of_binary(f, i, m->spread);
}

static void put_pool(FILE *f, int i, const struct jfk_pool *p) {
    (void)fprintf(f, "static const struct jfk_pool n%d = {%d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %" PRId32 ", %" PRId32 "};\n", i, p->in_h, p->in_w, p->c, p->out_h, p->out_w,
                  p->k_h, p->k_w, p->stride_h, p->stride_w, p->pad_top, p->pad_left, p->act_min, p->act_max);
}

static void put_mean(FILE *f, int i, const struct jfk_mean *m) {
    (void)fprintf(f, "static const struct jfk_mean n%d = {", i);
    put_five(f, m->kept);
    put_five(f, m->kept_step);
    put_five(f, m->cut);
    put_five(f, m->cut_step);
    (void)fprintf(f, "%" PRId32 ", %" PRId32 ", %" PRId32 ", %d, %d, %af, %af, %" PRId32 "};\n", m->n, m->in_zp, m->mult, m->shift, m->quotient, (double)m->scale, (double)m->bias, m->out_zp);
}

static void put_softmax(FILE *f, int i, const struct lowered_node *l) {
    const struct jfk_softmax *s = &l->k.softmax;
    if (l->table) {
        emit_float(f, i, "table", l->table, 256);
    }
    (void)fprintf(f, "static const struct jfk_softmax n%d = {%" PRId32 ", %" PRId32 ", %" PRId32 ", %d, %" PRId32 ", ", i, s->rows, s->n, s->mult, s->shift, s->diff_min);
    (void)fprintf(f, l->table ? "n%d_table};\n" : "0};\n", i);
}

static void put_moves(FILE *f, int i, const struct lowered_node *l) {
    (void)fprintf(f, "static const struct jfk_move n%d[%d] = {\n", i, l->n_moves);
    for (int k = 0; k < l->n_moves; k++) {
        const struct jfk_move *m = &l->moves[k];
        (void)fprintf(f, "    {");
        put_five(f, m->shape);
        put_five(f, m->in_step);
        put_five(f, m->out_step);
        (void)fprintf(f, "%" PRId32 ", %" PRId32 "},\n", m->in_at, m->out_at);
    }
    (void)fprintf(f, "};\n");
}

static void put_resize(FILE *f, int i, const struct lowered_node *l) {
    const struct jfk_resize *r = &l->k.resize;
    bool bilinear = l->kernel == KERNEL_RESIZE_BILINEAR;
    int32_t n = (int32_t)r->out_h + r->out_w;
    emit_i16(f, i, "places", l->places, bilinear ? 3 * n : n);
    (void)fprintf(f, "static const struct jfk_resize n%d = {%d, %d, %d, %d, %d, n%d_places, n%d_places + %d, ", i, r->in_h, r->in_w, r->c, r->out_h, r->out_w, i, i, r->out_h);
    if (bilinear) {
        (void)fprintf(f, "n%d_places + %" PRId32 ", n%d_places + %" PRId32 ", n%d_places + %" PRId32 ", n%d_places + %" PRId32 ", ", i, n, i, n + r->out_h, i, 2 * n, i, 2 * n + r->out_h);
    } else {
        (void)fprintf(f, "0, 0, 0, 0, ");
    }
    (void)fprintf(f, "%d};\n", r->frac_bits);
}

void emit_arguments(FILE *f, int i, const struct lowered_node *l) {
    switch (l->kernel) {
    case KERNEL_ADD:
        put_add(f, i, &l->k.add);
        break;
    case KERNEL_MUL:
        put_mul(f, i, &l->k.mul);
        break;
    case KERNEL_TABLE:
        emit_i8(f, i, "bytes", l->bytes, 256);
        (void)fprintf(f, "static const struct jfk_table n%d = {%" PRId32 ", n%d_bytes};\n", i, l->k.table.n, i);
        break;
    case KERNEL_AVERAGE_POOL:
    case KERNEL_MAX_POOL:
        put_pool(f, i, &l->k.pool);
        break;
    case KERNEL_MEAN:
        put_mean(f, i, &l->k.mean);
        break;
    case KERNEL_SOFTMAX:
        put_softmax(f, i, l);
        break;
    case KERNEL_MOVE:
        put_moves(f, i, l);
        break;
    case KERNEL_RESIZE_NEAREST:
    case KERNEL_RESIZE_BILINEAR:
        put_resize(f, i, l);
        break;
    default: /* those with weights: emit.c; none: the same memory */
        break;
    }
}
