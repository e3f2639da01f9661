/* SPDX-License-Identifier: GPL-2.0-or-later
 * The contract tests' PPK2 (fake_ppk2.h). Shares nothing with the driver or the virtual bench. */
#include "tests/contract/fake_ppk2.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

unsigned fake_ppk2_field(int64_t i) { return 800u + (unsigned)(7 * i % 1000); }
unsigned fake_ppk2_lines(int64_t i) { return (unsigned)(i / 256) & 0xFFu; }

static int64_t now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* All of it, however slowly the driver reads: a full pty must not look like a fault. */
static void put(struct fake_ppk2 *f, const void *src, size_t n) {
    const uint8_t *p = src;
    while (n > 0 && !atomic_load(&f->quit)) {
        ssize_t got = write(f->master, p, n);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        } else {
            struct timespec ms = {0, 1000000};
            (void)nanosleep(&ms, NULL);
        }
    }
}

static void send_text(struct fake_ppk2 *f) {
    static const char *const keys[] = {"GS", "GI", "UG", "O", "S", "I"};
    static const char *const r[] = {"1031.64", "101.65", "10.15", "0.94", "0.043"};
    char text[2048];
    int n = snprintf(text, sizeof text, "Calibrated: 1\n");
    for (int k = 0; k < 5; k++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "R%d: %s\n", k, f->nan_metadata && k == 3 ? "-nan" : r[k]);
        for (int m = 0; m < 6; m++) {
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%d: %d\n", keys[m], k, m < 3 ? 1 : 0);
        }
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "VDD: 3000\nHW: 9173\nmode: 2\nIA: 56\nEND\n");
    put(f, text, (size_t)n);
}

struct line {
    bool streaming;
    int64_t began_us, sent, skipped;
    uint8_t pend[3];
    int n_pend;
};

static void command(struct fake_ppk2 *f, struct line *l, uint8_t byte) {
    l->pend[l->n_pend++] = byte;
    uint8_t c = l->pend[0];
    int need = c == 0x0D ? 3 : c == 0x0C || c == 0x11 ? 2 : 1;
    if (l->n_pend < need) {
        return;
    }
    l->n_pend = 0;
    switch (c) {
    case 0x06:
        l->streaming = true;
        l->began_us = now_us();
        l->sent = l->skipped = 0;
        atomic_fetch_add(&f->starts, 1);
        break;
    case 0x07:
        l->streaming = false;
        atomic_fetch_add(&f->stops, 1);
        break;
    case 0x0C:
        atomic_store(&f->output_on, l->pend[1] == 1);
        break;
    case 0x0D:
        atomic_store(&f->mv, l->pend[1] << 8 | l->pend[2]);
        break;
    case 0x11:
        atomic_store(&f->mode, l->pend[1]);
        break;
    case 0x19:
        if (!f->no_metadata) {
            send_text(f);
        }
        break;
    default:
        break;
    }
}

/* Sends what is due; false: the master is closed. */
static bool stream(struct fake_ppk2 *f, struct line *l) {
    uint8_t out[4 * 2000];
    size_t n = 0;
    int fault = atomic_load(&f->fault);
    int64_t due = (now_us() - l->began_us) / 10 - l->sent - l->skipped;
    if (fault == FAKE_PPK2_MUTE || due <= 0) {
        return true;
    }
    if (fault == FAKE_PPK2_LOSE_100 || fault == FAKE_PPK2_LOSE_128) {
        l->skipped += fault == FAKE_PPK2_LOSE_100 ? 100 : 128;
        atomic_store(&f->fault, FAKE_PPK2_NONE);
    }
    for (; due > 0 && n + 4 <= sizeof out; due--) {
        int64_t i = l->sent++ + l->skipped;
        unsigned field = fake_ppk2_field(i), range = 2;
        if (fault == FAKE_PPK2_SATURATE) {
            field = 0x3FFF;
            fault = FAKE_PPK2_NONE;
            atomic_store(&f->fault, FAKE_PPK2_NONE);
        }
        out[n++] = (uint8_t)field;
        out[n++] = (uint8_t)(field >> 8 | range << 6);
        out[n++] = (uint8_t)((unsigned)i % 64 << 2);
        out[n++] = (uint8_t)fake_ppk2_lines(i);
    }
    if (fault == FAKE_PPK2_LOSE_BYTE && n > 400) {
        memmove(out + 201, out + 202, n - 202);
        n--;
        atomic_store(&f->fault, FAKE_PPK2_NONE);
    }
    if (fault == FAKE_PPK2_SHORT_WORD) {
        n = n > 2 ? 2 : n;
    }
    put(f, out, n);
    if (fault == FAKE_PPK2_UNPLUG || fault == FAKE_PPK2_SHORT_WORD) {
        struct timespec ms20 = {0, 20000000};
        (void)nanosleep(&ms20, NULL);
        (void)close(f->master);
        f->master = -1;
        return false;
    }
    return true;
}

static void *run(void *arg) {
    struct fake_ppk2 *f = arg;
    struct line l = {.streaming = f->streaming_at_open, .began_us = now_us()};
    while (!atomic_load(&f->quit)) {
        uint8_t in[64];
        ssize_t got = read(f->master, in, sizeof in);
        for (ssize_t i = 0; i < got; i++) {
            command(f, &l, in[i]);
        }
        if (l.streaming && !stream(f, &l)) {
            break;
        }
        struct timespec ms = {0, 2000000};
        (void)nanosleep(&ms, NULL);
    }
    return NULL;
}

void fake_ppk2_start(struct fake_ppk2 *f) {
    f->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert(f->master >= 0 && grantpt(f->master) == 0 && unlockpt(f->master) == 0);
    (void)!ptsname_r(f->master, f->path, sizeof f->path);
    struct termios t;
    assert(tcgetattr(f->master, &t) == 0);
    cfmakeraw(&t);
    assert(tcsetattr(f->master, TCSANOW, &t) == 0);
    int r = pthread_create(&f->thread, NULL, run, f);
    assert(r == 0);
    (void)r;
}

void fake_ppk2_stop(struct fake_ppk2 *f) {
    atomic_store(&f->quit, true);
    (void)pthread_join(f->thread, NULL);
    if (f->master >= 0) {
        (void)close(f->master);
    }
}
