/* SPDX-License-Identifier: GPL-2.0-or-later
 * The reader against bad files: truncations at every length, flipped bytes, foreign files. It may refuse or accept, but never
 * read outside (the copies have the exact size, so that a sanitizer sees it), and a refusal carries a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/lower.h"
#include "compiler/tflite.h"

static uint8_t *load(const char *path, size_t *ret_n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *b = malloc(1 << 20);
    assert_non_null(b);
    *ret_n = fread(b, 1, 1 << 20, f);
    (void)fclose(f);
    return b;
}

static int try_read(const uint8_t *b, size_t n, struct err *e) {
    struct ir_model m;
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, b, n);
    int r = tflite_read(exact, n, &m, e);
    if (r == 0) {
        ir_done(&m);
    }
    free(exact);
    return r;
}

static void test_truncated(void **state) {
    (void)state;
    size_t n;
    uint8_t *b = load("firmware/models/kws_ref_model.tflite", &n);
    for (size_t cut = 0; cut < n; cut = cut < 256 ? cut + 1 : cut + 97) {
        struct err e = {0};
        assert_true(try_read(b, cut, &e) < 0);
        assert_true(e.text[0]);
    }
    struct err e = {0};
    assert_int_equal(try_read(b, n, &e), 0);
    free(b);
}

static void test_flipped(void **state) {
    (void)state;
    size_t n, refused = 0;
    uint8_t *b = load("firmware/models/kws_ref_model.tflite", &n);
    uint32_t x = 7;
    for (int i = 0; i < 3000; i++) {
        x = x * 1664525u + 1013904223u;
        size_t at = (x >> 4) % n;
        uint8_t old = b[at];
        b[at] = (uint8_t)(old ^ (1u << (x & 7)));
        struct err e = {0};
        int r = try_read(b, n, &e);
        assert_true(r == 0 || e.text[0]);
        refused += r < 0;
        b[at] = old;
    }
    assert_true(refused > 0);
    free(b);
}

static void test_foreign(void **state) {
    (void)state;
    struct err e = {0};
    assert_int_equal(try_read((const uint8_t *)"\x7f" "ELF and more bytes", 20, &e), JF_E_PARSE);
    assert_non_null(strstr(e.text, "TFL3"));
    assert_string_equal(e.where, "byte 4");
    assert_int_equal(try_read((const uint8_t *)"abc", 3, &e), JF_E_PARSE);
}

/* Where the file holds that scale; it is there once. */
static size_t find_scale(const uint8_t *b, size_t n, float scale) {
    size_t at = 0, found = 0;
    for (size_t i = 0; i + 4 <= n; i += 4) {
        if (memcmp(b + i, &scale, 4) == 0) {
            at = i;
            found++;
        }
    }
    assert_int_equal(found, 1);
    return at;
}

/* A scale of a weight tensor set to 0 and to NaN: refused, naming the node. The bytes are found by their value in the file. */
static void test_bad_scale(void **state) {
    (void)state;
    size_t n;
    uint8_t *b = load("firmware/models/ad01_int8.tflite", &n);
    struct ir_model m;
    assert_int_equal(tflite_read(b, n, &m, NULL), 0);
    size_t at = find_scale(b, n, m.tensors[m.nodes[2].inputs[1]].scales[0]);
    ir_done(&m);
    static const uint8_t bad[2][4] = {{0, 0, 0, 0}, {0, 0, 0xc0, 0x7f}};
    for (int i = 0; i < 2; i++) {
        struct err e = {0};
        memcpy(b + at, bad[i], 4);
        assert_int_equal(try_read(b, n, &e), JF_E_UNSUPPORTED);
        assert_non_null(strstr(e.text, "FULLY_CONNECTED"));
        assert_non_null(strstr(e.text, "scales"));
    }
    free(b);
}

/* Two nodes exchanged: an input is used before it is made. */
static void test_order(void **state) {
    (void)state;
    size_t n;
    uint8_t *b = load("firmware/models/ad01_int8.tflite", &n);
    struct ir_model m;
    struct err e = {0};
    assert_int_equal(tflite_read(b, n, &m, NULL), 0);
    struct ir_node t = m.nodes[3];
    m.nodes[3] = m.nodes[4];
    m.nodes[4] = t;
    assert_int_equal(ir_check(&m, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "node 3"));
    ir_done(&m);
    free(b);
}

/* An addition whose output scale is 1e-38: no float sum exists (litert); the integer arithmetic (tflm) saturates and is defined. */
static void test_add_ratio(void **state) {
    (void)state;
    size_t n;
    uint8_t *b = load("firmware/models/pretrainedResnet_quant.tflite", &n);
    struct ir_model m;
    struct program p;
    struct err e = {0};
    const float tiny = 1e-38f;
    assert_int_equal(tflite_read(b, n, &m, NULL), 0);
    assert_int_equal(m.nodes[3].op, IR_ADD);
    assert_int_equal(program_build(&m, NUMERICS_LITERT, &p, &e), 0);
    program_done(&p);
    m.tensors[m.nodes[3].output].scales = &tiny;
    assert_int_equal(program_build(&m, NUMERICS_LITERT, &p, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "ADD"));
    ir_done(&m);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped), cmocka_unit_test(test_foreign),
                                       cmocka_unit_test(test_bad_scale), cmocka_unit_test(test_order), cmocka_unit_test(test_add_ratio)};
    return cmocka_run_group_tests_name("compiler/reader", tests, NULL, NULL);
}
