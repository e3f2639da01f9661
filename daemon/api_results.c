/* SPDX-License-Identifier: GPL-2.0-or-later
 * Results, windows, and the table as CSV. Documents are stored as they were made; nothing is computed here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/api.h"

static void filter_of(struct api_call *c, struct store_result_filter *f) {
    f->job = http_query(c->rq, "job");
    f->attempt = http_query(c->rq, "attempt");
    f->bench = http_query(c->rq, "bench");
    f->board_type = http_query(c->rq, "board_type");
    f->method = http_query(c->rq, "method");
    f->verdict = http_query(c->rq, "verdict");
    f->firmware = http_query(c->rq, "firmware");
    f->trace = http_query(c->rq, "trace");
    f->origin = http_query(c->rq, "origin");
    f->source_result = http_query(c->rq, "source_result");
    f->model = http_query(c->rq, "model");
}

static bool filter_good(struct api_call *c, const struct store_result_filter *f) {
    if (f->verdict && strcmp(f->verdict, "valid") != 0 && strcmp(f->verdict, "suspect") != 0 &&
        strcmp(f->verdict, "invalid") != 0) {
        api_problem(c, 400, "invalid", "?verdict", "must be valid, suspect or invalid");
        return false;
    }
    if (f->method && strcmp(f->method, "quick") != 0 && strcmp(f->method, "mlperf-tiny") != 0) {
        api_problem(c, 400, "invalid", "?method", "must be quick or mlperf-tiny");
        return false;
    }
    if (f->origin && store_origin_of(f->origin) < 0) {
        api_problem(c, 400, "invalid", "?origin", "must be measured, imported or reanalysed");
        return false;
    }
    return true;
}

static json_t *text_or_null(const char *s) { return s[0] ? json_string(s) : json_null(); }

json_t *api_result_doc(const struct store_result *r) {
    json_t *doc = json_loads(r->doc, 0, NULL);
    if (doc) {
        (void)json_object_set_new(doc, "origin", json_string(store_origin_word(r->origin)));
        (void)json_object_set_new(doc, "source_result", text_or_null(r->source_result));
        (void)json_object_set_new(doc, "model", text_or_null(r->model));
        (void)json_object_set_new(doc, "numerics", text_or_null(r->numerics));
        (void)json_object_set_new(doc, "job", text_or_null(r->job));
        (void)json_object_set_new(doc, "attempt", text_or_null(r->attempt));
        (void)json_object_set_new(doc, "bench", text_or_null(r->bench));
        (void)json_object_set_new(doc, "firmware", text_or_null(r->firmware));
    }
    return doc;
}

void api_result_list(struct api_call *c) {
    char below[128];
    struct store_result_filter f = {0};
    filter_of(c, &f);
    if (!filter_good(c, &f) || !api_limit(c, &f.limit) || !api_cursor(c, below, sizeof below, &f.below)) {
        return;
    }
    struct store_result *list = NULL;
    struct err e = {0};
    int n = store_result_list(c->a->store, &f, &list, &e);
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(items, api_result_doc(&list[i]));
    }
    api_page(c, items, f.limit, n > 0 ? list[n - 1].id : "");
    store_results_free(list, n);
}

void api_result_get(struct api_call *c) {
    struct store_result r;
    struct err e = {0};
    if (store_result_get(c->a->store, c->id, &r, &e) < 0) {
        api_error(c, &e);
        return;
    }
    api_json_etag(c, api_result_doc(&r));
    store_result_done(&r);
}

void api_result_windows(struct api_call *c) {
    struct store_result r;
    struct store_window *w = NULL;
    struct err e = {0};
    int n = store_result_get(c->a->store, c->id, &r, &e);
    if (n == 0) {
        store_result_done(&r);
        n = store_window_list(c->a->store, c->id, &w, &e);
    }
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    json_t *items = json_array();
    for (int i = 0; w && i < n; i++) {
        (void)json_array_append_new(items, json_loads(w[i].doc, 0, NULL));
    }
    store_windows_free(w, n);
    api_json(c, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* An empty cell for a figure that does not exist; 17 digits, the C locale. */
static int put_number(struct buf *b, double v) { return isfinite(v) ? buf_putf(b, ",%.17g", v) : buf_putf(b, ","); }

void api_results_csv(struct api_call *c) {
    struct store_result_filter f = {.limit = STORE_LIST_MAX};
    filter_of(c, &f);
    if (!filter_good(c, &f)) {
        return;
    }
    struct store_result *list = NULL;
    struct err e = {0};
    int n = store_result_list(c->a->store, &f, &list, &e);
    if (n < 0) {
        api_error(c, &e);
        return;
    }
    struct buf b;
    buf_init(&b, 4 << 20);
    int r = buf_putf(&b, "id,created_at,job,bench,board_type,board_serial,method,verdict,energy_per_inference_j,net_"
                         "energy_per_inference_j,u95_j,latency_s,firmware,trace,origin,source_result,model,numerics\r\n");
    for (int i = 0; i < n && r >= 0; i++) { /* no cell can hold a comma or a quote: ids, names and words */
        char at[CLOCK_RFC3339_SIZE];
        const struct store_result *x = &list[i];
        clock_rfc3339(x->created_ns, at);
        r = buf_putf(&b, "%s,%s,%s,%s,%s,%s,%s,%s", x->id, at, x->job, x->bench, x->board_type, x->board_serial,
                     x->method, x->verdict);
        r = r < 0 ? r : put_number(&b, x->energy_j);
        r = r < 0 ? r : put_number(&b, x->net_energy_j);
        r = r < 0 ? r : put_number(&b, x->u95_j);
        r = r < 0 ? r : put_number(&b, x->latency_s);
        r = r < 0 ? r : buf_putf(&b, ",%s,%s,%s,%s,%s,%s\r\n", x->firmware, x->trace, store_origin_word(x->origin),
                                 x->source_result, x->model, x->numerics);
    }
    store_results_free(list, n);
    if (r < 0) {
        buf_done(&b);
    }
    api_bytes(c, "text/csv; charset=utf-8", r < 0 ? NULL : (char *)b.data, b.len);
}
