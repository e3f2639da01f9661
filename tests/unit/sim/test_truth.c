/* SPDX-License-Identifier: GPL-2.0-or-later
 * The truth file: windows, inferences, stages, idle and net figures against hand-computed energies of square waves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/truth.h"
#include "tests/unit/sim/load.h"

#define SLEEP_A 2.5e-3
#define BUSY_A 15e-3
#define V 3.3

struct bench {
    char path[64];
    struct elec *elec;
    struct truth *truth;
};

static void bench_open(struct bench *b, enum truth_scheme scheme) {
    snprintf(b->path, sizeof b->path, "/tmp/jf-truth-XXXXXX");
    int fd = mkstemp(b->path);
    assert_true(fd >= 0);
    close(fd);
    struct elec_conf c = {.supply_v = V, .supply_on = true};
    assert_int_equal(elec_new(&c, &b->elec, NULL), 0);
    assert_int_equal(truth_open(b->path, scheme, b->elec, &b->truth, NULL), 0);
}

/* Closes the bench; all records as one array. */
static json_t *bench_close(struct bench *b) {
    truth_close(b->truth);
    elec_free(b->elec);
    FILE *f = fopen(b->path, "r");
    assert_non_null(f);
    json_t *all = json_array();
    json_t *one;
    while ((one = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        json_array_append_new(all, one);
    }
    fclose(f);
    unlink(b->path);
    return all;
}

/* The k-th record of a type; fails the test when there is none. */
static const json_t *record(const json_t *all, const char *type, int k) {
    size_t i;
    const json_t *o;
    json_array_foreach(all, i, o) {
        if (strcmp(json_string_value(json_object_get(o, "type")), type) == 0 && k-- == 0) {
            return o;
        }
    }
    fail_msg("no record %s", type);
    return NULL;
}

static int count(const json_t *all, const char *type) {
    size_t i;
    const json_t *o;
    int n = 0;
    json_array_foreach(all, i, o) { n += strcmp(json_string_value(json_object_get(o, "type")), type) == 0; }
    return n;
}

static void near_value(const json_t *o, const char *key, double want) {
    double got = json_number_value(json_object_get(o, key));
    if (!(fabs(got - want) <= 1e-12 * fabs(want) + 1e-18)) {
        fail_msg("%s: got %.17g, want %.17g", key, got, want);
    }
}

/* UART traffic at high power, then a second of sleep. */
static void traffic_and_sleep(struct elec *e) {
    elec_note(e, elec_now_ps(e), ELEC_UART_BUSY, 0);
    load_for(e, 5 * MS, MS, BUSY_A);
    elec_note(e, elec_now_ps(e), ELEC_UART_IDLE, 0);
    load_for(e, 3 * MS, MS, BUSY_A); /* within the guard */
    elec_note(e, elec_now_ps(e), ELEC_SLEEP, 0);
    load_for(e, ELEC_PS_PER_S, MS, SLEEP_A);
    elec_note(e, elec_now_ps(e), ELEC_WAKE, 0);
}

static void phases_window(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, TRUTH_PHASES);
    load_mark(b.elec, 0x01);
    traffic_and_sleep(b.elec);
    load_window(b.elec, 7, MS / 3);
    traffic_and_sleep(b.elec);
    truth_snapshot(b.truth);
    json_t *all = bench_close(&b);

    double charge = 7 * (1e-3 * WINDOW_INPUT_A + 3e-3 * WINDOW_RUN_A) + 0.1e-3 * WINDOW_RUN_A;
    const json_t *w = record(all, "window", 0);
    near_value(w, "charge_c", charge);
    near_value(w, "energy_j", V * charge);
    near_value(w, "duration_s", 28.1e-3);
    near_value(w, "from_s", 1.008);
    near_value(w, "inferences", 7);
    near_value(w, "idle_before_w", V * SLEEP_A);
    const json_t *stages = json_object_get(w, "stages");
    near_value(json_object_get(stages, "input"), "energy_j", V * 7e-3 * WINDOW_INPUT_A);
    near_value(json_object_get(stages, "inference"), "energy_j", V * 21e-3 * WINDOW_RUN_A);
    near_value(json_object_get(stages, "inference"), "s", 21e-3);
    near_value(json_object_get(stages, "other"), "energy_j", V * 0.1e-3 * WINDOW_RUN_A);
    assert_int_equal(json_object_size(stages), 3);

    assert_int_equal(count(all, "inference"), 7);
    near_value(record(all, "inference", 3), "energy_j", V * (1e-3 * WINDOW_INPUT_A + 3e-3 * WINDOW_RUN_A));
    near_value(record(all, "inference", 3), "from_s", 1.008 + 12e-3);

    near_value(record(all, "net", 0), "net_energy_j", V * (charge - 28.1e-3 * SLEEP_A));
    near_value(record(all, "net", 0), "net_energy_per_inference_j", V * (charge - 28.1e-3 * SLEEP_A) / 7);

    const json_t *idle = record(all, "idle", 0);
    near_value(idle, "energy_j", V * (8e-3 * BUSY_A + SLEEP_A));
    near_value(idle, "quiet_mean_power_w", V * SLEEP_A);
    near_value(idle, "quiet_s", 1.003 - 0.2);
    near_value(idle, "asleep_s", 1.0);
    json_decref(all);
}

/* Two windows share nothing; the sum of windows and idle stretches is the whole. */
static void nothing_lost_between(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, TRUTH_PHASES);
    load_mark(b.elec, 0x01);
    for (int k = 0; k < 3; k++) {
        traffic_and_sleep(b.elec);
        load_window(b.elec, k + 1, 70 * US);
    }
    struct elec_totals t;
    elec_totals_now(b.elec, &t);
    json_t *all = bench_close(&b);
    assert_int_equal(count(all, "window"), 3);
    assert_int_equal(count(all, "idle"), 3);
    double sum = 0.0;
    for (int k = 0; k < 3; k++) {
        near_value(record(all, "window", k), "index", k);
        near_value(record(all, "window", k), "inferences", k + 1);
        sum += json_number_value(json_object_get(record(all, "window", k), "energy_j"));
        sum += json_number_value(json_object_get(record(all, "idle", k), "energy_j"));
    }
    assert_true(fabs(sum - t.load_j.hi - t.load_j.lo) < 1e-12 * sum);
    json_decref(all);
}

static void mlperf_pairs(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, TRUTH_MLPERF);
    load_mark(b.elec, 0x01);
    load_for(b.elec, 500 * MS, MS, SLEEP_A);
    for (int k = 0; k < 2; k++) { /* a pulse of 20 us, 50 ms at 21 mA counted from its falling edge, another pulse */
        load_mark(b.elec, 0x00);
        load_for(b.elec, 20 * US, MS, 20e-3);
        load_mark(b.elec, 0x01);
        load_for(b.elec, 50 * MS, MS, 21e-3);
        load_mark(b.elec, 0x00);
        load_for(b.elec, 30 * US, MS, 20e-3);
        load_mark(b.elec, 0x01);
        load_for(b.elec, 500 * MS, MS, SLEEP_A);
    }
    json_t *all = bench_close(&b);
    assert_int_equal(count(all, "window"), 2);
    near_value(record(all, "window", 1), "energy_j", V * (20e-6 * 20e-3 + 50e-3 * 21e-3));
    near_value(record(all, "window", 1), "duration_s", 50.02e-3);
    json_decref(all);
}

static void reset_cuts_and_slip_is_written(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, TRUTH_PHASES);
    load_mark(b.elec, 0x01);
    load_for(b.elec, 300 * MS, MS, SLEEP_A);
    load_mark(b.elec, 0x00);
    load_mark(b.elec, 0x02);
    load_for(b.elec, 10 * MS, MS, BUSY_A);
    elec_note(b.elec, elec_now_ps(b.elec), ELEC_RESET, 0);
    load_mark(b.elec, 0x00); /* pins float low until the firmware drives them: no window */
    load_for(b.elec, 10 * MS, MS, BUSY_A);
    load_mark(b.elec, 0x01);
    elec_note(b.elec, elec_now_ps(b.elec), ELEC_SLIP, 1.25);
    load_for(b.elec, 300 * MS, MS, SLEEP_A);
    load_mark(b.elec, 0x03);
    load_mark(b.elec, 0x00); /* all pins fall, and only then is the reset told */
    elec_note(b.elec, elec_now_ps(b.elec), ELEC_RESET, 0);
    load_for(b.elec, 10 * MS, MS, BUSY_A);
    assert_false(truth_window_open(b.truth));
    load_mark(b.elec, 0x03);
    json_t *all = bench_close(&b);
    assert_int_equal(count(all, "window"), 0);
    assert_int_equal(count(all, "glitch"), 0);
    assert_int_equal(count(all, "window-cut"), 1);
    near_value(record(all, "window-cut", 0), "duration_s", 10e-3);
    near_value(record(all, "reset", 0), "t_s", 0.31);
    near_value(record(all, "slip", 0), "slipped_s", 1.25);
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_window),
        cmocka_unit_test(nothing_lost_between),
        cmocka_unit_test(mlperf_pairs),
        cmocka_unit_test(reset_cuts_and_slip_is_written),
    };
    return cmocka_run_group_tests_name("truth", tests, NULL, NULL);
}
