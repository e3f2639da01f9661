/* SPDX-License-Identifier: GPL-2.0-or-later
 * Exceptions of ARMv7-M (ARM DDI 0403E, B1.5): pending and active state, priorities, entry, return, escalation.
 * FP frames are stacked at once, never lazily: the same frame layout, later by nothing that software can see. */
#include "sim/cpu_impl.h"

#define PRIO_NONE 0x100
#define XPSR_T (1u << 24)

static int prio_of(const struct cpu *c, unsigned exc) {
    switch (exc) {
    case EXC_RESET:
        return -3;
    case EXC_NMI:
        return -2;
    case EXC_HARD:
        return -1;
    default:
        return c->prio[exc];
    }
}

/* The part of a priority that decides about preemption (AIRCR.PRIGROUP). */
static int group_of(const struct cpu *c, int prio) { return prio < 0 ? prio : prio & (int)(0xFFu << (c->prigroup + 1)) & 0xFF; }

static int active_prio(const struct cpu *c) {
    int p = PRIO_NONE;
    for (unsigned e = 2; e < CPU_EXCS; e++) {
        if (c->active[e] && group_of(c, prio_of(c, e)) < p) {
            p = group_of(c, prio_of(c, e));
        }
    }
    return p;
}

static int execution_prio(struct cpu *c, bool with_primask) {
    int p = active_prio(c);
    uint32_t basepri = cm7_get(c, UC_ARM_REG_BASEPRI);
    if (basepri && group_of(c, (int)basepri) < p) {
        p = group_of(c, (int)basepri);
    }
    if (with_primask && cm7_get(c, UC_ARM_REG_PRIMASK) && p > 0) {
        p = 0;
    }
    if (cm7_get(c, UC_ARM_REG_FAULTMASK) && p > -1) {
        p = -1;
    }
    return p;
}

static bool deliverable(const struct cpu *c, unsigned exc) {
    return c->pending[exc] && c->enabled[exc] && !(c->dhcsr & DHCSR_MASKINTS && c->dhcsr & DHCSR_DEBUGEN && exc >= EXC_PENDSV);
}

static unsigned most_urgent(const struct cpu *c) {
    unsigned best = 0;
    for (unsigned e = 2; e < CPU_EXCS; e++) {
        if (deliverable(c, e) && (best == 0 || prio_of(c, e) < prio_of(c, best))) {
            best = e;
        }
    }
    return best;
}

void cm7_exc_refresh(struct cpu *c) {
    unsigned n = 0;
    for (unsigned e = 2; e < CPU_EXCS; e++) {
        n += deliverable(c, e);
    }
    c->n_pending = n;
    if (n) {
        cm7_kick(c);
    }
}

void cm7_exc_pend(struct cpu *c, unsigned exc, bool on) {
    if (c->pending[exc] != on) {
        c->pending[exc] = on;
        if (on && c->scr & SCR_SEVONPEND) {
            c->event = true;
        }
        cm7_exc_refresh(c);
    }
}

void cm7_irq(struct cpu *c, unsigned irq, bool level) {
    unsigned e = irq + 16;
    bool rose = level && !c->level[e];
    c->level[e] = level;
    if (rose && !c->active[e]) {
        cm7_exc_pend(c, e, true);
    } else if (rose) {
        c->pending[e] = true; /* raised again while its handler runs */
        cm7_exc_refresh(c);
    }
}

bool cm7_exc_would_wake(const struct cpu *c) {
    unsigned e = c->n_pending ? most_urgent(c) : 0;
    struct cpu *m = (struct cpu *)(uintptr_t)c; /* register reads do not change the core */
    return e != 0 && group_of(c, prio_of(c, e)) < execution_prio(m, false);
}

bool cm7_exc_masked(struct cpu *c) {
    unsigned e = c->n_pending ? most_urgent(c) : 0;
    return e == 0 || group_of(c, prio_of(c, e)) >= execution_prio(c, true);
}

/* --- entry -------------------------------------------------------------------------------------------------- */

/* Pushes the frame; false when the stack is not writable memory. */
static bool push_frame(struct cpu *c, uint32_t pc, bool fp, uint32_t *ret_sp) {
    static const int regs[] = {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12, UC_ARM_REG_LR};
    uint32_t sp = cm7_get(c, UC_ARM_REG_SP);
    uint32_t frame = (sp - (fp ? 0x68u : 0x20u)) & ~7u;
    bool ok = true;
    for (unsigned i = 0; i < 6; i++) {
        ok &= cm7_store(c, frame + 4 * i, 4, cm7_get(c, regs[i]));
    }
    ok &= cm7_store(c, frame + 24, 4, pc);
    ok &= cm7_store(c, frame + 28, 4, (cm7_get(c, UC_ARM_REG_XPSR) & ~0x200u) | (sp & 4u) << 7);
    for (unsigned i = 0; fp && i < 16; i++) {
        ok &= cm7_store(c, frame + 32 + 4 * i, 4, cm7_get(c, UC_ARM_REG_S0 + (int)i));
    }
    if (fp) {
        ok &= cm7_store(c, frame + 96, 4, cm7_get(c, UC_ARM_REG_FPSCR));
    }
    *ret_sp = frame;
    return ok;
}

/* Enters exc; pc is the address to come back to. */
static void enter(struct cpu *c, unsigned exc, uint32_t pc) {
    uint32_t control = cm7_get(c, UC_ARM_REG_CONTROL);
    bool fp = control & 4u;
    bool handler = cm7_get(c, UC_ARM_REG_IPSR) != 0;
    uint32_t sp = 0;
    uint32_t vector = 0;
    if (!push_frame(c, pc, fp, &sp)) {
        c->cfsr |= CFSR_STKERR;
        if (exc == EXC_HARD || active_prio(c) <= -1) {
            c->active[exc] = true;
            cm7_lock_up(c);
            return;
        }
        c->hfsr |= HFSR_FORCED; /* the derived exception wins over the one that was to be entered */
        exc = EXC_HARD;
    }
    cm7_set(c, UC_ARM_REG_SP, sp);
    uint32_t magic = (handler ? 0xFFFFFFF1u : control & 2u ? 0xFFFFFFFDu : 0xFFFFFFF9u) & ~(fp ? 0x10u : 0u);
    c->active[exc] = true;
    c->pending[exc] = false;
    cm7_set(c, UC_ARM_REG_XPSR, XPSR_T | exc);
    cm7_set(c, UC_ARM_REG_CONTROL, control & 1u); /* FPCA off; in handler mode MSP is used */
    cm7_set(c, UC_ARM_REG_LR, magic);
    c->cycles += 12; /* Cortex-M7 TRM: interrupt latency 12 cycles */
    c->event = true;
    cm7_exc_refresh(c);
    if (!cm7_load(c, c->vtor + 4 * exc, 4, &vector)) {
        c->hfsr |= HFSR_VECTTBL;
        cm7_lock_up(c);
        return;
    }
    cm7_set(c, UC_ARM_REG_PC, vector);
    if (exc == EXC_HARD && c->dhcsr & DHCSR_DEBUGEN && c->demcr & (1u << 10)) {
        cm7_halt(c, DFSR_VCATCH);
    }
}

bool cm7_exc_take(struct cpu *c) {
    unsigned e = most_urgent(c);
    if (e == 0 || group_of(c, prio_of(c, e)) >= execution_prio(c, true)) {
        return false;
    }
    enter(c, e, cm7_get(c, UC_ARM_REG_PC));
    return c->state == CPU_RUN;
}

void cm7_exc_fault(struct cpu *c, unsigned exc, uint32_t cfsr, uint32_t hfsr) {
    static const uint32_t enable[] = {[EXC_MEM] = 1u << 16, [EXC_BUS] = 1u << 17, [EXC_USAGE] = 1u << 18};
    int now = execution_prio(c, true);
    uint32_t pc = cm7_get(c, UC_ARM_REG_PC);
    c->cfsr |= cfsr;
    c->hfsr |= hfsr;
    if (exc != EXC_HARD && (!(c->shcsr & enable[exc]) || group_of(c, prio_of(c, exc)) >= now)) {
        exc = EXC_HARD;
        c->hfsr |= HFSR_FORCED;
    }
    if (exc == EXC_HARD && now <= -1) {
        cm7_lock_up(c);
        return;
    }
    enter(c, exc, pc);
}

void cm7_exc_sync(struct cpu *c, unsigned exc) {
    if (group_of(c, prio_of(c, exc)) >= execution_prio(c, true)) {
        cm7_exc_fault(c, EXC_HARD, 0, HFSR_FORCED);
        return;
    }
    enter(c, exc, cm7_get(c, UC_ARM_REG_PC));
}

/* --- return ------------------------------------------------------------------------------------------------- */

static void bad_return(struct cpu *c, uint32_t magic) {
    cm7_set(c, UC_ARM_REG_LR, magic);
    cm7_exc_fault(c, EXC_USAGE, CFSR_INVPC, 0);
}

static bool pop_frame(struct cpu *c, uint32_t frame, bool fp, uint32_t *ret_pc, uint32_t *ret_xpsr) {
    static const int regs[] = {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12, UC_ARM_REG_LR};
    uint32_t v = 0;
    bool ok = true;
    for (unsigned i = 0; i < 6; i++) {
        ok &= cm7_load(c, frame + 4 * i, 4, &v);
        cm7_set(c, regs[i], v);
    }
    ok &= cm7_load(c, frame + 24, 4, ret_pc) && cm7_load(c, frame + 28, 4, ret_xpsr);
    for (unsigned i = 0; fp && i < 16; i++) {
        ok &= cm7_load(c, frame + 32 + 4 * i, 4, &v);
        cm7_set(c, UC_ARM_REG_S0 + (int)i, v);
    }
    if (fp) {
        ok &= cm7_load(c, frame + 96, 4, &v);
        cm7_set(c, UC_ARM_REG_FPSCR, v);
    }
    return ok;
}

void cm7_exc_return(struct cpu *c, uint32_t magic) {
    unsigned exc = cm7_get(c, UC_ARM_REG_IPSR) & 0x1FFu;
    uint32_t kind = magic & 0xFu;
    bool fp = !(magic & 0x10u);
    if (exc >= CPU_EXCS || !c->active[exc] || (kind != 1 && kind != 9 && kind != 13)) {
        bad_return(c, magic);
        return;
    }
    uint32_t frame = cm7_get(c, kind == 13 ? UC_ARM_REG_PSP : UC_ARM_REG_MSP);
    uint32_t pc = 0;
    uint32_t xpsr = 0;
    c->active[exc] = false;
    if (exc != EXC_NMI) {
        cm7_set(c, UC_ARM_REG_FAULTMASK, 0);
    }
    if (!pop_frame(c, frame, fp, &pc, &xpsr)) {
        cm7_exc_fault(c, EXC_BUS, CFSR_STKERR >> 1, 0); /* UNSTKERR */
        return;
    }
    uint32_t sp = (frame + (fp ? 0x68u : 0x20u)) | (xpsr & 0x200u) >> 7;
    cm7_set(c, kind == 13 ? UC_ARM_REG_PSP : UC_ARM_REG_MSP, sp);
    cm7_set(c, UC_ARM_REG_XPSR, xpsr & ~0x200u);
    cm7_set(c, UC_ARM_REG_CONTROL, (cm7_get(c, UC_ARM_REG_CONTROL) & 1u) | (kind == 13 ? 2u : 0u) | (fp ? 4u : 0u));
    cm7_set(c, UC_ARM_REG_PC, pc | ((xpsr >> 24) & 1u));
    c->cycles += 12;
    c->event = true;
    if (c->level[exc] && exc >= 16) {
        c->pending[exc] = true; /* the line still asks */
    }
    cm7_exc_refresh(c);
    if (kind != 1 && c->scr & SCR_SLEEPONEXIT && !cm7_exc_would_wake(c)) {
        cm7_set_state(c, c->scr & SCR_SLEEPDEEP ? CPU_DEEP : CPU_SLEEP);
    }
}
