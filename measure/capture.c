/* SPDX-License-Identifier: GPL-2.0-or-later
 * Defaults and checks of the description of a capture. Pure. */
#include "measure/capture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/measure.h"

void measure_capture_init(struct measure_capture *ret_c) {
    memset(ret_c, 0, sizeof *ret_c);
    ret_c->instrument.marker_phase = -1;
    ret_c->instrument.clock_ppm = -1;
    ret_c->instrument.calibration_c = NAN;
    ret_c->instrument.voltage_kind = MEASURE_SPEC_UNKNOWN;
    for (int i = 0; i < MEASURE_MAX_RANGES; i++)
        ret_c->instrument.ranges[i].kind = MEASURE_SPEC_UNKNOWN;
    ret_c->supply.voltage_v = NAN;
    ret_c->supply.provenance = MEASURE_VOLTAGE_STATED;
    ret_c->supply.tolerance_v = NAN;
    ret_c->supply.v_min = NAN;
    ret_c->supply.v_max = NAN;
    ret_c->supply.capacitance = MEASURE_C_UNKNOWN;
    ret_c->scheme = MEASURE_SCHEME_PHASES;
    ret_c->temperature_c = NAN;
    ret_c->clock_tol_rel = 2e-4;
    for (int i = 0; i < MEASURE_MAX_WINDOWS; i++)
        ret_c->requests[i].segment = -1;
    for (int i = 0; i < MEASURE_MAX_STRETCHES; i++)
        ret_c->stretches[i].segment = -1;
}

#define MAX_NS ((int64_t)1 << 61)

static bool positive(double v) {
    return isfinite(v) && v > 0;
}

static bool non_negative(double v) {
    return isfinite(v) && v >= 0;
}

static bool correction(double v) {
    return isfinite(v) && fabs(v) <= 0.5;
}

static bool time_ok(int64_t ns) { /* 73 years either way: differences do not overflow */
    return ns >= -MAX_NS && ns <= MAX_NS;
}

static int check_instrument(const struct measure_instrument *in, struct err *reterr) {
    if (!(in->period_s >= 1e-11 && in->period_s <= 10))
        return err_set_at(reterr, JF_E_INVAL, "instrument.period_s", "the sample period must lie between 10 ps and 10 s");
    if (in->n_ranges < 0 || in->n_ranges > MEASURE_MAX_RANGES)
        return err_set_at(reterr, JF_E_INVAL, "instrument.n_ranges", "0 to %d ranges are possible", MEASURE_MAX_RANGES);
    if (in->n_markers < 0 || in->n_markers > 8)
        return err_set_at(reterr, JF_E_INVAL, "instrument.n_markers", "0 to 8 marker lines are possible");
    if (!isfinite(in->marker_phase) || in->marker_phase > 1)
        return err_set_at(reterr, JF_E_INVAL, "instrument.marker_phase", "the marker phase lies between 0 and 1");
    if (!isfinite(in->clock_ppm) || !non_negative(in->voltage_gain_rel) || !non_negative(in->voltage_offset_v) ||
        !correction(in->voltage_gain_corr_rel) || !isfinite(in->voltage_offset_corr_v))
        return err_set_at(reterr, JF_E_INVAL, "instrument", "an accuracy is not a number");
    for (int i = 0; i < in->n_ranges; i++) {
        const struct measure_range *g = &in->ranges[i];
        char where[48];
        snprintf(where, sizeof where, "instrument.ranges[%d]", i);
        if (!non_negative(g->gain_rel) || !non_negative(g->offset_a) || !non_negative(g->resolution_a) || !non_negative(g->shunt_ohm) ||
            g->shunt_ohm > 1e9 || !correction(g->gain_corr_rel) || !isfinite(g->offset_corr_a))
            return err_set_at(reterr, JF_E_INVAL, where, "an accuracy is negative, absurd or not a number");
    }
    return 0;
}

static int check_supply(const struct measure_supply *s, struct err *reterr) {
    if (!isnan(s->voltage_v) && !positive(s->voltage_v))
        return err_set_at(reterr, JF_E_INVAL, "supply.voltage_v", "the supply voltage must be above 0");
    if (isnan(s->voltage_v) && s->provenance != MEASURE_VOLTAGE_MEASURED)
        return err_set_at(reterr, JF_E_INVAL, "supply.voltage_v", "a voltage that is not measured must be given");
    if (s->capacitance != MEASURE_C_UNKNOWN && (!non_negative(s->capacitance_f) || s->capacitance_f > 1e3 || !non_negative(s->capacitance_tol_rel)))
        return err_set_at(reterr, JF_E_INVAL, "supply.capacitance_f", "the capacitance is negative or not a number");
    return 0;
}

int measure_capture_check(const struct measure_capture *cap, struct err *reterr) {
    int rc = check_instrument(&cap->instrument, reterr);
    if (rc == 0)
        rc = check_supply(&cap->supply, reterr);
    if (rc < 0)
        return rc;
    if (cap->n_requests < 1 || cap->n_requests > MEASURE_MAX_WINDOWS)
        return err_set_at(reterr, JF_E_INVAL, "requests", "1 to %d windows are possible", MEASURE_MAX_WINDOWS);
    if (cap->n_stretches < 0 || cap->n_stretches > MEASURE_MAX_STRETCHES)
        return err_set_at(reterr, JF_E_INVAL, "stretches", "at most %d idle stretches are possible", MEASURE_MAX_STRETCHES);
    if (!non_negative(cap->clock_tol_rel))
        return err_set_at(reterr, JF_E_INVAL, "clock_tol_rel", "the clock tolerance is negative or not a number");
    if (cap->instrument.n_markers < (cap->scheme == MEASURE_SCHEME_PHASES ? 2 : 1))
        return err_set_at(reterr, JF_E_INVAL, "instrument.n_markers", "scheme %s needs more marker lines than %d",
                          measure_scheme_name(cap->scheme), cap->instrument.n_markers);
    for (int k = 0; k < cap->n_requests; k++) {
        const struct measure_request *q = &cap->requests[k];
        char where[32];
        snprintf(where, sizeof where, "requests[%d]", k);
        if (q->inferences == 0)
            return err_set_at(reterr, JF_E_INVAL, where, "a window needs at least one inference");
        if (!time_ok(q->sent_ns) || !time_ok(q->ready_ns) || !time_ok(q->start_ns) || !time_ok(q->done_ns))
            return err_set_at(reterr, JF_E_INVAL, where, "a host time is absurd");
        if (q->ready_ns < q->sent_ns || q->done_ns < q->start_ns)
            return err_set_at(reterr, JF_E_INVAL, where, "host times run backwards");
        if (k > 0 && q->sent_ns && q->sent_ns < cap->requests[k - 1].ready_ns)
            return err_set_at(reterr, JF_E_INVAL, where, "host times of two windows overlap");
        if (!isfinite(q->device_hz) || q->device_hz < 0)
            return err_set_at(reterr, JF_E_INVAL, where, "the device's timer rate is not a number");
        if (q->segment < -1)
            return err_set_at(reterr, JF_E_INVAL, where, "there is no acquisition %d", q->segment);
    }
    for (int k = 0; k < cap->n_stretches; k++)
        if (!time_ok(cap->stretches[k].from_ns) || !time_ok(cap->stretches[k].to_ns) || cap->stretches[k].to_ns < cap->stretches[k].from_ns)
            return err_set_at(reterr, JF_E_INVAL, "stretches", "stretch %d runs backwards or is absurd", k);
    return 0;
}
