/* SPDX-License-Identifier: GPL-2.0-or-later
 * Two instruments, one time (measurement specification, section 6): the edges of one wire, seen by two clocks, to the line that maps
 * the second clock to the first. Pure; allocates and frees what it needs; any thread.
 *
 * The wire carries sync trains: bursts of edges whose gaps are the states of a maximal-length sequence (firmware/include/jf_device.h), each once, so
 * that a burst fits itself at one shift only. Trains are found as bursts; edges outside of them (window pulses) are not used. Each train of b is fitted alone first:
 * every shift within the search limits votes, the best one must have train_share of the edges and runner_up times the votes of any other. Then
 * one line goes through the inliers of all trains by least squares. Lost and spurious edges only cost votes. */
#ifndef MEASURE_ALIGN_H
#define MEASURE_ALIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ALIGN_MAX_TRAINS 160 /* one before each window, one behind the last, and as many again that went wrong */

struct align_limits {
    double offset_s; /* |offset - prior| searched; 1 */
    double rate; /* |rate| searched; 200e-6 */
    double inlier_share; /* of all trains together; 0.9 */
    double train_share; /* of a single train, whose 32 edges a few faults weigh more; 0.7 */
    double runner_up; /* 2 */
    double burst_gap_s; /* edges farther apart belong to different bursts; 0.02 */
    size_t burst_edges; /* a burst of fewer edges is no train; 20 */
};
extern const struct align_limits align_limits_default;

/* Ascending edge times of one clock, s; period_s: its sample period (an edge is known to one). Borrowed. */
struct align_edges {
    const double *t;
    size_t n;
    double period_s;
};

enum align_refusal {
    ALIGN_GOOD,
    ALIGN_NO_TRAIN, /* one of the two saw fewer than two trains */
    ALIGN_AMBIGUOUS, /* a train fits at more than one shift */
    ALIGN_POOR, /* too few edges of a train have a partner */
    ALIGN_RATE /* the trains together ask for a rate beyond the limit, or for no common line: a clock jumped */
};

/* a's time of an event at b's time t: t + offset_s + rate * (t - ref_s). */
struct align_fit {
    enum align_refusal refusal;
    char text[160]; /* refused: the sentence with figures */
    double offset_s, rate, ref_s;
    double residual_s; /* root mean square over the inliers */
    double u_offset_s, u_rate; /* standard uncertainties, independent of each other (ref_s is the inliers' mean time) */
    double from_s, to_s; /* in a's time: first edge of the first train .. last edge of the last; nothing is mapped outside */
    int trains, edges, inliers; /* edges: mean of the two sides' counts */
    double worst_share; /* of inliers, over the trains */
    int worst_runner_up; /* most votes of a wrong shift, over the trains */
};

/* prior_s: roughly a's time minus b's (from host arrival times). Refusals are in ret (the return is 0). JF_E_NOMEM; JF_E_INVAL: times that do not
 * ascend or are not finite, a period that is not positive. */
int align_fit(const struct align_edges *a, const struct align_edges *b, double prior_s, const struct align_limits *lim, struct align_fit *ret,
              struct err *reterr) JF_MUST_CHECK;
double align_map(const struct align_fit *f, double b_s);
/* Is a's time t between the trains? Outside, the line is an extrapolation. */
bool align_covers(const struct align_fit *f, double a_s);

#endif
