/* SPDX-License-Identifier: GPL-2.0-or-later
 * The watchdog over libsigrok's blocking TCP reads. libsigrok 0.5.2 reads with recv(2) and no limit: a mute instrument
 * blocks it for ever, and sr_session_stop has no effect then. The socket is libsigrok's, but it is in this process:
 * this thread finds it among our descriptors by its peer's address, watches the kernel's count of received bytes, and
 * shuts it down when the count stands still; recv then returns and libsigrok comes back to its event loop.
 * Owns one thread and an event descriptor. */
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <linux/tcp.h> /* struct tcp_info with tcpi_bytes_received, which the C library's lacks */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/power/sigrok/sk.h"

#define TICK_MS 50
#define TCP_STATE_CLOSE_WAIT 8 /* include/net/tcp_states.h: the peer has closed */

static bool same_peer(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)a, *y = (const struct sockaddr_in *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (a->ss_family != AF_INET6) {
        return false;
    }
    const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a, *y = (const struct sockaddr_in6 *)b;
    return x->sin6_port == y->sin6_port && memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

struct look {
    const struct addrinfo *peers;
    bool found, closed;
    uint64_t received; /* sum over the instrument's sockets */
    int *fds, n, cap; /* DEED_LIST */
};

static bool is_peer(int fd, const struct addrinfo *peers) {
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    memset(&sa, 0, sizeof sa);
    if (getpeername(fd, (struct sockaddr *)&sa, &n) != 0) {
        return false;
    }
    for (const struct addrinfo *a = peers; a; a = a->ai_next) {
        struct sockaddr_storage want;
        memset(&want, 0, sizeof want);
        if (a->ai_addrlen <= sizeof want) {
            memcpy(&want, a->ai_addr, a->ai_addrlen);
            if (same_peer(&sa, &want)) {
                return true;
            }
        }
    }
    return false;
}

enum deed { DEED_LOOK, DEED_LIST, DEED_SHUT, DEED_CLOSE };

/* Looks at every socket of this process that talks to the instrument, and shuts or closes them. */
static void look_at_sockets(struct look *k, enum deed deed) {
    k->found = k->closed = false;
    k->received = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) {
        return;
    }
    /* glibc's readdir is safe on a stream of one's own. */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        int fd = (int)strtol(e->d_name, NULL, 10);
        if (e->d_name[0] == '.' || !is_peer(fd, k->peers)) {
            continue;
        }
        struct tcp_info info = {0};
        socklen_t n = sizeof info;
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0) {
            k->found = true;
            k->closed = k->closed || info.tcpi_state == TCP_STATE_CLOSE_WAIT;
            k->received += info.tcpi_bytes_received;
        }
        if (deed == DEED_LIST && k->n < k->cap) {
            k->fds[k->n++] = fd;
        }
        if (deed == DEED_SHUT || deed == DEED_CLOSE) {
            (void)shutdown(fd, SHUT_RDWR);
        }
        if (deed == DEED_CLOSE) {
            (void)close(fd);
        }
    }
    (void)closedir(d);
}

static void *watch_thread(void *arg) {
    struct sk_watch *w = arg;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *peers = NULL;
    if (getaddrinfo(w->peer.host, w->peer.port, &hints, &peers) != 0) {
        return NULL;
    }
    struct look k = {.peers = peers};
    uint64_t last = 0;
    int64_t since = clock_mono_ns(w->clock);
    enum sk_verdict verdict = SK_FINE;
    for (;;) {
        struct pollfd fds[2] = {{.fd = w->stop_fd, .events = POLLIN}, {.fd = w->cancel_fd, .events = POLLIN}};
        /* A cancel stays readable: after it only the stop wakes this thread, or the next tick. */
        (void)poll(fds, verdict == SK_CANCELED ? 1 : 2, TICK_MS);
        if (fds[0].revents & POLLIN) {
            break;
        }
        look_at_sockets(&k, DEED_LOOK);
        int64_t now = clock_mono_ns(w->clock);
        if (k.received != last) {
            last = k.received;
            since = now;
        }
        if (verdict == SK_FINE) {
            verdict = fds[1].revents & POLLIN                                  ? SK_CANCELED
                      : k.closed                                               ? SK_CLOSED
                      : now - since > w->stall_ms * CLOCK_NS_PER_MS ? SK_STALLED
                                                                               : SK_FINE;
        }
        if (verdict != SK_FINE) {
            (void)pthread_mutex_lock(&w->lock);
            w->verdict = verdict;
            (void)pthread_mutex_unlock(&w->lock);
            look_at_sockets(&k, DEED_SHUT); /* again and again: the library may connect anew after a first failure */
        }
    }
    freeaddrinfo(peers);
    return NULL;
}

static void look_once(const struct sk_conf *c, struct look *k, enum deed deed) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *peers = NULL;
    if (c->scpi.host[0] && getaddrinfo(c->scpi.host, c->scpi.port, &hints, &peers) == 0) {
        k->peers = peers;
        look_at_sockets(k, deed);
        freeaddrinfo(peers);
    }
}

void sk_watch_close_left(const struct sk_conf *c) {
    struct look k = {0};
    look_once(c, &k, DEED_CLOSE);
}

int sk_watch_sockets(const struct sk_conf *c, int *fds, int cap) {
    struct look k = {.fds = fds, .cap = cap};
    look_once(c, &k, DEED_LIST);
    return k.n;
}

int sk_watch_begin(struct sk_watch *w, const struct sk_conf *c, const struct clock_src *clock, int cancel_fd, struct err *reterr) {
    *w = (struct sk_watch){.stop_fd = -1, .cancel_fd = cancel_fd, .stall_ms = c->stall_ms, .clock = clock, .peer = c->scpi};
    if (!c->scpi.host[0]) {
        return 0;
    }
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->stop_fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "no event descriptor");
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    int r = pthread_create(&w->thread, NULL, watch_thread, w);
    if (r != 0) {
        (void)pthread_mutex_destroy(&w->lock);
        (void)close(w->stop_fd);
        return err_set_errno(reterr, JF_E_NOMEM, r, "no thread for the watchdog");
    }
    w->running = true;
    return 0;
}

enum sk_verdict sk_watch_now(struct sk_watch *w) {
    if (!w->running) {
        return w->verdict;
    }
    (void)pthread_mutex_lock(&w->lock);
    enum sk_verdict v = w->verdict;
    (void)pthread_mutex_unlock(&w->lock);
    return v;
}

enum sk_verdict sk_watch_end(struct sk_watch *w) {
    if (w->running) {
        uint64_t one = 1;
        (void)!write(w->stop_fd, &one, sizeof one);
        (void)pthread_join(w->thread, NULL);
        (void)pthread_mutex_destroy(&w->lock);
        (void)close(w->stop_fd);
        w->running = false;
    }
    return w->verdict;
}

int sk_verdict_error(enum sk_verdict v, int stall_ms, int fallback, const char *text, struct err *reterr) {
    switch (v) {
    case SK_STALLED:
        return err_set(reterr, JF_E_STALLED, "%s: the instrument sent nothing for %d ms", text, stall_ms);
    case SK_CLOSED:
        return err_set(reterr, JF_E_GONE, "%s: the instrument closed the connection", text);
    case SK_CANCELED:
        return err_set(reterr, JF_E_CANCELED, "%s: canceled", text);
    default:
        return err_set(reterr, fallback, "%s", text);
    }
}
