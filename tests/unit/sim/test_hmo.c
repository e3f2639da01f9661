/* SPDX-License-Identifier: GPL-2.0-or-later
 * The virtual oscilloscope as a TCP client sees it: what libsigrok's hameg-hmo asks, single shots with trigger and
 * pre-trigger, data blocks decoded here and compared with the load, one client at a time, faults, garbage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/faults.h"
#include "sim/hmo.h"
#include "tests/unit/sim/load.h"

struct bench {
    struct faults *faults;
    struct elec *elec;
    struct hmo *hmo;
    struct front front;
    int fd;
    uint8_t *in; /* reply */
    size_t len, cap;
    bool closed;
};

static struct bench bench;

static void turn(struct bench *b) {
    struct pollfd p[FRONT_MAX_FDS];
    int n = b->front.ops->fds(b->front.self, p, FRONT_MAX_FDS);
    poll(p, (nfds_t)n, 0);
    b->front.ops->ready(b->front.self, p, n);
    b->front.ops->step(b->front.self, elec_now_ps(b->elec));
    ssize_t got = recv(b->fd, b->in + b->len, b->cap - b->len, MSG_DONTWAIT);
    b->len += got > 0 ? (size_t)got : 0;
    b->closed = b->closed || got == 0;
}

static int dial(const struct bench *b) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)hmo_port(b->hmo)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1; /* line and line feed are two sends */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void bench_open(struct bench *b, const struct profile *p) {
    memset(b, 0, sizeof *b);
    b->cap = 24u << 20;
    b->in = malloc(b->cap);
    assert_non_null(b->in);
    assert_int_equal(faults_new(&b->faults, NULL), 0);
    struct elec_conf ec = {.supply_v = 3.3, .supply_on = true, .faults = b->faults};
    assert_int_equal(elec_new(&ec, &b->elec, NULL), 0);
    struct profile ideal;
    profile_ideal(&ideal);
    struct hmo_conf hc = {.port = 0, .seed = 3, .elec = b->elec, .faults = b->faults};
    assert_int_equal(hmo_open(&hc, p ? p : &ideal, &b->hmo, NULL), 0);
    b->front = hmo_front(b->hmo);
    b->fd = dial(b);
    load_mark(b->elec, 0x01);
}

static void bench_close(struct bench *b) {
    close(b->fd);
    b->front.ops->done(b->front.self);
    elec_free(b->elec);
    faults_free(b->faults);
    free(b->in);
}

static void say(struct bench *b, const char *line) {
    b->len = 0;
    assert_int_equal(send(b->fd, line, strlen(line), 0), strlen(line));
    assert_int_equal(send(b->fd, "\n", 1, 0), 1);
    for (int k = 0; k < 20; k++) {
        turn(b);
    }
}

static const char *ask(struct bench *b, const char *line) {
    say(b, line);
    for (int k = 0; k < 200 && (b->len == 0 || b->in[b->len - 1] != '\n'); k++) {
        turn(b);
    }
    if (b->len == 0 || b->in[b->len - 1] != '\n') {
        fail_msg("no answer to %s", line);
    }
    b->in[b->len - 1] = '\0';
    return (const char *)b->in;
}

/* A definite-length block; returns its bytes, *ret_n their number. */
static const uint8_t *block(struct bench *b, const char *line, size_t *ret_n) {
    say(b, line);
    for (int k = 0; k < 5000; k++) {
        turn(b);
        if (b->len > 2) {
            assert_int_equal(b->in[0], '#');
            size_t digits = (size_t)(b->in[1] - '0');
            char number[12] = "";
            memcpy(number, b->in + 2, digits);
            size_t n = strtoul(number, NULL, 10);
            if (b->len == 2 + digits + n + 1) {
                assert_int_equal(b->in[b->len - 1], '\n');
                *ret_n = n;
                return b->in + 2 + digits;
            }
        }
    }
    fail_msg("no block from %s: %zu bytes", line, b->len);
    return NULL;
}

static float sample(const uint8_t *p, size_t k) {
    uint32_t u = p[4 * k] | (uint32_t)p[4 * k + 1] << 8 | (uint32_t)p[4 * k + 2] << 16 | (uint32_t)p[4 * k + 3] << 24;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static void run(struct bench *b, int64_t span, double a) {
    int64_t end = elec_now_ps(b->elec) + span;
    while (elec_now_ps(b->elec) < end) {
        load_for(b->elec, end - elec_now_ps(b->elec) < MS ? end - elec_now_ps(b->elec) : MS, MS / 5, a);
        turn(b);
    }
}

/* Recorded from libsigrok 0.5.2's hameg-hmo opening a device; each must be answered by something it accepts. */
static void what_the_driver_asks(void **state) {
    (void)state;
    static const char *const dialogue[][2] = {
        {":CHAN1:STAT?", "1"},          {":CHAN1:SCAL?", "5.00E-02"}, {":CHAN2:POS?", "0.000000E+00"}, {":CHAN1:COUP?", "DCL"},
        {":PROB1:SET:ATT:UNIT?", "A"},  {":PROB2:SET:ATT:UNIT?", "V"}, {":LOG0:STAT?", "1"},           {":LOG7:STAT?", "1"},
        {":POD1:STAT?", "1"},           {":POD1:THR?", "CMOS"},        {":TIM:SCAL?", "1.00E-03"},     {":TIM:DIV?", "12"},
        {":TIM:POS?", "0.000000E+00"},  {":TRIG:A:SOUR?", "CH1"},      {":TRIG:A:EDGE:SLOP?", "POS"},  {":TRIG:A:PATT:SOUR?", "\"XXXXXXXXXX\""},
        {":ACQ:HRES?", "OFF"},          {":ACQ:PEAK?", "OFF"},         {":ACQ:SRAT?", "1.000000E+08"}, {"*OPC?", "1"},
        {"timebase:scale?", "1.00E-03"}, {"TIM:SCAL?;:TIM:DIV?", "1.00E-03;12"},
    };
    bench_open(&bench, NULL);
    const char *id = ask(&bench, "*IDN?");
    assert_int_equal(strncmp(id, "Rohde&Schwarz,HMO1202,", 22), 0);
    for (size_t k = 0; k < sizeof dialogue / sizeof dialogue[0]; k++) {
        assert_string_equal(ask(&bench, dialogue[k][0]), dialogue[k][1]);
    }
    bench_close(&bench);
}

static void time_base_and_rate(void **state) {
    (void)state;
    static const struct {
        const char *set, *scale;
        double rate; /* 1-2-5, 12 divisions in at most 2 MSa */
    } cases[] = {{"1E-3", "1.00E-03", 1e8}, {"0.05", "5.00E-02", 2e6}, {"0.1", "1.00E-01", 1e6}, {"0.12", "2.00E-01", 5e5},
                 {"0.5", "5.00E-01", 2e5},  {"1", "1.00E+00", 1e5},    {"2", "2.00E+00", 5e4},   {"50", "5.00E+01", 2e3}};
    bench_open(&bench, NULL);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char line[64];
        snprintf(line, sizeof line, "TIM:SCAL %s", cases[k].set);
        say(&bench, line);
        assert_string_equal(ask(&bench, "TIM:SCAL?"), cases[k].scale);
        assert_true(strtod(ask(&bench, "ACQ:SRAT?"), NULL) == cases[k].rate);
        double n = cases[k].rate * 12 * strtod(cases[k].scale, NULL);
        assert_true(strtod(ask(&bench, "ACQ:POIN?"), NULL) == n && n >= 1e6);
    }
    bench_close(&bench);
}

/* Windows of 40.1 ms; the pod's falling edge triggers; half a second before it, in the record. */
static void single_shot(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    run(&bench, 700 * MS, 2.5e-3);
    say(&bench, "STOP;:TIM:SCAL 0.1;:TIM:POS 0.1;:TRIG:A:MODE NORM;:TRIG:A:TYPE EDGE;:TRIG:A:SOUR D0;:TRIG:A:EDGE:SLOP NEG");
    assert_string_equal(ask(&bench, "SYST:ERR?"), "0,\"No error\"");
    say(&bench, "RUNSingle");
    assert_string_equal(ask(&bench, "ACQuire:STATe?"), "RUN");
    run(&bench, 600 * MS, 2.5e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "RUN");
    size_t n;
    (void)block(&bench, ":FORM:BORD LSBF;:FORM REAL,32;:CHAN1:DATA?", &n);
    assert_int_equal(n, 0); /* no data while acquiring */
    run(&bench, 3 * US + 500 * US / 1000, 2.5e-3); /* edges at any phase of the sample grid */
    load_window(bench.elec, 10, MS / 7);
    run(&bench, 600 * MS, 2.5e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "RUN"); /* 0.7 s after the trigger are wanted */
    run(&bench, 100 * MS, 2.5e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "COMP");
    double from = 0;
    double to = 0;
    unsigned count = 0;
    assert_int_equal(sscanf(ask(&bench, "CHAN1:DATA:HEAD?"), "%lf,%lf,%u,1", &from, &to, &count), 3);
    assert_true(fabs(from + 0.5) < 1e-9 && fabs(to - 0.7 + 1e-6) < 1e-9 && count == 1200000);

    const uint8_t *pod = block(&bench, ":FORM UINT,8;:POD1:DATA?", &n);
    assert_int_equal(n, 1200000);
    size_t fall = 0;
    size_t rise = 0;
    size_t toggles = 0;
    for (size_t k = 1; k < n; k++) {
        unsigned change = pod[k] ^ pod[k - 1];
        toggles += (change & 2u) != 0;
        fall = (change & 1u) && !(pod[k] & 1u) ? k : fall;
        rise = (change & 1u) && (pod[k] & 1u) ? k : rise;
    }
    assert_int_equal(toggles, 11);
    assert_true(fall >= 499999 && fall <= 500001); /* the trigger, 0.5 s into the record at 1 MSa/s */
    assert_true(rise - fall >= 40099 && rise - fall <= 40101);

    const uint8_t *ch1 = block(&bench, ":FORM:BORD LSBF;:FORM REAL,32;:CHAN1:DATA?", &n);
    assert_int_equal(n, 4800000);
    double charge = 0;
    for (size_t k = fall - 5; k < rise + 5; k++) {
        charge += ((double)sample(ch1, k) - 2.5e-3) * 1e-6;
    }
    double want = 10 * (1e-3 * WINDOW_INPUT_A + 3e-3 * WINDOW_RUN_A) + 0.1e-3 * WINDOW_RUN_A - 40.1e-3 * 2.5e-3;
    if (!(fabs(charge / want - 1.0) < 1e-6)) {
        fail_msg("charge %.9g C, want %.9g C", charge, want);
    } /* float32 samples; cell means lose nothing at the edges */
    /* the current's edges lie in the cells where the pod's do */
    assert_true(sample(ch1, fall - 2) == 2.5e-3f && sample(ch1, fall + 1) == 12e-3f);
    assert_true(sample(ch1, rise - 2) == 21e-3f && sample(ch1, rise + 1) == 2.5e-3f);
    const uint8_t *ch2 = block(&bench, ":FORM:BORD LSBF;:FORM REAL,32;:CHAN2:DATA?", &n);
    assert_true(n == 4800000 && sample(ch2, 0) == 3.3f && sample(ch2, 1199999) == 3.3f);
    say(&bench, "TIM:SCAL 0.2"); /* the record no longer fits */
    (void)block(&bench, "CHAN1:DATA?", &n);
    assert_int_equal(n, 0);
    bench_close(&bench);
}

static void only_the_wanted_edge(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    say(&bench, "STOP;:TIM:SCAL 1E-3;:TRIG:A:MODE NORM;:TRIG:A:SOUR D1;:TRIG:A:EDGE:SLOP NEG;:SING");
    run(&bench, 600 * MS, 1e-3);
    load_mark(bench.elec, 0x03); /* rises */
    run(&bench, 50 * MS, 1e-3);
    load_mark(bench.elec, 0x02); /* another line falls */
    run(&bench, 50 * MS, 1e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "RUN");
    load_mark(bench.elec, 0x00);
    run(&bench, 50 * MS, 1e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "COMP");
    say(&bench, "SING");
    run(&bench, 50 * MS, 1e-3);
    say(&bench, "STOP");
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "BRE");
    say(&bench, "TRIG:A:MODE AUTO;:SING");
    run(&bench, 700 * MS, 1e-3);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "COMP");
    bench_close(&bench);
}

/* Free running: the three reads of one frame are one acquisition, the next frame is a later one. */
static void free_running_frames(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    run(&bench, 100 * MS, 1e-3);
    size_t n = 0;
    float first[2];
    for (int frame = 0; frame < 2; frame++) {
        say(&bench, ":CHAN1:DATA?");
        assert_int_equal(bench.len, 0); /* waits for its record */
        run(&bench, 40 * MS, frame ? 7e-3 : 5e-3);
        assert_true(bench.len > 4800000);
        first[frame] = sample(bench.in + 9, 600000);
        (void)block(&bench, ":POD1:DATA?", &n);
        assert_int_equal(n, 1200000);
    }
    assert_true(first[0] == 5e-3f && first[1] == 7e-3f);
    bench_close(&bench);
}

static void one_client_at_a_time(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    (void)ask(&bench, "*IDN?");
    int second = dial(&bench);
    assert_int_equal(send(second, "*IDN?\n", 6, 0), 6);
    for (int k = 0; k < 50; k++) {
        turn(&bench);
    }
    char c;
    assert_true(recv(second, &c, 1, MSG_DONTWAIT) < 0); /* waits */
    close(bench.fd);
    bench.fd = second;
    bench.len = 0;
    for (int k = 0; k < 50; k++) {
        turn(&bench);
    }
    assert_true(bench.len > 10);
    bench_close(&bench);
}

static void faults_act(void **state) {
    (void)state;
    bench_open(&bench, NULL);
    run(&bench, 700 * MS, 1e-3);
    say(&bench, "STOP;:TIM:SCAL 1E-3;:TRIG:A:MODE AUTO;:SING");
    run(&bench, 700 * MS, 1e-3);
    json_t *p = json_pack("{s:f}", "fraction", 0.25);
    assert_int_equal(faults_set(bench.faults, "scope-short-block", true, p, NULL), 0);
    json_decref(p);
    assert_string_equal(ask(&bench, "ACQ:STAT?"), "COMP"); /* text is left alone */
    say(&bench, "CHAN1:DATA?");
    for (int k = 0; k < 500; k++) {
        turn(&bench);
    }
    assert_true(bench.closed && bench.len > 1100000 && bench.len < 1300000);
    close(bench.fd);
    assert_int_equal(faults_set(bench.faults, "scope-short-block", false, NULL, NULL), 0);

    bench.closed = false;
    bench.fd = dial(&bench);
    assert_int_equal(faults_set(bench.faults, "scope-mute", true, NULL, NULL), 0);
    say(&bench, "*IDN?");
    say(&bench, "*IDN?");
    assert_true(bench.len == 0 && !bench.closed);
    assert_int_equal(faults_set(bench.faults, "scope-mute", false, NULL, NULL), 0);
    assert_string_equal(ask(&bench, "*OPC?"), "1");
    p = json_pack("{s:f}", "s", 0.25);
    assert_int_equal(faults_set(bench.faults, "scope-late", true, p, NULL), 0);
    json_decref(p);
    say(&bench, "*OPC?");
    run(&bench, 240 * MS, 1e-3);
    assert_int_equal(bench.len, 0);
    run(&bench, 20 * MS, 1e-3);
    assert_int_equal(bench.len, 2);
    assert_int_equal(faults_set(bench.faults, "scope-late", false, NULL, NULL), 0);
    assert_string_equal(ask(&bench, "*OPC?"), "1");
    assert_int_equal(faults_set(bench.faults, "scope-close", true, NULL, NULL), 0);
    say(&bench, "*IDN?");
    assert_true(bench.closed && bench.len == 0);
    bench_close(&bench);
}

static void garbage_does_no_harm(void **state) {
    (void)state;
    static const char *const lines[] = {"", ";;;;", "\"\"\";\"", ":::?", "CHAN", "CHAN9:DATA?", "CHAN3:DATA?", "POD2:DATA?", "TIM:SCAL", "TIM:SCAL nan",
                                        "TIM:SCAL 1e300", "TIM:SCAL -1", "TIM:POS inf", "TRIG:A:SOUR D9", "?", "*", "CHAN1:STAT maybe", "FORM"};
    bench_open(&bench, NULL);
    for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++) {
        say(&bench, lines[k]);
        assert_int_equal(bench.len, 0);
    }
    char noise[3000];
    uint32_t x = 1;
    for (int round = 0; round < 50; round++) {
        for (size_t k = 0; k < sizeof noise - 1; k++) {
            x = x * 1664525u + 1013904223u;
            noise[k] = (char)(x >> 24 ? x >> 24 : 1);
        }
        noise[sizeof noise - 1] = '\0';
        say(&bench, noise);
    }
    bench.len = 0;
    say(&bench, "");
    (void)ask(&bench, "SYST:ERR?");
    assert_string_equal(ask(&bench, "SYST:ERR?"), "0,\"No error\"");
    assert_string_equal(ask(&bench, "TIM:SCAL?"), "1.00E-03");
    bench_close(&bench);
}

static void errors_show(void **state) {
    (void)state;
    struct profile p;
    profile_ideal(&p);
    p.gain[0] = -0.007;
    p.offset_a[0] = 15e-6;
    p.voltage_gain = 0.01;
    p.noise_a[0] = 40e-6;
    bench_open(&bench, &p);
    run(&bench, 700 * MS, 20e-3);
    say(&bench, "STOP;:TIM:SCAL 1E-2;:TRIG:A:MODE AUTO;:SING");
    run(&bench, 900 * MS, 20e-3);
    size_t n;
    const uint8_t *ch1 = block(&bench, "CHAN1:DATA?", &n);
    double sum = 0;
    double square = 0;
    for (size_t k = 0; k < n / 4; k++) {
        double d = (double)sample(ch1, k) - 20e-3;
        sum += d;
        square += d * d;
    }
    double mean = sum / (double)(n / 4);
    double deviation = sqrt(square / (double)(n / 4) - mean * mean);
    assert_true(fabs(mean - (-0.007 * 20e-3 + 15e-6)) < 0.2e-6);
    assert_true(fabs(deviation / 40e-6 - 1.0) < 0.01);
    assert_true(fabsf(sample(block(&bench, "CHAN2:DATA?", &n), 7) - 3.333f) < 1e-5f);
    bench_close(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_driver_asks), cmocka_unit_test(time_base_and_rate),   cmocka_unit_test(single_shot),
        cmocka_unit_test(only_the_wanted_edge), cmocka_unit_test(free_running_frames),  cmocka_unit_test(one_client_at_a_time),
        cmocka_unit_test(faults_act),           cmocka_unit_test(garbage_does_no_harm), cmocka_unit_test(errors_show),
    };
    return cmocka_run_group_tests_name("hmo", tests, NULL, NULL);
}
