/* SPDX-License-Identifier: GPL-2.0-or-later
 * The debug access port of the chip (ADIv5, ARM IHI 0031): DP, AP0 = the core's AHB-AP, AP2 = the APB-AP with the
 * system's debug components (DBGMCU at E00E1000). One thread, never inside board_run_until. */
#ifndef SIM_DAP_H
#define SIM_DAP_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/board.h"

#define DAP_IDCODE 0x6BA02477u /* DPIDR over SWD */
#define DAP_APS 4
#define DAP_DP 0xFFFFu

enum dap_ack { DAP_OK, DAP_NO_TARGET, DAP_FAULT };

struct dap {
    struct board *board; /* borrowed */
    struct faults *faults; /* borrowed; NULL: none */
    uint32_t ctrl_stat, select, rdbuff;
    struct {
        uint32_t csw, tar;
    } ap[DAP_APS];
};

void dap_init(struct dap *d, struct board *board, struct faults *faults);
/* port: DAP_DP or an access port's number. */
enum dap_ack dap_read(struct dap *d, unsigned port, unsigned reg, uint32_t *ret_value);
enum dap_ack dap_write(struct dap *d, unsigned port, unsigned reg, uint32_t value);
/* n bytes at addr through access port ap, in units of size bytes (1, 2, 4). */
enum dap_ack dap_mem_read(struct dap *d, unsigned ap, uint32_t addr, unsigned size, uint8_t *buf, uint32_t n);
enum dap_ack dap_mem_write(struct dap *d, unsigned ap, uint32_t addr, unsigned size, const uint8_t *buf, uint32_t n);

#endif
