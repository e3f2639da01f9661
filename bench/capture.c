/* SPDX-License-Identifier: GPL-2.0-or-later
 * The capture thread (bench/capture.h). Owns the power device; refuses to know files, the DUT and the daemon. */
#include "bench/capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/edges.h"
#include "bench/item.h"

#define PUMP_MS 50       /* longest wait of one pump: a request waits no longer */
#define RING_PUT_MS 4000 /* how long the writer may stand still before the capture fails */

struct capture {
    const struct power_driver *drv;
    const json_t *conf;
    const struct clock_src *clock;
    struct ring *ring;
    int event_fd;
    pthread_t thread;

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    bool posted, busy, done, ended;
    struct capture_request req;
    struct capture_reply reply;
    struct capture_view view;
    double supply_v;
    struct power_dev *dev; /* written by the capture thread under lock; main reads it for cancel only */
    bool canceled;         /* power_dev_cancel was asked for: an ACQUIRE ends */

    /* capture thread only */
    bool segment_end, markers_only;
    struct edges edges; /* markers_only */
    int64_t lag_bucket_ns; /* smallest lag of the running second */
    int64_t bucket_start_ns;
};

static size_t array_bytes(const void *p, size_t n, size_t each) { return p ? (n * each + 15) & ~(size_t)15 : 0; }

static void *array_copy(const void *src, size_t n, size_t each, unsigned char **pos) {
    if (!src) {
        return NULL;
    }
    void *dst = *pos;
    memcpy(dst, src, n * each);
    *pos += array_bytes(src, n, each);
    return dst;
}

static struct item_block *block_copy(const struct power_block *b) {
    size_t n = b->flags & POWER_GAP ? 0 : b->count;
    size_t head = (sizeof(struct item_block) + 15) & ~(size_t)15;
    size_t bytes = head + array_bytes(b->current_a, n, sizeof(float)) + array_bytes(b->voltage_v, n, sizeof(float)) +
                   array_bytes(b->range, n, 1) + array_bytes(b->markers, n, 1) + array_bytes(b->quality, n, 1);
    unsigned char *mem = malloc(bytes);
    if (!mem) {
        return NULL;
    }
    struct item_block *c = (struct item_block *)mem;
    unsigned char *pos = mem + head;
    c->item.kind = ITEM_BLOCK;
    c->b = *b;
    c->b.current_a = array_copy(b->current_a, n, sizeof(float), &pos);
    c->b.voltage_v = array_copy(b->voltage_v, n, sizeof(float), &pos);
    c->b.range = array_copy(b->range, n, 1, &pos);
    c->b.markers = array_copy(b->markers, n, 1, &pos);
    c->b.quality = array_copy(b->quality, n, 1, &pos);
    return c;
}

static void notify(struct capture *c) {
    uint64_t one = 1;
    ssize_t n = write(c->event_fd, &one, sizeof one);
    (void)n; /* the counter cannot overflow; main also polls with a timeout */
}

static void lag_update(struct capture *c, const struct power_block *b, struct capture_view *v) {
    if (b->host_raw_ns == 0) {
        return;
    }
    int64_t lag = b->host_raw_ns - (int64_t)((double)(b->first + b->count) * b->period_s * 1e9);
    if (lag < v->lag_best_ns) {
        v->lag_best_ns = lag;
    }
    if (b->host_raw_ns - c->bucket_start_ns >= CLOCK_NS_PER_S) {
        if (c->bucket_start_ns != 0) {
            v->lag_recent_ns = c->lag_bucket_ns;
        }
        c->bucket_start_ns = b->host_raw_ns;
        c->lag_bucket_ns = lag;
    } else if (lag < c->lag_bucket_ns) {
        c->lag_bucket_ns = lag;
    }
}

struct block_sums {
    double current, power, peak;
    uint64_t high[POWER_MAX_MARKERS];
};

static void block_sum(const struct power_block *b, double supply_v, struct block_sums *s) {
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; b->current_a && i < b->count; i++) {
        double a = (double)b->current_a[i];
        s->current += a;
        s->power += a * (b->voltage_v ? (double)b->voltage_v[i] : supply_v);
        if (a > s->peak) {
            s->peak = a;
        }
    }
    for (uint32_t i = 0; b->markers && i < b->count; i++) {
        for (int k = 0; k < POWER_MAX_MARKERS; k++) {
            s->high[k] += (uint64_t)(b->markers[i] >> k) & 1u;
        }
    }
}

static int on_block(void *user, const struct power_block *b) {
    struct capture *c = user;
    struct item_block *copy = c->markers_only ? NULL : block_copy(b);
    if (!copy && !c->markers_only) {
        return JF_E_NOMEM;
    }
    struct block_sums s = {0};
    bool gap = (b->flags & POWER_GAP) != 0;
    if (!gap) {
        block_sum(b, c->supply_v, &s);
    }
    (void)pthread_mutex_lock(&c->lock);
    struct capture_view *v = &c->view;
    v->next = b->first + b->count;
    v->period_s = b->period_s;
    v->blocks++;
    v->last_mono_ns = clock_mono_ns(c->clock);
    if (gap) {
        v->gap_cells += b->count;
    } else {
        v->samples += b->count;
        v->sum_current_a += s.current;
        v->sum_power_w += s.power;
        if (s.peak > v->peak_current_a) {
            v->peak_current_a = s.peak;
        }
        for (int k = 0; k < POWER_MAX_MARKERS; k++) {
            v->high[k] += s.high[k];
        }
    }
    lag_update(c, b, v);
    (void)pthread_mutex_unlock(&c->lock);
    if (b->flags & POWER_SEGMENT_END) {
        c->segment_end = true;
    }
    int r = copy ? ring_put(c->ring, copy, RING_PUT_MS) : edges_take(&c->edges, b);
    if (r < 0) {
        free(copy);
    }
    return r;
}

static void view_reset(struct capture *c, bool running) {
    (void)pthread_mutex_lock(&c->lock);
    memset(&c->view, 0, sizeof c->view);
    c->view.running = running;
    c->view.lag_best_ns = c->view.lag_recent_ns = INT64_MAX;
    c->view.last_mono_ns = clock_mono_ns(c->clock);
    c->canceled = false;
    (void)pthread_mutex_unlock(&c->lock);
    c->bucket_start_ns = 0;
    c->lag_bucket_ns = INT64_MAX;
    c->segment_end = false;
}

static void running_end(struct capture *c, int error, const struct err *err) {
    (void)pthread_mutex_lock(&c->lock);
    c->view.running = false;
    if (error < 0) {
        c->view.error = error;
        c->view.err = *err;
    }
    (void)pthread_mutex_unlock(&c->lock);
    notify(c);
}

static bool was_canceled(struct capture *c) {
    (void)pthread_mutex_lock(&c->lock);
    bool r = c->canceled;
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

static int do_open(struct capture *c, struct capture_reply *rep) {
    struct power_dev *dev = NULL;
    int r = power_dev_open(c->drv, c->conf, c->clock, &dev, &rep->err);
    if (r < 0) {
        return r;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->dev = dev;
    (void)pthread_mutex_unlock(&c->lock);
    r = power_dev_info(dev, &rep->info);
    c->markers_only = r == 0 && (rep->info.caps & POWER_CAP_MARKERS_ONLY) != 0;
    return r < 0 ? err_set(&rep->err, r, "the analyzer does not say what it is") : 0;
}

static int do_setup(struct capture *c, const struct capture_request *q, struct capture_reply *rep) {
    int r = power_dev_setup(c->dev, &q->setup, &rep->granted, &rep->err);
    if (r < 0) {
        return r;
    }
    r = power_dev_info(c->dev, &rep->info);
    return r < 0 ? err_set(&rep->err, r, "the analyzer does not say what it is") : 0;
}

static int do_acquire(struct capture *c, const struct capture_request *q, struct capture_reply *rep) {
    int64_t until = clock_mono_ns(c->clock) + q->budget_ms * CLOCK_NS_PER_MS;
    while (!c->segment_end) {
        if (was_canceled(c)) {
            return err_set(&rep->err, JF_E_CANCELED, "the acquisition was canceled");
        }
        int left = clock_left_ms(c->clock, until, 4 * PUMP_MS);
        if (left == 0) {
            return err_set(&rep->err, JF_E_STALLED, "the analyzer did not complete its acquisition in %d ms",
                           q->budget_ms);
        }
        int r = power_dev_pump(c->dev, left, on_block, c, &rep->err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int do_supply(struct capture *c, const struct capture_request *q, struct capture_reply *rep) {
    int r = power_dev_supply(c->dev, q->supply, q->supply_v, &rep->supply_on, &rep->supply_v, &rep->err);
    if (r >= 0) {
        (void)pthread_mutex_lock(&c->lock);
        c->supply_v = rep->supply_on ? rep->supply_v : 0.0;
        (void)pthread_mutex_unlock(&c->lock);
    }
    return r < 0 ? r : 0;
}

static void do_close(struct capture *c, bool leave_supply_on) {
    (void)pthread_mutex_lock(&c->lock);
    struct power_dev *dev = c->dev;
    c->dev = NULL; /* C1: from here on main cannot reach it */
    c->view.running = false;
    (void)pthread_mutex_unlock(&c->lock);
    power_dev_close(dev, leave_supply_on);
}

static int carry_out(struct capture *c, const struct capture_request *q, struct capture_reply *rep) {
    if (!c->dev && q->op != CAPTURE_OPEN && q->op != CAPTURE_CLOSE && q->op != CAPTURE_QUIT) {
        return err_set(&rep->err, JF_E_CONFLICT, "the analyzer is not open");
    }
    int r = 0;
    switch (q->op) {
    case CAPTURE_OPEN:
        return c->dev ? err_set(&rep->err, JF_E_CONFLICT, "the analyzer is open already") : do_open(c, rep);
    case CAPTURE_SETUP:
        return do_setup(c, q, rep);
    case CAPTURE_START:
        view_reset(c, false);
        edges_done(&c->edges);
        edges_init(&c->edges, c->ring);
        r = power_dev_start(c->dev, &rep->err);
        if (r >= 0) {
            (void)pthread_mutex_lock(&c->lock);
            c->view.running = true;
            (void)pthread_mutex_unlock(&c->lock);
        }
        return r < 0 ? r : 0;
    case CAPTURE_ARM:
        view_reset(c, false);
        r = power_dev_arm(c->dev, &rep->err);
        return r < 0 ? r : 0;
    case CAPTURE_ACQUIRE:
        return do_acquire(c, q, rep);
    case CAPTURE_STOP:
        running_end(c, 0, NULL);
        r = power_dev_stop(c->dev, &rep->err);
        r = r < 0 || !c->markers_only ? r : edges_flush(&c->edges);
        return r < 0 ? r : 0;
    case CAPTURE_SUPPLY:
        return do_supply(c, q, rep);
    case CAPTURE_CLOSE:
    case CAPTURE_QUIT:
        do_close(c, q->leave_supply_on);
        return 0;
    }
    return err_set(&rep->err, JF_E_BUG, "capture request %d", (int)q->op);
}

static void pump_once(struct capture *c) {
    struct err err = {0};
    int r = power_dev_pump(c->dev, PUMP_MS, on_block, c, &err);
    if (r < 0) {
        if (err.code == 0) {
            (void)err_set(&err, r, "%s", r == JF_E_FULL ? "the trace writer did not keep up" : err_sentence(r));
        }
        running_end(c, r, &err);
    }
}

static void *capture_main(void *arg) {
    struct capture *c = arg;
    for (;;) {
        (void)pthread_mutex_lock(&c->lock);
        while (!c->posted && !c->view.running) {
            (void)pthread_cond_wait(&c->changed, &c->lock);
        }
        bool have = c->posted;
        struct capture_request q = c->req;
        c->posted = false;
        (void)pthread_mutex_unlock(&c->lock);
        if (!have) {
            pump_once(c);
            continue;
        }
        struct capture_reply rep = {0};
        rep.result = carry_out(c, &q, &rep);
        if (rep.result < 0 && rep.err.code == 0) {
            (void)err_set(&rep.err, rep.result, "%s", err_sentence(rep.result));
        }
        (void)pthread_mutex_lock(&c->lock);
        c->reply = rep;
        c->busy = false;
        c->done = true;
        c->ended = q.op == CAPTURE_QUIT;
        (void)pthread_cond_broadcast(&c->changed);
        (void)pthread_mutex_unlock(&c->lock);
        notify(c);
        if (q.op == CAPTURE_QUIT) {
            return NULL;
        }
    }
}

int capture_new(const struct power_driver *drv, const json_t *conf, const struct clock_src *clock, struct ring *ring,
                struct capture **ret_c, struct err *reterr) {
    struct capture *c = calloc(1, sizeof *c);
    if (!c) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the capture");
    }
    c->drv = drv;
    c->conf = conf;
    c->clock = clock;
    c->ring = ring;
    edges_init(&c->edges, ring);
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->event_fd < 0) {
        (void)err_set_errno(reterr, JF_E_IO, errno, "eventfd");
        goto fail_alloc;
    }
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        (void)err_set(reterr, JF_E_NOMEM, "no mutex for the capture");
        goto fail_fd;
    }
    if (clock_cond_init(&c->changed) != 0) {
        (void)err_set(reterr, JF_E_NOMEM, "no condition for the capture");
        goto fail_lock;
    }
    int e = pthread_create(&c->thread, NULL, capture_main, c);
    if (e != 0) {
        (void)err_set_errno(reterr, JF_E_NOMEM, e, "capture thread");
        goto fail_cond;
    }
    *ret_c = c;
    return 0;
fail_cond:
    (void)pthread_cond_destroy(&c->changed);
fail_lock:
    (void)pthread_mutex_destroy(&c->lock);
fail_fd:
    (void)close(c->event_fd);
fail_alloc:
    free(c);
    return reterr ? reterr->code : JF_E_NOMEM;
}

int capture_event_fd(const struct capture *c) { return c->event_fd; }

int capture_post(struct capture *c, const struct capture_request *req, struct err *reterr) {
    int r = 0;
    (void)pthread_mutex_lock(&c->lock);
    if (c->busy || c->ended) {
        r = err_set(reterr, c->ended ? JF_E_GONE : JF_E_BUSY, "the analyzer is busy with its last request");
    } else {
        c->req = *req;
        c->posted = c->busy = true;
        c->done = false;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

int capture_poll(struct capture *c, struct capture_reply *ret_reply) {
    uint64_t n;
    ssize_t k = read(c->event_fd, &n, sizeof n);
    (void)k;
    (void)pthread_mutex_lock(&c->lock);
    int r = c->done ? 1 : c->busy ? 0 : JF_E_CONFLICT;
    if (r == 1) {
        *ret_reply = c->reply;
        c->done = false;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

void capture_get_view(struct capture *c, struct capture_view *ret_v) {
    (void)pthread_mutex_lock(&c->lock);
    *ret_v = c->view;
    (void)pthread_mutex_unlock(&c->lock);
}

void capture_cancel(struct capture *c) {
    (void)pthread_mutex_lock(&c->lock);
    c->canceled = true;
    if (c->dev) {
        power_dev_cancel(c->dev);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* With the lock held: waits for *flag == want. */
static bool wait_for(struct capture *c, const bool *flag, bool want, const struct timespec *until) {
    while (*flag != want) {
        if (pthread_cond_timedwait(&c->changed, &c->lock, until) != 0) {
            return *flag == want;
        }
    }
    return true;
}

int capture_join(struct capture *c, bool leave_supply_on, int budget_ms) {
    struct timespec until = clock_mono_in(budget_ms);
    capture_cancel(c);
    (void)pthread_mutex_lock(&c->lock);
    bool free_now = wait_for(c, &c->busy, false, &until);
    if (free_now && !c->ended) {
        c->req = (struct capture_request){.op = CAPTURE_QUIT, .leave_supply_on = leave_supply_on};
        c->posted = c->busy = true;
        (void)pthread_cond_broadcast(&c->changed);
        free_now = wait_for(c, &c->ended, true, &until);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return free_now && pthread_join(c->thread, NULL) == 0 ? 0 : JF_E_TIMEOUT;
}

void capture_free(struct capture *c) {
    if (c) {
        (void)pthread_cond_destroy(&c->changed);
        (void)pthread_mutex_destroy(&c->lock);
        (void)close(c->event_fd);
        edges_done(&c->edges);
        free(c);
    }
}
