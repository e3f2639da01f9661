/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stored results in, a comparison out, as the API's JSON. Pure; any thread. */
#ifndef MEASURE_TRACE_COMPARE_JSON_H
#define MEASURE_TRACE_COMPARE_JSON_H

#include <jansson.h>

#include "measure/compare.h"

/* What compare_results needs of one Result. Large (some 40 KiB): heap. side's figures point into this structure. */
struct compare_input {
    struct compare_side side;
    struct measure_figure_stat gross, net, latency;
};

/* Reads a Result as the API shows it (measure_result_json plus board and provenance). What is absent or null is unknown; a field of a wrong
 * type, a foreign distribution or more budget lines than MEASURE_MAX_COMPONENTS is JF_E_PARSE, reterr->where names it. */
int compare_input_from_json(const json_t *result, struct compare_input *ret_in, struct err *reterr) JF_MUST_CHECK;

/* {refused, net_refused, forced, unlike: [{key, text, a, b, net_only}], gross, net, latency: null or {a, b, difference, ratio, u_c, u95, k,
 * u95_unshared, u_known, differs, shared: [names]}}. New reference; NULL: no memory. */
json_t *compare_result_json(const struct compare_result *r);

#endif
