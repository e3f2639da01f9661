/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole attempts over a fake analyzer, a fake flash runner and a fake board on a pty, in a few hundred milliseconds each: the
 * good path, "fail the Nth call until it succeeds", cancel in every stage, the daemon's end closing, a driver that hangs. The test is
 * the daemon's end of the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bench/attempt.h"

#define RATE 10000.0
#define LATENCY_MS 4
#define MAX_EDGES 4096

/* ---- the rig: one board, one analyzer ----------------------------------------------------------------------------- */
struct rig {
    pthread_mutex_t lock;
    struct {
        int64_t t_ns;
        uint8_t level;
    } edges[MAX_EDGES];
    size_t n_edges;
    bool supply, stop, boot;
    int calls, fail_at, hang_at; /* calls of driver and runner, counted from 1; 0: none */
    const char *failed_call;
    bool silent; /* the board says nothing */
    int master;
    pthread_t thread;
    char uart[64];
};

static int64_t now_ns(void) { return clock_raw_ns(clock_system()); }

static void nap(int64_t ns) {
    struct timespec ts = {ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S};
    (void)nanosleep(&ts, NULL);
}

static void edge(struct rig *r, uint8_t level) {
    (void)pthread_mutex_lock(&r->lock);
    if (r->n_edges < MAX_EDGES) {
        r->edges[r->n_edges].t_ns = now_ns();
        r->edges[r->n_edges++].level = level;
    }
    (void)pthread_mutex_unlock(&r->lock);
}

static uint8_t level_at(const struct rig *r, int64_t t) {
    uint8_t l = 0;
    for (size_t i = 0; i < r->n_edges && r->edges[i].t_ns <= t; i++) {
        l = r->edges[i].level;
    }
    return l;
}

static void say(struct rig *r, const char *text) {
    if (!r->silent) {
        ssize_t n = write(r->master, text, strlen(text));
        (void)n;
    }
}

static void board_infer(struct rig *r, unsigned n, unsigned w) {
    char text[128];
    (void)snprintf(text, sizeof text, "m-warmup-start-%u\r\nm-warmup-done\r\nm-infer-start-%u\r\n", w, n);
    nap((int64_t)w * LATENCY_MS * CLOCK_NS_PER_MS);
    say(r, text);
    nap(2 * CLOCK_NS_PER_MS);
    uint8_t toggle = level_at(r, INT64_MAX) & 2;
    int64_t t0 = now_ns();
    for (unsigned i = 0; i < n; i++) {
        toggle ^= 2;
        edge(r, toggle);
        nap(LATENCY_MS * CLOCK_NS_PER_MS);
    }
    toggle ^= 2;
    edge(r, toggle);
    nap(CLOCK_NS_PER_MS);
    edge(r, toggle | 1);
    (void)snprintf(text, sizeof text, "m-jf-window-[1,%u,%lld,1000000000]\r\nm-jf-output-[12345678]\r\nm-infer-done\r\nm-results-[1.000]\r\nm-ready\r\n", n,
                   (long long)(now_ns() - t0));
    say(r, text);
}

static void board_command(struct rig *r, const char *cmd) {
    unsigned n, w;
    if (sscanf(cmd, "infer %u %u", &n, &w) == 2) {
        board_infer(r, n, w);
    } else if (strcmp(cmd, "jf on") == 0) {
        say(r, "m-jf-[1]\r\nm-jf-build-[none,fake,00,tflm,1000000,spin]\r\nm-jf-reset-[power,0x0]\r\nm-jf-debug-[0,0x00000000]\r\n"
               "m-jf-golden-[12345678,1]\r\nm-jf-init-[boot,0,1000]\r\nm-jf-markers-[mlperf,1000]\r\nm-ready\r\n");
    } else if (strncmp(cmd, "jf markers", 10) == 0) {
        edge(r, 1);
        say(r, "m-jf-markers-[phases,1000]\r\nm-ready\r\n");
    } else if (strcmp(cmd, "name") == 0) {
        say(r, "m-name-dut-[fake]\r\nm-ready\r\n");
    } else if (strcmp(cmd, "profile") == 0) {
        say(r, "m-profile-[x]\r\nm-model-[fake]\r\nm-ready\r\n");
    } else if (strncmp(cmd, "db load", 7) == 0) {
        say(r, "m-[Expecting 4 bytes]\r\nm-ready\r\n");
    } else if (strncmp(cmd, "db ", 3) == 0) {
        say(r, "m-load-done\r\nm-ready\r\n");
    } else {
        say(r, "e-[Unknown command]\r\nm-ready\r\n");
    }
}

static void *board_main(void *arg) {
    struct rig *r = arg;
    char cmd[128];
    size_t len = 0;
    for (;;) {
        (void)pthread_mutex_lock(&r->lock);
        bool stop = r->stop, boot = r->boot;
        r->boot = false;
        (void)pthread_mutex_unlock(&r->lock);
        if (stop) {
            return NULL;
        }
        if (boot) {
            say(r, "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n");
        }
        struct pollfd p = {r->master, POLLIN, 0};
        char c;
        if (poll(&p, 1, 5) == 1 && (p.revents & POLLIN) && read(r->master, &c, 1) == 1) {
            if (c == '%') {
                cmd[len] = '\0';
                board_command(r, cmd);
                len = 0;
            } else if (len + 1 < sizeof cmd) {
                cmd[len++] = c;
            }
        } else if (p.revents & POLLHUP) {
            nap(5 * CLOCK_NS_PER_MS);
        }
    }
}

static void rig_start(struct rig *r) {
    memset(r, 0, sizeof *r);
    (void)pthread_mutex_init(&r->lock, NULL);
    r->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(r->master >= 0 && grantpt(r->master) == 0 && unlockpt(r->master) == 0);
    assert_int_equal(ptsname_r(r->master, r->uart, sizeof r->uart), 0);
    struct termios t;
    assert_int_equal(tcgetattr(r->master, &t), 0);
    cfmakeraw(&t);
    assert_int_equal(tcsetattr(r->master, TCSANOW, &t), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, board_main, r), 0);
}

static void rig_stop(struct rig *r) {
    (void)pthread_mutex_lock(&r->lock);
    r->stop = true;
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    (void)close(r->master);
    (void)pthread_mutex_destroy(&r->lock);
}

/* Counts a call; true: this one fails. */
static bool call(struct rig *r, const char *name) {
    (void)pthread_mutex_lock(&r->lock);
    int n = ++r->calls;
    bool fail = n == r->fail_at, hang = n == r->hang_at;
    if (fail || hang) {
        r->failed_call = name;
    }
    (void)pthread_mutex_unlock(&r->lock);
    while (hang) {
        nap(CLOCK_NS_PER_S);
    }
    return fail;
}

/* ---- the analyzer ------------------------------------------------------------------------------------------------- */
struct fake_dev {
    struct rig *rig;
    int64_t start_ns, next;
    bool pumped;
};

static int fake_open(const json_t *conf, const struct clock_src *clock, void **ret_dev, struct err *reterr) {
    (void)clock;
    struct rig *r = (struct rig *)(intptr_t)json_integer_value(json_object_get(conf, "rig"));
    if (call(r, "open")) {
        return err_set(reterr, JF_E_INSTRUMENT, "fake: open");
    }
    struct fake_dev *d = calloc(1, sizeof *d);
    d->rig = r;
    *ret_dev = d;
    return 0;
}
static int fake_info(void *dev, struct power_info *i) {
    (void)dev;
    *i = (struct power_info){.driver = "fake", .model = "fake", .shape = POWER_STREAMING, .caps = POWER_CAP_SUPPLY | POWER_CAP_MARKERS, .rate_hz = RATE,
                             .marker_phase = 0.5, .n_markers = 5, .n_ranges = 1, .spec_source = "none", .clock_ppm = 50};
    i->ranges[0] = (struct power_range){.from_a = 0, .to_a = 1, .gain_rel = 0.001, .kind = POWER_SPEC_LIMIT};
    return 0;
}
static int fake_setup(void *dev, const struct power_setup *asked, struct power_setup *granted, struct err *reterr) {
    struct fake_dev *d = dev;
    *granted = *asked;
    return call(d->rig, "setup") ? err_set(reterr, JF_E_INSTRUMENT, "fake: setup") : 0;
}
static int fake_start(void *dev, struct err *reterr) {
    struct fake_dev *d = dev;
    d->start_ns = now_ns();
    d->next = 0;
    return call(d->rig, "start") ? err_set(reterr, JF_E_INSTRUMENT, "fake: start") : 0;
}
static int fake_pump(void *dev, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    struct fake_dev *d = dev;
    if (!d->pumped && call(d->rig, "pump")) {
        return err_set(reterr, JF_E_INSTRUMENT, "fake: pump");
    }
    d->pumped = true;
    nap((budget_ms < 10 ? budget_ms : 10) * CLOCK_NS_PER_MS);
    static _Thread_local float amp[4096];
    static _Thread_local uint8_t mark[4096];
    int64_t now = now_ns(), due = (int64_t)((double)(now - d->start_ns) * 1e-9 * RATE);
    uint32_t n = (uint32_t)(due - d->next > 4096 ? 4096 : due - d->next);
    if (n == 0) {
        return 0;
    }
    (void)pthread_mutex_lock(&d->rig->lock);
    for (uint32_t i = 0; i < n; i++) {
        amp[i] = d->rig->supply ? 0.01f : 0.0f;
        mark[i] = d->rig->supply ? level_at(d->rig, d->start_ns + (int64_t)((double)(d->next + i) / RATE * 1e9)) : 0;
    }
    (void)pthread_mutex_unlock(&d->rig->lock);
    struct power_block b = {.first = d->next, .count = n, .period_s = 1 / RATE, .host_raw_ns = now, .current_a = amp, .markers = mark};
    d->next += n;
    int r = fn(user, &b);
    return r < 0 ? r : 1;
}
static int fake_stop(void *dev, struct err *reterr) {
    struct fake_dev *d = dev;
    return call(d->rig, "stop") ? err_set(reterr, JF_E_INSTRUMENT, "fake: stop") : 0;
}
static int fake_supply(void *dev, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v, struct err *reterr) {
    struct fake_dev *d = dev;
    if (call(d->rig, action == POWER_SUPPLY_ON ? "supply on" : "supply off")) {
        return err_set(reterr, JF_E_INSTRUMENT, "fake: supply");
    }
    (void)pthread_mutex_lock(&d->rig->lock);
    d->rig->boot = action == POWER_SUPPLY_ON && !d->rig->supply;
    d->rig->supply = action == POWER_SUPPLY_ON;
    (void)pthread_mutex_unlock(&d->rig->lock);
    *ret_on = action == POWER_SUPPLY_ON;
    *ret_v = set_v;
    return 0;
}
static void fake_close(void *dev, bool leave_supply_on) {
    struct fake_dev *d = dev;
    (void)pthread_mutex_lock(&d->rig->lock);
    d->rig->supply = d->rig->supply && leave_supply_on;
    (void)pthread_mutex_unlock(&d->rig->lock);
    free(d);
}
static const struct power_driver fake_driver = {.name = "fake", .sentence = "test", .shape = POWER_STREAMING, .max_block_ms = 50, .open = fake_open,
                                                .info = fake_info, .setup = fake_setup, .start = fake_start, .pump = fake_pump, .stop = fake_stop,
                                                .supply = fake_supply, .close = fake_close};

/* ---- the flash runner: every operation takes three steps ----------------------------------------------------------- */
struct flash_dev {
    struct rig *rig;
    enum flash_op op;
    int steps;
    bool canceled, fail;
};
static int run_open(const json_t *probe, const json_t *board, const char *work_dir, const struct flash_env *env, struct flash_dev **ret, struct err *reterr) {
    (void)board;
    (void)work_dir;
    (void)env;
    struct rig *r = (struct rig *)(intptr_t)json_integer_value(json_object_get(probe, "rig"));
    if (call(r, "runner open")) {
        return err_set(reterr, JF_E_PROBE, "fake: open");
    }
    *ret = calloc(1, sizeof **ret);
    (*ret)->rig = r;
    return 0;
}
static int run_begin(struct flash_dev *d, enum flash_op op, const char *image, int deadline_ms, struct err *reterr) {
    assert_true((op == FLASH_COMPARE || op == FLASH_WRITE || op == FLASH_VERIFY) == (image != NULL));
    assert_true(deadline_ms > 0);
    d->op = op;
    d->steps = 0;
    d->canceled = d->fail = false;
    return call(d->rig, flash_op_name(op)) ? err_set(reterr, JF_E_PROBE, "fake: begin") : 0;
}
static size_t run_fds(struct flash_dev *d, struct pollfd *fds, size_t max) {
    (void)d;
    (void)fds;
    (void)max;
    return 0;
}
static int run_step(struct flash_dev *d, struct flash_progress *p, struct err *reterr) {
    *p = (struct flash_progress){.op = d->op, .done = ++d->steps >= 3};
    if (p->done && d->canceled) {
        p->result = err_set(reterr, JF_E_CANCELED, "canceled");
    } else if (p->done && d->op == FLASH_WRITE && call(d->rig, "write ends")) {
        p->result = err_set(reterr, JF_E_VERIFY, "fake: write");
    }
    return 0;
}
static void run_cancel(struct flash_dev *d) { d->canceled = true; }
static int run_identity(struct flash_dev *d, struct flash_identity *id) {
    (void)d;
    *id = (struct flash_identity){.probe_serial = "P", .chip_id = 0x480, .target_v = 3.3, .runner = "fake", .runner_version = "1"};
    return 0;
}
static void run_close(struct flash_dev *d) { free(d); }
static const struct flash_runner fake_runner = {.name = "fake", .sentence = "test", .open = run_open, .begin = run_begin, .poll_fds = run_fds,
                                                .step = run_step, .cancel = run_cancel, .identity = run_identity, .close = run_close};

/* ---- the daemon's end ----------------------------------------------------------------------------------------------- */
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
            assert_int_equal(msg_send(&link, json_pack("{s:s,s:s,s:i}", "type", "cancel", "attempt", "a1", "epoch", 7), 1000, &e), 0);
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
        assert_int_equal(msg_send(&link, json_pack("{s:s,s:s,s:i}", "type", "result_ack", "attempt", "a1", "epoch", 7), 1000, &e), 0);
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
    *w = (struct worker){.clock = clock_system(), .driver = &fake_driver, .runner = &fake_runner, .proc = proc_system(), .spool_root = l->root,
                         .lock_fd = -1, .quiet_ms = 60, .beyond_ms = 100, .off_ms = 60};
    msg_init(&w->link, sv[1], w->clock);
    w->root = json_pack("{s:s, s:{s:s}, s:{s:s, s:s, s:f, s:f, s:{}}, s:{s:I}, s:{s:s, s:I}, s:{s:s, s:i, s:s}, s:{s:s, s:f}}", "name", "fake", "board", "serial",
                        "U1", "board_type", "start", "power_cycle", "markers", "phases", "boot_s", 2.0, "clock_tolerance", 0.5, "flash", "probe", "rig",
                        (json_int_t)(intptr_t)&l->rig, "analyzer", "driver", "fake", "rig", (json_int_t)(intptr_t)&l->rig, "uart", "path", l->rig.uart, "baud",
                        115200, "backend", "fd", "supply", "by", "analyzer", "voltage_v", 3.0);
    assert_non_null(w->root);
    struct err e = {0};
    if (bench_conf_parse(w->root, &w->conf, &e) < 0) {
        fail_msg("%s: %s", e.where, e.text);
    }
    l->request = json_pack("{s:s, s:s, s:i, s:{s:s, s:i, s:i, s:f}, s:{s:s, s:s}, s:[], s:i}", "type", "run", "attempt", "a1", "epoch", 7, "job", "method", "quick",
                           "windows", 2, "warmup", 1, "window_s", 0.03, "firmware", "id", "sha256:00", "path", "/dev/null", "inputs", "deadline_s", 60);
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

/* ---- the tests ------------------------------------------------------------------------------------------------------ */
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
    assert_true(n > 15 && n < 60); /* open, identify, compare, write, verify, setup, start, pump, supply... were all reached */
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
        cmocka_unit_test(test_good),         cmocka_unit_test(test_fail_each_call), cmocka_unit_test(test_cancel), cmocka_unit_test(test_daemon_gone),
        cmocka_unit_test(test_silent_board), cmocka_unit_test(test_bad_request),    cmocka_unit_test(test_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
