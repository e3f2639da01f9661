/* SPDX-License-Identifier: GPL-2.0-or-later
 * Events, idempotency keys, ids, counts. Event numbers come from a counter row inside the transaction: no gap, no
 * repetition, also after older events were dropped (invariant D4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "db/engine.h"

#define TRIM_EVERY 256

void store_id_new(const struct clock_src *clock, char ret_id[STORE_ID_SIZE]) {
    uint8_t r[8];
    size_t have = 0;
    while (have <
           sizeof r) { /* getrandom of so few bytes is not cut once the pool is ready; EINTR is possible before */
        ssize_t n = getrandom(r + have, sizeof r - have, 0);
        have += n > 0 ? (size_t)n : 0;
    }
    int64_t ns = clock_wall_ns(clock);
    uint64_t ms = (uint64_t)(ns / CLOCK_NS_PER_MS);
    uint64_t fraction = (uint64_t)(ns % CLOCK_NS_PER_MS) * 4096 / (uint64_t)CLOCK_NS_PER_MS; /* RFC 9562 6.2 method 3 */
    uint8_t u[16] = {(uint8_t)(ms >> 40),
                     (uint8_t)(ms >> 32),
                     (uint8_t)(ms >> 24),
                     (uint8_t)(ms >> 16),
                     (uint8_t)(ms >> 8),
                     (uint8_t)ms,
                     (uint8_t)(0x70 | (fraction >> 8)),
                     (uint8_t)fraction,
                     (uint8_t)(0x80 | (r[0] & 0x3f))};
    memcpy(u + 9, r + 1, 7);
    char *out = ret_id;
    for (size_t i = 0; i < sizeof u; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = "0123456789abcdef"[u[i] >> 4];
        *out++ = "0123456789abcdef"[u[i] & 15];
    }
    *out = '\0';
}

int tx_event(struct tx *t, const struct store_event *e, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE counter SET value = value + 1 WHERE name = 'event' RETURNING value");
    int64_t seq = 0;
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        int col = 0;
        seq = stmt_get_int(&q, &col);
    }
    stmt_close(&q);
    if (r <= 0) {
        return r < 0 ? r : err_set(reterr, JF_E_CORRUPT, "the event counter is missing");
    }
    stmt_open(&q, t->db,
              "INSERT INTO event (seq, created_ns, type, job, attempt, bench, result, state, stage, text) "
              "VALUES (:seq, :now, :type, :job, :attempt, :bench, :result, :state, :stage, :text)");
    stmt_int(&q, ":seq", seq);
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":type", e->type);
    stmt_text(&q, ":job", e->job);
    stmt_text(&q, ":attempt", e->attempt);
    stmt_text(&q, ":bench", e->bench);
    stmt_text(&q, ":result", e->result);
    stmt_text(&q, ":state", e->state);
    stmt_text(&q, ":stage", e->stage);
    stmt_text(&q, ":text", e->text);
    r = stmt_run(&q, reterr);
    if (r < 0) {
        return r;
    }
    t->events = true;
    if (seq % TRIM_EVERY == 0) {
        stmt_open(&q, t->db, "DELETE FROM event WHERE seq <= :limit");
        stmt_int(&q, ":limit", seq - engine_events_keep(t->store));
        r = stmt_run(&q, reterr);
    }
    return r < 0 ? r : 0;
}

static int idem_fn(struct tx *t, void *arg, struct err *reterr) { return tx_idem(t, "", arg, reterr); }

int store_idem_put(struct store *s, const struct store_idem *i, struct err *reterr) {
    struct store_idem copy = *i;
    return engine_write(s, idem_fn, &copy, reterr);
}

static int event_fn(struct tx *t, void *arg, struct err *reterr) { return tx_event(t, arg, reterr); }

int store_event_add(struct store *s, const struct store_event *e, struct err *reterr) {
    struct store_event copy = *e;
    return engine_write(s, event_fn, &copy, reterr);
}

static void event_read(const struct stmt *q, struct store_event *e) {
    int col = 0;
    e->seq = stmt_get_int(q, &col);
    e->created_ns = stmt_get_int(q, &col);
    stmt_get_text(q, &col, e->type, sizeof e->type);
    stmt_get_text(q, &col, e->job, sizeof e->job);
    stmt_get_text(q, &col, e->attempt, sizeof e->attempt);
    stmt_get_text(q, &col, e->bench, sizeof e->bench);
    stmt_get_text(q, &col, e->result, sizeof e->result);
    stmt_get_text(q, &col, e->state, sizeof e->state);
    stmt_get_text(q, &col, e->stage, sizeof e->stage);
    stmt_get_text(q, &col, e->text, sizeof e->text);
}

static int one_int(sqlite3 *db, const char *sql, int64_t *ret_v, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db, sql);
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        int col = 0;
        *ret_v = stmt_get_int(&q, &col);
    }
    stmt_close(&q);
    return r < 0 ? r : 0;
}

static int event_rows(sqlite3 *db, int64_t after, int limit, struct store_event *e, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db,
              "SELECT seq, created_ns, type, job, attempt, bench, result, state, stage, text FROM event WHERE seq > "
              ":after ORDER BY seq LIMIT :limit");
    stmt_int(&q, ":after", after);
    stmt_int(&q, ":limit", limit);
    int n = 0, r;
    while ((r = stmt_step(&q, reterr)) == 1 && n < limit) {
        event_read(&q, &e[n++]);
    }
    stmt_close(&q);
    return r < 0 ? r : n;
}

int store_event_list(struct store *s, int64_t after, int limit, struct store_event **ret_e, int64_t *ret_oldest,
                     struct err *reterr) {
    limit = limit < 1 ? 1 : limit > STORE_LIST_MAX ? STORE_LIST_MAX : limit;
    sqlite3 *db;
    int64_t first = 0, last = 0;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct store_event *e = calloc((size_t)limit, sizeof *e);
    if (!e) {
        engine_read_end(s, db);
        return err_set(reterr, JF_E_NOMEM, "no memory for %d events", limit);
    }
    r = one_int(db, "SELECT min(seq) FROM event", &first, reterr);
    r = r < 0 ? r : one_int(db, "SELECT value FROM counter WHERE name = 'event'", &last, reterr);
    int64_t oldest = first > 0 ? first - 1 : last;
    if (r == 0 && ret_oldest) {
        *ret_oldest = oldest;
    }
    if (r == 0 && after < oldest) {
        r = err_set(reterr, JF_E_GONE, "events up to %lld are no longer kept", (long long)oldest);
        if (ret_oldest) {
            *ret_oldest = oldest;
        }
    }
    r = r < 0 ? r : event_rows(db, after, limit, e, reterr);
    engine_read_end(s, db);
    if (r < 0) {
        free(e);
        return r;
    }
    *ret_e = e;
    return r;
}

int64_t store_event_last(struct store *s) {
    sqlite3 *db;
    int64_t last = 0;
    if (engine_read_begin(s, &db, NULL) == 0) {
        (void)one_int(db, "SELECT value FROM counter WHERE name = 'event'", &last, NULL);
        engine_read_end(s, db);
    }
    return last;
}

/* ---- idempotency keys ------------------------------------------------------------------------------------------- */
int tx_idem(struct tx *t, const char *scope_default, const struct store_idem *i, struct err *reterr) {
    if (!i) {
        return 0;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO idempotency (scope, key, body_hash, status, answer, created_ns) VALUES (:scope, :key, "
              ":hash, :status, :answer, :now) "
              "ON CONFLICT (scope, key) DO NOTHING");
    stmt_text(&q, ":scope", i->scope[0] ? i->scope : scope_default);
    stmt_text(&q, ":key", i->key);
    stmt_text(&q, ":hash", i->body_hash);
    stmt_int(&q, ":status", i->status);
    stmt_text(&q, ":answer", i->answer);
    stmt_int(&q, ":now", t->now_ns);
    int r = stmt_run(&q, reterr);
    return r == 0 ? err_set(reterr, JF_E_CONFLICT, "the idempotency key is in use") : r < 0 ? r : 0;
}

int store_idem_get(struct store *s, const char *scope, const char *key, struct store_idem *ret_i, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT body_hash, status, answer FROM idempotency WHERE scope = :scope AND key = :key");
    stmt_text(&q, ":scope", scope);
    stmt_text(&q, ":key", key);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        struct store_idem i = {0};
        char *answer = NULL;
        int col = 0;
        COPY(i.scope, scope);
        COPY(i.key, key);
        stmt_get_text(&q, &col, i.body_hash, sizeof i.body_hash);
        i.status = stmt_get_int(&q, &col);
        r = stmt_get_doc(&q, &col, &answer);
        i.answer = answer;
        if (r == 0) {
            *ret_i = i;
        }
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "a new key");
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}

int store_counts_get(struct store *s, struct store_counts *ret_c, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct store_counts c = {0};
    struct stmt q;
    stmt_open(&q, db, "SELECT state, count(*) FROM job GROUP BY state");
    while ((r = stmt_step(&q, reterr)) == 1) {
        int col = 0;
        char word[STORE_WORD_SIZE];
        stmt_get_text(&q, &col, word, sizeof word);
        int st = sm_state(&store_job_machine, word);
        if (st >= 0) {
            c.jobs[st] = stmt_get_int(&q, &col);
        }
    }
    stmt_close(&q);
    r = r < 0 ? r : one_int(db, "SELECT count(*) FROM result", &c.results, reterr);
    r = r < 0 ? r : one_int(db, "SELECT count(*) FROM event", &c.events, reterr);
    r = r < 0 ? r : one_int(db, "SELECT count(*) FROM artefact", &c.artefacts, reterr);
    engine_read_end(s, db);
    if (r == 0) {
        *ret_c = c;
    }
    return r;
}
