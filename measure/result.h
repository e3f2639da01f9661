/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the analysis says. Plain data, no pointers: may be copied. SI units; a figure that does not exist is NAN and its
 * has_ flag is false. "Per inference" figures are those of the usable windows. JSON: measure/trace/result_json.h. */
#ifndef MEASURE_RESULT_H
#define MEASURE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "measure/capture.h"
#include "measure/config.h"

enum measure_verdict { MEASURE_VALID, MEASURE_SUSPECT, MEASURE_INVALID };
enum measure_grade { MEASURE_GRADE_INVALID, MEASURE_GRADE_SUSPECT, MEASURE_GRADE_NOTE };
enum measure_figure { MEASURE_FIGURE_ALL, MEASURE_FIGURE_NET };
enum measure_code {
#define X(sym, word, grade, figure, text) MEASURE_R_##sym,
#include "measure/reasons.def"
#undef X
    MEASURE_N_CODES
};
enum measure_stage { /* the code on the stage lines */
    MEASURE_STAGE_IDLE = 0, MEASURE_STAGE_INIT = 1, MEASURE_STAGE_INFERENCE = 2,
    MEASURE_STAGE_INPUT = 3, MEASURE_STAGE_POST = 4, MEASURE_STAGE_OUTPUT = 6
};
#define MEASURE_N_STAGES 6 /* init, input, inference, output, post, other: in this order in measure_result.stages */

#define MEASURE_MAX_IGNORED 16

struct measure_reason {
    bool raised;
    uint64_t windows; /* bit k: window k; 0: the whole run */
    char text[160]; /* this case's sentence, with figures */
};

#define MEASURE_SOURCE_SIZE 384
/* One line of the budget: u is the standard uncertainty in the figure's unit. */
struct measure_component {
    char name[32]; /* "gain[2]", "offset[2]", "voltage gain", "time base", "scatter", ... */
    const char *distribution; /* "normal" | "rectangular" | "t" ; static */
    char type; /* 'A' or 'B' */
    bool negative; /* the figure falls when the quantity behind this line grows: for comparisons that share it */
    double u; /* >= 0 */
    double dof; /* of "t"; else INFINITY */
    /* What the error belongs to: the analyzer's unit with its calibration, or the board's unit. Two results whose lines agree in name
     * and source share one error. "": the run's own. */
    char source[MEASURE_SOURCE_SIZE];
};
#define MEASURE_MAX_COMPONENTS (2 * MEASURE_MAX_RANGES + 16)

struct measure_figure_stat {
    bool has; /* at least one usable window */
    double median, mean, stddev, cv; /* stddev, cv: NAN for fewer than 2 windows */
    double ci95[2]; /* type A alone */
    bool u_known; /* false: some component is unknown: u_c, u95, k are NAN */
    double u_c, u95, k;
    struct measure_component budget[MEASURE_MAX_COMPONENTS];
    int n_budget;
};

struct measure_window {
    uint32_t inferences; /* asked for */
    bool found; /* both edges known: the figures below exist */
    bool usable; /* found, and no invalid reason names it */
    bool outlier; /* usable, and its energy per inference is far from the others': marked, never dropped */
    double from_s, to_s, duration_s; /* on the instrument's time line */
    double energy_j, net_energy_j, charge_c; /* whole window; net: NAN without idle */
    double power_mean_w, power_peak_w, voltage_mean_v;
    double edge_u_j; /* predicted effect of the two edges, standard uncertainty */
    double near_range_change; /* share of samples within 3 of a range change */
    int64_t clipped, overrange; /* samples at the converter's bound; above the specified range */
    double burden_mean_v, burden_max_v; /* drop across the shunts of the ranges used; NAN: no shunt is known */
    double spike_energy_j; /* the same window through the PPK2's spike filter (measure/spike.h); NAN: another instrument */
    double spike_share; /* share of the samples that it replaces */
    double range_share[MEASURE_MAX_RANGES]; /* of the time */
    double device_s; /* by the device's own timer, NAN */
    uint64_t reasons; /* bit MEASURE_R_x: codes that name this window */
};

struct measure_stage_stat { /* means per inference over the usable windows; the six add up to the mean window / N */
    const char *name; /* static */
    double duration_s, energy_j, net_energy_j, share; /* share of the energy */
};

struct measure_quality { /* over the windows whose edges are known, by time */
    double range_share[MEASURE_MAX_RANGES];
    double near_range_change;
    int64_t clipped, overrange; /* samples */
    double burden_mean_v, burden_max_v; /* NAN: no shunt is known */
    bool burden_subtracted; /* the reference plane lies behind the shunt and the voltage is the one set before it */
    double spike_energy_j; /* J per inference, median over the usable windows through the spike filter; NAN: none */
    double spike_share;
    int inputs_distinct; /* hashes of the usable windows' inputs; -1: not all are known */
};

struct measure_idle {
    bool has;
    int n; /* stretches used */
    double power_w, u_w; /* mean and its standard uncertainty (block means) */
    double dof;
    double before_w, after_w; /* first and last stretch */
    double drift_w; /* |before - after| */
};

struct measure_clock {
    double device_over_trace, u; /* NAN: none */
    const char *by; /* "device" | "host" | "none" ; static */
};

struct measure_alignment { /* markers of a second instrument: its clock against the current's (measure/align.h) */
    bool has, good; /* a second instrument gave the markers; the fit was accepted */
    double offset_s, rate, ref_s; /* current's time = t + offset_s + rate * (t - ref_s) */
    double residual_s, u_offset_s, u_rate;
    double from_s, to_s; /* covered, current's time */
    int trains, edges, inliers;
};

struct measure_loss {
    bool checked; /* host stamps allowed the check */
    double rate_ppm; /* instrument against host, from the fit */
    double scatter_s; /* of the minima about the fitted line */
    int steps; /* losses found */
    double lost_s; /* their sum */
    int64_t gap_samples; /* missing by counter, whole capture */
};

struct measure_result {
    struct measure_config config; /* as used: rule, thresholds */
    enum measure_method method;
    enum measure_scheme scheme;
    enum measure_verdict verdict; /* of the gross figures and the run */
    enum measure_verdict net_verdict; /* with the codes that judge the net figure only */
    struct measure_reason reasons[MEASURE_N_CODES];
    struct measure_figure_stat energy; /* J per inference, gross */
    struct measure_figure_stat net; /* J per inference; has == false: null */
    struct measure_figure_stat latency; /* s per inference */
    struct measure_idle idle;
    double power_mean_w, power_peak_w; /* over the usable windows */
    double voltage_v; /* mean over the usable windows */
    bool has_stages;
    struct measure_stage_stat stages[MEASURE_N_STAGES];
    struct measure_clock clock;
    struct measure_loss loss;
    struct measure_alignment alignment;
    struct measure_quality quality;
    struct measure_window windows[MEASURE_MAX_WINDOWS];
    int n_windows, n_usable;
    uint64_t inferences; /* sum over the usable windows */
    int edges_ignored; /* falling edges of the window line outside every infer command: boot, timestamp%, old firmware */
    double ignored_s[MEASURE_MAX_IGNORED]; /* times of the first ones */
    int64_t samples; /* seen in the whole capture */
};

const char *measure_code_word(enum measure_code c);
enum measure_grade measure_code_grade(enum measure_code c);
enum measure_figure measure_code_figure(enum measure_code c);
const char *measure_code_sentence(enum measure_code c);
const char *measure_verdict_name(enum measure_verdict v); /* valid | suspect | invalid */

#endif
