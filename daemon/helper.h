/* SPDX-License-Identifier: GPL-2.0-or-later
 * Short runs of jf-trace for the API: reading a foreign session, writing an export. They are children and not calls because their input
 * is a stranger's (archives, JSON, traces of any size) or their work is long: a crash, a leak or a bomb costs one request, bounded in
 * time, memory and file size, and nothing of the daemon. Each runs in a directory of its own under <data_dir>/work.
 *
 * Threads: HTTP threads. They fork, which base/proc allows to a thread that outlives its child (the parent-death signal is the forking
 * thread's): helper_run returns only when the child is gone, and the pool ends after its handlers. A run blocks its thread, and with it
 * the other connections that this thread serves, so at most half of the pool may be in one; who comes too late is told to come again (JF_E_BUSY). */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/proc/proc.h"

#define HELPER_PATH 1024
#define HELPER_ARGS 16

struct helper {
    const struct proc_sys *proc;
    const struct clock_src *clock;
    char program[HELPER_PATH]; /* jf-trace, beside the daemon */
    char work[HELPER_PATH];    /* directory for the runs; emptied at start */
    atomic_int running;
    int most;
};
int helper_init(struct helper *h, const struct clock_src *clock, const char *data_dir, int http_threads, struct err *reterr) JF_MUST_CHECK;

struct helper_run {
    const char *args[HELPER_ARGS]; /* behind the program's name, NULL-terminated */
    const char *dir;               /* of helper_dir_make; the child's working directory */
    int deadline_ms;
    uint64_t memory_bytes, file_bytes; /* limits of the child */
};
/* A new directory, 0700. The caller removes it with helper_dir_drop on every path. Takes one of the places. */
int helper_dir_make(struct helper *h, char ret_dir[HELPER_PATH], struct err *reterr) JF_MUST_CHECK;
void helper_dir_drop(struct helper *h, const char *dir);
/* Runs it to its end and reads its one JSON document from stdout (at most 8 MiB). {"error": {code, where, text}} becomes the error.
 * JF_E_TIMEOUT: killed at the deadline; JF_E_TOO_LARGE: it hit a limit. */
int helper_run(struct helper *h, const struct helper_run *q, json_t **ret_doc, struct err *reterr) JF_MUST_CHECK;

#endif
