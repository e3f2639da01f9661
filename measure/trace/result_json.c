/* SPDX-License-Identifier: GPL-2.0-or-later
 * A result as the API's JSON. Pure; a figure that does not exist is null. */
#include "measure/trace/result_json.h"

#include <math.h>

static json_t *real(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

/* Takes over every value; a missing one spoils the object. */
static int put(json_t *o, const char *key, json_t *value) {
    return json_object_set_new(o, key, value);
}

static json_t *windows_of(uint64_t mask) {
    json_t *a = json_array();
    for (int k = 0; a && k < MEASURE_MAX_WINDOWS; k++)
        if ((mask >> k) & 1)
            json_array_append_new(a, json_integer(k));
    return a;
}

static json_t *reasons_of(const struct measure_result *r, bool notes) {
    json_t *a = json_array();
    for (int c = 0; a && c < MEASURE_N_CODES; c++) {
        const struct measure_reason *e = &r->reasons[c];
        enum measure_code code = (enum measure_code)c;
        enum measure_grade grade = measure_code_grade(code);
        if (!e->raised || (grade == MEASURE_GRADE_NOTE) != notes)
            continue;
        json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "code", measure_code_word(code), "text", e->text, "figure",
                              measure_code_figure(code) == MEASURE_FIGURE_NET ? "net" : "all", "windows", windows_of(e->windows));
        if (o && grade != MEASURE_GRADE_NOTE)
            put(o, "grade", json_string(grade == MEASURE_GRADE_INVALID ? "invalid" : "suspect"));
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *figure_of(const struct measure_figure_stat *f) {
    if (!f->has)
        return json_null();
    json_t *budget = json_array();
    for (int i = 0; budget && i < f->n_budget; i++) {
        const struct measure_component *c = &f->budget[i];
        const char type[2] = {c->type, 0};
        json_array_append_new(budget, json_pack("{s:s, s:s, s:o, s:s, s:o, s:i, s:s?}", "component", c->name, "distribution", c->distribution, "u",
                                                real(c->u), "type", type, "dof", real(c->dof), "sign", c->negative ? -1 : 1, "source",
                                                c->source[0] ? c->source : NULL));
    }
    json_t *ci = json_pack("[o, o]", real(f->ci95[0]), real(f->ci95[1]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "median", real(f->median), "mean", real(f->mean), "stddev", real(f->stddev), "cv",
                     real(f->cv), "ci95", ci, "u_c", real(f->u_c), "u95", real(f->u95), "k", real(f->k), "budget", budget);
}

static json_t *stages_of(const struct measure_result *r) {
    if (!r->has_stages)
        return json_null();
    json_t *a = json_array();
    for (int i = 0; a && i < MEASURE_N_STAGES; i++) {
        const struct measure_stage_stat *s = &r->stages[i];
        json_array_append_new(a, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", s->name, "duration_s", real(s->duration_s), "energy_j", real(s->energy_j),
                                           "net_energy_j", real(s->net_energy_j), "share", real(s->share)));
    }
    return a;
}

static json_t *supply_of(const struct measure_capture *cap, const struct measure_result *r) {
    double v = isfinite(r->voltage_v) ? r->voltage_v : cap->supply.voltage_v;
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:o}", "voltage_v", real(v), "provenance", measure_provenance_name(cap->supply.provenance), "plane",
                     measure_plane_name(cap->supply.plane), "set_voltage_v", real(cap->supply.voltage_v), "capacitance",
                     measure_capacitance_name(cap->supply.capacitance), "capacitance_f",
                     cap->supply.capacitance == MEASURE_C_UNKNOWN ? json_null() : real(cap->supply.capacitance_f));
}

static json_t *idle_of(const struct measure_capture *cap, const struct measure_result *r) {
    if (!r->idle.has)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:s}", "power_w", real(r->idle.power_w), "u", real(r->idle.u_w), "before_w", real(r->idle.before_w),
                     "after_w", real(r->idle.after_w), "stretches", r->idle.n, "state", cap->device.idle_state);
}

static json_t *loss_of(const struct measure_result *r) {
    return json_pack("{s:b, s:o, s:o, s:i, s:o, s:I}", "checked_by_clock", r->loss.checked, "rate_ppm", real(r->loss.rate_ppm), "scatter_s",
                     real(r->loss.scatter_s), "steps", r->loss.steps, "lost_s", real(r->loss.lost_s), "gap_samples", (json_int_t)r->loss.gap_samples);
}

static json_t *shares_of(const struct measure_capture *cap, const double *share) {
    json_t *a = json_array();
    for (int g = 0; a && g < (cap->instrument.n_ranges > 0 ? cap->instrument.n_ranges : 1); g++)
        json_array_append_new(a, real(share[g]));
    return a;
}

static json_t *quality_of(const struct measure_capture *cap, const struct measure_result *r) {
    const struct measure_quality *q = &r->quality;
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:o, s:o, s:o}", "range_share", shares_of(cap, q->range_share), "near_range_change",
                     real(q->near_range_change), "clipped_samples", (json_int_t)q->clipped, "overrange_samples", (json_int_t)q->overrange,
                     "burden_mean_v", real(q->burden_mean_v), "burden_max_v", real(q->burden_max_v), "burden_subtracted", q->burden_subtracted,
                     "spike_filtered_energy_per_inference_j", real(q->spike_energy_j), "spike_filtered_share",
                     isfinite(q->spike_energy_j) ? real(q->spike_share) : json_null(), "distinct_inputs",
                     q->inputs_distinct >= 0 ? json_integer(q->inputs_distinct) : json_null());
}

static json_t *calibration_of(const struct measure_capture *cap) {
    const struct measure_instrument *in = &cap->instrument;
    return json_pack("{s:s?, s:s, s:b, s:o, s:o}", "record", in->calibration[0] ? in->calibration : NULL, "source", in->spec_source, "expired",
                     in->calibration_expired, "temperature_c", real(in->calibration_c), "temperature_now_c", real(cap->temperature_c));
}

static json_t *ignored_of(const struct measure_result *r) {
    json_t *a = json_array();
    for (int i = 0; a && i < r->edges_ignored && i < MEASURE_MAX_IGNORED; i++)
        json_array_append_new(a, real(r->ignored_s[i]));
    return a;
}

static json_t *alignment_of(const struct measure_result *r) {
    const struct measure_alignment *f = &r->alignment;
    if (!f->has)
        return json_null();
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:i}", "accepted", f->good, "offset_s", f->good ? real(f->offset_s) : json_null(),
                     "rate_ppm", f->good ? real(f->rate * 1e6) : json_null(), "ref_s", f->good ? real(f->ref_s) : json_null(), "residual_s",
                     f->good ? real(f->residual_s) : json_null(), "u_offset_s", f->good ? real(f->u_offset_s) : json_null(), "u_rate_ppm",
                     f->good ? real(f->u_rate * 1e6) : json_null(), "from_s", f->good ? real(f->from_s) : json_null(), "to_s",
                     f->good ? real(f->to_s) : json_null(), "trains", f->trains, "edges", f->edges, "inliers", f->inliers);
}

json_t *measure_result_json(const struct measure_capture *cap, const struct measure_result *r) {
    json_t *o = json_object();
    if (!o)
        return NULL;
    int bad = put(o, "method", json_string(measure_method_name(r->method)));
    bad |= put(o, "scheme", json_string(measure_scheme_name(r->scheme)));
    bad |= put(o, "window_rule", json_string(measure_rule_name(r->config.rule)));
    bad |= put(o, "verdict", json_string(measure_verdict_name(r->verdict)));
    bad |= put(o, "net_verdict", json_string(measure_verdict_name(r->net_verdict)));
    bad |= put(o, "reasons", reasons_of(r, false));
    bad |= put(o, "notes", reasons_of(r, true));
    bad |= put(o, "inferences", json_integer((json_int_t)r->inferences));
    bad |= put(o, "windows", json_integer(r->n_windows));
    bad |= put(o, "usable_windows", json_integer(r->n_usable));
    bad |= put(o, "energy_per_inference_j", figure_of(&r->energy));
    bad |= put(o, "net_energy_per_inference_j", figure_of(&r->net));
    bad |= put(o, "latency_per_inference_s", figure_of(&r->latency));
    bad |= put(o, "idle_power_w", r->idle.has ? real(r->idle.power_w) : json_null());
    bad |= put(o, "idle", idle_of(cap, r));
    bad |= put(o, "power_w", json_pack("{s:o, s:o}", "mean", real(r->power_mean_w), "peak", real(r->power_peak_w)));
    bad |= put(o, "stages", stages_of(r));
    bad |= put(o, "supply", supply_of(cap, r));
    bad |= put(o, "clock", json_pack("{s:o, s:o, s:s}", "device_over_trace", real(r->clock.device_over_trace), "u", real(r->clock.u), "by", r->clock.by));
    bad |= put(o, "loss", loss_of(r));
    bad |= put(o, "alignment", alignment_of(r));
    bad |= put(o, "quality", quality_of(cap, r));
    bad |= put(o, "calibration", calibration_of(cap));
    bad |= put(o, "edges_ignored_s", ignored_of(r));
    bad |= put(o, "edges_ignored", json_integer(r->edges_ignored));
    bad |= put(o, "thresholds", measure_config_json(&r->config));
    bad |= put(o, "measure_version", json_string(JF_VERSION));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *codes_of(uint64_t mask) {
    json_t *a = json_array();
    for (int c = 0; a && c < MEASURE_N_CODES; c++)
        if ((mask >> c) & 1)
            json_array_append_new(a, json_string(measure_code_word((enum measure_code)c)));
    return a;
}

json_t *measure_windows_json(const struct measure_result *r) {
    json_t *a = json_array();
    for (int k = 0; a && k < r->n_windows; k++) {
        const struct measure_window *w = &r->windows[k];
        json_t *o = json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:b, s:o}", "index", k, "inferences",
                              (json_int_t)w->inferences, "from_s", real(w->from_s), "to_s", real(w->to_s), "duration_s", real(w->duration_s), "energy_j",
                              real(w->energy_j), "net_energy_j", real(w->net_energy_j), "charge_c", real(w->charge_c), "power_w", "mean",
                              real(w->power_mean_w), "peak", real(w->power_peak_w), "voltage_v", real(w->voltage_mean_v), "device_s", real(w->device_s),
                              "usable", w->usable, "reasons", codes_of(w->reasons));
        int bad = put(o, "outlier", json_boolean(w->outlier));
        bad |= put(o, "near_range_change", real(w->near_range_change));
        bad |= put(o, "clipped_samples", json_integer((json_int_t)w->clipped));
        bad |= put(o, "overrange_samples", json_integer((json_int_t)w->overrange));
        bad |= put(o, "spike_filtered_energy_j", real(w->spike_energy_j));
        if (bad) {
            json_decref(o);
            json_decref(a);
            return NULL;
        }
        if (json_array_append_new(a, o) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}
