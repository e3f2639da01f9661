/* SPDX-License-Identifier: GPL-2.0-or-later
 * The power drivers against the virtual bench's instruments, through their real transports: a PPK2 on a pty (by plain
 * descriptor, and once by libserialport itself) and an oscilloscope on TCP through libsigrok, with the bench's own faults.
 * The board has no firmware here: only the instruments are looked at. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/power/power.h"

extern char **environ;

struct vb {
    pid_t pid;
    char dir[64];
    json_t *ports;
    struct power_dev *dev;
    struct err err;
};

static int64_t now_ms(void) { return clock_mono_ns(clock_system()) / CLOCK_NS_PER_MS; }
static void sleep_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    (void)nanosleep(&t, NULL);
}

static void vb_start(struct vb *v, const char *instrument) {
    char path[128];
    memset(v, 0, sizeof *v);
    (void)snprintf(v->dir, sizeof v->dir, "/tmp/jf-contract.XXXXXX");
    assert_non_null(mkdtemp(v->dir));
    char *argv[] = {(char *)"build/jf-vbench", (char *)"--dir", v->dir, (char *)instrument, (char *)"--die-with-parent", NULL};
    posix_spawn_file_actions_t fa;
    assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn(&v->pid, argv[0], &fa, NULL, argv, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&fa), 0);
    (void)snprintf(path, sizeof path, "%s/ports.json", v->dir);
    for (int i = 0; i < 500 && !v->ports; i++) {
        v->ports = json_load_file(path, 0, NULL);
        sleep_ms(10);
    }
    assert_non_null(v->ports);
}

static void vb_stop(struct vb *v) {
    power_dev_close(v->dev, false);
    (void)kill(v->pid, SIGTERM);
    (void)waitpid(v->pid, NULL, 0);
    json_decref(v->ports);
    static const char *const left[] = {"ports.json", "uart", "control", "ppk2", "truth.jsonl"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", v->dir, left[i]);
        (void)unlink(path);
    }
    (void)rmdir(v->dir);
}

static void vb_fault(struct vb *v, const char *name, const char *params) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char line[256], answer[512] = "";
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/control", v->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    int n = snprintf(line, sizeof line, "{\"cmd\":\"fault\",\"name\":\"%s\",\"on\":true,\"params\":%s}\n", name, params);
    assert_int_equal(write(fd, line, (size_t)n), n);
    assert_true(read(fd, answer, sizeof answer - 1) > 0);
    if (strstr(answer, "error")) {
        fail_msg("control: %s", answer);
    }
    (void)close(fd);
}

struct got {
    int64_t samples, cells, missing, holes, ends, last_raw_ns;
    double sum_a, min_a, max_a, period_s, sum_v;
};
static int on_block(void *user, const struct power_block *b) {
    struct got *g = user;
    g->cells += b->count;
    g->period_s = b->period_s;
    g->ends += b->flags & POWER_SEGMENT_END ? 1 : 0;
    if (b->flags & POWER_GAP) {
        g->holes++;
        g->missing += b->count;
        return 0;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        double a = (double)b->current_a[i];
        g->min_a = g->samples + i == 0 || a < g->min_a ? a : g->min_a;
        g->max_a = g->samples + i == 0 || a > g->max_a ? a : g->max_a;
        g->sum_a += a;
        g->sum_v += b->voltage_v ? (double)b->voltage_v[i] : 0;
    }
    g->samples += b->count;
    g->last_raw_ns = b->host_raw_ns;
    return 0;
}

static int pump_for(struct vb *v, struct got *g, int ms) {
    int64_t until = now_ms() + ms;
    int r = 0;
    while (r >= 0 && now_ms() < until && g->ends == 0) {
        r = power_dev_pump(v->dev, 50, on_block, g, &v->err);
    }
    return r;
}

static void open_ppk2(struct vb *v, const char *backend, const char *conn) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/ppk2", v->dir);
    json_t *c = json_pack("{s:s,s:s,s:b}", "conn", conn ? conn : path, "backend", backend, "trust_port", 1);
    struct power_setup s = {.trigger_marker = -1};
    bool on = false;
    double volts = 0;
    int r = power_dev_open(power_driver_by_name("ppk2"), c, clock_system(), &v->dev, &v->err);
    json_decref(c);
    r = r < 0 ? r : power_dev_supply(v->dev, POWER_SUPPLY_ON, 3.3, &on, &volts, &v->err);
    r = r < 0 ? r : power_dev_setup(v->dev, &s, NULL, &v->err);
    r = r < 0 ? r : power_dev_start(v->dev, &v->err);
    if (r < 0) {
        fail_msg("%s", v->err.text);
    }
}

static void ppk2_stream_once(const char *backend, bool path_trick) {
    struct vb v;
    struct got g = {0};
    char conn[256];
    vb_start(&v, "--ppk2");
    /* libserialport 0.1.1 takes only names under /dev whose /sys/class/tty entry exists: up and down again reaches any link */
    (void)snprintf(conn, sizeof conn, "/dev/../../..%s/ppk2", v.dir);
    open_ppk2(&v, backend, path_trick ? conn : NULL);
    int64_t began = now_ms();
    assert_true(pump_for(&v, &g, 1500) >= 0);
    int64_t took = now_ms() - began;
    assert_int_equal(g.holes, 0);
    assert_in_range(g.samples, took * 100 - 20000, took * 100 + 3000);
    /* a powered board without firmware draws something between 1 uA and 1 A */
    assert_true(g.sum_a / (double)g.samples > 1e-6 && g.max_a < 1);
    assert_int_equal(power_dev_stop(v.dev, &v.err), 0);
    vb_stop(&v);
}
static void ppk2_stream(void **state) {
    (void)state;
    ppk2_stream_once("fd", false);
}

/* A process of its own, because the shim has to be preloaded: this program runs again with JF_LSP set. */
static void ppk2_libserialport(void **state) {
    (void)state;
    if (access("/sys/class/tty", F_OK) != 0) { /* a bare chroot: libserialport knows ports by sysfs alone */
        print_message("# sysfs is not mounted: libserialport cannot know any port here\n");
        skip();
    }
    char *argv[] = {(char *)"/proc/self/exe", NULL};
    char *env[256];
    size_t n = 0;
    for (char **e = environ; *e && n < 250; e++) {
        env[n++] = *e;
    }
    env[n++] = (char *)"LD_PRELOAD=" JF_BUILD "/contract/pty_shim.so";
    env[n++] = (char *)"JF_LSP=1";
    env[n] = NULL;
    pid_t pid = 0;
    int status = -1;
    posix_spawn_file_actions_t fa;
    assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0), 0); /* one TAP stream only */
    assert_int_equal(posix_spawn(&pid, argv[0], &fa, NULL, argv, env), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&fa), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
static void child_libserialport(void **state) {
    (void)state;
    ppk2_stream_once("libserialport", true);
}

static void ppk2_faults(void **state) {
    (void)state;
    static const struct {
        const char *name, *params;
        int result;
        int64_t missing;
    } cases[] = {{"ppk2-counter-jump", "{\"samples\":100}", 0, 36}, /* 100 mod 64 */
                 {"ppk2-counter-jump", "{\"samples\":128}", 0, 0}, /* invisible to the counter */
                 {"ppk2-lose-bytes", "{\"bytes\":8}", 0, 2},
                 {"ppk2-stall", "{}", JF_E_STALLED, 0},
                 {"ppk2-unplug", "{}", JF_E_GONE, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vb v;
        struct got g = {0};
        vb_start(&v, "--ppk2");
        open_ppk2(&v, "fd", NULL);
        assert_true(pump_for(&v, &g, 300) >= 0);
        vb_fault(&v, cases[i].name, cases[i].params);
        int r = pump_for(&v, &g, cases[i].result < 0 ? 3000 : 600);
        if (cases[i].result < 0) {
            assert_int_equal(r, cases[i].result);
        } else {
            assert_true(r >= 0);
        }
        assert_int_equal(g.missing, cases[i].missing);
        vb_stop(&v);
    }
}

static int open_scope(struct vb *v, struct power_setup *ret_granted) {
    char conn[64];
    (void)snprintf(conn, sizeof conn, "tcp-raw/127.0.0.1/%d", (int)json_integer_value(json_object_get(v->ports, "scope")));
    json_t *c = json_pack("{s:s,s:s,s:s,s:i,s:{s:{s:s},s:{s:s},s:[s,s,s,s,s]}}", "sigrok_driver", "hameg-hmo", "conn", conn, "arm", "scpi", "stall_ms", 1500,
                          "mapping", "current", "channel", "CH1", "voltage", "channel", "CH2", "markers", "D0", "D1", "D2", "D3", "D4");
    struct power_setup s = {.capture_s = 0.5, .pre_s = 0, .trigger_marker = -1};
    int r = power_dev_open(power_driver_by_name("sigrok"), c, clock_system(), &v->dev, &v->err);
    json_decref(c);
    return r < 0 ? r : power_dev_setup(v->dev, &s, ret_granted, &v->err);
}

static void scope_capture(void **state) {
    (void)state;
    struct vb v;
    struct power_setup granted;
    vb_start(&v, "--scope");
    if (open_scope(&v, &granted) < 0) {
        fail_msg("%s", v.err.text);
    }
    assert_true(fabs(granted.capture_s - 0.6) < 1e-9);
    for (int k = 0; k < 3; k++) {
        struct got g = {0};
        if (power_dev_arm(v.dev, &v.err) < 0 || pump_for(&v, &g, 8000) < 0) {
            fail_msg("%s", v.err.text);
        }
        assert_int_equal(g.ends, 1);
        assert_true(fabs((double)g.samples * g.period_s - 0.6) < 2 * g.period_s);
        assert_true(fabs(g.sum_v / (double)g.samples - 3.3) < 0.05);
        assert_true(g.sum_a / (double)g.samples > 1e-6 && g.max_a < 1);
    }
    vb_stop(&v);
}

static void scope_faults(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int result;
    } cases[] = {{"scope-mute", JF_E_STALLED}, {"scope-short-block", JF_E_GONE}, {"scope-close", JF_E_GONE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vb v;
        struct got g = {0};
        vb_start(&v, "--scope");
        assert_int_equal(open_scope(&v, NULL), 0);
        assert_int_equal(power_dev_arm(v.dev, &v.err), 0);
        vb_fault(&v, cases[i].name, "{}");
        int64_t began = now_ms();
        int r = pump_for(&v, &g, 15000);
        if (r != cases[i].result) {
            fail_msg("%s: %d %s", cases[i].name, r, r < 0 ? v.err.text : "");
        }
        assert_true(now_ms() - began < 10000);
        assert_int_equal(g.samples, 0);
        vb_stop(&v);
    }
}

/* ---- a logic analyzer through libsigrok's own driver `beaglelogic`: markers alone -------------------------------- */
struct seen {
    int64_t samples, next, last_raw_ns;
    double period_s;
    bool current, holes;
};
static int on_markers(void *user, const struct power_block *b) {
    struct seen *g = user;
    g->current = g->current || b->current_a;
    g->holes = g->holes || b->first != g->next || !b->markers;
    g->next = b->first + b->count;
    g->samples += b->count;
    g->period_s = b->period_s;
    g->last_raw_ns = b->host_raw_ns;
    return 0;
}
static int watch_for(struct power_dev *d, struct seen *g, int ms, struct err *e) {
    int64_t until = now_ms() + ms;
    int r = 0;
    while (r >= 0 && now_ms() < until) {
        r = power_dev_pump(d, 50, on_markers, g, e);
    }
    return r;
}

static void open_logic(struct vb *v) {
    char conn[64];
    struct power_info info;
    (void)snprintf(conn, sizeof conn, "tcp-raw/127.0.0.1/%d", (int)json_integer_value(json_object_get(v->ports, "logic")));
    json_t *c = json_pack("{s:s,s:s,s:i,s:{s:i},s:{s:[s,s]}}", "sigrok_driver", "beaglelogic", "conn", conn, "stall_ms", 1000, "scan", "logic_channels", 8,
                          "mapping", "markers", "P8_45", "P8_46");
    struct power_setup s = {.rate_hz = 500000, .trigger_marker = -1};
    int r = power_dev_open(power_driver_by_name("sigrok"), c, clock_system(), &v->dev, &v->err);
    json_decref(c);
    r = r < 0 ? r : power_dev_setup(v->dev, &s, NULL, &v->err);
    r = r < 0 ? r : power_dev_info(v->dev, &info);
    r = r < 0 ? r : power_dev_start(v->dev, &v->err);
    if (r < 0) {
        fail_msg("%s", v->err.text);
    }
    assert_true(info.caps & POWER_CAP_MARKERS_ONLY);
    assert_int_equal(info.n_ranges, 0);
    assert_int_equal(info.n_markers, 2);
    assert_true(fabs(info.rate_hz - 500000) < 1e-6);
}

/* ... and, in the same process, a second device of libsigrok that delivers current: one context, two sessions. */
static void logic_stream(void **state) {
    (void)state;
    struct vb v;
    struct seen g = {0}, h = {0};
    struct power_dev *demo = NULL;
    json_t *c = json_pack("{s:s,s:{s:{s:s,s:f}}}", "sigrok_driver", "demo", "mapping", "current", "channel", "A0", "scale", 1.0);
    struct power_setup s = {.rate_hz = 100000, .trigger_marker = -1};
    vb_start(&v, "--logic");
    int r = power_dev_open(power_driver_by_name("sigrok"), c, clock_system(), &demo, &v.err);
    json_decref(c);
    r = r < 0 ? r : power_dev_setup(demo, &s, NULL, &v.err);
    r = r < 0 ? r : power_dev_start(demo, &v.err);
    if (r < 0) {
        fail_msg("%s", v.err.text);
    }
    open_logic(&v);
    int64_t began = now_ms();
    while (r >= 0 && now_ms() - began < 1500) {
        r = watch_for(v.dev, &g, 60, &v.err);
        h.next = -1; /* the demo device has no markers here: only its samples are counted */
        r = r < 0 ? r : watch_for(demo, &h, 60, &v.err);
    }
    if (r < 0) {
        fail_msg("%s", v.err.text);
    }
    int64_t took = now_ms() - began;
    assert_false(g.current || g.holes);
    assert_in_range(g.samples, took * 500 - 300000, took * 500 + 100000);
    assert_true(g.last_raw_ns > 0 && fabs(g.period_s - 2e-6) < 1e-15);
    assert_true(h.samples > 0 && h.current);
    assert_int_equal(power_dev_stop(v.dev, &v.err), 0);
    assert_int_equal(power_dev_stop(demo, &v.err), 0);
    power_dev_close(demo, false);
    vb_stop(&v);
}

/* A connection that ends while samples flow makes libsigrok 0.5.2 read for ever; the call must come back all the same. */
static void logic_faults(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int result;
    } cases[] = {{"logic-close", JF_E_GONE}, {"logic-mute", JF_E_STALLED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vb v;
        struct seen g = {0};
        vb_start(&v, "--logic");
        open_logic(&v);
        assert_true(watch_for(v.dev, &g, 300, &v.err) >= 0);
        vb_fault(&v, cases[i].name, "{}");
        int64_t began = now_ms();
        int r = watch_for(v.dev, &g, 8000, &v.err);
        if (r != cases[i].result) {
            fail_msg("%s: %d %s", cases[i].name, r, r < 0 ? v.err.text : "");
        }
        int stopped = power_dev_stop(v.dev, &v.err);
        assert_true(stopped <= 0 && now_ms() - began < 6000);
        vb_stop(&v);
    }
}

int main(void) {
    const struct CMUnitTest child[] = {cmocka_unit_test(child_libserialport)};
    if (getenv("JF_LSP")) {
        return cmocka_run_group_tests_name("power_libserialport", child, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ppk2_stream), cmocka_unit_test(ppk2_libserialport), cmocka_unit_test(ppk2_faults),
        cmocka_unit_test(scope_capture), cmocka_unit_test(scope_faults),
        cmocka_unit_test(logic_stream), cmocka_unit_test(logic_faults),
    };
    return cmocka_run_group_tests_name("power_vbench", tests, NULL, NULL);
}
