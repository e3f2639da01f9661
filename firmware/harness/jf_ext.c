/* SPDX-License-Identifier: MIT
 * See jf_ext.h. */
#include "firmware/harness/jf_ext.h"

#include <stddef.h>
#include <string.h>

#include "firmware/harness/jf_crc.h"
#include "firmware/harness/jf_harness.h"
#include "firmware/harness/jf_out.h"
#include "firmware/harness/jf_port.h"
#include "firmware/include/jf_device.h"

static void field(const struct jf_port *p, const char *text) {
    p->putc(p->ctx, ',');
    jf_out_str(p, text);
}

static void field_u64(const struct jf_port *p, uint64_t v) {
    p->putc(p->ctx, ',');
    jf_out_u64(p, v);
}

static void field_reg(const struct jf_port *p, uint32_t v) {
    jf_out_str(p, ",0x");
    jf_out_hex(p, v, 8);
}

static void end(const struct jf_port *p) {
    jf_out_line(p, "]");
}

static const char *idle_name(const struct jf_harness *h) {
    return h->sleep ? JF_IDLE_WFI : JF_IDLE_SPIN;
}

static void say_build(const struct jf_harness *h) {
    const struct jf_port *p = h->port;
    jf_out_str(p, JF_MSG_BUILD);
    jf_out_str(p, p->build_id);
    field(p, h->net->id);
    field(p, h->net->sha256);
    field(p, h->net->numerics);
    field_u64(p, p->core_hz);
    field(p, idle_name(h));
    end(p);
}

static void say_chip(const struct jf_harness *h) {
    const struct jf_port *p = h->port;
    jf_out_str(p, JF_MSG_RESET);
    jf_out_str(p, p->reset_cause);
    field_reg(p, p->reset_flags);
    end(p);
    bool debug_enabled = false;
    uint32_t debug_cr = 0;
    p->debug(p->ctx, &debug_enabled, &debug_cr);
    jf_out_str(p, JF_MSG_DEBUG);
    jf_out_str(p, debug_enabled ? "1" : "0");
    field_reg(p, debug_cr);
    end(p);
}

static void say_model(const struct jf_harness *h) {
    const struct jf_port *p = h->port;
    jf_out_str(p, JF_MSG_GOLDEN);
    jf_out_hex(p, h->golden_crc, 8);
    field(p, h->golden_crc == h->net->golden_crc ? "1" : "0");
    end(p);
    jf_out_str(p, JF_MSG_INIT JF_INIT_BOOT);
    field_u64(p, h->init_ticks);
    field_u64(p, p->ticks_hz);
    end(p);
}

static void say_markers(const struct jf_harness *h) {
    jf_out_str(h->port, JF_MSG_MARKERS);
    jf_out_str(h->port, h->window.phases ? JF_MARKERS_PHASES : JF_MARKERS_MLPERF);
    field_u64(h->port, h->window.hold_us);
    end(h->port);
}

static void say_version(const struct jf_harness *h, uint32_t version) {
    jf_out_str(h->port, JF_MSG_ON);
    jf_out_u64(h->port, version);
    end(h->port);
}

static void say_crc(const struct jf_harness *h, const char *prefix, const int8_t *data, int32_t n) {
    jf_out_str(h->port, prefix);
    jf_out_hex(h->port, jf_crc32(data, (size_t)n), 8);
    end(h->port);
}

static void wrong(const struct jf_harness *h, const char *text) {
    jf_out_str(h->port, "e-[jf: ");
    jf_out_str(h->port, text);
    end(h->port);
}

static void on(struct jf_harness *h) {
    h->extended = true;
    say_version(h, JF_DEVICE_VERSION);
    say_build(h);
    say_chip(h);
    say_model(h);
    say_markers(h);
}

static void off(struct jf_harness *h) {
    h->extended = false;
    if (h->window.phases) {
        h->window.phases = false;
        jf_window_rest(&h->window, h->port);
    }
    say_version(h, 0);
}

static void markers(struct jf_harness *h, const char *arg) {
    bool phases = strcmp(arg, JF_MARKERS_PHASES) == 0;
    if (!phases && strcmp(arg, JF_MARKERS_MLPERF) != 0) {
        wrong(h, "markers takes mlperf or phases");
        return;
    }
    h->window.phases = phases;
    jf_window_rest(&h->window, h->port);
    say_markers(h);
}

static void hold(struct jf_harness *h, const char *arg) {
    int32_t us = jf_cmd_number(arg);
    if (us < JF_HOLD_MIN_US || us > JF_HOLD_MAX_US) {
        wrong(h, "hold takes 1 to 10000 microseconds");
        return;
    }
    h->window.hold_us = (uint32_t)us;
    say_markers(h);
}

static void idle(struct jf_harness *h, const char *arg) {
    bool sleep = strcmp(arg, JF_IDLE_WFI) == 0;
    if (!sleep && strcmp(arg, JF_IDLE_SPIN) != 0) {
        wrong(h, "idle takes spin or wfi");
        return;
    }
    h->sleep = sleep;
    jf_out_str(h->port, JF_MSG_IDLE);
    jf_out_str(h->port, idle_name(h));
    end(h->port);
}

static void sync(struct jf_harness *h, const char *arg) {
    int32_t us = jf_cmd_number(arg);
    if (us < JF_SYNC_UNIT_MIN_US || us > JF_SYNC_UNIT_MAX_US) {
        wrong(h, "sync takes 20 to 10000 microseconds");
        return;
    }
    jf_window_sync(h->port, (uint32_t)us);
    jf_out_str(h->port, JF_MSG_SYNC);
    jf_out_u64(h->port, (uint64_t)us);
    field_u64(h->port, JF_SYNC_EDGES);
    end(h->port);
}

static void say_layer(void *user, int32_t layer, const int8_t *output, int32_t n) {
    const struct jf_harness *h = user;
    jf_out_str(h->port, JF_MSG_LAYER);
    jf_out_u64(h->port, (uint64_t)layer);
    field_u64(h->port, (uint64_t)n);
    h->port->putc(h->port->ctx, ',');
    jf_out_hex(h->port, jf_crc32(output, (size_t)n), 8);
    end(h->port);
}

/* One inference, not timed: it prints on its way. */
static void layers(struct jf_harness *h, const char *arg) {
    (void)arg;
    if (jf_harness_prepare(h)) {
        memcpy(h->net->input, h->input, (size_t)h->net->in.n);
        h->net->layers(h->net->ctx, say_layer, h);
    }
}

bool jf_ext_command(struct jf_harness *h) {
    const char *verb = jf_cmd_token(&h->cmd);
    if (verb && strcmp(verb, "on") == 0) {
        on(h);
        return true;
    }
    if (!h->extended) {
        return false;
    }
    static const struct {
        const char *verb;
        void (*run)(struct jf_harness *h, const char *arg);
    } verbs[] = {{"markers", markers}, {"hold", hold}, {"idle", idle}, {"sync", sync}, {"layers", layers}};
    if (verb && strcmp(verb, "off") == 0) {
        off(h);
        return true;
    }
    for (size_t i = 0; verb && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].verb) == 0) {
            const char *arg = jf_cmd_token(&h->cmd);
            verbs[i].run(h, arg ? arg : "");
            return true;
        }
    }
    wrong(h, "on, off, markers, hold, idle, sync or layers");
    return true;
}

void jf_ext_window(const struct jf_harness *h, int n) {
    if (!h->extended) {
        return;
    }
    jf_out_str(h->port, JF_MSG_WINDOW);
    jf_out_u64(h->port, h->windows);
    field_u64(h->port, (uint64_t)n);
    field_u64(h->port, h->window.close - h->window.open);
    field_u64(h->port, h->port->ticks_hz);
    end(h->port);
    say_crc(h, JF_MSG_INPUT, h->input, h->net->in.n);
    say_crc(h, JF_MSG_OUTPUT, h->output, h->net->out.n);
}
