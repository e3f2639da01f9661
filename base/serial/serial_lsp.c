/* SPDX-License-Identifier: GPL-2.0-or-later
 * libserialport back end (0.1.1), for real ports. The only file that knows libserialport. One owner at a time.
 * libserialport accepts only names under /dev that exist in /sys/class/tty, so a /dev/serial/by-id link is resolved
 * first; it does not lock, so this file does. */
#include <libserialport.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/serial/serial_impl.h"

struct lsp_port {
    struct sp_port *port; /* owned */
    int fd; /* borrowed from port */
};

/* The port under that name or under what the name links to; NULL: libserialport knows neither. */
static struct sp_port *lookup(const char *path) {
    struct sp_port *port = NULL;
    if (sp_get_port_by_name(path, &port) == SP_OK) {
        return port;
    }
    char real[PATH_MAX];
    if (realpath(path, real) && strcmp(real, path) != 0 && sp_get_port_by_name(real, &port) == SP_OK) {
        return port;
    }
    return NULL;
}

bool serial_lsp_accepts(const char *path) {
    struct sp_port *port = lookup(path);
    sp_free_port(port);
    return port != NULL;
}

static int fail(int code, const char *what, const char *path, struct err *reterr) {
    char *text = sp_last_error_message();
    int r = err_set(reterr, code, "%s %s: %s", what, path, text ? text : "no reason given");
    sp_free_error_message(text);
    return r;
}

static bool configure(struct sp_port *port, int baud) {
    return sp_set_baudrate(port, baud) == SP_OK && sp_set_bits(port, 8) == SP_OK && sp_set_parity(port, SP_PARITY_NONE) == SP_OK &&
           sp_set_stopbits(port, 1) == SP_OK && sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE) == SP_OK;
}

int serial_lsp_open(const char *path, int baud, void **ret_impl, struct err *reterr) {
    struct lsp_port *p = calloc(1, sizeof *p);
    if (!p) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a serial port");
    }
    int r;
    p->port = lookup(path);
    if (!p->port) {
        r = err_set_at(reterr, JF_E_NOT_FOUND, path, "libserialport does not know this port");
        goto fail_mem;
    }
    if (sp_open(p->port, SP_MODE_READ_WRITE) != SP_OK) {
        r = fail(JF_E_IO, "cannot open", path, reterr);
        goto fail_port;
    }
    if (sp_get_port_handle(p->port, &p->fd) != SP_OK) {
        r = fail(JF_E_IO, "no descriptor of", path, reterr);
        goto fail_open;
    }
    r = serial_lock(p->fd, path, reterr);
    if (r < 0) {
        goto fail_open;
    }
    if (!configure(p->port, baud)) {
        r = fail(JF_E_IO, "cannot configure", path, reterr);
        goto fail_lock;
    }
    *ret_impl = p;
    return 0;
fail_lock:
    serial_unlock(p->fd);
fail_open:
    (void)sp_close(p->port);
fail_port:
    sp_free_port(p->port);
fail_mem:
    free(p);
    return r;
}

static int lsp_read(void *impl, void *dst, size_t n, struct err *reterr) {
    struct lsp_port *p = impl;
    int got = (int)sp_nonblocking_read(p->port, dst, n < INT_MAX ? n : INT_MAX);
    if (got > 0) {
        return got;
    }
    if (got < 0) {
        return fail(JF_E_GONE, "cannot read", "the port", reterr);
    }
    /* 0 stands for "nothing yet" and for a hang-up alike. */
    return serial_check_alive(p->fd, reterr);
}

static int lsp_write(void *impl, const void *src, size_t n, int budget_ms, struct err *reterr) {
    struct lsp_port *p = impl;
    if (n == 0) {
        return 0;
    }
    /* A time-out of 0 would mean "for ever" to libserialport. */
    int put = (int)sp_blocking_write(p->port, src, n, budget_ms > 0 ? (unsigned)budget_ms : 1u);
    if (put < 0) {
        return fail(JF_E_GONE, "cannot write to", "the port", reterr);
    }
    if ((size_t)put < n) {
        return err_set(reterr, JF_E_TIMEOUT, "the port took no more bytes for %d ms", budget_ms);
    }
    return 0;
}

static int lsp_drain(void *impl) {
    struct lsp_port *p = impl;
    char sink[4096];
    int total = 0;
    for (int i = 0; i < 4096; i++) {
        int got = lsp_read(p, sink, sizeof sink, NULL);
        if (got <= 0) {
            return got < 0 ? got : total;
        }
        total += got;
    }
    return total;
}

static int lsp_poll_fd(void *impl) {
    const struct lsp_port *p = impl;
    return p->fd;
}

static void lsp_close(void *impl) {
    struct lsp_port *p = impl;
    serial_unlock(p->fd);
    (void)sp_close(p->port);
    sp_free_port(p->port);
    free(p);
}

const struct serial_ops serial_lsp_ops = {"libserialport", lsp_read, lsp_write, lsp_drain, lsp_poll_fd, lsp_close};

const char *serial_library_version(void) { return sp_get_package_version_string(); }
