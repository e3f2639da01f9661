/* SPDX-License-Identifier: GPL-2.0-or-later
 * The virtual PPK2 as a reader on the other side of the pty sees it. Readings are decoded here, from the published
 * conversion and the metadata text, and compared with the current that the model was fed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/faults.h"
#include "sim/ppk2.h"
#include "tests/unit/sim/load.h"

#define MAX_WORDS 400000

struct bench {
    struct faults *faults;
    struct elec *elec;
    struct ppk2 *ppk2;
    struct front front;
    int fd; /* the reader's */
    uint8_t in[MAX_WORDS * 4];
    size_t len;
    char meta[4096];
};

static struct bench bench; /* large */

/* What the loop of jf-vbench does; then the reader reads. */
static void turn(struct bench *b) {
    struct pollfd p[FRONT_MAX_FDS];
    int n = b->front.ops->fds(b->front.self, p, FRONT_MAX_FDS);
    poll(p, (nfds_t)n, 0);
    b->front.ops->ready(b->front.self, p, n);
    b->front.ops->step(b->front.self, elec_now_ps(b->elec));
    ssize_t got = b->fd >= 0 ? read(b->fd, b->in + b->len, sizeof b->in - b->len) : 0;
    b->len += got > 0 ? (size_t)got : 0;
}

static void run(struct bench *b, int64_t span, double a) {
    int64_t end = elec_now_ps(b->elec) + span;
    while (elec_now_ps(b->elec) < end) {
        load_for(b->elec, end - elec_now_ps(b->elec) < MS ? end - elec_now_ps(b->elec) : MS, MS / 5, a);
        turn(b);
    }
}

static void settle(struct bench *b) { /* whatever is still in the pty */
    for (int k = 0; k < 400; k++) {
        turn(b);
    }
}

static void port_open(struct bench *b) {
    b->fd = open(ppk2_tty(b->ppk2), O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(b->fd >= 0);
    turn(b);
}

static void send_bytes(struct bench *b, const char *hex) {
    uint8_t out[16];
    size_t n = 0;
    for (; *hex; hex += 2 + (hex[2] == ' ')) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        out[n++] = (uint8_t)byte;
    }
    assert_int_equal(write(b->fd, out, n), n);
    turn(b);
}

static void bench_open(struct bench *b, const struct profile *p) {
    memset(b, 0, sizeof *b);
    assert_int_equal(faults_new(&b->faults, NULL), 0);
    struct elec_conf ec = {.supply_v = 3.3, .faults = b->faults};
    assert_int_equal(elec_new(&ec, &b->elec, NULL), 0);
    struct profile ideal;
    profile_ideal(&ideal);
    struct ppk2_conf pc = {.seed = 7, .external_v = 3.3, .elec = b->elec, .faults = b->faults};
    assert_int_equal(ppk2_open(&pc, p ? p : &ideal, &b->ppk2, NULL), 0);
    b->front = ppk2_front(b->ppk2);
    port_open(b);
    send_bytes(b, "19");
    settle(b);
    assert_true(b->len < sizeof b->meta);
    memcpy(b->meta, b->in, b->len);
    b->len = 0;
    send_bytes(b, "11 02 0D 0C E4 0C 01"); /* source, 3300 mV, on */
}

static void bench_close(struct bench *b) {
    if (b->fd >= 0) {
        close(b->fd);
    }
    b->front.ops->done(b->front.self);
    elec_free(b->elec);
    faults_free(b->faults);
}

static double meta(const struct bench *b, const char *key, int r) {
    char line[16];
    snprintf(line, sizeof line, "\n%s%d: ", key, r);
    const char *at = strstr(b->meta, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static uint32_t word(const struct bench *b, size_t k) {
    const uint8_t *p = b->in + 4 * k;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The conversion as the vendor's application does it, VDD = 3.3 V. */
static double ampere(const struct bench *b, uint32_t w) {
    int r = (int)(w >> 14 & 7);
    assert_true(r <= 4);
    double adc = (double)(w & 0x3FFF) * 4.0;
    double x = (adc - meta(b, "O", r)) * (1.8 / 163840.0) / meta(b, "R", r);
    return meta(b, "UG", r) * (x * (meta(b, "GS", r) * x + meta(b, "GI", r)) + (meta(b, "S", r) * 3.3 + meta(b, "I", r)));
}

static double mean_a(const struct bench *b, size_t from, size_t n) {
    double sum = 0.0;
    for (size_t k = from; k < from + n; k++) {
        sum += ampere(b, word(b, k));
    }
    return sum / (double)n;
}

/* Step of the counter between words k and k+1. */
static unsigned counter_step(const struct bench *b, size_t k) { return ((word(b, k + 1) >> 18) - (word(b, k) >> 18)) & 63u; }

static size_t counter_breaks(const struct bench *b) {
    size_t n = 0;
    for (size_t k = 0; k + 1 < b->len / 4; k++) {
        n += counter_step(b, k) != 1;
    }
    return n;
}

static void metadata_text(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    size_t lines = 0;
    for (const char *p = bench.meta; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    assert_int_equal(lines, 41);
    assert_string_equal(bench.meta + strlen(bench.meta) - 4, "END\n");
    for (int r = 0; r < 5; r++) {
        static const double nordic[5] = {1031.64, 101.65, 10.15, 0.94, 0.043};
        double ohm = meta(&bench, "R", r);
        assert_true(ohm > 0.9 * nordic[r] && ohm < 1.4 * nordic[r]);
    }
    assert_non_null(strstr(bench.meta, "\nVDD: 3000\n")); /* asked before it was set */
    bench_close(&bench);
}

/* One level per range: the mean of 20000 dithered samples is right to 5 sigma of the dither, LSB * sqrt(1/6 / n). */
static void means_are_unbiased(void **state) {
    (void)state;
    static const struct {
        double a, lsb;
        int range;
    } levels[] = {{7.3e-6, 45e-9, 0}, {180e-6, 450e-9, 1}, {1.234e-3, 4.5e-6, 2}, {21.7e-3, 50e-6, 3}, {212e-3, 900e-6, 4}};
    bench_open(&bench, NULL);
    for (size_t k = 0; k < 5; k++) {
        run(&bench, 5 * MS, levels[k].a);
        send_bytes(&bench, "06");
        bench.len = 0;
        run(&bench, 205 * MS, levels[k].a);
        settle(&bench);
        assert_true(bench.len / 4 >= 20400);
        double mean = mean_a(&bench, 100, 20000);
        double sigma = levels[k].lsb * sqrt(1.0 / 6.0 / 20000.0);
        if (!(fabs(mean - levels[k].a) < 5.0 * sigma)) {
            fail_msg("range %zu: mean %.9g A of %.9g A, sigma %.3g", k, mean, levels[k].a, sigma);
        }
        assert_int_equal(word(&bench, 100) >> 14 & 7, levels[k].range);
        assert_int_equal(counter_breaks(&bench), 0);
        send_bytes(&bench, "07");
        run(&bench, 100 * MS, levels[k].a);
    }
    bench_close(&bench);
}

/* 3 ms at 21 mA in every 10 ms, unsynchronised with the samples: charge over whole periods. */
static void square_wave_charge(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    run(&bench, 2 * MS, 1e-3);
    send_bytes(&bench, "06");
    for (int k = 0; k < 51; k++) {
        load_mark(bench.elec, 0x02);
        run(&bench, 3 * MS + 3 * US, 21e-3);
        load_mark(bench.elec, 0x00);
        run(&bench, 7 * MS - 3 * US, 6e-3);
    }
    settle(&bench);
    double want = (3.003e-3 * 21e-3 + 6.997e-3 * 6e-3) / 10e-3;
    assert_true(fabs(mean_a(&bench, 0, 50000) / want - 1.0) < 2e-4);
    size_t high = 0;
    for (size_t k = 0; k < 50000; k++) {
        high += word(&bench, k) >> 25 & 1u;
    }
    assert_true(high >= 50 * 300 && high <= 50 * 301); /* logic bits 24..31 = D0..D7 */
    bench_close(&bench);
}

static void never_ahead_of_time(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    send_bytes(&bench, "06");
    for (int ms = 1; ms <= 300; ms++) {
        run(&bench, MS, 5e-3);
        assert_true(bench.len / 4 <= (size_t)ms * 100);
    }
    settle(&bench);
    assert_int_equal(bench.len, 300 * 400);
    bench_close(&bench);
}

/* Lost samples: the counter moves on by their number modulo 64, the timeline as well. */
static void counter_jumps(void **state) {
    (void)state;
    static const struct {
        int samples;
        unsigned step;
    } cases[] = {{100, 37}, {128, 1}};
    for (size_t c = 0; c < 2; c++) {
        bench_open(&bench, NULL);
        send_bytes(&bench, "06");
        run(&bench, 50 * MS, 5e-3);
        json_t *p = json_pack("{s:i}", "samples", cases[c].samples);
        assert_int_equal(faults_set(bench.faults, "ppk2-counter-jump", true, p, NULL), 0);
        json_decref(p);
        run(&bench, 50 * MS, 5e-3);
        settle(&bench);
        assert_int_equal(bench.len / 4, 10000 - (size_t)cases[c].samples);
        assert_int_equal(counter_breaks(&bench), cases[c].step == 1 ? 0 : 1);
        assert_int_equal(counter_step(&bench, 4999), cases[c].step);
        bench_close(&bench);
    }
}

static void stream_faults(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    send_bytes(&bench, "06");
    run(&bench, 10 * MS, 5e-3);
    json_t *p = json_pack("{s:i}", "bytes", 3);
    assert_int_equal(faults_set(bench.faults, "ppk2-lose-bytes", true, p, NULL), 0);
    json_decref(p);
    run(&bench, 10 * MS, 5e-3);
    settle(&bench);
    assert_int_equal(bench.len, 2000 * 4 - 3);
    bench.len = 0;
    p = json_pack("{s:i}", "count", 5);
    assert_int_equal(faults_set(bench.faults, "ppk2-saturate", true, p, NULL), 0);
    json_decref(p);
    run(&bench, 10 * MS, 5e-3);
    settle(&bench);
    size_t full = 0;
    for (size_t k = 0; k < bench.len / 4; k++) {
        full += (word(&bench, k) & 0x3FFF) == 0x3FFF;
    }
    assert_int_equal(full, 5);
    bench.len = 0;
    assert_int_equal(faults_set(bench.faults, "ppk2-stall", true, NULL, NULL), 0);
    run(&bench, 20 * MS, 5e-3);
    settle(&bench);
    assert_int_equal(bench.len, 0);
    assert_int_equal(faults_set(bench.faults, "ppk2-stall", false, NULL, NULL), 0);
    run(&bench, 10 * MS, 5e-3);
    settle(&bench);
    assert_int_equal(bench.len, 4000);
    bench_close(&bench);
}

/* Stop takes effect late; a start right after it begins out of frame; a lagging reader loses samples. */
static void awkward_habits(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    send_bytes(&bench, "06");
    run(&bench, 10 * MS, 5e-3);
    send_bytes(&bench, "07");
    run(&bench, 100 * MS, 5e-3);
    settle(&bench);
    size_t late = bench.len / 4 - 1000;
    assert_true(late > 0 && late < 2000 && bench.len % 4 == 0);
    bench.len = 0;
    send_bytes(&bench, "06");
    run(&bench, 10 * MS, 5e-3);
    send_bytes(&bench, "07");
    send_bytes(&bench, "06");
    run(&bench, 10 * MS, 5e-3);
    settle(&bench);
    assert_true(bench.len % 4 != 0);

    int fd = bench.fd;
    bench.fd = -1; /* does not read for three seconds */
    run(&bench, 3 * ELEC_PS_PER_S, 5e-3);
    assert_true(ppk2_dropped(bench.ppk2) > 50000);
    bench.fd = fd;
    bench_close(&bench);
}

static void supply_follows_the_port(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    assert_true(elec_supply_on(bench.elec));
    run(&bench, MS, 1e-3);
    assert_true(fabs(elec_supply_v(bench.elec) - 3.3) < 1e-12);
    send_bytes(&bench, "0D 07 08");
    run(&bench, MS, 1e-3);
    assert_true(fabs(elec_supply_v(bench.elec) - 1.8) < 1e-12);
    send_bytes(&bench, "0D 01 F4"); /* 500 mV: below the unit's 800 */
    send_bytes(&bench, "0D 17 70"); /* 6000 mV: above its 5000 */
    run(&bench, MS, 1e-3);
    assert_true(fabs(elec_supply_v(bench.elec) - 1.8) < 1e-12);
    send_bytes(&bench, "06"); /* left streaming */
    run(&bench, 10 * MS, 1e-3);
    close(bench.fd);
    bench.fd = -1;
    run(&bench, 90 * MS, 1e-3);
    assert_true(elec_supply_on(bench.elec));
    run(&bench, 450 * MS, 1e-3);
    assert_false(elec_supply_on(bench.elec));
    bench.len = 0;
    port_open(&bench);
    run(&bench, 10 * MS, 0.0);
    settle(&bench);
    assert_true(bench.len > 3600); /* still streaming */
    send_bytes(&bench, "0C 01");
    assert_true(elec_supply_on(bench.elec));
    close(bench.fd); /* reopened in time: the supply holds */
    bench.fd = -1;
    run(&bench, 50 * MS, 1e-3);
    port_open(&bench);
    run(&bench, ELEC_PS_PER_S, 1e-3);
    assert_true(elec_supply_on(bench.elec));
    bench_close(&bench);
}

static void unplug_and_back(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    char tty[64];
    snprintf(tty, sizeof tty, "%s", ppk2_tty(bench.ppk2));
    send_bytes(&bench, "06");
    run(&bench, 10 * MS, 1e-3);
    assert_int_equal(faults_set(bench.faults, "ppk2-unplug", true, NULL, NULL), 0);
    run(&bench, 10 * MS, 1e-3);
    assert_false(elec_supply_on(bench.elec));
    struct pollfd p = {.fd = bench.fd, .events = POLLIN};
    poll(&p, 1, 0);
    assert_true(p.revents & POLLHUP);
    close(bench.fd);
    bench.fd = -1;
    assert_int_equal(faults_set(bench.faults, "ppk2-unplug", false, NULL, NULL), 0);
    run(&bench, ELEC_PS_PER_S, 0.0);
    bench.len = 0;
    port_open(&bench);
    send_bytes(&bench, "19");
    settle(&bench);
    assert_true(bench.len > 500);
    bench_close(&bench);
}

/* A profile's figures show up as what they are called. */
static void errors_show(void **state) {
    (void)state;
    struct profile p;
    profile_ideal(&p);
    p.gain[3] = 0.013;
    p.offset_a[3] = 20e-6;
    p.rate_error = 100e-6;
    bench_open(&bench, &p);
    run(&bench, 5 * MS, 20e-3);
    send_bytes(&bench, "06");
    run(&bench, ELEC_PS_PER_S, 20e-3);
    settle(&bench);
    assert_true(bench.len / 4 >= 99989 && bench.len / 4 <= 99991); /* slow by 1e-4: ten samples fewer in a second */
    double mean = mean_a(&bench, 0, 99900);
    assert_true(fabs(mean - (20e-3 * 1.013 + 20e-6)) < 0.5e-6);
    bench_close(&bench);
}

/* A load step from 2 mA to 20 mA changes from range 2 to 3: three samples are disturbed, and only with `switching`. */
static void switching_disturbs(void **state) {
    (void)state;
    for (int on = 0; on < 2; on++) {
        struct profile p;
        profile_ideal(&p);
        p.switching = on == 1;
        bench_open(&bench, &p);
        load_mark(bench.elec, 0x00);
        run(&bench, 5 * MS, 2e-3);
        send_bytes(&bench, "06");
        run(&bench, 5 * MS, 2e-3);
        load_mark(bench.elec, 0x40);
        run(&bench, 5 * MS, 20e-3);
        settle(&bench);
        size_t off = 0;
        for (size_t k = 0; k < bench.len / 4; k++) {
            uint32_t w = word(&bench, k);
            bool high = w >> 30 & 1u; /* D6 marks the step, on a cell's border */
            assert_int_equal(w >> 14 & 7, high ? 3 : 2);
            off += high && fabs(ampere(&bench, w) - 20e-3) > 100e-6;
        }
        assert_int_equal(off, on ? 3 : 0);
        bench_close(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_text),       cmocka_unit_test(means_are_unbiased), cmocka_unit_test(square_wave_charge),
        cmocka_unit_test(never_ahead_of_time), cmocka_unit_test(counter_jumps),      cmocka_unit_test(stream_faults),
        cmocka_unit_test(awkward_habits),      cmocka_unit_test(supply_follows_the_port), cmocka_unit_test(unplug_and_back),
        cmocka_unit_test(errors_show),         cmocka_unit_test(switching_disturbs),
    };
    return cmocka_run_group_tests_name("ppk2", tests, NULL, NULL);
}
