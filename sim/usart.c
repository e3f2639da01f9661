/* SPDX-License-Identifier: GPL-2.0-or-later
 * The USART: see sim/usart.h. Offsets and bits: RM0455, 51.8. */
#include "sim/usart.h"

#include <string.h>

enum { CR1 = 0x00, CR2 = 0x04, CR3 = 0x08, BRR = 0x0C, GTPR = 0x10, RTOR = 0x14, RQR = 0x18, ISR = 0x1C, ICR = 0x20, RDR = 0x24, TDR = 0x28, PRESC = 0x2C };
#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_IDLEIE (1u << 4)
#define CR1_RXNEIE (1u << 5)
#define CR1_TCIE (1u << 6)
#define CR1_TXEIE (1u << 7)
#define CR1_OVER8 (1u << 15)
#define CR1_FIFOEN (1u << 29)
#define CR1_TXFEIE (1u << 30)
#define CR1_RXFFIE (1u << 31)
#define CR3_EIE (1u << 0)
#define CR3_OVRDIS (1u << 12)
#define ISR_ORE (1u << 3)
#define ISR_IDLE (1u << 4)
#define ISR_RXNE (1u << 5)
#define ISR_TC (1u << 6)
#define ISR_TXE (1u << 7)
#define ISR_BUSY (1u << 16)
#define ISR_TEACK (1u << 21)
#define ISR_REACK (1u << 22)
#define ISR_TXFE (1u << 23)
#define ISR_RXFF (1u << 24)
#define ISR_STICKY (ISR_ORE | ISR_IDLE | ISR_TC)

static unsigned depth(const struct usart *u) { return u->cr1 & CR1_FIFOEN ? USART_FIFO : 1; }
static bool tx_on(const struct usart *u) { return (u->cr1 & (CR1_UE | CR1_TE)) == (CR1_UE | CR1_TE); }
static bool rx_on(const struct usart *u) { return (u->cr1 & (CR1_UE | CR1_RE)) == (CR1_UE | CR1_RE); }

void usart_reset(struct usart *u) {
    u->cr1 = u->cr2 = u->cr3 = u->brr = u->presc = u->gtpr = u->rtor = 0;
    u->isr = ISR_TC;
    u->tx.n = u->rx.n = 0;
    u->tx_done_ps = u->rx_done_ps = PERIPH_NEVER;
    u->rx_idle_due = false;
}

int64_t usart_frame_ps(const struct usart *u) {
    static const unsigned prescale[] = {1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256, 256, 256, 256, 256};
    bool over8 = u->cr1 & CR1_OVER8;
    uint64_t div = over8 ? (u->brr & 0xFFF0u) | (u->brr & 7u) << 1 : u->brr & 0xFFFFu;
    if (div < 16 || u->kernel_hz == 0) {
        return 0;
    }
    uint64_t data = u->cr1 & (1u << 28) ? 7 : u->cr1 & (1u << 12) ? 9 : 8;
    uint64_t stop = (u->cr2 >> 12 & 3u) >= 2 ? 2 : 1;
    uint64_t ticks = (1 + data + stop) * div * prescale[u->presc & 0xFu];
    ticks = over8 ? ticks / 2 : ticks;
    return (int64_t)(ticks * 1000000u / u->kernel_hz * 1000000u + ticks * 1000000u % u->kernel_hz * 1000000u / u->kernel_hz);
}

static uint32_t flags(const struct usart *u) {
    uint32_t v = u->isr & ISR_STICKY;
    v |= u->rx.n > 0 ? ISR_RXNE : 0;
    v |= u->tx.n < depth(u) ? ISR_TXE : 0;
    v |= u->rx_done_ps != PERIPH_NEVER ? ISR_BUSY : 0;
    v |= tx_on(u) ? ISR_TEACK : 0;
    v |= rx_on(u) ? ISR_REACK : 0;
    if (u->cr1 & CR1_FIFOEN) {
        v |= u->tx.n == 0 ? ISR_TXFE : 0;
        v |= u->rx.n == USART_FIFO ? ISR_RXFF : 0;
    }
    return v;
}

static void update_irq(struct usart *u) {
    uint32_t f = flags(u);
    bool on = (u->cr1 & CR1_RXNEIE && f & (ISR_RXNE | ISR_ORE)) || (u->cr1 & CR1_TXEIE && f & ISR_TXE) || (u->cr1 & CR1_TCIE && f & ISR_TC) ||
              (u->cr1 & CR1_IDLEIE && f & ISR_IDLE) || (u->cr1 & CR1_TXFEIE && f & ISR_TXFE) || (u->cr1 & CR1_RXFFIE && f & ISR_RXFF) ||
              (u->cr3 & CR3_EIE && f & ISR_ORE);
    u->host->irq(u->host->ctx, u->irq, on && u->cr1 & CR1_UE);
}

static void tx_begin(struct usart *u, int64_t at_ps) {
    int64_t frame = usart_frame_ps(u);
    if (!tx_on(u) || u->tx.n == 0 || u->tx_done_ps != PERIPH_NEVER || frame == 0) {
        return;
    }
    u->tx_shift = u->tx.byte[0];
    u->tx.n--;
    memmove(u->tx.byte, u->tx.byte + 1, u->tx.n);
    u->tx_done_ps = at_ps + frame;
    u->isr &= ~ISR_TC;
}

static void rx_end(struct usart *u) {
    u->rx_done_ps = PERIPH_NEVER;
    if (!rx_on(u)) {
        return;
    }
    u->rx_idle_due = true;
    if (u->rx.n < depth(u)) {
        u->rx.byte[u->rx.n++] = u->rx_shift;
    } else if (u->cr3 & CR3_OVRDIS) {
        u->rx.byte[u->rx.n - 1] = u->rx_shift;
    } else {
        u->isr |= ISR_ORE; /* the byte in the shift register is lost */
    }
}

void usart_service(struct usart *u) {
    int64_t now = u->host->now_ps(u->host->ctx);
    bool did = false;
    while (u->tx_done_ps <= now) {
        int64_t done = u->tx_done_ps;
        u->tx_done_ps = PERIPH_NEVER;
        u->sent(u->sent_ctx, u->tx_shift);
        tx_begin(u, done);
        if (u->tx_done_ps == PERIPH_NEVER) {
            u->isr |= ISR_TC;
        }
        did = true;
    }
    if (u->rx_done_ps <= now) {
        rx_end(u);
        did = true;
    }
    if (did) {
        update_irq(u);
    }
}

int64_t usart_next_ps(const struct usart *u) { return u->tx_done_ps < u->rx_done_ps ? u->tx_done_ps : u->rx_done_ps; }
bool usart_rx_ready(const struct usart *u) { return u->rx_done_ps == PERIPH_NEVER; }
bool usart_busy(const struct usart *u) { return u->tx_done_ps != PERIPH_NEVER || u->rx_done_ps != PERIPH_NEVER; }

void usart_rx_begin(struct usart *u, uint8_t byte) {
    int64_t frame = usart_frame_ps(u);
    if (frame > 0) {
        u->rx_shift = byte;
        u->rx_done_ps = u->host->now_ps(u->host->ctx) + frame;
        u->host->changed(u->host->ctx);
    }
}

uint32_t usart_read(struct usart *u, uint32_t off) {
    usart_service(u);
    switch (off) {
    case CR1:
        return u->cr1;
    case CR2:
        return u->cr2;
    case CR3:
        return u->cr3;
    case BRR:
        return u->brr;
    case GTPR:
        return u->gtpr;
    case RTOR:
        return u->rtor;
    case ISR:
        return flags(u);
    case RDR: {
        uint32_t v = u->rx.byte[0];
        if (u->rx.n > 0) {
            u->rx.n--;
            memmove(u->rx.byte, u->rx.byte + 1, u->rx.n);
            update_irq(u);
        }
        return v;
    }
    case PRESC:
        return u->presc;
    default:
        return 0;
    }
}

static void cr1_write(struct usart *u, uint32_t v) {
    bool had_tx = tx_on(u);
    u->cr1 = v;
    if (!(v & CR1_UE)) { /* disabled: current transfers are discarded */
        u->tx.n = u->rx.n = 0;
        u->tx_done_ps = u->rx_done_ps = PERIPH_NEVER;
        u->isr = ISR_TC;
    } else if (tx_on(u) && !had_tx) {
        u->isr |= ISR_TC;
    }
    tx_begin(u, u->host->now_ps(u->host->ctx));
}

static void tdr_write(struct usart *u, uint32_t v) {
    if (u->tx.n < depth(u)) {
        u->tx.byte[u->tx.n++] = (uint8_t)v;
    } else {
        u->tx.byte[u->tx.n - 1] = (uint8_t)v; /* overwrites what was not yet shifted */
    }
    u->isr &= ~ISR_TC;
    tx_begin(u, u->host->now_ps(u->host->ctx));
}

void usart_write(struct usart *u, uint32_t off, uint32_t value) {
    usart_service(u);
    switch (off) {
    case CR1:
        cr1_write(u, value);
        break;
    case CR2:
        u->cr2 = value;
        break;
    case CR3:
        u->cr3 = value;
        break;
    case BRR:
        u->brr = value & 0xFFFFu;
        break;
    case GTPR:
        u->gtpr = value;
        break;
    case RTOR:
        u->rtor = value;
        break;
    case RQR:
        u->rx.n = value & 8u ? 0 : u->rx.n;
        u->tx.n = value & 16u ? 0 : u->tx.n;
        break;
    case ICR:
        u->isr &= ~(value & ISR_STICKY);
        break;
    case TDR:
        tdr_write(u, value);
        break;
    case PRESC:
        u->presc = value & 0xFu;
        break;
    default:
        break;
    }
    update_irq(u);
    u->host->changed(u->host->ctx);
}
