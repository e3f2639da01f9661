/* SPDX-License-Identifier: GPL-2.0-or-later
 * A bounded queue and its threads (daemon/shop.h). */
#include "daemon/shop.h"

#include <pthread.h>
#include <stdlib.h>

struct shop {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct shop_order queue[SHOP_QUEUE_MAX];
    unsigned head, n;
    bool stop; /* written under lock, read atomically anywhere */
    pthread_t threads[SHOP_MAX_THREADS];
    int n_threads;
};

static void *shop_main(void *arg) {
    struct shop *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->n == 0 && !s->stop) { /* bounded by shop_close */
            (void)pthread_cond_wait(&s->work, &s->lock);
        }
        if (s->n == 0) {
            break;
        }
        struct shop_order o = s->queue[s->head];
        s->head = (s->head + 1) % SHOP_QUEUE_MAX;
        s->n--;
        bool drop = s->stop;
        (void)pthread_mutex_unlock(&s->lock);
        (drop ? o.drop : o.work)(o.arg);
        (void)pthread_mutex_lock(&s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

int shop_open(int threads, struct shop **ret_s, struct err *reterr) {
    struct shop *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the shop");
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->work, NULL);
    while (s->n_threads < threads && s->n_threads < SHOP_MAX_THREADS) {
        if (pthread_create(&s->threads[s->n_threads], NULL, shop_main, s) != 0) {
            shop_free(s);
            return err_set(reterr, JF_E_NOMEM, "a thread could not be started");
        }
        s->n_threads++;
    }
    *ret_s = s;
    return 0;
}

int shop_post(struct shop *s, const struct shop_order *o, struct err *reterr) {
    int r = 0;
    (void)pthread_mutex_lock(&s->lock);
    if (s->stop) {
        r = err_set(reterr, JF_E_CANCELED, "the daemon is ending");
    } else if (s->n == SHOP_QUEUE_MAX) {
        r = err_set(reterr, JF_E_FULL, "%d analyses and compilations wait already; try again later", SHOP_QUEUE_MAX);
    } else {
        s->queue[(s->head + s->n++) % SHOP_QUEUE_MAX] = *o;
        (void)pthread_cond_signal(&s->work);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return r;
}

const bool *shop_stop(const struct shop *s) { return &s->stop; }

void shop_close(struct shop *s) {
    if (!s) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    (void)pthread_cond_broadcast(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    for (; s->n_threads > 0; s->n_threads--) {
        (void)pthread_join(s->threads[s->n_threads - 1], NULL);
    }
}

void shop_free(struct shop *s) {
    if (s) {
        shop_close(s);
        (void)pthread_cond_destroy(&s->work);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
    }
}
