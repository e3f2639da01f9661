/* SPDX-License-Identifier: GPL-2.0-or-later
 * A result's data in other tools' layouts. A child writes the file (daemon/helper.h), which is sent from its descriptor and has no name
 * any more: memory does not depend on the trace's length, and nothing stays behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/blob.h"

#define DEADLINE_MS 120000
#define MEMORY_BYTES (1ull << 30)
#define FILE_BYTES (16ull << 30)

static const struct layout {
    const char *name, *content_type, *ending;
    bool runner; /* of a runner: needs the windows, and an imported session is its own best source */
} layouts[] = {{"eembc", "application/x-tar", "tar", true},
               {"mlcommons", "application/x-tar", "tar", true},
               {"sr", "application/zip", "sr", false},
               {"csv", "text/csv; charset=utf-8", "csv", false},
               {"npy", "application/octet-stream", "npy", false}};

static const struct layout *find(const char *name) {
    for (size_t i = 0; name && i < sizeof layouts / sizeof layouts[0]; i++) {
        if (strcmp(layouts[i].name, name) == 0) {
            return &layouts[i];
        }
    }
    return NULL;
}

/* {"result", "windows"} into the child's directory. */
static int put_document(struct api_call *c, const struct store_result *r, json_t *doc, const char *dir, struct err *reterr) {
    char path[HELPER_PATH + 32];
    struct store_window *w = NULL;
    int n = store_window_list(c->a->store, r->id, &w, reterr);
    if (n < 0) {
        return n;
    }
    json_t *windows = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(windows, json_loads(w[i].doc, 0, NULL));
    }
    store_windows_free(w, n);
    json_t *both = json_pack("{s:O, s:o}", "result", doc, "windows", windows);
    char *text = both ? json_dumps(both, JSON_COMPACT) : NULL;
    json_decref(both);
    (void)snprintf(path, sizeof path, "%s/document.json", dir);
    int rc = text ? blob_write_file(path, text, strlen(text), reterr) : err_set(reterr, JF_E_NOMEM, "no memory for the result");
    free(text);
    return rc;
}

/* The file to read: the session itself when the layout is a runner's, else the trace. */
static int find_source(struct api_call *c, const struct layout *l, const struct store_result *r, const json_t *doc, char path[BLOB_PATH_SIZE],
                       struct err *reterr) {
    const char *session = json_string_value(json_object_get(json_object_get(doc, "provenance"), "session"));
    if (l->runner && r->origin == STORE_ORIGIN_IMPORTED && session && blob_id_valid(session)) {
        return blob_path(c->a->conf->data_dir, "sessions", session, path);
    }
    if (strncmp(r->trace, "sha256:", 7) != 0) {
        return err_set(reterr, JF_E_NOT_FOUND, "the result has no trace");
    }
    (void)snprintf(path, BLOB_PATH_SIZE, "%.900s/traces/%s.jft", c->a->conf->data_dir, r->trace + 7);
    return 0;
}

static void export_in(struct api_call *c, const struct layout *l, const struct store_result *r, json_t *doc, const char *dir) {
    char source[BLOB_PATH_SIZE], path[HELPER_PATH + 32];
    struct err e = {0};
    json_t *answer = NULL;
    const struct helper_run q = {.args = {"export", source, "--as", l->name, "--json", "--output", "export", "--document", "document.json"}, .dir = dir,
                                 .deadline_ms = DEADLINE_MS, .memory_bytes = MEMORY_BYTES, .file_bytes = FILE_BYTES};
    int rc = find_source(c, l, r, doc, source, &e);
    rc = rc < 0 ? rc : put_document(c, r, doc, dir, &e);
    rc = rc < 0 ? rc : helper_run(&c->a->helper, &q, &answer, &e);
    json_decref(answer);
    if (rc < 0) {
        api_problem(c, rc == JF_E_PARSE ? 422 : err_http_status(rc), err_word(rc), "", e.text);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/export", dir);
    char etag[STORE_ID_SIZE + 16];
    (void)snprintf(etag, sizeof etag, "%s-%s", r->id, l->name);
    api_file(c, l->content_type, path, etag);
    if (c->rp->fd >= 0) {
        http_reply_header(c->rp, "Content-Disposition", "attachment; filename=\"%s-%s.%s\"", r->id, l->name, l->ending);
    }
}

void api_result_export(struct api_call *c) {
    const struct layout *l = find(http_query(c->rq, "as"));
    struct store_result r;
    struct err e = {0};
    char dir[HELPER_PATH];
    if (!l) {
        api_problem(c, 400, "invalid", "?as", "must be eembc, mlcommons, sr, csv or npy");
        return;
    }
    if (store_result_get(c->a->store, c->id, &r, &e) < 0) {
        api_error(c, &e);
        return;
    }
    json_t *doc = api_result_doc(&r);
    if (!doc) {
        api_problem(c, 500, "out-of-memory", "", "no memory for the result");
    } else if (helper_dir_make(&c->a->helper, dir, &e) < 0) {
        api_error(c, &e);
    } else {
        export_in(c, l, &r, doc, dir);
        helper_dir_drop(&c->a->helper, dir);
    }
    json_decref(doc);
    store_result_done(&r);
}
