/* SPDX-License-Identifier: GPL-2.0-or-later
 * The virtual oscilloscope against the unmodified sigrok-cli and its hameg-hmo driver, an implementation that is not
 * ours: scan, settings, and two frames of current, voltage and pod. Skipped where sigrok-cli is not installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/rig.h"
#include "tests/unit/sim/load.h"

#define LIMIT_S 20
#define RATE_SAMPLES 6000 /* 12 us at the highest rate, 500 MSa/s */

static bool sigrok_installed(void) {
    const char *path = getenv("PATH");
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path ? path : "");
    for (char *save = NULL, *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        char file[4200];
        snprintf(file, sizeof file, "%s/sigrok-cli", dir);
        if (access(file, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* One turn of the loop; the load is 12.5 mA all the time. */
static void turn(struct rig *r) {
    struct front front[RIG_MAX_FRONTS];
    int n_fronts = rig_fronts(r, front, RIG_MAX_FRONTS);
    for (int k = 0; k < n_fronts; k++) {
        struct pollfd p[FRONT_MAX_FDS];
        int n = front[k].ops->fds(front[k].self, p, FRONT_MAX_FDS);
        poll(p, (nfds_t)n, 1);
        front[k].ops->ready(front[k].self, p, n);
        front[k].ops->step(front[k].self, elec_now_ps(rig_elec(r)));
    }
    load_for(rig_elec(r), 2 * MS, MS, 12.5e-3);
}

/* Runs sigrok-cli with up to 6 more arguments while the scope lives; its output in text. Returns its exit status. */
static int sigrok(struct rig *r, char *const more[], char *text, size_t size) {
    char conn[96];
    snprintf(conn, sizeof conn, "hameg-hmo:conn=tcp-raw/127.0.0.1/%d", rig_scope_port(r));
    char file[] = "/tmp/jf-sigrok-XXXXXX";
    int out = mkstemp(file);
    assert_true(out >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[12] = {"sigrok-cli", "-d", conn};
        for (int k = 0; more[k] && k < 6; k++) {
            argv[3 + k] = more[k];
        }
        dup2(out, STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    assert_true(pid > 0);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        turn(r);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec > LIMIT_S) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
    }
    lseek(out, 0, SEEK_SET);
    ssize_t n = read(out, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(out);
    unlink(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct rig *scope(void) {
    struct rig_conf c;
    struct rig *r = NULL;
    rig_conf_init(&c);
    assert_int_equal(rig_conf_option(&c, "--scope", NULL, NULL), 1);
    assert_int_equal(rig_open(&c, &r, NULL), 0);
    load_mark(rig_elec(r), 0x15); /* D0, D2, D4 */
    load_for(rig_elec(r), 100 * MS, MS, 12.5e-3);
    return r;
}

static int occurrences(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what)) {
        n++;
    }
    return n;
}

static void shows_the_device(void **state) {
    (void)state;
    if (!sigrok_installed()) {
        skip();
    }
    static char text[65536];
    struct rig *r = scope();
    char *const show[] = {"--show", NULL};
    assert_int_equal(sigrok(r, show, text, sizeof text), 0);
    assert_non_null(strstr(text, "HMO1202"));
    assert_non_null(strstr(text, "with 10 channels"));
    assert_non_null(strstr(text, "1 ms (current)"));
    rig_close(r);
}

static void captures_frames(void **state) {
    (void)state;
    if (!sigrok_installed()) {
        skip();
    }
    static char text[4 << 20];
    struct rig *r = scope();
    /* the sample limit is far away: else libsigrok 0.5.2 ends after one frame */
    char *const capture[] = {"--config", "timebase=1 us", "--samples=100000000", "--frames=2", "--output-format=csv:header=false", NULL};
    assert_int_equal(sigrok(r, capture, text, sizeof text), 0);
    assert_int_equal(occurrences(text, "\n0.0125,3.3,"), 2 * RATE_SAMPLES);
    assert_int_equal(occurrences(text, "FRAME-END"), 2);

    /* logic apart: the csv output of 0.5.2 counts logic columns wrongly where analog channels lie between them */
    char *const bits[] = {"--config", "timebase=1 us", "--samples=100000000", "--frames=2", "--output-format=bits", NULL};
    assert_int_equal(sigrok(r, bits, text, sizeof text), 0);
    for (int line = 0; line < 8; line++) {
        char full[16];
        snprintf(full, sizeof full, "D%d:%s ", line, 0x15 >> line & 1 ? "11111111" : "00000000");
        assert_true(occurrences(text, full) >= 2 * (RATE_SAMPLES / 64));
    }
    rig_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shows_the_device), cmocka_unit_test(captures_frames)};
    return cmocka_run_group_tests_name("hmo with sigrok-cli", tests, NULL, NULL);
}
