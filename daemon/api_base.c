/* SPDX-License-Identifier: GPL-2.0-or-later
 * version, livez, readyz, metrics, the API's description, the pages, and events. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/asset.h"
#include "base/buf.h"
#include "daemon/api.h"

extern const struct base_asset daemon_assets[]; /* generated */

void api_version(struct api_call *c) {
    api_json(c, 200, json_pack("{s:s, s:s, s:i}", "name", "joulefarm", "version", JF_VERSION, "api", 1));
}
void api_livez(struct api_call *c) { api_json(c, 200, json_pack("{s:s}", "status", "ok")); }

void api_readyz(struct api_call *c) {
    struct store_counts n;
    struct err e = {0};
    if (store_counts_get(c->a->store, &n, &e) < 0) {
        api_problem(c, 503, err_word(e.code), "", e.text);
        return;
    }
    api_json(c, 200, json_pack("{s:s, s:I}", "status", "ok", "schema", (json_int_t)store_schema_version(c->a->store)));
}

void api_metrics(struct api_call *c) {
    struct store_counts n;
    struct err e = {0};
    struct buf b;
    if (store_counts_get(c->a->store, &n, &e) < 0) {
        api_error(c, &e);
        return;
    }
    buf_init(&b, 1 << 20);
    int r = buf_putf(&b, "# HELP joulefarm_jobs Jobs by state.\n# TYPE joulefarm_jobs gauge\n");
    for (int i = 0; i < STORE_JOB_STATES && r >= 0; i++) {
        r = buf_putf(&b, "joulefarm_jobs{state=\"%s\"} %lld\n", sm_state_name(&store_job_machine, i),
                     (long long)n.jobs[i]);
    }
    r = r < 0 ? r
              : buf_putf(&b,
                         "# TYPE joulefarm_results gauge\njoulefarm_results %lld\n# TYPE joulefarm_event_streams "
                         "gauge\njoulefarm_event_streams %d\n# TYPE joulefarm_bench_up gauge\n",
                         (long long)n.results, hub_count(c->a->hub));
    for (int i = 0; i < c->a->conf->n_benches && r >= 0; i++) {
        struct store_bench bench;
        if (store_bench_get(c->a->store, c->a->conf->benches[i].name, &bench, &e) == 0) {
            r = buf_putf(&b, "joulefarm_bench_up{bench=\"%s\",state=\"%s\"} %d\n", bench.name,
                         sm_state_name(&store_bench_machine, bench.state),
                         bench.healthy && (bench.state == STORE_BENCH_IDLE || bench.state == STORE_BENCH_LEASED));
        }
    }
    api_bytes(c, "text/plain; version=0.0.4; charset=utf-8", r < 0 ? NULL : (char *)b.data, b.len);
    if (r < 0) {
        buf_done(&b);
    }
}

/* ---- embedded files -------------------------------------------------------------------------------------------------
 */
static const char *type_of(const char *path) {
    static const struct {
        const char *end, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".json", "application/json"},
                 {".svg", "image/svg+xml"},
                 {".ico", "image/x-icon"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(dot, types[i].end) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static bool put_asset(struct api_call *c, const char *path) {
    for (const struct base_asset *a = daemon_assets; a->path; a++) {
        if (strcmp(a->path, path) == 0) {
            c->rp->status = 200;
            c->rp->content_type = type_of(path);
            c->rp->body = (void *)(uintptr_t)a->at;
            c->rp->size = (size_t)(a->end - a->at);
            c->rp->static_body = true;
            http_reply_header(c->rp, "Cache-Control", "no-cache");
            return true;
        }
    }
    return false;
}

void api_openapi(struct api_call *c) {
    if (!put_asset(c, "daemon/openapi.json")) {
        api_problem(c, 500, "internal-error", "", "the description was not built in");
    }
}

void api_page_index(struct api_call *c) {
    if (!put_asset(c, "web/index.html")) {
        char *text = strdup("<!doctype html><title>joulefarm</title><p>joulefarm is running; its API is described in "
                            "<a href=\"/api/v1/openapi.json\">openapi.json</a>.\n");
        api_bytes(c, "text/html; charset=utf-8", text, text ? strlen(text) : 0);
    }
}

void api_page_asset(struct api_call *c) {
    char path[160];
    (void)snprintf(path, sizeof path, "web/%.120s", c->id);
    if (!put_asset(c, path)) {
        api_problem(c, 404, "not-found", "", "there is no such file");
    }
}

/* ---- events
 * ------------------------------------------------------------------------------------------------------------- */
static void answer_gone(struct api_call *c, const struct err *e, int64_t oldest) {
    api_problem(c, err_http_status(e->code), err_word(e->code), e->code == JF_E_GONE ? "?after" : "", e->text);
    if (e->code == JF_E_GONE && c->rp->body) {
        json_t *doc = json_loadb(c->rp->body, c->rp->size, 0, NULL);
        (void)json_object_set_new(doc, "oldest", json_integer(oldest));
        free(c->rp->body);
        c->rp->body = json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER);
        c->rp->size = c->rp->body ? strlen(c->rp->body) : 0;
        json_decref(doc);
    }
}

static void open_stream(struct api_call *c, long long after) {
    const char *last = http_header(c->rq, "Last-Event-ID");
    struct err e = {0};
    int64_t oldest = 0;
    char *end = NULL;
    if (last) {
        after = strtoll(last, &end, 10);
        if (end == last || *end != '\0' || after < 0) {
            api_problem(c, 400, "invalid", "#Last-Event-ID", "must be a sequence number");
            return;
        }
    } else if (after < 0) {
        after = store_event_last(c->a->store); /* from now on */
    }
    if (hub_open(c->a->hub, after, c->rp, &oldest, &e) < 0) {
        answer_gone(c, &e, oldest);
    }
}

void api_events(struct api_call *c) {
    const char *accept = http_header(c->rq, "Accept");
    bool stream = accept && strstr(accept, "text/event-stream");
    long long after, limit;
    if (!api_whole(c, "after", 0, INT64_MAX, stream ? -1 : 0, &after) ||
        !api_whole(c, "limit", 1, STORE_LIST_MAX, 100, &limit)) {
        return;
    }
    if (stream) {
        open_stream(c, after);
        return;
    }
    struct store_event *list = NULL;
    struct err e = {0};
    int64_t oldest = 0;
    int n = store_event_list(c->a->store, after, (int)limit, &list, &oldest, &e);
    if (n < 0) {
        answer_gone(c, &e, oldest);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(items, hub_event_json(&list[i]));
    }
    int64_t last = n > 0 ? list[n - 1].seq : after;
    free(list);
    api_json(c, 200, json_pack("{s:o, s:I}", "items", items, "next", (json_int_t)last));
}
