/* SPDX-License-Identifier: GPL-2.0-or-later
 * The second instrument of a capture: a logic analyzer that saw the marker lines by a clock of its own. What was stored of it (measure/trace/FORMAT.md,
 * events `second` and `second-edges`), as plain data. The analysis fits its clock to the current's (measure/align.h) and takes the markers from it. */
#ifndef MEASURE_SECOND_H
#define MEASURE_SECOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure/block.h"

struct measure_change {
    int64_t n; /* first sample with this level, on the second instrument's grid */
    uint8_t m; /* bit k = marker line k of the scheme */
    bool set; /* the level found at the start or behind a hole: not an edge */
};

struct measure_second {
    double period_s; /* of a sample, by its own clock */
    double marker_phase; /* as in measure_instrument */
    double clock_ppm; /* limit of its time base; < 0: unknown */
    double sync_unit_s; /* unit of the sync train's gaps, by the board's clock (jf sync) */
    int n_markers;
    int sync_line; /* the current instrument's own marker line that is on the same wire as line 0 here */
    int64_t first, end; /* samples covered: [first, end) */
    const struct measure_change *changes; /* [n_changes], ascending */
    size_t n_changes;
    const struct measure_stamp *stamps; /* [n_stamps], ascending: arrivals, for the search's prior and the loss check */
    size_t n_stamps;
    bool damaged; /* a record of it was unreadable or missing */
};

#endif
