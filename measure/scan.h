/* SPDX-License-Identifier: GPL-2.0-or-later
 * First pass over a capture: marker changes, holes, segments, and the smallest arrival delay of each block of time. Pure. */
#ifndef MEASURE_SCAN_H
#define MEASURE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "measure/grow.h"
#include "measure/measure.h"

struct mark { /* the marker byte changed to m at sample n */
    int64_t n;
    double x; /* of another instrument's markers: the exact place, samples; else unused */
    uint8_t m;
    bool set; /* level found at a start or behind a hole: not an edge */
};

struct stretch_n {
    int64_t from, to; /* samples [from, to) */
};

struct minimum { /* smallest host - device delay of one block */
    double t_s; /* device time of that arrival */
    double delay_s; /* host (from base) minus device */
    int64_t n; /* sample index of that arrival */
};

struct scan {
    struct mark *marks;
    size_t n_marks, cap_marks;
    struct stretch_n *gaps, *segments;
    size_t n_gaps, cap_gaps, n_segments, cap_segments;
    struct minimum *minima;
    size_t n_minima, cap_minima;
    int64_t base_ns; /* host time subtracted from every stamp */
    int64_t first, end, samples, gap_samples;
    bool any;
};

int scan_run(const struct measure_source *src, double period_s, double block_s, struct scan *ret_s, struct err *reterr) JF_MUST_CHECK;
void scan_done(struct scan *s);
/* Index of the first mark at or behind sample n (n_marks: none). */
size_t scan_find(const struct scan *s, int64_t n);
/* Samples of [from, to) that fall into gaps. */
int64_t scan_gap_overlap(const struct scan *s, double from, double to);

/* The debounced transitions of one line: code = n << 2 | set << 1 | level. glitches: where a too short level began. */
struct track {
    int64_t *at;
    size_t len, cap;
    int64_t *glitch;
    size_t n_glitch, cap_glitch;
};
int track_build(const struct scan *s, int line, int64_t min_samples, struct track *ret_t) JF_MUST_CHECK;
void track_done(struct track *t);
static inline int64_t track_n(int64_t code) {
    return code >> 2;
}
static inline bool track_level(int64_t code) {
    return (code & 1) != 0;
}
static inline bool track_set(int64_t code) {
    return (code & 2) != 0;
}
size_t track_find(const struct track *t, int64_t n); /* first transition at or behind n */

#endif
