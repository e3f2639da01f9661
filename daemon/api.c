/* SPDX-License-Identifier: GPL-2.0-or-later
 * Routing, problem documents (RFC 9457), paging, idempotency: what all resources share. */
#include "daemon/api.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/blob.h"
#include "daemon/jobspec.h"

#define PREFIX "/api/v1"
#define CURSOR_MAX 96
#define SESSION_BYTES_MAX (32u << 20) /* an archive of a published session; the largest known one has 2 MB */

/* ---- answers ------------------------------------------------------------------------------------------------------
 */
static void put_doc(struct http_reply *rp, int status, const char *type, json_t *doc) {
    char *text = doc ? json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(doc);
    rp->status = text ? status : 500;
    rp->content_type = type;
    rp->body = text;
    rp->size = text ? strlen(text) : 0;
}

static json_t *problem_doc(int status, const char *code, const char *pointer, const char *text,
                           const char *request_id) {
    char type[96];
    (void)snprintf(type, sizeof type, "urn:joulefarm:problem:%s", code);
    const char *title = status == 404   ? "Not found"
                        : status == 413 ? "Too large"
                        : status == 409 ? "Conflict"
                        : status >= 500 ? "The daemon failed"
                                        : "The request is not acceptable";
    json_t *detail = json_string(text);
    detail = detail ? detail : json_string("(not printable)");
    json_t *where = json_string(pointer);
    return json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:s}", "type", type, "title", title, "status", status, "code",
                     code, "detail", detail, "pointer", where ? where : json_string(""), "request_id", request_id);
}

static void put_problem(const struct http_request *rq, struct http_reply *rp, int status, const char *code,
                        const char *pointer, const char *text) {
    put_doc(rp, status, "application/problem+json", problem_doc(status, code, pointer, text, rq->id));
}

void api_problem(struct api_call *c, int status, const char *code, const char *pointer, const char *text) {
    put_problem(c->rq, c->rp, status, code, pointer, text);
}
void api_problem_with(struct api_call *c, int status, const char *code, const char *pointer, const char *text,
                      json_t *members) {
    json_t *doc = problem_doc(status, code, pointer, text, c->rq->id);
    (void)json_object_update_missing(doc, members);
    json_decref(members);
    put_doc(c->rp, status, "application/problem+json", doc);
}
void api_error(struct api_call *c, const struct err *e) {
    api_problem(c, err_http_status(e->code), err_word(e->code), e->where, e->text);
}
void api_error_field(struct api_call *c, const struct err *e) {
    int status = err_http_status(e->code);
    api_problem(c, status == 404 ? 422 : status, err_word(e->code), e->where, e->text);
}
void api_json(struct api_call *c, int status, json_t *doc) { put_doc(c->rp, status, "application/json", doc); }

void api_json_etag(struct api_call *c, json_t *doc) {
    api_json(c, 200, doc);
    if (c->rp->status != 200) {
        return;
    }
    unsigned char hash[16];
    char hex[33];
    (void)crypto_generichash(hash, sizeof hash, c->rp->body, c->rp->size, NULL, 0);
    (void)sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    http_reply_header(c->rp, "ETag", "\"%s\"", hex);
    http_reply_header(c->rp, "Cache-Control", "no-cache");
    const char *have = http_header(c->rq, "If-None-Match");
    if (have && strstr(have, hex)) {
        free(c->rp->body);
        c->rp->body = NULL;
        c->rp->size = 0;
        c->rp->status = 304;
        c->rp->content_type = NULL;
    }
}

void api_bytes(struct api_call *c, const char *content_type, char *text, size_t size) {
    c->rp->status = text ? 200 : 500;
    c->rp->content_type = content_type;
    c->rp->body = text;
    c->rp->size = text ? size : 0;
}

void api_file(struct api_call *c, const char *content_type, const char *path, const char *etag) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        api_problem(c, errno == ENOENT ? 410 : 500, errno == ENOENT ? "gone" : "io-error", "",
                    "the file is no longer in the data directory");
        return;
    }
    c->rp->status = 200;
    c->rp->content_type = content_type;
    c->rp->fd = fd;
    http_reply_header(c->rp, "ETag", "\"%s\"", etag);
}

void api_time(int64_t ns, json_t *obj, const char *key) {
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ns, at);
    (void)json_object_set_new(obj, key, ns > 0 ? json_string(at) : json_null());
}

/* ---- query ---------------------------------------------------------------------------------------------------------
 */
bool api_whole(struct api_call *c, const char *name, long long lo, long long hi, long long fallback, long long *ret_v) {
    const char *s = http_query(c->rq, name);
    char at[64], text[96], *end;
    *ret_v = fallback;
    if (!s) {
        return true;
    }
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (s[0] == '\0' || s[0] == ' ' || s[0] == '+' || *end != '\0' || errno != 0 || v < lo || v > hi) {
        (void)snprintf(at, sizeof at, "?%s", name);
        (void)snprintf(text, sizeof text, "must be a whole number from %lld to %lld", lo, hi);
        api_problem(c, 400, "invalid", at, text);
        return false;
    }
    *ret_v = v;
    return true;
}

bool api_number(struct api_call *c, const char *name, double fallback, double *ret_v) {
    const char *s = http_query(c->rq, name);
    char at[64], *end;
    *ret_v = fallback;
    if (!s) {
        return true;
    }
    double v = strtod(s, &end);
    if (s[0] == '\0' || s[0] == ' ' || *end != '\0' || !isfinite(v)) {
        (void)snprintf(at, sizeof at, "?%s", name);
        api_problem(c, 400, "invalid", at, "must be a finite number");
        return false;
    }
    *ret_v = v;
    return true;
}

bool api_limit(struct api_call *c, int *ret_limit) {
    long long v;
    bool good = api_whole(c, "limit", 1, STORE_LIST_MAX, 100, &v);
    *ret_limit = (int)v;
    return good;
}

bool api_cursor(struct api_call *c, char *out, size_t size, const char **ret_below) {
    const char *s = http_query(c->rq, "cursor");
    *ret_below = NULL;
    if (!s) {
        return true;
    }
    size_t n = 0;
    if (strlen(s) > 2 * CURSOR_MAX ||
        sodium_base642bin((unsigned char *)out, size - 1, s, strlen(s), NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n == 0 || memchr(out, 0, n)) {
        api_problem(c, 400, "invalid", "?cursor", "is not a cursor of this list");
        return false;
    }
    out[n] = '\0';
    *ret_below = out;
    return true;
}

void api_page(struct api_call *c, json_t *items, int limit, const char *last_id) {
    char next[2 * CURSOR_MAX + 8];
    json_t *cursor = json_null();
    if (items && (int)json_array_size(items) >= limit && strlen(last_id) < CURSOR_MAX) {
        (void)sodium_bin2base64(next, sizeof next, (const unsigned char *)last_id, strlen(last_id),
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        cursor = json_string(next);
    }
    api_json(c, 200, items ? json_pack("{s:o, s:o}", "items", items, "next", cursor) : NULL);
}

/* ---- bodies ---------------------------------------------------------------------------------------------------------
 */
bool api_body_object(struct api_call *c, json_t **ret_obj) {
    struct err e = {0};
    if (jobspec_json(c->rq->body, c->rq->body_size, ret_obj, &e) < 0) {
        api_error(c, &e);
        return false;
    }
    return true;
}

int api_idem_begin(struct api_call *c, const char *scope, struct store_idem *ret_i) {
    const char *key = http_header(c->rq, "Idempotency-Key");
    *ret_i = (struct store_idem){0};
    if (!key) {
        return 0;
    }
    if (key[0] == '\0' || strlen(key) >= sizeof ret_i->key) {
        api_problem(c, 400, "invalid", "#Idempotency-Key", "must have 1 to 255 bytes");
        return 1;
    }
    (void)snprintf(ret_i->scope, sizeof ret_i->scope, "%s", scope);
    (void)snprintf(ret_i->key, sizeof ret_i->key, "%s", key);
    char what[BLOB_ID_SIZE + 256];
    blob_id(c->rq->body, c->rq->body_size, ret_i->body_hash);
    int n = snprintf(what, sizeof what, "%s %.160s", ret_i->body_hash,
                     c->rq->path); /* the same key on another path is another request */
    blob_id(what, (size_t)n, ret_i->body_hash);
    struct store_idem old;
    struct err e = {0};
    int r = store_idem_get(c->a->store, scope, key, &old, &e);
    if (r == JF_E_NOT_FOUND) {
        return 0;
    }
    if (r < 0) {
        api_error(c, &e);
        return 1;
    }
    if (strcmp(old.body_hash, ret_i->body_hash) != 0) {
        free((void *)(uintptr_t)old.answer);
        api_problem(c, 409, "conflict", "#Idempotency-Key", "this key was used with another body");
        return 1;
    }
    c->rp->status = (int)old.status;
    c->rp->content_type = "application/json";
    c->rp->body = (void *)(uintptr_t)old.answer;
    c->rp->size = strlen(old.answer);
    http_reply_header(c->rp, "Idempotency-Replayed", "true");
    return 1;
}

/* ---- routes
 * ------------------------------------------------------------------------------------------------------------ */
#define P PREFIX
const struct api_route api_routes[] = {
    {"GET", P "/version", api_version, API_BODY_NONE, NULL},
    {"GET", P "/livez", api_livez, API_BODY_NONE, NULL},
    {"GET", P "/readyz", api_readyz, API_BODY_NONE, NULL},
    {"GET", "/metrics", api_metrics, API_BODY_NONE, NULL},
    {"GET", P "/openapi.json", api_openapi, API_BODY_NONE, NULL},
    {"POST", P "/firmware", api_firmware_post, API_BODY_BYTES, NULL},
    {"GET", P "/firmware", api_firmware_list, API_BODY_NONE, " limit cursor "},
    {"GET", P "/firmware/{}", api_firmware_get, API_BODY_NONE, NULL},
    {"GET", P "/firmware/{}/content", api_firmware_content, API_BODY_NONE, NULL},
    {"POST", P "/inputs", api_input_post, API_BODY_BYTES, NULL},
    {"GET", P "/inputs", api_input_list, API_BODY_NONE, " limit cursor "},
    {"GET", P "/inputs/{}", api_input_get, API_BODY_NONE, NULL},
    {"GET", P "/inputs/{}/content", api_input_content, API_BODY_NONE, NULL},
    {"POST", P "/models", api_model_post, API_BODY_BYTES, " name "},
    {"GET", P "/models", api_model_list, API_BODY_NONE, " limit cursor "},
    {"GET", P "/models/{}", api_model_get, API_BODY_NONE, NULL},
    {"GET", P "/models/{}/content", api_model_content, API_BODY_NONE, NULL},
    {"GET", P "/board-types", api_board_types, API_BODY_NONE, NULL},
    {"GET", P "/benches", api_benches, API_BODY_NONE, NULL},
    {"GET", P "/benches/{}", api_bench_get, API_BODY_NONE, NULL},
    {"POST", P "/benches/{}/maintenance", api_bench_maintenance, API_BODY_NONE, NULL},
    {"POST", P "/benches/{}/recover", api_bench_recover, API_BODY_NONE, NULL},
    {"GET", P "/instruments", api_instruments, API_BODY_NONE, NULL},
    {"POST", P "/jobs", api_job_post, API_BODY_JSON, NULL},
    {"POST", P "/jobs/validate", api_job_validate, API_BODY_JSON, NULL},
    {"POST", P "/jobs/cancel", api_jobs_cancel, API_BODY_JSON, NULL},
    {"GET", P "/jobs", api_job_list, API_BODY_NONE, " limit cursor state board_type bench firmware model "},
    {"GET", P "/jobs/{}", api_job_get, API_BODY_NONE, NULL},
    {"GET", P "/jobs/{}/attempts", api_job_attempts, API_BODY_NONE, NULL},
    {"POST", P "/jobs/{}/cancel", api_job_cancel, API_BODY_NONE, NULL},
    {"POST", P "/jobs/{}/resubmit", api_job_resubmit, API_BODY_NONE, NULL},
    {"GET", P "/attempts/{}", api_attempt_get, API_BODY_NONE, NULL},
    {"GET", P "/attempts/{}/log", api_attempt_log, API_BODY_NONE, " offset "},
    {"GET", P "/results", api_result_list, API_BODY_NONE,
     " limit cursor job attempt bench board_type method verdict firmware trace origin source_result model "},
    {"GET", P "/results.csv", api_results_csv, API_BODY_NONE,
     " job attempt bench board_type method verdict firmware trace origin source_result model "},
    {"GET", P "/results/{}", api_result_get, API_BODY_NONE, NULL},
    {"POST", P "/results/{}/reanalyze", api_reanalyze, API_BODY_JSON, NULL},
    {"GET", P "/compare", api_compare, API_BODY_NONE, " results allow "},
    {"GET", P "/results/{}/windows", api_result_windows, API_BODY_NONE, NULL},
    {"GET", P "/results/{}/export", api_result_export, API_BODY_NONE, " as "},
    {"POST", P "/import", api_import_post, API_BODY_BYTES, NULL},
    {"GET", P "/traces/{}", api_trace_get, API_BODY_NONE, NULL},
    {"GET", P "/traces/{}/view", api_trace_view, API_BODY_NONE, " from_s to_s points "},
    {"GET", P "/traces/{}/stats", api_trace_stats, API_BODY_NONE, " from_s to_s "},
    {"GET", P "/traces/{}/content", api_trace_content, API_BODY_NONE, NULL},
    {"GET", P "/events", api_events, API_BODY_NONE, " after limit "},
    {"GET", "/", api_page_index, API_BODY_NONE, NULL},
    {"GET", "/assets/{}", api_page_asset, API_BODY_NONE, NULL},
    {NULL, NULL, NULL, API_BODY_NONE, NULL},
};
#undef P

/* Matches path against pattern; the {} segment goes to id. */
static bool matches(const char *pattern, const char *path, char *id, size_t size) {
    id[0] = '\0';
    while (*pattern) {
        if (strncmp(pattern, "{}", 2) == 0) {
            size_t n = strcspn(path, "/");
            if (n == 0 || n >= size) {
                return false;
            }
            memcpy(id, path, n);
            id[n] = '\0';
            path += n;
            pattern += 2;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

#define ID_MAX 128
/* The route, or NULL with the methods that the path would allow ("" unknown path). */
static const struct api_route *find_route(const char *method, const char *path, char id[ID_MAX], char *allow,
                                          size_t size) {
    const char *m = strcmp(method, "HEAD") == 0 ? "GET" : method;
    size_t n = 0;
    allow[0] = '\0';
    for (const struct api_route *r = api_routes; r->method; r++) {
        if (!matches(r->pattern, path, id, ID_MAX)) {
            continue;
        }
        if (strcmp(r->method, m) == 0) {
            return r;
        }
        n += (size_t)snprintf(allow + n, size - n, "%s%s", n ? ", " : "", r->method);
        if (n >= size) {
            break;
        }
    }
    return NULL;
}

static size_t on_limit(void *user, const char *method, const char *path) {
    const struct api *a = user;
    char id[ID_MAX], allow[64];
    const struct api_route *r = find_route(method, path, id, allow, sizeof allow);
    if (!r || r->body == API_BODY_NONE) {
        return 4096; /* a small body where none is expected is ignored */
    }
    if (r->body == API_BODY_JSON) {
        return JOBSPEC_BYTES_MAX;
    }
    if (r->fn == api_import_post) {
        return SESSION_BYTES_MAX;
    }
    return (size_t)(r->fn == api_firmware_post ? a->conf->max_firmware_bytes
                    : r->fn == api_model_post ? a->conf->max_model_bytes
                                              : a->conf->max_input_bytes);
}

struct query_check {
    const char *allowed;
    char bad[96];
    bool twice;
    char seen[256];
};

static int check_query_name(void *user, const char *name, const char *value) {
    struct query_check *q = user;
    char padded[64];
    (void)value;
    (void)snprintf(padded, sizeof padded, " %.60s ", name);
    if (!q->allowed || strchr(name, ' ') || strlen(name) > 60 || !strstr(q->allowed, padded)) {
        (void)snprintf(q->bad, sizeof q->bad, "?%.60s", name);
        return 1;
    }
    if (strstr(q->seen, padded)) {
        (void)snprintf(q->bad, sizeof q->bad, "?%.60s", name);
        q->twice = true;
        return 1;
    }
    size_t n = strlen(q->seen);
    (void)snprintf(q->seen + n, sizeof q->seen - n, "%s", padded);
    return 0;
}

static bool type_is_json(const char *type) {
    return type && strncasecmp(type, "application/json", 16) == 0 &&
           (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

static void on_handle(void *user, const struct http_request *rq, struct http_reply *rp) {
    char id[ID_MAX], allow[64];
    struct api_call c = {.a = user, .rq = rq, .rp = rp, .id = id};
    const struct api_route *r = find_route(rq->method, rq->path, id, allow, sizeof allow);
    if (!r && allow[0]) {
        api_problem(&c, 405, "method-not-allowed", "", "this method is not possible here");
        http_reply_header(rp, "Allow", "%s", allow);
        return;
    }
    if (!r) {
        api_problem(&c, 404, "not-found", "", "there is no such path");
        return;
    }
    struct query_check q = {.allowed = r->query};
    if (http_query_each(rq, check_query_name, &q) != 0) {
        api_problem(&c, 400, "invalid", q.bad, q.twice ? "is given twice" : "is not known here");
        return;
    }
    if (r->body == API_BODY_JSON && !type_is_json(http_header(rq, "Content-Type"))) {
        api_problem(&c, 415, "unsupported", "#Content-Type", "must be application/json");
        return;
    }
    if (r->body == API_BODY_NONE && strcmp(r->method, "POST") == 0 && rq->body_size > 0) {
        json_t *obj = NULL; /* an action takes no fields: only an empty object */
        if (jobspec_json(rq->body, rq->body_size, &obj, NULL) < 0 || json_object_size(obj) > 0) {
            char at[80];
            (void)snprintf(at, sizeof at, "/%.60s",
                           json_object_iter(obj) ? json_object_iter_key(json_object_iter(obj)) : "");
            json_decref(obj);
            api_problem(&c, 400, "invalid", at, "nothing is expected in the body");
            return;
        }
        json_decref(obj);
    }
    r->fn(&c);
}

static void on_refuse(void *user, const struct http_request *rq, struct http_reply *rp, int status, const char *code,
                      const char *pointer, const char *text) {
    (void)user;
    put_problem(rq, rp, status, code, pointer, text);
}

struct http_handler api_handler(struct api *a) {
    return (struct http_handler){on_limit, on_handle, on_refuse, a};
}
