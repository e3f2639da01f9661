/* SPDX-License-Identifier: GPL-2.0-or-later
 * Coverage of U95: virtual runs with known truth in which every error is drawn from the distribution that its line of the budget
 * declares. Shared by the study (tests/bench/coverage_study.c) and its quick form among the unit tests. */
#ifndef TESTS_COVERAGE_H
#define TESTS_COVERAGE_H

#include <stdio.h>

#include "tests/unit/measure/synth.h"

struct coverage {
    int runs, judged; /* judged: those with verdict valid */
    int gross, net; /* covered */
    double u_rel_gross, u_rel_net; /* mean U95 / truth */
};

struct coverage_model {
    const char *name, *what; /* what dominates */
    bool block; /* oscilloscope: acquisitions, one range, measured voltage */
    enum measure_spec kind; /* of all limits below: rectangular half widths, or two sigma */
    bool shared; /* the ranges' gain errors are one */
    double dt;
    double gain_below[2], gain[2], offset_below_a[2], offset_a[2]; /* limits [-below, +above] per range; below < 0: as above */
    double step_a[2];
    double volt_gain, volt_offset, clock_ppm; /* limits */
    double ohm, farad, farad_tol; /* shunt and the board's capacitance, its tolerance (rectangular) */
    double noise_a, scatter; /* per sample; relative, from window to window (the board's own) */
    double idle_a, active; /* idle current; factor on the usual active currents */
};
#define BOTH(a, b) {-1, -1}, {a, b}

/* Lines of very different weight dominate in turn. */
static const struct coverage_model coverage_models[] = {
    {"ppk2-like", "a rectangular gain of 10 %, two ranges", false, MEASURE_SPEC_LIMIT, false, 1e-4, BOTH(0.10, 0.10), BOTH(2e-6, 2e-5), {5e-6, 5e-5}, 0.02, 0, 50, 0, 0, 0,
     3e-5, 2e-4, 0.002, 1},
    {"ppk2-tight", "gain, voltage, offset alike", false, MEASURE_SPEC_LIMIT, false, 1e-4, BOTH(0.002, 0.001), BOTH(4e-6, 1e-5), {0, 0}, 0.001, 0.002, 20, 0, 0, 0, 5e-5, 1e-3, 0.002, 1},
    {"ppk2-one-sided", "limits of [-2 %, +8 %] and [-5, +40] uA, corrected by their middle", false, MEASURE_SPEC_LIMIT, false, 1e-4, {0.02, 0.01}, {0.08, 0.03}, {5e-6, 5e-6},
     {4e-5, 4e-5}, {0, 0}, 0.005, 0, 50, 0, 0, 0, 3e-5, 2e-4, 0.002, 1},
    {"ppk2-record", "a calibration record: two sigma, normal, with corrections", false, MEASURE_SPEC_K2, false, 1e-4, {-0.001, 0.002}, {0.005, 0.006}, {1e-6, 2e-6}, {3e-6, 8e-6}, {0, 0}, 0.001,
     0.001, 10, 0, 0, 0, 3e-5, 2e-4, 0.002, 1},
    {"ppk2-reference", "two ranges whose gains share one reference", false, MEASURE_SPEC_LIMIT, true, 1e-4, BOTH(0.02, 0.01), BOTH(1e-6, 1e-6), {0, 0}, 0.002, 0, 50, 0, 0, 0, 3e-5, 2e-4, 0.002, 1},
    {"scope-like", "gain, offset, voltage; one range", true, MEASURE_SPEC_LIMIT, false, 1e-4, BOTH(0.01, 0), BOTH(1e-4, 0), {0, 0}, 0.01, 0.01, 50, 0, 0, 0, 4e-4, 5e-4, 0.002, 1},
    {"scope-scatter", "five windows that scatter by 0.12 %", true, MEASURE_SPEC_LIMIT, false, 1e-4, BOTH(0.0004, 0), BOTH(1e-6, 0), {0, 0}, 0.0002, 0, 10, 0, 0, 0, 1e-4, 1.2e-3, 0.002, 1},
    {"scope-smeared", "50 ohm and 200 uF known to 30 %: the charge at the windows' edges", true, MEASURE_SPEC_LIMIT, false, 1e-4, BOTH(0.0001, 0), BOTH(1e-6, 0), {0, 0}, 0.0001, 0, 10, 50, 2e-4, 0.3,
     2e-5, 5e-5, 0.002, 1},
};
#define COVERAGE_MODELS ((int)(sizeof coverage_models / sizeof coverage_models[0]))

static inline double draw_limit(struct measure_rng *g, double half) {
    return half * (2 * measure_rng_uniform(g) - 1);
}

/* From the distribution that the budget's line of this kind declares. */
static inline double draw_spec(struct measure_rng *g, enum measure_spec kind, double half) {
    return kind == MEASURE_SPEC_K2 ? half / 2 * measure_rng_normal(g) : draw_limit(g, half);
}

static inline void coverage_instrument(struct synth *s, const struct coverage_model *m, struct measure_rng *g) {
    struct measure_instrument *in = &s->cap_.instrument;
    double shared = draw_spec(g, m->kind, 1);
    in->block = m->block;
    in->n_ranges = m->block ? 1 : 2;
    in->shared_reference = m->shared;
    in->marker_phase = -1;
    s->phi = measure_rng_uniform(g);
    s->auto_range = true;
    s->range_amp = m->block ? INFINITY : 0.005;
    for (int r = 0; r < in->n_ranges; r++) {
        struct measure_range *range = &in->ranges[r];
        bool one_sided = m->gain_below[0] >= 0 || m->gain_below[1] >= 0;
        *range = (struct measure_range){.to_a = 1, .gain_rel = m->gain[r], .offset_a = m->offset_a[r], .resolution_a = m->step_a[r], .shunt_ohm = m->ohm, .kind = m->kind};
        if (one_sided) {
            measure_asymmetric(m->gain_below[r], m->gain[r], &range->gain_corr_rel, &range->gain_rel);
            measure_asymmetric(m->offset_below_a[r], m->offset_a[r], &range->offset_corr_a, &range->offset_a);
        }
        s->range_gain[r] = range->gain_corr_rel + (m->shared ? shared * range->gain_rel : draw_spec(g, m->kind, range->gain_rel));
        s->range_offset[r] = range->offset_corr_a + draw_spec(g, m->kind, range->offset_a);
        s->range_step[r] = m->step_a[r];
    }
    s->with_range = !m->block;
    in->voltage_gain_rel = m->volt_gain;
    in->voltage_offset_v = m->volt_offset;
    in->voltage_kind = m->kind;
    s->volt_reported = (s->volt - draw_spec(g, m->kind, m->volt_offset)) / (1 + draw_spec(g, m->kind, m->volt_gain));
    s->with_voltage = m->block;
    s->cap_.supply.voltage_v = s->volt_reported;
    s->cap_.supply.provenance = m->block ? MEASURE_VOLTAGE_MEASURED : MEASURE_VOLTAGE_SET;
    s->cap_.supply.capacitance_f = m->farad;
    s->cap_.supply.capacitance_tol_rel = m->farad_tol;
    in->clock_ppm = m->clock_ppm;
    in->period_s = s->dt / (1 + draw_limit(g, m->clock_ppm * 1e-6));
    s->noise_a = m->noise_a;
    s->host_jitter_s = 1e-5;
}

/* Five windows; each begins at a random place of the sampling grid and has its own small factor. */
static inline void coverage_timeline(struct synth *s, const struct coverage_model *m, struct measure_rng *g, uint32_t n) {
    static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.00052, 0.0061, 0.00043, 0.00107, 0.00031}};
    double lead = m->block ? 0.1 : 4;
    synth_hold(s, lead + measure_rng_uniform(g) * s->dt, m->idle_a, 3);
    for (int k = 0; k < 5; k++) {
        struct synth_inference inf = usual;
        double f = m->active * (1 + m->scatter * measure_rng_normal(g));
        for (int i = 0; i < SYNTH_STAGES; i++)
            inf.amp[i] *= f;
        double from = s->t_end;
        synth_hold(s, measure_rng_uniform(g) * s->dt, m->idle_a, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
        synth_idle(s, 1.2, m->idle_a);
        synth_window(s, n, &inf, m->idle_a * 2);
        if (m->block) {
            synth_idle(s, 1.2, m->idle_a);
            s->cap_.stretches[s->cap_.n_stretches - 1].segment = s->cap_.stretches[s->cap_.n_stretches - 2].segment = k;
            s->cap_.requests[k].segment = k;
            s->acq[s->n_acq++] = (struct synth_acquisition){from, s->t_end};
            synth_hold(s, 0.05, m->idle_a, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
        }
    }
    if (!m->block)
        synth_idle(s, 1.2, m->idle_a);
    synth_hold(s, lead, m->idle_a, (uint8_t)(1 | (s->lv[s->n - 1].m & 2)));
    s->win[0].charge = 0; /* the nominal window: what a board without scatter takes */
    for (int i = 0; i < SYNTH_STAGES; i++)
        s->win[0].charge += n * usual.amp[i] * m->active * usual.s[i];
    s->win[0].charge += 8 * s->dt * usual.amp[0] * m->active;
}

static inline int coverage_run(const struct coverage_model *m, uint64_t seed, uint32_t draws, struct coverage *c) {
    const uint32_t n = 120;
    struct synth *s = malloc(sizeof *s);
    struct measure_result *r = malloc(sizeof *r);
    struct measure_rng g;
    struct measure_config cfg;
    struct err e = {0};
    if (!s || !r)
        abort();
    measure_rng_init(&g, seed);
    synth_init(s, m->dt, 3.0);
    s->seed = seed;
    coverage_instrument(s, m, &g);
    coverage_timeline(s, m, &g, n);
    if (m->farad > 0)
        synth_smear(s, m->ohm * m->farad * (1 + draw_limit(&g, m->farad_tol)));
    measure_config_init(&cfg);
    cfg.draws = draws;
    struct measure_source src = synth_source(s);
    int rc = measure_run(&src, &s->cap_, &cfg, r, &e);
    if (rc < 0) {
        printf("# %s: %s (%s)\n", m->name, e.text, e.where);
    } else {
        double t = s->win[0].t1 - s->win[0].t0, gross = s->win[0].charge * s->volt / n, net = gross - m->idle_a * s->volt * t / n;
        c->runs++;
        if (r->verdict == MEASURE_VALID && r->net.has) {
            c->judged++;
            c->gross += fabs(r->energy.median - gross) <= r->energy.u95;
            c->net += fabs(r->net.median - net) <= r->net.u95;
            c->u_rel_gross += r->energy.u95 / gross;
            c->u_rel_net += r->net.u95 / net;
        } else if (getenv("COVERAGE_TELL")) {
            for (int i = 0; i < MEASURE_N_CODES; i++)
                if (r->reasons[i].raised)
                    printf("# %s: %s: %s\n", m->name, measure_code_word((enum measure_code)i), r->reasons[i].text);
        }
    }
    synth_done(s);
    free(s);
    free(r);
    return rc;
}

#define COVERAGE_DRAWS 20000
#define COVERAGE_FIRST 40 /* runs of the first seed that the unit test repeats */

static inline struct coverage coverage_of(const struct coverage_model *m, uint64_t seed, int runs, uint32_t draws) {
    struct coverage c = {0};
    for (int i = 0; i < runs; i++)
        if (coverage_run(m, seed * 1000003 + (uint64_t)i, draws, &c) < 0)
            break;
    if (c.judged > 0) {
        c.u_rel_gross /= c.judged;
        c.u_rel_net /= c.judged;
    }
    return c;
}

#endif
