/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a peripheral may ask of the board, and the registers' access form. Peripherals know no other peripheral. */
#ifndef SIM_PERIPH_H
#define SIM_PERIPH_H

#include <stdbool.h>
#include <stdint.h>

#define PERIPH_PS_PER_S INT64_C(1000000000000)
#define PERIPH_NEVER INT64_MAX

struct periph_host {
    void *ctx;
    int64_t (*now_ps)(void *ctx); /* virtual time */
    void (*irq)(void *ctx, unsigned irq, bool level);
    /* The next event, a clock or the current drawn is about to differ (called before the change) or does now. */
    void (*changed)(void *ctx);
};

#endif
