/* SPDX-License-Identifier: GPL-2.0-or-later
 * The worker's life around its attempts: hello, idle, run, drain (bench/PROTOCOL.md). Main thread. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "bench/attempt.h"

/* Loads FILE and fills in w: configuration, driver, runner, clock, processes. JF_E_INVAL, JF_E_NOT_FOUND, JF_E_IO. */
int worker_open(struct worker *ret_w, const char *bench_json, struct err *reterr) JF_MUST_CHECK;
void worker_close(struct worker *w);
/* Serves the socket until drain, bye or its end. 0: left as told; JF_E_GONE: the daemon's end closed; JF_E_PROTOCOL. */
int worker_serve(struct worker *w, struct err *reterr) JF_MUST_CHECK;

#endif
