/* SPDX-License-Identifier: GPL-2.0-or-later
 * A child with bounds (daemon/tool.h). Runs on a thread of the shop. */
#include "daemon/tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS 50
#define LAST_MS 5 /* both outputs are at their end: it is about to leave */
#define GRACE_MS 1500

/* AddressSanitizer reserves 16 TiB of address space at its start: a bound would end every program built with it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BOUND_MEMORY 0
#else
#define BOUND_MEMORY 1
#endif

struct run {
    struct proc *p;
    int out, err; /* -1: at its end */
    struct tool_end *end;
    size_t said; /* bytes in end->complaint */
};

static void take_complaint(struct run *r, const char *s, size_t n) {
    for (size_t i = 0; i < n && r->said + 1 < sizeof r->end->complaint; i++) {
        bool blank = (unsigned char)s[i] < ' ' || s[i] == 127;
        if (blank && (r->said == 0 || r->end->complaint[r->said - 1] == ' ')) {
            continue;
        }
        r->end->complaint[r->said++] = blank ? ' ' : s[i];
    }
    r->end->complaint[r->said] = '\0';
}

/* Reads what is there; closes nothing (the child's struct owns the descriptors). */
static int drain(struct run *r, struct err *reterr) {
    char piece[16384];
    ssize_t n;
    while (r->out >= 0 && (n = read(r->out, piece, sizeof piece)) != -1) {
        if (n == 0) {
            r->out = -1;
        } else if (buf_put(&r->end->out, piece, (size_t)n) < 0) {
            return err_set(reterr, JF_E_TOO_LARGE, "prints more than %zu bytes", r->end->out.max);
        }
    }
    while (r->err >= 0 && (n = read(r->err, piece, sizeof piece)) != -1) {
        if (n == 0) {
            r->err = -1;
        } else {
            take_complaint(r, piece, (size_t)n);
        }
    }
    return 0;
}

static int follow(const struct tool_env *env, const struct tool_spec *spec, struct run *r, struct err *reterr) {
    int64_t until = clock_mono_ns(env->clock) + (int64_t)spec->deadline_ms * 1000000;
    struct proc_exit ex;
    for (;;) {
        struct pollfd p[2] = {{.fd = r->out, .events = POLLIN}, {.fd = r->err, .events = POLLIN}};
        (void)poll(p, 2, r->out < 0 && r->err < 0 ? LAST_MS : STEP_MS);
        int ended = proc_poll_exit(env->proc, r->p, &ex);
        int bad = drain(r, reterr); /* after the look at its end: nothing of what it wrote is missed */
        if (bad < 0 || ended < 0) {
            return bad < 0 ? bad : err_set(reterr, JF_E_IO, "cannot be waited for");
        }
        if (ended == 1) {
            r->end->code = ex.code;
            r->end->signaled = ex.signaled;
            return 0;
        }
        if (__atomic_load_n(env->stop, __ATOMIC_RELAXED)) {
            return err_set(reterr, JF_E_CANCELED, "the daemon is ending");
        }
        if (clock_mono_ns(env->clock) > until) {
            return err_set(reterr, JF_E_TIMEOUT, "did not end within %g s", spec->deadline_ms / 1000.0);
        }
    }
}

int tool_run(const struct tool_env *env, const struct tool_spec *spec, struct tool_end *ret_end, struct err *reterr) {
    *ret_end = (struct tool_end){0};
    buf_init(&ret_end->out, spec->output_max);
    const char *name = strrchr(spec->argv[0], '/');
    name = name ? name + 1 : spec->argv[0];
    const struct proc_spec ps = {.argv = spec->argv,
                                 .cwd = spec->cwd,
                                 .stdin_fd = -1,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1,
                                 .limit_as_bytes = BOUND_MEMORY ? spec->memory_bytes : 0,
                                 .limit_fsize_bytes = spec->file_bytes};
    struct run r = {.end = ret_end};
    int rc = proc_spawn(env->proc, &ps, &r.p, reterr);
    if (rc < 0) {
        return rc;
    }
    r.out = proc_output_fd(env->proc, r.p, 1);
    r.err = proc_output_fd(env->proc, r.p, 2);
    rc = follow(env, spec, &r, reterr);
    while (r.said > 0 && ret_end->complaint[r.said - 1] == ' ') {
        ret_end->complaint[--r.said] = '\0';
    }
    if (rc < 0) {
        struct proc_exit ex; /* SIGTERM first: a compiler driver takes its own children and its folder with it */
        (void)proc_stop(env->proc, env->clock, r.p, GRACE_MS, &ex);
        (void)err_prefix(reterr, "%s", name);
    }
    proc_free(env->proc, r.p);
    return rc;
}

int tool_refusal(const struct tool_end *end, const char *name, struct err *reterr) {
    if (end->signaled) {
        return err_set(reterr, JF_E_PROTOCOL, "%s was ended by signal %d%s%s", name, end->code,
                       end->complaint[0] ? ": " : "", end->complaint);
    }
    size_t n = strlen(name);
    const char *text = end->complaint;
    if (strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0) {
        text += n + 2;
    }
    return err_set(reterr, end->code == 1 ? JF_E_UNSUPPORTED : JF_E_PROTOCOL, text[0] ? "%s" : "%s ended with status %d",
                   text[0] ? text : name, end->code);
}
