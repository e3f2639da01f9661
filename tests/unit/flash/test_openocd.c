/* SPDX-License-Identifier: GPL-2.0-or-later
 * Unit tests of the OpenOCD runner: configuration, command lines, output, and the life of a child that is a shell
 * script playing the bad tool. Output lines are OpenOCD 0.12.0's, as printed by Debian's package. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/flash/openocd/openocd.h"

#define PROBE "{\"adapter\":\"st-link-tcp\",\"serial\":\"VB01\",\"tcp_port\":7184}"
#define BOARD                                                                                                           \
    "{\"target_script\":\"target/stm32h7x_dual_bank.cfg\",\"chip_id\":{\"address\":\"0x5C001000\",\"value\":"           \
    "\"0x10006480\"},\"debug_clear\":[{\"address\":\"0x5C001004\",\"value\":0}]}"

static int parse(const char *probe, const char *board, struct openocd_conf *c, struct err *e) {
    json_t *p = json_loads(probe, 0, NULL), *b = json_loads(board, 0, NULL);
    assert_non_null(p);
    assert_non_null(b);
    int r = openocd_conf_parse(p, b, c, e);
    json_decref(p);
    json_decref(b);
    return r;
}

static void test_conf(void **state) {
    (void)state;
    struct openocd_conf c;
    struct err e = {0};
    assert_int_equal(parse(PROBE, BOARD, &c, &e), 0);
    assert_int_equal(c.tcp_port, 7184);
    assert_int_equal(c.id_value, 0x10006480);
    assert_int_equal(c.clear[0].address, 0x5C001004);
}

static void test_conf_refuses(void **state) {
    (void)state;
    static const struct {
        const char *probe, *board, *field;
    } rows[] = {
        {"{\"adapter\":\"st-link-tcp\",\"serial\":\"x[exec id]\",\"tcp_port\":1}", BOARD, "serial"},
        {"{\"adapter\":\"st-link-tcp\",\"serial\":\"a;b\",\"tcp_port\":1}", BOARD, "serial"},
        {"{\"adapter\":\"st-link-tcp\",\"serial\":\"a$b\",\"tcp_port\":1}", BOARD, "serial"},
        {"{\"adapter\":\"jlink\",\"serial\":\"a\"}", BOARD, "adapter"},
        {"{\"adapter\":\"st-link-tcp\",\"serial\":\"a\"}", BOARD, "tcp_port"},
        {"{\"adapter\":\"st-link-tcp\",\"serial\":\"a\",\"tcp_port\":70000}", BOARD, "tcp_port"},
        {"{\"adapter\":\"st-link\",\"serial\":\"a\",\"usb_ids\":[\"0483:374b; x\"]}", BOARD, "usb_ids"},
        {PROBE, "{\"target_script\":\"target/x.cfg\"}", "chip_id"},
        {PROBE, "{\"chip_id\":{\"address\":1,\"value\":2}}", "target_script"},
        {PROBE, "{\"target_script\":\"t [exit].cfg\",\"chip_id\":{\"address\":1,\"value\":2}}", "target_script"},
        {PROBE, "{\"target_script\":\"t.cfg\",\"chip_id\":{\"address\":-1,\"value\":2}}", "address"},
        {PROBE, "{\"target_script\":\"t.cfg\",\"chip_id\":{\"address\":\"-1\",\"value\":2}}", "address"},
        {PROBE, "{\"target_script\":\"t.cfg\",\"chip_id\":{\"address\":\"0x100000000\",\"value\":2}}", "address"},
        {"{\"adapter\":\"st-link\",\"serial\":\"a\",\"usb_ids\":[\" -83:374b\"]}", BOARD, "usb_ids"},
        {"{\"adapter\":\"st-link\",\"serial\":\"a\",\"usb_ids\":[\"483:374b\"]}", BOARD, "usb_ids"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct openocd_conf c;
        struct err e = {0};
        assert_int_equal(parse(rows[i].probe, rows[i].board, &c, &e), JF_E_INVAL);
        assert_string_equal(e.where, rows[i].field);
    }
}

static bool has(const struct openocd_argv *a, const char *arg) {
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->argv[i], arg) == 0) {
            return true;
        }
    }
    return false;
}

static void test_argv(void **state) {
    (void)state;
    struct openocd_conf c;
    struct openocd_argv a;
    assert_int_equal(parse(PROBE, BOARD, &c, NULL), 0);
    assert_int_equal(openocd_argv_build(&c, FLASH_WRITE, &a), 0);
    assert_true(has(&a, "gdb_port disabled; telnet_port disabled; tcl_port disabled"));
    assert_true(has(&a, "st-link backend tcp 7184"));
    assert_true(has(&a, "flash write_image erase fw.elf"));
    assert_null(a.argv[a.n]);
    openocd_argv_done(&a);
    assert_int_equal(openocd_argv_build(&c, FLASH_IDENTIFY, &a), 0);
    for (size_t i = 0; i < a.n; i++) { /* identity neither halts, resets nor writes */
        assert_null(strstr(a.argv[i], "reset halt"));
        assert_null(strstr(a.argv[i], "write"));
    }
    openocd_argv_done(&a);
    assert_int_equal(openocd_argv_build(&c, FLASH_RESET_RUN, &a), 0);
    assert_true(has(&a, "mww 0x5c001004 0x00000000"));
    assert_true(has(&a, "mww 0xE000EDF0 0xA05F0000"));
    openocd_argv_done(&a);
}

struct judge_row {
    enum flash_op op;
    int exit_code, expect;
    bool equal;
    const char *lines[5];
};

static void test_judge(void **state) {
    (void)state;
    static const char id[] = "JF-ID 0x10006480";
    static const struct judge_row rows[] = {
        {FLASH_IDENTIFY, 0, 0, false, {id}},
        {FLASH_IDENTIFY, 1, JF_E_PROBE, false, {id, "Error: lost"}},
        {FLASH_IDENTIFY, 0, JF_E_IDENTITY, false, {"JF-ID 0x10036450"}},
        {FLASH_IDENTIFY, 1, JF_E_PROBE, false, {"Error: open failed"}},
        {FLASH_WRITE, 0, 0, false, {id, "wrote 2048 bytes from file fw.elf in 0.1s (20.0 KiB/s)"}},
        {FLASH_WRITE, 0, JF_E_PROBE, false, {id}}, /* exit 0 alone is not enough */
        {FLASH_WRITE, 1, JF_E_PROBE, false, {id, "wrote 2048 bytes from file fw.elf in 0.1s (20.0 KiB/s)"}},
        {FLASH_VERIFY, 0, 0, false, {id, "verified 2048 bytes in 0.010s (200.000 KiB/s)"}},
        {FLASH_VERIFY, 0, JF_E_VERIFY, false, {id, "verified 0 bytes in 0.010s (0.000 KiB/s)"}},
        {FLASH_VERIFY, 1, JF_E_VERIFY, false, {id, "Error: checksum mismatch - attempting binary compare"}},
        {FLASH_COMPARE, 0, 0, true, {id, "verified 2048 bytes in 0.010s (200.000 KiB/s)", "JF-ALIVE"}},
        {FLASH_COMPARE, 0, 0, false, {id, "JF-DIFFERS", "JF-ALIVE"}},
        {FLASH_COMPARE, 1, JF_E_PROBE, false, {id, "JF-DIFFERS"}}, /* the probe went away: no statement about flash */
        {FLASH_RESET_RUN, 0, 0, false, {id, "JF-RESET"}},
        {FLASH_RESET_RUN, 0, JF_E_PROBE, false, {id}},
    };
    struct openocd_conf c;
    assert_int_equal(parse(PROBE, BOARD, &c, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct openocd_text t;
        struct err e = {0};
        bool equal;
        openocd_text_init(&t);
        for (size_t k = 0; k < 5 && rows[i].lines[k]; k++) {
            openocd_text_line(&t, rows[i].lines[k]);
        }
        assert_int_equal(openocd_text_judge(&t, &c, rows[i].op, rows[i].exit_code, &equal, &e), rows[i].expect);
        assert_int_equal(equal, rows[i].equal);
        assert_true(rows[i].expect == 0 || e.text[0]);
    }
}

/* --- a child that misbehaves ---------------------------------------------------------------------------- */

struct rig {
    char dir[64], work[96], tool[96];
    struct flash_dev *dev;
    int lines;
};

static void count_line(void *user, const char *line) {
    struct rig *r = user;
    assert_true(strlen(line) <= 4096);
    r->lines++;
}

static void rig_open(struct rig *r, const char *script) {
    memset(r, 0, sizeof *r);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/jf-openocd-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->work, sizeof r->work, "%s/work", r->dir);
    (void)snprintf(r->tool, sizeof r->tool, "%s/tool", r->dir);
    assert_int_equal(mkdir(r->work, 0700), 0);
    FILE *f = fopen(r->tool, "w");
    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(r->tool, 0700), 0);
    json_t *probe = json_loads(PROBE, 0, NULL), *board = json_loads(BOARD, 0, NULL);
    json_object_set_new(board, "binary", json_string(r->tool));
    struct flash_env env = {.proc = proc_system(), .clock = clock_system(), .log = count_line, .user = r};
    assert_int_equal(flash_openocd.open(probe, board, r->work, &env, &r->dev, NULL), 0);
    json_decref(probe);
    json_decref(board);
}

static int rig_run(struct rig *r, int deadline_ms, int cancel_after, struct err *e) {
    assert_int_equal(flash_openocd.begin(r->dev, FLASH_IDENTIFY, NULL, deadline_ms, e), 0);
    for (int i = 0; i < 1000; i++) {
        struct flash_progress p;
        assert_int_equal(flash_openocd.step(r->dev, &p, e), 0);
        if (p.done) {
            return p.result;
        }
        if (i == cancel_after) {
            flash_openocd.cancel(r->dev);
        }
        (void)poll(NULL, 0, 5);
    }
    return JF_E_BUG; /* never ended */
}

static void rig_close(struct rig *r) {
    flash_openocd.close(r->dev);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/fw.elf", r->work);
    (void)unlink(path);
    (void)unlink(r->tool);
    (void)rmdir(r->work);
    (void)rmdir(r->dir);
}

static void test_good_child(void **state) {
    (void)state;
    struct rig r;
    struct flash_identity id;
    rig_open(&r, "echo 'Open On-Chip Debugger 0.12.0'; echo 'Info : Target voltage: 3.300000'; echo 'JF-ID 0x10006480'");
    assert_int_equal(flash_openocd.identity(r.dev, &id), JF_E_CONFLICT);
    assert_int_equal(rig_run(&r, 5000, -1, NULL), 0);
    assert_int_equal(flash_openocd.identity(r.dev, &id), 0);
    assert_string_equal(id.runner_version, "0.12.0");
    assert_int_equal(id.chip_id, 0x10006480);
    assert_true(id.target_v > 3.29 && id.target_v < 3.31);
    assert_int_equal(r.lines, 3);
    rig_close(&r);
}

static void test_hang_is_killed(void **state) {
    (void)state;
    struct rig r;
    struct err e = {0};
    rig_open(&r, "trap '' TERM; while :; do sleep 1; done");
    int64_t began = clock_mono_ns(clock_system());
    assert_int_equal(rig_run(&r, 200, -1, &e), JF_E_TIMEOUT);
    int64_t ms = (clock_mono_ns(clock_system()) - began) / CLOCK_NS_PER_MS;
    assert_in_range(ms, 1500, 4000); /* deadline 0.2 s, grace 1.5 s, SIGKILL */
    assert_non_null(strstr(e.text, "VB01"));
    rig_close(&r);
}

static void test_cancel(void **state) {
    (void)state;
    struct rig r;
    struct err e = {0};
    rig_open(&r, "sleep 30");
    assert_int_equal(rig_run(&r, 20000, 5, &e), JF_E_CANCELED);
    rig_close(&r);
}

static void test_flood_is_stopped(void **state) {
    (void)state;
    struct rig r;
    struct err e = {0};
    rig_open(&r, "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done");
    assert_int_equal(rig_run(&r, 20000, -1, &e), JF_E_PROBE);
    rig_close(&r);
}

static void test_absent_tool(void **state) {
    (void)state;
    struct rig r;
    struct err e = {0};
    rig_open(&r, "exit 0");
    assert_int_equal(unlink(r.tool), 0);
    assert_int_equal(flash_openocd.begin(r.dev, FLASH_IDENTIFY, NULL, 1000, &e), JF_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "apt-get install openocd"));
    rig_close(&r);
}

/* An image whose name is Tcl: the tool sees only the fixed name, and the right bytes. */
static void test_hostile_name(void **state) {
    (void)state;
    struct rig r;
    char image[200];
    rig_open(&r, "echo 'JF-ID 0x10006480'; cat fw.elf; echo \"$@\" | grep -q hostile && exit 3; exit 0");
    (void)snprintf(image, sizeof image, "%s/hostile [exec touch x]$a; b.elf", r.dir);
    FILE *f = fopen(image, "w");
    assert_non_null(f);
    (void)fputs("wrote 17 bytes\n", f);
    assert_int_equal(fclose(f), 0);
    struct err e = {0};
    assert_int_equal(flash_openocd.begin(r.dev, FLASH_WRITE, image, 5000, &e), 0);
    struct flash_progress p = {0};
    for (int i = 0; i < 1000 && !p.done; i++) {
        assert_int_equal(flash_openocd.step(r.dev, &p, &e), 0);
        (void)poll(NULL, 0, 5);
    }
    assert_true(p.done);
    assert_int_equal(p.result, 0);
    (void)unlink(image);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf),         cmocka_unit_test(test_conf_refuses),     cmocka_unit_test(test_argv),
        cmocka_unit_test(test_judge),        cmocka_unit_test(test_good_child),       cmocka_unit_test(test_hang_is_killed),
        cmocka_unit_test(test_cancel),       cmocka_unit_test(test_flood_is_stopped), cmocka_unit_test(test_absent_tool),
        cmocka_unit_test(test_hostile_name),
    };
    return cmocka_run_group_tests_name("flash/openocd", tests, NULL, NULL);
}
