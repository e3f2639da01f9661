/* SPDX-License-Identifier: GPL-2.0-or-later
 * One build: a model for a board type, with the tools' help. On a thread of the shop. */
#ifndef DAEMON_BUILD_H
#define DAEMON_BUILD_H

#include "daemon/conf.h"
#include "daemon/tool.h"
#include "db/store.h"

struct build_env { /* borrowed */
    const struct conf *conf;
    struct store *store;
    const struct tools *tools;
};
/* Runs the tools and stores the end: ready with a firmware, refused with the violations, or failed (the tool hung, died,
 * said nothing that can be understood, or blames the toolchain or the disk). Returns the stored state. JF_E_CANCELED: the daemon is ending, nothing was stored;
 * the store's errors. Blocks as long as two runs of a tool. */
int build_run(const struct build_env *env, const struct store_build *b, struct err *reterr) JF_MUST_CHECK;
/* Stores that it failed because the daemon ended too often under it. */
int build_give_up(const struct build_env *env, const struct store_build *b, int tries, struct err *reterr) JF_MUST_CHECK;

#endif
