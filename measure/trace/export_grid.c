/* SPDX-License-Identifier: GPL-2.0-or-later
 * A trace's samples as energies of equal cells. */
#include <math.h>
#include <stdlib.h>

#include "measure/trace/export_inner.h"

struct fill {
    double x0, wide, dt, volts;
    int64_t n;
    double *sum; /* uJ */
    bool unknown;
};

void export_grid_done(struct export_grid *g) {
    free(g->uj);
    *g = (struct export_grid){0};
}

/* One native sample, over the cells that it covers. */
static void spread(struct fill *f, double x, double uj) {
    double lo = (x - f->x0) / f->wide, hi = (x + 1 - f->x0) / f->wide;
    double near = floor(hi + 0.5); /* a sample that ends on a cell's end up to rounding ends there */
    hi = fabs(hi - near) < 1e-9 * f->wide ? near : hi;
    near = floor(lo + 0.5);
    lo = fabs(lo - near) < 1e-9 * f->wide ? near : lo;
    int64_t end = (int64_t)ceil(hi);
    for (int64_t c = (int64_t)floor(lo); c < end; c++) {
        double part = (fmin(hi, (double)(c + 1)) - fmax(lo, (double)c)) / (hi - lo);
        if (c >= 0 && c < f->n)
            f->sum[c] += uj * part;
    }
}

static int on_block(void *user, const struct measure_block *b) {
    struct fill *f = user;
    struct export_sample s;
    if (b->flags & MEASURE_GAP)
        return 0;
    for (uint32_t i = 0; i < b->count; i++) {
        export_sample_of(b, i, f->volts, &s);
        double uj = (double)s.current_a * s.voltage_v * f->dt * 1e6;
        f->unknown = f->unknown || !isfinite(uj);
        spread(f, (double)s.index, isfinite(uj) ? uj : 0);
    }
    return 0;
}

int export_grid_fill(struct trace_reader *r, double x0, double wide, int64_t n, struct export_grid *ret_g, struct err *reterr) {
    struct trace_info in;
    struct measure_source src;
    trace_reader_info(r, &in);
    struct fill f = {.x0 = x0, .wide = wide, .dt = in.period_s, .volts = in.voltage_v, .n = n, .sum = calloc((size_t)n, sizeof(double))};
    float *uj = malloc((size_t)n * sizeof *uj);
    if (!f.sum || !uj) {
        free(f.sum);
        free(uj);
        return err_set(reterr, JF_E_NOMEM, "no memory for %lld energies", (long long)n);
    }
    trace_reader_source(r, &src);
    int rc = src.each(src.self, (int64_t)floor(x0), (int64_t)ceil(x0 + wide * (double)n), MEASURE_WANT_VALUES, on_block, &f, reterr);
    if (rc == 0 && f.unknown)
        rc = err_set(reterr, JF_E_UNSUPPORTED, "the trace has samples without a known voltage or current: their energy is not known");
    for (int64_t i = 0; i < n; i++)
        uj[i] = (float)f.sum[i];
    free(f.sum);
    if (rc < 0) {
        free(uj);
        return rc;
    }
    *ret_g = (struct export_grid){1 / (in.period_s * wide), n, uj};
    return 0;
}
