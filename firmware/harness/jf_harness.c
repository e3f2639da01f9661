/* SPDX-License-Identifier: MIT
 * See jf_harness.h. Commands, replies and error lines: MLPerf Tiny device protocol as the reference harness of mlcommons/tiny speaks it (wire format;
 * the spelling "Insufficent" is the protocol's). */
#include "firmware/harness/jf_harness.h"

#include <stddef.h>
#include <string.h>

#include "firmware/harness/jf_crc.h"
#include "firmware/harness/jf_ext.h"
#include "firmware/harness/jf_out.h"
#include "firmware/harness/jf_port.h"
#include "firmware/harness/jf_task.h"

#define FIRMWARE_VERSION "ULPMark for tinyML Firmware V0.0.1" /* what hosts expect to read */
#define WARMUP_DEFAULT 10
#define HOLD_DEFAULT_US 100 /* at least 3 samples of a 100 kS/s instrument, above the 50 us glitch filter of EEMBC's runner */
#define PRINT_COLUMNS 8

/* ---- timestamps -------------------------------------------------------------------------------------------------------- */
static void say_lap(const struct jf_harness *h, uint64_t ticks) {
    jf_out_str(h->port, "m-lap-us-");
    uint64_t us = ticks / h->port->ticks_hz * 1000000u + ticks % h->port->ticks_hz * 1000000u / h->port->ticks_hz;
    jf_out_u64(h->port, us & UINT32_MAX); /* an unsigned long of the reference: wraps after 71.6 minutes */
    jf_out_line(h->port, "");
}

static void timestamp(struct jf_harness *h) {
    uint64_t stamp = jf_window_pulse(&h->window, h->port);
    if (h->mode == JF_MODE_PERFORMANCE) {
        say_lap(h, stamp);
    }
}

/* ---- db ---------------------------------------------------------------------------------------------------------------- */
static void db_load(struct jf_harness *h) {
    const char *arg = jf_cmd_token(&h->cmd);
    if (!arg) {
        jf_out_line(h->port, "e-[Command 'db load' requires the # of bytes]");
        return;
    }
    int32_t n = jf_cmd_number(arg);
    h->host_input = true;
    jf_buffer_expect(&h->buffer, 0);
    if (n == 0) {
        jf_out_line(h->port, "e-[Command 'db load' must be >0 bytes]");
    } else if (n < 0 || n > JF_BUFFER_MAX) {
        jf_out_str(h->port, "Supplied buffer size ");
        jf_out_i32(h->port, n);
        jf_out_line_i32(h->port, " exceeds maximum of ", JF_BUFFER_MAX);
    } else {
        jf_buffer_expect(&h->buffer, n);
        jf_out_str(h->port, "m-[Expecting ");
        jf_out_i32(h->port, n);
        jf_out_line(h->port, " bytes]");
    }
}

static void db_print(const struct jf_harness *h) {
    const struct jf_buffer *b = &h->buffer;
    for (int32_t i = 0; i < b->size; i++) {
        if (i % PRINT_COLUMNS == 0) {
            jf_out_str(h->port, "m-buffer-");
        }
        jf_out_hex(h->port, b->byte[i], 2);
        bool last = (i + 1) % PRINT_COLUMNS == 0 || i + 1 == b->size;
        jf_out_str(h->port, last ? "\r\n" : "-");
    }
    if (b->size % PRINT_COLUMNS != 0) {
        jf_out_line(h->port, ""); /* the reference ends an incomplete row twice */
    }
}

static void db_digits(struct jf_harness *h, const char *digit) {
    if (strlen(digit) % 2 != 0) {
        jf_out_line(h->port, "e-[Insufficent number of hex digits]");
        return;
    }
    for (; *digit != '\0'; digit += 2) {
        int byte = jf_buffer_hex(digit);
        if (byte < 0) {
            const char shown[3] = {digit[0], digit[1], '\0'};
            jf_out_str(h->port, "e-[Invalid hex digit '");
            jf_out_str(h->port, shown);
            jf_out_line(h->port, "']");
            return;
        }
        if (jf_buffer_put(&h->buffer, (uint8_t)byte)) {
            jf_out_line(h->port, "m-load-done");
            return;
        }
    }
}

static void cmd_db(struct jf_harness *h) {
    const char *sub = jf_cmd_token(&h->cmd);
    if (!sub) {
        jf_out_line(h->port, "e-[Command 'db' requires a subcommand]");
    } else if (strcmp(sub, "load") == 0) {
        db_load(h);
    } else if (strcmp(sub, "print") == 0) {
        db_print(h);
    } else {
        db_digits(h, sub);
    }
}

/* ---- infer, results ------------------------------------------------------------------------------------------------------ */
static void cmd_results(struct jf_harness *h) {
    const struct jf_net *net = h->net;
    jf_out_str(h->port, "m-results-[");
    if (h->task->result == JF_RESULT_MSE && net->in.n == net->out.n) {
        jf_out_fixed3(h->port, h->mse);
    } else {
        for (int32_t i = 0; i < net->out.n; i++) {
            jf_out_str(h->port, i > 0 ? "," : "");
            jf_out_fixed3(h->port, h->has_output ? jf_task_value(net, h->output, i) : 0.0);
        }
    }
    jf_out_line(h->port, "]");
}

bool jf_harness_prepare(struct jf_harness *h) {
    if (!h->host_input) {
        h->net->golden(h->net->ctx, h->input);
        return true;
    }
    int32_t want = jf_task_load_bytes(h->task, h->net);
    if (h->buffer.size != want || h->buffer.pos != want) {
        jf_out_str(h->port, "e-[Input has ");
        jf_out_i32(h->port, h->buffer.pos);
        jf_out_str(h->port, " bytes, expected ");
        jf_out_i32(h->port, want);
        jf_out_line(h->port, "]");
        return false;
    }
    jf_task_quantise(h->task, h->net, h->buffer.byte, h->input);
    return true;
}

static void infer(struct jf_harness *h, int32_t n, int32_t warmup) {
    if (!jf_harness_prepare(h)) {
        return;
    }
    jf_out_line_i32(h->port, "m-warmup-start-", warmup);
    jf_window_warm(h->port, h->net, h->input, warmup);
    jf_out_line(h->port, "m-warmup-done");
    jf_out_line_i32(h->port, "m-infer-start-", n);
    jf_window_run(&h->window, h->port, h->net, h->task, h->input, h->output, n);
    h->has_output = true;
    if (h->task->result == JF_RESULT_MSE) {
        h->mse = jf_task_mse(h->net, h->host_input ? h->buffer.byte : NULL, h->input, h->output);
    }
    h->windows++;
    if (h->mode == JF_MODE_PERFORMANCE) {
        say_lap(h, h->window.open);
        say_lap(h, h->window.close);
    }
    jf_ext_window(h, n);
    jf_out_line(h->port, "m-infer-done");
    cmd_results(h);
}

static void cmd_infer(struct jf_harness *h) {
    int32_t n = 1, warmup = WARMUP_DEFAULT;
    const char *arg = jf_cmd_token(&h->cmd);
    if (arg) {
        n = jf_cmd_number(arg);
        if (n <= 0) {
            jf_out_line(h->port, "e-[Inference iterations must be >0]");
            return;
        }
        arg = jf_cmd_token(&h->cmd);
    }
    if (arg) {
        warmup = jf_cmd_number(arg);
        if (warmup < 0) {
            jf_out_line(h->port, "e-[Inference warmup must be >=0]");
            return;
        }
    }
    infer(h, n, warmup);
}

/* ---- the other commands ---------------------------------------------------------------------------------------------------- */
static void cmd_name(struct jf_harness *h) {
    jf_out_str(h->port, "m-name-dut-[");
    jf_out_str(h->port, h->port->vendor);
    jf_out_line(h->port, "]");
}

static void cmd_profile(struct jf_harness *h) {
    jf_out_line(h->port, "m-profile-[" FIRMWARE_VERSION "]");
    jf_out_str(h->port, "m-model-[");
    jf_out_str(h->port, h->net->id);
    jf_out_line(h->port, "]");
}

static void cmd_help(struct jf_harness *h) {
    static const char *const text[] = {
        FIRMWARE_VERSION,
        "",
        "help          this list",
        "name          who the device is",
        "profile       firmware version and model",
        "timestamp     a pulse on the pin (energy) or a line with the time (performance)",
        "db load N     expect N input bytes",
        "db HH[HH]*    the next input bytes, two hexadecimal digits each",
        "db print      show the input bytes",
        "infer [N [W]] N inferences (1) after W for warm-up (10)",
        "results       the last output again",
        "jf on         switch the joulefarm extension on",
    };
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        jf_out_line(h->port, text[i]);
    }
}

static void cmd_unknown(const struct jf_harness *h, const char *token) {
    jf_out_str(h->port, "e-[Unknown command: ");
    jf_out_str(h->port, token);
    jf_out_line(h->port, "]");
}

static void command(struct jf_harness *h) {
    static const struct {
        const char *name;
        void (*run)(struct jf_harness *h);
    } commands[] = {{"name", cmd_name}, {"timestamp", timestamp}, {"profile", cmd_profile}, {"help", cmd_help},
                    {"db", cmd_db},     {"infer", cmd_infer},     {"results", cmd_results}};
    const char *token = jf_cmd_token(&h->cmd);
    if (!token) {
        cmd_unknown(h, "");
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(token, commands[i].name) == 0) {
            commands[i].run(h);
            return;
        }
    }
    if (strcmp(token, "jf") != 0 || !jf_ext_command(h)) {
        cmd_unknown(h, token);
    }
}

void jf_harness_byte(struct jf_harness *h, char byte) {
    if (jf_cmd_feed(&h->cmd, byte)) {
        command(h);
        jf_out_line(h->port, "m-ready"); /* H1 */
    }
}

/* ---- boot -------------------------------------------------------------------------------------------------------------- */
static bool net_fits(const struct jf_net *net) {
    return net->in.n > 0 && net->in.n <= JF_NET_INPUT_MAX && net->out.n > 0 && net->out.n <= JF_NET_OUTPUT_MAX;
}

bool jf_harness_boot(struct jf_harness *h, const struct jf_port *port, const struct jf_net *net, enum jf_mode mode) {
    memset(h, 0, sizeof *h);
    h->port = port;
    h->net = net;
    h->task = jf_task_find(net->id);
    h->mode = mode;
    h->sleep = true;
    h->window.hold_us = HOLD_DEFAULT_US;
    h->window.mute = mode == JF_MODE_PERFORMANCE;
    jf_window_rest(&h->window, port);
    jf_out_line(port, mode == JF_MODE_ENERGY ? "m-timestamp-mode-energy" : "m-timestamp-mode-performance");
    timestamp(h);
    if (!net_fits(net)) {
        jf_out_line(port, "e-[The model does not fit the harness]");
        return false;
    }
    uint64_t before = port->ticks(port->ctx);
    net->init(net->ctx);
    h->init_ticks = port->ticks(port->ctx) - before;
    net->golden(net->ctx, h->input); /* H4 */
    jf_window_warm(port, net, h->input, 1);
    h->golden_crc = jf_crc32(net->output, (size_t)net->out.n);
    jf_out_line(port, "m-init-done");
    jf_out_line(port, "m-ready");
    return true;
}

_Noreturn void jf_harness_loop(struct jf_harness *h) {
    for (;;) {
        int byte = h->port->getc(h->port->ctx);
        if (byte >= 0) {
            jf_harness_byte(h, (char)byte);
        } else {
            h->port->flush(h->port->ctx);
            h->port->idle(h->port->ctx, h->sleep);
        }
    }
}
