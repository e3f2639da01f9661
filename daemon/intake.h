/* SPDX-License-Identifier: GPL-2.0-or-later
 * From a worker's spool directory to what the store wants: result.json checked and completed, the trace moved under its
 * hash, the log moved to logs/. Files only; the caller commits. Main thread where nothing else
 * is said. */
#ifndef DAEMON_INTAKE_H
#define DAEMON_INTAKE_H

#include <jansson.h>

#include "base/clock.h"
#include "daemon/conf.h"
#include "db/store.h"

#define INTAKE_RESULT_MAX (16u << 20)
#define INTAKE_WINDOWS_MAX 1024

struct intake {
    struct store_result result; /* doc owned here */
    struct store_window *windows;
    int n_windows;
    struct store_trace trace;
    bool has_trace;
    bool lossy; /* verdict invalid because samples were lost: worth another try */
};
/* sha256 (hex) and size as announced, or NULL and 0: an unannounced file found at start. JF_E_NOT_FOUND: no complete
 * result; JF_E_STALE: another epoch; JF_E_PROTOCOL, JF_E_CORRUPT: it is not what it should be. */
int intake_result(const struct conf *conf, const struct clock_src *clock, const struct store_lease *l,
                  const struct store_job *job, const char *sha256, int64_t size, struct intake **ret_in,
                  struct err *reterr) JF_MUST_CHECK;
void intake_free(struct intake *in);
/* From a Result as the API shows it to the columns of its row: verdict, method, model, numerics and figures. Pure; any
 * thread. JF_E_PROTOCOL: no verdict. */
int intake_figures(const json_t *result, struct store_result *r, struct err *reterr) JF_MUST_CHECK;
/* From the array of Windows to rows (store_windows_free). At most INTAKE_WINDOWS_MAX. Pure; any thread. */
int intake_windows(const json_t *list, struct store_window **ret_w, int *ret_n, struct err *reterr) JF_MUST_CHECK;
/* Moves the attempt's log where it stays; a worker that still writes keeps writing into it. */
void intake_keep_log(const struct conf *conf, const char *attempt);
/* Removes what is left of the attempt's spool directory (log kept). */
void intake_drop_spool(const struct conf *conf, const char *attempt);
/* Calls fn for each directory in the spool. */
void intake_each_spool(const struct conf *conf, void (*fn)(void *user, const char *attempt), void *user);

#endif
