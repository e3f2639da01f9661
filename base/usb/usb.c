/* SPDX-License-Identifier: GPL-2.0-or-later
 * Finding one device by id and serial number over any back end. Owns no state. */
#include "base/usb/usb.h"

#include <string.h>

struct search {
    const struct usb_id *ids;
    size_t n_ids;
    const char *serial;
    struct usb_device_info found;
    int n_same_id, n_match, n_denied;
};

static int look(void *user, const struct usb_device_info *dev) {
    struct search *s = user;
    for (size_t i = 0; i < s->n_ids; i++) {
        if (dev->vid != s->ids[i].vid || dev->pid != s->ids[i].pid) {
            continue;
        }
        s->n_same_id++;
        s->n_denied += dev->serial_denied ? 1 : 0;
        if (strcmp(dev->serial, s->serial) == 0) {
            s->found = *dev;
            s->n_match++;
        }
        break;
    }
    return 0;
}

int usb_find(const struct usb_sys *sys, const struct usb_id *ids, size_t n_ids, const char *serial,
             struct usb_device_info *ret_dev, struct err *reterr) {
    struct search s = {.ids = ids, .n_ids = n_ids, .serial = serial};
    if (!serial || !serial[0]) {
        return err_set(reterr, JF_E_INVAL, "a USB device is chosen by its serial number, and none is given");
    }
    int r = sys->ops->list(sys->ctx, look, &s, reterr);
    if (r < 0) {
        return r;
    }
    if (s.n_match == 1) {
        *ret_dev = s.found;
        return 0;
    }
    if (s.n_match > 1) {
        return err_set(reterr, JF_E_CONFLICT, "%d USB devices carry the serial number %s", s.n_match, serial);
    }
    if (s.n_denied > 0) {
        return err_set(reterr, JF_E_BUSY,
                       "%d of %d devices with the right USB id may not be opened by this user, so their serial numbers are "
                       "unknown: install config/99-joulefarm.rules",
                       s.n_denied, s.n_same_id);
    }
    return err_set(reterr, JF_E_NOT_FOUND, "no USB device %04x:%04x with serial number %s (%d with that id are connected)",
                   n_ids ? ids[0].vid : 0, n_ids ? ids[0].pid : 0, serial, s.n_same_id);
}
