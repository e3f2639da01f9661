/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole models against checksums that other implementations gave: TensorFlow Lite for Microcontrollers' reference kernels (tflm) and
 * TensorFlow Lite's XNNPACK build for JavaScript (litert), CRC-32 of every operator's output and of the last, for three
 * inputs of a linear congruential sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "compiler/lower.h"
#include "compiler/tflite.h"
#include "firmware/runtime/jf_model.h"

struct golden {
    const char *file;
    enum numerics numerics;
    uint32_t seed, all, last;
};
static const struct golden rows[] = {
    {"ad01_int8", NUMERICS_TFLM, 1, 0x2310dc75, 0x418fef1d},
    {"ad01_int8", NUMERICS_TFLM, 2, 0x25a659de, 0xcb05a81f},
    {"ad01_int8", NUMERICS_TFLM, 3, 0xee5684c2, 0xe1ecb846},
    {"kws_ref_model", NUMERICS_TFLM, 1, 0xf380a85b, 0xfeebd905},
    {"kws_ref_model", NUMERICS_TFLM, 2, 0xde99fca1, 0x644ce02c},
    {"kws_ref_model", NUMERICS_TFLM, 3, 0x7e1bf6a3, 0x6ee3d819},
    {"pretrainedResnet_quant", NUMERICS_TFLM, 1, 0x5c2845bb, 0x6d0c90cb},
    {"pretrainedResnet_quant", NUMERICS_TFLM, 2, 0x52487eab, 0xf0ea10b3},
    {"pretrainedResnet_quant", NUMERICS_TFLM, 3, 0xbff66fd4, 0x74f9d306},
    {"vww_96_int8", NUMERICS_TFLM, 1, 0x7ee33065, 0x90d2a596},
    {"vww_96_int8", NUMERICS_TFLM, 2, 0xd80a9758, 0x90d2a596},
    {"vww_96_int8", NUMERICS_TFLM, 3, 0x96b31324, 0xccf8c6c3},
    {"ad01_int8", NUMERICS_LITERT, 1, 0x4a0da75f, 0x7c7c7040},
    {"ad01_int8", NUMERICS_LITERT, 2, 0xfb0eea24, 0x1a90e9fb},
    {"ad01_int8", NUMERICS_LITERT, 3, 0x8d025bf7, 0x75bd9038},
    {"kws_ref_model", NUMERICS_LITERT, 1, 0x26dbbc55, 0xfe23008f},
    {"kws_ref_model", NUMERICS_LITERT, 2, 0x834c3096, 0x89a239ab},
    {"kws_ref_model", NUMERICS_LITERT, 3, 0x7817c37e, 0x1a9f508d},
    {"pretrainedResnet_quant", NUMERICS_LITERT, 1, 0x7599261d, 0xc8a6ee84},
    {"pretrainedResnet_quant", NUMERICS_LITERT, 2, 0x675be6fa, 0xee82d6a6},
    {"pretrainedResnet_quant", NUMERICS_LITERT, 3, 0x5bcc5637, 0x058572b1},
    {"vww_96_int8", NUMERICS_LITERT, 1, 0x4767e523, 0x90d2a596},
    {"vww_96_int8", NUMERICS_LITERT, 2, 0xd9adc61f, 0x90d2a596},
    {"vww_96_int8", NUMERICS_LITERT, 3, 0xe96da621, 0xccf8c6c3},
};

struct crcs {
    uint32_t all, last;
};

static void add_crc(void *ctx, int node, const int8_t *out, int32_t n) {
    struct crcs *c = ctx;
    (void)node;
    c->all = jfm_crc32(c->all, out, n);
    c->last = jfm_crc32(0, out, n);
}

static void check_row(const struct golden *g) {
    char path[128];
    (void)snprintf(path, sizeof path, "firmware/models/%s.tflite", g->file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    size_t n = fread(bytes, 1, 1 << 20, f);
    (void)fclose(f);
    struct ir_model m;
    struct program p;
    struct err e = {0};
    assert_int_equal(tflite_read(bytes, n, &m, &e), 0);
    assert_int_equal(program_build(&m, g->numerics, &p, &e), 0);
    int8_t *arena = calloc(1, (size_t)p.arena_bytes);
    struct crcs c = {0, 0};
    assert_non_null(arena);
    jfm_lcg_fill(arena + p.offset[m.input], m.tensors[m.input].elements, g->seed);
    program_run(&p, arena, add_crc, &c);
    assert_int_equal(c.all, g->all);
    assert_int_equal(c.last, g->last);
    free(arena);
    program_done(&p);
    ir_done(&m);
    free(bytes);
}

static void test_tflm(void **state) {
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        check_row(&rows[i]);
    }
}
static void test_litert(void **state) {
    (void)state;
    for (size_t i = 12; i < 24; i++) {
        check_row(&rows[i]);
    }
}

/* TensorFlow Lite for Microcontrollers needs 55.7, 24.0, 103.4 and 3.4 KB (measured with its own recorder on a 64-bit host). */
static void test_arena(void **state) {
    (void)state;
    static const struct {
        const char *file;
        int32_t most;
    } limits[] = {{"pretrainedResnet_quant", 34 << 10}, {"kws_ref_model", 11 << 10}, {"vww_96_int8", 37 << 10}, {"ad01_int8", 1 << 10}};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "firmware/models/%s.tflite", limits[i].file);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        uint8_t *bytes = malloc(1 << 20);
        assert_non_null(bytes);
        size_t n = fread(bytes, 1, 1 << 20, f);
        (void)fclose(f);
        struct ir_model m;
        struct program p;
        assert_int_equal(tflite_read(bytes, n, &m, NULL), 0);
        assert_int_equal(program_build(&m, NUMERICS_TFLM, &p, NULL), 0);
        assert_true(p.arena_bytes >= p.lower_bound_bytes);
        assert_true(p.arena_bytes <= limits[i].most);
        program_done(&p);
        ir_done(&m);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tflm), cmocka_unit_test(test_litert), cmocka_unit_test(test_arena)};
    return cmocka_run_group_tests_name("compiler/golden", tests, NULL, NULL);
}
