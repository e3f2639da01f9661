/* SPDX-License-Identifier: GPL-2.0-or-later
 * The core's life: memory, registers, states. See sim/cpu.h. */
#include "sim/cpu_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int cm7_new(const struct cm7_mem *mem, size_t n_mem, const struct cm7_bus *bus, struct cpu **ret_cpu, struct err *reterr) {
    assert(n_mem <= CPU_MEMS);
    struct cpu *c = calloc(1, sizeof *c);
    if (!c) {
        return err_set(reterr, JF_E_NOMEM, "core");
    }
    int rc = 0;
    c->blocks = calloc(CPU_BLOCKS, sizeof *c->blocks);
    if (!c->blocks) {
        rc = err_set(reterr, JF_E_NOMEM, "core");
        goto fail_cpu;
    }
    memcpy(c->mem, mem, n_mem * sizeof *mem);
    c->n_mem = n_mem;
    for (size_t i = 0; i < n_mem; i++) {
        c->executed[i] = calloc(mem[i].size / CPU_GRAIN / 8, 1);
        if (!c->executed[i]) {
            rc = err_set(reterr, JF_E_NOMEM, "core");
            goto fail_cpu;
        }
    }
    c->bus = *bus;
    c->gen = 1;
    c->tick_every = c->tick_at = UINT64_MAX;
    c->dirty_lo = UINT32_MAX;
    rc = cm7_engine_open(c, false, &c->run, reterr);
    if (rc < 0) {
        goto fail_cpu;
    }
    rc = cm7_engine_open(c, true, &c->step, reterr);
    if (rc < 0) {
        goto fail_cpu;
    }
    c->uc = c->run;
    cm7_reset(c, true);
    *ret_cpu = c;
    return 0;
fail_cpu:
    cm7_free(c);
    return rc;
}

void cm7_free(struct cpu *c) {
    if (!c) {
        return;
    }
    if (c->run) {
        (void)uc_close(c->run);
    }
    if (c->step) {
        (void)uc_close(c->step);
    }
    for (size_t i = 0; i < c->n_mem; i++) {
        free(c->executed[i]);
    }
    free(c->blocks);
    free(c);
}

/* --- registers ---------------------------------------------------------------------------------------------- */

uint32_t cm7_get(struct cpu *c, int uc_reg) {
    uint32_t v = 0;
    (void)uc_reg_read(c->uc, uc_reg, &v);
    return v;
}

void cm7_set(struct cpu *c, int uc_reg, uint32_t value) { (void)uc_reg_write(c->uc, uc_reg, &value); }

/* In the order in which they have to be written: the mode first, PC last. */
static const int copied[] = {
    UC_ARM_REG_XPSR,    UC_ARM_REG_CONTROL,   UC_ARM_REG_MSP, UC_ARM_REG_PSP, UC_ARM_REG_PRIMASK, UC_ARM_REG_BASEPRI,
    UC_ARM_REG_FAULTMASK, UC_ARM_REG_FPSCR,   UC_ARM_REG_R0,  UC_ARM_REG_R1,  UC_ARM_REG_R2,      UC_ARM_REG_R3,
    UC_ARM_REG_R4,      UC_ARM_REG_R5,        UC_ARM_REG_R6,  UC_ARM_REG_R7,  UC_ARM_REG_R8,      UC_ARM_REG_R9,
    UC_ARM_REG_R10,     UC_ARM_REG_R11,       UC_ARM_REG_R12, UC_ARM_REG_LR,
};

void cm7_use(struct cpu *c, uc_engine *uc) {
    if (c->uc == uc) {
        return;
    }
    uint32_t xpsr = 0;
    uint32_t pc = 0;
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        uint32_t v = 0;
        (void)uc_reg_read(c->uc, copied[i], &v);
        (void)uc_reg_write(uc, copied[i], &v);
    }
    for (int i = 0; i < 16; i++) {
        uint64_t d = 0;
        (void)uc_reg_read(c->uc, UC_ARM_REG_D0 + i, &d);
        (void)uc_reg_write(uc, UC_ARM_REG_D0 + i, &d);
    }
    (void)uc_reg_read(c->uc, UC_ARM_REG_XPSR, &xpsr);
    (void)uc_reg_read(c->uc, UC_ARM_REG_PC, &pc);
    pc |= (xpsr >> 24) & 1u;
    (void)uc_reg_write(uc, UC_ARM_REG_PC, &pc);
    c->uc = uc; /* I1 */
}

static int uc_reg_of(unsigned sel) {
    static const int core[] = {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2,  UC_ARM_REG_R3,  UC_ARM_REG_R4,  UC_ARM_REG_R5,
                               UC_ARM_REG_R6, UC_ARM_REG_R7, UC_ARM_REG_R8,  UC_ARM_REG_R9,  UC_ARM_REG_R10, UC_ARM_REG_R11,
                               UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_PC,  UC_ARM_REG_XPSR, UC_ARM_REG_MSP,
                               UC_ARM_REG_PSP};
    if (sel < sizeof core / sizeof *core) {
        return core[sel];
    }
    if (sel == 33) {
        return UC_ARM_REG_FPSCR;
    }
    return sel >= 64 && sel < 96 ? UC_ARM_REG_S0 + (int)(sel - 64) : UC_ARM_REG_INVALID;
}

uint32_t cm7_reg_read(struct cpu *c, unsigned sel) {
    if (sel == 20) {
        return cm7_get(c, UC_ARM_REG_PRIMASK) | cm7_get(c, UC_ARM_REG_BASEPRI) << 8 | cm7_get(c, UC_ARM_REG_FAULTMASK) << 16 |
               cm7_get(c, UC_ARM_REG_CONTROL) << 24;
    }
    int reg = uc_reg_of(sel);
    return reg == UC_ARM_REG_INVALID ? 0 : cm7_get(c, reg);
}

void cm7_reg_write(struct cpu *c, unsigned sel, uint32_t value) {
    if (sel == 20) {
        cm7_set(c, UC_ARM_REG_PRIMASK, value & 1u);
        cm7_set(c, UC_ARM_REG_BASEPRI, (value >> 8) & 0xF0u);
        cm7_set(c, UC_ARM_REG_FAULTMASK, (value >> 16) & 1u);
        cm7_set(c, UC_ARM_REG_CONTROL, value >> 24);
        return;
    }
    if (sel == 16) { /* T of the xPSR survives in PC's bit 0 */
        uint32_t pc = cm7_get(c, UC_ARM_REG_PC);
        cm7_set(c, UC_ARM_REG_XPSR, value);
        cm7_set(c, UC_ARM_REG_PC, pc | ((value >> 24) & 1u));
        return;
    }
    int reg = uc_reg_of(sel);
    if (reg == UC_ARM_REG_PC) {
        value = (value & ~1u) | ((cm7_get(c, UC_ARM_REG_XPSR) >> 24) & 1u);
    }
    if (reg != UC_ARM_REG_INVALID) {
        cm7_set(c, reg, value);
    }
}

/* --- memory ------------------------------------------------------------------------------------------------- */

uint8_t *cm7_host(const struct cpu *c, uint32_t addr, uint32_t n, enum cm7_mem_kind *ret_kind) {
    for (size_t i = 0; i < c->n_mem; i++) {
        const struct cm7_mem *m = &c->mem[i];
        if (addr - m->base < m->size && n <= m->size - (addr - m->base)) {
            if (ret_kind) {
                *ret_kind = m->kind;
            }
            return m->host + (addr - m->base);
        }
    }
    return NULL;
}

bool cm7_load(struct cpu *c, uint32_t addr, unsigned size, uint32_t *ret_value) {
    const uint8_t *p = cm7_host(c, addr, size, NULL);
    if (p) {
        *ret_value = 0;
        memcpy(ret_value, p, size);
        return true;
    }
    if (addr >= 0xE0000000u && addr < 0xE0100000u) {
        return cm7_ppb_read(c, addr, size, false, ret_value);
    }
    return addr >= 0x40000000u && addr < 0x60000000u && c->bus.read(c->bus.ctx, addr, size, ret_value);
}

bool cm7_store(struct cpu *c, uint32_t addr, unsigned size, uint32_t value) {
    enum cm7_mem_kind kind;
    uint8_t *p = cm7_host(c, addr, size, &kind);
    if (!p || kind != CPU_MEM_RAM) {
        return false; /* only exception frames come this way */
    }
    memcpy(p, &value, size);
    return true;
}

void cm7_mark_code(struct cpu *c, uint32_t addr, uint32_t n) {
    for (size_t i = 0; i < c->n_mem; i++) {
        uint32_t off = addr - c->mem[i].base;
        for (uint32_t g = off / CPU_GRAIN; off < c->mem[i].size && g <= (off + n - 1) / CPU_GRAIN && g < c->mem[i].size / CPU_GRAIN; g++) {
            c->executed[i][g / 8] |= (uint8_t)(1u << g % 8);
        }
    }
}

/* Takes the marks in the range away; true if there was one. */
static bool unmark_code(struct cpu *c, uint32_t addr, uint32_t n) {
    bool any = false;
    for (size_t i = 0; i < c->n_mem; i++) {
        uint32_t off = addr - c->mem[i].base;
        for (uint32_t g = off / CPU_GRAIN; off < c->mem[i].size && g <= (off + n - 1) / CPU_GRAIN && g < c->mem[i].size / CPU_GRAIN; g++) {
            any |= (c->executed[i][g / 8] & 1u << g % 8) != 0;
            c->executed[i][g / 8] &= (uint8_t)~(1u << g % 8);
        }
    }
    return any;
}

void cm7_touched(struct cpu *c, uint32_t addr, uint32_t n) {
    if (n == 0 || !unmark_code(c, addr, n)) {
        return; /* the usual case: data, or flash being filled */
    }
    uint32_t end = addr + n;
    c->dirty_lo = addr < c->dirty_lo ? addr : c->dirty_lo;
    c->dirty_hi = end > c->dirty_hi ? end : c->dirty_hi;
}

static void drop_code(struct cpu *c, const struct cm7_mem *m) {
    uint32_t lo = c->dirty_lo > m->base ? c->dirty_lo : m->base;
    uint32_t hi = c->dirty_hi < m->base + m->size ? c->dirty_hi : m->base + m->size;
    if (lo < hi) {
        (void)uc_ctl_remove_cache(c->run, (uint64_t)lo, (uint64_t)hi);
        (void)uc_ctl_remove_cache(c->step, (uint64_t)lo, (uint64_t)hi);
    }
}

/* Undoes what the emulator stored into flash and tells the controller. Inside a hook too. */
void cm7_settle(struct cpu *c) {
    if (c->n_fix > 0) {
        size_t n = c->n_fix;
        for (size_t i = n; i-- > 0;) {
            uint8_t *p = cm7_host(c, c->fix[i].addr, c->fix[i].size, NULL);
            if (p) {
                memcpy(p, c->fix[i].old, c->fix[i].size);
            }
        }
        c->n_fix = 0;
        for (size_t i = 0; i < n; i++) {
            c->bus.flash_store(c->bus.ctx, c->fix[i].addr, c->fix[i].size, c->fix[i].value);
        }
    }
}

/* Before the engines run again, outside any hook. */
void cm7_drop_stale(struct cpu *c) {
    if (c->dirty_lo < c->dirty_hi) {
        for (size_t i = 0; i < c->n_mem; i++) {
            drop_code(c, &c->mem[i]);
        }
        c->gen++;
        c->dirty_lo = UINT32_MAX;
        c->dirty_hi = 0;
    }
}

/* --- states ------------------------------------------------------------------------------------------------- */

void cm7_set_state(struct cpu *c, enum cm7_state s) {
    if (c->state != s) {
        c->bus.state_changed(c->bus.ctx); /* charge up to here belongs to the old state */
        c->state = s;
        c->bus.state_changed(c->bus.ctx);
    }
}

void cm7_reset(struct cpu *c, bool power_on) {
    cm7_set_state(c, CPU_HELD);
    c->n_fix = 0;
    cm7_scs_reset(c, power_on);
    cm7_use(c, c->run);
    cm7_set(c, UC_ARM_REG_XPSR, 0x01000000u); /* thread mode */
    cm7_set(c, UC_ARM_REG_CONTROL, 0);
    cm7_set(c, UC_ARM_REG_PRIMASK, 0);
    cm7_set(c, UC_ARM_REG_BASEPRI, 0);
    cm7_set(c, UC_ARM_REG_FAULTMASK, 0);
    cm7_set(c, UC_ARM_REG_FPSCR, 0);
    cm7_set(c, UC_ARM_REG_LR, 0xFFFFFFFFu);
    c->gen++;
    c->dhcsr &= ~DHCSR_HALT; /* cleared by a core reset (Cortex-M TRMs); may be set again while reset is held */
    c->reset_seen = true;
}

void cm7_start(struct cpu *c) {
    uint32_t sp = 0xFFFFFFFCu;
    uint32_t pc = 0xFFFFFFFEu;
    (void)cm7_load(c, c->vtor, 4, &sp);
    (void)cm7_load(c, c->vtor + 4, 4, &pc);
    cm7_use(c, c->run);
    cm7_set(c, UC_ARM_REG_MSP, sp & ~3u);
    cm7_set(c, UC_ARM_REG_PC, pc);
    cm7_set_state(c, CPU_RUN);
    if (c->dhcsr & DHCSR_DEBUGEN && c->demcr & 1u) {
        cm7_halt(c, DFSR_VCATCH);
    } else if (c->dhcsr & DHCSR_DEBUGEN && c->dhcsr & DHCSR_HALT) {
        cm7_halt(c, DFSR_HALTED);
    }
}

void cm7_lock_up(struct cpu *c) {
    cm7_set(c, UC_ARM_REG_PC, 0xFFFFFFFFu);
    cm7_set_state(c, CPU_LOCKUP);
}

enum cm7_state cm7_state(const struct cpu *c) { return c->state; }
uint64_t cm7_cycles(const struct cpu *c) { return c->cycles; }
uint64_t cm7_instructions(const struct cpu *c) { return c->instructions; }
uint64_t cm7_charge(const struct cpu *c) { return c->charge; }
void cm7_kick(struct cpu *c) { c->attention |= ATT_STOP; }
bool cm7_debug_enabled(const struct cpu *c) { return c->dhcsr & DHCSR_DEBUGEN; }
bool cm7_sleep_deep(const struct cpu *c) { return c->scr & SCR_SLEEPDEEP; }

void cm7_tick_every(struct cpu *c, uint64_t cycles) {
    c->tick_every = cycles;
    c->tick_at = c->cycles + cycles;
}

void cm7_set_fetch_wait(struct cpu *c, unsigned latency) {
    if (c->fetch_wait != latency) {
        c->fetch_wait = latency;
        c->gen++;
    }
}

void cm7_idle_until(struct cpu *c, uint64_t cycles) {
    if (cycles > c->cycles) {
        c->idle_cycles += cycles - c->cycles;
        c->cycles = cycles;
    }
    cm7_systick_service(c);
}

bool cm7_wake_check(struct cpu *c) {
    if ((c->state == CPU_SLEEP || c->state == CPU_DEEP) && (cm7_exc_would_wake(c) || c->event)) {
        c->event = false;
        cm7_set_state(c, CPU_RUN);
        return true;
    }
    return c->state == CPU_RUN;
}
