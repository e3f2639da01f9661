/* SPDX-License-Identifier: GPL-2.0-or-later
 * The shop: a few threads for work that takes longer than a request may and that belongs to no bench: analysing a trace
 * again, compiling a model. HTTP threads leave orders here and go on; farm and HTTP never wait for a child. The threads
 * live until shop_close, so children may be forked from them (base/proc: a child dies with its thread). */
#ifndef DAEMON_SHOP_H
#define DAEMON_SHOP_H

#include <stdbool.h>

#include "base/err.h"

#define SHOP_MAX_THREADS 8
#define SHOP_QUEUE_MAX 256

struct shop;
struct shop_order {
    /* Runs on a shop thread. arg is its own from then on. */
    void (*work)(void *arg);
    /* The shop closes and work will not run: gives arg back. */
    void (*drop)(void *arg);
    void *arg;
};
int shop_open(int threads, struct shop **ret_s, struct err *reterr) JF_MUST_CHECK;
/* Any thread, never blocks. JF_E_FULL: SHOP_QUEUE_MAX orders wait already; JF_E_CANCELED: closing; arg stays the
 * caller's. */
int shop_post(struct shop *s, const struct shop_order *o, struct err *reterr) JF_MUST_CHECK;
const bool *shop_stop(const struct shop *s); /* true (read atomically): work under way is to end soon */
/* Sets stop, drops what waits, joins. Idempotent until shop_free. NULL allowed. */
void shop_close(struct shop *s);
void shop_free(struct shop *s); /* closes; NULL allowed */

#endif
