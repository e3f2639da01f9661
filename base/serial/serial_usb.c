/* SPDX-License-Identifier: GPL-2.0-or-later
 * Which USB device is behind a tty, read from sysfs alone: nothing is opened or written. Any thread.
 * /sys/class/tty/ttyACM0/device is the USB interface (bInterfaceNumber), or for usb-serial adapters a port below it;
 * the first directory upwards that has idVendor is the device. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/serial/serial_impl.h"

#define SYS_CLASS_TTY "/sys/class/tty"
#define CLIMB_MAX 6 /* device -> interface -> usb device, with room for adapters that add levels */

/* One attribute's text without its newline; empty when there is none. */
static bool read_attr(const char *dir, const char *name, char *dst, size_t cap) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    dst[0] = '\0';
    if (len < 0 || (size_t)len >= sizeof path) {
        return false;
    }
    FILE *f = fopen(path, "re");
    if (!f) {
        return false;
    }
    bool ok = fgets(dst, (int)cap, f) != NULL;
    (void)fclose(f);
    dst[strcspn(dst, "\r\n")] = '\0';
    return ok;
}

static bool read_hex(const char *dir, const char *name, unsigned max, unsigned *ret_v) {
    char text[32], *end = NULL;
    if (!read_attr(dir, name, text, sizeof text)) {
        return false;
    }
    errno = 0;
    unsigned long v = strtoul(text, &end, 16);
    if (end == text || *end != '\0' || errno != 0 || v > max) {
        return false;
    }
    *ret_v = (unsigned)v;
    return true;
}

int serial_usb_identity_in(const char *class_dir, const char *path, struct serial_usb_id *ret_id, struct err *reterr) {
    char real[PATH_MAX], dir[PATH_MAX];
    const char *resolved = realpath(path, real) ? real : path;
    const char *slash = strrchr(resolved, '/');
    const char *name = slash ? slash + 1 : resolved;
    char link[PATH_MAX];
    int len = snprintf(link, sizeof link, "%s/%s/device", class_dir, name);
    /* /dev/pts/3 must not be looked up as a tty named "3". */
    if (len < 0 || (size_t)len >= sizeof link || strncmp(resolved, "/dev/pts/", 9) == 0 || !realpath(link, dir)) {
        return err_set_at(reterr, JF_E_NOT_FOUND, path, "the port is not a USB device");
    }
    struct serial_usb_id id = {.interface = -1};
    for (int i = 0; i < CLIMB_MAX; i++) {
        unsigned v = 0, p = 0, n = 0;
        if (id.interface < 0 && read_hex(dir, "bInterfaceNumber", 255, &n)) {
            id.interface = (int)n;
        }
        if (read_hex(dir, "idVendor", 0xFFFF, &v) && read_hex(dir, "idProduct", 0xFFFF, &p)) {
            id.vid = (uint16_t)v;
            id.pid = (uint16_t)p;
            (void)read_attr(dir, "serial", id.serial, sizeof id.serial);
            (void)read_attr(dir, "product", id.product, sizeof id.product);
            *ret_id = id;
            return 0;
        }
        char *up = strrchr(dir, '/');
        if (!up || up == dir) {
            break;
        }
        *up = '\0';
    }
    return err_set_at(reterr, JF_E_NOT_FOUND, path, "the port is not a USB device");
}

int serial_usb_identity(const char *path, struct serial_usb_id *ret_id, struct err *reterr) {
    return serial_usb_identity_in(SYS_CLASS_TTY, path, ret_id, reterr);
}

int serial_usb_each_in(const char *class_dir, serial_usb_fn *fn, void *user) {
    struct dirent **names = NULL;
    int n = scandir(class_dir, &names, NULL, alphasort);
    int r = 0;
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct serial_usb_id id;
        int len = snprintf(path, sizeof path, "/dev/%s", names[i]->d_name);
        if (r == 0 && len > 0 && (size_t)len < sizeof path && names[i]->d_name[0] != '.' &&
            serial_usb_identity_in(class_dir, path, &id, NULL) == 0) {
            r = fn(user, path, &id);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

int serial_usb_each(serial_usb_fn *fn, void *user) { return serial_usb_each_in(SYS_CLASS_TTY, fn, user); }
