/* SPDX-License-Identifier: GPL-2.0-or-later
 * The farm's loop: waits for sockets, wishes and time; hands each bench its turn; claims. Main thread but for the
 * wishes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/blob.h"
#include "daemon/farm_impl.h"

#define HEARTBEAT_MS 15000
#define BARRIER_MS 60000
#define STOP_MS 20000
#define FARM_MIN_MS 10
#define QUICK_MS 50 /* while some child without a socket is awaited */

/* A named point of a kill -9 walk: JF_DAEMON_BARRIER=<point> makes the daemon say so in <data_dir>/barrier and wait
 * there, bounded. */
void farm_barrier(struct farm *f, const char *point) {
    if (!f->barrier || strcmp(f->barrier, point) != 0) {
        return;
    }
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/barrier", f->env.conf->data_dir);
    (void)!blob_write_file(path, point, strlen(point), NULL);
    log_warning(f->env.log, "barrier %s: waiting to be killed", point);
    (void)poll(NULL, 0, BARRIER_MS);
}

static void read_boot_id(char *out, size_t size) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    if (fd >= 0) {
        ssize_t k = read(fd, text, sizeof text - 1);
        text[k > 0 ? k : 0] = '\0';
        (void)close(fd);
    }
    text[strcspn(text, "\n")] = '\0';
    (void)snprintf(out, size, "%s", text[0] ? text : "unknown");
}

int farm_new(const struct farm_env *env, struct farm **ret_f, struct err *reterr) {
    struct farm *f = calloc(1, sizeof *f);
    if (!f) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the farm");
    }
    f->env = *env;
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->wake_fd < 0) {
        int r = err_set_errno(reterr, JF_E_IO, errno, "eventfd");
        free(f);
        return r;
    }
    (void)pthread_mutex_init(&f->lock, NULL);
    read_boot_id(f->boot_id, sizeof f->boot_id);
    (void)snprintf(f->owner, sizeof f->owner, "joulefarmd-%ld", (long)getpid());
    f->barrier = getenv("JF_DAEMON_BARRIER"); /* NOLINT(concurrency-mt-unsafe): before any thread */
    for (int i = 0; i < env->conf->n_benches; i++) {
        f->benches[i] = (struct farm_bench){
            .farm = f, .conf = &env->conf->benches[i], .sock = -1, .backoff_ms = FARM_BACKOFF_MIN_MS};
    }
    f->n = env->conf->n_benches;
    *ret_f = f;
    return 0;
}

void farm_free(struct farm *f) {
    if (!f) {
        return;
    }
    for (int i = 0; i < f->n; i++) {
        struct farm_bench *b = &f->benches[i];
        if (b->sock >= 0) {
            (void)close(b->sock);
        }
        if (b->proc) {
            proc_free(f->env.proc, b->proc);
        }
        json_decref(b->hello);
        store_job_done(&b->job);
    }
    (void)close(f->wake_fd);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

/* ---- recovery ------------------------------------------------------------------------------------------------------
 */
static struct farm_bench *bench_named(struct farm *f, const char *name) {
    for (int i = 0; i < f->n; i++) {
        if (strcmp(f->benches[i].conf->name, name) == 0) {
            return &f->benches[i];
        }
    }
    return NULL;
}

/* A lease of an earlier life: settled once the bench's lock is free, by then its worker is dead and its spool complete
 * or not. */
static int take_over(struct farm *f, const struct store_lease *l, struct err *reterr) {
    struct farm_bench *b = bench_named(f, l->bench);
    struct store_attempt a;
    int r = store_attempt_get(f->env.store, l->attempt, &a, reterr);
    if (r < 0) {
        return r;
    }
    if (!b) { /* the bench is no longer configured */
        struct store_finish lost = {
            .attempt_event = STORE_ATTEMPT_LOSE,
            .requeue = true,
            .max_losses = FARM_LOSSES_MAX,
            .cause = {"infrastructure", "gone", "the bench was taken out of the configuration", "host"}};
        r = store_attempt_terminal(a.state) ? 0 : store_attempt_finish(f->env.store, l, &lost, reterr);
        return r < 0 ? r : store_lease_release(f->env.store, l, false, "taken out of the configuration", reterr);
    }
    r = store_job_get(f->env.store, l->job, &b->job, reterr);
    b->lease = *l;
    b->has_lease = r == 0;
    b->ended = store_attempt_terminal(a.state);
    b->renew_at = clock_mono_ns(f->env.clock);
    return r;
}

static void sweep_one(void *user, const char *attempt) {
    struct farm *f = user;
    struct store_attempt a;
    for (int i = 0; i < f->n; i++) {
        if (f->benches[i].has_lease && strcmp(f->benches[i].lease.attempt, attempt) == 0) {
            return; /* its bench settles it */
        }
    }
    int r = store_attempt_get(f->env.store, attempt, &a, NULL);
    if (r == JF_E_NOT_FOUND || (r == 0 && store_attempt_terminal(a.state))) {
        intake_drop_spool(f->env.conf, attempt);
    }
}

/* Queued jobs that no configured bench can take any more would wait for ever. */
static int reject_orphans(struct farm *f, struct err *reterr) {
    char below[STORE_ID_SIZE] = "";
    for (int n = STORE_LIST_MAX; n == STORE_LIST_MAX;) {
        struct store_job *jobs = NULL;
        const struct store_job_filter q = {
            .state = STORE_JOB_QUEUED, .below = below[0] ? below : NULL, .limit = STORE_LIST_MAX};
        n = store_job_list(f->env.store, &q, &jobs, reterr);
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n; i++) {
            bool able = false;
            for (int k = 0; k < f->n; k++) {
                const struct conf_bench *c = f->benches[k].conf;
                able = able || (strcmp(c->board_type, jobs[i].board_type) == 0 &&
                                (!jobs[i].bench[0] || strcmp(c->name, jobs[i].bench) == 0));
            }
            static const struct store_cause cause = {"job", "unsupported",
                                                     "the bench or board type it asks for is no longer configured", ""};
            if (!able && store_job_reject(f->env.store, jobs[i].id, &cause, reterr) == 0) {
                log_warning(f->env.log, "job %s: %s", jobs[i].id, cause.text);
            }
            (void)snprintf(below, sizeof below, "%s", jobs[i].id);
        }
        store_jobs_free(jobs, n);
    }
    return 0;
}

int farm_recover(struct farm *f, struct err *reterr) {
    for (int i = 0; i < f->n; i++) {
        const struct conf_bench *c = f->benches[i].conf;
        struct store_bench row;
        int r = store_bench_put(f->env.store, c->name, c->board_type, c->board_serial, reterr);
        r = r < 0 ? r : store_bench_get(f->env.store, c->name, &row, reterr);
        if (r < 0) {
            return r;
        }
        f->benches[i].old_pgid = row.worker_pgid;
        f->benches[i].old_start = row.worker_start;
    }
    struct store_lease *held = NULL;
    int n = store_leases_held(f->env.store, &held, reterr), r = n;
    for (int i = 0; i < n && r >= 0; i++) {
        r = take_over(f, &held[i], reterr);
    }
    free(held);
    if (r >= 0) {
        intake_each_spool(f->env.conf, sweep_one, f);
    }
    return r < 0 ? r : reject_orphans(f, reterr);
}

/* ---- the loop
 * -------------------------------------------------------------------------------------------------------- */
static int wait_ms(const struct farm *f, int max_ms) {
    int wait = max_ms;
    for (int i = 0; i < f->n; i++) {
        const struct farm_bench *b = &f->benches[i];
        int want = max_ms;
        if (b->phase == FARM_SAFING) {
            want = QUICK_MS;
        } else if (b->phase == FARM_DOWN) {
            want = clock_left_ms(f->env.clock, b->not_before, max_ms);
            want = want < FARM_MIN_MS ? FARM_MIN_MS : want;
        }
        wait = want < wait ? want : wait;
    }
    return wait;
}

static void wait_for_news(struct farm *f, int max_ms, int extra_fd) {
    struct pollfd p[CONF_MAX_BENCHES + 2];
    nfds_t n = 0;
    p[n++] = (struct pollfd){.fd = f->wake_fd, .events = POLLIN};
    p[n++] = (struct pollfd){.fd = extra_fd, .events = POLLIN};
    for (int i = 0; i < f->n; i++) {
        p[n++] = (struct pollfd){.fd = f->benches[i].sock, .events = POLLIN};
    }
    if (poll(p, n, wait_ms(f, max_ms)) <= 0) {
        return;
    }
    uint64_t count;
    if ((p[0].revents & POLLIN) && read(f->wake_fd, &count, sizeof count) == (ssize_t)sizeof count) {
        f->check_cancels = true;
    }
    for (int i = 0; i < f->n; i++) {
        if (p[i + 2].revents && f->benches[i].sock == p[i + 2].fd && f->benches[i].sock >= 0) {
            farm_bench_readable(&f->benches[i]);
        }
    }
}

void farm_step(struct farm *f, int max_ms, int extra_fd) {
    wait_for_news(f, max_ms, extra_fd);
    bool cancels = f->check_cancels;
    f->check_cancels = false;
    for (int i = 0; i < f->n; i++) {
        struct farm_bench *b = &f->benches[i];
        farm_bench_step(b);
        if (cancels) {
            farm_bench_cancel_check(b);
        }
        if (b->phase == FARM_IDLE && !f->stopping) {
            (void)farm_bench_claim(b);
        }
    }
    int64_t now = clock_mono_ns(f->env.clock);
    if (now >= f->heartbeat_at) {
        f->heartbeat_at = now + HEARTBEAT_MS * CLOCK_NS_PER_MS;
        hub_heartbeat(f->env.hub);
    }
}

void farm_stop(struct farm *f) {
    f->stopping = true;
    for (int i = 0; i < f->n; i++) {
        farm_bench_bye(&f->benches[i], "bye");
    }
    int64_t until = clock_mono_ns(f->env.clock) + STOP_MS * CLOCK_NS_PER_MS;
    for (bool busy = true; busy && clock_mono_ns(f->env.clock) < until;) {
        wait_for_news(f, QUICK_MS, -1);
        busy = false;
        for (int i = 0; i < f->n; i++) {
            struct farm_bench *b = &f->benches[i];
            struct proc_exit x;
            if (b->proc && b->phase == FARM_SAFING) {
                busy = proc_poll_exit(f->env.proc, b->proc, &x) == 0 || busy;
            } else if (b->proc) {
                if (proc_poll_exit(f->env.proc, b->proc, &x) == 1) {
                    farm_bench_readable(b);
                }
                busy = busy || b->proc;
            }
        }
    }
    for (int i = 0; i < f->n; i++) {
        if (f->benches[i].proc && f->benches[i].phase != FARM_SAFING) {
            farm_bench_gone(&f->benches[i], "the daemon was stopped and the worker did not leave in time");
        }
    }
}

/* ---- any thread
 * --------------------------------------------------------------------------------------------------------- */
void farm_wake(struct farm *f) {
    uint64_t one = 1;
    ssize_t n = write(f->wake_fd, &one, sizeof one);
    (void)n;
}

int farm_maintenance(struct farm *f, const char *bench, struct err *reterr) {
    struct farm_bench *b = bench_named(f, bench);
    if (!b) {
        return err_set(reterr, JF_E_NOT_FOUND, "there is no bench %.60s", bench);
    }
    (void)pthread_mutex_lock(&f->lock);
    b->wish_maintenance = true;
    (void)pthread_mutex_unlock(&f->lock);
    farm_wake(f);
    return 0;
}

int farm_restore(struct farm *f, const char *bench, struct err *reterr) {
    struct farm_bench *b = bench_named(f, bench);
    if (!b) {
        return err_set(reterr, JF_E_NOT_FOUND, "there is no bench %.60s", bench);
    }
    (void)pthread_mutex_lock(&f->lock);
    b->wish_maintenance = false;
    b->wish_restore = true;
    (void)pthread_mutex_unlock(&f->lock);
    farm_wake(f);
    return 0;
}

json_t *farm_worker_json(struct farm *f, const char *bench) {
    struct farm_bench *b = bench_named(f, bench);
    json_t *j = json_null();
    (void)pthread_mutex_lock(&f->lock);
    if (b && b->hello) {
        j = json_pack("{s:o?, s:o?, s:o?}", "pid", json_deep_copy(json_object_get(b->hello, "pid")), "version",
                      json_deep_copy(json_object_get(b->hello, "version")), "libraries",
                      json_deep_copy(json_object_get(b->hello, "libraries")));
    }
    if (b && b->wish_maintenance && json_is_object(j)) {
        (void)json_object_set_new(j, "wish", json_string("maintenance"));
    }
    (void)pthread_mutex_unlock(&f->lock);
    return j;
}
