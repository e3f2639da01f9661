/* SPDX-License-Identifier: GPL-2.0-or-later
 * The control socket; see control.h. Owns the listening socket, its file and the clients. One thread. */
#include "sim/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

#define CLIENTS (FRONT_MAX_FDS - 1)
#define LINE_BYTES 65536u
#define REPLY_BYTES (4u * 1024u * 1024u)

struct client {
    int fd; /* -1: free */
    struct buf in, out;
};

struct control {
    int listener;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct client client[CLIENTS];
    control_fn *fn;
    void *ctx;
};

static void client_close(struct client *c) {
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    buf_done(&c->in);
    buf_done(&c->out);
}

json_t *control_error(const struct err *e) {
    return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", err_word(e->code), "where", e->where, "text", e->text);
}

static json_t *answer(struct control *s, const char *line, size_t n) {
    json_error_t je;
    struct err e = {0};
    json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(request)) {
        json_decref(request);
        err_set_at(&e, JF_E_PARSE, "line", "not a JSON object: %.200s", request ? "another type" : je.text);
        return control_error(&e);
    }
    json_t *reply = s->fn(s->ctx, request);
    json_decref(request);
    return reply;
}

static void client_write(struct client *c) {
    while (c->fd >= 0 && c->out.len > 0) {
        ssize_t w = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (w <= 0) {
            client_close(c);
            return;
        }
        buf_consume(&c->out, (size_t)w);
    }
}

static void client_lines(struct control *s, struct client *c) {
    const uint8_t *end;
    while (c->in.len > 0 && (end = memchr(c->in.data, '\n', c->in.len)) != NULL) {
        size_t n = (size_t)(end - c->in.data);
        json_t *reply = answer(s, (const char *)c->in.data, n);
        char *text = reply ? json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
        json_decref(reply);
        int rc = text ? buf_put(&c->out, text, strlen(text)) : JF_E_NOMEM;
        rc = rc < 0 ? rc : buf_put(&c->out, "\n", 1);
        free(text);
        buf_consume(&c->in, n + 1);
        if (rc < 0) { /* asks without reading the answers */
            client_close(c);
            return;
        }
    }
    client_write(c);
}

static void client_read(struct control *s, struct client *c) {
    char bytes[4096];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || buf_put(&c->in, bytes, (size_t)n) < 0) {
        client_close(c);
        return;
    }
    client_lines(s, c);
}

static int control_fds(void *self, struct pollfd *out, int cap) {
    struct control *s = self;
    int n = 0;
    if (cap < FRONT_MAX_FDS) {
        return 0;
    }
    bool room = false;
    for (int k = 0; k < CLIENTS; k++) {
        struct client *c = &s->client[k];
        room = room || c->fd < 0;
        if (c->fd >= 0) {
            out[n++] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (c->out.len > 0 ? POLLOUT : 0))};
        }
    }
    if (room) {
        out[n++] = (struct pollfd){.fd = s->listener, .events = POLLIN};
    }
    return n;
}

static void client_accept(struct control *s) {
    for (int k = 0; k < CLIENTS; k++) {
        struct client *c = &s->client[k];
        if (c->fd < 0) {
            c->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            buf_init(&c->in, LINE_BYTES);
            buf_init(&c->out, REPLY_BYTES);
            return;
        }
    }
}

static void control_ready(void *self, const struct pollfd *fds, int n) {
    struct control *s = self;
    for (int i = 0; i < n; i++) {
        if (fds[i].revents == 0) {
            continue;
        }
        if (fds[i].fd == s->listener) {
            client_accept(s);
            continue;
        }
        for (int k = 0; k < CLIENTS; k++) {
            struct client *c = &s->client[k];
            if (c->fd != fds[i].fd || c->fd < 0) {
                continue;
            }
            if (fds[i].revents & POLLOUT) {
                client_write(c);
            }
            if (c->fd >= 0 && (fds[i].revents & (POLLIN | POLLHUP | POLLERR))) {
                client_read(s, c);
            }
            break;
        }
    }
}

static void control_done(void *self) {
    struct control *s = self;
    if (!s) {
        return;
    }
    for (int k = 0; k < CLIENTS; k++) {
        client_write(&s->client[k]);
        client_close(&s->client[k]);
    }
    if (s->listener >= 0) {
        close(s->listener);
        unlink(s->path);
    }
    free(s);
}

static const struct front_ops ops = {.name = "control", .fds = control_fds, .ready = control_ready, .done = control_done};

/* Is somebody listening there? Then the path is taken. */
static bool path_in_use(const struct sockaddr_un *a) {
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool used = s >= 0 && connect(s, (const struct sockaddr *)a, sizeof *a) == 0;
    if (s >= 0) {
        close(s);
    }
    return used;
}

int control_open(const char *path, control_fn *fn, void *ctx, struct control **ret_control, struct err *reterr) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        return err_set_at(reterr, JF_E_INVAL, "--control", "the path is longer than %zu bytes", sizeof a.sun_path - 1);
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (path_in_use(&a)) {
        return err_set_at(reterr, JF_E_BUSY, "--control", "somebody listens on %s", path);
    }
    struct control *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "control socket");
    }
    for (int k = 0; k < CLIENTS; k++) {
        s->client[k].fd = -1;
    }
    s->fn = fn;
    s->ctx = ctx;
    memcpy(s->path, path, strlen(path) + 1);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener >= 0) {
        unlink(path);
    }
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->listener, 4) < 0) {
        int rc = err_set_errno(reterr, JF_E_IO, errno, "control socket %s", path);
        control_done(s);
        return rc;
    }
    *ret_control = s;
    return 0;
}

struct front control_front(struct control *c) { return (struct front){.ops = &ops, .self = c}; }
