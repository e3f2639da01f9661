/* SPDX-License-Identifier: GPL-2.0-or-later
 * The attempt's one poll, and what waits with it: capture requests, the flash tool, commands to the board. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/attempt.h"

#define POLL_MS 100
#define MAX_FDS 9
#define STUCK_MS 2000                    /* how long a capture call may overrun its budget or a cancel */
#define SILENT_NS (3 * CLOCK_NS_PER_S)   /* a streaming analyzer without a sample for this long has stalled */
#define LAG_NS (250 * CLOCK_NS_PER_MS)   /* samples this late ... */
#define LAG_HOLD_NS (2 * CLOCK_NS_PER_S) /* ... for this long will not come any more */
#define LIVE_NS (CLOCK_NS_PER_S / 10)
#define EXIT_STUCK 70

/* One message from the daemon. */
static int take_message(struct attempt *a, const json_t *m, struct err *reterr) {
    struct worker *w = a->w;
    const char *type = json_string_value(json_object_get(m, "type"));
    if (strcmp(type, "drain") == 0) {
        w->drain = true;
        return 0;
    }
    if (strcmp(type, "bye") == 0) {
        w->drain = w->bye = true;
        return 0;
    }
    const char *id = json_string_value(json_object_get(m, "attempt"));
    const json_t *epoch = json_object_get(m, "epoch");
    if (!id || !json_is_integer(epoch)) {
        return err_set(reterr, JF_E_PROTOCOL, "the daemon's message \"%.20s\" lacks attempt or epoch", type);
    }
    bool mine = strcmp(id, a->id) == 0 && json_integer_value(epoch) == a->epoch;
    if (strcmp(type, "cancel") == 0 || strcmp(type, "result_ack") == 0) {
        if (!mine) {
            w->refused++;
        } else if (type[0] == 'c') {
            a->cancel = true;
        } else {
            a->acked = true;
        }
        return 0;
    }
    return err_set(reterr, JF_E_PROTOCOL, "the daemon sent \"%.20s\" during an attempt", type);
}

static int take_messages(struct attempt *a, struct err *reterr) {
    for (int i = 0; i < 16; i++) {
        json_t *m;
        int r = msg_receive(&a->w->link, &m, reterr);
        if (r <= 0) {
            return r;
        }
        r = take_message(a, m, reterr);
        json_decref(m);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void live(struct attempt *a, const struct capture_view *v, int64_t now) {
    if (now - a->live_ns < LIVE_NS) {
        return;
    }
    uint64_t n = v->samples - a->live_view.samples;
    if (v->running && n > 0 && v->samples > a->live_view.samples) {
        double amp = (v->sum_current_a - a->live_view.sum_current_a) / (double)n;
        double watt = (v->sum_power_w - a->live_view.sum_power_w) / (double)n;
        json_t *m = attempt_message(a, "live");
        if (m) {
            (void)json_object_set_new(m, "current_a", json_real(amp));
            (void)json_object_set_new(m, "power_w", json_real(watt));
            (void)json_object_set_new(m, "t_s", json_real((double)v->next * v->period_s));
            msg_offer(&a->w->link, m);
        }
    }
    a->live_view = *v;
    a->live_ns = now;
}

/* Does the stream still flow? A slipped or stalled instrument is an infrastructure failure, never a number. */
static int watch_capture(struct attempt *a, struct err *reterr) {
    if (!a->capture) {
        return 0;
    }
    struct capture_view v;
    capture_get_view(a->capture, &v);
    int64_t now = clock_mono_ns(a->w->clock);
    live(a, &v, now);
    if (a->unwinding || !a->streaming_started) {
        return 0;
    }
    if (v.error < 0) {
        if (reterr) {
            *reterr = v.err;
        }
        return attempt_blame(a, v.error == JF_E_FULL ? "host" : "analyzer", v.error);
    }
    if (!v.running) {
        return 0;
    }
    if (now - v.last_mono_ns > SILENT_NS) {
        return attempt_blame(a, "analyzer",
                             err_set(reterr, JF_E_STALLED, "the analyzer sent no sample for %.1f s",
                                     (double)(now - v.last_mono_ns) / 1e9));
    }
    bool late = v.lag_recent_ns != INT64_MAX && v.lag_recent_ns - v.lag_best_ns > LAG_NS;
    if (!late) {
        a->lag_since_ns = 0;
    } else if (a->lag_since_ns == 0) {
        a->lag_since_ns = now;
    } else if (now - a->lag_since_ns > LAG_HOLD_NS) {
        return attempt_blame(a, "analyzer",
                             err_set(reterr, JF_E_STALLED,
                                     "the analyzer's samples fell %.0f ms behind and did not recover",
                                     (double)(v.lag_recent_ns - v.lag_best_ns) / 1e6));
    }
    return 0;
}

/* The same for the second instrument; how late its samples come does not matter, only that none is missing. */
static int watch_second(struct attempt *a, struct err *reterr) {
    if (!a->second || !a->second_started || a->unwinding) {
        return 0;
    }
    struct capture_view v;
    capture_get_view(a->second, &v);
    int64_t silent = clock_mono_ns(a->w->clock) - v.last_mono_ns;
    if (v.error < 0) {
        if (reterr) {
            *reterr = v.err;
        }
        return attempt_blame(a, v.error == JF_E_FULL ? "host" : "analyzer", err_prefix(reterr, "the logic analyzer"));
    }
    if (v.running && silent > SILENT_NS) {
        return attempt_blame(a, "analyzer",
                             err_set(reterr, JF_E_STALLED, "the logic analyzer sent no sample for %.1f s", (double)silent / 1e9));
    }
    return 0;
}

static int64_t nearest(const struct attempt *a, int64_t until_ns) {
    int64_t t = until_ns;
    if (!a->unwinding) {
        t = t < a->deadline_ns ? t : a->deadline_ns;
        t = t < a->stage_deadline_ns ? t : a->stage_deadline_ns;
    }
    return t;
}

static int check_interrupts(struct attempt *a, struct err *reterr) {
    if (a->unwinding) {
        return 0;
    }
    if (a->cancel || a->w->bye) {
        return err_set(reterr, JF_E_CANCELED, "%s",
                       a->cancel ? "canceled on request" : "the worker was asked to leave");
    }
    int64_t now = clock_mono_ns(a->w->clock);
    if (now >= a->deadline_ns) {
        return err_set(reterr, JF_E_TIMEOUT, "the attempt's time is over");
    }
    if (now >= a->stage_deadline_ns) {
        return err_set(reterr, JF_E_TIMEOUT, "stage %s took too long", sm_state_name(attempt_table(), a->stage));
    }
    return 0;
}

static void drain_eventfd(int fd) {
    uint64_t n;
    ssize_t k = read(fd, &n, sizeof n);
    (void)k;
}

int attempt_wait(struct attempt *a, int64_t until_ns, struct err *reterr) {
    struct worker *w = a->w;
    struct pollfd fds[MAX_FDS];
    nfds_t n = 0;
    if (w->link.fd >= 0 && !w->link.gone) {
        fds[n++] = (struct pollfd){.fd = w->link.fd, .events = POLLIN};
    }
    if (w->signal_fd >= 0 && !w->bye) {
        fds[n++] = (struct pollfd){.fd = w->signal_fd, .events = POLLIN};
    }
    if (dut_fd(&a->dut) >= 0) {
        fds[n++] = (struct pollfd){.fd = dut_fd(&a->dut), .events = POLLIN};
    }
    if (a->capture) {
        fds[n++] = (struct pollfd){.fd = capture_event_fd(a->capture), .events = POLLIN};
    }
    if (a->second) {
        fds[n++] = (struct pollfd){.fd = capture_event_fd(a->second), .events = POLLIN};
    }
    if (a->tracer) {
        fds[n++] = (struct pollfd){.fd = tracer_event_fd(a->tracer), .events = POLLIN};
    }
    if (a->flash) {
        n += w->runner->poll_fds(a->flash, fds + n, MAX_FDS - n);
    }
    (void)poll(fds, n, clock_left_ms(w->clock, nearest(a, until_ns), POLL_MS));
    for (nfds_t i = 0; i < n; i++) {
        w->bye = w->bye || (w->signal_fd >= 0 && fds[i].fd == w->signal_fd && fds[i].revents);
    }
    struct err e = {0};
    int r = take_messages(a, &e);
    if (r < 0 && !a->unwinding) {
        if (reterr) {
            *reterr = e;
        }
        return attempt_blame(a, "host", r);
    }
    r = dut_read(&a->dut, &e);
    if (r < 0) {
        dut_close(&a->dut); /* a vanished port would be readable for ever */
        if (!a->unwinding) {
            if (reterr) {
                *reterr = e;
            }
            return attempt_blame(a, "board", err_prefix(reterr, "the board's serial line"));
        }
    }
    r = watch_capture(a, reterr);
    r = r < 0 ? r : watch_second(a, reterr);
    if (r < 0) {
        return r;
    }
    if (a->tracer && !a->unwinding && tracer_error(a->tracer, reterr) < 0) {
        drain_eventfd(tracer_event_fd(a->tracer));
        return attempt_blame(a, "host", tracer_error(a->tracer, NULL));
    }
    return check_interrupts(a, reterr);
}

int attempt_pause(struct attempt *a, int ms, struct err *reterr) {
    int64_t until = clock_mono_ns(a->w->clock) + ms * CLOCK_NS_PER_MS;
    while (clock_mono_ns(a->w->clock) < until) {
        int r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The capture thread hangs inside a driver. Nothing of it can be freed: the board is made safe by what does not need
 * the analyzer, the daemon is told, the process ends (its descriptors close, so an analyzer that feeds the board lets
 * go). */
_Noreturn static void abandon(struct attempt *a, const struct err *why) {
    a->unwinding = true;
    struct capture *stuck = a->capture;
    a->capture = NULL;
    a->tracer = NULL;
    (void)stuck;
    attempt_log(a, "worker", "the analyzer's driver does not return: %s", why->text);
    struct err e = {0};
    bool safe = a->w->conf.supply == CONF_SUPPLY_ANALYZER;
    if (a->flash && !safe) {
        a->w->runner->cancel(a->flash);
        safe = attempt_flash(a, FLASH_RESET_HALT, 10000, NULL, &e) == 0;
    }
    a->part = a->part ? a->part : "analyzer";
    attempt_send_fault(a, why, a->stage);
    attempt_send_released(a, safe, "the analyzer's driver does not return; the worker leaves");
    spool_log(&a->spool, "worker", safe ? "leaving; the board is safe" : "leaving; the board's state is not confirmed");
    _exit(EXIT_STUCK);
}

/* Waits for the posted request whatever happens, at most ms. */
static bool settle(const struct attempt *a, struct capture *c, struct capture_reply *rep, int ms) {
    int64_t until = clock_mono_ns(a->w->clock) + ms * CLOCK_NS_PER_MS;
    for (;;) {
        if (capture_poll(c, rep) != 0) {
            return true;
        }
        int left = clock_left_ms(a->w->clock, until, POLL_MS);
        if (left == 0) {
            return false;
        }
        struct pollfd p = {capture_event_fd(c), POLLIN, 0};
        (void)poll(&p, 1, left);
    }
}

int attempt_capture_of(struct attempt *a, struct capture *c, const struct capture_request *q, int budget_ms, struct capture_reply *ret_rep,
                       struct err *reterr) {
    const char *part = q->op == CAPTURE_SUPPLY ? "power" : "analyzer";
    int r = capture_post(c, q, reterr);
    if (r < 0) {
        return attempt_blame(a, part, r);
    }
    struct capture_reply rep = {0};
    struct err e = {0};
    int64_t until = clock_mono_ns(a->w->clock) + budget_ms * CLOCK_NS_PER_MS;
    int done = 0, stop = 0;
    while (!done && !stop) {
        stop = attempt_wait(a, until, &e);
        done = capture_poll(c, &rep);
        if (!done && !stop && clock_mono_ns(a->w->clock) >= until) {
            stop = err_set(&e, JF_E_STALLED, "the analyzer's driver did not return within %d ms", budget_ms);
        }
    }
    if (!done) {
        capture_cancel(c);
        if (!settle(a, c, &rep, STUCK_MS)) {
            abandon(a, &e);
        }
    }
    if (c == a->capture && q->op == CAPTURE_OPEN && rep.result == 0) {
        a->analyzer_open = true; /* also when canceled meanwhile: release closes it */
    }
    if (stop < 0) {
        if (reterr) {
            *reterr = e;
        }
        return attempt_blame(a, part, stop);
    }
    if (rep.result < 0) {
        if (reterr) {
            *reterr = rep.err;
        }
        return attempt_blame(a, part, rep.result);
    }
    *ret_rep = rep;
    return 0;
}

int attempt_capture(struct attempt *a, const struct capture_request *q, int budget_ms, struct capture_reply *ret_rep,
                    struct err *reterr) {
    return attempt_capture_of(a, a->capture, q, budget_ms, ret_rep, reterr);
}

int attempt_supply(struct attempt *a, bool on, struct err *reterr) {
    struct capture_request q = {
        .op = CAPTURE_SUPPLY, .supply = on ? POWER_SUPPLY_ON : POWER_SUPPLY_OFF, .supply_v = a->supply_v};
    struct capture_reply rep = {0};
    a->board_touched = a->board_touched || on;
    int r = attempt_capture(a, &q, 10000, &rep, reterr);
    if (r < 0) {
        return r;
    }
    a->supply_on = rep.supply_on;
    if (rep.supply_on != on) {
        return attempt_blame(a, "power",
                             err_set(reterr, JF_E_INSTRUMENT, "the supply did not switch %s", on ? "on" : "off"));
    }
    attempt_log(a, "analyzer", "supply %s, %.3f V", on ? "on" : "off", on ? rep.supply_v : 0.0);
    return 0;
}

int attempt_flash(struct attempt *a, enum flash_op op, int deadline_ms, bool *ret_equal, struct err *reterr) {
    const struct flash_runner *run = a->w->runner;
    bool image = op == FLASH_COMPARE || op == FLASH_WRITE || op == FLASH_VERIFY;
    a->board_touched = a->board_touched || op != FLASH_IDENTIFY; /* looking changes nothing: what was safe stays safe */
    int r = run->begin(a->flash, op, image ? a->firmware_path : NULL, deadline_ms, reterr);
    if (r < 0) {
        return attempt_blame(a, "probe", r);
    }
    /* The runner bounds itself by its deadline and a grace; this bound is for a runner that does not. */
    int64_t until = clock_mono_ns(a->w->clock) + (deadline_ms + 8000) * CLOCK_NS_PER_MS;
    struct err stop_err = {0}, op_err = {0};
    int stop = 0;
    for (;;) {
        struct flash_progress p = {0};
        r = run->step(a->flash, &p, &op_err);
        if (r < 0 || p.done) {
            r = r < 0 ? r : p.result;
            if (r == 0 && ret_equal) {
                *ret_equal = p.equal;
            }
            break;
        }
        if (clock_mono_ns(a->w->clock) >= until) {
            r = err_set(&op_err, JF_E_TIMEOUT, "%s did not end", flash_op_name(op));
            break;
        }
        int k = attempt_wait(a, clock_mono_ns(a->w->clock) + 20 * CLOCK_NS_PER_MS, stop ? NULL : &stop_err);
        if (k < 0 && !stop) {
            stop = k;
            run->cancel(a->flash); /* keep stepping until it has ended */
        }
    }
    if (stop || r < 0) {
        if (reterr) {
            *reterr = stop ? stop_err : op_err;
        }
        return attempt_blame(a, r == JF_E_VERIFY || r == JF_E_IDENTITY ? "board" : "probe", stop ? stop : r);
    }
    return 0;
}

int attempt_command(struct attempt *a, const char *text, int timeout_ms, struct err *reterr) {
    int r = dut_send(&a->dut, text, reterr);
    int64_t until = clock_mono_ns(a->w->clock) + timeout_ms * CLOCK_NS_PER_MS;
    while (r == 0 && a->dut.reply_open) {
        if (clock_mono_ns(a->w->clock) >= until) {
            a->dut.reply_open = false; /* whatever still comes is read, not waited for */
            r = a->dut.error ? err_set(reterr, JF_E_DUT_ERROR, "the board answered \"%s\" to \"%s\" and then nothing",
                                       a->dut.error_text, text)
                             : err_set(reterr, JF_E_DUT_SILENT, "the board did not answer \"%s\" within %d ms", text,
                                       timeout_ms);
            break;
        }
        r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    if (r == 0 && a->dut.error) {
        r = err_set(reterr, JF_E_DUT_ERROR, "the board answered \"%s\" to \"%s\"", a->dut.error_text, text);
    }
    return attempt_blame(a, "board", r);
}
