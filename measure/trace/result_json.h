/* SPDX-License-Identifier: GPL-2.0-or-later
 * A result as the API's JSON (design: HTTP API, Result and Window). Pure. New references; NULL: no memory. */
#ifndef MEASURE_TRACE_RESULT_JSON_H
#define MEASURE_TRACE_RESULT_JSON_H

#include <jansson.h>

#include "measure/measure.h"

/* The measured part of a Result: method, window_rule, verdict, net_verdict, reasons, notes, inferences, windows (count),
 * energy_per_inference_j, net_energy_per_inference_j, latency_per_inference_s, idle_power_w, power_w, stages, supply, clock,
 * loss, thresholds. The caller adds id, job, attempt, bench, board, analyzer, memory, trace, provenance. */
json_t *measure_result_json(const struct measure_capture *cap, const struct measure_result *r);
/* The array of Windows. */
json_t *measure_windows_json(const struct measure_result *r);

/* The capture and the configuration as stored in a trace; *_from_json checks every field (JF_E_PARSE names it). */
json_t *measure_capture_json(const struct measure_capture *c);
json_t *measure_config_json(const struct measure_config *c);
int measure_capture_from_json(const json_t *j, struct measure_capture *ret_c, struct err *reterr) JF_MUST_CHECK;
int measure_config_from_json(const json_t *j, struct measure_config *ret_c, struct err *reterr) JF_MUST_CHECK;

#endif
