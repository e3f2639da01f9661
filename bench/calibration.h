/* SPDX-License-Identifier: GPL-2.0-or-later
 * The calibration record of one unit of an analyzer (the configuration's `analyzer.calibration_record`): it supersedes the table of the
 * instrument's model wherever it speaks. Pure. */
#ifndef BENCH_CALIBRATION_H
#define BENCH_CALIBRATION_H

#include <jansson.h>

#include "base/err.h"
#include "measure/capture.h"

/* Changes in->ranges, voltage, clock, calibration*, spec_source as the record says. NULL or no record: nothing. wall_ns: now, for the
 * date on which it expires. JF_E_IDENTITY: the record is another unit's; JF_E_INVAL: reterr->where names the field. */
int calibration_apply(const json_t *analyzer, int64_t wall_ns, struct measure_instrument *in, struct err *reterr) JF_MUST_CHECK;

#endif
