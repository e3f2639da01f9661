/* SPDX-License-Identifier: GPL-2.0-or-later
 * The device's side of the conversation: lines, fields, commands, the link's state. Outside truth: published
 * transcripts (tests/unit/bench/transcripts): the model, the number of inferences and, in the data sets' file names,
 * the class that each window's input belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/dut.h"

struct line_case {
    const char *line;
    enum dut_line_kind kind;
    const char *text; /* NULL: not looked at */
    uint64_t number;
};

static void test_lines(void **state) {
    (void)state;
    /* forms: mlcommons/tiny benchmark/api/internally_implemented.cpp */
    static const struct line_case cases[] = {
        {"m-ready", DUT_READY, NULL, 0},
        {"m-ready ", DUT_OTHER, NULL, 0},
        {"m-readyx", DUT_OTHER, NULL, 0},
        {"m-init-done", DUT_INIT_DONE, NULL, 0},
        {"m-timestamp-mode-energy", DUT_MODE, "energy", 0},
        {"m-lap-us-4294967295", DUT_LAP_US, NULL, 4294967295u},
        {"m-lap-us-", DUT_OTHER, NULL, 0},
        {"m-lap-us--1", DUT_OTHER, NULL, 0},
        {"m-name-dut-[STMicroelectronics]", DUT_NAME, "STMicroelectronics", 0},
        {"m-profile-[ULPMark for tinyML Firmware V0.0.1]", DUT_PROFILE, "ULPMark for tinyML Firmware V0.0.1", 0},
        {"m-model-[kws01]", DUT_MODEL, "kws01", 0},
        {"m-model-[kws01", DUT_OTHER, NULL, 0},
        {"m-[Expecting 490 bytes]", DUT_EXPECTING, NULL, 490},
        {"m-[Expecting  bytes]", DUT_OTHER, NULL, 0},
        {"m-load-done", DUT_LOAD_DONE, NULL, 0},
        {"m-warmup-start-10", DUT_WARMUP_START, NULL, 10},
        {"m-warmup-done", DUT_WARMUP_DONE, NULL, 0},
        {"m-infer-start-2000", DUT_INFER_START, NULL, 2000},
        {"m-infer-start-99999999999999999999", DUT_OTHER, NULL, 0},
        {"m-infer-done", DUT_INFER_DONE, NULL, 0},
        {"m-results-[0.000,0.996]", DUT_RESULTS, "0.000,0.996", 0},
        {"m-results-[]", DUT_RESULTS, "", 0},
        {"e-[Unknown command: jf]", DUT_ERROR, "Unknown command: jf", 0},
        {"e-[Invalid hex digit 'zz'", DUT_ERROR, "Invalid hex digit 'zz'", 0},
        {"e-?ab", DUT_ERROR, "ab", 0},
        {"[dut]: m-ready", DUT_READY, NULL, 0},
        {"", DUT_OTHER, "", 0},
        {"m-", DUT_OTHER, "m-", 0},
        {"m-jf-[1]", DUT_JF, "1", 0},
        {"m-jf-window-[3,100,64000,1000000]", DUT_JF, "3,100,64000,1000000", 0},
        {"m-jf-window[3]", DUT_OTHER, NULL, 0},
        {"m-jf-", DUT_OTHER, NULL, 0},
        {"m-jf-averyveryverylongwordthatnobodysends-[1]", DUT_OTHER, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dut_line l;
        dut_line_parse(cases[i].line, strlen(cases[i].line), &l);
        if (l.kind != cases[i].kind) {
            fail_msg("\"%s\": kind %d, expected %d", cases[i].line, (int)l.kind, (int)cases[i].kind);
        }
        assert_int_equal(l.number, cases[i].number);
        if (cases[i].text) {
            assert_int_equal(l.text_len, strlen(cases[i].text));
            assert_memory_equal(l.text, cases[i].text, l.text_len);
        }
    }
}

static void test_values_and_fields(void **state) {
    (void)state;
    double v[3];
    assert_int_equal(dut_values_parse("0.5,-1.25,3", 11, v, 3), 3);
    assert_true(v[0] == 0.5 && v[1] == -1.25 && v[2] == 3.0);
    static const char *const bad[] = {"", ",", "1,", "1,,2", "nan", "0x10", "inf", "1 ", "1,2,3,4", "1e999", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(dut_values_parse(bad[i], strlen(bad[i]), v, 3), JF_E_PARSE);
    }
    struct dut_fields f;
    assert_int_equal(dut_fields_parse("abc,,0x1f,18446744073709551615", 30, &f), 4);
    uint64_t n;
    assert_int_equal(dut_field_u64(&f, 2, &n), 0);
    assert_int_equal(n, 31);
    assert_int_equal(dut_field_u64(&f, 3, &n), 0);
    assert_true(n == UINT64_MAX);
    assert_int_equal(dut_field_u64(&f, 0, &n), JF_E_PARSE);
    assert_int_equal(dut_field_u64(&f, 1, &n), JF_E_PARSE);
    assert_int_equal(dut_field_u64(&f, 9, &n), JF_E_PARSE);
    assert_int_equal(dut_fields_parse("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 40, &f), JF_E_PARSE);
}

static void test_db_command(void **state) {
    (void)state;
    uint8_t bytes[DUT_DB_PAYLOAD];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(0xf0 + i);
    }
    char cmd[DUT_COMMAND_MAX + 1];
    assert_int_equal(dut_db_command(bytes, 2, cmd), 8);
    assert_string_equal(cmd, "db f0f1%");
    int n = dut_db_command(bytes, sizeof bytes, cmd);
    assert_int_equal(n, 3 + 62 + 1); /* the published runner's 31 payload bytes fit the device's 80 characters */
    assert_int_equal(strlen(cmd), n);
    assert_int_equal(dut_db_command(bytes, sizeof bytes + 1, cmd), JF_E_INVAL);
    assert_int_equal(dut_db_command(bytes, 0, cmd), JF_E_INVAL);
}

struct seen {
    char lines[8][DUT_LINE_MAX + 1];
    size_t n;
};
static void keep(void *user, const char *line, size_t len) {
    struct seen *s = user;
    assert_true(s->n < 8);
    assert_int_equal(strlen(line), len);
    (void)snprintf(s->lines[s->n++], DUT_LINE_MAX + 1, "%s", line);
}

static void test_splitter(void **state) {
    (void)state;
    struct dut_splitter sp = {0};
    struct seen s = {0};
    static const char text[] = "m-rea";
    dut_splitter_feed(&sp, text, 5, keep, &s);
    assert_int_equal(s.n, 0);
    dut_splitter_feed(&sp,
                      "dy\r\n\r\n\x01\xff"
                      "x\n",
                      10, keep, &s);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.lines[0], "m-ready");
    assert_string_equal(s.lines[1], "??x");
    for (int i = 0; i < 3000; i++) {
        dut_splitter_feed(&sp, "a", 1, keep, &s);
    }
    dut_splitter_feed(&sp, "\nb\n", 3, keep, &s);
    assert_int_equal(s.n, 4);
    assert_int_equal(strlen(s.lines[2]), DUT_LINE_MAX);
    assert_string_equal(s.lines[3], "b");
    assert_int_equal(sp.n_cut, 1);
}

static void no_log(void *user, const char *line) {
    (void)user;
    (void)line;
}

static size_t load(const char *name, char *dst, size_t size) {
    char path[128];
    (void)snprintf(path, sizeof path, "tests/unit/bench/transcripts/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(dst, 1, size, f);
    (void)fclose(f);
    return n;
}

/* 1728 outputs, as of a detector with a 12 x 12 x 12 map: the line is longer than any that is kept, and what is around it is heard. */
static void test_long_results(void **state) {
    (void)state;
    struct dut d;
    dut_init(&d, clock_system(), false, no_log, NULL);
    static const char before[] = "m-infer-start-3\r\nm-jf-output-[0badcafe]\r\nm-infer-done\r\nm-results-[-12.345", after[] = "]\r\nm-ready\r\n";
    dut_feed(&d, before, sizeof before - 1);
    for (int i = 1; i < 1728; i++) {
        dut_feed(&d, ",-12.345", 8);
    }
    assert_int_equal(d.n_ready, 0);
    dut_feed(&d, after, sizeof after - 1);
    assert_int_equal(d.n_ready, 1);
    assert_int_equal(d.split.n_cut, 1);
    assert_int_equal(d.infer.n_reported, 3);
    assert_true(d.infer.output_reported && d.infer.output_crc == 0x0badcafe && d.infer.done_ns != 0 && d.infer.ready_ns >= d.infer.done_ns);
    assert_true(d.infer.n_results <= 0 && !d.error);
}

struct transcript {
    const char *file, *model;
    uint64_t inferences;
    int classes;
    int top[5]; /* from the input files' names; -1: the model has no classes */
};

/* Replays a published session line by line and checks each window against what the session's script says. */
static void test_transcripts(void **state) {
    (void)state;
    static const struct transcript all[] = {
        /* tst_000000_Stop_7, tst_000001_Left_2, tst_000002_Right_6, tst_000003_Up_8, tst_000004_On_5 */
        {"L4R5ZI_kws.txt", "kws01", 300, 12, {7, 2, 6, 8, 5}},
        {"L4R5ZI_ad.txt", "ad01", 2000, 1, {-1, -1, -1, -1, -1}},
        /* lippizaner (horse 7), toy_spaniel (dog 5), ... of CIFAR-10; the fourth and fifth are ships (8), the third a
         * cat (3): the model calls that one a horse, as the published results line shows */
        {"U575ZI_Q_ic.txt", "ic01", 100, 10, {7, 5, 7, 8, 8}},
    };
    for (size_t t = 0; t < sizeof all / sizeof all[0]; t++) {
        char text[4096];
        size_t n = load(all[t].file, text, sizeof text);
        struct dut d;
        dut_init(&d, clock_system(), true, no_log, NULL);
        int windows = 0, ready = 0;
        for (size_t i = 0; i < n; i++) {
            dut_feed(&d, text + i, 1);
            if (text[i] != '\n' || d.infer.done_ns == 0 || d.infer.n_results == 0) {
                continue;
            }
            assert_int_equal(d.infer.n_reported, all[t].inferences);
            assert_int_equal(d.infer.n_results, all[t].classes);
            int top = 0;
            for (int k = 1; k < d.infer.n_results; k++) {
                top = d.infer.results[k] > d.infer.results[top] ? k : top;
            }
            assert_true(windows < 5);
            assert_true(all[t].top[windows] < 0 || top == all[t].top[windows]);
            windows++;
            memset(&d.infer, 0, sizeof d.infer); /* what the next infer command does */
        }
        assert_int_equal(windows, 5);
        assert_string_equal(d.about.model, all[t].model);
        assert_string_equal(d.about.mode, "energy");
        assert_int_equal(d.n_boots, 1);
        /* boot, profile, timestamp, five infer: the interface board's own m-ready lines are not the device's */
        ready = (int)d.n_ready;
        assert_int_equal(ready, 8);
    }
}

static void test_reports(void **state) {
    (void)state;
    struct dut d;
    dut_init(&d, clock_system(), false, no_log, NULL);
    /* formats: firmware/include/jf_device.h */
    static const char on[] =
        "m-jf-[1]\r\nm-jf-build-[0011aabb,ad01,87cf,tflm,64000000,wfi]\r\nm-jf-reset-[brownout,0x00e40000]\r\n"
        "m-jf-debug-[1,0x00000007]\r\nm-jf-golden-[cbf43926,1]\r\nm-jf-init-[boot,6400,1000000]\r\n"
        "m-jf-markers-[phases,20]\r\nm-jf-future-[1,2]\r\nm-ready\r\n";
    dut_feed(&d, on, sizeof on - 1);
    const struct dut_about *a = &d.about;
    assert_true(a->jf && a->reset_reported && a->debug_reported && a->golden_reported && a->golden_ok && a->c_debugen &&
                a->init_reported);
    assert_string_equal(a->build_id, "0011aabb");
    assert_string_equal(a->build_model, "ad01");
    assert_string_equal(a->idle, "wfi");
    assert_string_equal(a->reset_cause, "brownout");
    assert_int_equal(a->reset_flags, 0x00e40000);
    assert_int_equal(a->dbgmcu_cr, 7);
    assert_int_equal(a->golden_crc, 0xcbf43926);
    assert_true(a->core_hz == 64e6);
    assert_true(a->init_s > 0.00639 && a->init_s < 0.00641);
    assert_string_equal(a->scheme, "phases");
    assert_int_equal(d.n_ready, 1);
    static const char window[] =
        "m-infer-start-100\r\nm-jf-window-[2,100,123456789012,64000000]\r\nm-jf-input-[00000001]\r\n"
        "m-jf-output-[DEADBEEF]\r\nm-infer-done\r\nm-results-[1.0,x]\r\ne-[Unknown command: foo]\r\n";
    dut_feed(&d, window, sizeof window - 1);
    assert_true(d.infer.window_reported && d.infer.input_reported && d.infer.output_reported);
    assert_true(d.infer.ticks == 123456789012u);
    assert_int_equal(d.infer.output_crc, 0xdeadbeef);
    assert_int_equal(d.infer.n_results, -1);
    assert_true(d.error);
    assert_string_equal(d.error_text, "Unknown command: foo");
}

/* U1, and the command as it goes over the wire. */
static void test_send(void **state) {
    (void)state;
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    struct dut d;
    dut_init(&d, clock_system(), false, no_log, NULL);
    struct err e;
    assert_int_equal(serial_from_fd(sv[0], &d.port, &e), 0);
    assert_int_equal(dut_send(&d, "infer 3 0%", &e), 0);
    assert_int_equal(dut_send(&d, "name%", &e), JF_E_CONFLICT);
    char got[32] = "";
    assert_int_equal(read(sv[1], got, sizeof got), 10);
    assert_string_equal(got, "infer 3 0%");
    assert_int_equal(write(sv[1], "m-ready\r\n", 9), 9);
    assert_int_equal(dut_read(&d, &e), 0);
    assert_false(d.reply_open);
    (void)close(sv[1]);
    int r = dut_read(&d, &e);
    assert_int_equal(r, JF_E_GONE);
    dut_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_values_and_fields), cmocka_unit_test(test_db_command),
        cmocka_unit_test(test_splitter), cmocka_unit_test(test_long_results), cmocka_unit_test(test_transcripts),       cmocka_unit_test(test_reports),
        cmocka_unit_test(test_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
