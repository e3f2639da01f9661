/* SPDX-License-Identifier: GPL-2.0-or-later
 * Capture and configuration <-> JSON, driven by one table per structure: a field added there is stored and read. Pure.
 * Unknown doubles (NAN) are null. A missing field keeps its default, an unknown one is ignored (files outlive versions), a wrong type
 * or an out-of-range value is an error that names the field. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "measure/trace/result_json.h"
#include "measure/words.h"

enum field_type { F_DOUBLE, F_BOOL, F_INT, F_U32, F_I64, F_U64, F_TEXT, F_WORD };

struct field {
    const char *name;
    enum field_type type;
    size_t offset, size;
    const char *const *words;
};

#define FIELD(st, member, type) {#member, type, offsetof(struct st, member), sizeof(((struct st *)0)->member), NULL}
#define WORD(st, member, words) {#member, F_WORD, offsetof(struct st, member), sizeof(((struct st *)0)->member), words}
#define END {NULL, F_INT, 0, 0, NULL}

static const struct field range_fields[] = {
    FIELD(measure_range, from_a, F_DOUBLE), FIELD(measure_range, to_a, F_DOUBLE), FIELD(measure_range, gain_rel, F_DOUBLE),
    FIELD(measure_range, offset_a, F_DOUBLE), FIELD(measure_range, resolution_a, F_DOUBLE), FIELD(measure_range, shunt_ohm, F_DOUBLE),
    FIELD(measure_range, gain_corr_rel, F_DOUBLE), FIELD(measure_range, offset_corr_a, F_DOUBLE),
    WORD(measure_range, kind, measure_spec_words), END};

static const struct field instrument_fields[] = {
    FIELD(measure_instrument, driver, F_TEXT), FIELD(measure_instrument, model, F_TEXT), FIELD(measure_instrument, serial, F_TEXT),
    FIELD(measure_instrument, firmware, F_TEXT), FIELD(measure_instrument, block, F_BOOL), FIELD(measure_instrument, period_s, F_DOUBLE),
    FIELD(measure_instrument, marker_phase, F_DOUBLE), FIELD(measure_instrument, n_markers, F_INT),
    FIELD(measure_instrument, shared_reference, F_BOOL), FIELD(measure_instrument, voltage_gain_rel, F_DOUBLE),
    FIELD(measure_instrument, voltage_offset_v, F_DOUBLE), WORD(measure_instrument, voltage_kind, measure_spec_words),
    FIELD(measure_instrument, voltage_gain_corr_rel, F_DOUBLE), FIELD(measure_instrument, voltage_offset_corr_v, F_DOUBLE),
    FIELD(measure_instrument, clock_ppm, F_DOUBLE), FIELD(measure_instrument, spec_source, F_TEXT),
    FIELD(measure_instrument, calibration, F_TEXT),
    FIELD(measure_instrument, calibration_expired, F_BOOL), FIELD(measure_instrument, calibration_c, F_DOUBLE), END};

static const struct field supply_fields[] = {
    FIELD(measure_supply, voltage_v, F_DOUBLE), WORD(measure_supply, provenance, measure_provenance_words),
    FIELD(measure_supply, tolerance_v, F_DOUBLE), WORD(measure_supply, plane, measure_plane_words),
    WORD(measure_supply, capacitance, measure_capacitance_words), FIELD(measure_supply, capacitance_f, F_DOUBLE),
    FIELD(measure_supply, capacitance_tol_rel, F_DOUBLE), FIELD(measure_supply, v_min, F_DOUBLE), FIELD(measure_supply, v_max, F_DOUBLE), END};

static const struct field device_fields[] = {
    WORD(measure_device, golden, measure_tri_words), WORD(measure_device, model, measure_tri_words),
    WORD(measure_device, firmware, measure_tri_words), FIELD(measure_device, debug_reported, F_BOOL), FIELD(measure_device, c_debugen, F_BOOL),
    FIELD(measure_device, dbgmcu_cr, F_U32), FIELD(measure_device, reset_cause_reported, F_BOOL), FIELD(measure_device, brownout_reset, F_BOOL),
    FIELD(measure_device, back_powered, F_BOOL), FIELD(measure_device, core_hz, F_DOUBLE), FIELD(measure_device, unit, F_TEXT),
    FIELD(measure_device, idle_state, F_TEXT), END};

static const struct field request_fields[] = {
    FIELD(measure_request, inferences, F_U32), FIELD(measure_request, sent_ns, F_I64), FIELD(measure_request, ready_ns, F_I64),
    FIELD(measure_request, start_ns, F_I64), FIELD(measure_request, done_ns, F_I64), FIELD(measure_request, segment, F_INT),
    FIELD(measure_request, device_ticks, F_U64), FIELD(measure_request, device_hz, F_DOUBLE), FIELD(measure_request, device_inferences, F_U32),
    WORD(measure_request, output, measure_tri_words), FIELD(measure_request, reset_seen, F_BOOL), FIELD(measure_request, input, F_TEXT), END};

static const struct field stretch_fields[] = {FIELD(measure_stretch, from_ns, F_I64), FIELD(measure_stretch, to_ns, F_I64),
                                              FIELD(measure_stretch, segment, F_INT), END};

static const struct field capture_fields[] = {
    WORD(measure_capture, scheme, measure_scheme_words), WORD(measure_capture, method, measure_method_words),
    FIELD(measure_capture, clock_tol_rel, F_DOUBLE), FIELD(measure_capture, temperature_c, F_DOUBLE), END};

static const struct field config_fields[] = {
    WORD(measure_config, rule, measure_rule_words), FIELD(measure_config, glitch_s, F_DOUBLE), FIELD(measure_config, min_windows, F_INT),
    FIELD(measure_config, min_window_s, F_DOUBLE), FIELD(measure_config, min_inferences, F_INT), FIELD(measure_config, idle_min_s, F_DOUBLE),
    FIELD(measure_config, idle_guard_s, F_DOUBLE), FIELD(measure_config, idle_block_s, F_DOUBLE), FIELD(measure_config, idle_drift_rel, F_DOUBLE),
    FIELD(measure_config, range_near_share, F_DOUBLE), FIELD(measure_config, spread_rel, F_DOUBLE), FIELD(measure_config, outlier_z, F_DOUBLE), FIELD(measure_config, outlier_rel, F_DOUBLE), FIELD(measure_config, steady_p, F_DOUBLE),
    FIELD(measure_config, steady_rel, F_DOUBLE), FIELD(measure_config, edge_rel, F_DOUBLE), FIELD(measure_config, host_clock_rel, F_DOUBLE),
    FIELD(measure_config, host_clock_s, F_DOUBLE), FIELD(measure_config, loss_block_s, F_DOUBLE), FIELD(measure_config, loss_samples, F_INT),
    FIELD(measure_config, loss_hold, F_INT), FIELD(measure_config, loss_margin_s, F_DOUBLE), FIELD(measure_config, loss_scatter_s, F_DOUBLE),
    FIELD(measure_config, stage_min_samples, F_DOUBLE), FIELD(measure_config, temperature_shift_c, F_DOUBLE), FIELD(measure_config, draws, F_U32),
    FIELD(measure_config, seed, F_U64), END};

/* ---- to JSON ---------------------------------------------------------------------------------------------- */
static json_t *field_value(const struct field *f, const char *at) {
    double d;
    bool b;
    int i;
    uint32_t u;
    int64_t l;
    switch (f->type) {
    case F_DOUBLE:
        memcpy(&d, at, sizeof d);
        return isfinite(d) ? json_real(d) : json_null();
    case F_BOOL:
        memcpy(&b, at, sizeof b);
        return json_boolean(b);
    case F_INT:
        memcpy(&i, at, sizeof i);
        return json_integer(i);
    case F_WORD:
        memcpy(&i, at, sizeof i);
        return json_string(measure_word(f->words, i));
    case F_U32:
        memcpy(&u, at, sizeof u);
        return json_integer(u);
    case F_I64:
    case F_U64:
        memcpy(&l, at, sizeof l);
        return json_integer(l);
    case F_TEXT:
        return json_stringn(at, strnlen(at, f->size));
    }
    return NULL;
}

static json_t *object_of(const struct field *fields, const void *st) {
    json_t *o = json_object();
    for (const struct field *f = fields; o && f->name; f++)
        if (json_object_set_new(o, f->name, field_value(f, (const char *)st + f->offset)) < 0) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *array_of(const struct field *fields, const void *first, size_t stride, int n) {
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++)
        if (json_array_append_new(a, object_of(fields, (const char *)first + (size_t)i * stride)) < 0) {
            json_decref(a);
            return NULL;
        }
    return a;
}

json_t *measure_capture_json(const struct measure_capture *c) {
    json_t *o = object_of(capture_fields, c);
    json_t *in = object_of(instrument_fields, &c->instrument);
    int bad = !o || !in;
    bad = bad || json_object_set_new(in, "ranges", array_of(range_fields, c->instrument.ranges, sizeof c->instrument.ranges[0], c->instrument.n_ranges));
    bad = bad || json_object_set(o, "instrument", in);
    bad = bad || json_object_set_new(o, "supply", object_of(supply_fields, &c->supply));
    bad = bad || json_object_set_new(o, "device", object_of(device_fields, &c->device));
    bad = bad || json_object_set_new(o, "requests", array_of(request_fields, c->requests, sizeof c->requests[0], c->n_requests));
    bad = bad || json_object_set_new(o, "stretches", array_of(stretch_fields, c->stretches, sizeof c->stretches[0], c->n_stretches));
    json_decref(in);
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *measure_config_json(const struct measure_config *c) {
    return object_of(config_fields, c);
}

/* ---- from JSON -------------------------------------------------------------------------------------------- */
static int wrong(struct err *reterr, const struct field *f) {
    return err_set_at(reterr, JF_E_PARSE, f->name, "field %s has a wrong type or value", f->name);
}

static int parse_field(const struct field *f, const json_t *v, char *at, struct err *reterr) {
    if (f->type == F_DOUBLE) {
        if (!json_is_number(v) && !json_is_null(v))
            return wrong(reterr, f);
        double d = json_is_null(v) ? NAN : json_number_value(v);
        memcpy(at, &d, sizeof d);
    } else if (f->type == F_BOOL) {
        if (!json_is_boolean(v))
            return wrong(reterr, f);
        bool b = json_is_true(v);
        memcpy(at, &b, sizeof b);
    } else if (f->type == F_TEXT) {
        if (!json_is_string(v) || json_string_length(v) >= f->size)
            return wrong(reterr, f);
        memset(at, 0, f->size);
        memcpy(at, json_string_value(v), json_string_length(v));
    } else if (f->type == F_WORD) {
        int i = measure_word_find(f->words, json_string_value(v));
        if (i < 0)
            return wrong(reterr, f);
        memcpy(at, &i, sizeof i);
    } else {
        if (!json_is_integer(v))
            return wrong(reterr, f);
        int64_t l = json_integer_value(v);
        if (f->type == F_U32 && l >= 0 && l <= UINT32_MAX)
            memcpy(at, &(uint32_t){(uint32_t)l}, sizeof(uint32_t));
        else if (f->type == F_INT && l >= INT32_MIN && l <= INT32_MAX)
            memcpy(at, &(int){(int)l}, sizeof(int));
        else if (f->type == F_I64 || f->type == F_U64)
            memcpy(at, &l, sizeof l);
        else
            return wrong(reterr, f);
    }
    return 0;
}

static int parse_object(const struct field *fields, const json_t *o, void *st, struct err *reterr) {
    if (!json_is_object(o))
        return err_set(reterr, JF_E_PARSE, "an object is missing in the stored capture");
    for (const struct field *f = fields; f->name; f++) {
        const json_t *v = json_object_get(o, f->name);
        int rc = v ? parse_field(f, v, (char *)st + f->offset, reterr) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_array(const struct field *fields, const json_t *a, void *first, size_t stride, int most, int *ret_n, struct err *reterr) {
    if (!json_is_array(a) || json_array_size(a) > (size_t)most)
        return err_set(reterr, JF_E_PARSE, "a list is missing or too long in the stored capture");
    int n = (int)json_array_size(a);
    for (int i = 0; i < n; i++) {
        int rc = parse_object(fields, json_array_get(a, (size_t)i), (char *)first + (size_t)i * stride, reterr);
        if (rc < 0)
            return rc;
    }
    *ret_n = n;
    return 0;
}

int measure_capture_from_json(const json_t *j, struct measure_capture *ret_c, struct err *reterr) {
    const json_t *in = json_object_get(j, "instrument");
    measure_capture_init(ret_c);
    int rc = parse_object(capture_fields, j, ret_c, reterr);
    if (rc == 0)
        rc = parse_object(instrument_fields, in, &ret_c->instrument, reterr);
    if (rc == 0)
        rc = parse_array(range_fields, json_object_get(in, "ranges"), ret_c->instrument.ranges, sizeof ret_c->instrument.ranges[0],
                         MEASURE_MAX_RANGES, &ret_c->instrument.n_ranges, reterr);
    if (rc == 0)
        rc = parse_object(supply_fields, json_object_get(j, "supply"), &ret_c->supply, reterr);
    if (rc == 0)
        rc = parse_object(device_fields, json_object_get(j, "device"), &ret_c->device, reterr);
    if (rc == 0)
        rc = parse_array(request_fields, json_object_get(j, "requests"), ret_c->requests, sizeof ret_c->requests[0], MEASURE_MAX_WINDOWS,
                         &ret_c->n_requests, reterr);
    if (rc == 0)
        rc = parse_array(stretch_fields, json_object_get(j, "stretches"), ret_c->stretches, sizeof ret_c->stretches[0], MEASURE_MAX_STRETCHES,
                         &ret_c->n_stretches, reterr);
    return rc;
}

int measure_config_from_json(const json_t *j, struct measure_config *ret_c, struct err *reterr) {
    measure_config_init(ret_c);
    return parse_object(config_fields, j, ret_c, reterr);
}
