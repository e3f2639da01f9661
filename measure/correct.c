/* SPDX-License-Identifier: GPL-2.0-or-later
 * Sums of samples to sums of the quantity: corrections known from a calibration or from one-sided limits, and the burden voltage
 * where the reference plane lies behind the shunt (measurement specification, sections 1 and 5). Linear in the sums, so that the
 * samples need no second look. Pure. */
#include <math.h>

#include "measure/analysis.h"

/* The set voltage is that of the supply, before the shunt; a measured one is taken where it was measured. */
bool analysis_burden_subtracted(const struct analysis *a) {
    const struct measure_supply *s = &a->cap->supply;
    return s->provenance == MEASURE_VOLTAGE_SET && s->plane != MEASURE_PLANE_ANALYZER_OUT;
}

void analysis_correct(const struct analysis *a, struct integral *s) {
    const struct measure_instrument *in = &a->cap->instrument;
    double cv = in->voltage_gain_corr_rel, ov = in->voltage_offset_corr_v, dp = 0, di = 0, dv = 0;
    bool burden = analysis_burden_subtracted(a);
    for (int g = 0; g < in->n_ranges && g < MEASURE_MAX_RANGES; g++) {
        const struct measure_range *r = &in->ranges[g];
        double ig = s->range_i[g] * (1 + r->gain_corr_rel) + r->offset_corr_a * s->range_cells[g];
        double pg = s->range_p[g] * (1 + r->gain_corr_rel) + r->offset_corr_a * s->range_v[g];
        pg = pg * (1 + cv) + ov * ig;
        if (burden) {
            double c = 1 + r->gain_corr_rel, o = r->offset_corr_a;
            pg -= r->shunt_ohm * (c * c * s->range_ii[g] + 2 * c * o * s->range_i[g] + o * o * s->range_cells[g]);
        }
        double vg = s->range_v[g] * (1 + cv) + ov * s->range_cells[g];
        dp += pg - s->range_p[g];
        di += ig - s->range_i[g];
        dv += vg - s->range_v[g];
        s->range_p[g] = pg;
        s->range_i[g] = ig;
        s->range_v[g] = vg;
    }
    measure_acc_add(&s->p, dp);
    measure_acc_add(&s->i, di);
    measure_acc_add(&s->v, dv);
}
