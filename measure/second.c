/* SPDX-License-Identifier: GPL-2.0-or-later
 * Markers of another instrument onto the current's time line (measurement specification, section 6). The changes of level stay what they were; their
 * times go through the fitted line. A fit that is refused places nothing: no window is found, and the reason says why. Pure. */
#include "measure/second.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/analysis.h"

#define RUN_SAMPLES 65536 /* longest stretch of one level handed to the scan at once */
#define TRAIN_UNITS 806 /* sum of the gaps */
#define TRAIN_APART_S 0.8 /* longest from a train's end to the window's command, or from its reply to the next train */
#define NEAR_UNITS 200 /* the first edges of a train may be lost */
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

static struct align_edges part_of(const struct align_edges *e, double from, double to) {
    struct align_edges p = {.period_s = e->period_s, .t = e->t};
    size_t i = 0;
    while (i < e->n && e->t[i] < from)
        i++;
    p.t += i;
    while (i + p.n < e->n && e->t[i + p.n] < to)
        p.n++;
    return p;
}

/* One acquisition of a block instrument, which has a train before and one behind its window. Its time has no relation to the host's: the trains about
 * the window's command are those two, and the acquisition's first edge is the first train's. */
static int fit_segment(struct analysis *a, const struct measure_second *s, const struct hostmap *map, const struct align_edges *ea,
                       const struct align_edges *eb, const struct align_limits *lim, int k) {
    const struct measure_request *q = &a->cap->requests[k];
    size_t seg = (size_t)(q->segment >= 0 ? q->segment : k);
    struct align_edges pa = {.period_s = ea->period_s}, pb = {.period_s = eb->period_s};
    if (map->ok && seg < a->scan.n_segments) {
        double reach = TRAIN_UNITS * s->sync_unit_s + TRAIN_APART_S;
        pa = part_of(ea, (double)a->scan.segments[seg].from * a->dt, (double)a->scan.segments[seg].to * a->dt);
        pb = part_of(eb, hostmap_device_s(map, q->sent_ns) - reach, hostmap_device_s(map, q->ready_ns) + reach);
    }
    double prior = pa.n > 0 && pb.n > 0 ? pa.t[0] - pb.t[0] : 0;
    struct align_limits near = *lim;
    near.offset_s = NEAR_UNITS * s->sync_unit_s; /* the other train may be less than a second away */
    return align_fit(&pa, &pb, prior, &near, &a->align[k], NULL);
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
    ea.t = at;
    eb.t = bt;
    if (rc == 0 && !a->cap->instrument.block)
        rc = align_fit(&ea, &eb, prior_of(a, map), &lim, &a->align[0], NULL);
    for (int k = 0; rc == 0 && a->cap->instrument.block && k < a->cap->n_requests; k++)
        rc = fit_segment(a, s, map, &ea, &eb, &lim, k);
    free(at);
    free(bt);
    track_done(&ta);
    track_done(&tb);
    return rc;
}

/* The second's changes inside samples [from, to) as marks of the current's scan; what lies before only sets the first level. */
static size_t place(const struct analysis *a, const struct scan *scan, const struct align_fit *f, int64_t from, int64_t to, struct mark *marks) {
    const struct measure_second *s = a->second;
    double phi = s->marker_phase >= 0 ? s->marker_phase : 0.5;
    size_t n = 0;
    for (size_t i = 0; i < scan->n_marks; i++) {
        const struct mark *m = &scan->marks[i];
        double x = align_map(f, ((double)m->n + phi - 0.5) * s->period_s) / a->dt;
        double at = round(x - a->phi + 0.5);
        if (at >= (double)to)
            break;
        if (at <= (double)from) {
            n = 1;
            marks[0] = (struct mark){.n = from, .x = (double)from, .m = m->m, .set = true};
            continue;
        }
        marks[n] = (struct mark){.n = (int64_t)at, .x = x, .m = m->m, .set = m->set};
        n++;
    }
    return n;
}

/* The scan's marks, replaced. A span that could not be fitted has none: the current instrument's own line must not stand in. */
static int place_all(struct analysis *a, const struct scan *scan) {
    bool block = a->cap->instrument.block;
    size_t spans = block ? a->scan.n_segments : 1, n = 0;
    struct mark *marks = malloc((scan->n_marks * (block ? 2 : 1) + 2 * spans + 1) * sizeof *marks); /* spans share no change; their first levels do */
    if (!marks)
        return JF_E_NOMEM;
    if (!block && a->align[0].refusal == ALIGN_GOOD)
        n = place(a, scan, &a->align[0], a->scan.first, a->scan.end, marks);
    for (int k = 0; block && k < a->cap->n_requests; k++) {
        size_t seg = (size_t)(a->cap->requests[k].segment >= 0 ? a->cap->requests[k].segment : k);
        size_t room = scan->n_marks * 2 + 2 * spans + 1 - n;
        if (a->align[k].refusal == ALIGN_GOOD && seg < spans && room > scan->n_marks)
            n += place(a, scan, &a->align[k], a->scan.segments[seg].from, a->scan.segments[seg].to, marks + n);
        else if (a->align[k].refusal == ALIGN_GOOD)
            a->align[k] = (struct align_fit){.refusal = ALIGN_AMBIGUOUS, .text = "the acquisitions overlap on the second instrument's time line"};
    }
    free(a->scan.marks);
    a->scan.marks = marks;
    a->scan.n_marks = a->scan.cap_marks = n;
    return 0;
}

static void tell(struct analysis *a) {
    struct measure_alignment *r = &a->r->alignment;
    *r = (struct measure_alignment){.has = true, .good = true};
    for (int k = 0; k < a->cap->n_requests; k++) {
        const struct align_fit *f = analysis_align(a, k);
        if (f->refusal != ALIGN_GOOD)
            analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "%s", f->text);
        r->good = r->good && f->refusal == ALIGN_GOOD;
        if (k > 0 && !a->cap->instrument.block)
            continue;
        if (f->refusal == ALIGN_GOOD && f->residual_s >= r->residual_s) { /* of several fits the worst one is shown */
            r->offset_s = f->offset_s;
            r->rate = f->rate;
            r->ref_s = f->ref_s;
            r->residual_s = f->residual_s;
            r->u_offset_s = f->u_offset_s;
            r->u_rate = f->u_rate;
            r->from_s = f->from_s;
            r->to_s = f->to_s;
        }
        r->trains += f->trains;
        r->edges += f->edges;
        r->inliers += f->inliers;
    }
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
        rc = place_all(a, &scan);
    if (rc == 0)
        tell(a);
    scan_done(&scan);
    free(levels.fill);
    return rc < 0 ? err_set(reterr, rc, "the second instrument's markers could not be placed: %s", err_sentence(rc)) : 0;
}

const struct align_fit *analysis_align(const struct analysis *a, int k) {
    return &a->align[a->cap->instrument.block ? k : 0];
}

bool analysis_placed(const struct analysis *a, int k) {
    return !a->second || analysis_align(a, k)->refusal == ALIGN_GOOD;
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

void analysis_between_trains(const struct analysis *a, int k, double *lo, double *hi) {
    if (!a->second || !analysis_placed(a, k))
        return;
    double train = (TRAIN_UNITS + 1) * a->second->sync_unit_s; /* a lost first edge makes the train seem to begin later: the window is farther away */
    *lo = fmax(*lo, (a->align[k].from_s + train) / a->dt);
    *hi = fmin(*hi, (a->align[k].to_s - train) / a->dt);
}

void analysis_second_window(struct analysis *a, int k) {
    const struct window_n *w = &a->windows[k];
    if (a->second && a->r->windows[k].found && !(align_covers(analysis_align(a, k), w->x0 * a->dt) && align_covers(analysis_align(a, k), w->x1 * a->dt)))
        analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "window %d lies outside the sync trains: its markers would be extrapolated", k);
    if (a->second && a->second->damaged)
        analysis_raise(a, MEASURE_R_ALIGNMENT_AMBIGUOUS, k, "a part of the second instrument's record is missing");
}

/* An offset moves both edges alike, a rate the later one more. p0, p1: power at the edges, less what is subtracted, W. One fit for all windows is common to
 * them (effect[0], effect[1]: per second of offset, per unit of rate); a fit per window is not (effect[2]: variances). */
void analysis_second_effect(const struct analysis *a, int k, double p0, double p1, double share, double effect[3]) {
    if (!a->second)
        return;
    const struct align_fit *f = analysis_align(a, k);
    double t0 = a->windows[k].x0 * a->dt - f->offset_s - f->ref_s, t1 = a->windows[k].x1 * a->dt - f->offset_s - f->ref_s;
    double offset = (p1 - p0) * share, rate = (p1 * t1 - p0 * t0) * share;
    if (a->cap->instrument.block) {
        effect[2] += pow(offset * f->u_offset_s, 2) + pow(rate * f->u_rate, 2);
        return;
    }
    effect[0] += offset;
    effect[1] += rate;
}

void analysis_second_budget(const struct analysis *a, const double effect[3], struct budget *b) {
    if (a->second)
        budget_add(b, "alignment", "normal", 'B', sqrt(pow(effect[0] * a->align[0].u_offset_s, 2) + pow(effect[1] * a->align[0].u_rate, 2) + effect[2]), INFINITY,
                   "");
}
