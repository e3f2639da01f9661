/* SPDX-License-Identifier: GPL-2.0-or-later
 * Child processes by fork and exec (the system back end of base/proc/proc.h) and what is built on the seam.
 * Owns one struct per child. Refuses to know what the child does. Main thread of the process. */
#include "base/proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct proc {
    pid_t pid;
    int out_fd[3]; /* [1], [2]: our read ends, or -1 */
    bool ended;
    struct proc_exit exit;
};

/* What the child needs, prepared before fork: after it only async-signal-safe calls are allowed. */
struct child_plan {
    const struct proc_spec *spec;
    char **env;
    int in_fd, out_fd, err_fd; /* to be dup'ed onto 0, 1, 2 */
    int status_fd; /* write end: errno of a failed step */
    pid_t parent;
};

extern char **environ;

static char **env_with(const char *const *extra) {
    size_t n = 0, m = 0;
    while (environ[n]) {
        n++;
    }
    while (extra && extra[m]) {
        m++;
    }
    char **env = calloc(n + m + 1, sizeof *env);
    if (!env) {
        return NULL;
    }
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < m && !replaced; j++) {
            size_t name = strcspn(extra[j], "=") + 1;
            replaced = strncmp(environ[i], extra[j], name) == 0;
        }
        if (!replaced) {
            env[k++] = environ[i];
        }
    }
    for (size_t j = 0; j < m; j++) {
        env[k++] = (char *)(uintptr_t)extra[j]; /* execvpe takes char *const *, and does not write */
    }
    return env;
}

static void child_fail(const struct child_plan *plan) {
    int e = errno;
    ssize_t w = write(plan->status_fd, &e, sizeof e);
    (void)w;
    _exit(127);
}

static void child_limit(int which, uint64_t value, const struct child_plan *plan) {
    struct rlimit lim;
    if (value > 0) { /* a stricter limit of our own parent stays: raising it would be refused */
        if (getrlimit((__rlimit_resource_t)which, &lim) != 0) {
            child_fail(plan);
        }
        rlim_t v = lim.rlim_max != RLIM_INFINITY && lim.rlim_max < (rlim_t)value ? lim.rlim_max : (rlim_t)value;
        lim = (struct rlimit){.rlim_cur = v, .rlim_max = v};
        if (setrlimit(which, &lim) != 0) {
            child_fail(plan);
        }
    }
}

static bool child_keeps(const struct child_plan *plan, int fd) {
    for (size_t i = 0; i < plan->spec->n_keep_fds; i++) {
        if (plan->spec->keep_fds[i] == fd) {
            return true;
        }
    }
    return fd == plan->status_fd;
}

/* Everything above 2 that is not kept is closed, in spans, so that no descriptor of ours leaks. */
static void child_close_others(const struct child_plan *plan) {
    unsigned from = 3;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < plan->spec->n_keep_fds; i++) {
            int fd = plan->spec->keep_fds[i];
            if (fd >= (int)from && (next < 0 || fd < next)) {
                next = fd;
            }
        }
        if (plan->status_fd >= (int)from && (next < 0 || plan->status_fd < next)) {
            next = plan->status_fd;
        }
        if (next < 0) {
            (void)close_range(from, ~0u, 0);
            return;
        }
        if ((unsigned)next > from) {
            (void)close_range(from, (unsigned)next - 1, 0);
        }
        from = (unsigned)next + 1;
    }
}

static _Noreturn void child_main(const struct child_plan *plan) {
    const struct proc_spec *spec = plan->spec;
    if (setpgid(0, 0) != 0 || (!spec->survives_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)) {
        child_fail(plan);
    }
    if (getppid() != plan->parent) { /* died between fork and prctl */
        _exit(127);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    static const int defaults[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        (void)signal(defaults[i], SIG_DFL);
    }
    if (dup2(plan->in_fd, 0) < 0 || dup2(plan->out_fd, 1) < 0 || dup2(plan->err_fd, 2) < 0) {
        child_fail(plan);
    }
    for (size_t i = 0; i < spec->n_keep_fds; i++) {
        if (!child_keeps(plan, spec->keep_fds[i]) || fcntl(spec->keep_fds[i], F_SETFD, 0) != 0) {
            child_fail(plan);
        }
    }
    child_close_others(plan);
    child_limit(RLIMIT_AS, spec->limit_as_bytes, plan);
    child_limit(RLIMIT_FSIZE, spec->limit_fsize_bytes, plan);
    if (spec->cwd && chdir(spec->cwd) != 0) {
        child_fail(plan);
    }
    execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, plan->env);
    child_fail(plan);
    _exit(127);
}

static int open_cloexec_pipe(int *ret_read, int *ret_write) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }
    *ret_read = fds[0];
    *ret_write = fds[1];
    return 0;
}

/* Descriptors at 3 or above, so that dup2 onto 0..2 in the child cannot overwrite one that is still needed. */
static int lift_fd(int fd) {
    if (fd > 2 || fd < 0) {
        return fd;
    }
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int e = errno;
    (void)close(fd);
    errno = e;
    return up;
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static int make_output(int given, int *ret_child, int *ret_ours) {
    if (given >= 0) {
        *ret_child = fcntl(given, F_DUPFD_CLOEXEC, 3);
        return *ret_child < 0 ? -1 : 0;
    }
    if (open_cloexec_pipe(ret_ours, ret_child) != 0) {
        return -1;
    }
    *ret_ours = lift_fd(*ret_ours);
    *ret_child = lift_fd(*ret_child);
    if (*ret_ours < 0 || *ret_child < 0 || fcntl(*ret_ours, F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    return 0;
}

/* Waits for the child's exec (status pipe closes) or for the errno of its failed step. */
static int exec_outcome(int status_fd) {
    int e = 0;
    size_t got = 0;
    while (got < sizeof e) {
        ssize_t r = read(status_fd, (char *)&e + got, sizeof e - got);
        if (r == 0) {
            return 0;
        }
        if (r < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        got += (size_t)r;
    }
    return e;
}

static int sys_spawn(void *ctx, const struct proc_spec *spec, struct proc **ret_p, struct err *reterr) {
    (void)ctx;
    int res = JF_E_IO;
    int status_read = -1, status_write = -1;
    struct child_plan plan = {.spec = spec, .in_fd = -1, .out_fd = -1, .err_fd = -1, .parent = getpid()};
    struct proc *p = calloc(1, sizeof *p);
    plan.env = env_with(spec->env);
    if (!p || !plan.env) {
        free(p);
        free(plan.env);
        return err_set(reterr, JF_E_NOMEM, "no memory to start %s", spec->argv[0]);
    }
    p->out_fd[0] = p->out_fd[1] = p->out_fd[2] = -1;
    plan.in_fd = lift_fd(spec->stdin_fd >= 0 ? fcntl(spec->stdin_fd, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (plan.in_fd < 0 || make_output(spec->stdout_fd, &plan.out_fd, &p->out_fd[1]) != 0) {
        goto fail_fds;
    }
    if (spec->merge_stderr) {
        plan.err_fd = fcntl(plan.out_fd, F_DUPFD_CLOEXEC, 3);
    } else if (make_output(spec->stderr_fd, &plan.err_fd, &p->out_fd[2]) != 0) {
        goto fail_fds;
    }
    if (plan.err_fd < 0 || open_cloexec_pipe(&status_read, &status_write) != 0) {
        goto fail_fds;
    }
    plan.status_fd = status_write = lift_fd(status_write);
    if (status_write < 0) {
        goto fail_fds;
    }
    p->pid = fork();
    if (p->pid < 0) {
        goto fail_fds;
    }
    if (p->pid == 0) {
        child_main(&plan);
    }
    (void)setpgid(p->pid, p->pid); /* both sides, so that neither races */
    close_fd(&status_write);
    int e = exec_outcome(status_read);
    if (e != 0) {
        (void)waitpid(p->pid, NULL, 0);
        errno = e;
        res = e == ENOENT ? JF_E_NOT_FOUND : JF_E_IO;
        goto fail_fds;
    }
    close_fd(&status_read);
    close_fd(&plan.in_fd);
    close_fd(&plan.out_fd);
    close_fd(&plan.err_fd);
    free(plan.env);
    *ret_p = p;
    return 0;

fail_fds:
    res = err_set_errno(reterr, res, errno, "cannot start %s", spec->argv[0]);
    close_fd(&status_read);
    close_fd(&status_write);
    close_fd(&plan.in_fd);
    close_fd(&plan.out_fd);
    close_fd(&plan.err_fd);
    close_fd(&p->out_fd[1]);
    close_fd(&p->out_fd[2]);
    free(plan.env);
    free(p);
    return res;
}

static pid_t sys_pid(struct proc *p) { return p->pid; }

static int sys_output_fd(struct proc *p, int which) { return which == 1 || which == 2 ? p->out_fd[which] : -1; }

static int sys_poll_exit(struct proc *p, struct proc_exit *ret_exit) {
    if (!p->ended) {
        int status;
        pid_t r;
        do {
            r = waitpid(p->pid, &status, WNOHANG);
        } while (r < 0 && errno == EINTR);
        if (r == 0) {
            return 0;
        }
        p->ended = true;
        if (r < 0) { /* reaped elsewhere: how it ended is unknown */
            p->exit.signaled = false;
            p->exit.code = -1;
        } else {
            p->exit.signaled = WIFSIGNALED(status);
            p->exit.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
    if (ret_exit) {
        *ret_exit = p->exit;
    }
    return 1;
}

static int sys_signal_group(struct proc *p, int signo) { return kill(-p->pid, signo) == 0 ? 0 : JF_E_NOT_FOUND; }

static void sys_free(struct proc *p) {
    if (!p) {
        return;
    }
    (void)kill(-p->pid, SIGKILL); /* the leader if it lives, and whatever it left behind in its group */
    if (!p->ended) {
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close_fd(&p->out_fd[1]);
    close_fd(&p->out_fd[2]);
    free(p);
}

const struct proc_sys *proc_system(void) {
    static const struct proc_ops ops = {sys_spawn, sys_pid, sys_output_fd, sys_poll_exit, sys_signal_group, sys_free};
    static const struct proc_sys sys = {&ops, NULL};
    return &sys;
}

int proc_spawn(const struct proc_sys *s, const struct proc_spec *spec, struct proc **ret_p, struct err *reterr) {
    if (!spec->argv || !spec->argv[0]) {
        return err_set(reterr, JF_E_INVAL, "no program named");
    }
    return s->ops->spawn(s->ctx, spec, ret_p, reterr);
}
pid_t proc_pid(const struct proc_sys *s, struct proc *p) { return s->ops->pid(p); }
int proc_output_fd(const struct proc_sys *s, struct proc *p, int which) { return s->ops->output_fd(p, which); }
int proc_poll_exit(const struct proc_sys *s, struct proc *p, struct proc_exit *ret_exit) {
    return s->ops->poll_exit(p, ret_exit);
}
void proc_free(const struct proc_sys *s, struct proc *p) { s->ops->free(p); }

/* Waits until deadline; poll(2) without descriptors is the bounded sleep between two looks. */
static int wait_exit(const struct proc_sys *s, const struct clock_src *clock, struct proc *p, int budget_ms,
                     struct proc_exit *ret_exit) {
    int64_t until = clock_mono_ns(clock) + budget_ms * CLOCK_NS_PER_MS;
    for (;;) {
        int r = proc_poll_exit(s, p, ret_exit);
        if (r != 0) {
            return r;
        }
        int left = clock_left_ms(clock, until, 10);
        if (left == 0) {
            return 0;
        }
        (void)poll(NULL, 0, left);
    }
}

int proc_stop(const struct proc_sys *s, const struct clock_src *clock, struct proc *p, int grace_ms,
              struct proc_exit *ret_exit) {
    (void)s->ops->signal_group(p, SIGTERM);
    int r = wait_exit(s, clock, p, grace_ms, ret_exit);
    if (r == 0) {
        (void)s->ops->signal_group(p, SIGKILL);
        r = wait_exit(s, clock, p, 2000, ret_exit);
    }
    return r == 1 ? 0 : r < 0 ? r : JF_E_TIMEOUT;
}

int proc_start_ticks(pid_t pid, uint64_t *ret_ticks) {
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return JF_E_NOT_FOUND;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0) {
        return JF_E_NOT_FOUND;
    }
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the name may hold blanks and brackets: count fields behind it */
    int field = 2;
    while (at && *at && field < 22) {
        if (*at == ' ') {
            field++;
        }
        at++;
    }
    char *end = NULL;
    unsigned long long ticks = at ? strtoull(at, &end, 10) : 0;
    if (!at || end == at || field != 22) {
        return JF_E_NOT_FOUND;
    }
    *ret_ticks = ticks;
    return 0;
}

int proc_kill_recorded(pid_t pgid, uint64_t start_ticks) {
    uint64_t now;
    if (pgid <= 1) {
        return JF_E_INVAL;
    }
    if (proc_start_ticks(pgid, &now) == 0 && now != start_ticks) {
        return JF_E_NOT_FOUND; /* the pid was given to somebody else */
    }
    return kill(-pgid, SIGKILL) == 0 ? 0 : JF_E_NOT_FOUND;
}
