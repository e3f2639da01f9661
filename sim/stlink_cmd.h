/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ST-LINK/V2-1's command set as OpenOCD's st-link driver uses it: 16 bytes of command, payload out, reply in.
 * Pure towards the outside: no sockets; acts on the debug port. One thread. */
#ifndef SIM_STLINK_CMD_H
#define SIM_STLINK_CMD_H

#include "sim/dap.h"

#define STLINK_CMD 16
#define STLINK_MAX_DATA 6144 /* largest payload or reply of one command */
#define STLINK_BATCH 1024

struct stlink_cmd {
    struct dap dap;
    bool debug_mode;
    uint8_t last_status; /* of the last memory transfer */
    uint32_t batch_value[STLINK_BATCH];
    uint8_t batch_status[STLINK_BATCH];
    uint32_t batch_n;
};

void stlink_cmd_init(struct stlink_cmd *s, struct board *board, struct faults *faults);
/* One command. out: payload from the host (n_out bytes); in: the reply, n_in bytes, zeroed before. */
void stlink_cmd_do(struct stlink_cmd *s, const uint8_t cmd[STLINK_CMD], const uint8_t *out, uint32_t n_out, uint8_t *in, uint32_t n_in);

#endif
