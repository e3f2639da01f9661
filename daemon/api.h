/* SPDX-License-Identifier: GPL-2.0-or-later
 * The HTTP API: routes, problem documents, and the resources (api_*.c). Handlers run on the server's threads; they
 * touch the store, files, the hub and leave wishes with the farm, and keep nothing. */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include <jansson.h>

#include "daemon/conf.h"
#include "daemon/farm.h"
#include "daemon/helper.h"
#include "daemon/http.h"
#include "daemon/hub.h"
#include "daemon/models.h"
#include "daemon/shop.h"
#include "daemon/tool.h"
#include "db/store.h"

struct api {
    const struct conf *conf;
    struct store *store;
    struct hub *hub;
    struct farm *farm;
    const struct clock_src *clock;
    struct shop *shop;
    const struct tools *tools;
    struct models *models;
    int waiting; /* HTTP threads that wait for an order of the shop; atomic */
    struct helper helper;
};
struct http_handler api_handler(struct api *a);

/* ---- for api_*.c
 * ----------------------------------------------------------------------------------------------------- */
struct api_call {
    struct api *a;
    const struct http_request *rq;
    struct http_reply *rp;
    const char *id; /* the path's {id}, "" none */
};
typedef void api_fn(struct api_call *c);
enum api_body { API_BODY_NONE, API_BODY_JSON, API_BODY_BYTES };
struct api_route {
    const char *method, *pattern; /* "{}" stands for one segment */
    api_fn *fn;
    enum api_body body;
    const char *query; /* allowed query names, " a b "; NULL: none */
};
extern const struct api_route api_routes[]; /* ends with method NULL */

/* Answers. The json_t is taken over; NULL becomes a 500. */
void api_json(struct api_call *c, int status, json_t *doc);
void api_json_etag(struct api_call *c, json_t *doc); /* 200 or 304 */
void api_problem(struct api_call *c, int status, const char *code, const char *pointer, const char *text);
/* The same with further members of the document (taken over). */
void api_problem_with(struct api_call *c, int status, const char *code, const char *pointer, const char *text,
                      json_t *members);
void api_error(struct api_call *c,
               const struct err *e); /* status and code from the error's table; where is the pointer */
/* An error about what a body's field refers to: 422 instead of 404. */
void api_error_field(struct api_call *c, const struct err *e);
void api_bytes(struct api_call *c, const char *content_type, char *text, size_t size); /* takes over text */
void api_file(struct api_call *c, const char *content_type, const char *path, const char *etag);

/* Query helpers; false: the problem was answered. */
bool api_limit(struct api_call *c, int *ret_limit);
bool api_whole(struct api_call *c, const char *name, long long lo, long long hi, long long fallback, long long *ret_v);
bool api_number(struct api_call *c, const char *name, double fallback, double *ret_v);
/* ?cursor=: opaque; the id below which to go on. false: answered. */
bool api_cursor(struct api_call *c, char *out, size_t size, const char **ret_below);
/* {"items", "next"}; next from the last item's id when the page is full. */
void api_page(struct api_call *c, json_t *items, int limit, const char *last_id);

/* The body's JSON object; false: answered. */
bool api_body_object(struct api_call *c, json_t **ret_obj);
/* Idempotency-Key. 0: none or new (*ret_i filled, key[0] != 0 when there is one); 1: answered (replayed or refused). */
int api_idem_begin(struct api_call *c, const char *scope, struct store_idem *ret_i);
/* Answers 201 with doc, after `add` committed with the idem. */
void api_time(int64_t ns, json_t *obj, const char *key); /* RFC 3339, or null when 0 */

/* Class, code, text and part, or null. */
json_t *api_cause_json(const struct store_cause *x);
/* The model's build for a board type, wanted if there is none yet. JF_E_UNSUPPORTED: no jf-model works here; JF_E_FULL. */
int api_model_build(struct api *a, const char *model, const char *board_type, const char *numerics, bool refused_too,
                    struct store_build *ret_b, struct err *reterr) JF_MUST_CHECK;
/* A result as the API shows it: its document with what the store's row says about where it comes from. NULL: no memory,
 * or the document is not JSON. New reference. */
json_t *api_result_doc(const struct store_result *r);

/* resources */
api_fn api_version, api_livez, api_readyz, api_metrics, api_openapi, api_page_index, api_page_asset;
api_fn api_firmware_post, api_firmware_list, api_firmware_get, api_firmware_content, api_input_post, api_input_list,
    api_input_get, api_input_content;
api_fn api_board_types, api_benches, api_bench_get, api_instruments, api_bench_maintenance, api_bench_recover;
api_fn api_job_post, api_job_validate, api_job_list, api_job_get, api_job_attempts, api_job_cancel, api_job_resubmit,
    api_jobs_cancel;
api_fn api_attempt_get, api_attempt_log;
api_fn api_result_list, api_result_get, api_result_windows, api_results_csv;
api_fn api_model_post, api_model_list, api_model_get, api_model_content;
api_fn api_reanalyze, api_compare;
api_fn api_import_post, api_result_export;
api_fn api_trace_get, api_trace_view, api_trace_stats, api_trace_content;
api_fn api_events;

#endif
