/* SPDX-License-Identifier: GPL-2.0-or-later
 * One USART (RM0455 section 51), asynchronous: byte-timed in both directions from BRR, PRESC and the kernel clock, TXE,
 * TC, RXNE, ORE, IDLE, FIFO mode, interrupt. No DMA, no auto-baud, no hardware flow control. One thread. */
#ifndef SIM_USART_H
#define SIM_USART_H

#include <stddef.h>

#include "sim/periph.h"

#define USART_FIFO 16

struct usart_fifo {
    uint8_t byte[USART_FIFO];
    unsigned n;
};
struct usart {
    const struct periph_host *host;
    void (*sent)(void *ctx, uint8_t byte); /* the frame is complete on the line */
    void *sent_ctx;
    unsigned irq;
    uint32_t kernel_hz; /* kept by the board */
    uint32_t cr1, cr2, cr3, brr, presc, isr, gtpr, rtor;
    struct usart_fifo tx, rx;
    uint8_t tx_shift, rx_shift;
    int64_t tx_done_ps, rx_done_ps; /* PERIPH_NEVER: nothing on the line */
    bool rx_idle_due; /* IDLE not yet reported for the last frame */
};

void usart_reset(struct usart *u);
uint32_t usart_read(struct usart *u, uint32_t off);
void usart_write(struct usart *u, uint32_t off, uint32_t value);
void usart_service(struct usart *u); /* everything due up to now */
int64_t usart_next_ps(const struct usart *u);
bool usart_rx_ready(const struct usart *u); /* the line is free for the next byte from outside */
void usart_rx_begin(struct usart *u, uint8_t byte); /* its start bit falls now */
int64_t usart_frame_ps(const struct usart *u); /* duration of one frame; 0: not configured */
bool usart_busy(const struct usart *u); /* a frame is on the line, either way */

#endif
