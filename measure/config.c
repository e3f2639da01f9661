/* SPDX-License-Identifier: GPL-2.0-or-later
 * The default thresholds (measurement specification, sections 2 to 6). */
#include "measure/config.h"

#include <math.h>
#include <stddef.h>

#include "measure/measure.h"

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
        .outlier_z = 3.5,
        .outlier_rel = 0.001,
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

#define BOUND(member, lo, hi) {#member, offsetof(struct measure_config, member), lo, hi}
static const struct {
    const char *name;
    size_t offset;
    double lo, hi;
} bounds[] = {
    BOUND(glitch_s, 0, 10),           BOUND(min_window_s, -1, 1e6),      BOUND(idle_min_s, 0, 1e6),         BOUND(idle_guard_s, 0, 1e4),
    BOUND(idle_block_s, 1e-6, 1e4),   BOUND(idle_drift_rel, 0, 1e6),     BOUND(range_near_share, 0, 1e6),   BOUND(spread_rel, 0, 1e6),
    BOUND(outlier_z, 0, 1e6),         BOUND(outlier_rel, 0, 1e6),        BOUND(steady_p, 0, 1),            BOUND(steady_rel, 0, 1e6),         BOUND(edge_rel, 0, 1e6),           BOUND(host_clock_rel, 0, 1e6),
    BOUND(host_clock_s, 0, 1e6),      BOUND(loss_block_s, 1e-3, 1e4),    BOUND(loss_margin_s, 0, 1e6),      BOUND(loss_scatter_s, 0, 1e6),
    BOUND(stage_min_samples, 0, 1e9), BOUND(temperature_shift_c, 0, 1e6),
};

int measure_config_check(const struct measure_config *cfg, struct err *reterr) {
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        double v = *(const double *)(const void *)((const char *)cfg + bounds[i].offset);
        if (!isfinite(v) || v < bounds[i].lo || v > bounds[i].hi)
            return err_set_at(reterr, JF_E_INVAL, bounds[i].name, "%s must lie between %g and %g", bounds[i].name, bounds[i].lo, bounds[i].hi);
    }
    if (cfg->min_windows < 0 || cfg->min_windows > MEASURE_MAX_WINDOWS)
        return err_set_at(reterr, JF_E_INVAL, "min_windows", "min_windows must lie between 0 and %d", MEASURE_MAX_WINDOWS);
    if (cfg->min_inferences < -1 || cfg->loss_samples < 1 || cfg->loss_samples > 1000000000)
        return err_set_at(reterr, JF_E_INVAL, cfg->min_inferences < -1 ? "min_inferences" : "loss_samples", "a count is out of its bounds");
    if (cfg->loss_hold < 1 || cfg->loss_hold > 1000)
        return err_set_at(reterr, JF_E_INVAL, "loss_hold", "loss_hold must lie between 1 and 1000");
    if (cfg->draws < 100 || cfg->draws > 10000000)
        return err_set_at(reterr, JF_E_INVAL, "draws", "draws must lie between 100 and 10000000");
    return 0;
}
