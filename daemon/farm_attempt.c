/* SPDX-License-Identifier: GPL-2.0-or-later
 * The end of an attempt: result, fault, loss, release; and what follows for job and bench. Main thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/farm_impl.h"

#define LOG(b) ((b)->farm->env.log)

static void set_cause(struct store_cause *c, const char *cls, const char *code, const char *text, const char *part) {
    (void)snprintf(c->cls, sizeof c->cls, "%s", cls);
    (void)snprintf(c->code, sizeof c->code, "%s", code);
    (void)snprintf(c->text, sizeof c->text, "%s", text);
    (void)snprintf(c->part, sizeof c->part, "%s", part);
}

/* Repeated infrastructure failures take the bench out of service, with the evidence. */
static void judge_bench(struct farm_bench *b, const struct store_cause *c) {
    struct store_bench row;
    char text[STORE_TEXT_SIZE];
    struct err e = {0};
    if (store_bench_get(b->farm->env.store, b->conf->name, &row, &e) < 0 || !row.healthy ||
        row.failures < b->farm->env.conf->quarantine_after) {
        return;
    }
    (void)snprintf(text, sizeof text,
                   "quarantined after %lld infrastructure failures in a row; the last one (%s): %.300s",
                   (long long)row.failures, c->part[0] ? c->part : "unknown part", c->text);
    log_warning(LOG(b), "bench %s: %s", b->conf->name, text);
    (void)!store_bench_health(b->farm->env.store, b->conf->name, false, text, &e);
}

/* The one place that commits an outcome. Returns false when the store refused (then the attempt stays open, and is
 * lost). */
static bool finish(struct farm_bench *b, const struct store_finish *f) {
    struct err e = {0};
    int r = store_attempt_finish(b->farm->env.store, &b->lease, f, &e);
    if (r < 0) {
        log_error(LOG(b), "bench %s: attempt %s: %s", b->conf->name, b->lease.attempt, e.text);
        if (r != JF_E_STALE) {
            return false;
        }
    } else {
        log_info(LOG(b), "bench %s: attempt %s %s, job %s is %s%s%s", b->conf->name, b->lease.attempt,
                 f->attempt_event == STORE_ATTEMPT_SUCCEED ? "gave a result" : f->cause.cls, b->lease.job,
                 sm_state_name(&store_job_machine, r), f->cause.text[0] ? ": " : "", f->cause.text);
    }
    b->ended = true;
    intake_keep_log(b->farm->env.conf, b->lease.attempt);
    if (f->bench_failed) {
        judge_bench(b, &f->cause);
    }
    return true;
}

static int store_result_file(struct farm_bench *b, const char *sha256, int64_t size, struct err *reterr) {
    struct intake *in = NULL;
    int r = intake_result(b->farm->env.conf, b->farm->env.clock, &b->lease, &b->job, sha256, size, &in, reterr);
    if (r < 0) {
        return r;
    }
    farm_barrier(b->farm, "store");
    struct store_finish f = {.attempt_event = STORE_ATTEMPT_SUCCEED,
                             .requeue = in->lossy,
                             .spend_retry = true,
                             .avoid_bench = in->lossy,
                             .result = &in->result,
                             .windows = in->windows,
                             .n_windows = in->n_windows,
                             .trace = in->has_trace ? &in->trace : NULL};
    if (in->lossy) {
        set_cause(&f.cause, "measurement", "not-measurable", "samples were lost", "analyzer");
    }
    r = finish(b, &f) ? 0 : err_set(reterr, JF_E_IO, "the result could not be stored");
    intake_free(in);
    return r;
}

void farm_attempt_result(struct farm_bench *b, const char *sha256, int64_t size, bool from_worker) {
    struct err e = {0};
    if (from_worker) {
        farm_barrier(b->farm, "result-received");
    }
    if (!b->ended && store_result_file(b, sha256, size, &e) < 0) {
        struct store_finish f = {
            .attempt_event = STORE_ATTEMPT_FAIL, .requeue = true, .spend_retry = true, .bench_failed = true};
        set_cause(&f.cause, err_cause_name(err_cause_of(e.code)), err_word(e.code), e.text, "host");
        (void)finish(b, &f);
        return;
    }
    farm_barrier(b->farm, "ack");
    if (from_worker && farm_link_send(b,
                                      json_pack("{s:s, s:s, s:I}", "type", "result_ack", "attempt", b->lease.attempt,
                                                "epoch", (json_int_t)b->lease.epoch),
                                      &e) < 0) {
        log_warning(LOG(b), "bench %s: %s", b->conf->name, e.text);
    }
}

bool farm_attempt_adopt(struct farm_bench *b) {
    struct err e = {0};
    int r = store_result_file(b, NULL, 0, &e);
    if (r == 0) {
        log_info(LOG(b), "bench %s: the result of attempt %s was found complete and is stored", b->conf->name,
                 b->lease.attempt);
    } else if (r != JF_E_NOT_FOUND) {
        log_warning(LOG(b), "bench %s: the result of attempt %s is not taken: %s", b->conf->name, b->lease.attempt,
                    e.text);
    }
    return r == 0;
}

static const char *text_of(const json_t *msg, const char *key, const char *fallback) {
    const char *s = json_string_value(json_object_get(msg, key));
    return s && s[0] ? s : fallback;
}

void farm_attempt_fault(struct farm_bench *b, const json_t *msg) {
    const char *cls = text_of(msg, "cause", "bug");
    static const char *const known[] = {"job", "infrastructure", "measurement", "canceled", "bug"};
    bool good = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        good = good || strcmp(known[i], cls) == 0;
    }
    cls = good ? cls : "bug";
    bool infrastructure = strcmp(cls, "infrastructure") == 0, canceled = strcmp(cls, "canceled") == 0;
    struct store_finish f = {.attempt_event = canceled && b->cancel_sent ? STORE_ATTEMPT_CANCEL : STORE_ATTEMPT_FAIL,
                             .requeue = infrastructure,
                             .spend_retry = true,
                             .avoid_bench = infrastructure,
                             .bench_failed = infrastructure};
    if (canceled && !b->cancel_sent) { /* told bye while it worked: not the job's fault */
        f = (struct store_finish){.attempt_event = STORE_ATTEMPT_LOSE, .requeue = true, .max_losses = FARM_LOSSES_MAX};
    }
    set_cause(&f.cause, cls, text_of(msg, "code", "internal-error"), text_of(msg, "text", "the worker gave no reason"),
              text_of(msg, "part", ""));
    if (!b->ended) {
        (void)finish(b, &f);
    }
}

void farm_attempt_lose(struct farm_bench *b, const char *why, bool worker_fault) {
    struct store_finish f = {.attempt_event = STORE_ATTEMPT_LOSE,
                             .requeue = true,
                             .max_losses = worker_fault ? 3 : FARM_LOSSES_MAX,
                             .avoid_bench = worker_fault,
                             .bench_failed = worker_fault};
    if (b->cancel_sent) {
        f = (struct store_finish){.attempt_event = STORE_ATTEMPT_CANCEL};
        set_cause(&f.cause, "canceled", "canceled", "canceled on request; the worker had to be ended", "");
    } else if (b->timed_out) {
        f = (struct store_finish){.attempt_event = STORE_ATTEMPT_FAIL,
                                  .requeue = true,
                                  .spend_retry = true,
                                  .avoid_bench = true,
                                  .bench_failed = true};
        set_cause(&f.cause, "infrastructure", "timeout",
                  "the worker did not end the attempt within its deadline and was ended", "host");
    } else {
        set_cause(&f.cause, "infrastructure", "gone", why, "host");
    }
    (void)finish(b, &f);
}

void farm_attempt_release(struct farm_bench *b, bool safe, const char *why) {
    struct err e = {0};
    farm_barrier(b->farm, "release");
    int r = store_lease_release(b->farm->env.store, &b->lease, safe, why, &e);
    if (r < 0) {
        log_error(LOG(b), "bench %s: %s", b->conf->name, e.text);
    }
    b->has_lease = false;
    b->ended = false;
    b->cancel_sent = false;
    b->timed_out = false;
    store_job_done(&b->job);
    b->job = (struct store_job){0};
}
