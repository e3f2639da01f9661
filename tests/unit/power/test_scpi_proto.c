/* SPDX-License-Identifier: GPL-2.0-or-later
 * SCPI parsing: examples of the R&S HMO manual (DATA:HEADer?, ACQuire:STATe?), IEEE 488.2 block examples, and what a broken
 * or hostile instrument might send. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/power/sigrok/scpi_proto.h"

static void test_number(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int r;
        double v;
    } cases[] = {
        {"1", 0, 1},          {"-2.5", 0, -2.5},   {"+5.00E-03", 0, 0.005}, {"9.477E-008", 0, 9.477e-8}, {"2.00E+06", 0, 2e6}, {".5", 0, 0.5},
        {"1e3", 0, 1000},     {"", -1, 0},         {"-", -1, 0},            {"1,5", -1, 0},              {"nan", -1, 0},       {"inf", -1, 0},
        {"0x10", -1, 0},      {"1e", -1, 0},       {"1 ", -1, 0},           {"9.9E37", -1, 0},           {"9.91E37", -1, 0},   {"-9.9E37", -1, 0},
        {"1e99999", -1, 0},   {"1.2.3", -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double v = NAN;
        int r = scpi_number(cases[i].text, strlen(cases[i].text), &v);
        assert_int_equal(r < 0, cases[i].r < 0);
        if (r == 0) {
            assert_true(fabs(v - cases[i].v) <= 1e-15 * fabs(cases[i].v));
        }
    }
}

static void test_line(void **state) {
    (void)state;
    size_t len = 99, drop = 99;
    char big[SCPI_LINE_MAX + 1];
    assert_int_equal(scpi_line("COMP\r\nmore", 10, &len, &drop, NULL), 1);
    assert_int_equal(len, 4);
    assert_int_equal(drop, 6);
    assert_int_equal(scpi_line("COMP", 4, &len, &drop, NULL), 0);
    assert_int_equal(scpi_line("", 0, &len, &drop, NULL), 0);
    assert_int_equal(scpi_line("\n", 1, &len, &drop, NULL), 1);
    assert_int_equal(len, 0);
    assert_int_equal(scpi_line("a\0b\n", 4, &len, &drop, NULL), JF_E_PROTOCOL);
    memset(big, 'x', sizeof big);
    assert_int_equal(scpi_line(big, SCPI_LINE_MAX, &len, &drop, NULL), JF_E_PROTOCOL);
}

static int block(const char *text, size_t n, uint64_t max, size_t *begin, uint64_t *len) { return scpi_block((const uint8_t *)text, n, max, begin, len); }

static void test_block(void **state) {
    (void)state;
    size_t begin = 0;
    uint64_t len = 0;
    assert_int_equal(block("#15hello", 8, 100, &begin, &len), 1);
    assert_int_equal(begin, 3);
    assert_int_equal(len, 5);
    assert_int_equal(block("#6080000", 8, 1 << 20, &begin, &len), 1);
    assert_int_equal(len, 80000);
    assert_int_equal(block("#", 1, 100, &begin, &len), 0);
    assert_int_equal(block("#608", 4, 100, &begin, &len), 0);
    assert_int_equal(block("", 0, 100, &begin, &len), 0);
    assert_int_equal(block("#0abc", 5, 100, &begin, &len), JF_E_PROTOCOL);
    assert_int_equal(block("#2x1", 4, 100, &begin, &len), JF_E_PROTOCOL);
    assert_int_equal(block("5", 1, 100, &begin, &len), JF_E_PROTOCOL);
    assert_int_equal(block("#9999999999", 11, 1 << 20, &begin, &len), JF_E_TOO_LARGE);
}

static void test_state(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum scpi_state s;
    } good[] = {{"RUN", SCPI_RUN},       {"STOP", SCPI_STOPPING}, {"STOPping", SCPI_STOPPING}, {"COMP", SCPI_COMPLETE},
                {"COMPlete", SCPI_COMPLETE}, {"BRE", SCPI_BREAK},     {"break", SCPI_BREAK}};
    enum scpi_state s = SCPI_RUN;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(scpi_state(good[i].text, &s), 0);
        assert_int_equal(s, good[i].s);
    }
    assert_int_equal(scpi_state("", &s), JF_E_PROTOCOL);
    assert_int_equal(scpi_state("RUNNING", &s), JF_E_PROTOCOL);
    assert_int_equal(scpi_state("1", &s), JF_E_PROTOCOL);
}

static void test_header(void **state) {
    (void)state;
    struct scpi_header h;
    /* the manual's example */
    assert_int_equal(scpi_header("-9.477E-008,9.477E-008,200000,1", &h), 0);
    assert_int_equal(h.count, 200000);
    assert_true(fabs(h.from_s + 9.477e-8) < 1e-20 && fabs(h.to_s - 9.477e-8) < 1e-20);
    static const char *const bad[] = {"", "1,2,3", "1,2,3,4,5", "0,1,-5,1", "0,1,1e12,1", "0,1,1000.5,1", "1,0,1000,1", "0,1,1000,2", "0,nan,1000,1", "0,0,1000,1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(scpi_header(bad[i], &h), JF_E_PROTOCOL);
    }
}

static void test_idn(void **state) {
    (void)state;
    struct scpi_idn idn;
    assert_int_equal(scpi_idn("Rohde&Schwarz,HMO1202,0123456789, 05.886", &idn), 0);
    assert_string_equal(idn.maker, "Rohde&Schwarz");
    assert_string_equal(idn.model, "HMO1202");
    assert_string_equal(idn.firmware, "05.886");
    assert_int_equal(scpi_idn("a,b,c", &idn), JF_E_PROTOCOL);
    assert_int_equal(scpi_idn("a,b,c,d,e", &idn), JF_E_PROTOCOL);
    assert_int_equal(scpi_idn("a,,c,d", &idn), JF_E_PROTOCOL);
    assert_int_equal(scpi_idn("a,b,c,0123456789012345678901234567890123456789012345678901234567890123456789", &idn), JF_E_PROTOCOL);
}

static void test_conn(void **state) {
    (void)state;
    struct scpi_conn c;
    assert_int_equal(scpi_conn("tcp-raw/scope.lab/5025", &c, NULL), 0);
    assert_string_equal(c.host, "scope.lab");
    assert_string_equal(c.port, "5025");
    static const char *const bad[] = {"", "tcp-raw", "tcp-raw/", "tcp-raw/host", "tcp-raw/host/", "tcp-raw/host/x", "tcp-raw/host/0", "tcp-raw/host/65536", "tcp-raw/host/1/2", "usbtmc", "tcp-rigol/a/5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(scpi_conn(bad[i], &c, NULL), JF_E_INVAL);
    }
}

static void test_timebase(void **state) {
    (void)state;
    static const struct {
        double asked, scale;
        const char *text;
    } cases[] = {{0.6, 0.05, "5E-2"}, {0.601, 0.1, "1E-1"}, {12, 1, "1E0"}, {1e-9, 2e-9, "2E-9"}, {24e-9, 2e-9, "2E-9"}, {2.4, 0.2, "2E-1"}, {600, 50, "5E1"}, {0.5, 0.05, "5E-2"}};
    struct scpi_timebase t;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(scpi_timebase(cases[i].asked, &t), 0);
        assert_true(fabs(t.scale_s / cases[i].scale - 1) < 1e-12);
        assert_true(fabs(t.span_s / (12 * cases[i].scale) - 1) < 1e-12);
        assert_string_equal(t.text, cases[i].text);
    }
    assert_int_equal(scpi_timebase(600.1, &t), JF_E_INVAL);
    /* the trigger stands at 1/2 - position/span of the screen: 0.1 s of 0.6 s before it is position 0.2 s */
    assert_true(fabs(scpi_position(0.6, 0.1) - 0.2) < 1e-15);
    assert_true(fabs(scpi_position(0.6, 0.3)) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number), cmocka_unit_test(test_line), cmocka_unit_test(test_block), cmocka_unit_test(test_state),
        cmocka_unit_test(test_header), cmocka_unit_test(test_idn),  cmocka_unit_test(test_conn),  cmocka_unit_test(test_timebase),
    };
    return cmocka_run_group_tests_name("scpi_proto", tests, NULL, NULL);
}
