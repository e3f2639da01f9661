/* SPDX-License-Identifier: GPL-2.0-or-later
 * Conformance and concurrency of the store, written against db/store.h alone: fit to run on another engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/store.h"

#define FW "sha256:0000000000000000000000000000000000000000000000000000000000000001"
#define TTL (60 * CLOCK_NS_PER_S)

struct fixture {
    char dir[64], path[96];
    struct store *s;
    int64_t boot_ns, wall_ns; /* owned time */
    int commits;
};

static int64_t boot_of(void *ctx) { return ((struct fixture *)ctx)->boot_ns; }
static int64_t wall_of(void *ctx) {
    return __atomic_add_fetch(&((struct fixture *)ctx)->wall_ns, 1000, __ATOMIC_RELAXED);
}
static const struct clock_ops owned_time = {boot_of, boot_of, boot_of, wall_of};

static void on_commit(void *user) { (void)__atomic_add_fetch(&((struct fixture *)user)->commits, 1, __ATOMIC_RELAXED); }

static void open_store(struct fixture *f) {
    static struct clock_src clock;
    struct err e = {0};
    clock = (struct clock_src){&owned_time, f};
    const struct store_options o = {
        .path = f->path, .clock = &clock, .readers = 4, .events_keep = 300, .committed = on_commit, .user = f};
    if (store_open(&o, &f->s, &e) < 0) {
        fail_msg("%s", e.text);
    }
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/jf-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/db", f->dir);
    f->boot_ns = 1000 * CLOCK_NS_PER_S;
    f->wall_ns = INT64_C(1700000000) * CLOCK_NS_PER_S;
    open_store(f);
    const struct store_artefact a = {.kind = STORE_FIRMWARE, .id = FW, .size = 3, .doc = (char *)(uintptr_t) "{}"};
    assert_int_equal(store_artefact_put(f->s, &a, NULL, NULL), 1);
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

static void add_bench(struct fixture *f, const char *name) {
    assert_int_equal(store_bench_put(f->s, name, "type", "unit", NULL), 0);
    assert_int_equal(store_bench_event(f->s, name, STORE_BENCH_READY, "", NULL), STORE_BENCH_IDLE);
}

static void add_job(struct fixture *f, const char *id, int priority, int retries, const char *bench) {
    struct store_job j = {.priority = priority,
                          .retries = retries,
                          .board_type = "type",
                          .firmware = FW,
                          .spec = (char *)(uintptr_t) "{\"a\":1}"};
    struct err e = {0};
    (void)snprintf(j.id, sizeof j.id, "%s", id);
    (void)snprintf(j.bench, sizeof j.bench, "%s", bench);
    if (store_job_add(f->s, &j, NULL, &e) < 0) {
        fail_msg("%s", e.text);
    }
}

static int claim(struct fixture *f, const char *bench, struct store_claim *c) {
    const struct store_claim_request q = {.bench = bench,
                                          .board_type = "type",
                                          .owner = "me",
                                          .boot_id = "boot1",
                                          .ttl_ns = TTL,
                                          .rate_hz = 1000,
                                          .caps = 1};
    return store_job_claim(f->s, &q, c, NULL);
}

static int state_of(struct fixture *f, const char *id) {
    struct store_job j = {0};
    assert_int_equal(store_job_get(f->s, id, &j, NULL), 0);
    store_job_done(&j);
    return j.state;
}

static struct store_result result_of(const char *id, const struct store_lease *l) {
    struct store_result r = {.board_type = "type",
                             .board_serial = "unit",
                             .method = "quick",
                             .verdict = "valid",
                             .firmware = FW,
                             .energy_j = 1e-3,
                             .net_energy_j = (double)NAN,
                             .latency_s = 0.25,
                             .u95_j = 1e-5,
                             .doc = (char *)(uintptr_t) "{\"r\":1}"};
    (void)snprintf(r.id, sizeof r.id, "%s", id);
    (void)snprintf(r.job, sizeof r.job, "%s", l->job);
    (void)snprintf(r.attempt, sizeof r.attempt, "%s", l->attempt);
    (void)snprintf(r.bench, sizeof r.bench, "%s", l->bench);
    return r;
}

static void test_order(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    add_bench(f, "b1");
    add_job(f, "j1", 50, 0, "");
    add_job(f, "j2", 50, 0, "");
    add_job(f, "j3", 90, 0, "");
    add_job(f, "j4", 99, 0, "b2"); /* not here */
    struct store_job j = {0};
    assert_int_equal(store_job_get(f->s, "j2", &j, NULL), 0);
    assert_int_equal(j.position, 4);
    assert_string_equal(j.spec, "{\"a\":1}");
    store_job_done(&j);
    assert_int_equal(claim(f, "b1", &c), 1);
    assert_string_equal(c.job.id, "j3");
    assert_int_equal(c.lease.epoch, 1);
    assert_int_equal(c.lease.expires_boot_ns, f->boot_ns + TTL);
    store_job_done(&c.job);
    assert_int_equal(claim(f, "b1", &c), 0); /* D1: leased */
    assert_int_equal(state_of(f, "j3"), STORE_JOB_ACTIVE);
}

static void test_success_and_stale(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    struct err e = {0};
    add_bench(f, "b1");
    add_job(f, "j1", 50, 0, "");
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    assert_int_equal(store_attempt_stage(f->s, &c.lease, STORE_ATTEMPT_FLASH, NULL), 0);
    assert_int_equal(store_attempt_stage(f->s, &c.lease, STORE_ATTEMPT_FLASH, NULL), 0); /* repeated: nothing new */
    assert_int_equal(store_attempt_stage(f->s, &c.lease, STORE_ATTEMPT_PREPARE, &e), JF_E_CONFLICT);
    assert_int_equal(store_lease_release(f->s, &c.lease, true, "", &e), JF_E_CONFLICT); /* has not ended */
    struct store_result r = result_of("r1", &c.lease);
    struct store_window w[2] = {{0, 0.5, 1.0, (char *)(uintptr_t) "{\"w\":0}"},
                                {1, (double)NAN, 2.0, (char *)(uintptr_t) "{\"w\":1}"}};
    struct store_trace t = {.id = FW, .size = 7, .duration_s = 1.5};
    struct store_finish fin = {
        .attempt_event = STORE_ATTEMPT_SUCCEED, .result = &r, .windows = w, .n_windows = 2, .trace = &t};
    struct store_lease late = c.lease;
    late.epoch--;
    assert_int_equal(store_attempt_finish(f->s, &late, &fin, &e), JF_E_STALE);
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, NULL), STORE_JOB_DONE);
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, &e), JF_E_STALE); /* twice */
    assert_int_equal(store_lease_release(f->s, &c.lease, true, "", NULL), 0);
    assert_int_equal(store_lease_release(f->s, &c.lease, true, "", &e), JF_E_STALE);
    assert_int_equal(store_attempt_stage(f->s, &c.lease, STORE_ATTEMPT_RELEASE, &e), JF_E_STALE);
    assert_int_equal(store_lease_renew(f->s, &c.lease, TTL, &e), JF_E_STALE);
    struct store_result *list = NULL;
    const struct store_result_filter filter = {.job = "j1", .limit = 10};
    assert_int_equal(store_result_list(f->s, &filter, &list, NULL), 1);
    assert_float_equal(list[0].energy_j, 1e-3, 0);
    assert_true(isnan(list[0].net_energy_j));
    store_results_free(list, 1);
    struct store_window *ws = NULL;
    assert_int_equal(store_window_list(f->s, "r1", &ws, NULL), 2);
    assert_true(isnan(ws[1].energy_j) && ws[1].duration_s == 2.0);
    store_windows_free(ws, 2);
    struct store_bench b;
    assert_int_equal(store_bench_get(f->s, "b1", &b, NULL), 0);
    assert_int_equal(b.state, STORE_BENCH_IDLE);
    assert_int_equal(store_job_cancel(f->s, "j1", &e), JF_E_CONFLICT); /* D3 */
    struct store_claim next;
    add_job(f, "j2", 50, 0, "");
    assert_int_equal(claim(f, "b1", &next), 1);
    assert_int_equal(next.lease.epoch, c.lease.epoch + 1); /* D2 */
    store_job_done(&next.job);
}

static void test_retry(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    add_bench(f, "b1");
    add_bench(f, "b2");
    add_job(f, "j1", 50, 1, "");
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    struct store_finish fin = {.attempt_event = STORE_ATTEMPT_FAIL,
                               .requeue = true,
                               .spend_retry = true,
                               .avoid_bench = true,
                               .bench_failed = true,
                               .cause = {"infrastructure", "probe-failed", "no", "probe"}};
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, NULL), STORE_JOB_QUEUED);
    assert_int_equal(store_lease_release(f->s, &c.lease, true, "", NULL), 0);
    assert_int_equal(claim(f, "b1", &c), 0); /* another unit first */
    assert_int_equal(claim(f, "b2", &c), 1);
    store_job_done(&c.job);
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, NULL), STORE_JOB_FAILED); /* the retry is spent */
    struct store_job j = {0};
    assert_int_equal(store_job_get(f->s, "j1", &j, NULL), 0);
    assert_string_equal(j.cause.code, "probe-failed");
    assert_int_equal(j.attempts, 2);
    store_job_done(&j);
    struct store_bench b;
    assert_int_equal(store_bench_get(f->s, "b1", &b, NULL), 0);
    assert_int_equal(b.failures, 1);
    struct store_attempt *list = NULL;
    assert_int_equal(store_attempt_list(f->s, "j1", &list, NULL), 2);
    assert_int_equal(list[0].number, 1);
    assert_string_equal(list[1].bench, "b2");
    free(list);
}

static void test_result_then_failure_is_done(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    add_bench(f, "b1");
    add_job(f, "j1", 50, 1, "b1");
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    struct store_result r = result_of("r1", &c.lease);
    struct store_finish fin = {.attempt_event = STORE_ATTEMPT_SUCCEED,
                               .requeue = true,
                               .spend_retry = true,
                               .avoid_bench = true,
                               .result = &r};
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, NULL), STORE_JOB_QUEUED);
    assert_int_equal(store_lease_release(f->s, &c.lease, true, "", NULL), 0);
    assert_int_equal(claim(f, "b1", &c), 1); /* asked for this very bench */
    store_job_done(&c.job);
    struct store_finish bad = {.attempt_event = STORE_ATTEMPT_FAIL,
                               .requeue = true,
                               .spend_retry = true,
                               .cause = {"infrastructure", "x", "y", ""}};
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &bad, NULL), STORE_JOB_DONE); /* a result exists */
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    add_bench(f, "b1");
    add_job(f, "j1", 50, 5, "");
    add_job(f, "j2", 10, 5, "");
    assert_int_equal(store_job_cancel(f->s, "j2", NULL), STORE_JOB_CANCELED);
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    assert_int_equal(store_job_cancel(f->s, "j1", NULL), STORE_JOB_ACTIVE);
    assert_int_equal(store_job_cancel(f->s, "j1", NULL), STORE_JOB_ACTIVE); /* again */
    struct store_finish fin = {.attempt_event = STORE_ATTEMPT_LOSE,
                               .requeue = true,
                               .max_losses = 5,
                               .cause = {"infrastructure", "gone", "died", "host"}};
    assert_int_equal(store_attempt_finish(f->s, &c.lease, &fin, NULL), STORE_JOB_CANCELED); /* not queued again */
    assert_int_equal(store_job_cancel(f->s, "nobody", NULL), JF_E_NOT_FOUND);
}

static void test_reap(void **state) {
    struct fixture *f = *state;
    struct store_claim c;
    struct err e = {0};
    add_bench(f, "b1");
    add_job(f, "j1", 50, 0, "");
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    f->boot_ns += TTL / 2;
    assert_int_equal(store_leases_reap(f->s, "boot1", 1, NULL), 0);
    assert_int_equal(store_lease_renew(f->s, &c.lease, TTL, NULL), 0);
    f->boot_ns += TTL - 1;
    assert_int_equal(store_leases_reap(f->s, "boot1", 1, NULL), 0); /* renewed */
    f->boot_ns += 2;
    assert_int_equal(store_leases_reap(f->s, "boot1", 1, NULL), 1);
    assert_int_equal(state_of(f, "j1"), STORE_JOB_QUEUED);
    assert_int_equal(store_attempt_stage(f->s, &c.lease, STORE_ATTEMPT_RUN, &e), JF_E_STALE);
    struct store_bench b;
    assert_int_equal(store_bench_get(f->s, "b1", &b, NULL), 0);
    assert_int_equal(b.state, STORE_BENCH_RECOVERING);
    assert_int_equal(claim(f, "b1", &c), 0); /* not before its safe state is confirmed */
    assert_int_equal(store_bench_event(f->s, "b1", STORE_BENCH_SAFE, "", NULL), STORE_BENCH_OFFLINE);
    assert_int_equal(store_bench_event(f->s, "b1", STORE_BENCH_READY, "", NULL), STORE_BENCH_IDLE);
    assert_int_equal(claim(f, "b1", &c), 1);
    store_job_done(&c.job);
    assert_int_equal(store_leases_reap(f->s, "boot2", 1, NULL), 1); /* another boot */
    assert_int_equal(state_of(f, "j1"), STORE_JOB_FAILED);          /* its losses are used up */
}

static void test_idempotency(void **state) {
    struct fixture *f = *state;
    struct store_job j = {.id = "j1", .board_type = "type", .firmware = FW, .spec = (char *)(uintptr_t) "{}"};
    struct store_idem i = {.scope = "jobs", .key = "k", .body_hash = "h", .answer = "{\"x\":1}", .status = 201}, back;
    struct err e = {0};
    assert_int_equal(store_idem_get(f->s, "jobs", "k", &back, &e), JF_E_NOT_FOUND);
    assert_int_equal(store_job_add(f->s, &j, &i, NULL), 0);
    (void)snprintf(j.id, sizeof j.id, "j2");
    assert_int_equal(store_job_add(f->s, &j, &i, &e), JF_E_CONFLICT);
    assert_int_equal(store_job_get(f->s, "j2", &j, &e), JF_E_NOT_FOUND); /* nothing of it */
    assert_int_equal(store_idem_get(f->s, "jobs", "k", &back, NULL), 0);
    assert_string_equal(back.answer, "{\"x\":1}");
    free((void *)(uintptr_t)back.answer);
    struct store_job stranger = {
        .id = "j3", .board_type = "type", .firmware = "sha256:none", .spec = (char *)(uintptr_t) "{}"};
    assert_int_equal(store_job_add(f->s, &stranger, NULL, &e), JF_E_NOT_FOUND);
    assert_string_equal(e.where, "/firmware");
}

static void test_events(void **state) {
    struct fixture *f = *state;
    struct store_event *e = NULL;
    int64_t oldest = -1;
    for (int i = 0; i < 600; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "j%04d", i);
        add_job(f, id, 50, 0, "");
    }
    int64_t last = store_event_last(f->s);
    assert_int_equal(last, 600);
    assert_int_equal(store_event_list(f->s, 0, 10, &e, &oldest, NULL), JF_E_GONE); /* 300 are kept */
    assert_in_range(oldest, 1, 300);
    int64_t after = oldest;
    int n;
    while ((n = store_event_list(f->s, after, 100, &e, NULL, NULL)) > 0) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(e[i].seq, ++after); /* D4 */
        }
        free(e);
    }
    free(e);
    assert_int_equal(after, last);
    store_close(f->s);
    open_store(f);
    add_job(f, "later", 50, 0, "");
    assert_int_equal(store_event_last(f->s), last + 1);
    assert_true(__atomic_load_n(&f->commits, __ATOMIC_RELAXED) > 0);
}

static void test_pages(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 25; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "j%02d", i);
        add_job(f, id, 50, 0, i % 2 ? "b1" : "");
    }
    char below[STORE_ID_SIZE] = "";
    int total = 0;
    for (int n = 7; n == 7;) {
        struct store_job *jobs = NULL;
        const struct store_job_filter filter = {
            .state = STORE_JOB_QUEUED, .below = below[0] ? below : NULL, .limit = 7};
        n = store_job_list(f->s, &filter, &jobs, NULL);
        for (int i = 0; i < n; i++) {
            char want[16];
            (void)snprintf(want, sizeof want, "j%02d", 24 - total++);
            assert_string_equal(jobs[i].id, want);
        }
        (void)snprintf(below, sizeof below, "%s", n > 0 ? jobs[n - 1].id : "");
        store_jobs_free(jobs, n);
    }
    assert_int_equal(total, 25);
    struct store_job *jobs = NULL;
    const struct store_job_filter filter = {.state = -1, .bench = "b1", .limit = 100};
    assert_int_equal(store_job_list(f->s, &filter, &jobs, NULL), 12);
    store_jobs_free(jobs, 12);
}

static void test_backup(void **state) {
    struct fixture *f = *state;
    char copy[128];
    add_job(f, "j1", 50, 0, "");
    (void)snprintf(copy, sizeof copy, "%s/copy", f->dir);
    assert_int_equal(store_backup(f->s, copy, NULL), 0);
    store_close(f->s);
    (void)snprintf(f->path, sizeof f->path, "%.80s", copy);
    open_store(f);
    assert_int_equal(state_of(f, "j1"), STORE_JOB_QUEUED);
    assert_int_equal(store_schema_version(f->s), 3);
}

/* ---- concurrency: four benches work on one queue, each job is done exactly once
 * --------------------------------------- */
#define JOBS 120
struct racer {
    struct fixture *f;
    char bench[8];
    int done;
};

static void *race(void *arg) {
    struct racer *r = arg;
    struct store_claim c;
    for (int idle = 0; idle < 200;) {
        const struct store_claim_request q = {
            .bench = r->bench, .board_type = "type", .owner = "me", .boot_id = "b", .ttl_ns = TTL, .alone = true};
        if (store_job_claim(r->f->s, &q, &c, NULL) != 1) {
            idle++;
            (void)usleep(2000);
            continue;
        }
        idle = 0;
        store_job_done(&c.job);
        struct store_result res = result_of("", &c.lease);
        store_id_new(clock_system(), res.id);
        struct store_finish fin = {.attempt_event = STORE_ATTEMPT_SUCCEED, .result = &res};
        if (store_attempt_stage(r->f->s, &c.lease, STORE_ATTEMPT_RUN, NULL) == 0 &&
            store_attempt_finish(r->f->s, &c.lease, &fin, NULL) == STORE_JOB_DONE &&
            store_lease_release(r->f->s, &c.lease, true, "", NULL) == 0) {
            r->done++;
        }
    }
    return NULL;
}

static void *submit(void *arg) {
    struct racer *r = arg;
    for (int i = 0; i < JOBS / 2; i++) {
        struct store_job j = {.priority = 50, .board_type = "type", .firmware = FW, .spec = (char *)(uintptr_t) "{}"};
        store_id_new(clock_system(), j.id);
        r->done += store_job_add(r->f->s, &j, NULL, NULL) == 0;
    }
    return NULL;
}

static void test_race(void **state) {
    struct fixture *f = *state;
    struct racer r[6] = {{f, "b1", 0}, {f, "b2", 0}, {f, "b3", 0}, {f, "b4", 0}, {f, "", 0}, {f, "", 0}};
    pthread_t t[6];
    for (int i = 0; i < 4; i++) {
        add_bench(f, r[i].bench);
    }
    for (int i = 5; i >= 0; i--) {
        assert_int_equal(pthread_create(&t[i], NULL, i < 4 ? race : submit, &r[i]), 0);
    }
    int done = 0;
    for (int i = 0; i < 6; i++) {
        (void)pthread_join(t[i], NULL);
        done += i < 4 ? r[i].done : 0;
    }
    assert_int_equal(r[4].done + r[5].done, JOBS);
    assert_int_equal(done, JOBS);
    struct store_counts n;
    assert_int_equal(store_counts_get(f->s, &n, NULL), 0);
    assert_int_equal(n.jobs[STORE_JOB_DONE], JOBS);
    assert_int_equal(n.results, JOBS);
}

static void test_ids(void **state) {
    (void)state;
    char last[STORE_ID_SIZE] = "", id[STORE_ID_SIZE];
    for (int i = 0; i < 200; i++) {
        store_id_new(clock_system(), id);
        assert_int_equal(strlen(id), 36);
        assert_int_equal(id[14], '7'); /* RFC 9562: version and variant */
        assert_non_null(strchr("89ab", id[19]));
        assert_true(strncmp(id, last, 13) >= 0);
        (void)snprintf(last, sizeof last, "%s", id);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_success_and_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_result_then_failure_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race, setup, teardown),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
