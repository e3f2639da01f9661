/* SPDX-License-Identifier: GPL-2.0-or-later
 * Serial back ends on ptys and socket pairs, locks, and the USB identity read from a made-up sysfs tree. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/serial/serial_impl.h"

static int pty(char *name, size_t cap) {
    int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(m >= 0 && grantpt(m) == 0 && unlockpt(m) == 0 && ptsname_r(m, name, cap) == 0);
    return m;
}

static void test_pty(void **state) {
    (void)state;
    char name[64], buf[16] = "";
    struct serial *s = NULL;
    struct err e = {0};
    int m = pty(name, sizeof name);
    assert_int_equal(serial_open(name, 115200, "auto", &s, &e), 0); /* libserialport refuses a pty: fd */
    assert_string_equal(serial_backend_name(s), "fd");
    assert_int_equal(serial_read(s, buf, sizeof buf, &e), 0);
    assert_int_equal(write(m, "a\r\nb\003\021", 6), 6); /* nothing is translated or taken as a signal */
    assert_int_equal(serial_read(s, buf, sizeof buf, &e), 6);
    assert_memory_equal(buf, "a\r\nb\003\021", 6);
    assert_int_equal(serial_write(s, "x\ny", 3, 100, &e), 0);
    assert_int_equal(read(m, buf, sizeof buf), 3);
    assert_memory_equal(buf, "x\ny", 3);
    assert_int_equal(write(m, "stale", 5), 5);
    assert_int_equal(serial_drain(s), 5);
    (void)close(m);
    assert_int_equal(serial_read(s, buf, sizeof buf, &e), JF_E_GONE);
    serial_close(s);
}

static void test_lock(void **state) {
    (void)state;
    char name[64];
    struct serial *a = NULL, *b = NULL;
    struct err e = {0};
    int m = pty(name, sizeof name);
    assert_int_equal(serial_open(name, 9600, "fd", &a, &e), 0);
    assert_int_equal(serial_open(name, 9600, "fd", &b, &e), JF_E_BUSY);
    serial_close(a);
    assert_int_equal(serial_open(name, 9600, "fd", &b, &e), 0);
    serial_close(b);
    /* a killed holder leaves nothing behind, not even for an ordinary user (a pty's exclusive flag would) */
    pid_t pid = fork();
    if (pid == 0) {
        struct serial *c = NULL;
        bool ok = serial_open(name, 9600, "fd", &c, NULL) == 0;
        (void)ok;
        _exit(0); /* without closing */
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)chmod(name, 0666);
    pid = fork();
    if (pid == 0) {
        struct serial *c = NULL;
        if (getuid() == 0 && setuid(65534) != 0) {
            _exit(2);
        }
        _exit(serial_open(name, 9600, "fd", &c, NULL) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(m);
}

static void test_pair(void **state) {
    (void)state;
    int fds[2];
    char buf[8];
    struct serial *s = NULL;
    struct err e = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(serial_from_fd(fds[0], &s, &e), 0);
    assert_int_equal(serial_read(s, buf, sizeof buf, &e), 0);
    assert_int_equal(serial_read(s, buf, 0, &e), 0);
    /* a peer that takes nothing: bounded */
    char *bulk = calloc(1, 8u << 20);
    assert_non_null(bulk);
    assert_int_equal(serial_write(s, bulk, 8u << 20, 50, &e), JF_E_TIMEOUT);
    free(bulk);
    (void)close(fds[1]);
    assert_int_equal(serial_read(s, buf, sizeof buf, &e), JF_E_GONE);
    serial_close(s);
    serial_close(NULL);
    assert_int_equal(serial_from_fd(-1, &s, &e), JF_E_INVAL);
}

static void test_refusals(void **state) {
    (void)state;
    char name[64];
    struct serial *s = NULL;
    struct err e = {0};
    int m = pty(name, sizeof name);
    assert_int_equal(serial_open("/dev/there-is-none", 9600, "auto", &s, &e), JF_E_NOT_FOUND);
    assert_int_equal(serial_open("/dev/there-is-none", 9600, "libserialport", &s, &e), JF_E_NOT_FOUND);
    assert_int_equal(serial_open(name, 9600, "usb", &s, &e), JF_E_INVAL);
    assert_int_equal(serial_open(name, 0, "fd", &s, &e), JF_E_INVAL);
    assert_int_equal(serial_open(name, 12345, "fd", &s, &e), JF_E_INVAL);
    assert_int_equal(serial_open("", 9600, "fd", &s, &e), JF_E_INVAL);
    assert_null(s);
    (void)close(m);
}

/* --- sysfs ---------------------------------------------------------------------------------------------------- */
static void put(const char *root, const char *rel, const char *text) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", root, rel);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}
static void dir(const char *root, const char *rel) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", root, rel);
    assert_int_equal(mkdir(path, 0755), 0);
}
static int count(void *user, const char *path, const struct serial_usb_id *id) {
    int *n = user;
    assert_non_null(strstr(path, "/dev/ttyACM"));
    assert_int_equal(id->vid, 0x1915);
    (*n)++;
    return 0;
}

static void test_usb_identity(void **state) {
    (void)state;
    char root[] = "/tmp/jf-sysfs.XXXXXX", path[PATH_MAX], target[PATH_MAX], tty[PATH_MAX];
    struct serial_usb_id id;
    struct err e = {0};
    assert_non_null(mkdtemp(root));
    /* the shape of a CDC device: devices/usb1/1-2 (device) / 1-2:1.1 (interface) / tty / ttyACM1 */
    static const char *const dirs[] = {"devices", "devices/1-2", "devices/1-2/1-2:1.1", "class", "class/ttyACM1", "class/ttyS0"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        dir(root, dirs[i]);
    }
    put(root, "devices/1-2/idVendor", "1915\n");
    put(root, "devices/1-2/idProduct", "c00a\n");
    put(root, "devices/1-2/serial", "E1B2C3D4\n");
    put(root, "devices/1-2/product", "PPK2\n");
    put(root, "devices/1-2/1-2:1.1/bInterfaceNumber", "01\n");
    (void)snprintf(target, sizeof target, "%s/devices/1-2/1-2:1.1", root);
    (void)snprintf(path, sizeof path, "%s/class/ttyACM1/device", root);
    assert_int_equal(symlink(target, path), 0);
    (void)snprintf(tty, sizeof tty, "%s/class", root);
    assert_int_equal(serial_usb_identity_in(tty, "/dev/ttyACM1", &id, &e), 0);
    assert_int_equal(id.vid, 0x1915);
    assert_int_equal(id.pid, 0xC00A);
    assert_int_equal(id.interface, 1);
    assert_string_equal(id.serial, "E1B2C3D4");
    assert_string_equal(id.product, "PPK2");
    assert_int_equal(serial_usb_identity_in(tty, "/dev/ttyS0", &id, &e), JF_E_NOT_FOUND);
    assert_int_equal(serial_usb_identity_in(tty, "/dev/none", &id, &e), JF_E_NOT_FOUND);
    int n = 0;
    assert_int_equal(serial_usb_each_in(tty, count, &n), 0);
    assert_int_equal(n, 1);
    put(root, "devices/1-2/idVendor", "zz\n"); /* damaged: not an identity */
    assert_int_equal(serial_usb_identity_in(tty, "/dev/ttyACM1", &id, &e), JF_E_NOT_FOUND);
    char name[64];
    int m = pty(name, sizeof name);
    assert_int_equal(serial_usb_identity(name, &id, &e), JF_E_NOT_FOUND);
    (void)close(m);
    static const char *const files[] = {"class/ttyACM1/device", "devices/1-2/idVendor", "devices/1-2/idProduct", "devices/1-2/serial",
                                        "devices/1-2/product", "devices/1-2/1-2:1.1/bInterfaceNumber"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, files[i]);
        (void)unlink(path);
    }
    for (size_t i = sizeof dirs / sizeof dirs[0]; i > 0; i--) {
        (void)snprintf(path, sizeof path, "%s/%s", root, dirs[i - 1]);
        (void)rmdir(path);
    }
    assert_int_equal(rmdir(root), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pty), cmocka_unit_test(test_lock), cmocka_unit_test(test_pair), cmocka_unit_test(test_refusals), cmocka_unit_test(test_usb_identity)};
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
