/* SPDX-License-Identifier: GPL-2.0-or-later
 * One stretch of samples of one grid, as measure/ and measure/trace/ see it. Plain data: what a driver delivered,
 * without the driver's header. Bit values equal those of drivers/power/power.h, so that a copy is an assignment. */
#ifndef MEASURE_BLOCK_H
#define MEASURE_BLOCK_H

#include <stdint.h>

#include "base/err.h"

/* measure_block.flags */
#define MEASURE_GAP (1u << 0) /* no samples: count cells are missing */
#define MEASURE_OVERRANGE (1u << 1)
#define MEASURE_CLIPPED (1u << 2)
#define MEASURE_RANGE_CHANGED (1u << 3)
#define MEASURE_SEGMENT_START (1u << 4) /* a new acquisition begins here; the time before it is unrecorded, not a GAP */
#define MEASURE_SEGMENT_END (1u << 5) /* its last block */
/* measure_block.quality: MEASURE_OVERRANGE | MEASURE_CLIPPED of each sample */

/* The arrival of the byte that completed sample `end - 1`. */
struct measure_stamp {
    int64_t end; /* sample index behind the last one delivered */
    int64_t host_raw_ns; /* CLOCK_MONOTONIC_RAW */
};

/* Sample n is the cell [n*dt, (n+1)*dt) of the instrument's clock. Arrays are borrowed for the call. */
struct measure_block {
    int64_t first; /* index of the first sample */
    uint32_t count; /* samples, or missing cells when flags has MEASURE_GAP */
    uint32_t flags;
    int64_t host_raw_ns; /* arrival of the block's last byte; 0: not known (or given in stamps) */
    const struct measure_stamp *stamps; /* arrivals inside the block, ascending; NULL: host_raw_ns alone */
    uint32_t n_stamps;
    const float *current_a; /* [count]; NULL for a GAP, or when not asked for */
    const float *voltage_v; /* [count]; NULL: the constant of measure_supply.voltage_v */
    const uint8_t *range; /* [count], index into measure_instrument.ranges; NULL: range 0 throughout */
    const uint8_t *markers; /* [count], bit k = marker line k; NULL: none */
    const uint8_t *quality; /* [count]; NULL: all good */
};

typedef int measure_block_fn(void *user, const struct measure_block *block); /* < 0 stops with that code */

#define MEASURE_WANT_MARKERS (1u << 0)
#define MEASURE_WANT_VALUES (1u << 1) /* current, voltage, range, quality */
#define MEASURE_WANT_STAMPS (1u << 2)

/* A stored capture that can be read several times. each() calls fn for every block that overlaps samples [from, to), in
 * ascending order; blocks may reach beyond the span; channels that `want` does not name may be NULL. Memory use must not
 * depend on the length. */
struct measure_second;
struct measure_source {
    int (*each)(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr);
    void *self;
    const struct measure_second *second; /* the markers come from another instrument (measure/second.h); NULL: from this one. Borrowed */
};

#endif
