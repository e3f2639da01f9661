/* SPDX-License-Identifier: GPL-2.0-or-later
 * State machines as tables: one row per allowed (state, event), everything else is refused. The diagram stands
 * above the table at its owner. Pure; any thread. */
#ifndef BASE_SM_H
#define BASE_SM_H

#include <stddef.h>

#include "base/err.h"

struct sm_row {
    int from, event, to;
};
struct sm_table {
    const char *noun; /* "job", for messages */
    const char *const *states; /* names by number */
    const char *const *events;
    int n_states, n_events;
    const struct sm_row *rows;
    size_t n_rows;
};

/* The successor of `from` on `event`, or JF_E_CONFLICT with "job: cancel is not possible while done". */
int sm_next(const struct sm_table *t, int from, int event, struct err *reterr) JF_MUST_CHECK;
/* Number of the state or event with that name, or JF_E_NOT_FOUND. */
int sm_state(const struct sm_table *t, const char *name);
const char *sm_state_name(const struct sm_table *t, int state);

#endif
