/* SPDX-License-Identifier: GPL-2.0-or-later
 * Event streams. A sleeping stream costs nothing: it is woken by a commit with events, by news of a bench, or by the
 * heartbeat. Locks: hub.lock protects the list of streams and the news; it is taken before a stream's own lock (in
 * http.c), never after. */
#include "daemon/hub.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_MAX 256
#define BATCH 16
#define QUEUE_MAX (1u << 20)

struct news {
    char bench[STORE_NAME_SIZE], kind[16];
    char *text; /* owned */
    uint64_t version;
};

struct reader {
    struct hub *hub;
    struct http_stream *stream;
    struct reader *next;
    int64_t last;  /* sequence number sent */
    uint64_t seen; /* news up to this version were sent */
    bool beat, greeted;
    struct buf out; /* formatted, not yet sent; used by the stream's thread only */
};

struct hub {
    pthread_mutex_t lock;
    struct store *store;
    struct reader *readers;
    int count, max;
    bool ending;
    struct news news[NEWS_MAX];
    int n_news;
    uint64_t version;
};

int hub_new(int max_streams, struct hub **ret_h, struct err *reterr) {
    struct hub *h = calloc(1, sizeof *h);
    if (!h) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the event streams");
    }
    (void)pthread_mutex_init(&h->lock, NULL);
    h->max = max_streams;
    *ret_h = h;
    return 0;
}

void hub_set_store(struct hub *h, struct store *s) { h->store = s; }

void hub_free(struct hub *h) {
    if (h) {
        for (int i = 0; i < h->n_news; i++) {
            free(h->news[i].text);
        }
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
    }
}

static void wake_all_locked(struct hub *h) {
    for (struct reader *r = h->readers; r; r = r->next) {
        if (r->stream) {
            http_stream_wake(r->stream);
        }
    }
}

void hub_committed(void *hub) {
    struct hub *h = hub;
    (void)pthread_mutex_lock(&h->lock);
    wake_all_locked(h);
    (void)pthread_mutex_unlock(&h->lock);
}

void hub_heartbeat(struct hub *h) {
    (void)pthread_mutex_lock(&h->lock);
    for (struct reader *r = h->readers; r; r = r->next) {
        r->beat = true;
    }
    wake_all_locked(h);
    (void)pthread_mutex_unlock(&h->lock);
}

void hub_offer(struct hub *h, const char *bench, const char *kind, json_t *doc) {
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    if (!text) {
        return;
    }
    (void)pthread_mutex_lock(&h->lock);
    int i = 0;
    while (i < h->n_news && (strcmp(h->news[i].bench, bench) != 0 || strcmp(h->news[i].kind, kind) != 0)) {
        i++;
    }
    if (i == h->n_news && h->n_news < NEWS_MAX) {
        (void)snprintf(h->news[i].bench, sizeof h->news[i].bench, "%s", bench);
        (void)snprintf(h->news[i].kind, sizeof h->news[i].kind, "%s", kind);
        h->n_news++;
    }
    if (i < h->n_news) {
        free(h->news[i].text);
        h->news[i].text = text;
        h->news[i].version = ++h->version;
        wake_all_locked(h);
    } else {
        free(text);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

int hub_count(struct hub *h) {
    (void)pthread_mutex_lock(&h->lock);
    int n = h->count;
    (void)pthread_mutex_unlock(&h->lock);
    return n;
}

void hub_end(struct hub *h) {
    for (int i = 0; i < 200; i++) {
        (void)pthread_mutex_lock(&h->lock);
        h->ending = true;
        int n = h->count;
        wake_all_locked(h);
        (void)pthread_mutex_unlock(&h->lock);
        if (n == 0) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
}

/* ---- one reader
 * ------------------------------------------------------------------------------------------------------ */
json_t *hub_event_json(const struct store_event *e) {
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(e->created_ns, at);
    json_t *j = json_pack("{s:I, s:s, s:s}", "seq", (json_int_t)e->seq, "time", at, "type", e->type);
    const struct {
        const char *key, *value;
    } rest[] = {{"job", e->job},     {"attempt", e->attempt}, {"bench", e->bench}, {"result", e->result},
                {"state", e->state}, {"stage", e->stage},     {"text", e->text}};
    for (size_t i = 0; j && i < sizeof rest / sizeof rest[0]; i++) {
        if (rest[i].value[0]) {
            (void)json_object_set_new(j, rest[i].key, json_string(rest[i].value));
        }
    }
    return j;
}

/* Stored events; returns how many were put. */
static int put_events(struct reader *r) {
    struct store_event *e = NULL;
    int64_t oldest = 0;
    struct err err;
    int n = store_event_list(r->hub->store, r->last, BATCH, &e, &oldest, &err);
    if (n == JF_E_GONE) { /* slower than the retention: told, then goes on with what is left */
        int p = buf_putf(&r->out, "event: gone\ndata: {\"oldest\":%lld}\n\n", (long long)oldest);
        r->last = oldest;
        return p < 0 ? 0 : 1;
    }
    for (int i = 0; i < n; i++) {
        json_t *j = hub_event_json(&e[i]);
        char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        if (!text || buf_putf(&r->out, "id: %lld\ndata: %s\n\n", (long long)e[i].seq, text) < 0) {
            n = i;
        } else {
            r->last = e[i].seq;
        }
        free(text);
        json_decref(j);
    }
    free(e);
    return n > 0 ? n : 0;
}

static void put_news(struct reader *r) {
    struct hub *h = r->hub;
    (void)pthread_mutex_lock(&h->lock);
    for (int i = 0; i < h->n_news; i++) {
        if (h->news[i].version > r->seen) {
            (void)!buf_putf(&r->out, "event: %s\ndata: %s\n\n", h->news[i].kind, h->news[i].text);
        }
    }
    r->seen = h->version;
    if (r->beat) {
        r->beat = false;
        (void)!buf_putf(&r->out, ": heartbeat\n\n");
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static int reader_fill(void *ctx, char *out, size_t max) {
    struct reader *r = ctx;
    (void)pthread_mutex_lock(&r->hub->lock);
    bool ending = r->hub->ending;
    (void)pthread_mutex_unlock(&r->hub->lock);
    if (ending) {
        return -1;
    }
    if (r->out.len == 0) {
        if (!r->greeted) {
            r->greeted = true;
            (void)!buf_putf(&r->out, "retry: 2000\n\n");
        }
        if (put_events(r) == 0) {
            put_news(r);
        }
    }
    size_t n = r->out.len < max ? r->out.len : max;
    if (n > 0) {
        memcpy(out, r->out.data, n);
        buf_consume(&r->out, n);
    }
    return (int)n;
}

static void reader_closed(void *ctx) {
    struct reader *r = ctx;
    struct hub *h = r->hub;
    (void)pthread_mutex_lock(&h->lock);
    for (struct reader **p = &h->readers; *p; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            break;
        }
    }
    h->count--;
    (void)pthread_mutex_unlock(&h->lock);
    buf_done(&r->out);
    free(r);
}

static void reader_opened(void *ctx, struct http_stream *s) {
    struct reader *r = ctx;
    (void)pthread_mutex_lock(&r->hub->lock);
    r->stream = s;
    (void)pthread_mutex_unlock(&r->hub->lock);
}

int hub_open(struct hub *h, int64_t after, struct http_reply *rp, int64_t *ret_oldest, struct err *reterr) {
    static const struct http_stream_ops ops = {reader_fill, reader_closed};
    struct store_event *e = NULL;
    int n = store_event_list(h->store, after, 1, &e, ret_oldest, reterr);
    free(e);
    if (n < 0) {
        return n;
    }
    struct reader *r = calloc(1, sizeof *r);
    if (!r) {
        return err_set(reterr, JF_E_NOMEM, "no memory for an event stream");
    }
    r->hub = h;
    r->last = after;
    buf_init(&r->out, QUEUE_MAX);
    (void)pthread_mutex_lock(&h->lock);
    r->seen = h->version; /* news from now on */
    bool full = h->count >= h->max || h->ending;
    if (!full) {
        r->next = h->readers;
        h->readers = r;
        h->count++;
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (full) {
        free(r);
        return err_set(reterr, JF_E_FULL, "there are %d event streams already, which is the limit", h->max);
    }
    rp->status = 200;
    rp->content_type = "text/event-stream; charset=utf-8";
    http_reply_header(rp, "Cache-Control", "no-store");
    rp->stream = &ops;
    rp->stream_ctx = r;
    rp->stream_opened = reader_opened;
    return 0;
}
