/* SPDX-License-Identifier: GPL-2.0-or-later
 * The writing thread (sink.h). The thread owns the slot that it writes from and the hash; the caller owns the slot that it fills; the rest is
 * under the lock. */
#include "measure/trace/sink.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "measure/trace/format.h"

#define SINK_SLOTS 2 /* what a killed writer loses beside the chunk under construction */

struct sink {
    int fd;
    pthread_t thread;
    struct sha256_ctx sha; /* nettle: several times libsodium's speed where the processor has the instructions */
    struct buf slots[SINK_SLOTS];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned put, done; /* pieces; slot = number % SINK_SLOTS */
    bool ending;
    int failed; /* errno of the write that failed */
};

static void *sink_main(void *arg) {
    struct sink *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->done == s->put && !s->ending)
            (void)pthread_cond_wait(&s->changed, &s->lock);
        if (s->done == s->put)
            break;
        const struct buf *b = &s->slots[s->done % SINK_SLOTS];
        bool skip = s->failed != 0;
        int failed = 0;
        (void)pthread_mutex_unlock(&s->lock);
        if (!skip) {
            sha256_update(&s->sha, b->len, b->data);
            failed = file_write_all(s->fd, b->data, b->len) == 0 ? 0 : errno;
        }
        (void)pthread_mutex_lock(&s->lock);
        s->failed = failed ? failed : s->failed;
        s->done++;
        (void)pthread_cond_broadcast(&s->changed);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

int sink_new(int fd, struct sink **ret_s, struct err *reterr) {
    struct sink *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace");
    s->fd = fd;
    sha256_init(&s->sha);
    for (int i = 0; i < SINK_SLOTS; i++)
        buf_init(&s->slots[i], TRACE_MAX_PAYLOAD + sizeof(struct trace_record));
    if (pthread_mutex_init(&s->lock, NULL) != 0)
        goto fail_alloc;
    if (pthread_cond_init(&s->changed, NULL) != 0)
        goto fail_lock;
    if (pthread_create(&s->thread, NULL, sink_main, s) != 0)
        goto fail_cond;
    *ret_s = s;
    return 0;
fail_cond:
    (void)pthread_cond_destroy(&s->changed);
fail_lock:
    (void)pthread_mutex_destroy(&s->lock);
fail_alloc:
    free(s);
    return err_set(reterr, JF_E_NOMEM, "no thread for the trace");
}

static int failure(int failed, struct err *reterr) {
    return failed ? err_set_errno(reterr, JF_E_IO, failed, "writing the trace") : 0;
}

/* Waits until at most `left` pieces are on their way. */
static int wait_for(struct sink *s, unsigned left) {
    (void)pthread_mutex_lock(&s->lock);
    while (s->put - s->done > left)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    int failed = s->failed;
    (void)pthread_mutex_unlock(&s->lock);
    return failed;
}

int sink_put(struct sink *s, const void *head, size_t n_head, const void *body, size_t n_body, struct err *reterr) {
    int failed = wait_for(s, SINK_SLOTS - 1);
    struct buf *b = &s->slots[s->put % SINK_SLOTS]; /* free: only this thread raises put */
    buf_clear(b);
    if (failed)
        return failure(failed, reterr);
    if (buf_put(b, head, n_head) < 0 || buf_put(b, body, n_body) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the trace");
    (void)pthread_mutex_lock(&s->lock);
    s->put++;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

int sink_drain(struct sink *s, struct err *reterr) {
    return failure(wait_for(s, 0), reterr);
}

int sink_sync(struct sink *s, char *ret_sha256, struct err *reterr) {
    uint8_t hash[SHA256_DIGEST_SIZE];
    int rc = sink_drain(s, reterr);
    if (rc < 0)
        return rc;
    if (fsync(s->fd) < 0)
        return err_set_errno(reterr, JF_E_IO, errno, "fsync of the trace");
    sha256_digest(&s->sha, sizeof hash, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(ret_sha256 + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

void sink_free(struct sink *s) {
    if (!s)
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->ending = true;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    for (int i = 0; i < SINK_SLOTS; i++)
        buf_done(&s->slots[i]);
    (void)close(s->fd);
    free(s);
}
