/* SPDX-License-Identifier: MIT
 * Any of Arm's MPS machines as qemu models them: vectors, start, semihosting, SysTick on the core clock (JF_QEMU_HZ). Sources: Armv7-M and Armv8-M
 * Architecture Reference Manuals (DDI 0403, DDI 0553), Arm's Semihosting (IHI 0100). */
#include "firmware/boards/qemu/selftest.h"

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SYST_CSR REG(0xE000E010u)
#define SYST_RVR REG(0xE000E014u)
#define SYST_CVR REG(0xE000E018u)
#define CPACR REG(0xE000ED88u)
#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18

extern uint32_t jf_stack_top, jf_data_load, jf_data_start, jf_data_end, jf_bss_start, jf_bss_end;
void machine_start(void);
void machine_trap(void);

const uint32_t machine_count_mask = UINT32_MAX;

static void semihosting(uint32_t op, uintptr_t arg) {
    register uint32_t r0 __asm__("r0") = op;
    register uintptr_t r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void machine_put(const char *s) { semihosting(SYS_WRITE0, (uintptr_t)s); }

/* 24 bits down. The time between two calls is below 0.4 s, so one wrap is seen. */
uint32_t machine_count(void) {
    static uint32_t last, sum;
    uint32_t now = SYST_CVR;
    sum += (last - now) & 0xFFFFFFu;
    last = now;
    return (uint32_t)((uint64_t)sum * 1000000000u / JF_QEMU_HZ);
}

_Noreturn void machine_exit(int failed) {
    semihosting(SYS_EXIT, failed ? 0x20024u : 0x20026u); /* run-time error, application exit */
    for (;;) {
    }
}

void machine_trap(void) {
    machine_put("trap\n");
    machine_exit(1);
}

void machine_start(void) {
    const uint32_t *from = &jf_data_load;
    for (uint32_t *p = &jf_data_start; p < &jf_data_end; p++) {
        *p = *from++;
    }
    for (uint32_t *p = &jf_bss_start; p < &jf_bss_end; p++) {
        *p = 0;
    }
    CPACR |= 0xFu << 20; /* Helium and the FPU, where there are any */
    __asm__ volatile("dsb\nisb" ::: "memory");
    SYST_RVR = 0xFFFFFFu;
    SYST_CVR = 0;
    SYST_CSR = 5; /* on, core clock, no interrupt */
    selftest_main();
    machine_exit(0);
}

static const struct {
    const void *stack_top;
    void (*handlers[15])(void);
} vectors __attribute__((section(".vectors"), used)) = {&jf_stack_top, {machine_start, machine_trap, machine_trap, machine_trap, machine_trap, machine_trap, machine_trap, machine_trap,
                                                                        machine_trap, machine_trap, machine_trap, machine_trap, machine_trap, machine_trap, machine_trap}};
