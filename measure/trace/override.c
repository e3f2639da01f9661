/* SPDX-License-Identifier: GPL-2.0-or-later
 * Overrides as a table of keys and bounds. The bounds keep an analysis meaningful and finite: no block of no length, no
 * Monte Carlo of four thousand million draws. */
#include "measure/trace/override.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/trace/result_json.h"

static const struct {
    const char *key;
    bool whole;
    double min, max;
} keys[] = {
    {"marker_phase", false, 0, 1},
    {"glitch_s", false, 0, 1},
    {"min_windows", true, 0, 64},
    {"min_window_s", false, -1, 3600},
    {"min_inferences", true, -1, 1e9},
    {"idle_min_s", false, 0.01, 3600},
    {"idle_guard_s", false, 0, 60},
    {"idle_block_s", false, 1e-3, 10},
    {"idle_drift_rel", false, 0, 10},
    {"range_near_share", false, 0, 1},
    {"spread_rel", false, 0, 10},
    {"outlier_z", false, 0, 1000},
    {"outlier_rel", false, 0, 10},
    {"steady_p", false, 0, 1},
    {"steady_rel", false, 0, 10},
    {"edge_rel", false, 0, 10},
    {"host_clock_rel", false, 0, 1},
    {"host_clock_s", false, 0, 60},
    {"loss_block_s", false, 0.05, 60},
    {"loss_samples", true, 1, 1e9},
    {"loss_hold", true, 1, 1000},
    {"loss_margin_s", false, 0, 3600},
    {"loss_scatter_s", false, 0, 60},
    {"stage_min_samples", false, 0, 1e6},
    {"temperature_shift_c", false, 0, 200},
    {"draws", true, 1000, 1e7},
    {"seed", true, 0, 9.2e18},
};
#define N_KEYS (sizeof keys / sizeof keys[0])

static int unknown(const char *key, struct err *reterr) {
    char list[360] = "rule";
    for (size_t i = 0; i < N_KEYS; i++) {
        size_t n = strlen(list);
        (void)snprintf(list + n, sizeof list - n, " %s", keys[i].key);
    }
    return err_set_at(reterr, JF_E_INVAL, key, "\"%.40s\" is not known; known are %s", key, list);
}

static int set_rule(const json_t *value, struct measure_config *cfg, struct err *reterr) {
    enum measure_rule rule;
    if (!json_is_string(value) || measure_rule_parse(json_string_value(value), &rule) < 0) {
        return err_set_at(reterr, JF_E_INVAL, "rule", "rule must be edge, eembc or mlcommons");
    }
    cfg->rule = rule;
    return 0;
}

int trace_override(const char *key, const json_t *value, struct measure_config *cfg, double *phase,
                   struct err *reterr) {
    size_t i = 0;
    if (strcmp(key, "rule") == 0) {
        return set_rule(value, cfg, reterr);
    }
    while (i < N_KEYS && strcmp(keys[i].key, key) != 0) {
        i++;
    }
    if (i == N_KEYS) {
        return unknown(key, reterr);
    }
    double v = json_number_value(value);
    if (!(keys[i].whole ? json_is_integer(value) : json_is_number(value)) || !(v >= keys[i].min && v <= keys[i].max)) {
        return err_set_at(reterr, JF_E_INVAL, key, "%s must be a %snumber from %g to %g", key,
                          keys[i].whole ? "whole " : "", keys[i].min, keys[i].max);
    }
    if (i == 0) {
        *phase = v;
        return 0;
    }
    json_t *all = measure_config_json(cfg), *real = keys[i].whole ? json_integer(json_integer_value(value)) : json_real(v);
    int r = !all || json_object_set_new(all, key, real) < 0 ? err_set(reterr, JF_E_NOMEM, "no memory")
                                                            : measure_config_from_json(all, cfg, reterr);
    json_decref(all);
    return r;
}

int trace_override_text(const char *assignment, struct measure_config *cfg, double *phase, struct err *reterr) {
    char key[48];
    const char *eq = strchr(assignment, '=');
    size_t n = eq ? (size_t)(eq - assignment) : 0;
    if (n == 0 || n >= sizeof key) {
        return err_set(reterr, JF_E_INVAL, "\"%.60s\" is not KEY=VALUE", assignment);
    }
    memcpy(key, assignment, n);
    key[n] = '\0';
    json_t *value = strcmp(key, "rule") == 0 ? json_string(eq + 1) : json_loads(eq + 1, JSON_DECODE_ANY, NULL);
    int r = trace_override(key, value, cfg, phase, reterr);
    json_decref(value);
    return r;
}
