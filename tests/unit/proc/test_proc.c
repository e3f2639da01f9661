/* SPDX-License-Identifier: GPL-2.0-or-later
 * Unit tests of child processes: what a child inherits, how it ends, and that nothing of it stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc/proc.h"

static void read_all(int fd, char *dst, size_t size) {
    size_t n = 0;
    for (int i = 0; i < 500 && n < size - 1; i++) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        if (poll(&pfd, 1, 20) <= 0) {
            continue;
        }
        ssize_t r = read(fd, dst + n, size - 1 - n);
        if (r <= 0) {
            break;
        }
        n += (size_t)r;
    }
    dst[n] = '\0';
}

static int wait_end(struct proc *p, struct proc_exit *ret_exit) {
    for (int i = 0; i < 500; i++) {
        int r = proc_poll_exit(proc_system(), p, ret_exit);
        if (r != 0) {
            return r;
        }
        (void)poll(NULL, 0, 10);
    }
    return 0;
}

static void test_output_env_cwd(void **state) {
    (void)state;
    const char *const argv[] = {"/bin/sh", "-c", "echo \"$JF_X|$PWD\"; echo oops >&2; exit 7", NULL};
    const char *const env[] = {"JF_X=a b;$(x)", NULL};
    struct proc_spec spec = {.argv = argv, .env = env, .cwd = "/", .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct proc *p;
    struct proc_exit ex;
    assert_int_equal(proc_spawn(proc_system(), &spec, &p, NULL), 0);
    char out[128], er[128];
    read_all(proc_output_fd(proc_system(), p, 1), out, sizeof out);
    read_all(proc_output_fd(proc_system(), p, 2), er, sizeof er);
    assert_string_equal(out, "a b;$(x)|/\n");
    assert_string_equal(er, "oops\n");
    assert_int_equal(wait_end(p, &ex), 1);
    assert_false(ex.signaled);
    assert_int_equal(ex.code, 7);
    proc_free(proc_system(), p);
}

static void test_missing_program(void **state) {
    (void)state;
    const char *const argv[] = {"/nonexistent/tool", NULL};
    struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct proc *p = NULL;
    struct err e = {0};
    assert_int_equal(proc_spawn(proc_system(), &spec, &p, &e), JF_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "/nonexistent/tool"));
    assert_null(p);
}

static void test_only_listed_fds(void **state) {
    (void)state;
    int kept = open("/dev/null", O_RDONLY | O_CLOEXEC), leaked = open("/dev/null", O_RDONLY);
    assert_true(kept > 2 && leaked > 2);
    char script[96];
    (void)snprintf(script, sizeof script, "test -e /proc/self/fd/%d && test ! -e /proc/self/fd/%d", kept, leaked);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fds = &kept, .n_keep_fds = 1};
    struct proc *p;
    struct proc_exit ex;
    assert_int_equal(proc_spawn(proc_system(), &spec, &p, NULL), 0);
    assert_int_equal(wait_end(p, &ex), 1);
    assert_int_equal(ex.code, 0);
    proc_free(proc_system(), p);
    (void)close(kept);
    (void)close(leaked);
}

/* A child that ignores SIGTERM and has a child of its own: both must be gone after proc_stop. */
static void test_stop_kills_group(void **state) {
    (void)state;
    const char *const argv[] = {"/bin/sh", "-c", "trap '' TERM; sleep 60 & echo $!; while :; do sleep 1; done", NULL};
    struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct proc *p;
    struct proc_exit ex = {0};
    assert_int_equal(proc_spawn(proc_system(), &spec, &p, NULL), 0);
    char line[32] = "";
    for (int i = 0; i < 200 && !strchr(line, '\n'); i++) {
        (void)poll(NULL, 0, 10);
        size_t n = strlen(line);
        ssize_t r = read(proc_output_fd(proc_system(), p, 1), line + n, sizeof line - 1 - n);
        if (r > 0) {
            line[n + (size_t)r] = '\0';
        }
    }
    int grandchild = atoi(line);
    assert_true(grandchild > 1);
    assert_int_equal(proc_stop(proc_system(), clock_system(), p, 100, &ex), 0);
    assert_true(ex.signaled);
    assert_int_equal(ex.code, SIGKILL);
    proc_free(proc_system(), p);
    bool gone = false;
    for (int i = 0; i < 200 && !gone; i++) {
        uint64_t ticks;
        char path[64], stat[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%d/stat", grandchild);
        FILE *f = fopen(path, "r");
        if (f) {
            (void)fgets(stat, sizeof stat, f);
            (void)fclose(f);
        }
        gone = proc_start_ticks(grandchild, &ticks) == JF_E_NOT_FOUND || strstr(stat, ") Z ");
        (void)poll(NULL, 0, 10);
    }
    assert_true(gone);
}

static void test_recorded_start_time(void **state) {
    (void)state;
    uint64_t mine = 0;
    assert_int_equal(proc_start_ticks(getpid(), &mine), 0);
    assert_true(mine > 0);
    assert_int_equal(proc_start_ticks(0x3fffff, &mine), JF_E_NOT_FOUND);
    assert_int_equal(proc_kill_recorded(1, 0), JF_E_INVAL);
    assert_int_equal(proc_kill_recorded(getpgrp() == getpid() ? getpid() : getppid(), 1), JF_E_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_env_cwd),   cmocka_unit_test(test_missing_program), cmocka_unit_test(test_only_listed_fds),
        cmocka_unit_test(test_stop_kills_group), cmocka_unit_test(test_recorded_start_time),
    };
    return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
