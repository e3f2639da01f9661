/* SPDX-License-Identifier: GPL-2.0-or-later
 * The virtual NUCLEO-H7A3ZI-Q: core, memories, peripherals, reset, supply, time and charge. It feeds sim/elec.h and is
 * reached from outside by the debug port (sim/dap.h) and the serial line (sim/uart.h). One thread.
 *
 * B1. Virtual time never goes back; within one clock setting it is the core's cycle count times the period.
 * B2. Charge is posted before any marker, state, clock or supply change, so a segment has one state. */
#ifndef SIM_BOARD_H
#define SIM_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sim/cpu.h"
#include "sim/elec.h"
#include "sim/faults.h"
#include "sim/rcc.h"

#define BOARD_MARKERS 8
#define BOARD_IDCODE 0x10006480u /* DBGMCU_IDC: STM32H7A3/B3, revision */

struct board_pin {
    uint8_t port, pin; /* PE2: 4, 2 */
};
struct board_conf {
    struct elec *elec; /* borrowed */
    struct faults *faults; /* borrowed; NULL: none */
    struct board_pin marker[BOARD_MARKERS]; /* line k is wired to this pin */
    size_t n_markers;
    uint64_t seed; /* of UART noise and RAM content at power-on */
    void (*uart_sent)(void *ctx, uint8_t byte); /* a complete frame on PD8; may be NULL */
    void *uart_ctx;
};
struct board;

int board_new(const struct board_conf *conf, struct board **ret_board, struct err *reterr) JF_MUST_CHECK;
void board_free(struct board *b); /* NULL allowed */
/* "PE2,PE3,..." into pins; JF_E_INVAL names the item. */
int board_pins_parse(const char *text, struct board_pin out[BOARD_MARKERS], size_t *ret_n, struct err *reterr) JF_MUST_CHECK;

/* Advances to t_ps (or a block beyond it); several milliseconds of virtual time at most per call are wise. */
void board_run_until(struct board *b, int64_t t_ps);
int64_t board_now_ps(const struct board *b);

/* --- serial line into PD9: bytes wait in a queue and go out back to back ------------------------------------- */
#define BOARD_UART_QUEUE 1024
size_t board_uart_room(const struct board *b);
void board_uart_put(struct board *b, uint8_t byte);

/* --- the debug port's view; not inside board_run_until ------------------------------------------------------- */
bool board_powered(const struct board *b);
double board_supply_v(const struct board *b);
struct cpu *board_cpu(struct board *b); /* borrowed */
/* As the AHB access port of the debugger: false is a bus error. size 1, 2 or 4; buf little-endian. */
bool board_mem_read(struct board *b, uint32_t addr, unsigned size, uint8_t *buf, uint32_t n);
bool board_mem_write(struct board *b, uint32_t addr, unsigned size, const uint8_t *buf, uint32_t n);
uint32_t board_dbgmcu_read(struct board *b, uint32_t off);
void board_dbgmcu_write(struct board *b, uint32_t off, uint32_t value);
void board_nrst(struct board *b, bool low);

/* --- for `status` and tests ----------------------------------------------------------------------------------- */
struct board_info {
    uint32_t core_hz;
    uint64_t cycles, instructions;
    const char *state; /* "run", "sleep", ..., "off" */
    double base_a; /* current besides the executed instructions */
    uint64_t resets;
};
void board_info_get(const struct board *b, struct board_info *ret_info);

#endif
