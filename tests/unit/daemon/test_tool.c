/* SPDX-License-Identifier: GPL-2.0-or-later
 * Children with bounds, and the shop: what programs of the system do under them (sh, cat, head, tail). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/models.h"
#include "daemon/shop.h"
#include "daemon/tool.h"

static bool stop;
static struct tool_env env;

static int setup(void **state) {
    (void)state;
    stop = false;
    env = (struct tool_env){proc_system(), clock_system(), &stop};
    return 0;
}

static int sh(const char *script, const struct tool_spec *bounds, struct tool_end *end, struct err *e) {
    const char *argv[] = {"sh", "-c", script, NULL};
    struct tool_spec spec = bounds ? *bounds : (struct tool_spec){.deadline_ms = 20000, .output_max = 1 << 20};
    spec.argv = argv;
    return tool_run(&env, &spec, end, e);
}

static void test_output(void **state) {
    (void)state;
    struct tool_end end;
    struct err e = {0};
    assert_int_equal(sh("echo one; echo >&2 ' two'; printf >&2 '\\033[31m\\n\\nthree\\n'; exit 3", NULL, &end, &e), 0);
    assert_string_equal(buf_str(&end.out), "one\n");
    assert_int_equal(end.code, 3);
    assert_false(end.signaled);
    assert_string_equal(end.complaint, " two [31m three"); /* printable, one line */
    buf_done(&end.out);
    assert_int_equal(sh("head -c 300000 /dev/zero | tr '\\0' x; head -c 5000 /dev/zero | tr '\\0' y >&2", NULL, &end, &e), 0);
    assert_int_equal(end.out.len, 300000); /* nothing is lost, though pipes hold less */
    assert_int_equal(strlen(end.complaint), TOOL_COMPLAINT - 1);
    buf_done(&end.out);
    assert_int_equal(sh("cat", NULL, &end, &e), 0); /* standard input is empty */
    assert_int_equal(end.out.len, 0);
    buf_done(&end.out);
}

static void test_bounds(void **state) {
    (void)state;
    struct tool_end end;
    struct err e = {0};
    const struct tool_spec quick = {.deadline_ms = 300, .output_max = 1000};
    assert_int_equal(sh("sleep 60", &quick, &end, &e), JF_E_TIMEOUT);
    assert_non_null(strstr(e.text, "sh: did not end within 0.3 s"));
    buf_done(&end.out);
    assert_int_equal(sh("trap '' TERM; sleep 60", &quick, &end, &e), JF_E_TIMEOUT);
    buf_done(&end.out);
    assert_int_equal(sh("head -c 2000 /dev/zero", &quick, &end, &e), JF_E_TOO_LARGE);
    buf_done(&end.out);
    const struct tool_spec small = {.deadline_ms = 20000, .output_max = 1000, .file_bytes = 4096};
    char path[64], script[160];
    (void)snprintf(path, sizeof path, "/tmp/jf-tool-%d", (int)getpid());
    (void)snprintf(script, sizeof script, "head -c 100000 /dev/zero > %s", path);
    assert_int_equal(sh(script, &small, &end, &e), 0);
    assert_true(end.signaled || end.code != 0);
    buf_done(&end.out);
    (void)unlink(path);
}

/* The bound holds for the grandchildren, and a child that is bounded may ask for a looser one for its own: it keeps its. */
static void test_memory(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* no limit there: their shadow memory needs the address space */
    skip();
#endif
    struct tool_end end;
    struct err e = {0};
    const struct tool_spec bounded = {.deadline_ms = 20000, .output_max = 1000, .memory_bytes = 512u << 20};
    assert_int_equal(sh("sh -c 'ulimit -v'", &bounded, &end, &e), 0);
    assert_string_equal(buf_str(&end.out), "524288\n");
    buf_done(&end.out);
    struct rlimit mine;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &mine), 0);
    assert_true(mine.rlim_max == RLIM_INFINITY);
    struct rlimit lower = {1u << 20, 1u << 20};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &lower), 0); /* last use of files in this program */
    const struct tool_spec looser = {.deadline_ms = 20000, .output_max = 1000, .file_bytes = 8u << 20};
    assert_int_equal(sh("ulimit -f", &looser, &end, &e), 0);
    assert_string_equal(buf_str(&end.out), "2048\n"); /* of 512 bytes */
    buf_done(&end.out);
}

static void test_ends(void **state) {
    (void)state;
    struct tool_end end;
    struct err e = {0};
    assert_int_equal(sh("kill -SEGV $$", NULL, &end, &e), 0);
    assert_true(end.signaled);
    assert_int_equal(tool_refusal(&end, "sh", &e), JF_E_PROTOCOL);
    assert_non_null(strstr(e.text, "signal 11"));
    buf_done(&end.out);
    assert_int_equal(sh("echo >&2 'jf-x: no'; exit 1", NULL, &end, &e), 0);
    assert_int_equal(tool_refusal(&end, "jf-x", &e), JF_E_UNSUPPORTED);
    assert_string_equal(e.text, "no");
    buf_done(&end.out);
    assert_int_equal(sh("exit 2", NULL, &end, &e), 0);
    assert_int_equal(tool_refusal(&end, "jf-x", &e), JF_E_PROTOCOL);
    assert_string_equal(e.text, "jf-x ended with status 2");
    buf_done(&end.out);
    const char *argv[] = {"/no/such/program", NULL};
    const struct tool_spec none = {.argv = argv, .deadline_ms = 1000, .output_max = 10};
    assert_int_equal(tool_run(&env, &none, &end, &e), JF_E_NOT_FOUND);
    buf_done(&end.out);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(sh("sleep 60", NULL, &end, &e), JF_E_CANCELED);
    buf_done(&end.out);
}

/* ---- the shop ----------------------------------------------------------------------------------------------------- */
struct counter {
    pthread_mutex_t gate;
    int worked, dropped;
};

static void work(void *arg) {
    struct counter *c = arg;
    (void)__atomic_add_fetch(&c->worked, 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&c->gate);
    (void)pthread_mutex_unlock(&c->gate);
}
static void drop(void *arg) { (void)__atomic_add_fetch(&((struct counter *)arg)->dropped, 1, __ATOMIC_SEQ_CST); }

static void test_shop(void **state) {
    (void)state;
    struct counter c = {.gate = PTHREAD_MUTEX_INITIALIZER};
    const struct shop_order o = {work, drop, &c};
    struct shop *s = NULL;
    struct err e = {0};
    assert_int_equal(shop_open(2, &s, &e), 0);
    (void)pthread_mutex_lock(&c.gate); /* both threads stick in their first order */
    assert_int_equal(shop_post(s, &o, &e), 0);
    assert_int_equal(shop_post(s, &o, &e), 0);
    while (__atomic_load_n(&c.worked, __ATOMIC_SEQ_CST) < 2) {
        (void)usleep(1000);
    }
    for (int i = 0; i < SHOP_QUEUE_MAX; i++) {
        assert_int_equal(shop_post(s, &o, &e), 0);
    }
    assert_int_equal(shop_post(s, &o, &e), JF_E_FULL);
    assert_false(__atomic_load_n(shop_stop(s), __ATOMIC_RELAXED));
    (void)pthread_mutex_unlock(&c.gate);
    shop_close(s);
    assert_int_equal(c.worked + c.dropped, SHOP_QUEUE_MAX + 2); /* each order ends exactly once */
    assert_true(__atomic_load_n(shop_stop(s), __ATOMIC_RELAXED));
    assert_int_equal(shop_post(s, &o, &e), JF_E_CANCELED);
    shop_free(s);
    shop_free(NULL);
}

static void test_format(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *format; /* NULL: none */
    } rows[] = {{"\x1c\0\0\0TFL3", 8, "tflite"}, {"\x08\x09\x12\x04" "abcd", 8, "onnx"}, {"TFL3\0\0\0\0", 8, NULL},
                {"\x1c\0\0\0TFL", 7, NULL},      {"", 0, NULL},                          {"\x7f" "ELF\1\1\1\0", 8, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *f = NULL;
        assert_int_equal(models_format(rows[i].bytes, rows[i].n, &f, NULL), rows[i].format ? 0 : JF_E_PARSE);
        if (rows[i].format) {
            assert_string_equal(f, rows[i].format);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_output, setup), cmocka_unit_test_setup(test_bounds, setup), cmocka_unit_test_setup(test_ends, setup),
        cmocka_unit_test_setup(test_shop, setup),   cmocka_unit_test(test_format),              cmocka_unit_test_setup(test_memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
