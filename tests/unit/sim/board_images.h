/* SPDX-License-Identifier: GPL-2.0-or-later
 * Small Cortex-M7 programs for the board's tests, assembled with GNU as from the text above each; linked at 08000000,
 * words 0 to 59 are the vectors. */
#ifndef TESTS_SIM_BOARD_IMAGES_H
#define TESTS_SIM_BOARD_IMAGES_H

#include <stdint.h>

/*
 * reset:
 *     movs r0, #0
 *     movw r1, #10000
 *     movs r2, #0
 * loop:
 *     adds r0, #1
 *     tst r0, #1
 *     ite eq
 *     addeq r2, #1
 *     subne r2, #2
 *     cmp r0, r1
 *     bne loop
 * end:
 *     b end
 */
__attribute__((unused)) static const uint32_t image_count[] = {
    [0] = 0x20001000, [1] = 0x080000f1,
    [60] = 0xf2422000, 0x22007110, 0xf0103001, 0xbf0c0f01, 0x3a023201, 0xd1f74288, 0xbf00e7fe,
};

/*
 * reset:
 *     ldr r0, =0xE000ED88
 *     ldr r1, =0x00F00000
 *     str r1, [r0]
 *     dsb
 *     isb
 *     vmov.f32 s0, #2.0
 *     vmov.f32 s15, #0.5
 *     ldr r0, =0x11111111
 *     ldr r1, =0x22222222
 *     ldr r2, =0x33333333
 *     ldr r3, =0x44444444
 *     ldr r12, =0x55555555
 *     sub sp, #4
 *     svc #7
 * after:
 *     ldr r5, =0x20002100
 *     stm r5, {r0-r3, r12}
 *     mov r6, sp
 *     str r6, [r5, #20]
 *     vstr s0, [r5, #24]
 *     vstr s15, [r5, #28]
 * end:
 *     b end
 * svc:
 *     ldr r4, =0x20002000
 *     mrs r5, ipsr
 *     str r5, [r4], #4
 *     str lr, [r4], #4
 *     mov r5, sp
 *     str r5, [r4], #4
 *     movs r6, #26
 * copy:
 *     ldr r7, [r5], #4
 *     str r7, [r4], #4
 *     subs r6, #1
 *     bne copy
 *     movs r0, #0
 *     movs r1, #0
 *     movs r2, #0
 *     movs r3, #0
 *     mov r12, r0
 *     vmov s0, r0
 *     vmov s15, r0
 *     bx lr
 */
__attribute__((unused)) static const uint32_t image_svc[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [11] = 0x08000135,
    [60] = 0xf44f481e, 0x60010170, 0x8f4ff3bf, 0x8f6ff3bf, 0x0a00eeb0, 0x7a00eef6, 0x3011f04f, 0x3122f04f,
    0x3233f04f, 0x3344f04f, 0x3c55f04f, 0xdf07b081, 0xe8854d13, 0x466e100f, 0xed85616e, 0xedc50a06, 0xe7fe7a07,
    0x2420f04f, 0x8505f3ef, 0x5b04f844, 0xeb04f844, 0xf844466d, 0x261a5b04, 0x7b04f855, 0x7b04f844, 0xd1f93e01,
    0x21002000, 0x23002200, 0xee004684, 0xee070a10, 0x47700a90, 0xe000ed88, 0x20002100,
};

/*
 * reset:
 *     ldr r0, =0xE000E400
 *     ldr r1, =0x40208040
 *     str r1, [r0]
 *     ldr r0, =0xE000E100
 *     movs r1, #7
 *     str r1, [r0]
 *     ldr r7, =0x20002000
 *     ldr r6, =0xE000E200
 *     cpsid i
 *     movs r1, #1
 *     str r1, [r6]
 *     isb
 *     movs r0, #0x10
 *     strb r0, [r7], #1
 *     cpsie i
 *     isb
 *     movs r0, #0x11
 *     strb r0, [r7], #1
 *     movs r0, #0x40
 *     msr basepri, r0
 *     movs r1, #1
 *     str r1, [r6]
 *     isb
 *     movs r0, #0x12
 *     strb r0, [r7], #1
 *     movs r0, #0
 *     msr basepri, r0
 *     isb
 *     movs r0, #0x13
 *     strb r0, [r7], #1
 * end:
 *     b end
 * irq0:
 *     movs r0, #0xA0
 *     strb r0, [r7], #1
 *     movs r1, #2
 *     str r1, [r6]
 *     isb
 *     movs r1, #4
 *     str r1, [r6]
 *     isb
 *     movs r0, #0xA1
 *     strb r0, [r7], #1
 *     bx lr
 * irq1:
 *     movs r0, #0xB0
 *     strb r0, [r7], #1
 *     bx lr
 * irq2:
 *     movs r0, #0xC0
 *     strb r0, [r7], #1
 *     bx lr
 * pendsv:
 *     bx lr
 */
__attribute__((unused)) static const uint32_t image_nest[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [14] = 0x08000173, [16] = 0x08000145, [17] = 0x08000163, [18] = 0x0800016b,
    [60] = 0x49214820, 0x48216001, 0x60012107, 0x2720f04f, 0xb6724e1f, 0x60312101, 0x8f6ff3bf, 0xf8072010,
    0xb6620b01, 0x8f6ff3bf, 0xf8072011, 0x20400b01, 0x8811f380, 0x60312101, 0x8f6ff3bf, 0xf8072012, 0x20000b01,
    0x8811f380, 0x8f6ff3bf, 0xf8072013, 0xe7fe0b01, 0xf80720a0, 0x21020b01, 0xf3bf6031, 0x21048f6f, 0xf3bf6031,
    0x20a18f6f, 0x0b01f807, 0x20b04770, 0x0b01f807, 0x20c04770, 0x0b01f807, 0x47704770, 0xe000e400, 0x40208040,
    0xe000e100, 0xe000e200,
};

/*
 * reset:
 *     ldr r0, =0xE000E010
 *     ldr r1, =63999
 *     str r1, [r0, #4]
 *     movs r1, #0
 *     str r1, [r0, #8]
 *     movs r1, #7
 *     str r1, [r0]
 *     ldr r2, =0xE000EDFC
 *     ldr r1, =0x01000000
 *     str r1, [r2]
 *     ldr r2, =0xE0001000
 *     movs r1, #1
 *     str r1, [r2]
 *     ldr r7, =0x20002000
 *     movs r6, #0
 *     str r6, [r7]
 * sleep:
 *     wfi
 *     ldr r1, [r2, #4]
 *     str r1, [r7, #4]
 *     b sleep
 * systick:
 *     adds r6, #1
 *     str r6, [r7]
 *     bx lr
 */
__attribute__((unused)) static const uint32_t image_tick[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [15] = 0x0800011f,
    [60] = 0xf64f480c, 0x604111ff, 0x60812100, 0x60012107, 0xf04f4a09, 0x60117180, 0x21014a08, 0xf04f6011,
    0x26002720, 0xbf30603e, 0x60796851, 0x3601e7fb, 0x4770603e, 0xe000e010, 0xe000edfc, 0xe0001000,
};

/*
 * reset:
 *     ldr r7, =0x20002000
 *     ldr r6, =0xE000ED00
 *     adr r5, next1
 *     udf #1
 *     nop
 *     .align 2
 * next1:
 *     ldr r1, =0x00070000
 *     str r1, [r6, #0x24]
 *     adr r5, next2
 *     udf #2
 *     nop
 *     .align 2
 * next2:
 *     adr r5, next3
 *     mov r0, #0xA0000000
 *     ldr r0, [r0]
 *     .align 2
 * next3:
 *     adr r5, next4
 *     ldr r0, =0x47FF0000
 *     ldr r0, [r0]
 *     b .
 *     .align 2
 * next4:
 *     adr r5, next5
 *     b fpu
 * fpu:
 *     vmov s0, r0
 *     .align 2
 * next5:
 *     adr r5, next6
 *     cpsid i
 *     svc #1
 *     .align 2
 * next6:
 *     cpsie i
 *     adr r5, next7
 *     ldr r0, =0x90000001
 *     bx r0
 *     .align 2
 * next7:
 *     movs r0, #99
 *     str r0, [r7]
 * end:
 *     b end
 * trap:
 *     mrs r0, ipsr
 *     ldr r1, [r6, #0x28]
 *     str r1, [r6, #0x28]
 *     ldr r2, [r6, #0x2C]
 *     str r2, [r6, #0x2C]
 *     ldr r3, [sp, #24]
 *     stm r7!, {r0-r3}
 *     orr r5, r5, #1
 *     bic r5, r5, #1
 *     str r5, [sp, #24]
 *     bx lr
 */
__attribute__((unused)) static const uint32_t image_fault[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [3] = 0x08000137, [5] = 0x08000137, [6] = 0x08000137,
    [60] = 0x2720f04f, 0xa5014e17, 0xbf00de01, 0x21e0f44f, 0xa5016271, 0xbf00de02, 0xf04fa501, 0x68004020,
    0x4811a501, 0xe7fe6800, 0xe7ffa501, 0x0a10ee00, 0xb672a501, 0xbf00df01, 0xa501b662, 0x4700480b, 0x60382063,
    0xf3efe7fe, 0x6ab18005, 0x6af262b1, 0x9b0662f2, 0xf045c70f, 0xf0250501, 0x95060501, 0x00004770, 0xe000ed00,
    0x47ff0000, 0x90000001,
};

/*
 * reset:
 *     udf #1
 * hard:
 *     udf #2
 */
__attribute__((unused)) static const uint32_t image_lock[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [3] = 0x080000f3,
    [60] = 0xde02de01,
};

/*
 * reset:
 *     ldr r0, =0x58024400
 *     ldr r1, [r0, #0x140]
 *     orr r1, #0x10
 *     str r1, [r0, #0x140]
 *     ldr r1, [r0, #0x148]
 *     orr r1, #1
 *     str r1, [r0, #0x148]
 *     ldr r4, =0x58021000
 *     movs r1, #4
 *     str r1, [r4, #0x18]
 *     ldr r1, =0xFFFFFD5F
 *     and r1, r1, #0xFFFFFF0F
 *     orr r1, #0x50
 *     str r1, [r4]
 *     movs r0, #0x40000000
 *     movs r1, #63
 *     str r1, [r0, #0x28]
 *     movs r1, #1
 *     str r1, [r0, #0x14]
 *     movs r1, #0
 *     str r1, [r0, #0x10]
 *     movw r1, #999
 *     str r1, [r0, #0x2C]
 *     movs r1, #1
 *     str r1, [r0, #0x0C]
 *     str r1, [r0]
 *     ldr r2, =0xE000E100
 *     ldr r1, =0x10000000
 *     str r1, [r2]
 * sleep:
 *     wfi
 *     b sleep
 * tim2:
 *     movs r0, #0x40000000
 *     movs r1, #0
 *     str r1, [r0, #0x10]
 *     ldr r1, [r4, #0x14]
 *     eor r1, #8
 *     str r1, [r4, #0x14]
 *     bx lr
 */
__attribute__((unused)) static const uint32_t image_wire[] = {
    [0] = 0x20001000, [1] = 0x080000f1, [44] = 0x08000147,
    [60] = 0xf8d04819, 0xf0411140, 0xf8c00110, 0xf8d01140, 0xf0411148, 0xf8c00101, 0x4c141148, 0x61a12104,
    0x7128f46f, 0x01f0f021, 0x0150f041, 0xf05f6021, 0x213f4080, 0x21016281, 0x21006141, 0xf2406101, 0x62c131e7,
    0x60c12101, 0x4a096001, 0x5180f04f, 0xbf306011, 0xf05fe7fd, 0x21004080, 0x69616101, 0x0108f081, 0x47706161,
    0x58024400, 0x58021000, 0xe000e100,
};

/*
 * reset:
 *     ldr r0, =0x08002000
 *     ldr r1, =0x52002000
 *     movs r2, #0
 *     str r2, [r0]
 *     ldr r3, [r0]
 *     ldr r4, [r1, #0x10]
 *     ldr r5, =0x00040000
 *     str r5, [r1, #0x14]
 *     ldr r5, =0x45670123
 *     str r5, [r1, #4]
 *     ldr r5, =0xCDEF89AB
 *     str r5, [r1, #4]
 *     movs r5, #2
 *     str r5, [r1, #0xC]
 *     ldr r2, =0xF0F0F0F0
 *     str r2, [r0]
 *     str r2, [r0, #4]
 *     str r2, [r0, #8]
 *     str r2, [r0, #12]
 * wait:
 *     ldr r5, [r1, #0x10]
 *     tst r5, #4
 *     bne wait
 *     ldr r6, [r0]
 *     ldr r7, =0x20002000
 *     stm r7!, {r3-r6}
 * end:
 *     b end
 */
__attribute__((unused)) static const uint32_t image_flash[] = {
    [0] = 0x20001000, [1] = 0x080000f1,
    [60] = 0x490f480e, 0x60022200, 0x690c6803, 0x2580f44f, 0x4d0c614d, 0x4d0c604d, 0x2502604d, 0xf04f60cd,
    0x600232f0, 0x60826042, 0x690d60c2, 0x0f04f015, 0x6806d1fb, 0x2720f04f, 0xe7fec778, 0x08002000, 0x52002000,
    0x45670123, 0xcdef89ab,
};

/*
 * reset:
 *     ldr r0, =0x58024400
 *     movs r1, #8
 *     str r1, [r0, #0x140]
 *     mov r1, #0x40000
 *     str r1, [r0, #0x148]
 *     ldr r4, =0x58020C00
 *     movs r1, #0x77
 *     str r1, [r4, #0x24]
 *     ldr r1, =0xFFFAFFFF
 *     str r1, [r4]
 *     ldr r2, =0x40004800
 *     movw r1, #556
 *     str r1, [r2, #0x0C]
 *     movs r1, #13
 *     str r1, [r2]
 *     movs r1, #'O'
 *     str r1, [r2, #0x28]
 * tx:
 *     ldr r1, [r2, #0x1C]
 *     tst r1, #0x80
 *     beq tx
 *     movs r1, #'k'
 *     str r1, [r2, #0x28]
 * echo:
 *     ldr r1, [r2, #0x1C]
 *     tst r1, #0x20
 *     beq echo
 *     ldr r1, [r2, #0x24]
 *     adds r1, #1
 *     str r1, [r2, #0x28]
 *     b echo
 */
__attribute__((unused)) static const uint32_t image_uart[] = {
    [0] = 0x20001000, [1] = 0x080000f1,
    [60] = 0x21084811, 0x1140f8c0, 0x2180f44f, 0x1148f8c0, 0x21774c0e, 0xf46f6261, 0x602121a0, 0xf2404a0c,
    0x60d1212c, 0x6011210d, 0x6291214f, 0xf01169d1, 0xd0fb0f80, 0x6291216b, 0xf01169d1, 0xd0fb0f20, 0x31016a51,
    0xe7f76291, 0x58024400, 0x58020c00, 0x40004800,
};

#endif
