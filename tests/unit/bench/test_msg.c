/* SPDX-License-Identifier: GPL-2.0-or-later
 * Packets, spool, configuration, the choice of N, and the stage table. Limits: bench/PROTOCOL.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/attempt.h"

static void pair(int sv[2]) { assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0); }

static json_t *padded(size_t total) { /* a message whose compact text has exactly that many bytes */
    char *pad = calloc(total, 1);
    assert_non_null(pad);
    memset(pad, 'x', total - strlen("{\"type\":\"log\",\"text\":\"\"}"));
    json_t *m = json_pack("{s:s, s:s}", "type", "log", "text", pad);
    free(pad);
    return m;
}

static void test_limits(void **state) {
    (void)state;
    int sv[2];
    pair(sv);
    struct msg_link a, b;
    msg_init(&a, sv[0], clock_system());
    msg_init(&b, sv[1], clock_system());
    struct err e;
    json_t *m;
    assert_int_equal(msg_receive(&b, &m, &e), 0);
    assert_int_equal(msg_send(&a, padded(65536), 1000, &e), 0);
    assert_int_equal(msg_receive(&b, &m, &e), 1);
    assert_int_equal(strlen(json_string_value(json_object_get(m, "text"))), 65536 - 24);
    json_decref(m);
    assert_int_equal(msg_send(&a, padded(65537), 1000, &e), JF_E_TOO_LARGE);
    char *big = malloc(70000);
    memset(big, ' ', 70000);
    memcpy(big, "{\"type\":\"x\"}", 12);
    assert_int_equal(send(sv[0], big, 70000, 0), 70000); /* a peer that does not keep the limit */
    free(big);
    assert_int_equal(msg_receive(&b, &m, &e), JF_E_PROTOCOL);
    static const char *const bad[] = {
        "", "[]", "{\"type\":1}", "{}", "{\"type\":\"a\"", "{\"type\":\"a\",\"type\":\"b\"}", "\xff"};
    for (size_t i = 1; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(send(sv[0], bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
        assert_int_equal(msg_receive(&b, &m, &e), JF_E_PROTOCOL);
    }
    (void)close(sv[0]);
    assert_int_equal(msg_receive(&b, &m, &e), JF_E_GONE);
    assert_int_equal(msg_send(&b, json_pack("{s:s}", "type", "x"), 100, &e), JF_E_GONE);
    (void)close(sv[1]);
}

static void test_full_socket(void **state) {
    (void)state;
    int sv[2];
    pair(sv);
    struct msg_link a, b;
    msg_init(&a, sv[0], clock_system());
    msg_init(&b, sv[1], clock_system());
    struct err e;
    int sent = 0;
    while (a.dropped == 0 && sent < 10000) {
        msg_offer(&a, padded(30000));
        sent++;
    }
    assert_true(a.dropped == 1);                                         /* live and log are dropped and counted */
    assert_int_equal(msg_send(&a, padded(30000), 50, &e), JF_E_TIMEOUT); /* the others wait, and not for ever */
    json_t *m;
    assert_int_equal(msg_receive(&b, &m, &e), 1);
    json_decref(m);
    assert_int_equal(msg_send(&a, padded(100), 1000, &e), 0);
    (void)close(sv[0]);
    (void)close(sv[1]);
}

static void test_spool(void **state) {
    (void)state;
    char root[] = "/tmp/jf-test-spool-XXXXXX";
    assert_non_null(mkdtemp(root));
    struct spool s;
    struct err e;
    static const char *const bad[] = {"", ".", "..", "a/b", ".hidden", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(spool_open(&s, root, bad[i], clock_system(), &e), JF_E_INVAL);
    }
    assert_int_equal(spool_open(&s, root, "attempt-1", clock_system(), &e), 0);
    s.log_max = 600;
    for (int i = 0; i < 20; i++) {
        spool_log(&s, "dut", "some text with a\nnewline and \x1b[31m colour");
    }
    char path[SPOOL_PATH_MAX], text[2048] = "";
    assert_int_equal(spool_path(&s, "log.txt", path), 0);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    assert_true(n <= 600 && n > 400);
    assert_non_null(strstr(text, "log: the limit is reached"));
    assert_null(strchr(text, '\x1b'));
    json_t *obj = json_pack("{s:i}", "a", 1);
    size_t size;
    char hex[65];
    assert_int_equal(spool_write_json(&s, "result.json", obj, &size, hex, &e), 0);
    /* sha256sum of "{\n \"a\": 1\n}" */
    assert_string_equal(hex, "4c7b92d70b8f46817ada0eac124a21649225537837d9925d84548dfea748c20e");
    assert_int_equal(size, 11);
    json_decref(obj);
    struct stat st;
    assert_int_equal(spool_path(&s, "result.json", path), 0);
    assert_int_equal(stat(path, &st), 0);
    (void)unlink(path);
    assert_int_equal(spool_path(&s, ".result.json.tmp", path), 0);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(spool_path(&s, "work", path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    spool_remove_work(&s);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(spool_path(&s, "log.txt", path), 0);
    (void)unlink(path);
    spool_close(&s);
    assert_int_equal(rmdir(s.dir), 0);
    assert_int_equal(rmdir(root), 0);
}

/* Every (state, event): the design's order, release on every path, nothing after the end. */
static void test_table(void **state) {
    (void)state;
    const struct sm_table *t = attempt_table();
    static const int expect[STAGE_COUNT][EVENT_COUNT] = {
        [STAGE_PREPARE] = {STAGE_FLASH, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_FLASH] = {STAGE_ARM, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_ARM] = {STAGE_RUN, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_RUN] = {STAGE_ANALYSE, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_ANALYSE] = {STAGE_STORE, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_STORE] = {STAGE_RELEASE, STAGE_RELEASE, STAGE_RELEASE},
        [STAGE_RELEASE] = {STAGE_ENDED, STAGE_ENDED, JF_E_CONFLICT},
        [STAGE_ENDED] = {JF_E_CONFLICT, JF_E_CONFLICT, JF_E_CONFLICT},
    };
    for (int s = 0; s < STAGE_COUNT; s++) {
        for (int ev = 0; ev < EVENT_COUNT; ev++) {
            struct err e;
            assert_int_equal(sm_next(t, s, ev, &e), expect[s][ev]);
        }
    }
    static const char *const names[] = {"prepare", "flash", "arm",    "run",
                                        "analyse", "store", "release"}; /* PROTOCOL.md */
    for (int s = 0; s < 7; s++) {
        assert_string_equal(sm_state_name(t, s), names[s]);
    }
}

static void test_choose_n(void **state) {
    (void)state;
    struct job_conf tiny = {.method = MEASURE_METHOD_MLPERF_TINY}, quick = {.method = MEASURE_METHOD_QUICK};
    assert_true(job_window_s(&tiny) >=
                10.5); /* the method's rule: at least 10 s, 10 inferences; half a second in reserve */
    assert_int_equal(job_min_inferences(&tiny), 10);
    assert_true(job_window_s(&quick) == 1.0);
    quick.window_s = 0.3;
    assert_true(job_window_s(&quick) == 0.3);
    tiny.window_s = 0.3;
    assert_true(job_window_s(&tiny) >= 10.5);
    uint32_t n;
    /* published: NUCLEO-L4R5ZI kws 12.951 s for 300 inferences (round v1.2) */
    assert_int_equal(job_choose_n(12.951 / 300, 10.5, 10, 1000000, &n), 0);
    assert_true(n * 12.951 / 300 >= 10.5 && n * 12.951 / 300 < 10.8);
    assert_int_equal(job_choose_n(2.0, 10.5, 10, 1000000, &n), 0);
    assert_int_equal(n, 10);
    assert_int_equal(job_choose_n(1e-9, 10.5, 1, 5000, &n), 0);
    assert_int_equal(n, 5000);
    assert_int_equal(job_choose_n(0.0, 1, 1, 10, &n), JF_E_MEASUREMENT);
    assert_int_equal(job_choose_n(-1.0, 1, 1, 10, &n), JF_E_MEASUREMENT);
    assert_int_equal(job_choose_n((double)NAN, 1, 1, 10, &n), JF_E_MEASUREMENT);
    assert_int_equal(job_choose_n((double)INFINITY, 1, 1, 10, &n), JF_E_MEASUREMENT);
}

static const char bench_text[] =
    "{\"name\":\"b\",\"virtual\":true,\"board\":{\"type\":\"t\",\"serial\":\"S\",\"capacitance_max_f\":2e-5},"
    "\"board_type\":{\"start\":\"power_cycle\",\"markers\":\"phases\",\"clock\":{\"tolerance\":0.03},\"flash\":{}},"
    "\"probe\":{\"runner\":\"openocd\"},\"uart\":{\"path\":\"/dev/null\",\"baud\":115200,\"backend\":\"fd\"},"
    "\"analyzer\":{\"driver\":\"ppk2\"},\"supply\":{\"by\":\"analyzer\",\"voltage_v\":3.3,\"plane\":\"analyzer-out\"},"
    "\"limits\":{\"v_min\":3.0}}";

static void test_conf(void **state) {
    (void)state;
    json_t *root = json_loads(bench_text, 0, NULL);
    assert_non_null(root);
    struct bench_conf c;
    struct err e;
    assert_int_equal(bench_conf_parse(root, &c, &e), 0);
    assert_int_equal(c.start, CONF_START_POWER_CYCLE);
    assert_int_equal(c.scheme, MEASURE_SCHEME_PHASES);
    assert_int_equal(c.measure_supply.capacitance, MEASURE_C_MAX);
    assert_true(c.measure_supply.v_min == 3.0 && c.clock_tol_rel == 0.03 && c.is_virtual);
    /* a bench that cannot switch the supply resets by the probe, whatever the board type prefers */
    (void)json_object_set_new(json_object_get(root, "supply"), "by", json_string("board"));
    assert_int_equal(bench_conf_parse(root, &c, &e), 0);
    assert_int_equal(c.start, CONF_START_PROBE_RESET);
    static const char *const needed[] = {"name", "board", "board_type", "probe", "analyzer", "uart", "supply"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        json_t *copy = json_deep_copy(root);
        (void)json_object_del(copy, needed[i]);
        assert_int_equal(bench_conf_parse(copy, &c, &e), JF_E_INVAL);
        assert_string_equal(e.where, needed[i]);
        json_decref(copy);
    }
    json_decref(root);
    json_t *job = json_loads("{\"method\":\"mlperf-tiny\",\"windows\":5,\"inferences\":null,\"warmup\":10,\"expect_"
                             "output\":{\"crc32\":\"cbf43926\"}}",
                             0, NULL);
    struct job_conf j;
    assert_int_equal(job_conf_parse(job, &j, &e), 0);
    assert_true(j.expect.has_crc && j.expect.crc32 == 0xcbf43926 && j.inferences == 0 && isnan(j.supply_v));
    static const char *const absurd[] = {"windows", "inferences", "warmup"};
    for (size_t i = 0; i < 3; i++) {
        json_t *copy = json_deep_copy(job);
        (void)json_object_set_new(copy, absurd[i], json_integer(INT64_MAX));
        assert_int_equal(job_conf_parse(copy, &j, &e), JF_E_INVAL);
        assert_string_equal(e.where, absurd[i]);
        json_decref(copy);
    }
    json_decref(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits),   cmocka_unit_test(test_full_socket),
                                       cmocka_unit_test(test_spool),    cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_choose_n), cmocka_unit_test(test_conf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
