/* SPDX-License-Identifier: MIT
 * One measuring window on the marker lines: N inferences between an opening and a closing edge, in one of the two schemes of jf_device.h.
 *
 * W1  Nothing is printed between the edges, and the UART has finished before the opening one.
 * W2  An edge and its device stamp are taken by adjacent statements, in the same order at both ends.
 * W3  The stage code changes by one store to the port.
 * W4  Outside windows and sync trains the lines rest at their idle level: line 0 high, stage code 0; line 1 keeps its level (its edges count, not its level).
 *
 * Both schemes copy the prepared tensor to where the model reads it before each inference: the arena reuses that place, and a repeated inference
 * must compute the same thing. `phases` also copies the result out and runs the task's own post-processing, each as a stage; `mlperf` times neither,
 * as the MLPerf Tiny rules have it. */
#ifndef FIRMWARE_HARNESS_JF_WINDOW_H
#define FIRMWARE_HARNESS_JF_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct jf_net;
struct jf_port;
struct jf_task;

struct jf_window {
    bool phases;           /* scheme: phases, else mlperf */
    bool mute;             /* performance mode: mlperf without pulses, the stamps alone */
    uint32_t hold_us;      /* mlperf: how long the pulse stays low */
    uint32_t line1;        /* phases: present level of line 1 */
    volatile int32_t post; /* the last post-processing result */
    uint64_t open, close;  /* stamps of the last window's edges, ticks */
};

/* Lines to the idle level of the scheme. */
void jf_window_rest(struct jf_window *w, const struct jf_port *p);
/* One mlperf event (`timestamp%`, boot): a pulse on line 0 unless mute; its stamp. Waits for the UART first. */
uint64_t jf_window_pulse(const struct jf_window *w, const struct jf_port *p);
/* One sync train on line 0 (jf_device.h). Waits for the UART first; lasts 806 units. */
void jf_window_sync(const struct jf_port *p, uint32_t unit_us);
/* n inferences without markers (warm-up); the result stays in net->output. */
void jf_window_warm(const struct jf_port *p, const struct jf_net *net, const int8_t *input, int32_t n);
/* n >= 1 inferences on the same input with markers; output as above. */
void jf_window_run(struct jf_window *w, const struct jf_port *p, const struct jf_net *net, const struct jf_task *task, const int8_t *input,
                   int8_t *output, int32_t n);

#endif
