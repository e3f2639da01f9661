/* SPDX-License-Identifier: GPL-2.0-or-later
 * Two results beside each other (measurement specification, section 7): may they be compared, by how much do they differ, and is that
 * more than the uncertainty of the difference. Pure; any thread. JSON: measure/trace/compare_json.h. */
#ifndef MEASURE_COMPARE_H
#define MEASURE_COMPARE_H

#include "base/err.h"
#include "measure/result.h"

/* What must be alike. Asking for it overrides all but the verdict. */
enum compare_key {
    COMPARE_VERDICT, /* neither may be invalid */
    COMPARE_MODEL,
    COMPARE_VOLTAGE,
    COMPARE_PLANE,
    COMPARE_RULE,
    COMPARE_METHOD,
    COMPARE_INPUTS,
    COMPARE_CORE_CLOCK,
    COMPARE_IDLE_STATE, /* concerns the net figure only */
    COMPARE_N_KEYS
};
const char *compare_key_name(enum compare_key k); /* "verdict", "model", "supply voltage", ...; "?" */

/* One result. Texts: "" is unknown, numbers: NAN is unknown; what is unknown on either side is not alike. Strings and figures are
 * borrowed for the call. */
struct compare_side {
    enum measure_verdict verdict, net_verdict;
    char model[80]; /* hash of the model */
    double voltage_v; /* nominal supply: set or stated, else measured; V */
    char plane[24], rule[24], method[24];
    char inputs[96]; /* the input set, however ordered: one input's hash, or their number and the hash of the sorted hashes */
    double core_hz;
    char idle_state[24];
    const struct measure_figure_stat *gross, *net, *latency; /* NULL or has == false: no such figure */
};

struct compare_config {
    double voltage_rel; /* 0.01: voltages that differ by less are alike */
    double clock_rel; /* 0.001: the same for core clocks */
    bool force; /* compare what is not alike, and say so; never an invalid result */
    unsigned allow; /* bit k: the same for compare_key k alone */
    uint32_t draws; /* 200000 */
    uint64_t seed; /* fixed */
};
void compare_config_init(struct compare_config *ret_c);

struct compare_unlike {
    enum compare_key key;
    bool net_only; /* only the net figures are not comparable */
    char a[96], b[96]; /* the two values as text, with unit; "unknown" */
    char text[320]; /* the sentence for people */
};

struct compare_figure {
    bool has; /* both sides have the figure and nothing refuses it: the members below exist */
    double a, b; /* medians */
    double difference; /* a - b */
    double ratio; /* a / b; NAN for b == 0 */
    bool u_known; /* false: a component is unknown on one side: the rest is NAN, differs is false */
    double u_c, u95, k; /* of the difference */
    bool differs; /* |a - b| > U95 */
    int n_shared; /* lines of the two budgets that are one error and (partly) cancel */
    char shared[MEASURE_MAX_COMPONENTS][32]; /* their names */
    double u95_unshared; /* what U95 would be if nothing were shared */
};

struct compare_result {
    bool refused; /* no figure is compared */
    bool net_refused;
    bool forced; /* unlike, and compared because asked for */
    struct compare_unlike unlike[COMPARE_N_KEYS];
    int n_unlike;
    struct compare_figure gross, net, latency;
};

/* Errors: JF_E_NOMEM; JF_E_INVAL: a figure's budget has a negative or non-finite u while its u_c is known. A refusal is a result.
 * Time: about 30 ms for each figure. */
int compare_results(const struct compare_side *a, const struct compare_side *b, const struct compare_config *cfg, struct compare_result *ret_r,
                    struct err *reterr) JF_MUST_CHECK;

#endif
