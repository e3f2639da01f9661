/* SPDX-License-Identifier: MIT
 * The opt-in extension and the marker lines: formats of firmware/include/jf_device.h spelled out again here, schemes as the measurement rules define
 * them (edges counted and ordered on the recorded time line). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/firmware/fake_device.h"

#define ON_REPLY \
    "m-jf-[1]\r\nm-jf-build-[0123abcd,kws01,aa,tflm,64000000,wfi]\r\nm-jf-reset-[power,0x00e00000]\r\nm-jf-debug-[1,0x00000007]\r\n" \
    "m-jf-golden-[55bc801d,1]\r\n"

static int setup(void **state) {
    static struct fake_device d;
    assert_true(fake_boot(&d, "kws01", JF_MODE_ENERGY));
    *state = &d;
    return 0;
}

static void description(void **state) {
    struct fake_device *d = *state;
    d->debug_enabled = true;
    d->debug_cr = 7;
    const char *said = fake_say(d, "jf on%");
    assert_memory_equal(said, ON_REPLY, sizeof ON_REPLY - 1);
    unsigned long ticks = 0;
    int end = -1;
    assert_int_equal(sscanf(said + sizeof ON_REPLY - 1, "m-jf-init-[boot,%lu,1000000]\r\n%n", &ticks, &end), 1);
    assert_int_equal(ticks, FAKE_TICK_US);
    assert_string_equal(said + sizeof ON_REPLY - 1 + end, "m-jf-markers-[mlperf,100]\r\nm-ready\r\n");
}

static void golden_mismatch_is_told(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "kws01");
    d.net.golden_crc ^= 1;
    assert_true(jf_harness_boot(&d.harness, &d.port, &d.net, JF_MODE_ENERGY));
    assert_non_null(strstr(fake_say(&d, "jf on%"), "m-jf-golden-[55bc801d,0]\r\n"));
}

static const struct {
    const char *command, *reply;
} choices[] = {
    {"jf on%", NULL},
    {"jf markers phases%", "m-jf-markers-[phases,100]\r\nm-ready\r\n"},
    {"jf markers mlperf%", "m-jf-markers-[mlperf,100]\r\nm-ready\r\n"},
    {"jf markers other%", "e-[jf: markers takes mlperf or phases]\r\nm-ready\r\n"},
    {"jf markers%", "e-[jf: markers takes mlperf or phases]\r\nm-ready\r\n"},
    {"jf hold 250%", "m-jf-markers-[mlperf,250]\r\nm-ready\r\n"},
    {"jf hold 0%", "e-[jf: hold takes 1 to 10000 microseconds]\r\nm-ready\r\n"},
    {"jf hold 10001%", "e-[jf: hold takes 1 to 10000 microseconds]\r\nm-ready\r\n"},
    {"jf idle spin%", "m-jf-idle-[spin]\r\nm-ready\r\n"},
    {"jf idle wfi%", "m-jf-idle-[wfi]\r\nm-ready\r\n"},
    {"jf idle stop%", "e-[jf: idle takes spin or wfi]\r\nm-ready\r\n"},
    {"jf sync 101%", "m-jf-sync-[101,32]\r\nm-ready\r\n"},
    {"jf sync%", "e-[jf: sync takes 20 to 10000 microseconds]\r\nm-ready\r\n"},
    {"jf sync 10001%", "e-[jf: sync takes 20 to 10000 microseconds]\r\nm-ready\r\n"},
    {"jf dance%", "e-[jf: on, off, markers, hold, idle, sync or layers]\r\nm-ready\r\n"},
    {"jf%", "e-[jf: on, off, markers, hold, idle, sync or layers]\r\nm-ready\r\n"},
    {"jf layers%", "m-jf-layer-[0,3,55bc801d]\r\nm-jf-layer-[1,1,a505df1b]\r\nm-ready\r\n"}, /* CRC-32 of 01 02 03, of 01: zlib */
    {"jf off%", "m-jf-[0]\r\nm-ready\r\n"},
    {"jf idle wfi%", "e-[Unknown command: jf]\r\nm-ready\r\n"},
    {"infer 1 0%", "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-1\r\nm-infer-done\r\nm-results-[0.504,0.508,0.512]\r\nm-ready\r\n"},
};

static void choices_answered(void **state) {
    struct fake_device *d = *state;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        const char *said = fake_say(d, choices[i].command);
        if (choices[i].reply) {
            assert_string_equal(said, choices[i].reply);
        }
    }
}

static void window_report(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "jf on%");
    (void)fake_say(d, "infer 1 0%");
    unsigned k = 0, n = 0, input = 0, output = 0;
    unsigned long ticks = 0;
    int end = -1;
    assert_int_equal(sscanf(fake_say(d, "infer 5 0%"),
                            "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-5\r\nm-jf-window-[%u,%u,%lu,1000000]\r\nm-jf-input-[%8x]\r\n"
                            "m-jf-output-[%8x]\r\nm-infer-done\r\n%n",
                            &k, &n, &ticks, &input, &output, &end),
                     5);
    assert_string_equal(d->text + end, "m-results-[0.504,0.508,0.512]\r\nm-ready\r\n");
    assert_int_equal(k, 2);
    assert_int_equal(n, 5);
    assert_true(ticks >= 5100 && ticks <= 5100 + 10 * FAKE_TICK_US); /* 5 inferences of 1 ms and the opening pulse of 100 us */
    assert_int_equal(input, 0xB63CFBCD); /* CRC-32 of 01 02 03 04, of 01 02 03: zlib */
    assert_int_equal(output, 0x55BC801D);
}

/* The train: 32 edges of line 0 alone that end where they began, 31 gaps of 11 to 41 units, no two alike. */
static void sync_train(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "jf on%");
    size_t from = d->events, edges = 0;
    uint64_t last = 0;
    uint32_t seen = 0;
    (void)fake_say(d, "jf sync 100%");
    for (size_t i = from; i < d->events; i++) {
        const struct fake_event *e = &d->event[i];
        if (e->kind != FAKE_MARKERS) {
            continue;
        }
        assert_int_equal(e->mask, 1);
        assert_int_equal(e->levels, edges % 2);
        if (edges > 0) {
            uint64_t units = (e->us - last + 50) / 100;
            assert_true(units >= 11 && units <= 41 && e->us - last <= units * 100 + FAKE_TICK_US && e->us - last + FAKE_TICK_US >= units * 100);
            seen |= UINT32_C(1) << (units - 11);
        }
        last = e->us;
        edges++;
    }
    assert_int_equal(edges, 32);
    assert_int_equal(seen, 0x7FFFFFFF);
    assert_int_equal(d->lines & 1, 1);
}

/* Line 0 in scheme mlperf: two falling edges per infer, low for at least the hold time, nothing printed between, UART flushed before the first. */
static void mlperf_edges(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "infer 4 2%");
    size_t falls = 0, open = 0, inferences = 0, flush_at = 0, last_char = 0;
    uint64_t fell = 0;
    for (size_t i = 0; i < d->events; i++) {
        const struct fake_event *e = &d->event[i];
        if (e->kind == FAKE_MARKERS) {
            assert_int_equal(e->mask, 1); /* the other lines stay untouched */
            if (e->levels == 0) {
                falls++;
                fell = e->us;
                if (falls == 1) {
                    open = i;
                    assert_true(flush_at > last_char);
                }
            } else {
                assert_true(e->us - fell >= 100);
            }
        } else if (e->kind == FAKE_INFER) {
            inferences += falls == 1;
        } else if (e->kind == FAKE_FLUSH) {
            flush_at = i + 1;
        } else {
            assert_true(falls != 1);
            last_char = i + 1;
        }
    }
    assert_true(open > 0);
    assert_int_equal(falls, 2);
    assert_int_equal(inferences, 4);
    assert_int_equal(d->lines, 1);
}

/* Scheme phases: the exact sequence of stores. */
static void phases_sequence(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "jf on%");
    (void)fake_say(d, "jf markers phases%");
    for (int round = 0; round < 2; round++) {
        (void)fake_say(d, "infer 3 1%");
        uint32_t codes[64], lines[64], n = 0, toggles = 0, at = 1, before = UINT32_MAX;
        bool inside = false, ended = false;
        for (size_t i = 0; i < d->events; i++) {
            const struct fake_event *e = &d->event[i];
            if (e->kind == FAKE_CHAR) {
                assert_false(inside); /* printing is never inside a window */
                continue;
            }
            if (e->kind == FAKE_INFER) {
                assert_true(!inside || (n > 0 && codes[n - 1] == 2));
                continue;
            }
            if (e->kind != FAKE_MARKERS) {
                continue;
            }
            if (e->mask == 1) {
                assert_int_equal(e->levels & 1, inside ? 1 : 0);
                ended = inside;
                inside = !inside;
            } else if (e->mask == 2) {
                assert_true(inside);
                assert_true(before == UINT32_MAX || e->levels != before); /* every store is an edge */
                before = e->levels;
                toggles++;
            } else {
                assert_int_equal(e->mask, 0x1C); /* the whole code by one store */
                assert_true(inside && n < 64);
                lines[n] = toggles;
                codes[n++] = (e->levels >> 2) & 7;
            }
            at++;
        }
        static const uint32_t want[] = {3, 2, 6, 4, 0, 3, 2, 6, 4, 0, 3, 2, 6, 4, 0};
        assert_true(ended && at > 1);
        assert_int_equal(toggles, 4); /* N + 1 */
        assert_int_equal(n, 15);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(codes[i], want[i]);
            assert_int_equal(lines[i], i / 5 + 1); /* line 1 toggles before the stages of its inference */
        }
        assert_int_equal(d->lines & 0x1D, 1);
    }
}

static void off_returns_to_mlperf(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "jf on%");
    (void)fake_say(d, "jf markers phases%");
    (void)fake_say(d, "infer 2 0%"); /* 3 edges: line 1 rests high */
    assert_int_equal(d->lines, 3);
    (void)fake_say(d, "jf off%");
    assert_int_equal(d->lines, 1);
    (void)fake_say(d, "infer 2 0%");
    assert_int_equal(d->event[d->events - 1].kind, FAKE_CHAR);
    for (size_t i = 0; i < d->events; i++) {
        assert_true(d->event[i].kind != FAKE_MARKERS || d->event[i].mask == 1);
    }
}

static void a_boot_forgets(void **state) {
    struct fake_device *d = *state;
    (void)fake_say(d, "jf on%");
    (void)fake_say(d, "jf markers phases%");
    (void)fake_say(d, "db load 4%");
    assert_true(jf_harness_boot(&d->harness, &d->port, &d->net, JF_MODE_ENERGY));
    assert_string_equal(fake_say(d, "jf idle wfi%"), "e-[Unknown command: jf]\r\nm-ready\r\n");
    assert_int_equal(d->lines, 1);
    assert_non_null(strstr(fake_say(d, "infer 1 0%"), "m-results-[0.504,0.508,0.512]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(description, setup),     cmocka_unit_test(golden_mismatch_is_told),
        cmocka_unit_test_setup(choices_answered, setup), cmocka_unit_test_setup(window_report, setup),
        cmocka_unit_test_setup(sync_train, setup),
        cmocka_unit_test_setup(mlperf_edges, setup),     cmocka_unit_test_setup(phases_sequence, setup),
        cmocka_unit_test_setup(off_returns_to_mlperf, setup), cmocka_unit_test_setup(a_boot_forgets, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
