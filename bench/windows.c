/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stage run: start the board, choose N, then the windows with idle stretches around each. The host makes an idle
 * stretch by saying nothing; its times are raw monotonic, as the blocks' arrival times are. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/attempt.h"

#define UPLOAD_MS 5000
#define MAX_N 50000000u

static int64_t raw_now(const struct attempt *a) { return clock_raw_ns(a->w->clock); }

/* Waits until the serial line has been quiet for ms. */
static int wait_quiet(struct attempt *a, int ms, struct err *reterr) {
    for (;;) {
        int64_t left = a->dut.last_byte_ns + ms * CLOCK_NS_PER_MS - raw_now(a);
        if (left <= 0) {
            return 0;
        }
        int r = attempt_wait(a, clock_mono_ns(a->w->clock) + left, reterr);
        if (r < 0) {
            return r;
        }
    }
}

static void add_stretch(struct attempt *a, int64_t from_ns, int64_t to_ns, int segment) {
    struct measure_capture *c = a->cap;
    if (c->n_stretches < MEASURE_MAX_STRETCHES && to_ns > from_ns) {
        c->stretches[c->n_stretches++] =
            (struct measure_stretch){.from_ns = from_ns, .to_ns = to_ns, .segment = segment};
    }
}

static int upload(struct attempt *a, int input, struct err *reterr) {
    if (input < 0 || input == a->loaded_input) {
        return 0;
    }
    const struct attempt_input *in = &a->inputs[input];
    char text[DUT_COMMAND_MAX + 1];
    (void)snprintf(text, sizeof text, "db load %zu%%", in->size);
    attempt_progress(a, -1, "sending input %d (%zu bytes)", input + 1, in->size);
    int r = attempt_command(a, text, UPLOAD_MS, reterr);
    for (size_t at = 0; r == 0 && at < in->size;) {
        size_t n = in->size - at < DUT_DB_PAYLOAD ? in->size - at : DUT_DB_PAYLOAD;
        r = dut_db_command(in->data + at, n, text);
        r = r < 0 ? r : attempt_command(a, text, UPLOAD_MS, reterr);
        at += n;
        if (r == 0 && at == in->size && !a->dut.load_done) {
            r = attempt_blame(
                a, "board",
                err_set(reterr, JF_E_DUT_ERROR, "the board did not confirm the input of %zu bytes", in->size));
        }
    }
    if (r == 0) {
        a->loaded_input = input;
    }
    return r;
}

/* Sends infer and waits for m-ready. A restart of the board ends the wait: that is data for the verdict, not an error.
 */
static int infer(struct attempt *a, uint32_t n, uint32_t warmup, double limit_s, struct err *reterr) {
    char text[DUT_COMMAND_MAX];
    (void)snprintf(text, sizeof text, "infer %" PRIu32 " %" PRIu32 "%%", n, warmup);
    int r = dut_send(&a->dut, text, reterr);
    if (r < 0) {
        return attempt_blame(a, "board", r);
    }
    int64_t until = clock_mono_ns(a->w->clock) + (int64_t)(limit_s * 1e9);
    while (a->dut.reply_open && a->dut.n_boots == a->boots_expected) {
        if (clock_mono_ns(a->w->clock) >= until) {
            a->dut.reply_open = false;
            return attempt_blame(a, "board",
                                 err_set(reterr, JF_E_DUT_SILENT, "the board did not finish \"%s\" within %.0f s%s%s",
                                         text, limit_s, a->dut.error ? "; it said " : "",
                                         a->dut.error ? a->dut.error_text : ""));
        }
        r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    if (a->dut.n_boots != a->boots_expected) {
        a->reset_seen = true;
        attempt_log(a, "worker", "the board restarted during \"%s\"", text);
        return 0;
    }
    if (a->dut.error) {
        return attempt_blame(
            a, "board",
            err_set(reterr, JF_E_DUT_ERROR, "the board answered \"%s\" to \"%s\"", a->dut.error_text, text));
    }
    if (a->dut.infer.done_ns == 0) {
        return attempt_blame(a, "board",
                             err_set(reterr, JF_E_PROTOCOL, "the board did not report the end of \"%s\"", text));
    }
    return 0;
}

/* Seconds per inference of the command that ran last: the device's timer, its lap times, else the host's clock. */
static double observed_latency(const struct attempt *a, uint32_t n) {
    const struct dut_infer *i = &a->dut.infer;
    if (i->window_reported && i->hz > 0) {
        return (double)i->ticks / (double)i->hz / n;
    }
    if (i->n_laps == 2 && i->lap_us[1] > i->lap_us[0]) {
        return (i->lap_us[1] - i->lap_us[0]) * 1e-6 / n;
    }
    return (double)(i->done_ns - i->start_ns) * 1e-9 / n;
}

static int calibrate(struct attempt *a, struct err *reterr) {
    attempt_progress(a, -1, "calibration: how long does one inference take?");
    uint32_t n = 1;
    for (int round = 0; round < 8; round++) {
        int r = infer(a, n, round == 0 ? 1 : 0, 300, reterr);
        if (r < 0) {
            return r;
        }
        if (a->reset_seen) {
            return attempt_blame(a, "board",
                                 err_set(reterr, JF_E_DUT_ERROR, "the board restarted during the calibration"));
        }
        a->latency_s = observed_latency(a, n);
        double seen_s = (double)(a->dut.infer.done_ns - a->dut.infer.start_ns) * 1e-9;
        if (a->dut.infer.window_reported || seen_s > 0.3) {
            break; /* the host's clock needs something longer than the serial line's delays */
        }
        n *= 8;
    }
    double target = job_window_s(&a->job);
    int r = a->job.inferences > 0 ? 0 : job_choose_n(a->latency_s, target, job_min_inferences(&a->job), MAX_N, &a->n);
    if (a->job.inferences > 0) {
        a->n = a->job.inferences;
    }
    if (r < 0) {
        return attempt_blame(a, "board", err_set(reterr, r, "the board reports %g s per inference", a->latency_s));
    }
    attempt_log(a, "worker", "%.6g s per inference: %" PRIu32 " inferences per window, warm-up %" PRIu32, a->latency_s,
                a->n, a->job.warmup);
    return 0;
}

/* A grid too coarse for the signal is refused, not measured. */
static int check_grid(struct attempt *a, double dt, struct err *reterr) {
    if (a->latency_s < 3 * dt) {
        return err_set(reterr, JF_E_MEASUREMENT, "one inference (%.3g s) is shorter than three samples of %.3g s",
                       a->latency_s, dt);
    }
    if (a->w->conf.scheme == MEASURE_SCHEME_MLPERF && a->dut.about.jf && a->dut.about.hold_s < 3 * dt) {
        double us = ceil(4 * dt * 1e6);
        if (us > 10000) {
            return err_set(reterr, JF_E_MEASUREMENT, "samples of %.3g s are too coarse for the marker pulse", dt);
        }
        char text[DUT_COMMAND_MAX];
        (void)snprintf(text, sizeof text, "jf hold %.0f%%", us);
        return attempt_command(a, text, 5000, reterr);
    }
    return 0;
}

/* Block instruments: one acquisition holds idle, warm-up, window, idle. */
static int setup_block(struct attempt *a, struct capture_request *q, struct err *reterr) {
    double quiet = a->w->quiet_ms * 1e-3;
    double window = a->latency_s * a->n;
    double warm = a->latency_s * a->job.warmup * 1.05, train = second_train_s(a);
    double pre = quiet + (train > 0 ? train : warm) + 0.15; /* a sync train triggers where there is one, else the window */
    double post = quiet + (train > 0 ? 3 * train + warm : 0) + 300.0 * 10 / a->w->conf.uart_baud + 0.15; /* the reply's lines are printed after the window */
    *q = (struct capture_request){
        .op = CAPTURE_SETUP,
        .setup = {
            .rate_hz = a->job.rate_hz, .capture_s = pre + window * 1.02 + post, .pre_s = pre, .trigger_marker = a->second ? a->w->conf.sync_line : 0}};
    struct capture_reply rep;
    int r = attempt_capture(a, q, 30000, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->info = rep.info;
    if (rep.granted.capture_s < q->setup.capture_s * 0.999 || rep.granted.pre_s < pre * 0.999) {
        return err_set(reterr, JF_E_MEASUREMENT,
                       "the analyzer captures at most %.3g s at once, a window with its idle needs %.3g s",
                       rep.granted.capture_s, q->setup.capture_s);
    }
    q->setup = rep.granted;
    attempt_log(a, "analyzer",
                "one acquisition of %.3g s per window, %.3g s before the trigger, %.6g samples per second",
                rep.granted.capture_s, rep.granted.pre_s, rep.info.rate_hz);
    return 0;
}

static enum measure_tri judge_output(const struct attempt *a) {
    const struct dut_infer *i = &a->dut.infer;
    const struct job_expect *x = &a->job.expect;
    if (x->has_crc) {
        return !i->output_reported ? MEASURE_UNCHECKED : i->output_crc == x->crc32 ? MEASURE_GOOD : MEASURE_BAD;
    }
    if (x->has_values) {
        if (i->n_results != x->n_values) {
            return MEASURE_BAD;
        }
        for (int k = 0; k < x->n_values; k++) {
            if (!(fabs(i->results[k] - x->values[k]) <= x->tolerance)) {
                return MEASURE_BAD;
            }
        }
        return MEASURE_GOOD;
    }
    if (a->n_inputs == 0 && a->dut.about.golden_reported && i->output_reported) { /* embedded input: the golden one */
        return i->output_crc == a->dut.about.golden_crc ? MEASURE_GOOD : MEASURE_BAD;
    }
    return MEASURE_UNCHECKED;
}

static void record(struct attempt *a, int input, int segment) {
    const struct dut_infer *i = &a->dut.infer;
    struct measure_request *q = &a->cap->requests[a->cap->n_requests++];
    q->inferences = a->n;
    q->sent_ns = i->sent_ns;
    q->start_ns = i->done_ns ? i->start_ns : 0; /* a board that restarted has no end to go with the start */
    q->done_ns = i->done_ns;
    q->ready_ns = a->reset_seen ? raw_now(a) : i->ready_ns;
    q->segment = segment;
    if (i->window_reported && !a->reset_seen) {
        q->device_ticks = i->ticks;
        q->device_hz = (double)i->hz;
        q->device_inferences = (uint32_t)i->window_n;
    }
    q->output = a->reset_seen ? MEASURE_UNCHECKED : judge_output(a);
    q->reset_seen = a->reset_seen;
    (void)snprintf(q->input, sizeof q->input, "%s", input < 0 ? "embedded" : a->inputs[input].id);
}

/* The part before the trigger is filled while nothing happens: that is the idle stretch before the window. */
static int arm_block(struct attempt *a, struct err *reterr) {
    struct capture_request q = {.op = CAPTURE_ARM};
    struct capture_reply rep;
    int64_t asked_ns = raw_now(a);
    int r = attempt_capture(a, &q, 30000, &rep, reterr);
    if (r < 0) {
        return r;
    }
    if (asked_ns > a->dut.last_byte_ns) {
        a->dut.last_byte_ns = asked_ns; /* idle is what the instrument can have seen */
    }
    return wait_quiet(a, a->w->quiet_ms, reterr);
}

static int acquire_block(struct attempt *a, const struct capture_request *setup, struct err *reterr) {
    struct capture_request q = {.op = CAPTURE_ACQUIRE, .budget_ms = (int)(setup->setup.capture_s * 1e3) + 20000};
    struct capture_reply rep;
    attempt_progress(a, -1, "window %d of %d: reading the analyzer", a->windows_done + 1, a->job.windows);
    return attempt_capture(a, &q, q.budget_ms + 5000, &rep, reterr);
}

static int one_window(struct attempt *a, const struct capture_request *setup, struct err *reterr) {
    bool block = a->info.shape == POWER_BLOCK;
    int segment = block ? a->segment : -1;
    int input = a->n_inputs > 0 ? a->windows_done % a->n_inputs : -1;
    int r = upload(a, input, reterr);
    r = r < 0 || block ? r : second_sync(a, reterr);
    r = r < 0 ? r : block ? arm_block(a, reterr) : wait_quiet(a, a->w->quiet_ms, reterr);
    if (r < 0) {
        return r;
    }
    attempt_progress(a, (double)a->windows_done / a->job.windows, "window %d of %d: %" PRIu32 " inferences",
                     a->windows_done + 1, a->job.windows, a->n);
    int64_t quiet_from = a->dut.last_byte_ns, quiet_to = raw_now(a);
    r = block ? second_sync(a, reterr) : 0; /* each acquisition holds a train before and one behind its window */
    double limit = 15 + 3 * a->latency_s * ((double)a->n + a->job.warmup);
    r = r < 0 ? r : infer(a, a->n, a->job.warmup, limit, reterr);
    if (r < 0) {
        return r;
    }
    add_stretch(a, quiet_from, block && a->second ? quiet_to : a->dut.infer.sent_ns, segment);
    record(a, input, segment);
    if (a->windows_done == 0) {
        r = attempt_barrier(a, "window", reterr);
    }
    r = r == 0 && block && !a->reset_seen ? second_sync(a, reterr) : r;
    if (r == 0 && block) {
        int64_t from = a->dut.last_byte_ns;
        r = acquire_block(a, setup, reterr);
        add_stretch(a, from, raw_now(a), segment);
        a->segment++;
    }
    a->windows_done++;
    return r;
}

/* After a restart the board can still say why: the reset cause decides between device-reset and brownout. */
static void ask_reset_cause(struct attempt *a) {
    struct err e = {0};
    int64_t until = clock_mono_ns(a->w->clock) + 10 * CLOCK_NS_PER_S;
    int r = 0;
    while (r == 0 && a->dut.reply_open && clock_mono_ns(a->w->clock) < until) {
        r = attempt_wait(a, until, &e);
    }
    a->dut.reply_open = false;
    r = r < 0 ? r : attempt_command(a, "jf on%", 5000, &e);
    a->part = NULL;
    if (r == 0 && a->dut.about.reset_reported) {
        a->cap->device.reset_cause_reported = true;
        a->cap->device.brownout_reset = strcmp(a->dut.about.reset_cause, "brownout") == 0;
        attempt_log(a, "worker", "the board restarted because of: %s", a->dut.about.reset_cause);
    } else {
        attempt_log(a, "worker", "the board did not say why it restarted: %s", e.text);
    }
}

static int lead_in(struct attempt *a, struct err *reterr) {
    int64_t since_ms = (raw_now(a) - a->capture_start_raw_ns) / CLOCK_NS_PER_MS;
    return since_ms < a->w->beyond_ms ? attempt_pause(a, (int)(a->w->beyond_ms - since_ms), reterr) : 0;
}

static int lead_out(struct attempt *a, struct err *reterr) {
    attempt_progress(a, 1.0, "capturing 4 s beyond the last window");
    int64_t from = a->dut.last_byte_ns;
    int r = attempt_pause(a, a->w->beyond_ms, reterr);
    if (a->dut.last_byte_ns == from) {
        add_stretch(a, from, raw_now(a), -1);
    }
    return r;
}

/* The stretch before it is the idle one behind the last window. */
static int last_sync(struct attempt *a, struct err *reterr) {
    if (!a->second) {
        return 0;
    }
    int64_t from = a->dut.last_byte_ns;
    int r = wait_quiet(a, a->w->quiet_ms, reterr);
    add_stretch(a, from, raw_now(a), -1);
    return r < 0 ? r : second_sync(a, reterr);
}

static int run_windows(struct attempt *a, struct err *reterr) {
    bool block = a->info.shape == POWER_BLOCK;
    struct capture_request setup = {0};
    int r = upload(a, a->n_inputs > 0 ? 0 : -1, reterr);
    r = r < 0 ? r : calibrate(a, reterr);
    if (r == 0) {
        r = block ? setup_block(a, &setup, reterr) : lead_in(a, reterr);
    }
    r = r < 0 ? r : check_grid(a, 1.0 / a->info.rate_hz, reterr);
    while (r == 0 && a->windows_done < a->job.windows && !a->reset_seen) {
        r = one_window(a, &setup, reterr);
    }
    if (r == 0 && a->reset_seen) {
        ask_reset_cause(a);
    } else if (r == 0 && !block) {
        r = last_sync(a, reterr);
    }
    return r == 0 && !block ? lead_out(a, reterr) : r;
}

int stage_run(struct attempt *a, struct err *reterr) {
    a->run_from_wall_ns = clock_wall_ns(a->w->clock);
    int r = run_start_board(a, reterr);
    r = r < 0 ? r : run_windows(a, reterr);
    a->run_to_wall_ns = clock_wall_ns(a->w->clock);
    return r;
}
