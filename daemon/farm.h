/* SPDX-License-Identifier: GPL-2.0-or-later
 * The farm: scheduler and supervision of the workers, one per bench. Runs on the process's main thread only (children
 * die with the thread that forked them); the calls marked "any thread" leave wishes and wake it. */
#ifndef DAEMON_FARM_H
#define DAEMON_FARM_H

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc/proc.h"
#include "daemon/conf.h"
#include "daemon/hub.h"
#include "db/store.h"

struct farm;
struct farm_env { /* borrowed for the farm's life */
    const struct conf *conf;
    struct store *store;
    struct hub *hub;
    const struct clock_src *clock;
    const struct proc_sys *proc;
    const struct log_ctx *log;
    const char *jf_bench; /* program */
};
int farm_new(const struct farm_env *env, struct farm **ret_f, struct err *reterr) JF_MUST_CHECK;
/* What an earlier life left: workers killed by their record, complete results adopted, other attempts lost, benches to
 * be made safe. */
int farm_recover(struct farm *f, struct err *reterr) JF_MUST_CHECK;
/* One round: waits at most max_ms for something to do (or for extra_fd to become readable), does it. */
void farm_step(struct farm *f, int max_ms, int extra_fd);
/* Drains: idle workers leave at once, busy ones are told bye (their attempt is canceled on the bench and queued again).
 * Blocks at most 20 s. */
void farm_stop(struct farm *f);
void farm_free(struct farm *f);

/* ---- any thread ----------------------------------------------------------------------------------------------------
 */
void farm_wake(struct farm *f); /* a job was added or is to be canceled */
int farm_maintenance(struct farm *f, const char *bench, struct err *reterr) JF_MUST_CHECK; /* after its attempt */
int farm_restore(struct farm *f, const char *bench,
                 struct err *reterr) JF_MUST_CHECK; /* back in service, health good */
/* {"pid", "version", "libraries", "wish"} of the bench's worker; new reference. */
json_t *farm_worker_json(struct farm *f, const char *bench);

#endif
