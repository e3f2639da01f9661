/* SPDX-License-Identifier: GPL-2.0-or-later
 * The inside of the core, shared by sim/cpu*.c only. */
#ifndef SIM_CPU_IMPL_H
#define SIM_CPU_IMPL_H

#include <unicorn/unicorn.h>

#include "sim/cpu.h"

#define CPU_EXCS (16 + CPU_IRQS)
#define CPU_MEMS 16
#define CPU_BLOCKS 32768 /* power of two */
#define CPU_FIXES 256
#define CPU_BREAKS 8
#define CPU_GRAIN 64u

enum { EXC_RESET = 1, EXC_NMI, EXC_HARD, EXC_MEM, EXC_BUS, EXC_USAGE, EXC_SVC = 11, EXC_DEBUG, EXC_PENDSV = 14, EXC_SYSTICK };
enum { ATT_STOP = 1, ATT_MASKED = 2, ATT_FAULT = 4, ATT_FPU = 8, ATT_LOOK = ATT_STOP | ATT_MASKED | ATT_FAULT };

#define DHCSR_DEBUGEN 0x1u
#define DHCSR_HALT 0x2u
#define DHCSR_STEP 0x4u
#define DHCSR_MASKINTS 0x8u
#define DEMCR_TRCENA (1u << 24)
#define DEMCR_MON_EN (1u << 16)
#define DFSR_HALTED 0x1u
#define DFSR_BKPT 0x2u
#define DFSR_VCATCH 0x8u
#define CFSR_IBUSERR (1u << 8)
#define CFSR_PRECISERR (1u << 9)
#define CFSR_IMPRECISERR (1u << 10)
#define CFSR_STKERR (1u << 12)
#define CFSR_BFARVALID (1u << 15)
#define CFSR_UNDEFINSTR (1u << 16)
#define CFSR_INVSTATE (1u << 17)
#define CFSR_INVPC (1u << 18)
#define CFSR_NOCP (1u << 19)
#define HFSR_VECTTBL (1u << 1)
#define HFSR_FORCED (1u << 30)
#define HFSR_DEBUGEVT (1u << 31)
#define SCR_SLEEPONEXIT 0x2u
#define SCR_SLEEPDEEP 0x4u
#define SCR_SEVONPEND 0x10u
#define CCR_IC (1u << 17)

/* One basic block, decoded once. */
struct cm7_block {
    uint32_t addr, size, gen;
    uint16_t instructions, cycles;
    uint32_t charge;
    uint32_t fpu; /* 1: needs the FPU */
};

/* A store of the program into flash: undone and handed to the flash controller once the emulator has stopped. */
struct cm7_fix {
    uint32_t addr;
    unsigned size;
    uint64_t value;
    uint8_t old[8];
};

struct cm7_systick {
    uint32_t ctrl, load;
    bool countflag, running; /* running: enabled with a reload value */
    uint64_t zero_at; /* cycle at which the counter next reaches 0 */
};

struct cpu {
    uc_engine *run, *step, *uc; /* uc: the one that holds the registers */
    uc_hook hooks[8];
    struct cm7_mem mem[CPU_MEMS];
    size_t n_mem;
    struct cm7_bus bus;
    enum cm7_state state;

    uint64_t cycles, instructions, charge;
    uint64_t stop_at, soft_at; /* soft_at: the next stop or tick */
    uint64_t tick_at, tick_every;
    uint64_t idle_cycles; /* cycles that CYCCNT did not count */
    uint32_t attention; /* ATT_* */
    bool stopped; /* a hook asked for the stop */
    bool hit_break;
    bool careful; /* the next stay is on the step engine */
    bool stepping; /* one instruction on the step engine */
    uint32_t intno; /* from the interrupt hook, or ~0 */
    uint32_t fault_addr;
    uint32_t fault_cfsr;

    struct cm7_block *blocks; /* CPU_BLOCKS entries */
    uint32_t gen;
    unsigned fetch_wait;
    uint8_t *executed[CPU_MEMS]; /* a bit per CPU_GRAIN bytes: code from there is known to the engines */
    uint32_t dirty_lo, dirty_hi; /* such code, changed since */
    struct cm7_fix fix[CPU_FIXES];
    size_t n_fix;

    /* NVIC and system exceptions */
    uint8_t prio[CPU_EXCS];
    bool pending[CPU_EXCS], active[CPU_EXCS], enabled[CPU_EXCS], level[CPU_EXCS];
    unsigned n_pending; /* of enabled ones: recomputed by cm7_exc_refresh */
    bool event; /* WFE's event register */

    struct cm7_systick st;
    uint32_t vtor, scr, ccr, shcsr, cfsr, hfsr, dfsr, mmfar, bfar, cpacr, prigroup, csselr, fpccr, fpdscr;
    uint32_t dhcsr, demcr, dcrdr, dwt_ctrl, fp_ctrl, fp_comp[CPU_BREAKS];
    bool reset_seen; /* S_RESET_ST */
    uint64_t retired_at_poll;
    uint64_t cyc_offset; /* CYCCNT = cycles - idle_cycles - cyc_offset */
    uint32_t mpu[8];
    uint8_t itm[4096 / 64];
};

/* cpu.c */
uint32_t cm7_get(struct cpu *c, int uc_reg);
void cm7_set(struct cpu *c, int uc_reg, uint32_t value);
bool cm7_load(struct cpu *c, uint32_t addr, unsigned size, uint32_t *ret_value); /* as the core's data side */
bool cm7_store(struct cpu *c, uint32_t addr, unsigned size, uint32_t value);
void cm7_set_state(struct cpu *c, enum cm7_state s);
void cm7_use(struct cpu *c, uc_engine *uc);
bool cm7_wants_step_engine(const struct cpu *c);
void cm7_mark_code(struct cpu *c, uint32_t addr, uint32_t n); /* is executed from here */
void cm7_settle(struct cpu *c); /* stores into flash undone and handed over; inside a hook too */
void cm7_drop_stale(struct cpu *c); /* forget translations of changed memory; outside hooks */
void cm7_single_step(struct cpu *c);

/* cpu_exec.c */
int cm7_engine_open(struct cpu *c, bool stepper, uc_engine **ret_uc, struct err *reterr) JF_MUST_CHECK;

/* cpu_cost.c */
void cm7_block_decode(const uint8_t *code, uint32_t size, struct cm7_block *ret_b);

/* cpu_blame.c: the instruction of the block at `block` that touched fault_addr; `block` when none fits */
uint32_t cm7_blame(struct cpu *c, uint32_t block, uint32_t fault_addr);

/* cpu_exc.c */
void cm7_exc_pend(struct cpu *c, unsigned exc, bool on);
void cm7_exc_refresh(struct cpu *c); /* recount, and attention if something can be taken */
bool cm7_exc_take(struct cpu *c); /* enters the most urgent pending exception if its priority allows */
bool cm7_exc_would_wake(const struct cpu *c);
bool cm7_exc_masked(struct cpu *c); /* something is pending, but masked now */
void cm7_exc_return(struct cpu *c, uint32_t magic);
void cm7_exc_fault(struct cpu *c, unsigned exc, uint32_t cfsr, uint32_t hfsr); /* synchronous, with escalation */
void cm7_exc_sync(struct cpu *c, unsigned exc); /* SVC */

/* cpu_scs.c */
void cm7_scs_reset(struct cpu *c, bool power_on);
void cm7_systick_service(struct cpu *c);

/* cpu_debug.c */
bool cm7_debug_read(struct cpu *c, uint32_t addr, uint32_t *ret_value);
bool cm7_debug_write(struct cpu *c, uint32_t addr, bool debugger, uint32_t value);
void cm7_halt(struct cpu *c, uint32_t dfsr);
bool cm7_break_at(const struct cpu *c, uint32_t addr);
uint32_t cm7_cyccnt(const struct cpu *c);

#endif
