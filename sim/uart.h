/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ST-LINK's virtual COM port as a pty, with a symlink to it. Raw from the start; a slave descriptor is kept open so
 * that a client's close is no hang-up; output that nobody reads is dropped when the kernel's buffer is full. One thread. */
#ifndef SIM_UART_H
#define SIM_UART_H

#include "base/err.h"
#include "sim/board.h"
#include "sim/front.h"

int uart_open(const char *symlink_path, struct front *ret_front, struct err *reterr) JF_MUST_CHECK;
void uart_attach(struct front *f, struct board *board); /* borrowed; bytes from the host go there */
void uart_sent(void *self, uint8_t byte); /* board_conf.uart_sent with ctx = front.self */
uint64_t uart_dropped(const struct front *f);

#endif
