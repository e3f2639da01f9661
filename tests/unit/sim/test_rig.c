/* SPDX-License-Identifier: GPL-2.0-or-later
 * The rig through its options and its control socket: answers, errors that name the field, profiles, quit, clean-up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/rig.h"
#include "tests/unit/sim/load.h"

struct bench {
    char dir[64];
    struct rig *rig;
    struct front front[RIG_MAX_FRONTS];
    int n, fd;
};

static int option(struct rig_conf *c, const char *name, const char *value, struct err *e) { return rig_conf_option(c, name, value, e); }

static void turn(struct bench *b) {
    for (int k = 0; k < b->n; k++) {
        struct pollfd p[FRONT_MAX_FDS];
        const struct front *f = &b->front[k];
        int n = f->ops->fds ? f->ops->fds(f->self, p, FRONT_MAX_FDS) : 0;
        poll(p, (nfds_t)n, 0);
        if (f->ops->ready) {
            f->ops->ready(f->self, p, n);
        }
        if (f->ops->step) {
            f->ops->step(f->self, elec_now_ps(rig_elec(b->rig)));
        }
    }
}

static void path_in(const struct bench *b, const char *name, char out[128]) { snprintf(out, 128, "%s/%s", b->dir, name); }

static void bench_open(struct bench *b, const char *instrument, bool realistic) {
    memset(b, 0, sizeof *b);
    snprintf(b->dir, sizeof b->dir, "/tmp/jf-rig-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    struct rig_conf c;
    rig_conf_init(&c);
    char path[128];
    path_in(b, "control", path);
    assert_int_equal(option(&c, "--control", path, NULL), 2);
    path_in(b, "truth", path);
    assert_int_equal(option(&c, "--truth", path, NULL), 2);
    path_in(b, "ppk2", path);
    assert_int_equal(option(&c, "--ppk2-path", path, NULL), 2);
    assert_int_equal(option(&c, instrument, NULL, NULL), 1);
    if (realistic) {
        assert_int_equal(option(&c, "--realistic", NULL, NULL), 1);
        assert_int_equal(option(&c, "--seed", "42", NULL), 2);
    }
    assert_int_equal(rig_open(&c, &b->rig, NULL), 0);
    b->n = rig_fronts(b->rig, b->front, RIG_MAX_FRONTS);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    path_in(b, "control", path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    b->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(b->fd, (struct sockaddr *)&a, sizeof a), 0);
}

static void bench_close(struct bench *b) {
    char path[128];
    struct stat st;
    close(b->fd);
    rig_close(b->rig);
    path_in(b, "control", path);
    assert_true(lstat(path, &st) < 0); /* nothing stays behind but the truth */
    path_in(b, "ppk2", path);
    assert_true(lstat(path, &st) < 0);
    path_in(b, "truth", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(b->dir), 0);
}

static json_t *ask(struct bench *b, const char *line) {
    static char in[65536];
    size_t len = 0;
    assert_int_equal(send(b->fd, line, strlen(line), 0), strlen(line));
    assert_int_equal(send(b->fd, "\n", 1, 0), 1);
    for (int k = 0; k < 100; k++) {
        turn(b);
        ssize_t n = recv(b->fd, in + len, sizeof in - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
        if (len > 0 && in[len - 1] == '\n') {
            json_t *o = json_loadb(in, len, 0, NULL);
            assert_non_null(o);
            return o;
        }
    }
    fail_msg("no answer to %s", line);
    return NULL;
}

static double number(struct bench *b, const char *line, const char *key) {
    json_t *o = ask(b, line);
    double v = json_number_value(json_object_get(o, key));
    json_decref(o);
    return v;
}

static void options_name_themselves(void **state) {
    (void)state;
    static const char *const bad[][2] = {{"--supply-v", "x"},     {"--supply-v", "9"},      {"--supply-v", NULL}, {"--scope-port", "70000"},
                                         {"--scope-port", "1.5"}, {"--scheme", "phase"},    {"--analyzer", ""},   {"--seed", "1x"},
                                         {"--truth", ""},         {"--capacitance-f", "nan"}, {"--shunt-ohm", "-1"}};
    struct rig_conf c;
    rig_conf_init(&c);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        struct err e = {0};
        assert_int_equal(option(&c, bad[k][0], bad[k][1], &e), JF_E_INVAL);
        assert_string_equal(e.where, bad[k][0]);
    }
    assert_int_equal(option(&c, "--dir", "x", NULL), 0); /* not the rig's */
    assert_int_equal(option(&c, "--supply-v", "1.8", NULL), 2);
    assert_true(c.supply_v == 1.8);
}

static void status_tells(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, "--scope", false);
    load_mark(rig_elec(b.rig), 0x05);
    load_for(rig_elec(b.rig), ELEC_PS_PER_S, MS, 12e-3);
    rig_pace(b.rig, 3 * MS, 2);
    json_t *o = ask(&b, "{\"cmd\":\"status\"}");
    assert_true(json_number_value(json_object_get(o, "virtual_s")) == 1.0);
    assert_true(json_number_value(json_object_get(o, "lag_s")) == 0.003);
    assert_int_equal(json_integer_value(json_object_get(o, "slips")), 2);
    assert_int_equal(json_integer_value(json_object_get(o, "markers")), 5);
    assert_true(json_is_true(json_object_get(o, "supply_on")));
    assert_true(fabs(json_number_value(json_object_get(o, "current_a")) - 12e-3) < 1e-12);
    assert_int_equal(json_integer_value(json_object_get(o, "scope_port")), rig_scope_port(b.rig));
    assert_true(json_is_false(json_object_get(o, "window_open")));
    json_decref(o);
    load_mark(rig_elec(b.rig), 0x00); /* line 0 low alone: a reset, perhaps */
    o = ask(&b, "{\"cmd\":\"status\"}");
    assert_true(json_is_false(json_object_get(o, "window_open")));
    json_decref(o);
    load_mark(rig_elec(b.rig), 0x02);
    o = ask(&b, "{\"cmd\":\"status\"}");
    assert_true(json_is_true(json_object_get(o, "window_open")));
    json_decref(o);
    bench_close(&b);
}

static void faults_by_socket(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, "--ppk2", false);
    json_decref(ask(&b, "{\"cmd\":\"fault\",\"name\":\"marker-open\",\"on\":true,\"params\":{\"line\":2}}"));
    assert_true(fault_on(rig_faults(b.rig), FAULT_MARKER_OPEN));
    assert_true(fault_param(rig_faults(b.rig), FAULT_MARKER_OPEN, "line") == 2.0);
    json_decref(ask(&b, "{\"cmd\":\"fault\",\"name\":\"marker-open\",\"on\":false}"));
    assert_false(fault_on(rig_faults(b.rig), FAULT_MARKER_OPEN));
    json_t *o = ask(&b, "{\"cmd\":\"faults\"}");
    assert_int_equal(json_array_size(json_object_get(o, "faults")), FAULT_IDS);
    json_decref(o);
    bench_close(&b);
}

static void bad_requests_name_the_field(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line"},
        {"nonsense", "line"},
        {"[1,2]", "line"},
        {"{}", "cmd"},
        {"{\"cmd\":7}", "cmd"},
        {"{\"cmd\":\"reboot\"}", "cmd"},
        {"{\"cmd\":\"fault\"}", "name"},
        {"{\"cmd\":\"fault\",\"name\":\"x\"}", "name"},
        {"{\"cmd\":\"fault\",\"name\":\"lockup\",\"on\":1}", "on"},
        {"{\"cmd\":\"fault\",\"name\":\"lockup\",\"params\":7}", "params"},
        {"{\"cmd\":\"profile\",\"set\":[]}", "set"},
        {"{\"cmd\":\"profile\",\"set\":{\"gain\":[1,2]}}", "gain"},
        {"{\"cmd\":\"profile\",\"set\":{\"gain\":5}}", "gain"},
        {"{\"cmd\":\"profile\",\"set\":{\"noise_a\":-1}}", "noise_a"},
        {"{\"cmd\":\"profile\",\"set\":{\"colour\":1}}", "colour"},
        {"{\"cmd\":\"profile\",\"set\":{\"switching\":1}}", "switching"},
        {"{\"cmd\":\"profile\",\"draw\":-1}", "draw"},
    };
    struct bench b;
    bench_open(&b, "--ppk2", false);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        json_t *o = ask(&b, cases[k][0]);
        const char *where = json_string_value(json_object_get(json_object_get(o, "error"), "where"));
        assert_non_null(where);
        assert_string_equal(where, cases[k][1]);
        json_decref(o);
    }
    bench_close(&b);
}

/* Realistic figures lie inside what the socket itself declares, differ between seeds, and repeat for one seed. */
static void realistic_within_declared(void **state) {
    (void)state;
    static const char *const instruments[] = {"--scope", "--ppk2"};
    for (size_t i = 0; i < 2; i++) {
        struct bench b;
        bench_open(&b, instruments[i], true);
        json_t *first = ask(&b, "{\"cmd\":\"profile\"}");
        json_t *again = ask(&b, "{\"cmd\":\"profile\",\"draw\":42}");
        assert_true(json_equal(json_object_get(first, "profile"), json_object_get(again, "profile")));
        double low = 1.0;
        double high = -1.0;
        for (int seed = 0; seed < 200; seed++) {
            char line[64];
            snprintf(line, sizeof line, "{\"cmd\":\"profile\",\"draw\":%d}", seed);
            json_t *o = ask(&b, line);
            double g = json_number_value(json_array_get(json_object_get(json_object_get(o, "profile"), "gain"), 0));
            double limit = json_number_value(json_array_get(
                json_object_get(json_object_get(json_object_get(o, "declared"), "gain"), "limit"), 0));
            assert_true(limit > 0 && fabs(g) <= limit);
            low = fmin(low, g / limit);
            high = fmax(high, g / limit);
            json_decref(o);
        }
        assert_true(low < -0.95 && high > 0.95); /* 200 rectangular draws reach the ends */
        json_decref(first);
        json_decref(again);
        bench_close(&b);
    }
}

static void truth_and_quit(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, "--scope", false);
    load_mark(rig_elec(b.rig), 0x01);
    load_for(rig_elec(b.rig), 500 * MS, MS, 2e-3);
    load_window(rig_elec(b.rig), 3, MS);
    load_for(rig_elec(b.rig), 500 * MS, MS, 2e-3);
    assert_true(number(&b, "{\"cmd\":\"truth\"}", "windows") == 1.0);
    char path[128];
    char text[8192] = "";
    path_in(&b, "truth", path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 100);
    fclose(f);
    assert_non_null(strstr(text, "\"window\""));
    assert_non_null(strstr(text, "\"net\""));
    assert_non_null(strstr(text, "\"open\":true"));
    assert_false(rig_quit_asked(b.rig));
    json_decref(ask(&b, "{\"cmd\":\"quit\"}"));
    assert_true(rig_quit_asked(b.rig));
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_name_themselves),     cmocka_unit_test(status_tells),
        cmocka_unit_test(faults_by_socket),            cmocka_unit_test(bad_requests_name_the_field),
        cmocka_unit_test(realistic_within_declared),   cmocka_unit_test(truth_and_quit),
    };
    return cmocka_run_group_tests_name("rig", tests, NULL, NULL);
}
