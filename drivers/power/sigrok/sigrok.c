/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ops table over libsigrok: streaming devices here, block instruments in sk_block.c. Owns struct sk.
 * Threads: drivers/power/sigrok/sigrok.h. libsigrok sends without MSG_NOSIGNAL, so every entry blocks SIGPIPE in the calling
 * thread: a closed instrument must not kill the process. */
#include "drivers/power/sigrok/sigrok.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/power/sigrok/sk.h"

#define STREAM_BLOCK 8192u
#define TURN_MS 50 /* between looks at the cancel descriptor */

static void block_sigpipe(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void sk_close(void *dev, bool leave_supply_on) {
    struct sk *s = dev;
    (void)leave_supply_on; /* no supply */
    if (!s) {
        return;
    }
    block_sigpipe();
    scpi_link_close(s->link);
    if (s->sdi) {
        sk_lib_close(s);
    }
    sk_feeds_done(&s->feeds);
    if (s->cancel_fd >= 0) {
        (void)close(s->cancel_fd);
    }
    if (s->blind_fd >= 0) {
        (void)close(s->blind_fd);
    }
    free(s);
}

static int sk_open(const json_t *conf, const struct clock_src *clock, void **ret_dev, struct err *reterr) {
    struct sk *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "no memory for an instrument");
    }
    block_sigpipe();
    s->clock = clock;
    s->trigger_marker = -1;
    s->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->blind_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = s->cancel_fd < 0 || s->blind_fd < 0 ? err_set_errno(reterr, JF_E_IO, errno, "no event descriptor") : 0;
    r = r < 0 ? r : sk_conf_read(conf, &s->conf, reterr);
    r = r < 0 || !s->conf.arm_scpi ? r : sk_block_probe(s, reterr);
    r = r < 0 ? r : sk_lib_open(s, reterr);
    s->conf.json = NULL;
    if (r < 0) {
        sk_close(s, false);
        return r;
    }
    *ret_dev = s;
    return 0;
}

static void copy_name(char *dst, size_t cap, const char *src) { (void)snprintf(dst, cap, "%s", src ? src : ""); }

static int sk_info(void *dev, struct power_info *ret_info) {
    const struct sk *s = dev;
    const struct sk_conf *c = &s->conf;
    struct power_info i = {.driver = "sigrok",
                           .shape = c->arm_scpi ? POWER_BLOCK : POWER_STREAMING,
                           .maturity = POWER_SIMULATED,
                           .caps = POWER_CAP_METER_MODE | (s->feeds.has_voltage ? POWER_CAP_VOLTAGE : 0) | (c->n_markers > 0 ? POWER_CAP_MARKERS : 0) |
                                   (c->markers_only ? POWER_CAP_MARKERS_ONLY | POWER_CAP_HOST_TIME : 0),
                           .rate_hz = s->rate_hz,
                           .marker_phase = c->marker_phase,
                           .n_markers = c->n_markers,
                           .n_ranges = c->markers_only ? 0 : 1,
                           .voltage_kind = POWER_SPEC_UNKNOWN,
                           .clock_ppm = c->clock_ppm,
                           .spec_source = c->acc.given ? c->acc_source : "not stated"};
    const char *model = sr_dev_inst_model_get(s->sdi), *serial = sr_dev_inst_sernum_get(s->sdi), *version = sr_dev_inst_version_get(s->sdi);
    const char *vendor = sr_dev_inst_vendor_get(s->sdi);
    (void)snprintf(i.model, sizeof i.model, "%s%s%s", vendor ? vendor : "", vendor && *vendor ? " " : "", model ? model : "");
    copy_name(i.serial, sizeof i.serial, serial);
    copy_name(i.firmware, sizeof i.firmware, version);
    i.ranges[0] = (struct power_range){.from_a = c->current_range_a > 0 ? -c->current_range_a : 0,
                                       .to_a = c->current_range_a,
                                       .gain_rel = c->acc.current_gain,
                                       .offset_a = c->acc.current_offset_a,
                                       .resolution_a = c->resolution_a,
                                       .shunt_ohm = c->shunt_ohm,
                                       .gain_corr_rel = c->acc.current_gain_corr,
                                       .offset_corr_a = c->acc.current_offset_corr_a,
                                       .kind = c->acc.kind};
    i.voltage_gain_rel = c->acc.voltage_gain;
    i.voltage_offset_v = c->acc.voltage_offset_v;
    i.voltage_kind = c->acc.voltage_given ? c->acc.kind : POWER_SPEC_UNKNOWN;
    i.min_capture_s = c->arm_scpi ? 24e-9 : 0;
    i.max_capture_s = c->arm_scpi ? 600 : 0;
    *ret_info = i;
    return 0;
}

static int read_rate(struct sk *s, struct err *reterr) {
    GVariant *v = NULL;
    int sr = sr_config_get(sr_dev_inst_driver_get(s->sdi), s->sdi, NULL, SR_CONF_SAMPLERATE, &v);
    uint64_t rate = sr == SR_OK ? g_variant_get_uint64(v) : 0;
    if (v) {
        g_variant_unref(v);
    }
    if (rate == 0) {
        return err_set(reterr, JF_E_INSTRUMENT, "the instrument does not say its sample rate");
    }
    s->rate_hz = (double)rate;
    return 0;
}

static int stream_setup(struct sk *s, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    if (asked->trigger_marker >= 0) {
        return err_set(reterr, JF_E_UNSUPPORTED, "a streaming instrument is not triggered");
    }
    if (asked->rate_hz >= 1) {
        int sr = sr_config_set(s->sdi, NULL, SR_CONF_SAMPLERATE, g_variant_new_uint64((guint64)llround(asked->rate_hz)));
        if (sr != SR_OK && sr != SR_ERR_NA) { /* one fixed rate: read below */
            return err_set(reterr, JF_E_INSTRUMENT, "the instrument refuses %g Hz: %s", asked->rate_hz, sr_strerror(sr));
        }
    }
    int r = read_rate(s, reterr);
    if (r < 0) {
        return r;
    }
    double wanted = ceil(asked->capture_s * s->rate_hz);
    s->limit = wanted > 0 && wanted < 9e15 ? (uint64_t)wanted : 0;
    if (s->limit > 0 || s->limited) { /* `beaglelogic` takes a limit of 0 for one, so it is told only to lift another */
        int sr = sr_config_set(s->sdi, NULL, SR_CONF_LIMIT_SAMPLES, g_variant_new_uint64(s->limit));
        if (sr != SR_OK && s->limit > 0) {
            return err_set(reterr, JF_E_UNSUPPORTED, "the instrument has no sample limit: %s", sr_strerror(sr));
        }
        s->limited = true;
    }
    ret_granted->rate_hz = s->rate_hz;
    ret_granted->capture_s = (double)s->limit / s->rate_hz;
    ret_granted->pre_s = 0;
    return 0;
}

static int sk_setup(void *dev, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    struct sk *s = dev;
    block_sigpipe();
    return s->conf.arm_scpi ? sk_block_setup(s, asked, ret_granted, reterr) : stream_setup(s, asked, ret_granted, reterr);
}

static void forget_cancel(struct sk *s) {
    uint64_t sink = 0;
    (void)!read(s->cancel_fd, &sink, sizeof sink); /* an old cancel does not concern the new capture */
}

static int sk_start(void *dev, struct err *reterr) {
    struct sk *s = dev;
    block_sigpipe();
    if (s->conf.arm_scpi) {
        return err_set(reterr, JF_E_UNSUPPORTED, "this instrument does not stream: arm it");
    }
    forget_cancel(s);
    int r = sk_lib_channels(s, reterr);
    r = r < 0 ? r : sk_watch_begin(&s->watch, &s->conf, s->clock, s->cancel_fd, reterr);
    if (r < 0) {
        return r;
    }
    r = sk_lib_session(s, reterr);
    if (r < 0) {
        (void)sk_watch_end(&s->watch);
        return r;
    }
    s->next = 0;
    s->phase = SK_STREAMING;
    return 0;
}

static int sk_arm(void *dev, struct err *reterr) {
    struct sk *s = dev;
    block_sigpipe();
    if (!s->conf.arm_scpi) {
        return err_set(reterr, JF_E_UNSUPPORTED, "this instrument streams and cannot be armed");
    }
    forget_cancel(s);
    return sk_block_arm(s, reterr);
}

/* Hands out what all mapped channels have; the number of blocks. */
static int stream_deliver(struct sk *s, power_block_fn *fn, void *user) {
    const struct sk_feeds *f = &s->feeds;
    size_t ready = sk_feeds_ready(f), at = 0;
    int blocks = 0, r = 0;
    while (at < ready && r >= 0) {
        size_t n = ready - at < STREAM_BLOCK ? ready - at : STREAM_BLOCK;
        struct power_block b = {.first = s->next,
                                .count = (uint32_t)n,
                                .period_s = 1 / s->rate_hz,
                                .host_raw_ns = f->has_current ? 0 : f->last_raw_ns,
                                .current_a = f->has_current ? (const float *)f->current.data + at : NULL,
                                .voltage_v = f->has_voltage ? (const float *)f->voltage.data + at : NULL,
                                .markers = f->n_markers > 0 ? (const uint8_t *)f->markers.data + at : NULL};
        s->next += (int64_t)n;
        at += n;
        r = fn(user, &b);
        blocks++;
    }
    sk_feeds_drop(&s->feeds, at);
    return r < 0 ? r : blocks;
}

static int stream_end(struct sk *s, int left_ms, struct err *reterr) {
    if (s->limit == 0 || (uint64_t)s->next < s->limit) {
        return err_set(reterr, JF_E_GONE, "the instrument ended its stream after %lld samples", (long long)s->next);
    }
    struct pollfd fd = {.fd = s->cancel_fd, .events = POLLIN};
    (void)poll(&fd, 1, left_ms); /* all that was asked for is here: the rest of the budget passes in silence */
    return 0;
}

static int stream_pump(struct sk *s, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    int64_t deadline = clock_mono_ns(s->clock) + budget_ms * CLOCK_NS_PER_MS;
    for (;;) {
        struct pollfd fd = {.fd = s->cancel_fd, .events = POLLIN};
        if (poll(&fd, 1, 0) > 0) {
            return err_set(reterr, JF_E_CANCELED, "the capture was canceled");
        }
        int left = clock_left_ms(s->clock, deadline, budget_ms);
        if (sk_lib_running(s) && sk_lib_turn(s, left < TURN_MS ? left : TURN_MS) < 0) {
            return err_set(reterr, s->feeds.error, "%s", s->feeds.err.text);
        }
        int r = stream_deliver(s, fn, user);
        if (r != 0) {
            return r;
        }
        enum sk_verdict v = sk_watch_now(&s->watch);
        if (v != SK_FINE) {
            return sk_verdict_error(v, s->conf.stall_ms, JF_E_INSTRUMENT, "the stream broke", reterr);
        }
        if (!sk_lib_running(s)) {
            return stream_end(s, left, reterr);
        }
        if (clock_mono_ns(s->clock) - s->feeds.last_ns > s->conf.stall_ms * CLOCK_NS_PER_MS) {
            return err_set(reterr, JF_E_STALLED, "the instrument sent nothing for %d ms", s->conf.stall_ms);
        }
        if (left == 0) {
            return 0;
        }
    }
}

static int sk_pump(void *dev, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    struct sk *s = dev;
    block_sigpipe();
    return s->conf.arm_scpi ? sk_block_pump(s, budget_ms, fn, user, reterr) : stream_pump(s, budget_ms, fn, user, reterr);
}

static int sk_stop(void *dev, struct err *reterr) {
    struct sk *s = dev;
    block_sigpipe();
    int r = 0;
    if (s->conf.arm_scpi && s->phase == SK_ARMED && s->link) {
        r = scpi_link_send(s->link, "STOP", reterr);
    }
    scpi_link_close(s->link);
    s->link = NULL;
    sk_lib_session_end(s);
    (void)sk_watch_end(&s->watch);
    s->phase = SK_IDLE;
    return r;
}

static void sk_cancel(void *dev) {
    struct sk *s = dev;
    uint64_t one = 1;
    (void)!write(s->cancel_fd, &one, sizeof one);
}

static int sk_find(json_t **ret_list, struct err *reterr) {
    /* libsigrok's scans write to every port they are given, so nothing is scanned: only what needs no port is listed. */
    json_t *list = json_pack("[{s:s, s:s, s:s, s:s}]", "driver", "sigrok", "conn", "demo", "model", "libsigrok demo device", "serial", "");
    if (!list) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the list of instruments");
    }
    *ret_list = list;
    return 0;
}

const struct power_driver power_driver_sigrok = {
    .name = "sigrok",
    .sentence = "any libsigrok device; oscilloscopes armed over SCPI",
    .shape = POWER_STREAMING,
    .maturity = POWER_SIMULATED,
    .max_block_ms = -1,
    .open = sk_open,
    .info = sk_info,
    .setup = sk_setup,
    .start = sk_start,
    .arm = sk_arm,
    .pump = sk_pump,
    .stop = sk_stop,
    .supply = NULL,
    .cancel = sk_cancel,
    .close = sk_close,
    .find = sk_find,
};
