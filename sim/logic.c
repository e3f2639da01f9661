/* SPDX-License-Identifier: GPL-2.0-or-later
 * The logic analyzer front; see logic.h. Owns the listening socket, the one client, its command line and the queue of samples.
 *
 * Sample n is read at origin + (n + 1/2) * period * (1 + rate error) of virtual time; origin is `get` plus the skew. A lost edge is a change of one line that
 * is not seen: the line keeps its old level until its next change.
 *
 * Invariant P1: a sample is emitted only when virtual time has reached its end. */
#include "sim/logic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "sim/profile.h"

#define LINE_MAX_BYTES 256u
#define QUEUE_BYTES (8u * 1024u * 1024u) /* 8 s at the default rate: what the board of a real one buffers */
#define BASE_HZ 100000000.0 /* rates are integer parts of it */
#define RATE_MAX_HZ 2000000.0 /* more would cost the board's pace */
#define SAMPLES_PER_STEP 4000000

struct errors {
    double rate_error, skew_s, edge_loss, loss_line; /* loss_line: the only one that loses edges; -1: all do */
};

struct logic {
    struct elec *elec;
    struct faults *faults;
    struct elec_cursor cursor;
    struct profile_rng rng;
    struct errors errors, running; /* as set; of the present stream */
    int listener, client, port; /* client -1: none */
    char line[LINE_MAX_BYTES];
    size_t line_len;
    struct buf out;
    size_t sent;
    double rate_hz;
    uint32_t sampleunit, memalloc, bufunitsize, triggerflags;
    bool streaming;
    int64_t origin, n;
    uint8_t truth, shown, held; /* levels of the lines, as seen, and which are held back */
    uint64_t edges_lost, dropped;
};

static void client_close(struct logic *l) {
    if (l->client >= 0) {
        close(l->client);
    }
    l->client = -1;
    l->line_len = l->sent = 0;
    l->streaming = false;
    buf_clear(&l->out);
}

static void client_write(struct logic *l) {
    while (l->client >= 0 && l->sent < l->out.len) {
        ssize_t w = send(l->client, l->out.data + l->sent, l->out.len - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (w <= 0) {
            client_close(l);
            return;
        }
        l->sent += (size_t)w;
    }
    buf_consume(&l->out, l->sent);
    l->sent = 0;
}

static void reply(struct logic *l, const char *text) {
    if (buf_put(&l->out, text, strlen(text)) < 0) {
        client_close(l);
    }
}

static void reply_number(struct logic *l, double v) {
    char text[64];
    (void)snprintf(text, sizeof text, "%.0f\n", v);
    reply(l, text);
}

static void stream_start(struct logic *l) {
    int64_t now = elec_now_ps(l->elec);
    l->running = l->errors;
    l->streaming = true;
    l->origin = now + (int64_t)(l->running.skew_s * (double)ELEC_PS_PER_S);
    l->n = 0;
    l->edges_lost = 0;
    l->truth = l->shown = elec_markers_at(l->elec, now);
    l->held = 0;
}

/* A setting: told without a value, changed with one. */
static void setting(struct logic *l, uint32_t *value, const char *arg) {
    if (*arg) {
        *value = (uint32_t)strtoul(arg, NULL, 10);
        reply(l, "ok\n");
    } else {
        reply_number(l, (double)*value);
    }
}

static void samplerate(struct logic *l, const char *arg) {
    double asked = strtod(arg, NULL);
    if (!*arg) {
        reply_number(l, l->rate_hz);
    } else if (asked >= 10 && asked <= RATE_MAX_HZ && !l->streaming) {
        l->rate_hz = BASE_HZ / floor(BASE_HZ / asked);
        reply(l, "ok\n");
    } else {
        reply(l, "error: samplerate\n");
    }
}

static void command(struct logic *l, char *text) {
    char *arg = strchr(text, ' ');
    if (arg) {
        *arg++ = '\0';
    } else {
        arg = text + strlen(text);
    }
    if (strcmp(text, "version") == 0) {
        reply(l, "BeagleLogic 1.0\n");
    } else if (strcmp(text, "samplerate") == 0) {
        samplerate(l, arg);
    } else if (strcmp(text, "sampleunit") == 0) {
        setting(l, &l->sampleunit, arg);
    } else if (strcmp(text, "memalloc") == 0) {
        setting(l, &l->memalloc, arg);
    } else if (strcmp(text, "bufunitsize") == 0) {
        setting(l, &l->bufunitsize, arg);
    } else if (strcmp(text, "triggerflags") == 0) {
        setting(l, &l->triggerflags, arg);
    } else if (strcmp(text, "get") == 0) {
        stream_start(l);
    } else if (strcmp(text, "close") == 0) {
        l->streaming = false;
    } else {
        reply(l, "error: unknown command\n");
    }
}

static void client_read(struct logic *l) {
    ssize_t n = recv(l->client, l->line + l->line_len, sizeof l->line - l->line_len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        client_close(l);
        return;
    }
    l->line_len += n > 0 ? (size_t)n : 0;
    char *end;
    while (l->client >= 0 && (end = memchr(l->line, '\n', l->line_len))) {
        size_t used = (size_t)(end - l->line) + 1;
        char text[LINE_MAX_BYTES];
        memcpy(text, l->line, used);
        text[used - 1] = '\0';
        l->line_len -= used;
        memmove(l->line, l->line + used, l->line_len);
        command(l, text);
    }
    if (l->line_len == sizeof l->line) {
        l->line_len = 0;
    }
    client_write(l);
}

/* --- samples --------------------------------------------------------------------------------------------------------- */
static double period_ps(const struct logic *l) { return (double)ELEC_PS_PER_S / l->rate_hz * (1 + l->running.rate_error); }
static int64_t at_ps(const struct logic *l, double n) { return l->origin + (int64_t)llrint(n * period_ps(l)); }

static void levels_change(struct logic *l, uint8_t now) {
    for (int k = 0; k < 8; k++) {
        uint8_t bit = (uint8_t)(1u << k);
        if (!((now ^ l->truth) & bit)) {
            continue;
        }
        bool prone = l->running.edge_loss > 0 && (l->running.loss_line < 0 || (int)l->running.loss_line == k);
        bool lose = prone && profile_uniform(&l->rng) < l->running.edge_loss;
        l->edges_lost += lose;
        l->held = (uint8_t)(lose ? l->held | bit : l->held & ~bit);
    }
    l->truth = now;
    l->shown = (uint8_t)((l->shown & l->held) | (now & ~l->held));
}

static void emit(struct logic *l, size_t count, uint8_t value) {
    uint8_t fill[4096];
    memset(fill, value, count < sizeof fill ? count : sizeof fill);
    while (count > 0) {
        size_t n = count < sizeof fill ? count : sizeof fill;
        if (buf_put(&l->out, fill, n) < 0) {
            l->dropped += n;
        }
        count -= n;
    }
}

static void stream_step(struct logic *l, int64_t now) {
    int64_t last = (int64_t)floor((double)(now - l->origin) / period_ps(l)); /* samples before this one have ended */
    last = last < l->n + SAMPLES_PER_STEP ? last : l->n + SAMPLES_PER_STEP;
    bool mute = fault_on(l->faults, FAULT_LOGIC_MUTE);
    while (l->n < last) {
        int64_t until = 0, t = at_ps(l, (double)l->n + 0.5);
        if (fault_fires(l->faults, FAULT_LOGIC_LOSE)) {
            l->n += (int64_t)fault_param(l->faults, FAULT_LOGIC_LOSE, "samples");
            continue;
        }
        uint8_t now_levels = elec_cursor_markers(l->elec, &l->cursor, t, &until);
        if (now_levels != l->truth) {
            levels_change(l, now_levels);
        }
        int64_t next = (int64_t)ceil((double)(until - l->origin) / period_ps(l) - 0.5); /* first sample at or behind until */
        next = next <= l->n ? l->n + 1 : next > last ? last : next;
        if (!mute) {
            emit(l, (size_t)(next - l->n), l->shown);
        }
        l->n = next;
    }
}

/* --- front ------------------------------------------------------------------------------------------------------------ */
static int logic_fds(void *self, struct pollfd *out, int cap) {
    struct logic *l = self;
    if (cap < 1) {
        return 0;
    }
    out[0] = (struct pollfd){.fd = l->client < 0 ? l->listener : l->client, .events = POLLIN};
    out[0].events = (short)(out[0].events | (l->client >= 0 && l->out.len > 0 ? POLLOUT : 0));
    return 1;
}

static void logic_ready(void *self, const struct pollfd *fds, int n) {
    struct logic *l = self;
    if (n < 1 || fds[0].revents == 0) {
        return;
    }
    if (l->client < 0) {
        int c = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c >= 0) {
            int one = 1;
            setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            l->client = c;
        }
        return;
    }
    if (fds[0].revents & POLLOUT) {
        client_write(l);
    }
    if (l->client >= 0 && fds[0].revents & POLLIN) {
        client_read(l);
    } else if (l->client >= 0 && fds[0].revents & (POLLHUP | POLLERR)) {
        client_close(l);
    }
}

static void logic_step(void *self, int64_t now_ps) {
    struct logic *l = self;
    if (!l->streaming) {
        return;
    }
    if (fault_fires(l->faults, FAULT_LOGIC_CLOSE)) {
        client_close(l);
        return;
    }
    stream_step(l, now_ps);
    client_write(l);
}

static void logic_done(void *self) {
    struct logic *l = self;
    if (!l) {
        return;
    }
    client_close(l);
    if (l->listener >= 0) {
        close(l->listener);
    }
    buf_done(&l->out);
    free(l);
}

static const struct front_ops ops = {.name = "logic", .fds = logic_fds, .ready = logic_ready, .step = logic_step, .done = logic_done};

static int listen_on(struct logic *l, int port, struct err *reterr) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int one = 1;
    l->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->listener < 0 || setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(l->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(l->listener, 4) < 0 ||
        getsockname(l->listener, (struct sockaddr *)&a, &len) < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "logic analyzer port %d", port);
    }
    l->port = ntohs(a.sin_port);
    return 0;
}

int logic_open(const struct logic_conf *c, struct logic **ret_logic, struct err *reterr) {
    struct logic *l = calloc(1, sizeof *l);
    if (!l) {
        return err_set(reterr, JF_E_NOMEM, "logic analyzer");
    }
    *l = (struct logic){.elec = c->elec, .faults = c->faults, .client = -1, .listener = -1, .rate_hz = 1e6, .sampleunit = 1, .memalloc = 64u << 20,
                        .bufunitsize = 4u << 20, .triggerflags = 1, .errors = {.loss_line = -1}};
    profile_seed(&l->rng, c->seed ^ UINT64_C(0x6c6f676963));
    buf_init(&l->out, QUEUE_BYTES);
    int rc = listen_on(l, c->port, reterr);
    if (rc < 0) {
        logic_done(l);
        return rc;
    }
    *ret_logic = l;
    return 0;
}

struct front logic_front(struct logic *l) { return (struct front){.ops = &ops, .self = l}; }
int logic_port(const struct logic *l) { return l->port; }

int logic_set(struct logic *l, const json_t *obj, struct err *reterr) {
    struct errors e = l->errors;
    const struct {
        const char *name;
        double *at, min, max;
    } members[] = {{"rate_error", &e.rate_error, -0.01, 0.01}, {"skew_s", &e.skew_s, 0, 10}, {"edge_loss", &e.edge_loss, 0, 1}, {"loss_line", &e.loss_line, -1, 7}};
    const char *key;
    const json_t *v;
    json_t *list = json_is_object(obj) ? json_deep_copy(obj) : NULL;
    if (!list) {
        return err_set_at(reterr, JF_E_INVAL, "set", "must be an object");
    }
    int rc = 0;
    json_object_foreach(list, key, v) {
        size_t k = 0;
        while (k < sizeof members / sizeof members[0] && strcmp(members[k].name, key) != 0) {
            k++;
        }
        if (k == sizeof members / sizeof members[0]) {
            rc = err_set_at(reterr, JF_E_INVAL, "set", "there is no member '%.40s'", key);
        } else if (!json_is_number(v) || !(json_number_value(v) >= members[k].min && json_number_value(v) <= members[k].max)) {
            rc = err_set_at(reterr, JF_E_INVAL, members[k].name, "must be a number between %g and %g", members[k].min, members[k].max);
        } else {
            *members[k].at = json_number_value(v);
        }
    }
    json_decref(list);
    if (rc == 0) {
        l->errors = e;
    }
    return rc;
}

json_t *logic_json(const struct logic *l) {
    return json_pack("{s:i, s:f, s:f, s:f, s:f, s:b, s:f, s:f, s:I, s:I, s:I}", "port", l->port, "rate_error", l->errors.rate_error, "skew_s", l->errors.skew_s,
                     "edge_loss", l->errors.edge_loss, "loss_line", l->errors.loss_line, "streaming", l->streaming, "origin_s", (double)l->origin / (double)ELEC_PS_PER_S, "rate_hz", l->rate_hz,
                     "samples", (json_int_t)l->n, "edges_lost", (json_int_t)l->edges_lost, "dropped", (json_int_t)l->dropped);
}
