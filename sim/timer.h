/* SPDX-License-Identifier: GPL-2.0-or-later
 * General-purpose timers TIM2 to TIM5 (RM0455 section 42) as free-running up-counters: prescaler, auto-reload, update
 * and compare flags with interrupts, one-pulse mode. No capture, no PWM outputs, no slave modes. One thread. */
#ifndef SIM_TIMER_H
#define SIM_TIMER_H

#include "sim/periph.h"

struct timer {
    const struct periph_host *host;
    unsigned irq;
    uint32_t max; /* FFFFFFFF or FFFF */
    uint32_t clock_hz; /* kept by timer_clock */
    uint32_t cr1, cr2, smcr, dier, sr, ccmr[2], ccer, psc, psc_live, arr, ccr[4];
    uint32_t count; /* at base_ps */
    int64_t base_ps; /* a tick begins here */
};

void timer_reset(struct timer *t);
void timer_clock(struct timer *t, uint32_t hz); /* the count up to now belongs to the old clock */
uint32_t timer_read(struct timer *t, uint32_t off);
void timer_write(struct timer *t, uint32_t off, uint32_t value);
void timer_service(struct timer *t);
int64_t timer_next_ps(const struct timer *t); /* next interrupt */

#endif
