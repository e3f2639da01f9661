/* SPDX-License-Identifier: GPL-2.0-or-later
 * The oscilloscope front; see hmo.h. Owns the listening socket, the one client, its line buffer and the pending
 * reply; commands are hmo_scpi's, samples hmo_acq's. One thread.
 *
 * Invariant F1: while a reply is pending or a query waits for a record, no further input is carried out. */
#include "sim/hmo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "sim/hmo_acq.h"
#include "sim/hmo_scpi.h"

#define LINE_MAX_BYTES 4096u
#define REPLY_MAX_BYTES (HMO_MEMORY * 4u + 65536u)

struct hmo {
    struct elec *elec;
    struct faults *faults;
    struct hmo_acq acq;
    struct hmo_scpi scpi;
    int listener, client; /* client -1: none */
    int port;
    char line[LINE_MAX_BYTES]; /* received, not carried out */
    size_t line_len;
    struct buf out;
    size_t sent; /* of out */
    bool replied; /* the present line has produced output: it ends with a line feed */
    bool close_after; /* short block fault */
    int64_t late_until; /* late fault: nothing is sent before; 0: none */
};

static void client_close(struct hmo *h) {
    if (h->client >= 0) {
        close(h->client);
    }
    h->client = -1;
    h->line_len = 0;
    h->sent = 0;
    h->replied = false;
    h->close_after = false;
    h->late_until = 0;
    buf_clear(&h->out);
}

static void client_write(struct hmo *h) {
    if (elec_now_ps(h->elec) < h->late_until) {
        return;
    }
    h->late_until = 0;
    while (h->client >= 0 && h->sent < h->out.len) {
        ssize_t w = send(h->client, h->out.data + h->sent, h->out.len - h->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (w <= 0) {
            client_close(h);
            return;
        }
        h->sent += (size_t)w;
    }
    buf_clear(&h->out);
    h->sent = 0;
    if (h->close_after) {
        client_close(h);
    }
}

/* Faults on what one command has answered since the output was `before` long. */
static void reply_faults(struct hmo *h, size_t before) {
    if (h->out.len == before) {
        return;
    }
    if (fault_fires(h->faults, FAULT_SCOPE_MUTE)) {
        h->out.len = before;
    } else if (fault_fires(h->faults, FAULT_SCOPE_CLOSE)) {
        h->out.len = before;
        h->close_after = true;
    } else if (h->scpi.sent_block && fault_fires(h->faults, FAULT_SCOPE_SHORT_BLOCK)) {
        double part = fault_param(h->faults, FAULT_SCOPE_SHORT_BLOCK, "fraction");
        h->out.len = before + (size_t)(part * (double)(h->out.len - before));
        h->close_after = true;
    }
    if (fault_fires(h->faults, FAULT_SCOPE_LATE)) {
        h->late_until = elec_now_ps(h->elec) + (int64_t)(fault_param(h->faults, FAULT_SCOPE_LATE, "s") * (double)ELEC_PS_PER_S);
    }
}

/* Takes the next command off the line buffer into out; false: none is complete. *ret_last: it ends its line. */
static bool command_next(struct hmo *h, char *out, size_t cap, size_t *ret_used, bool *ret_last) {
    bool quoted = false;
    for (size_t k = 0; k < h->line_len; k++) {
        char c = h->line[k];
        quoted = c == '"' ? !quoted : quoted && c != '\n';
        if (c == '\n' || (c == ';' && !quoted)) {
            size_t n = k < cap - 1 ? k : cap - 1;
            memcpy(out, h->line, n);
            out[n] = '\0';
            *ret_used = k + 1;
            *ret_last = c == '\n';
            return true;
        }
    }
    return false;
}

static void commands_run(struct hmo *h) {
    char text[512];
    size_t used;
    bool last;
    while (h->client >= 0 && h->sent == 0 && h->late_until == 0 && !h->close_after && command_next(h, text, sizeof text, &used, &last)) {
        size_t before = h->out.len;
        if (h->replied && before > 0 && strchr(text, '?')) {
            if (buf_put(&h->out, ";", 1) < 0) { /* several replies of one line are joined by semicolons */
                client_close(h);
                return;
            }
        }
        size_t start = h->out.len;
        hmo_scpi_command(&h->scpi, text, &h->out);
        if (h->scpi.hold) {
            h->out.len = before;
            return; /* the same command again, when the record is there */
        }
        if (h->out.len == start) {
            h->out.len = before;
        }
        h->replied = h->replied || h->out.len > start;
        reply_faults(h, before);
        h->line_len -= used;
        memmove(h->line, h->line + used, h->line_len);
        if (last) {
            if (h->replied && h->out.len > 0 && !h->close_after && buf_put(&h->out, "\n", 1) < 0) {
                client_close(h);
                return;
            }
            h->replied = false;
            client_write(h);
        }
    }
    if (h->close_after) {
        client_write(h);
    }
}

static void client_read(struct hmo *h) {
    if (h->line_len == sizeof h->line) {
        h->line_len = 0; /* a line longer than the buffer is dropped, as the instrument does */
    }
    ssize_t n = recv(h->client, h->line + h->line_len, sizeof h->line - h->line_len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        client_close(h);
        return;
    }
    if (n > 0) {
        h->line_len += (size_t)n;
        commands_run(h);
    }
}

/* --- front ---------------------------------------------------------------------------------------------------------- */
static int hmo_fds(void *self, struct pollfd *out, int cap) {
    struct hmo *h = self;
    if (cap < 1) {
        return 0;
    }
    if (h->client < 0) {
        out[0] = (struct pollfd){.fd = h->listener, .events = POLLIN};
    } else {
        bool busy = h->sent < h->out.len;
        out[0] = (struct pollfd){.fd = h->client, .events = (short)(busy ? POLLOUT : POLLIN)};
        if (h->scpi.hold || h->late_until != 0) {
            out[0].events = POLLRDHUP;
        }
    }
    return 1;
}

static void hmo_ready(void *self, const struct pollfd *fds, int n) {
    struct hmo *h = self;
    if (n < 1 || fds[0].revents == 0) {
        return;
    }
    if (h->client < 0) {
        int c = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c >= 0) {
            int one = 1;
            setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            h->client = c;
            h->scpi.hold = false;
        }
        return;
    }
    if (fds[0].revents & POLLOUT) {
        client_write(h);
        commands_run(h);
    } else if (fds[0].revents & POLLIN) {
        client_read(h);
    } else if (fds[0].revents & (POLLHUP | POLLERR | POLLRDHUP)) {
        client_close(h);
    }
}

static void hmo_step(void *self, int64_t now_ps) {
    struct hmo *h = self;
    hmo_acq_step(&h->acq, now_ps);
    if (h->client >= 0 && h->late_until != 0) {
        client_write(h);
    }
    if (h->client >= 0 && (h->scpi.hold || (h->late_until == 0 && h->line_len > 0))) {
        commands_run(h);
    }
}

static void hmo_done(void *self) {
    struct hmo *h = self;
    if (!h) {
        return;
    }
    client_close(h);
    if (h->listener >= 0) {
        close(h->listener);
    }
    buf_done(&h->out);
    hmo_acq_done(&h->acq);
    free(h);
}

static const struct front_ops ops = {.name = "hmo", .fds = hmo_fds, .ready = hmo_ready, .step = hmo_step, .done = hmo_done};

static int listen_on(struct hmo *h, int port, struct err *reterr) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int one = 1;
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->listener < 0 || setsockopt(h->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(h->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(h->listener, 4) < 0 ||
        getsockname(h->listener, (struct sockaddr *)&a, &len) < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "scope port %d", port);
    }
    h->port = ntohs(a.sin_port);
    return 0;
}

int hmo_open(const struct hmo_conf *c, const struct profile *p, struct hmo **ret_hmo, struct err *reterr) {
    struct hmo *h = calloc(1, sizeof *h);
    if (!h) {
        return err_set(reterr, JF_E_NOMEM, "oscilloscope");
    }
    h->elec = c->elec;
    h->faults = c->faults;
    h->client = -1;
    h->listener = -1;
    buf_init(&h->out, REPLY_MAX_BYTES);
    int rc = hmo_acq_init(&h->acq, c->elec, p, c->seed, reterr);
    if (rc == 0) {
        hmo_scpi_init(&h->scpi, &h->acq);
        rc = listen_on(h, c->port, reterr);
    }
    if (rc < 0) {
        hmo_done(h);
        return rc;
    }
    *ret_hmo = h;
    return 0;
}

struct front hmo_front(struct hmo *h) { return (struct front){.ops = &ops, .self = h}; }
struct profile *hmo_profile(struct hmo *h) { return &h->acq.profile; }
int hmo_port(const struct hmo *h) { return h->port; }
