/* SPDX-License-Identifier: GPL-2.0-or-later
 * A SCPI instrument's TCP connection with a limit on every wait. Owns its socket. */
#include "drivers/power/sigrok/scpi_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct scpi_link {
    const struct clock_src *clock;
    int fd, cancel_fd, timeout_ms;
    size_t have;
    char buf[SCPI_LINE_MAX];
};

/* 1: ready; JF_E_STALLED after the deadline; JF_E_CANCELED. */
static int wait_fd(const struct scpi_link *l, int fd, short events, int64_t deadline_ns, const char *what, struct err *reterr) {
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = l->cancel_fd, .events = POLLIN}};
        int left = clock_left_ms(l->clock, deadline_ns, l->timeout_ms);
        if (poll(fds, 2, left) < 0 && errno != EINTR) {
            return err_set_errno(reterr, JF_E_IO, errno, "cannot wait for the instrument");
        }
        if (fds[1].revents & POLLIN) {
            return err_set(reterr, JF_E_CANCELED, "canceled while talking to the instrument");
        }
        if (fds[0].revents != 0) {
            return 1;
        }
        if (left == 0) {
            return err_set(reterr, JF_E_STALLED, "the instrument did not %s within %d ms", what, l->timeout_ms);
        }
    }
}

static int connect_one(struct scpi_link *l, const struct addrinfo *a, int64_t deadline_ns, struct err *reterr) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "no socket");
    }
    int r = 0;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        int why = errno;
        if (why == EINPROGRESS) {
            r = wait_fd(l, fd, POLLOUT, deadline_ns, "accept a connection", reterr);
            socklen_t n = sizeof why;
            if (r == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0) {
                why = errno;
            }
        }
        if (r >= 0 && why != 0) {
            r = err_set_errno(reterr, JF_E_GONE, why, "cannot connect to the instrument");
        }
    }
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->fd = fd;
    return 0;
}

int scpi_link_open(const struct scpi_conn *conn, const struct clock_src *clock, int timeout_ms, int cancel_fd, struct scpi_link **ret_l,
                   struct err *reterr) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int g = getaddrinfo(conn->host, conn->port, &hints, &list);
    if (g != 0) {
        return err_set(reterr, JF_E_GONE, "the instrument's address %s is unknown: %s", conn->host, gai_strerror(g));
    }
    struct scpi_link *l = calloc(1, sizeof *l);
    int r = l ? JF_E_GONE : err_set(reterr, JF_E_NOMEM, "no memory for a connection");
    if (l) {
        *l = (struct scpi_link){.clock = clock, .fd = -1, .cancel_fd = cancel_fd, .timeout_ms = timeout_ms};
        int64_t deadline = clock_mono_ns(clock) + timeout_ms * CLOCK_NS_PER_MS;
        for (const struct addrinfo *a = list; a && r < 0 && r != JF_E_CANCELED; a = a->ai_next) {
            r = connect_one(l, a, deadline, reterr);
        }
    }
    freeaddrinfo(list);
    if (r < 0) {
        scpi_link_close(l);
        return r;
    }
    *ret_l = l;
    return 0;
}

void scpi_link_close(struct scpi_link *l) {
    if (l) {
        if (l->fd >= 0) {
            (void)close(l->fd);
        }
        free(l);
    }
}

static int send_all(struct scpi_link *l, const char *p, size_t n, struct err *reterr) {
    int64_t deadline = clock_mono_ns(l->clock) + l->timeout_ms * CLOCK_NS_PER_MS;
    while (n > 0) {
        ssize_t put = send(l->fd, p, n, MSG_NOSIGNAL);
        if (put > 0) {
            p += put;
            n -= (size_t)put;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int r = wait_fd(l, l->fd, POLLOUT, deadline, "take a command", reterr);
            if (r < 0) {
                return r;
            }
        } else if (errno != EINTR) {
            return err_set_errno(reterr, JF_E_GONE, errno, "the instrument closed the connection");
        }
    }
    return 0;
}

int scpi_link_send(struct scpi_link *l, const char *command, struct err *reterr) {
    char line[SCPI_LINE_MAX];
    int n = snprintf(line, sizeof line, "%s\n", command);
    if (n < 0 || (size_t)n >= sizeof line) {
        return err_set(reterr, JF_E_BUG, "a SCPI command of %d bytes", n);
    }
    return send_all(l, line, (size_t)n, reterr);
}

int scpi_link_ask(struct scpi_link *l, const char *command, char answer[SCPI_LINE_MAX], struct err *reterr) {
    int r = scpi_link_send(l, command, reterr);
    int64_t deadline = clock_mono_ns(l->clock) + l->timeout_ms * CLOCK_NS_PER_MS;
    while (r >= 0) {
        size_t len = 0, drop = 0;
        r = scpi_line(l->buf, l->have, &len, &drop, reterr);
        if (r == 1) {
            memcpy(answer, l->buf, len);
            answer[len] = '\0';
            l->have -= drop;
            memmove(l->buf, l->buf + drop, l->have);
            return 0;
        }
        r = r < 0 ? r : wait_fd(l, l->fd, POLLIN, deadline, "answer", reterr);
        if (r < 0) {
            break;
        }
        ssize_t got = recv(l->fd, l->buf + l->have, sizeof l->buf - l->have, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            r = err_set(reterr, JF_E_GONE, "the instrument closed the connection");
        }
        l->have += got > 0 ? (size_t)got : 0;
    }
    return reterr ? err_prefix(reterr, "%s", command) : r;
}
