/* SPDX-License-Identifier: GPL-2.0-or-later
 * The contract suite of power drivers: the same cases over ppk2 (a pty), sigrok's demo device and sigrok's hameg-hmo (TCP),
 * then the faults of each. Expected values: the fakes' formulas (fake_*.h) and, for the PPK2, the documented conversion
 * with R 10.15, all gains 1, all offsets 0: x = 4*field*1.8/163840/10.15, I = x + x*x. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "drivers/power/power.h"
#include "tests/contract/fake_hmo.h"
#include "tests/contract/fake_ppk2.h"

/* cmocka's own comparison is in single precision. */
#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (double)(tolerance))

enum kind { PPK2, DEMO, HMO };
struct rig {
    enum kind kind;
    struct fake_ppk2 ppk2;
    struct fake_hmo hmo;
    json_t *conf;
    struct power_dev *dev;
    struct err err;
};

static int64_t now_ms(void) { return clock_mono_ns(clock_system()) / CLOCK_NS_PER_MS; }

static void sleep_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    (void)nanosleep(&t, NULL);
}

static json_t *conf_of(const struct rig *g) {
    char conn[64];
    json_t *c = NULL;
    switch (g->kind) {
    case PPK2:
        c = json_pack("{s:s, s:s, s:b, s:i, s:{s:[s,s,s]}}", "conn", g->ppk2.path, "backend", "fd", "trust_port", 1, "stall_ms", 400, "mapping", "markers",
                      "D1", "D0", "D7");
        break;
    case DEMO:
        c = json_pack("{s:s, s:{s:i,s:i}, s:{s:i,s:s,s:s}, s:{s:{s:s,s:f,s:f},s:{s:s},s:[s,s,s]}}", "sigrok_driver", "demo", "scan", "logic_channels", 8,
                      "analog_channels", 2, "options", "samplerate", 100000, "Logic:pattern", "incremental", "A0:pattern", "sawtooth", "mapping", "current",
                      "channel", "A0", "scale", 0.001, "offset", 0.5, "voltage", "channel", "A1", "markers", "D0", "D1", "D2");
        break;
    case HMO:
        (void)snprintf(conn, sizeof conn, "tcp-raw/127.0.0.1/%d", g->hmo.port);
        c = json_pack("{s:s, s:s, s:s, s:i, s:{s:{s:s},s:{s:s},s:[s,s,s]}, s:{s:f,s:s,s:s}}", "sigrok_driver", "hameg-hmo", "conn", conn, "arm", "scpi",
                      "stall_ms", 500, "mapping", "current", "channel", "CH1", "voltage", "channel", "CH2", "markers", "D0", "D1", "D5", "accuracy",
                      "current_gain", 0.01, "kind", "limit", "source", "test");
        break;
    }
    assert_non_null(c);
    return c;
}

static struct rig *rig_new(enum kind kind) {
    struct rig *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->kind = kind;
    atomic_store(&g->hmo.trigger_after_ms, 60);
    return g;
}
static void rig_up(struct rig *g) {
    if (g->kind == PPK2) {
        fake_ppk2_start(&g->ppk2);
    } else if (g->kind == HMO) {
        fake_hmo_start(&g->hmo);
    }
    g->conf = conf_of(g);
}
static int rig_open(struct rig *g) {
    const struct power_driver *d = power_driver_by_name(g->kind == PPK2 ? "ppk2" : "sigrok");
    assert_non_null(d);
    return power_dev_open(d, g->conf, clock_system(), &g->dev, &g->err);
}
static void rig_free(struct rig *g) {
    power_dev_close(g->dev, false);
    json_decref(g->conf);
    if (g->kind == PPK2 && g->ppk2.path[0]) {
        fake_ppk2_stop(&g->ppk2);
    } else if (g->kind == HMO && g->hmo.port) {
        fake_hmo_stop(&g->hmo);
    }
    free(g);
}

static const struct power_setup stream_setup = {.trigger_marker = -1};
static const struct power_setup block_setup = {.capture_s = 0.5, .pre_s = 0.05, .trigger_marker = 0};

/* Opened, supplied, set up. */
static struct rig *rig_ready(enum kind kind) {
    struct rig *g = rig_new(kind);
    struct power_setup granted;
    rig_up(g);
    if (rig_open(g) != 0) {
        fail_msg("open: %s", g->err.text);
    }
    if (kind == PPK2) {
        assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_ON, 3.3, NULL, NULL, &g->err), 0);
    }
    if (power_dev_setup(g->dev, kind == HMO ? &block_setup : &stream_setup, &granted, &g->err) != 0) {
        fail_msg("setup: %s", g->err.text);
    }
    return g;
}
static int rig_go(struct rig *g) { return g->kind == HMO ? power_dev_arm(g->dev, &g->err) : power_dev_start(g->dev, &g->err); }

/* What has been captured, on one time line. */
struct got {
    int64_t cells, samples, holes, missing, base, segments, ends, last_host_ns, clipped;
    double period_s;
    bool check;
    const struct rig *rig;
};
static void check_ppk2(const struct got *g, const struct power_block *b) {
    for (uint32_t i = 0; g->check && i < b->count; i++) {
        int64_t at = b->first + i;
        double x = 4.0 * fake_ppk2_field(at) * 1.8 / 163840 / 10.15;
        unsigned d = fake_ppk2_lines(at);
        assert_near((double)b->current_a[i], x + x * x, 1e-9);
        assert_int_equal(b->range[i], 2);
        assert_int_equal(b->markers[i], (d >> 1 & 1) | (d & 1) << 1 | (d >> 7 & 1) << 2);
    }
    assert_null(b->voltage_v);
    assert_true(b->host_raw_ns > 0);
}
static void check_demo(struct got *g, const struct power_block *b) {
    for (uint32_t i = 0; i < b->count; i++) {
        /* incremental: the logic byte counts samples */
        if (g->base < 0) {
            g->base = b->markers[0] - b->first;
        }
        assert_int_equal(b->markers[i], (g->base + b->first + i) & 7);
        /* default amplitude 10: 0.5 +- 10 mA */
        assert_in_range((int64_t)((double)b->current_a[i] * 1e6), 489990, 510010);
    }
    assert_non_null(b->voltage_v);
}
static void check_hmo(const struct got *g, const struct power_block *b) {
    unsigned n = g->rig->hmo.samples;
    for (uint32_t i = 0; i < b->count; i++) {
        int64_t at = (b->first + i) % n, k = (b->first + i) / n;
        unsigned d = (unsigned)(at / 64) & 0xFF;
        assert_near((double)b->current_a[i], 0.010 + 1e-6 * (double)at + 0.001 * (double)k, 1e-7);
        assert_near((double)b->voltage_v[i], 3.3 - 1e-5 * (double)at, 1e-6);
        assert_int_equal(b->markers[i], (d & 1) | (d >> 1 & 1) << 1 | (d >> 5 & 1) << 2);
    }
}
static int on_block(void *user, const struct power_block *b) {
    struct got *g = user;
    assert_int_equal(b->first, g->cells);
    g->cells += b->count;
    g->period_s = b->period_s;
    g->segments += b->flags & POWER_SEGMENT_START ? 1 : 0;
    g->ends += b->flags & POWER_SEGMENT_END ? 1 : 0;
    if (b->flags & POWER_GAP) {
        g->holes++;
        g->missing += b->count;
        g->check = false;
        return 0;
    }
    g->samples += b->count;
    g->last_host_ns = b->host_raw_ns;
    g->clipped += b->flags & POWER_CLIPPED ? 1 : 0;
    if (g->rig->kind == PPK2) {
        check_ppk2(g, b);
    } else if (g->rig->kind == DEMO) {
        check_demo(g, b);
    } else {
        check_hmo(g, b);
    }
    return 0;
}
static struct got got_of(const struct rig *g) { return (struct got){.rig = g, .check = true, .base = -1}; }

/* Pumps for ms, or until a segment has ended; the last result. */
static int pump_for(struct rig *g, struct got *t, int ms) {
    int64_t until = now_ms() + ms, ends = t->ends;
    int r = 0;
    while (r >= 0 && now_ms() < until && t->ends == ends) {
        r = power_dev_pump(g->dev, 50, on_block, t, &g->err);
    }
    return r;
}

/* --- the same cases over every driver ---------------------------------------------------------------------- */
static void case_info(void **state) {
    struct rig *g = rig_ready(*(const enum kind *)*state);
    struct power_info i;
    assert_int_equal(power_dev_info(g->dev, &i), 0);
    assert_true(i.rate_hz > 0);
    assert_int_equal(i.n_markers, 3);
    assert_int_equal(i.shape, g->kind == HMO ? POWER_BLOCK : POWER_STREAMING);
    assert_true(i.model[0] != '\0' && i.spec_source);
    assert_int_equal(i.maturity, POWER_SIMULATED);
    assert_true((i.caps & POWER_CAP_MARKERS) != 0);
    assert_int_equal((i.caps & POWER_CAP_VOLTAGE) != 0, g->kind != PPK2);
    assert_int_equal(i.ranges[0].kind, g->kind == PPK2 ? POWER_SPEC_TYPICAL : g->kind == HMO ? POWER_SPEC_LIMIT : POWER_SPEC_UNKNOWN);
    rig_free(g);
}

static void case_order(void **state) {
    struct rig *g = rig_new(*(const enum kind *)*state);
    struct got t = got_of(g);
    rig_up(g);
    assert_int_equal(rig_open(g), 0);
    assert_int_equal(power_dev_pump(g->dev, 0, on_block, &t, &g->err), JF_E_CONFLICT);
    assert_int_equal(rig_go(g), JF_E_CONFLICT);
    struct power_setup bad = {.capture_s = 1, .pre_s = 2, .trigger_marker = -1};
    assert_int_equal(power_dev_setup(g->dev, &bad, NULL, &g->err), JF_E_INVAL);
    assert_int_equal(power_dev_stop(g->dev, &g->err), 0);
    assert_int_equal(power_dev_setup(g->dev, g->kind == HMO ? &block_setup : &stream_setup, NULL, &g->err), 0);
    int wrong = g->kind == HMO ? power_dev_start(g->dev, &g->err) : power_dev_arm(g->dev, &g->err);
    assert_int_equal(wrong, JF_E_UNSUPPORTED);
    rig_free(g);
}

static void case_capture(void **state) {
    struct rig *g = rig_ready(*(const enum kind *)*state);
    struct got t = got_of(g);
    for (int round = 0; round < 2; round++) {
        int64_t before = t.samples, began = now_ms();
        if (g->kind != HMO) {
            t = got_of(g);
            before = 0;
        }
        assert_int_equal(rig_go(g), 0);
        int r = pump_for(g, &t, g->kind == HMO ? 4000 : 500);
        if (r < 0) {
            fail_msg("pump: %s", g->err.text);
        }
        int64_t took = now_ms() - began;
        assert_int_equal(t.holes, 0);
        if (g->kind == HMO) {
            assert_int_equal(t.samples - before, g->hmo.samples);
            assert_int_equal(t.segments, round + 1);
            assert_int_equal(t.ends, round + 1);
            /* 0.5 s asked: 12 * 50 ms granted */
            assert_near(t.period_s, 0.6 / g->hmo.samples, 1e-12);
            assert_int_equal(power_dev_pump(g->dev, 10, on_block, &t, &g->err), JF_E_CONFLICT);
        } else {
            /* 100 kS/s */
            assert_in_range(t.samples, 30000, took * 100 + 5000);
            assert_near(t.period_s, 1e-5, 1e-12);
            assert_int_equal(power_dev_stop(g->dev, &g->err), 0);
        }
    }
    assert_int_equal(power_dev_stop(g->dev, &g->err), 0);
    rig_free(g);
}

static void *cancel_later(void *arg) {
    sleep_ms(200);
    power_dev_cancel(arg);
    return NULL;
}
static void case_cancel(void **state) {
    struct rig *g = rig_ready(*(const enum kind *)*state);
    struct got t = got_of(g);
    pthread_t th;
    atomic_store(&g->hmo.fault, FAKE_HMO_NEVER_TRIGGERS);
    assert_int_equal(rig_go(g), 0);
    int64_t began = now_ms();
    assert_int_equal(pthread_create(&th, NULL, cancel_later, g->dev), 0);
    int r = pump_for(g, &t, 3000);
    assert_int_equal(r, JF_E_CANCELED);
    assert_in_range(now_ms() - began, 150, 700);
    assert_int_equal(pthread_join(th, NULL), 0);
    assert_int_equal(power_dev_stop(g->dev, &g->err), 0);
    /* the cancel concerned that capture only */
    atomic_store(&g->hmo.fault, FAKE_HMO_NONE);
    t = got_of(g);
    t.check = g->kind != HMO;
    assert_int_equal(rig_go(g), 0);
    if (g->kind != HMO) {
        assert_true(pump_for(g, &t, 200) >= 0);
        assert_true(t.samples > 0);
    }
    rig_free(g);
}

static void case_supply(void **state) {
    struct rig *g = rig_ready(*(const enum kind *)*state);
    bool on = false;
    double v = 0;
    if (g->kind != PPK2) {
        assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_QUERY, 0, &on, &v, &g->err), JF_E_UNSUPPORTED);
        rig_free(g);
        return;
    }
    assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_ON, 1.8004, &on, &v, &g->err), 0);
    assert_true(on);
    assert_near(v, 1.8, 1e-12);
    sleep_ms(30);
    assert_int_equal(atomic_load(&g->ppk2.mv), 1800);
    assert_int_equal(atomic_load(&g->ppk2.mode), 2);
    assert_true(atomic_load(&g->ppk2.output_on));
    assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_ON, 5.1, &on, &v, &g->err), JF_E_INVAL);
    assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_OFF, 0, &on, &v, &g->err), 0);
    assert_false(on);
    sleep_ms(30);
    assert_false(atomic_load(&g->ppk2.output_on));
    assert_int_equal(power_dev_supply(g->dev, POWER_SUPPLY_ON, 3.3, &on, &v, &g->err), 0);
    power_dev_close(g->dev, true);
    g->dev = NULL;
    sleep_ms(30);
    assert_true(atomic_load(&g->ppk2.output_on));
    /* opened again: the output is off, so that its state is known; and off after an ordinary close */
    assert_int_equal(rig_open(g), 0);
    sleep_ms(30);
    assert_false(atomic_load(&g->ppk2.output_on));
    rig_free(g);
}

static void case_bad_conf(void **state) {
    static const struct {
        enum kind kind;
        const char *path[2]; /* keys down to the value */
        const char *value; /* JSON */
        int code;
    } cases[] = {
        {PPK2, {"conn", NULL}, "7", JF_E_INVAL},
        {PPK2, {"conn", NULL}, "null", JF_E_INVAL},
        {PPK2, {"conn", NULL}, "\"/dev/there/is/none\"", JF_E_NOT_FOUND},
        {PPK2, {"trust_port", NULL}, "false", JF_E_IDENTITY},
        {PPK2, {"trust_port", NULL}, "1", JF_E_INVAL},
        {PPK2, {"backend", NULL}, "\"usb\"", JF_E_INVAL},
        {PPK2, {"mode", NULL}, "\"sink\"", JF_E_INVAL},
        {PPK2, {"mode", NULL}, "\"ampere\"", JF_E_INVAL}, /* without a stated voltage */
        {PPK2, {"stall_ms", NULL}, "1e99", JF_E_INVAL},
        {PPK2, {"mapping", "markers"}, "[\"D8\"]", JF_E_INVAL},
        {PPK2, {"mapping", "markers"}, "[\"D1\", \"D1\"]", JF_E_INVAL},
        {PPK2, {"mapping", "markers"}, "[1]", JF_E_INVAL},
        {PPK2, {"calibration", NULL}, "{\"R9\": 1}", JF_E_INVAL},
        {PPK2, {"accuracy", NULL}, "{\"current_gain\": 0.1}", JF_E_INVAL},
        {DEMO, {"sigrok_driver", NULL}, "\"no-such-driver\"", JF_E_NOT_FOUND},
        {DEMO, {"sigrok_driver", NULL}, "null", JF_E_INVAL},
        {DEMO, {"mapping", "current"}, "{\"channel\": \"A9\"}", JF_E_INVAL},
        {DEMO, {"mapping", "current"}, "null", JF_E_INVAL},
        {DEMO, {"mapping", "voltage"}, "{\"channel\": \"A0\"}", JF_E_INVAL},
        {DEMO, {"mapping", "markers"}, "[\"D77\"]", JF_E_INVAL},
        {DEMO, {"options", NULL}, "{\"colour\": 1}", JF_E_INVAL},
        {DEMO, {"options", NULL}, "{\"samplerate\": \"fast\"}", JF_E_INVAL},
        {DEMO, {"scan", NULL}, "{\"analog_channels\": \"two\"}", JF_E_INVAL},
        {DEMO, {"arm", NULL}, "\"now\"", JF_E_INVAL},
        {HMO, {"conn", NULL}, "\"usbtmc\"", JF_E_INVAL},
        {HMO, {"conn", NULL}, "\"tcp-raw/127.0.0.1/99999\"", JF_E_INVAL},
        {HMO, {"conn", NULL}, "\"tcp-raw/127.0.0.1/1\"", JF_E_GONE},
        {HMO, {"serial", NULL}, "\"another\"", JF_E_IDENTITY},
        {HMO, {"mapping", "markers"}, "[\"D9\"]", JF_E_INVAL},
    };
    enum kind kind = *(const enum kind *)*state;
    struct rig *g = rig_new(kind);
    rig_up(g);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].kind != kind) {
            continue;
        }
        json_decref(g->conf);
        g->conf = conf_of(g);
        json_t *at = cases[i].path[1] ? json_object_get(g->conf, cases[i].path[0]) : g->conf;
        json_t *v = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        assert_int_equal(json_object_set_new(at, cases[i].path[1] ? cases[i].path[1] : cases[i].path[0], v), 0);
        memset(&g->err, 0, sizeof g->err);
        int r = rig_open(g);
        if (r != cases[i].code) {
            fail_msg("case %zu: %d, expected %d: %s", i, r, cases[i].code, g->err.text);
        }
        assert_int_equal(g->err.code, r);
        assert_true(g->err.text[0] != '\0');
    }
    rig_free(g);
}

static void case_find(void **state) {
    (void)state;
    for (size_t i = 0; power_drivers[i]; i++) {
        json_t *list = NULL;
        assert_int_equal(power_drivers[i]->find(&list, NULL), 0);
        assert_true(json_is_array(list));
        json_decref(list);
    }
}

/* --- PPK2 ------------------------------------------------------------------------------------------------------- */
static void ppk2_locked(void **state) {
    (void)state;
    struct rig *g = rig_ready(PPK2);
    struct power_dev *second = NULL;
    assert_int_equal(power_dev_open(power_driver_by_name("ppk2"), g->conf, clock_system(), &second, &g->err), JF_E_BUSY);
    rig_free(g);
}

static void ppk2_left_streaming(void **state) {
    (void)state;
    struct rig *g = rig_new(PPK2);
    g->ppk2.streaming_at_open = true;
    rig_up(g);
    sleep_ms(50);
    if (rig_open(g) != 0) {
        fail_msg("%s", g->err.text);
    }
    assert_true(atomic_load(&g->ppk2.stops) > 0);
    rig_free(g);
}

static void ppk2_metadata(void **state) {
    (void)state;
    struct rig *g = rig_new(PPK2);
    g->ppk2.nan_metadata = true;
    rig_up(g);
    assert_int_equal(rig_open(g), JF_E_INSTRUMENT);
    assert_non_null(strstr(g->err.text, "R3"));
    /* given in the configuration it is taken, and said */
    struct power_info i;
    assert_int_equal(json_object_set_new(g->conf, "calibration", json_pack("{s:f}", "R3", 0.95)), 0);
    assert_int_equal(rig_open(g), 0);
    assert_int_equal(power_dev_info(g->dev, &i), 0);
    assert_near(i.ranges[3].shunt_ohm, 0.95, 0);
    assert_non_null(strstr(i.notes, "configuration"));
    rig_free(g);
    g = rig_new(PPK2);
    g->ppk2.no_metadata = true;
    rig_up(g);
    int64_t began = now_ms();
    assert_int_equal(rig_open(g), JF_E_INSTRUMENT);
    assert_true(now_ms() - began < 5000);
    rig_free(g);
}

static void ppk2_fault(enum fake_ppk2_fault fault, int want, int64_t bound_ms) {
    struct rig *g = rig_ready(PPK2);
    struct got t = got_of(g);
    assert_int_equal(rig_go(g), 0);
    assert_true(pump_for(g, &t, 200) >= 0);
    atomic_store(&g->ppk2.fault, fault);
    int64_t began = now_ms();
    assert_int_equal(pump_for(g, &t, 5000), want);
    assert_true(now_ms() - began < bound_ms);
    assert_int_equal(t.holes, 0);
    assert_true(t.samples > 10000);
    rig_free(g);
}
static void ppk2_mute(void **state) {
    (void)state;
    ppk2_fault(FAKE_PPK2_MUTE, JF_E_STALLED, 900); /* stall_ms is 400 */
}
static void ppk2_unplug(void **state) {
    (void)state;
    ppk2_fault(FAKE_PPK2_UNPLUG, JF_E_GONE, 500);
}
static void ppk2_short_word(void **state) {
    (void)state;
    ppk2_fault(FAKE_PPK2_SHORT_WORD, JF_E_GONE, 500);
}

/* 100 lost: the counter shows 100 mod 64 = 36. 128 lost: it shows nothing; only the arrival time against the index does. */
static void ppk2_loss(void **state) {
    (void)state;
    static const struct {
        enum fake_ppk2_fault fault;
        int64_t shown, min, hidden;
    } cases[] = {{FAKE_PPK2_LOSE_100, 36, 36, 64}, {FAKE_PPK2_LOSE_128, 0, 0, 128}, {FAKE_PPK2_LOSE_BYTE, 2, 1, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct rig *g = rig_ready(PPK2);
        struct got t = got_of(g);
        assert_int_equal(rig_go(g), 0);
        assert_true(pump_for(g, &t, 300) >= 0);
        int64_t lag_before = t.last_host_ns - t.cells * 10000;
        t.check = false; /* after a hidden loss the index is not the unit's any more */
        atomic_store(&g->ppk2.fault, cases[i].fault);
        assert_true(pump_for(g, &t, 300) >= 0);
        assert_in_range(t.missing, cases[i].min, cases[i].shown);
        assert_int_equal(t.holes, cases[i].shown > 0 ? 1 : 0);
        int64_t lag_after = t.last_host_ns - t.cells * 10000;
        /* hidden samples of 10 us show as lag, within what a busy machine's scheduling adds */
        assert_true(lag_after - lag_before > cases[i].hidden * 10000 - 20000000);
        rig_free(g);
    }
}

static void ppk2_saturated(void **state) {
    (void)state;
    struct rig *g = rig_ready(PPK2);
    struct got t = got_of(g);
    assert_int_equal(rig_go(g), 0);
    t.check = false;
    atomic_store(&g->ppk2.fault, FAKE_PPK2_SATURATE);
    assert_true(pump_for(g, &t, 200) >= 0);
    assert_int_equal(t.clipped, 1);
    rig_free(g);
}

/* --- oscilloscope --------------------------------------------------------------------------------------------- */
static void hmo_fault_at(enum fake_hmo_fault fault, bool at_open, int want, int64_t bound_ms, const char *word) {
    struct rig *g;
    int r;
    int64_t began;
    if (at_open) {
        g = rig_new(HMO);
        rig_up(g);
        atomic_store(&g->hmo.fault, fault);
        began = now_ms();
        r = rig_open(g);
    } else {
        g = rig_ready(HMO);
        struct got t = got_of(g);
        atomic_store(&g->hmo.fault, fault);
        began = now_ms();
        r = power_dev_arm(g->dev, &g->err);
        r = r < 0 ? r : pump_for(g, &t, 6000);
        assert_int_equal(t.samples, 0); /* never a number */
    }
    if (r != want || !strstr(g->err.text, word)) {
        fail_msg("%d (%s), expected %d with '%s'", r, r < 0 ? g->err.text : "", want, word);
    }
    assert_true(now_ms() - began < bound_ms);
    rig_free(g);
}
static void hmo_faults(void **state) {
    (void)state;
    /* stall_ms is 500; libsigrok needs one second to believe in a closed connection */
    hmo_fault_at(FAKE_HMO_MUTE_IDN, true, JF_E_STALLED, 1500, "*IDN?");
    hmo_fault_at(FAKE_HMO_MUTE_STATE, false, JF_E_STALLED, 1500, "ACQ:STAT?");
    hmo_fault_at(FAKE_HMO_NEVER_ARMS, false, JF_E_INSTRUMENT, 3500, "did not arm");
    hmo_fault_at(FAKE_HMO_BREAKS, false, JF_E_INSTRUMENT, 1500, "stopped before");
    hmo_fault_at(FAKE_HMO_WRONG_SPAN, false, JF_E_INSTRUMENT, 1500, "asked was");
    hmo_fault_at(FAKE_HMO_SHORT_BLOCK, false, JF_E_INSTRUMENT, 3000, "short frame");
    hmo_fault_at(FAKE_HMO_SHORT_POD, false, JF_E_INSTRUMENT, 3000, "short frame");
    hmo_fault_at(FAKE_HMO_VOLTS, false, JF_E_INVAL, 3000, "reports volts");
}
static void hmo_mute_while_read(void **state) {
    (void)state;
    hmo_fault_at(FAKE_HMO_MUTE_DATA, false, JF_E_STALLED, 6000, "sent nothing");
    hmo_fault_at(FAKE_HMO_CUT_MUTE, false, JF_E_STALLED, 6000, "sent nothing");
    hmo_fault_at(FAKE_HMO_MUTE_OPEN, false, JF_E_STALLED, 6000, "sent nothing");
}
static void hmo_closed_while_read(void **state) {
    (void)state;
    hmo_fault_at(FAKE_HMO_CUT_CLOSE, false, JF_E_GONE, 6000, "closed");
}
static void hmo_works_after_fault(void **state) {
    (void)state;
    struct rig *g = rig_ready(HMO);
    struct got t = got_of(g);
    atomic_store(&g->hmo.fault, FAKE_HMO_CUT_MUTE);
    assert_int_equal(power_dev_arm(g->dev, &g->err), 0);
    assert_int_equal(pump_for(g, &t, 6000), JF_E_STALLED);
    atomic_store(&g->hmo.fault, FAKE_HMO_NONE);
    atomic_store(&g->hmo.runs, 0);
    if (power_dev_arm(g->dev, &g->err) != 0 || pump_for(g, &t, 6000) < 0) {
        fail_msg("%s", g->err.text);
    }
    assert_int_equal(t.samples, g->hmo.samples);
    rig_free(g);
}
static void hmo_cancel_while_read(void **state) {
    (void)state;
    struct rig *g = rig_new(HMO);
    pthread_t th;
    rig_up(g);
    assert_int_equal(json_object_set_new(g->conf, "stall_ms", json_integer(20000)), 0);
    assert_int_equal(rig_open(g), 0);
    assert_int_equal(power_dev_setup(g->dev, &block_setup, NULL, &g->err), 0);
    struct got t = got_of(g);
    atomic_store(&g->hmo.fault, FAKE_HMO_CUT_MUTE);
    assert_int_equal(power_dev_arm(g->dev, &g->err), 0);
    assert_int_equal(pthread_create(&th, NULL, cancel_later, g->dev), 0);
    int64_t began = now_ms();
    assert_int_equal(pump_for(g, &t, 6000), JF_E_CANCELED);
    assert_true(now_ms() - began < 4000);
    assert_int_equal(pthread_join(th, NULL), 0);
    rig_free(g);
}

/* --- demo: a limit ends the stream exactly ------------------------------------------------------------------- */
static void demo_limit(void **state) {
    (void)state;
    struct rig *g = rig_ready(DEMO);
    struct got t = got_of(g);
    struct power_setup ask = {.rate_hz = 200000, .capture_s = 0.3, .trigger_marker = -1}, granted;
    assert_int_equal(power_dev_setup(g->dev, &ask, &granted, &g->err), 0);
    assert_near(granted.rate_hz, 200000, 1e-9);
    assert_int_equal(rig_go(g), 0);
    int r = pump_for(g, &t, 1500);
    if (r < 0) {
        fail_msg("%s", g->err.text);
    }
    assert_int_equal(t.samples, 60000);
    assert_near(t.period_s, 5e-6, 1e-15);
    rig_free(g);
}

static enum kind kinds[] = {PPK2, DEMO, HMO};
#define EVERY(f)                                                                                                                  \
    {"ppk2: " #f, f, NULL, NULL, &kinds[0]}, {"sigrok demo: " #f, f, NULL, NULL, &kinds[1]}, {"sigrok hameg-hmo: " #f, f, NULL, NULL, &kinds[2]}

int main(void) {
    const struct CMUnitTest tests[] = {
        EVERY(case_info),
        EVERY(case_order),
        EVERY(case_capture),
        EVERY(case_cancel),
        EVERY(case_supply),
        EVERY(case_bad_conf),
        cmocka_unit_test(case_find),
        cmocka_unit_test(ppk2_locked),
        cmocka_unit_test(ppk2_left_streaming),
        cmocka_unit_test(ppk2_metadata),
        cmocka_unit_test(ppk2_mute),
        cmocka_unit_test(ppk2_unplug),
        cmocka_unit_test(ppk2_short_word),
        cmocka_unit_test(ppk2_loss),
        cmocka_unit_test(ppk2_saturated),
        cmocka_unit_test(hmo_faults),
        cmocka_unit_test(hmo_mute_while_read),
        cmocka_unit_test(hmo_closed_while_read),
        cmocka_unit_test(hmo_works_after_fault),
        cmocka_unit_test(hmo_cancel_while_read),
        cmocka_unit_test(demo_limit),
    };
    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
