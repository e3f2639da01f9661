/* SPDX-License-Identifier: GPL-2.0-or-later
 * Marker edges to windows: schemes mlperf and phases (measurement specification, section 2). Pure. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure/analysis.h"

#define SLACK_S 0.05 /* host times of a command against the device's time line */

void analysis_raise(struct analysis *a, enum measure_code code, int k, const char *fmt, ...) {
    struct measure_reason *e = &a->r->reasons[code];
    if (!e->raised) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->text, sizeof e->text, fmt, ap);
        va_end(ap);
    }
    e->raised = true;
    if (k < 0)
        a->run_wide[code] = true;
    if (k >= 0) {
        e->windows |= (uint64_t)1 << k;
        a->r->windows[k].reasons |= (uint64_t)1 << code;
    }
}

/* ---- where to look ----------------------------------------------------------------------------------------- */
static void spans_by_segment(struct analysis *a) {
    for (int k = 0; k < a->cap->n_requests; k++) {
        int seg = a->cap->requests[k].segment >= 0 ? a->cap->requests[k].segment : k;
        struct window_n *w = &a->windows[k];
        if ((size_t)seg >= a->scan.n_segments) {
            analysis_raise(a, MEASURE_R_WINDOW_CUT, k, "no acquisition was recorded for window %d", k);
            continue;
        }
        w->known = true;
        w->lo = (double)a->scan.segments[seg].from;
        w->hi = (double)a->scan.segments[seg].to;
        analysis_between_trains(a, k, &w->lo, &w->hi);
    }
}

static void spans_by_host(struct analysis *a) {
    const struct measure_capture *c = a->cap;
    double slack = SLACK_S / a->dt;
    for (int k = 0; k < c->n_requests; k++) {
        struct window_n *w = &a->windows[k];
        w->known = true;
        w->lo = hostmap_device_s(&a->map, c->requests[k].sent_ns) / a->dt;
        w->hi = hostmap_device_s(&a->map, c->requests[k].ready_ns) / a->dt;
    }
    for (int k = 0; k < c->n_requests; k++) { /* slack, but never into the neighbour */
        struct window_n *w = &a->windows[k];
        double room = k + 1 < c->n_requests ? (a->windows[k + 1].lo - w->hi) / 2 : slack;
        double use = room < slack ? (room > 0 ? room : 0) : slack;
        w->hi += use;
        if (k + 1 < c->n_requests)
            a->windows[k + 1].lo -= use;
        if (k == 0)
            w->lo -= slack;
    }
    for (int k = 0; k < c->n_requests; k++) { /* absurd host times must not leave the recording (NAN included) */
        struct window_n *w = &a->windows[k];
        w->lo = w->lo > (double)a->scan.first ? fmin(w->lo, (double)a->scan.end) : (double)a->scan.first;
        w->hi = w->hi < (double)a->scan.end ? fmax(w->hi, (double)a->scan.first) : (double)a->scan.end;
    }
}

/* No common clock with the host: acceptable only when the edges fit the commands one to one, in order. */
static void spans_by_order(struct analysis *a) {
    const struct track *t = &a->window_line;
    int n = a->cap->n_requests, per = a->cap->scheme == MEASURE_SCHEME_PHASES ? 1 : 2, falls = 0;
    for (size_t i = 0; i < t->len; i++)
        falls += !track_set(t->at[i]) && !track_level(t->at[i]);
    if (falls != n * per) {
        for (int k = 0; k < n; k++)
            analysis_raise(a, falls < n * per ? MEASURE_R_MARKER_MISSING : MEASURE_R_MARKER_SURPLUS, k,
                           "%d opening edges for %d windows, and no host times to tell which", falls, n);
        return;
    }
    int seen = 0;
    double end = (double)a->scan.first;
    for (size_t i = 0; i < t->len; i++) {
        if (track_set(t->at[i]) || track_level(t->at[i]))
            continue;
        if (seen % per == 0) {
            a->windows[seen / per].known = true;
            a->windows[seen / per].lo = seen == 0 ? end : (double)track_n(t->at[i]) - 0.5;
            if (seen > 0)
                a->windows[seen / per - 1].hi = (double)track_n(t->at[i]) - 0.5;
        }
        seen++;
    }
    a->windows[n - 1].hi = (double)a->scan.end;
}

/* ---- edges of one line inside a span ------------------------------------------------------------------------- */
struct edges {
    int falls, rises;
    int64_t first, last; /* samples of the first and last edge */
    int64_t fall[3]; /* the first falling edges */
};

static struct edges edges_in(const struct track *t, double lo, double hi) {
    struct edges e = {0};
    for (size_t i = track_find(t, (int64_t)ceil(lo)); i < t->len && (double)track_n(t->at[i]) < hi; i++) {
        int64_t n = track_n(t->at[i]);
        if (track_set(t->at[i]))
            continue;
        if (e.falls + e.rises == 0)
            e.first = n;
        e.last = n;
        if (track_level(t->at[i])) {
            e.rises++;
        } else {
            if (e.falls < 3)
                e.fall[e.falls] = n;
            e.falls++;
        }
    }
    return e;
}

static int glitches_in(const struct track *t, double lo, double hi) {
    int n = 0;
    for (size_t i = 0; i < t->n_glitch; i++)
        n += (double)t->glitch[i] >= lo && (double)t->glitch[i] < hi;
    return n;
}

static const struct stretch_n *segment_at(const struct analysis *a, double x) {
    for (size_t i = 0; i < a->scan.n_segments; i++)
        if (x >= (double)a->scan.segments[i].from && x < (double)a->scan.segments[i].to)
            return &a->scan.segments[i];
    return NULL;
}

static bool low_at_start(const struct analysis *a, double lo) {
    const struct track *t = &a->window_line;
    size_t i = track_find(t, (int64_t)ceil(lo));
    if (i < t->len && track_set(t->at[i]))
        return !track_level(t->at[i]);
    return i > 0 && !track_level(t->at[i - 1]);
}

static void accept(struct analysis *a, int k, int64_t n0, int64_t n1) {
    struct window_n *w = &a->windows[k];
    const struct stretch_n *seg = segment_at(a, (double)n0);
    w->n0 = n0;
    w->n1 = n1;
    w->x0 = analysis_edge_x(a, n0);
    w->x1 = analysis_edge_x(a, n1);
    w->seg_from = seg ? seg->from : a->scan.first;
    w->seg_to = seg ? seg->to : a->scan.end;
    measure_rule_apply(a->cfg->rule, a->dt, n0, n1, w->x0, w->x1, &w->span);
    a->r->windows[k].found = true;
}

/* ---- scheme mlperf ------------------------------------------------------------------------------------------- */
static void find_mlperf(struct analysis *a, int k) {
    struct window_n *w = &a->windows[k];
    struct edges e = edges_in(&a->window_line, w->lo, w->hi);
    int glitches = glitches_in(&a->window_line, w->lo, w->hi);
    if (glitches > 0)
        analysis_raise(a, MEASURE_R_MARKER_GLITCH, k, "%d pulses too short to count in window %d", glitches, k);
    if (e.falls > 2)
        analysis_raise(a, MEASURE_R_MARKER_SURPLUS, k, "window %d: %d falling edges instead of 2", k, e.falls);
    else if (e.falls < 2 && a->cap->instrument.block && e.falls == 1)
        analysis_raise(a, MEASURE_R_WINDOW_CUT, k, "window %d: the acquisition holds one of its two edges", k);
    else if (e.falls < 2)
        analysis_raise(a, MEASURE_R_MARKER_MISSING, k, "window %d: %d falling edges instead of 2", k, e.falls);
    else
        accept(a, k, e.fall[0], e.fall[1]);
}

/* ---- scheme phases ------------------------------------------------------------------------------------------- */
static bool looks_swapped(const struct edges *w, const struct edges *i) {
    bool encloses = i->first <= w->first && i->last >= w->last, wider = i->first < w->first || i->last > w->last;
    return i->falls == 1 && i->rises == 1 && encloses && (w->falls + w->rises > 2 || (w->falls + w->rises == 2 && wider));
}

static void check_inferences(struct analysis *a, int k) {
    const struct window_n *w = &a->windows[k];
    struct edges e = edges_in(&a->inference_line, (double)w->n0 - 1, (double)w->n1 + 2);
    uint32_t want = a->cap->requests[k].inferences + 1, got = (uint32_t)(e.falls + e.rises);
    int glitches = glitches_in(&a->inference_line, (double)w->n0 - 1, (double)w->n1 + 2);
    if (glitches > 0)
        analysis_raise(a, MEASURE_R_MARKER_GLITCH, k, "window %d: %d inference marks too short to count", k, glitches);
    if (got == want)
        return;
    if (got == 0)
        analysis_raise(a, MEASURE_R_MARKER_MISSING, k, "window %d: the inference line shows no edge", k);
    else if ((got ^ want) & 1)
        analysis_raise(a, MEASURE_R_MARKER_PARITY, k, "window %d: %u inference edges instead of %u", k, got, want);
    else
        analysis_raise(a, MEASURE_R_INFERENCE_COUNT, k, "window %d: %u inference edges instead of %u", k, got, want);
}

static void find_phases(struct analysis *a, int k) {
    struct window_n *w = &a->windows[k];
    struct edges e = edges_in(&a->window_line, w->lo, w->hi), i = edges_in(&a->inference_line, w->lo, w->hi);
    int glitches = glitches_in(&a->window_line, w->lo, w->hi);
    if (glitches > 0)
        analysis_raise(a, MEASURE_R_MARKER_GLITCH, k, "%d pulses too short to count on the window line in window %d", glitches, k);
    if (looks_swapped(&e, &i)) {
        analysis_raise(a, MEASURE_R_MARKER_SWAPPED, k, "window %d: line 1 behaves like the window line, line 0 like the inference line", k);
        return;
    }
    if (e.falls > 1) {
        analysis_raise(a, MEASURE_R_MARKER_SURPLUS, k, "window %d: the window line fell %d times", k, e.falls);
        return;
    }
    if (e.falls == 0) {
        if (low_at_start(a, w->lo) && e.rises > 0)
            analysis_raise(a, MEASURE_R_WINDOW_CUT, k, "window %d: the recording begins inside the window", k);
        else
            analysis_raise(a, MEASURE_R_MARKER_MISSING, k, "window %d: the window line never fell", k);
        return;
    }
    size_t next = track_find(&a->window_line, e.fall[0] + 1);
    const struct stretch_n *seg = segment_at(a, (double)e.fall[0]);
    int64_t rise = next < a->window_line.len ? a->window_line.at[next] : 0;
    if (next >= a->window_line.len || (seg && track_n(rise) >= seg->to)) {
        analysis_raise(a, MEASURE_R_WINDOW_CUT, k, "window %d: the recording ends inside the window", k);
    } else if (track_set(rise) || (double)track_n(rise) >= w->hi) {
        analysis_raise(a, MEASURE_R_MARKER_MISSING, k, "window %d: the window line did not rise again", k);
    } else {
        accept(a, k, e.fall[0], track_n(rise));
        check_inferences(a, k);
    }
}

/* Windows ascend, as their commands did. */
static void list_ignored(struct analysis *a) {
    int k = 0, n = 0;
    for (size_t i = 0; i < a->window_line.len; i++) {
        double at = (double)track_n(a->window_line.at[i]);
        if (track_set(a->window_line.at[i]) || track_level(a->window_line.at[i]))
            continue;
        while (k < a->cap->n_requests && (!a->windows[k].known || a->windows[k].hi <= at))
            k++;
        if (k < a->cap->n_requests && at >= ceil(a->windows[k].lo))
            continue;
        if (n < MEASURE_MAX_IGNORED)
            a->r->ignored_s[n] = (at + a->phi - 0.5) * a->dt;
        n++;
    }
    a->r->edges_ignored = n;
}

static void note_losses(struct analysis *a, int k) {
    const struct window_n *w = &a->windows[k];
    bool found = a->r->windows[k].found;
    double lo = found ? w->span.x0 : w->lo, hi = found ? w->span.x1 : w->hi;
    if (!found && !w->known)
        return;
    int64_t gap = scan_gap_overlap(&a->scan, lo, hi);
    if (gap > 0)
        analysis_raise(a, MEASURE_R_SAMPLE_GAP, k, "window %d: %lld samples are missing", k, (long long)gap);
    for (int i = 0; i < a->map.n_steps && !a->cap->instrument.block; i++)
        if (a->map.steps[i].to_s / a->dt >= lo && a->map.steps[i].from_s / a->dt <= hi)
            analysis_raise(a, MEASURE_R_SAMPLE_LOSS_BY_CLOCK, k, "window %d: about %.0f samples were lost by the host's clock", k,
                           a->map.steps[i].size_s / a->dt);
}

int analysis_windows(struct analysis *a, struct err *reterr) {
    const struct measure_capture *c = a->cap;
    double glitch = ceil(a->cfg->glitch_s / a->dt);
    int64_t least = glitch > 2 ? (int64_t)glitch : 2;
    int rc = track_build(&a->scan, 0, least, &a->window_line);
    if (rc == 0 && c->scheme == MEASURE_SCHEME_PHASES)
        rc = track_build(&a->scan, 1, least, &a->inference_line);
    if (rc < 0)
        return err_set(reterr, rc, "the marker lines have too many edges");
    bool timed = a->map.ok && c->requests[0].sent_ns != 0 && c->requests[c->n_requests - 1].ready_ns != 0;
    if (c->instrument.block)
        spans_by_segment(a);
    else if (timed)
        spans_by_host(a);
    else
        spans_by_order(a);
    for (int k = 0; k < c->n_requests; k++) {
        a->r->windows[k].inferences = c->requests[k].inferences;
        bool placed = analysis_placed(a, k);
        if (placed && a->windows[k].known && c->scheme == MEASURE_SCHEME_PHASES)
            find_phases(a, k);
        else if (placed && a->windows[k].known)
            find_mlperf(a, k);
        analysis_second_window(a, k);
        note_losses(a, k);
        if (a->r->windows[k].found && c->scheme == MEASURE_SCHEME_PHASES && c->instrument.n_markers >= 5) {
            rc = analysis_stage_spans(a, k);
            if (rc < 0)
                return err_set(reterr, rc, "too many stages in the capture");
        }
    }
    list_ignored(a);
    return 0;
}
