/* SPDX-License-Identifier: GPL-2.0-or-later
 * Debug registers of the core: DHCSR, DCRSR/DCRDR, DEMCR, DFSR, the FPB's comparators (revision 2: full addresses) and
 * the DWT's cycle counter (ARM DDI 0403E, C1; ARM DDI 0489, 9 and 10). They survive a system reset. */
#include "sim/cpu_impl.h"

#define DHCSR_KEY 0xA05Fu
#define DWT_CYCCNTENA 1u

void cm7_halt(struct cpu *c, uint32_t dfsr) {
    c->dfsr |= dfsr;
    c->dhcsr |= DHCSR_HALT;
    cm7_set_state(c, CPU_HALTED);
}

bool cm7_break_at(const struct cpu *c, uint32_t addr) {
    if (!(c->fp_ctrl & 1u) || !(c->dhcsr & DHCSR_DEBUGEN)) {
        return false;
    }
    for (unsigned i = 0; i < CPU_BREAKS; i++) {
        if (c->fp_comp[i] & 1u && (c->fp_comp[i] & ~1u) == addr) {
            return true;
        }
    }
    return false;
}

bool cm7_wants_step_engine(const struct cpu *c) {
    if (!(c->fp_ctrl & 1u) || !(c->dhcsr & DHCSR_DEBUGEN)) {
        return false;
    }
    for (unsigned i = 0; i < CPU_BREAKS; i++) {
        if (c->fp_comp[i] & 1u) {
            return true;
        }
    }
    return false;
}

uint32_t cm7_cyccnt(const struct cpu *c) { return (uint32_t)(c->cycles - c->idle_cycles - c->cyc_offset); }

/* --- DHCSR --------------------------------------------------------------------------------------------------- */

static uint32_t dhcsr_read(struct cpu *c) {
    uint32_t v = c->dhcsr & 0xFu;
    v |= 1u << 16; /* S_REGRDY: transfers are immediate */
    v |= (uint32_t)(c->state == CPU_HALTED) << 17;
    v |= (uint32_t)(c->state == CPU_SLEEP || c->state == CPU_DEEP) << 18;
    v |= (uint32_t)(c->state == CPU_LOCKUP) << 19;
    v |= (uint32_t)(c->instructions != c->retired_at_poll) << 24;
    v |= (uint32_t)c->reset_seen << 25;
    c->retired_at_poll = c->instructions;
    c->reset_seen = false;
    return v;
}

static void dhcsr_write(struct cpu *c, uint32_t v, bool debugger) {
    if (v >> 16 != DHCSR_KEY || (!debugger && !(c->dhcsr & DHCSR_DEBUGEN))) {
        return; /* software cannot switch halting debug on */
    }
    uint32_t old = c->dhcsr;
    uint32_t now = debugger ? v & 0xFu : (v & 0xEu) | (old & 1u);
    if (!(now & DHCSR_DEBUGEN)) {
        now = 0;
    }
    c->bus.state_changed(c->bus.ctx);
    c->dhcsr = now;
    c->bus.state_changed(c->bus.ctx);
    cm7_exc_refresh(c);
    if (c->state == CPU_HELD) {
        return;
    }
    if (c->state == CPU_HALTED) {
        if (!(now & DHCSR_HALT)) {
            cm7_set_state(c, CPU_RUN);
            if (now & DHCSR_STEP) {
                cm7_single_step(c); /* done before the write is acknowledged */
            }
        }
    } else if (now & DHCSR_HALT) {
        cm7_halt(c, DFSR_HALTED);
        cm7_kick(c);
    }
}

static void dcrsr_write(struct cpu *c, uint32_t v) {
    if (c->state != CPU_HALTED) {
        return;
    }
    if (v & (1u << 16)) {
        cm7_reg_write(c, v & 0x7Fu, c->dcrdr);
    } else {
        c->dcrdr = cm7_reg_read(c, v & 0x7Fu);
    }
}

/* --- the registers ------------------------------------------------------------------------------------------- */

static bool dwt_read(const struct cpu *c, uint32_t addr, uint32_t *ret_value) {
    switch (addr) {
    case 0xE0001000u:
        *ret_value = 0x40000000u | c->dwt_ctrl;
        return true;
    case 0xE0001004u:
        *ret_value = c->dwt_ctrl & DWT_CYCCNTENA ? cm7_cyccnt(c) : (uint32_t)c->cyc_offset;
        return true;
    default:
        *ret_value = 0;
        return true;
    }
}

/* While disabled cyc_offset holds the frozen count itself, while enabled the distance. */
static void dwt_write(struct cpu *c, uint32_t addr, uint32_t v) {
    uint64_t run = c->cycles - c->idle_cycles;
    if (addr == 0xE0001004u) {
        c->cyc_offset = c->dwt_ctrl & DWT_CYCCNTENA ? run - v : v;
    } else if (addr == 0xE0001000u && c->demcr & DEMCR_TRCENA) {
        bool was = c->dwt_ctrl & DWT_CYCCNTENA;
        bool now = v & DWT_CYCCNTENA;
        c->dwt_ctrl = v & 0x0FFFFFFFu;
        if (was != now) {
            c->cyc_offset = now ? run - c->cyc_offset : (uint32_t)(run - c->cyc_offset);
        }
    }
}

bool cm7_debug_read(struct cpu *c, uint32_t addr, uint32_t *ret_value) {
    switch (addr) {
    case 0xE000ED30u:
        *ret_value = c->dfsr;
        return true;
    case 0xE000EDF0u:
        *ret_value = dhcsr_read(c);
        return true;
    case 0xE000EDF4u:
        *ret_value = 0;
        return true;
    case 0xE000EDF8u:
        *ret_value = c->dcrdr;
        return true;
    case 0xE000EDFCu:
        *ret_value = c->demcr;
        return true;
    case 0xE0002000u:
        *ret_value = 0x10000080u | (c->fp_ctrl & 1u);
        return true;
    default:
        break;
    }
    if ((addr & ~0xFFFu) == 0xE0001000u) {
        return dwt_read(c, addr, ret_value);
    }
    if (addr >= 0xE0002008u && addr < 0xE0002008u + 4 * CPU_BREAKS) {
        *ret_value = c->fp_comp[(addr - 0xE0002008u) / 4];
        return true;
    }
    return false;
}

bool cm7_debug_write(struct cpu *c, uint32_t addr, bool debugger, uint32_t value) {
    switch (addr) {
    case 0xE000ED30u:
        c->dfsr &= ~value;
        return true;
    case 0xE000EDF0u:
        dhcsr_write(c, value, debugger);
        return true;
    case 0xE000EDF4u:
        dcrsr_write(c, value);
        return true;
    case 0xE000EDF8u:
        c->dcrdr = value;
        return true;
    case 0xE000EDFCu:
        c->demcr = value & 0x010F07F1u;
        return true;
    case 0xE0002000u:
        if (value & 2u) {
            c->fp_ctrl = value & 1u;
            cm7_kick(c);
        }
        return true;
    default:
        break;
    }
    if ((addr & ~0xFFFu) == 0xE0001000u) {
        dwt_write(c, addr, value);
        return true;
    }
    if (addr >= 0xE0002008u && addr < 0xE0002008u + 4 * CPU_BREAKS) {
        c->fp_comp[(addr - 0xE0002008u) / 4] = value;
        cm7_kick(c);
        return true;
    }
    return false;
}
