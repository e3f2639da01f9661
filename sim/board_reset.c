/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reset and supply of the board. A system reset keeps RAM, debug logic and DBGMCU; losing power loses them. */
#include <string.h>

#include "sim/board_impl.h"

/* DS13195, reset and power control block: BOR level 0 falling 1.62 V, rising 1.67 V. */
#define BOR_FALL_V 1.62
#define BOR_RISE_V 1.67

static void release(struct board *b) {
    if (b->powered && !b->nrst_low && !b->sagged && cm7_state(b->cpu) == CPU_HELD) {
        cm7_start(b->cpu);
    }
}

void board_reset(struct board *b, enum rcc_cause cause) {
    bool power_on = cause == RCC_CAUSE_POWER_ON || cause == RCC_CAUSE_BROWN_OUT;
    board_post(b);
    b->reset_asked = false;
    b->resets++;
    elec_note(b->conf.elec, board_now_ps(b), ELEC_RESET, cause);
    cm7_reset(b->cpu, power_on);
    rcc_reset(&b->rcc, cause);
    if (power_on) {
        memset(b->dbgmcu, 0, sizeof b->dbgmcu);
    }
    gpio_reset(&b->gpio);
    usart_reset(&b->usart);
    for (unsigned i = 0; i < BOARD_TIMERS; i++) {
        timer_reset(&b->tim[i]);
    }
    flash_reset(&b->flash);
    cm7_set_fetch_wait(b->cpu, b->flash.acr & 0xFu);
    board_changed(b);
    board_markers_update(b);
    release(b);
}

void board_nrst(struct board *b, bool low) {
    if (b->nrst_low == low) {
        return;
    }
    b->nrst_low = low;
    if (!b->powered) {
        return;
    }
    if (low) {
        board_reset(b, RCC_CAUSE_PIN);
    } else {
        release(b);
    }
}

/* SRAM after power-up holds nothing that anybody may rely on. */
static void ram_lost(struct board *b) {
    uint64_t x = b->conf.seed * 0x9E3779B97F4A7C15u + b->resets + 1;
    for (size_t i = 0; i + 8 <= b->ram_size; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(b->ram + i, &x, 8);
    }
}

static void power_off(struct board *b) {
    board_post(b);
    b->powered = false;
    b->sagged = false;
    cm7_reset(b->cpu, true);
    gpio_reset(&b->gpio);
    usart_reset(&b->usart);
    flash_reset(&b->flash);
    memset(b->dbgmcu, 0, sizeof b->dbgmcu);
    b->rx_n = 0;
    board_changed(b);
    board_markers_update(b);
    elec_note(b->conf.elec, board_now_ps(b), ELEC_POWER_OFF, 0);
}

void board_supply_check(struct board *b) {
    bool on = elec_supply_on(b->conf.elec);
    double v = on ? elec_supply_v(b->conf.elec) : 0;
    if (b->powered && !on) {
        power_off(b);
    } else if (!b->powered && on && v >= BOR_RISE_V) {
        board_post(b);
        b->powered = true;
        ram_lost(b);
        elec_note(b->conf.elec, board_now_ps(b), ELEC_POWER_ON, v);
        board_reset(b, RCC_CAUSE_POWER_ON);
    } else if (b->powered && !b->sagged && v < BOR_FALL_V) {
        b->sagged = true;
        board_reset(b, RCC_CAUSE_BROWN_OUT);
    } else if (b->powered && b->sagged && v >= BOR_RISE_V) {
        b->sagged = false;
        release(b);
    }
}
