/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where results come from: the migration from schema 1, results without an attempt, and that a result never changes
 * (D5), tried behind the store's back with SQL of one's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/asset.h"
#include "db/store.h"

extern const struct base_asset db_schema[];

struct fixture {
    char dir[64], path[96];
    struct store *s;
};

static void sql(const char *path, const char *text, int expected) {
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, text, NULL, NULL, &why);
    if (rc != expected) {
        fail_msg("%d instead of %d: %s: %s", rc, expected, text, why ? why : "");
    }
    sqlite3_free(why);
    (void)sqlite3_close(db);
}

/* A database as the first schema's program left it: one result with a window. */
static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/jf-origin-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/db", f->dir);
    sql(f->path, "CREATE TABLE schema_version (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
        SQLITE_OK);
    sql(f->path, (const char *)db_schema[0].at, SQLITE_OK);
    sql(f->path,
        "INSERT INTO schema_version VALUES (1, 'db/schema/0001_initial.sql', 'then');"
        "INSERT INTO result VALUES ('r1', 'j1', 'a1', 'b1', 'type', 'unit', 'quick', 'valid', 'fw', 'tr', 7, 0.5, NULL, "
        "0.25, 0.125, '{\"old\":1}');"
        "INSERT INTO result_window VALUES ('r1', 0, 0.5, 2.5, '{\"w\":0}')",
        SQLITE_OK);
    const struct store_options o = {.path = f->path, .clock = clock_system(), .readers = 2};
    if (store_open(&o, &f->s, &e) < 0) {
        fail_msg("%s", e.text);
    }
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char cmd[128];
    store_close(f->s);
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    (void)!system(cmd);
    free(f);
    return 0;
}

static struct store_result made(const char *id, int origin, const char *source) {
    struct store_result r = {.method = "quick",
                             .verdict = "valid",
                             .origin = origin,
                             .model = "sha256:m",
                             .numerics = "tflm",
                             .energy_j = 1,
                             .net_energy_j = (double)NAN,
                             .latency_s = 2,
                             .u95_j = 3,
                             .doc = (char *)(uintptr_t) "{\"new\":1}"};
    (void)snprintf(r.id, sizeof r.id, "%s", id);
    (void)snprintf(r.source_result, sizeof r.source_result, "%s", source);
    return r;
}

static int add(struct fixture *f, const struct store_result *r, const struct store_idem *idem) {
    const struct store_window w = {0, 1, 2, (char *)(uintptr_t) "{\"w\":0}"};
    const struct store_result_new one = {r, &w, 1, NULL};
    return store_results_add(f->s, &one, 1, idem, NULL);
}

static int count(struct fixture *f, const char *origin, const char *source) {
    struct store_result *list = NULL;
    const struct store_result_filter filter = {.origin = origin, .source_result = source, .limit = 50};
    int n = store_result_list(f->s, &filter, &list, NULL);
    store_results_free(list, n);
    return n;
}

static void test_migration(void **state) {
    struct fixture *f = *state;
    struct store_result r;
    struct store_window *w = NULL;
    assert_int_equal(store_schema_version(f->s), 3);
    assert_int_equal(store_result_get(f->s, "r1", &r, NULL), 0);
    assert_int_equal(r.origin, STORE_ORIGIN_MEASURED);
    assert_string_equal(r.source_result, "");
    assert_string_equal(r.attempt, "a1");
    assert_string_equal(r.doc, "{\"old\":1}");
    assert_true(r.energy_j == 0.5 && isnan(r.net_energy_j) && r.latency_s == 0.25 && r.u95_j == 0.125);
    assert_int_equal(r.created_ns, 7);
    store_result_done(&r);
    assert_int_equal(store_window_list(f->s, "r1", &w, NULL), 1);
    assert_true(w[0].energy_j == 0.5 && w[0].duration_s == 2.5);
    store_windows_free(w, 1);
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s.before-0002", f->path);
    assert_int_equal(access(copy, R_OK), 0);
}

static void test_origins(void **state) {
    struct fixture *f = *state;
    struct store_result imported = made("r2", STORE_ORIGIN_IMPORTED, ""), other = made("r3", STORE_ORIGIN_IMPORTED, ""),
                        again = made("r4", STORE_ORIGIN_REANALYSED, "r1"), r;
    assert_int_equal(add(f, &imported, NULL), 0);
    assert_int_equal(add(f, &other, NULL), 0); /* two without an attempt */
    assert_int_equal(add(f, &again, NULL), 0);
    assert_int_equal(count(f, NULL, NULL), 4);
    assert_int_equal(count(f, "measured", NULL), 1);
    assert_int_equal(count(f, "imported", NULL), 2);
    assert_int_equal(count(f, "reanalysed", NULL), 1);
    assert_int_equal(count(f, NULL, "r1"), 1);
    assert_int_equal(count(f, NULL, "r2"), 0);
    assert_int_equal(store_result_get(f->s, "r4", &r, NULL), 0);
    assert_int_equal(r.origin, STORE_ORIGIN_REANALYSED);
    assert_string_equal(r.source_result, "r1");
    assert_string_equal(r.model, "sha256:m");
    assert_string_equal(r.numerics, "tflm");
    store_result_done(&r);
    struct store_event *e = NULL;
    assert_int_equal(store_event_list(f->s, 0, 10, &e, NULL, NULL), 3); /* D4 */
    assert_string_equal(e[2].type, "result.created");
    assert_string_equal(e[2].result, "r4");
    free(e);
}

static void test_refusals(void **state) {
    struct fixture *f = *state;
    struct store_result r = made("r2", STORE_ORIGIN_MEASURED, "");
    assert_int_equal(add(f, &r, NULL), JF_E_INVAL);
    r = made("r2", STORE_ORIGIN_IMPORTED, "r1");
    assert_int_equal(add(f, &r, NULL), JF_E_INVAL);
    r = made("r2", STORE_ORIGIN_REANALYSED, "");
    assert_int_equal(add(f, &r, NULL), JF_E_INVAL);
    r = made("r2", STORE_ORIGIN_REANALYSED, "none");
    assert_int_equal(add(f, &r, NULL), JF_E_NOT_FOUND);
    r = made("r1", STORE_ORIGIN_IMPORTED, "");
    assert_true(add(f, &r, NULL) < 0); /* the id is taken */
    assert_int_equal(count(f, NULL, NULL), 1);
    assert_int_equal(store_event_last(f->s), 0);
}

/* All of a call, or none: the second of two is refused. */
static void test_whole(void **state) {
    struct fixture *f = *state;
    struct store_result a = made("r2", STORE_ORIGIN_IMPORTED, ""), b = made("r3", STORE_ORIGIN_REANALYSED, "none");
    const struct store_trace t = {.id = "sha256:t", .size = 9, .duration_s = 1};
    struct store_trace have;
    struct store_result_new list[] = {{&a, NULL, 0, &t}, {&b, NULL, 0, NULL}};
    assert_int_equal(store_results_add(f->s, list, 2, NULL, NULL), JF_E_NOT_FOUND);
    assert_int_equal(count(f, NULL, NULL), 1);
    assert_int_equal(store_trace_get(f->s, "sha256:t", &have, NULL), JF_E_NOT_FOUND);
    (void)snprintf(b.source_result, sizeof b.source_result, "r2"); /* backwards within the call */
    assert_int_equal(store_results_add(f->s, list, 2, NULL, NULL), 0);
    assert_int_equal(count(f, NULL, NULL), 3);
    assert_int_equal(store_trace_get(f->s, "sha256:t", &have, NULL), 0);
    assert_int_equal(have.size, 9);
}

static void test_key(void **state) {
    struct fixture *f = *state;
    const struct store_idem idem = {.scope = "import", .key = "k", .body_hash = "h", .answer = "{}", .status = 201};
    struct store_result a = made("r2", STORE_ORIGIN_IMPORTED, ""), b = made("r3", STORE_ORIGIN_IMPORTED, "");
    assert_int_equal(add(f, &a, &idem), 0);
    assert_int_equal(add(f, &b, &idem), JF_E_CONFLICT);
    assert_int_equal(count(f, "imported", NULL), 1);
}

static void test_never_changes(void **state) {
    struct fixture *f = *state;
    struct store_result r;
    sql(f->path, "UPDATE result SET energy_j = 9 WHERE id = 'r1'", SQLITE_CONSTRAINT);
    sql(f->path, "DELETE FROM result WHERE id = 'r1'", SQLITE_CONSTRAINT);
    sql(f->path, "UPDATE result_window SET energy_j = 9 WHERE result = 'r1'", SQLITE_CONSTRAINT);
    sql(f->path, "DELETE FROM result_window WHERE result = 'r1'", SQLITE_CONSTRAINT);
    assert_int_equal(store_result_get(f->s, "r1", &r, NULL), 0);
    assert_true(r.energy_j == 0.5);
    store_result_done(&r);
    /* what the table itself refuses: two of one attempt, an attempt on an import, a re-analysis of nothing */
#define ROW(id, attempt, origin, source)                                                                               \
    "INSERT INTO result VALUES ('" id "', '', '" attempt                                                               \
    "', '', '', '', 'quick', 'valid', '', '', 0, NULL, NULL, NULL, NULL, '{}', '" origin "', " source ", '', '')"
    sql(f->path, ROW("x1", "a1", "measured", "NULL"), SQLITE_CONSTRAINT);
    sql(f->path, ROW("x2", "a2", "imported", "NULL"), SQLITE_CONSTRAINT);
    sql(f->path, ROW("x3", "", "reanalysed", "NULL"), SQLITE_CONSTRAINT);
    sql(f->path, ROW("x4", "", "guessed", "NULL"), SQLITE_CONSTRAINT);
    sql(f->path, ROW("x5", "a2", "measured", "NULL"), SQLITE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_migration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_changes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
