/* SPDX-License-Identifier: MIT
 * See jf_window.h. */
#include "firmware/harness/jf_window.h"

#include <string.h>

#include "firmware/harness/jf_net.h"
#include "firmware/harness/jf_port.h"
#include "firmware/harness/jf_task.h"
#include "firmware/include/jf_device.h"

#define LINE(n) (UINT32_C(1) << (n))
#define ALL_LINES (LINE(JF_LINES) - 1)
#define STAGE_LINES (LINE(2) | LINE(3) | LINE(4))

static void stage(const struct jf_port *p, uint32_t code) {
    p->markers(p->ctx, STAGE_LINES, code << JF_LINE_STAGE); /* W3 */
}

static void hold(const struct jf_window *w, const struct jf_port *p, uint64_t from) {
    uint64_t ticks = ((uint64_t)w->hold_us * p->ticks_hz + 999999u) / 1000000u + 1u; /* + 1: the first tick may be a short one */
    while (p->ticks(p->ctx) - from < ticks) {
    }
}

void jf_window_rest(struct jf_window *w, const struct jf_port *p) {
    w->line1 = 0;
    p->markers(p->ctx, ALL_LINES, LINE(JF_LINE_WINDOW));
}

/* Falling edge, its stamp (W2), and the low time. */
static uint64_t pulse(const struct jf_window *w, const struct jf_port *p) {
    if (w->mute) {
        return p->ticks(p->ctx);
    }
    p->markers(p->ctx, LINE(JF_LINE_WINDOW), 0);
    uint64_t stamp = p->ticks(p->ctx);
    hold(w, p, stamp);
    p->markers(p->ctx, LINE(JF_LINE_WINDOW), LINE(JF_LINE_WINDOW));
    return stamp;
}

uint64_t jf_window_pulse(const struct jf_window *w, const struct jf_port *p) {
    p->flush(p->ctx);
    return pulse(w, p);
}

void jf_window_sync(const struct jf_port *p, uint32_t unit_us) {
    uint32_t level = 0, state = 1;
    uint64_t us = 0;
    p->flush(p->ctx);
    uint64_t from = p->ticks(p->ctx);
    for (int k = 0; k < JF_SYNC_EDGES; k++) {
        uint64_t due = us * p->ticks_hz / 1000000u; /* from the train's beginning: gaps do not add up their roundings */
        while (p->ticks(p->ctx) - from < due) {
        }
        p->markers(p->ctx, LINE(JF_LINE_WINDOW), level);
        level ^= LINE(JF_LINE_WINDOW);
        us += (uint64_t)unit_us * (JF_SYNC_BASE + state);
        state = (state >> 1) | (((state ^ (state >> 2)) & 1u) << 4);
    }
}

void jf_window_warm(const struct jf_port *p, const struct jf_net *net, const int8_t *input, int32_t n) {
    p->flush(p->ctx);
    for (int32_t i = 0; i < n; i++) {
        memcpy(net->input, input, (size_t)net->in.n);
        net->infer(net->ctx);
    }
}

static void run_mlperf(struct jf_window *w, const struct jf_port *p, const struct jf_net *net, const int8_t *input, int8_t *output, int32_t n) {
    w->open = pulse(w, p);
    for (int32_t i = 0; i < n; i++) {
        memcpy(net->input, input, (size_t)net->in.n);
        net->infer(net->ctx);
    }
    w->close = pulse(w, p);
    memcpy(output, net->output, (size_t)net->out.n);
}

static void inference_edge(struct jf_window *w, const struct jf_port *p) {
    w->line1 ^= LINE(JF_LINE_INFERENCE);
    p->markers(p->ctx, LINE(JF_LINE_INFERENCE), w->line1);
}

static void run_phases(struct jf_window *w, const struct jf_port *p, const struct jf_net *net, const struct jf_task *task, const int8_t *input,
                       int8_t *output, int32_t n) {
    p->markers(p->ctx, LINE(JF_LINE_WINDOW), 0);
    w->open = p->ticks(p->ctx); /* W2 */
    for (int32_t i = 0; i < n; i++) {
        inference_edge(w, p);
        stage(p, JF_STAGE_INPUT);
        memcpy(net->input, input, (size_t)net->in.n);
        stage(p, JF_STAGE_INFERENCE);
        net->infer(net->ctx);
        stage(p, JF_STAGE_OUTPUT);
        memcpy(output, net->output, (size_t)net->out.n);
        stage(p, JF_STAGE_POST);
        w->post = jf_task_post(task, net, input, output);
        stage(p, JF_STAGE_IDLE);
    }
    inference_edge(w, p);
    p->markers(p->ctx, LINE(JF_LINE_WINDOW), LINE(JF_LINE_WINDOW));
    w->close = p->ticks(p->ctx);
}

void jf_window_run(struct jf_window *w, const struct jf_port *p, const struct jf_net *net, const struct jf_task *task, const int8_t *input,
                   int8_t *output, int32_t n) {
    p->flush(p->ctx); /* W1 */
    if (w->phases) {
        run_phases(w, p, net, task, input, output, n);
    } else {
        run_mlperf(w, p, net, input, output, n);
    }
}
