/* SPDX-License-Identifier: GPL-2.0-or-later
 * The core's instruction count against qemu-system-arm: one program runs in both and reads SysTick around two calls of
 * a kernel; with -icount shift=10 an instruction takes 1024 ns of qemu's time and SysTick (25 MHz) ticks every 40 ns. */
#include "tests/unit/sim/board_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * count:
 *     ldr r0, =0xE000ED14
 *     ldr r1, [r0]
 *     orr r1, #0x20000
 *     str r1, [r0]
 *     dsb
 *     isb
 *     ldr r7, =0x20000100
 *     ldr r1, =0x8123F677
 *     str r1, [r7]
 *     str r1, [r7, #4]
 *     ldr r7, =0xE000E010
 *     mvn r1, #0xFF000000
 *     str r1, [r7, #4]
 *     movs r1, #0
 *     str r1, [r7, #8]
 *     movs r1, #5
 *     str r1, [r7]
 *     isb
 *     ldr r4, [r7, #8]
 *     movs r0, #20
 *     bl kernel
 *     ldr r5, [r7, #8]
 *     movs r0, #70
 *     bl kernel
 *     ldr r6, [r7, #8]
 *     movs r0, #0
 *     b difference
 * difference:
 *     subs r4, r4, r5
 *     subs r5, r5, r6
 *     subs r5, r5, r4
 *     b report
 * kernel:
 *     push {r4-r8, lr}
 *     ldr r8, =0x20000100
 * outer:
 *     movs r1, #40
 *     movs r2, #0
 * inner:
 *     ldr r3, [r8]
 *     smlabb r2, r3, r1, r2
 *     smlad r2, r3, r1, r2
 *     tst r1, #3
 *     itte eq
 *     addeq r2, #1
 *     eoreq r2, r2, r1
 *     subne r2, #3
 *     cmp r2, #0
 *     bge even
 *     rsb r2, r2, #0
 * even:
 *     str r2, [r8, #4]
 *     stmia r8, {r2, r3}
 *     ldmia r8, {r4, r5}
 *     umull r4, r5, r4, r5
 *     udiv r6, r5, r1
 *     and r4, r1, #3
 *     tbb [pc, r4]
 * table:
 *     .byte (t0-table)/2, (t1-table)/2, (t2-table)/2, (t0-table)/2
 * t0: nop
 * t1: sxtb16 r4, r3
 * t2: uqadd8 r4, r4, r3
 *     bl leaf
 *     cbz r4, skip
 *     strd r4, r5, [r8, #8]
 * skip:
 *     subs r1, #1
 *     bne inner
 *     subs r0, #1
 *     bne outer
 *     pop {r4-r8, pc}
 * leaf:
 *     clz r6, r4
 *     bx lr
 * report:
 *     ldr r7, =0x20002000
 *     str r5, [r7]
 * end:
 *     b end
 */
static const uint32_t image_kernel[] = {
    [0] = 0x20001000, [1] = 0x080000f1,
    [60] = 0x68014831, 0x3100f441, 0xf3bf6001, 0xf3bf8f4f, 0x4f2e8f6f, 0x6039492e, 0x4f2e6079, 0x417ff06f,
    0x21006079, 0x210560b9, 0xf3bf6039, 0x68bc8f6f, 0xf0002014, 0x68bdf80b, 0xf0002046, 0x68bef807, 0xe7ff2000,
    0x1bad1b64, 0xe0381b2d, 0x41f0e92d, 0x8078f8df, 0x22002128, 0x3000f8d8, 0x2201fb13, 0x2201fb23, 0x0f03f011,
    0x3201bf06, 0x3a03404a, 0xda012a00, 0x0200f1c2, 0x2004f8c8, 0x000ce888, 0x0030e898, 0x4505fba4, 0xf6f1fbb5,
    0x0403f001, 0xf004e8df, 0x02050302, 0xfa2fbf00, 0xfa84f483, 0xf000f453, 0xb10cf809, 0x4502e9c8, 0xd1d33901,
    0xd1cf3801, 0x81f0e8bd, 0xf684fab4, 0xf04f4770, 0x603d2720, 0x0000e7fe, 0xe000ed14, 0x20000100, 0x8123f677,
    0xe000e010,
};

/* The same up to report, at address 0, for qemu: prints r5 by semihosting and exits.
 *
 * report:
 *     movs r6, #8
 *     sub sp, #8
 * digit:
 *     ror r5, r5, #28
 *     and r2, r5, #15
 *     cmp r2, #10
 *     ite lo
 *     addlo r2, #48
 *     addhs r2, #87
 *     strb r2, [sp]
 *     mov r1, sp
 *     movs r0, #3
 *     bkpt #0xab
 *     subs r6, #1
 *     bne digit
 *     movs r0, #0x18
 *     ldr r1, =0x20026
 *     bkpt #0xab
 * end:
 *     b end
 */
static const uint32_t image_qemu[] = {
    [0] = 0x20001000, [1] = 0x000000f1,
    [60] = 0x68014839, 0x3100f441, 0xf3bf6001, 0xf3bf8f4f, 0x4f368f6f, 0x60394936, 0x4f366079, 0x417ff06f,
    0x21006079, 0x210560b9, 0xf3bf6039, 0x68bc8f6f, 0xf0002014, 0x68bdf80b, 0xf0002046, 0x68bef807, 0xe7ff2000,
    0x1bad1b64, 0xe0381b2d, 0x41f0e92d, 0x8098f8df, 0x22002128, 0x3000f8d8, 0x2201fb13, 0x2201fb23, 0x0f03f011,
    0x3201bf06, 0x3a03404a, 0xda012a00, 0x0200f1c2, 0x2004f8c8, 0x000ce888, 0x0030e898, 0x4505fba4, 0xf6f1fbb5,
    0x0403f001, 0xf004e8df, 0x02050302, 0xfa2fbf00, 0xfa84f483, 0xf000f453, 0xb10cf809, 0x4502e9c8, 0xd1d33901,
    0xd1cf3801, 0x81f0e8bd, 0xf684fab4, 0x26084770, 0xea4fb082, 0xf0057535, 0x2a0a020f, 0x3230bf34, 0xf88d3257,
    0x46692000, 0xbeab2003, 0xd1f03e01, 0x49052018, 0xe7febeab, 0xe000ed14, 0x20000100, 0x8123f677, 0xe000e010,
    0x00020026,
};

#define QEMU "/usr/bin/qemu-system-arm"
#define QEMU_INSTRUCTION_NS 1024
#define QEMU_TICK_NS 40

static void qemu_ticks(uint32_t *ret_ticks) {
    char path[] = "/tmp/jf-count-XXXXXX";
    char command[512];
    char text[64] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image_qemu, sizeof image_qemu), sizeof image_qemu);
    (void)close(fd);
    (void)snprintf(command, sizeof command,
                   "timeout 30 " QEMU " -M mps2-an500 -display none -monitor none -serial none -icount shift=10,sleep=off "
                   "-semihosting-config enable=on,target=native -kernel %s 2>&1 </dev/null",
                   path);
    FILE *p = popen(command, "r"); // NOLINT: a fixed command
    assert_non_null(p);
    (void)!fgets(text, sizeof text, p);
    (void)pclose(p);
    (void)unlink(path);
    assert_int_equal(strlen(text), 8);
    *ret_ticks = (uint32_t)strtoul(text, NULL, 16);
}

static void test_equal_counts(void **state) {
    (void)state;
    if (access(QEMU, X_OK) != 0) {
        skip();
    }
    uint32_t ticks = 0;
    qemu_ticks(&ticks);
    uint64_t instructions = ((uint64_t)ticks * QEMU_TICK_NS + QEMU_INSTRUCTION_NS / 2) / QEMU_INSTRUCTION_NS;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, kernel);
    rig_run(r, 50 * MS);
    assert_true(instructions > 50000);
    assert_int_equal(rig_word(r, 0x20002000u), instructions); /* instruction cache on: a cycle each */
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
