/* SPDX-License-Identifier: GPL-2.0-or-later
 * Markers of another instrument onto the current's time line (measurement specification, section 6). The changes of level stay what they were; their
 * times go through the fitted line. A fit that is refused places nothing: no window is found, and the reason says why. Pure. */
#include "measure/second.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/analysis.h"

#define RUN_SAMPLES 65536 /* longest stretch of one level handed to the scan at once */
#define BURST_UNITS 150 /* the longest gap has 41 units; three lost edges in a row must not end a train */

/* The changes as blocks, so that the scan makes of them what it makes of any instrument's. */
struct levels {
    const struct measure_second *s;
    uint8_t *fill; /* [RUN_SAMPLES] */
};

static int levels_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    const struct levels *l = self;
    const struct measure_second *s = l->s;
    size_t stamp = 0;
    int rc = 0;
    (void)from;
    (void)to;
    (void)want;
    (void)reterr;
    for (size_t i = 0; rc == 0 && i < s->n_changes; i++) {
        int64_t n = s->changes[i].n, end = i + 1 < s->n_changes ? s->changes[i + 1].n : s->end;
        if (end - n > 0)
            memset(l->fill, s->changes[i].m, (size_t)(end - n < RUN_SAMPLES ? end - n : RUN_SAMPLES));
        for (bool first = true; rc == 0 && n < end; first = false) {
            struct measure_block b = {.first = n, .count = (uint32_t)(end - n < RUN_SAMPLES ? end - n : RUN_SAMPLES), .markers = l->fill};
            b.flags = first && s->changes[i].set ? MEASURE_SEGMENT_START : 0;
            size_t stamps = stamp;
            while (stamps < s->n_stamps && s->stamps[stamps].end <= n + b.count)
                stamps++;
            b.stamps = s->stamps + stamp;
            b.n_stamps = (uint32_t)(stamps - stamp);
            stamp = stamps;
            rc = fn(user, &b);
            n += b.count;
        }
    }
    return rc;
}

static int check(const struct measure_second *s, struct err *reterr) {
    bool good = s->period_s > 0 && isfinite(s->period_s) && s->sync_unit_s > 0 && isfinite(s->sync_unit_s) && s->first <= s->end &&
                s->end < INT64_MAX / 8 && s->sync_line >= 0 && s->sync_line < 8 && s->n_markers > 0 && s->n_markers <= 8 && s->marker_phase <= 1;
    for (size_t i = 0; good && i < s->n_changes; i++)
        good = s->changes[i].n >= (i > 0 ? s->changes[i - 1].n + 1 : s->first) && s->changes[i].n < s->end;
    return good ? 0 : err_set_at(reterr, JF_E_INVAL, "second", "the second instrument's record contradicts itself");
}

/* The edges of a track as times of its clock. */
static int times_of(const struct track *t, double dt, double phi, double **ret_t, size_t *ret_n) {
    double *list = malloc((t->len + 1) * sizeof *list);
    size_t n = 0;
    if (!list)
        return JF_E_NOMEM;
    for (size_t i = 0; i < t->len; i++)
        if (!track_set(t->at[i]))
            list[n++] = ((double)track_n(t->at[i]) + phi - 0.5) * dt;
    *ret_t = list;
    *ret_n = n;
    return 0;
}

/* Roughly the current's time minus the second's, from what arrived when. */
static double prior_of(const struct analysis *a, const struct hostmap *map) {
    if (!a->map.ok || !map->ok)
        return 0;
    int64_t ns = map->base_ns;
    return hostmap_device_s(&a->map, ns) - hostmap_device_s(map, ns);
}

static int fit(struct analysis *a, const struct measure_second *s, const struct scan *scan, const struct hostmap *map) {
    struct align_limits lim = align_limits_default;
    struct track ta = {0}, tb = {0};
    struct align_edges ea = {.period_s = a->dt}, eb = {.period_s = s->period_s};
    double *at = NULL, *bt = NULL;
    lim.burst_gap_s = fmax(lim.burst_gap_s, BURST_UNITS * s->sync_unit_s);
    int rc = track_build(&a->scan, s->sync_line, 2, &ta);
    if (rc == 0)
        rc = track_build(scan, 0, 2, &tb);
    if (rc == 0)
        rc = times_of(&ta, a->dt, a->phi, &at, &ea.n);
    if (rc == 0)
        rc = times_of(&tb, s->period_s, s->marker_phase >= 0 ? s->marker_phase : 0.5, &bt, &eb.n);
    if (rc == 0) {
        ea.t = at;
        eb.t = bt;
        rc = align_fit(&ea, &eb, prior_of(a, map), &lim, &a->align, NULL);
    }
    free(at);
    free(bt);
    track_done(&ta);
    track_done(&tb);
    return rc;
}

/* The second's changes as marks of the current's scan, in its samples; what lies outside the recording only sets the first level. */
static int place(struct analysis *a, const struct measure_second *s, const struct scan *scan) {
    double phi = s->marker_phase >= 0 ? s->marker_phase : 0.5;
    struct mark *marks = malloc((scan->n_marks + 1) * sizeof *marks);
    size_t n = 0;
    if (!marks)
        return JF_E_NOMEM;
    for (size_t i = 0; i < scan->n_marks; i++) {
        const struct mark *m = &scan->marks[i];
        double x = align_map(&a->align, ((double)m->n + phi - 0.5) * s->period_s) / a->dt;
        int64_t at = (int64_t)llround(x - a->phi + 0.5);
        if (at >= a->scan.end)
            break;
        if (at <= a->scan.first) {
            n = 1;
            marks[0] = (struct mark){.n = a->scan.first, .x = (double)a->scan.first, .m = m->m, .set = true};
            continue;
        }
        marks[n] = (struct mark){.n = at, .x = x, .m = m->m, .set = m->set};
        n++;
    }
    free(a->scan.marks);
    a->scan.marks = marks;
    a->scan.n_marks = n;
    a->scan.cap_marks = scan->n_marks + 1;
    return 0;
}

static void tell(struct analysis *a) {
    const struct align_fit *f = &a->align;
    a->r->alignment = (struct measure_alignment){.has = true, .good = f->refusal == ALIGN_GOOD, .offset_s = f->offset_s, .rate = f->rate, .ref_s = f->ref_s,
                                                 .residual_s = f->residual_s, .u_offset_s = f->u_offset_s, .u_rate = f->u_rate, .from_s = f->from_s,
                                                 .to_s = f->to_s, .trains = f->trains, .edges = f->edges, .inliers = f->inliers};
    for (int k = 0; f->refusal != ALIGN_GOOD && k < a->cap->n_requests; k++)
        analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "%s", f->text);
}

int analysis_second(struct analysis *a, const struct measure_second *s, struct err *reterr) {
    struct scan scan = {0};
    struct hostmap map;
    if (!s)
        return 0;
    a->second = s;
    int rc = check(s, reterr);
    if (rc < 0)
        return rc;
    struct levels levels = {.s = s, .fill = malloc(RUN_SAMPLES)};
    struct measure_source src = {.each = levels_each, .self = &levels};
    rc = levels.fill ? scan_run(&src, s->period_s, a->cfg->loss_block_s, &scan, reterr) : JF_E_NOMEM;
    if (rc == 0)
        rc = loss_fit(&scan, a->cfg, s->period_s, &map, reterr);
    if (rc == 0)
        rc = fit(a, s, &scan, &map);
    if (rc == 0)
        tell(a);
    if (rc == 0 && a->align.refusal == ALIGN_GOOD)
        rc = place(a, s, &scan);
    else if (rc == 0)
        a->scan.n_marks = 0; /* the current instrument's own line must not stand in */
    scan_done(&scan);
    free(levels.fill);
    return rc < 0 ? err_set(reterr, rc, "the second instrument's markers could not be placed: %s", err_sentence(rc)) : 0;
}

double analysis_edge_x(const struct analysis *a, int64_t n) {
    if (!a->second)
        return (double)n + a->phi - 0.5;
    size_t i = scan_find(&a->scan, n);
    while (i + 1 < a->scan.n_marks && a->scan.marks[i + 1].n == n && i > 0 && !((a->scan.marks[i].m ^ a->scan.marks[i - 1].m) & 1))
        i++; /* several lines changed inside one sample: the window line's own time */
    return i < a->scan.n_marks && a->scan.marks[i].n == n ? a->scan.marks[i].x : (double)n + a->phi - 0.5;
}

double analysis_edge_dt(const struct analysis *a) {
    return a->second ? a->second->period_s : a->dt;
}

void analysis_second_window(struct analysis *a, int k) {
    const struct window_n *w = &a->windows[k];
    if (a->second && a->r->windows[k].found && !(align_covers(&a->align, w->x0 * a->dt) && align_covers(&a->align, w->x1 * a->dt)))
        analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "window %d lies outside the sync trains: its markers would be extrapolated", k);
    if (a->second && a->second->damaged)
        analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "a part of the second instrument's record is missing");
}

/* Common to all windows: an offset moves both edges alike, a rate the later one more. p0, p1: power at the edges, less what is subtracted, W. */
void analysis_second_effect(const struct analysis *a, int k, double p0, double p1, double share, double effect[2]) {
    if (!a->second)
        return;
    double t0 = a->windows[k].x0 * a->dt - a->align.offset_s - a->align.ref_s, t1 = a->windows[k].x1 * a->dt - a->align.offset_s - a->align.ref_s;
    effect[0] += (p1 - p0) * share;
    effect[1] += (p1 * t1 - p0 * t0) * share;
}

void analysis_second_budget(const struct analysis *a, const double effect[2], struct budget *b) {
    if (a->second)
        budget_add(b, "alignment", "normal", 'B', hypot(effect[0] * a->align.u_offset_s, effect[1] * a->align.u_rate), INFINITY, "");
}
