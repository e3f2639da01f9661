/* SPDX-License-Identifier: GPL-2.0-or-later
 * The core: counts, exceptions, priorities, SysTick, faults, debug. Expected values: the programs' own arithmetic and
 * ARM DDI 0403E. */
#include "tests/unit/sim/board_rig.h"

static void test_count_is_slice_independent(void **state) {
    (void)state;
    static const int64_t slices[] = {1 * US, 7 * US, 100 * US, 1 * MS};
    for (size_t k = 0; k < sizeof slices / sizeof *slices; k++) {
        struct rig *r = rig_new(3.3, true);
        rig_program(r, image_count, sizeof image_count);
        uint64_t before = cm7_instructions(board_cpu(r->board));
        rig_poke(r, 0xE000EDF0u, 0xA05F0000u);
        rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
        int64_t t0 = board_now_ps(r->board);
        for (int64_t t = 0; t < 3 * MS; t += slices[k]) {
            board_run_until(r->board, t0 + t);
        }
        rig_poke(r, 0xE000EDF0u, 0xA05F0003u);
        struct cpu *c = board_cpu(r->board);
        assert_int_equal(cm7_reg_read(c, 0), 10000);
        assert_int_equal((int32_t)cm7_reg_read(c, 2), 5000 - 2 * 5000);
        /* 3 before the loop, 7 a turn (IT counts, a skipped instruction too), then the branch to itself: 1 each */
        uint64_t n = cm7_instructions(c) - before;
        uint64_t spin = cm7_cycles(c) - (uint64_t)(t0 / 15625) - 70003;
        assert_true(n > 70003 && n - 70003 <= spin);
        rig_free(r);
    }
}

static void test_it_block_counts_every_instruction(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    rig_poke(r, 0xE000ED14u, 0x00060200u | 1u << 17); /* instruction cache: no fetch waits */
    struct cpu *c = board_cpu(r->board);
    cm7_reg_write(c, 15, 0x080000F0u);
    uint64_t i0 = cm7_instructions(c);
    uint64_t c0 = cm7_cycles(c);
    rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
    board_run_until(r->board, board_now_ps(r->board) + (70003 + 500) * INT64_C(15625));
    assert_int_equal(cm7_instructions(c) - i0, 70003 + 500); /* the spin is one instruction a block */
    assert_int_equal(cm7_cycles(c) - c0, 70003 + 500);
    assert_int_equal(cm7_reg_read(c, 0), 10000);
    rig_free(r);
}

static void test_svc_frame(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, svc);
    rig_run(r, MS);
    assert_int_equal(rig_word(r, 0x20002000u), 11); /* IPSR */
    assert_int_equal(rig_word(r, 0x20002004u), 0xFFFFFFE9u); /* thread, MSP, extended frame */
    uint32_t sp = rig_word(r, 0x20002008u);
    assert_int_equal(sp, (0x20001000u - 4 - 0x68) & ~7u);
    static const uint32_t frame[] = {0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x55555555, 0xFFFFFFFF, 0x08000120};
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(rig_word(r, 0x2000200Cu + 4 * i), frame[i]);
    }
    uint32_t xpsr = rig_word(r, 0x2000200Cu + 28);
    assert_int_equal(xpsr & 0x010003FFu, 0x01000200u); /* T, aligned by a word, no exception */
    assert_int_equal(rig_word(r, 0x2000200Cu + 32), 0x40000000u); /* s0 = 2.0 */
    assert_int_equal(rig_word(r, 0x2000200Cu + 32 + 60), 0x3F000000u); /* s15 = 0.5 */
    for (uint32_t i = 0; i < 5; i++) { /* restored by the return */
        assert_int_equal(rig_word(r, 0x20002100u + 4 * i), frame[i]);
    }
    assert_int_equal(rig_word(r, 0x20002114u), 0x20001000u - 4);
    assert_int_equal(rig_word(r, 0x20002118u), 0x40000000u);
    assert_int_equal(rig_word(r, 0x2000211Cu), 0x3F000000u);
    rig_free(r);
}

/* Priorities: irq0 40, irq1 80, irq2 20. irq0 under PRIMASK waits; inside it irq1 waits, irq2 preempts; under BASEPRI
 * 40 irq0 waits again. */
static void test_nesting(void **state) {
    (void)state;
    static const uint8_t want[] = {0x10, 0xA0, 0xC0, 0xA1, 0xB0, 0x11, 0x12, 0xA0, 0xC0, 0xA1, 0xB0, 0x13};
    uint8_t got[sizeof want];
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, nest);
    rig_run(r, MS);
    assert_true(board_mem_read(r->board, 0x20002000u, 1, got, sizeof got));
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(cm7_reg_read(board_cpu(r->board), 13), 0x20001000u);
    rig_free(r);
}

static void test_systick_in_sleep(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, tick);
    rig_run(r, 50 * MS + 500 * US); /* LOAD 63999 at 64 MHz: one a millisecond */
    assert_int_equal(rig_word(r, 0x20002000u), 50);
    assert_true(rig_word(r, 0x20002004u) < 50 * 200); /* CYCCNT stands still in Sleep */
    size_t sleeps = 0;
    for (size_t i = 0; i < r->seen.n_notes; i++) {
        sleeps += r->seen.note[i] == ELEC_SLEEP;
    }
    assert_true(sleeps >= 20); /* the record holds 64 notes */
    rig_free(r);
}

static void test_faults_and_escalation(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, fault);
    rig_run(r, MS);
    static const struct {
        uint32_t exc, cfsr, hfsr, pc;
        bool block_pc; /* the emulator names the block's start */
    } want[] = {
        {3, 0x00010000u, 0x40000000u, 0x080000F8u, false}, /* udf: UsageFault is off, so HardFault, FORCED */
        {6, 0x00010000u, 0, 0x08000104u, false}, /* UNDEFINSTR */
        {5, 0x00008200u, 0, 0x0800010Eu, false}, /* PRECISERR, BFARVALID: unmapped */
        {5, 0x00008200u, 0, 0, true}, /* a bus without slave */
        {6, 0x00080000u, 0, 0x0800011Cu, false}, /* NOCP: CPACR is 0 */
        {3, 0, 0x40000000u, 0, true}, /* SVC under PRIMASK */
        {5, 0x00000100u, 0, 0x90000000u, false}, /* IBUSERR: jump into nothing */
    };
    for (uint32_t i = 0; i < sizeof want / sizeof *want; i++) {
        uint32_t at = 0x20002000u + 16 * i;
        assert_int_equal(rig_word(r, at), want[i].exc);
        assert_int_equal(rig_word(r, at + 4), want[i].cfsr);
        assert_int_equal(rig_word(r, at + 8), want[i].hfsr);
        if (!want[i].block_pc) {
            assert_int_equal(rig_word(r, at + 12), want[i].pc);
        }
    }
    assert_int_equal(rig_word(r, 0x20002000u + 16 * 7), 99);
    rig_free(r);
}

static void test_lockup_and_empty_flash(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_run(r, MS);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_LOCKUP); /* vectors FFFFFFFF */
    assert_int_equal(rig_word(r, 0xE000EDF0u) >> 19 & 1u, 1);
    RIG_START(r, lock);
    rig_run(r, MS);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_LOCKUP); /* a fault inside HardFault */
    rig_poke(r, 0xE000EDF0u, 0xA05F0003u); /* a debugger can still halt it */
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_HALTED);
    rig_free(r);
}

/* Execution from device memory: never allowed, no side effect of the fetch. */
static void test_execute_never(void **state) {
    (void)state;
    static const uint32_t where[] = {0x40004824u, 0x58021000u, 0xE000ED00u};
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        struct rig *r = rig_new(3.3, true);
        rig_program(r, image_fault, sizeof image_fault);
        rig_poke(r, 0xE000EDFCu, 0x01000401u); /* VC_HARDERR, VC_CORERESET */
        rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
        cm7_reg_write(board_cpu(r->board), 15, where[i]);
        rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
        rig_run(r, 10 * US);
        assert_int_equal(cm7_state(board_cpu(r->board)), CPU_HALTED);
        assert_int_equal(rig_word(r, 0xE000ED28u) & 0x100u, 0x100u); /* IBUSERR */
        assert_int_equal(rig_word(r, 0xE000ED2Cu), 0x40000000u);
        rig_free(r);
    }
}

/* OpenOCD's `reset run`: the resumed core may have halted again just before; a reset clears C_HALT. */
static void test_reset_runs(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_HALTED);
    rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_RUN);
    board_nrst(r->board, true); /* connect under reset: C_HALT set while it is held */
    rig_poke(r, 0xE000EDF0u, 0xA05F0003u);
    board_nrst(r->board, false);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_HALTED);
    assert_int_equal(cm7_reg_read(board_cpu(r->board), 15), 0x080000F0u);
    rig_free(r);
}

static void test_step_and_breakpoint(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    rig_poke(r, 0xE000EDFCu, 0x01000001u); /* VC_CORERESET */
    rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
    struct cpu *c = board_cpu(r->board);
    assert_int_equal(cm7_state(c), CPU_HALTED);
    assert_int_equal(cm7_reg_read(c, 15), 0x080000F0u); /* before the first instruction */
    assert_int_equal(rig_word(r, 0xE000ED30u) & 8u, 8u);
    rig_poke(r, 0xE000EDF0u, 0xA05F000Du); /* C_STEP, C_MASKINTS: done at once */
    assert_int_equal(cm7_reg_read(c, 15), 0x080000F2u);
    rig_poke(r, 0xE000EDF0u, 0xA05F000Du);
    assert_int_equal(cm7_reg_read(c, 15), 0x080000F6u);
    rig_poke(r, 0xE0002008u, 0x080000F8u | 1u); /* loop */
    rig_poke(r, 0xE0002000u, 3u);
    for (uint32_t turn = 0; turn < 4; turn++) {
        rig_poke(r, 0xE0002008u, 0);
        rig_poke(r, 0xE000EDF0u, 0xA05F000Du);
        rig_poke(r, 0xE0002008u, 0x080000F8u | 1u);
        rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
        rig_run(r, 10 * US);
        assert_int_equal(cm7_state(c), CPU_HALTED);
        assert_int_equal(cm7_reg_read(c, 15), 0x080000F8u);
        assert_int_equal(cm7_reg_read(c, 0), turn);
        assert_int_equal(rig_word(r, 0xE000ED30u) & 2u, 2u);
    }
    rig_poke(r, 0xE0002008u, 0); /* on to the end, on the other engine */
    rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
    rig_run(r, 3 * MS);
    assert_int_equal(cm7_reg_read(c, 0), 10000);
    assert_int_equal((int32_t)cm7_reg_read(c, 2), -5000);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_is_slice_independent),
        cmocka_unit_test(test_it_block_counts_every_instruction),
        cmocka_unit_test(test_svc_frame),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_systick_in_sleep),
        cmocka_unit_test(test_faults_and_escalation),
        cmocka_unit_test(test_lockup_and_empty_flash),
        cmocka_unit_test(test_step_and_breakpoint),
        cmocka_unit_test(test_reset_runs),
        cmocka_unit_test(test_execute_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
