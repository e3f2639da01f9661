/* SPDX-License-Identifier: GPL-2.0-or-later
 * Look-up in a state table. Owns no state. */
#include "base/sm.h"

#include <string.h>

int sm_next(const struct sm_table *t, int from, int event, struct err *reterr) {
    if (from < 0 || from >= t->n_states || event < 0 || event >= t->n_events) {
        return err_set(reterr, JF_E_BUG, "%s: state %d or event %d does not exist", t->noun, from, event);
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        if (t->rows[i].from == from && t->rows[i].event == event) {
            return t->rows[i].to;
        }
    }
    return err_set(reterr, JF_E_CONFLICT, "%s: %s is not possible while %s", t->noun, t->events[event],
                   t->states[from]);
}

int sm_state(const struct sm_table *t, const char *name) {
    for (int i = 0; i < t->n_states; i++) {
        if (strcmp(t->states[i], name) == 0) {
            return i;
        }
    }
    return JF_E_NOT_FOUND;
}

const char *sm_state_name(const struct sm_table *t, int state) {
    return state >= 0 && state < t->n_states ? t->states[state] : "?";
}
