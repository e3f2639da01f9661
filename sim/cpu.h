/* SPDX-License-Identifier: GPL-2.0-or-later
 * The Cortex-M7 core of the virtual board: instruction execution (Unicorn), exceptions, NVIC, SysTick, SCB, DWT, FPB and
 * the debug registers (ARM DDI 0403E, ARMv7-M; ARM DDI 0489, Cortex-M7). It knows memory and a bus, and nothing of
 * the chip around it. One thread. Names begin with cm7_, because libunicorn exports QEMU's cpu_* to the whole process.
 *
 * Time is counted in core clock cycles: one per instruction plus the wait states of sim/cpu_cost.c. Count, charge and
 * every reading of a peripheral are exact to a basic block (the emulator's unit) and the same in every repetition.
 *
 * I1. The run engine has a block hook only, the step engine a code hook only; one of them holds the registers.
 * I2. A hook that stops counts nothing: the block it stopped before is counted when it is run. */
#ifndef SIM_CPU_H
#define SIM_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CPU_IRQS 160

enum cm7_state {
    CPU_RUN,
    CPU_SLEEP, /* WFI or WFE */
    CPU_DEEP, /* the same with SCR.SLEEPDEEP */
    CPU_HALTED, /* debug state */
    CPU_LOCKUP,
    CPU_HELD /* in reset, or unpowered */
};

/* What the core asks of the chip. size 1, 2 or 4, aligned as it comes. false: bus error. */
struct cm7_bus {
    void *ctx;
    bool (*read)(void *ctx, uint32_t addr, unsigned size, uint32_t *ret_value);
    bool (*write)(void *ctx, uint32_t addr, unsigned size, uint32_t value);
    void (*flash_store)(void *ctx, uint32_t addr, unsigned size, uint64_t value); /* into a CPU_MEM_FLASH region */
    void (*reset_request)(void *ctx); /* AIRCR.SYSRESETREQ */
    void (*state_changed)(void *ctx); /* sleep, wake, halt, lock-up, debug enable: power differs from now on */
    void (*tick)(void *ctx); /* every cm7_tick_every cycles while running */
};
enum cm7_mem_kind { CPU_MEM_RAM, CPU_MEM_FLASH, CPU_MEM_ROM };
struct cm7_mem {
    uint32_t base, size; /* 4 KiB granules */
    enum cm7_mem_kind kind;
    uint8_t *host; /* page-aligned, owned by the caller, outlives the core */
};

struct cpu;

int cm7_new(const struct cm7_mem *mem, size_t n_mem, const struct cm7_bus *bus, struct cpu **ret_cpu, struct err *reterr) JF_MUST_CHECK;
void cm7_free(struct cpu *c); /* NULL allowed */

/* Power-on reset also clears the debug logic; a system reset leaves it. The core is CPU_HELD until cm7_start. */
void cm7_reset(struct cpu *c, bool power_on);
/* Reads the vectors at VTOR and runs; halts before the first instruction if DEMCR.VC_CORERESET and C_DEBUGEN are set. */
void cm7_start(struct cpu *c);
void cm7_lock_up(struct cpu *c); /* as after a fault inside HardFault */

enum cm7_state cm7_state(const struct cpu *c);
/* Runs while CPU_RUN and cycles < until; returns at a block boundary, also early when cm7_kick was called, when the
 * state changed or when memory mapped state wants the caller's attention. In sleep it returns at once. */
void cm7_run(struct cpu *c, uint64_t until_cycles);
void cm7_kick(struct cpu *c); /* from a bus call-back: return to the caller at the next block */
/* Sleep or debug state lasting until `cycles`: the clock advances, SysTick with it, CYCCNT does not. */
void cm7_idle_until(struct cpu *c, uint64_t cycles);
uint64_t cm7_next_event(const struct cpu *c); /* SysTick interrupt; UINT64_MAX: none */
bool cm7_wake_check(struct cpu *c); /* leaves sleep when an interrupt is pending; true: now running */

uint64_t cm7_cycles(const struct cpu *c); /* clock cycles since cm7_new, sleep included */
uint64_t cm7_instructions(const struct cpu *c);
uint64_t cm7_charge(const struct cpu *c); /* of executed instructions since cm7_new, in CPU_CHARGE_C units */
#define CPU_CHARGE_C 1e-14 /* coulomb */
void cm7_tick_every(struct cpu *c, uint64_t cycles);
void cm7_set_fetch_wait(struct cpu *c, unsigned latency); /* FLASH_ACR.LATENCY */

void cm7_irq(struct cpu *c, unsigned irq, bool level);
bool cm7_debug_enabled(const struct cpu *c); /* DHCSR.C_DEBUGEN */
bool cm7_sleep_deep(const struct cpu *c); /* SCR.SLEEPDEEP */

/* --- the debug port's view; the core is not inside cm7_run ------------------------------------------------- */
/* Private peripheral bus, E0000000..E00FFFFF, as the debugger sees it. */
bool cm7_ppb_read(struct cpu *c, uint32_t addr, unsigned size, bool debugger, uint32_t *ret_value);
bool cm7_ppb_write(struct cpu *c, uint32_t addr, unsigned size, bool debugger, uint32_t value);
/* Host address of n bytes of RAM, flash or ROM; NULL when they are not all inside one region. */
uint8_t *cm7_host(const struct cpu *c, uint32_t addr, uint32_t n, enum cm7_mem_kind *ret_kind);
void cm7_touched(struct cpu *c, uint32_t addr, uint32_t n); /* memory changed behind the core's back */
/* Registers by DCRSR number: 0-15, 16 xPSR, 17 MSP, 18 PSP, 20 CONTROL..PRIMASK, 33 FPSCR, 64-95 S0-S31. */
uint32_t cm7_reg_read(struct cpu *c, unsigned sel);
void cm7_reg_write(struct cpu *c, unsigned sel, uint32_t value);

#endif
