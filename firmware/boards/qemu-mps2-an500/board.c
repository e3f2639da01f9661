/* SPDX-License-Identifier: MIT
 * The harness on qemu's mps2-an500 (Cortex-M7), for tests only: CMSDK UART 0 polled, CMSDK timer 0 as time, markers counted instead of driven. A
 * received 0x04 (Ctrl-D) ends qemu through semihosting. Registers: Arm Cortex-M System Design Kit TRM (DDI 0479), qemu hw/arm/mps2.c. */
#include <string.h>

#include "firmware/boards/common/jf_net_model.h"
#include "firmware/harness/jf_harness.h"
#include "firmware/harness/jf_note.h"
#include "firmware/harness/jf_out.h"
#include "firmware/harness/jf_port.h"
#include "firmware/include/jf_device.h"

#ifndef JF_MODE
#define JF_MODE JF_MODE_ENERGY
#endif

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART_DATA REG(0x40004000u)
#define UART_STATE REG(0x40004004u) /* bit 0: transmit buffer full, bit 1: a byte received */
#define UART_CTRL REG(0x40004008u)  /* bit 0: transmit on, bit 1: receive on */
#define UART_BAUDDIV REG(0x40004010u)
#define TIMER_CTRL REG(0x40000000u)
#define TIMER_VALUE REG(0x40000004u) /* counts down at the system clock */
#define TIMER_RELOAD REG(0x40000008u)
#define SYSTEM_HZ 25000000u
#define END_OF_TEST 0x04
#define SEMIHOSTING_EXIT 0x18
#define SEMIHOSTING_EXIT_OK 0x20026
#define SEMIHOSTING_EXIT_FAULT 0x20024

struct board {
    uint32_t timer_last;
    uint64_t timer_high;
    uint32_t markers;
    char build_id[2 * JF_NOTE_ID_MAX + 1];
    struct jf_port port;
    struct jf_net net;
    struct jf_harness harness;
};

static struct board the_board;

extern const uint8_t jf_build_id_note[], jf_data_load[];
extern uint8_t jf_data_start[], jf_data_end[], jf_bss_start[], jf_bss_end[];

void board_start(void);
void board_fault(void);

static void semihosting_exit(uint32_t reason) {
    register uint32_t op __asm__("r0") = SEMIHOSTING_EXIT;
    register uint32_t arg __asm__("r1") = reason;
    __asm__ volatile("bkpt 0xab" : "+r"(op) : "r"(arg) : "memory");
}

static void port_putc(void *ctx, char c) {
    (void)ctx;
    while (UART_STATE & 1u) {
    }
    UART_DATA = (uint8_t)c;
}

static void port_flush(void *ctx) {
    (void)ctx;
    while (UART_STATE & 1u) {
    }
}

static int port_getc(void *ctx) {
    (void)ctx;
    if (!(UART_STATE & 2u)) {
        return -1;
    }
    int byte = (int)(UART_DATA & 0xFFu);
    if (byte == END_OF_TEST) {
        semihosting_exit(SEMIHOSTING_EXIT_OK);
    }
    return byte;
}

static void port_idle(void *ctx, bool sleep) {
    (void)ctx;
    (void)sleep;
}

static void port_markers(void *ctx, uint32_t mask, uint32_t levels) {
    struct board *b = ctx;
    b->markers = (b->markers & ~mask) | (levels & mask);
}

/* Unwrapped at each call: good while it is called at least every 171 s. */
static uint64_t port_ticks(void *ctx) {
    struct board *b = ctx;
    uint32_t now = UINT32_MAX - TIMER_VALUE;
    if (now < b->timer_last) {
        b->timer_high += UINT64_C(1) << 32;
    }
    b->timer_last = now;
    return b->timer_high | now;
}

static void port_debug(void *ctx, bool *ret_c_debugen, uint32_t *ret_dbgmcu_cr) {
    (void)ctx;
    *ret_c_debugen = (REG(0xE000EDF0u) & 1u) != 0;
    *ret_dbgmcu_cr = 0;
}

void board_fault(void) {
    semihosting_exit(SEMIHOSTING_EXIT_FAULT);
    for (;;) {
    }
}

void board_start(void) {
    memcpy(jf_data_start, jf_data_load, (uintptr_t)jf_data_end - (uintptr_t)jf_data_start);
    memset(jf_bss_start, 0, (uintptr_t)jf_bss_end - (uintptr_t)jf_bss_start);
    struct board *b = &the_board;
    UART_BAUDDIV = 16;
    UART_CTRL = 3;
    TIMER_RELOAD = UINT32_MAX;
    TIMER_VALUE = UINT32_MAX;
    TIMER_CTRL = 1;
    jf_note_build_id(jf_build_id_note, b->build_id);
    b->port = (struct jf_port){.ctx = b,
                               .putc = port_putc,
                               .flush = port_flush,
                               .getc = port_getc,
                               .idle = port_idle,
                               .markers = port_markers,
                               .ticks = port_ticks,
                               .ticks_hz = SYSTEM_HZ,
                               .debug = port_debug,
                               .core_hz = SYSTEM_HZ,
                               .vendor = "joulefarm",
                               .build_id = b->build_id,
                               .reset_cause = JF_RESET_UNKNOWN,
                               .reset_flags = 0};
    jf_net_model(&b->net);
    if (jf_harness_boot(&b->harness, &b->port, &b->net, JF_MODE)) {
        jf_harness_loop(&b->harness);
    }
    semihosting_exit(SEMIHOSTING_EXIT_FAULT);
}
