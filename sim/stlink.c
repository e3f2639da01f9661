/* SPDX-License-Identifier: GPL-2.0-or-later
 * The stlink-server protocol: see sim/stlink.h. Requests have no length prefix, the first byte fixes it; one request is
 * outstanding per connection. Integers are little-endian. Reply formats as OpenOCD 0.12's stlink_usb.c reads them. */
#include "sim/stlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/stlink_cmd.h"

#define REQUEST_MAX (32 + STLINK_MAX_DATA)
#define DEVICE_ID 1u
#define CONNECT_ID 1u
#define SERVER_OK 1u
#define SERVER_BAD 0x1001u
#define BURST 8 /* requests answered in one turn: the core has to move on between them */
#define SPIN_US 60

struct client {
    int fd; /* -1: free */
    uint8_t in[REQUEST_MAX];
    size_t n;
    bool mute;
};
struct stlink {
    struct stlink_conf conf;
    int listen_fd;
    struct client client[STLINK_CLIENTS];
    struct stlink_cmd cmd;
    uint8_t reply[8 + STLINK_MAX_DATA];
};

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static void put32(uint8_t *p, uint32_t v) {
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}

static void drop(struct client *c) {
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    c->fd = -1;
    c->n = 0;
}

/* Replies are at most 6 KiB and the peer waits for each, so the socket's buffer takes them whole. */
static bool answer(struct client *c, const uint8_t *p, size_t n) { return send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n; }

/* Length of the request at p; 0: more bytes needed to know; -1: nonsense. */
static int request_size(const uint8_t *p, size_t n) {
    static const int fixed[] = {2, 1, 8, 8, 8, 32, 4, 1};
    if (n == 0) {
        return 0;
    }
    if (p[0] >= sizeof fixed / sizeof *fixed) {
        return -1;
    }
    if (p[0] != 5) {
        return fixed[p[0]];
    }
    if (n < 32) {
        return 0;
    }
    uint32_t size = get32(p + 28);
    if (size > STLINK_MAX_DATA) {
        return -1;
    }
    return p[24] == 0 ? 32 + (int)size : 32;
}

static size_t usb_command(struct stlink *s, const uint8_t *p, uint8_t *out) {
    uint32_t size = get32(p + 28);
    bool reads = p[24] != 0;
    put32(out, SERVER_OK);
    stlink_cmd_do(&s->cmd, p + 8, p + 32, reads ? 0 : size, out + 4, reads ? size : 0);
    return 4 + (reads ? size : 0);
}

static size_t device_info(const struct stlink *s, const uint8_t *p, uint8_t *out) {
    memset(out, 0, 45);
    put32(out, p[1] == 0 ? SERVER_OK : SERVER_BAD);
    put32(out + 4, DEVICE_ID);
    memcpy(out + 8, s->conf.serial, strlen(s->conf.serial));
    out[40] = 0x83;
    out[41] = 0x04;
    out[42] = 0x4B;
    out[43] = 0x37;
    return 45;
}

/* Fills s->reply; returns its length. */
static size_t request_do(struct stlink *s, const uint8_t *p) {
    uint8_t *out = s->reply;
    memset(out, 0, 64);
    put32(out, SERVER_OK);
    switch (p[0]) {
    case 1: /* number of devices, without a status */
        return 4;
    case 2:
        return device_info(s, p, out);
    case 3:
        put32(out, get32(p + 4) == DEVICE_ID ? SERVER_OK : SERVER_BAD);
        put32(out + 4, CONNECT_ID);
        return 8;
    case 5:
        return usb_command(s, p, out);
    case 6: /* server version: API 3, 1.0.0 */
        put32(out, 3);
        put32(out + 4, 1);
        return 16;
    default: /* refresh, close, number of clients */
        return 4;
    }
}

/* One complete request, if there is one. false: nothing more to do now. */
static bool serve(struct stlink *s, struct client *c) {
    int want = request_size(c->in, c->n);
    if (want < 0) {
        drop(c);
        return false;
    }
    if (want == 0 || c->n < (size_t)want || c->mute) {
        return false;
    }
    if (s->conf.faults && fault_on(s->conf.faults, FAULT_PROBE_SILENT)) {
        (void)fault_fires(s->conf.faults, FAULT_PROBE_SILENT);
        c->mute = true;
        return false;
    }
    if (s->conf.faults && fault_fires(s->conf.faults, FAULT_PROBE_DROP)) {
        drop(c);
        return false;
    }
    size_t n = request_do(s, c->in);
    memmove(c->in, c->in + want, c->n - (size_t)want);
    c->n -= (size_t)want;
    if (!answer(c, s->reply, n)) {
        drop(c);
        return false;
    }
    return true;
}

static bool receive(struct client *c) {
    ssize_t got = recv(c->fd, c->in + c->n, sizeof c->in - c->n, MSG_DONTWAIT);
    if (got > 0) {
        c->n += (size_t)got;
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(c);
    }
    return false;
}

static void client_ready(struct stlink *s, struct client *c) {
    for (int i = 0; i < BURST && c->fd >= 0 && receive(c); i++) {
        while (c->fd >= 0 && serve(s, c)) {
        }
        if (c->fd >= 0 && c->n == 0) { /* the next request of a chain follows at once: wait for it a moment */
            struct pollfd p = {.fd = c->fd, .events = POLLIN};
            struct timespec spin = {.tv_nsec = SPIN_US * 1000L};
            (void)ppoll(&p, 1, &spin, NULL);
        }
    }
}

static void accept_one(struct stlink *s) {
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (s->conf.faults && fault_fires(s->conf.faults, FAULT_PROBE_REFUSE)) {
        (void)close(fd);
        return;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < STLINK_CLIENTS; i++) {
        if (s->client[i].fd < 0) {
            s->client[i].fd = fd;
            s->client[i].n = 0;
            s->client[i].mute = false;
            return;
        }
    }
    (void)close(fd); /* full */
}

/* --- the front ------------------------------------------------------------------------------------------------ */

static int front_fds(void *self, struct pollfd *out, int cap) {
    const struct stlink *s = self;
    int n = 0;
    out[n++] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
    for (int i = 0; i < STLINK_CLIENTS && n < cap; i++) {
        if (s->client[i].fd >= 0) {
            out[n++] = (struct pollfd){.fd = s->client[i].fd, .events = POLLIN};
        }
    }
    return n;
}

static void front_ready(void *self, const struct pollfd *fds, int n) {
    struct stlink *s = self;
    for (int i = 0; i < n; i++) {
        if (!fds[i].revents) {
            continue;
        }
        if (fds[i].fd == s->listen_fd) {
            accept_one(s);
            continue;
        }
        for (int k = 0; k < STLINK_CLIENTS; k++) {
            if (s->client[k].fd == fds[i].fd) {
                client_ready(s, &s->client[k]);
                break;
            }
        }
    }
}

static void front_done(void *self) {
    struct stlink *s = self;
    for (int i = 0; i < STLINK_CLIENTS; i++) {
        drop(&s->client[i]);
    }
    (void)close(s->listen_fd);
    free(s);
}

static const struct front_ops stlink_ops = {.name = "st-link", .fds = front_fds, .ready = front_ready, .done = front_done};

bool stlink_busy(const struct front *f) {
    const struct stlink *s = f->self;
    for (int i = 0; i < STLINK_CLIENTS; i++) {
        if (s->client[i].fd >= 0 && !s->client[i].mute) {
            return true;
        }
    }
    return false;
}

static int listen_on(int port, int *ret_port, struct err *reterr) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0) {
        int rc = err_set_errno(reterr, errno == EADDRINUSE ? JF_E_BUSY : JF_E_IO, errno, "ST-Link port %d", port);
        (void)close(fd);
        return rc;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}

int stlink_open(const struct stlink_conf *conf, struct front *ret_front, int *ret_port, struct err *reterr) {
    size_t len = strlen(conf->serial);
    if (len == 0 || len == 12) {
        return err_set(reterr, JF_E_INVAL, "the probe's serial must have 1 to %d characters, but not 12", STLINK_SERIAL);
    }
    struct stlink *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "probe");
    }
    s->conf = *conf;
    for (int i = 0; i < STLINK_CLIENTS; i++) {
        s->client[i].fd = -1;
    }
    stlink_cmd_init(&s->cmd, conf->board, conf->faults);
    s->listen_fd = listen_on(conf->port, ret_port, reterr);
    if (s->listen_fd < 0) {
        int rc = s->listen_fd;
        free(s);
        return rc;
    }
    *ret_front = (struct front){.ops = &stlink_ops, .self = s};
    return 0;
}
