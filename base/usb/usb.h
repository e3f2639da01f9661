/* SPDX-License-Identifier: GPL-2.0-or-later
 * USB devices found by identity, as a seam. Reads descriptors only: nothing is claimed, reset or written beyond the
 * standard GET_DESCRIPTOR request that a serial number needs. Any thread; blocks for some ms per device at most. */
#ifndef BASE_USB_H
#define BASE_USB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct usb_device_info {
    uint16_t vid, pid;
    uint8_t bus, address;
    char serial[64]; /* empty: none, or not readable */
    char product[64];
    char location[32]; /* "1-2.4", as sysfs and `adapter usb location` write it */
    int serial_denied; /* 1: the device node could not be opened (permissions) */
};

struct usb_ops {
    /* Calls each() for every device on the bus until it returns non-zero; returns that value, 0, or <0. */
    int (*list)(void *ctx, int (*each)(void *user, const struct usb_device_info *dev), void *user, struct err *reterr);
};
struct usb_sys {
    const struct usb_ops *ops;
    void *ctx;
};
const struct usb_sys *usb_system(void); /* libusb; static */
void usb_library_version(char ret_text[32]); /* "1.0.26" */

struct usb_id {
    uint16_t vid, pid;
};

/* The one device with one of these ids and that serial number. JF_E_NOT_FOUND names what is there instead ("3 probes
 * with 0483:374b are connected, none has serial ..."); JF_E_CONFLICT: two devices carry it; JF_E_BUSY: a candidate's
 * serial number could not be read for want of permission (the sentence says which udev rule helps). */
int usb_find(const struct usb_sys *sys, const struct usb_id *ids, size_t n_ids, const char *serial,
             struct usb_device_info *ret_dev, struct err *reterr) JF_MUST_CHECK;

#endif
