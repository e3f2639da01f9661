/* SPDX-License-Identifier: GPL-2.0-or-later
 * Jobs and attempts. A job's document is the checked request, flat, with what the daemon adds beside it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/blob.h"
#include "daemon/elf.h"
#include "daemon/jobspec.h"

#define LOG_PIECE (1u << 20)
#define BULK_MAX 500

/* ---- documents ------------------------------------------------------------------------------------------------------
 */
static json_t *text_or_null(const char *s) { return s[0] ? json_string(s) : json_null(); }

json_t *api_cause_json(const struct store_cause *x) {
    if (!x->cls[0]) {
        return json_null();
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "class", x->cls, "code", x->code, "text", x->text, "part",
                     text_or_null(x->part));
}

static json_t *job_json(const struct store_job *j) {
    json_t *spec = json_loads(j->spec, 0, NULL), *doc = json_object();
    (void)json_object_set_new(doc, "id", json_string(j->id));
    (void)json_object_set_new(doc, "state", json_string(sm_state_name(&store_job_machine, j->state)));
    bool waits = j->state == STORE_JOB_QUEUED && j->build[0] && !j->firmware[0];
    (void)json_object_set_new(doc, "stage", text_or_null(waits ? "compile" : j->stage));
    (void)json_object_set_new(doc, "cancel_requested", json_boolean(j->cancel_requested));
    (void)json_object_set_new(doc, "position", j->position > 0 ? json_integer(j->position) : json_null());
    (void)json_object_set_new(doc, "attempt", text_or_null(j->attempt));
    (void)json_object_set_new(doc, "attempts", json_integer(j->attempts));
    (void)json_object_set_new(doc, "on_bench", text_or_null(j->on_bench));
    (void)json_object_set_new(doc, "result", text_or_null(j->result));
    (void)json_object_set_new(doc, "cause", api_cause_json(&j->cause));
    api_time(j->created_ns, doc, "created_at");
    api_time(j->started_ns, doc, "started_at");
    api_time(j->finished_ns, doc, "finished_at");
    (void)json_object_update(doc, spec);
    (void)json_object_set_new(doc, "firmware", text_or_null(j->firmware)); /* of a model: once it is compiled */
    json_decref(spec);
    return doc;
}

static json_t *attempt_json(const struct store_attempt *a) {
    bool over = store_attempt_terminal(a->state);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:o}", "id", a->id, "job", a->job, "bench",
                            a->bench, "number", (json_int_t)a->number, "epoch", (json_int_t)a->epoch, "state",
                            over ? sm_state_name(&store_attempt_machine, a->state) : "running", "stage", a->stage,
                            "result", text_or_null(a->result), "cause", api_cause_json(&a->cause));
    if (doc) {
        api_time(a->started_ns, doc, "started_at");
        api_time(a->finished_ns, doc, "finished_at");
    }
    return doc;
}

/* ---- submitting
 * ------------------------------------------------------------------------------------------------------- */
static int check_firmware(struct api *a, const char *id, const char *board_type, struct err *reterr) {
    struct store_artefact fw;
    int r = store_artefact_get(a->store, STORE_FIRMWARE, id, &fw, reterr);
    if (r < 0) {
        return r == JF_E_NOT_FOUND ? err_set_at(reterr, r, "/firmware", "there is no such firmware; POST it first") : r;
    }
    json_t *doc = json_loads(fw.doc, 0, NULL);
    store_artefact_done(&fw);
    r = elf_fits(json_object_get(doc, "segments"), json_object_get(a->conf->board_types, board_type), reterr);
    json_decref(doc);
    return r;
}

static int check_model(struct api *a, const char *id, struct err *reterr) {
    struct store_model m;
    const char *tool;
    int r = store_model_get(a->store, id, &m, reterr);
    if (r == 0 && (r = models_tool(a->models, NULL, &tool, reterr)) < 0) {
        struct err e = *reterr;
        return err_set_at(reterr, r, "/model", "%s", e.text);
    }
    return r == JF_E_NOT_FOUND ? err_set_at(reterr, r, "/model", "there is no such model; POST it first") : r;
}

static int check_artefacts(struct api *a, const json_t *spec, const struct store_job *j, struct err *reterr) {
    int r = j->model[0] ? check_model(a, j->model, reterr) : check_firmware(a, j->firmware, j->board_type, reterr);
    size_t i;
    const json_t *id;
    json_array_foreach(json_object_get(spec, "inputs"), i, id) {
        struct store_artefact in;
        if (r == 0) {
            r = store_artefact_get(a->store, STORE_INPUT, json_string_value(id), &in, reterr);
            if (r == 0) {
                store_artefact_done(&in);
            } else if (r == JF_E_NOT_FOUND) {
                char at[32];
                (void)snprintf(at, sizeof at, "/inputs/%zu", i);
                r = err_set_at(reterr, r, at, "there is no such input; POST it first");
            }
        }
    }
    return r;
}

/* The request's object -> a placed job with its document as text in ret_j->spec (free). */
static int prepare_job(struct api *a, const json_t *obj, struct store_job *ret_j, struct err *reterr) {
    json_t *spec = NULL;
    int r = jobspec_check(obj, &spec, reterr);
    if (r < 0) {
        return r;
    }
    r = jobspec_place(spec, a->conf, ret_j, reterr);
    r = r < 0 ? r : check_artefacts(a, spec, ret_j, reterr);
    if (r == 0) {
        ret_j->spec = json_dumps(spec, JSON_COMPACT | JSON_PRESERVE_ORDER);
        r = ret_j->spec ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for the job");
    }
    json_decref(spec);
    return r;
}

/* Prepares the job that the request describes and drops obj; false when it is refused and that is answered. */
static bool prepared(struct api_call *c, json_t *obj, struct store_job *ret_j) {
    struct err e = {0};
    int r = prepare_job(c->a, obj, ret_j, &e);
    json_decref(obj);
    if (r < 0) {
        api_error_field(c, &e);
    }
    return r == 0;
}

/* A job that names a model waits for its build, which is wanted here. */
static int want_build(struct api *a, struct store_job *j, struct err *reterr) {
    struct store_build b;
    int r = api_model_build(a, j->model, j->board_type, j->numerics, false, &b, reterr);
    if (r < 0) {
        return r;
    }
    (void)snprintf(j->build, sizeof j->build, "%s", b.id);
    (void)snprintf(j->firmware, sizeof j->firmware, "%s", b.firmware);
    if (b.state == STORE_BUILD_REFUSED) {
        r = err_set_at(reterr, JF_E_UNSUPPORTED, "/model", "%s", b.cause.text);
    }
    store_build_done(&b);
    return r;
}

/* Adds the prepared job and answers 201; frees j's spec. */
static void add_job(struct api_call *c, struct store_job *j, struct store_idem *idem) {
    struct err e = {0};
    if (j->model[0] && want_build(c->a, j, &e) < 0) {
        store_job_done(j);
        api_error_field(c, &e);
        return;
    }
    store_id_new(c->a->clock, j->id);
    j->created_ns = clock_wall_ns(c->a->clock);
    j->position = store_job_position(c->a->store, j->board_type, j->bench, j->priority);
    json_t *doc = job_json(j);
    char *answer = doc ? json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(doc);
    idem->answer = answer;
    idem->status = 201;
    int r = answer ? store_job_add(c->a->store, j, idem->key[0] ? idem : NULL, &e)
                   : err_set(&e, JF_E_NOMEM, "no memory for the answer");
    if (r < 0) {
        free(answer);
        struct store_idem again;
        if (r == JF_E_CONFLICT && idem->key[0] && api_idem_begin(c, "jobs", &again) == 1) {
            store_job_done(j);
            return; /* the same key, at the same moment */
        }
        api_error_field(c, &e);
    } else {
        c->rp->status = 201;
        c->rp->content_type = "application/json";
        c->rp->body = answer;
        c->rp->size = strlen(answer);
        http_reply_header(c->rp, "Location", "/api/v1/jobs/%s", j->id);
        farm_wake(c->a->farm);
    }
    store_job_done(j);
}

void api_job_post(struct api_call *c) {
    struct store_idem idem;
    struct store_job j = {0};
    json_t *obj = NULL;
    if (api_idem_begin(c, "jobs", &idem) != 0 || !api_body_object(c, &obj) || !prepared(c, obj, &j)) {
        return;
    }
    add_job(c, &j, &idem);
}

void api_job_validate(struct api_call *c) {
    struct store_job j = {0};
    json_t *obj = NULL;
    if (!api_body_object(c, &obj) || !prepared(c, obj, &j)) {
        return;
    }
    json_t *doc = json_loads(j.spec, 0, NULL);
    (void)json_object_set_new(doc, "position",
                              json_integer(store_job_position(c->a->store, j.board_type, j.bench, j.priority)));
    store_job_done(&j);
    api_json(c, 200, doc);
}

void api_job_resubmit(struct api_call *c) {
    struct store_idem idem;
    struct store_job old = {0}, j = {0};
    struct err e = {0};
    if (api_idem_begin(c, "jobs", &idem) != 0) {
        return;
    }
    if (store_job_get(c->a->store, c->id, &old, &e) < 0) {
        api_error(c, &e);
        return;
    }
    json_t *obj = json_loads(old.spec, 0, NULL);
    store_job_done(&old);
    if (json_is_string(json_object_get(obj, "bench"))) {
        (void)json_object_del(obj, "board_type"); /* it was derived */
    }
    if (!prepared(c, obj, &j)) {
        return;
    }
    add_job(c, &j, &idem);
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------ */
void api_job_get(struct api_call *c) {
    struct store_job j = {0};
    struct err e = {0};
    if (store_job_get(c->a->store, c->id, &j, &e) < 0) {
        api_error(c, &e);
        return;
    }
    api_json_etag(c, job_json(&j));
    store_job_done(&j);
}

void api_job_list(struct api_call *c) {
    char below[128];
    struct store_job_filter f = {.state = -1,
                                 .board_type = http_query(c->rq, "board_type"),
                                 .bench = http_query(c->rq, "bench"),
                                 .firmware = http_query(c->rq, "firmware"),
                                 .model = http_query(c->rq, "model")};
    const char *state = http_query(c->rq, "state");
    if (state) {
        f.state = sm_state(&store_job_machine, state);
        if (f.state < 0) {
            api_problem(c, 400, "invalid", "?state", "must be queued, active, done, failed or canceled");
            return;
        }
    }
    if (!api_limit(c, &f.limit) || !api_cursor(c, below, sizeof below, &f.below)) {
        return;
    }
    struct store_job *jobs = NULL;
    struct err e = {0};
    int n = store_job_list(c->a->store, &f, &jobs, &e);
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(items, job_json(&jobs[i]));
    }
    api_page(c, items, f.limit, n > 0 ? jobs[n - 1].id : "");
    store_jobs_free(jobs, n);
}

void api_job_attempts(struct api_call *c) {
    struct store_job j = {0};
    struct store_attempt *list = NULL;
    struct err e = {0};
    int n = store_job_get(c->a->store, c->id, &j, &e);
    store_job_done(&j);
    n = n < 0 ? n : store_attempt_list(c->a->store, c->id, &list, &e);
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(items, attempt_json(&list[i]));
    }
    free(list);
    api_json(c, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* ---- canceling
 * ------------------------------------------------------------------------------------------------------------ */
void api_job_cancel(struct api_call *c) {
    struct store_job j = {0};
    struct err e = {0};
    int r = store_job_cancel(c->a->store, c->id, &e);
    if (r < 0 || store_job_get(c->a->store, c->id, &j, &e) < 0) {
        api_error(c, &e);
        return;
    }
    farm_wake(c->a->farm);
    api_json(c, 202, job_json(&j));
    store_job_done(&j);
}

/* {"ids": [...]} -> {"items": [{"id", "state"} | {"id", "problem"}]} */
void api_jobs_cancel(struct api_call *c) {
    json_t *obj = NULL;
    if (!api_body_object(c, &obj)) {
        return;
    }
    const json_t *ids = json_object_get(obj, "ids"), *id;
    const char *key;
    json_t *value;
    json_object_foreach(obj, key, value) {
        if (strcmp(key, "ids") != 0) {
            char at[128];
            (void)snprintf(at, sizeof at, "/%.100s", key);
            api_problem(c, 400, "invalid", at, "is not known here; known is ids");
            json_decref(obj);
            return;
        }
    }
    size_t i, bad = json_array_size(ids);
    json_array_foreach(ids, i, id) { bad = !json_is_string(id) && bad == json_array_size(ids) ? i : bad; }
    if (!json_is_array(ids) || json_array_size(ids) < 1 || json_array_size(ids) > BULK_MAX ||
        bad < json_array_size(ids)) {
        char at[40] = "/ids";
        if (json_is_array(ids) && bad < json_array_size(ids)) {
            (void)snprintf(at, sizeof at, "/ids/%zu", bad);
        }
        api_problem(c, 400, "invalid", at, "must be a list of 1 to 500 job ids (texts)");
        json_decref(obj);
        return;
    }
    json_t *items = json_array();
    json_array_foreach(ids, i, id) {
        struct err e = {0};
        int r = store_job_cancel(c->a->store, json_string_value(id), &e);
        (void)json_array_append_new(
            items,
            r < 0 ? json_pack("{s:O, s:{s:s, s:s}}", "id", id, "problem", "code", err_word(e.code), "detail", e.text)
                  : json_pack("{s:O, s:s}", "id", id, "state", sm_state_name(&store_job_machine, r)));
    }
    json_decref(obj);
    farm_wake(c->a->farm);
    api_json(c, 202, json_pack("{s:o}", "items", items));
}

/* ---- attempts
 * ---------------------------------------------------------------------------------------------------------------- */
void api_attempt_get(struct api_call *c) {
    struct store_attempt a = {0};
    struct err e = {0};
    if (store_attempt_get(c->a->store, c->id, &a, &e) < 0) {
        api_error(c, &e);
        return;
    }
    api_json_etag(c, attempt_json(&a));
}

/* The log lies in the spool while the attempt runs, then under logs/. */
static int open_log(const struct api *a, const char *attempt) {
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/logs/%s.txt", a->conf->data_dir, attempt);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        (void)snprintf(path, sizeof path, "%s/spool/%s/log.txt", a->conf->data_dir, attempt);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0) { /* moved between the two looks */
        (void)snprintf(path, sizeof path, "%s/logs/%s.txt", a->conf->data_dir, attempt);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    return fd;
}

void api_attempt_log(struct api_call *c) {
    struct store_attempt a = {0};
    struct err e = {0};
    long long offset;
    if (!api_whole(c, "offset", 0, INT64_MAX, 0, &offset)) {
        return;
    }
    if (store_attempt_get(c->a->store, c->id, &a, &e) < 0) {
        api_error(c, &e);
        return;
    }
    int fd = open_log(c->a, a.id);
    char *text = malloc(LOG_PIECE);
    ssize_t n = 0;
    if (fd >= 0 && text) {
        n = pread(fd, text, LOG_PIECE, offset);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    n = n < 0 ? 0 : n;
    api_bytes(c, "text/plain; charset=utf-8", text, (size_t)n);
    http_reply_header(c->rp, "X-Next-Offset", "%lld", offset + (long long)n);
    http_reply_header(c->rp, "X-Attempt-State", "%s",
                      store_attempt_terminal(a.state) ? sm_state_name(&store_attempt_machine, a.state) : "running");
    http_reply_header(c->rp, "Cache-Control", "no-cache");
}
