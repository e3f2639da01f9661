/* SPDX-License-Identifier: MIT
 * First instructions on qemu's RISC-V machines, and the semihosting call (RISC-V Semihosting 0.4: the three instructions, not compressed). */
    .section .vectors, "ax", %progbits
    .global machine_entry
machine_entry:
    la sp, jf_stack_top
    la t0, machine_trapped
    csrw mtvec, t0
    j machine_start

    .align 2
machine_trapped:
    j machine_trap

    .text
    .global machine_semihosting
    .align 4
    .option push
    .option norvc
machine_semihosting:
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    ret
    .option pop
