/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reset and clock control, and power control (RM0455 sections 8 and 6): oscillators and PLL1 with their ready bits, the
 * clock tree up to the clocks that the modelled peripherals use, clock gates, reset causes, regulators.
 * Oscillators are ready at once. One thread. */
#ifndef SIM_RCC_H
#define SIM_RCC_H

#include "sim/periph.h"

#define RCC_HSI_HZ 64000000u
#define RCC_CSI_HZ 4000000u
#define RCC_HSE_HZ 8000000u /* the ST-LINK's MCO (UM2407) */

enum rcc_cause { RCC_CAUSE_POWER_ON, RCC_CAUSE_PIN, RCC_CAUSE_BROWN_OUT, RCC_CAUSE_SOFTWARE };

struct rcc {
    const struct periph_host *host;
    uint32_t reg[0x200 / 4];
    uint32_t pwr[0x40 / 4];
    bool cr3_written; /* PWR_CR3 takes one write per power-on */
};

/* System reset; the cause is added to RSR's flags, power-on clears the others. */
void rcc_reset(struct rcc *r, enum rcc_cause cause);
uint32_t rcc_read(const struct rcc *r, uint32_t off);
void rcc_write(struct rcc *r, uint32_t off, uint32_t value);
uint32_t rcc_pwr_read(const struct rcc *r, uint32_t off);
void rcc_pwr_write(struct rcc *r, uint32_t off, uint32_t value);
void rcc_stop_exit(struct rcc *r); /* after Stop the system clock is HSI */

uint32_t rcc_cpu_hz(const struct rcc *r);
uint32_t rcc_hclk_hz(const struct rcc *r);
uint32_t rcc_pclk1_hz(const struct rcc *r);
uint32_t rcc_tim1_hz(const struct rcc *r); /* timers of APB1 */
uint32_t rcc_usart3_hz(const struct rcc *r); /* kernel clock; 0: the selected source is off */
bool rcc_gpio_on(const struct rcc *r, unsigned port);
bool rcc_apb1l_on(const struct rcc *r, unsigned bit); /* TIM2 0, TIM3 1, TIM4 2, TIM5 3, LPTIM1 9, USART3 18 */
unsigned rcc_gates_on(const struct rcc *r); /* how many peripheral clocks run */
bool rcc_pll_on(const struct rcc *r);
bool rcc_smps(const struct rcc *r); /* VCORE from the step-down converter alone */

#endif
