/* SPDX-License-Identifier: GPL-2.0-or-later
 * Shared by the writers of foreign layouts, for nobody else. */
#ifndef MEASURE_TRACE_EXPORT_INNER_H
#define MEASURE_TRACE_EXPORT_INNER_H

#include "measure/trace/export.h"

/* Energies of equal cells. */
struct export_grid {
    double rate_hz;
    int64_t n;
    float *uj; /* owned */
};
void export_grid_done(struct export_grid *g);
/* Cells of `wide` native samples from native position x0 (fractions count by their share): n of them. JF_E_UNSUPPORTED: the
 * trace has no voltage. */
int export_grid_fill(struct trace_reader *r, double x0, double wide, int64_t n, struct export_grid *ret_g, struct err *reterr) JF_MUST_CHECK;

/* Where the runners' layouts get their samples. whole: one grid of everything (eembc), after which the windows' times in the
 * facts are on its time line, from 0. run: cells of 1 ms of window k, which is [*ret_a, *ret_b) of them. */
struct export_energies {
    int (*whole)(void *self, struct export_grid *ret_g, struct err *reterr);
    int (*run)(void *self, int k, struct export_grid *ret_g, int64_t *ret_a, int64_t *ret_b, struct err *reterr);
    void *self;
};
int export_eembc(const struct export_energies *e, const struct export_facts *f, FILE *out, struct err *reterr) JF_MUST_CHECK;
int export_mlcommons(const struct export_energies *e, const struct export_facts *f, FILE *out, struct err *reterr) JF_MUST_CHECK;

int export_sr(struct trace_reader *r, FILE *out, struct err *reterr) JF_MUST_CHECK;
int export_csv(struct trace_reader *r, FILE *out, struct err *reterr) JF_MUST_CHECK;
int export_npy(struct trace_reader *r, FILE *out, struct err *reterr) JF_MUST_CHECK;

/* One recorded sample of a block; voltage NAN when unknown, markers 0 without lines. */
struct export_sample {
    int64_t index;
    float current_a;
    double voltage_v; /* the constant where there is no channel */
    uint8_t markers;
};
void export_sample_of(const struct measure_block *b, uint32_t i, double volts, struct export_sample *ret);
int export_full(FILE *out, struct err *reterr); /* JF_E_IO when a write to out has failed, else 0 */

#endif
