/* SPDX-License-Identifier: GPL-2.0-or-later
 * Unit tests of the base core. CRC check value: the catalogue of parametrised CRC algorithms (CRC-32/ISO-HDLC). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32.h"
#include "base/err.h"
#include "base/file.h"
#include "base/ring.h"
#include "base/sm.h"

static void test_crc_check_value(void **state) {
    (void)state;
    assert_int_equal(crc32_update(0, "123456789", 9), 0xCBF43926u);
    assert_int_equal(crc32_update(crc32_update(0, "1234", 4), "56789", 5), 0xCBF43926u);
}

static void test_err_fill(void **state) {
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set_at(&e, JF_E_PARSE, "jobs.yaml:3", "no %s", "colon"), JF_E_PARSE);
    assert_string_equal(e.where, "jobs.yaml:3");
    assert_string_equal(e.text, "no colon");
    assert_int_equal(err_prefix(&e, "line %d", 3), JF_E_PARSE);
    assert_string_equal(e.text, "line 3: no colon");
    assert_int_equal(err_set(NULL, JF_E_BUSY, "x"), JF_E_BUSY);
    assert_int_equal(err_http_status(JF_E_TOO_LARGE), 413);
    assert_string_equal(err_cause_name(err_cause_of(JF_E_PROBE)), "infrastructure");
    assert_string_equal(err_word(12345), "internal-error");
}

static void test_buf_bound(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_int_equal(buf_put(&b, "12345", 5), 0);
    assert_int_equal(buf_put(&b, "6789", 4), JF_E_TOO_LARGE);
    assert_int_equal(b.len, 5);
    buf_consume(&b, 2);
    assert_string_equal(buf_str(&b), "345");
    assert_int_equal(buf_putf(&b, "%d", 77), 0);
    assert_string_equal(buf_str(&b), "34577");
    buf_done(&b);
}

/* What a length near SIZE_MAX would wrap into: a small need, or a doubling that never ends. */
static void test_buf_wrap(void **state) {
    (void)state;
    struct buf b;
    uint8_t *p;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_reserve(&b, SIZE_MAX, &p), JF_E_TOO_LARGE);
    assert_int_equal(buf_reserve(&b, SIZE_MAX / 2 + 1, &p), JF_E_TOO_LARGE);
    assert_string_equal(buf_str(&b), "");
    buf_done(&b);
}

static void test_file(void **state) {
    (void)state;
    char dir[] = "/tmp/jf-file-XXXXXX", path[64], fifo[64];
    struct err e = {0};
    void *got = NULL;
    size_t n = 0;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/f", dir);
    (void)snprintf(fifo, sizeof fifo, "%s/p", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(file_read(path, 16, &got, &n, &e), JF_E_IO); /* not there */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_read(path, 16, &got, &n, &e), JF_E_INVAL); /* empty */
    assert_int_equal(file_write_all(fd, "0123456789", 10), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_read(path, 9, &got, &n, &e), JF_E_INVAL);
    (void)alarm(10); /* a reader that waits for the FIFO's writer never returns */
    assert_int_equal(file_read(fifo, 16, &got, &n, &e), JF_E_INVAL);
    (void)alarm(0);
    assert_int_equal(file_read(dir, 16, &got, &n, &e), JF_E_INVAL);
    assert_null(got);
    assert_int_equal(file_read(path, 10, &got, &n, &e), 0);
    assert_int_equal(n, 10);
    assert_memory_equal(got, "0123456789", 10);
    free(got);
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(file_write_all(fd, "x", 1), -1);
    (void)close(fd);
    (void)unlink(path);
    (void)unlink(fifo);
    (void)rmdir(dir);
}

/* A link is removed, what it points to stays; emptying keeps the folder itself. */
static void test_file_tree(void **state) {
    (void)state;
    char dir[] = "/tmp/jf-tree-XXXXXX", path[64], outside[] = "/tmp/jf-tree-outside-XXXXXX";
    assert_non_null(mkdtemp(dir));
    int fd = mkstemp(outside);
    assert_true(fd >= 0);
    (void)close(fd);
    for (int round = 0; round < 2; round++) {
        (void)snprintf(path, sizeof path, "%s/inner", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof path, "%s/inner/file", dir);
        fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        (void)snprintf(path, sizeof path, "%s/link", dir);
        assert_int_equal(symlink(outside, path), 0);
        if (round == 0) {
            file_tree_empty(dir);
            (void)snprintf(path, sizeof path, "%s/inner", dir);
            assert_int_equal(access(path, F_OK), -1);
            assert_int_equal(access(dir, F_OK), 0);
        }
    }
    file_tree_remove(dir);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access(outside, F_OK), 0);
    file_tree_remove(dir); /* gone already */
    (void)unlink(outside);
}

static void test_rfc3339(void **state) {
    (void)state;
    char s[CLOCK_RFC3339_SIZE];
    clock_rfc3339(INT64_C(1000000000) * CLOCK_NS_PER_S + 5 * CLOCK_NS_PER_MS, s); /* date -u -d @1000000000 */
    assert_string_equal(s, "2001-09-09T01:46:40.005Z");
    clock_rfc3339(-1, s);
    assert_string_equal(s, "1969-12-31T23:59:59.999Z");
}

static void test_ring_bounds(void **state) {
    (void)state;
    struct ring *r;
    int a = 1, b = 2;
    void *out;
    assert_int_equal(ring_new(1, &r), 0);
    assert_int_equal(ring_take(r, 0, &out), JF_E_TIMEOUT);
    assert_int_equal(ring_put(r, &a, 0), 0);
    assert_int_equal(ring_put(r, &b, 1), JF_E_FULL);
    ring_close(r);
    assert_int_equal(ring_put(r, &b, 0), JF_E_GONE);
    assert_int_equal(ring_take(r, 0, &out), 0);
    assert_ptr_equal(out, &a);
    assert_int_equal(ring_take(r, 0, &out), JF_E_GONE);
    ring_free(r);
    assert_int_equal(ring_new(0, &r), JF_E_INVAL);
}

static void test_sm_refuses(void **state) {
    (void)state;
    static const char *const st[] = {"off", "on"};
    static const char *const ev[] = {"press", "hold"};
    static const struct sm_row rows[] = {{0, 0, 1}, {1, 0, 0}};
    static const struct sm_table t = {"lamp", st, ev, 2, 2, rows, 2};
    struct err e = {0};
    assert_int_equal(sm_next(&t, 0, 0, &e), 1);
    assert_int_equal(sm_next(&t, 1, 1, &e), JF_E_CONFLICT);
    assert_string_equal(e.text, "lamp: hold is not possible while on");
    assert_int_equal(sm_next(&t, 2, 0, &e), JF_E_BUG);
    assert_int_equal(sm_state(&t, "on"), 1);
    assert_int_equal(sm_state(&t, "dim"), JF_E_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_check_value), cmocka_unit_test(test_err_fill), cmocka_unit_test(test_buf_bound), cmocka_unit_test(test_buf_wrap), cmocka_unit_test(test_file), cmocka_unit_test(test_file_tree),
        cmocka_unit_test(test_rfc3339),         cmocka_unit_test(test_ring_bounds), cmocka_unit_test(test_sm_refuses),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
