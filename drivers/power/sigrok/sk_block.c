/* SPDX-License-Identifier: GPL-2.0-or-later
 * An oscilloscope as a block instrument: configured, armed and watched over a short SCPI connection of our own, read out
 * by libsigrok's hameg-hmo. libsigrok only reads what is in memory, one channel after another; only a stopped single
 * acquisition gives all channels of the same time.
 *
 *   setup: STOP, channels exactly as mapped, time base, trigger          (own connection)
 *   arm:   RUNSingle, seen armed, pre-trigger filled                      (own connection, kept)
 *   pump:  ACQuire:STATe? until COMPlete, DATA:HEADer?, close             (own connection)
 *          open, read all channels, close                                 (libsigrok, under the watchdog)
 *
 * Channels are switched before arming: libsigrok would send the missing switches when it starts to read, which may
 * invalidate the record. Source: libsigrok 0.5.2 src/hardware/hameg-hmo/{api,protocol}.c; R&S HMO SCPI manual. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "drivers/power/sigrok/sk.h"

#define POLL_MS 10
#define SEEN_ARMED_MS 2000
#define BLOCK_SAMPLES 8192u
#define COUNT_SLACK 1.5 /* samples: the header's end is the last sample in one manual, the end of its cell in another */

static int link_open(struct sk *s, struct err *reterr) {
    scpi_link_close(s->link);
    s->link = NULL;
    return scpi_link_open(&s->conf.scpi, s->clock, s->conf.stall_ms, s->cancel_fd, &s->link, reterr);
}

static void link_close(struct sk *s) {
    scpi_link_close(s->link);
    s->link = NULL;
}

static int ask_number(struct sk *s, const char *command, double *ret_v, struct err *reterr) {
    char answer[SCPI_LINE_MAX];
    int r = scpi_link_ask(s->link, command, answer, reterr);
    if (r == 0 && scpi_number(answer, strlen(answer), ret_v) < 0) {
        r = err_set(reterr, JF_E_PROTOCOL, "%s was answered with '%.40s', not a number", command, answer);
    }
    return r;
}

int sk_block_probe(struct sk *s, struct err *reterr) {
    char answer[SCPI_LINE_MAX];
    int r = link_open(s, reterr);
    r = r < 0 ? r : scpi_link_ask(s->link, "*IDN?", answer, reterr);
    link_close(s);
    if (r < 0) {
        return r;
    }
    if (scpi_idn(answer, &s->idn) < 0) {
        return err_set(reterr, JF_E_PROTOCOL, "*IDN? was answered with '%.80s'", answer);
    }
    if (s->conf.serial[0] && strcmp(s->conf.serial, s->idn.serial) != 0) {
        return err_set_at(reterr, JF_E_IDENTITY, "serial", "this is %s %s, configured is serial number %s", s->idn.model, s->idn.serial, s->conf.serial);
    }
    return 0;
}

static int send_f(struct sk *s, struct err *reterr, const char *fmt, ...) JF_PRINTF(3, 4);
static int send_f(struct sk *s, struct err *reterr, const char *fmt, ...) {
    char line[128];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return scpi_link_send(s->link, line, reterr);
}

static bool is_marker(const struct sk *s, const char *name) {
    for (int i = 0; i < s->conf.n_markers; i++) {
        if (strcmp(s->conf.markers[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Exactly the mapped channels on, all others off, as libsigrok will want them. */
static int send_channels(struct sk *s, struct err *reterr) {
    bool pod[2] = {false, false};
    int pods = 0, r = 0;
    /* RTB, RTM and RTA name a pod LOGic; their single lines follow it. */
    bool log_is_pod = strncmp(s->idn.model, "RT", 2) == 0 && strncmp(s->idn.model, "RTC", 3) != 0;
    for (GSList *l = sr_dev_inst_channels_get(s->sdi); l && r == 0; l = l->next) {
        const struct sr_channel *ch = l->data;
        if (ch->type == SR_CHANNEL_ANALOG) {
            bool on = ch == s->feeds.current_ch || ch == s->feeds.voltage_ch;
            r = send_f(s, reterr, "CHAN%d:STAT %d", ch->index + 1, on);
            r = r < 0 || !on ? r : send_f(s, reterr, "CHAN%d:DATA:POIN MAX", ch->index + 1);
        } else if (ch->index / 8 < 2) {
            bool on = is_marker(s, ch->name);
            pods = ch->index / 8 + 1;
            pod[ch->index / 8] = pod[ch->index / 8] || on;
            r = log_is_pod ? 0 : send_f(s, reterr, "LOG%d:STAT %d", ch->index, on);
        }
    }
    for (int p = 0; p < pods && r == 0; p++) {
        r = send_f(s, reterr, "%s%d:STAT %d", log_is_pod ? "LOG" : "POD", p + 1, pod[p]);
    }
    return r;
}

static int send_trigger(struct sk *s, struct err *reterr) {
    /* Decimal point whatever the locale: microseconds as an integer with an exponent. */
    long long us = llround(scpi_position(s->timebase.span_s, s->pre_s) * 1e6);
    int r = send_f(s, reterr, "TIM:SCAL %s", s->timebase.text);
    r = r < 0 ? r : send_f(s, reterr, "TIM:POS %lldE-6", us);
    r = r < 0 ? r : send_f(s, reterr, "TRIG:A:MODE %s", s->trigger_marker >= 0 ? "NORM" : "AUTO");
    if (s->trigger_marker >= 0) {
        r = r < 0 ? r : send_f(s, reterr, "TRIG:A:TYPE EDGE");
        r = r < 0 ? r : send_f(s, reterr, "TRIG:A:SOUR %s", s->conf.markers[s->trigger_marker]);
        r = r < 0 ? r : send_f(s, reterr, "TRIG:A:EDGE:SLOP NEG");
    }
    return r;
}

static int configure(struct sk *s, struct err *reterr) {
    char answer[SCPI_LINE_MAX];
    int r = scpi_link_send(s->link, "*CLS", reterr);
    r = r < 0 ? r : scpi_link_send(s->link, "STOP", reterr);
    r = r < 0 ? r : send_channels(s, reterr);
    r = r < 0 ? r : send_trigger(s, reterr);
    r = r < 0 ? r : scpi_link_ask(s->link, "*OPC?", answer, reterr);
    r = r < 0 ? r : scpi_link_ask(s->link, "SYST:ERR?", answer, reterr);
    if (r == 0 && strncmp(answer, "0,", 2) != 0 && strcmp(answer, "0") != 0) {
        return err_set(reterr, JF_E_INSTRUMENT, "the instrument refuses a setting: %.80s", answer);
    }
    double scale = 0;
    r = r < 0 ? r : ask_number(s, "TIM:SCAL?", &scale, reterr);
    if (r == 0 && fabs(scale / s->timebase.scale_s - 1) > 1e-3) {
        return err_set(reterr, JF_E_INSTRUMENT, "asked for a time base of %s s, the instrument took %g s", s->timebase.text, scale);
    }
    r = r < 0 ? r : ask_number(s, "ACQ:SRAT?", &s->rate_hz, reterr);
    if (r == 0 && !(s->rate_hz >= 1 && s->rate_hz <= 1e11)) {
        return err_set(reterr, JF_E_INSTRUMENT, "the instrument states a sample rate of %g Hz", s->rate_hz);
    }
    return r;
}

int sk_block_setup(struct sk *s, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    if (!(asked->capture_s > 0) || scpi_timebase(asked->capture_s, &s->timebase) < 0) {
        return err_set(reterr, JF_E_INVAL, "an acquisition of %g s cannot be set (more than 0, at most 600 s)", asked->capture_s);
    }
    if (asked->trigger_marker >= s->conf.n_markers) {
        return err_set(reterr, JF_E_INVAL, "the trigger is marker line %d, but %d lines are mapped", asked->trigger_marker, s->conf.n_markers);
    }
    s->pre_s = asked->pre_s;
    s->trigger_marker = asked->trigger_marker;
    s->phase = SK_IDLE;
    int r = link_open(s, reterr);
    r = r < 0 ? r : configure(s, reterr);
    link_close(s);
    if (r < 0) {
        return r;
    }
    ret_granted->rate_hz = s->rate_hz;
    ret_granted->capture_s = s->timebase.span_s;
    return 0;
}

/* Waits ms; JF_E_CANCELED when the capture is canceled meanwhile. */
static int nap(struct sk *s, int ms, struct err *reterr) {
    struct pollfd fd = {.fd = s->cancel_fd, .events = POLLIN};
    if (poll(&fd, 1, ms) < 0 && errno != EINTR) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot wait for the instrument");
    }
    return fd.revents & POLLIN ? err_set(reterr, JF_E_CANCELED, "canceled while waiting for the instrument") : 0;
}

static int ask_state(struct sk *s, enum scpi_state *ret_state, struct err *reterr) {
    char answer[SCPI_LINE_MAX];
    int r = scpi_link_ask(s->link, "ACQ:STAT?", answer, reterr);
    if (r == 0 && scpi_state(answer, ret_state) < 0) {
        r = err_set(reterr, JF_E_PROTOCOL, "ACQ:STAT? was answered with '%.40s'", answer);
    }
    return r;
}

/* RUN must be *seen*: COMPlete alone may be the last acquisition's. An untriggered one may be over before the first look. */
static int wait_armed(struct sk *s, struct err *reterr) {
    int64_t deadline = clock_mono_ns(s->clock) + SEEN_ARMED_MS * CLOCK_NS_PER_MS;
    for (;;) {
        enum scpi_state state = SCPI_BREAK;
        int r = ask_state(s, &state, reterr);
        if (r < 0) {
            return r;
        }
        if (state == SCPI_RUN || (state == SCPI_COMPLETE && s->trigger_marker < 0)) {
            return 0;
        }
        if (clock_left_ms(s->clock, deadline, SEEN_ARMED_MS) == 0) {
            return err_set(reterr, JF_E_INSTRUMENT, "the instrument did not arm within %d ms", SEEN_ARMED_MS);
        }
        r = nap(s, POLL_MS, reterr);
        if (r < 0) {
            return r;
        }
    }
}

int sk_block_arm(struct sk *s, struct err *reterr) {
    s->phase = SK_IDLE;
    int r = link_open(s, reterr);
    r = r < 0 ? r : scpi_link_send(s->link, "RUNS", reterr);
    r = r < 0 ? r : wait_armed(s, reterr);
    /* An edge that comes before the pre-trigger memory is full would be missed. */
    r = r < 0 || s->trigger_marker < 0 ? r : nap(s, (int)ceil(s->pre_s * 1000) + POLL_MS, reterr);
    if (r < 0) {
        link_close(s);
        return r;
    }
    s->phase = SK_ARMED;
    s->armed_ns = clock_mono_ns(s->clock);
    return 0;
}

/* 1: complete; 0: the budget is over. */
static int wait_complete(struct sk *s, int budget_ms, struct err *reterr) {
    int64_t deadline = clock_mono_ns(s->clock) + budget_ms * CLOCK_NS_PER_MS;
    for (;;) {
        enum scpi_state state = SCPI_BREAK;
        int r = ask_state(s, &state, reterr);
        if (r < 0) {
            return r;
        }
        if (state == SCPI_COMPLETE) {
            return 1;
        }
        if (state == SCPI_BREAK) {
            return err_set(reterr, JF_E_INSTRUMENT, "the acquisition was stopped before it was complete");
        }
        int64_t waited_ms = (clock_mono_ns(s->clock) - s->armed_ns) / CLOCK_NS_PER_MS;
        if (s->conf.trigger_timeout_ms > 0 && waited_ms > s->conf.trigger_timeout_ms + (int64_t)(s->timebase.span_s * 1000)) {
            return err_set(reterr, JF_E_INSTRUMENT, "the instrument was not triggered within %d ms", s->conf.trigger_timeout_ms);
        }
        int left = clock_left_ms(s->clock, deadline, POLL_MS);
        if (left == 0) {
            return 0;
        }
        r = nap(s, left, reterr);
        if (r < 0) {
            return r;
        }
    }
}

/* What the record should be, against what was set up. */
static int check_header(struct sk *s, int channel, uint64_t *ret_count, struct err *reterr) {
    char command[64], answer[SCPI_LINE_MAX];
    struct scpi_header h;
    (void)snprintf(command, sizeof command, "CHAN%d:DATA:HEAD?", channel);
    int r = scpi_link_ask(s->link, command, answer, reterr);
    if (r < 0) {
        return r;
    }
    if (scpi_header(answer, &h) < 0) {
        return err_set(reterr, JF_E_PROTOCOL, "%s was answered with '%.80s'", command, answer);
    }
    double span = h.to_s - h.from_s, tolerance = s->timebase.span_s / 100;
    if (fabs(span * s->rate_hz - (double)h.count) > COUNT_SLACK + 1e-6 * (double)h.count) {
        return err_set(reterr, JF_E_INSTRUMENT, "CH%d: %llu samples do not fill %g s at the stated %g Hz", channel, (unsigned long long)h.count, span, s->rate_hz);
    }
    if (fabs(span - s->timebase.span_s) > tolerance || (s->trigger_marker >= 0 && fabs(h.from_s + s->pre_s) > tolerance)) {
        return err_set(reterr, JF_E_INSTRUMENT, "CH%d: the record is [%g s, %g s], asked was %g s with %g s before the trigger", channel, h.from_s, h.to_s,
                       s->timebase.span_s, s->pre_s);
    }
    if (*ret_count != 0 && *ret_count != h.count) {
        return err_set(reterr, JF_E_INSTRUMENT, "the channels' records differ in length: %llu and %llu samples", (unsigned long long)*ret_count, (unsigned long long)h.count);
    }
    *ret_count = h.count;
    return 0;
}

static int check_record(struct sk *s, uint64_t *ret_count, struct err *reterr) {
    uint64_t count = 0;
    int r = ask_number(s, "ACQ:SRAT?", &s->rate_hz, reterr);
    r = r < 0 ? r : check_header(s, s->feeds.current_ch->index + 1, &count, reterr);
    if (r == 0 && s->feeds.has_voltage) {
        r = check_header(s, s->feeds.voltage_ch->index + 1, &count, reterr);
    }
    *ret_count = count;
    return r;
}

/* Runs the session until it ends by itself or the watchdog has spoken. */
static enum sk_verdict run_session(struct sk *s) {
    while (sk_lib_running(s)) {
        if (sk_lib_turn(s, 50) < 0 || sk_watch_now(&s->watch) != SK_FINE) {
            break;
        }
    }
    return sk_watch_now(&s->watch);
}

static int read_out(struct sk *s, struct err *reterr) {
    int r = sk_watch_begin(&s->watch, &s->conf, s->clock, s->cancel_fd, reterr);
    if (r < 0) {
        return r;
    }
    struct err err = {0};
    bool opened = sr_dev_open(s->sdi) == SR_OK;
    s->dev_open = opened;
    r = opened ? sk_lib_channels(s, &err) : err_set(&err, JF_E_INSTRUMENT, "libsigrok cannot open the instrument");
    r = r < 0 ? r : sk_lib_session(s, &err);
    enum sk_verdict v = sk_watch_now(&s->watch);
    if (r == 0) {
        v = run_session(s);
        if (v == SK_FINE && s->feeds.error < 0) {
            r = s->feeds.error;
            err = s->feeds.err;
        }
    }
    sk_lib_session_end(s);
    if (opened) {
        (void)sr_dev_close(s->sdi);
        s->dev_open = false;
    }
    enum sk_verdict last = sk_watch_end(&s->watch);
    if (!opened) {
        sk_watch_close_left(&s->conf);
    }
    v = v == SK_FINE && r < 0 ? last : v; /* a failure to open is the verdict's, when there is one */
    if (v == SK_FINE) {
        return r < 0 ? err_set(reterr, r, "%s", err.text) : 0;
    }
    char text[96];
    (void)snprintf(text, sizeof text, "reading the record stopped after %zu current samples", s->feeds.current.have);
    return sk_verdict_error(v, s->conf.stall_ms, JF_E_INSTRUMENT, text, reterr);
}

static int check_frame(const struct sk *s, uint64_t count, struct err *reterr) {
    const struct sk_feeds *f = &s->feeds;
    const struct {
        const char *name;
        size_t have;
        bool used;
    } parts[] = {{s->conf.current.name, f->current.have, true}, {s->conf.voltage.name, f->voltage.have, f->has_voltage}, {"marker", f->markers.have, f->n_markers > 0}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].used && parts[i].have != count) {
            return err_set(reterr, JF_E_INSTRUMENT, "short frame: %zu of %llu %s samples arrived", parts[i].have, (unsigned long long)count, parts[i].name);
        }
    }
    return 0;
}

static int deliver(struct sk *s, power_block_fn *fn, void *user) {
    const struct sk_feeds *f = &s->feeds;
    size_t n = f->current.have;
    int blocks = 0;
    for (size_t at = 0; at < n; blocks++) {
        size_t take = n - at < BLOCK_SAMPLES ? n - at : BLOCK_SAMPLES;
        struct power_block b = {.first = s->next,
                                .count = (uint32_t)take,
                                .period_s = 1 / s->rate_hz,
                                .flags = (at == 0 ? POWER_SEGMENT_START : 0) | (at + take == n ? POWER_SEGMENT_END : 0),
                                .current_a = (const float *)f->current.data + at,
                                .voltage_v = f->has_voltage ? (const float *)f->voltage.data + at : NULL,
                                .markers = f->n_markers > 0 ? (const uint8_t *)f->markers.data + at : NULL};
        s->next += (int64_t)take;
        at += take;
        int r = fn(user, &b);
        if (r < 0) {
            return r;
        }
    }
    return blocks;
}

int sk_block_pump(struct sk *s, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    if (s->phase != SK_ARMED) {
        return err_set(reterr, JF_E_CONFLICT, "the acquisition was already read: arm the next one");
    }
    uint64_t count = 0;
    int r = wait_complete(s, budget_ms, reterr);
    if (r == 0) {
        return 0;
    }
    r = r < 0 ? r : check_record(s, &count, reterr);
    link_close(s); /* before libsigrok connects: such an instrument serves one client at a time */
    s->phase = SK_DONE;
    r = r < 0 ? r : read_out(s, reterr);
    r = r < 0 ? r : check_frame(s, count, reterr);
    r = r < 0 ? r : deliver(s, fn, user);
    sk_feeds_clear(&s->feeds);
    return r;
}
