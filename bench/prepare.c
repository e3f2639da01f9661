/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stages prepare, flash and arm: open and lock everything, look who is there, put the image in place, start the stream.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/attempt.h"
#include "bench/calibration.h"

#define OPEN_MS 20000
#define RING_SLOTS 256 /* blocks: at 100 kS/s in 10-ms blocks some seconds of a stalled disk */
#define SETTLE_MS 300  /* after the supply comes on */

static void on_tool_line(void *user, const char *line) { attempt_log(user, "openocd", "%s", line); }

static void on_board_line(void *user, const char *line) {
    struct attempt *a = user;
    attempt_log(a, "dut", "%s", line);
    if (a->ring && strncmp(line, "> db ", 5) != 0) { /* the upload's hundreds of lines are in the log only */
        tracer_event(a->ring, clock_raw_ns(a->w->clock), "uart", json_string_nocheck(line));
    }
}

static unsigned trace_channels(const struct power_info *i) {
    unsigned c = TRACE_QUALITY;
    c |= i->caps & POWER_CAP_VOLTAGE ? TRACE_VOLTAGE : 0;
    c |= i->n_ranges > 1 ? TRACE_RANGE : 0;
    c |= i->n_markers > 0 ? TRACE_MARKERS : 0;
    return c;
}

/* The trace names who measured, for readers that have the file alone. */
static json_t *trace_info_object(const struct attempt *a) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "bench", a->w->conf.name, "attempt", a->id, "board_type",
                     a->w->conf.type_name, "board_serial", a->w->conf.unit_serial, "analyzer", a->info.driver, "model",
                     a->info.model, "firmware", a->firmware_id);
}

static int open_tracer(struct attempt *a, struct err *reterr) {
    char path[SPOOL_PATH_MAX];
    int r = spool_path(&a->spool, "trace.jft", path);
    if (r < 0) {
        return err_set(reterr, r, "the trace's path is too long");
    }
    (void)remove(path); /* a torn file of an earlier try of this very attempt */
    struct tracer_spec spec = {.path = path,
                               .channels = trace_channels(&a->info),
                               .voltage_v = a->supply_v,
                               .block = a->info.shape == POWER_BLOCK,
                               .info = trace_info_object(a)};
    return attempt_blame(a, "host", tracer_new(&spec, a->ring, &a->tracer, reterr));
}

static int check_analyzer(struct attempt *a, struct err *reterr) {
    const struct bench_conf *c = &a->w->conf;
    int need = c->logic ? 1 : c->scheme == MEASURE_SCHEME_PHASES ? 5 : 1; /* with a logic analyzer only the wire that both see */
    if (a->info.n_markers < need) {
        return err_set(reterr, JF_E_UNSUPPORTED, "the marker scheme needs %d lines and the analyzer delivers %d", need,
                       a->info.n_markers);
    }
    if (c->supply == CONF_SUPPLY_ANALYZER && !(a->info.caps & POWER_CAP_SUPPLY)) {
        return err_set(reterr, JF_E_UNSUPPORTED, "the analyzer %s cannot feed the board", a->info.driver);
    }
    return 0;
}

/* A record of another unit, or one that cannot be read, is found before anything is erased. */
static int check_calibration(const struct attempt *a, struct err *reterr) {
    struct measure_instrument in = {0};
    attempt_instrument(&a->info, &in);
    return calibration_apply(a->w->conf.analyzer, clock_wall_ns(a->w->clock), &in, reterr);
}

static int open_analyzer(struct attempt *a, struct err *reterr) {
    int r = ring_new(RING_SLOTS, &a->ring);
    if (r < 0) {
        return err_set(reterr, r, "no memory for the block ring");
    }
    r = capture_new(a->w->driver, a->w->conf.analyzer, a->w->clock, a->ring, &a->capture, reterr);
    if (r < 0) {
        return attempt_blame(a, "host", r);
    }
    struct capture_request q = {.op = CAPTURE_OPEN};
    struct capture_reply rep;
    r = attempt_capture(a, &q, OPEN_MS, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->info = rep.info;
    attempt_log(a, "analyzer", "%s %s, serial %s, firmware %s, %s", rep.info.driver, rep.info.model, rep.info.serial,
                rep.info.firmware, power_maturity_name(rep.info.maturity));
    r = check_analyzer(a, reterr);
    return attempt_blame(a, "analyzer", r < 0 ? r : check_calibration(a, reterr));
}

static int open_board(struct attempt *a, struct err *reterr) {
    const struct bench_conf *c = &a->w->conf;
    dut_init(&a->dut, a->w->clock, c->via_interface, on_board_line, a);
    int r = dut_open(&a->dut, c->uart_path, c->uart_baud, c->uart_backend, reterr);
    if (r < 0) {
        (void)err_prefix(reterr, "the board's serial line");
        return attempt_blame(a, "board", r);
    }
    char work[SPOOL_PATH_MAX];
    r = spool_path(&a->spool, "work", work);
    if (r < 0 || (mkdir(work, 0700) != 0 && errno != EEXIST)) {
        return attempt_blame(a, "host", err_set_errno(reterr, JF_E_IO, errno, "the work directory"));
    }
    struct flash_env env = {.proc = a->w->proc, .clock = a->w->clock, .log = on_tool_line, .user = a};
    if (a->w->lock_fd >= 0) {
        env.keep_fds = &a->w->lock_fd;
        env.n_keep_fds = 1;
    }
    return attempt_blame(a, "probe", a->w->runner->open(c->probe, c->flash, work, &env, &a->flash, reterr));
}

int stage_prepare(struct attempt *a, struct err *reterr) {
    const struct bench_conf *c = &a->w->conf;
    a->supply_v = isfinite(a->job.supply_v) ? a->job.supply_v : c->measure_supply.voltage_v;
    if (isfinite(a->job.supply_v) && c->supply != CONF_SUPPLY_ANALYZER &&
        fabs(a->job.supply_v - c->measure_supply.voltage_v) > 1e-9) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "supply_v", "this bench cannot change the board's supply voltage");
    }
    attempt_progress(a, -1, "opening analyzer, serial line and probe");
    int r = open_board(a, reterr);
    r = r < 0 ? r : open_analyzer(a, reterr);
    r = r < 0 ? r : second_open(a, reterr);
    if (r == 0 && c->supply == CONF_SUPPLY_ANALYZER) {
        r = attempt_supply(a, true, reterr);
        r = r < 0 ? r : attempt_pause(a, SETTLE_MS, reterr);
    }
    r = r < 0 ? r : attempt_flash(a, FLASH_IDENTIFY, 20000, NULL, reterr); /* A2 */
    if (r < 0) {
        return r;
    }
    a->identified = a->w->runner->identity(a->flash, &a->identity) == 0;
    attempt_log(a, "worker", "probe %s, chip id 0x%08x, %s %s", a->identity.probe_serial, a->identity.chip_id,
                a->identity.runner, a->identity.runner_version);
    return 0;
}

int stage_flash(struct attempt *a, struct err *reterr) {
    bool equal = false;
    attempt_progress(a, -1, "comparing the board's flash with the image");
    int r = attempt_flash(a, FLASH_COMPARE, 60000, &equal, reterr);
    if (r == 0 && !equal) {
        attempt_progress(a, -1, "writing the image");
        r = attempt_flash(a, FLASH_WRITE, 120000, NULL, reterr);
        r = r < 0 ? r : attempt_barrier(a, "verify", reterr);
        attempt_progress(a, -1, "verifying the image");
        r = r < 0 ? r : attempt_flash(a, FLASH_VERIFY, 60000, NULL, reterr);
    }
    a->flash_skipped = equal;
    if (r == 0) {
        attempt_log(a, "worker", "the board holds %s%s", a->firmware_id, equal ? " (was there already)" : "");
    }
    return r;
}

/* Streaming: one capture over everything that follows. Block: each window arms its own acquisition. */
int stage_arm(struct attempt *a, struct err *reterr) {
    int r = open_tracer(a, reterr);
    if (r < 0 || a->info.shape == POWER_BLOCK) {
        return r < 0 ? r : second_start(a, reterr);
    }
    attempt_progress(a, -1, "starting the capture");
    struct capture_request q = {.op = CAPTURE_SETUP, .setup = {.rate_hz = a->job.rate_hz, .trigger_marker = -1}};
    struct capture_reply rep;
    r = attempt_capture(a, &q, OPEN_MS, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->info = rep.info;
    q.op = CAPTURE_START;
    r = attempt_capture(a, &q, OPEN_MS, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->streaming_started = true;
    a->capture_start_raw_ns = clock_raw_ns(a->w->clock);
    int64_t until = clock_mono_ns(a->w->clock) + 5 * CLOCK_NS_PER_S;
    struct capture_view v = {0};
    while (v.samples == 0) {
        if (clock_mono_ns(a->w->clock) >= until) {
            return attempt_blame(a, "analyzer",
                                 err_set(reterr, JF_E_STALLED, "the analyzer was started and sent no sample"));
        }
        r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
        capture_get_view(a->capture, &v);
    }
    return second_start(a, reterr);
}
