/* SPDX-License-Identifier: GPL-2.0-or-later
 * POST /results/{id}/reanalyze. The analysis is a child's, on a thread of the shop: an HTTP thread must neither read
 * traces of any size nor be missing while one is read. It waits for the answer at most WAIT_MS, and only while half of the
 * pool is free; then it says 202, and the event result.created or reanalysis.failed tells the end.
 * An order lives in memory alone: a daemon that is killed forgets it, and the client asks again. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/reanalysis.h"

#define WAIT_MS 10000

/* Shared by the waiting request and the shop's thread; whoever leaves last frees it. */
struct order {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int holders;
    bool over;
    struct api *a;
    struct reanalysis *r;
    int64_t after; /* the last event before it was ordered */
    int result;
    struct err err;
};

static void order_free(struct order *o) {
    reanalysis_free(o->r);
    (void)pthread_cond_destroy(&o->ended);
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

static void leave(struct order *o) {
    (void)pthread_mutex_lock(&o->lock);
    bool last = --o->holders == 0;
    (void)pthread_mutex_unlock(&o->lock);
    if (last) {
        order_free(o);
    }
}

static void finish(struct order *o, int result, const struct err *e) {
    if (result < 0 && result != JF_E_CONFLICT) { /* those who were told 202 learn it here */
        struct store_event ev = {.type = "reanalysis.failed"};
        (void)snprintf(ev.job, sizeof ev.job, "%s", o->r->source.job);
        (void)snprintf(ev.bench, sizeof ev.bench, "%s", o->r->source.bench);
        (void)snprintf(ev.result, sizeof ev.result, "%s", o->r->id);
        (void)snprintf(ev.state, sizeof ev.state, "%s", err_word(result));
        (void)snprintf(ev.text, sizeof ev.text, "%s", e->text);
        (void)!store_event_add(o->a->store, &ev, NULL);
    }
    (void)pthread_mutex_lock(&o->lock);
    o->result = result;
    o->err = *e;
    o->over = true;
    (void)pthread_cond_signal(&o->ended);
    (void)pthread_mutex_unlock(&o->lock);
    leave(o);
}

static void work(void *arg) {
    struct order *o = arg;
    struct err e = {0};
    int r = reanalysis_run(o->r, o->a->tools, o->a->store, o->a->clock, &e);
    finish(o, r, &e);
}

static void drop(void *arg) {
    struct err e = {0};
    int r = err_set(&e, JF_E_CANCELED, "the daemon ended before the analysis began; ask again");
    finish(arg, r, &e);
}

static struct order *order_new(struct api *a, struct reanalysis *r) {
    struct order *o = calloc(1, sizeof *o);
    if (!o || clock_cond_init(&o->ended) < 0) {
        free(o);
        return NULL;
    }
    (void)pthread_mutex_init(&o->lock, NULL);
    o->a = a;
    o->r = r;
    o->holders = 2;
    o->after = store_event_last(a->store);
    return o;
}

/* true: it is over. */
static bool await(struct api *a, struct order *o) {
    bool may = __atomic_add_fetch(&a->waiting, 1, __ATOMIC_RELAXED) <= a->conf->http_threads / 2;
    struct timespec until = clock_mono_in(may ? WAIT_MS : 0);
    (void)pthread_mutex_lock(&o->lock);
    int timed_out = 0;
    while (may && !o->over && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&o->ended, &o->lock, &until);
    }
    bool over = o->over;
    (void)pthread_mutex_unlock(&o->lock);
    (void)__atomic_sub_fetch(&a->waiting, 1, __ATOMIC_RELAXED);
    return over;
}

static void answer(struct api_call *c, struct order *o) {
    struct reanalysis *r = o->r;
    http_reply_header(c->rp, "Location", "/api/v1/results/%s", r->id);
    if (!await(c->a, o)) {
        api_json(c, 202, json_pack("{s:s, s:s, s:s, s:I}", "id", r->id, "state", "analysing", "source_result", r->source.id,
                                   "after", (json_int_t)o->after));
        return;
    }
    struct store_idem again;
    struct store_result made;
    if (o->result == JF_E_CONFLICT && r->idem.key[0] && api_idem_begin(c, "reanalyze", &again) == 1) {
        return; /* the same key, at the same moment */
    }
    if (o->result < 0) {
        api_error(c, &o->err);
    } else if (store_result_get(c->a->store, r->id, &made, &o->err) < 0) {
        api_error(c, &o->err);
    } else {
        api_json(c, 201, api_result_doc(&made));
        store_result_done(&made);
    }
}

void api_reanalyze(struct api_call *c) {
    struct store_idem idem;
    struct store_result source = {0};
    struct err e = {0};
    json_t *body = NULL;
    struct reanalysis *r = NULL;
    if (api_idem_begin(c, "reanalyze", &idem) != 0 || !api_body_object(c, &body)) {
        return;
    }
    int rc = store_result_get(c->a->store, c->id, &source, &e);
    if (rc == 0 && !source.trace[0]) {
        api_problem(c, 409, "no-trace", "", "this result has no stored trace: there is nothing to analyse again");
    } else if (rc == 0 && source.origin == STORE_ORIGIN_IMPORTED) { /* its trace holds samples, not how they were taken */
        api_problem(c, 422, "unsupported", "", "an imported session is computed by its own runner's rule: import it again instead");
    } else if (rc == 0) {
        rc = reanalysis_new(body, &source, c->a->conf->data_dir, c->a->clock, &r, &e);
    }
    json_decref(body);
    if (rc < 0) {
        api_error(c, &e);
    }
    store_result_done(&source);
    if (!r) {
        return;
    }
    r->idem = idem;
    struct order *o = order_new(c->a, r);
    if (!o) {
        reanalysis_free(r);
        api_problem(c, 500, "out-of-memory", "", "no memory");
        return;
    }
    const struct shop_order order = {work, drop, o};
    if (shop_post(c->a->shop, &order, &e) < 0) {
        order_free(o); /* nobody else knows it */
        api_error(c, &e);
        return;
    }
    answer(c, o);
    leave(o);
}
