/* SPDX-License-Identifier: MIT
 * Number output against the C library's printf, number input against its strtol, CRC against the published check value, quantisation against
 * values worked out by hand from TensorFlow Lite's rule, results against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/harness/jf_crc.h"
#include "firmware/harness/jf_note.h"
#include "firmware/harness/jf_out.h"
#include "firmware/harness/jf_task.h"
#include "tests/unit/firmware/fake_device.h"

static const char *out(struct fake_device *d) {
    d->text[d->len] = '\0';
    d->len = 0;
    return d->text;
}

static void fixed3_as_printf(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "x");
    static const double special[] = {0.0, -0.0, 0.0005, 0.0015, 0.0625, 0.1875, 0.9995, 0.99949999, 1e-300, 5e-324, 123456789.0625, -11.7724, 0.4999999999,
                                     4503599627370495.5, 4503599627370496.0, 9007199254740991.0, 1.0 / 3, 1e15, 999.9995};
    char want[64];
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        jf_out_fixed3(&d.port, special[i]);
        snprintf(want, sizeof want, "%.3f", special[i]);
        assert_string_equal(out(&d), want);
    }
    for (int k = -256; k <= 256; k++) { /* every softmax value, ties included */
        jf_out_fixed3(&d.port, k / 256.0);
        snprintf(want, sizeof want, "%.3f", k / 256.0);
        assert_string_equal(out(&d), want);
    }
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) { /* xorshift64: random mantissas at exponents from 2^-20 to 2^40 */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double v = ldexp((double)(x >> 11), (int)(x % 61) - 73) * (x & 1 ? -1 : 1);
        jf_out_fixed3(&d.port, v);
        snprintf(want, sizeof want, "%.3f", v);
        assert_string_equal(out(&d), want);
    }
    jf_out_fixed3(&d.port, NAN);
    assert_string_equal(out(&d), "nan");
    jf_out_fixed3(&d.port, -HUGE_VAL);
    assert_string_equal(out(&d), "-9007199254740991.999");
}

static void integers_as_printf(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "x");
    static const int32_t i32[] = {0, 1, -1, 9, 10, 27648, INT32_MAX, INT32_MIN};
    static const uint64_t u64[] = {0, 10, UINT32_MAX, UINT64_MAX};
    char want[32];
    for (size_t i = 0; i < 8; i++) {
        jf_out_i32(&d.port, i32[i]);
        snprintf(want, sizeof want, "%ld", (long)i32[i]);
        assert_string_equal(out(&d), want);
    }
    for (size_t i = 0; i < 4; i++) {
        jf_out_u64(&d.port, u64[i]);
        snprintf(want, sizeof want, "%llu", (unsigned long long)u64[i]);
        assert_string_equal(out(&d), want);
    }
    jf_out_hex(&d.port, 0xDEADBEEF, 8);
    assert_string_equal(out(&d), "deadbeef");
    jf_out_hex(&d.port, 0x0A, 2);
    assert_string_equal(out(&d), "0a");
}

static void numbers_as_strtol(void **state) {
    (void)state;
    static const char *const text[] = {"0", "1", "-1", "+7", " 12", "12x", "x", "", "-", "0x10", "2147483647", "-2147483648", "\t5"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        assert_int_equal(jf_cmd_number(text[i]), strtol(text[i], NULL, 10));
    }
    assert_int_equal(jf_cmd_number("99999999999999999999999"), INT32_MAX);
    assert_int_equal(jf_cmd_number("-99999999999999999999999"), INT32_MIN);
}

static void crc_check_value(void **state) {
    (void)state;
    assert_int_equal(jf_crc32("123456789", 9), 0xCBF43926);
    assert_int_equal(jf_crc32("", 0), 0);
}

static void build_id_note(void **state) {
    (void)state;
    static const uint32_t note[] = {4, 8, 3, 0x00554E47, 0x67452301, 0xEFCDAB89}; /* "GNU\0", 01 23 45 67 89 ab cd ef on a little-endian machine */
    static const uint32_t wrong_type[] = {4, 8, 1, 0x00554E47, 0, 0}, too_long[] = {4, 33, 3, 0x00554E47, 0};
    char hex[2 * JF_NOTE_ID_MAX + 1];
    jf_note_build_id((const uint8_t *)note, hex);
    assert_string_equal(hex, "0123456789abcdef");
    jf_note_build_id((const uint8_t *)wrong_type, hex);
    assert_string_equal(hex, "none");
    jf_note_build_id((const uint8_t *)too_long, hex);
    assert_string_equal(hex, "none");
}

static void put_float(uint8_t *dst, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    for (int i = 0; i < 4; i++) {
        dst[i] = (uint8_t)(bits >> (8 * i));
    }
}

/* scale 0.5, zero point 10: value / 0.5 rounded half away from zero, plus 10, clamped */
static void quantise_floats(void **state) {
    (void)state;
    static const struct {
        float value;
        int8_t want;
    } row[] = {{0.0f, 10}, {0.25f, 11}, {-0.25f, 9}, {0.24f, 10}, {0.74f, 11}, {0.75f, 12}, {-0.75f, 8}, {58.5f, 127}, {59.0f, 127}, {1e30f, 127}, {-69.0f, -128}, {-70.0f, -128}, {-1e30f, -128}, {HUGE_VALF, 127}, {-HUGE_VALF, -128}, {NAN, 10}};
    enum { N = sizeof row / sizeof row[0] };
    static struct fake_device d;
    fake_make(&d, "ad01");
    d.net.in = (struct jf_tensor){N, 0.5, 10};
    uint8_t loaded[4 * N];
    int8_t tensor[N];
    for (int i = 0; i < N; i++) {
        put_float(&loaded[4 * i], row[i].value);
    }
    const struct jf_task *t = jf_task_find("ad01");
    assert_int_equal(jf_task_load_bytes(t, &d.net), 4 * N);
    jf_task_quantise(t, &d.net, loaded, tensor);
    for (int i = 0; i < N; i++) {
        assert_int_equal(tensor[i], row[i].want);
    }
}

static void quantise_bytes(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "ic01");
    static const uint8_t loaded[] = {0, 127, 128, 255};
    int8_t tensor[4];
    jf_task_quantise(jf_task_find("ic01"), &d.net, loaded, tensor);
    static const int8_t pixels[] = {-128, -1, 0, 127}, raw[] = {0, 127, -128, -1};
    assert_memory_equal(tensor, pixels, 4);
    jf_task_quantise(jf_task_find("vww01"), &d.net, loaded, tensor);
    assert_memory_equal(tensor, pixels, 4);
    jf_task_quantise(jf_task_find("kws01"), &d.net, loaded, tensor);
    assert_memory_equal(tensor, raw, 4);
    assert_int_equal(jf_task_load_bytes(jf_task_find("kws01"), &d.net), 4);
}

static void mean_squared_error(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "ad01");
    d.net.in = (struct jf_tensor){2, 0.5, 10};
    d.net.out = (struct jf_tensor){2, 0.25, -4};
    static const int8_t in[] = {12, 8}, result[] = {0, 4}; /* dequantised 1.0, -1.0 and 1.0, 2.0 */
    assert_true(jf_task_mse(&d.net, NULL, in, result) == 4.5); /* (0^2 + 3^2) / 2 */
    uint8_t loaded[8];
    put_float(loaded, 1.5f);
    put_float(loaded + 4, -2.0f);
    assert_true(jf_task_mse(&d.net, loaded, in, result) == 8.125); /* (0.5^2 + 4^2) / 2 */
    assert_true(jf_task_post(jf_task_find("ad01"), &d.net, in, result) == 104); /* steps: (4 - 2)^2 + (8 - -2)^2 = 104 */
}

static void post_is_argmax(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "kws01");
    static const int8_t result[] = {-128, 127, 126}, tie[] = {5, 5, 4};
    assert_int_equal(jf_task_post(jf_task_find("kws01"), &d.net, result, result), 1);
    assert_int_equal(jf_task_post(jf_task_find("kws01"), &d.net, tie, tie), 0);
}

/* ad01 through the whole harness: floats in by db, one number out. */
static void anomaly_dialogue(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "ad01");
    d.net.in = (struct jf_tensor){2, 0.5, 10};
    d.net.out = (struct jf_tensor){2, 0.5, 10};
    assert_true(jf_harness_boot(&d.harness, &d.port, &d.net, JF_MODE_ENERGY));
    assert_non_null(strstr(fake_say(&d, "db load 8%"), "m-[Expecting 8 bytes]"));
    assert_non_null(strstr(fake_say(&d, "db 0000803f66668640%"), "m-load-done")); /* 1.0, 4.2 (binary32, little endian) */
    /* the net copies; 4.2 becomes 8 steps = 4.0: (0.2^2) / 2 = 0.02 */
    assert_non_null(strstr(fake_say(&d, "infer 1 0%"), "m-results-[0.020]\r\n"));
    assert_string_equal(fake_say(&d, "results%"), "m-results-[0.020]\r\nm-ready\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed3_as_printf), cmocka_unit_test(integers_as_printf), cmocka_unit_test(numbers_as_strtol),
        cmocka_unit_test(crc_check_value),  cmocka_unit_test(build_id_note),      cmocka_unit_test(quantise_floats),
        cmocka_unit_test(quantise_bytes),   cmocka_unit_test(mean_squared_error), cmocka_unit_test(post_is_argmax),
        cmocka_unit_test(anomaly_dialogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
