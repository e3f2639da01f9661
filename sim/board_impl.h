/* SPDX-License-Identifier: GPL-2.0-or-later
 * The inside of the board, shared by sim/board*.c only. */
#ifndef SIM_BOARD_IMPL_H
#define SIM_BOARD_IMPL_H

#include "sim/board.h"
#include "sim/flash.h"
#include "sim/gpio.h"
#include "sim/timer.h"
#include "sim/usart.h"

#define BOARD_TIMERS 4
#define BOARD_DBGSTOP (1u << 1 | 1u << 4) /* DBGMCU_CR: DBG_STOP of both domains */

/* What the base current depends on: everything but the executed instructions. */
struct board_power {
    bool powered, in_reset, smps, pll;
    enum cm7_state state;
    uint32_t core_hz;
    unsigned gates;
    enum flash_work flash;
    bool uart_busy;
    bool debug_enabled; /* C_DEBUGEN */
    uint32_t dbgmcu_cr;
};
double board_power_a(const struct board_power *p);
double board_power_core_factor(bool smps); /* charge at the supply per charge of the core */

struct board {
    struct board_conf conf;
    struct cpu *cpu;
    uint8_t *memory; /* all host memory, one block */
    size_t memory_size;
    uint8_t *flash_mem, *ram;
    size_t ram_size;
    struct periph_host host;
    struct rcc rcc;
    struct gpio gpio;
    struct usart usart;
    struct timer tim[BOARD_TIMERS];
    struct flash flash;
    uint32_t dbgmcu[0x60 / 4];

    bool powered, nrst_low, sagged; /* sagged: below the brown-out level, supply still on */
    bool reset_asked; /* by software, done outside the core */
    bool was_uart_busy;
    uint8_t markers;
    enum cm7_state noted;
    uint64_t resets, noise;

    int64_t t0_ps; /* time at cycle c0 */
    uint64_t c0;
    uint32_t hz;
    double base_a, core_factor;
    uint64_t posted_charge;
    int64_t posted_ps;

    uint8_t rx_queue[BOARD_UART_QUEUE];
    size_t rx_head, rx_n;
};

/* board_bus.c */
bool board_bus_read(void *ctx, uint32_t addr, unsigned size, uint32_t *ret_value);
bool board_bus_write(void *ctx, uint32_t addr, unsigned size, uint32_t value);

/* board.c */
void board_changed(void *ctx);
void board_post(struct board *b);
void board_markers_update(struct board *b);

/* board_reset.c */
void board_reset(struct board *b, enum rcc_cause cause);
void board_supply_check(struct board *b);

#endif
