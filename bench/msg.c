/* SPDX-License-Identifier: GPL-2.0-or-later
 * JSON packets over SOCK_SEQPACKET (bench/msg.h). */
#include "bench/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void msg_init(struct msg_link *ret_m, int fd, const struct clock_src *clock) {
    memset(ret_m, 0, sizeof *ret_m);
    ret_m->fd = fd;
    ret_m->clock = clock;
}

/* 0 sent, JF_E_FULL no room now, else final. */
static int send_now(struct msg_link *m, const char *text, size_t len, struct err *reterr) {
    if (m->fd < 0) {
        return 0;
    }
    if (m->gone) {
        return err_set(reterr, JF_E_GONE, "the daemon's socket is closed");
    }
    for (int tries = 0; tries < 16; tries++) {
        ssize_t n = send(m->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n == (ssize_t)len) {
            return 0;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            return JF_E_FULL;
        }
        m->gone = n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN);
        return err_set_errno(reterr, m->gone ? JF_E_GONE : JF_E_IO, errno, "message of %zu bytes to the daemon", len);
    }
    return err_set(reterr, JF_E_IO, "message to the daemon: interrupted again and again");
}

static int encode(json_t *obj, char **ret_text, size_t *ret_len, struct err *reterr) {
    char *text = json_dumps(obj, JSON_COMPACT);
    json_decref(obj);
    if (!text) {
        return err_set(reterr, JF_E_NOMEM, "a message could not be encoded");
    }
    size_t len = strlen(text);
    if (len > MSG_BYTES_MAX) {
        free(text);
        return err_set(reterr, JF_E_TOO_LARGE, "a message of %zu bytes is longer than %d", len, MSG_BYTES_MAX);
    }
    *ret_text = text;
    *ret_len = len;
    return 0;
}

void msg_offer(struct msg_link *m, json_t *obj) {
    char *text;
    size_t len;
    if (!obj || encode(obj, &text, &len, NULL) < 0) {
        m->dropped++;
        return;
    }
    if (send_now(m, text, len, NULL) < 0) {
        m->dropped++;
    }
    free(text);
}

int msg_send(struct msg_link *m, json_t *obj, int budget_ms, struct err *reterr) {
    if (!obj) {
        return err_set(reterr, JF_E_NOMEM, "a message could not be built");
    }
    char *text;
    size_t len;
    int r = encode(obj, &text, &len, reterr);
    if (r < 0) {
        return r;
    }
    int64_t until = clock_mono_ns(m->clock) + budget_ms * CLOCK_NS_PER_MS;
    for (;;) {
        r = send_now(m, text, len, reterr);
        if (r != JF_E_FULL) {
            break;
        }
        int left = clock_left_ms(m->clock, until, 100);
        if (left == 0) {
            r = err_set(reterr, JF_E_TIMEOUT, "the daemon took no message for %d ms", budget_ms);
            break;
        }
        struct pollfd p = {m->fd, POLLOUT, 0};
        (void)poll(&p, 1, left);
    }
    free(text);
    return r;
}

int msg_receive(struct msg_link *m, json_t **ret_obj, struct err *reterr) {
    if (m->fd < 0) {
        return 0;
    }
    if (m->gone) {
        return err_set(reterr, JF_E_GONE, "the daemon's socket is closed");
    }
    char *text = malloc(MSG_BYTES_MAX + 1);
    if (!text) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a message");
    }
    struct iovec iov = {text, MSG_BYTES_MAX};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = recvmsg(m->fd, &h, MSG_DONTWAIT);
    int r;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        r = 0;
    } else if (n <= 0) {
        m->gone = true;
        r = err_set(reterr, JF_E_GONE, "the daemon closed the socket");
    } else if (h.msg_flags & MSG_TRUNC) {
        r = err_set(reterr, JF_E_PROTOCOL, "the daemon sent a packet longer than %d bytes", MSG_BYTES_MAX);
    } else {
        json_error_t je;
        json_t *obj = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &je);
        if (!json_is_object(obj) || !json_is_string(json_object_get(obj, "type"))) {
            r = err_set(reterr, JF_E_PROTOCOL, "the daemon sent no object with a type (%s)", obj ? "JSON" : je.text);
            json_decref(obj);
        } else {
            *ret_obj = obj;
            r = 1;
        }
    }
    free(text);
    return r;
}
