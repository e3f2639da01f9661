/* SPDX-License-Identifier: GPL-2.0-or-later
 * The flash controller against RM0455 section 4: keys, NOR behaviour, error flags, durations, stores by the core. */
#include "tests/unit/sim/board_rig.h"

#define SR FLASH_REG(0x10)
#define CR FLASH_REG(0x0C)
#define KEYR FLASH_REG(0x04)
#define CCR FLASH_REG(0x14)
#define PGSERR (1u << 18)
#define INCERR (1u << 21)

static struct rig *unlocked(void) {
    struct rig *r = rig_new(3.3, true);
    rig_program(r, image_count, sizeof image_count);
    rig_poke(r, KEYR, 0x45670123u);
    rig_poke(r, KEYR, 0xCDEF89ABu);
    return r;
}
static void put(struct rig *r, uint32_t addr, uint32_t v) {
    for (uint32_t i = 0; i < 4; i++) {
        rig_poke(r, addr + 4 * i, v);
    }
}

static void test_keys(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    rig_run(r, US);
    assert_int_equal(rig_word(r, CR) & 1u, 1u);
    rig_poke(r, CR, 2u); /* locked: ignored */
    assert_int_equal(rig_word(r, CR), 1u);
    rig_poke(r, KEYR, 0x45670123u);
    rig_poke(r, KEYR, 0xCDEF89ABu);
    assert_int_equal(rig_word(r, CR) & 1u, 0);
    rig_poke(r, CR, 1u);
    rig_poke(r, KEYR, 0xCDEF89ABu); /* wrong order: locked until reset */
    rig_poke(r, KEYR, 0x45670123u);
    rig_poke(r, KEYR, 0xCDEF89ABu);
    assert_int_equal(rig_word(r, CR) & 1u, 1u);
    rig_free(r);
}

static void test_nor(void **state) {
    (void)state;
    struct rig *r = unlocked();
    rig_poke(r, CR, 2u);
    put(r, 0x08004000u, 0xFF00FF00u);
    assert_int_equal(rig_word(r, SR) & 5u, 5u); /* BSY, QW */
    rig_run(r, 19 * US);
    assert_int_equal(rig_word(r, SR) & 5u, 5u);
    rig_run(r, 2 * US);
    assert_int_equal(rig_word(r, SR) & 5u, 0);
    assert_int_equal(rig_word(r, 0x08004000u), 0xFF00FF00u);
    put(r, 0x08004000u, 0x0FFF0FFFu);
    rig_run(r, 30 * US);
    assert_int_equal(rig_word(r, 0x08004000u), 0x0F000F00u); /* only clears */
    rig_poke(r, CR, 4u | 0x20u | 2u << 6); /* sector 2 */
    rig_run(r, 1900 * US);
    assert_int_equal(rig_word(r, SR) & 1u, 1u);
    rig_run(r, 200 * US);
    assert_int_equal(rig_word(r, SR) & 1u, 0);
    assert_int_equal(rig_word(r, 0x08004000u), 0xFFFFFFFFu);
    rig_free(r);
}

static void test_errors(void **state) {
    (void)state;
    struct rig *r = unlocked();
    rig_poke(r, 0x08004000u, 0); /* PG is clear */
    assert_int_equal(rig_word(r, SR) & PGSERR, PGSERR);
    assert_int_equal(rig_word(r, 0x08004000u), 0xFFFFFFFFu);
    rig_poke(r, CCR, PGSERR);
    assert_int_equal(rig_word(r, SR) & PGSERR, 0);
    rig_poke(r, CR, 2u);
    rig_poke(r, 0x08004000u, 0);
    assert_int_equal(rig_word(r, SR) & 2u, 2u); /* WBNE: the word is not full */
    rig_poke(r, 0x08004020u, 0); /* another flash word */
    assert_int_equal(rig_word(r, SR) & INCERR, INCERR);
    rig_poke(r, CCR, INCERR);
    rig_poke(r, CR, 2u | 0x10u); /* FW forces the rest as ones */
    rig_run(r, 30 * US);
    assert_int_equal(rig_word(r, 0x08004000u), 0);
    assert_int_equal(rig_word(r, 0x08004004u), 0xFFFFFFFFu);
    rig_free(r);
}

static void test_banks_and_identity(void **state) {
    (void)state;
    struct rig *r = unlocked();
    rig_poke(r, FLASH_REG(0x104), 0x45670123u);
    rig_poke(r, FLASH_REG(0x104), 0xCDEF89ABu);
    rig_poke(r, FLASH_REG(0x10C), 2u);
    put(r, 0x08100000u, 0x12345678u);
    rig_run(r, 30 * US);
    assert_int_equal(rig_word(r, 0x08100000u), 0x12345678u);
    assert_int_equal(rig_word(r, FLASH_REG(0x110)) & 0x0FFE0007u, 0);
    rig_poke(r, FLASH_REG(0x10C), 8u | 0x20u); /* bank erase */
    rig_run(r, 11 * MS);
    assert_int_equal(rig_word(r, 0x08100000u), 0xFFFFFFFFu);
    assert_int_equal(rig_word(r, 0x08000004u), 0x080000F1u); /* the other bank is untouched */
    assert_int_equal(rig_word(r, 0x08FFF80Cu) & 0xFFFFu, 2048);
    rig_free(r);
}

/* The core's own stores: the first with the controller locked, then a flash word programmed properly. */
static void test_core_stores(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    RIG_START(r, flash);
    rig_run(r, 2 * MS);
    assert_int_equal(rig_word(r, 0x20002004u) & PGSERR, PGSERR);
    assert_int_equal(rig_word(r, 0x20002008u) & 5u, 0); /* waited for */
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(rig_word(r, 0x08002000u + 4 * i), 0xF0F0F0F0u);
    }
    assert_int_equal(rig_word(r, 0x2000200Cu), 0xF0F0F0F0u);
    rig_free(r);
}

static void test_faults(void **state) {
    (void)state;
    struct rig *r = unlocked();
    struct err e;
    json_t *once = json_pack("{s:i}", "count", 1);
    rig_poke(r, CR, 2u);
    assert_int_equal(faults_set(r->faults, "verify-mismatch", true, once, &e), 0);
    put(r, 0x08004000u, 0x55555555u);
    rig_run(r, 30 * US);
    assert_int_equal(__builtin_popcount(rig_word(r, 0x08004000u) ^ 0x55555555u), 1);
    assert_int_equal(faults_set(r->faults, "flash-error", true, once, &e), 0);
    put(r, 0x08004010u, 0x55555555u);
    assert_int_equal(rig_word(r, SR) & PGSERR, PGSERR);
    assert_int_equal(faults_set(r->faults, "chip-id", true, NULL, &e), 0);
    assert_int_equal(rig_word(r, 0x5C001000u) & 0xFFFu, 0x450u);
    json_decref(once);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_nor),    cmocka_unit_test(test_errors), cmocka_unit_test(test_banks_and_identity),
        cmocka_unit_test(test_core_stores), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
