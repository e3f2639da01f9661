/* SPDX-License-Identifier: GPL-2.0-or-later
 * The rule and every threshold of an analysis; stored with the result and in the trace. */
#ifndef MEASURE_CONFIG_H
#define MEASURE_CONFIG_H

#include <stdint.h>

enum measure_rule { MEASURE_RULE_EDGE, MEASURE_RULE_EEMBC, MEASURE_RULE_MLCOMMONS };

struct measure_config {
    enum measure_rule rule; /* edge */
    double glitch_s; /* 0: a level counts after max(2 samples, glitch_s) */
    int min_windows; /* 0: what the method needs: mlperf-tiny 5, quick min(5, windows asked for) */
    double min_window_s; /* < 0: by method: mlperf-tiny 10, quick 0 */
    int min_inferences; /* < 0: by method: mlperf-tiny 10, quick 1 */
    double idle_min_s; /* 1.0: shortest stretch that counts */
    double idle_guard_s; /* 0.1: kept clear of UART traffic and edges, plus 10 tau */
    double idle_block_s; /* 0.05: block means for the uncertainty of idle power */
    double idle_drift_rel; /* 0.01 */
    double range_near_share; /* 0.01 */
    double spread_rel; /* 0.005, for five windows; scaled by d2(n)/d2(5) */
    double outlier_z, outlier_rel; /* 3.5 (modified z-score), 0.001 of the median: a window farther from it than both is marked */
    double steady_p, steady_rel; /* 0.01, 0.003 */
    double edge_rel; /* 0.01: dt * (p0 + p1)/2 against the window's energy */
    double host_clock_rel, host_clock_s; /* 0.01, 0.1 */
    double loss_block_s; /* 1.0 */
    int loss_samples, loss_hold; /* 40, 3 */
    double loss_margin_s; /* 4.0 beyond the first and last window */
    double loss_scatter_s; /* 1e-4 */
    double stage_min_samples; /* 20: block instruments: shorter stages make the stage figures null */
    double temperature_shift_c; /* 5 */
    uint32_t draws; /* 200000, Monte Carlo */
    uint64_t seed; /* fixed */
};

void measure_config_init(struct measure_config *ret_c); /* the defaults above */
const char *measure_rule_name(enum measure_rule r); /* edge | eembc | mlcommons */
int measure_rule_parse(const char *s, enum measure_rule *ret); /* 0, or JF_E_INVAL */

#endif
