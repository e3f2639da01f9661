/* SPDX-License-Identifier: MIT
 * NUCLEO-H7A3ZI-Q: start-up, UART, marker port, timer, idle, and the port struct that the harness sees. Registers: regs.h (RM0455, PM0253).
 *
 * Clock: HSI 64 MHz, the reset default (RM0455 8.5.2); nothing is switched. At VOS3 the flash needs 2 wait states up to 66 MHz (RM0455 table
 * "FLASH recommended number of wait states"; HSI is at most 65 MHz over temperature, DS13195). Buses and timers run undivided.
 * Idle: Sleep mode (WFI, SLEEPDEEP clear); TIM2 and USART3 keep their clocks there (RCC_APB1LLPENR reset value). Interrupts: USART3 receive into a
 * bounded ring, TIM2 overflow every 71.6 minutes. The main loop is the only thread; the ring's head belongs to the interrupt, its tail to the loop. */
#include "firmware/boards/nucleo-h7a3zi-q/board.h"

#include <string.h>

#include "firmware/boards/common/jf_net_model.h"
#include "firmware/boards/nucleo-h7a3zi-q/regs.h"
#include "firmware/harness/jf_harness.h"
#include "firmware/harness/jf_note.h"
#include "firmware/harness/jf_out.h"
#include "firmware/harness/jf_port.h"
#include "firmware/include/jf_device.h"

#ifndef JF_MODE
#define JF_MODE JF_MODE_ENERGY
#endif

#define RX_SIZE 256u             /* power of two; a command has 81 bytes and the host waits for m-ready */
#define UART_SPINS_MAX 2000000u  /* far beyond one character at 9600 baud: a broken UART does not hang the board for ever */

struct board {
    volatile uint8_t rx[RX_SIZE];
    volatile uint32_t rx_head, rx_tail;
    volatile uint32_t timer_wraps;
    uint32_t reset_flags;
    char build_id[2 * JF_NOTE_ID_MAX + 1];
    struct jf_port port;
    struct jf_net net;
    struct jf_harness harness;
};

/* The one instance: interrupt handlers have no argument. */
static struct board the_board;

extern const uint32_t board_vectors[];
extern const uint8_t jf_build_id_note[], jf_data_load[];
extern uint8_t jf_data_start[], jf_data_end[], jf_bss_start[], jf_bss_end[];

void board_start(void);
void board_fault(const uint32_t *frame, const char *name);
void board_tim2_isr(void);
void board_usart3_isr(void);

static inline void barrier(void) {
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

static inline uint32_t irq_off(void) {
    uint32_t primask;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask)::"memory");
    return primask;
}

static inline void irq_restore(uint32_t primask) {
    __asm__ volatile("msr primask, %0\n\tisb" ::"r"(primask) : "memory");
}

/* ---- interrupts ---------------------------------------------------------------------------------------------------- */
void board_usart3_isr(void) {
    struct board *b = &the_board;
    uint32_t isr = USART3_ISR;
    if (isr & USART_ISR_ERRORS) {
        USART3_ICR = isr & USART_ISR_ERRORS; /* the host sees a damaged command as an unknown one */
    }
    if (isr & USART_ISR_RXNE) {
        uint8_t byte = (uint8_t)USART3_RDR;
        uint32_t head = b->rx_head;
        if (head - b->rx_tail < RX_SIZE) { /* full: the newest byte is lost */
            b->rx[head % RX_SIZE] = byte;
            b->rx_head = head + 1;
        }
    }
}

void board_tim2_isr(void) {
    TIM2_SR = ~TIM_SR_UIF; /* rc_w0 */
    the_board.timer_wraps++;
    (void)TIM2_SR; /* the write has arrived before the return, or the interrupt would come twice */
}

/* ---- the port's functions ------------------------------------------------------------------------------------------- */
static void uart_wait(uint32_t flag) {
    for (uint32_t n = 0; n < UART_SPINS_MAX && !(USART3_ISR & flag); n++) {
    }
}

static void port_putc(void *ctx, char c) {
    (void)ctx;
    uart_wait(USART_ISR_TXE);
    USART3_TDR = (uint8_t)c;
}

static void port_flush(void *ctx) {
    (void)ctx;
    uart_wait(USART_ISR_TC);
}

static int port_getc(void *ctx) {
    struct board *b = ctx;
    uint32_t tail = b->rx_tail;
    if (tail == b->rx_head) {
        return -1;
    }
    int byte = b->rx[tail % RX_SIZE];
    b->rx_tail = tail + 1;
    return byte;
}

static void port_idle(void *ctx, bool sleep) {
    struct board *b = ctx;
    if (!sleep) {
        return;
    }
    uint32_t primask = irq_off(); /* a byte between the test and WFI stays pending, and a pending interrupt ends WFI */
    if (b->rx_tail == b->rx_head) {
        __asm__ volatile("dsb\n\twfi" ::: "memory");
    }
    irq_restore(primask);
}

static void port_markers(void *ctx, uint32_t mask, uint32_t levels) {
    (void)ctx;
    GPIO_BSRR(GPIOE) = ((mask & levels) << BOARD_MARKER_PIN0) | ((mask & ~levels) << (BOARD_MARKER_PIN0 + 16u));
}

static uint64_t port_ticks(void *ctx) {
    struct board *b = ctx;
    uint32_t primask = irq_off();
    uint32_t low = TIM2_CNT, high = b->timer_wraps;
    if (TIM2_SR & TIM_SR_UIF) { /* wrapped, its interrupt not yet taken: low may be from before */
        low = TIM2_CNT;
        high++;
    }
    irq_restore(primask);
    return ((uint64_t)high << 32) | low;
}

static void port_debug(void *ctx, bool *ret_c_debugen, uint32_t *ret_dbgmcu_cr) {
    (void)ctx;
    *ret_c_debugen = (SCB_DHCSR & SCB_DHCSR_C_DEBUGEN) != 0;
    *ret_dbgmcu_cr = DBGMCU_CR;
}

/* ---- faults ---------------------------------------------------------------------------------------------------------- */
static bool frame_readable(const uint32_t *frame) {
    uintptr_t a = (uintptr_t)frame;
    return a % 4 == 0 && a >= 0x20000000u && a <= 0x20020000u - 32u;
}

/* Says what happened and resets. Marker lines go to their idle level with the pins' reset state. */
void board_fault(const uint32_t *frame, const char *name) {
    const struct jf_port *p = &the_board.port;
    uint32_t pc = frame_readable(frame) ? frame[6] : 0, cfsr = SCB_CFSR;
    if (p->putc) {
        jf_out_str(p, "\r\n" JF_MSG_FAULT);
        jf_out_str(p, name);
        jf_out_str(p, ",0x");
        jf_out_hex(p, pc, 8);
        jf_out_str(p, ",0x");
        jf_out_hex(p, cfsr, 8);
        jf_out_str(p, "]\r\n");
        p->flush(p->ctx);
    }
    barrier();
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    barrier();
    for (;;) {
    }
}

/* ---- start ------------------------------------------------------------------------------------------------------------ */
static const char *reset_cause(uint32_t flags) {
    /* RM0455 table "reset source identification": a power-on sets POR, BOR and PIN; a brown-out BOR and PIN; all others PIN as well. */
    if (flags & RCC_RSR_PORRSTF) {
        return JF_RESET_POWER;
    }
    if (flags & RCC_RSR_BORRSTF) {
        return JF_RESET_BROWNOUT;
    }
    if (flags & (RCC_RSR_IWDGRSTF | RCC_RSR_WWDGRSTF)) {
        return JF_RESET_WATCHDOG;
    }
    if (flags & RCC_RSR_LPWRRSTF) {
        return JF_RESET_LOWPOWER;
    }
    if (flags & RCC_RSR_SFTRSTF) {
        return JF_RESET_SOFTWARE;
    }
    return flags & RCC_RSR_PINRSTF ? JF_RESET_PIN : JF_RESET_UNKNOWN;
}

static void caches_on(void) {
    barrier();
    SCB_ICIALLU = 0;
    barrier();
    SCB_CCR |= SCB_CCR_IC;
    SCB_CSSELR = 0; /* level 1 data cache */
    barrier();
    uint32_t size = SCB_CCSIDR; /* PM0253 4.8: sets - 1 in 27:13, ways - 1 in 12:3; set at bit 5, way at bit 30 of DCISW */
    for (uint32_t set = 0; set <= ((size >> 13) & 0x7FFFu); set++) {
        for (uint32_t way = 0; way <= ((size >> 3) & 3u); way++) {
            SCB_DCISW = (way << 30) | (set << 5);
        }
    }
    barrier();
    SCB_CCR |= SCB_CCR_DC;
    barrier();
}

static void pins_init(void) {
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIODEN | RCC_AHB4ENR_GPIOEEN;
    (void)RCC_AHB4ENR; /* RM0455 8.5: one read before the peripheral answers */
    for (uint32_t k = 0; k < BOARD_MARKER_LINES; k++) {
        uint32_t pin = BOARD_MARKER_PIN0 + k;
        GPIO_BSRR(GPIOE) = k == JF_LINE_WINDOW ? BIT(pin) : BIT(pin + 16u); /* the level first: no false edge */
        GPIO_MODER(GPIOE) = (GPIO_MODER(GPIOE) & ~(3u << (2u * pin))) | (1u << (2u * pin));
    }
    GPIO_AFRH(GPIOD) = (GPIO_AFRH(GPIOD) & ~0xFFu) | 0x77u; /* PD8, PD9: AF7 = USART3 (DS13195) */
    GPIO_PUPDR(GPIOD) = (GPIO_PUPDR(GPIOD) & ~(3u << 18)) | (1u << 18); /* PD9 pull-up: an open line reads idle */
    GPIO_MODER(GPIOD) = (GPIO_MODER(GPIOD) & ~(0xFu << 16)) | (0xAu << 16);
}

static void uart_init(void) {
    RCC_APB1LENR |= RCC_APB1LENR_USART3EN | RCC_APB1LENR_TIM2EN;
    (void)RCC_APB1LENR;
    USART3_BRR = (BOARD_CORE_HZ + BOARD_UART_BAUD / 2u) / BOARD_UART_BAUD; /* kernel clock rcc_pclk1 = core clock; 8N1, oversampling by 16 */
    USART3_CR1 = USART_CR1_UE | USART_CR1_RE | USART_CR1_TE | USART_CR1_RXNEIE;
    NVIC_ISER(USART3_IRQ) = BIT(USART3_IRQ % 32u);
}

static void timer_init(void) {
    TIM2_PSC = BOARD_CORE_HZ / BOARD_TIMER_HZ - 1u;
    TIM2_ARR = UINT32_MAX;
    TIM2_CR1 = TIM_CR1_URS; /* UG loads the prescaler and sets no flag */
    TIM2_EGR = TIM_EGR_UG;
    TIM2_SR = 0;
    TIM2_DIER = TIM_DIER_UIE;
    TIM2_CR1 = TIM_CR1_URS | TIM_CR1_CEN;
    NVIC_ISER(TIM2_IRQ) = BIT(TIM2_IRQ % 32u);
}

static void port_init(struct board *b) {
    jf_note_build_id(jf_build_id_note, b->build_id);
    b->port = (struct jf_port){.ctx = b,
                               .putc = port_putc,
                               .flush = port_flush,
                               .getc = port_getc,
                               .idle = port_idle,
                               .markers = port_markers,
                               .ticks = port_ticks,
                               .ticks_hz = BOARD_TIMER_HZ,
                               .debug = port_debug,
                               .core_hz = BOARD_CORE_HZ,
                               .vendor = BOARD_VENDOR,
                               .build_id = b->build_id,
                               .reset_cause = reset_cause(b->reset_flags),
                               .reset_flags = b->reset_flags};
}

/* Called by startup.S once RAM may be written. Never returns. */
void board_start(void) {
    memcpy(jf_data_start, jf_data_load, (uintptr_t)jf_data_end - (uintptr_t)jf_data_start);
    memset(jf_bss_start, 0, (uintptr_t)jf_bss_end - (uintptr_t)jf_bss_start);
    struct board *b = &the_board;
    SCB_VTOR = (uint32_t)(uintptr_t)board_vectors;
    SCB_SHCSR |= SCB_SHCSR_FAULTS;
    SCB_SCR = 0;
    FLASH_ACR = 2u; /* 2 wait states, WRHIGHFREQ 0: up to 66 MHz at VOS3 */
    (void)FLASH_ACR;
    b->reset_flags = RCC_RSR;
    RCC_RSR |= RCC_RSR_RMVF;
    RCC_RSR &= ~RCC_RSR_RMVF;
    caches_on();
    pins_init();
    uart_init();
    timer_init();
    port_init(b);
    irq_restore(0);
    jf_net_model(&b->net);
    if (jf_harness_boot(&b->harness, &b->port, &b->net, JF_MODE)) {
        jf_harness_loop(&b->harness);
    }
    for (;;) { /* said why; nothing to do, so asleep */
        port_idle(b, true);
    }
}
