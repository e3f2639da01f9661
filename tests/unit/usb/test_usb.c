/* SPDX-License-Identifier: GPL-2.0-or-later
 * Unit tests of choosing a USB device, over a bus made of a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/usb/usb.h"

struct bus {
    const struct usb_device_info *devs;
    size_t n;
};

static int bus_list(void *ctx, int (*each)(void *, const struct usb_device_info *), void *user, struct err *reterr) {
    (void)reterr;
    const struct bus *b = ctx;
    for (size_t i = 0; i < b->n; i++) {
        int r = each(user, &b->devs[i]);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static const struct usb_ops bus_ops = {bus_list};
static const struct usb_id stlink[] = {{0x0483, 0x374b}, {0x0483, 0x3752}};

static int find(const struct usb_device_info *devs, size_t n, const char *serial, struct usb_device_info *out, struct err *e) {
    struct bus b = {devs, n};
    struct usb_sys sys = {&bus_ops, &b};
    return usb_find(&sys, stlink, 2, serial, out, e);
}

static void test_find(void **state) {
    (void)state;
    const struct usb_device_info devs[] = {
        {.vid = 0x0483, .pid = 0x374b, .serial = "AAA"},
        {.vid = 0x0483, .pid = 0x3752, .serial = "BBB", .bus = 3},
        {.vid = 0x1915, .pid = 0xc00a, .serial = "CCC"},
        {.vid = 0x0483, .pid = 0x374b, .serial = "DDD"},
        {.vid = 0x0483, .pid = 0x374b, .serial = "DDD"},
    };
    struct usb_device_info out;
    struct err e = {0};
    assert_int_equal(find(devs, 5, "BBB", &out, &e), 0);
    assert_int_equal(out.bus, 3);
    assert_int_equal(find(devs, 5, "CCC", &out, &e), JF_E_NOT_FOUND); /* right serial, wrong kind of device */
    assert_non_null(strstr(e.text, "4 with that id"));
    assert_int_equal(find(devs, 5, "DDD", &out, &e), JF_E_CONFLICT);
    assert_int_equal(find(devs, 5, "", &out, &e), JF_E_INVAL); /* never the first one found */
}

static void test_denied_says_so(void **state) {
    (void)state;
    const struct usb_device_info devs[] = {{.vid = 0x0483, .pid = 0x374b, .serial_denied = 1}};
    struct usb_device_info out;
    struct err e = {0};
    assert_int_equal(find(devs, 1, "AAA", &out, &e), JF_E_BUSY);
    assert_non_null(strstr(e.text, "joulefarm.rules"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_denied_says_so)};
    return cmocka_run_group_tests_name("usb", tests, NULL, NULL);
}
