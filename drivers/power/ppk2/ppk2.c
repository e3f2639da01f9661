/* SPDX-License-Identifier: GPL-2.0-or-later
 * Glue between a serial port and the PPK2 codec. Owns the port for as long as the device is open: closing it drops the
 * unit's output within half a second. Knows no byte layout (ppk2_proto.c, ppk2_stream.c).
 * Thread: one at a time, cancel from any. Facts and traps: see ppk2_proto.h; troubleshooting pages of the same sources. */
#include "drivers/power/ppk2/ppk2.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/serial/serial.h"
#include "drivers/power/conf.h"
#include "drivers/power/ppk2/ppk2_proto.h"

#define USB_VID 0x1915u
#define USB_PID 0xC00Au
#define WRITE_MS 500
#define QUIET_MS 60 /* so long without a byte: the stream has ended. A unit streams every millisecond */
#define STOP_TRIES 3
#define STOP_TRY_MS 500
#define META_MS 1500
#define META_TRIES 2
#define NAP_MS 8 /* lets about 800 samples gather: one wake-up and one block instead of a dozen */
#define FRESH_MS 4 /* a unit streams every millisecond */
#define BUFFER 65536u

struct ppk2 {
    const struct clock_src *clock;
    struct serial *port; /* owned */
    int cancel_fd; /* owned */
    bool ampere, running, supply_on;
    double supply_v; /* set (source mode) or stated (ampere mode); 0: none yet */
    int stall_ms;
    int n_markers;
    uint8_t line_of[256]; /* D0-D7 as read -> marker lines as mapped */
    struct power_accuracy acc;
    char *acc_source; /* owned */
    double clock_ppm;
    struct ppk2_meta meta;
    struct ppk2_cal cal;
    struct ppk2_stream stream;
    char serial[64], notes[256];
    int64_t next; /* sample index */
    int64_t last_data_ns; /* mono */
    size_t have;
    uint8_t buffer[BUFFER];
    struct ppk2_batch batch;
    uint8_t markers[PPK2_BATCH], quality[PPK2_BATCH];
};

static int send_command(struct ppk2 *p, enum ppk2_command command, struct err *reterr) {
    uint8_t bytes[PPK2_COMMAND_MAX];
    size_t n = ppk2_encode(command, bytes);
    return serial_write(p->port, bytes, n, WRITE_MS, reterr);
}

/* Waits until the port is readable: 1, 0 after ms, JF_E_CANCELED. */
static int wait_readable(struct ppk2 *p, int ms, struct err *reterr) {
    struct pollfd fds[2] = {{.fd = serial_poll_fd(p->port), .events = POLLIN}, {.fd = p->cancel_fd, .events = POLLIN}};
    if (poll(fds, 2, ms) < 0 && errno != EINTR) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot wait for the PPK2");
    }
    if (fds[1].revents & POLLIN) {
        return err_set(reterr, JF_E_CANCELED, "the capture was canceled");
    }
    return fds[0].revents != 0 ? 1 : 0;
}

/* Stops the stream and discards it until the line is quiet: a unit whose last user was killed still streams, and stop
 * takes effect late. */
static int quiesce(struct ppk2 *p, struct err *reterr) {
    for (int try = 0; try < STOP_TRIES; try++) {
        int r = send_command(p, PPK2_STOP, reterr);
        if (r < 0) {
            return r;
        }
        int64_t deadline = clock_mono_ns(p->clock) + STOP_TRY_MS * CLOCK_NS_PER_MS;
        while (clock_left_ms(p->clock, deadline, STOP_TRY_MS) > 0) {
            struct pollfd fd = {.fd = serial_poll_fd(p->port), .events = POLLIN};
            if (poll(&fd, 1, QUIET_MS) == 0) {
                return 0;
            }
            uint8_t sink[4096];
            r = serial_read(p->port, sink, sizeof sink, reterr);
            if (r < 0) {
                return r;
            }
        }
    }
    return err_set(reterr, JF_E_INSTRUMENT, "the PPK2 keeps sending %d ms after it was told to stop", STOP_TRIES * STOP_TRY_MS);
}

static int ask_metadata(struct ppk2 *p, struct err *reterr) {
    size_t n = 0;
    int r = send_command(p, PPK2_METADATA, reterr);
    if (r < 0) {
        return r;
    }
    char text[PPK2_META_MAX];
    int64_t deadline = clock_mono_ns(p->clock) + META_MS * CLOCK_NS_PER_MS;
    while (n < sizeof text && !ppk2_meta_complete(text, n)) {
        int left = clock_left_ms(p->clock, deadline, META_MS);
        if (left == 0) {
            break;
        }
        struct pollfd fd = {.fd = serial_poll_fd(p->port), .events = POLLIN};
        if (poll(&fd, 1, left) <= 0) {
            continue;
        }
        r = serial_read(p->port, text + n, sizeof text - n, reterr);
        if (r < 0) {
            return r;
        }
        n += (size_t)r;
    }
    if (n == 0) {
        return err_set(reterr, JF_E_INSTRUMENT, "the PPK2 does not answer the metadata request (a unit may show two ports: only one measures)");
    }
    return ppk2_meta_parse(text, n, &p->meta, reterr);
}

/* The unit's modifiers, then the configuration's over them; a modifier that neither gives is an error, because the
 * nominal values of other sources would be silently wrong by several percent. */
static int take_calibration(struct ppk2 *p, const json_t *conf, struct err *reterr) {
    const json_t *own = json_object_get(conf, "calibration");
    const char *key;
    json_t *value;
    int replaced = 0;
    json_object_foreach((json_t *)own, key, value) {
        enum ppk2_modifier mod;
        int range;
        if (!ppk2_modifier_by_name(key, &mod, &range) || !json_is_number(value) || !isfinite(json_number_value(value))) {
            return err_set_at(reterr, JF_E_INVAL, "calibration", "'%s' is not a modifier with a number (R0-4, GS, GI, O, S, I, UG)", key);
        }
        p->meta.mod[mod][range] = json_number_value(value);
        p->meta.have[mod][range] = true;
        replaced++;
    }
    char missing[160];
    int n = ppk2_meta_missing(&p->meta, missing, sizeof missing);
    if (n > 0) {
        return err_set(reterr, JF_E_INSTRUMENT, "the PPK2's metadata lacks %d calibration values (%s): give them as `calibration`", n, missing);
    }
    memcpy(p->cal.mod, p->meta.mod, sizeof p->cal.mod);
    const char *unit = !p->meta.have_calibrated ? "the unit does not say whether it is calibrated"
                       : p->meta.calibrated     ? ""
                                                : "the unit says that it is not calibrated";
    (void)snprintf(p->notes, sizeof p->notes, "%s%s", unit, replaced ? (*unit ? "; calibration values from the configuration" : "calibration values from the configuration") : "");
    return 0;
}

static int take_markers(struct ppk2 *p, const json_t *conf, struct err *reterr) {
    const char *names[POWER_MAX_MARKERS];
    int n = 0, bit[POWER_MAX_MARKERS] = {0, 1, 2, 3, 4, 5, 6, 7};
    int r = power_conf_markers(conf, names, &n, reterr);
    if (r < 0) {
        return r;
    }
    p->n_markers = n < 0 ? POWER_MAX_MARKERS : n;
    for (int i = 0; i < n; i++) {
        bit[i] = power_conf_d_line(names[i], 7);
        if (bit[i] < 0) {
            return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "'%s' is not one of D0 to D7", names[i]);
        }
    }
    for (int v = 0; v < 256; v++) {
        unsigned out = 0;
        for (int i = 0; i < p->n_markers; i++) {
            out |= (((unsigned)v >> bit[i]) & 1u) << i;
        }
        p->line_of[v] = (uint8_t)out;
    }
    return 0;
}

struct pick {
    const char *serial;
    char path[64];
    int interface;
};
static int pick_port(void *user, const char *path, const struct serial_usb_id *id) {
    struct pick *k = user;
    if (id->vid != USB_VID || id->pid != USB_PID || strcmp(id->serial, k->serial) != 0) {
        return 0;
    }
    /* Firmware 1.2 and later shows two ports; the measuring one is the lower interface. */
    if (k->path[0] == '\0' || id->interface < k->interface) {
        (void)snprintf(k->path, sizeof k->path, "%s", path);
        k->interface = id->interface;
    }
    return 0;
}

/* Nothing is written before this has passed. */
static int check_identity(struct ppk2 *p, const char *path, const char *serial, bool trust, struct err *reterr) {
    struct serial_usb_id id;
    int r = serial_usb_identity(path, &id, NULL);
    if (r == JF_E_NOT_FOUND) {
        if (!trust) {
            return err_set_at(reterr, JF_E_IDENTITY, path, "the port is not a USB device; nothing is written to it unless `trust_port` is true");
        }
        (void)snprintf(p->serial, sizeof p->serial, "%s", serial ? serial : "");
        return 0;
    }
    if (r < 0) {
        return err_set_at(reterr, r, path, "the port's USB identity cannot be read");
    }
    if (id.vid != USB_VID || id.pid != USB_PID) {
        return err_set_at(reterr, JF_E_IDENTITY, path, "USB device %04x:%04x is not a PPK2 (1915:c00a)", id.vid, id.pid);
    }
    if (serial && strcmp(serial, id.serial) != 0) {
        return err_set_at(reterr, JF_E_IDENTITY, path, "this is PPK2 %s, configured is %s", id.serial, serial);
    }
    (void)snprintf(p->serial, sizeof p->serial, "%s", id.serial);
    return 0;
}

static int read_conf(struct ppk2 *p, const json_t *conf, struct err *reterr) {
    const char *mode = NULL;
    double stall_ms = 0, voltage_v = 0;
    int r = power_conf_string(conf, "mode", "source", &mode, reterr);
    r = r < 0 ? r : power_conf_number(conf, "stall_ms", 1500, 100, 60000, &stall_ms, reterr);
    r = r < 0 ? r : power_conf_number(conf, "clock_ppm", 100, 0, 1e5, &p->clock_ppm, reterr);
    r = r < 0 ? r : power_conf_accuracy(conf, &p->acc, reterr);
    r = r < 0 ? r : take_markers(p, conf, reterr);
    if (r < 0) {
        return r;
    }
    p->stall_ms = (int)stall_ms;
    p->ampere = strcmp(mode, "ampere") == 0;
    if (!p->ampere && strcmp(mode, "source") != 0) {
        return err_set_at(reterr, JF_E_INVAL, "mode", "must be source or ampere");
    }
    if (p->ampere) {
        r = power_conf_number(conf, "voltage_v", NAN, 0.1, 60, &voltage_v, reterr);
        p->supply_v = voltage_v;
    }
    if (r == 0 && p->acc.source) {
        p->acc_source = strdup(p->acc.source);
        r = p->acc_source ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for a PPK2");
    }
    p->acc.source = p->acc_source;
    return r;
}

static int open_port(struct ppk2 *p, const json_t *conf, struct err *reterr) {
    const char *path = NULL, *backend = NULL, *serial = NULL;
    bool trust = false;
    int r = power_conf_string(conf, "conn", NULL, &path, reterr);
    r = r < 0 ? r : power_conf_string(conf, "serial", NULL, &serial, reterr);
    r = r < 0 ? r : power_conf_string(conf, "backend", "auto", &backend, reterr);
    r = r < 0 ? r : power_conf_bool(conf, "trust_port", false, &trust, reterr);
    if (r < 0) {
        return r;
    }
    struct pick pick = {.serial = serial};
    if (!path && serial) {
        (void)serial_usb_each(pick_port, &pick);
        path = pick.path;
    }
    if (!path || !*path) {
        return serial ? err_set_at(reterr, JF_E_NOT_FOUND, "serial", "no PPK2 with serial number %s is attached", serial)
                      : err_set_at(reterr, JF_E_INVAL, "conn", "the PPK2's port, or its serial number, is required");
    }
    r = check_identity(p, path, serial, trust, reterr);
    return r < 0 ? r : serial_open(path, 115200, backend, &p->port, reterr);
}

static int begin(struct ppk2 *p, const json_t *conf, struct err *reterr) {
    int r = JF_E_INSTRUMENT;
    for (int try = 0; try < META_TRIES && r < 0 && r != JF_E_GONE; try++) {
        r = quiesce(p, reterr);
        if (r == 0) {
            r = ask_metadata(p, reterr);
        }
    }
    r = r < 0 ? r : take_calibration(p, conf, reterr);
    r = r < 0 ? r : send_command(p, PPK2_OUTPUT_OFF, reterr);
    return r < 0 ? r : send_command(p, p->ampere ? PPK2_MODE_AMPERE : PPK2_MODE_SOURCE, reterr);
}

static void ppk2_close(void *dev, bool leave_supply_on);

static int ppk2_open(const json_t *conf, const struct clock_src *clock, void **ret_dev, struct err *reterr) {
    struct ppk2 *p = calloc(1, sizeof *p);
    if (!p) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a PPK2");
    }
    p->clock = clock;
    p->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = p->cancel_fd < 0 ? err_set_errno(reterr, JF_E_IO, errno, "no event descriptor") : 0;
    r = r < 0 ? r : read_conf(p, conf, reterr);
    r = r < 0 ? r : open_port(p, conf, reterr);
    r = r < 0 ? r : begin(p, conf, reterr);
    if (r < 0) {
        ppk2_close(p, true);
        return r;
    }
    *ret_dev = p;
    return 0;
}

/* Typical accuracy per range as Nordic states it (through tipoLi5890/ppk2lab docs/calibration.md). */
static const struct {
    double from_a, to_a, gain, step_a;
} ppk2_spec[PPK2_RANGES] = {
    {0.2e-6, 50e-6, 0.10, 0.2e-6}, {50e-6, 500e-6, 0.10, 0.5e-6}, {500e-6, 5e-3, 0.10, 5e-6}, {5e-3, 50e-3, 0.10, 50e-6}, {50e-3, 1.0, 0.15, 1e-3},
};
#define OVERRANGE_A 1.0f

static int ppk2_info(void *dev, struct power_info *ret_info) {
    const struct ppk2 *p = dev;
    struct power_info i = {.driver = "ppk2",
                           .shape = POWER_STREAMING,
                           .maturity = POWER_SIMULATED,
                           .caps = POWER_CAP_MARKERS | POWER_CAP_COUNTER | POWER_CAP_HOST_TIME | (p->ampere ? POWER_CAP_METER_MODE : POWER_CAP_SUPPLY),
                           .rate_hz = 1 / PPK2_PERIOD_S,
                           .marker_phase = -1,
                           .n_markers = p->n_markers,
                           .n_ranges = PPK2_RANGES,
                           .voltage_kind = POWER_SPEC_UNKNOWN,
                           .clock_ppm = p->clock_ppm,
                           .spec_source = "Nordic PPK2 typical accuracy per range, as cited by ppk2lab docs/calibration.md"};
    (void)snprintf(i.model, sizeof i.model, "PPK2");
    (void)snprintf(i.serial, sizeof i.serial, "%s", p->serial);
    if (p->meta.have_hw) {
        (void)snprintf(i.firmware, sizeof i.firmware, "HW %g", p->meta.hw);
    }
    (void)snprintf(i.notes, sizeof i.notes, "%s", p->notes);
    for (int r = 0; r < PPK2_RANGES; r++) {
        i.ranges[r] = (struct power_range){.from_a = ppk2_spec[r].from_a,
                                           .to_a = ppk2_spec[r].to_a,
                                           .gain_rel = p->acc.given ? p->acc.current_gain : ppk2_spec[r].gain,
                                           .offset_a = p->acc.given ? p->acc.current_offset_a : 0,
                                           .resolution_a = ppk2_spec[r].step_a,
                                           .shunt_ohm = p->cal.mod[PPK2_R][r],
                                           .gain_corr_rel = p->acc.given ? p->acc.current_gain_corr : 0,
                                           .offset_corr_a = p->acc.given ? p->acc.current_offset_corr_a : 0,
                                           .kind = p->acc.given ? p->acc.kind : POWER_SPEC_TYPICAL};
    }
    if (p->acc.given) {
        i.spec_source = p->acc.source ? p->acc.source : "the bench's configuration";
        i.voltage_gain_rel = p->acc.voltage_gain;
        i.voltage_offset_v = p->acc.voltage_offset_v;
        i.voltage_kind = p->acc.voltage_given ? p->acc.kind : POWER_SPEC_UNKNOWN;
    }
    *ret_info = i;
    return 0;
}

static int ppk2_setup(void *dev, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    (void)dev;
    (void)reterr;
    struct power_setup g = *asked;
    g.rate_hz = 1 / PPK2_PERIOD_S; /* the only one */
    g.capture_s = g.pre_s = 0; /* it streams */
    g.trigger_marker = -1;
    *ret_granted = g;
    return 0;
}

static int ppk2_start(void *dev, struct err *reterr) {
    struct ppk2 *p = dev;
    p->cal.vdd_v = p->supply_v > 0 ? p->supply_v : p->meta.have_vdd ? p->meta.vdd_mv / 1000 : 0;
    if (p->cal.vdd_v <= 0) {
        return err_set(reterr, JF_E_CONFLICT, "the PPK2's source voltage is unknown: switch the supply on before the capture starts");
    }
    uint64_t sink = 0;
    (void)!read(p->cancel_fd, &sink, sizeof sink); /* an old cancel does not concern the new capture */
    (void)serial_drain(p->port);
    int r = p->ampere ? send_command(p, PPK2_OUTPUT_ON, reterr) : 0; /* closes the path through the meter */
    r = r < 0 ? r : send_command(p, PPK2_START, reterr);
    if (r < 0) {
        return r;
    }
    ppk2_stream_init(&p->stream, &p->cal);
    p->have = 0;
    p->next = 0;
    p->last_data_ns = clock_mono_ns(p->clock);
    p->running = true;
    return 0;
}

static int deliver(struct ppk2 *p, bool hole, int64_t host_raw_ns, power_block_fn *fn, void *user) {
    struct ppk2_batch *b = &p->batch;
    struct power_block out = {.first = p->next, .count = b->count, .period_s = PPK2_PERIOD_S, .host_raw_ns = host_raw_ns};
    p->next += b->count;
    if (hole) {
        out.flags = POWER_GAP;
        return fn(user, &out);
    }
    bool over = false;
    for (uint32_t i = 0; i < b->count; i++) {
        p->markers[i] = p->line_of[b->lines[i]];
        /* Only above the whole instrument: inside a lower range the converter is linear up to its bound, and the first
         * samples of every load step are taken there before the range follows. */
        bool o = b->current_a[i] > OVERRANGE_A;
        p->quality[i] = (uint8_t)((b->saturated_at[i] ? POWER_CLIPPED : 0) | (o ? POWER_OVERRANGE : 0));
        over = over || o;
    }
    out.flags = (b->saturated ? POWER_CLIPPED : 0) | (over ? POWER_OVERRANGE : 0) | (b->range_changed ? POWER_RANGE_CHANGED : 0);
    out.current_a = b->current_a;
    out.range = b->range;
    out.markers = p->n_markers > 0 ? p->markers : NULL;
    out.quality = b->saturated || over ? p->quality : NULL;
    return fn(user, &out);
}

/* Everything decodable in the buffer goes out; the number of blocks. */
static int decode(struct ppk2 *p, int64_t host_raw_ns, power_block_fn *fn, void *user, struct err *reterr) {
    size_t at = 0;
    int blocks = 0, r = 0;
    for (;;) {
        size_t used = 0;
        r = ppk2_stream_next(&p->stream, p->buffer + at, p->have - at, &used, &p->batch, reterr);
        at += used;
        if (r <= PPK2_NEED_MORE) {
            break;
        }
        r = deliver(p, r == PPK2_HOLE, host_raw_ns, fn, user);
        if (r < 0) {
            break;
        }
        blocks++;
    }
    memmove(p->buffer, p->buffer + at, p->have - at);
    p->have -= at;
    return r < 0 ? r : blocks;
}

/* All that has arrived, up to the buffer's end; whether anything did. */
static int read_some(struct ppk2 *p, struct err *reterr) {
    size_t before = p->have;
    while (p->have < BUFFER) {
        int r = serial_read(p->port, p->buffer + p->have, BUFFER - p->have, reterr);
        if (r < 0 && p->have == before) {
            return r;
        }
        if (r <= 0) {
            break; /* a hang-up shows again at the next read, after these samples went out */
        }
        p->have += (size_t)r;
    }
    return p->have > before ? 1 : 0;
}

static int check_stall(struct ppk2 *p, struct err *reterr) {
    int64_t silent_ms = (clock_mono_ns(p->clock) - p->last_data_ns) / CLOCK_NS_PER_MS;
    if (silent_ms < p->stall_ms) {
        return 0;
    }
    return err_set(reterr, JF_E_STALLED, "the PPK2 sent nothing for %d ms", (int)silent_ms);
}

/* Waits for data, lets some gather, and reads it; *ret_arrived is the arrival of the last byte. What gathered while napping came at
 * times nobody saw, so the reading ends with bytes that woke it: else naps in step with the unit's own packets would show as
 * a delay that wanders (seen: 0.1 to 1.5 ms, as much as the losses that are looked for). */
static int gather(struct ppk2 *p, int left_ms, int64_t *ret_arrived, struct err *reterr) {
    int r = wait_readable(p, left_ms < p->stall_ms ? left_ms : p->stall_ms, reterr);
    if (r > 0 && left_ms > NAP_MS + FRESH_MS) {
        struct pollfd c = {.fd = p->cancel_fd, .events = POLLIN};
        (void)poll(&c, 1, NAP_MS);
        r = read_some(p, reterr);
        if (r < 0) {
            return r;
        }
        int fresh = wait_readable(p, FRESH_MS, reterr);
        if (fresh < 0) {
            return fresh;
        }
        int more = read_some(p, NULL); /* an end of the line shows again at the next call */
        *ret_arrived = clock_raw_ns(p->clock);
        return more > 0 ? more : r;
    }
    if (r < 0) {
        return r;
    }
    r = read_some(p, reterr);
    *ret_arrived = clock_raw_ns(p->clock);
    return r;
}

static int ppk2_pump(void *dev, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    struct ppk2 *p = dev;
    int64_t deadline = clock_mono_ns(p->clock) + budget_ms * CLOCK_NS_PER_MS;
    for (;;) {
        int64_t arrived_raw_ns = 0;
        int r = gather(p, clock_left_ms(p->clock, deadline, budget_ms), &arrived_raw_ns, reterr);
        if (r < 0) {
            return r;
        }
        if (r == 0) {
            r = check_stall(p, reterr);
            if (r < 0) {
                return r;
            }
        } else {
            p->last_data_ns = clock_mono_ns(p->clock);
            r = decode(p, arrived_raw_ns, fn, user, reterr);
            if (r != 0) {
                return r;
            }
        }
        if (clock_left_ms(p->clock, deadline, budget_ms) == 0) {
            return 0;
        }
    }
}

static int ppk2_stop(void *dev, struct err *reterr) {
    struct ppk2 *p = dev;
    p->running = false;
    int r = quiesce(p, reterr);
    return r < 0 || !p->ampere ? r : send_command(p, PPK2_OUTPUT_OFF, reterr);
}

static int ppk2_supply(void *dev, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v, struct err *reterr) {
    struct ppk2 *p = dev;
    int r = 0;
    if (p->ampere) {
        return err_set(reterr, JF_E_UNSUPPORTED, "in ampere mode the board is fed from elsewhere");
    }
    if (action == POWER_SUPPLY_OFF) {
        r = send_command(p, PPK2_OUTPUT_OFF, reterr);
        p->supply_on = r < 0 ? p->supply_on : false;
    } else if (action == POWER_SUPPLY_ON) {
        uint8_t bytes[PPK2_COMMAND_MAX];
        size_t n = 0;
        double mv = set_v * 1000;
        if (!(mv < 1e6) || ppk2_encode_voltage((int)lround(mv), bytes, &n) < 0) {
            return err_set(reterr, JF_E_INVAL, "the PPK2 can set %d to %d mV, not %g V", PPK2_MV_MIN, PPK2_MV_MAX, set_v);
        }
        r = serial_write(p->port, bytes, n, WRITE_MS, reterr);
        r = r < 0 ? r : send_command(p, PPK2_OUTPUT_ON, reterr);
        if (r == 0) {
            p->supply_on = true;
            p->supply_v = (double)lround(mv) / 1000;
            p->cal.vdd_v = p->supply_v;
        }
    }
    if (r < 0) {
        return r;
    }
    *ret_on = p->supply_on;
    *ret_v = p->supply_v;
    return 0;
}

static void ppk2_cancel(void *dev) {
    struct ppk2 *p = dev;
    uint64_t one = 1;
    (void)!write(p->cancel_fd, &one, sizeof one);
}

static void ppk2_close(void *dev, bool leave_supply_on) {
    struct ppk2 *p = dev;
    if (!p) {
        return;
    }
    if (p->port) {
        if (p->running) {
            (void)send_command(p, PPK2_STOP, NULL);
        }
        if (!leave_supply_on) {
            (void)send_command(p, PPK2_OUTPUT_OFF, NULL);
        }
        serial_close(p->port);
    }
    if (p->cancel_fd >= 0) {
        (void)close(p->cancel_fd);
    }
    free(p->acc_source);
    free(p);
}

static int list_port(void *user, const char *path, const struct serial_usb_id *id) {
    json_t *list = user;
    if (id->vid != USB_VID || id->pid != USB_PID) {
        return 0;
    }
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:i}", "driver", "ppk2", "conn", path, "model", "PPK2", "serial", id->serial, "interface", id->interface);
    return json_array_append_new(list, row) == 0 ? 0 : JF_E_NOMEM;
}

static int ppk2_find(json_t **ret_list, struct err *reterr) {
    json_t *list = json_array();
    if (!list || serial_usb_each(list_port, list) < 0) {
        json_decref(list);
        return err_set(reterr, JF_E_NOMEM, "no memory for the list of instruments");
    }
    *ret_list = list;
    return 0;
}

const struct power_driver power_driver_ppk2 = {
    .name = "ppk2",
    .sentence = "Nordic Power Profiler Kit II (serial, 100 kS/s, feeds the board)",
    .shape = POWER_STREAMING,
    .maturity = POWER_SIMULATED,
    .max_block_ms = 100,
    .open = ppk2_open,
    .info = ppk2_info,
    .setup = ppk2_setup,
    .start = ppk2_start,
    .pump = ppk2_pump,
    .stop = ppk2_stop,
    .supply = ppk2_supply,
    .cancel = ppk2_cancel,
    .close = ppk2_close,
    .find = ppk2_find,
};
