/* SPDX-License-Identifier: GPL-2.0-or-later
 * The arena's layout. Shared memory never changes a value: every node's output of a run in the planned arena, poisoned before, guarded on both
 * sides, equals a run in which no two tensors share a byte; for the four models and for random networks, in both numerics. The overlap distances: kernels
 * run with their output exactly that far before their input, and a little nearer, where some of them must go wrong. Chains of nodes: the arena
 * and the lower bound are the best of all layouts, each tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/overlap.h"
#include "compiler/passes.h"
#include "compiler/tflite.h"
#include "firmware/runtime/jf_model.h"

#define GUARD 4096
#define POISON 0x5a

static uint32_t next(uint32_t *x) { return *x = *x * 1664525u + 1013904223u; }
static int32_t roll(uint32_t *x, int32_t lo, int32_t hi) { return lo + (int32_t)((next(x) >> 8) % (uint32_t)(hi - lo + 1)); }

/* --- whole programs ---------------------------------------------------------------------------------------------- */

struct trail {
    uint32_t crc[4096];
    int n;
};

static void follow(void *ctx, int node, const int8_t *out, int32_t n) {
    struct trail *t = ctx;
    (void)node;
    assert_true(t->n < 4096);
    t->crc[t->n++] = jfm_crc32(0, out, n);
}

static void run_guarded(const struct program *p, uint32_t seed, struct trail *t) {
    size_t n = (size_t)p->arena_bytes;
    int8_t *memory = malloc(n + 2 * GUARD);
    assert_non_null(memory);
    memset(memory, POISON, n + 2 * GUARD);
    int8_t *arena = memory + GUARD;
    t->n = 0;
    jfm_lcg_fill(arena + p->offset[p->model->input], p->model->tensors[p->model->input].elements, seed);
    program_run(p, arena, follow, t);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(memory[i], POISON);
        assert_int_equal(arena[n + i], POISON);
    }
    free(memory);
}

/* Tensors that are alive together are apart, unless the node that makes one ends the other. */
static void check_apart(const struct program *p) {
    const struct ir_model *m = p->model;
    for (int a = 0; a < m->n_tensors; a++) {
        for (int b = 0; b < m->n_tensors; b++) {
            const struct ir_tensor *s = &m->tensors[a], *t = &m->tensors[b];
            bool there = a != b && p->offset[a] >= 0 && p->offset[b] >= 0 && !s->data && !t->data && t->producer > s->producer;
            bool together = there && t->producer < s->last_use && t->last_use >= 0;
            if (together && p->nodes[t->producer].kernel != KERNEL_NONE && p->nodes[s->producer < 0 ? 0 : s->producer].kernel != KERNEL_NONE) {
                assert_true(p->offset[a] + s->elements <= p->offset[b] || p->offset[b] + t->elements <= p->offset[a]);
            }
        }
    }
}

static int32_t check_model(const struct ir_model *m, enum numerics numerics) {
    static struct trail shared, apart;
    struct program p;
    struct err e = {0};
    if (program_build(m, numerics, &p, &e) < 0) {
        fail_msg("%s", e.text);
    }
    int32_t bytes = p.arena_bytes;
    assert_true(bytes >= p.lower_bound_bytes && p.lower_bound_bytes > 0);
    check_apart(&p);
    for (uint32_t seed = 1; seed <= 2; seed++) {
        assert_int_equal(program_plan(&p, true), 0);
        run_guarded(&p, seed, &shared);
        assert_int_equal(program_plan(&p, false), 0);
        assert_true(p.arena_bytes >= bytes);
        run_guarded(&p, seed, &apart);
        assert_int_equal(shared.n, apart.n);
        assert_memory_equal(shared.crc, apart.crc, (size_t)shared.n * sizeof shared.crc[0]);
    }
    program_done(&p);
    return bytes;
}

static void test_models(void **state) {
    (void)state;
    static const char *const files[] = {"ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8"};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "firmware/models/%s.tflite", files[i]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        uint8_t *bytes = malloc(1 << 20);
        assert_non_null(bytes);
        size_t n = fread(bytes, 1, 1 << 20, f);
        (void)fclose(f);
        struct ir_model m;
        assert_int_equal(tflite_read(bytes, n, &m, NULL), 0);
        struct program p;
        assert_int_equal(program_build(&m, NUMERICS_TFLM, &p, NULL), 0);
        assert_int_equal(p.arena_bytes, p.lower_bound_bytes); /* which no layout can undercut */
        program_done(&p);
        (void)check_model(&m, NUMERICS_TFLM);
        (void)check_model(&m, NUMERICS_LITERT);
        ir_done(&m);
        free(bytes);
    }
}

/* --- random networks ------------------------------------------------------------------------------------------------ */

static int tensor(struct ir_model *m, int rank, const int32_t *shape, float scale, int32_t zero) {
    int t = ir_add_tensor(m);
    assert_true(t >= 0);
    float *s = ir_alloc(m, sizeof *s);
    int32_t *z = ir_alloc(m, sizeof *z);
    assert_non_null(s);
    assert_non_null(z);
    *s = scale;
    *z = zero;
    m->tensors[t].type = IR_I8;
    m->tensors[t].rank = IR_RANK_UNKNOWN;
    m->tensors[t].scales = s;
    m->tensors[t].zero_points = z;
    m->tensors[t].n_scales = 1;
    (void)snprintf(m->tensors[t].name, sizeof m->tensors[t].name, "t%d", t);
    if (shape) {
        assert_int_equal(ir_set_shape(&m->tensors[t], rank, shape), 0);
    }
    return t;
}

static int constant(struct ir_model *m, const int32_t shape[4], float scale, uint32_t *x) {
    int t = tensor(m, 4, shape, scale, 0);
    int32_t n = m->tensors[t].elements;
    uint8_t *data = ir_alloc(m, (size_t)n);
    assert_non_null(data);
    for (int32_t i = 0; i < n; i++) {
        data[i] = (uint8_t)roll(x, -127, 127);
    }
    m->tensors[t].data = data;
    return t;
}

/* One node from `in`; shapes are left to the inference. The output's index. */
static int grow(struct ir_model *m, enum ir_op op, int in, int other, uint32_t *x) {
    const struct ir_tensor *t = &m->tensors[in];
    int32_t h = t->shape[1], w = t->shape[2], c = t->shape[3];
    bool same = op == IR_AVERAGE_POOL || op == IR_MAX_POOL;
    float scale = same ? ir_scale(t, 0) : op == IR_SOFTMAX ? 1.0f / 256.0f : 0.1f;
    int32_t zero = same ? ir_zero_point(t) : op == IR_SOFTMAX ? -128 : roll(x, -20, 20);
    struct ir_node n = {.op = op, .inputs = {in, other}, .n_inputs = other >= 0 ? 2 : 1, .n_outputs = 1, .dil_h = 1, .dil_w = 1, .depth_mult = 1, .beta = 1.0f, .alpha = 0.3f};
    n.stride_h = roll(x, 1, 2);
    n.stride_w = roll(x, 1, 2);
    n.filter_h = roll(x, 1, h < 3 ? h : 3);
    n.filter_w = roll(x, 1, w < 3 ? w : 3);
    n.activation = op == IR_CONV || op == IR_DEPTHWISE || op == IR_ADD ? (enum ir_activation)roll(x, 0, 1) : IR_ACT_NONE;
    if (op == IR_CONV || op == IR_DEPTHWISE || same) {
        int32_t rows = ir_same_padding(h, n.filter_h, n.stride_h, 1), columns = ir_same_padding(w, n.filter_w, n.stride_w, 1);
        bool pad = roll(x, 0, 3) > 0;
        n.pad_top = pad ? rows / 2 : 0;
        n.pad_bottom = pad ? rows - rows / 2 : 0;
        n.pad_left = pad ? columns / 2 : 0;
        n.pad_right = pad ? columns - columns / 2 : 0;
    }
    if (op == IR_CONV || op == IR_DEPTHWISE) {
        n.depth_mult = op == IR_DEPTHWISE && c < 20 ? roll(x, 1, 2) : 1;
        const int32_t shape[4] = {op == IR_CONV ? roll(x, 1, 24) : 1, n.filter_h, n.filter_w, op == IR_CONV ? c : c * n.depth_mult};
        n.inputs[1] = constant(m, shape, 0.004f, x);
        n.inputs[2] = -1;
        n.n_inputs = 3;
    }
    int i = ir_add_node(m), out = tensor(m, 0, NULL, scale, zero);
    assert_true(i >= 0);
    n.output = out;
    m->nodes[i] = n;
    m->output = out;
    struct err e = {0};
    if (ir_check(m, &e) < 0) {
        fail_msg("%s", e.text);
    }
    return out;
}

static void random_network(uint32_t seed, struct ir_model *m) {
    static const enum ir_op ops[] = {IR_CONV, IR_DEPTHWISE, IR_AVERAGE_POOL, IR_MAX_POOL, IR_LEAKY_RELU, IR_CONV, IR_DEPTHWISE, IR_ADD, IR_MUL, IR_SOFTMAX, IR_QUANTIZE, IR_SUB};
    uint32_t x = seed;
    memset(m, 0, sizeof *m);
    const int32_t shape[4] = {1, roll(&x, 1, 20), roll(&x, 1, 20), roll(&x, 1, 12)};
    m->input = tensor(m, 4, shape, 0.05f, 3);
    int made[32], n = 0;
    made[n++] = m->input;
    for (int length = roll(&x, 2, 14); length > 0; length--) {
        enum ir_op op = ops[roll(&x, 0, 11)];
        int in = made[roll(&x, 0, 4) ? n - 1 : roll(&x, 0, n - 1)], other = -1;
        if (op == IR_ADD || op == IR_MUL || op == IR_SUB) { /* an operand of the same shape: an older tensor, or the same */
            other = made[roll(&x, 0, n - 1)];
            other = ir_same_shape(&m->tensors[other], &m->tensors[in]) ? other : in;
        }
        made[n++] = grow(m, op, in, other, &x);
    }
}

static void test_random(void **state) {
    (void)state;
    int64_t arena = 0, sum = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct ir_model m;
        struct program p;
        random_network(seed * 7919, &m);
        arena += check_model(&m, seed & 1 ? NUMERICS_TFLM : NUMERICS_LITERT);
        assert_int_equal(program_build(&m, NUMERICS_TFLM, &p, NULL), 0);
        assert_int_equal(program_plan(&p, false), 0);
        sum += p.arena_bytes;
        program_done(&p);
        ir_done(&m);
    }
    print_message("300 networks: %lld bytes, %lld without sharing\n", (long long)arena, (long long)sum);
    assert_true(arena < sum);
}

/* --- chains: every choice of which neighbour is the lower --------------------------------------------------------------------- */

#define CHAIN 10

static int32_t up4(int32_t n) { return (n + 3) & ~3; }

/* The end of the layout in which tensor i + 1 lies below tensor i where bit i of `below` is set, each as low as that allows. */
static int64_t end_of_choice(const int32_t *bytes, const int32_t *distance, int n, unsigned below) {
    int64_t at[CHAIN + 1] = {0}, end = 0;
    for (int round = 0; round < n; round++) {
        for (int i = 0; i + 1 < n; i++) {
            bool down = below >> i & 1;
            int64_t least = down ? at[i + 1] + distance[i] : at[i] + bytes[i];
            int high = down ? i : i + 1;
            at[high] = at[high] > least ? at[high] : least;
        }
    }
    for (int i = 0; i < n; i++) {
        end = at[i] + bytes[i] > end ? at[i] + bytes[i] : end;
    }
    return end;
}

static int64_t best_of_chain(const struct program *p) {
    const struct ir_model *m = p->model;
    int32_t bytes[CHAIN + 1] = {up4(m->tensors[m->input].elements)}, distance[CHAIN + 1] = {0};
    int n = p->n_nodes + 1;
    assert_true(n <= CHAIN + 1);
    for (int i = 0; i < p->n_nodes; i++) {
        const struct lowered_node *l = &p->nodes[i];
        bytes[i + 1] = up4(m->tensors[l->out[0]].elements);
        distance[i] = l->overlap[0] < bytes[i + 1] ? up4(l->overlap[0]) : bytes[i + 1];
    }
    int64_t best = INT64_MAX;
    for (unsigned below = 0; below < 1u << (n - 1); below++) {
        int64_t end = end_of_choice(bytes, distance, n, below);
        best = end < best ? end : best;
    }
    return best;
}

/* *ret_most: bytes of the largest pair of neighbours. */
static void chain(uint32_t seed, int least, int longest, struct ir_model *m, int32_t *ret_most) {
    static const enum ir_op ops[] = {IR_CONV, IR_DEPTHWISE, IR_MAX_POOL, IR_LEAKY_RELU, IR_CONV};
    uint32_t x = seed * 104729;
    memset(m, 0, sizeof *m);
    *ret_most = 0;
    const int32_t shape[4] = {1, roll(&x, 1, 16), roll(&x, 1, 16), roll(&x, 1, 24)};
    int last = m->input = tensor(m, 4, shape, 0.05f, 3);
    for (int length = roll(&x, least, longest); length > 0; length--) {
        int in = last;
        last = grow(m, ops[roll(&x, 0, 4)], in, -1, &x);
        int32_t both = up4(m->tensors[in].elements) + up4(m->tensors[last].elements);
        *ret_most = both > *ret_most ? both : *ret_most;
    }
}

static void test_chains(void **state) {
    (void)state;
    int tighter = 0;
    for (uint32_t seed = 1; seed <= 400; seed++) {
        struct ir_model m;
        struct program p;
        int32_t most;
        chain(seed, 2, CHAIN, &m, &most);
        assert_int_equal(program_build(&m, NUMERICS_TFLM, &p, NULL), 0);
        assert_int_equal(p.arena_bytes, best_of_chain(&p));
        assert_int_equal(p.lower_bound_bytes, p.arena_bytes);
        tighter += p.arena_bytes < most;
        program_done(&p);
        ir_done(&m);
    }
    print_message("400 chains, %d of them smaller than their largest pair\n", tighter);
    assert_true(tighter > 200);
}

/* Too long to try all: the bound, which test_chains proves, is met. */
static void test_long_chains(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct ir_model m;
        struct program p;
        int32_t most;
        chain(seed, 200, 300, &m, &most);
        assert_int_equal(program_build(&m, NUMERICS_TFLM, &p, NULL), 0);
        assert_int_equal(p.arena_bytes, p.lower_bound_bytes);
        program_done(&p);
        ir_done(&m);
    }
}

/* --- overlap distances --------------------------------------------------------------------------------------------------- */

#define CELLS 20000

struct geometry {
    struct jfk_conv conv;
    struct jfk_pool pool;
    int kind; /* 0 convolution, 1 depthwise, 2 average, 3 maximum */
    int32_t in_n, out_n;
};

static int8_t weights[CELLS];
static int32_t mult[64];
static int8_t shift[64];

static void draw(struct geometry *g, uint32_t *x) {
    struct jfk_conv *c = &g->conv;
    memset(g, 0, sizeof *g);
    g->kind = roll(x, 0, 3);
    *c = (struct jfk_conv){.in_h = (int16_t)roll(x, 1, 12), .in_w = (int16_t)roll(x, 1, 12), .in_c = (int16_t)roll(x, 1, 9), .k_h = (int16_t)roll(x, 1, 4), .k_w = (int16_t)roll(x, 1, 4)};
    c->stride_h = (int16_t)roll(x, 1, 3);
    c->stride_w = (int16_t)roll(x, 1, 3);
    c->dil_h = (int16_t)(g->kind < 2 ? roll(x, 1, 2) : 1);
    c->dil_w = (int16_t)(g->kind < 2 ? roll(x, 1, 2) : 1);
    c->depth_mult = (int16_t)(g->kind == 1 ? roll(x, 1, 2) : 1);
    c->out_c = (int16_t)(g->kind == 0 ? roll(x, 1, 20) : c->in_c * c->depth_mult);
    c->out_h = (int16_t)((c->in_h + c->stride_h - 1) / c->stride_h);
    c->out_w = (int16_t)((c->in_w + c->stride_w - 1) / c->stride_w);
    c->pad_top = (int16_t)(ir_same_padding(c->in_h, c->k_h, c->stride_h, c->dil_h) / 2);
    c->pad_left = (int16_t)(ir_same_padding(c->in_w, c->k_w, c->stride_w, c->dil_w) / 2);
    c->weights = weights;
    c->rq = (struct jfk_requant){.mult = mult, .shift = shift, .act_min = -128, .act_max = 127};
    g->pool = (struct jfk_pool){c->in_h, c->in_w, c->in_c, c->out_h, c->out_w, c->k_h, c->k_w, c->stride_h, c->stride_w, c->pad_top, c->pad_left, -128, 127};
    g->in_n = (int32_t)c->in_h * c->in_w * c->in_c;
    g->out_n = (int32_t)c->out_h * c->out_w * c->out_c;
}

static void apply(const struct geometry *g, const int8_t *in, int8_t *out) {
    void (*const run_conv[])(const struct jfk_conv *, const int8_t *, int8_t *) = {jfk_conv2d, jfk_depthwise};
    if (g->kind < 2) {
        run_conv[g->kind](&g->conv, in, out);
    } else if (g->kind == 2) {
        jfk_average_pool(&g->pool, in, out);
    } else {
        jfk_max_pool(&g->pool, in, out);
    }
}

static bool survives(const struct geometry *g, int32_t distance) {
    static int8_t in[CELLS], memory[CELLS], want[CELLS];
    assert_true(distance + g->in_n <= CELLS && g->out_n <= CELLS);
    jfm_lcg_fill(in, g->in_n, 3);
    apply(g, in, want);
    memcpy(memory + distance, in, (size_t)g->in_n);
    apply(g, memory + distance, memory);
    return memcmp(memory, want, (size_t)g->out_n) == 0;
}

static void test_distance(void **state) {
    (void)state;
    uint32_t x = 5;
    int nearer = 0, wrong = 0, less = 0;
    for (int i = 0; i < 64; i++) { /* small enough not to saturate: every byte read matters */
        mult[i] = 1 << 30;
        shift[i] = -8;
    }
    jfm_lcg_fill(weights, CELLS, 9);
    for (int i = 0; i < 4000; i++) {
        struct geometry g;
        draw(&g, &x);
        int32_t d = g.kind < 2 ? overlap_conv(&g.conv, 1) : overlap_pool(&g.pool, 1), tile = roll(&x, 2, 5);
        assert_true(d > 0);
        assert_true(survives(&g, d));
        assert_true(survives(&g, d + roll(&x, 1, 9)));
        assert_true((g.kind < 2 ? overlap_conv(&g.conv, tile) : overlap_pool(&g.pool, tile)) >= d);
        less += d < g.out_n;
        if (d >= 2 * g.conv.out_c) { /* the distance leaves a cell that is written while its own input is read: two nearer goes wrong */
            nearer++;
            wrong += !survives(&g, d - 2 * g.conv.out_c);
        }
    }
    print_message("%d of 4000 overlap; %d of %d go wrong two cells nearer\n", less, wrong, nearer);
    assert_true(less > 2000);
    assert_true(wrong > nearer * 3 / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_random), cmocka_unit_test(test_chains), cmocka_unit_test(test_long_chains), cmocka_unit_test(test_distance)};
    return cmocka_run_group_tests_name("compiler/plan", tests, NULL, NULL);
}
