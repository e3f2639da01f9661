/* SPDX-License-Identifier: GPL-2.0-or-later
 * Published energy sessions into the farm: the posted archive is read by a child (daemon/helper.h), its result stored with origin
 * imported, its samples as a trace, the archive itself as a blob. The order makes an error harmless: files first, named by their
 * hashes, then the store's transaction; what the transaction did not take is removed again. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/blob.h"

#define DEADLINE_MS 30000
#define MEMORY_BYTES (1ull << 30)
#define FILE_BYTES (512ull << 20)
#define WINDOWS_MAX 64

struct taken {
    struct store_result result; /* doc owned */
    struct store_window windows[WINDOWS_MAX];
    int n_windows;
    struct store_trace trace; /* id "": none */
    bool new_trace;
};

static double figure(const json_t *obj, const char *key) {
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

#define SET(dst, v) (void)snprintf((dst), sizeof(dst), "%s", json_string_value(v) ? json_string_value(v) : "")

static void taken_done(struct taken *t) {
    free(t->result.doc);
    for (int i = 0; i < t->n_windows; i++) {
        free(t->windows[i].doc);
    }
    free(t);
}

static int take_windows(const json_t *list, struct taken *t, struct err *reterr) {
    size_t i;
    json_t *w;
    if (json_array_size(list) > WINDOWS_MAX) {
        return err_set(reterr, JF_E_PROTOCOL, "jf-trace answers too many windows");
    }
    json_array_foreach(list, i, w) {
        struct store_window *x = &t->windows[t->n_windows];
        *x = (struct store_window){.index = (int64_t)i, .energy_j = figure(w, "energy_j"), .duration_s = figure(w, "duration_s"),
                                   .doc = json_dumps(w, JSON_COMPACT | JSON_PRESERVE_ORDER)};
        if (!x->doc) {
            return err_set(reterr, JF_E_NOMEM, "no memory for the windows");
        }
        t->n_windows++;
    }
    return 0;
}

/* work/trace.jft becomes traces/<hex>.jft, unless that is there. */
static int take_trace(struct api_call *c, const char *dir, const json_t *j, struct taken *t, struct err *reterr) {
    char from[BLOB_PATH_SIZE + 32], to[BLOB_PATH_SIZE + 96], id[BLOB_ID_SIZE];
    const char *hex = json_string_value(json_object_get(j, "sha256"));
    if (!json_is_object(j)) {
        return 0;
    }
    (void)snprintf(id, sizeof id, "sha256:%.64s", hex ? hex : "");
    if (!blob_id_valid(id)) {
        return err_set(reterr, JF_E_PROTOCOL, "jf-trace answers no hash of the trace");
    }
    (void)snprintf(from, sizeof from, "%s/trace.jft", dir);
    (void)snprintf(to, sizeof to, "%s/traces/%s.jft", c->a->conf->data_dir, id + 7);
    t->new_trace = access(to, F_OK) != 0;
    if (t->new_trace && (rename(from, to) != 0 || blob_sync_dir(to) < 0)) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", to);
    }
    (void)snprintf(t->trace.id, sizeof t->trace.id, "%s", id);
    (void)snprintf(t->result.trace, sizeof t->result.trace, "%s", id);
    t->trace.size = json_integer_value(json_object_get(j, "size"));
    t->trace.duration_s = figure(j, "duration_s");
    return 0;
}

static int take_result(struct api_call *c, const char *session, json_t *doc, struct taken *t, struct err *reterr) {
    struct store_result *r = &t->result;
    char at[CLOCK_RFC3339_SIZE];
    json_t *result = json_object_get(doc, "result"), *energy = json_object_get(result, "energy_per_inference_j"),
           *provenance = json_object_get(result, "provenance");
    store_id_new(c->a->clock, r->id);
    r->origin = STORE_ORIGIN_IMPORTED;
    SET(r->method, json_object_get(result, "method"));
    SET(r->verdict, json_object_get(result, "verdict"));
    r->energy_j = figure(energy, "median");
    r->u95_j = figure(energy, "u95");
    r->net_energy_j = (double)NAN;
    r->latency_s = figure(json_object_get(result, "latency_per_inference_s"), "median");
    clock_rfc3339(clock_wall_ns(c->a->clock), at);
    int bad = json_object_set_new(provenance, "session", json_string(session));
    bad |= json_object_set_new(json_object_get(provenance, "tools"), "joulefarmd", json_string(JF_VERSION));
    json_t *out = json_pack("{s:s, s:s, s:{}, s:o}", "id", r->id, "created_at", at, "labels", "trace",
                            r->trace[0] ? json_string(r->trace) : json_null());
    bad |= !out || json_object_update_missing(out, result);
    r->doc = bad ? NULL : json_dumps(out, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(out);
    return r->doc ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for the result");
}

/* What the transaction did not take is removed, unless its outcome is not known or another request with the same bytes won. */
static void take_back(struct api_call *c, const struct taken *t, const char *session, bool new_session, int rc) {
    struct store_trace have;
    char path[BLOB_PATH_SIZE + 96];
    if (rc == JF_E_TIMEOUT) {
        return;
    }
    if (t->new_trace && store_trace_get(c->a->store, t->trace.id, &have, NULL) == JF_E_NOT_FOUND) {
        (void)snprintf(path, sizeof path, "%s/traces/%s.jft", c->a->conf->data_dir, t->trace.id + 7);
        (void)unlink(path);
    }
    if (new_session && rc != JF_E_CONFLICT && blob_path(c->a->conf->data_dir, "sessions", session, path) == 0) {
        (void)unlink(path);
    }
}

/* Commits and answers. */
static void put_result(struct api_call *c, struct taken *t, const char *session, bool new_session, struct store_idem *idem) {
    struct err e = {0};
    const struct store_result *r = &t->result;
    json_t *median = isfinite(r->energy_j) ? json_real(r->energy_j) : json_null();
    json_t *answer = json_pack("{s:[{s:s, s:s, s:s, s:o, s:o}]}", "items", "id", r->id, "origin", "imported", "verdict", r->verdict,
                               "energy_per_inference_j", median, "trace", r->trace[0] ? json_string(r->trace) : json_null());
    char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(answer);
    const struct store_result_new n = {r, t->windows, t->n_windows, t->trace.id[0] ? &t->trace : NULL};
    if (!text) {
        take_back(c, t, session, new_session, JF_E_NOMEM);
        api_problem(c, 500, "out-of-memory", "", "no memory for the answer");
        return;
    }
    idem->answer = text;
    idem->status = 201;
    int rc = store_results_add(c->a->store, &n, 1, idem->key[0] ? idem : NULL, &e);
    if (rc == 0) {
        c->rp->status = 201;
        c->rp->content_type = "application/json";
        c->rp->body = text;
        c->rp->size = strlen(text);
        http_reply_header(c->rp, "Location", "/api/v1/results/%s", r->id);
        return;
    }
    free(text);
    take_back(c, t, session, new_session, rc);
    api_error(c, &e);
}

/* In a directory of the helper's: read the archive, then store what it gave. */
static void import_in(struct api_call *c, const char *dir, struct store_idem *idem) {
    char path[HELPER_PATH + 32], session[BLOB_ID_SIZE] = "", blob[BLOB_PATH_SIZE];
    struct err e = {0};
    json_t *doc = NULL;
    bool new_session = false;
    const struct helper_run q = {.args = {"import", "session.tar", "--result", "--trace", "trace.jft"}, .dir = dir, .deadline_ms = DEADLINE_MS,
                                 .memory_bytes = MEMORY_BYTES, .file_bytes = FILE_BYTES};
    struct taken *t = calloc(1, sizeof *t);
    if (!t) {
        api_problem(c, 500, "out-of-memory", "", "no memory for a session");
        return;
    }
    (void)snprintf(path, sizeof path, "%s/session.tar", dir);
    int r = blob_write_file(path, c->rq->body, c->rq->body_size, &e);
    r = r < 0 ? r : helper_run(&c->a->helper, &q, &doc, &e);
    if (r == 0) {
        blob_id(c->rq->body, c->rq->body_size, session);
        r = take_trace(c, dir, json_object_get(doc, "trace"), t, &e);
        r = r < 0 ? r : take_result(c, session, doc, t, &e);
        r = r < 0 ? r : take_windows(json_object_get(doc, "windows"), t, &e);
        r = r < 0 ? r : blob_path(c->a->conf->data_dir, "sessions", session, blob);
        new_session = r == 0 && access(blob, F_OK) != 0;
        r = r < 0 ? r : blob_put(c->a->conf->data_dir, "sessions", session, c->rq->body, c->rq->body_size, &e);
    }
    json_decref(doc);
    if (r < 0) {
        take_back(c, t, session, new_session, r);
        api_error_field(c, &e);
    } else {
        put_result(c, t, session, new_session, idem);
    }
    taken_done(t);
}

static bool type_is_archive(const char *type) {
    static const char *const types[] = {"application/x-tar", "application/gzip", "application/zstd", "application/octet-stream"};
    for (size_t i = 0; type && i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

void api_import_post(struct api_call *c) {
    struct store_idem idem;
    struct err e = {0};
    char dir[HELPER_PATH];
    if (!type_is_archive(http_header(c->rq, "Content-Type"))) {
        api_problem(c, 415, "unsupported", "#Content-Type", "must be application/x-tar (or application/gzip, application/zstd around it)");
        return;
    }
    if (api_idem_begin(c, "import", &idem) != 0) {
        return;
    }
    if (c->rq->body_size == 0) {
        api_problem(c, 400, "malformed", "", "the body is empty; an archive of a session is expected");
        return;
    }
    if (helper_dir_make(&c->a->helper, dir, &e) < 0) {
        api_error(c, &e);
        return;
    }
    import_in(c, dir, &idem);
    helper_dir_drop(&c->a->helper, dir);
}
