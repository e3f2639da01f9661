/* SPDX-License-Identifier: GPL-2.0-or-later
 * The marker samples of a logic analyzer as the trace stores them: changes of level with their sample index, in `second-edges` events (FORMAT.md). Capture
 * thread only. */
#ifndef BENCH_EDGES_H
#define BENCH_EDGES_H

#include "base/err.h"
#include "base/ring.h"
#include "drivers/power/power.h"

struct edges {
    struct ring *ring; /* borrowed */
    json_t *list;      /* owned: changes of the record under construction */
    int64_t first, end; /* of it; first < 0: no sample yet */
    int64_t host_raw_ns;
    double period_s;
    bool known; /* level is the one before `end` */
    uint8_t level;
};

void edges_init(struct edges *ret_e, struct ring *ring);
void edges_done(struct edges *e);
/* Takes one block; hands a record to the ring once a second of samples or EDGES_MAX changes are together. JF_E_FULL, JF_E_GONE: the ring's;
 * JF_E_NOMEM. */
int edges_take(struct edges *e, const struct power_block *b) JF_MUST_CHECK;
int edges_flush(struct edges *e) JF_MUST_CHECK; /* what is left */

#define EDGES_MAX 4096

#endif
