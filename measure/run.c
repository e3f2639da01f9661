/* SPDX-License-Identifier: GPL-2.0-or-later
 * measure_run: the order of the steps. Pure; owns the analysis' memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure/analysis.h"

static void analysis_free(struct analysis *a) {
    if (!a)
        return;
    scan_done(&a->scan);
    track_done(&a->window_line);
    track_done(&a->inference_line);
    free(a->stages);
    free(a->idle);
    free(a);
}

/* Errors of a unit are shared by all results of that unit; an unknown unit shares nothing. */
static void name_sources(struct analysis *a) {
    const struct measure_instrument *in = &a->cap->instrument;
    if (in->serial[0])
        snprintf(a->analyzer_source, sizeof a->analyzer_source, "%s %s %s, %s", in->driver, in->model, in->serial,
                 in->calibration[0] ? in->calibration : in->spec_source);
    if (a->cap->device.unit[0])
        snprintf(a->board_source, sizeof a->board_source, "board %s", a->cap->device.unit);
}

static void result_init(struct analysis *a) {
    struct measure_result *r = a->r;
    *r = (struct measure_result){.config = *a->cfg, .method = a->cap->method, .scheme = a->cap->scheme, .n_windows = a->cap->n_requests};
    r->samples = 0;
    for (int k = 0; k < r->n_windows; k++) {
        struct measure_window *w = &r->windows[k];
        w->from_s = w->to_s = w->duration_s = w->energy_j = w->net_energy_j = w->charge_c = NAN;
        w->power_mean_w = w->power_peak_w = w->voltage_mean_v = w->edge_u_j = w->device_s = NAN;
        w->burden_mean_v = w->burden_max_v = w->spike_energy_j = NAN;
    }
}

int measure_run(const struct measure_source *src, const struct measure_capture *cap, const struct measure_config *cfg,
                struct measure_result *ret_result, struct err *reterr) {
    int rc = measure_capture_check(cap, reterr);
    if (rc == 0)
        rc = measure_config_check(cfg, reterr);
    if (rc < 0)
        return rc;
    struct analysis *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(reterr, JF_E_NOMEM, "no memory for the analysis");
    a->cap = cap;
    a->cfg = cfg;
    a->r = ret_result;
    a->dt = cap->instrument.period_s;
    a->phi = cap->instrument.marker_phase >= 0 ? cap->instrument.marker_phase : 0.5;
    name_sources(a);
    result_init(a);
    rc = scan_run(src, a->dt, cfg->loss_block_s, &a->scan, reterr);
    if (rc == 0)
        rc = loss_fit(&a->scan, cfg, a->dt, &a->map, reterr);
    if (rc == 0)
        rc = analysis_second(a, src->second, reterr);
    if (rc == 0)
        rc = analysis_windows(a, reterr);
    if (rc == 0)
        rc = analysis_idle_plan(a, reterr);
    if (rc == 0)
        rc = analysis_integrate(a, src, reterr);
    if (rc == 0) {
        analysis_idle_power(a);
        analysis_window_figures(a);
        analysis_usable(a);
        rc = analysis_figures(a, reterr);
    }
    if (rc == 0) {
        analysis_stage_figures(a);
        analysis_clock(a);
        analysis_run_checks(a);
        analysis_verdict(a);
        ret_result->samples = a->scan.samples;
    }
    analysis_free(a);
    return rc;
}
