/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole attempts over a fake analyzer, a fake flash runner and a fake board on a pty, in a few hundred milliseconds
 * each: the good path, "fail the Nth call until it succeeds", cancel in every stage, the daemon's end closing, a driver
 * that hangs. The test is the daemon's end of the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/bench/fake_bench.h"

/* ---- the daemon's end -----------------------------------------------------------------------------------------------
 */
struct outcome {
    int faults, results, released, stages;
    bool safe;
    char code[32], cause[32], stage[16], part[16], text[200];
    char order[16]; /* first letters of the stages */
};

struct lab {
    struct rig rig;
    struct worker w;
    int daemon_fd, worker_fd;
    char root[64];
    json_t *request;
    const char *cancel_at; /* stage; NULL: none */
    bool close_at_run, ack;
    struct outcome out;
    pthread_t thread;
};

static void take(struct lab *l, const json_t *m) {
    const char *type = json_string_value(json_object_get(m, "type"));
    struct outcome *o = &l->out;
    struct err e;
    if (strcmp(type, "stage") == 0) {
        const char *stage = json_string_value(json_object_get(m, "stage"));
        o->order[o->stages++ % 15] = stage[0];
        if (l->cancel_at && strcmp(stage, l->cancel_at) == 0) {
            struct msg_link link;
            msg_init(&link, l->daemon_fd, clock_system());
            assert_int_equal(
                msg_send(&link, json_pack("{s:s,s:s,s:i}", "type", "cancel", "attempt", "a1", "epoch", 7), 1000, &e),
                0);
        }
        if (l->close_at_run && strcmp(stage, "run") == 0) {
            (void)shutdown(l->daemon_fd, SHUT_RDWR);
        }
    } else if (strcmp(type, "fault") == 0) {
        o->faults++;
        (void)snprintf(o->code, sizeof o->code, "%s", json_string_value(json_object_get(m, "code")));
        (void)snprintf(o->cause, sizeof o->cause, "%s", json_string_value(json_object_get(m, "cause")));
        (void)snprintf(o->stage, sizeof o->stage, "%s", json_string_value(json_object_get(m, "stage")));
        (void)snprintf(o->text, sizeof o->text, "%s", json_string_value(json_object_get(m, "text")));
        const char *part = json_string_value(json_object_get(m, "part"));
        (void)snprintf(o->part, sizeof o->part, "%s", part ? part : "");
    } else if (strcmp(type, "result") == 0) {
        o->results++;
        struct msg_link link;
        msg_init(&link, l->daemon_fd, clock_system());
        assert_int_equal(
            msg_send(&link, json_pack("{s:s,s:s,s:i}", "type", "result_ack", "attempt", "a1", "epoch", 7), 1000, &e),
            0);
    } else if (strcmp(type, "released") == 0) {
        o->released++;
        o->safe = json_is_true(json_object_get(m, "safe"));
    }
}

static void *daemon_main(void *arg) {
    struct lab *l = arg;
    struct msg_link link;
    msg_init(&link, l->daemon_fd, clock_system());
    for (;;) {
        struct pollfd p = {l->daemon_fd, POLLIN, 0};
        (void)poll(&p, 1, 100);
        json_t *m;
        struct err e;
        int r = msg_receive(&link, &m, &e);
        if (r < 0) {
            return NULL;
        }
        if (r == 1) {
            take(l, m);
            json_decref(m);
        }
    }
}

static void lab_open(struct lab *l) {
    memset(l, 0, sizeof *l);
    rig_start(&l->rig);
    (void)snprintf(l->root, sizeof l->root, "/tmp/jf-test-attempt-XXXXXX");
    assert_non_null(mkdtemp(l->root));
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
    l->daemon_fd = sv[0];
    l->worker_fd = sv[1];
    struct worker *w = &l->w;
    *w = (struct worker){.clock = clock_system(),
                         .driver = &fake_driver,
                         .runner = &fake_runner,
                         .proc = proc_system(),
                         .spool_root = l->root,
                         .lock_fd = -1,
                         .signal_fd = -1,
                         .quiet_ms = 60,
                         .beyond_ms = 100,
                         .off_ms = 60};
    msg_init(&w->link, sv[1], w->clock);
    w->root = json_pack(
        "{s:s, s:{s:s}, s:{s:s, s:s, s:f, s:f, s:{}}, s:{s:I}, s:{s:s, s:I}, s:{s:s, s:i, s:s}, s:{s:s, s:f}}", "name",
        "fake", "board", "serial", "U1", "board_type", "start", "power_cycle", "markers", "phases", "boot_s", 2.0,
        "clock_tolerance", 0.5, "flash", "probe", "rig", (json_int_t)(intptr_t)&l->rig, "analyzer", "driver", "fake",
        "rig", (json_int_t)(intptr_t)&l->rig, "uart", "path", l->rig.uart, "baud", 115200, "backend", "fd", "supply",
        "by", "analyzer", "voltage_v", 3.0);
    assert_non_null(w->root);
    struct err e = {0};
    if (bench_conf_parse(w->root, &w->conf, &e) < 0) {
        fail_msg("%s: %s", e.where, e.text);
    }
    l->request = json_pack("{s:s, s:s, s:i, s:{s:s, s:i, s:i, s:f}, s:{s:s, s:s}, s:[], s:i}", "type", "run", "attempt",
                           "a1", "epoch", 7, "job", "method", "quick", "windows", 2, "warmup", 1, "window_s", 0.03,
                           "firmware", "id", "sha256:00", "path", "/dev/null", "inputs", "deadline_s", 60);
    assert_non_null(l->request);
}

static int lab_run(struct lab *l, struct err *e) {
    assert_int_equal(pthread_create(&l->thread, NULL, daemon_main, l), 0);
    int r = attempt_run(&l->w, l->request, NULL, e);
    (void)shutdown(l->worker_fd, SHUT_RDWR);
    (void)pthread_join(l->thread, NULL);
    return r;
}

/* Everything but the rig's thread and the two sockets. */
static void lab_clean(struct lab *l) {
    json_decref(l->request);
    json_decref(l->w.root);
    static const char *const files[] = {"log.txt", "trace.jft", "result.json"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/a1/%s", l->root, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/a1", l->root);
    assert_int_equal(rmdir(path), 0); /* nothing else was left: no work directory, no temporary file */
    assert_int_equal(rmdir(l->root), 0);
}

static void lab_close(struct lab *l) {
    rig_stop(&l->rig);
    (void)close(l->daemon_fd);
    (void)close(l->worker_fd);
    lab_clean(l);
}

/* ---- the tests ------------------------------------------------------------------------------------------------------
 */
static void test_good(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    l.w.quiet_ms = WORKER_QUIET_MS; /* as in earnest: idle power and the loss check exist */
    l.w.beyond_ms = WORKER_BEYOND_MS;
    struct err e = {0};
    int r = lab_run(&l, &e);
    if (r != 0) {
        fail_msg("%s", e.text);
    }
    assert_string_equal(l.out.order, "pfarasr");
    assert_true(l.out.results == 1 && l.out.released == 1 && l.out.faults == 0 && l.out.safe);
    assert_false(l.rig.supply);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a1/result.json", l.root);
    json_t *stored = json_load_file(path, 0, NULL);
    const json_t *res = json_object_get(stored, "result");
    /* 10 mA at 3 V for the 4 ms of an inference: 120 uJ (naps last a little longer, never shorter) */
    double energy = json_number_value(json_object_get(json_object_get(res, "energy_per_inference_j"), "median"));
    if (!(energy > 118e-6 && energy < 180e-6)) {
        fail_msg("%g J: %s", energy, json_dumps(json_object_get(res, "reasons"), JSON_COMPACT));
    }
    assert_int_equal(json_array_size(json_object_get(stored, "windows")), 2);
    json_decref(stored);
    lab_close(&l);
}

static void test_fail_each_call(void **state) {
    (void)state;
    bool went_well = false;
    int n = 1;
    for (; n < 60 && !went_well; n++) {
        struct lab l;
        lab_open(&l);
        l.rig.fail_at = n;
        struct err e = {0};
        int r = lab_run(&l, &e);
        const char *name = l.rig.failed_call;
        went_well = name == NULL;
        bool last_off = name && strcmp(name, "supply off") == 0 && l.out.results == 1; /* the release's own switch */
        if (went_well || last_off) {
            assert_int_equal(r, 0);
            assert_true(l.out.safe == went_well);
        } else {
            if (r >= 0 || l.out.faults != 1 || l.out.results != 0) {
                fail_msg("call %d (%s): %d, %d faults, %d results", n, name, r, l.out.faults, l.out.results);
            }
            assert_string_equal(l.out.cause, "infrastructure");
            assert_string_not_equal(l.out.part, "");
            assert_true(l.out.safe);
        }
        assert_int_equal(l.out.released, 1);
        assert_false(l.rig.supply); /* A1: at the latest by closing the analyzer */
        lab_close(&l);
    }
    assert_true(n > 15 &&
                n < 60); /* open, identify, compare, write, verify, setup, start, pump, supply... were all reached */
}

static void test_cancel(void **state) {
    (void)state;
    static const char *const stages[] = {"prepare", "flash", "arm", "run", "analyse"};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        struct lab l;
        lab_open(&l);
        l.cancel_at = stages[i];
        struct err e = {0};
        int64_t from = now_ns();
        int r = lab_run(&l, &e);
        bool too_late = strcmp(stages[i], "analyse") == 0 && r == 0; /* a short analysis may be over first */
        if (!too_late) {
            assert_int_equal(r, JF_E_CANCELED);
            assert_int_equal(l.out.faults, 1);
            assert_string_equal(l.out.cause, "canceled");
            assert_string_equal(l.out.part, "");
        }
        assert_true(l.out.released == 1 && l.out.safe);
        assert_false(l.rig.supply);
        assert_true(now_ns() - from < 10 * CLOCK_NS_PER_S);
        lab_close(&l);
    }
}

static void test_daemon_gone(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    l.close_at_run = true;
    struct err e = {0};
    assert_int_equal(lab_run(&l, &e), JF_E_GONE);
    assert_false(l.rig.supply);
    lab_close(&l);
}

static void test_silent_board(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    l.rig.silent = true;
    struct err e = {0};
    assert_int_equal(lab_run(&l, &e), JF_E_DUT_SILENT);
    assert_string_equal(l.out.code, "dut-silent");
    assert_string_equal(l.out.stage, "run");
    assert_string_equal(l.out.part, "board");
    assert_true(l.out.safe);
    lab_close(&l);
}

static json_t *stored_result(const struct lab *l) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a1/result.json", l->root);
    json_t *stored = json_load_file(path, 0, NULL);
    assert_non_null(stored);
    return stored;
}

static bool has_reason(const json_t *stored, const char *code) {
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(json_object_get(stored, "result"), "reasons"), i, r) {
        if (strcmp(json_string_value(json_object_get(r, "code")), code) == 0) {
            return true;
        }
    }
    return false;
}

/* Firmware that knows only MLPerf Tiny is measured too: N comes from the host's clock. */
static void test_plain_firmware(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    l.rig.plain = true;
    edge(&l.rig, 1);
    struct err e = {0};
    assert_int_equal(lab_run(&l, &e), 0);
    assert_true(l.out.results == 1 && l.out.faults == 0);
    json_t *stored = stored_result(&l);
    assert_true(has_reason(stored, "no-golden-output"));
    assert_false(has_reason(stored, "wrong-output"));
    json_decref(stored);
    lab_close(&l);
}

/* A marker that stays high while the supply is off: something else feeds the board. */
static void test_back_powered(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    l.rig.fed = true;
    edge(&l.rig, 1);
    struct err e = {0};
    assert_int_equal(lab_run(&l, &e), 0);
    json_t *stored = stored_result(&l);
    assert_true(has_reason(stored, "back-powered"));
    json_decref(stored);
    lab_close(&l);
}

static void test_wrong_output(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    assert_int_equal(json_object_set_new(json_object_get(l.request, "job"), "expect_output",
                                         json_pack("{s:s}", "crc32", "12345679")),
                     0);
    struct err e = {0};
    assert_int_equal(lab_run(&l, &e), 0); /* a wrong output is a result with a verdict, not a failure */
    json_t *stored = stored_result(&l);
    assert_true(has_reason(stored, "wrong-output"));
    json_decref(stored);
    lab_close(&l);
}

static void set_markers(struct lab *l, const char *scheme) {
    assert_int_equal(json_object_set_new(json_object_get(l->w.root, "board"), "markers", json_string(scheme)), 0);
    struct err e = {0};
    if (bench_conf_parse(l->w.root, &l->w.conf, &e) < 0) {
        fail_msg("%s: %s", e.where, e.text);
    }
}

/* Measurement specification, section 2: an inference or a marker's hold shorter than three samples is refused, not measured. */
static void test_grid_too_coarse(void **state) {
    (void)state;
    static const struct {
        const char *scheme;
        double rate_hz;
        int latency_ms;
        int want;
        const char *words;
        unsigned hold_us; /* what the board is asked to hold its marker for */
    } cases[] = {
        {"phases", 100, LATENCY_MS, JF_E_MEASUREMENT, "is shorter than three samples of 0.01 s", 0},
        {"mlperf", 300, 60, JF_E_MEASUREMENT, "samples of 0.00333 s are too coarse for the marker pulse", 0},
        {"mlperf", 1000, 20, 0, "", 4000}, /* the board's usual 1000 us would be one sample */
        {"phases", 1000, 20, 0, "", 0}, /* levels, no pulse */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lab l;
        lab_open(&l);
        set_markers(&l, cases[i].scheme);
        l.rig.rate_hz = cases[i].rate_hz;
        l.rig.latency_ms = cases[i].latency_ms;
        struct err e = {0};
        int r = lab_run(&l, &e);
        if (r != cases[i].want || !strstr(e.text, cases[i].words)) {
            fail_msg("case %zu: %d, %s", i, r, e.text);
        }
        (void)pthread_mutex_lock(&l.rig.lock);
        unsigned hold = l.rig.hold_us;
        (void)pthread_mutex_unlock(&l.rig.lock);
        assert_int_equal(hold, cases[i].hold_us);
        assert_int_equal(l.out.results, r == 0);
        assert_int_equal(l.out.faults, r < 0);
        assert_true(l.out.safe);
        lab_close(&l);
    }
}

static void test_bad_request(void **state) {
    (void)state;
    static const char *const missing[] = {"epoch", "job", "firmware"};
    for (size_t i = 0; i < 3; i++) {
        struct lab l;
        lab_open(&l);
        (void)json_object_del(l.request, missing[i]);
        struct err e = {0};
        assert_int_equal(lab_run(&l, &e), JF_E_PROTOCOL);
        assert_true(l.out.faults == 1 && l.out.released == 1 && l.out.safe && l.rig.calls == 0);
        char dir[80];
        (void)snprintf(dir, sizeof dir, "%s/a1", l.root);
        (void)mkdir(dir, 0700);
        lab_close(&l);
    }
}

/* A driver that never returns: the worker says so and leaves the process, in a bounded time. */
static void test_hang(void **state) {
    (void)state;
    struct lab l;
    lab_open(&l);
    rig_stop(&l.rig); /* the child needs its own threads */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(l.daemon_fd);
        rig_start(&l.rig);
        (void)json_object_set_new(json_object_get(l.w.root, "uart"), "path", json_string(l.rig.uart));
        assert_int_equal(bench_conf_parse(l.w.root, &l.w.conf, NULL), 0);
        l.rig.hang_at = 11; /* the first pump */
        struct err e = {0};
        (void)attempt_run(&l.w, l.request, NULL, &e);
        _exit(99);
    }
    (void)close(l.worker_fd);
    int64_t from = now_ns();
    (void)daemon_main(&l); /* until the child's end closes */
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    assert_true(now_ns() - from < 15 * CLOCK_NS_PER_S);
    assert_true(l.out.faults == 1 && l.out.released == 1);
    assert_string_equal(l.out.code, "bench-stalled");
    assert_string_equal(l.out.part, "analyzer");
    (void)close(l.daemon_fd);
    char work[96];
    (void)snprintf(work, sizeof work, "%s/a1/work", l.root);
    assert_int_equal(rmdir(work), 0); /* the process left without tidying; the daemon removes the spool */
    lab_clean(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_fail_each_call), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_daemon_gone),  cmocka_unit_test(test_silent_board),   cmocka_unit_test(test_bad_request),
        cmocka_unit_test(test_hang),         cmocka_unit_test(test_plain_firmware), cmocka_unit_test(test_back_powered),
        cmocka_unit_test(test_wrong_output), cmocka_unit_test(test_grid_too_coarse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
