/* SPDX-License-Identifier: GPL-2.0-or-later
 * Weight packing: orders written out by hand from the headers of the kernels, the folded bias, channels with one possible output, where scratch lies; and
 * what build descriptions are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/board.h"
#include "compiler/pack.h"
#include "compiler/tflite.h"
#include "firmware/runtime/jf_dsp.h"

/* 1x1 convolution, 5 inputs, 3 outputs, in_zp 10; scales 1/4. */
static const int8_t weights[15] = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 10, 20, 30, 40, 50};

struct one {
    struct ir_tensor tensors[2];
    struct ir_model model;
    struct lowered_node node;
    struct program program;
    int32_t mult[3], bias[3], offset[2];
    int8_t shift[3];
};

static void one_conv(struct one *o) {
    memset(o, 0, sizeof *o);
    for (int i = 0; i < 3; i++) {
        o->mult[i] = 1 << 30;
        o->shift[i] = -1;
        o->bias[i] = 100 * (i + 1);
    }
    o->tensors[0] = (struct ir_tensor){.elements = 5, .producer = -1, .last_use = 0};
    o->tensors[1] = (struct ir_tensor){.elements = 3, .producer = 0, .last_use = -1};
    o->model = (struct ir_model){.tensors = o->tensors, .n_tensors = 2, .n_nodes = 1, .input = 0, .output = 1};
    o->node.op = IR_CONV;
    o->node.kernel = KERNEL_CONV;
    o->node.channels = 3;
    o->node.k.conv = (struct jfk_conv){.in_h = 1, .in_w = 1, .in_c = 5, .out_h = 1, .out_w = 1, .out_c = 3, .k_h = 1, .k_w = 1, .stride_h = 1, .stride_w = 1, .dil_h = 1, .dil_w = 1,
                                       .depth_mult = 1, .in_zp = 10, .weights = weights, .bias = o->bias,
                                       .rq = {.mult = o->mult, .shift = o->shift, .out_zp = 3, .act_min = -128, .act_max = 127}};
    o->offset[0] = 0;
    o->offset[1] = 8;
    o->program = (struct program){.model = &o->model, .nodes = &o->node, .n_nodes = 1, .offset = o->offset, .arena_bytes = 12};
}

static void orders(void **state) {
    (void)state;
    static const int8_t pairs[32] = {1,  2,  3,  4,  -1, -2, -3, -4, 5,  0, 0, 0, -5, 0, 0, 0, /* channels 0 and 1 */
                                     10, 20, 30, 40, 0,  0,  0,  0,  50, 0, 0, 0, 0,  0, 0, 0}; /* channel 2 and none */
    struct one o;
    struct packing k;
    struct err e = {0};
    one_conv(&o);
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].isa, ISA_DSP);
    assert_int_equal(k.nodes[0].n_weights, 32);
    assert_memory_equal(k.nodes[0].weights, pairs, 32);
    assert_int_equal(k.nodes[0].bias[0], 100 - 10 * 15);
    assert_int_equal(k.nodes[0].bias[1], 200 + 10 * 15);
    assert_int_equal(k.nodes[0].bias[2], 300 - 10 * 150);
    packing_done(&k);
    assert_int_equal(packing_build(&o.program, ISA_MVE, &k, &e), 0);
    assert_int_equal(k.nodes[0].n_weights, 64); /* four outputs of sixteen */
    assert_memory_equal(k.nodes[0].weights, weights, 5);
    assert_memory_equal(k.nodes[0].weights + 16, weights + 5, 5);
    assert_memory_equal(k.nodes[0].weights + 32, weights + 10, 5);
    assert_int_equal(k.nodes[0].weights[5], 0);
    assert_int_equal(k.nodes[0].weights[48], 0);
    packing_done(&k);
}

/* The arena holds 0..4 and 8..10: two patches of 8 times 16 bit and one of 8 bytes fit above only. */
static void scratch(void **state) {
    (void)state;
    struct one o;
    struct packing k;
    struct err e = {0};
    one_conv(&o);
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].scratch_bytes, 2 * 8 * 2 + 8);
    assert_int_equal(k.nodes[0].scratch_at, 16);
    assert_int_equal(k.arena_bytes, 16 + 40);
    packing_done(&k);
    o.offset[1] = 100; /* now they fit between */
    o.program.arena_bytes = 104;
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].scratch_at, 8);
    assert_int_equal(k.arena_bytes, 104);
    packing_done(&k);
}

/* An accumulator of 2^30 or more: with one possible output the channel becomes that constant, else the node stays portable. */
static void limit(void **state) {
    (void)state;
    struct one o;
    struct packing k;
    struct err e = {0};
    one_conv(&o);
    o.bias[1] = 1 << 30;
    o.shift[1] = -26; /* about 2^30 * 2^-27 = 8 */
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].isa, ISA_DSP);
    const struct jfk_requant q = {.mult = k.nodes[0].mult, .shift = k.nodes[0].shift, .out_zp = 3, .act_min = -128, .act_max = 127};
    assert_int_equal(jfk_requantize(&q, k.nodes[0].bias[1], 1), 3 + 8);
    assert_int_equal(k.nodes[0].weights[4], 0);
    packing_done(&k);
    o.shift[1] = -20; /* 512: clamped to 127, still one output */
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].isa, ISA_DSP);
    packing_done(&k);
    o.shift[1] = -27; /* 4 */
    o.bias[1] = (1 << 30) + (1 << 27); /* 4.5: rounds either way */
    assert_int_equal(packing_build(&o.program, ISA_DSP, &k, &e), 0);
    assert_int_equal(k.nodes[0].isa, ISA_PORTABLE);
    assert_int_equal(k.nodes[0].scratch_bytes, 0);
    assert_int_equal(k.arena_bytes, 12);
    packing_done(&k);
    assert_int_equal(packing_build(&o.program, ISA_MVE, &k, &e), 0); /* does not double its accumulators */
    assert_int_equal(k.nodes[0].isa, ISA_MVE);
    packing_done(&k);
}

static void descriptions(void **state) {
    (void)state;
    static const char good[] = "# c\ncompiler cc\nkernels dsp # c\nsources a b\nlink l.ld\nflash F\nram R S\n";
    const struct {
        const char *text, *said;
    } rows[] = {{good, NULL},
                {"compiler cc\nkernels fast\nsources a\nlink l\nflash F\nram R\n", "kernels is portable, dsp or mve"},
                {"compiler cc gcc\nkernels dsp\nsources a\nlink l\nflash F\nram R\n", "compiler wants one word"},
                {"compiler cc\nkernels dsp\nsources\n", "line 3: sources has no value"},
                {"compiler cc\ncompiler cc\n", "line 2: compiler stands there twice"},
                {"colour red\n", "line 1: \"colour\" is not a key"},
                {"compiler cc\n", "kernels wants one word"}};
    char dir[] = "/tmp/jf-test-pack.XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/boards", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/boards/toy", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/boards/toy/build.conf", dir);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct board b = {0};
        struct err e = {0};
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(rows[i].text, f) >= 0 && fclose(f) == 0);
        int r = board_read(dir, "toy", &b, &e);
        assert_int_equal(r, rows[i].said ? JF_E_PARSE : 0);
        if (rows[i].said) {
            assert_non_null(strstr(e.text, rows[i].said));
        } else {
            assert_int_equal(b.isa, ISA_DSP);
            assert_int_equal(b.ram.n, 2);
            assert_true(board_has(&b.ram, "S") && !board_has(&b.flash, "S"));
        }
        board_done(&b);
    }
    struct board b;
    struct err e = {0};
    assert_int_equal(board_read(dir, "oven", &b, &e), JF_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "there are: toy"));
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/boards/toy", dir);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/boards", dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(orders), cmocka_unit_test(scratch), cmocka_unit_test(limit), cmocka_unit_test(descriptions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
