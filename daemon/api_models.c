/* SPDX-License-Identifier: GPL-2.0-or-later
 * Models: upload, list, one; and what a job that names a model instead of a firmware needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/blob.h"

#define NUMERICS_DEFAULT "tflm"

/* ---- documents ------------------------------------------------------------------------------------------------------ */
static json_t *text_or_null(const char *s) { return s[0] ? json_string(s) : json_null(); }

static json_t *build_json(const struct store_build *b) {
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:o}", "board_type", b->board_type, "numerics", b->numerics, "tool",
                            b->tool, "state", sm_state_name(&store_build_machine, b->state), "firmware",
                            text_or_null(b->firmware));
    json_t *said = json_loads(b->doc ? b->doc : "{}", 0, NULL);
    (void)json_object_set_new(doc, "cause", api_cause_json(&b->cause));
    (void)json_object_set_new(doc, "violations", json_array());
    (void)json_object_update(doc, said);
    json_decref(said);
    api_time(b->updated_ns, doc, "updated_at");
    return doc;
}

/* compiling while any build is; else ready when one is, refused when one is, failed. */
static const char *state_of(const struct store_build *list, int n) {
    int count[STORE_BUILD_STATES] = {0};
    for (int i = 0; i < n; i++) {
        count[list[i].state]++;
    }
    int s = count[STORE_BUILD_COMPILING] ? STORE_BUILD_COMPILING
            : count[STORE_BUILD_READY]   ? STORE_BUILD_READY
            : count[STORE_BUILD_REFUSED] ? STORE_BUILD_REFUSED
                                         : STORE_BUILD_FAILED;
    return sm_state_name(&store_build_machine, s);
}

static json_t *model_json(struct api *a, const struct store_model *m, struct err *reterr) {
    struct store_build *list = NULL;
    int n = store_build_list(a->store, m->id, 0, &list, reterr);
    if (n < 0) {
        return NULL;
    }
    json_t *builds = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(builds, build_json(&list[i]));
    }
    json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:s, s:o}", "id", m->id, "name", m->name, "format", m->format, "size_bytes",
                            (json_int_t)m->size, "state", state_of(list, n), "builds", builds);
    store_builds_free(list, n);
    if (doc) {
        api_time(m->created_ns, doc, "created_at");
    } else {
        (void)err_set(reterr, JF_E_NOMEM, "no memory for the model");
    }
    return doc;
}

/* ---- builds --------------------------------------------------------------------------------------------------------- */
int api_model_build(struct api *a, const char *model, const char *board_type, const char *numerics, bool refused_too,
                    struct store_build *ret_b, struct err *reterr) {
    struct store_build b = {0};
    const char *tool;
    int r = models_tool(a->models, board_type, &tool, reterr);
    (void)snprintf(b.model, sizeof b.model, "%s", model);
    (void)snprintf(b.board_type, sizeof b.board_type, "%s", board_type);
    (void)snprintf(b.numerics, sizeof b.numerics, "%s", numerics);
    (void)snprintf(b.tool, sizeof b.tool, "%s", r < 0 ? "" : tool);
    r = r < 0 ? r : store_build_want(a->store, &b, refused_too, reterr);
    if (r == 1 || (r == 0 && b.state == STORE_BUILD_COMPILING)) {
        r = models_kick(a->models, reterr);
    }
    if (r < 0) {
        store_build_done(&b);
        return r;
    }
    *ret_b = b;
    return 0;
}

/* A new model is compiled at once for every kind of board that stands here. */
static int build_all(struct api *a, const char *model, struct err *reterr) {
    for (int i = 0; i < a->conf->n_benches; i++) {
        int k = 0;
        while (strcmp(a->conf->benches[k].board_type, a->conf->benches[i].board_type) != 0) {
            k++;
        }
        struct store_build b = {0};
        int r = k < i ? 0 : api_model_build(a, model, a->conf->benches[i].board_type, NUMERICS_DEFAULT, true, &b, reterr);
        store_build_done(&b);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ?name=: what the board will call it, as an identifier; else made of the hash. false: answered. */
static bool take_name(struct api_call *c, struct store_model *m) {
    const char *name = http_query(c->rq, "name");
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;
    if (name && (n == 0 || name[n] || n >= sizeof m->name || strchr("0123456789", name[0]))) {
        api_problem(c, 400, "invalid", "?name", "must be letters, digits and _, at most 31, not beginning with a digit");
        return false;
    }
    (void)snprintf(m->name, sizeof m->name, name ? "%.31s" : "m%.8s", name ? name : m->id + 7);
    return true;
}

/* ---- requests ------------------------------------------------------------------------------------------------------- */
void api_model_post(struct api_call *c) {
    struct store_model m = {.size = (int64_t)c->rq->body_size}, have;
    const char *format = "", *tool;
    struct err e = {0};
    struct store_idem idem;
    json_t *doc = NULL;
    if (api_idem_begin(c, "models", &idem) != 0) {
        return;
    }
    int r = c->rq->body_size == 0 ? err_set(&e, JF_E_PARSE, "the body is empty; the model's bytes are expected")
                                  : models_format(c->rq->body, c->rq->body_size, &format, &e);
    r = r < 0 ? r : models_tool(c->a->models, NULL, &tool, &e);
    if (r == 0) {
        blob_id(c->rq->body, c->rq->body_size, m.id);
        if (!take_name(c, &m)) {
            return;
        }
        (void)snprintf(m.format, sizeof m.format, "%s", format);
        r = blob_put(c->a->conf->data_dir, "models", m.id, c->rq->body, c->rq->body_size, &e);
    }
    r = r < 0 ? r : store_model_put(c->a->store, &m, &e);
    r = r < 0 ? r : build_all(c->a, m.id, &e);
    r = r < 0 ? r : store_model_get(c->a->store, m.id, &have, &e);
    if (r < 0 || !(doc = model_json(c->a, &have, &e))) {
        api_error(c, &e);
        return;
    }
    api_json(c, 201, doc);
    http_reply_header(c->rp, "Location", "/api/v1/models/%s", m.id);
    if (idem.key[0] && c->rp->status == 201) { /* put_doc ends the text with a NUL */
        idem.answer = c->rp->body;
        idem.status = 201;
        (void)!store_idem_put(c->a->store, &idem, NULL); /* lost: the same request makes the same model again */
    }
}

void api_model_list(struct api_call *c) {
    char cursor[128];
    const char *below;
    int limit;
    struct store_model *list = NULL;
    struct err e = {0};
    if (!api_limit(c, &limit) || !api_cursor(c, cursor, sizeof cursor, &below)) {
        return;
    }
    int n = store_model_list(c->a->store, below, limit, &list, &e);
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        json_t *doc = model_json(c->a, &list[i], &e);
        if (!doc) {
            n = e.code;
            break;
        }
        (void)json_array_append_new(items, doc);
    }
    if (n < 0) {
        json_decref(items);
        api_error(c, &e);
    } else {
        api_page(c, items, limit, n > 0 ? list[n - 1].id : "");
    }
    free(list);
}

void api_model_get(struct api_call *c) {
    struct store_model m;
    struct err e = {0};
    json_t *doc = store_model_get(c->a->store, c->id, &m, &e) < 0 ? NULL : model_json(c->a, &m, &e);
    if (doc) {
        api_json_etag(c, doc);
    } else {
        api_error(c, &e);
    }
}

void api_model_content(struct api_call *c) {
    struct store_model m;
    struct err e = {0};
    char path[BLOB_PATH_SIZE];
    if (store_model_get(c->a->store, c->id, &m, &e) < 0) {
        api_error(c, &e);
    } else if (blob_path(c->a->conf->data_dir, "models", m.id, path) < 0) {
        api_problem(c, 500, "internal-error", "", "no path for this id");
    } else {
        api_file(c, "application/octet-stream", path, m.id);
    }
}
