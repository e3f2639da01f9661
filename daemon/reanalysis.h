/* SPDX-License-Identifier: GPL-2.0-or-later
 * A stored trace analysed again, with another rule or threshold, or with this version's: jf-trace as a child, its answer as
 * a new result that names the old one. Nothing is overwritten (D5). */
#ifndef DAEMON_REANALYSIS_H
#define DAEMON_REANALYSIS_H

#include <jansson.h>

#include "daemon/tool.h"
#include "db/store.h"

#define REANALYSIS_SETS_MAX 25

struct reanalysis {
    /* the order; everything owned */
    struct store_result source; /* with its doc */
    char id[STORE_ID_SIZE];     /* of the result to be */
    json_t *set;                /* override -> value, "rule" included; checked */
    json_t *labels;             /* NULL: the source's */
    struct store_idem idem;     /* key "" none */
    char trace_path[1024];
    /* the outcome */
    char *answer; /* the new result's document */
};
/* Checks the body's object {rule, set, labels} field by field (JF_E_INVAL with the pointer) into an order for source, whose
 * doc it takes. */
int reanalysis_new(const json_t *body, struct store_result *source, const char *data_dir, const struct clock_src *clock,
                   struct reanalysis **ret_r, struct err *reterr) JF_MUST_CHECK;
void reanalysis_free(struct reanalysis *r); /* NULL allowed */
/* Runs jf-trace, stores the new result with its event. On a shop thread; blocks as long as tool_run. Errors: those of
 * tool_run; JF_E_UNSUPPORTED with jf-trace's own sentence; JF_E_PROTOCOL: it printed no result; the store's. */
int reanalysis_run(struct reanalysis *r, const struct tools *tools, struct store *store, const struct clock_src *clock,
                   struct err *reterr) JF_MUST_CHECK;

#endif
