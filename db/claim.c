/* SPDX-License-Identifier: GPL-2.0-or-later
 * Claims and leases: the engine's own file, because how a queued row is picked and locked differs between engines. Here
 * the single writer's BEGIN IMMEDIATE makes the claim exclusive; a server engine would add FOR UPDATE SKIP LOCKED to
 * the same statement. Every write below checks bench, attempt and epoch against the held lease first (invariant D2). */
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

/* ---- lease rows -------------------------------------------------------------------------------------------------- */
#define LEASE_COLUMNS "bench, attempt, job, owner, boot_id, epoch, expires_boot_ns, state"

static void lease_read(const struct stmt *q, struct store_lease *l) {
    char state[STORE_WORD_SIZE];
    int col = 0;
    stmt_get_text(q, &col, l->bench, sizeof l->bench);
    stmt_get_text(q, &col, l->attempt, sizeof l->attempt);
    stmt_get_text(q, &col, l->job, sizeof l->job);
    stmt_get_text(q, &col, l->owner, sizeof l->owner);
    stmt_get_text(q, &col, l->boot_id, sizeof l->boot_id);
    l->epoch = stmt_get_int(q, &col);
    l->expires_boot_ns = stmt_get_int(q, &col);
    stmt_get_text(q, &col, state, sizeof state);
    l->state = sm_state(&store_lease_machine, state);
}

static int lease_get(sqlite3 *db, const char *bench, struct store_lease *ret_l, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db, "SELECT " LEASE_COLUMNS " FROM lease WHERE bench = :bench");
    stmt_text(&q, ":bench", bench);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        lease_read(&q, ret_l);
        r = 0;
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "bench %s has no lease", bench);
    }
    stmt_close(&q);
    return r;
}

/* D2: the lease of the caller is the one that is held. */
static int lease_check(sqlite3 *db, const struct store_lease *mine, struct err *reterr) {
    struct store_lease l = {0};
    int r = lease_get(db, mine->bench, &l, reterr);
    if (r == JF_E_NOT_FOUND ||
        (r == 0 && (l.state != STORE_LEASE_HELD || l.epoch != mine->epoch || strcmp(l.attempt, mine->attempt) != 0))) {
        return err_set(reterr, JF_E_STALE, "the lease of attempt %s (epoch %lld) on %s is over", mine->attempt,
                       (long long)mine->epoch, mine->bench);
    }
    return r;
}

static int lease_move(struct tx *t, const struct store_lease *l, int event, struct err *reterr) {
    int to = sm_next(&store_lease_machine, STORE_LEASE_HELD, event, reterr);
    if (to < 0) {
        return to;
    }
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE lease SET state = :state WHERE bench = :bench AND epoch = :epoch AND state = 'held'");
    stmt_text(&q, ":state", sm_state_name(&store_lease_machine, to));
    stmt_text(&q, ":bench", l->bench);
    stmt_int(&q, ":epoch", l->epoch);
    int r = stmt_run(&q, reterr);
    return r == 0 ? err_set(reterr, JF_E_STALE, "the lease on %s is over", l->bench) : r < 0 ? r : 0;
}

/* ---- claim ---------------------------------------------------------------------------------------------------------
 */
struct claim_arg {
    const struct store_claim_request *q;
    struct store_claim out;
};

static int pick_job(sqlite3 *db, const struct store_claim_request *c, struct store_job *ret_j, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db,
              "SELECT " JOB_COLUMNS
              " FROM job WHERE state = 'queued' AND firmware <> '' AND board_type = :type AND (bench = '' OR bench = :bench) "
              "AND (needs & ~:caps) = 0 AND (min_rate_hz <= 0 OR min_rate_hz <= :rate) AND (:alone = 1 OR bench = "
              ":bench OR avoid <> :bench) "
              "ORDER BY priority DESC, id LIMIT 1");
    stmt_text(&q, ":type", c->board_type);
    stmt_text(&q, ":bench", c->bench);
    stmt_int(&q, ":caps", c->caps);
    stmt_real(&q, ":rate", c->rate_hz);
    stmt_int(&q, ":alone", c->alone);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        r = job_read(&q, ret_j, reterr);
        r = r < 0 ? r : 1;
    }
    stmt_close(&q);
    return r;
}

static int bench_ready(sqlite3 *db, const char *name, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db, "SELECT 1 FROM bench WHERE name = :name AND state = 'idle' AND healthy = 1");
    stmt_text(&q, ":name", name);
    int r = stmt_step(&q, reterr);
    stmt_close(&q);
    return r;
}

static int put_attempt(struct tx *t, const struct store_lease *l, int number, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO attempt (id, job, bench, number, epoch, started_ns, finished_ns, state, stage, result, "
              "cause_class, cause_code, "
              "cause_text, cause_part) VALUES (:id, :job, :bench, :number, :epoch, :now, 0, 'claim', 'claim', '', '', "
              "'', '', '')");
    stmt_text(&q, ":id", l->attempt);
    stmt_text(&q, ":job", l->job);
    stmt_text(&q, ":bench", l->bench);
    stmt_int(&q, ":number", number);
    stmt_int(&q, ":epoch", l->epoch);
    stmt_int(&q, ":now", t->now_ns);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

static int put_lease(struct tx *t, const struct store_lease *l, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO lease (" LEASE_COLUMNS
              ") VALUES (:bench, :attempt, :job, :owner, :boot, :epoch, :expires, 'held') "
              "ON CONFLICT (bench) DO UPDATE SET attempt = excluded.attempt, job = excluded.job, owner = "
              "excluded.owner, boot_id = excluded.boot_id, "
              "epoch = excluded.epoch, expires_boot_ns = excluded.expires_boot_ns, state = 'held'");
    stmt_text(&q, ":bench", l->bench);
    stmt_text(&q, ":attempt", l->attempt);
    stmt_text(&q, ":job", l->job);
    stmt_text(&q, ":owner", l->owner);
    stmt_text(&q, ":boot", l->boot_id);
    stmt_int(&q, ":epoch", l->epoch);
    stmt_int(&q, ":expires", l->expires_boot_ns);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

static int claim_job_row(struct tx *t, struct store_job *j, const struct store_lease *l, struct err *reterr) {
    int to = sm_next(&store_job_machine, j->state, STORE_JOB_CLAIM, reterr);
    if (to < 0) {
        return to;
    }
    struct stmt q;
    stmt_open(
        &q, t->db,
        "UPDATE job SET state = 'active', attempts = attempts + 1, attempt = :attempt, on_bench = :bench, stage = "
        "'claim', "
        "started_ns = CASE WHEN started_ns = 0 THEN :now ELSE started_ns END WHERE id = :id AND state = 'queued'");
    stmt_text(&q, ":attempt", l->attempt);
    stmt_text(&q, ":bench", l->bench);
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":id", j->id);
    int r = stmt_run(&q, reterr);
    if (r != 1) {
        return r < 0 ? r : err_set(reterr, JF_E_CONFLICT, "job %s is no longer queued", j->id);
    }
    j->state = to;
    j->attempts++;
    COPY(j->attempt, l->attempt);
    COPY(j->on_bench, l->bench);
    COPY(j->stage, "claim");
    struct store_event e = {.type = "job.claimed", .state = "active", .stage = "claim"};
    COPY(e.job, l->job);
    COPY(e.attempt, l->attempt);
    COPY(e.bench, l->bench);
    return tx_event(t, &e, reterr);
}

static int claim_fn(struct tx *t, void *arg, struct err *reterr) {
    struct claim_arg *a = arg;
    const struct store_claim_request *c = a->q;
    struct store_lease old = {0}, l = {0};
    int r = bench_ready(t->db, c->bench, reterr);
    if (r <= 0) {
        return r;
    }
    r = lease_get(t->db, c->bench, &old, reterr);
    if (r == 0 && old.state == STORE_LEASE_HELD) {
        return 0; /* D1 */
    }
    if (r < 0 && r != JF_E_NOT_FOUND) {
        return r;
    }
    struct store_job j = {0};
    r = pick_job(t->db, c, &j, reterr);
    if (r <= 0) {
        return r;
    }
    COPY(l.bench, c->bench);
    COPY(l.job, j.id);
    COPY(l.owner, c->owner);
    COPY(l.boot_id, c->boot_id);
    store_id_new(engine_clock(t->store), l.attempt);
    l.epoch = old.epoch + 1;
    l.expires_boot_ns = t->boot_ns + c->ttl_ns;
    l.state = STORE_LEASE_HELD;
    r = put_lease(t, &l, reterr);
    r = r < 0 ? r : put_attempt(t, &l, j.attempts + 1, reterr);
    r = r < 0 ? r : claim_job_row(t, &j, &l, reterr);
    r = r < 0 ? r : tx_bench_event(t, c->bench, STORE_BENCH_CLAIM, "", reterr);
    if (r < 0) {
        store_job_done(&j);
        return r;
    }
    a->out.job = j;
    a->out.lease = l;
    return 1;
}

int store_job_claim(struct store *s, const struct store_claim_request *q, struct store_claim *ret_c,
                    struct err *reterr) {
    struct claim_arg a = {.q = q};
    int r = engine_write(s, claim_fn, &a, reterr);
    if (r == 1) {
        *ret_c = a.out;
    } else {
        store_job_done(&a.out.job); /* claimed, but the commit failed */
    }
    return r;
}

/* ---- stages, renewal
 * ---------------------------------------------------------------------------------------------------- */
struct lease_arg {
    const struct store_lease *l;
    struct store_lease *renewed;
    int64_t ttl_ns;
    int state;
    bool safe;
    const char *reason;
};

static int attempt_state(sqlite3 *db, const char *id, struct err *reterr) {
    struct stmt q;
    char word[STORE_WORD_SIZE] = "";
    stmt_open(&q, db, "SELECT state FROM attempt WHERE id = :id");
    stmt_text(&q, ":id", id);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        int col = 0;
        stmt_get_text(&q, &col, word, sizeof word);
        r = sm_state(&store_attempt_machine, word);
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no attempt %s", id);
    }
    stmt_close(&q);
    return r;
}

static int stage_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct lease_arg *a = arg;
    int r = lease_check(t->db, a->l, reterr);
    int from = r < 0 ? r : attempt_state(t->db, a->l->attempt, reterr);
    if (from < 0 || from == a->state) {
        return from < 0 ? from : 0;
    }
    if (a->state <= STORE_ATTEMPT_CLAIM || a->state > STORE_ATTEMPT_RELEASE) {
        return err_set(reterr, JF_E_INVAL, "no stage");
    }
    r = sm_next(&store_attempt_machine, from, STORE_ATTEMPT_TO_PREPARE + (a->state - STORE_ATTEMPT_PREPARE), reterr);
    if (r < 0) {
        return r;
    }
    const char *word = sm_state_name(&store_attempt_machine, a->state);
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE attempt SET state = :stage, stage = :stage WHERE id = :id");
    stmt_text(&q, ":stage", word);
    stmt_text(&q, ":id", a->l->attempt);
    r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    stmt_open(&q, t->db, "UPDATE job SET stage = :stage WHERE id = :id AND attempt = :attempt AND state = 'active'");
    stmt_text(&q, ":stage", word);
    stmt_text(&q, ":id", a->l->job);
    stmt_text(&q, ":attempt", a->l->attempt);
    r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    struct store_event e = {.type = "job.stage", .state = "active"};
    COPY(e.job, a->l->job);
    COPY(e.attempt, a->l->attempt);
    COPY(e.bench, a->l->bench);
    COPY(e.stage, word);
    return tx_event(t, &e, reterr);
}

int store_attempt_stage(struct store *s, const struct store_lease *l, int state, struct err *reterr) {
    struct lease_arg a = {.l = l, .state = state};
    return engine_write(s, stage_fn, &a, reterr);
}

static int renew_fn(struct tx *t, void *arg, struct err *reterr) {
    struct lease_arg *a = arg;
    int r = lease_check(t->db, a->l, reterr);
    if (r < 0) {
        return r;
    }
    int64_t until = t->boot_ns + a->ttl_ns;
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE lease SET expires_boot_ns = :until WHERE bench = :bench AND epoch = :epoch AND state = 'held'");
    stmt_int(&q, ":until", until);
    stmt_text(&q, ":bench", a->l->bench);
    stmt_int(&q, ":epoch", a->l->epoch);
    r = stmt_run(&q, reterr);
    if (r == 1) {
        a->renewed->expires_boot_ns = until;
    }
    return r < 0 ? r : 0;
}

int store_lease_renew(struct store *s, struct store_lease *l, int64_t ttl_ns, struct err *reterr) {
    struct store_lease renewed = *l;
    struct lease_arg a = {.l = l, .renewed = &renewed, .ttl_ns = ttl_ns};
    int r = engine_write(s, renew_fn, &a, reterr);
    if (r == 0) {
        *l = renewed;
    }
    return r;
}

/* ---- finish
 * ---------------------------------------------------------------------------------------------------------------- */
struct finish_arg {
    const struct store_lease *l;
    const struct store_finish *f;
};

static bool may_requeue(const struct store_job *j, const struct store_finish *f) {
    if (!f->requeue) {
        return false;
    }
    if (f->attempt_event == STORE_ATTEMPT_LOSE) {
        return j->losses < f->max_losses;
    }
    return !f->spend_retry || j->retries > 0;
}

/* Which way the job goes; see the diagram in states.c. */
static int job_event_of(const struct store_job *j, const struct store_finish *f) {
    bool has_result = f->result || j->result[0];
    if (f->attempt_event == STORE_ATTEMPT_CANCEL) {
        return STORE_JOB_CANCEL;
    }
    if (may_requeue(j, f)) {
        if (!j->cancel_requested) {
            return STORE_JOB_REQUEUE;
        }
        return f->result ? STORE_JOB_FINISH : STORE_JOB_CANCEL;
    }
    return has_result ? STORE_JOB_FINISH : STORE_JOB_FAIL;
}

static int finish_attempt_row(struct tx *t, const struct store_lease *l, const struct store_finish *f,
                              struct err *reterr) {
    int from = attempt_state(t->db, l->attempt, reterr);
    if (from < 0) {
        return from;
    }
    if (store_attempt_terminal(from)) {
        return err_set(reterr, JF_E_STALE, "attempt %s has already %s", l->attempt,
                       sm_state_name(&store_attempt_machine, from));
    }
    int to = sm_next(&store_attempt_machine, from, f->attempt_event, reterr);
    if (to < 0) {
        return to;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE attempt SET state = :state, finished_ns = :now, result = :result, cause_class = :cause_class, "
              "cause_code = :cause_code, "
              "cause_text = :cause_text, cause_part = :cause_part WHERE id = :id");
    stmt_text(&q, ":state", sm_state_name(&store_attempt_machine, to));
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":result", f->result ? f->result->id : "");
    cause_bind(&q, &f->cause);
    stmt_text(&q, ":id", l->attempt);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

static int finish_job_row(struct tx *t, const struct store_lease *l, const struct store_finish *f,
                          const struct store_job *j, struct err *reterr) {
    int event = job_event_of(j, f);
    int to = sm_next(&store_job_machine, j->state, event, reterr);
    if (to < 0) {
        return to;
    }
    static const struct store_cause canceled = {.cls = "canceled", .code = "canceled", .text = "canceled on request"},
                                    none = {{0}, {0}, {0}, {0}};
    const struct store_cause *c = event == STORE_JOB_FINISH                                            ? &none
                                  : event == STORE_JOB_CANCEL && strcmp(f->cause.cls, "canceled") != 0 ? &canceled
                                                                                                       : &f->cause;
    struct stmt q;
    stmt_open(
        &q, t->db,
        "UPDATE job SET state = :state, finished_ns = :finished, retries = retries - :spent, losses = losses + :lost, "
        "avoid = :avoid, result = :result, stage = CASE WHEN :state = 'queued' THEN '' ELSE stage END, cause_class = "
        ":cause_class, "
        "cause_code = :cause_code, cause_text = :cause_text, cause_part = :cause_part WHERE id = :id");
    stmt_text(&q, ":state", sm_state_name(&store_job_machine, to));
    stmt_int(&q, ":finished", store_job_terminal(to) ? t->now_ns : 0);
    stmt_int(&q, ":spent", event == STORE_JOB_REQUEUE && f->spend_retry && f->attempt_event != STORE_ATTEMPT_LOSE);
    stmt_int(&q, ":lost", f->attempt_event == STORE_ATTEMPT_LOSE);
    stmt_text(&q, ":avoid", f->avoid_bench ? l->bench : j->avoid);
    stmt_text(&q, ":result", f->result ? f->result->id : j->result);
    cause_bind(&q, c);
    stmt_text(&q, ":id", j->id);
    int r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    static const char *const types[STORE_JOB_STATES] = {"job.requeued", "job.claimed", "job.done", "job.failed",
                                                        "job.canceled"};
    struct store_event e = {0};
    COPY(e.type, types[to]);
    COPY(e.job, j->id);
    COPY(e.attempt, l->attempt);
    COPY(e.bench, l->bench);
    COPY(e.result, f->result ? f->result->id : j->result);
    COPY(e.state, sm_state_name(&store_job_machine, to));
    COPY(e.text, f->cause.text);
    r = tx_event(t, &e, reterr);
    return r < 0 ? r : to;
}

static int count_failure(struct tx *t, const struct store_lease *l, const struct store_finish *f, struct err *reterr) {
    if (!f->bench_failed && f->attempt_event != STORE_ATTEMPT_SUCCEED) {
        return 0;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE bench SET failures = CASE WHEN :failed = 1 THEN failures + 1 ELSE 0 END WHERE name = :name");
    stmt_int(&q, ":failed", f->bench_failed);
    stmt_text(&q, ":name", l->bench);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

static int finish_in_tx(struct tx *t, const struct store_lease *l, const struct store_finish *f, struct err *reterr) {
    int r = lease_check(t->db, l, reterr);
    r = r < 0 ? r : finish_attempt_row(t, l, f, reterr);
    r = r < 0 || !f->trace ? r : tx_trace_add(t, f->trace, reterr);
    r = r < 0 || !f->result ? r : tx_result_add(t, f->result, f->windows, f->n_windows, reterr);
    r = r < 0 ? r : count_failure(t, l, f, reterr);
    if (r < 0) {
        return r;
    }
    struct store_job j = {0};
    r = job_get(t->db, l->job, &j, reterr);
    if (r == 0) {
        r = finish_job_row(t, l, f, &j, reterr);
        store_job_done(&j);
    }
    return r;
}

static int finish_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct finish_arg *a = arg;
    return finish_in_tx(t, a->l, a->f, reterr);
}

int store_attempt_finish(struct store *s, const struct store_lease *l, const struct store_finish *f,
                         struct err *reterr) {
    if (f->attempt_event < STORE_ATTEMPT_SUCCEED || f->attempt_event > STORE_ATTEMPT_LOSE ||
        (f->attempt_event == STORE_ATTEMPT_SUCCEED) != (f->result != NULL)) {
        return err_set(reterr, JF_E_INVAL, "an attempt succeeds exactly when it has a result");
    }
    struct finish_arg a = {l, f};
    return engine_write(s, finish_fn, &a, reterr);
}

/* ---- release, reap
 * ------------------------------------------------------------------------------------------------------------ */
static int release_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct lease_arg *a = arg;
    int r = lease_check(t->db, a->l, reterr);
    int state = r < 0 ? r : attempt_state(t->db, a->l->attempt, reterr);
    if (state < 0) {
        return state;
    }
    if (!store_attempt_terminal(state)) {
        return err_set(reterr, JF_E_CONFLICT, "attempt %s has not ended", a->l->attempt);
    }
    r = lease_move(t, a->l, STORE_LEASE_RELEASE, reterr);
    r = r < 0 ? r : tx_bench_event(t, a->l->bench, a->safe ? STORE_BENCH_RELEASE : STORE_BENCH_LOSE, a->reason, reterr);
    return r < 0 ? r : 0;
}

int store_lease_release(struct store *s, const struct store_lease *l, bool safe, const char *reason,
                        struct err *reterr) {
    struct lease_arg a = {.l = l, .safe = safe, .reason = reason};
    return engine_write(s, release_fn, &a, reterr);
}

static int held_rows(sqlite3 *db, struct store_lease *l, int max, struct err *reterr) {
    struct stmt q;
    int n = 0, r = 0;
    stmt_open(&q, db, "SELECT " LEASE_COLUMNS " FROM lease WHERE state = 'held' ORDER BY bench");
    while (n < max && (r = stmt_step(&q, reterr)) == 1) {
        lease_read(&q, &l[n++]);
    }
    stmt_close(&q);
    return r < 0 ? r : n;
}

int store_leases_held(struct store *s, struct store_lease **ret_leases, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct store_lease *l = calloc(STORE_LIST_MAX, sizeof *l);
    r = l ? held_rows(db, l, STORE_LIST_MAX, reterr) : err_set(reterr, JF_E_NOMEM, "no memory for leases");
    engine_read_end(s, db);
    if (r < 0) {
        free(l);
        return r;
    }
    *ret_leases = l;
    return r;
}

int store_lease_get(struct store *s, const char *bench, struct store_lease *ret_l, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r == 0) {
        r = lease_get(db, bench, ret_l, reterr);
        engine_read_end(s, db);
    }
    return r;
}

struct reap_arg {
    const char *boot_id;
    int max_losses;
};

static int reap_one(struct tx *t, const struct store_lease *l, int max_losses, struct err *reterr) {
    struct store_finish f = {.attempt_event = STORE_ATTEMPT_LOSE,
                             .requeue = true,
                             .max_losses = max_losses,
                             .cause = {"infrastructure", "gone", "the lease of its worker ran out", "host"}};
    int state = attempt_state(t->db, l->attempt, reterr);
    int r = state < 0 ? state : store_attempt_terminal(state) ? 0 : finish_in_tx(t, l, &f, reterr);
    r = r < 0 ? r : lease_move(t, l, STORE_LEASE_EXPIRE, reterr);
    return r < 0 ? r : tx_bench_event(t, l->bench, STORE_BENCH_LOSE, "the lease ran out", reterr);
}

static int reap_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct reap_arg *a = arg;
    struct store_lease *l = calloc(STORE_LIST_MAX, sizeof *l);
    if (!l) {
        return err_set(reterr, JF_E_NOMEM, "no memory for leases");
    }
    int n = held_rows(t->db, l, STORE_LIST_MAX, reterr), reaped = 0, r = 0;
    for (int i = 0; i < n && r >= 0; i++) {
        if (l[i].expires_boot_ns < t->boot_ns || strcmp(l[i].boot_id, a->boot_id) != 0) {
            r = reap_one(t, &l[i], a->max_losses, reterr);
            reaped++;
        }
    }
    free(l);
    return n < 0 ? n : r < 0 ? r : reaped;
}

int store_leases_reap(struct store *s, const char *boot_id, int max_losses, struct err *reterr) {
    struct reap_arg a = {boot_id, max_losses};
    return engine_write(s, reap_fn, &a, reterr);
}
