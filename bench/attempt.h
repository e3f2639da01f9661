/* SPDX-License-Identifier: GPL-2.0-or-later
 * One attempt on one bench: its state, shared by the files that carry out its stages. Main thread only; every wait goes
 * through attempt_wait, which polls socket, board, flash tool, capture and trace writer, so that a cancel or the end of
 * the daemon is seen within 100 ms wherever the attempt stands.
 * Invariants: A1 the board is brought to its safe state on every path; A2 nothing is erased before probe and chip are
 * the configured ones; A3 a result is either complete on disk or absent. */
#ifndef BENCH_ATTEMPT_H
#define BENCH_ATTEMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ring.h"
#include "base/sm.h"
#include "bench/capture.h"
#include "bench/conf.h"
#include "bench/dut.h"
#include "bench/msg.h"
#include "bench/spool.h"
#include "bench/tracer.h"
#include "drivers/flash/flash.h"
#include "drivers/power/power.h"
#include "measure/measure.h"

enum attempt_stage {
    STAGE_PREPARE,
    STAGE_FLASH,
    STAGE_ARM,
    STAGE_RUN,
    STAGE_ANALYSE,
    STAGE_STORE,
    STAGE_RELEASE,
    STAGE_ENDED,
    STAGE_COUNT
};
enum attempt_event { EVENT_DONE, EVENT_FAIL, EVENT_CANCEL, EVENT_COUNT };
const struct sm_table *attempt_table(void);

/* What a worker has for its whole life. Parts that a test replaces are pointers. */
struct worker {
    const struct clock_src *clock;
    const struct power_driver *driver;
    const struct power_driver *logic_driver; /* of the second instrument; NULL: none */
    const struct flash_runner *runner;
    const struct proc_sys *proc;
    json_t *root; /* owned: the bench's configuration */
    struct bench_conf conf;
    struct msg_link link;
    const char *spool_root;
    int lock_fd;                        /* inherited by children; -1: none */
    int signal_fd;                      /* readable: somebody asked the process to end; -1: none */
    const char *barrier, *barrier_file; /* test barriers, see PROTOCOL.md; NULL: none */
    int quiet_ms, beyond_ms,
        off_ms;       /* idle stretch, capture beyond the windows, supply off; WORKER_* unless a test hurries */
    bool drain, bye;  /* asked for */
    uint64_t refused; /* messages about other attempts */
    void (*on_text)(void *user, const char *text); /* stand-alone mode: a line for a person; NULL: none */
    void *user;
};

#define WORKER_QUIET_MS                                                                                                \
    1400 /* a declared idle stretch is 1 s at least, 100 ms and 10 tau away from traffic; and some reserve */
#define WORKER_BEYOND_MS 4300 /* streaming: capture this long before the first and after the last window (loss check)  \
                               */
#define WORKER_OFF_MS 900     /* supply off: longer than any board's buffers hold (and the last third is watched) */

struct attempt_input {
    char id[80];
    uint8_t *data; /* owned */
    size_t size;
};

struct attempt {
    struct worker *w;
    char id[129];
    int64_t epoch;
    json_t *request; /* owned: the run message */
    struct job_conf job;
    const char *firmware_path, *firmware_id, *build_id;
    struct attempt_input inputs[JOB_MAX_INPUTS];
    int n_inputs;

    int stage;
    int64_t deadline_ns, stage_deadline_ns; /* mono */
    bool cancel, acked;                     /* said by the daemon */
    bool unwinding;                         /* release: cancel and deadlines no longer interrupt */
    struct err err;                         /* why it failed; code 0: it did not */
    int err_stage;
    const char *part; /* what failed: probe, board, analyzer, power, host; NULL */

    struct spool spool;
    struct flash_dev *flash;
    struct flash_identity identity;
    bool identified, flash_skipped;
    struct flash_progress flash_progress;
    struct dut dut;
    struct ring *ring;
    struct capture *capture;
    struct tracer *tracer;
    struct power_info info;
    bool analyzer_open, streaming_started, acquiring;
    struct capture *second; /* the logic analyzer, when the bench has one */
    struct power_info second_info;
    bool second_started;
    unsigned sync_unit_us;
    bool supply_on, board_touched; /* the board may be in a state that is not the safe one */
    double supply_v;

    struct measure_capture *cap; /* owned */
    struct measure_config cfg;
    double latency_s; /* by calibration */
    uint32_t n;       /* inferences per window */
    uint64_t boots_expected;
    bool reset_seen;
    int segment;      /* acquisitions so far */
    int loaded_input; /* index in the board's buffer; -1: the embedded one */
    int windows_done;
    int64_t capture_start_raw_ns;

    struct capture_view live_view; /* at the last live message */
    int64_t live_ns, lag_since_ns, progress_ns;
    int64_t started_wall_ns, run_from_wall_ns, run_to_wall_ns;
    struct trace_summary trace;
    bool has_trace, result_stored, result_sent, fault_sent;
    json_t *result; /* owned: what was stored */
};

/* Carries out one attempt: stages, messages, release. request: the run message, borrowed. Returns 0 when a result was
 * stored, else the code of the failure. ret_result (may be NULL) gets a new reference to what was stored, or NULL. */
int attempt_run(struct worker *w, json_t *request, json_t **ret_result, struct err *reterr);

/* ---- for the stages (attempt.c) -------------------------------------------------------------------------------- */
/* Polls once, at most 100 ms and not beyond until (mono). 0, or why the attempt must stop: JF_E_CANCELED, JF_E_GONE,
 * JF_E_TIMEOUT (attempt or stage), JF_E_STALLED, the capture's or the trace writer's failure. */
int attempt_wait(struct attempt *a, int64_t until_ns, struct err *reterr) JF_MUST_CHECK;
/* Waits that long, doing the above. */
int attempt_pause(struct attempt *a, int ms, struct err *reterr) JF_MUST_CHECK;
/* Posts a request to the capture thread and waits for its end. A call that does not end 2 s after its budget or after a
 * cancel makes the board safe, tells the daemon and ends the process. */
int attempt_capture(struct attempt *a, const struct capture_request *q, int budget_ms, struct capture_reply *ret_rep,
                    struct err *reterr) JF_MUST_CHECK;
/* The same for another capture thread than the analyzer's. */
int attempt_capture_of(struct attempt *a, struct capture *c, const struct capture_request *q, int budget_ms, struct capture_reply *ret_rep,
                       struct err *reterr) JF_MUST_CHECK;
/* Switches the supply through the analyzer. */
int attempt_supply(struct attempt *a, bool on, struct err *reterr) JF_MUST_CHECK;
/* One operation of the flash runner, to its end. *ret_equal: FLASH_COMPARE; may be NULL. */
int attempt_flash(struct attempt *a, enum flash_op op, int deadline_ms, bool *ret_equal,
                  struct err *reterr) JF_MUST_CHECK;
/* Sends a command and waits for m-ready. JF_E_DUT_SILENT, JF_E_DUT_ERROR (with the board's line). */
int attempt_command(struct attempt *a, const char *text, int timeout_ms, struct err *reterr) JF_MUST_CHECK;
void attempt_log(struct attempt *a, const char *stream, const char *fmt, ...) JF_PRINTF(3, 4);
void attempt_progress(struct attempt *a, double fraction, const char *fmt, ...) JF_PRINTF(3, 4); /* < 0: unknown */
/* A message of this attempt with its type, attempt and epoch. NULL: no memory. */
json_t *attempt_message(const struct attempt *a, const char *type);
/* Tells the daemon that the attempt has failed (once). */
void attempt_send_fault(struct attempt *a, const struct err *e, int stage);
void attempt_send_released(struct attempt *a, bool safe, const char *text);
/* Test barrier: holds here if asked to (PROTOCOL.md). */
int attempt_barrier(struct attempt *a, const char *name, struct err *reterr) JF_MUST_CHECK;
/* Sets the failing part once and passes code through. */
int attempt_blame(struct attempt *a, const char *part, int code);

/* ---- the stages ------------------------------------------------------------------------------------------------ */
/* What the driver says of the analyzer, as the analysis wants it; period from the granted rate (result.c). */
void attempt_instrument(const struct power_info *p, struct measure_instrument *m);
int stage_prepare(struct attempt *a, struct err *reterr) JF_MUST_CHECK; /* prepare.c */
int stage_flash(struct attempt *a, struct err *reterr) JF_MUST_CHECK;
int stage_arm(struct attempt *a, struct err *reterr) JF_MUST_CHECK;
int stage_run(struct attempt *a, struct err *reterr) JF_MUST_CHECK;       /* windows.c */
int run_start_board(struct attempt *a, struct err *reterr) JF_MUST_CHECK; /* start.c: recipe, boot, who are you */

/* second.c: the second instrument, all no-ops on a bench without one. Markers then come from it, by a clock of its own; sync trains on line 0, which both
 * see, bring the clocks together in the analysis. */
int second_open(struct attempt *a, struct err *reterr) JF_MUST_CHECK;  /* after the analyzer */
int second_start(struct attempt *a, struct err *reterr) JF_MUST_CHECK; /* after the analyzer's stream */
/* One sync train; to be sent before each window and behind the last, in reach of no idle stretch. */
int second_sync(struct attempt *a, struct err *reterr) JF_MUST_CHECK;
double second_train_s(const struct attempt *a); /* what a train with its distance takes; 0 without a second instrument */
int second_stop(struct attempt *a, struct err *reterr) JF_MUST_CHECK;
json_t *second_json(const struct attempt *a); /* who it was, for the result; NULL: none */

int stage_analyse(struct attempt *a, struct err *reterr) JF_MUST_CHECK; /* result.c */
int stage_store(struct attempt *a, struct err *reterr) JF_MUST_CHECK;
/* release.c: everything that is open, in reverse order; *ret_text says in words what was done. true: the board is safe.
 */
bool stage_release(struct attempt *a, char *ret_text, size_t size);
/* The board's safe state without any attempt (jf-bench safe): 0 when confirmed. */
int safe_run(struct worker *w, struct err *reterr);

/* {"openocd": "...", "libsigrok": "...", ...}: versions of the libraries this program was linked with. */
json_t *version_libraries(void);

#endif
