/* SPDX-License-Identifier: GPL-2.0-or-later
 * The libusb back end of base/usb/usb.h; the only file that includes libusb. Owns nothing between calls. */
#include <libusb.h>
#include <stdio.h>
#include <string.h>

#include "base/usb/usb.h"

static void fill_location(libusb_device *dev, char *dst, size_t size) {
    uint8_t ports[8];
    int n = libusb_get_port_numbers(dev, ports, (int)sizeof ports);
    int used = snprintf(dst, size, "%u", libusb_get_bus_number(dev));
    for (int i = 0; i < n && used > 0 && (size_t)used < size; i++) {
        used += snprintf(dst + used, size - (size_t)used, "%c%u", i == 0 ? '-' : '.', ports[i]);
    }
}

static void fill_string(libusb_device_handle *h, uint8_t index, char *dst, size_t size) {
    if (index == 0 || libusb_get_string_descriptor_ascii(h, index, (unsigned char *)dst, (int)size) < 0) {
        dst[0] = '\0';
    }
}

static int describe(libusb_device *dev, struct usb_device_info *info) {
    struct libusb_device_descriptor d;
    if (libusb_get_device_descriptor(dev, &d) != 0) {
        return -1;
    }
    memset(info, 0, sizeof *info);
    info->vid = d.idVendor;
    info->pid = d.idProduct;
    info->bus = libusb_get_bus_number(dev);
    info->address = libusb_get_device_address(dev);
    fill_location(dev, info->location, sizeof info->location);
    libusb_device_handle *h;
    int r = libusb_open(dev, &h);
    if (r == 0) {
        fill_string(h, d.iSerialNumber, info->serial, sizeof info->serial);
        fill_string(h, d.iProduct, info->product, sizeof info->product);
        libusb_close(h);
    } else {
        info->serial_denied = r == LIBUSB_ERROR_ACCESS;
    }
    return 0;
}

static int system_list(void *ctx, int (*each)(void *user, const struct usb_device_info *dev), void *user,
                       struct err *reterr) {
    (void)ctx;
    libusb_context *usb;
    int r = libusb_init(&usb);
    if (r != 0) {
        return err_set(reterr, JF_E_IO, "USB is not available: %s", libusb_strerror((enum libusb_error)r));
    }
    libusb_device **list;
    ssize_t n = libusb_get_device_list(usb, &list);
    if (n < 0) {
        libusb_exit(usb);
        return err_set(reterr, JF_E_IO, "USB devices cannot be listed: %s", libusb_strerror((enum libusb_error)n));
    }
    int res = 0;
    for (ssize_t i = 0; i < n && res == 0; i++) {
        struct usb_device_info info;
        if (describe(list[i], &info) == 0) {
            res = each(user, &info);
        }
    }
    libusb_free_device_list(list, 1);
    libusb_exit(usb);
    return res;
}

const struct usb_sys *usb_system(void) {
    static const struct usb_ops ops = {system_list};
    static const struct usb_sys sys = {&ops, NULL};
    return &sys;
}

void usb_library_version(char ret_text[32]) {
    const struct libusb_version *v = libusb_get_version();
    (void)snprintf(ret_text, 32, "%u.%u.%u", v->major, v->minor, v->micro);
}
