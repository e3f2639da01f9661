/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace-writing thread: takes items from the ring, writes the trace file, and when told to finish stores what the
 * analysis needs, closes the file and analyses it. Never talks to a device. */
#ifndef BENCH_TRACER_H
#define BENCH_TRACER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/ring.h"
#include "measure/measure.h"
#include "measure/trace/trace.h"

struct tracer;

struct tracer_spec {
    const char *path;  /* copied */
    unsigned channels; /* TRACE_*: blocks that lack one get zeros */
    double voltage_v;
    bool block;
    json_t *info; /* taken over */
};

/* The file appears with the first block. ring is borrowed. */
int tracer_new(const struct tracer_spec *spec, struct ring *ring, struct tracer **ret_t,
               struct err *reterr) JF_MUST_CHECK;
int tracer_event_fd(const struct tracer *t);            /* readable once the thread has failed or finished */
int tracer_error(struct tracer *t, struct err *reterr); /* 0, or why writing failed; any time, main thread */
/* Main thread, once: what to store at the end; cap and cfg are borrowed until the thread has ended. Then close the
 * ring: the thread empties it, closes the file, and analyses. Without this call a closed ring makes it abandon the
 * file. */
void tracer_finish(struct tracer *t, const struct measure_capture *cap, const struct measure_config *cfg);
bool tracer_ended(struct tracer *t);
/* After tracer_ended. JF_E_* when writing or analysing failed. ret_result is borrowed from t. */
int tracer_result(struct tracer *t, struct trace_summary *ret_sum, const struct measure_result **ret_result,
                  struct err *reterr) JF_MUST_CHECK;
/* Closes the ring, waits at most budget_ms for the thread, frees. JF_E_TIMEOUT: it stands still; leak and leave. NULL
 * allowed. */
int tracer_free(struct tracer *t, int budget_ms) JF_MUST_CHECK;

/* Hands an event to the thread; data is taken over. Dropped when the ring is full or closed. */
void tracer_event(struct ring *ring, int64_t host_raw_ns, const char *word, json_t *data);

#endif
