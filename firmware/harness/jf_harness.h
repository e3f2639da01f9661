/* SPDX-License-Identifier: MIT
 * The device side of the MLPerf Tiny protocol, and the opt-in `jf` extension (firmware/include/jf_device.h). Pure C over a port and a net; one thread.
 *
 * H1  After every command, also an empty, unknown or wrong one, the last line is m-ready.
 * H2  Before `jf on%` no line of the extension is printed.
 * H3  An inference never runs on half an input: once a `db load` was sent, exactly the model's number of them must have come, else
 *     `infer` answers an error line. Only before the first `db load` of a boot the input is the embedded one.
 * H4  The golden output is computed at each boot before m-ready.
 *
 * Deliberate differences from the reference harness, none visible to a host that keeps to the protocol: bytes beyond the announced number are ignored
 * instead of written past the buffer, an incomplete input is an error (H3), an empty command is answered as unknown, and performance mode prints both
 * m-lap-us lines after the window so that printing is never inside it. */
#ifndef FIRMWARE_HARNESS_JF_HARNESS_H
#define FIRMWARE_HARNESS_JF_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/harness/jf_buffer.h"
#include "firmware/harness/jf_cmd.h"
#include "firmware/harness/jf_net.h"
#include "firmware/harness/jf_window.h"

struct jf_port;
struct jf_task;

enum jf_mode {
    JF_MODE_ENERGY,     /* timestamps are pulses on the pin */
    JF_MODE_PERFORMANCE /* timestamps are m-lap-us lines */
};

struct jf_harness {
    const struct jf_port *port;
    const struct jf_net *net;
    const struct jf_task *task;
    enum jf_mode mode;
    bool extended;  /* after jf on% */
    bool sleep;     /* idle state: wfi, else spin */
    bool has_output; /* output holds a result of this boot */
    bool host_input; /* a `db load` was tried since boot: the embedded input is out */
    uint32_t windows; /* since boot */
    uint32_t golden_crc; /* as computed at this boot */
    uint64_t init_ticks;
    double mse; /* JF_RESULT_MSE: of the last output */
    struct jf_window window;
    struct jf_cmd cmd;
    struct jf_buffer buffer;
    int8_t input[JF_NET_INPUT_MAX];
    int8_t output[JF_NET_OUTPUT_MAX];
};

/* Boot: the lines of facts a.2, model set-up, golden output. h may hold anything before. False: the net does not fit the harness's limits; then one
 * e-[...] line was printed and no m-ready. */
bool jf_harness_boot(struct jf_harness *h, const struct jf_port *port, const struct jf_net *net, enum jf_mode mode);
/* For the commands: fills h->input from the host's bytes, or with the embedded input while there are none (H3). False: the error line was
 * printed. */
bool jf_harness_prepare(struct jf_harness *h);
/* One received byte; runs the command that it completes. */
void jf_harness_byte(struct jf_harness *h, char byte);
/* Bytes as they come, idle between them; for a board's main. Never returns. */
_Noreturn void jf_harness_loop(struct jf_harness *h);

#endif
