/* SPDX-License-Identifier: MIT
 * qemu's RISC-V `virt` machine: memory, semihosting, the retired-instruction counter. */
#include "firmware/boards/qemu/selftest.h"

#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18

extern uint32_t jf_data_load, jf_data_start, jf_data_end, jf_bss_start, jf_bss_end;
void machine_start(void);
void machine_trap(void);
void machine_semihosting(uintptr_t op, uintptr_t arg);

const uint32_t machine_count_mask = UINT32_MAX;

void machine_put(const char *s) { machine_semihosting(SYS_WRITE0, (uintptr_t)s); }

uint32_t machine_count(void) {
    uint32_t n;
    __asm__ volatile("csrr %0, minstret" : "=r"(n));
    return n;
}

_Noreturn void machine_exit(int failed) {
    machine_semihosting(SYS_EXIT, failed ? 0x20024u : 0x20026u); /* run-time error, application exit */
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
    selftest_main();
    machine_exit(0);
}
