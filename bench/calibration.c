/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reading a calibration record. Its figures are limits of true value minus reading, low and high: the middle is corrected, the rest
 * is the uncertainty (measurement specification, section 5). Pure. */
#include "bench/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define WHERE "analyzer.calibration_record"

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_date(const char *s) {
    if (strlen(s) != 10)
        return false;
    for (int i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? s[i] != '-' : s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

/* Limits low..high; one alone is symmetric; neither: false, nothing is said. */
static int limits(const json_t *o, const char *low, const char *high, double most, bool *ret_said, double *ret_corr, double *ret_half,
                  struct err *reterr) {
    const json_t *l = json_object_get(o, low), *h = json_object_get(o, high);
    *ret_said = h != NULL;
    if (!h)
        return l ? err_set_at(reterr, JF_E_INVAL, WHERE, "%s needs %s beside it", low, high) : 0;
    double b = json_number_value(h), a = l ? json_number_value(l) : -b;
    if (!json_is_number(h) || (l && !json_is_number(l)) || !(a <= b) || !(fabs(a) <= most) || !(fabs(b) <= most))
        return err_set_at(reterr, JF_E_INVAL, WHERE, "%s and %s must be numbers in this order, of at most %g", low, high, most);
    measure_asymmetric(-a, b, ret_corr, ret_half);
    return 0;
}

static int take_range(const json_t *o, enum measure_spec kind, struct measure_instrument *in, struct err *reterr) {
    const json_t *number = json_object_get(o, "range");
    if (!json_is_integer(number) || json_integer_value(number) < 0 || json_integer_value(number) >= in->n_ranges)
        return err_set_at(reterr, JF_E_INVAL, WHERE ".ranges", "the analyzer has the ranges 0 to %d", in->n_ranges - 1);
    struct measure_range *r = &in->ranges[json_integer_value(number)];
    bool gain, offset;
    int rc = limits(o, "gain_low", "gain_high", 0.5, &gain, &r->gain_corr_rel, &r->gain_rel, reterr);
    rc = rc < 0 ? rc : limits(o, "offset_low_a", "offset_high_a", 10, &offset, &r->offset_corr_a, &r->offset_a, reterr);
    if (rc == 0 && !gain)
        return err_set_at(reterr, JF_E_INVAL, WHERE ".ranges", "range %d needs gain_high", (int)json_integer_value(number));
    r->kind = kind;
    return rc;
}

static int take_voltage(const json_t *o, enum measure_spec kind, struct measure_instrument *in, struct err *reterr) {
    bool gain = false, offset = false;
    if (!o)
        return 0;
    int rc = limits(o, "gain_low", "gain_high", 0.5, &gain, &in->voltage_gain_corr_rel, &in->voltage_gain_rel, reterr);
    rc = rc < 0 ? rc : limits(o, "offset_low_v", "offset_high_v", 10, &offset, &in->voltage_offset_corr_v, &in->voltage_offset_v, reterr);
    if (rc == 0 && !gain)
        return err_set_at(reterr, JF_E_INVAL, WHERE ".voltage", "voltage needs gain_high");
    in->voltage_kind = kind;
    return rc;
}

int calibration_apply(const json_t *analyzer, int64_t wall_ns, struct measure_instrument *in, struct err *reterr) {
    const json_t *c = json_object_get(analyzer, "calibration_record"), *ranges = json_object_get(c, "ranges");
    enum measure_spec kind;
    char today[CLOCK_RFC3339_SIZE];
    if (!c || json_is_null(c))
        return 0;
    const char *id = text(c, "id"), *serial = text(c, "unit_serial"), *due = text(c, "due"), *date = text(c, "date");
    if (!id[0] || strlen(id) >= sizeof in->calibration || !serial[0])
        return err_set_at(reterr, JF_E_INVAL, WHERE, "a record needs an id of at most %zu characters and the unit_serial", sizeof in->calibration - 1);
    if (strcmp(serial, in->serial) != 0)
        return err_set_at(reterr, JF_E_IDENTITY, WHERE, "record %s is that of unit %s, this is unit %s", id, serial, in->serial[0] ? in->serial : "(unknown)");
    if (!is_date(date) || (due[0] && !is_date(due)))
        return err_set_at(reterr, JF_E_INVAL, WHERE, "date and due are written YYYY-MM-DD");
    if (measure_spec_parse(text(c, "kind"), &kind) < 0 || (kind != MEASURE_SPEC_LIMIT && kind != MEASURE_SPEC_K2))
        return err_set_at(reterr, JF_E_INVAL, WHERE ".kind", "kind must be limit or k2");
    size_t i;
    json_t *range;
    int rc = 0;
    json_array_foreach((json_t *)ranges, i, range) {
        rc = rc < 0 ? rc : take_range(range, kind, in, reterr);
    }
    rc = rc < 0 ? rc : take_voltage(json_object_get(c, "voltage"), kind, in, reterr);
    if (rc < 0)
        return rc;
    const json_t *ppm = json_object_get(c, "clock_ppm"), *temperature = json_object_get(c, "temperature_c");
    in->clock_ppm = json_is_number(ppm) ? json_number_value(ppm) : in->clock_ppm;
    in->calibration_c = json_is_number(temperature) ? json_number_value(temperature) : (double)NAN;
    clock_rfc3339(wall_ns, today);
    today[10] = 0;
    in->calibration_expired = due[0] && strcmp(due, today) < 0;
    (void)snprintf(in->calibration, sizeof in->calibration, "%s", id);
    (void)snprintf(in->spec_source, sizeof in->spec_source, "calibration %s of %s", id, date);
    return 0;
}
