/* SPDX-License-Identifier: GPL-2.0-or-later
 * Runs a cross compiler: a list of commands as children, a few at a time, in one folder, under one deadline; what they print goes to
 * <folder>/log.<index> and is read back when one fails. Main thread only (base/proc). SIGINT, SIGTERM and SIGHUP end it in good order. */
#ifndef COMPILER_TOOLCHAIN_H
#define COMPILER_TOOLCHAIN_H

#include <signal.h>
#include <stdint.h>

#include "base/err.h"

#define TOOLCHAIN_MAX_ARGS 96
#define TOOLCHAIN_TEXT 4096
#define TOOLCHAIN_PARALLEL 2

struct toolchain_job {
    const char *argv[TOOLCHAIN_MAX_ARGS + 1]; /* borrowed */
};

struct toolchain {
    const char *dir; /* where the children work */
    int64_t deadline_mono_ns;
    sigset_t wait_set, old_set;
};

/* Blocks the signals that toolchain_run() waits for; toolchain_done() gives the old mask back. */
void toolchain_init(struct toolchain *t, const char *dir, int64_t deadline_mono_ns);
void toolchain_done(struct toolchain *t);

/* All jobs, in order, TOOLCHAIN_PARALLEL at a time. The first that fails ends the others: JF_E_UNSUPPORTED with the exit code, and what it printed in
 * ret_text (TOOLCHAIN_TEXT bytes, cut); JF_E_NOT_FOUND: argv[0] is not in PATH; JF_E_TIMEOUT; JF_E_CANCELED: a signal. On success ret_text is what the
 * last job printed. */
int toolchain_run(struct toolchain *t, const struct toolchain_job *jobs, int n_jobs, char *ret_text, struct err *reterr) JF_MUST_CHECK;

#endif
