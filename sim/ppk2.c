/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2 front; see ppk2.h. Owns the pty, the symlink, the outgoing queue, and the sample clock; forms samples with
 * ppk2_unit. One thread.
 *
 * Sample n is the mean over [t_n, t_n+1), t_n = origin + n * 10 us * (1 + rate error); logic is read in mid-cell.
 *
 * Invariant P1: a sample is emitted only when virtual time has reached its end. */
#include "sim/ppk2.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "sim/ppk2_unit.h"

#define CELL_PS INT64_C(10000000)
#define QUEUE_BYTES (512u * 1024u) /* 1.3 s of samples: what host driver and device buffer together */
#define MS_PS (ELEC_PS_PER_S / 1000)
#define STOP_LATE_PS (4 * MS_PS) /* samples go on this long after a stop */
#define START_UPSET_PS (50 * MS_PS) /* a start sooner after a stop begins out of frame */
#define VOUT_HOLD_MIN_PS (100 * MS_PS)
#define VOUT_HOLD_SPAN_PS (400 * MS_PS)
#define REPLUG_PS (500 * MS_PS)
#define SAMPLES_PER_STEP 100000

enum command { CMD_START = 0x06, CMD_STOP = 0x07, CMD_POWER = 0x0C, CMD_VOLTAGE = 0x0D, CMD_MODE = 0x11, CMD_METADATA = 0x19, CMD_RESET = 0x20, CMD_GAIN = 0x25 };
enum mode { MODE_AMPERE = 1, MODE_SOURCE = 2 };

struct ppk2 {
    struct elec *elec;
    struct faults *faults;
    struct profile profile;
    struct ppk2_unit unit;
    struct elec_cursor cursor;
    char path[512], tty[64];
    double external_v;
    bool burden;
    int master; /* -1: unplugged */
    bool open; /* somebody holds the port */
    int64_t replug_at; /* while unplugged */
    int64_t vout_off_at; /* 0: not scheduled */
    uint8_t command[8]; /* a command that has not come in full */
    size_t command_len;
    int mode, vdd_mv;
    bool power;
    bool streaming;
    int64_t origin, n; /* of the running stream */
    int64_t stop_at, stopped_at; /* 0: not asked; last stop command, -1: never */
    uint8_t *queue; /* ring */
    size_t q_first, q_len;
    uint32_t lose; /* bytes still to vanish */
    uint64_t dropped;
    const struct clock_src *clock;
    int64_t latency_ns;
    int64_t behind_ns; /* least seen of real minus virtual time: the pace without the host's delays */
};

/* --- the port ------------------------------------------------------------------------------------------------------ */
static int link_set(const char *path, const char *tty) {
    char next[600];
    snprintf(next, sizeof next, "%s.new", path);
    unlink(next);
    if (symlink(tty, next) < 0) {
        return -1;
    }
    return rename(next, path);
}

static void link_remove(const struct ppk2 *d) {
    char to[64];
    ssize_t n = readlink(d->path, to, sizeof to - 1);
    if (n > 0) {
        to[n] = '\0';
        if (strcmp(to, d->tty) == 0) { /* only our own */
            unlink(d->path);
        }
    }
}

static int port_plug(struct ppk2 *d, struct err *reterr) {
    int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (m < 0 || grantpt(m) < 0 || unlockpt(m) < 0 || ptsname_r(m, d->tty, sizeof d->tty) != 0) {
        err_set_errno(reterr, JF_E_IO, errno, "pty for the PPK2");
        goto fail_master;
    }
    int s = open(d->tty, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios tio;
    if (s < 0 || tcgetattr(s, &tio) < 0) {
        err_set_errno(reterr, JF_E_IO, errno, "pty %s", d->tty);
        goto fail_slave;
    }
    cfmakeraw(&tio);
    tcsetattr(s, TCSANOW, &tio);
    if (d->path[0] && link_set(d->path, d->tty) < 0) {
        err_set_errno(reterr, JF_E_IO, errno, "symlink %.300s", d->path);
        goto fail_slave;
    }
    close(s); /* from here on, hang-up on the master means: nobody has the port open */
    d->master = m;
    d->open = false;
    return 0;

fail_slave:
    if (s >= 0) {
        close(s);
    }
fail_master:
    if (m >= 0) {
        close(m);
    }
    return JF_E_IO;
}

static void supply_apply(struct ppk2 *d) {
    double v = d->mode == MODE_AMPERE ? d->external_v : (double)d->vdd_mv / 1000.0;
    if (d->mode == MODE_SOURCE) {
        v = v * (1.0 + d->profile.voltage_gain) + d->profile.voltage_offset_v;
    }
    elec_supply_set(d->elec, d->power, v);
}

static void state_reset(struct ppk2 *d) {
    d->command_len = 0;
    d->mode = MODE_SOURCE;
    d->vdd_mv = 3000;
    d->power = false;
    d->streaming = false;
    d->stop_at = 0;
    d->stopped_at = -1;
    d->q_len = 0;
    d->lose = 0;
    d->vout_off_at = 0;
    supply_apply(d);
}

static void port_unplug(struct ppk2 *d, int64_t now) {
    if (d->path[0]) {
        link_remove(d);
    }
    close(d->master);
    d->master = -1;
    d->open = false;
    d->replug_at = now + REPLUG_PS;
    state_reset(d);
}

/* --- outgoing queue -------------------------------------------------------------------------------------------------- */
static bool queue_put(struct ppk2 *d, const void *bytes, size_t n) {
    if (n > QUEUE_BYTES - d->q_len) {
        return false;
    }
    size_t at = (d->q_first + d->q_len) % QUEUE_BYTES;
    size_t head = n < QUEUE_BYTES - at ? n : QUEUE_BYTES - at;
    memcpy(d->queue + at, bytes, head);
    memcpy(d->queue, (const uint8_t *)bytes + head, n - head);
    d->q_len += n;
    return true;
}

static void queue_write(struct ppk2 *d) {
    while (d->q_len > 0 && d->master >= 0 && d->open) {
        size_t head = d->q_len < QUEUE_BYTES - d->q_first ? d->q_len : QUEUE_BYTES - d->q_first;
        ssize_t w = write(d->master, d->queue + d->q_first, head);
        if (w <= 0) {
            return;
        }
        d->q_first = (d->q_first + (size_t)w) % QUEUE_BYTES;
        d->q_len -= (size_t)w;
    }
}

/* --- commands ---------------------------------------------------------------------------------------------------------- */
static void stream_start(struct ppk2 *d, int64_t now) {
    if (d->streaming && d->stop_at == 0) {
        return; /* already running */
    }
    if (d->stopped_at >= 0 && now - d->stopped_at < START_UPSET_PS) {
        uint8_t fragment[3] = {0};
        uint64_t bits = profile_bits(&d->unit.rng);
        memcpy(fragment, &bits, sizeof fragment);
        queue_put(d, fragment, 1 + bits % 3);
    }
    d->streaming = true;
    d->stop_at = 0;
    d->origin = now + (int64_t)(d->profile.clock_offset_s * (double)ELEC_PS_PER_S);
    d->n = 0;
}

static void send_metadata(struct ppk2 *d) {
    char text[2048];
    size_t n = ppk2_unit_metadata(&d->unit, d->vdd_mv, d->mode, text, sizeof text);
    queue_put(d, text, n);
}

static void command_gain(struct ppk2 *d, const uint8_t *c) {
    float gain;
    memcpy(&gain, c + 2, sizeof gain);
    if (c[1] < PPK2_RANGES && gain > 0.1f && gain < 10.0f) {
        d->unit.cal.ug[c[1]] = (double)gain;
    }
}

static size_t command_length(uint8_t first) {
    switch (first) {
    case CMD_POWER:
    case CMD_MODE:
        return 2;
    case CMD_VOLTAGE:
        return 3;
    case CMD_GAIN:
        return 6;
    default:
        return 1;
    }
}

static void command_run(struct ppk2 *d, const uint8_t *c, int64_t now) {
    switch (c[0]) {
    case CMD_START:
        stream_start(d, now);
        break;
    case CMD_STOP:
        if (d->streaming && d->stop_at == 0) {
            d->stop_at = now + STOP_LATE_PS;
        }
        d->stopped_at = now;
        break;
    case CMD_POWER:
        d->power = c[1] == 1;
        supply_apply(d);
        break;
    case CMD_VOLTAGE: {
        int mv = c[1] << 8 | c[2];
        if (mv >= 800 && mv <= 5000) {
            d->vdd_mv = mv;
            supply_apply(d);
        }
        break;
    }
    case CMD_MODE:
        if (c[1] == MODE_AMPERE || c[1] == MODE_SOURCE) {
            d->mode = c[1];
            supply_apply(d);
        }
        break;
    case CMD_METADATA:
        send_metadata(d);
        break;
    case CMD_RESET:
        port_unplug(d, now); /* re-enumerates */
        break;
    case CMD_GAIN:
        command_gain(d, c);
        break;
    default:
        break; /* real units ignore what they do not know */
    }
}

static void port_read(struct ppk2 *d) {
    uint8_t in[256];
    ssize_t n = read(d->master, in, sizeof in);
    for (ssize_t k = 0; k < n && d->master >= 0; k++) {
        d->command[d->command_len++] = in[k];
        if (d->command_len == command_length(d->command[0])) {
            d->command_len = 0;
            command_run(d, d->command, elec_now_ps(d->elec));
        }
    }
}

/* --- samples ------------------------------------------------------------------------------------------------------------- */
static int64_t cell_start(const struct ppk2 *d, int64_t n) {
    return d->origin + n * CELL_PS + (int64_t)llrint((double)n * (double)CELL_PS * d->profile.rate_error);
}

static void sample_put(struct ppk2 *d, uint32_t word) {
    uint8_t bytes[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
    size_t skip = 0;
    if (fault_fires(d->faults, FAULT_PPK2_LOSE_BYTES)) {
        d->lose += (uint32_t)fault_param(d->faults, FAULT_PPK2_LOSE_BYTES, "bytes");
    }
    for (; skip < sizeof bytes && d->lose > 0; skip++) {
        d->lose--;
    }
    if (!queue_put(d, bytes + skip, sizeof bytes - skip)) {
        d->dropped++;
    }
}

static void sample_emit(struct ppk2 *d, int64_t t0, int64_t t1) {
    double a, v;
    int64_t until;
    elec_cell(d->elec, &d->cursor, t0, t1, &a, &v);
    uint8_t logic = elec_cursor_markers(d->elec, &d->cursor, t0 + (t1 - t0) / 2, &until);
    int before = d->unit.range;
    bool saturate = fault_fires(d->faults, FAULT_PPK2_SATURATE);
    bool stalled = fault_fires(d->faults, FAULT_PPK2_STALL);
    uint32_t word = ppk2_unit_word(&d->unit, &d->profile, a, (double)d->vdd_mv / 1000.0, logic, saturate);
    if (d->burden && d->unit.range != before) {
        elec_shunt_set(d->elec, d->unit.cal.r[d->unit.range]);
    }
    if (!stalled && d->open) {
        sample_put(d, word);
    }
}

static void stream_step(struct ppk2 *d, int64_t now) {
    int64_t t0 = cell_start(d, d->n);
    for (int k = 0; k < SAMPLES_PER_STEP; k++) {
        if (fault_fires(d->faults, FAULT_PPK2_COUNTER_JUMP)) {
            int64_t lost = (int64_t)fault_param(d->faults, FAULT_PPK2_COUNTER_JUMP, "samples");
            d->n += lost;
            d->unit.counter = (d->unit.counter + (unsigned)(lost & 63)) & 63u;
            t0 = cell_start(d, d->n);
        }
        int64_t t1 = cell_start(d, d->n + 1);
        if (t1 > now) {
            return;
        }
        if (d->stop_at != 0 && t1 > d->stop_at) {
            d->streaming = false;
            d->stop_at = 0;
            return;
        }
        sample_emit(d, t0, t1);
        d->n++;
        t0 = t1;
    }
}

/* --- front ------------------------------------------------------------------------------------------------------------------ */
static int ppk2_fds(void *self, struct pollfd *out, int cap) {
    struct ppk2 *d = self;
    if (d->master < 0 || !d->open || cap < 1) {
        return 0; /* a hung-up master would make poll return at once, for ever; step looks instead */
    }
    out[0] = (struct pollfd){.fd = d->master, .events = (short)(POLLIN | (d->q_len > 0 ? POLLOUT : 0))};
    return 1;
}

static void closed_by_user(struct ppk2 *d, int64_t now) {
    d->open = false;
    d->q_len = 0;
    d->command_len = 0;
    double late = profile_uniform(&d->unit.rng) * (double)VOUT_HOLD_SPAN_PS;
    d->vout_off_at = now + VOUT_HOLD_MIN_PS + (int64_t)late;
}

static void ppk2_ready(void *self, const struct pollfd *fds, int n) {
    struct ppk2 *d = self;
    if (n < 1 || d->master < 0 || fds[0].fd != d->master) {
        return;
    }
    if (fds[0].revents & POLLIN) {
        port_read(d);
    } else if (fds[0].revents & POLLHUP) {
        closed_by_user(d, elec_now_ps(d->elec));
    }
    if (fds[0].revents & POLLOUT) {
        queue_write(d);
    }
}

/* Nobody had the port open: is somebody there now? */
static void port_look(struct ppk2 *d) {
    struct pollfd p = {.fd = d->master, .events = POLLIN};
    if (poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP)) {
        d->open = true;
        d->vout_off_at = 0;
    } else if (p.revents & POLLIN) { /* written, then closed before we looked */
        port_read(d);
    }
}

/* Virtual time up to which samples may leave: constant latency behind real time, never ahead of virtual time (P1). */
static int64_t due(struct ppk2 *d, int64_t now) {
    if (d->latency_ns == 0) {
        return now;
    }
    int64_t real_ns = clock_raw_ns(d->clock);
    int64_t behind = real_ns - now / 1000;
    d->behind_ns = behind < d->behind_ns ? behind : d->behind_ns;
    int64_t allowed = (real_ns - d->behind_ns - d->latency_ns) * 1000;
    return allowed < now ? allowed : now;
}

static void ppk2_step(void *self, int64_t now) {
    struct ppk2 *d = self;
    if (d->master < 0) {
        if (now >= d->replug_at && !fault_on(d->faults, FAULT_PPK2_UNPLUG)) {
            (void)port_plug(d, NULL); /* tried again at the next step */
        }
        return;
    }
    if (fault_fires(d->faults, FAULT_PPK2_UNPLUG)) {
        port_unplug(d, now);
        return;
    }
    if (!d->open) {
        port_look(d);
    }
    if (d->master >= 0 && d->vout_off_at != 0 && now >= d->vout_off_at) {
        d->vout_off_at = 0;
        d->power = false;
        supply_apply(d);
    }
    int64_t until = due(d, now);
    if (d->streaming) {
        stream_step(d, until);
    }
    queue_write(d);
}

static void ppk2_done(void *self) {
    struct ppk2 *d = self;
    if (!d) {
        return;
    }
    if (d->master >= 0) {
        if (d->path[0]) {
            link_remove(d);
        }
        close(d->master);
    }
    free(d->queue);
    free(d);
}

static const struct front_ops ops = {.name = "ppk2", .fds = ppk2_fds, .ready = ppk2_ready, .step = ppk2_step, .done = ppk2_done};

int ppk2_open(const struct ppk2_conf *c, const struct profile *p, struct ppk2 **ret_ppk2, struct err *reterr) {
    if (c->path && strlen(c->path) >= sizeof((struct ppk2 *)0)->path) {
        return err_set_at(reterr, JF_E_INVAL, "--ppk2", "the path is too long");
    }
    struct ppk2 *d = calloc(1, sizeof *d);
    uint8_t *queue = malloc(QUEUE_BYTES);
    if (!d || !queue) {
        free(d);
        free(queue);
        return err_set(reterr, JF_E_NOMEM, "PPK2");
    }
    d->queue = queue;
    d->elec = c->elec;
    d->faults = c->faults;
    d->profile = *p;
    d->external_v = c->external_v;
    d->burden = c->burden;
    d->clock = c->clock;
    d->latency_ns = c->clock ? c->latency_ns : 0;
    d->behind_ns = INT64_MAX;
    d->master = -1;
    if (c->path) {
        memcpy(d->path, c->path, strlen(c->path) + 1);
    }
    ppk2_unit_init(&d->unit, c->seed);
    int rc = port_plug(d, reterr);
    if (rc < 0) {
        ppk2_done(d);
        return rc;
    }
    state_reset(d);
    if (d->burden) {
        elec_shunt_set(d->elec, d->unit.cal.r[d->unit.range]);
    }
    *ret_ppk2 = d;
    return 0;
}

struct front ppk2_front(struct ppk2 *d) { return (struct front){.ops = &ops, .self = d}; }
struct profile *ppk2_profile(struct ppk2 *d) { return &d->profile; }
void ppk2_slipped(struct ppk2 *d) { d->behind_ns = INT64_MAX; }
const char *ppk2_tty(const struct ppk2 *d) { return d->tty; }
double ppk2_origin_s(const struct ppk2 *d) { return (double)d->origin / (double)ELEC_PS_PER_S; }
uint64_t ppk2_dropped(const struct ppk2 *d) { return d->dropped; }
