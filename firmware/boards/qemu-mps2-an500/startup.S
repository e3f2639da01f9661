/* SPDX-License-Identifier: MIT
 * Vector table and reset of the Arm MPS2 AN500 (Cortex-M7) as qemu models it. For tests only. */
    .syntax unified
    .cpu cortex-m7
    .thumb

    .section .vectors, "a", %progbits
    .align 2
    .word jf_stack_top
    .word board_reset
    .rept 14
    .word board_unexpected
    .endr
    .rept 64
    .word board_unexpected
    .endr

    .section .text.board_reset, "ax", %progbits
    .global board_reset
    .type board_reset, %function
    .thumb_func
board_reset:
    bl board_start
1:  b 1b
    .size board_reset, . - board_reset

    .global board_unexpected
    .type board_unexpected, %function
    .thumb_func
board_unexpected:
    b board_fault
    .size board_unexpected, . - board_unexpected
