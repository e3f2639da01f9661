/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reasons about the whole run, which windows count, and the verdict (measurement specification, section 6). Pure. */
#include <math.h>
#include <string.h>

#include "measure/analysis.h"
#include "measure/stats.h"

#define INPUTS_NEEDED 5

void analysis_usable(struct analysis *a) {
    struct measure_result *r = a->r;
    r->n_usable = 0;
    for (int k = 0; k < r->n_windows; k++) {
        struct measure_window *w = &r->windows[k];
        w->usable = w->found;
        for (int c = 0; c < MEASURE_N_CODES; c++)
            if (((w->reasons >> c) & 1) && measure_code_grade((enum measure_code)c) == MEASURE_GRADE_INVALID)
                w->usable = false;
        r->n_usable += w->usable;
    }
}

static int windows_needed(const struct analysis *a) {
    if (a->cfg->min_windows > 0)
        return a->cfg->min_windows;
    if (a->cap->method == MEASURE_METHOD_MLPERF_TINY)
        return 5;
    return a->cap->n_requests < 5 ? a->cap->n_requests : 5;
}

static void check_device(struct analysis *a) {
    const struct measure_device *d = &a->cap->device;
    bool output = d->golden != MEASURE_UNCHECKED;
    for (int k = 0; k < a->cap->n_requests; k++)
        output = output || a->cap->requests[k].output != MEASURE_UNCHECKED;
    if (d->golden == MEASURE_BAD)
        analysis_raise(a, MEASURE_R_WRONG_OUTPUT, -1, "the golden output computed at boot is wrong");
    if (!output)
        analysis_raise(a, MEASURE_R_NO_GOLDEN_OUTPUT, -1, "%s", measure_code_sentence(MEASURE_R_NO_GOLDEN_OUTPUT));
    if (d->model == MEASURE_BAD)
        analysis_raise(a, MEASURE_R_WRONG_MODEL, -1, "%s", measure_code_sentence(MEASURE_R_WRONG_MODEL));
    if (d->firmware == MEASURE_BAD)
        analysis_raise(a, MEASURE_R_WRONG_FIRMWARE, -1, "%s", measure_code_sentence(MEASURE_R_WRONG_FIRMWARE));
    if (d->back_powered)
        analysis_raise(a, MEASURE_R_BACK_POWERED, -1, "%s", measure_code_sentence(MEASURE_R_BACK_POWERED));
    if (d->reset_cause_reported && d->brownout_reset)
        analysis_raise(a, MEASURE_R_BROWNOUT, -1, "the board's last reset was a brown-out");
    if (d->debug_reported && (d->c_debugen || d->dbgmcu_cr != 0))
        analysis_raise(a, MEASURE_R_DEBUG_RESIDUE, -1, "C_DEBUGEN is %d, DBGMCU_CR is 0x%08x", d->c_debugen, d->dbgmcu_cr);
    if (a->cap->supply.provenance != MEASURE_VOLTAGE_MEASURED && !d->reset_cause_reported)
        analysis_raise(a, MEASURE_R_BROWNOUT_UNOBSERVABLE, -1, "%s", measure_code_sentence(MEASURE_R_BROWNOUT_UNOBSERVABLE));
}

static void check_environment(struct analysis *a) {
    const struct measure_capture *c = a->cap;
    double shift = fabs(c->temperature_c - c->instrument.calibration_c);
    if (c->supply.provenance == MEASURE_VOLTAGE_STATED)
        analysis_raise(a, MEASURE_R_VOLTAGE_STATED, -1, "%s", measure_code_sentence(MEASURE_R_VOLTAGE_STATED));
    if (isnan(c->temperature_c))
        analysis_raise(a, MEASURE_R_TEMPERATURE_UNKNOWN, -1, "%s", measure_code_sentence(MEASURE_R_TEMPERATURE_UNKNOWN));
    else if (shift > a->cfg->temperature_shift_c)
        analysis_raise(a, MEASURE_R_TEMPERATURE_SHIFT, -1, "%.3g degC away from the temperature of the calibration", shift);
    if (c->instrument.calibration_expired)
        analysis_raise(a, MEASURE_R_CALIBRATION_EXPIRED, -1, "%s", measure_code_sentence(MEASURE_R_CALIBRATION_EXPIRED));
}

static void check_loss(struct analysis *a) {
    struct measure_loss *l = &a->r->loss;
    l->gap_samples = a->scan.gap_samples;
    l->checked = !a->cap->instrument.block && a->map.ok;
    l->rate_ppm = l->scatter_s = NAN;
    if (a->cap->instrument.block)
        return;
    if (!a->map.ok) {
        analysis_raise(a, MEASURE_R_LOSS_CHECK_WEAK, -1, "the samples carry no host times");
        return;
    }
    l->rate_ppm = a->map.rate * 1e6;
    l->scatter_s = a->map.scatter_s;
    l->steps = a->map.n_steps;
    for (int i = 0; i < a->map.n_steps; i++)
        l->lost_s += a->map.steps[i].size_s;
    if (a->map.scatter_s > a->cfg->loss_scatter_s)
        analysis_raise(a, MEASURE_R_LOSS_CHECK_WEAK, -1, "arrival times scatter by %.3g s, more than %.3g s", a->map.scatter_s, a->cfg->loss_scatter_s);
    for (int k = 0; k < a->r->n_windows; k++) {
        const struct measure_window *w = &a->r->windows[k];
        /* a loss at the window's end shows in the next block at the latest, and must hold there and in those behind it; before the window
         * one block must tell the level */
        double block = a->cfg->loss_block_s, behind = floor(a->map.last_s / block) - floor(w->to_s / block);
        if (w->found && (floor(w->from_s / block) - floor(a->map.first_s / block) < 1 || behind < a->cfg->loss_hold))
            analysis_raise(a, MEASURE_R_LOSS_CHECK_WEAK, -1, "the capture should reach %.3g s beyond the windows", a->cfg->loss_margin_s);
    }
}

/* By the modified z-score (Iglewicz and Hoaglin 1993), of four windows or more; x: their figures in order. */
static void mark_outliers(struct analysis *a, const double *x, int n) {
    double work[MEASURE_MAX_WINDOWS];
    if (n < 4)
        return;
    memcpy(work, x, (size_t)n * sizeof *work);
    double mid = measure_median(work, (size_t)n);
    for (int i = 0; i < n; i++)
        work[i] = fabs(x[i] - mid);
    double mad = measure_median(work, (size_t)n);
    for (int k = 0, i = 0; k < a->r->n_windows; k++)
        if (a->r->windows[k].usable) {
            double off = fabs(x[i++] - mid);
            a->r->windows[k].outlier = 0.6745 * off > a->cfg->outlier_z * mad && off > a->cfg->outlier_rel * fabs(mid);
        }
}

static void check_spread(struct analysis *a) {
    const struct measure_result *r = a->r;
    double x[MEASURE_MAX_WINDOWS], at[MEASURE_MAX_WINDOWS], lo = INFINITY, hi = -INFINITY;
    int n = 0;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_window *w = &r->windows[k];
        if (!w->usable)
            continue;
        x[n] = w->energy_j / w->inferences;
        at[n] = 0.5 * (w->from_s + w->to_s);
        lo = fmin(lo, x[n]);
        hi = fmax(hi, x[n]);
        n++;
        double edge = a->dt / 2 * (fabs(a->probes[2 * k].cells > 0 ? measure_acc_get(&a->probes[2 * k].p) / a->probes[2 * k].cells : 0) +
                                   fabs(a->probes[2 * k + 1].cells > 0 ? measure_acc_get(&a->probes[2 * k + 1].p) / a->probes[2 * k + 1].cells : 0));
        if (edge > a->cfg->edge_rel * fabs(w->energy_j))
            analysis_raise(a, MEASURE_R_EDGE_UNCERTAINTY, k, "window %d: the sampling grid moves the energy by up to %.3g %%", k,
                           100 * edge / fabs(w->energy_j));
    }
    mark_outliers(a, x, n);
    if (n >= 2 && (hi - lo) / fabs(r->energy.median) > a->cfg->spread_rel * measure_d2(n) / measure_d2(5))
        analysis_raise(a, MEASURE_R_HIGH_SPREAD, -1, "the windows differ by %.3g %% of their median", 100 * (hi - lo) / fabs(r->energy.median));
    if (n >= 3) {
        double slope, p;
        measure_slope(at, x, n, &slope, &p);
        double change = slope * (at[n - 1] - at[0]) / r->energy.median;
        if (p < a->cfg->steady_p && fabs(change) > a->cfg->steady_rel)
            analysis_raise(a, MEASURE_R_NOT_STEADY, -1, "energy drifts by %.3g %% over the run (p = %.2g)", 100 * change, p);
    }
}

/* mlperf-tiny is five windows over five inputs: repeats would hide what depends on the data. */
static void check_inputs(struct analysis *a) {
    const struct measure_capture *c = a->cap;
    struct measure_result *r = a->r;
    int n = 0, first[MEASURE_MAX_WINDOWS];
    bool known = r->n_usable > 0;
    for (int k = 0; k < r->n_windows; k++) {
        if (!r->windows[k].usable)
            continue;
        int i = 0;
        while (i < n && strcmp(c->requests[first[i]].input, c->requests[k].input) != 0)
            i++;
        if (i == n)
            first[n++] = k;
        known = known && c->requests[k].input[0];
    }
    r->quality.inputs_distinct = known ? n : -1;
    int need = windows_needed(a) < INPUTS_NEEDED ? windows_needed(a) : INPUTS_NEEDED;
    if (c->method != MEASURE_METHOD_MLPERF_TINY || r->n_usable == 0 || (known && n >= need))
        return;
    if (known)
        analysis_raise(a, MEASURE_R_INPUTS_NOT_DISTINCT, -1, "%d distinct inputs over %d usable windows; %d are needed", n, r->n_usable, need);
    else
        analysis_raise(a, MEASURE_R_INPUTS_NOT_DISTINCT, -1, "the input of a window is not known; %d distinct ones are needed", need);
}

static void check_net(struct analysis *a) {
    const struct measure_result *r = a->r;
    if (!r->idle.has)
        analysis_raise(a, MEASURE_R_NO_IDLE, -1, "%s", measure_code_sentence(MEASURE_R_NO_IDLE));
    else if (r->net.has && r->net.u_known && fabs(r->net.median) < r->net.u95)
        analysis_raise(a, MEASURE_R_NET_INSIGNIFICANT, -1, "net energy %.4g J has an uncertainty of %.4g J", r->net.median, r->net.u95);
}

void analysis_run_checks(struct analysis *a) {
    check_device(a);
    check_environment(a);
    check_loss(a);
    check_spread(a);
    check_inputs(a);
    check_net(a);
}

void analysis_verdict(struct analysis *a) {
    struct measure_result *r = a->r;
    enum measure_verdict all = MEASURE_VALID, net = MEASURE_VALID;
    if (r->n_usable < windows_needed(a))
        all = MEASURE_INVALID;
    for (int c = 0; c < MEASURE_N_CODES; c++) {
        enum measure_grade grade = measure_code_grade((enum measure_code)c);
        if (!r->reasons[c].raised || grade == MEASURE_GRADE_NOTE)
            continue;
        /* an invalid reason about windows costs those windows; only one about the run costs the run */
        enum measure_verdict v = grade == MEASURE_GRADE_SUSPECT ? MEASURE_SUSPECT : a->run_wide[c] ? MEASURE_INVALID : MEASURE_VALID;
        enum measure_verdict *to = measure_code_figure((enum measure_code)c) == MEASURE_FIGURE_NET ? &net : &all;
        *to = v > *to ? v : *to;
    }
    r->verdict = all;
    r->net_verdict = net > all ? net : all;
}
