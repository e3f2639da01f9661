/* SPDX-License-Identifier: GPL-2.0-or-later
 * Numbered migrations, forward only: db/schema/NNNN_name.sql is embedded, applied once, in its own transaction together
 * with its row in schema_version. Before the first step on a database that holds something, a copy is made beside it.
 * Start-up only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/asset.h"
#include "db/engine.h"

extern const struct base_asset db_schema[]; /* generated */

static int64_t number_of(const struct base_asset *a) {
    const char *name = strrchr(a->path, '/');
    return strtoll(name ? name + 1 : a->path, NULL, 10);
}

int64_t schema_version_of(sqlite3 *db) {
    struct stmt q;
    struct err e;
    int64_t v = 0;
    stmt_open(&q, db, "SELECT max(version) FROM schema_version");
    if (stmt_step(&q, &e) == 1) {
        int col = 0;
        v = stmt_get_int(&q, &col);
    }
    stmt_close(&q);
    return v;
}

static int copy_before(sqlite3 *db, const char *path, int64_t version, struct err *reterr) {
    char target[4200];
    (void)snprintf(target, sizeof target, "%s.before-%04lld", path, (long long)version + 1);
    sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(target, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(copy, "main", db, "main") : NULL;
    if (b) {
        (void)sqlite3_backup_step(b, -1);
        rc = sqlite3_backup_finish(b);
    }
    int r = b && rc == SQLITE_OK ? 0 : engine_error(copy, rc, reterr);
    (void)sqlite3_close(copy);
    return r;
}

static int apply(sqlite3 *db, const struct base_asset *a, const struct clock_src *clock, struct err *reterr) {
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ns(clock), at);
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, (const char *)a->at, NULL, NULL, NULL); /* *end is NUL */
    }
    int r = rc == SQLITE_OK ? 0 : engine_error(db, rc, reterr);
    if (r == 0) {
        struct stmt q;
        stmt_open(&q, db, "INSERT INTO schema_version (version, name, applied_at) VALUES (:v, :n, :a)");
        stmt_int(&q, ":v", number_of(a));
        stmt_text(&q, ":n", a->path);
        stmt_text(&q, ":a", at);
        r = stmt_run(&q, reterr);
    }
    if (r >= 0) {
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        r = rc == SQLITE_OK ? 0 : engine_error(db, rc, reterr);
    }
    if (r < 0) {
        (void)err_prefix(reterr, "migration %s", a->path);
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

int schema_migrate(sqlite3 *db, const char *path, const struct clock_src *clock, struct err *reterr) {
    int rc = sqlite3_exec(db,
                          "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, name TEXT "
                          "NOT NULL, applied_at TEXT NOT NULL)",
                          NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        return engine_error(db, rc, reterr);
    }
    int64_t have = schema_version_of(db), newest = 0;
    for (const struct base_asset *a = db_schema; a->path; a++) {
        newest = number_of(a);
    }
    if (have > newest) {
        return err_set(reterr, JF_E_UNSUPPORTED,
                       "the database has schema %lld, this program knows %lld: use the newer program", (long long)have,
                       (long long)newest);
    }
    if (have > 0 && have < newest) {
        int r = copy_before(db, path, have, reterr);
        if (r < 0) {
            return r;
        }
    }
    for (const struct base_asset *a = db_schema; a->path; a++) {
        int r = number_of(a) > have ? apply(db, a, clock, reterr) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
