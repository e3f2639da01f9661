/* SPDX-License-Identifier: GPL-2.0-or-later
 * Results with their windows, and traces. Rows are only added (D5; the schema's triggers refuse anything else): a measured
 * one by the transaction that ends its attempt, the others by store_results_add.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

#define RESULT_COLUMNS                                                                                                 \
    "id, job, attempt, bench, board_type, board_serial, method, verdict, firmware, trace, created_ns, energy_j, "      \
    "net_energy_j, "                                                                                                   \
    "latency_s, u95_j, doc, origin, source_result, model, numerics"

static const char *const origins[] = {"measured", "imported", "reanalysed"};

const char *store_origin_word(int origin) { return origin >= 0 && origin < STORE_ORIGINS ? origins[origin] : ""; }

int store_origin_of(const char *word) {
    for (int i = 0; i < STORE_ORIGINS; i++) {
        if (strcmp(word, origins[i]) == 0) {
            return i;
        }
    }
    return -1;
}

void store_result_done(struct store_result *r) {
    if (r) {
        free(r->doc);
        r->doc = NULL;
    }
}

void store_results_free(struct store_result *r, int n) {
    for (int i = 0; r && i < n; i++) {
        store_result_done(&r[i]);
    }
    free(r);
}

void store_windows_free(struct store_window *w, int n) {
    for (int i = 0; w && i < n; i++) {
        free(w[i].doc);
    }
    free(w);
}

static int window_add(struct tx *t, const char *result, const struct store_window *w, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO result_window (result, idx, energy_j, duration_s, doc) VALUES (:result, :idx, :energy, "
              ":duration, :doc)");
    stmt_text(&q, ":result", result);
    stmt_int(&q, ":idx", w->index);
    stmt_real(&q, ":energy", w->energy_j);
    stmt_real(&q, ":duration", w->duration_s);
    stmt_text(&q, ":doc", w->doc);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

int tx_result_add(struct tx *t, const struct store_result *res, const struct store_window *w, int n,
                  struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO result (" RESULT_COLUMNS
              ") VALUES (:id, :job, :attempt, :bench, :board_type, :board_serial, :method, :verdict, "
              ":firmware, :trace, :now, :energy, :net, :latency, :u95, :doc, :origin, :source, :model, :numerics)");
    stmt_text(&q, ":id", res->id);
    stmt_text(&q, ":job", res->job);
    stmt_text(&q, ":attempt", res->attempt);
    stmt_text(&q, ":bench", res->bench);
    stmt_text(&q, ":board_type", res->board_type);
    stmt_text(&q, ":board_serial", res->board_serial);
    stmt_text(&q, ":method", res->method);
    stmt_text(&q, ":verdict", res->verdict);
    stmt_text(&q, ":firmware", res->firmware);
    stmt_text(&q, ":trace", res->trace);
    stmt_int(&q, ":now", t->now_ns);
    stmt_real(&q, ":energy", res->energy_j);
    stmt_real(&q, ":net", res->net_energy_j);
    stmt_real(&q, ":latency", res->latency_s);
    stmt_real(&q, ":u95", res->u95_j);
    stmt_text(&q, ":doc", res->doc);
    stmt_text(&q, ":origin", store_origin_word(res->origin));
    stmt_text(&q, ":model", res->model);
    stmt_text(&q, ":numerics", res->numerics);
    if (res->source_result[0]) { /* unbound is NULL: no source */
        stmt_text(&q, ":source", res->source_result);
    }
    int r = stmt_run(&q, reterr);
    for (int i = 0; i < n && r >= 0; i++) {
        r = window_add(t, res->id, &w[i], reterr);
    }
    if (r < 0) {
        return r;
    }
    struct store_event e = {.type = "result.created"};
    COPY(e.job, res->job);
    COPY(e.attempt, res->attempt);
    COPY(e.bench, res->bench);
    COPY(e.result, res->id);
    COPY(e.state, res->verdict);
    return tx_event(t, &e, reterr);
}

int tx_trace_add(struct tx *t, const struct store_trace *tr, struct err *reterr) {
    struct stmt q;
    stmt_open(
        &q, t->db,
        "INSERT INTO trace (id, attempt, size, created_ns, duration_s) VALUES (:id, :attempt, :size, :now, :duration) "
        "ON CONFLICT (id) DO NOTHING");
    stmt_text(&q, ":id", tr->id);
    stmt_text(&q, ":attempt", tr->attempt);
    stmt_int(&q, ":size", tr->size);
    stmt_int(&q, ":now", t->now_ns);
    stmt_real(&q, ":duration", tr->duration_s);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

/* ---- results without an attempt ---------------------------------------------------------------------------------- */
struct results_arg {
    const struct store_result_new *list;
    int n;
    const struct store_idem *idem;
};

static int source_exists(struct tx *t, const char *id, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db, "SELECT 1 FROM result WHERE id = :id");
    stmt_text(&q, ":id", id);
    int r = stmt_step(&q, reterr);
    stmt_close(&q);
    return r < 0 ? r : r == 1 ? 0 : err_set(reterr, JF_E_NOT_FOUND, "there is no result %.40s", id);
}

static int results_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct results_arg *a = arg;
    int r = tx_idem(t, "results", a->idem, reterr);
    for (int i = 0; i < a->n && r >= 0; i++) {
        const struct store_result_new *x = &a->list[i];
        if (x->result->origin == STORE_ORIGIN_REANALYSED) {
            r = source_exists(t, x->result->source_result, reterr);
        }
        r = r < 0 || !x->trace ? r : tx_trace_add(t, x->trace, reterr);
        r = r < 0 ? r : tx_result_add(t, x->result, x->windows, x->n_windows, reterr);
    }
    return r < 0 ? r : 0;
}

int store_results_add(struct store *s, const struct store_result_new *list, int n, const struct store_idem *idem,
                      struct err *reterr) {
    for (int i = 0; i < n; i++) {
        const struct store_result *r = list[i].result;
        bool again = r->origin == STORE_ORIGIN_REANALYSED;
        if ((r->origin != STORE_ORIGIN_IMPORTED && !again) || r->attempt[0] || again != (r->source_result[0] != '\0')) {
            return err_set(reterr, JF_E_INVAL, "result %.40s: origin, attempt and source do not belong together", r->id);
        }
    }
    struct results_arg a = {list, n, idem};
    return engine_write(s, results_fn, &a, reterr);
}

static int result_read(const struct stmt *q, struct store_result *ret_r, struct err *reterr) {
    struct store_result r = {0};
    int col = 0;
    stmt_get_text(q, &col, r.id, sizeof r.id);
    stmt_get_text(q, &col, r.job, sizeof r.job);
    stmt_get_text(q, &col, r.attempt, sizeof r.attempt);
    stmt_get_text(q, &col, r.bench, sizeof r.bench);
    stmt_get_text(q, &col, r.board_type, sizeof r.board_type);
    stmt_get_text(q, &col, r.board_serial, sizeof r.board_serial);
    stmt_get_text(q, &col, r.method, sizeof r.method);
    stmt_get_text(q, &col, r.verdict, sizeof r.verdict);
    stmt_get_text(q, &col, r.firmware, sizeof r.firmware);
    stmt_get_text(q, &col, r.trace, sizeof r.trace);
    r.created_ns = stmt_get_int(q, &col);
    r.energy_j = stmt_get_real(q, &col);
    r.net_energy_j = stmt_get_real(q, &col);
    r.latency_s = stmt_get_real(q, &col);
    r.u95_j = stmt_get_real(q, &col);
    if (stmt_get_doc(q, &col, &r.doc) < 0) {
        return err_set(reterr, JF_E_NOMEM, "no memory for result %s", r.id);
    }
    char word[STORE_WORD_SIZE];
    stmt_get_text(q, &col, word, sizeof word);
    r.origin = store_origin_of(word);
    stmt_get_text(q, &col, r.source_result, sizeof r.source_result);
    stmt_get_text(q, &col, r.model, sizeof r.model);
    stmt_get_text(q, &col, r.numerics, sizeof r.numerics);
    *ret_r = r;
    return 0;
}

int store_result_get(struct store *s, const char *id, struct store_result *ret_r, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT " RESULT_COLUMNS " FROM result WHERE id = :id");
    stmt_text(&q, ":id", id);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        r = result_read(&q, ret_r, reterr);
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no result %.40s", id);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}

struct condition {
    const char *sql, *name, *value;
};

int store_result_list(struct store *s, const struct store_result_filter *f, struct store_result **ret_r,
                      struct err *reterr) {
    const struct condition all[] = {
        {" AND job = :job", ":job", f->job},
        {" AND attempt = :attempt", ":attempt", f->attempt},
        {" AND bench = :bench", ":bench", f->bench},
        {" AND board_type = :type", ":type", f->board_type},
        {" AND method = :method", ":method", f->method},
        {" AND verdict = :verdict", ":verdict", f->verdict},
        {" AND firmware = :firmware", ":firmware", f->firmware},
        {" AND trace = :trace", ":trace", f->trace},
        {" AND origin = :origin", ":origin", f->origin},
        {" AND source_result = :source", ":source", f->source_result},
        {" AND model = :model", ":model", f->model},
        {" AND id < :below", ":below", f->below},
    };
    int limit = f->limit < 1 ? 1 : f->limit > STORE_LIST_MAX ? STORE_LIST_MAX : f->limit;
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    char sql[1024] = "SELECT " RESULT_COLUMNS " FROM result WHERE 1 = 1";
    struct stmt q = {0};
    int n = 0;
    struct store_result *list = calloc((size_t)limit, sizeof *list);
    if (!list) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for %d results", limit);
        goto out;
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value) {
            (void)strncat(sql, all[i].sql, sizeof sql - strlen(sql) - 1);
        }
    }
    (void)strncat(sql, " ORDER BY id DESC LIMIT :limit", sizeof sql - strlen(sql) - 1);
    stmt_open(&q, db, sql);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value) {
            stmt_text(&q, all[i].name, all[i].value);
        }
    }
    stmt_int(&q, ":limit", limit);
    while (n < limit && (r = stmt_step(&q, reterr)) == 1) {
        r = result_read(&q, &list[n], reterr);
        if (r < 0) {
            break;
        }
        n++;
    }
    stmt_close(&q);
out:
    engine_read_end(s, db);
    if (r < 0) {
        store_results_free(list, n);
        return r;
    }
    *ret_r = list;
    return n;
}

#define WINDOWS_MAX 1024

int store_window_list(struct store *s, const char *result, struct store_window **ret_w, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q = {0};
    int n = 0;
    struct store_window *w = calloc(WINDOWS_MAX, sizeof *w);
    if (!w) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for windows");
        goto out;
    }
    stmt_open(
        &q, db,
        "SELECT idx, energy_j, duration_s, doc FROM result_window WHERE result = :result ORDER BY idx LIMIT :limit");
    stmt_text(&q, ":result", result);
    stmt_int(&q, ":limit", WINDOWS_MAX);
    while (n < WINDOWS_MAX && (r = stmt_step(&q, reterr)) == 1) {
        int col = 0;
        w[n].index = stmt_get_int(&q, &col);
        w[n].energy_j = stmt_get_real(&q, &col);
        w[n].duration_s = stmt_get_real(&q, &col);
        r = stmt_get_doc(&q, &col, &w[n].doc);
        if (r < 0) {
            (void)err_set(reterr, JF_E_NOMEM, "no memory for windows");
            break;
        }
        n++;
    }
    stmt_close(&q);
out:
    engine_read_end(s, db);
    if (r < 0) {
        store_windows_free(w, n);
        return r;
    }
    *ret_w = w;
    return n;
}

int store_trace_get(struct store *s, const char *id, struct store_trace *ret_t, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT id, attempt, size, created_ns, duration_s FROM trace WHERE id = :id");
    stmt_text(&q, ":id", id);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        int col = 0;
        stmt_get_text(&q, &col, ret_t->id, sizeof ret_t->id);
        stmt_get_text(&q, &col, ret_t->attempt, sizeof ret_t->attempt);
        ret_t->size = stmt_get_int(&q, &col);
        ret_t->created_ns = stmt_get_int(&q, &col);
        ret_t->duration_s = stmt_get_real(&q, &col);
        r = 0;
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no trace %.80s", id);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}
