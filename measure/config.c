/* SPDX-License-Identifier: GPL-2.0-or-later
 * The default thresholds (measurement specification, sections 2 to 6). */
#include "measure/config.h"

void measure_config_init(struct measure_config *ret_c) {
    *ret_c = (struct measure_config){
        .rule = MEASURE_RULE_EDGE,
        .glitch_s = 0,
        .min_windows = 0,
        .min_window_s = -1,
        .min_inferences = -1,
        .idle_min_s = 1.0,
        .idle_guard_s = 0.1,
        .idle_block_s = 0.05,
        .idle_drift_rel = 0.01,
        .range_near_share = 0.01,
        .spread_rel = 0.005,
        .steady_p = 0.01,
        .steady_rel = 0.003,
        .edge_rel = 0.01,
        .host_clock_rel = 0.01,
        .host_clock_s = 0.1,
        .loss_block_s = 1.0,
        .loss_samples = 40,
        .loss_hold = 3,
        .loss_margin_s = 4.0,
        .loss_scatter_s = 1e-4,
        .stage_min_samples = 20,
        .temperature_shift_c = 5,
        .draws = 200000,
        .seed = 0x6a6f756c65666172, /* "joulefar" */
    };
}
