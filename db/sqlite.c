/* SPDX-License-Identifier: GPL-2.0-or-later
 * Connections, the writer thread and statements. Owns the database handles; knows no table.
 * WAL with synchronous=FULL (a commit is on disk before it is answered); the busy time-out is set before the first
 * statement, because another process may be taking a backup. Facts: sqlite.org/wal.html,
 * sqlite.org/lang_transaction.html. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/engine.h"

#define READERS_DEFAULT 8
#define READERS_MAX 64
#define GROUP_MAX 256
#define BUSY_MS 10000
#define EVENTS_KEEP_DEFAULT 100000

struct op {
    tx_fn *fn;
    void *arg;
    int result;
    struct err err;
    bool done;
    struct op *next;
};

struct store {
    struct store_options o;
    char *path;
    sqlite3 *writer; /* the writer thread's alone after start */
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work, finished, reader_free;
    struct op *head, **tail;
    bool stopping;
    sqlite3 *readers[READERS_MAX]; /* idle ones */
    int n_idle, n_open, max_readers;
};

void store_copy(char *dst, size_t size, const char *src) {
    size_t n = src ? strnlen(src, size - 1) : 0;
    if (n > 0) {
        memcpy(dst, src, n);
    }
    dst[n] = '\0';
}

int engine_error(sqlite3 *db, int rc, struct err *reterr) {
    int code = JF_E_IO;
    int primary = rc & 0xff;
    if (primary == SQLITE_NOMEM) {
        code = JF_E_NOMEM;
    } else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
        code = JF_E_CORRUPT;
    } else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
        code = JF_E_BUSY;
    } else if (primary == SQLITE_CONSTRAINT) {
        code = JF_E_CONFLICT;
    } else if (primary == SQLITE_FULL) {
        code = JF_E_FULL;
    } else if (primary == SQLITE_ERROR || primary == SQLITE_MISUSE || primary == SQLITE_RANGE) {
        code = JF_E_BUG;
    }
    return err_set(reterr, code, "database: %s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* ---- statements ---------------------------------------------------------------------------------------------- */
void stmt_open(struct stmt *q, sqlite3 *db, const char *sql) {
    q->db = db;
    q->st = NULL;
    q->rc = sqlite3_prepare_v2(db, sql, -1, &q->st, NULL);
}

static int stmt_index(struct stmt *q, const char *name) {
    if (q->rc != SQLITE_OK) {
        return 0;
    }
    int i = sqlite3_bind_parameter_index(q->st, name);
    if (i == 0) {
        q->rc = SQLITE_RANGE;
    }
    return i;
}

void stmt_text(struct stmt *q, const char *name, const char *v) {
    int i = stmt_index(q, name);
    if (i > 0) {
        q->rc = sqlite3_bind_text(q->st, i, v ? v : "", -1, SQLITE_STATIC);
    }
}

void stmt_int(struct stmt *q, const char *name, int64_t v) {
    int i = stmt_index(q, name);
    if (i > 0) {
        q->rc = sqlite3_bind_int64(q->st, i, v);
    }
}

void stmt_real(struct stmt *q, const char *name, double v) {
    int i = stmt_index(q, name);
    if (i > 0) {
        q->rc = isfinite(v) ? sqlite3_bind_double(q->st, i, v) : sqlite3_bind_null(q->st, i);
    }
}

int stmt_step(struct stmt *q, struct err *reterr) {
    if (q->rc != SQLITE_OK) {
        return engine_error(q->db, q->rc, reterr);
    }
    int rc = sqlite3_step(q->st);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        return rc == SQLITE_ROW;
    }
    q->rc = rc;
    return engine_error(q->db, rc, reterr);
}

int stmt_run(struct stmt *q, struct err *reterr) {
    int r = stmt_step(q, reterr);
    while (r == 1) {
        r = stmt_step(q, reterr);
    }
    stmt_close(q);
    return r < 0 ? r : sqlite3_changes(q->db);
}

void stmt_close(struct stmt *q) {
    (void)sqlite3_finalize(q->st);
    q->st = NULL;
}

void stmt_get_text(const struct stmt *q, int *col, char *out, size_t size) {
    store_copy(out, size, (const char *)sqlite3_column_text(q->st, (*col)++));
}

int64_t stmt_get_int(const struct stmt *q, int *col) { return sqlite3_column_int64(q->st, (*col)++); }

double stmt_get_real(const struct stmt *q, int *col) {
    int i = (*col)++;
    return sqlite3_column_type(q->st, i) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q->st, i);
}

int stmt_get_doc(const struct stmt *q, int *col, char **ret_doc) {
    const char *text = (const char *)sqlite3_column_text(q->st, (*col)++);
    char *copy = strdup(text ? text : "");
    if (!copy) {
        return JF_E_NOMEM;
    }
    *ret_doc = copy;
    return 0;
}

/* ---- connections ----------------------------------------------------------------------------------------------- */
static int exec(sqlite3 *db, const char *sql, struct err *reterr) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : engine_error(db, rc, reterr);
}

static int connect_db(const char *path, bool writer, sqlite3 **ret_db, struct err *reterr) {
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE);
    int rc = sqlite3_open_v2(path, &db, flags, NULL);
    if (rc != SQLITE_OK) {
        int r = engine_error(db, rc, reterr);
        (void)sqlite3_close(db);
        return r;
    }
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_extended_result_codes(db, 1);
    int r = exec(db, "PRAGMA journal_mode=WAL", reterr);
    r = r < 0 ? r : exec(db, "PRAGMA synchronous=FULL", reterr);
    r = r < 0 ? r : exec(db, "PRAGMA foreign_keys=ON", reterr);
    r = r < 0 || writer ? r : exec(db, "PRAGMA query_only=ON", reterr);
    if (r < 0) {
        (void)sqlite3_close(db);
        return r;
    }
    *ret_db = db;
    return 0;
}

int engine_read_begin(struct store *s, sqlite3 **ret_db, struct err *reterr) {
    (void)pthread_mutex_lock(&s->lock);
    while (s->n_idle == 0 && s->n_open >= s->max_readers) {
        (void)pthread_cond_wait(&s->reader_free, &s->lock); /* bounded: a reader never waits while it holds one */
    }
    if (s->n_idle > 0) {
        *ret_db = s->readers[--s->n_idle];
        (void)pthread_mutex_unlock(&s->lock);
        return 0;
    }
    s->n_open++;
    (void)pthread_mutex_unlock(&s->lock);
    int r = connect_db(s->path, false, ret_db, reterr);
    if (r < 0) {
        (void)pthread_mutex_lock(&s->lock);
        s->n_open--;
        (void)pthread_cond_signal(&s->reader_free);
        (void)pthread_mutex_unlock(&s->lock);
    }
    return r;
}

void engine_read_end(struct store *s, sqlite3 *db) {
    (void)pthread_mutex_lock(&s->lock);
    s->readers[s->n_idle++] = db;
    (void)pthread_cond_signal(&s->reader_free);
    (void)pthread_mutex_unlock(&s->lock);
}

const struct clock_src *engine_clock(const struct store *s) { return s->o.clock; }
int64_t engine_events_keep(const struct store *s) { return s->o.events_keep; }

/* ---- the writer ------------------------------------------------------------------------------------------------- */
static struct op *take_group(struct store *s) {
    struct op *first = s->head;
    struct op *last = first;
    for (int n = 1; last && last->next && n < GROUP_MAX; n++) {
        last = last->next;
    }
    if (last) {
        s->head = last->next;
        last->next = NULL;
        if (!s->head) {
            s->tail = &s->head;
        }
    }
    return first;
}

/* One write in its savepoint, so that its failure leaves the others of the group untouched. */
static void run_op(struct tx *t, struct op *op) {
    op->result = exec(t->db, "SAVEPOINT op", &op->err);
    if (op->result < 0) {
        return;
    }
    bool events = t->events;
    op->result = op->fn(t, op->arg, &op->err);
    if (op->result < 0) {
        t->events = events;
        struct err ignored;
        (void)exec(t->db, "ROLLBACK TO op", &ignored);
    }
    struct err e;
    int r = exec(t->db, "RELEASE op", &e);
    if (r < 0 && op->result >= 0) {
        op->result = r;
        op->err = e;
    }
}

static void fail_group(struct op *group, int code, const struct err *e) {
    for (struct op *op = group; op; op = op->next) {
        if (op->result >= 0) {
            op->result = code;
            op->err = *e;
        }
    }
}

/* Returns true when events were committed. */
static bool run_group(struct store *s, struct op *group) {
    struct tx t = {
        .db = s->writer, .store = s, .now_ns = clock_wall_ns(s->o.clock), .boot_ns = clock_boot_ns(s->o.clock)};
    struct err e = {0};
    int r = exec(s->writer, "BEGIN IMMEDIATE", &e);
    if (r < 0) {
        fail_group(group, r, &e);
        return false;
    }
    for (struct op *op = group; op; op = op->next) {
        run_op(&t, op);
        if (sqlite3_get_autocommit(s->writer)) { /* a full disk or an I/O error rolled everything back */
            (void)err_set(&e, JF_E_IO, "database: the transaction was rolled back (%s)", sqlite3_errmsg(s->writer));
            for (struct op *rest = op->next; rest; rest = rest->next) {
                rest->result = 0;
            }
            fail_group(group, JF_E_IO, &e);
            return false;
        }
    }
    r = exec(s->writer, "COMMIT", &e);
    if (r < 0) {
        struct err ignored;
        (void)exec(s->writer, "ROLLBACK", &ignored);
        fail_group(group, r, &e);
        return false;
    }
    return t.events;
}

static void *writer_main(void *arg) {
    struct store *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->head && !s->stopping) {
            (void)pthread_cond_wait(&s->work, &s->lock);
        }
        struct op *group = take_group(s);
        if (!group) {
            break; /* stopping, and nothing is left */
        }
        (void)pthread_mutex_unlock(&s->lock);
        bool events = run_group(s, group);
        (void)pthread_mutex_lock(&s->lock);
        for (struct op *op = group; op;) {
            struct op *next = op->next; /* the waiter's memory: gone once done is seen */
            op->done = true;
            op = next;
        }
        (void)pthread_cond_broadcast(&s->finished);
        if (events && s->o.committed) {
            (void)pthread_mutex_unlock(&s->lock);
            s->o.committed(s->o.user);
            (void)pthread_mutex_lock(&s->lock);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

int engine_write(struct store *s, tx_fn *fn, void *arg, struct err *reterr) {
    struct op op = {.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&s->lock);
    *s->tail = &op;
    // cppcheck-suppress autoVariables
    s->tail = &op.next; /* the writer takes it out before we return */
    (void)pthread_cond_signal(&s->work);
    while (!op.done) { /* bounded: the writer only waits for the file system and BUSY_MS */
        (void)pthread_cond_wait(&s->finished, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (op.result < 0 && reterr) {
        *reterr = op.err;
    }
    return op.result;
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */
int store_open(const struct store_options *o, struct store **ret_s, struct err *reterr) {
    struct store *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the store");
    }
    int r;
    s->o = *o;
    s->o.events_keep = o->events_keep > 0 ? o->events_keep : EVENTS_KEEP_DEFAULT;
    s->max_readers = o->readers <= 0 ? READERS_DEFAULT : o->readers > READERS_MAX ? READERS_MAX : o->readers;
    s->tail = &s->head;
    s->path = strdup(o->path);
    if (!s->path) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for the store");
        goto fail_alloc;
    }
    r = connect_db(s->path, true, &s->writer, reterr);
    if (r < 0) {
        goto fail_alloc;
    }
    r = schema_migrate(s->writer, s->path, o->clock, reterr);
    if (r < 0) {
        goto fail_db;
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->work, NULL);
    (void)pthread_cond_init(&s->finished, NULL);
    (void)pthread_cond_init(&s->reader_free, NULL);
    if (pthread_create(&s->thread, NULL, writer_main, s) != 0) {
        r = err_set(reterr, JF_E_NOMEM, "the writer thread could not be started");
        goto fail_sync;
    }
    *ret_s = s;
    return 0;

fail_sync:
    (void)pthread_cond_destroy(&s->reader_free);
    (void)pthread_cond_destroy(&s->finished);
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_mutex_destroy(&s->lock);
fail_db:
    (void)sqlite3_close(s->writer);
fail_alloc:
    free(s->path);
    free(s);
    return r;
}

void store_close(struct store *s) {
    if (!s) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_idle; i++) {
        (void)sqlite3_close(s->readers[i]);
    }
    (void)sqlite3_close(s->writer);
    (void)pthread_cond_destroy(&s->reader_free);
    (void)pthread_cond_destroy(&s->finished);
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

int64_t store_schema_version(struct store *s) {
    sqlite3 *db = NULL;
    if (engine_read_begin(s, &db, NULL) < 0) {
        return 0;
    }
    int64_t v = schema_version_of(db);
    engine_read_end(s, db);
    return v;
}

int store_backup(struct store *s, const char *path, struct err *reterr) {
    sqlite3 *db = NULL, *copy = NULL;
    int r = engine_read_begin(s, &db, reterr);
    if (r < 0) {
        return r;
    }
    int rc = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(copy, "main", db, "main") : NULL;
    if (b) {
        (void)sqlite3_backup_step(b, -1);
        rc = sqlite3_backup_finish(b);
    }
    r = b && rc == SQLITE_OK ? 0 : engine_error(copy, rc, reterr);
    (void)sqlite3_close(copy);
    engine_read_end(s, db);
    return r;
}
