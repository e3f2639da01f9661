/* SPDX-License-Identifier: GPL-2.0-or-later
 * Children of the firmware build (compiler/toolchain.h). Their output is a file each, so that nothing has to be drained while they run. */
#include "compiler/toolchain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc/proc.h"

#define LIMIT_AS (UINT64_C(2) << 30)
#define LIMIT_FSIZE (UINT64_C(256) << 20)
#define WAIT_NS (50 * CLOCK_NS_PER_MS) /* also bounds how late a child's end is seen when its SIGCHLD was merged with another's */

void toolchain_init(struct toolchain *t, const char *dir, int64_t deadline_mono_ns) {
    t->dir = dir;
    t->deadline_mono_ns = deadline_mono_ns;
    (void)sigemptyset(&t->wait_set);
    (void)sigaddset(&t->wait_set, SIGINT);
    (void)sigaddset(&t->wait_set, SIGTERM);
    (void)sigaddset(&t->wait_set, SIGHUP);
    (void)sigaddset(&t->wait_set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &t->wait_set, &t->old_set);
}

void toolchain_done(struct toolchain *t) { (void)sigprocmask(SIG_SETMASK, &t->old_set, NULL); }

struct slot {
    struct proc *child; /* NULL: free */
    int job;
};

static void log_path(const struct toolchain *t, int job, char *dst, size_t size) { (void)snprintf(dst, size, "%s/log.%d", t->dir, job); }

static bool in_path(const char *name) {
    char path[PATH_MAX];
    const char *at = getenv("PATH");
    if (strchr(name, '/')) {
        return access(name, X_OK) == 0;
    }
    while (at && *at) {
        size_t n = strcspn(at, ":");
        int used = snprintf(path, sizeof path, "%.*s/%s", (int)n, at, name);
        if (used > 0 && (size_t)used < sizeof path && access(path, X_OK) == 0) {
            return true;
        }
        at += n + (at[n] == ':');
    }
    return false;
}

static int start(const struct toolchain *t, const struct toolchain_job *j, int index, struct slot *s, struct err *reterr) {
    /* The compiler's messages are read by this program: they must not be translated. Its own temporary files go where ours are. */
    char path[PATH_MAX], tmpdir[PATH_MAX + 8];
    (void)snprintf(tmpdir, sizeof tmpdir, "TMPDIR=%s", t->dir);
    const char *const env[] = {"LC_ALL=C", tmpdir, NULL};
    log_path(t, index, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", path);
    }
    const struct proc_spec spec = {.argv = j->argv,
                                   .env = env,
                                   .cwd = t->dir,
                                   .stdin_fd = -1,
                                   .stdout_fd = fd,
                                   .merge_stderr = true,
                                   .limit_as_bytes = LIMIT_AS,
                                   .limit_fsize_bytes = LIMIT_FSIZE};
    int r = proc_spawn(proc_system(), &spec, &s->child, reterr);
    (void)close(fd);
    s->job = index;
    if (r < 0) {
        s->child = NULL;
    }
    return r;
}

static void read_log(const struct toolchain *t, int job, char *ret_text) {
    char path[PATH_MAX];
    size_t used = 0;
    log_path(t, job, path, sizeof path);
    FILE *f = fopen(path, "r");
    if (f) {
        used = fread(ret_text, 1, TOOLCHAIN_TEXT - 1, f);
        (void)fclose(f);
    }
    ret_text[used] = '\0';
}

/* Takes what has ended; *ret_failed is a job that ended badly, with its exit in *ret_exit. */
static int reap(struct slot *slots, int *ret_ended, int *ret_failed, struct proc_exit *ret_exit) {
    for (int i = 0; i < TOOLCHAIN_PARALLEL; i++) {
        struct proc_exit e;
        int r = slots[i].child ? proc_poll_exit(proc_system(), slots[i].child, &e) : 0;
        if (r < 0) {
            return r;
        }
        if (r == 0) {
            continue;
        }
        proc_free(proc_system(), slots[i].child);
        slots[i].child = NULL;
        (*ret_ended)++;
        if (e.signaled || e.code != 0) {
            *ret_failed = slots[i].job;
            *ret_exit = e;
        }
    }
    return 0;
}

static int wait_a_little(const struct toolchain *t, struct err *reterr) {
    const struct timespec wait = {0, WAIT_NS};
    int signo = sigtimedwait(&t->wait_set, NULL, &wait);
    if (signo > 0 && signo != SIGCHLD) {
        return err_set(reterr, JF_E_CANCELED, "ended by signal %d", signo);
    }
    return clock_mono_ns(clock_system()) > t->deadline_mono_ns ? err_set(reterr, JF_E_TIMEOUT, "the compiler did not end in time") : 0;
}

int toolchain_run(struct toolchain *t, const struct toolchain_job *jobs, int n_jobs, char *ret_text, struct err *reterr) {
    struct slot slots[TOOLCHAIN_PARALLEL] = {{NULL, 0}};
    struct proc_exit ended_how = {false, 0};
    int next = 0, ended = 0, failed = -1, r = 0;
    ret_text[0] = '\0';
    if (n_jobs > 0 && !in_path(jobs[0].argv[0])) {
        return err_set(reterr, JF_E_NOT_FOUND, "%s is not installed", jobs[0].argv[0]);
    }
    while (r == 0 && ended < n_jobs && failed < 0) {
        for (int i = 0; i < TOOLCHAIN_PARALLEL && r == 0 && next < n_jobs; i++) {
            if (!slots[i].child) {
                r = start(t, &jobs[next], next, &slots[i], reterr);
                next++;
            }
        }
        r = r < 0 ? r : wait_a_little(t, reterr);
        r = r < 0 ? r : reap(slots, &ended, &failed, &ended_how);
    }
    for (int i = 0; i < TOOLCHAIN_PARALLEL; i++) {
        proc_free(proc_system(), slots[i].child);
    }
    if (r == 0 && failed >= 0) {
        read_log(t, failed, ret_text);
        return err_set(reterr, JF_E_UNSUPPORTED, "%s ended with %s %d", jobs[failed].argv[0], ended_how.signaled ? "signal" : "exit code", ended_how.code);
    }
    if (r == 0 && n_jobs > 0) {
        read_log(t, n_jobs - 1, ret_text);
    }
    return r;
}
