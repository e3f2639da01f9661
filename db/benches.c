/* SPDX-License-Identifier: GPL-2.0-or-later
 * Bench rows: state by its machine, health apart from it, the recorded worker. */
#include <string.h>

#include "db/engine.h"

#define BENCH_COLUMNS                                                                                                  \
    "b.name, b.board_type, b.board_serial, b.state, b.healthy, b.reason, b.since_ns, b.failures, b.worker_pgid, "      \
    "b.worker_start, "                                                                                                 \
    "coalesce(l.attempt, ''), coalesce(l.job, '')"
#define BENCH_FROM " FROM bench b LEFT JOIN lease l ON l.bench = b.name AND l.state = 'held'"

static void bench_read(const struct stmt *q, struct store_bench *b) {
    char state[STORE_WORD_SIZE];
    int col = 0;
    stmt_get_text(q, &col, b->name, sizeof b->name);
    stmt_get_text(q, &col, b->board_type, sizeof b->board_type);
    stmt_get_text(q, &col, b->board_serial, sizeof b->board_serial);
    stmt_get_text(q, &col, state, sizeof state);
    b->state = sm_state(&store_bench_machine, state);
    b->healthy = stmt_get_int(q, &col) != 0;
    stmt_get_text(q, &col, b->reason, sizeof b->reason);
    b->since_ns = stmt_get_int(q, &col);
    b->failures = stmt_get_int(q, &col);
    b->worker_pgid = stmt_get_int(q, &col);
    b->worker_start = stmt_get_int(q, &col);
    stmt_get_text(q, &col, b->attempt, sizeof b->attempt);
    stmt_get_text(q, &col, b->job, sizeof b->job);
}

static int bench_get(sqlite3 *db, const char *name, struct store_bench *ret_b, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db, "SELECT " BENCH_COLUMNS BENCH_FROM " WHERE b.name = :name");
    stmt_text(&q, ":name", name);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        bench_read(&q, ret_b);
        r = 0;
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no bench %.64s", name);
    }
    stmt_close(&q);
    return r;
}

int store_bench_get(struct store *s, const char *name, struct store_bench *ret_b, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r == 0) {
        r = bench_get(db, name, ret_b, reterr);
        engine_read_end(s, db);
    }
    return r;
}

struct bench_arg {
    const char *name, *type, *serial, *reason;
    int event;
    bool healthy;
    int64_t pgid, start;
};

static int put_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct bench_arg *a = arg;
    struct stmt q;
    stmt_open(
        &q, t->db,
        "INSERT INTO bench (name, board_type, board_serial, state, healthy, reason, since_ns, failures, worker_pgid, "
        "worker_start) "
        "VALUES (:name, :type, :serial, 'offline', 1, 'its worker has not started yet', :now, 0, 0, 0) "
        "ON CONFLICT (name) DO UPDATE SET board_type = excluded.board_type, board_serial = excluded.board_serial");
    stmt_text(&q, ":name", a->name);
    stmt_text(&q, ":type", a->type);
    stmt_text(&q, ":serial", a->serial);
    stmt_int(&q, ":now", t->now_ns);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

int store_bench_put(struct store *s, const char *name, const char *board_type, const char *board_serial,
                    struct err *reterr) {
    struct bench_arg a = {.name = name, .type = board_type, .serial = board_serial};
    return engine_write(s, put_fn, &a, reterr);
}

int tx_bench_event(struct tx *t, const char *name, int event, const char *reason, struct err *reterr) {
    struct store_bench b = {0};
    int r = bench_get(t->db, name, &b, reterr);
    int to = r < 0 ? r : sm_next(&store_bench_machine, b.state, event, reterr);
    if (to < 0) {
        return to;
    }
    reason = reason ? reason : "";
    if (to == b.state && strcmp(b.reason, reason) == 0) {
        return to;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE bench SET state = :state, reason = CASE WHEN healthy = 1 THEN :reason ELSE reason END, since_ns "
              "= :now WHERE name = :name");
    stmt_text(&q, ":state", sm_state_name(&store_bench_machine, to));
    stmt_text(&q, ":reason", reason);
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":name", name);
    r = stmt_run(&q, reterr);
    struct store_event e = {.type = "bench.state"};
    COPY(e.bench, name);
    COPY(e.state, sm_state_name(&store_bench_machine, to));
    COPY(e.text, reason);
    r = r < 0 ? r : tx_event(t, &e, reterr);
    return r < 0 ? r : to;
}

static int event_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct bench_arg *a = arg;
    return tx_bench_event(t, a->name, a->event, a->reason, reterr);
}

int store_bench_event(struct store *s, const char *name, int event, const char *reason, struct err *reterr) {
    if (event == STORE_BENCH_CLAIM || event == STORE_BENCH_RELEASE || event < 0 || event >= STORE_BENCH_EVENTS) {
        return err_set(reterr, JF_E_INVAL, "claim and release belong to leases");
    }
    struct bench_arg a = {.name = name, .event = event, .reason = reason};
    return engine_write(s, event_fn, &a, reterr);
}

static int health_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct bench_arg *a = arg;
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE bench SET healthy = :healthy, reason = :reason, failures = CASE WHEN :healthy = 1 THEN 0 ELSE "
              "failures END WHERE name = :name");
    stmt_int(&q, ":healthy", a->healthy);
    stmt_text(&q, ":reason", a->reason);
    stmt_text(&q, ":name", a->name);
    int r = stmt_run(&q, reterr);
    if (r <= 0) {
        return r < 0 ? r : err_set(reterr, JF_E_NOT_FOUND, "there is no bench %.64s", a->name);
    }
    struct store_event e = {.type = "bench.health"};
    COPY(e.bench, a->name);
    COPY(e.state, a->healthy ? "good" : "bad");
    COPY(e.text, a->reason);
    return tx_event(t, &e, reterr);
}

int store_bench_health(struct store *s, const char *name, bool healthy, const char *reason, struct err *reterr) {
    struct bench_arg a = {.name = name, .healthy = healthy, .reason = reason ? reason : ""};
    return engine_write(s, health_fn, &a, reterr);
}

static int worker_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct bench_arg *a = arg;
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE bench SET worker_pgid = :pgid, worker_start = :start WHERE name = :name");
    stmt_int(&q, ":pgid", a->pgid);
    stmt_int(&q, ":start", a->start);
    stmt_text(&q, ":name", a->name);
    int r = stmt_run(&q, reterr);
    return r == 0 ? err_set(reterr, JF_E_NOT_FOUND, "there is no bench %.64s", a->name) : r < 0 ? r : 0;
}

int store_bench_worker(struct store *s, const char *name, int64_t pgid, int64_t start, struct err *reterr) {
    struct bench_arg a = {.name = name, .pgid = pgid, .start = start};
    return engine_write(s, worker_fn, &a, reterr);
}
