/* SPDX-License-Identifier: GPL-2.0-or-later
 * Versions of the libraries in use, for provenance. */
#include <sodium.h>

#include "base/usb/usb.h"
#include "bench/attempt.h"
#include "drivers/power/power.h"

json_t *version_libraries(void) {
    json_t *o = json_object();
    if (o) {
        char usb[32];
        usb_library_version(usb);
        (void)json_object_set_new(o, "libserialport", json_string(serial_library_version()));
        (void)json_object_set_new(o, "libusb", json_string(usb));
        (void)json_object_set_new(o, "libsigrok", json_string(power_sigrok_library_version()));
        (void)json_object_set_new(o, "jansson", json_string(JANSSON_VERSION));
        (void)json_object_set_new(o, "libsodium", json_string(sodium_version_string()));
    }
    return o;
}
