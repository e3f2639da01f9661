/* SPDX-License-Identifier: GPL-2.0-or-later
 * The link to the board under test: what it has said so far, and how to ask it something. Nothing here waits: the
 * worker's poll loop feeds it and looks at its state. Main thread only.
 * Invariant U1: no command is sent while the reply to the last one is open. */
#ifndef BENCH_DUT_H
#define BENCH_DUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/serial/serial.h"
#include "bench/dut_proto.h"

#define DUT_RESULTS_MAX 64

/* The board's description of itself after `jf on%` (firmware/include/jf_device.h). */
struct dut_about {
    bool jf; /* the extension is on */
    char name[64], profile[64], model[32], mode[24];
    char build_id[72], build_model[72], model_sha256[72], numerics[24], idle[16];
    double core_hz;
    bool reset_reported, debug_reported, golden_reported, init_reported;
    char reset_cause[24];
    uint32_t reset_flags;
    bool c_debugen;
    uint32_t dbgmcu_cr;
    uint32_t golden_crc;
    bool golden_ok;
    char init_when[16];
    double init_s;
    char scheme[16];
    double hold_s;
};

/* Reports of the infer command that runs or ran last. Times: CLOCK_MONOTONIC_RAW, 0: not yet. */
struct dut_infer {
    int64_t sent_ns, start_ns, done_ns, ready_ns;
    uint64_t n_reported; /* of m-infer-start */
    bool window_reported, input_reported, output_reported;
    uint64_t window_no, window_n, ticks, hz;
    uint32_t input_crc, output_crc;
    double lap_us[2]; /* performance mode */
    int n_laps;
    double results[DUT_RESULTS_MAX];
    int n_results; /* -1: a result line that could not be read */
};

struct dut {
    struct serial *port; /* owned; NULL: closed */
    const struct clock_src *clock;
    bool via_interface;
    void (*log)(void *user, const char *line); /* every line, both ways */
    void *user;
    struct dut_splitter split;
    bool reply_open; /* U1 */
    bool load_done;
    uint64_t n_ready, n_boots, n_lines; /* lines that mean something */
    uint64_t n_printable;               /* bytes that could be text: for the silence check */
    int64_t last_byte_ns;               /* raw; either direction */
    bool error;                         /* the reply holds an error line */
    char error_text[160];
    struct dut_about about;
    struct dut_infer infer;
};

void dut_init(struct dut *ret_d, const struct clock_src *clock, bool via_interface,
              void (*log)(void *user, const char *line), void *user);
int dut_open(struct dut *d, const char *path, int baud, const char *backend, struct err *reterr) JF_MUST_CHECK;
void dut_close(struct dut *d);
int dut_fd(const struct dut *d); /* -1: closed */
/* Reads what is there and updates the state. JF_E_GONE: the port is gone. */
int dut_read(struct dut *d, struct err *reterr) JF_MUST_CHECK;
/* Forgets everything heard: before a reset. */
void dut_forget(struct dut *d);
/* Sends text (it ends with '%') and opens a reply. Blocks at most 1 s. JF_E_CONFLICT (U1), JF_E_TIMEOUT, JF_E_GONE. */
int dut_send(struct dut *d, const char *text, struct err *reterr) JF_MUST_CHECK;
/* For tests: as if the board had sent these bytes. */
void dut_feed(struct dut *d, const void *src, size_t n);

#endif
