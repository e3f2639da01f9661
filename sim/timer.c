/* SPDX-License-Identifier: GPL-2.0-or-later
 * Timers: see sim/timer.h. Offsets: RM0455, 42.4. */
#include "sim/timer.h"

enum { CR1 = 0x00, CR2 = 0x04, SMCR = 0x08, DIER = 0x0C, SR = 0x10, EGR = 0x14, CCMR1 = 0x18, CCMR2 = 0x1C, CCER = 0x20, CNT = 0x24, PSC = 0x28, ARR = 0x2C, CCR1 = 0x34, CCR4 = 0x40 };
#define CR1_CEN 1u
#define CR1_URS 4u
#define CR1_OPM 8u

void timer_reset(struct timer *t) {
    t->cr1 = t->cr2 = t->smcr = t->dier = t->sr = t->ccmr[0] = t->ccmr[1] = t->ccer = t->psc = t->psc_live = t->count = 0;
    t->ccr[0] = t->ccr[1] = t->ccr[2] = t->ccr[3] = 0;
    t->arr = t->max;
    t->base_ps = t->host->now_ps(t->host->ctx);
}

static void update_irq(struct timer *t) { t->host->irq(t->host->ctx, t->irq, t->sr & t->dier & 0x1Fu); }

static int64_t ticks_to_ps(const struct timer *t, uint64_t ticks) {
    __extension__ typedef unsigned __int128 wide;
    wide n = (wide)ticks * (t->psc_live + 1) * (uint64_t)PERIPH_PS_PER_S;
    wide ps = (n + t->clock_hz - 1) / t->clock_hz;
    return ps > (wide)(PERIPH_NEVER / 2) ? PERIPH_NEVER / 2 : (int64_t)ps;
}

/* Whole ticks since base_ps. */
static uint64_t ticks_now(const struct timer *t, int64_t now_ps) {
    __extension__ typedef unsigned __int128 wide;
    if (!(t->cr1 & CR1_CEN) || t->clock_hz == 0 || now_ps <= t->base_ps) {
        return 0;
    }
    return (uint64_t)((wide)(uint64_t)(now_ps - t->base_ps) * t->clock_hz / (uint64_t)PERIPH_PS_PER_S / (t->psc_live + 1));
}

/* Ticks from `count` until the counter shows `value` next (at least 1). */
static uint64_t ticks_until(const struct timer *t, uint32_t value) {
    uint64_t period = (uint64_t)t->arr + 1;
    uint64_t d = ((uint64_t)value + period - t->count % period) % period;
    return d ? d : period;
}

void timer_service(struct timer *t) {
    int64_t now = t->host->now_ps(t->host->ctx);
    uint64_t n = ticks_now(t, now);
    if (n == 0 || t->arr == 0) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (t->ccr[i] <= t->arr && n >= ticks_until(t, t->ccr[i])) {
            t->sr |= 2u << i;
        }
    }
    bool wrapped = n >= ticks_until(t, 0);
    uint64_t to_wrap = ticks_until(t, 0);
    t->base_ps += ticks_to_ps(t, n);
    if (t->base_ps > now) {
        t->base_ps = now; /* rounding of the division: below one picosecond */
    }
    t->count = (uint32_t)((t->count + n) % ((uint64_t)t->arr + 1));
    if (wrapped) {
        t->sr |= 1u;
        if (t->psc_live != t->psc) {
            uint64_t after = n - to_wrap;
            t->psc_live = t->psc;
            t->count = (uint32_t)after;
        }
        if (t->cr1 & CR1_OPM) {
            t->cr1 &= ~CR1_CEN;
            t->count = 0;
        }
    }
    update_irq(t);
}

int64_t timer_next_ps(const struct timer *t) {
    if (!(t->cr1 & CR1_CEN) || !(t->dier & 0x1Fu) || t->clock_hz == 0 || t->arr == 0) {
        return PERIPH_NEVER;
    }
    uint64_t best = UINT64_MAX;
    if (t->dier & 1u) {
        best = ticks_until(t, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (t->dier >> (i + 1) & 1u && t->ccr[i] <= t->arr && ticks_until(t, t->ccr[i]) < best) {
            best = ticks_until(t, t->ccr[i]);
        }
    }
    return best == UINT64_MAX ? PERIPH_NEVER : t->base_ps + ticks_to_ps(t, best);
}

void timer_clock(struct timer *t, uint32_t hz) {
    if (t->clock_hz != hz) {
        timer_service(t);
        t->clock_hz = hz;
    }
}

uint32_t timer_read(struct timer *t, uint32_t off) {
    timer_service(t);
    switch (off) {
    case CR1:
        return t->cr1;
    case CR2:
        return t->cr2;
    case SMCR:
        return t->smcr;
    case DIER:
        return t->dier;
    case SR:
        return t->sr;
    case CCMR1:
    case CCMR2:
        return t->ccmr[(off - CCMR1) / 4];
    case CCER:
        return t->ccer;
    case CNT:
        return t->count;
    case PSC:
        return t->psc;
    case ARR:
        return t->arr;
    default:
        return off >= CCR1 && off <= CCR4 ? t->ccr[(off - CCR1) / 4] : 0;
    }
}

static void restart(struct timer *t, uint32_t count) {
    t->count = count;
    t->base_ps = t->host->now_ps(t->host->ctx);
}

static void config_write(struct timer *t, uint32_t off, uint32_t v) {
    switch (off) {
    case CR1:
        if (v & CR1_CEN && !(t->cr1 & CR1_CEN)) {
            restart(t, t->count);
        }
        t->cr1 = v & 0x0BFFu;
        break;
    case CNT:
        restart(t, v & t->max);
        break;
    case PSC:
        t->psc = v & 0xFFFFu; /* takes effect at the next update */
        break;
    case ARR:
        t->arr = v & t->max;
        break;
    case EGR:
        if (v & 1u) {
            t->psc_live = t->psc;
            restart(t, 0);
            t->sr |= t->cr1 & CR1_URS ? 0 : 1u;
        }
        t->sr |= v & 0x1Eu;
        break;
    default:
        if (off >= CCR1 && off <= CCR4) {
            t->ccr[(off - CCR1) / 4] = v & t->max;
        }
        break;
    }
}

void timer_write(struct timer *t, uint32_t off, uint32_t value) {
    timer_service(t);
    switch (off) {
    case CR2:
        t->cr2 = value;
        break;
    case SMCR:
        t->smcr = value;
        break;
    case DIER:
        t->dier = value & 0x5F5Fu;
        break;
    case SR:
        t->sr &= value; /* rc_w0 */
        break;
    case CCMR1:
    case CCMR2:
        t->ccmr[(off - CCMR1) / 4] = value;
        break;
    case CCER:
        t->ccer = value;
        break;
    default:
        config_write(t, off, value);
        break;
    }
    update_irq(t);
    t->host->changed(t->host->ctx);
}
