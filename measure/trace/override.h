/* SPDX-License-Identifier: GPL-2.0-or-later
 * Another rule, threshold or marker phase than the stored one, for a re-analysis: which may be changed and between which
 * bounds. Pure; any thread. */
#ifndef MEASURE_TRACE_OVERRIDE_H
#define MEASURE_TRACE_OVERRIDE_H

#include <jansson.h>

#include "base/err.h"
#include "measure/config.h"

/* key: "rule", "marker_phase", or a threshold of struct measure_config by its name. value: the rule's word, else a number
 * within the key's bounds. Changes *cfg, or for marker_phase *phase (cells, 0..1; NAN means as stored).
 * JF_E_INVAL with where = key: unknown key (the sentence lists all), wrong type, out of bounds. */
int trace_override(const char *key, const json_t *value, struct measure_config *cfg, double *phase,
                   struct err *reterr) JF_MUST_CHECK;
/* The same from "key=value", as a command line has it. */
int trace_override_text(const char *assignment, struct measure_config *cfg, double *phase,
                        struct err *reterr) JF_MUST_CHECK;

#endif
