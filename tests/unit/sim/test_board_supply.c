/* SPDX-License-Identifier: GPL-2.0-or-later
 * Supply, reset causes, what survives what, markers and charge of the board. Reset flags: RM0455, RCC_RSR. */
#include "tests/unit/sim/board_rig.h"

#include <math.h>

#include "sim/board_impl.h"

#define RSR 0x58024530u
#define DBG_CR 0x5C001004u

static void test_reset_causes(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    assert_int_equal(rig_word(r, RSR), 0x00E80000u); /* the register's value after power-on */
    rig_poke(r, RSR, 0x00010000u); /* RMVF */
    assert_int_equal(rig_word(r, RSR), 0);
    rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
    assert_int_equal(rig_word(r, RSR), 0x01400000u); /* SFTRSTF, PINRSTF */
    rig_poke(r, RSR, 0x00010000u);
    board_nrst(r->board, true);
    board_nrst(r->board, false);
    assert_int_equal(rig_word(r, RSR), 0x00400000u);
    rig_poke(r, RSR, 0x00010000u);
    elec_supply_set(r->elec, true, 1.5);
    rig_run(r, MS);
    assert_int_equal(cm7_state(board_cpu(r->board)), CPU_HELD);
    elec_supply_set(r->elec, true, 3.3);
    rig_run(r, MS);
    assert_int_equal(rig_word(r, RSR), 0x00600000u); /* BORRSTF, PINRSTF */
    rig_free(r);
}

static void test_debug_domain(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    assert_int_equal(rig_word(r, 0x5C001000u), 0x10006480u);
    rig_poke(r, DBG_CR, 0x00700007u);
    rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
    rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
    rig_run(r, MS);
    assert_int_equal(rig_word(r, DBG_CR), 0x00700007u); /* survives a system reset */
    assert_int_equal(rig_word(r, 0xE000EDF0u) & 1u, 1u);
    elec_supply_set(r->elec, false, 3.3);
    rig_run(r, MS);
    assert_false(board_powered(r->board));
    elec_supply_set(r->elec, true, 3.3);
    rig_run(r, MS);
    assert_int_equal(rig_word(r, DBG_CR), 0);
    assert_int_equal(rig_word(r, 0xE000EDF0u) & 1u, 0);
    assert_int_equal(rig_word(r, RSR), 0x00E80000u);
    rig_free(r);
}

static void test_off_is_silent(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, wire);
    rig_run(r, 5 * MS);
    assert_true(r->seen.n_markers > 3);
    rig_poke(r, 0x20003000u, 0xCAFE0001u);
    elec_supply_set(r->elec, false, 3.3);
    rig_run(r, MS);
    size_t n = r->seen.n_markers;
    struct elec_totals a;
    struct elec_totals b;
    elec_totals_now(r->elec, &a);
    rig_run(r, 10 * MS);
    elec_totals_now(r->elec, &b);
    assert_int_equal(r->seen.n_markers, n);
    assert_true(elec_sum_diff(b.load_c, a.load_c) == 0.0); // NOLINT: nothing is drawn
    elec_supply_set(r->elec, true, 3.3);
    rig_run(r, 5 * MS);
    assert_true(rig_word(r, 0x20003000u) != 0xCAFE0001u); /* RAM is lost, flash is not */
    assert_true(r->seen.n_markers > n);
    rig_free(r);
}

/* TIM2 at 1 MHz, ARR 999: an edge of line 1 each millisecond, however the time is sliced. */
static void test_marker_times(void **state) {
    (void)state;
    int64_t first[20];
    for (int k = 0; k < 3; k++) {
        struct rig *r = rig_new(3.3, true);
        RIG_START(r, wire);
        for (int i = 0; i < (k == 0 ? 15 : k == 1 ? 150 : 15000); i++) {
            rig_run(r, k == 0 ? MS : k == 1 ? 100 * US : US);
        }
        assert_true(r->seen.n_markers >= 12);
        size_t m = r->seen.n_markers - 12; /* the first ones are the power-up of the pins */
        for (size_t i = 0; i < 11; i++) {
            int64_t d = r->seen.marker_ps[m + i + 1] - r->seen.marker_ps[m + i];
            assert_int_equal(d, MS);
            assert_int_equal(r->seen.marker[m + i] ^ r->seen.marker[m + i + 1], 2u);
        }
        int64_t last = r->seen.marker_ps[r->seen.n_markers - 1];
        first[k] = last % MS;
        rig_free(r);
    }
    assert_true(llabs(first[0] - first[1]) < US && llabs(first[1] - first[2]) < US);
}

/* Charge = base current x time + the executed instructions, to rounding. */
static void test_charge(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count); /* halted: base current alone */
    struct board_info i;
    struct elec_totals a;
    struct elec_totals b;
    rig_run(r, MS);
    board_info_get(r->board, &i);
    elec_totals_now(r->elec, &a);
    int64_t t = board_now_ps(r->board);
    rig_run(r, 20 * MS);
    elec_totals_now(r->elec, &b);
    double want = i.base_a * (double)(board_now_ps(r->board) - t) * 1e-12;
    assert_true(fabs(elec_sum_diff(b.load_c, a.load_c) - want) < 1e-9 * want);
    rig_poke(r, 0xE000EDF0u, 0xA05F0001u);
    board_info_get(r->board, &i);
    elec_totals_now(r->elec, &a);
    t = board_now_ps(r->board);
    uint64_t q = cm7_charge(board_cpu(r->board));
    rig_run(r, 20 * MS);
    elec_totals_now(r->elec, &b);
    want = i.base_a * (double)(board_now_ps(r->board) - t) * 1e-12 + (double)(cm7_charge(board_cpu(r->board)) - q) * 1e-14;
    assert_true(fabs(elec_sum_diff(b.load_c, a.load_c) - want) < 1e-9 * want);
    rig_free(r);
}

/* The orders of DS13195: some ten milliampere running at 64 MHz, a few in Sleep, more with the debugger's bits. */
static void test_magnitudes(void **state) {
    (void)state;
    struct board_power p = {.powered = true, .state = CPU_SLEEP, .core_hz = 64000000, .gates = 4};
    double asleep = board_power_a(&p);
    assert_true(asleep > 1e-3 && asleep < 5e-3);
    p.debug_enabled = true;
    p.dbgmcu_cr = 0x00700007u; /* what OpenOCD's stm32h7x.cfg leaves behind */
    assert_true(board_power_a(&p) > asleep + 1e-3);
    p = (struct board_power){.powered = true, .state = CPU_DEEP, .core_hz = 64000000};
    assert_true(board_power_a(&p) < 200e-6);
    p.powered = false;
    assert_true(board_power_a(&p) == 0.0); // NOLINT
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, count);
    rig_run(r, MS);
    struct elec_totals a;
    struct elec_totals b;
    elec_totals_now(r->elec, &a);
    rig_run(r, 10 * MS);
    elec_totals_now(r->elec, &b);
    double running = elec_sum_diff(b.load_c, a.load_c) / 10e-3;
    assert_true(running > 5e-3 && running < 25e-3);
    rig_free(r);
}

/* 64 MHz / 556 = 115108 Bd, 8N1: 10 bits are 86.875 us. */
static void test_uart(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, uart);
    rig_run(r, MS);
    assert_int_equal(r->sent.n, 2);
    assert_memory_equal(r->sent.byte, "Ok", 2);
    assert_true(llabs(r->sent.at_ps[1] - r->sent.at_ps[0] - 86875000) <= 15625 * 40);
    for (int i = 0; i < 10; i++) {
        board_uart_put(r->board, (uint8_t)('0' + i));
    }
    rig_run(r, 2 * MS); /* back to back, echoed plus one */
    assert_int_equal(r->sent.n, 12);
    assert_memory_equal(r->sent.byte + 2, "123456789:", 10);
    bool busy = false;
    for (size_t i = 0; i < r->seen.n_notes; i++) {
        busy |= r->seen.note[i] == ELEC_UART_BUSY;
    }
    assert_true(busy);
    rig_free(r);
}

/* SLEEPDEEP: TIM2 stands still, nothing wakes the core; with DBG_STOP it goes on. */
static void test_stop(void **state) {
    (void)state;
    for (int debug = 0; debug < 2; debug++) {
        struct rig *r = rig_new(3.3, true);
        RIG_START(r, wire);
        rig_run(r, 5 * MS);
        rig_poke(r, DBG_CR, debug ? 2u : 0);
        rig_poke(r, 0xE000ED10u, 4u);
        rig_run(r, 2 * MS);
        size_t n = r->seen.n_markers;
        struct elec_totals a;
        struct elec_totals b;
        elec_totals_now(r->elec, &a);
        rig_run(r, 10 * MS);
        elec_totals_now(r->elec, &b);
        double mean_a = elec_sum_diff(b.load_c, a.load_c) / 10e-3;
        assert_int_equal(r->seen.n_markers - n, debug ? 10 : 0);
        assert_true(debug ? mean_a > 1e-3 : mean_a < 100e-6);
        rig_free(r);
    }
}

static void test_pins(void **state) {
    (void)state;
    static const char *const bad[] = {"PE16", "PL1", "E2", "PE", "PE2,,PE3", "PE2;PE3", "PA0,PA1,PA2,PA3,PA4,PA5,PA6,PA7,PA8"};
    struct board_pin p[BOARD_MARKERS];
    size_t n = 0;
    struct err e;
    assert_int_equal(board_pins_parse("PE2,PK15", p, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(p[1].port, 10);
    assert_int_equal(p[1].pin, 15);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(board_pins_parse(bad[i], p, &n, &e), JF_E_INVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_causes), cmocka_unit_test(test_debug_domain), cmocka_unit_test(test_off_is_silent),
        cmocka_unit_test(test_marker_times), cmocka_unit_test(test_charge),       cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_uart),         cmocka_unit_test(test_pins),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
