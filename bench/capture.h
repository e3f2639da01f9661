/* SPDX-License-Identifier: GPL-2.0-or-later
 * The capture thread: the only thread that calls the power driver. The main thread posts one request at a time and
 * polls an eventfd; while a streaming instrument runs, the thread pumps between requests. Blocks are copied into a ring
 * that the trace-writing thread empties. The thread may hang inside a driver for ever (libsigrok over TCP): then
 * capture_join answers JF_E_TIMEOUT and the process must end without freeing it.
 * Invariant C1: the driver is entered by this thread alone, except power_dev_cancel. */
#ifndef BENCH_CAPTURE_H
#define BENCH_CAPTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ring.h"
#include "drivers/power/power.h"

enum capture_op {
    CAPTURE_OPEN, /* open and info */
    CAPTURE_SETUP,
    CAPTURE_START,   /* streaming: samples flow until CAPTURE_STOP */
    CAPTURE_ARM,     /* block: returns once seen armed */
    CAPTURE_ACQUIRE, /* block: waits for the acquisition and reads it out, until its SEGMENT_END */
    CAPTURE_STOP,
    CAPTURE_SUPPLY,
    CAPTURE_CLOSE,
    CAPTURE_QUIT /* the thread ends (closing what is open) */
};

struct capture_request {
    enum capture_op op;
    struct power_setup setup;
    enum power_supply_action supply;
    double supply_v;
    bool leave_supply_on;
    int budget_ms; /* CAPTURE_ACQUIRE */
};

struct capture_reply {
    int result; /* 0 or JF_E_*; err says why */
    struct err err;
    struct power_info info;     /* after OPEN and SETUP */
    struct power_setup granted; /* after SETUP */
    bool supply_on;             /* after SUPPLY */
    double supply_v;
};

/* What has been captured so far. Sums and counts only grow while a capture runs (START or ARM sets them to 0), so that
 * the mean over a stretch is a difference of two views. */
struct capture_view {
    bool running; /* streaming: between START and STOP */
    int error;    /* a pump that failed: 0 or JF_E_* */
    struct err err;
    int64_t next; /* index after the last sample */
    double period_s;
    uint64_t samples; /* delivered, gaps not counted */
    uint64_t gap_cells;
    uint64_t blocks;
    double sum_current_a; /* sum of samples */
    double sum_power_w;   /* measured voltage, else the supply's */
    double peak_current_a;
    uint64_t high[POWER_MAX_MARKERS]; /* samples with the marker high */
    int64_t last_mono_ns;             /* host time of the last block or of START */
    int64_t lag_best_ns;              /* smallest (host arrival - sample time) so far; INT64_MAX: none */
    int64_t lag_recent_ns;            /* the same over the last complete second */
};

struct capture;

/* conf: the bench's analyzer object, borrowed for the capture's life. ring: receives struct item_block * (bench/item.h),
 * or, from a logic analyzer, its changes of level as events (bench/edges.h); borrowed. */
int capture_new(const struct power_driver *drv, const json_t *conf, const struct clock_src *clock, struct ring *ring,
                struct capture **ret_c, struct err *reterr) JF_MUST_CHECK;
int capture_event_fd(const struct capture *c); /* readable when a reply or an error waits */
/* JF_E_BUSY while another request runs. */
int capture_post(struct capture *c, const struct capture_request *req, struct err *reterr) JF_MUST_CHECK;
/* 1: the posted request has ended; 0: it runs; JF_E_CONFLICT: none was posted. */
int capture_poll(struct capture *c, struct capture_reply *ret_reply) JF_MUST_CHECK;
void capture_get_view(struct capture *c, struct capture_view *ret_v);
void capture_cancel(struct capture *c); /* asks a blocked driver call to return; main thread */
/* Ends the thread: cancels, posts QUIT, waits at most budget_ms. JF_E_TIMEOUT: it hangs; leak it and leave the process.
 */
int capture_join(struct capture *c, bool leave_supply_on, int budget_ms) JF_MUST_CHECK;
void capture_free(struct capture *c); /* after a successful join; NULL allowed */

#endif
