/* SPDX-License-Identifier: GPL-2.0-or-later
 * Traces: read through measure/trace (reader only), one reader per request, from the file named by its hash. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "measure/trace/trace.h"

#define POINTS_DEFAULT 1000

static bool trace_path(struct api_call *c, struct store_trace *ret_t, char *out, size_t size) {
    struct err e = {0};
    if (store_trace_get(c->a->store, c->id, ret_t, &e) < 0) {
        api_error(c, &e);
        return false;
    }
    (void)snprintf(out, size, "%s/traces/%s.jft", c->a->conf->data_dir,
                   ret_t->id + (strncmp(ret_t->id, "sha256:", 7) == 0 ? 7 : 0));
    return true;
}

static struct trace_reader *open_reader(struct api_call *c, struct store_trace *ret_t) {
    char path[1024];
    struct err e = {0};
    struct trace_reader *r = NULL;
    if (!trace_path(c, ret_t, path, sizeof path)) {
        return NULL;
    }
    if (trace_reader_open(path, &r, &e) < 0) {
        api_problem(c, 500, err_word(e.code), "", e.text);
        return NULL;
    }
    return r;
}

void api_trace_get(struct api_call *c) {
    struct store_trace t;
    struct trace_reader *r = open_reader(c, &t);
    if (!r) {
        return;
    }
    json_t *j = trace_info_json(r);
    trace_reader_close(r);
    if (j) {
        (void)json_object_set_new(j, "id", json_string(t.id));
        (void)json_object_set_new(j, "attempt", json_string(t.attempt));
        (void)json_object_set_new(j, "size_bytes", json_integer(t.size));
        (void)json_object_set_new(j, "duration_s", isfinite(t.duration_s) ? json_real(t.duration_s) : json_null());
        api_time(t.created_ns, j, "created_at");
    }
    api_json_etag(c, j);
}

void api_trace_view(struct api_call *c) {
    double from, to;
    long long points;
    if (!api_number(c, "from_s", (double)NAN, &from) || !api_number(c, "to_s", (double)NAN, &to) ||
        !api_whole(c, "points", 1, TRACE_VIEW_MAX_POINTS, POINTS_DEFAULT, &points)) {
        return;
    }
    struct store_trace t;
    struct trace_reader *r = open_reader(c, &t);
    if (!r) {
        return;
    }
    json_t *view = NULL;
    struct err e = {0};
    int bad = trace_view(r, from, to, (int)points, &view, &e);
    trace_reader_close(r);
    if (bad < 0) {
        api_problem(c, err_http_status(e.code), err_word(e.code), "?from_s", e.text);
        return;
    }
    api_json(c, 200, view);
}

void api_trace_stats(struct api_call *c) {
    double from, to;
    if (!api_number(c, "from_s", (double)NAN, &from) || !api_number(c, "to_s", (double)NAN, &to)) {
        return;
    }
    struct store_trace t;
    struct trace_reader *r = open_reader(c, &t);
    if (!r) {
        return;
    }
    struct trace_stats s;
    struct err e = {0};
    int bad = trace_stats(r, from, to, &s, &e);
    trace_reader_close(r);
    if (bad < 0) {
        api_problem(c, err_http_status(e.code), err_word(e.code), "?from_s", e.text);
        return;
    }
    api_json(c, 200, trace_stats_json(&s));
}

void api_trace_content(struct api_call *c) {
    struct store_trace t;
    char path[1024];
    if (trace_path(c, &t, path, sizeof path)) {
        api_file(c, "application/octet-stream", path, t.id);
    }
}
