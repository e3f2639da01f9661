/* SPDX-License-Identifier: GPL-2.0-or-later
 * Sums to figures: windows, then energy, net energy and latency per inference with their budgets (measurement specification,
 * sections 3 and 5). Pure. */
#include <math.h>
#include <stdio.h>

#include "measure/analysis.h"
#include "measure/stats.h"

#define SQRT12 3.4641016151377544

/* ---- windows ----------------------------------------------------------------------------------------------- */
static double edge_resistance(const struct analysis *a, const struct integral *probe) {
    int g = probe->last_range;
    return g >= 0 && g < a->cap->instrument.n_ranges ? a->cap->instrument.ranges[g].shunt_ohm : 0;
}

static double mean_of(const struct measure_acc *acc, double cells) {
    return cells > 0 ? measure_acc_get(acc) / cells : NAN;
}

static void rc_term(struct analysis *a, int k) {
    const struct integral *p0 = &a->probes[2 * k], *p1 = &a->probes[2 * k + 1];
    double v = mean_of(&a->window_sums[k].v, a->window_sums[k].cells);
    a->rc_per_farad[k] = v * (edge_resistance(a, p1) * mean_of(&p1->i, p1->cells) - edge_resistance(a, p0) * mean_of(&p0->i, p0->cells));
}

static void window_burden(const struct analysis *a, int k) {
    const struct integral *s = &a->window_sums[k];
    struct measure_window *w = &a->r->windows[k];
    const struct measure_instrument *in = &a->cap->instrument;
    double drop = 0, known = 0;
    for (int g = 0; g < in->n_ranges; g++)
        if (in->ranges[g].shunt_ohm > 0) {
            drop += in->ranges[g].shunt_ohm * s->range_i[g];
            known += s->range_cells[g];
        }
    w->burden_mean_v = known > 0 ? drop / s->cells : NAN;
    w->burden_max_v = known > 0 ? s->burden_max_v : NAN;
}

static double edge_u(const struct analysis *a, int k, double idle_w) {
    double p0 = mean_of(&a->probes[2 * k].p, a->probes[2 * k].cells) - idle_w;
    double p1 = mean_of(&a->probes[2 * k + 1].p, a->probes[2 * k + 1].cells) - idle_w;
    return hypot(p0, p1) * analysis_edge_dt(a) / SQRT12;
}

static void window_reasons(struct analysis *a, int k) {
    const struct integral *s = &a->window_sums[k];
    const struct measure_request *q = &a->cap->requests[k];
    struct measure_window *w = &a->r->windows[k];
    const struct measure_supply *sup = &a->cap->supply;
    int top = a->cap->instrument.n_ranges - 1;
    double limit = top >= 0 ? a->cap->instrument.ranges[top].to_a : 0;
    if (!isfinite(w->energy_j) || s->cells < s->x1 - s->x0 - 1e-6)
        analysis_raise(a, MEASURE_R_SAMPLE_GAP, k, "window %d: samples are missing or not numbers", k);
    if (s->clipped > 0)
        analysis_raise(a, MEASURE_R_CLIPPED, k, "window %d: %lld samples at the converter's bound", k, (long long)s->clipped);
    if (s->over > 0 || (limit > 0 && (double)s->i_max > limit * (1 + 1e-6)))
        analysis_raise(a, MEASURE_R_OVERRANGE, k, "window %d: up to %.6g A, above the instrument's range", k, (double)s->i_max);
    if (s->brownout)
        analysis_raise(a, MEASURE_R_BROWNOUT, k, "window %d: the supply fell below %.4g V", k, sup->v_min);
    if ((!isnan(sup->v_min) && w->voltage_mean_v < sup->v_min) || (!isnan(sup->v_max) && w->voltage_mean_v > sup->v_max))
        analysis_raise(a, MEASURE_R_SUPPLY_OUT_OF_RANGE, k, "window %d: mean supply %.4g V, allowed are %.4g to %.4g V", k, w->voltage_mean_v,
                       sup->v_min, sup->v_max);
    if (w->near_range_change > a->cfg->range_near_share)
        analysis_raise(a, MEASURE_R_RANGE_SWITCHING, k, "window %d: %.2g %% of the samples lie close to a change of range", k,
                       100 * w->near_range_change);
    if (q->device_hz > 0 && q->device_inferences != q->inferences)
        analysis_raise(a, MEASURE_R_INFERENCE_COUNT, k, "window %d: the board counted %u inferences, %u were asked for", k, q->device_inferences,
                       q->inferences);
}

static void window_length(struct analysis *a, int k) {
    const struct measure_window *w = &a->r->windows[k];
    bool mlperf = a->cap->method == MEASURE_METHOD_MLPERF_TINY;
    double least = a->cfg->min_window_s >= 0 ? a->cfg->min_window_s : mlperf ? 10 : 0;
    int count = a->cfg->min_inferences >= 0 ? a->cfg->min_inferences : mlperf ? 10 : 1;
    if (w->duration_s < least || (int64_t)w->inferences < count)
        analysis_raise(a, MEASURE_R_SHORT_WINDOW, k, "window %d: %.4g s and %u inferences; %.4g s and %d are needed", k, w->duration_s, w->inferences,
                       least, count);
}

void analysis_window_figures(struct analysis *a) {
    struct measure_result *r = a->r;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_request *q = &a->cap->requests[k];
        struct measure_window *w = &r->windows[k];
        if (q->output == MEASURE_BAD)
            analysis_raise(a, MEASURE_R_WRONG_OUTPUT, k, "window %d: the output differs from the expected one", k);
        if (q->reset_seen)
            analysis_raise(a, MEASURE_R_DEVICE_RESET, k, "window %d: the board restarted", k);
        if (!w->found)
            continue;
        const struct integral *s = &a->window_sums[k];
        rc_term(a, k);
        w->from_s = s->x0 * a->dt;
        w->to_s = s->x1 * a->dt;
        w->duration_s = a->windows[k].span.duration_s;
        w->energy_j = measure_acc_get(&s->p) * a->dt;
        if (a->cap->supply.capacitance == MEASURE_C_DECLARED)
            w->energy_j += a->cap->supply.capacitance_f * a->rc_per_farad[k];
        w->charge_c = measure_acc_get(&s->i) * a->dt;
        w->power_mean_w = w->duration_s > 0 ? w->energy_j / w->duration_s : NAN;
        w->power_peak_w = s->peak_w;
        w->voltage_mean_v = mean_of(&s->v, s->cells);
        w->net_energy_j = r->idle.has ? w->energy_j - r->idle.power_w * w->duration_s : NAN;
        w->edge_u_j = edge_u(a, k, 0);
        w->clipped = s->clipped;
        w->overrange = s->over;
        window_burden(a, k);
        w->spike_energy_j = s->spike ? w->energy_j + s->spike_w * a->dt : NAN;
        w->spike_share = s->cells > 0 ? s->spike_cells / s->cells : 0;
        w->near_range_change = s->cells > 0 ? s->near_change / s->cells : 0;
        w->device_s = q->device_hz > 0 ? (double)q->device_ticks / q->device_hz : NAN;
        for (int g = 0; g < MEASURE_MAX_RANGES; g++)
            w->range_share[g] = s->cells > 0 ? s->range_cells[g] / s->cells : 0;
        window_reasons(a, k);
        window_length(a, k);
    }
}

/* ---- the common components of energy ----------------------------------------------------------------------- */
struct means { /* over the usable windows, per inference */
    double c[MEASURE_MAX_RANGES]; /* energy by range, idle share subtracted, J */
    double d[MEASURE_MAX_RANGES]; /* V * time by range, idle share subtracted, V s */
    double vt[MEASURE_MAX_RANGES], vt_idle[MEASURE_MAX_RANGES]; /* the two parts of d */
    double t, v; /* s, V */
    double align[3]; /* effect of the alignment (analysis_second_effect) */
    double skew_w; /* power step between closing and opening edge, W */
    double rc; /* J/F */
    double noise_a; /* sample noise by differences, A */
    double s_pred; /* predicted scatter of one window's figure */
};

static struct means window_means(const struct analysis *a, bool net) {
    struct means m = {0};
    double n = a->r->n_usable, diff2 = 0, diffs = 0, var = 0;
    for (int k = 0; k < a->r->n_windows; k++) {
        const struct measure_window *w = &a->r->windows[k];
        const struct integral *s = &a->window_sums[k];
        if (!w->usable)
            continue;
        double share = 1 / (n * w->inferences), lambda = net && a->idle_cells > 0 ? s->cells / a->idle_cells : 0;
        for (int g = 0; g < MEASURE_MAX_RANGES; g++) {
            m.c[g] += (s->range_p[g] - lambda * a->idle_range_p[g]) * a->dt * share;
            m.vt[g] += w->voltage_mean_v * s->range_cells[g] * a->dt * share;
            m.vt_idle[g] += w->voltage_mean_v * lambda * a->idle_range_cells[g] * a->dt * share;
        }
        m.t += w->duration_s * share;
        m.v += w->voltage_mean_v / n;
        m.skew_w += (mean_of(&a->probes[2 * k + 1].p, a->probes[2 * k + 1].cells) - mean_of(&a->probes[2 * k].p, a->probes[2 * k].cells)) * share;
        double off = net ? a->r->idle.power_w : 0;
        analysis_second_effect(a, k, mean_of(&a->probes[2 * k].p, a->probes[2 * k].cells) - off,
                               mean_of(&a->probes[2 * k + 1].p, a->probes[2 * k + 1].cells) - off, share, m.align);
        m.rc += a->rc_per_farad[k] * share;
        diff2 += s->diff2;
        diffs += s->diffs;
        double noise = isnan(a->block_sd_w) ? 0 : a->block_sd_w * sqrt(a->block_s * w->duration_s);
        double edges = edge_u(a, k, net ? a->r->idle.power_w : 0);
        var += (noise * noise + edges * edges) / n / ((double)w->inferences * w->inferences);
    }
    for (int g = 0; g < MEASURE_MAX_RANGES; g++)
        m.d[g] = m.vt[g] - m.vt_idle[g];
    m.noise_a = diffs > 0 ? sqrt(diff2 / diffs / 2) : 0;
    m.s_pred = sqrt(var);
    return m;
}

static void add_ranges(struct analysis *a, const struct means *m, struct budget *b) {
    const struct measure_instrument *in = &a->cap->instrument;
    double shared = 0, u = 0;
    const char *dist = "rectangular";
    char name[32];
    if (in->n_ranges == 0)
        b->unknown = "the analyzer's accuracy";
    for (int g = 0; g < in->n_ranges; g++) {
        const struct measure_range *r = &in->ranges[g];
        if (m->vt[g] <= 0 && m->vt_idle[g] <= 0)
            continue;
        if (!budget_spec(r->kind, r->gain_rel, &u, &dist)) {
            b->unknown = "the accuracy of a current range";
            continue;
        }
        if (r->kind == MEASURE_SPEC_TYPICAL)
            analysis_raise(a, MEASURE_R_SPEC_TYPICAL, -1, "range %d of the analyzer is specified by typical figures", g);
        shared += u * m->c[g];
        snprintf(name, sizeof name, "gain[%d]", g);
        if (!in->shared_reference)
            budget_add(b, name, dist, 'B', u * m->c[g], INFINITY, a->analyzer_source);
        if (budget_spec(r->kind, r->offset_a, &u, &dist)) {
            snprintf(name, sizeof name, "offset[%d]", g);
            budget_add(b, name, dist, 'B', u * m->d[g], INFINITY, a->analyzer_source);
        }
        /* quantization: undivided when the signal's noise does not dither it */
        if (r->resolution_a > 0 && m->noise_a < r->resolution_a / 2) {
            snprintf(name, sizeof name, "quantization[%d]", g);
            budget_add(b, name, "rectangular", 'B', r->resolution_a / SQRT12 * hypot(m->vt[g], m->vt_idle[g]), INFINITY, NULL);
        }
    }
    if (in->shared_reference && in->n_ranges > 0)
        budget_add(b, "gain", dist, 'B', shared, INFINITY, a->analyzer_source);
}

static void add_voltage(const struct analysis *a, double energy, double v, struct budget *b) {
    const struct measure_instrument *in = &a->cap->instrument;
    const struct measure_supply *s = &a->cap->supply;
    double u;
    const char *dist;
    bool declared = s->provenance == MEASURE_VOLTAGE_SET && in->voltage_kind == MEASURE_SPEC_UNKNOWN && !isnan(s->tolerance_v);
    if (s->provenance == MEASURE_VOLTAGE_STATED || declared) {
        if (isnan(s->tolerance_v))
            b->unknown = "the tolerance of the stated voltage";
        else
            budget_add(b, "voltage", "rectangular", 'B', energy * s->tolerance_v / sqrt(3) / v, INFINITY, a->board_source);
        return;
    }
    if (!budget_spec(in->voltage_kind, in->voltage_gain_rel, &u, &dist)) {
        b->unknown = "the accuracy of the voltage";
        return;
    }
    budget_add(b, "voltage gain", dist, 'B', energy * u, INFINITY, a->analyzer_source);
    if (budget_spec(in->voltage_kind, in->voltage_offset_v, &u, &dist) && in->voltage_offset_v > 0)
        budget_add(b, "voltage offset", dist, 'B', energy * u / v, INFINITY, a->analyzer_source);
}

static void add_time_base(const struct analysis *a, double figure, struct budget *b) {
    if (a->cap->instrument.clock_ppm < 0)
        b->unknown = "the analyzer's time base";
    else
        budget_add(b, "time base", "rectangular", 'B', figure * a->cap->instrument.clock_ppm * 1e-6 / sqrt(3), INFINITY, a->analyzer_source);
}

static void add_rc(const struct analysis *a, double per_farad, struct budget *b) {
    const struct measure_supply *s = &a->cap->supply;
    double u = per_farad * s->capacitance_f / sqrt(3);
    if (s->capacitance == MEASURE_C_UNKNOWN)
        b->unknown = "the capacitance behind the shunt";
    else if (s->capacitance == MEASURE_C_MAX)
        budget_add(b, "capacitance", "rectangular", 'B', u, INFINITY, a->board_source);
    else if (s->capacitance_f > 0)
        budget_add(b, "capacitance", "rectangular", 'B', u * s->capacitance_tol_rel, INFINITY, a->board_source);
}

static void add_idle(const struct analysis *a, double t, struct budget *b) {
    const struct measure_idle *idle = &a->r->idle;
    budget_add(b, "idle", "t", 'A', t * idle->u_w, idle->dof, NULL);
    if (idle->n > 1)
        budget_add(b, "idle drift", "rectangular", 'B', t * idle->drift_w / 2 / sqrt(3), INFINITY, NULL);
}

/* ---- one figure ---------------------------------------------------------------------------------------------- */
/* Type A of the median, or what stands for it; fills ci95. */
static void add_scatter(struct measure_figure_stat *f, int n, double s_pred, struct budget *b) {
    if (n < 3) {
        double u = s_pred / sqrt(n);
        budget_add(b, "predicted scatter", "normal", 'B', u, INFINITY, NULL);
        f->ci95[0] = f->median - 1.959963984540054 * u;
        f->ci95[1] = f->median + 1.959963984540054 * u;
        return;
    }
    double u = measure_kappa(n) * f->stddev, half = u * measure_t_quantile(0.975, n - 1);
    budget_add(b, "scatter", "t", 'A', u, n - 1, NULL);
    f->ci95[0] = f->median - half;
    f->ci95[1] = f->median + half;
    if (f->stddev < s_pred / 3) /* locked to the sampling grid: the scatter hides what it should show */
        budget_add(b, "grid lock", "normal", 'B', s_pred, INFINITY, NULL);
}

static void statistics(struct measure_figure_stat *f, const double *x, int n) {
    double sorted[MEASURE_MAX_WINDOWS];
    for (int i = 0; i < n; i++)
        sorted[i] = x[i];
    f->has = true;
    f->median = measure_median(sorted, (size_t)n);
    f->mean = measure_mean(x, n);
    f->stddev = measure_stddev(x, n);
    f->cv = f->mean != 0 ? f->stddev / fabs(f->mean) : NAN;
}

static int finish(struct analysis *a, struct measure_figure_stat *f, const struct budget *b, uint64_t salt, struct err *reterr) {
    f->n_budget = b->n;
    f->u_known = b->unknown == NULL;
    f->u_c = f->u95 = f->k = NAN;
    if (b->unknown) {
        analysis_raise(a, MEASURE_R_UNCERTAINTY_UNKNOWN, -1, "no size is known for a component of the uncertainty: %s", b->unknown);
        return 0;
    }
    if (budget_evaluate(f->budget, f->n_budget, a->cfg->draws, a->cfg->seed + salt, &f->u_c, &f->u95) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for the uncertainty");
    f->k = f->u_c > 0 ? f->u95 / f->u_c : NAN;
    return 0;
}

static void nothing(struct measure_figure_stat *f) {
    *f = (struct measure_figure_stat){.median = NAN, .mean = NAN, .stddev = NAN, .cv = NAN, .ci95 = {NAN, NAN}, .u_c = NAN, .u95 = NAN, .k = NAN};
}

static int energy_figure(struct analysis *a, bool net, struct measure_figure_stat *f, struct err *reterr) {
    const struct measure_result *r = a->r;
    double x[MEASURE_MAX_WINDOWS];
    int n = 0;
    nothing(f);
    for (int k = 0; k < r->n_windows; k++)
        if (r->windows[k].usable)
            x[n++] = (net ? r->windows[k].net_energy_j : r->windows[k].energy_j) / r->windows[k].inferences;
    if (n == 0 || (net && !r->idle.has))
        return 0;
    struct means m = window_means(a, net);
    struct budget b = {.list = f->budget};
    statistics(f, x, n);
    add_ranges(a, &m, &b);
    add_voltage(a, f->median, m.v, &b);
    add_time_base(a, f->median, &b);
    if (a->cap->instrument.marker_phase < 0)
        budget_add(&b, "marker skew", "rectangular", 'B', m.skew_w * a->dt / SQRT12, INFINITY, a->analyzer_source);
    analysis_second_budget(a, m.align, &b);
    add_rc(a, m.rc, &b);
    if (net)
        add_idle(a, m.t, &b);
    add_scatter(f, n, m.s_pred, &b);
    return finish(a, f, &b, net ? 1 : 0, reterr);
}

static int latency_figure(struct analysis *a, struct err *reterr) {
    const struct measure_result *r = a->r;
    struct measure_figure_stat *f = &a->r->latency;
    double x[MEASURE_MAX_WINDOWS], var = 0, align[3] = {0};
    int n = 0;
    nothing(f);
    for (int k = 0; k < r->n_windows; k++)
        if (r->windows[k].usable) {
            double u = analysis_edge_dt(a) / SQRT12 * sqrt(2) / r->windows[k].inferences;
            analysis_second_effect(a, k, 1, 1, 1.0 / r->n_usable / r->windows[k].inferences, align);
            x[n++] = r->windows[k].duration_s / r->windows[k].inferences;
            var += u * u;
        }
    if (n == 0)
        return 0;
    struct budget b = {.list = f->budget};
    statistics(f, x, n);
    add_time_base(a, f->median, &b);
    analysis_second_budget(a, align, &b);
    add_scatter(f, n, sqrt(var / n), &b);
    return finish(a, f, &b, 2, reterr);
}

static void quality(struct analysis *a) {
    struct measure_result *r = a->r;
    struct measure_quality *q = &r->quality;
    double t = 0, spike[MEASURE_MAX_WINDOWS];
    int n = 0;
    *q = (struct measure_quality){.burden_mean_v = NAN, .burden_max_v = NAN, .spike_energy_j = NAN};
    q->burden_subtracted = analysis_burden_subtracted(a);
    for (int k = 0; k < r->n_windows; k++)
        t += r->windows[k].found ? r->windows[k].duration_s : 0;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_window *w = &r->windows[k];
        if (!w->found || t <= 0)
            continue;
        double share = w->duration_s / t;
        for (int g = 0; g < MEASURE_MAX_RANGES; g++)
            q->range_share[g] += w->range_share[g] * share;
        q->near_range_change += w->near_range_change * share;
        q->spike_share += w->spike_share * share;
        q->clipped += w->clipped;
        q->overrange += w->overrange;
        if (isfinite(w->burden_mean_v))
            q->burden_mean_v = (isnan(q->burden_mean_v) ? 0 : q->burden_mean_v) + w->burden_mean_v * share;
        if (isfinite(w->burden_max_v))
            q->burden_max_v = fmax(isnan(q->burden_max_v) ? 0 : q->burden_max_v, w->burden_max_v);
        if (w->usable && isfinite(w->spike_energy_j))
            spike[n++] = w->spike_energy_j / w->inferences;
    }
    if (n > 0)
        q->spike_energy_j = measure_median(spike, (size_t)n);
}

int analysis_figures(struct analysis *a, struct err *reterr) {
    struct measure_result *r = a->r;
    double e = 0, t = 0, v = 0;
    r->power_peak_w = NAN;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_window *w = &r->windows[k];
        if (!w->usable)
            continue;
        e += w->energy_j;
        t += w->duration_s;
        v += w->voltage_mean_v / r->n_usable;
        r->power_peak_w = isnan(r->power_peak_w) || w->power_peak_w > r->power_peak_w ? w->power_peak_w : r->power_peak_w;
        r->inferences += w->inferences;
    }
    r->power_mean_w = t > 0 ? e / t : NAN;
    r->voltage_v = t > 0 ? v : NAN;
    quality(a);
    int rc = energy_figure(a, false, &r->energy, reterr);
    if (rc == 0)
        rc = energy_figure(a, true, &r->net, reterr);
    if (rc == 0)
        rc = latency_figure(a, reterr);
    return rc;
}
