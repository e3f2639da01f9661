/* SPDX-License-Identifier: GPL-2.0-or-later
 * The store: everything joulefarm must not forget. Plain structs in, plain structs out; no SQL, no JSON library and no
 * engine type crosses this header (documents are opaque UTF-8 text). SQLite in WAL mode with synchronous=FULL is the
 * first engine; the suite in tests/unit/db is written against this header alone.
 *
 * Threads: every call from any thread. Writes are queued to one writer thread, which commits them in groups; a write
 * returns after its commit is durable (typically some ms, at most STORE_WRITE_MS, then JF_E_TIMEOUT with the outcome
 * unknown). Reads run on a pool of own connections and never wait for the writer. Times are CLOCK_REALTIME nanoseconds
 * (for people), lease expiry is CLOCK_BOOTTIME plus the boot's id.
 *
 * Invariants
 *   D1  a job has at most one running attempt, a bench at most one held lease
 *   D2  a lease's epoch grows with every claim of its bench; a write that carries another epoch, or a lease that is no
 * longer held, changes nothing and answers JF_E_STALE D3  a terminal job stays as it is D4  every change of a job, an
 * attempt, a bench or a result has its event in the same transaction; event numbers have no gap
 *   D5  a result and its windows are added once, whole, and never changed or removed; what is computed again is a new
 * result that names the old one */
#ifndef DB_STORE_H
#define DB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sm.h"

#define STORE_ID_SIZE 40 /* UUIDv7 text */
#define STORE_NAME_SIZE 64
#define STORE_HASH_SIZE 80 /* "sha256:" and 64 hex digits */
#define STORE_WORD_SIZE 32
#define STORE_TEXT_SIZE 512
#define STORE_WRITE_MS 30000
#define STORE_LIST_MAX 500

struct store;

/* ---- state machines (db/states.c) ----------------------------------------------------------------------------- */
enum store_job_state {
    STORE_JOB_QUEUED,
    STORE_JOB_ACTIVE,
    STORE_JOB_DONE,
    STORE_JOB_FAILED,
    STORE_JOB_CANCELED,
    STORE_JOB_STATES
};
enum store_job_event {
    STORE_JOB_CLAIM,
    STORE_JOB_REQUEUE,
    STORE_JOB_FINISH,
    STORE_JOB_FAIL,
    STORE_JOB_CANCEL,
    STORE_JOB_EVENTS
};
enum store_attempt_state {
    STORE_ATTEMPT_CLAIM,
    STORE_ATTEMPT_PREPARE,
    STORE_ATTEMPT_FLASH,
    STORE_ATTEMPT_ARM,
    STORE_ATTEMPT_RUN,
    STORE_ATTEMPT_ANALYSE,
    STORE_ATTEMPT_STORE,
    STORE_ATTEMPT_RELEASE,
    STORE_ATTEMPT_SUCCEEDED,
    STORE_ATTEMPT_FAILED,
    STORE_ATTEMPT_CANCELED,
    STORE_ATTEMPT_LOST,
    STORE_ATTEMPT_STATES
};
enum store_attempt_event {
    STORE_ATTEMPT_TO_PREPARE,
    STORE_ATTEMPT_TO_FLASH,
    STORE_ATTEMPT_TO_ARM,
    STORE_ATTEMPT_TO_RUN,
    STORE_ATTEMPT_TO_ANALYSE,
    STORE_ATTEMPT_TO_STORE,
    STORE_ATTEMPT_TO_RELEASE,
    STORE_ATTEMPT_SUCCEED,
    STORE_ATTEMPT_FAIL,
    STORE_ATTEMPT_CANCEL,
    STORE_ATTEMPT_LOSE,
    STORE_ATTEMPT_EVENTS
};
enum store_lease_state { STORE_LEASE_HELD, STORE_LEASE_RELEASED, STORE_LEASE_EXPIRED, STORE_LEASE_STATES };
enum store_lease_event {
    STORE_LEASE_RENEW,
    STORE_LEASE_RELEASE,
    STORE_LEASE_EXPIRE,
    STORE_LEASE_CLAIM,
    STORE_LEASE_EVENTS
};
enum store_bench_state {
    STORE_BENCH_IDLE,
    STORE_BENCH_LEASED,
    STORE_BENCH_RECOVERING,
    STORE_BENCH_MAINTENANCE,
    STORE_BENCH_OFFLINE,
    STORE_BENCH_STATES
};
enum store_bench_event {
    STORE_BENCH_READY, /* the worker says idle */
    STORE_BENCH_CLAIM,
    STORE_BENCH_RELEASE, /* DUT confirmed safe */
    STORE_BENCH_LOSE,    /* the worker is gone, or the release failed: the DUT's state is unknown */
    STORE_BENCH_SAFE,    /* jf-bench safe confirmed */
    STORE_BENCH_GIVE_UP, /* safe could not be confirmed, or the worker does not start */
    STORE_BENCH_DRAIN,   /* a person takes it */
    STORE_BENCH_RESTORE, /* a person gives it back */
    STORE_BENCH_EVENTS
};
enum store_build_state {
    STORE_BUILD_COMPILING,
    STORE_BUILD_READY,
    STORE_BUILD_REFUSED,
    STORE_BUILD_FAILED,
    STORE_BUILD_STATES
};
enum store_build_event {
    STORE_BUILD_FINISH,
    STORE_BUILD_REFUSE,
    STORE_BUILD_FAIL,
    STORE_BUILD_RETRY,
    STORE_BUILD_EVENTS
};
extern const struct sm_table store_build_machine;
extern const struct sm_table store_job_machine, store_attempt_machine, store_lease_machine, store_bench_machine;
#define store_attempt_terminal(st) ((st) >= STORE_ATTEMPT_SUCCEEDED)
#define store_job_terminal(st) ((st) >= STORE_JOB_DONE)

/* ---- rows ----------------------------------------------------------------------------------------------------- */
struct store_cause {            /* word[0] == 0: none */
    char cls[STORE_WORD_SIZE];  /* job | infrastructure | measurement | canceled | bug */
    char code[STORE_WORD_SIZE]; /* a word of base/errors.def */
    char text[STORE_TEXT_SIZE];
    char part[STORE_WORD_SIZE]; /* probe | board | analyzer | power | host, or "" */
};

struct store_job {
    char id[STORE_ID_SIZE];
    int64_t created_ns, started_ns, finished_ns; /* 0: not yet */
    int state;                                   /* store_job_state */
    bool cancel_requested;
    int priority, retries, attempts,
        losses;                       /* retries: still allowed; losses: attempts lost with their daemon or worker */
    char board_type[STORE_NAME_SIZE]; /* always known */
    char bench[STORE_NAME_SIZE];      /* asked for, "" any of the type */
    char avoid[STORE_NAME_SIZE];      /* failed there last, "" none */
    char firmware[STORE_HASH_SIZE];   /* "" while its build compiles: not claimed before */
    char model[STORE_HASH_SIZE], numerics[STORE_WORD_SIZE], build[STORE_ID_SIZE]; /* "" a job with a firmware of its own */
    double min_rate_hz; /* 0: no demand */
    int64_t needs;      /* capability bits that the bench must have */
    char attempt[STORE_ID_SIZE], on_bench[STORE_NAME_SIZE], stage[STORE_WORD_SIZE]; /* latest attempt, "" none */
    char result[STORE_ID_SIZE];                                                     /* latest result, "" none */
    struct store_cause cause;                                                       /* of the last failure */
    int64_t position; /* queued: 1 is next; else 0 (filled by get and list) */
    char *spec;       /* owned: the checked, defaulted job document */
};
void store_job_done(struct store_job *j); /* frees spec; NULL and zeroed allowed */

struct store_attempt {
    char id[STORE_ID_SIZE], job[STORE_ID_SIZE], bench[STORE_NAME_SIZE];
    int64_t number, epoch, started_ns, finished_ns;
    int state;                   /* store_attempt_state: the stage while it runs, then the outcome */
    char stage[STORE_WORD_SIZE]; /* last stage reached */
    char result[STORE_ID_SIZE];
    struct store_cause cause;
};

struct store_lease {
    char bench[STORE_NAME_SIZE], attempt[STORE_ID_SIZE], job[STORE_ID_SIZE], owner[STORE_NAME_SIZE],
        boot_id[STORE_NAME_SIZE];
    int64_t epoch, expires_boot_ns;
    int state; /* store_lease_state */
};

struct store_bench {
    char name[STORE_NAME_SIZE], board_type[STORE_NAME_SIZE], board_serial[STORE_NAME_SIZE];
    int state; /* store_bench_state */
    bool healthy;
    char reason[STORE_TEXT_SIZE];                    /* why it is not idle or not healthy, "" none */
    int64_t since_ns;                                /* of the present state */
    int64_t failures;                                /* infrastructure failures in a row */
    char attempt[STORE_ID_SIZE], job[STORE_ID_SIZE]; /* of the held lease, "" none */
    int64_t worker_pgid, worker_start;               /* 0: none recorded */
};

/* How a result came to be. Measured: by an attempt of a job. Imported: from a published session. Reanalysed: computed
 * again from the stored trace of source_result. Only a measured one has an attempt, only a reanalysed one a source. */
enum store_origin { STORE_ORIGIN_MEASURED, STORE_ORIGIN_IMPORTED, STORE_ORIGIN_REANALYSED, STORE_ORIGINS };
const char *store_origin_word(int origin); /* "measured" "imported" "reanalysed" */
int store_origin_of(const char *word);     /* -1: no such word */

struct store_window {
    int64_t index;
    double energy_j, duration_s; /* NAN: none */
    char *doc;                   /* owned in lists, borrowed in store_finish */
};
struct store_result {
    char id[STORE_ID_SIZE], job[STORE_ID_SIZE], attempt[STORE_ID_SIZE], bench[STORE_NAME_SIZE],
        board_type[STORE_NAME_SIZE];
    char board_serial[STORE_NAME_SIZE], method[STORE_WORD_SIZE], verdict[STORE_WORD_SIZE], firmware[STORE_HASH_SIZE],
        trace[STORE_HASH_SIZE];
    int origin;                        /* store_origin */
    char source_result[STORE_ID_SIZE]; /* reanalysed: the result whose trace it was; else "" */
    char model[STORE_HASH_SIZE], numerics[STORE_WORD_SIZE]; /* "" unknown */
    int64_t created_ns;
    double energy_j, net_energy_j, latency_s, u95_j; /* per inference, median; NAN: none */
    char *doc;                                       /* owned when read, borrowed in store_finish: the API's Result */
};
void store_result_done(struct store_result *r);

struct store_trace {
    char id[STORE_HASH_SIZE], attempt[STORE_ID_SIZE];
    int64_t size, created_ns;
    double duration_s;
};

enum store_kind { STORE_FIRMWARE, STORE_INPUT };
struct store_artefact {
    int kind; /* store_kind */
    char id[STORE_HASH_SIZE];
    int64_t size, created_ns;
    char *doc; /* owned when read: the API's answer */
};
void store_artefact_done(struct store_artefact *a);

struct store_event {
    int64_t seq, created_ns;
    char type[STORE_WORD_SIZE]; /* job.created job.claimed job.stage job.requeued job.done job.failed job.canceled
                                 * job.cancel_requested result.created bench.state bench.health
                                 * reanalysis.failed model.build job.compiled */
    char job[STORE_ID_SIZE], attempt[STORE_ID_SIZE], bench[STORE_NAME_SIZE], result[STORE_ID_SIZE];
    char state[STORE_WORD_SIZE]; /* new state of the job or the bench, or the result's verdict */
    char stage[STORE_WORD_SIZE];
    char text[STORE_TEXT_SIZE];
};

/* An Idempotency-Key: stored in the transaction of the thing it made. */
struct store_idem {
    char scope[STORE_WORD_SIZE]; /* "jobs", "firmware", ... */
    char key[256];
    char body_hash[STORE_HASH_SIZE];
    const char *answer; /* the first answer's body; borrowed in writes, owned (free) when read */
    int64_t status;
};

/* ---- life ------------------------------------------------------------------------------------------------------- */
struct store_options {
    const char *path; /* of the database file; its directory exists and is local */
    const struct clock_src *clock;
    int readers;                   /* connections for reads at most, 1..64; 0: 8 */
    int64_t events_keep;           /* 0: 100000 */
    void (*committed)(void *user); /* called by the writer thread after each commit that made events; must not call the
                                      store; NULL: none */
    void *user;
};
/* Opens or creates, migrates (with a copy beside the file before the first step on an existing one). JF_E_CORRUPT,
 * JF_E_UNSUPPORTED (schema newer than this program), JF_E_IO. */
int store_open(const struct store_options *o, struct store **ret_s, struct err *reterr) JF_MUST_CHECK;
void store_close(struct store *s); /* waits for queued writes; no other call may run; NULL allowed */
int64_t store_schema_version(struct store *s);
/* A consistent copy while in use. */
int store_backup(struct store *s, const char *path, struct err *reterr) JF_MUST_CHECK;
/* A new sortable id (UUIDv7 with sub-millisecond time). */
void store_id_new(const struct clock_src *clock, char ret_id[STORE_ID_SIZE]);

/* ---- jobs ---------------------------------------------------------------------------------------------------------
 */
/* Adds a queued job; j: id, priority, retries, board_type, bench, min_rate_hz, needs, spec, and either firmware or model,
 * numerics and build. idem may be NULL. JF_E_UNSUPPORTED: the build has ended without a firmware.
 * JF_E_CONFLICT: the key exists already (read it with store_idem_get). JF_E_NOT_FOUND: no such firmware. */
int store_job_add(struct store *s, const struct store_job *j, const struct store_idem *idem,
                  struct err *reterr) JF_MUST_CHECK;
int store_job_get(struct store *s, const char *id, struct store_job *ret_j, struct err *reterr) JF_MUST_CHECK;
struct store_job_filter { /* "" or -1: any */
    int state;
    const char *board_type, *bench, *firmware, *model; /* NULL: any; bench: asked for or ran on */
    const char *below;                         /* keyset: ids below this one; NULL: from the newest */
    int limit;                                 /* 1..STORE_LIST_MAX */
};
/* Newest first. *ret_jobs: array to be freed with store_jobs_free. Returns the count. */
int store_job_list(struct store *s, const struct store_job_filter *f, struct store_job **ret_jobs,
                   struct err *reterr) JF_MUST_CHECK;
void store_jobs_free(struct store_job *jobs, int n);
/* Queued: canceled now (returns STORE_JOB_CANCELED). Active: sets the flag (returns STORE_JOB_ACTIVE). Terminal:
 * JF_E_CONFLICT. */
int store_job_cancel(struct store *s, const char *id, struct err *reterr) JF_MUST_CHECK;
/* A queued job that can never run any more: failed with this cause. */
int store_job_reject(struct store *s, const char *id, const struct store_cause *cause,
                     struct err *reterr) JF_MUST_CHECK;
/* Queued jobs that would be claimed before one of this priority submitted now, plus one. */
int64_t store_job_position(struct store *s, const char *board_type, const char *bench, int priority);

struct store_claim_request {
    const char *bench, *board_type, *owner, *boot_id;
    int64_t ttl_ns;
    double rate_hz; /* what the bench can do, against min_rate_hz; 0: unknown (no job with a demand) */
    int64_t caps;   /* against needs */
    bool alone;     /* no other unit in service: jobs that failed here may come back */
};
struct store_claim {
    struct store_job job; /* done with store_job_done */
    struct store_lease lease;
};
/* One transaction: picks the queued job of highest priority, then oldest, makes attempt and lease, moves job and bench.
 * The bench must be idle, healthy and without a held lease. Returns 1 and *ret_c, or 0: nothing to do. */
int store_job_claim(struct store *s, const struct store_claim_request *q, struct store_claim *ret_c,
                    struct err *reterr) JF_MUST_CHECK;

/* ---- an attempt under its lease: l->bench, attempt, epoch decide (D2)
 * ------------------------------------------------- */
int store_attempt_stage(struct store *s, const struct store_lease *l, int state, struct err *reterr) JF_MUST_CHECK;
int store_lease_renew(struct store *s, struct store_lease *l, int64_t ttl_ns, struct err *reterr) JF_MUST_CHECK;
struct store_finish {
    int attempt_event; /* STORE_ATTEMPT_SUCCEED | FAIL | CANCEL | LOSE */
    bool requeue;      /* the job goes back to the queue (unless its cancel flag is set: then canceled) */
    bool spend_retry;  /* requeue uses one of job.retries, or becomes final when none is left */
    int max_losses;    /* with LOSE and requeue: final when job.losses would exceed it */
    bool avoid_bench;  /* try another unit first */
    bool bench_failed; /* counts into bench.failures; succeed resets it */
    struct store_cause cause;
    const struct store_result *result; /* NULL: none */
    const struct store_window *windows;
    int n_windows;
    const struct store_trace *trace; /* NULL: none */
};
/* Ends the attempt and moves the job; a final job that has any result becomes done, else failed (or canceled). The
 * lease stays held until store_lease_release. Returns the job's new state. Repeating a finish that was committed
 * answers JF_E_STALE. */
int store_attempt_finish(struct store *s, const struct store_lease *l, const struct store_finish *f,
                         struct err *reterr) JF_MUST_CHECK;
/* Ends the lease and the bench's leased state: safe: idle, else recovering with the reason. The attempt must have ended
 * (JF_E_CONFLICT). */
int store_lease_release(struct store *s, const struct store_lease *l, bool safe, const char *reason,
                        struct err *reterr) JF_MUST_CHECK;
/* Leases still held, whoever owns them. Array to be freed with free(). Returns the count. */
int store_leases_held(struct store *s, struct store_lease **ret_leases, struct err *reterr) JF_MUST_CHECK;
/* Ends every held lease that is past its expiry or of another boot: attempt lost, job queued again (bounded), bench
 * recovering. Returns how many. */
int store_leases_reap(struct store *s, const char *boot_id, int max_losses, struct err *reterr) JF_MUST_CHECK;
int store_lease_get(struct store *s, const char *bench, struct store_lease *ret_l, struct err *reterr) JF_MUST_CHECK;

int store_attempt_get(struct store *s, const char *id, struct store_attempt *ret_a, struct err *reterr) JF_MUST_CHECK;
/* All attempts of a job, oldest first (free()). */
int store_attempt_list(struct store *s, const char *job, struct store_attempt **ret_a,
                       struct err *reterr) JF_MUST_CHECK;

/* ---- benches
 * ------------------------------------------------------------------------------------------------------------ */
/* Makes the row if missing (state offline, healthy) and refreshes type and serial; state and health of an existing row
 * stay. */
int store_bench_put(struct store *s, const char *name, const char *board_type, const char *board_serial,
                    struct err *reterr) JF_MUST_CHECK;
int store_bench_get(struct store *s, const char *name, struct store_bench *ret_b, struct err *reterr) JF_MUST_CHECK;
/* Returns the new state. Not for CLAIM and RELEASE, which belong to leases (JF_E_INVAL). */
int store_bench_event(struct store *s, const char *name, int event, const char *reason,
                      struct err *reterr) JF_MUST_CHECK;
/* healthy also resets the count of failures. */
int store_bench_health(struct store *s, const char *name, bool healthy, const char *reason,
                       struct err *reterr) JF_MUST_CHECK;
int store_bench_worker(struct store *s, const char *name, int64_t pgid, int64_t start,
                       struct err *reterr) JF_MUST_CHECK;

/* ---- results, traces
 * ------------------------------------------------------------------------------------------------------ */
/* Results without an attempt of their own: all of them in one transaction, each with its windows, its trace row (NULL:
 * none, or stored already) and its event result.created, or none. Labels are part of the document. The rows of one call
 * may name each other as source only backwards. idem may be NULL.
 * JF_E_INVAL: measured (that is store_attempt_finish's), or origin, attempt and source do not belong together.
 * JF_E_NOT_FOUND: no such source_result. JF_E_CONFLICT: the key or an id exists already. */
struct store_result_new {
    const struct store_result *result; /* id (store_id_new), origin and doc are the caller's */
    const struct store_window *windows;
    int n_windows;
    const struct store_trace *trace;
};
int store_results_add(struct store *s, const struct store_result_new *list, int n, const struct store_idem *idem,
                      struct err *reterr) JF_MUST_CHECK;
int store_result_get(struct store *s, const char *id, struct store_result *ret_r, struct err *reterr) JF_MUST_CHECK;
struct store_result_filter {
    const char *job, *attempt, *bench, *board_type, *method, *verdict, *firmware, *trace; /* NULL: any */
    const char *origin, *source_result, *model;                                           /* NULL: any */
    const char *below;
    int limit;
};
int store_result_list(struct store *s, const struct store_result_filter *f, struct store_result **ret_r,
                      struct err *reterr) JF_MUST_CHECK;
void store_results_free(struct store_result *r, int n);
int store_window_list(struct store *s, const char *result, struct store_window **ret_w,
                      struct err *reterr) JF_MUST_CHECK;
void store_windows_free(struct store_window *w, int n);
int store_trace_get(struct store *s, const char *id, struct store_trace *ret_t, struct err *reterr) JF_MUST_CHECK;

/* ---- artefacts
 * --------------------------------------------------------------------------------------------------------------- */
/* Returns 1: added, 0: was there already (its first row stays). */
int store_artefact_put(struct store *s, const struct store_artefact *a, const struct store_idem *idem,
                       struct err *reterr) JF_MUST_CHECK;
int store_artefact_get(struct store *s, int kind, const char *id, struct store_artefact *ret_a,
                       struct err *reterr) JF_MUST_CHECK;
int store_artefact_list(struct store *s, int kind, const char *below, int limit, struct store_artefact **ret_a,
                        struct err *reterr) JF_MUST_CHECK;
void store_artefacts_free(struct store_artefact *a, int n);

/* ---- models and builds -------------------------------------------------------------------------------------------- */
struct store_model {
    char id[STORE_HASH_SIZE];
    char name[STORE_WORD_SIZE];   /* an identifier: what the board calls it */
    char format[STORE_WORD_SIZE]; /* "tflite" "onnx" */
    int64_t size, created_ns;
};
struct store_build {
    char id[STORE_ID_SIZE];
    char model[STORE_HASH_SIZE], board_type[STORE_NAME_SIZE], numerics[STORE_WORD_SIZE], tool[STORE_HASH_SIZE]; /* the key */
    int state; /* store_build_state */
    int64_t tries, created_ns, updated_ns;
    char firmware[STORE_HASH_SIZE]; /* ready: what it gave; else "" */
    struct store_cause cause;       /* refused, failed */
    char *doc;                      /* owned: what the tools said, JSON text */
};
void store_build_done(struct store_build *b);
void store_builds_free(struct store_build *b, int n);
/* Returns 1: added, 0: was there already. */
int store_model_put(struct store *s, const struct store_model *m, struct err *reterr) JF_MUST_CHECK;
int store_model_get(struct store *s, const char *id, struct store_model *ret_m, struct err *reterr) JF_MUST_CHECK;
int store_model_list(struct store *s, const char *below, int limit, struct store_model **ret_m,
                     struct err *reterr) JF_MUST_CHECK; /* free() */
/* The build of this key (model, board_type, numerics, tool of *b); the rest of *b is filled. Returns 1: it is to be compiled
 * now (it is new, or had failed, or with refused_too was refused), 0: it was there, whatever its state. doc is the
 * caller's when 0 or 1. */
int store_build_want(struct store *s, struct store_build *b, bool refused_too, struct err *reterr) JF_MUST_CHECK;
int store_build_get(struct store *s, const char *id, struct store_build *ret_b, struct err *reterr) JF_MUST_CHECK;
/* Of this model; or, model NULL, in this state. Oldest first, at most STORE_LIST_MAX. */
int store_build_list(struct store *s, const char *model, int state, struct store_build **ret_b,
                     struct err *reterr) JF_MUST_CHECK;
/* Counts a try of a build that is compiling; returns their number. JF_E_CONFLICT: it is over. */
int store_build_start(struct store *s, const char *id, struct err *reterr) JF_MUST_CHECK;
struct store_build_end {
    int event;                             /* STORE_BUILD_FINISH, REFUSE, FAIL */
    const struct store_artefact *firmware; /* FINISH: what it gave, its bytes stored already; else NULL */
    struct store_cause cause;
    const char *doc;
};
/* One transaction: the build's end, its firmware's row, and every queued job that waited for it: it has the firmware now, or
 * it has failed with the cause. Returns the new state. */
int store_build_finish(struct store *s, const char *id, const struct store_build_end *end,
                       struct err *reterr) JF_MUST_CHECK;

/* ---- idempotency keys, events
 * ---------------------------------------------------------------------------------------------------- */
/* JF_E_NOT_FOUND: a new key. ret_i->answer is owned by the caller. */
int store_idem_get(struct store *s, const char *scope, const char *key, struct store_idem *ret_i,
                   struct err *reterr) JF_MUST_CHECK;
/* For a creation that is repeatable by itself (content-addressed) and was committed before: keeps its first answer.
 * JF_E_CONFLICT: the key exists. */
int store_idem_put(struct store *s, const struct store_idem *i, struct err *reterr) JF_MUST_CHECK;
/* Events with seq > after, ascending, at most limit (free()). Returns the count. JF_E_GONE: older than what is kept;
 * *ret_oldest tells the smallest `after` that works (may be NULL). */
int store_event_list(struct store *s, int64_t after, int limit, struct store_event **ret_e, int64_t *ret_oldest,
                     struct err *reterr) JF_MUST_CHECK;
/* News that changes nothing stored but that somebody waits for. seq and created_ns are given here. */
int store_event_add(struct store *s, const struct store_event *e, struct err *reterr) JF_MUST_CHECK;
int64_t store_event_last(struct store *s); /* 0: none */

/* Counts for metrics. */
struct store_counts {
    int64_t jobs[STORE_JOB_STATES], results, events, artefacts;
};
int store_counts_get(struct store *s, struct store_counts *ret_c, struct err *reterr) JF_MUST_CHECK;

#endif
