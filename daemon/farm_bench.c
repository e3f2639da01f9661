/* SPDX-License-Identifier: GPL-2.0-or-later
 * The life of one bench's worker: started, spoken to, watched, ended, made up for. Main thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/blob.h"
#include "daemon/farm_impl.h"

#define ENV(b) (&(b)->farm->env)
#define LOG(b) (ENV(b)->log)
#define MS(x) ((int64_t)(x)*CLOCK_NS_PER_MS)
#define MESSAGES_PER_STEP 64
#define FARM_PARKED_MS 1000

static int64_t now_of(const struct farm_bench *b) { return clock_mono_ns(ENV(b)->clock); }

static void bench_event(struct farm_bench *b, int event, const char *reason) {
    struct err e = {0};
    if (store_bench_event(ENV(b)->store, b->conf->name, event, reason, &e) < 0 && e.code != JF_E_CONFLICT) {
        log_error(LOG(b), "bench %s: %s", b->conf->name, e.text);
    }
}

static void quarantine(struct farm_bench *b, const char *why) {
    struct err e = {0};
    log_warning(LOG(b), "bench %s is quarantined: %s", b->conf->name, why);
    bench_event(b, STORE_BENCH_GIVE_UP, why);
    (void)!store_bench_health(ENV(b)->store, b->conf->name, false, why, &e);
}

static void set_phase(struct farm_bench *b, enum farm_phase phase, int64_t limit_ms) {
    b->phase = phase;
    b->deadline = limit_ms > 0 ? now_of(b) + MS(limit_ms) : 0;
}

static void back_off(struct farm_bench *b) {
    b->not_before = now_of(b) + MS(b->backoff_ms);
    b->backoff_ms = b->backoff_ms * 2 > FARM_BACKOFF_MAX_MS ? FARM_BACKOFF_MAX_MS : b->backoff_ms * 2;
}

static void drop_process(struct farm_bench *b) {
    struct err e = {0};
    if (b->sock >= 0) {
        (void)close(b->sock);
        b->sock = -1;
    }
    if (b->proc) {
        proc_free(ENV(b)->proc, b->proc);
        b->proc = NULL;
        (void)!store_bench_worker(ENV(b)->store, b->conf->name, 0, 0, &e);
    }
    (void)pthread_mutex_lock(&b->farm->lock);
    json_decref(b->hello);
    b->hello = NULL;
    (void)pthread_mutex_unlock(&b->farm->lock);
}

void farm_bench_gone(struct farm_bench *b, const char *why) {
    log_warning(LOG(b), "bench %s: the worker is gone: %s", b->conf->name, why);
    drop_process(b);
    if (b->has_lease) {
        char attempt[STORE_ID_SIZE];
        (void)snprintf(attempt, sizeof attempt, "%s", b->lease.attempt);
        if (!b->ended && !farm_attempt_adopt(b)) {
            farm_attempt_lose(b, why, !b->farm->stopping);
        }
        farm_attempt_release(b, false, why);
        intake_drop_spool(ENV(b)->conf, attempt);
    } else {
        bench_event(b, STORE_BENCH_LOSE, why);
    }
    set_phase(b, FARM_DOWN, 0);
    back_off(b);
}

/* ---- starting -----------------------------------------------------------------------------------------------------
 */
/* What an earlier life of the daemon left open on this bench; its worker is dead (we have the lock). */
static void settle_old(struct farm_bench *b) {
    if (!b->has_lease) {
        return;
    }
    char attempt[STORE_ID_SIZE];
    (void)snprintf(attempt, sizeof attempt, "%s", b->lease.attempt);
    if (!b->ended && !farm_attempt_adopt(b)) {
        farm_attempt_lose(b, "the daemon was restarted during the attempt", false);
    }
    farm_attempt_release(b, false, "the daemon was restarted");
    intake_drop_spool(ENV(b)->conf, attempt);
}

/* true: locked. While an old worker or its descendants live, it waits; then the recorded group is killed; then it gives
 * up. */
static bool take_lock(struct farm_bench *b, int *ret_fd) {
    struct err e = {0};
    int r = farm_link_lock(b, ret_fd, &e);
    int64_t now = now_of(b);
    if (r == 0) {
        b->lock_since = 0;
        b->old_pgid = 0;
        return true;
    }
    b->lock_since = b->lock_since ? b->lock_since : now;
    int64_t waited = now - b->lock_since;
    b->not_before = now + MS(100);
    if (waited > MS(FARM_LOCK_PATIENCE_MS) && b->old_pgid > 1) {
        log_warning(LOG(b), "bench %s: ending the process group %lld of an earlier worker", b->conf->name,
                    (long long)b->old_pgid);
        (void)proc_kill_recorded((pid_t)b->old_pgid, (uint64_t)b->old_start);
        b->old_pgid = 0;
    } else if (waited > MS(FARM_LOCK_GIVE_UP_MS)) {
        b->lock_since = 0;
        b->not_before = now + MS(FARM_BACKOFF_MAX_MS);
        quarantine(b, "another process holds the bench's lock");
    }
    return false;
}

static void start_child(struct farm_bench *b, bool safe, int lock_fd) {
    struct err e = {0};
    int r = farm_link_spawn(b, safe, lock_fd, &e);
    if (r < 0) {
        log_error(LOG(b), "bench %s: the worker does not start: %s", b->conf->name, e.text);
        drop_process(b);
        back_off(b);
        return;
    }
    set_phase(b, safe ? FARM_SAFING : FARM_STARTING, safe ? FARM_SAFE_MS : FARM_START_MS);
}

static void step_down(struct farm_bench *b) {
    struct store_bench row;
    struct err e = {0};
    if (b->farm->stopping || now_of(b) < b->not_before || store_bench_get(ENV(b)->store, b->conf->name, &row, &e) < 0) {
        return;
    }
    bool idle_row = row.state == STORE_BENCH_MAINTENANCE || !row.healthy;
    if (idle_row && !b->has_lease && row.state != STORE_BENCH_RECOVERING) {
        b->not_before = now_of(b) + MS(FARM_PARKED_MS); /* a wish ends it at once */
        return;
    }
    int lock_fd;
    if (!take_lock(b, &lock_fd)) {
        return;
    }
    settle_old(b);
    if (store_bench_get(ENV(b)->store, b->conf->name, &row, &e) == 0) {
        if (row.state == STORE_BENCH_IDLE || row.state == STORE_BENCH_LEASED) {
            bench_event(b, STORE_BENCH_LOSE, "its worker is gone");
            row.state = STORE_BENCH_RECOVERING;
        }
        if (row.state == STORE_BENCH_RECOVERING) {
            start_child(b, true, lock_fd);
        } else if (row.state == STORE_BENCH_OFFLINE && row.healthy) {
            start_child(b, false, lock_fd);
        }
    }
    (void)close(lock_fd); /* the child has its own; without a child nobody holds it */
}

static void step_safing(struct farm_bench *b) {
    struct proc_exit x;
    int r = proc_poll_exit(ENV(b)->proc, b->proc, &x);
    bool late = now_of(b) > b->deadline;
    if (r == 0 && !late) {
        return;
    }
    drop_process(b);
    set_phase(b, FARM_DOWN, 0);
    if (r == 1 && !x.signaled && x.code == 0) {
        log_info(LOG(b), "bench %s: its safe state is confirmed", b->conf->name);
        bench_event(b, STORE_BENCH_SAFE, "its worker is starting");
        return;
    }
    char why[160];
    if (r == 1) {
        (void)snprintf(why, sizeof why, "the safe state could not be confirmed (%s %d)",
                       x.signaled ? "signal" : "exit status", x.code);
    } else {
        (void)snprintf(why, sizeof why, "the safe state could not be confirmed within %d s", FARM_SAFE_MS / 1000);
    }
    quarantine(b, why);
}

/* ---- claiming
 * -------------------------------------------------------------------------------------------------------- */
static bool another_unit(const struct farm_bench *b) {
    for (int i = 0; i < b->farm->n; i++) {
        const struct farm_bench *x = &b->farm->benches[i];
        if (x != b && strcmp(x->conf->board_type, b->conf->board_type) == 0 &&
            (x->phase == FARM_IDLE || x->phase == FARM_BUSY || x->phase == FARM_RELEASING)) {
            return true;
        }
    }
    return false;
}

static json_t *run_message(struct farm_bench *b, struct err *reterr) {
    char path[BLOB_PATH_SIZE];
    struct store_artefact fw;
    json_t *spec = json_loads(b->job.spec, 0, NULL);
    if (store_artefact_get(ENV(b)->store, STORE_FIRMWARE, b->job.firmware, &fw, reterr) < 0 ||
        blob_path(ENV(b)->conf->data_dir, "firmware", b->job.firmware, path) < 0) {
        json_decref(spec);
        return NULL;
    }
    json_t *firmware = json_loads(fw.doc, 0, NULL), *inputs = json_array();
    store_artefact_done(&fw);
    (void)json_object_set_new(firmware, "path", json_string(path));
    (void)json_object_del(firmware, "segments");
    size_t i;
    const json_t *id;
    json_array_foreach(json_object_get(spec, "inputs"), i, id) {
        if (blob_path(ENV(b)->conf->data_dir, "inputs", json_string_value(id), path) == 0) {
            (void)json_array_append_new(inputs, json_pack("{s:O, s:s}", "id", id, "path", path));
        }
    }
    double deadline_s = json_number_value(json_object_get(spec, "timeout_s"));
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:f}", "type", "run", "attempt", b->lease.attempt, "epoch",
                     (json_int_t)b->lease.epoch, "job", spec, "firmware", firmware, "inputs", inputs, "deadline_s",
                     deadline_s > 0 ? deadline_s : 900.0);
}

bool farm_bench_claim(struct farm_bench *b) {
    struct store_claim c;
    struct err e = {0};
    int64_t ttl = (int64_t)(ENV(b)->conf->lease_s * 1e9);
    const struct store_claim_request q = {.bench = b->conf->name,
                                          .board_type = b->conf->board_type,
                                          .owner = b->farm->owner,
                                          .boot_id = b->farm->boot_id,
                                          .ttl_ns = ttl,
                                          .rate_hz = b->conf->rate_hz,
                                          .caps = b->conf->caps,
                                          .alone = !another_unit(b)};
    int r = store_job_claim(ENV(b)->store, &q, &c, &e);
    if (r <= 0) {
        if (r < 0) {
            log_error(LOG(b), "bench %s: %s", b->conf->name, e.text);
        }
        return false;
    }
    b->lease = c.lease;
    b->job = c.job;
    b->has_lease = true;
    b->ended = b->released = b->cancel_sent = b->timed_out = false;
    b->renew_at = now_of(b) + ttl / 3;
    log_info(LOG(b), "bench %s: job %s, attempt %s", b->conf->name, b->lease.job, b->lease.attempt);
    farm_barrier(b->farm, "claim");
    json_t *msg = run_message(b, &e);
    double timeout_s = json_number_value(json_object_get(msg, "deadline_s"));
    r = msg ? farm_link_send(b, msg, &e) : e.code;
    farm_barrier(b->farm, "run-sent");
    if (r < 0) {
        farm_bench_gone(b, e.text);
        return false;
    }
    set_phase(b, FARM_BUSY, (int64_t)(timeout_s * 1000) + FARM_HARD_EXTRA_MS);
    b->farm->check_cancels = true;
    return true;
}

void farm_bench_cancel_check(struct farm_bench *b) {
    struct store_job j = {0};
    struct err e = {0};
    if (b->phase != FARM_BUSY || b->ended || b->cancel_sent || store_job_get(ENV(b)->store, b->lease.job, &j, &e) < 0) {
        return;
    }
    if (j.cancel_requested) {
        b->cancel_sent = true;
        b->cancel_deadline = now_of(b) + MS(FARM_CANCEL_MS);
        log_info(LOG(b), "bench %s: canceling attempt %s", b->conf->name, b->lease.attempt);
        if (farm_link_send(b,
                           json_pack("{s:s, s:s, s:I}", "type", "cancel", "attempt", b->lease.attempt, "epoch",
                                     (json_int_t)b->lease.epoch),
                           &e) < 0) {
            farm_bench_gone(b, e.text);
        }
    }
    store_job_done(&j);
}

void farm_bench_bye(struct farm_bench *b, const char *type) {
    struct err e = {0};
    if (b->sock >= 0 && farm_link_send(b, json_pack("{s:s}", "type", type), &e) < 0) {
        log_debug(LOG(b), "bench %s: %s", b->conf->name, e.text);
    }
}

/* ---- messages
 * ----------------------------------------------------------------------------------------------------------- */
static bool mine(const struct farm_bench *b, const json_t *msg) {
    const char *attempt = json_string_value(json_object_get(msg, "attempt"));
    return b->has_lease && attempt && strcmp(attempt, b->lease.attempt) == 0 &&
           json_integer_value(json_object_get(msg, "epoch")) == b->lease.epoch;
}

static void on_hello(struct farm_bench *b, json_t *msg) {
    if (json_integer_value(json_object_get(msg, "protocol")) != 1) {
        b->refused = true;
        return;
    }
    (void)pthread_mutex_lock(&b->farm->lock);
    json_decref(b->hello);
    b->hello = json_deep_copy(msg); /* nothing of it is shared between threads */
    (void)pthread_mutex_unlock(&b->farm->lock);
}

static void on_idle(struct farm_bench *b) {
    if (b->phase == FARM_STARTING || (b->phase == FARM_RELEASING && b->released)) {
        if (b->phase == FARM_STARTING) {
            bench_event(b, STORE_BENCH_READY, "");
            log_info(LOG(b), "bench %s is ready", b->conf->name);
        }
        set_phase(b, FARM_IDLE, 0);
        b->released = false;
        farm_wake(b->farm);
    }
}

static void on_stage(struct farm_bench *b, const json_t *msg) {
    const char *stage = json_string_value(json_object_get(msg, "stage"));
    struct err e = {0};
    int st = stage ? sm_state(&store_attempt_machine, stage) : JF_E_NOT_FOUND;
    if (st < STORE_ATTEMPT_PREPARE || st > STORE_ATTEMPT_RELEASE) {
        log_warning(LOG(b), "bench %s: stage \"%.40s\" is not known", b->conf->name, stage ? stage : "");
        return;
    }
    if (!b->ended && store_attempt_stage(ENV(b)->store, &b->lease, st, &e) < 0) {
        log_warning(LOG(b), "bench %s: %s", b->conf->name, e.text);
    }
}

static void on_news(struct farm_bench *b, const char *kind, json_t *msg) {
    json_t *doc = json_copy(msg);
    (void)json_object_del(doc, "type");
    (void)json_object_del(doc, "epoch");
    (void)json_object_set_new(doc, "bench", json_string(b->conf->name));
    (void)json_object_set_new(doc, "job", json_string(b->lease.job));
    hub_offer(ENV(b)->hub, b->conf->name, kind, doc);
}

static void on_released(struct farm_bench *b, const json_t *msg) {
    const char *text = json_string_value(json_object_get(msg, "text"));
    bool safe = json_is_true(json_object_get(msg, "safe"));
    if (!b->ended) {
        farm_attempt_lose(b, "the worker released the bench without a result", true);
    }
    char attempt[STORE_ID_SIZE];
    (void)snprintf(attempt, sizeof attempt, "%s", b->lease.attempt);
    farm_attempt_release(b, safe, safe ? "" : text ? text : "the safe state was not reached");
    intake_drop_spool(ENV(b)->conf, attempt); /* settled: what counts is in the database, traces/ and logs/ */
    if (!safe) { /* the bench is recovering: a new process has to confirm its state */
        farm_bench_bye(b, "bye");
        farm_bench_gone(b, text ? text : "the safe state was not reached");
        return;
    }
    b->backoff_ms = FARM_BACKOFF_MIN_MS;
    b->released = true;
    set_phase(b, FARM_RELEASING, FARM_RELEASE_MS);
}

static void on_message(struct farm_bench *b, json_t *msg) {
    const char *type = json_string_value(json_object_get(msg, "type"));
    if (strcmp(type, "hello") == 0) {
        on_hello(b, msg);
    } else if (strcmp(type, "idle") == 0) {
        on_idle(b);
    } else if (!mine(b, msg)) {
        log_debug(LOG(b), "bench %s: a %s of no current attempt", b->conf->name, type);
    } else if (strcmp(type, "stage") == 0) {
        on_stage(b, msg);
    } else if (strcmp(type, "live") == 0 || strcmp(type, "progress") == 0) {
        on_news(b, type, msg);
    } else if (strcmp(type, "result") == 0) {
        farm_attempt_result(b, json_string_value(json_object_get(msg, "sha256")),
                            json_integer_value(json_object_get(msg, "size")), true);
        set_phase(b, FARM_RELEASING, FARM_RELEASE_MS);
    } else if (strcmp(type, "fault") == 0) {
        farm_attempt_fault(b, msg);
        set_phase(b, FARM_RELEASING, FARM_RELEASE_MS);
    } else if (strcmp(type, "released") == 0) {
        on_released(b, msg);
    } else if (strcmp(type, "log") != 0) {
        log_warning(LOG(b), "bench %s: message \"%.40s\" is not known", b->conf->name, type);
    }
}

void farm_bench_readable(struct farm_bench *b) {
    for (int i = 0; i < MESSAGES_PER_STEP && b->sock >= 0; i++) {
        json_t *msg = NULL;
        struct err e = {0};
        int r = farm_link_receive(b, &msg, &e);
        if (r == 0) {
            return;
        }
        if (r == 1) {
            on_message(b, msg);
            json_decref(msg);
            continue;
        }
        struct store_bench row;
        bool asked = b->farm->stopping || (store_bench_get(ENV(b)->store, b->conf->name, &row, NULL) == 0 &&
                                           row.state == STORE_BENCH_MAINTENANCE);
        if (asked && !b->has_lease && r == JF_E_GONE) { /* it was told to leave */
            struct proc_exit x;
            if (proc_stop(ENV(b)->proc, ENV(b)->clock, b->proc, 3000, &x) == 0 && !x.signaled && x.code == 0 &&
                b->farm->stopping) {
                bench_event(b, STORE_BENCH_LOSE, "the daemon was stopped");
                bench_event(b, STORE_BENCH_SAFE, "the daemon was stopped");
            }
            drop_process(b);
            set_phase(b, FARM_DOWN, 0);
            return;
        }
        farm_bench_gone(b, e.text);
        return;
    }
}

/* ---- every round
 * ----------------------------------------------------------------------------------------------------------- */
static void do_wishes(struct farm_bench *b) {
    struct err e = {0};
    (void)pthread_mutex_lock(&b->farm->lock);
    bool restore = b->wish_restore, drain = b->wish_maintenance;
    b->wish_restore = false;
    (void)pthread_mutex_unlock(&b->farm->lock);
    struct store_bench row;
    if ((!restore && !drain) || store_bench_get(ENV(b)->store, b->conf->name, &row, &e) < 0) {
        return;
    }
    if (restore) {
        (void)!store_bench_health(ENV(b)->store, b->conf->name, true, "", &e);
        if (row.state == STORE_BENCH_MAINTENANCE) {
            bench_event(b, STORE_BENCH_RESTORE, "its worker is starting");
        } else if (!row.healthy && row.state == STORE_BENCH_OFFLINE) {
            bench_event(b, STORE_BENCH_LOSE, "its safe state is being confirmed");
        }
        b->not_before = 0;
        b->backoff_ms = FARM_BACKOFF_MIN_MS;
    }
    if (drain && !b->has_lease && (b->phase == FARM_IDLE || b->phase == FARM_DOWN)) {
        bench_event(b, STORE_BENCH_DRAIN, "in maintenance");
        farm_bench_bye(b, "drain");
        (void)pthread_mutex_lock(&b->farm->lock);
        b->wish_maintenance = false;
        (void)pthread_mutex_unlock(&b->farm->lock);
        if (b->phase == FARM_IDLE) {
            set_phase(b, FARM_RELEASING, FARM_RELEASE_MS);
        }
    }
}

static void step_lease(struct farm_bench *b) {
    struct err e = {0};
    int64_t now = now_of(b), ttl = (int64_t)(ENV(b)->conf->lease_s * 1e9);
    if (now >= b->renew_at) {
        b->renew_at = now + ttl / 3;
        if (store_lease_renew(ENV(b)->store, &b->lease, ttl, &e) < 0) {
            log_error(LOG(b), "bench %s: %s", b->conf->name, e.text);
        }
    }
    if (b->cancel_sent && !b->ended && now > b->cancel_deadline) {
        farm_bench_gone(b, "the worker did not cancel in time and was ended");
    }
}

void farm_bench_step(struct farm_bench *b) {
    struct proc_exit x;
    do_wishes(b);
    if (b->phase == FARM_DOWN) {
        step_down(b);
        return;
    }
    if (b->phase == FARM_SAFING) {
        step_safing(b);
        return;
    }
    if (b->refused) {
        b->refused = false;
        farm_bench_gone(b, "the worker speaks another version of the protocol");
        return;
    }
    if (b->has_lease) {
        step_lease(b);
    }
    if (b->proc && b->deadline && now_of(b) > b->deadline) {
        b->timed_out = b->phase == FARM_BUSY;
        farm_bench_gone(b, b->phase == FARM_STARTING ? "the worker did not become ready in time"
                           : b->phase == FARM_BUSY   ? "the attempt's deadline passed"
                                                     : "the worker did not release the bench in time");
    } else if (b->proc && proc_poll_exit(ENV(b)->proc, b->proc, &x) == 1) {
        farm_bench_readable(b); /* what it still said */
        if (b->proc) {
            char why[80];
            (void)snprintf(why, sizeof why, "the worker ended with %s %d", x.signaled ? "signal" : "exit status",
                           x.code);
            farm_bench_gone(b, why);
        }
    }
}
