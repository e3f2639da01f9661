/* SPDX-License-Identifier: GPL-2.0-or-later
 * The bounded pointer queue of base/ring.h. */
#include "base/ring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t slots, head, count;
    bool closed;
    void *items[];
};

int ring_new(size_t slots, struct ring **ret_ring) {
    if (slots == 0 || slots > 1u << 20) {
        return JF_E_INVAL;
    }
    struct ring *r = calloc(1, sizeof *r + slots * sizeof r->items[0]);
    if (!r) {
        return JF_E_NOMEM;
    }
    r->slots = slots;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        goto fail_ring;
    }
    if (clock_cond_init(&r->changed) != 0) {
        goto fail_lock;
    }
    *ret_ring = r;
    return 0;
fail_lock:
    (void)pthread_mutex_destroy(&r->lock);
fail_ring:
    free(r);
    return JF_E_NOMEM;
}

void ring_free(struct ring *r) {
    if (r) {
        (void)pthread_cond_destroy(&r->changed);
        (void)pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

int ring_put(struct ring *r, void *item, int budget_ms) {
    struct timespec until = clock_mono_in(budget_ms);
    int res = 0;
    (void)pthread_mutex_lock(&r->lock);
    while (!r->closed && r->count == r->slots) {
        if (pthread_cond_timedwait(&r->changed, &r->lock, &until) != 0) {
            break;
        }
    }
    if (r->closed) {
        res = JF_E_GONE;
    } else if (r->count == r->slots) {
        res = JF_E_FULL;
    } else {
        r->items[(r->head + r->count) % r->slots] = item;
        r->count++;
        (void)pthread_cond_broadcast(&r->changed);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return res;
}

int ring_take(struct ring *r, int budget_ms, void **ret_item) {
    struct timespec until = clock_mono_in(budget_ms);
    int res = 0;
    (void)pthread_mutex_lock(&r->lock);
    while (!r->closed && r->count == 0) {
        if (pthread_cond_timedwait(&r->changed, &r->lock, &until) != 0) {
            break;
        }
    }
    if (r->count > 0) {
        *ret_item = r->items[r->head];
        r->head = (r->head + 1) % r->slots;
        r->count--;
        (void)pthread_cond_broadcast(&r->changed);
    } else {
        res = r->closed ? JF_E_GONE : JF_E_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&r->lock);
    return res;
}

void ring_close(struct ring *r) {
    (void)pthread_mutex_lock(&r->lock);
    r->closed = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}

size_t ring_count(struct ring *r) {
    (void)pthread_mutex_lock(&r->lock);
    size_t n = r->count;
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}
