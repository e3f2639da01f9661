/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace-writing thread (bench/tracer.h). Owns the trace file from first block to analysis. */
#include "bench/tracer.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/item.h"

#define EARLY_MAX 8192 /* a block instrument's first block comes late: lines of the board and a second instrument's edges wait for it */

struct tracer {
    char path[512];
    struct tracer_spec spec;
    struct ring *ring;
    int event_fd;
    pthread_t thread;

    /* thread only, until it has ended */
    struct trace_writer *w;
    double period_s;                     /* of the file */
    struct item_event *early[EARLY_MAX]; /* events that came before the first block */
    size_t n_early;
    uint8_t *zeros;
    size_t n_zeros;
    struct trace_summary sum;
    struct measure_result *result;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool ended;
    const struct measure_capture *cap;
    const struct measure_config *cfg;
    struct err err; /* code 0: no failure */
};

static void notify(struct tracer *t) {
    uint64_t one = 1;
    ssize_t n = write(t->event_fd, &one, sizeof one);
    (void)n;
}

static void fail(struct tracer *t, const struct err *e) {
    (void)pthread_mutex_lock(&t->lock);
    if (t->err.code == 0) {
        t->err = *e;
    }
    (void)pthread_mutex_unlock(&t->lock);
    notify(t);
}

static bool failed(struct tracer *t) {
    (void)pthread_mutex_lock(&t->lock);
    bool r = t->err.code != 0;
    (void)pthread_mutex_unlock(&t->lock);
    return r;
}

static const uint8_t *zeros(struct tracer *t, size_t n) {
    if (n > t->n_zeros) {
        uint8_t *z = calloc(n, 1);
        if (!z) {
            return NULL;
        }
        free(t->zeros);
        t->zeros = z;
        t->n_zeros = n;
    }
    return t->zeros;
}

static int write_event(struct tracer *t, struct item_event *ev, bool skip, struct err *e) {
    if (!skip && !t->w && t->n_early < EARLY_MAX) {
        t->early[t->n_early++] = ev;
        return 0;
    }
    int r = skip || !t->w ? 0 : trace_writer_event(t->w, ev->host_raw_ns, ev->word, ev->data, e);
    json_decref(ev->data);
    free(ev);
    return r;
}

static int open_file(struct tracer *t, double period_s, struct err *e) {
    struct trace_header h = {.period_s = period_s,
                             .channels = t->spec.channels,
                             .voltage_v = t->spec.voltage_v,
                             .block = t->spec.block,
                             .info = t->spec.info};
    int r = trace_writer_open(t->path, &h, &t->w, e);
    size_t n = t->n_early;
    t->n_early = 0;
    for (size_t i = 0; i < n; i++) {
        int k = write_event(t, t->early[i], r < 0, e);
        r = r < 0 ? r : k;
    }
    return r;
}

static int write_block(struct tracer *t, const struct power_block *p, struct err *e) {
    if (!t->w) {
        int r = open_file(t, p->period_s, e);
        if (r < 0) {
            return r;
        }
        t->period_s = p->period_s;
    }
    if (fabs(p->period_s - t->period_s) > 1e-9 * t->period_s) { /* one grid per trace */
        return err_set(e, JF_E_INSTRUMENT, "the analyzer changed its sample period from %g to %g s", t->period_s,
                       p->period_s);
    }
    struct measure_block m = {.first = p->first, .count = p->count, .flags = p->flags, .host_raw_ns = p->host_raw_ns};
    if (!(p->flags & POWER_GAP)) {
        const uint8_t *z = zeros(t, p->count);
        if (!z) {
            return err_set(e, JF_E_NOMEM, "no memory for a block of the trace");
        }
        m.current_a = p->current_a;
        m.voltage_v = t->spec.channels & TRACE_VOLTAGE ? p->voltage_v : NULL;
        m.range = !(t->spec.channels & TRACE_RANGE) ? NULL : p->range ? p->range : z;
        m.markers = !(t->spec.channels & TRACE_MARKERS) ? NULL : p->markers ? p->markers : z;
        m.quality = !(t->spec.channels & TRACE_QUALITY) ? NULL : p->quality ? p->quality : z;
    }
    int r = trace_writer_block(t->w, &m, e);
    if (r == 0 && p->flags & POWER_SEGMENT_END) {
        r = trace_writer_flush(t->w, e);
    }
    return r;
}

static void take_item(struct tracer *t, struct item *item) {
    struct err e = {0};
    int r = 0;
    bool skip = failed(t);
    if (item->kind == ITEM_BLOCK) {
        struct item_block *b = (struct item_block *)item;
        r = skip ? 0 : write_block(t, &b->b, &e);
        free(b);
    } else {
        r = write_event(t, (struct item_event *)item, skip, &e);
    }
    if (r < 0) {
        fail(t, &e);
    }
}

static void finish(struct tracer *t, const struct measure_capture *cap, const struct measure_config *cfg) {
    struct err e = {0};
    if (!t->w) {
        (void)err_set(&e, JF_E_STALLED, "the analyzer delivered no sample");
        fail(t, &e);
        return;
    }
    int r = trace_writer_capture(t->w, cap, cfg, &e);
    if (r < 0) {
        trace_writer_abort(t->w);
    } else {
        r = trace_writer_close(t->w, &t->sum, &e);
    }
    t->w = NULL;
    t->result = r < 0 ? NULL : calloc(1, sizeof *t->result);
    if (r == 0 && !t->result) {
        r = err_set(&e, JF_E_NOMEM, "no memory for the result");
    }
    if (r == 0) {
        r = trace_analyse(t->path, NULL, NULL, t->result, &e);
    }
    if (r < 0) {
        fail(t, &e);
    }
}

static void *tracer_main(void *arg) {
    struct tracer *t = arg;
    for (;;) {
        void *item;
        int r = ring_take(t->ring, 1000, &item);
        if (r == 0) {
            take_item(t, item);
        } else if (r == JF_E_GONE) {
            break;
        }
    }
    (void)pthread_mutex_lock(&t->lock);
    const struct measure_capture *cap = t->cap;
    const struct measure_config *cfg = t->cfg;
    bool good = t->err.code == 0;
    (void)pthread_mutex_unlock(&t->lock);
    if (cap && good) {
        finish(t, cap, cfg);
    }
    trace_writer_abort(t->w);
    t->w = NULL;
    for (size_t i = 0; i < t->n_early; i++) {
        json_decref(t->early[i]->data);
        free(t->early[i]);
    }
    (void)pthread_mutex_lock(&t->lock);
    t->ended = true;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    notify(t);
    return NULL;
}

int tracer_new(const struct tracer_spec *spec, struct ring *ring, struct tracer **ret_t, struct err *reterr) {
    struct tracer *t = calloc(1, sizeof *t);
    if (!t || (size_t)snprintf(t->path, sizeof t->path, "%s", spec->path) >= sizeof t->path) {
        (void)err_set(reterr, JF_E_NOMEM, "no memory for the trace writer");
        goto fail_alloc;
    }
    t->spec = *spec;
    t->ring = ring;
    t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->event_fd < 0) {
        (void)err_set(reterr, JF_E_IO, "no eventfd for the trace writer");
        goto fail_alloc;
    }
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        (void)err_set(reterr, JF_E_NOMEM, "no mutex for the trace writer");
        goto fail_fd;
    }
    if (clock_cond_init(&t->changed) != 0) {
        (void)err_set(reterr, JF_E_NOMEM, "no condition for the trace writer");
        goto fail_lock;
    }
    if (pthread_create(&t->thread, NULL, tracer_main, t) != 0) {
        (void)err_set(reterr, JF_E_NOMEM, "no thread for the trace writer");
        goto fail_cond;
    }
    *ret_t = t;
    return 0;
fail_cond:
    (void)pthread_cond_destroy(&t->changed);
fail_lock:
    (void)pthread_mutex_destroy(&t->lock);
fail_fd:
    (void)close(t->event_fd);
fail_alloc:
    free(t);
    json_decref(spec->info);
    return reterr ? reterr->code : JF_E_NOMEM;
}

int tracer_event_fd(const struct tracer *t) { return t->event_fd; }

int tracer_error(struct tracer *t, struct err *reterr) {
    (void)pthread_mutex_lock(&t->lock);
    struct err e = t->err;
    (void)pthread_mutex_unlock(&t->lock);
    if (e.code != 0 && reterr) {
        *reterr = e;
    }
    return e.code;
}

void tracer_finish(struct tracer *t, const struct measure_capture *cap, const struct measure_config *cfg) {
    (void)pthread_mutex_lock(&t->lock);
    t->cap = cap;
    t->cfg = cfg;
    (void)pthread_mutex_unlock(&t->lock);
}

bool tracer_ended(struct tracer *t) {
    (void)pthread_mutex_lock(&t->lock);
    bool r = t->ended;
    (void)pthread_mutex_unlock(&t->lock);
    return r;
}

int tracer_result(struct tracer *t, struct trace_summary *ret_sum, const struct measure_result **ret_result,
                  struct err *reterr) {
    int r = tracer_error(t, reterr);
    if (r == 0 && (!tracer_ended(t) || !t->result)) {
        r = err_set(reterr, JF_E_BUG, "the trace was not finished");
    }
    if (r == 0) {
        *ret_sum = t->sum;
        *ret_result = t->result;
    }
    return r;
}

int tracer_free(struct tracer *t, int budget_ms) {
    if (!t) {
        return 0;
    }
    ring_close(t->ring);
    struct timespec until = clock_mono_in(1000 + budget_ms);
    (void)pthread_mutex_lock(&t->lock);
    while (!t->ended && pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0) {
    }
    bool ended = t->ended;
    (void)pthread_mutex_unlock(&t->lock);
    if (!ended || pthread_join(t->thread, NULL) != 0) {
        return JF_E_TIMEOUT;
    }
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
    (void)close(t->event_fd);
    json_decref(t->spec.info);
    free(t->zeros);
    free(t->result);
    free(t);
    return 0;
}

void tracer_event(struct ring *ring, int64_t host_raw_ns, const char *word, json_t *data) {
    struct item_event *ev = data ? calloc(1, sizeof *ev) : NULL;
    if (!ev) {
        json_decref(data);
        return;
    }
    ev->item.kind = ITEM_EVENT;
    ev->host_raw_ns = host_raw_ns;
    (void)snprintf(ev->word, sizeof ev->word, "%s", word);
    ev->data = data;
    if (ring_put(ring, ev, 0) < 0) {
        json_decref(data);
        free(ev);
    }
}
