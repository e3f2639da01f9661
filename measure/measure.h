/* SPDX-License-Identifier: GPL-2.0-or-later
 * measure/: from a stored capture to a result. Pure: no I/O, no globals, no threads of its own; any thread.
 *
 *   struct measure_capture *c;  measure_capture_init(c);  ...fill...      (measure/capture.h)
 *   struct measure_config cfg;  measure_config_init(&cfg);
 *   trace_writer_capture(w, c, &cfg); trace_writer_close(w, &sum);        (measure/trace/trace.h)
 *   trace_analyse(path, NULL, c, result): the same call that `jf-trace analyse` makes; it ends in measure_run.
 *
 * Memory: bounded (marker edges: MEASURE_MAX_EDGES), independent of the capture's length; two passes over the source, the
 * first over markers and host stamps, the second over the samples of windows and idle stretches. */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "base/err.h"
#include "measure/block.h"
#include "measure/capture.h"
#include "measure/config.h"
#include "measure/result.h"

#define MEASURE_MAX_EDGES (1u << 20) /* of the marker lines, in one capture */

/* Judges one capture. A bad measurement is a result with a verdict, never an error. Errors: JF_E_INVAL (the capture
 * contradicts itself; reterr.where names the field), JF_E_NOMEM, JF_E_TOO_LARGE (too many edges), or the source's own.
 * Result and capture are large (some 50 KiB): put them on the heap. Time: the source's, plus about 30 ms for U95. */
int measure_run(const struct measure_source *src, const struct measure_capture *cap, const struct measure_config *cfg,
                struct measure_result *ret_result, struct err *reterr) JF_MUST_CHECK;

/* Checks the capture's fields alone (counts, finite numbers, order, sizes within which no arithmetic of the analysis overflows). */
int measure_capture_check(const struct measure_capture *cap, struct err *reterr) JF_MUST_CHECK;
/* The same for the configuration; reterr->where names the field. */
int measure_config_check(const struct measure_config *cfg, struct err *reterr) JF_MUST_CHECK;

#endif
