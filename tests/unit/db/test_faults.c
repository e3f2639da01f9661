/* SPDX-License-Identifier: GPL-2.0-or-later
 * Fault loops: the Nth write or sync of the file system fails, for N = 1, 2, ... until the whole scenario gets through.
 * After each failure, with a sound file system again, the store opens and holds either all of a call that answered well
 * or nothing of one that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/store.h"

#define FW "sha256:0000000000000000000000000000000000000000000000000000000000000001"

/* ---- a file system whose Nth write, sync or truncation fails -------------------------------------------------------
 */
static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;
static int countdown = -1, hits; /* the writer thread and this one never write at the same time */

struct file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};
#define REAL(f) (((struct file *)(f))->real)

static int strike(int code) {
    if (__atomic_load_n(&countdown, __ATOMIC_RELAXED) > 0 && __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED) == 0) {
        (void)__atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED);
        return code;
    }
    return SQLITE_OK;
}

static int x_close(sqlite3_file *f) { return REAL(f)->pMethods->xClose(REAL(f)); }
static int x_read(sqlite3_file *f, void *b, int n, sqlite3_int64 at) {
    return REAL(f)->pMethods->xRead(REAL(f), b, n, at);
}
static int x_write(sqlite3_file *f, const void *b, int n, sqlite3_int64 at) {
    int rc = strike(SQLITE_FULL);
    return rc ? rc : REAL(f)->pMethods->xWrite(REAL(f), b, n, at);
}
static int x_truncate(sqlite3_file *f, sqlite3_int64 n) {
    int rc = strike(SQLITE_IOERR_TRUNCATE);
    return rc ? rc : REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int x_sync(sqlite3_file *f, int flags) {
    int rc = strike(SQLITE_IOERR_FSYNC);
    return rc ? rc : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int x_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int x_lock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xLock(REAL(f), l); }
static int x_unlock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xUnlock(REAL(f), l); }
static int x_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int x_control(sqlite3_file *f, int op, void *arg) { return REAL(f)->pMethods->xFileControl(REAL(f), op, arg); }
static int x_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int x_traits(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int x_shm_map(sqlite3_file *f, int p, int n, int extend, void volatile **out) {
    return REAL(f)->pMethods->xShmMap(REAL(f), p, n, extend, out);
}
static int x_shm_lock(sqlite3_file *f, int o, int n, int flags) {
    return REAL(f)->pMethods->xShmLock(REAL(f), o, n, flags);
}
static void x_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int x_shm_unmap(sqlite3_file *f, int del) { return REAL(f)->pMethods->xShmUnmap(REAL(f), del); }
static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = x_close,
                                           .xRead = x_read,
                                           .xWrite = x_write,
                                           .xTruncate = x_truncate,
                                           .xSync = x_sync,
                                           .xFileSize = x_size,
                                           .xLock = x_lock,
                                           .xUnlock = x_unlock,
                                           .xCheckReservedLock = x_reserved,
                                           .xFileControl = x_control,
                                           .xSectorSize = x_sector,
                                           .xDeviceCharacteristics = x_traits,
                                           .xShmMap = x_shm_map,
                                           .xShmLock = x_shm_lock,
                                           .xShmBarrier = x_shm_barrier,
                                           .xShmUnmap = x_shm_unmap};

static int x_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
    (void)v;
    struct file *mine = (struct file *)f;
    mine->real = (sqlite3_file *)(mine + 1);
    mine->base.pMethods = NULL;
    int rc = real_vfs->xOpen(real_vfs, name, mine->real, flags, out);
    if (rc == SQLITE_OK) {
        mine->base.pMethods = &methods;
    }
    return rc;
}

static int group_setup(void **state) {
    (void)state;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
    vfs.xOpen = x_open;
    return sqlite3_vfs_register(&vfs, 1);
}

/* ---- the scenario
 * ------------------------------------------------------------------------------------------------------ */
struct progress {
    bool opened, fw, bench, job, claimed, finished, released;
    struct store_claim c;
};

static int open_at(const char *path, struct store **s) {
    const struct store_options o = {.path = path, .clock = clock_system(), .readers = 2};
    return store_open(&o, s, NULL);
}

static void scenario(const char *path, struct progress *p) {
    struct store *s = NULL;
    if (open_at(path, &s) < 0) {
        return;
    }
    p->opened = true;
    const struct store_artefact a = {.kind = STORE_FIRMWARE, .id = FW, .size = 3, .doc = (char *)(uintptr_t) "{}"};
    const struct store_job j = {.id = "j1", .board_type = "type", .firmware = FW, .spec = (char *)(uintptr_t) "{}"};
    const struct store_claim_request q = {
        .bench = "b1", .board_type = "type", .owner = "me", .boot_id = "b", .ttl_ns = CLOCK_NS_PER_S, .alone = true};
    p->fw = store_artefact_put(s, &a, NULL, NULL) >= 0;
    p->bench = store_bench_put(s, "b1", "type", "u", NULL) == 0 &&
               store_bench_event(s, "b1", STORE_BENCH_READY, "", NULL) >= 0;
    p->job = p->fw && store_job_add(s, &j, NULL, NULL) == 0;
    p->claimed = p->bench && p->job && store_job_claim(s, &q, &p->c, NULL) == 1;
    if (p->claimed) {
        store_job_done(&p->c.job);
        struct store_result r = {.id = "r1",
                                 .job = "j1",
                                 .bench = "b1",
                                 .method = "quick",
                                 .verdict = "valid",
                                 .firmware = FW,
                                 .doc = (char *)(uintptr_t) "{}"};
        (void)snprintf(r.attempt, sizeof r.attempt, "%s", p->c.lease.attempt);
        const struct store_finish f = {.attempt_event = STORE_ATTEMPT_SUCCEED, .result = &r};
        p->finished = store_attempt_finish(s, &p->c.lease, &f, NULL) >= 0;
        p->released = p->finished && store_lease_release(s, &p->c.lease, true, "", NULL) == 0;
    }
    store_close(s);
}

static int count_job(struct store *s, int *ret_state) {
    struct store_job j = {0};
    int r = store_job_get(s, "j1", &j, NULL);
    store_job_done(&j);
    *ret_state = j.state;
    return r;
}

static void verify(const char *path, const struct progress *p) {
    struct store *s = NULL;
    struct store_bench b;
    int job_state = -1;
    assert_int_equal(open_at(path, &s), 0);
    int have = count_job(s, &job_state);
    assert_int_equal(have == 0, p->job);
    if (p->job) {
        assert_int_equal(job_state, p->finished ? STORE_JOB_DONE : p->claimed ? STORE_JOB_ACTIVE : STORE_JOB_QUEUED);
        struct store_result *list = NULL;
        const struct store_result_filter f = {.job = "j1", .limit = 5};
        int n = store_result_list(s, &f, &list, NULL);
        assert_int_equal(n, p->finished);
        store_results_free(list, n);
    }
    if (p->bench) {
        assert_int_equal(store_bench_get(s, "b1", &b, NULL), 0);
        assert_int_equal(b.state, p->released || !p->claimed ? STORE_BENCH_IDLE : STORE_BENCH_LEASED);
        assert_int_equal(b.attempt[0] != '\0', p->claimed && !p->released);
    }
    int64_t last = store_event_last(s);
    struct store_event *e = NULL;
    int n = store_event_list(s, 0, 100, &e, NULL, NULL);
    assert_int_equal(n, last); /* no gap */
    free(e);
    store_close(s);
}

static void test_fault_loop(void **state) {
    (void)state;
    bool through = false;
    int n = 1;
    for (; !through && n < 2000; n++) {
        char dir[] = "/tmp/jf-faults-XXXXXX", path[64], cmd[64];
        struct progress p = {0};
        assert_non_null(mkdtemp(dir));
        (void)snprintf(path, sizeof path, "%s/db", dir);
        hits = 0;
        countdown = n;
        scenario(path, &p);
        countdown = -1;
        through = hits == 0;
        assert_true(!through || p.released);
        verify(path, &p);
        (void)snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
        (void)!system(cmd);
    }
    assert_true(through);
    assert_true(n > 20); /* many places were struck */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fault_loop)};
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
