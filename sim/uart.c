/* SPDX-License-Identifier: GPL-2.0-or-later
 * The serial pty: see sim/uart.h. */
#include "sim/uart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define OUT_MAX 4096

struct uart {
    int master, slave;
    struct board *board;
    char link[512];
    uint8_t out[OUT_MAX];
    size_t n_out;
    uint64_t dropped;
};

void uart_sent(void *self, uint8_t byte) {
    struct uart *u = self;
    if (u->n_out < OUT_MAX) {
        u->out[u->n_out++] = byte;
    } else {
        u->dropped++;
    }
}

static void flush(struct uart *u) {
    if (u->n_out == 0) {
        return;
    }
    ssize_t n = write(u->master, u->out, u->n_out);
    if (n > 0) {
        memmove(u->out, u->out + n, u->n_out - (size_t)n);
        u->n_out -= (size_t)n;
    }
}

static int front_fds(void *self, struct pollfd *out, int cap) {
    const struct uart *u = self;
    if (cap < 1 || !u->board || board_uart_room(u->board) == 0) {
        return 0;
    }
    out[0] = (struct pollfd){.fd = u->master, .events = POLLIN};
    return 1;
}

static void front_ready(void *self, const struct pollfd *fds, int n) {
    struct uart *u = self;
    uint8_t in[BOARD_UART_QUEUE];
    if (n < 1 || !(fds[0].revents & POLLIN)) {
        return;
    }
    ssize_t got = read(u->master, in, board_uart_room(u->board));
    for (ssize_t i = 0; i < got; i++) {
        board_uart_put(u->board, in[i]);
    }
}

static void front_step(void *self, int64_t now_ps) {
    (void)now_ps;
    flush(self);
}

static void front_done(void *self) {
    struct uart *u = self;
    (void)unlink(u->link);
    if (u->slave >= 0) {
        (void)close(u->slave);
    }
    if (u->master >= 0) {
        (void)close(u->master);
    }
    free(u);
}

static const struct front_ops uart_ops = {.name = "uart", .fds = front_fds, .ready = front_ready, .step = front_step, .done = front_done};

static int pty_open(struct uart *u, char *name, size_t size, struct err *reterr) {
    struct termios t;
    u->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (u->master < 0 || grantpt(u->master) < 0 || unlockpt(u->master) < 0 || ptsname_r(u->master, name, size) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "pty");
    }
    u->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (u->slave < 0 || tcgetattr(u->slave, &t) < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", name);
    }
    cfmakeraw(&t);
    (void)cfsetspeed(&t, B115200);
    return tcsetattr(u->slave, TCSANOW, &t) < 0 ? err_set_errno(reterr, JF_E_IO, errno, "%s", name) : 0;
}

int uart_open(const char *symlink_path, struct front *ret_front, struct err *reterr) {
    char name[64];
    struct uart *u = calloc(1, sizeof *u);
    if (!u) {
        return err_set(reterr, JF_E_NOMEM, "uart");
    }
    u->master = u->slave = -1;
    int rc = pty_open(u, name, sizeof name, reterr);
    if (rc < 0) {
        goto fail_uart;
    }
    if ((size_t)snprintf(u->link, sizeof u->link, "%s", symlink_path) >= sizeof u->link) {
        rc = err_set(reterr, JF_E_INVAL, "path too long: %s", symlink_path);
        u->link[0] = '\0';
        goto fail_uart;
    }
    (void)unlink(symlink_path);
    if (symlink(name, symlink_path) < 0) {
        rc = err_set_errno(reterr, JF_E_IO, errno, "%s", symlink_path);
        goto fail_uart;
    }
    *ret_front = (struct front){.ops = &uart_ops, .self = u};
    return 0;
fail_uart:
    front_done(u);
    return rc;
}

void uart_attach(struct front *f, struct board *board) { ((struct uart *)f->self)->board = board; }
uint64_t uart_dropped(const struct front *f) { return ((const struct uart *)f->self)->dropped; }
