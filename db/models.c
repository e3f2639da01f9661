/* SPDX-License-Identifier: GPL-2.0-or-later
 * Models and their builds. A build's end, the firmware that it gave and every job that waited for it change in one
 * transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

#define BUILD_COLUMNS                                                                                                  \
    "id, model, board_type, numerics, tool, state, tries, created_ns, updated_ns, firmware, cause_class, cause_code, " \
    "cause_text, cause_part, doc"

void store_build_done(struct store_build *b) {
    if (b) {
        free(b->doc);
        b->doc = NULL;
    }
}

void store_builds_free(struct store_build *b, int n) {
    for (int i = 0; b && i < n; i++) {
        store_build_done(&b[i]);
    }
    free(b);
}

/* ---- models ------------------------------------------------------------------------------------------------------- */
static int model_put_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct store_model *m = arg;
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO model (id, name, format, size, created_ns) VALUES (:id, :name, :format, :size, :now) ON CONFLICT "
              "(id) DO NOTHING");
    stmt_text(&q, ":id", m->id);
    stmt_text(&q, ":name", m->name);
    stmt_text(&q, ":format", m->format);
    stmt_int(&q, ":size", m->size);
    stmt_int(&q, ":now", t->now_ns);
    return stmt_run(&q, reterr);
}

int store_model_put(struct store *s, const struct store_model *m, struct err *reterr) {
    struct store_model copy = *m;
    return engine_write(s, model_put_fn, &copy, reterr);
}

static void model_read(const struct stmt *q, struct store_model *m) {
    int col = 0;
    stmt_get_text(q, &col, m->id, sizeof m->id);
    stmt_get_text(q, &col, m->name, sizeof m->name);
    stmt_get_text(q, &col, m->format, sizeof m->format);
    m->size = stmt_get_int(q, &col);
    m->created_ns = stmt_get_int(q, &col);
}

int store_model_get(struct store *s, const char *id, struct store_model *ret_m, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT id, name, format, size, created_ns FROM model WHERE id = :id");
    stmt_text(&q, ":id", id);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        model_read(&q, ret_m);
        r = 0;
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no model %.80s", id);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}

int store_model_list(struct store *s, const char *below, int limit, struct store_model **ret_m, struct err *reterr) {
    limit = limit < 1 ? 1 : limit > STORE_LIST_MAX ? STORE_LIST_MAX : limit;
    struct store_model *list = calloc((size_t)limit, sizeof *list);
    if (!list) {
        return err_set(reterr, JF_E_NOMEM, "no memory for models");
    }
    sqlite3 *db;
    int n = 0, r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        free(list);
        return r;
    }
    struct stmt q;
    stmt_open(&q, db,
              below ? "SELECT id, name, format, size, created_ns FROM model WHERE id < :below ORDER BY id DESC LIMIT :limit"
                    : "SELECT id, name, format, size, created_ns FROM model ORDER BY id DESC LIMIT :limit");
    if (below) {
        stmt_text(&q, ":below", below);
    }
    stmt_int(&q, ":limit", limit);
    while (n < limit && (r = stmt_step(&q, reterr)) == 1) {
        model_read(&q, &list[n++]);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    if (r < 0) {
        free(list);
        return r;
    }
    *ret_m = list;
    return n;
}

/* ---- builds ------------------------------------------------------------------------------------------------------- */
static int build_read(const struct stmt *q, struct store_build *ret_b, struct err *reterr) {
    struct store_build b = {0};
    char state[STORE_WORD_SIZE];
    int col = 0;
    stmt_get_text(q, &col, b.id, sizeof b.id);
    stmt_get_text(q, &col, b.model, sizeof b.model);
    stmt_get_text(q, &col, b.board_type, sizeof b.board_type);
    stmt_get_text(q, &col, b.numerics, sizeof b.numerics);
    stmt_get_text(q, &col, b.tool, sizeof b.tool);
    stmt_get_text(q, &col, state, sizeof state);
    b.state = sm_state(&store_build_machine, state);
    b.tries = stmt_get_int(q, &col);
    b.created_ns = stmt_get_int(q, &col);
    b.updated_ns = stmt_get_int(q, &col);
    stmt_get_text(q, &col, b.firmware, sizeof b.firmware);
    cause_read(q, &col, &b.cause);
    if (b.state < 0) {
        return err_set(reterr, JF_E_CORRUPT, "build %s is in the unknown state %s", b.id, state);
    }
    if (stmt_get_doc(q, &col, &b.doc) < 0) {
        return err_set(reterr, JF_E_NOMEM, "no memory for build %s", b.id);
    }
    *ret_b = b;
    return 0;
}

static int build_by(sqlite3 *db, const char *id, const struct store_build *key, struct store_build *ret_b,
                    struct err *reterr) {
    struct stmt q;
    stmt_open(&q, db,
              id ? "SELECT " BUILD_COLUMNS " FROM build WHERE id = :id"
                 : "SELECT " BUILD_COLUMNS
                   " FROM build WHERE model = :model AND board_type = :type AND numerics = :numerics AND tool = :tool");
    if (id) {
        stmt_text(&q, ":id", id);
    } else {
        stmt_text(&q, ":model", key->model);
        stmt_text(&q, ":type", key->board_type);
        stmt_text(&q, ":numerics", key->numerics);
        stmt_text(&q, ":tool", key->tool);
    }
    int r = stmt_step(&q, reterr);
    if (r == 1) {
        r = build_read(&q, ret_b, reterr);
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no such build");
    }
    stmt_close(&q);
    return r;
}

static int build_event(struct tx *t, const struct store_build *b, int state, const char *why, struct err *reterr) {
    struct store_event e = {.type = "model.build"};
    COPY(e.state, sm_state_name(&store_build_machine, state));
    (void)snprintf(e.text, sizeof e.text, "%s for %s, %s%s%.300s", b->model, b->board_type, b->numerics,
                   why[0] ? ": " : "", why);
    return tx_event(t, &e, reterr);
}

static int build_add(struct tx *t, struct store_build *b, struct err *reterr) {
    struct stmt q;
    store_id_new(engine_clock(t->store), b->id);
    stmt_open(&q, t->db,
              "INSERT INTO build (" BUILD_COLUMNS ") VALUES (:id, :model, :type, :numerics, :tool, 'compiling', 0, "
              ":now, :now, '', '', '', '', '', '{}')");
    stmt_text(&q, ":id", b->id);
    stmt_text(&q, ":model", b->model);
    stmt_text(&q, ":type", b->board_type);
    stmt_text(&q, ":numerics", b->numerics);
    stmt_text(&q, ":tool", b->tool);
    stmt_int(&q, ":now", t->now_ns);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : build_event(t, b, STORE_BUILD_COMPILING, "", reterr);
}

struct want_arg {
    struct store_build *b; /* the key in, the build out */
    bool refused_too;
};

/* 1: it was set to compiling now. */
static int want_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct want_arg *a = arg;
    struct store_build *b = a->b, have = {0};
    int r = build_by(t->db, NULL, b, &have, reterr);
    if (r == JF_E_NOT_FOUND) {
        r = build_add(t, b, reterr);
        return r < 0 ? r : 1;
    }
    if (r < 0) {
        return r;
    }
    if (have.state != STORE_BUILD_FAILED && (have.state != STORE_BUILD_REFUSED || !a->refused_too)) {
        *b = have;
        return 0;
    }
    int to = sm_next(&store_build_machine, have.state, STORE_BUILD_RETRY, reterr);
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE build SET state = 'compiling', tries = 0, updated_ns = :now WHERE id = :id");
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":id", have.id);
    r = stmt_run(&q, reterr);
    have.state = to;
    r = r < 0 ? r : build_event(t, &have, STORE_BUILD_COMPILING, "again", reterr);
    if (r < 0) {
        store_build_done(&have);
        return r;
    }
    *b = have;
    return 1;
}

int store_build_want(struct store *s, struct store_build *b, bool refused_too, struct err *reterr) {
    b->doc = NULL;
    b->state = STORE_BUILD_COMPILING;
    struct want_arg a = {b, refused_too};
    return engine_write(s, want_fn, &a, reterr);
}

int store_build_get(struct store *s, const char *id, struct store_build *ret_b, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r == 0) {
        r = build_by(db, id, NULL, ret_b, reterr);
        engine_read_end(s, db);
    }
    return r;
}

int store_build_list(struct store *s, const char *model, int state, struct store_build **ret_b, struct err *reterr) {
    struct store_build *list = calloc(STORE_LIST_MAX, sizeof *list);
    if (!list) {
        return err_set(reterr, JF_E_NOMEM, "no memory for builds");
    }
    sqlite3 *db;
    int n = 0, r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        free(list);
        return r;
    }
    struct stmt q;
    stmt_open(&q, db,
              model ? "SELECT " BUILD_COLUMNS " FROM build WHERE model = :model ORDER BY id LIMIT :limit"
                    : "SELECT " BUILD_COLUMNS " FROM build WHERE state = :state ORDER BY id LIMIT :limit");
    if (model) {
        stmt_text(&q, ":model", model);
    } else {
        stmt_text(&q, ":state", sm_state_name(&store_build_machine, state));
    }
    stmt_int(&q, ":limit", STORE_LIST_MAX);
    while (n < STORE_LIST_MAX && (r = stmt_step(&q, reterr)) == 1) {
        r = build_read(&q, &list[n], reterr);
        if (r < 0) {
            break;
        }
        n++;
    }
    stmt_close(&q);
    engine_read_end(s, db);
    if (r < 0) {
        store_builds_free(list, n);
        return r;
    }
    *ret_b = list;
    return n;
}

static int start_fn(struct tx *t, void *arg, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE build SET tries = tries + 1 WHERE id = :id AND state = 'compiling' RETURNING tries");
    stmt_text(&q, ":id", arg);
    int r = stmt_step(&q, reterr), col = 0;
    r = r == 1 ? (int)stmt_get_int(&q, &col) : r == 0 ? err_set(reterr, JF_E_CONFLICT, "the build is over") : r;
    stmt_close(&q);
    return r;
}

int store_build_start(struct store *s, const char *id, struct err *reterr) {
    char copy[STORE_ID_SIZE];
    COPY(copy, id);
    return engine_write(s, start_fn, copy, reterr);
}

/* ---- the end of a build ------------------------------------------------------------------------------------------- */
struct finish_arg {
    const char *id;
    const struct store_build_end *end;
};

static int put_firmware(struct tx *t, const struct store_artefact *fw, struct err *reterr) {
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO artefact (kind, id, size, created_ns, doc) VALUES ('firmware', :id, :size, :now, :doc) ON "
              "CONFLICT (kind, id) DO NOTHING");
    stmt_text(&q, ":id", fw->id);
    stmt_int(&q, ":size", fw->size);
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":doc", fw->doc);
    int r = stmt_run(&q, reterr);
    return r < 0 ? r : 0;
}

/* One job that waited: it has its firmware now, or it has failed. */
static int settle_job(struct tx *t, const char *job, const struct store_build_end *end, struct err *reterr) {
    if (!end->firmware) {
        return tx_job_reject(t, job, &end->cause, reterr);
    }
    struct stmt q;
    stmt_open(&q, t->db, "UPDATE job SET firmware = :firmware WHERE id = :id");
    stmt_text(&q, ":firmware", end->firmware->id);
    stmt_text(&q, ":id", job);
    int r = stmt_run(&q, reterr);
    struct store_event e = {.type = "job.compiled", .state = "queued"};
    COPY(e.job, job);
    return r < 0 ? r : tx_event(t, &e, reterr);
}

static int settle_jobs(struct tx *t, const struct finish_arg *a, struct err *reterr) {
    for (;;) { /* ends: each round takes one job out of the set */
        char job[STORE_ID_SIZE] = "";
        struct stmt q;
        int col = 0;
        stmt_open(&q, t->db,
                  "SELECT id FROM job WHERE build = :build AND state = 'queued' AND firmware = '' ORDER BY id LIMIT 1");
        stmt_text(&q, ":build", a->id);
        int r = stmt_step(&q, reterr);
        if (r == 1) {
            stmt_get_text(&q, &col, job, sizeof job);
        }
        stmt_close(&q);
        r = r == 1 ? settle_job(t, job, a->end, reterr) : r;
        if (r < 0 || !job[0]) {
            return r;
        }
    }
}

static int build_finish_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct finish_arg *a = arg;
    const struct store_build_end *end = a->end;
    struct store_build b = {0};
    int r = build_by(t->db, a->id, NULL, &b, reterr);
    store_build_done(&b);
    int to = r < 0 ? r : sm_next(&store_build_machine, b.state, end->event, reterr);
    if (to < 0) {
        return to;
    }
    r = end->firmware ? put_firmware(t, end->firmware, reterr) : 0;
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "UPDATE build SET state = :state, updated_ns = :now, firmware = :firmware, cause_class = :cause_class, "
              "cause_code = :cause_code, cause_text = :cause_text, cause_part = :cause_part, doc = :doc WHERE id = :id");
    stmt_text(&q, ":state", sm_state_name(&store_build_machine, to));
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":firmware", end->firmware ? end->firmware->id : "");
    cause_bind(&q, &end->cause);
    stmt_text(&q, ":doc", end->doc);
    stmt_text(&q, ":id", a->id);
    r = stmt_run(&q, reterr);
    r = r < 0 ? r : build_event(t, &b, to, end->cause.text, reterr);
    r = r < 0 ? r : settle_jobs(t, a, reterr);
    return r < 0 ? r : to;
}

int store_build_finish(struct store *s, const char *id, const struct store_build_end *end, struct err *reterr) {
    if ((end->event == STORE_BUILD_FINISH) != (end->firmware != NULL)) {
        return err_set(reterr, JF_E_INVAL, "a build finishes exactly when it has a firmware");
    }
    struct finish_arg a = {id, end};
    return engine_write(s, build_finish_fn, &a, reterr);
}

/* jobs.c asks it inside the transaction that adds a job. */
int tx_build_firmware(struct tx *t, const char *id, char *out, size_t size, struct err *reterr) {
    struct store_build b = {0};
    int r = build_by(t->db, id, NULL, &b, reterr);
    if (r < 0) {
        return r;
    }
    store_build_done(&b);
    if (b.state == STORE_BUILD_REFUSED || b.state == STORE_BUILD_FAILED) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "/model", "%s", b.cause.text);
    }
    store_copy(out, size, b.firmware);
    return 0;
}
