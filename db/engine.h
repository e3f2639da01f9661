/* SPDX-License-Identifier: GPL-2.0-or-later
 * Inside db/: the SQLite engine's connections, transactions and statements. Nobody outside db/ includes this. */
#ifndef DB_ENGINE_H
#define DB_ENGINE_H

#include <sqlite3.h>

#include "db/store.h"

/* A statement with named parameters. Every helper is a no-op after the first failure, which is kept in rc. */
struct stmt {
    sqlite3 *db;
    sqlite3_stmt *st;
    int rc; /* SQLITE_OK, or the first failure */
};
void stmt_open(struct stmt *q, sqlite3 *db, const char *sql);
void stmt_text(struct stmt *q, const char *name, const char *v); /* v borrowed until stmt_close; NULL binds "" */
void stmt_int(struct stmt *q, const char *name, int64_t v);
void stmt_real(struct stmt *q, const char *name, double v); /* NAN binds NULL */
/* 1: a row is there; 0: none any more; JF_E_* . */
int stmt_step(struct stmt *q, struct err *reterr) JF_MUST_CHECK;
/* Runs to the end and closes; returns the number of rows changed, or JF_E_*. */
int stmt_run(struct stmt *q, struct err *reterr) JF_MUST_CHECK;
void stmt_close(struct stmt *q);
/* Columns, from 0, advancing *col. */
void stmt_get_text(const struct stmt *q, int *col, char *out, size_t size);
int64_t stmt_get_int(const struct stmt *q, int *col);
double stmt_get_real(const struct stmt *q, int *col);                           /* NULL is NAN */
int stmt_get_doc(const struct stmt *q, int *col, char **ret_doc) JF_MUST_CHECK; /* heap copy; JF_E_NOMEM */
int engine_error(sqlite3 *db, int rc, struct err *reterr);

/* One write, running inside a transaction on the writer thread. */
struct tx {
    sqlite3 *db;
    struct store *store;
    int64_t now_ns; /* wall */
    int64_t boot_ns;
    bool events; /* some event was appended */
};
typedef int tx_fn(struct tx *t, void *arg, struct err *reterr);
/* Queues fn to the writer, waits for its commit, returns its result. */
int engine_write(struct store *s, tx_fn *fn, void *arg, struct err *reterr) JF_MUST_CHECK;
/* Borrows a read connection; engine_read_end gives it back. */
int engine_read_begin(struct store *s, sqlite3 **ret_db, struct err *reterr) JF_MUST_CHECK;
void engine_read_end(struct store *s, sqlite3 *db);
const struct clock_src *engine_clock(const struct store *s);
int64_t engine_events_keep(const struct store *s);

/* schema.c */
int schema_migrate(sqlite3 *db, const char *path, const struct clock_src *clock, struct err *reterr) JF_MUST_CHECK;
int64_t schema_version_of(sqlite3 *db);

/* events.c: appends with the next number; fields of e other than seq and created_ns. */
int tx_event(struct tx *t, const struct store_event *e, struct err *reterr) JF_MUST_CHECK;
/* idempotency: JF_E_CONFLICT when the key exists. */
int tx_idem(struct tx *t, const char *scope_default, const struct store_idem *i, struct err *reterr) JF_MUST_CHECK;

/* jobs.c */
#define JOB_COLUMNS                                                                                                    \
    "id, created_ns, started_ns, finished_ns, state, cancel_requested, priority, retries, attempts, losses, "          \
    "board_type, bench, "                                                                                              \
    "avoid, firmware, min_rate_hz, needs, attempt, on_bench, stage, result, cause_class, cause_code, cause_text, "     \
    "cause_part, spec, model, numerics, build"
int job_read(const struct stmt *q, struct store_job *ret_j, struct err *reterr) JF_MUST_CHECK;
int job_get(sqlite3 *db, const char *id, struct store_job *ret_j, struct err *reterr) JF_MUST_CHECK;
void cause_read(const struct stmt *q, int *col, struct store_cause *ret_c);
void cause_bind(struct stmt *q, const struct store_cause *c);

/* jobs.c: a queued job that can never run: failed (or done, when it has a result), with its event. */
int tx_job_reject(struct tx *t, const char *id, const struct store_cause *cause, struct err *reterr) JF_MUST_CHECK;
/* models.c: the build's firmware, "" while it compiles; JF_E_UNSUPPORTED with its cause when there will be none. */
int tx_build_firmware(struct tx *t, const char *id, char *out, size_t size, struct err *reterr) JF_MUST_CHECK;

/* benches.c: moves a bench by its machine, with its event; returns the new state. */
int tx_bench_event(struct tx *t, const char *name, int event, const char *reason, struct err *reterr) JF_MUST_CHECK;

/* results.c */
int tx_result_add(struct tx *t, const struct store_result *r, const struct store_window *w, int n,
                  struct err *reterr) JF_MUST_CHECK;
int tx_trace_add(struct tx *t, const struct store_trace *tr, struct err *reterr) JF_MUST_CHECK;

void store_copy(char *dst, size_t size, const char *src); /* cuts; NULL is "" */
#define COPY(dst, src) store_copy((dst), sizeof(dst), (src))

#endif
