/* SPDX-License-Identifier: MIT
 * What a simulated machine offers to the self-test. */
#ifndef FIRMWARE_BOARDS_QEMU_SELFTEST_H
#define FIRMWARE_BOARDS_QEMU_SELFTEST_H

#include <stdint.h>

void selftest_main(void); /* of selftest.c; the machine's start calls it, then machine_exit(0) */

void machine_put(const char *s);
/* Instructions so far, to the machine's resolution: with `-icount shift=0` one takes 1 ns of the timer's time. Wraps at machine_count_mask. */
uint32_t machine_count(void);
extern const uint32_t machine_count_mask;
_Noreturn void machine_exit(int failed);

#endif
