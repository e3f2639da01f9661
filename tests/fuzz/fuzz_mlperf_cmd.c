/* SPDX-License-Identifier: MIT
 * The harness fed arbitrary bytes. The first byte picks model and mode, the rest is the wire. Checked beside the sanitizers: every command ends in
 * m-ready, the extension stays off before `jf on%`, marker lines rest at their idle level between commands, and each infer that ran left two
 * edges on line 0. An absurd number of inferences is cut short by a jump out of the model. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/firmware/fake_device.h"

#define INFERENCES_MAX 300
#define HOLD_MAX_US 10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_device device;
static jmp_buf too_long;
static unsigned falls;
static bool on_sent;

static void counted_infer(const void *ctx) {
    fake_infer(ctx);
    if (device.inferences > INFERENCES_MAX) {
        longjmp(too_long, 1);
    }
}

static void counted_markers(void *ctx, uint32_t mask, uint32_t levels) {
    falls += (device.lines & mask & ~levels & 1u) != 0;
    fake_markers(ctx, mask, levels);
}

static void must(bool good) {
    if (!good) {
        abort();
    }
}

static void check_reply(uint32_t windows_before) {
    static const char ready[] = "m-ready\r\n";
    size_t n = sizeof ready - 1;
    must(device.len + 1 >= FAKE_TEXT_MAX || (device.len >= n && memcmp(device.text + device.len - n, ready, n) == 0));
    must(on_sent || !device.harness.extended);
    must((device.lines & 0x1Du) == 1u);
    if (device.harness.windows != windows_before && !device.harness.window.mute) {
        must(falls == (device.harness.window.phases ? 1u : 2u));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const models[] = {"ad01", "kws01", "ic01", "other"};
    if (size == 0) {
        return 0;
    }
    fake_make(&device, models[data[0] & 3]);
    device.net.in.n = data[0] & 8 ? 640 : 4;
    device.net.out.n = data[0] & 8 ? 640 : 3;
    device.net.infer = counted_infer;
    device.port.markers = counted_markers;
    on_sent = false;
    must(jf_harness_boot(&device.harness, &device.port, &device.net, data[0] & 4 ? JF_MODE_PERFORMANCE : JF_MODE_ENERGY));
    device.len = 0;
    falls = 0;
    if (setjmp(too_long) != 0) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        on_sent = on_sent || (data[i] == '%' && memmem(&data[1], i, "on", 2) != NULL); /* what could have been jf on */
        uint32_t windows = device.harness.windows;
        jf_harness_byte(&device.harness, (char)data[i]);
        if (data[i] == '%') {
            check_reply(windows);
            device.len = 0;
            device.text[0] = '\0';
            device.events = 0;
            falls = 0;
        }
    }
    return 0;
}
