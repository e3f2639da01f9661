/* SPDX-License-Identifier: GPL-2.0-or-later
 * Chooses the back end and forwards to it. Knows nothing about ports itself. One owner at a time. */
#include "base/serial/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/serial/serial_impl.h"

struct serial {
    const struct serial_ops *ops;
    void *impl; /* owned */
};

/* Linux: Unix98 pty slaves have the major numbers 136 to 143 (Documentation/admin-guide/devices.txt). */
#define PTS_MAJOR_FIRST 136u
#define PTS_MAJOR_LAST 143u

static bool is_pty_slave(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)) {
        return false;
    }
    unsigned maj = major(st.st_rdev);
    return maj >= PTS_MAJOR_FIRST && maj <= PTS_MAJOR_LAST;
}

int serial_lock(int fd, const char *path, struct err *reterr) {
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return err_set_at(reterr, JF_E_BUSY, path, "another process holds this port");
        }
        return err_set_errno(reterr, JF_E_IO, errno, "cannot lock %s", path);
    }
    /* A pty's exclusive flag outlives the process that set it (the tty lives as long as its master), so a killed
     * worker would lock its successor out. flock alone ends with the process. */
    if (isatty(fd) && !is_pty_slave(fd) && ioctl(fd, TIOCEXCL) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot make %s exclusive", path);
    }
    return 0;
}

void serial_unlock(int fd) {
    if (isatty(fd)) {
        (void)ioctl(fd, TIOCNXCL);
    }
    (void)flock(fd, LOCK_UN);
}

int serial_check_alive(int fd, struct err *reterr) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLNVAL | POLLHUP)) != 0 && (p.revents & POLLIN) == 0) {
        return err_set(reterr, JF_E_GONE, "the port hung up or was unplugged");
    }
    return 0;
}

int serial_write_fd(int fd, const void *src, size_t n, int budget_ms, struct err *reterr) {
    const struct clock_src *clock = clock_system();
    int64_t deadline = clock_mono_ns(clock) + budget_ms * CLOCK_NS_PER_MS;
    const uint8_t *p = src;
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put > 0) {
            p += put;
            n -= (size_t)put;
            continue;
        }
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            return err_set_errno(reterr, JF_E_GONE, errno, "cannot write to the port");
        }
        int left = clock_left_ms(clock, deadline, budget_ms);
        if (left == 0) {
            return err_set(reterr, JF_E_TIMEOUT, "the port took no more bytes for %d ms", budget_ms);
        }
        struct pollfd pf = {.fd = fd, .events = POLLOUT};
        if (poll(&pf, 1, left) < 0 && errno != EINTR) {
            return err_set_errno(reterr, JF_E_IO, errno, "cannot wait for the port");
        }
    }
    return 0;
}

static int wrap(const struct serial_ops *ops, void *impl, struct serial **ret_s, struct err *reterr) {
    struct serial *s = calloc(1, sizeof *s);
    if (!s) {
        ops->close(impl);
        return err_set(reterr, JF_E_NOMEM, "no memory for a serial port");
    }
    s->ops = ops;
    s->impl = impl;
    *ret_s = s;
    return 0;
}

int serial_open(const char *path, int baud, const char *backend, struct serial **ret_s, struct err *reterr) {
    if (!path || !*path || baud <= 0) {
        return err_set(reterr, JF_E_INVAL, "a serial port needs a path and a positive baud rate");
    }
    bool use_lsp;
    if (!backend || !*backend || strcmp(backend, "auto") == 0) {
        use_lsp = serial_lsp_accepts(path);
    } else if (strcmp(backend, "libserialport") == 0) {
        use_lsp = true;
    } else if (strcmp(backend, "fd") == 0) {
        use_lsp = false;
    } else {
        return err_set_at(reterr, JF_E_INVAL, "backend", "'%s' is not one of auto, libserialport, fd", backend);
    }
    void *impl = NULL;
    int r = use_lsp ? serial_lsp_open(path, baud, &impl, reterr) : serial_fd_open(path, baud, &impl, reterr);
    if (r < 0) {
        return r;
    }
    return wrap(use_lsp ? &serial_lsp_ops : &serial_fd_ops, impl, ret_s, reterr);
}

int serial_from_fd(int fd, struct serial **ret_s, struct err *reterr) {
    void *impl = NULL;
    int r = serial_fd_wrap(fd, &impl, reterr);
    return r < 0 ? r : wrap(&serial_fd_ops, impl, ret_s, reterr);
}

const char *serial_backend_name(const struct serial *s) { return s->ops->name; }
int serial_read(struct serial *s, void *dst, size_t n, struct err *reterr) { return s->ops->read(s->impl, dst, n, reterr); }
int serial_write(struct serial *s, const void *src, size_t n, int budget_ms, struct err *reterr) {
    return s->ops->write(s->impl, src, n, budget_ms, reterr);
}
int serial_drain(struct serial *s) { return s->ops->drain(s->impl); }
int serial_poll_fd(struct serial *s) { return s->ops->poll_fd(s->impl); }

void serial_close(struct serial *s) {
    if (s) {
        s->ops->close(s->impl);
        free(s);
    }
}
