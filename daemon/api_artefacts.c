/* SPDX-License-Identifier: GPL-2.0-or-later
 * Uploads: firmware (checked ELF) and inputs (bytes). Content-addressed: the same bytes give the same id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/blob.h"
#include "daemon/elf.h"

static const char *const folders[] = {"firmware", "inputs"};

static void put_artefact(struct api_call *c, int kind, const char *id, json_t *doc, struct store_idem *idem) {
    struct err e = {0};
    if (doc) {
        api_time(clock_wall_ns(c->a->clock), doc, "created_at");
    }
    char *text = doc ? json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(doc);
    struct store_artefact a = {.kind = kind, .size = (int64_t)c->rq->body_size, .doc = text}, have;
    (void)snprintf(a.id, sizeof a.id, "%s", id);
    idem->answer = text;
    idem->status = 201;
    int r = text ? blob_put(c->a->conf->data_dir, folders[kind], id, c->rq->body, c->rq->body_size, &e)
                 : err_set(&e, JF_E_NOMEM, "no memory");
    if (r == 0 &&
        store_artefact_get(c->a->store, kind, id, &have, NULL) == 0) { /* posting twice gives the first answer */
        free(text);
        text = have.doc;
        idem->answer = text;
        a.doc = text;
    }
    r = r < 0 ? r : store_artefact_put(c->a->store, &a, idem->key[0] ? idem : NULL, &e);
    if (r < 0 || !text) {
        free(text);
        api_error(c, &e);
        return;
    }
    c->rp->status = 201;
    c->rp->content_type = "application/json";
    c->rp->body = text;
    c->rp->size = strlen(text);
    http_reply_header(c->rp, "Location", "/api/v1/%s/%s", folders[kind], id);
}

void api_firmware_post(struct api_call *c) {
    struct store_idem idem;
    struct err e = {0};
    char id[BLOB_ID_SIZE];
    if (api_idem_begin(c, "firmware", &idem) != 0) {
        return;
    }
    struct elf_facts *f = calloc(1, sizeof *f);
    if (!f) {
        api_problem(c, 500, "out-of-memory", "", "no memory");
        return;
    }
    if (elf_read(c->rq->body, c->rq->body_size, f, &e) < 0) {
        api_error(c, &e);
    } else {
        blob_id(c->rq->body, c->rq->body_size, id);
        put_artefact(c, STORE_FIRMWARE, id, elf_json(f, id, c->rq->body_size), &idem);
    }
    free(f);
}

void api_input_post(struct api_call *c) {
    struct store_idem idem;
    char id[BLOB_ID_SIZE];
    if (api_idem_begin(c, "inputs", &idem) != 0) {
        return;
    }
    if (c->rq->body_size == 0) {
        api_problem(c, 400, "malformed", "", "the body is empty; the input's bytes are expected");
        return;
    }
    blob_id(c->rq->body, c->rq->body_size, id);
    put_artefact(c, STORE_INPUT, id, json_pack("{s:s, s:I}", "id", id, "size_bytes", (json_int_t)c->rq->body_size),
                 &idem);
}

static void list_artefacts(struct api_call *c, int kind) {
    char cursor[128];
    const char *below;
    int limit;
    if (!api_limit(c, &limit) || !api_cursor(c, cursor, sizeof cursor, &below)) {
        return;
    }
    struct store_artefact *list = NULL;
    struct err e = {0};
    int n = store_artefact_list(c->a->store, kind, below, limit, &list, &e);
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(items, json_loads(list[i].doc, 0, NULL));
    }
    api_page(c, items, limit, n > 0 ? list[n - 1].id : "");
    store_artefacts_free(list, n);
}

static void get_artefact(struct api_call *c, int kind) {
    struct store_artefact a;
    struct err e = {0};
    if (store_artefact_get(c->a->store, kind, c->id, &a, &e) < 0) {
        api_error(c, &e);
        return;
    }
    api_json_etag(c, json_loads(a.doc, 0, NULL));
    store_artefact_done(&a);
}

static void get_content(struct api_call *c, int kind) {
    struct store_artefact a;
    struct err e = {0};
    char path[BLOB_PATH_SIZE];
    if (store_artefact_get(c->a->store, kind, c->id, &a, &e) < 0) {
        api_error(c, &e);
        return;
    }
    if (blob_path(c->a->conf->data_dir, folders[kind], a.id, path) < 0) {
        api_problem(c, 500, "internal-error", "", "no path for this id");
    } else {
        api_file(c, "application/octet-stream", path, a.id);
    }
    store_artefact_done(&a);
}

void api_firmware_list(struct api_call *c) { list_artefacts(c, STORE_FIRMWARE); }
void api_firmware_get(struct api_call *c) { get_artefact(c, STORE_FIRMWARE); }
void api_firmware_content(struct api_call *c) { get_content(c, STORE_FIRMWARE); }
void api_input_list(struct api_call *c) { list_artefacts(c, STORE_INPUT); }
void api_input_get(struct api_call *c) { get_artefact(c, STORE_INPUT); }
void api_input_content(struct api_call *c) { get_content(c, STORE_INPUT); }
