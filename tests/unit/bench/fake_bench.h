/* SPDX-License-Identifier: GPL-2.0-or-later
 * A fake bench for tests: one board on a pty with its own thread, an analyzer that samples it, a flash runner whose
 * operations take three steps. Every call of driver and runner is counted and can be made to fail or to hang. For one
 * test program each. */
#ifndef TESTS_UNIT_BENCH_FAKE_BENCH_H
#define TESTS_UNIT_BENCH_FAKE_BENCH_H

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
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bench/attempt.h"

#define RATE 10000.0
#define LATENCY_MS 4
#define MAX_EDGES 4096

/* ---- the rig: one board, one analyzer -----------------------------------------------------------------------------
 */
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
    bool plain;  /* MLPerf Tiny without the jf extension */
    bool fed;    /* the board lives while its supply is off */
    double rate_hz;    /* of the analyzer */
    int64_t latency_ms; /* of an inference */
    unsigned hold_us;  /* asked of the board; 0: nothing was */
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
    nap((int64_t)w * r->latency_ms * CLOCK_NS_PER_MS);
    say(r, text);
    nap(2 * CLOCK_NS_PER_MS);
    uint8_t toggle = level_at(r, INT64_MAX) & 2;
    int64_t t0 = now_ns();
    for (unsigned i = 0; i < n; i++) {
        toggle ^= 2;
        edge(r, toggle);
        nap(r->latency_ms * CLOCK_NS_PER_MS);
    }
    toggle ^= 2;
    edge(r, toggle);
    nap(CLOCK_NS_PER_MS);
    edge(r, toggle | 1);
    if (r->plain) {
        say(r, "m-infer-done\r\nm-results-[1.000]\r\nm-ready\r\n");
        return;
    }
    (void)snprintf(text, sizeof text,
                   "m-jf-window-[1,%u,%lld,1000000000]\r\nm-jf-output-[12345678]\r\nm-infer-done\r\nm-results-[1.000]"
                   "\r\nm-ready\r\n",
                   n, (long long)(now_ns() - t0));
    say(r, text);
}

static void board_command(struct rig *r, const char *cmd) {
    unsigned n, w, hold;
    if (sscanf(cmd, "infer %u %u", &n, &w) == 2) {
        board_infer(r, n, w);
    } else if (r->plain && strncmp(cmd, "jf", 2) == 0) {
        say(r, "e-[Unknown command: jf]\r\nm-ready\r\n");
    } else if (strcmp(cmd, "jf on") == 0) {
        say(r, "m-jf-[1]\r\nm-jf-build-[none,fake,00,tflm,1000000,spin]\r\nm-jf-reset-[power,0x0]\r\nm-jf-debug-[0,"
               "0x00000000]\r\n"
               "m-jf-golden-[12345678,1]\r\nm-jf-init-[boot,0,1000]\r\nm-jf-markers-[mlperf,1000]\r\nm-ready\r\n");
    } else if (strncmp(cmd, "jf markers", 10) == 0) {
        edge(r, 1);
        say(r, strstr(cmd, "mlperf") ? "m-jf-markers-[mlperf,1000]\r\nm-ready\r\n" : "m-jf-markers-[phases,1000]\r\nm-ready\r\n");
    } else if (sscanf(cmd, "jf hold %u", &hold) == 1) {
        (void)pthread_mutex_lock(&r->lock);
        r->hold_us = hold;
        (void)pthread_mutex_unlock(&r->lock);
        say(r, "m-ready\r\n");
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
    r->rate_hz = RATE;
    r->latency_ms = LATENCY_MS;
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

/* ---- the analyzer -------------------------------------------------------------------------------------------------
 */
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
    *i = (struct power_info){.driver = "fake",
                             .model = "fake",
                             .shape = POWER_STREAMING,
                             .caps = POWER_CAP_SUPPLY | POWER_CAP_MARKERS,
                             .rate_hz = ((struct fake_dev *)dev)->rig->rate_hz,
                             .marker_phase = 0.5,
                             .n_markers = 5,
                             .n_ranges = 1,
                             .spec_source = "none",
                             .clock_ppm = 50};
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
    int64_t now = now_ns(), due = (int64_t)((double)(now - d->start_ns) * 1e-9 * d->rig->rate_hz);
    uint32_t n = (uint32_t)(due - d->next > 4096 ? 4096 : due - d->next);
    if (n == 0) {
        return 0;
    }
    (void)pthread_mutex_lock(&d->rig->lock);
    for (uint32_t i = 0; i < n; i++) {
        amp[i] = d->rig->supply ? 0.01f : 0.0f;
        mark[i] = d->rig->supply || d->rig->fed
                      ? level_at(d->rig, d->start_ns + (int64_t)((double)(d->next + i) / d->rig->rate_hz * 1e9))
                      : 0;
    }
    (void)pthread_mutex_unlock(&d->rig->lock);
    struct power_block b = {
        .first = d->next, .count = n, .period_s = 1 / d->rig->rate_hz, .host_raw_ns = now, .current_a = amp, .markers = mark};
    d->next += n;
    int r = fn(user, &b);
    return r < 0 ? r : 1;
}
static int fake_stop(void *dev, struct err *reterr) {
    struct fake_dev *d = dev;
    return call(d->rig, "stop") ? err_set(reterr, JF_E_INSTRUMENT, "fake: stop") : 0;
}
static int fake_supply(void *dev, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v,
                       struct err *reterr) {
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
static const struct power_driver fake_driver = {.name = "fake",
                                                .sentence = "test",
                                                .shape = POWER_STREAMING,
                                                .max_block_ms = 50,
                                                .open = fake_open,
                                                .info = fake_info,
                                                .setup = fake_setup,
                                                .start = fake_start,
                                                .pump = fake_pump,
                                                .stop = fake_stop,
                                                .supply = fake_supply,
                                                .close = fake_close};

/* ---- the flash runner: every operation takes three steps -----------------------------------------------------------
 */
struct flash_dev {
    struct rig *rig;
    enum flash_op op;
    int steps;
    bool canceled, fail;
};
static int run_open(const json_t *probe, const json_t *board, const char *work_dir, const struct flash_env *env,
                    struct flash_dev **ret, struct err *reterr) {
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
    *id = (struct flash_identity){
        .probe_serial = "P", .chip_id = 0x480, .target_v = 3.3, .runner = "fake", .runner_version = "1"};
    return 0;
}
static void run_close(struct flash_dev *d) { free(d); }
static const struct flash_runner fake_runner = {.name = "fake",
                                                .sentence = "test",
                                                .open = run_open,
                                                .begin = run_begin,
                                                .poll_fds = run_fds,
                                                .step = run_step,
                                                .cancel = run_cancel,
                                                .identity = run_identity,
                                                .close = run_close};

#endif
