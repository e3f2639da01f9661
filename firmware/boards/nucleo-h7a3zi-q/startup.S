/* SPDX-License-Identifier: MIT
 * Vector table and first instructions of the STM32H7A3 (RM0455: 155 interrupts; PM0253: exceptions).
 *
 * After a power-on the chip is in Run* mode: the supply configuration is not chosen yet and RAM must not be written until PWR_CSR1.ACTVOSRDY says
 * that the voltage is right (RM0455 6.4, "power supply configuration"). So the first instructions use registers only. The NUCLEO-H7A3ZI-Q feeds the
 * core from the internal SMPS directly (UM2408): CR3.SMPSEN = 1, LDOEN = BYPASS = 0. The bits take one write per power-on and ignore the others.
 * Voltage scaling stays VOS3, the reset value: up to 88 MHz. The wait is bounded: a board that never becomes ready would otherwise hang mute. */
    .syntax unified
    .cpu cortex-m7
    .thumb

    .section .vectors, "a", %progbits
    .align 2
    .global board_vectors
board_vectors:
    .word jf_stack_top
    .word board_reset
    .word board_nmi
    .word board_hard_fault
    .word board_mem_fault
    .word board_bus_fault
    .word board_usage_fault
    .word 0, 0, 0, 0
    .word board_unexpected          /* SVCall */
    .word board_unexpected          /* debug monitor */
    .word 0
    .word board_unexpected          /* PendSV */
    .word board_unexpected          /* SysTick */
    .rept 28                        /* interrupts 0..27 */
    .word board_unexpected
    .endr
    .word board_tim2_isr            /* 28 */
    .rept 10                        /* 29..38 */
    .word board_unexpected
    .endr
    .word board_usart3_isr          /* 39 */
    .rept 115                       /* 40..154 */
    .word board_unexpected
    .endr

    .section .text.board_reset, "ax", %progbits
    .global board_reset
    .type board_reset, %function
    .thumb_func
board_reset:
    cpsid i
    ldr r0, =0x58024800             /* PWR */
    ldr r1, [r0, #0x0C]             /* CR3 */
    bic r1, r1, #0x3F               /* SMPSLEVEL, SMPSEXTHP, SMPSEN, LDOEN, BYPASS */
    orr r1, r1, #0x04               /* SMPSEN */
    str r1, [r0, #0x0C]
    ldr r2, =1000000
1:  ldr r1, [r0, #0x04]             /* CSR1 */
    tst r1, #0x2000                 /* ACTVOSRDY */
    bne 2f
    subs r2, r2, #1
    bne 1b
2:  ldr r0, =jf_stack_top
    mov sp, r0
    bl board_start
3:  b 3b
    .size board_reset, . - board_reset

/* Faults: the exception frame and a name to board_fault, which reports and resets. The frame may lie on a broken stack, so the stack is given back first. */
    .macro fault entry, text
    .section .text.\entry, "ax", %progbits
    .global \entry
    .type \entry, %function
    .thumb_func
\entry:
    mrs r0, msp
    ldr r1, =9f
    ldr r2, =jf_stack_top
    mov sp, r2
    b board_fault
    .align 2
9:  .asciz "\text"
    .align 2
    .size \entry, . - \entry
    .endm

    fault board_nmi, "nmi"
    fault board_hard_fault, "hardfault"
    fault board_mem_fault, "memmanage"
    fault board_bus_fault, "busfault"
    fault board_usage_fault, "usagefault"
    fault board_unexpected, "interrupt"
