/* SPDX-License-Identifier: GPL-2.0-or-later
 * The configuration: YAML checked against tables, every mistake collected with file, line, column and field. After
 * loading it is read-only and may be read by any thread. Knows nothing of the daemon's other parts. */
#ifndef DAEMON_CONF_H
#define DAEMON_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define CONF_MAX_BENCHES 64
#define CONF_MAX_MISTAKES 200
#define CONF_PATH 512

struct conf_mistake {
    char file[256];
    int line, column; /* from 1 */
    char field[160];  /* "benches[0].analyzer.conn"; "" the file itself */
    char text[320];
};
struct conf_mistakes {
    struct conf_mistake *items;
    int n;
    bool more; /* there were more than CONF_MAX_MISTAKES */
};
void conf_mistakes_done(struct conf_mistakes *m);
void conf_mistakes_print(const struct conf_mistakes *m, FILE *to); /* "file:line:column: field: text" */

/* What a job may demand of a bench. */
#define CONF_CAP_STAGES (1 << 0)  /* the stage lines are wired */
#define CONF_CAP_VOLTAGE (1 << 1) /* voltage is measured */
#define CONF_CAP_STREAMING (1 << 2)
#define CONF_CAP_SUPPLY (1 << 3) /* the bench sets the supply voltage */

struct conf_bench {
    const char *name, *board_type, *board_serial; /* borrowed from doc */
    bool is_virtual;
    double rate_hz; /* 0: unknown */
    int64_t caps;
    double supply_v;
    json_t *doc; /* owned: what jf-bench reads, the catalogue entry included as "board_type" */
};
struct conf {
    char listen[64], data_dir[CONF_PATH], boards_dir[CONF_PATH],
        jf_bench[CONF_PATH], jf_trace[CONF_PATH], jf_model[CONF_PATH]; /* programs; "": beside this one */
    int port, http_threads, max_streams, quarantine_after, tool_threads;
    int64_t max_firmware_bytes, max_input_bytes, max_model_bytes, events_keep;
    int64_t tool_memory_mib; /* 0: no bound */
    double lease_s, tool_deadline_s;
    json_t *board_types; /* owned object: name -> catalogue entry */
    struct conf_bench benches[CONF_MAX_BENCHES];
    int n_benches;
};

/* JF_E_INVAL: there are mistakes (*m has them); *m must be zeroed before and freed after in any case. */
int conf_load(const char *path, struct conf **ret_c, struct conf_mistakes *m, struct err *reterr) JF_MUST_CHECK;
void conf_free(struct conf *c);
const struct conf_bench *conf_bench_find(const struct conf *c, const char *name);

#endif
