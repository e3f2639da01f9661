/* SPDX-License-Identifier: GPL-2.0-or-later
 * Inside the farm: one struct per bench and its worker. Only farm*.c include this. */
#ifndef DAEMON_FARM_IMPL_H
#define DAEMON_FARM_IMPL_H

#include <pthread.h>

#include "daemon/farm.h"
#include "daemon/intake.h"

#define FARM_LOSSES_MAX 10 /* attempts of one job lost with daemon or worker before it fails */
#define FARM_CANCEL_MS 15000
#define FARM_HARD_EXTRA_MS 30000 /* the daemon's deadline over the worker's */
#define FARM_RELEASE_MS 45000
#define FARM_START_MS 20000
#define FARM_SAFE_MS 60000
#define FARM_LOCK_PATIENCE_MS                                                                                          \
    8000 /* an old worker sees its socket's end, makes the DUT safe and leaves; then it is killed */
#define FARM_LOCK_GIVE_UP_MS 20000
#define FARM_BACKOFF_MIN_MS 500
#define FARM_BACKOFF_MAX_MS 60000

/* What the daemon is doing with a bench; the bench's public state is the store's.
 *
 *   DOWN --lock, spawn run--> STARTING --idle--> IDLE --claim--> BUSY --result|fault--> RELEASING --released, idle-->
 * IDLE |  ^------------------- death of the worker, at any of these --------------------------+
 *    +--lock, spawn safe--> SAFING --exit 0--> DOWN;  other exit, deadline --> DOWN, quarantined */
enum farm_phase { FARM_DOWN, FARM_STARTING, FARM_IDLE, FARM_BUSY, FARM_RELEASING, FARM_SAFING };

struct farm_bench {
    struct farm *farm;
    const struct conf_bench *conf;
    enum farm_phase phase;
    struct proc *proc;
    int sock;                    /* ours, -1 none */
    int64_t old_pgid, old_start; /* recorded worker of an earlier life, 0 none */
    int64_t lock_since;          /* mono; 0: not waiting */
    int64_t not_before;          /* mono, of the next start */
    int64_t deadline;            /* mono, of the phase; 0 none */
    int64_t renew_at;
    int backoff_ms;
    bool has_lease, ended; /* ended: the attempt's outcome is stored, the lease is still held */
    bool released;         /* the worker said so, its idle is awaited */
    bool cancel_sent;
    int64_t cancel_deadline;
    bool timed_out, refused; /* why we killed it */
    struct store_lease lease;
    struct store_job job; /* of the lease; spec owned */
    /* wishes and the worker's hello: farm.lock */
    bool wish_maintenance, wish_restore;
    json_t *hello;
};

struct farm {
    struct farm_env env;
    pthread_mutex_t lock;
    int wake_fd;
    bool check_cancels, stopping;
    int64_t heartbeat_at;
    char boot_id[STORE_NAME_SIZE], owner[STORE_NAME_SIZE];
    const char *barrier; /* name of the point to stop at, NULL none */
    struct farm_bench benches[CONF_MAX_BENCHES];
    int n;
};

/* farm_bench.c */
void farm_bench_step(struct farm_bench *b);
void farm_bench_readable(struct farm_bench *b); /* the socket has something */
bool farm_bench_claim(struct farm_bench *b);    /* true: a job was taken */
void farm_bench_cancel_check(struct farm_bench *b);
void farm_bench_bye(struct farm_bench *b, const char *type); /* "bye" or "drain" */
void farm_bench_gone(struct farm_bench *b,
                     const char *why); /* the worker is no more: everything is settled for its attempt */
/* farm_attempt.c */
void farm_attempt_result(struct farm_bench *b, const char *sha256, int64_t size, bool from_worker);
void farm_attempt_fault(struct farm_bench *b, const json_t *msg);
void farm_attempt_lose(struct farm_bench *b, const char *why, bool worker_fault);
bool farm_attempt_adopt(struct farm_bench *b); /* true: a complete result was found and stored */
void farm_attempt_release(struct farm_bench *b, bool safe, const char *why);
/* farm_link.c */
int farm_link_send(struct farm_bench *b, json_t *msg, struct err *reterr) JF_MUST_CHECK; /* takes over msg */
int farm_link_receive(struct farm_bench *b, json_t **ret_msg,
                      struct err *reterr) JF_MUST_CHECK; /* 1, 0 nothing, JF_E_GONE, JF_E_PROTOCOL */
int farm_link_lock(struct farm_bench *b, int *ret_fd, struct err *reterr) JF_MUST_CHECK; /* JF_E_BUSY: held */
int farm_link_spawn(struct farm_bench *b, bool safe, int lock_fd, struct err *reterr) JF_MUST_CHECK;

void farm_barrier(struct farm *f, const char *point);

#endif
