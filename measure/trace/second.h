/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reading the records of a second instrument (FORMAT.md, events `second` and `second-edges`). Internal to measure/trace. */
#ifndef MEASURE_TRACE_SECOND_H
#define MEASURE_TRACE_SECOND_H

#include "measure/second.h"
#include "measure/trace/trace.h"

/* NULL in *ret_s: the trace has none. Everything belongs to *ret_s (trace_second_free). JF_E_PARSE: a record that makes no sense; JF_E_TOO_LARGE:
 * more than MEASURE_MAX_EDGES changes; JF_E_NOMEM; the reader's own. */
int trace_second_read(struct trace_reader *r, struct measure_second **ret_s, struct err *reterr) JF_MUST_CHECK;
void trace_second_free(struct measure_second *s); /* NULL allowed */

#endif
