/* SPDX-License-Identifier: GPL-2.0-or-later
 * Running instructions: the two Unicorn engines over one host memory, their hooks, and what each way of stopping means.
 * Observed with Unicorn 2.0.1 and pinned by tests/unit/sim/test_cpu_unicorn.c: UC_MODE_MCLASS forces a Cortex-M33; a
 * stop is exact only if an engine has nothing but a block hook, or nothing but a code hook; WFI returns with UC_ERR_OK
 * and PC after it, WFE as an invalid instruction with PC after it; a store to read-only memory still lands when the
 * hook says yes, so it is undone afterwards; an access fault leaves PC at the block's start. */
#include "sim/cpu_impl.h"

#include <string.h>

#define PERIPH_BASE 0x40000000u
#define PERIPH_SIZE 0x20000000u
#define PPB_BASE 0xE0000000u
#define PPB_SIZE 0x00100000u
#define PERIPH_WAIT 8 /* cycles of one access through the AXI-AHB-APB bridges */
#define PPB_WAIT 2
#define NEVER_PC 0xFFFFFFFEu

/* The slow path of the hooks: true when the engine has to stop before this block. */
static bool must_stop(struct cpu *c) {
    if (c->cycles >= c->tick_at) {
        c->tick_at = c->cycles + c->tick_every;
        c->bus.tick(c->bus.ctx);
    }
    if (c->attention & ATT_MASKED && !cm7_exc_masked(c)) {
        c->attention |= ATT_STOP;
    }
    c->soft_at = c->stop_at < c->tick_at ? c->stop_at : c->tick_at;
    return c->cycles >= c->stop_at || c->attention & (ATT_STOP | ATT_FAULT);
}

static void stop_now(struct cpu *c, uc_engine *uc) {
    c->stopped = true;
    (void)uc_emu_stop(uc);
}

static void count_block(struct cpu *c, const struct cm7_block *b) {
    c->cycles += b->cycles;
    c->instructions += b->instructions;
    c->charge += b->charge;
}

/* True: this block cannot be run now, and why stands in fault_cfsr or careful. */
static bool refused(struct cpu *c, const struct cm7_block *b, bool exact) {
    if (b->instructions == 0) { /* device memory holds no instructions */
        c->fault_cfsr = CFSR_IBUSERR;
        return true;
    }
    if (b->fpu && c->attention & ATT_FPU) { /* the FPU is off, but this very block may switch it on */
        c->fault_cfsr = exact ? CFSR_NOCP : 0;
        c->careful = !exact;
        return true;
    }
    return false;
}

static const struct cm7_block *block_of(struct cpu *c, uint32_t addr, uint32_t size) {
    struct cm7_block *b = &c->blocks[(addr >> 1) & (CPU_BLOCKS - 1)];
    if (b->addr == addr && b->size == size && b->gen == c->gen) {
        return b;
    }
    enum cm7_mem_kind kind = CPU_MEM_RAM;
    const uint8_t *code = cm7_host(c, addr, size, &kind);
    *b = (struct cm7_block){.addr = addr, .size = size, .gen = c->gen};
    if (code) {
        cm7_block_decode(code, size, b);
        cm7_mark_code(c, addr, size);
    }
    if (kind == CPU_MEM_FLASH && !(c->ccr & CCR_IC)) {
        b->cycles = (uint16_t)(b->cycles + c->fetch_wait * ((size + 15) / 16)); /* one 128-bit read each */
    }
    return b;
}

static void hook_block(uc_engine *uc, uint64_t addr, uint32_t size, void *ctx) {
    struct cpu *c = ctx;
    if ((c->cycles >= c->soft_at || c->attention & ATT_LOOK) && must_stop(c)) {
        stop_now(c, uc); /* I2 */
        return;
    }
    const struct cm7_block *b = block_of(c, (uint32_t)addr, size);
    if (refused(c, b, false)) {
        stop_now(c, uc);
        return;
    }
    count_block(c, b);
}

static void hook_code(uc_engine *uc, uint64_t addr, uint32_t size, void *ctx) {
    struct cpu *c = ctx;
    if (!c->stepping && (c->cycles >= c->soft_at || c->attention & ATT_LOOK) && must_stop(c)) {
        stop_now(c, uc); /* I2 */
        return;
    }
    if (c->stepping) {
        if (c->intno == 0) { /* the one instruction is done */
            stop_now(c, uc);
            return;
        }
        c->intno = 0;
    } else if (cm7_break_at(c, (uint32_t)addr)) {
        c->hit_break = true;
        stop_now(c, uc);
        return;
    }
    const struct cm7_block *b = block_of(c, (uint32_t)addr, size);
    if (refused(c, b, true)) {
        stop_now(c, uc);
        return;
    }
    count_block(c, b);
}

static void hook_intr(uc_engine *uc, uint32_t number, void *ctx) {
    struct cpu *c = ctx;
    c->intno = number + 0x100; /* apart from the step marks 0 and ~0 */
    (void)uc_emu_stop(uc);
}

static bool hook_unmapped(uc_engine *uc, uc_mem_type type, uint64_t addr, int size, int64_t value, void *ctx) {
    (void)uc, (void)type, (void)size, (void)value;
    struct cpu *c = ctx;
    c->fault_addr = (uint32_t)addr;
    return false;
}

static bool hook_write_prot(uc_engine *uc, uc_mem_type type, uint64_t addr, int size, int64_t value, void *ctx) {
    (void)uc, (void)type;
    struct cpu *c = ctx;
    enum cm7_mem_kind kind;
    const uint8_t *p = cm7_host(c, (uint32_t)addr, (uint32_t)size, &kind);
    c->fault_addr = (uint32_t)addr;
    if (!p || kind != CPU_MEM_FLASH || c->n_fix == CPU_FIXES || size > 8) {
        return false;
    }
    struct cm7_fix *f = &c->fix[c->n_fix++];
    *f = (struct cm7_fix){.addr = (uint32_t)addr, .size = (unsigned)size, .value = (uint64_t)value};
    memcpy(f->old, p, (size_t)size);
    c->attention |= ATT_STOP;
    return true;
}

static void bus_fault_later(struct cpu *c, uint32_t addr, uint32_t cfsr) {
    c->fault_addr = addr;
    c->fault_cfsr = cfsr;
    c->attention |= ATT_FAULT;
}

static uint64_t mmio_read(struct cpu *c, uint32_t addr, unsigned size) {
    uint32_t v = 0;
    bool ok = false;
    cm7_settle(c); /* a flash register must see the stores before it */
    if (addr >= PPB_BASE) {
        c->cycles += PPB_WAIT;
        ok = cm7_ppb_read(c, addr, size, false, &v);
    } else {
        c->cycles += PERIPH_WAIT;
        ok = c->bus.read(c->bus.ctx, addr, size, &v);
    }
    if (!ok) {
        bus_fault_later(c, addr, CFSR_PRECISERR | CFSR_BFARVALID);
    }
    return v;
}

static void mmio_write(struct cpu *c, uint32_t addr, unsigned size, uint32_t value) {
    bool ok = false;
    cm7_settle(c);
    if (addr >= PPB_BASE) {
        c->cycles += PPB_WAIT;
        ok = cm7_ppb_write(c, addr, size, false, value);
    } else {
        c->cycles += PERIPH_WAIT;
        ok = c->bus.write(c->bus.ctx, addr, size, value);
    }
    if (!ok) {
        bus_fault_later(c, addr, CFSR_IMPRECISERR);
    }
}

static uint64_t periph_read(uc_engine *uc, uint64_t offset, unsigned size, void *ctx) {
    (void)uc;
    return mmio_read(ctx, PERIPH_BASE + (uint32_t)offset, size);
}
static void periph_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *ctx) {
    (void)uc;
    mmio_write(ctx, PERIPH_BASE + (uint32_t)offset, size, (uint32_t)value);
}
static uint64_t ppb_read(uc_engine *uc, uint64_t offset, unsigned size, void *ctx) {
    (void)uc;
    return mmio_read(ctx, PPB_BASE + (uint32_t)offset, size);
}
static void ppb_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *ctx) {
    (void)uc;
    mmio_write(ctx, PPB_BASE + (uint32_t)offset, size, (uint32_t)value);
}

/* ISO C has no cast from function to object pointer; POSIX has. */
static void *hook_ptr(void (*fn)(void)) {
    void *p;
    memcpy(&p, &fn, sizeof p);
    return p;
}
#define HOOK(f) hook_ptr((void (*)(void))(f))

static uc_err add_hooks(struct cpu *c, uc_engine *uc, bool stepper) {
    uc_hook h;
    uc_err e = stepper ? uc_hook_add(uc, &h, UC_HOOK_CODE, HOOK(hook_code), c, (uint64_t)1, (uint64_t)0)
                       : uc_hook_add(uc, &h, UC_HOOK_BLOCK, HOOK(hook_block), c, (uint64_t)1, (uint64_t)0);
    if (!e) {
        e = uc_hook_add(uc, &h, UC_HOOK_INTR, HOOK(hook_intr), c, (uint64_t)1, (uint64_t)0);
    }
    if (!e) {
        e = uc_hook_add(uc, &h, UC_HOOK_MEM_UNMAPPED, HOOK(hook_unmapped), c, (uint64_t)1, (uint64_t)0);
    }
    if (!e) {
        e = uc_hook_add(uc, &h, UC_HOOK_MEM_WRITE_PROT, HOOK(hook_write_prot), c, (uint64_t)1, (uint64_t)0);
    }
    return e;
}

int cm7_engine_open(struct cpu *c, bool stepper, uc_engine **ret_uc, struct err *reterr) {
    uc_engine *uc = NULL;
    uc_err e = uc_open(UC_ARCH_ARM, UC_MODE_THUMB, &uc);
    if (e) {
        return err_set(reterr, JF_E_NOMEM, "processor emulator: %s", uc_strerror(e));
    }
    e = uc_ctl_set_cpu_model(uc, UC_CPU_ARM_CORTEX_M7);
    for (size_t i = 0; i < c->n_mem && !e; i++) {
        const struct cm7_mem *m = &c->mem[i];
        uint32_t perms = m->kind == CPU_MEM_RAM ? UC_PROT_ALL : UC_PROT_READ | UC_PROT_EXEC;
        e = uc_mem_map_ptr(uc, m->base, m->size, perms, m->host);
    }
    if (!e) {
        e = uc_mmio_map(uc, PERIPH_BASE, PERIPH_SIZE, periph_read, c, periph_write, c);
    }
    if (!e) {
        e = uc_mmio_map(uc, PPB_BASE, PPB_SIZE, ppb_read, c, ppb_write, c);
    }
    if (!e) {
        e = add_hooks(c, uc, stepper);
    }
    if (e) {
        (void)uc_close(uc);
        return err_set(reterr, JF_E_BUG, "processor emulator: %s", uc_strerror(e));
    }
    *ret_uc = uc;
    return 0;
}

/* --- what a stop means ------------------------------------------------------------------------------------- */

static void on_interrupt(struct cpu *c, uint32_t number) {
    uint32_t pc = cm7_get(c, UC_ARM_REG_PC);
    switch (number) {
    case 2:
        cm7_exc_sync(c, EXC_SVC);
        break;
    case 7:
        if (c->dhcsr & DHCSR_DEBUGEN) {
            cm7_halt(c, DFSR_BKPT);
        } else {
            cm7_exc_fault(c, EXC_HARD, 0, HFSR_DEBUGEVT);
        }
        break;
    case 3: /* prefetch abort; in this model also the exception return */
    case 8:
        if (pc >= 0xFFFFFFE0u && cm7_get(c, UC_ARM_REG_IPSR) != 0) {
            cm7_exc_return(c, pc | 1u);
        } else {
            cm7_exc_fault(c, EXC_BUS, CFSR_IBUSERR, 0);
        }
        break;
    case 4:
        cm7_exc_fault(c, EXC_BUS, CFSR_PRECISERR, 0);
        break;
    case 17:
        cm7_exc_fault(c, EXC_USAGE, CFSR_NOCP, 0);
        break;
    case 18:
        cm7_exc_fault(c, EXC_USAGE, CFSR_INVSTATE, 0);
        break;
    default:
        cm7_exc_fault(c, EXC_USAGE, CFSR_UNDEFINSTR, 0);
        break;
    }
}

static uint16_t halfword(struct cpu *c, uint32_t addr) {
    const uint8_t *p = cm7_host(c, addr, 2, NULL);
    return p ? (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8) : (uint16_t)0;
}

static void wait_for(struct cpu *c, bool wfe) {
    if (wfe && c->event) {
        c->event = false;
        return;
    }
    if (!cm7_exc_would_wake(c)) {
        cm7_set_state(c, c->scr & SCR_SLEEPDEEP ? CPU_DEEP : CPU_SLEEP);
    }
}

static void on_invalid(struct cpu *c) {
    uint32_t pc = cm7_get(c, UC_ARM_REG_PC);
    uint16_t narrow = halfword(c, pc - 2);
    bool wide = halfword(c, pc - 4) == 0xF3AF;
    if (narrow == 0xBF20 || (wide && narrow == 0x8002)) {
        wait_for(c, true);
    } else if (narrow != 0xBF10 && !(wide && narrow == 0x8001)) { /* YIELD is a NOP */
        cm7_exc_fault(c, EXC_USAGE, CFSR_UNDEFINSTR, 0);
    }
}

static void on_end(struct cpu *c, uc_err e) {
    switch (e) {
    case UC_ERR_OK:
        wait_for(c, false);
        break;
    case UC_ERR_INSN_INVALID:
        on_invalid(c);
        break;
    case UC_ERR_FETCH_UNMAPPED:
    case UC_ERR_FETCH_PROT:
        cm7_exc_fault(c, EXC_BUS, CFSR_IBUSERR, 0);
        break;
    default:
        cm7_set(c, UC_ARM_REG_PC, cm7_blame(c, cm7_get(c, UC_ARM_REG_PC), c->fault_addr) | 1u);
        c->bfar = c->fault_addr;
        cm7_exc_fault(c, EXC_BUS, CFSR_PRECISERR | CFSR_BFARVALID, 0);
        break;
    }
}

/* One stay inside the engine that holds the registers. */
static void run_once(struct cpu *c) {
    c->stopped = false;
    c->hit_break = false;
    c->intno = UINT32_MAX;
    c->fault_cfsr = 0;
    if (!(cm7_get(c, UC_ARM_REG_XPSR) & (1u << 24))) {
        cm7_exc_fault(c, EXC_USAGE, CFSR_INVSTATE, 0);
        return;
    }
    uc_err e = uc_emu_start(c->uc, cm7_get(c, UC_ARM_REG_PC) | 1u, NEVER_PC, 0, 0);
    cm7_settle(c);
    if (c->attention & ATT_FAULT) {
        c->attention &= ~(uint32_t)ATT_FAULT;
        c->bfar = c->fault_addr;
        cm7_exc_fault(c, EXC_BUS, c->fault_cfsr, 0);
    } else if (c->hit_break) {
        cm7_halt(c, DFSR_BKPT);
    } else if (c->intno >= 0x100 && c->intno != UINT32_MAX) {
        on_interrupt(c, c->intno - 0x100);
    } else if (c->fault_cfsr) {
        cm7_exc_fault(c, c->fault_cfsr == CFSR_NOCP ? EXC_USAGE : EXC_BUS, c->fault_cfsr, 0);
    } else if (!c->stopped) {
        on_end(c, e);
    }
}

void cm7_run(struct cpu *c, uint64_t until_cycles) {
    bool kicked = false;
    c->attention &= ~(uint32_t)ATT_STOP;
    while (c->state == CPU_RUN && !kicked) {
        cm7_systick_service(c);
        while (c->n_pending && c->state == CPU_RUN && cm7_exc_take(c)) {
        }
        if (c->cycles >= until_cycles || c->state != CPU_RUN) {
            return;
        }
        uint64_t event = cm7_next_event(c);
        c->stop_at = event < until_cycles ? event : until_cycles;
        c->soft_at = c->stop_at < c->tick_at ? c->stop_at : c->tick_at;
        if (c->n_pending) {
            c->attention |= ATT_MASKED;
        } else {
            c->attention &= ~(uint32_t)ATT_MASKED;
        }
        cm7_use(c, cm7_wants_step_engine(c) || c->careful ? c->step : c->run);
        c->careful = false;
        cm7_drop_stale(c);
        run_once(c);
        kicked = (c->attention & ATT_STOP) != 0;
        c->attention &= ~(uint32_t)ATT_STOP;
    }
}

void cm7_single_step(struct cpu *c) {
    if (!(c->dhcsr & DHCSR_MASKINTS)) {
        while (c->n_pending && cm7_exc_take(c)) {
        }
    }
    cm7_use(c, c->step);
    cm7_drop_stale(c);
    c->stop_at = c->soft_at = UINT64_MAX;
    c->stepping = true;
    run_once(c);
    c->stepping = false;
    if (c->state == CPU_RUN || c->state == CPU_SLEEP || c->state == CPU_DEEP) {
        cm7_halt(c, DFSR_HALTED);
    }
}
