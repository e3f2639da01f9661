/* SPDX-License-Identifier: GPL-2.0-or-later
 * The second clock: device stamps, or host times, against the trace (measurement specification, section 4). Pure. */
#include <math.h>

#include "measure/analysis.h"

/* A window that lost samples is short for a reason that is known and costs that window alone; only when no window counts are all looked at. */
static bool looked_at(const struct analysis *a, int k) {
    return a->r->n_usable > 0 ? a->r->windows[k].usable : a->r->windows[k].found;
}

/* Slope through the windows, each with an origin of its own: r = sum(Td*Tt)/sum(Tt^2). A window of length T has its two edges at
 * +-T/2 of its middle, so sum (t - mean t)^2 = sum T^2/2. */
static bool by_device(struct analysis *a) {
    struct measure_result *r = a->r;
    double dd = 0, tt = 0, tick = 0;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_request *q = &a->cap->requests[k];
        if (!looked_at(a, k) || q->device_hz <= 0)
            continue;
        double t = r->windows[k].duration_s;
        dd += r->windows[k].device_s * t;
        tt += t * t;
        tick = fmax(tick, 1 / q->device_hz);
    }
    if (tt <= 0)
        return false;
    double rho = a->cap->instrument.clock_ppm > 0 ? a->cap->instrument.clock_ppm * 1e-6 / sqrt(3) : 0;
    double grid = sqrt((a->dt * a->dt + tick * tick) / 12) / sqrt(tt / 2);
    double u = sqrt(grid * grid + rho * rho), ratio = dd / tt;
    r->clock = (struct measure_clock){.device_over_trace = ratio, .u = u, .by = "device"};
    if (fabs(ratio - 1) > a->cap->clock_tol_rel + 2 * u)
        analysis_raise(a, MEASURE_R_CLOCK_MISMATCH, -1, "device time is %.6g times trace time; the board's clock allows %.2g", ratio,
                       a->cap->clock_tol_rel);
    return true;
}

static bool by_host(struct analysis *a) {
    struct measure_result *r = a->r;
    double host = 0, trace = 0;
    int n = 0;
    for (int k = 0; k < r->n_windows; k++) {
        const struct measure_request *q = &a->cap->requests[k];
        if (!looked_at(a, k) || q->start_ns == 0 || q->done_ns <= q->start_ns)
            continue;
        host += (double)(q->done_ns - q->start_ns) * 1e-9;
        trace += r->windows[k].duration_s;
        n++;
    }
    if (n == 0 || trace <= 0)
        return false;
    double ratio = host / trace, tol = a->cfg->host_clock_rel + a->cfg->host_clock_s * n / trace;
    r->clock = (struct measure_clock){.device_over_trace = ratio, .u = tol / sqrt(3), .by = "host"};
    analysis_raise(a, MEASURE_R_CLOCK_BY_HOST, -1, "the board reports no time of its own; host over trace time is %.4g", ratio);
    if (fabs(ratio - 1) > tol)
        analysis_raise(a, MEASURE_R_CLOCK_MISMATCH, -1, "host time is %.4g times trace time; %.2g is allowed", ratio, tol);
    return true;
}

void analysis_clock(struct analysis *a) {
    a->r->clock = (struct measure_clock){.device_over_trace = NAN, .u = NAN, .by = "none"};
    bool any = false;
    for (int k = 0; k < a->r->n_windows; k++)
        any = any || a->r->windows[k].found;
    if (any && !by_device(a) && !by_host(a))
        analysis_raise(a, MEASURE_R_CLOCK_UNCHECKED, -1, "neither the board nor the host timed the windows");
}
