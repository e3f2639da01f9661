/* SPDX-License-Identifier: GPL-2.0-or-later
 * Plain descriptor back end: ptys, socket pairs, any character device. Owns its descriptor. One owner at a time. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/serial/serial_impl.h"

struct fd_port {
    int fd;
    bool tty;
};

static const struct {
    int baud;
    speed_t speed;
} fd_speeds[] = {
    {1200, B1200},       {2400, B2400},       {4800, B4800},       {9600, B9600},       {19200, B19200},
    {38400, B38400},     {57600, B57600},     {115200, B115200},   {230400, B230400},   {460800, B460800},
    {500000, B500000},   {921600, B921600},   {1000000, B1000000}, {2000000, B2000000}, {3000000, B3000000},
    {4000000, B4000000},
};

static int set_raw(int fd, int baud, struct err *reterr) {
    speed_t speed = 0;
    for (size_t i = 0; i < sizeof fd_speeds / sizeof fd_speeds[0]; i++) {
        if (fd_speeds[i].baud == baud) {
            speed = fd_speeds[i].speed;
        }
    }
    if (speed == 0) {
        return err_set_at(reterr, JF_E_INVAL, "baud", "%d is not a rate that this port can be set to", baud);
    }
    struct termios t;
    if (tcgetattr(fd, &t) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot read the port's settings");
    }
    cfmakeraw(&t);
    t.c_cflag &= (tcflag_t) ~(CSTOPB | CRTSCTS);
    t.c_cflag |= CLOCAL | CREAD | CS8;
    t.c_cc[VMIN] = 1; /* with 0 a non-blocking read returns 0 for "nothing yet" and could not be told from a hang-up */
    t.c_cc[VTIME] = 0;
    (void)cfsetispeed(&t, speed);
    (void)cfsetospeed(&t, speed);
    if (tcsetattr(fd, TCSANOW, &t) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot set the port to raw mode");
    }
    return 0;
}

int serial_fd_wrap(int fd, void **ret_impl, struct err *reterr) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return err_set_errno(reterr, JF_E_INVAL, errno, "descriptor %d cannot be used", fd);
    }
    struct fd_port *p = calloc(1, sizeof *p);
    if (!p) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a serial port");
    }
    p->fd = fd;
    p->tty = isatty(fd) == 1;
    *ret_impl = p;
    return 0;
}

int serial_fd_open(const char *path, int baud, void **ret_impl, struct err *reterr) {
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        int code = errno == EBUSY ? JF_E_BUSY : errno == ENOENT ? JF_E_NOT_FOUND : JF_E_IO;
        return err_set_errno(reterr, code, errno, "cannot open %s", path);
    }
    int r = serial_lock(fd, path, reterr);
    if (r < 0) {
        goto fail_fd;
    }
    if (isatty(fd)) {
        r = set_raw(fd, baud, reterr);
        if (r < 0) {
            goto fail_lock;
        }
    }
    r = serial_fd_wrap(fd, ret_impl, reterr);
    if (r < 0) {
        goto fail_lock;
    }
    return 0;
fail_lock:
    serial_unlock(fd);
fail_fd:
    (void)close(fd);
    return r;
}

static int fd_read(void *impl, void *dst, size_t n, struct err *reterr) {
    struct fd_port *p = impl;
    if (n == 0) {
        return 0;
    }
    ssize_t got = read(p->fd, dst, n < INT_MAX ? n : INT_MAX);
    if (got > 0) {
        return (int)got;
    }
    if (got == 0) {
        return err_set(reterr, JF_E_GONE, "the port hung up or was unplugged");
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return 0;
    }
    /* EIO is what a pty slave reads once its master is closed, and a tty once its device is gone. */
    return err_set_errno(reterr, JF_E_GONE, errno, "the port cannot be read any more");
}

static int fd_write(void *impl, const void *src, size_t n, int budget_ms, struct err *reterr) {
    struct fd_port *p = impl;
    return serial_write_fd(p->fd, src, n, budget_ms, reterr);
}

#define DRAIN_MAX_READS 4096 /* bounded even against a peer that never stops sending */

static int fd_drain(void *impl) {
    struct fd_port *p = impl;
    char sink[4096];
    int total = 0;
    for (int i = 0; i < DRAIN_MAX_READS; i++) {
        int got = fd_read(p, sink, sizeof sink, NULL);
        if (got <= 0) {
            return got < 0 ? got : total;
        }
        total += got;
    }
    return total;
}

static int fd_poll_fd(void *impl) {
    const struct fd_port *p = impl;
    return p->fd;
}

static void fd_close(void *impl) {
    struct fd_port *p = impl;
    if (p->tty) {
        serial_unlock(p->fd);
    }
    (void)close(p->fd);
    free(p);
}

const struct serial_ops serial_fd_ops = {"fd", fd_read, fd_write, fd_drain, fd_poll_fd, fd_close};
