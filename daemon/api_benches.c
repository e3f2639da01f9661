/* SPDX-License-Identifier: GPL-2.0-or-later
 * Benches, board types, instruments: configuration beside what the store and the farm say now. */
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"

static json_t *bench_json(struct api_call *c, const struct conf_bench *b, struct err *reterr) {
    struct store_bench row;
    if (store_bench_get(c->a->store, b->name, &row, reterr) < 0) {
        return NULL;
    }
    const json_t *analyzer = json_object_get(b->doc, "analyzer"), *supply = json_object_get(b->doc, "supply");
    json_t *j = json_pack("{s:s, s:b, s:s, s:s, s:o, s:o, s:{s:s, s:s}, s:O, s:O}", "name", b->name, "virtual",
                          b->is_virtual, "state", sm_state_name(&store_bench_machine, row.state), "health",
                          row.healthy ? "good" : "bad", "reason", row.reason[0] ? json_string(row.reason) : json_null(),
                          "job", row.job[0] ? json_string(row.job) : json_null(), "board", "type", b->board_type,
                          "serial", b->board_serial, "analyzer", analyzer, "supply", supply);
    if (!j) {
        (void)err_set(reterr, JF_E_NOMEM, "no memory");
        return NULL;
    }
    (void)json_object_set_new(j, "attempt", row.attempt[0] ? json_string(row.attempt) : json_null());
    (void)json_object_set_new(j, "board_type", json_string(b->board_type));
    (void)json_object_set_new(j, "board_serial", json_string(b->board_serial));
    (void)json_object_set_new(j, "rate_hz", b->rate_hz > 0 ? json_real(b->rate_hz) : json_null());
    (void)json_object_set_new(j, "stages", json_boolean((b->caps & CONF_CAP_STAGES) != 0));
    (void)json_object_set_new(j, "streaming", json_boolean((b->caps & CONF_CAP_STREAMING) != 0));
    (void)json_object_set_new(j, "failures", json_integer(row.failures));
    (void)json_object_set_new(j, "worker", farm_worker_json(c->a->farm, b->name));
    api_time(row.since_ns, j, "since");
    return j;
}

void api_benches(struct api_call *c) {
    json_t *items = json_array();
    for (int i = 0; i < c->a->conf->n_benches; i++) {
        struct err e = {0};
        json_t *j = bench_json(c, &c->a->conf->benches[i], &e);
        if (!j) {
            json_decref(items);
            api_error(c, &e);
            return;
        }
        (void)json_array_append_new(items, j);
    }
    api_json(c, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

static const struct conf_bench *named(struct api_call *c) {
    const struct conf_bench *b = conf_bench_find(c->a->conf, c->id);
    if (!b) {
        api_problem(c, 404, "not-found", "", "there is no such bench");
    }
    return b;
}

void api_bench_get(struct api_call *c) {
    const struct conf_bench *b = named(c);
    struct err e = {0};
    if (b) {
        json_t *j = bench_json(c, b, &e);
        if (j) {
            api_json_etag(c, j);
        } else {
            api_error(c, &e);
        }
    }
}

static void wish(struct api_call *c, int (*fn)(struct farm *, const char *, struct err *)) {
    const struct conf_bench *b = named(c);
    struct err e = {0};
    if (!b) {
        return;
    }
    if (fn(c->a->farm, b->name, &e) < 0) {
        api_error(c, &e);
        return;
    }
    json_t *j = bench_json(c, b, &e);
    if (j) {
        api_json(c, 202, j);
    } else {
        api_error(c, &e);
    }
}
void api_bench_maintenance(struct api_call *c) { wish(c, farm_maintenance); }
void api_bench_recover(struct api_call *c) { wish(c, farm_restore); }

void api_board_types(struct api_call *c) {
    json_t *items = json_array();
    const char *key;
    json_t *value;
    json_object_foreach(c->a->conf->board_types, key, value) {
        json_t *j = json_deep_copy(value);
        int benches = 0;
        for (int i = 0; i < c->a->conf->n_benches; i++) {
            benches += strcmp(c->a->conf->benches[i].board_type, key) == 0;
        }
        (void)json_object_set_new(j, "benches", json_integer(benches));
        (void)json_array_append_new(items, j);
    }
    api_json(c, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

void api_instruments(struct api_call *c) {
    json_t *items = json_array();
    for (int i = 0; i < c->a->conf->n_benches; i++) {
        const struct conf_bench *b = &c->a->conf->benches[i];
        json_t *j = json_copy(json_object_get(b->doc, "analyzer"));
        (void)json_object_set_new(j, "bench", json_string(b->name));
        (void)json_object_set_new(j, "virtual", json_boolean(b->is_virtual));
        (void)json_array_append_new(items, j);
    }
    api_json(c, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}
