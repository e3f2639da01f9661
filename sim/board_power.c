/* SPDX-License-Identifier: GPL-2.0-or-later
 * The base current of the board: a sum of terms, each with its sentence. The magnitudes are of the order of DS13195's
 * supply current tables (about 12 mA running and 3 mA in Sleep at 64 MHz, 3.3 V from the LDO); no figure is a measurement.
 * The charge of executed instructions comes on top, see sim/cpu_cost.c. Pure. */
#include "sim/board_impl.h"

#define LEAK_A 0.9e-3 /* regulator, flash and analog supervision, always while powered */
#define STOP_A 55e-6 /* Stop: regulator in low-power mode, RAM retained */
#define RESET_A 1.4e-3 /* clock tree of HSI with the core held in reset */
#define RUN_A_PER_HZ 70e-12 /* clock tree, prefetch and bus matrix while the core runs: 4.5 mA at 64 MHz */
#define SLEEP_A_PER_HZ 32e-12 /* bus clocks in Sleep: 2.0 mA at 64 MHz */
#define HALT_A_PER_HZ 52e-12 /* debug state: the core is clocked but executes nothing */
#define GATE_A_PER_HZ 0.35e-12 /* one enabled peripheral clock: 22 uA at 64 MHz */
#define PLL_A 0.45e-3
#define FLASH_PROGRAM_A 4.2e-3 /* charge pump during a program operation */
#define FLASH_ERASE_A 3.1e-3
#define UART_A 0.12e-3 /* line levels toggling into the ST-LINK's input */
#define DEBUG_A 0.14e-3 /* C_DEBUGEN keeps the core's debug logic clocked */
#define DBG_DOMAIN_A 0.21e-3 /* each of CDDBGCKEN and SRDDBGCKEN */
#define TRACE_A 0.17e-3 /* TRACECLKEN */
#define DBG_SLEEP_A_PER_HZ 19e-12 /* DBG_SLEEP: FCLK and HCLK stay on in Sleep: 1.2 mA at 64 MHz */
#define SMPS_FACTOR 0.52 /* step-down converter: VCORE 1.0 V from 3.3 V at about 60 % of the LDO's charge */

#define CR_DBGSLEEP (1u << 0 | 1u << 3)
#define CR_TRACECLKEN (1u << 20)
#define CR_CDDBGCKEN (1u << 21)
#define CR_SRDDBGCKEN (1u << 22)

double board_power_core_factor(bool smps) { return smps ? SMPS_FACTOR : 1.0; }

static double core_a(const struct board_power *p) {
    double hz = p->core_hz;
    switch (p->state) {
    case CPU_RUN:
    case CPU_LOCKUP:
        return RUN_A_PER_HZ * hz;
    case CPU_HALTED:
        return HALT_A_PER_HZ * hz;
    case CPU_SLEEP:
    case CPU_DEEP:
        return SLEEP_A_PER_HZ * hz + (p->dbgmcu_cr & CR_DBGSLEEP ? DBG_SLEEP_A_PER_HZ * hz : 0);
    case CPU_HELD:
        return RESET_A;
    }
    return 0;
}

static double debug_a(const struct board_power *p) {
    double a = p->debug_enabled ? DEBUG_A : 0;
    a += p->dbgmcu_cr & CR_TRACECLKEN ? TRACE_A : 0;
    a += p->dbgmcu_cr & CR_CDDBGCKEN ? DBG_DOMAIN_A : 0;
    a += p->dbgmcu_cr & CR_SRDDBGCKEN ? DBG_DOMAIN_A : 0;
    return a;
}

double board_power_a(const struct board_power *p) {
    if (!p->powered) {
        return 0;
    }
    double factor = board_power_core_factor(p->smps);
    double a = LEAK_A + debug_a(p);
    if (p->state == CPU_DEEP && !(p->dbgmcu_cr & BOARD_DBGSTOP)) {
        return STOP_A + debug_a(p);
    }
    a += factor * (core_a(p) + GATE_A_PER_HZ * p->core_hz * p->gates + (p->pll ? PLL_A : 0));
    a += p->flash == FLASH_PROGRAMS ? FLASH_PROGRAM_A : p->flash == FLASH_ERASES ? FLASH_ERASE_A : 0;
    return a + (p->uart_busy ? UART_A : 0);
}
