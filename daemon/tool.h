/* SPDX-License-Identifier: GPL-2.0-or-later
 * One run of one of our own programs (jf-trace, jf-model) as a child: what it prints is collected, and its time, memory,
 * output and files are bounded. Untrusted or large input (traces, uploaded models) is only ever read by such a child: a
 * crash, a loop or a bomb costs one run, never the daemon. */
#ifndef DAEMON_TOOL_H
#define DAEMON_TOOL_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/proc/proc.h"

#define TOOL_COMPLAINT 400

struct tool_env { /* borrowed */
    const struct proc_sys *proc;
    const struct clock_src *clock;
    const bool *stop; /* read atomically; true: the child is ended, JF_E_CANCELED */
};
struct tool_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is a path or a name in PATH */
    const char *cwd;         /* NULL: ours */
    int deadline_ms;
    uint64_t memory_bytes; /* address space of the child and of each of its children; 0: no bound */
    uint64_t file_bytes;   /* largest file it may write; 0: no bound */
    size_t output_max;     /* bytes of standard output */
};
struct tool_end {
    struct buf out; /* standard output; buf_done by the caller, whatever tool_run returned */
    int code;       /* exit status, or the signal's number */
    bool signaled;
    char complaint[TOOL_COMPLAINT]; /* the beginning of standard error: printable, on one line, "" none */
};
/* Blocks until the child has ended, at most deadline_ms and 4 s. The calling thread must live at least as long (the child
 * dies with it). 0: it ran to its end by itself, however that was. JF_E_TIMEOUT, JF_E_TOO_LARGE (output), JF_E_CANCELED
 * (stop), JF_E_NOT_FOUND (no such program), JF_E_IO, JF_E_NOMEM. */
int tool_run(const struct tool_env *env, const struct tool_spec *spec, struct tool_end *ret_end,
             struct err *reterr) JF_MUST_CHECK;
/* The tools of one daemon, and the bounds of its configuration; read-only after start. */
struct tools {
    struct tool_env env;
    char jf_trace[512], jf_model[512]; /* programs */
    int deadline_ms;
    uint64_t memory_bytes;
};
/* What a run that did not exit with 0 says, as an error: its own complaint (status 1: JF_E_UNSUPPORTED), or how it ended
 * (JF_E_PROTOCOL). */
int tool_refusal(const struct tool_end *end, const char *name, struct err *reterr);

#endif
