/* SPDX-License-Identifier: MIT
 * The registers of the STM32H7A3 that this firmware touches, by name, address and bit. Source: RM0455 (chapters PWR, RCC, FLASH, GPIO, TIM2, USART,
 * DBGMCU) and PM0253 (Cortex-M7: SCB, NVIC, cache maintenance); checked against ST's stm32h7a3xxq.h. */
#ifndef FIRMWARE_BOARDS_NUCLEO_H7A3ZI_Q_REGS_H
#define FIRMWARE_BOARDS_NUCLEO_H7A3ZI_Q_REGS_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* FLASH interface, RM0455 4.9 */
#define FLASH_ACR REG(0x52002000u) /* LATENCY 3:0, WRHIGHFREQ 5:4 */

/* RCC, RM0455 8.7 */
#define RCC_RSR REG(0x58024530u)
#define RCC_RSR_RMVF BIT(16)
#define RCC_RSR_BORRSTF BIT(21)
#define RCC_RSR_PINRSTF BIT(22)
#define RCC_RSR_PORRSTF BIT(23)
#define RCC_RSR_SFTRSTF BIT(24)
#define RCC_RSR_IWDGRSTF BIT(26)
#define RCC_RSR_WWDGRSTF BIT(28)
#define RCC_RSR_LPWRRSTF BIT(30)
#define RCC_AHB4ENR REG(0x58024540u)
#define RCC_AHB4ENR_GPIODEN BIT(3)
#define RCC_AHB4ENR_GPIOEEN BIT(4)
#define RCC_APB1LENR REG(0x58024548u)
#define RCC_APB1LENR_TIM2EN BIT(0)
#define RCC_APB1LENR_USART3EN BIT(18)

/* GPIO, RM0455 11.4: port base + register */
#define GPIOD 0x58020C00u
#define GPIOE 0x58021000u
#define GPIO_MODER(port) REG((port) + 0x00u)
#define GPIO_OSPEEDR(port) REG((port) + 0x08u)
#define GPIO_PUPDR(port) REG((port) + 0x0Cu)
#define GPIO_BSRR(port) REG((port) + 0x18u)
#define GPIO_AFRH(port) REG((port) + 0x24u)

/* TIM2, RM0455 "General-purpose timers" */
#define TIM2_CR1 REG(0x40000000u)
#define TIM_CR1_CEN BIT(0)
#define TIM_CR1_URS BIT(2)
#define TIM2_DIER REG(0x4000000Cu)
#define TIM_DIER_UIE BIT(0)
#define TIM2_SR REG(0x40000010u)
#define TIM_SR_UIF BIT(0)
#define TIM2_EGR REG(0x40000014u)
#define TIM_EGR_UG BIT(0)
#define TIM2_CNT REG(0x40000024u)
#define TIM2_PSC REG(0x40000028u)
#define TIM2_ARR REG(0x4000002Cu)
#define TIM2_IRQ 28u

/* USART3, RM0455 "USART" */
#define USART3_CR1 REG(0x40004800u)
#define USART_CR1_UE BIT(0)
#define USART_CR1_RE BIT(2)
#define USART_CR1_TE BIT(3)
#define USART_CR1_RXNEIE BIT(5)
#define USART3_BRR REG(0x4000480Cu)
#define USART3_ISR REG(0x4000481Cu)
#define USART_ISR_ERRORS (BIT(0) | BIT(1) | BIT(2) | BIT(3)) /* PE, FE, NE, ORE: the same bits in ICR */
#define USART_ISR_RXNE BIT(5)
#define USART_ISR_TC BIT(6)
#define USART_ISR_TXE BIT(7)
#define USART3_ICR REG(0x40004820u)
#define USART3_RDR REG(0x40004824u)
#define USART3_TDR REG(0x40004828u)
#define USART3_IRQ 39u

/* DBGMCU, RM0455 "Debug infrastructure"; as the CPU sees it */
#define DBGMCU_CR REG(0x5C001004u)

/* Cortex-M7, PM0253 */
#define NVIC_ISER(irq) REG(0xE000E100u + 4u * ((irq) / 32u))
#define SCB_VTOR REG(0xE000ED08u)
#define SCB_AIRCR REG(0xE000ED0Cu)
#define SCB_AIRCR_SYSRESETREQ 0x05FA0004u
#define SCB_SCR REG(0xE000ED10u)
#define SCB_CCR REG(0xE000ED14u)
#define SCB_CCR_DC BIT(16)
#define SCB_CCR_IC BIT(17)
#define SCB_SHCSR REG(0xE000ED24u)
#define SCB_SHCSR_FAULTS (BIT(16) | BIT(17) | BIT(18)) /* MemManage, BusFault, UsageFault of their own */
#define SCB_CFSR REG(0xE000ED28u)
#define SCB_CCSIDR REG(0xE000ED80u)
#define SCB_CSSELR REG(0xE000ED84u)
#define SCB_DHCSR REG(0xE000EDF0u)
#define SCB_DHCSR_C_DEBUGEN BIT(0)
#define SCB_ICIALLU REG(0xE000EF50u)
#define SCB_DCISW REG(0xE000EF60u)

#endif
