/* SPDX-License-Identifier: GPL-2.0-or-later
 * Taking in what a worker left. Paths are computed here; those in messages are not believed. The order makes a crash
 * harmless at any point: trace renamed (durable under its hash), then the store's commit, then the acknowledgement;
 * each step can be repeated. */
#include "daemon/intake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/blob.h"

#define SET(dst, src) (void)snprintf((dst), sizeof(dst), "%s", (src))

static double figure(const json_t *obj, const char *key) {
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *word(const json_t *obj, const char *key) {
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : "";
}

void intake_free(struct intake *in) {
    if (in) {
        free(in->result.doc);
        store_windows_free(in->windows, in->n_windows);
        free(in);
    }
}

static int read_document(const char *path, const char *sha256, int64_t size, json_t **ret_doc, struct err *reterr) {
    void *data = NULL;
    size_t n = 0;
    int r = blob_read_file(path, INTAKE_RESULT_MAX, &data, &n, reterr);
    if (r < 0) {
        return r;
    }
    if (sha256) {
        char id[BLOB_ID_SIZE];
        blob_id(data, n, id);
        if ((int64_t)n != size || strcmp(id + 7, sha256) != 0) {
            free(data);
            return err_set(reterr, JF_E_CORRUPT, "result.json is not the one that was announced");
        }
    }
    json_error_t e;
    *ret_doc = json_loadb(data, n, JSON_REJECT_DUPLICATES, &e);
    free(data);
    return *ret_doc ? 0 : err_set(reterr, JF_E_PROTOCOL, "result.json is not JSON: %s", e.text);
}

static bool has_loss(const json_t *result) {
    size_t i;
    const json_t *reason;
    if (strcmp(word(result, "verdict"), "invalid") != 0) {
        return false;
    }
    json_array_foreach(json_object_get(result, "reasons"), i, reason) {
        const char *code = word(reason, "code");
        if (strcmp(code, "sample-gap") == 0 || strcmp(code, "sample-loss-by-clock") == 0) {
            return true;
        }
    }
    return false;
}

/* The trace goes to traces/<hex>.jft. It may be there already: an earlier life came as far as that. */
static int move_trace(const struct conf *conf, const char *attempt, const json_t *t, struct store_trace *out,
                      struct err *reterr) {
    char from[BLOB_PATH_SIZE], to[BLOB_PATH_SIZE];
    struct stat st;
    const char *hex = word(t, "sha256");
    int64_t size = json_integer_value(json_object_get(t, "size"));
    (void)snprintf(out->id, sizeof out->id, "sha256:%.64s", hex);
    if (!blob_id_valid(out->id) || strlen(hex) != 64) {
        return err_set(reterr, JF_E_PROTOCOL, "the trace has no hash");
    }
    (void)snprintf(from, sizeof from, "%s/spool/%s/trace.jft", conf->data_dir, attempt);
    (void)snprintf(to, sizeof to, "%s/traces/%s.jft", conf->data_dir, hex);
    if (stat(from, &st) == 0) {
        if ((int64_t)st.st_size != size) {
            return err_set(reterr, JF_E_CORRUPT, "the trace has %lld bytes, %lld were announced", (long long)st.st_size,
                           (long long)size);
        }
        if (rename(from, to) != 0 || blob_sync_dir(to) < 0) {
            return err_set_errno(reterr, JF_E_IO, errno, "%s", to);
        }
    } else if (stat(to, &st) != 0 || (int64_t)st.st_size != size) {
        return err_set(reterr, JF_E_CORRUPT, "the trace is missing");
    }
    (void)snprintf(out->attempt, sizeof out->attempt, "%s", attempt);
    out->size = size;
    out->duration_s = figure(t, "duration_s");
    return 0;
}

int intake_windows(const json_t *list, struct store_window **ret_w, int *ret_n, struct err *reterr) {
    size_t n = json_array_size(list);
    int made = 0;
    if (n > INTAKE_WINDOWS_MAX) {
        return err_set(reterr, JF_E_PROTOCOL, "the result has %zu windows", n);
    }
    struct store_window *all = calloc(n ? n : 1, sizeof *all);
    for (size_t i = 0; all && i < n; i++) {
        const json_t *w = json_array_get(list, i);
        struct store_window *x = &all[made];
        x->index = (int64_t)i;
        x->energy_j = figure(w, "energy_j");
        x->duration_s = figure(w, "duration_s");
        x->doc = json_dumps(w, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
        if (!x->doc) {
            break;
        }
        made++;
    }
    if (!all || made != (int)n) {
        store_windows_free(all, made);
        return err_set(reterr, JF_E_NOMEM, "no memory for the windows");
    }
    *ret_w = all;
    *ret_n = made;
    return 0;
}

int intake_figures(const json_t *result, struct store_result *r, struct err *reterr) {
    const json_t *energy = json_object_get(result, "energy_per_inference_j"),
                 *provenance = json_object_get(result, "provenance");
    const char *model = word(provenance, "model_sha256");
    SET(r->verdict, word(result, "verdict"));
    if (strcmp(r->verdict, "valid") != 0 && strcmp(r->verdict, "suspect") != 0 && strcmp(r->verdict, "invalid") != 0) {
        return err_set(reterr, JF_E_PROTOCOL, "the result has no verdict");
    }
    SET(r->method, word(result, "method"));
    (void)snprintf(r->model, sizeof r->model, "%s%.64s", model[0] && strncmp(model, "sha256:", 7) != 0 ? "sha256:" : "",
                   model);
    SET(r->numerics, word(provenance, "numerics"));
    r->energy_j = figure(energy, "median");
    r->u95_j = figure(energy, "u95");
    r->net_energy_j = figure(json_object_get(result, "net_energy_per_inference_j"), "median");
    r->latency_s = figure(json_object_get(result, "latency_per_inference_s"), "median");
    return 0;
}

static int take_result(const struct conf *conf, const struct clock_src *clock, const struct store_lease *l,
                       const struct store_job *job, const json_t *result, struct intake *in, struct err *reterr) {
    struct store_result *r = &in->result;
    const struct conf_bench *b = conf_bench_find(conf, l->bench);
    int bad_figures = intake_figures(result, r, reterr);
    if (bad_figures < 0) {
        return bad_figures;
    }
    store_id_new(clock, r->id);
    SET(r->job, l->job);
    SET(r->attempt, l->attempt);
    SET(r->bench, l->bench);
    SET(r->board_type, b ? b->board_type : job->board_type);
    SET(r->board_serial, b ? b->board_serial : "");
    SET(r->firmware, job->firmware);
    if (!r->model[0]) { /* the board does not say */
        SET(r->model, job->model);
    }
    if (!r->numerics[0]) {
        SET(r->numerics, job->numerics);
    }
    SET(r->trace, in->has_trace ? in->trace.id : "");
    in->lossy = has_loss(result);
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ns(clock), at);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", r->id, "job", r->job, "attempt", r->attempt,
                            "bench", r->bench, "firmware", r->firmware, "created_at", at);
    json_t *copy = json_deep_copy(result);
    json_t *tools = json_object_get(json_object_get(copy, "provenance"), "tools");
    if (tools) {
        (void)json_object_set_new(tools, "joulefarmd", json_string(JF_VERSION));
    }
    static const char *const ours[] = {"id", "job", "attempt", "bench", "firmware", "created_at", "trace",
                                      "origin", "source_result", "model", "numerics"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        (void)json_object_del(copy, ours[i]);
    }
    int bad = !doc || json_object_update(doc, copy) < 0;
    json_t *spec = json_loads(job->spec, 0, NULL);
    (void)json_object_set(doc, "labels", json_object_get(spec, "labels"));
    (void)json_object_set_new(doc, "trace", in->has_trace ? json_string(in->trace.id) : json_null());
    r->doc = bad ? NULL : json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(spec);
    json_decref(copy);
    json_decref(doc);
    return r->doc ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for the result");
}

int intake_result(const struct conf *conf, const struct clock_src *clock, const struct store_lease *l,
                  const struct store_job *job, const char *sha256, int64_t size, struct intake **ret_in,
                  struct err *reterr) {
    char path[BLOB_PATH_SIZE];
    json_t *doc = NULL;
    (void)snprintf(path, sizeof path, "%s/spool/%s/result.json", conf->data_dir, l->attempt);
    int r = read_document(path, sha256, size, &doc, reterr);
    if (r < 0) {
        return r;
    }
    struct intake *in = calloc(1, sizeof *in);
    const json_t *result = json_object_get(doc, "result"), *trace = json_object_get(doc, "trace");
    if (!in) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for the result");
    } else if (strcmp(word(doc, "attempt"), l->attempt) != 0 ||
               json_integer_value(json_object_get(doc, "epoch")) != l->epoch) {
        r = err_set(reterr, JF_E_STALE, "result.json belongs to another attempt or epoch");
    } else if (!json_is_object(result)) {
        r = err_set(reterr, JF_E_PROTOCOL, "result.json has no result");
    } else {
        in->has_trace = json_is_object(trace);
        r = in->has_trace ? move_trace(conf, l->attempt, trace, &in->trace, reterr) : 0;
        r = r < 0 ? r : take_result(conf, clock, l, job, result, in, reterr);
        r = r < 0 ? r : intake_windows(json_object_get(doc, "windows"), &in->windows, &in->n_windows, reterr);
    }
    json_decref(doc);
    if (r < 0) {
        intake_free(in);
        return r;
    }
    *ret_in = in;
    return 0;
}

/* ---- spool directories ---------------------------------------------------------------------------------------------
 */
void intake_keep_log(const struct conf *conf, const char *attempt) {
    char from[BLOB_PATH_SIZE], to[BLOB_PATH_SIZE];
    (void)snprintf(from, sizeof from, "%s/spool/%s/log.txt", conf->data_dir, attempt);
    (void)snprintf(to, sizeof to, "%s/logs/%s.txt", conf->data_dir, attempt);
    if (access(from, F_OK) == 0 && rename(from, to) == 0) {
        (void)blob_sync_dir(to);
    }
}

void intake_drop_spool(const struct conf *conf, const char *attempt) {
    char path[BLOB_PATH_SIZE];
    if (attempt[0] == '\0' || attempt[0] == '.' || strchr(attempt, '/')) {
        return;
    }
    intake_keep_log(conf, attempt);
    (void)snprintf(path, sizeof path, "%s/spool/%s", conf->data_dir, attempt);
    file_tree_remove(path);
}

void intake_each_spool(const struct conf *conf, void (*fn)(void *user, const char *attempt), void *user) {
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/spool", conf->data_dir);
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            fn(user, list[i]->d_name);
        }
        free(list[i]);
    }
    free(list);
}
