/* SPDX-License-Identifier: GPL-2.0-or-later
 * LD_PRELOAD for tests: libserialport insists on modem lines (TIOCMGET), which a pty has not. This answers the modem-line
 * requests of terminals that refuse them; everything else goes to the kernel untouched. */
#include <asm/ioctls.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...);

int ioctl(int fd, unsigned long request, ...) {
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    int r = (int)syscall(SYS_ioctl, fd, request, arg);
    if (r == 0 || !isatty(fd)) {
        return r;
    }
    if (request == TIOCMGET) {
        *(int *)arg = 0;
        return 0;
    }
    return request == TIOCMSET || request == TIOCMBIS || request == TIOCMBIC ? 0 : r;
}
