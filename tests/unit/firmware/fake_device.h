/* SPDX-License-Identifier: MIT
 * A device in memory for the harness's unit tests: a port that records every character and marker store on one time line, and a net of four inputs
 * and three outputs whose inference destroys its input, as an arena does. Each test owns its own. */
#ifndef TESTS_UNIT_FIRMWARE_FAKE_DEVICE_H
#define TESTS_UNIT_FIRMWARE_FAKE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "firmware/harness/jf_harness.h"
#include "firmware/harness/jf_net.h"
#include "firmware/harness/jf_port.h"

#define FAKE_EVENTS_MAX 512
#define FAKE_TEXT_MAX 65536
#define FAKE_TICK_US 3 /* each look at the timer takes this long */

enum fake_kind { FAKE_CHAR, FAKE_FLUSH, FAKE_MARKERS, FAKE_INFER };

struct fake_event {
    enum fake_kind kind;
    uint32_t mask, levels; /* FAKE_MARKERS */
    uint64_t us;
};

struct fake_device {
    struct jf_port port;
    struct jf_net net;
    struct jf_harness harness;
    char text[FAKE_TEXT_MAX];
    size_t len;
    struct fake_event event[FAKE_EVENTS_MAX]; /* characters are recorded only as the first of a run */
    size_t events;
    uint64_t us;
    uint32_t lines; /* marker levels now */
    int inferences;
    int8_t input[640], output[640];
    bool debug_enabled;
    uint32_t debug_cr;
};

static inline void fake_note(struct fake_device *d, enum fake_kind kind, uint32_t mask, uint32_t levels) {
    if (kind == FAKE_CHAR && d->events > 0 && d->event[d->events - 1].kind == FAKE_CHAR) {
        return;
    }
    if (d->events < FAKE_EVENTS_MAX) {
        d->event[d->events++] = (struct fake_event){kind, mask, levels, d->us};
    }
}

static inline void fake_putc(void *ctx, char c) {
    struct fake_device *d = ctx;
    fake_note(d, FAKE_CHAR, 0, 0);
    if (d->len + 1 < FAKE_TEXT_MAX) {
        d->text[d->len++] = c;
        d->text[d->len] = '\0';
    }
    d->us += 87; /* one character at 115200 baud */
}

static inline void fake_flush(void *ctx) {
    fake_note(ctx, FAKE_FLUSH, 0, 0);
}

static inline int fake_getc(void *ctx) {
    (void)ctx;
    return -1;
}

static inline void fake_idle(void *ctx, bool sleep) {
    (void)ctx;
    (void)sleep;
}

static inline void fake_markers(void *ctx, uint32_t mask, uint32_t levels) {
    struct fake_device *d = ctx;
    fake_note(d, FAKE_MARKERS, mask, levels);
    d->lines = (d->lines & ~mask) | (levels & mask);
}

static inline uint64_t fake_ticks(void *ctx) {
    struct fake_device *d = ctx;
    d->us += FAKE_TICK_US;
    return d->us;
}

static inline void fake_debug(void *ctx, bool *ret_enabled, uint32_t *ret_cr) {
    struct fake_device *d = ctx;
    *ret_enabled = d->debug_enabled;
    *ret_cr = d->debug_cr;
}

static inline void fake_init(const void *ctx) {
    (void)ctx;
}

/* The embedded input: 1, 2, 3, ... */
static inline void fake_golden(const void *ctx, int8_t *ret_input) {
    const struct fake_device *d = ctx;
    for (int32_t i = 0; i < d->net.in.n; i++) {
        ret_input[i] = (int8_t)(i + 1);
    }
}

/* output[i] = input[i]; then the input is gone. */
static inline void fake_infer(const void *ctx) {
    struct fake_device *d = (struct fake_device *)(uintptr_t)ctx;
    fake_note(d, FAKE_INFER, 0, 0);
    d->inferences++;
    d->us += 1000;
    for (int32_t i = 0; i < d->net.out.n; i++) {
        d->output[i] = i < d->net.in.n ? d->input[i] : 0;
    }
    memset(d->input, 0x55, sizeof d->input);
}

/* Two layers: the output, and its first value alone. */
static inline void fake_layers(const void *ctx, void (*after)(void *user, int32_t layer, const int8_t *output, int32_t n), void *user) {
    const struct fake_device *d = ctx;
    fake_infer(ctx);
    after(user, 0, d->output, d->net.out.n);
    after(user, 1, d->output, 1);
}

static inline void fake_make(struct fake_device *d, const char *model) {
    memset(d, 0, sizeof *d);
    d->port = (struct jf_port){.ctx = d, .putc = fake_putc, .flush = fake_flush, .getc = fake_getc, .idle = fake_idle, .markers = fake_markers,
                               .ticks = fake_ticks, .ticks_hz = 1000000, .debug = fake_debug, .core_hz = 64000000, .vendor = "acme",
                               .build_id = "0123abcd", .reset_cause = "power", .reset_flags = 0x00E00000};
    d->net = (struct jf_net){.id = model, .sha256 = "aa", .numerics = "tflm", .in = {4, 1.0, 0}, .out = {3, 1.0 / 256, -128}, .input = d->input,
                             .output = d->output, .golden_crc = 0x55BC801D, .ctx = d, .init = fake_init, .golden = fake_golden, .infer = fake_infer, .layers = fake_layers};
}

static inline bool fake_boot(struct fake_device *d, const char *model, enum jf_mode mode) {
    fake_make(d, model);
    return jf_harness_boot(&d->harness, &d->port, &d->net, mode);
}

/* Sends the bytes and gives back what was said since. */
static inline const char *fake_say(struct fake_device *d, const char *bytes) {
    d->len = 0;
    d->text[0] = '\0';
    d->events = 0;
    for (; *bytes != '\0'; bytes++) {
        jf_harness_byte(&d->harness, *bytes);
    }
    return d->text;
}

#endif
