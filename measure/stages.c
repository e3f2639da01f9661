/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stage codes inside a window: runs of one code, transitions, sums per stage. Pure. */
#include <math.h>

#include "measure/analysis.h"

static int code_of(uint8_t markers) {
    return (markers >> 2) & 7;
}

struct runs {
    struct analysis *a;
    int k;
    double from; /* where the present stage began, samples */
    int code;
    int illegal;
};

static int close_run(struct runs *s, double to) {
    struct analysis *a = s->a;
    if (s->code == MEASURE_STAGE_IDLE || s->code == 5 || s->code == 7 || to <= s->from)
        return 0;
    int rc;
    a->stages = measure_grow(a->stages, &a->cap_stages, a->n_stages, sizeof *a->stages, MEASURE_MAX_EDGES, &rc);
    if (rc < 0)
        return rc;
    a->stages[a->n_stages++] = (struct stage_span){.x0 = s->from, .x1 = to, .window = (uint8_t)s->k, .code = (uint8_t)s->code};
    return 0;
}

/* A code seen for less than 2 samples between two others is a transition: the boundary is the middle of the whole transition.
 * Codes change by single stores, but the sampler may catch lines one sample apart. */
int analysis_stage_spans(struct analysis *a, int k) {
    const struct window_n *w = &a->windows[k];
    const struct mark *m = a->scan.marks;
    size_t i = scan_find(&a->scan, w->n0 + 1);
    double shift = a->phi - 0.5;
    struct runs s = {.a = a, .k = k, .from = w->x0, .code = i > 0 ? code_of(m[i - 1].m) : 0};
    int64_t transition = -1; /* first sample of a transition under way */
    int rc = 0;
    for (; rc == 0 && i < a->scan.n_marks && m[i].n < w->n1; i++) {
        int now = code_of(m[i].m), before = i > 0 ? code_of(m[i - 1].m) : s.code;
        if (now == before)
            continue;
        int64_t end = w->n1; /* how long does this code last? */
        for (size_t j = i + 1; j < a->scan.n_marks && m[j].n < w->n1; j++)
            if (code_of(m[j].m) != now) {
                end = m[j].n;
                break;
            }
        if (end - m[i].n < 2 && end < w->n1) {
            if (transition < 0)
                transition = m[i].n;
            continue;
        }
        double edge = transition >= 0 ? 0.5 * (double)(transition + m[i].n) : (double)m[i].n;
        transition = -1;
        s.illegal += now == 5 || now == 7;
        if (now == s.code)
            continue; /* the transition led back */
        rc = close_run(&s, edge + shift);
        s.from = edge + shift;
        s.code = now;
    }
    if (rc == 0)
        rc = close_run(&s, w->x1);
    if (s.illegal > 0)
        analysis_raise(a, MEASURE_R_STAGE_CODE, k, "window %d: an illegal stage code was seen %d times", k, s.illegal);
    return rc;
}

static const struct {
    int code;
    const char *name;
} order[MEASURE_N_STAGES] = {
    {MEASURE_STAGE_INIT, "init"},     {MEASURE_STAGE_INPUT, "input"}, {MEASURE_STAGE_INFERENCE, "inference"},
    {MEASURE_STAGE_OUTPUT, "output"}, {MEASURE_STAGE_POST, "post"},   {MEASURE_STAGE_IDLE, "other"},
};

/* The sampling grid is too coarse for a stage: its occurrences are shorter than stage_min_samples. */
static bool too_coarse(const struct analysis *a, int code) {
    double cells = 0, runs = 0;
    for (int k = 0; k < a->r->n_windows; k++) {
        cells += a->stage_sums[k][code].sum.cells;
        runs += (double)a->stage_sums[k][code].runs;
    }
    return runs > 0 && cells < runs * a->cfg->stage_min_samples;
}

/* Energy of a stage of one window, the charge of the capacitance at its ends included. */
static double stage_energy(const struct analysis *a, const struct stage_sum *q) {
    const struct measure_supply *s = &a->cap->supply;
    double e = measure_acc_get(&q->sum.p) * a->dt;
    if (s->capacitance == MEASURE_C_DECLARED && q->sum.cells > 0)
        e += s->capacitance_f * q->rc * measure_acc_get(&q->sum.v) / q->sum.cells;
    return e;
}

void analysis_stage_figures(struct analysis *a) {
    struct measure_result *r = a->r;
    if (a->n_stages == 0 || r->n_usable == 0)
        return;
    bool coarse[8] = {false};
    for (int c = 1; c < 8; c++) {
        coarse[c] = too_coarse(a, c);
        if (coarse[c] && a->cap->instrument.block)
            return; /* few windows, one grid: nothing averages out */
    }
    double total_e = 0, total_t = 0, sum_e = 0, sum_t = 0;
    for (int s = 0; s < MEASURE_N_STAGES; s++) {
        struct measure_stage_stat *st = &r->stages[s];
        *st = (struct measure_stage_stat){.name = order[s].name, .net_energy_j = NAN};
        for (int k = 0; k < r->n_windows; k++) {
            const struct stage_sum *q = &a->stage_sums[k][order[s].code];
            double share = 1.0 / r->windows[k].inferences / r->n_usable;
            if (!r->windows[k].usable || coarse[order[s].code])
                continue;
            if (s < MEASURE_N_STAGES - 1) {
                st->duration_s += q->sum.cells * a->dt * share;
                st->energy_j += stage_energy(a, q) * share;
            } else {
                total_t += r->windows[k].duration_s * share;
                total_e += r->windows[k].energy_j * share;
            }
        }
        if (s < MEASURE_N_STAGES - 1) {
            sum_t += st->duration_s;
            sum_e += st->energy_j;
        } else { /* by difference, so that the stages add up to the window exactly */
            st->duration_s = total_t - sum_t;
            st->energy_j = total_e - sum_e;
        }
    }
    for (int s = 0; s < MEASURE_N_STAGES; s++) {
        struct measure_stage_stat *st = &r->stages[s];
        if (coarse[order[s].code]) { /* its time and energy are part of "other" */
            st->duration_s = st->energy_j = st->share = NAN;
            continue;
        }
        st->share = total_e != 0 ? st->energy_j / total_e : NAN;
        if (r->idle.has)
            st->net_energy_j = st->energy_j - r->idle.power_w * st->duration_s;
    }
    r->has_stages = true;
}
