/* SPDX-License-Identifier: GPL-2.0-or-later
 * Private to base/serial: what the back ends offer to serial.c. Same threads as serial.h. */
#ifndef BASE_SERIAL_IMPL_H
#define BASE_SERIAL_IMPL_H

#include <stdbool.h>

#include "base/serial/serial.h"

extern const struct serial_ops serial_fd_ops;
extern const struct serial_ops serial_lsp_ops;

/* Plain descriptor. serial_fd_open locks and sets raw mode; serial_fd_wrap takes fd over as it is. */
int serial_fd_open(const char *path, int baud, void **ret_impl, struct err *reterr) JF_MUST_CHECK;
int serial_fd_wrap(int fd, void **ret_impl, struct err *reterr) JF_MUST_CHECK;

/* libserialport. serial_lsp_accepts looks the name up without opening anything. */
bool serial_lsp_accepts(const char *path);
int serial_lsp_open(const char *path, int baud, void **ret_impl, struct err *reterr) JF_MUST_CHECK;

/* flock (exclusive, not waiting) and TIOCEXCL; JF_E_BUSY when somebody else holds it. */
int serial_lock(int fd, const char *path, struct err *reterr) JF_MUST_CHECK;
void serial_unlock(int fd);
/* Writes to a non-blocking descriptor within budget_ms. */
int serial_write_fd(int fd, const void *src, size_t n, int budget_ms, struct err *reterr) JF_MUST_CHECK;
/* JF_E_GONE when poll(2) reports a hang-up or an error on fd, else 0. */
int serial_check_alive(int fd, struct err *reterr) JF_MUST_CHECK;

/* serial_usb_identity with another root than /sys/class/tty, for tests. */
int serial_usb_identity_in(const char *class_dir, const char *path, struct serial_usb_id *ret_id, struct err *reterr) JF_MUST_CHECK;
int serial_usb_each_in(const char *class_dir, serial_usb_fn *fn, void *user);

#endif
