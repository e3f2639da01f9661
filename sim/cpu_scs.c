/* SPDX-License-Identifier: GPL-2.0-or-later
 * The private peripheral bus: SysTick, NVIC and SCB registers (ARM DDI 0403E, B3; cache registers ARM DDI 0489).
 * The debug registers are in sim/cpu_debug.c. Unknown registers of the bus read 0 and ignore writes, as RES0. */
#include "sim/cpu_impl.h"

#include <string.h>

#define SYSTICK_ENABLE 1u
#define SYSTICK_TICKINT 2u
#define SYSTICK_CORE 4u

void cm7_scs_reset(struct cpu *c, bool power_on) {
    memset(c->prio, 0, sizeof c->prio);
    memset(c->pending, 0, sizeof c->pending);
    memset(c->active, 0, sizeof c->active);
    memset(c->enabled, 0, sizeof c->enabled);
    memset(c->level, 0, sizeof c->level);
    memset(c->enabled, true, 16); /* system exceptions cannot be switched off here */
    memset(c->mpu, 0, sizeof c->mpu);
    c->n_pending = 0;
    c->event = false;
    c->attention = ATT_STOP | ATT_FPU;
    c->st = (struct cm7_systick){0};
    c->vtor = 0x08000000u; /* boot address in flash */
    c->scr = c->shcsr = c->cfsr = c->hfsr = c->mmfar = c->bfar = c->cpacr = c->prigroup = c->csselr = c->fpdscr = 0;
    c->ccr = 0x00040200u; /* STKALIGN, BP */
    c->fpccr = 0xC0000000u;
    if (power_on) {
        c->dhcsr = c->demcr = c->dcrdr = c->dfsr = c->dwt_ctrl = c->fp_ctrl = 0;
        memset(c->fp_comp, 0, sizeof c->fp_comp);
        c->cyc_offset = 0; /* the frozen count */
    }
}

/* --- SysTick ------------------------------------------------------------------------------------------------ */

static uint64_t st_div(const struct cpu *c) { return c->st.ctrl & SYSTICK_CORE ? 1 : 8; }

void cm7_systick_service(struct cpu *c) {
    if (!c->st.running || c->cycles < c->st.zero_at) {
        return;
    }
    uint64_t period = (c->st.load + 1) * st_div(c);
    c->st.zero_at += (1 + (c->cycles - c->st.zero_at) / period) * period;
    c->st.countflag = true;
    if (c->st.ctrl & SYSTICK_TICKINT) {
        cm7_exc_pend(c, EXC_SYSTICK, true);
    }
}

uint64_t cm7_next_event(const struct cpu *c) {
    return c->st.running && c->st.ctrl & SYSTICK_TICKINT ? c->st.zero_at : UINT64_MAX;
}

static void st_restart(struct cpu *c, uint32_t value) {
    c->st.running = c->st.ctrl & SYSTICK_ENABLE && c->st.load > 0;
    c->st.zero_at = c->cycles + (value ? value : c->st.load + 1) * st_div(c);
    cm7_kick(c);
}

static uint32_t st_value(const struct cpu *c) {
    if (!c->st.running || c->st.zero_at < c->cycles) {
        return 0;
    }
    uint64_t left = (c->st.zero_at - c->cycles) / st_div(c);
    return left > c->st.load ? 0 : (uint32_t)left;
}

static uint32_t st_read(struct cpu *c, uint32_t reg) {
    cm7_systick_service(c);
    switch (reg) {
    case 0x10: {
        uint32_t v = c->st.ctrl | (uint32_t)c->st.countflag << 16;
        c->st.countflag = false;
        return v;
    }
    case 0x14:
        return c->st.load;
    case 0x18:
        return st_value(c);
    default:
        return 0x4000270Fu; /* CALIB, as ST states it for 1/8 of HCLK */
    }
}

static void st_write(struct cpu *c, uint32_t reg, uint32_t v) {
    cm7_systick_service(c);
    if (reg == 0x10) {
        uint32_t value = st_value(c);
        bool was_on = c->st.running;
        c->st.ctrl = v & 7u;
        st_restart(c, was_on ? value : 0);
    } else if (reg == 0x14) {
        c->st.load = v & 0xFFFFFFu;
        if (!c->st.running) {
            st_restart(c, 0);
        }
    } else if (reg == 0x18) {
        c->st.countflag = false;
        st_restart(c, 0);
    }
}

/* --- NVIC --------------------------------------------------------------------------------------------------- */

static uint32_t nvic_bits(const bool *of, unsigned first) {
    uint32_t v = 0;
    for (unsigned i = 0; i < 32 && first + i < CPU_IRQS; i++) {
        v |= (uint32_t)of[16 + first + i] << i;
    }
    return v;
}

static void nvic_change(struct cpu *c, bool *of, unsigned first, uint32_t bits, bool on) {
    for (unsigned i = 0; i < 32 && first + i < CPU_IRQS; i++) {
        if (bits >> i & 1u) {
            of[16 + first + i] = on;
        }
    }
    if (of == c->pending && !on) { /* a line that still asks pends again */
        for (unsigned i = 16; i < CPU_EXCS; i++) {
            c->pending[i] |= c->level[i] && !c->active[i];
        }
    }
    cm7_exc_refresh(c);
}

static uint32_t nvic_read(const struct cpu *c, uint32_t reg) {
    unsigned first = (reg & 0x7Fu) / 4 * 32;
    switch (reg & 0xF80u) {
    case 0x100:
    case 0x180:
        return nvic_bits(c->enabled, first);
    case 0x200:
    case 0x280:
        return nvic_bits(c->pending, first);
    case 0x300:
        return nvic_bits(c->active, first);
    default:
        return 0;
    }
}

static void nvic_write(struct cpu *c, uint32_t reg, uint32_t v) {
    unsigned first = (reg & 0x7Fu) / 4 * 32;
    switch (reg & 0xF80u) {
    case 0x100:
        nvic_change(c, c->enabled, first, v, true);
        break;
    case 0x180:
        nvic_change(c, c->enabled, first, v, false);
        break;
    case 0x200:
        nvic_change(c, c->pending, first, v, true);
        break;
    case 0x280:
        nvic_change(c, c->pending, first, v, false);
        break;
    default:
        break;
    }
}

/* --- SCB ---------------------------------------------------------------------------------------------------- */

static uint32_t icsr_read(struct cpu *c) {
    uint32_t v = cm7_get(c, UC_ARM_REG_IPSR) & 0x1FFu;
    unsigned best = 0;
    for (unsigned e = 2; e < CPU_EXCS; e++) {
        if (c->pending[e] && c->enabled[e] && (!best || c->prio[e] < c->prio[best])) {
            best = e;
        }
        v |= e >= 16 && c->pending[e] ? 1u << 22 : 0;
    }
    return v | best << 12 | (uint32_t)c->pending[EXC_SYSTICK] << 26 | (uint32_t)c->pending[EXC_PENDSV] << 28 |
           (uint32_t)c->pending[EXC_NMI] << 31;
}

static void icsr_write(struct cpu *c, uint32_t v) {
    if (v & (1u << 31)) {
        cm7_exc_pend(c, EXC_NMI, true);
    }
    if (v & (3u << 27)) {
        cm7_exc_pend(c, EXC_PENDSV, v >> 28 & 1u);
    }
    if (v & (3u << 25)) {
        cm7_exc_pend(c, EXC_SYSTICK, v >> 26 & 1u);
    }
}

static uint32_t shcsr_read(const struct cpu *c) {
    return c->shcsr | (uint32_t)c->active[EXC_MEM] | (uint32_t)c->active[EXC_BUS] << 1 | (uint32_t)c->active[EXC_USAGE] << 3 |
           (uint32_t)c->active[EXC_SVC] << 7 | (uint32_t)c->active[EXC_PENDSV] << 10 | (uint32_t)c->active[EXC_SYSTICK] << 11;
}

static void aircr_write(struct cpu *c, uint32_t v) {
    if (v >> 16 != 0x05FA) {
        return;
    }
    c->prigroup = v >> 8 & 7u;
    cm7_exc_refresh(c);
    if (v & 4u) {
        c->bus.reset_request(c->bus.ctx);
        cm7_kick(c);
    }
}

/* Constant identification registers. 16 KiB instruction cache (2 ways), 16 KiB data cache (4 ways), lines of 32 bytes. */
static const struct {
    uint16_t reg;
    uint32_t value;
} constant[] = {
    {0x004, 4},          {0xD00, 0x411FC271}, {0xD40, 0x00000030}, {0xD44, 0x00000200}, {0xD48, 0x00100000}, {0xD50, 0x00100030},
    {0xD58, 0x01000000}, {0xD60, 0x01101110}, {0xD64, 0x02112000}, {0xD68, 0x20232231}, {0xD6C, 0x01111131}, {0xD70, 0x01310132},
    {0xD78, 0x09000003}, {0xD7C, 0x8303C003}, {0xD90, 0x00001000}, {0xF40, 0x10110221}, {0xF44, 0x12000011}, {0xF48, 0x00000040},
    {0xF90, 0x00000039}, {0xF94, 0x00000041},
};

static uint32_t *plain_register(struct cpu *c, uint32_t reg, uint32_t *ret_mask) {
    *ret_mask = UINT32_MAX;
    switch (reg) {
    case 0xD08:
        *ret_mask = 0xFFFFFF80u;
        return &c->vtor;
    case 0xD10:
        *ret_mask = 0x16u;
        return &c->scr;
    case 0xD14:
        *ret_mask = 0x0007031Bu;
        return &c->ccr;
    case 0xD34:
        return &c->mmfar;
    case 0xD38:
        return &c->bfar;
    case 0xD84:
        *ret_mask = 1u;
        return &c->csselr;
    case 0xD88:
        *ret_mask = 0x00F00000u;
        return &c->cpacr;
    case 0xF34:
        return &c->fpccr;
    case 0xF3C:
        *ret_mask = 0x07C00000u;
        return &c->fpdscr;
    default:
        return reg >= 0xD94 && reg < 0xDB4 ? &c->mpu[(reg - 0xD94) / 4] : NULL;
    }
}

static uint32_t scb_read(struct cpu *c, uint32_t reg) {
    uint32_t mask;
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++) {
        if (constant[i].reg == reg) {
            return constant[i].value;
        }
    }
    switch (reg) {
    case 0xD04:
        return icsr_read(c);
    case 0xD0C:
        return 0xFA050000u | c->prigroup << 8;
    case 0xD24:
        return shcsr_read(c);
    case 0xD28:
        return c->cfsr;
    case 0xD2C:
        return c->hfsr;
    case 0xD80:
        return c->csselr ? 0xF01FE009u : 0xF00FE019u;
    default: {
        const uint32_t *p = plain_register(c, reg, &mask);
        return p ? *p : 0;
    }
    }
}

static void scb_write(struct cpu *c, uint32_t reg, uint32_t v) {
    uint32_t mask;
    uint32_t *p = plain_register(c, reg, &mask);
    if (p) {
        *p = v & mask;
        if (p == &c->ccr) {
            c->gen++; /* fetch wait states depend on the instruction cache */
        }
        c->attention = (c->cpacr >> 20 & 0xFu) == 0xFu ? c->attention & ~(uint32_t)ATT_FPU : c->attention | ATT_FPU;
        return;
    }
    switch (reg) {
    case 0xD04:
        icsr_write(c, v);
        break;
    case 0xD0C:
        aircr_write(c, v);
        break;
    case 0xD24:
        c->shcsr = v & 0x00070000u;
        break;
    case 0xD28:
        c->cfsr &= ~v;
        break;
    case 0xD2C:
        c->hfsr &= ~v;
        break;
    case 0xF00:
        if ((v & 0x1FFu) < CPU_IRQS) {
            cm7_exc_pend(c, 16 + (v & 0x1FFu), true);
        }
        break;
    default:
        break;
    }
}

/* --- the bus ------------------------------------------------------------------------------------------------- */

static uint32_t scs_read(struct cpu *c, uint32_t reg) {
    if (reg >= 0x10 && reg < 0x20) {
        return st_read(c, reg);
    }
    return reg >= 0x100 && reg < 0x400 ? nvic_read(c, reg) : scb_read(c, reg);
}

static void scs_write(struct cpu *c, uint32_t reg, uint32_t v) {
    if (reg >= 0x10 && reg < 0x20) {
        st_write(c, reg, v);
    } else if (reg >= 0x100 && reg < 0x400) {
        nvic_write(c, reg, v);
    } else {
        scb_write(c, reg, v);
    }
}

/* The byte-addressable priority registers: the exception whose priority stands there, 0: none. */
static unsigned priority_at(uint32_t addr) {
    uint32_t reg = addr - 0xE000E000u;
    if (reg >= 0x400 && reg < 0x400 + CPU_IRQS) {
        return 16 + reg - 0x400;
    }
    return reg >= 0xD18 && reg < 0xD24 ? 4 + reg - 0xD18 : 0;
}

bool cm7_ppb_read(struct cpu *c, uint32_t addr, unsigned size, bool debugger, uint32_t *ret_value) {
    (void)debugger;
    uint32_t word = 0;
    if (priority_at(addr)) {
        for (unsigned i = 0; i < size; i++) {
            word |= (uint32_t)c->prio[priority_at(addr + i)] << 8 * i;
        }
        *ret_value = word;
        return true;
    }
    uint32_t at = addr & ~3u;
    if (!cm7_debug_read(c, at, &word) && (at & ~0xFFFu) == 0xE000E000u) {
        word = scs_read(c, at & 0xFFFu);
    }
    word >>= 8 * (addr & 3u);
    *ret_value = size == 4 ? word : word & ((1u << 8 * size) - 1);
    return true;
}

bool cm7_ppb_write(struct cpu *c, uint32_t addr, unsigned size, bool debugger, uint32_t value) {
    if (priority_at(addr)) {
        for (unsigned i = 0; i < size; i++) {
            c->prio[priority_at(addr + i)] = (uint8_t)(value >> 8 * i & 0xF0u); /* 4 bits implemented; [0] is nobody's */
        }
        cm7_exc_refresh(c);
        return true;
    }
    if (size != 4) { /* DCRDR and the ITM ports take narrow writes */
        value <<= 8 * (addr & 3u);
    }
    uint32_t at = addr & ~3u;
    if (!cm7_debug_write(c, at, debugger, value) && (at & ~0xFFFu) == 0xE000E000u) {
        scs_write(c, at & 0xFFFu, value);
    }
    return true;
}
