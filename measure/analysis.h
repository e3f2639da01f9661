/* SPDX-License-Identifier: GPL-2.0-or-later
 * The state of one analysis, shared by the steps of measure_run in their order: scan, loss, windows, integrate, idle, figures,
 * verdict. Internal to measure/. */
#ifndef MEASURE_ANALYSIS_H
#define MEASURE_ANALYSIS_H

#include "measure/align.h"
#include "measure/kernel.h"
#include "measure/loss.h"
#include "measure/measure.h"
#include "measure/rules.h"
#include "measure/scan.h"
#include "measure/second.h"
#include "measure/spike.h"

/* Sums over one span [x0, x1) of samples, fractions of cells counted by their share. */
struct integral {
    double x0, x1;
    struct measure_acc p, i, v; /* power, current, voltage (sample sums) */
    double cells; /* covered */
    double range_p[MEASURE_MAX_RANGES], range_cells[MEASURE_MAX_RANGES];
    double range_i[MEASURE_MAX_RANGES], range_v[MEASURE_MAX_RANGES]; /* sums, A and V */
    double range_ii[MEASURE_MAX_RANGES]; /* A^2, where the burden is subtracted */
    double burden_max_v;
    double peak_w;
    float i_max;
    int64_t over, clipped; /* flagged samples */
    double near_change; /* samples within 3 of a range change */
    int64_t change_end; /* behind the stretch counted last */
    int last_range; /* -1: none yet */
    int low_run; /* consecutive samples below v_min */
    bool brownout;
    double diff2, diffs; /* sum of squared sample differences, their count: for the quantization rule */
    struct spike_filter *spike; /* NULL: not asked for */
    double spike_w; /* spike filter (measure/spike.h): sum over the samples that it replaces of (filtered - raw) power; W times samples */
    double spike_cells; /* samples that it replaces */
};

struct window_n { /* what the markers say about one window */
    bool known; /* search span known */
    double lo, hi; /* search span, samples */
    int64_t n0, n1; /* first changed samples of the opening and the closing edge */
    double x0, x1; /* edge times in samples */
    struct measure_span span; /* by the window rule */
    int64_t seg_from, seg_to; /* its segment */
};

struct stage_span {
    double x0, x1;
    uint8_t window, code;
};

struct stage_sum {
    struct integral sum; /* over all occurrences; x0, x1 unused */
    double rc; /* sum over their ends of R*i minus the same over their starts, V */
    int64_t runs; /* occurrences */
};

struct idle_stretch {
    double x0, x1; /* usable part, samples */
    int first, n; /* its blocks in analysis.idle */
};

struct analysis {
    const struct measure_capture *cap;
    const struct measure_config *cfg;
    struct measure_result *r;
    double dt, phi;
    struct scan scan;
    struct hostmap map;
    const struct measure_second *second; /* the markers come from it; NULL: from the current's instrument */
    struct align_fit align[MEASURE_MAX_WINDOWS]; /* with it: [0] of a stream, of a block instrument one per window */
    struct track window_line, inference_line;
    struct window_n windows[MEASURE_MAX_WINDOWS];
    struct integral window_sums[MEASURE_MAX_WINDOWS], probes[2 * MEASURE_MAX_WINDOWS]; /* probe 2k, 2k+1: two cells about the edges of window k */
    struct stage_span *stages;
    size_t n_stages, cap_stages;
    struct spike_filter spikes[MEASURE_MAX_WINDOWS];
    struct stage_sum stage_sums[MEASURE_MAX_WINDOWS][8];
    struct idle_stretch stretches[MEASURE_MAX_STRETCHES];
    int n_stretches;
    struct integral *idle; /* blocks of all stretches, ascending */
    int n_idle, cap_idle;
    double idle_cells, idle_range_p[MEASURE_MAX_RANGES], idle_range_cells[MEASURE_MAX_RANGES];
    double block_sd_w; /* pooled standard deviation of idle block means; NAN without idle */
    double block_s;
    double rc_per_farad[MEASURE_MAX_WINDOWS]; /* V*[R(t1)i(t1) - R(t0)i(t0)], J/F */
    char analyzer_source[MEASURE_SOURCE_SIZE], board_source[MEASURE_SOURCE_SIZE]; /* "": the unit is not known */
    bool run_wide[MEASURE_N_CODES]; /* raised for the run, not (only) for windows */
};

/* Raises code for window k (-1: the run) with a sentence; the first sentence of a code stays. */
void analysis_raise(struct analysis *a, enum measure_code code, int k, const char *fmt, ...) JF_PRINTF(4, 5);

/* second.c: markers of another instrument; without one all of these do nothing or answer for the current's own. */
int analysis_second(struct analysis *a, const struct measure_second *s, struct err *reterr) JF_MUST_CHECK; /* replaces the scan's marks */
double analysis_edge_x(const struct analysis *a, int64_t n); /* place of the window edge whose first changed sample is n, samples */
double analysis_edge_dt(const struct analysis *a); /* the grid that an edge is known to, s */
void analysis_between_trains(const struct analysis *a, int k, double *lo, double *hi); /* block: the trains' edges are no window's */
void analysis_second_window(struct analysis *a, int k); /* no extrapolation */
void analysis_second_effect(const struct analysis *a, int k, double p0, double p1, double share, double effect[3]);
const struct align_fit *analysis_align(const struct analysis *a, int k);
bool analysis_placed(const struct analysis *a, int k); /* window k's markers have a place on the current's time line */

int analysis_windows(struct analysis *a, struct err *reterr) JF_MUST_CHECK; /* windows.c: fills windows, stages */
int analysis_stage_spans(struct analysis *a, int k) JF_MUST_CHECK; /* stages.c */
int analysis_idle_plan(struct analysis *a, struct err *reterr) JF_MUST_CHECK; /* idle.c: which samples are idle */
int analysis_integrate(struct analysis *a, const struct measure_source *src, struct err *reterr) JF_MUST_CHECK; /* integrate.c: second pass */
void analysis_correct(const struct analysis *a, struct integral *s); /* correct.c: known errors and burden out of the sums, once */
bool analysis_burden_subtracted(const struct analysis *a); /* correct.c */
void analysis_idle_power(struct analysis *a); /* idle.c: r->idle */
void analysis_window_figures(struct analysis *a); /* figures.c: r->windows, window reasons that need sums */
void analysis_stage_figures(struct analysis *a); /* stages.c */
void analysis_clock(struct analysis *a); /* clock.c */
void analysis_run_checks(struct analysis *a); /* verdict.c: reasons about the run */
int analysis_figures(struct analysis *a, struct err *reterr) JF_MUST_CHECK; /* figures.c: statistics and budgets */
void analysis_verdict(struct analysis *a); /* verdict.c */
void analysis_usable(struct analysis *a); /* verdict.c: decides which windows count */

/* budget.c */
struct budget {
    struct measure_component *list;
    int n;
    const char *unknown; /* a component without known size; NULL: none */
};
/* u: with the sign of the figure's sensitivity. source: as in struct measure_component, NULL: the run's own. */
void budget_add(struct budget *b, const char *name, const char *distribution, char type, double u, double dof, const char *source);
void analysis_second_budget(const struct analysis *a, const double effect[3], struct budget *b); /* component "alignment" */
/* u_c, u95, k from the components: Monte Carlo of JCGM 101. JF_E_NOMEM. */
int budget_evaluate(const struct measure_component *list, int n, uint32_t draws, uint64_t seed, double *ret_uc, double *ret_u95) JF_MUST_CHECK;
/* Standard uncertainty of a limit as its kind says, and the distribution's name; false: unknown. */
bool budget_spec(enum measure_spec kind, double limit, double *ret_u, const char **ret_distribution);

#endif
