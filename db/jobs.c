/* SPDX-License-Identifier: GPL-2.0-or-later
 * Job and attempt rows: adding, reading, listing, canceling. Claims and everything under a lease is in claim.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

void store_job_done(struct store_job *j) {
    if (j) {
        free(j->spec);
        j->spec = NULL;
    }
}

void store_jobs_free(struct store_job *jobs, int n) {
    for (int i = 0; jobs && i < n; i++) {
        store_job_done(&jobs[i]);
    }
    free(jobs);
}

void cause_read(const struct stmt *q, int *col, struct store_cause *ret_c) {
    stmt_get_text(q, col, ret_c->cls, sizeof ret_c->cls);
    stmt_get_text(q, col, ret_c->code, sizeof ret_c->code);
    stmt_get_text(q, col, ret_c->text, sizeof ret_c->text);
    stmt_get_text(q, col, ret_c->part, sizeof ret_c->part);
}

void cause_bind(struct stmt *q, const struct store_cause *c) {
    stmt_text(q, ":cause_class", c->cls);
    stmt_text(q, ":cause_code", c->code);
    stmt_text(q, ":cause_text", c->text);
    stmt_text(q, ":cause_part", c->part);
}

int job_read(const struct stmt *q, struct store_job *ret_j, struct err *reterr) {
    struct store_job j = {0};
    char state[STORE_WORD_SIZE];
    int col = 0;
    stmt_get_text(q, &col, j.id, sizeof j.id);
    j.created_ns = stmt_get_int(q, &col);
    j.started_ns = stmt_get_int(q, &col);
    j.finished_ns = stmt_get_int(q, &col);
    stmt_get_text(q, &col, state, sizeof state);
    j.state = sm_state(&store_job_machine, state);
    j.cancel_requested = stmt_get_int(q, &col) != 0;
    j.priority = (int)stmt_get_int(q, &col);
    j.retries = (int)stmt_get_int(q, &col);
    j.attempts = (int)stmt_get_int(q, &col);
    j.losses = (int)stmt_get_int(q, &col);
    stmt_get_text(q, &col, j.board_type, sizeof j.board_type);
    stmt_get_text(q, &col, j.bench, sizeof j.bench);
    stmt_get_text(q, &col, j.avoid, sizeof j.avoid);
    stmt_get_text(q, &col, j.firmware, sizeof j.firmware);
    j.min_rate_hz = stmt_get_real(q, &col);
    j.needs = stmt_get_int(q, &col);
    stmt_get_text(q, &col, j.attempt, sizeof j.attempt);
    stmt_get_text(q, &col, j.on_bench, sizeof j.on_bench);
    stmt_get_text(q, &col, j.stage, sizeof j.stage);
    stmt_get_text(q, &col, j.result, sizeof j.result);
    cause_read(q, &col, &j.cause);
    if (j.state < 0) {
        return err_set(reterr, JF_E_CORRUPT, "job %s is in the unknown state %s", j.id, state);
    }
    if (stmt_get_doc(q, &col, &j.spec) < 0) {
        return err_set(reterr, JF_E_NOMEM, "no memory for job %s", j.id);
    }
    stmt_get_text(q, &col, j.model, sizeof j.model);
    stmt_get_text(q, &col, j.numerics, sizeof j.numerics);
    stmt_get_text(q, &col, j.build, sizeof j.build);
    *ret_j = j;
    return 0;
}

int job_get(sqlite3 *db, const char *id, struct store_job *ret_j, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db, "SELECT " JOB_COLUMNS " FROM job WHERE id = :id");
    stmt_text(&q, ":id", id);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        r = job_read(&q, ret_j, reterr);
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no job %.40s", id);
    }
    stmt_close(&q);
    return r;
}

/* ---- adding -------------------------------------------------------------------------------------------------------
 */
struct add_arg {
    const struct store_job *j;
    const struct store_idem *idem;
};

static int firmware_exists(struct tx *t, const char *id, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db, "SELECT 1 FROM artefact WHERE kind = 'firmware' AND id = :id");
    stmt_text(&q, ":id", id);
    int r = stmt_step(&q, reterr);
    stmt_close(&q);
    return r < 0 ? r : r == 1 ? 0 : err_set_at(reterr, JF_E_NOT_FOUND, "/firmware", "there is no firmware %s", id);
}

static int add_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct add_arg *a = arg;
    const struct store_job *j = a->j;
    int r = tx_idem(t, "jobs", a->idem, reterr);
    if (r < 0) {
        return r;
    }
    char firmware[STORE_HASH_SIZE];
    COPY(firmware, j->firmware);
    struct stmt q;
    if (j->build[0]) {
        r = tx_build_firmware(t, j->build, firmware, sizeof firmware, reterr); /* it may have ended since it was asked for */
    } else {
        r = firmware_exists(t, firmware, reterr);
    }
    if (r < 0) {
        return r;
    }
    stmt_open(&q, t->db,
              "INSERT INTO job (" JOB_COLUMNS
              ") VALUES (:id, :now, 0, 0, 'queued', 0, :priority, :retries, 0, 0, :board_type, :bench, '', :firmware, "
              ":min_rate, :needs, '', '', '', '', '', '', '', '', :spec, :model, :numerics, :build)");
    stmt_text(&q, ":id", j->id);
    stmt_int(&q, ":now", t->now_ns);
    stmt_int(&q, ":priority", j->priority);
    stmt_int(&q, ":retries", j->retries);
    stmt_text(&q, ":board_type", j->board_type);
    stmt_text(&q, ":bench", j->bench);
    stmt_text(&q, ":firmware", firmware);
    stmt_text(&q, ":model", j->model);
    stmt_text(&q, ":numerics", j->numerics);
    stmt_text(&q, ":build", j->build);
    stmt_real(&q, ":min_rate", j->min_rate_hz);
    stmt_int(&q, ":needs", j->needs);
    stmt_text(&q, ":spec", j->spec);
    r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    struct store_event e = {.type = "job.created", .state = "queued"};
    COPY(e.job, j->id);
    COPY(e.bench, j->bench);
    return tx_event(t, &e, reterr);
}

int store_job_add(struct store *s, const struct store_job *j, const struct store_idem *idem, struct err *reterr) {
    struct add_arg a = {j, idem};
    return engine_write(s, add_fn, &a, reterr);
}

/* ---- reading --------------------------------------------------------------------------------------------------------
 */
#define AHEAD                                                                                                          \
    "SELECT count(*) FROM job WHERE state = 'queued' AND board_type = :type AND (bench = '' OR :bench = '' OR bench "  \
    "= :bench) AND "                                                                                                   \
    "(priority > :priority OR (priority = :priority AND id < :id))"

static int64_t jobs_ahead(sqlite3 *db, const char *type, const char *bench, int priority, const char *id) {
    struct stmt q;
    struct err e;
    int64_t n = 0;
    stmt_open(&q, db, AHEAD);
    stmt_text(&q, ":type", type);
    stmt_text(&q, ":bench", bench);
    stmt_int(&q, ":priority", priority);
    stmt_text(&q, ":id", id);
    if (stmt_step(&q, &e) == 1) {
        int col = 0;
        n = stmt_get_int(&q, &col);
    }
    stmt_close(&q);
    return n;
}

static void fill_position(sqlite3 *db, struct store_job *j) {
    if (j->state == STORE_JOB_QUEUED) {
        j->position = jobs_ahead(db, j->board_type, j->bench, j->priority, j->id) + 1;
    }
}

int64_t store_job_position(struct store *s, const char *board_type, const char *bench, int priority) {
    sqlite3 *db;
    if (engine_read_begin(s, &db, NULL) < 0) {
        return 1;
    }
    int64_t n = jobs_ahead(db, board_type, bench, priority, "g"); /* behind every id */
    engine_read_end(s, db);
    return n + 1;
}

int store_job_get(struct store *s, const char *id, struct store_job *ret_j, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    r = job_get(db, id, ret_j, reterr);
    if (r == 0) {
        fill_position(db, ret_j);
    }
    engine_read_end(s, db);
    return r;
}

int store_job_list(struct store *s, const struct store_job_filter *f, struct store_job **ret_jobs, struct err *reterr) {
    int limit = f->limit < 1 ? 1 : f->limit > STORE_LIST_MAX ? STORE_LIST_MAX : f->limit;
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    int n = 0;
    struct stmt q = {0};
    struct store_job *jobs = calloc((size_t)limit, sizeof *jobs);
    if (!jobs) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for %d jobs", limit);
        goto out;
    }
    char sql[1400];
    (void)snprintf(sql, sizeof sql,
                   "SELECT " JOB_COLUMNS " FROM job WHERE 1 = 1%s%s%s%s%s%s ORDER BY id DESC LIMIT :limit",
                   f->state >= 0 ? " AND state = :state" : "", f->board_type ? " AND board_type = :type" : "",
                   f->bench ? " AND (bench = :bench OR on_bench = :bench)" : "",
                   f->firmware ? " AND firmware = :firmware" : "", f->model ? " AND model = :model" : "", f->below ? " AND id < :below" : "");
    stmt_open(&q, db, sql);
    if (f->state >= 0) {
        stmt_text(&q, ":state", sm_state_name(&store_job_machine, f->state));
    }
    if (f->board_type) {
        stmt_text(&q, ":type", f->board_type);
    }
    if (f->bench) {
        stmt_text(&q, ":bench", f->bench);
    }
    if (f->firmware) {
        stmt_text(&q, ":firmware", f->firmware);
    }
    if (f->model) {
        stmt_text(&q, ":model", f->model);
    }
    if (f->below) {
        stmt_text(&q, ":below", f->below);
    }
    stmt_int(&q, ":limit", limit);
    while (n < limit && (r = stmt_step(&q, reterr)) == 1) {
        r = job_read(&q, &jobs[n], reterr);
        if (r < 0) {
            break;
        }
        fill_position(db, &jobs[n]);
        n++;
    }
    stmt_close(&q);
out:
    engine_read_end(s, db);
    if (r < 0) {
        store_jobs_free(jobs, n);
        return r;
    }
    *ret_jobs = jobs;
    return n;
}

/* ---- cancel, reject
 * ---------------------------------------------------------------------------------------------------- */
static int end_queued(struct tx *t, const struct store_job *j, const char *state, const struct store_cause *c,
                      const char *type, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE job SET state = :state, finished_ns = :now, cause_class = :cause_class, cause_code = "
              ":cause_code, cause_text = :cause_text, "
              "cause_part = :cause_part WHERE id = :id");
    stmt_text(&q, ":state", state);
    stmt_int(&q, ":now", t->now_ns);
    cause_bind(&q, c);
    stmt_text(&q, ":id", j->id);
    int r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    struct store_event e = {0};
    COPY(e.type, type);
    COPY(e.job, j->id);
    COPY(e.state, state);
    COPY(e.text, c->text);
    return tx_event(t, &e, reterr);
}

static int cancel_fn(struct tx *t, void *arg, struct err *reterr) {
    const char *id = arg;
    struct store_job j = {0};
    int r = job_get(t->db, id, &j, reterr);
    if (r < 0) {
        return r;
    }
    store_job_done(&j);
    r = sm_next(&store_job_machine, j.state, STORE_JOB_CANCEL, reterr);
    if (r < 0 || (j.state == STORE_JOB_ACTIVE && j.cancel_requested)) {
        return r < 0 ? r : STORE_JOB_ACTIVE;
    }
    if (j.state == STORE_JOB_QUEUED) {
        struct store_cause c = {.cls = "canceled", .code = "canceled", .text = "canceled before it ran"};
        r = end_queued(t, &j, "canceled", &c, "job.canceled", reterr);
        return r < 0 ? r : STORE_JOB_CANCELED;
    }
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE job SET cancel_requested = 1 WHERE id = :id");
    stmt_text(&q, ":id", id);
    r = stmt_run(&q, reterr);
    struct store_event e = {.type = "job.cancel_requested", .state = "active"};
    COPY(e.job, id);
    COPY(e.bench, j.on_bench);
    r = r < 0 ? r : tx_event(t, &e, reterr);
    return r < 0 ? r : STORE_JOB_ACTIVE;
}

int store_job_cancel(struct store *s, const char *id, struct err *reterr) {
    char copy[STORE_ID_SIZE];
    COPY(copy, id);
    return engine_write(s, cancel_fn, copy, reterr);
}

struct reject_arg {
    const char *id;
    const struct store_cause *cause;
};

int tx_job_reject(struct tx *t, const char *id, const struct store_cause *cause, struct err *reterr) {
    struct store_job j = {0};
    int r = job_get(t->db, id, &j, reterr);
    if (r < 0) {
        return r;
    }
    store_job_done(&j);
    if (j.state != STORE_JOB_QUEUED) {
        return err_set(reterr, JF_E_CONFLICT, "job %s is no longer queued", id);
    }
    return end_queued(t, &j, j.result[0] ? "done" : "failed", cause, j.result[0] ? "job.done" : "job.failed",
                      reterr);
}

static int reject_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct reject_arg *a = arg;
    return tx_job_reject(t, a->id, a->cause, reterr);
}

int store_job_reject(struct store *s, const char *id, const struct store_cause *cause, struct err *reterr) {
    struct reject_arg a = {id, cause};
    return engine_write(s, reject_fn, &a, reterr);
}

/* ---- attempts: reading
 * --------------------------------------------------------------------------------------------------- */
#define ATTEMPT_COLUMNS                                                                                                \
    "id, job, bench, number, epoch, started_ns, finished_ns, state, stage, result, cause_class, cause_code, "          \
    "cause_text, cause_part"

static void attempt_read(const struct stmt *q, struct store_attempt *a) {
    char state[STORE_WORD_SIZE];
    int col = 0;
    stmt_get_text(q, &col, a->id, sizeof a->id);
    stmt_get_text(q, &col, a->job, sizeof a->job);
    stmt_get_text(q, &col, a->bench, sizeof a->bench);
    a->number = stmt_get_int(q, &col);
    a->epoch = stmt_get_int(q, &col);
    a->started_ns = stmt_get_int(q, &col);
    a->finished_ns = stmt_get_int(q, &col);
    stmt_get_text(q, &col, state, sizeof state);
    a->state = sm_state(&store_attempt_machine, state);
    stmt_get_text(q, &col, a->stage, sizeof a->stage);
    stmt_get_text(q, &col, a->result, sizeof a->result);
    cause_read(q, &col, &a->cause);
}

int store_attempt_get(struct store *s, const char *id, struct store_attempt *ret_a, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE id = :id");
    stmt_text(&q, ":id", id);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        attempt_read(&q, ret_a);
        r = 0;
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no attempt %.40s", id);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}

int store_attempt_list(struct store *s, const char *job, struct store_attempt **ret_a, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct store_attempt *a = calloc(STORE_LIST_MAX, sizeof *a);
    struct stmt q;
    int n = 0;
    stmt_open(&q, db, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE job = :job ORDER BY number LIMIT :limit");
    stmt_text(&q, ":job", job);
    stmt_int(&q, ":limit", STORE_LIST_MAX);
    r = a ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for attempts");
    while (a && n < STORE_LIST_MAX && (r = stmt_step(&q, reterr)) == 1) {
        attempt_read(&q, &a[n++]);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_a = a;
    return n;
}
