/* SPDX-License-Identifier: GPL-2.0-or-later
 * What sim/cpu_exec.c relies on in Unicorn, pinned: another version that behaves otherwise fails here first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#define CODE 0x08000000u
#define RAM 0x20000000u

struct machine {
    uc_engine *uc;
    uint8_t *code, *ram;
    uint64_t blocks, budget;
    uint32_t intno, blamed_pc;
};

static uint32_t get(struct machine *m, int reg) {
    uint32_t v = 0;
    assert_int_equal(uc_reg_read(m->uc, reg, &v), UC_ERR_OK);
    return v;
}
static void set(struct machine *m, int reg, uint32_t v) { assert_int_equal(uc_reg_write(m->uc, reg, &v), UC_ERR_OK); }

static void on_block(uc_engine *uc, uint64_t addr, uint32_t size, void *ctx) {
    struct machine *m = ctx;
    (void)addr, (void)size;
    if (m->budget == 0) {
        (void)uc_emu_stop(uc);
        return;
    }
    m->budget--;
    m->blocks++;
}
static void on_intr(uc_engine *uc, uint32_t n, void *ctx) {
    ((struct machine *)ctx)->intno = n;
    (void)uc_emu_stop(uc);
}
static bool on_prot(uc_engine *uc, uc_mem_type t, uint64_t a, int n, int64_t v, void *ctx) {
    (void)uc, (void)t, (void)a, (void)n, (void)v, (void)ctx;
    return true;
}
static bool on_unmapped(uc_engine *uc, uc_mem_type t, uint64_t a, int n, int64_t v, void *ctx) {
    struct machine *m = ctx;
    (void)uc, (void)t, (void)a, (void)n, (void)v;
    m->blamed_pc = get(m, UC_ARM_REG_PC);
    return false;
}

static void *fn(void (*f)(void)) {
    void *p;
    memcpy(&p, &f, sizeof p);
    return p;
}
#define FN(f) fn((void (*)(void))(f))

static void machine_open(struct machine *m, const uint16_t *code, size_t bytes) {
    uc_hook h;
    memset(m, 0, sizeof *m);
    m->budget = UINT64_MAX;
    m->code = aligned_alloc(4096, 4096);
    m->ram = aligned_alloc(4096, 4096);
    memset(m->code, 0, 4096);
    memset(m->ram, 0, 4096);
    memcpy(m->code, code, bytes);
    assert_int_equal(uc_open(UC_ARCH_ARM, UC_MODE_THUMB, &m->uc), UC_ERR_OK);
    assert_int_equal(uc_ctl_set_cpu_model(m->uc, UC_CPU_ARM_CORTEX_M7), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(m->uc, CODE, 4096, UC_PROT_READ | UC_PROT_EXEC, m->code), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(m->uc, RAM, 4096, UC_PROT_ALL, m->ram), UC_ERR_OK);
    assert_int_equal(uc_hook_add(m->uc, &h, UC_HOOK_BLOCK, FN(on_block), m, (uint64_t)1, (uint64_t)0), UC_ERR_OK);
    assert_int_equal(uc_hook_add(m->uc, &h, UC_HOOK_INTR, FN(on_intr), m, (uint64_t)1, (uint64_t)0), UC_ERR_OK);
    assert_int_equal(uc_hook_add(m->uc, &h, UC_HOOK_MEM_WRITE_PROT, FN(on_prot), m, (uint64_t)1, (uint64_t)0), UC_ERR_OK);
    assert_int_equal(uc_hook_add(m->uc, &h, UC_HOOK_MEM_UNMAPPED, FN(on_unmapped), m, (uint64_t)1, (uint64_t)0), UC_ERR_OK);
}
static void machine_close(struct machine *m) {
    (void)uc_close(m->uc);
    free(m->code);
    free(m->ram);
}
static uc_err run(struct machine *m, uint32_t pc) { return uc_emu_start(m->uc, pc | 1u, 0xFFFFFFFEu, 0, 0); }

static void test_block_stop_is_exact(void **state) {
    (void)state;
    static const uint16_t code[] = {
        0x3001, /* loop: adds r0, #1 */
        0x1809, /* adds r1, r1, r0 */
        0x4290, /* cmp r0, r2 */
        0xD1FB, /* bne loop */
        0xBF30, /* wfi */
    };
    for (uint64_t slice = 1; slice < 700; slice = slice * 3 + 1) {
        struct machine m;
        machine_open(&m, code, sizeof code);
        set(&m, UC_ARM_REG_R2, 1000);
        uint32_t pc = CODE;
        for (int i = 0; i < 3000 && pc != CODE + 10; i++) {
            m.budget = slice;
            assert_int_equal(run(&m, pc), UC_ERR_OK);
            pc = get(&m, UC_ARM_REG_PC);
        }
        assert_int_equal(get(&m, UC_ARM_REG_R1), 500500); /* sum 1..1000, nothing run twice */
        assert_int_equal(m.blocks, 1001);
        machine_close(&m);
    }
}

static void test_wfi_and_wfe(void **state) {
    (void)state;
    static const uint16_t code[] = {0xBF30 /* wfi */, 0xBF20 /* wfe */, 0xBF00};
    struct machine m;
    machine_open(&m, code, sizeof code);
    assert_int_equal(run(&m, CODE), UC_ERR_OK);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE + 2);
    assert_int_equal(run(&m, CODE + 2), UC_ERR_INSN_INVALID);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE + 4); /* after it, unlike an undefined instruction */
    machine_close(&m);
}

static void test_undefined_leaves_pc(void **state) {
    (void)state;
    static const uint16_t code[] = {0xBF00, 0xDE01 /* udf #1 */};
    struct machine m;
    machine_open(&m, code, sizeof code);
    assert_int_equal(run(&m, CODE), UC_ERR_INSN_INVALID);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE + 2);
    machine_close(&m);
}

static void test_protected_store_lands(void **state) {
    (void)state;
    static const uint16_t code[] = {0x6001 /* str r1, [r0] */, 0xBF30};
    struct machine m;
    machine_open(&m, code, sizeof code);
    set(&m, UC_ARM_REG_R0, CODE + 0x100);
    set(&m, UC_ARM_REG_R1, 0x12345678);
    assert_int_equal(run(&m, CODE), UC_ERR_OK);
    uint32_t v;
    memcpy(&v, m.code + 0x100, 4);
    assert_int_equal(v, 0x12345678);
    machine_close(&m);
}

static void test_fault_pc_is_block_start(void **state) {
    (void)state;
    static const uint16_t code[] = {0x2301 /* movs r3, #1 */, 0x6801 /* ldr r1, [r0] */, 0xBF30};
    struct machine m;
    machine_open(&m, code, sizeof code);
    set(&m, UC_ARM_REG_R0, 0xA0000000u);
    assert_int_equal(run(&m, CODE), UC_ERR_READ_UNMAPPED);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE);
    assert_int_equal(get(&m, UC_ARM_REG_R3), 1);
    machine_close(&m);
}

static void test_exceptions(void **state) {
    (void)state;
    static const uint16_t code[] = {0xDF03 /* svc #3 */, 0xBE01 /* bkpt #1 */, 0x4770 /* bx lr */};
    struct machine m;
    machine_open(&m, code, sizeof code);
    assert_int_equal(run(&m, CODE), UC_ERR_OK);
    assert_int_equal(m.intno, 2);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE + 2);
    assert_int_equal(run(&m, CODE + 2), UC_ERR_OK);
    assert_int_equal(m.intno, 7);
    assert_int_equal(get(&m, UC_ARM_REG_PC), CODE + 2);
    set(&m, UC_ARM_REG_XPSR, 0x0100000Bu);
    set(&m, UC_ARM_REG_LR, 0xFFFFFFF9u);
    assert_int_equal(run(&m, CODE + 4), UC_ERR_OK);
    assert_int_equal(m.intno, 3); /* a prefetch abort, not 8 as on other models */
    assert_int_equal(get(&m, UC_ARM_REG_PC), 0xFFFFFFF8u);
    machine_close(&m);
}

static void test_stacks_follow_mode(void **state) {
    (void)state;
    static const uint16_t code[] = {0xBF30};
    struct machine m;
    machine_open(&m, code, sizeof code);
    set(&m, UC_ARM_REG_XPSR, 0x01000000u);
    set(&m, UC_ARM_REG_MSP, RAM + 0x100);
    set(&m, UC_ARM_REG_PSP, RAM + 0x200);
    set(&m, UC_ARM_REG_CONTROL, 2);
    assert_int_equal(get(&m, UC_ARM_REG_SP), RAM + 0x200);
    set(&m, UC_ARM_REG_XPSR, 0x0100000Fu);
    assert_int_equal(get(&m, UC_ARM_REG_SP), RAM + 0x100);
    set(&m, UC_ARM_REG_XPSR, 0x01000000u);
    assert_int_equal(get(&m, UC_ARM_REG_SP), RAM + 0x200);
    machine_close(&m);
}

static void test_double_precision(void **state) {
    (void)state;
    static const uint16_t code[] = {0xEE30, 0x0B01 /* vadd.f64 d0, d0, d1 */, 0xBF30};
    struct machine m;
    machine_open(&m, code, sizeof code);
    double a = 1.5;
    double b = 2.25;
    assert_int_equal(uc_reg_write(m.uc, UC_ARM_REG_D0, &a), UC_ERR_OK);
    assert_int_equal(uc_reg_write(m.uc, UC_ARM_REG_D1, &b), UC_ERR_OK);
    assert_int_equal(run(&m, CODE), UC_ERR_OK);
    assert_int_equal(uc_reg_read(m.uc, UC_ARM_REG_D0, &a), UC_ERR_OK);
    assert_true(a == 3.75); // NOLINT: exact in binary
    machine_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_stop_is_exact),   cmocka_unit_test(test_wfi_and_wfe), cmocka_unit_test(test_undefined_leaves_pc),
        cmocka_unit_test(test_protected_store_lands), cmocka_unit_test(test_exceptions),  cmocka_unit_test(test_fault_pc_is_block_start),
        cmocka_unit_test(test_stacks_follow_mode),    cmocka_unit_test(test_double_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
