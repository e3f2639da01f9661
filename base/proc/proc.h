/* SPDX-License-Identifier: GPL-2.0-or-later
 * Child processes as a seam. argv only, never a shell. Children are forked from the calling thread, which must be
 * the process's main thread (PR_SET_PDEATHSIG fires when the forking *thread* ends), lead their own process group,
 * get SIGKILL when the parent dies, and inherit only stdin/stdout/stderr and the listed descriptors.
 * Nothing here blocks except proc_stop (bounded by its grace) . */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

struct proc_spec {
    const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
    const char *const *env; /* "K=V" added to the parent's environment, NULL-terminated or NULL */
    const char *cwd; /* NULL: parent's */
    int stdin_fd; /* -1: /dev/null */
    int stdout_fd, stderr_fd; /* -1: a non-blocking pipe, read with proc_output_fd; else dup'ed */
    bool merge_stderr; /* stderr goes where stdout goes (stderr_fd ignored) */
    const int *keep_fds; /* inherited under the same number (close-on-exec cleared), or NULL */
    size_t n_keep_fds;
    /* No PR_SET_PDEATHSIG: for a jf-bench worker, which sees its socket's end of file, makes the DUT safe and exits by
     * itself (SIGKILL would leave a powered board behind). Everything else dies with its parent. */
    bool survives_parent;
    uint64_t limit_as_bytes; /* RLIMIT_AS; 0: none; at most what this process is limited to itself, as is the next */
    uint64_t limit_fsize_bytes; /* RLIMIT_FSIZE; 0: none */
};

struct proc; /* one child */

struct proc_exit {
    bool signaled;
    int code; /* exit code, or the signal's number */
};

struct proc_ops {
    int (*spawn)(void *ctx, const struct proc_spec *spec, struct proc **ret_p, struct err *reterr);
    pid_t (*pid)(struct proc *p);
    int (*output_fd)(struct proc *p, int which); /* which 1 or 2; -1 when not a pipe; owned by p */
    int (*poll_exit)(struct proc *p, struct proc_exit *ret_exit); /* 1 ended, 0 runs, <0 */
    int (*signal_group)(struct proc *p, int signo);
    void (*free)(struct proc *p); /* kills the group if it still runs, reaps, closes; NULL allowed */
};
struct proc_sys {
    const struct proc_ops *ops;
    void *ctx;
};
const struct proc_sys *proc_system(void); /* fork/exec; static */

int proc_spawn(const struct proc_sys *s, const struct proc_spec *spec, struct proc **ret_p, struct err *reterr) JF_MUST_CHECK;
pid_t proc_pid(const struct proc_sys *s, struct proc *p);
int proc_output_fd(const struct proc_sys *s, struct proc *p, int which);
int proc_poll_exit(const struct proc_sys *s, struct proc *p, struct proc_exit *ret_exit);
/* SIGTERM to the group, up to grace_ms, then SIGKILL to the group and reap. Blocks at most grace_ms + 2 s. */
int proc_stop(const struct proc_sys *s, const struct clock_src *clock, struct proc *p, int grace_ms, struct proc_exit *ret_exit);
void proc_free(const struct proc_sys *s, struct proc *p);

/* Start time of a process in clock ticks since boot (/proc/PID/stat field 22), so that a recycled pid is not
 * taken for the old one. JF_E_NOT_FOUND when there is none. */
int proc_start_ticks(pid_t pid, uint64_t *ret_ticks);
/* Kills a whole group recorded earlier, only if its leader still has that start time or a member remains. */
int proc_kill_recorded(pid_t pgid, uint64_t start_ticks);

#endif
