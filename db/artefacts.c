/* SPDX-License-Identifier: GPL-2.0-or-later
 * Rows of uploaded files (their bytes lie under the data directory, named by hash). Added once, never changed. */
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

static const char *const kinds[] = {"firmware", "input"};

void store_artefact_done(struct store_artefact *a) {
    if (a) {
        free(a->doc);
        a->doc = NULL;
    }
}

void store_artefacts_free(struct store_artefact *a, int n) {
    for (int i = 0; a && i < n; i++) {
        store_artefact_done(&a[i]);
    }
    free(a);
}

struct put_arg {
    const struct store_artefact *a;
    const struct store_idem *idem;
};

static int put_fn(struct tx *t, void *arg, struct err *reterr) {
    const struct put_arg *p = arg;
    int r = tx_idem(t, kinds[p->a->kind], p->idem, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, t->db,
              "INSERT INTO artefact (kind, id, size, created_ns, doc) VALUES (:kind, :id, :size, :now, :doc) ON "
              "CONFLICT (kind, id) DO NOTHING");
    stmt_text(&q, ":kind", kinds[p->a->kind]);
    stmt_text(&q, ":id", p->a->id);
    stmt_int(&q, ":size", p->a->size);
    stmt_int(&q, ":now", t->now_ns);
    stmt_text(&q, ":doc", p->a->doc);
    return stmt_run(&q, reterr);
}

int store_artefact_put(struct store *s, const struct store_artefact *a, const struct store_idem *idem,
                       struct err *reterr) {
    struct put_arg p = {a, idem};
    return engine_write(s, put_fn, &p, reterr);
}

static int artefact_read(const struct stmt *q, int kind, struct store_artefact *ret_a, struct err *reterr) {
    struct store_artefact a = {.kind = kind};
    int col = 0;
    stmt_get_text(q, &col, a.id, sizeof a.id);
    a.size = stmt_get_int(q, &col);
    a.created_ns = stmt_get_int(q, &col);
    if (stmt_get_doc(q, &col, &a.doc) < 0) {
        return err_set(reterr, JF_E_NOMEM, "no memory for %s", a.id);
    }
    *ret_a = a;
    return 0;
}

int store_artefact_get(struct store *s, int kind, const char *id, struct store_artefact *ret_a, struct err *reterr) {
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q;
    stmt_open(&q, db, "SELECT id, size, created_ns, doc FROM artefact WHERE kind = :kind AND id = :id");
    stmt_text(&q, ":kind", kinds[kind]);
    stmt_text(&q, ":id", id);
    r = stmt_step(&q, reterr);
    if (r == 1) {
        r = artefact_read(&q, kind, ret_a, reterr);
    } else if (r == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "there is no %s %.80s", kinds[kind], id);
    }
    stmt_close(&q);
    engine_read_end(s, db);
    return r;
}

int store_artefact_list(struct store *s, int kind, const char *below, int limit, struct store_artefact **ret_a,
                        struct err *reterr) {
    limit = limit < 1 ? 1 : limit > STORE_LIST_MAX ? STORE_LIST_MAX : limit;
    sqlite3 *db;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    struct stmt q = {0};
    int n = 0;
    struct store_artefact *list = calloc((size_t)limit, sizeof *list);
    if (!list) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for %d rows", limit);
        goto out;
    }
    stmt_open(&q, db,
              below
                  ? "SELECT id, size, created_ns, doc FROM artefact WHERE kind = :kind AND id < :below ORDER BY id "
                    "DESC LIMIT :limit"
                  : "SELECT id, size, created_ns, doc FROM artefact WHERE kind = :kind ORDER BY id DESC LIMIT :limit");
    stmt_text(&q, ":kind", kinds[kind]);
    if (below) {
        stmt_text(&q, ":below", below);
    }
    stmt_int(&q, ":limit", limit);
    while (n < limit && (r = stmt_step(&q, reterr)) == 1) {
        r = artefact_read(&q, kind, &list[n], reterr);
        if (r < 0) {
            break;
        }
        n++;
    }
    stmt_close(&q);
out:
    engine_read_end(s, db);
    if (r < 0) {
        store_artefacts_free(list, n);
        return r;
    }
    *ret_a = list;
    return n;
}
