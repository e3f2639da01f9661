/* SPDX-License-Identifier: GPL-2.0-or-later
 * Models, builds and the jobs that wait for them, against db/store.h alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/store.h"

#define MODEL "sha256:00000000000000000000000000000000000000000000000000000000000000aa"
#define FW "sha256:00000000000000000000000000000000000000000000000000000000000000bb"

struct fixture {
    char dir[64], path[96];
    struct store *s;
};

static void open_store(struct fixture *f) {
    struct err e = {0};
    const struct store_options o = {.path = f->path, .clock = clock_system(), .readers = 2};
    if (store_open(&o, &f->s, &e) < 0) {
        fail_msg("%s", e.text);
    }
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/jf-models-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/db", f->dir);
    open_store(f);
    const struct store_model m = {.id = MODEL, .name = "net", .format = "tflite", .size = 7};
    assert_int_equal(store_model_put(f->s, &m, NULL), 1);
    assert_int_equal(store_bench_put(f->s, "b1", "type", "unit", NULL), 0);
    assert_int_equal(store_bench_event(f->s, "b1", STORE_BENCH_READY, "", NULL), STORE_BENCH_IDLE);
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

/* Wants the build of MODEL for "type"; its id goes to id. */
static int want(struct fixture *f, const char *numerics, bool refused_too, char id[STORE_ID_SIZE], int *ret_state) {
    struct store_build b = {.model = MODEL, .board_type = "type", .tool = "tool 1"};
    (void)snprintf(b.numerics, sizeof b.numerics, "%s", numerics);
    int r = store_build_want(f->s, &b, refused_too, NULL);
    (void)snprintf(id, STORE_ID_SIZE, "%s", b.id);
    *ret_state = b.state;
    store_build_done(&b);
    return r;
}

static int add_job(struct fixture *f, const char *id, const char *build) {
    struct store_job j = {.priority = 50, .board_type = "type", .model = MODEL, .numerics = "tflm", .spec = (char *)(uintptr_t) "{}"};
    (void)snprintf(j.id, sizeof j.id, "%s", id);
    (void)snprintf(j.build, sizeof j.build, "%s", build);
    return store_job_add(f->s, &j, NULL, NULL);
}

static int finish(struct fixture *f, const char *id, int event) {
    const struct store_artefact fw = {.kind = STORE_FIRMWARE, .id = FW, .size = 3, .doc = (char *)(uintptr_t) "{\"f\":1}"};
    struct store_build_end end = {.event = event, .firmware = event == STORE_BUILD_FINISH ? &fw : NULL, .doc = "{\"d\":1}"};
    if (event != STORE_BUILD_FINISH) {
        end.cause = (struct store_cause){"job", "model-refused", "node 3 is too wide", "model"};
    }
    return store_build_finish(f->s, id, &end, NULL);
}

static int claim(struct fixture *f, struct store_claim *c) {
    const struct store_claim_request q = {.bench = "b1", .board_type = "type", .owner = "me", .boot_id = "boot", .ttl_ns = 1000000000};
    return store_job_claim(f->s, &q, c, NULL);
}

static struct store_job job_of(struct fixture *f, const char *id) {
    struct store_job j = {0};
    assert_int_equal(store_job_get(f->s, id, &j, NULL), 0);
    store_job_done(&j);
    return j;
}

static void test_ready(void **state) {
    struct fixture *f = *state;
    char id[STORE_ID_SIZE], again[STORE_ID_SIZE];
    int s;
    struct store_claim c;
    assert_int_equal(want(f, "tflm", false, id, &s), 1);
    assert_int_equal(want(f, "tflm", true, again, &s), 0); /* one build for all who ask */
    assert_string_equal(id, again);
    assert_int_equal(s, STORE_BUILD_COMPILING);
    assert_int_equal(want(f, "litert", false, again, &s), 1);
    assert_string_not_equal(id, again);
    assert_int_equal(add_job(f, "j1", id), 0);
    assert_int_equal(claim(f, &c), 0); /* it waits */
    assert_int_equal(finish(f, id, STORE_BUILD_FINISH), STORE_BUILD_READY);
    assert_string_equal(job_of(f, "j1").firmware, FW);
    assert_int_equal(claim(f, &c), 1);
    assert_string_equal(c.job.firmware, FW);
    assert_string_equal(c.job.model, MODEL);
    store_job_done(&c.job);
    assert_int_equal(add_job(f, "j2", id), 0); /* the build has ended: it need not wait */
    assert_string_equal(job_of(f, "j2").firmware, FW);
    struct store_artefact a;
    assert_int_equal(store_artefact_get(f->s, STORE_FIRMWARE, FW, &a, NULL), 0);
    store_artefact_done(&a);
    assert_true(finish(f, id, STORE_BUILD_REFUSE) < 0); /* over is over */
    assert_int_equal(store_build_start(f->s, id, NULL), JF_E_CONFLICT);
    struct store_event *e = NULL;
    int n = store_event_list(f->s, 0, 50, &e, NULL, NULL), builds = 0, compiled = 0;
    for (int i = 0; i < n; i++) {
        builds += strcmp(e[i].type, "model.build") == 0;
        compiled += strcmp(e[i].type, "job.compiled") == 0;
    }
    free(e);
    assert_int_equal(builds, 3); /* two compiling, one ready */
    assert_int_equal(compiled, 1);
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    int s;
    assert_int_equal(want(f, "tflm", false, id, &s), 1);
    assert_int_equal(add_job(f, "j1", id), 0);
    assert_int_equal(add_job(f, "j2", id), 0);
    assert_int_equal(store_job_cancel(f->s, "j2", NULL), STORE_JOB_CANCELED);
    assert_int_equal(finish(f, id, STORE_BUILD_REFUSE), STORE_BUILD_REFUSED);
    struct store_job j = job_of(f, "j1");
    assert_int_equal(j.state, STORE_JOB_FAILED);
    assert_string_equal(j.cause.code, "model-refused");
    assert_string_equal(j.cause.text, "node 3 is too wide");
    assert_int_equal(job_of(f, "j2").state, STORE_JOB_CANCELED); /* D3 */
    assert_int_equal(add_job(f, "j3", id), JF_E_UNSUPPORTED);
    assert_int_equal(want(f, "tflm", false, id, &s), 0);
    assert_int_equal(s, STORE_BUILD_REFUSED);
    assert_int_equal(want(f, "tflm", true, id, &s), 1);
    assert_int_equal(s, STORE_BUILD_COMPILING);
    struct store_build b;
    assert_int_equal(store_build_get(f->s, id, &b, NULL), 0);
    assert_string_equal(b.firmware, "");
    store_build_done(&b);
}

static void test_failed(void **state) {
    struct fixture *f = *state;
    char id[STORE_ID_SIZE], same[STORE_ID_SIZE];
    int s;
    assert_int_equal(want(f, "tflm", false, id, &s), 1);
    assert_int_equal(store_build_start(f->s, id, NULL), 1);
    assert_int_equal(store_build_start(f->s, id, NULL), 2);
    store_close(f->s);
    open_store(f); /* what compiles is found again, with its tries */
    struct store_build *list = NULL;
    assert_int_equal(store_build_list(f->s, NULL, STORE_BUILD_COMPILING, &list, NULL), 1);
    assert_string_equal(list[0].id, id);
    assert_int_equal(list[0].tries, 2);
    store_builds_free(list, 1);
    assert_int_equal(finish(f, id, STORE_BUILD_FAIL), STORE_BUILD_FAILED);
    assert_int_equal(want(f, "tflm", false, same, &s), 1);
    assert_string_equal(id, same);
    assert_int_equal(store_build_start(f->s, id, NULL), 1);
    struct store_build_end end = {.event = STORE_BUILD_FINISH, .doc = "{}"};
    assert_int_equal(store_build_finish(f->s, id, &end, NULL), JF_E_INVAL); /* ready without a firmware */
}

static void test_models(void **state) {
    struct fixture *f = *state;
    const struct store_model other = {.id = MODEL, .name = "another", .format = "onnx", .size = 9};
    struct store_model m, *list = NULL;
    assert_int_equal(store_model_put(f->s, &other, NULL), 0);
    assert_int_equal(store_model_get(f->s, MODEL, &m, NULL), 0);
    assert_string_equal(m.name, "net"); /* the first upload's */
    assert_int_equal(m.size, 7);
    assert_int_equal(store_model_get(f->s, FW, &m, NULL), JF_E_NOT_FOUND);
    assert_int_equal(store_model_list(f->s, NULL, 10, &list, NULL), 1);
    free(list);
    assert_int_equal(store_model_list(f->s, MODEL, 10, &list, NULL), 0);
    free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
