/* SPDX-License-Identifier: GPL-2.0-or-later
 * The state machines as tables. Owns no state; the engine asks sm_next inside the transaction that moves a row.
 *
 * job                      cancel
 *            +----------------------------------> canceled
 *            |      claim             cancel          ^
 *   --> queued ---------------> active ---------------+
 *         ^ |                   | | |
 *         | |      requeue      | | |  finish
 *         | +<------------------+ | +----------> done      (a result exists, whatever its verdict)
 *         |                       |    fail
 *         +--- fail ------------> +------------> failed    (none)
 *
 * attempt     claim -> prepare -> flash -> arm -> run -> analyse -> store -> release      (a stage may be left out,
 * never taken back) any of these --succeed|fail|cancel|lose--> succeeded | failed | canceled | lost
 *
 * lease                 renew
 *                       +--+          claim
 *   --> held <-----------------------------------+
 *        | |            |  ^                     |
 *        | +-- release -------> released --------+
 *        +---- expire --------> expired  --------+
 *
 * bench            ready                claim                lose
 *   --> offline ----------> idle <----------------> leased ---------> recovering --give-up--> offline
 *          ^  |              | ^       release         |                  |  ^
 *          |  +--- lose -----|-|------------------------------------------|--+      (idle, offline and maintenance lose
 * too)
 *          +---- safe -------|-|------------------------------------------+
 *        drain: idle, offline, recovering --> maintenance;  restore: maintenance --> offline (its worker then says
 * ready) A leased bench is drained once its attempt has ended: the daemon keeps the wish.
 *
 * build                    finish
 *   --> compiling ------------------> ready
 *        ^  |  |         refuse
 *        |  |  +--------------------> refused -+  (the model cannot run there: the violations say why)
 *        |  +-------- fail ---------> failed      (the tool did: hung, died, printed no answer)
 *        +----------- retry ------------+------+ */
#include "db/store.h"

#define ROW(from, event, to)                                                                                           \
    { from, event, to }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const job_states[] = {"queued", "active", "done", "failed", "canceled"};
static const char *const job_events[] = {"claim", "requeue", "finish", "fail", "cancel"};
static const struct sm_row job_rows[] = {
    ROW(STORE_JOB_QUEUED, STORE_JOB_CLAIM, STORE_JOB_ACTIVE),
    ROW(STORE_JOB_QUEUED, STORE_JOB_CANCEL, STORE_JOB_CANCELED),
    ROW(STORE_JOB_QUEUED, STORE_JOB_FAIL, STORE_JOB_FAILED),
    ROW(STORE_JOB_ACTIVE, STORE_JOB_REQUEUE, STORE_JOB_QUEUED),
    ROW(STORE_JOB_ACTIVE, STORE_JOB_FINISH, STORE_JOB_DONE),
    ROW(STORE_JOB_ACTIVE, STORE_JOB_FAIL, STORE_JOB_FAILED),
    ROW(STORE_JOB_ACTIVE, STORE_JOB_CANCEL, STORE_JOB_CANCELED),
};
const struct sm_table store_job_machine = {"job",    job_states,     job_events, STORE_JOB_STATES, STORE_JOB_EVENTS,
                                           job_rows, COUNT(job_rows)};

static const char *const attempt_states[] = {"claim", "prepare", "flash",     "arm",    "run",      "analyse",
                                             "store", "release", "succeeded", "failed", "canceled", "lost"};
static const char *const attempt_events[] = {"prepare", "flash",   "arm",  "run",    "analyse", "store",
                                             "release", "succeed", "fail", "cancel", "lose"};
#define FORWARD(from, event, to) ROW(STORE_ATTEMPT_##from, STORE_ATTEMPT_TO_##event, STORE_ATTEMPT_##to)
#define ENDS(from)                                                                                                     \
    ROW(STORE_ATTEMPT_##from, STORE_ATTEMPT_SUCCEED, STORE_ATTEMPT_SUCCEEDED),                                         \
        ROW(STORE_ATTEMPT_##from, STORE_ATTEMPT_FAIL, STORE_ATTEMPT_FAILED),                                           \
        ROW(STORE_ATTEMPT_##from, STORE_ATTEMPT_CANCEL, STORE_ATTEMPT_CANCELED),                                       \
        ROW(STORE_ATTEMPT_##from, STORE_ATTEMPT_LOSE, STORE_ATTEMPT_LOST)
static const struct sm_row attempt_rows[] = {
    FORWARD(CLAIM, PREPARE, PREPARE),
    FORWARD(CLAIM, FLASH, FLASH),
    FORWARD(CLAIM, ARM, ARM),
    FORWARD(CLAIM, RUN, RUN),
    FORWARD(CLAIM, ANALYSE, ANALYSE),
    FORWARD(CLAIM, STORE, STORE),
    FORWARD(CLAIM, RELEASE, RELEASE),
    FORWARD(PREPARE, FLASH, FLASH),
    FORWARD(PREPARE, ARM, ARM),
    FORWARD(PREPARE, RUN, RUN),
    FORWARD(PREPARE, ANALYSE, ANALYSE),
    FORWARD(PREPARE, STORE, STORE),
    FORWARD(PREPARE, RELEASE, RELEASE),
    FORWARD(FLASH, ARM, ARM),
    FORWARD(FLASH, RUN, RUN),
    FORWARD(FLASH, ANALYSE, ANALYSE),
    FORWARD(FLASH, STORE, STORE),
    FORWARD(FLASH, RELEASE, RELEASE),
    FORWARD(ARM, RUN, RUN),
    FORWARD(ARM, ANALYSE, ANALYSE),
    FORWARD(ARM, STORE, STORE),
    FORWARD(ARM, RELEASE, RELEASE),
    FORWARD(RUN, ANALYSE, ANALYSE),
    FORWARD(RUN, STORE, STORE),
    FORWARD(RUN, RELEASE, RELEASE),
    FORWARD(ANALYSE, STORE, STORE),
    FORWARD(ANALYSE, RELEASE, RELEASE),
    FORWARD(STORE, RELEASE, RELEASE),
    ENDS(CLAIM),
    ENDS(PREPARE),
    ENDS(FLASH),
    ENDS(ARM),
    ENDS(RUN),
    ENDS(ANALYSE),
    ENDS(STORE),
    ENDS(RELEASE),
};
const struct sm_table store_attempt_machine = {
    "attempt",    attempt_states,     attempt_events, STORE_ATTEMPT_STATES, STORE_ATTEMPT_EVENTS,
    attempt_rows, COUNT(attempt_rows)};

static const char *const lease_states[] = {"held", "released", "expired"};
static const char *const lease_events[] = {"renew", "release", "expire", "claim"};
static const struct sm_row lease_rows[] = {
    ROW(STORE_LEASE_HELD, STORE_LEASE_RENEW, STORE_LEASE_HELD),
    ROW(STORE_LEASE_HELD, STORE_LEASE_RELEASE, STORE_LEASE_RELEASED),
    ROW(STORE_LEASE_HELD, STORE_LEASE_EXPIRE, STORE_LEASE_EXPIRED),
    ROW(STORE_LEASE_RELEASED, STORE_LEASE_CLAIM, STORE_LEASE_HELD),
    ROW(STORE_LEASE_EXPIRED, STORE_LEASE_CLAIM, STORE_LEASE_HELD),
};
const struct sm_table store_lease_machine = {
    "lease", lease_states, lease_events, STORE_LEASE_STATES, STORE_LEASE_EVENTS, lease_rows, COUNT(lease_rows)};

static const char *const bench_states[] = {"idle", "leased", "recovering", "maintenance", "offline"};
static const char *const bench_events[] = {"ready", "claim", "release", "lose", "safe", "give up", "drain", "restore"};
static const struct sm_row bench_rows[] = {
    ROW(STORE_BENCH_OFFLINE, STORE_BENCH_READY, STORE_BENCH_IDLE),
    ROW(STORE_BENCH_OFFLINE, STORE_BENCH_LOSE, STORE_BENCH_RECOVERING),
    ROW(STORE_BENCH_OFFLINE, STORE_BENCH_GIVE_UP, STORE_BENCH_OFFLINE),
    ROW(STORE_BENCH_OFFLINE, STORE_BENCH_DRAIN, STORE_BENCH_MAINTENANCE),
    ROW(STORE_BENCH_IDLE, STORE_BENCH_READY, STORE_BENCH_IDLE),
    ROW(STORE_BENCH_IDLE, STORE_BENCH_CLAIM, STORE_BENCH_LEASED),
    ROW(STORE_BENCH_IDLE, STORE_BENCH_LOSE, STORE_BENCH_RECOVERING),
    ROW(STORE_BENCH_IDLE, STORE_BENCH_DRAIN, STORE_BENCH_MAINTENANCE),
    ROW(STORE_BENCH_LEASED, STORE_BENCH_RELEASE, STORE_BENCH_IDLE),
    ROW(STORE_BENCH_LEASED, STORE_BENCH_LOSE, STORE_BENCH_RECOVERING),
    ROW(STORE_BENCH_RECOVERING, STORE_BENCH_LOSE, STORE_BENCH_RECOVERING),
    ROW(STORE_BENCH_RECOVERING, STORE_BENCH_SAFE, STORE_BENCH_OFFLINE),
    ROW(STORE_BENCH_RECOVERING, STORE_BENCH_GIVE_UP, STORE_BENCH_OFFLINE),
    ROW(STORE_BENCH_RECOVERING, STORE_BENCH_DRAIN, STORE_BENCH_MAINTENANCE),
    ROW(STORE_BENCH_MAINTENANCE, STORE_BENCH_LOSE, STORE_BENCH_MAINTENANCE),
    ROW(STORE_BENCH_MAINTENANCE, STORE_BENCH_DRAIN, STORE_BENCH_MAINTENANCE),
    ROW(STORE_BENCH_MAINTENANCE, STORE_BENCH_RESTORE, STORE_BENCH_OFFLINE),
};
const struct sm_table store_bench_machine = {
    "bench", bench_states, bench_events, STORE_BENCH_STATES, STORE_BENCH_EVENTS, bench_rows, COUNT(bench_rows)};

static const char *const build_states[] = {"compiling", "ready", "refused", "failed"};
static const char *const build_events[] = {"finish", "refuse", "fail", "retry"};
static const struct sm_row build_rows[] = {
    ROW(STORE_BUILD_COMPILING, STORE_BUILD_FINISH, STORE_BUILD_READY),
    ROW(STORE_BUILD_COMPILING, STORE_BUILD_REFUSE, STORE_BUILD_REFUSED),
    ROW(STORE_BUILD_COMPILING, STORE_BUILD_FAIL, STORE_BUILD_FAILED),
    ROW(STORE_BUILD_REFUSED, STORE_BUILD_RETRY, STORE_BUILD_COMPILING),
    ROW(STORE_BUILD_FAILED, STORE_BUILD_RETRY, STORE_BUILD_COMPILING),
};
const struct sm_table store_build_machine = {
    "build", build_states, build_events, STORE_BUILD_STATES, STORE_BUILD_EVENTS, build_rows, COUNT(build_rows)};
