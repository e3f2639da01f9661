/* SPDX-License-Identifier: GPL-2.0-or-later
 * A foreign session as a result of this project. Nothing is measured again: windows, energies and durations are those that the session's
 * own rule gives (and its results.txt prints); what the session does not show is said to be unknown. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "measure/stats.h"
#include "measure/trace/import.h"
#include "measure/trace/result_json.h"

static void raise_code(struct measure_result *r, enum measure_code code, int k, const char *text) {
    struct measure_reason *e = &r->reasons[code];
    if (!e->raised)
        (void)snprintf(e->text, sizeof e->text, "%s", text ? text : measure_code_sentence(code));
    e->raised = true;
    if (k >= 0) {
        e->windows |= 1ull << k;
        r->windows[k].reasons |= 1ull << code;
    }
}

static void figure(struct measure_figure_stat *f, const double *x, int n) {
    double sorted[IMPORT_MAX_WINDOWS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    *f = (struct measure_figure_stat){.has = n > 0, .u_c = NAN, .u95 = NAN, .k = NAN, .stddev = NAN, .cv = NAN,
                                      .median = NAN, .mean = NAN, .ci95 = {NAN, NAN}};
    if (n == 0)
        return;
    f->median = measure_median(sorted, (size_t)n);
    f->mean = measure_mean(x, n);
    f->stddev = measure_stddev(x, n);
    f->cv = f->stddev / fabs(f->mean);
    if (n < 3)
        return;
    double u = measure_kappa(n) * f->stddev, half = u * measure_t_quantile(0.975, n - 1);
    f->ci95[0] = f->median - half;
    f->ci95[1] = f->median + half;
    f->n_budget = 1; /* the one line that is known */
    f->budget[0] = (struct measure_component){.name = "scatter", .distribution = "t", .type = 'A', .u = u, .dof = n - 1};
}

static void fill_windows(const struct import_session *s, struct measure_result *r) {
    static const double least_s = 10; /* MLPerf Tiny run rules: a window lasts at least 10 s and holds 10 inferences */
    static const int64_t least_n = 10;
    r->n_windows = s->n_windows;
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_window *w = &s->windows[k];
        char text[160];
        r->windows[k] = (struct measure_window){.inferences = (uint32_t)w->inferences, .found = true, .from_s = w->from_s,
                                                .to_s = w->to_s, .duration_s = w->duration_s,
                                                .energy_j = w->energy_j, .net_energy_j = NAN,
                                                .charge_c = w->energy_j / s->facts.voltage_v,
                                                .power_mean_w = w->energy_j / w->duration_s, .power_peak_w = NAN,
                                                .voltage_mean_v = s->facts.voltage_v, .edge_u_j = NAN, .device_s = NAN};
        if (w->duration_s < least_s || w->inferences < least_n) {
            (void)snprintf(text, sizeof text, "window %d: %.6g s and %lld inferences; MLPerf Tiny asks for 10 of each", k, w->duration_s,
                           (long long)w->inferences);
            raise_code(r, MEASURE_R_SHORT_WINDOW, k, text);
        }
        r->windows[k].usable = r->windows[k].reasons == 0;
        r->n_usable += r->windows[k].usable;
    }
}

/* Over all windows, as the session's own medians are, also over those that are too short. */
static void fill_figures(struct measure_result *r) {
    double energy[IMPORT_MAX_WINDOWS] = {0}, latency[IMPORT_MAX_WINDOWS] = {0}, joules = 0, seconds = 0;
    int n = 0;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_window *w = &r->windows[k];
        energy[n] = w->energy_j / w->inferences;
        latency[n++] = w->duration_s / w->inferences;
        r->inferences += w->inferences;
        joules += w->energy_j;
        seconds += w->duration_s;
    }
    figure(&r->energy, energy, n);
    figure(&r->latency, latency, n);
    figure(&r->net, energy, 0);
    r->power_mean_w = n ? joules / seconds : NAN;
    r->power_peak_w = NAN;
    if (n < 2)
        return;
    double lo = energy[0], hi = energy[0];
    for (int k = 1; k < n; k++) {
        lo = fmin(lo, energy[k]);
        hi = fmax(hi, energy[k]);
    }
    if ((hi - lo) / fabs(r->energy.median) > r->config.spread_rel * measure_d2(n) / measure_d2(5))
        raise_code(r, MEASURE_R_HIGH_SPREAD, -1, NULL);
}

void import_result(const struct import_session *s, struct measure_capture *ret_cap, struct measure_result *ret_r) {
    struct measure_result *r = ret_r;
    struct measure_capture *c = ret_cap;
    memset(r, 0, sizeof *r);
    measure_capture_init(c);
    measure_config_init(&r->config);
    r->config.rule = s->format == IMPORT_EEMBC ? MEASURE_RULE_EEMBC : MEASURE_RULE_MLCOMMONS;
    r->method = c->method = MEASURE_METHOD_MLPERF_TINY;
    r->scheme = c->scheme = MEASURE_SCHEME_MLPERF;
    c->supply.voltage_v = r->voltage_v = s->facts.voltage_v;
    c->supply.provenance = MEASURE_VOLTAGE_STATED;
    c->supply.plane = MEASURE_PLANE_ANALYZER_OUT;
    (void)snprintf(c->instrument.driver, sizeof c->instrument.driver, "imported");
    (void)snprintf(c->instrument.model, sizeof c->instrument.model, "%s", s->facts.analyzer);
    c->instrument.period_s = 1 / s->rate_hz;
    r->samples = s->samples;
    r->clock = (struct measure_clock){NAN, NAN, "none"};
    r->loss.rate_ppm = r->loss.scatter_s = NAN;
    fill_windows(s, r);
    fill_figures(r);
    raise_code(r, MEASURE_R_VOLTAGE_STATED, -1, isfinite(s->facts.voltage_v) ? NULL : "the session does not say its supply voltage");
    raise_code(r, MEASURE_R_CLOCK_UNCHECKED, -1, NULL);
    raise_code(r, MEASURE_R_LOSS_CHECK_WEAK, -1, "the session carries no host times of its samples");
    raise_code(r, MEASURE_R_NO_GOLDEN_OUTPUT, -1, NULL);
    raise_code(r, MEASURE_R_UNCERTAINTY_UNKNOWN, -1, "the session says nothing about its analyzer's accuracy");
    raise_code(r, MEASURE_R_NO_IDLE, -1, NULL);
    raise_code(r, MEASURE_R_TEMPERATURE_UNKNOWN, -1, NULL);
    raise_code(r, MEASURE_R_BROWNOUT_UNOBSERVABLE, -1, NULL);
    r->verdict = r->n_usable >= 5 ? MEASURE_SUSPECT : MEASURE_INVALID; /* five windows: MLPerf Tiny run rules */
    r->net_verdict = r->verdict;
}
