/* SPDX-License-Identifier: GPL-2.0-or-later
 * A byte stream to a serial device as a seam: two back ends, libserialport (real ports) and plain descriptors
 * (ptys, socket pairs in tests). Raw 8N1, no flow control. Not thread safe: one owner at a time.
 * Opening takes an exclusive lock (TIOCEXCL and flock; libserialport itself does not lock): JF_E_BUSY if held. */
#ifndef BASE_SERIAL_H
#define BASE_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct serial;

struct serial_ops {
    const char *name; /* "libserialport", "fd" */
    /* Number of bytes read (0: none available now). JF_E_GONE: hung up or unplugged. Never blocks. */
    int (*read)(void *impl, void *dst, size_t n, struct err *reterr);
    /* Writes all n bytes or fails; blocks at most budget_ms (JF_E_TIMEOUT). */
    int (*write)(void *impl, const void *src, size_t n, int budget_ms, struct err *reterr);
    int (*drain)(void *impl); /* discards what has arrived but was not read */
    int (*poll_fd)(void *impl); /* for poll(2), readable when read would return bytes */
    void (*close)(void *impl);
};

/* Back end by path: "auto" takes libserialport for names that libserialport accepts, else plain fd.
 * backend: "auto" | "libserialport" | "fd". baud e.g. 115200. */
int serial_open(const char *path, int baud, const char *backend, struct serial **ret_s, struct err *reterr) JF_MUST_CHECK;
/* Wraps an open descriptor (taken over, closed by serial_close). */
int serial_from_fd(int fd, struct serial **ret_s, struct err *reterr) JF_MUST_CHECK;

const char *serial_backend_name(const struct serial *s);
int serial_read(struct serial *s, void *dst, size_t n, struct err *reterr) JF_MUST_CHECK;
int serial_write(struct serial *s, const void *src, size_t n, int budget_ms, struct err *reterr) JF_MUST_CHECK;
int serial_drain(struct serial *s);
int serial_poll_fd(struct serial *s);
void serial_close(struct serial *s); /* NULL allowed */
const char *serial_library_version(void); /* of libserialport, "0.1.1"; static */

/* USB identity behind a tty name, from sysfs only (nothing is opened or written): JF_E_NOT_FOUND when the port is
 * not a USB device, e.g. a pty. */
struct serial_usb_id {
    uint16_t vid, pid;
    int interface; /* number of the USB interface behind the tty, -1 unknown: tells two ports of one device apart */
    char serial[64], product[64];
};
int serial_usb_identity(const char *path, struct serial_usb_id *ret_id, struct err *reterr) JF_MUST_CHECK;

/* Calls fn for every tty that belongs to a USB device ("/dev/ttyACM0"); sysfs only. Stops when fn returns non-zero
 * and returns that; else 0. */
typedef int serial_usb_fn(void *user, const char *path, const struct serial_usb_id *id);
int serial_usb_each(serial_usb_fn *fn, void *user);

#endif
