/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reports and versions of vendors' tools: what is read, what is not taken for a number; the operators of a damaged file. The texts are
 * made up in the formats of the tools. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/tflite_scan.h"
#include "compiler/vendor.h"

static int read_one(enum target_report_format format, const char *line, const char *key, double scale, const char *text, int64_t *ret_v) {
    struct target_report p = {.format = format, .n_fields = 1, .fields = {{"cycles", line, key, scale, true}}};
    struct vendor_result r = {0};
    struct err e = {0};
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1); /* so that a sanitizer sees a byte read behind it */
    assert_non_null(exact);
    memcpy(exact, text, n);
    int code = vendor_report_read(&p, exact, n, &r, &e);
    free(exact);
    *ret_v = r.value[VENDOR_CYCLES];
    assert_true(code == 0 ? r.has[VENDOR_CYCLES] : e.text[0] != '\0');
    return code;
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        enum target_report_format format;
        const char *line, *key;
        double scale;
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {TARGET_REPORT_LINES, NULL, "weights (ro)", 1, " weights (ro)       :   45,678 B (44.61 KiB)\n", 45678},
        {TARGET_REPORT_LINES, NULL, "CPU operators =", 1, "CPU operators = 1 (33.3%)", 1},
        {TARGET_REPORT_LINES, NULL, "Size:", 1048576, "Need Size: (1.50 MB)\r\n", 1572864},
        {TARGET_REPORT_LINES, NULL, "n", 1, "n 1\nn 2\nm 3\n", 2}, /* the last line that has it */
        {TARGET_REPORT_LINES, "Hardware:", "ops (", 1, "Hardware: 9 ops (8 macc)\nLayer 0: 5 ops (4 macc)\n", 8},
        {TARGET_REPORT_LINES, NULL, "n", 1, "n 1,2\n", 1}, /* no thousands separator */
        {TARGET_REPORT_LINES, NULL, "n", 1, "n 1,234,567 x\n", 1234567},
        {TARGET_REPORT_LINES, NULL, "n", 1, "n -5\n", -1},
        {TARGET_REPORT_LINES, NULL, "n", 1, "n\n5\n", -1},
        {TARGET_REPORT_LINES, NULL, "n", 1, "", -1},
        {TARGET_REPORT_LINES, NULL, "n", 1, "n 99999999999999999999999\n", -1},
        {TARGET_REPORT_CSV, NULL, "b", 1024, "a,b,c\n1,2.5,3\n", 2560},
        {TARGET_REPORT_CSV, NULL, "c", 1, "a,b,c\r\n1,2,3\r\n4,5,6\r\n\r\n", 6}, /* the last row */
        {TARGET_REPORT_CSV, NULL, "c", 1, "a,b,c\n1,2\n", -1},
        {TARGET_REPORT_CSV, NULL, "b", 1, "a,bb,c\n1,2,3\n", -1}, /* a whole cell */
        {TARGET_REPORT_CSV, NULL, "b", 1, "a,b,c\n", -1},
        {TARGET_REPORT_CSV, NULL, "b", 1, "a,b\n1,nan\n", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t v = 0;
        int code = read_one(rows[i].format, rows[i].line, rows[i].key, rows[i].scale, rows[i].text, &v);
        assert_int_equal(code, rows[i].want < 0 ? JF_E_PARSE : 0);
        assert_int_equal(v, rows[i].want < 0 ? 0 : rows[i].want);
    }
}

static void test_versions(void **state) {
    (void)state;
    static const struct {
        const char *text, *key, *want;
    } rows[] = {{"3.10.0\n", NULL, "3.10.0"}, {"ST Edge AI Core v2.1.0-20194 329b0e98d", "Core v", "2.1.0"}, {"eIQ neutron-converter.exe version 2.0.2+0X0cebb80a", "version ", "2.0.2"},
                {"12 apples, 1.2.", NULL, "1.2"}, {"version one", NULL, NULL}, {"", NULL, NULL}, {"1.2", "key", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[64] = "";
        assert_int_equal(vendor_version_find(rows[i].text, rows[i].key, got, sizeof got), rows[i].want ? 0 : -1);
        assert_string_equal(got, rows[i].want ? rows[i].want : "");
    }
}

static void test_scan(void **state) {
    (void)state;
    static uint8_t bytes[1 << 20];
    FILE *f = fopen("firmware/models/kws_ref_model.tflite", "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    struct tflite_scan s;
    struct err e = {0};
    assert_int_equal(tflite_scan(bytes, n, &s, &e), 0);
    /* 5 convolutions, 4 depthwise ones, pool, reshape, dense, softmax */
    assert_int_equal(s.cpu, 13);
    assert_int_equal(s.accelerator, 0);
    int conv = 0;
    for (int i = 0; i < s.n; i++) {
        conv += strcmp(s.ops[i].name, "CONV_2D") == 0 ? s.ops[i].count : 0;
    }
    assert_int_equal(conv, 5);
    uint32_t x = 5;
    int refused = 0;
    for (size_t i = 0; i < 600; i++) { /* cut, and with one bit flipped */
        x = x * 1664525u + 1013904223u;
        size_t len = i < 300 ? i * n / 300 : n;
        uint8_t *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        if (i >= 300) {
            copy[(x >> 4) % n] ^= (uint8_t)(1u << (x & 7));
        }
        struct err why = {0};
        int r = tflite_scan(copy, len, &s, &why);
        assert_true(r == 0 || why.text[0]);
        refused += r < 0;
        free(copy);
    }
    assert_true(refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_versions), cmocka_unit_test(test_scan)};
    return cmocka_run_group_tests_name("vendor", tests, NULL, NULL);
}
