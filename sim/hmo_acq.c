/* SPDX-License-Identifier: GPL-2.0-or-later
 * The acquisition of the virtual oscilloscope; see hmo_acq.h. Owns the sample memory. One thread.
 * Cell k of the free-running sample clock is [k, k+1) * cell_ps: an edge falls at any phase of a cell, as on a real
 * scope. Analog samples are cell means (high resolution mode), the pod is read in mid-cell.
 *
 * Invariant H1: sample n is formed only when virtual time has reached its end. */
#include "sim/hmo_acq.h"

#include <math.h>
#include <stdlib.h>

#define AUTO_PS (ELEC_PS_PER_S / 10)
#define PRE_MAX_S 12.0 /* what elec's history holds; the record's header tells the granted pre-trigger time */
#define PACE_PS (ELEC_PS_PER_S / 2) /* the lag of virtual time that is caught up */
#define CELLS_PER_STEP 200000u /* bounds one step's work; the history holds the rest */

int hmo_acq_init(struct hmo_acq *ret_a, const struct elec *e, const struct profile *p, uint64_t seed, struct err *reterr) {
    struct hmo_acq *a = ret_a;
    *a = (struct hmo_acq){.elec = e, .profile = *p, .state = HMO_EMPTY};
    profile_seed(&a->rng, seed ^ UINT64_C(0x686d6f));
    a->current = malloc(HMO_MEMORY * sizeof *a->current);
    a->voltage = malloc(HMO_MEMORY * sizeof *a->voltage);
    a->pod = malloc(HMO_MEMORY);
    if (!a->current || !a->voltage || !a->pod) {
        hmo_acq_done(a);
        return err_set(reterr, JF_E_NOMEM, "sample memory");
    }
    return 0;
}

void hmo_acq_done(struct hmo_acq *a) {
    free(a->current);
    free(a->voltage);
    free(a->pod);
    a->current = NULL;
    a->voltage = NULL;
    a->pod = NULL;
}

double hmo_acq_rate(double scale_s) {
    double limit = fmin((double)HMO_MEMORY / ((double)HMO_DIVISIONS * scale_s), HMO_MAX_RATE) * (1.0 + 1e-12);
    double decade = pow(10.0, floor(log10(limit)));
    return limit >= 5.0 * decade ? 5.0 * decade : limit >= 2.0 * decade ? 2.0 * decade : decade;
}

void hmo_acq_arm(struct hmo_acq *a, const struct hmo_setup *s) {
    int64_t now = elec_now_ps(a->elec);
    double span = (double)HMO_DIVISIONS * s->scale_s;
    a->setup = *s;
    a->rate_hz = hmo_acq_rate(s->scale_s);
    a->cell_ps = (double)ELEC_PS_PER_S / a->rate_hz * (1.0 + a->profile.rate_error);
    a->count = (size_t)llrint(span * a->rate_hz);
    double pre = fmin(fmin(fmax(0.5 * span - s->position_s, 0.0), span), PRE_MAX_S);
    a->pre = (size_t)llrint(pre * a->rate_hz);
    a->filled = 0;
    a->armed_at = now;
    /* The pre-trigger part must fill first. Whoever waits for that waits in real time, which virtual time may trail. */
    int64_t fill = (int64_t)((double)a->pre * a->cell_ps) - PACE_PS;
    a->looked_until = now + (fill > 0 ? fill : 0);
    a->trigger_at = -1;
    a->last_level = -1;
    a->state = HMO_ARMED;
}

void hmo_acq_break(struct hmo_acq *a) {
    if (a->state == HMO_ARMED || a->state == HMO_FILLING) {
        a->state = HMO_BROKEN;
        a->count = 0;
    }
}

static bool edge_wanted(enum hmo_slope slope, int before, int after) {
    return before >= 0 && before != after && (slope == HMO_EITHER || (slope == HMO_FALLING) == (after == 0));
}

/* Looks for the first wanted edge in [looked_until, now). */
static void trigger_look(struct hmo_acq *a, int64_t now) {
    if (a->setup.trigger_line < 0) {
        a->trigger_at = now >= a->looked_until ? a->looked_until : -1;
        return;
    }
    while (a->looked_until < now) {
        int64_t until;
        unsigned levels = elec_cursor_markers(a->elec, &a->cursor, a->looked_until, &until);
        int level = (int)(levels >> a->setup.trigger_line & 1u);
        if (edge_wanted(a->setup.slope, a->last_level, level)) {
            a->trigger_at = a->looked_until;
            return;
        }
        a->last_level = level;
        int64_t next = a->looked_until + (int64_t)a->cell_ps; /* a delayed wire says "look again": cell by cell */
        a->looked_until = until > a->looked_until + 1 ? until : next < now ? next : now;
    }
    if (a->setup.automatic && now - a->armed_at > AUTO_PS + (int64_t)((double)a->pre * a->cell_ps)) {
        a->trigger_at = a->looked_until;
    }
}

static int64_t cell_start(const struct hmo_acq *a, int64_t k) { return (int64_t)llrint((double)k * a->cell_ps); }

static void put_analog(struct hmo_acq *a, size_t at, size_t n, double amp, double volt) {
    const struct profile *p = &a->profile;
    amp = amp * (1.0 + p->gain[0]) + p->offset_a[0];
    volt = volt * (1.0 + p->voltage_gain) + p->voltage_offset_v;
    for (size_t k = at; k < at + n; k++) {
        a->current[k] = (float)amp;
        a->voltage[k] = (float)volt;
    }
    if (p->noise_a[0] > 0.0) {
        for (size_t k = at; k < at + n; k++) {
            a->current[k] = (float)(amp + p->noise_a[0] * profile_normal(&a->rng));
        }
    }
    if (p->voltage_noise_v > 0.0) {
        for (size_t k = at; k < at + n; k++) {
            a->voltage[k] = (float)(volt + p->voltage_noise_v * profile_normal(&a->rng));
        }
    }
}

/* Fills the pod of cells [at, at+n). */
static void put_pod(struct hmo_acq *a, size_t at, size_t n) {
    int64_t until = INT64_MIN;
    uint8_t levels = 0;
    for (size_t k = at; k < at + n; k++) {
        int64_t mid = (int64_t)llrint(((double)(a->first + (int64_t)k) + 0.5) * a->cell_ps);
        if (mid >= until) {
            levels = elec_cursor_markers(a->elec, &a->cursor, mid, &until);
        }
        a->pod[k] = levels;
    }
}

static void fill(struct hmo_acq *a, int64_t now) {
    size_t begin = a->filled;
    size_t end = a->count - begin > CELLS_PER_STEP ? begin + CELLS_PER_STEP : a->count;
    while (a->filled < end) {
        int64_t k = a->first + (int64_t)a->filled;
        int64_t t0 = cell_start(a, k);
        int64_t t1 = cell_start(a, k + 1);
        if (t1 > now) {
            break;
        }
        double amp = 0.0;
        double volt = 0.0;
        size_t n = 1;
        int64_t flat = elec_flat(a->elec, &a->cursor, t0, &amp, &volt);
        if (flat >= t1) {
            double cells = floor((double)(flat - t0) / a->cell_ps) - 1.0; /* one less: starts are rounded */
            n = cells < 1.0 ? 1 : cells > (double)(end - a->filled) ? end - a->filled : (size_t)cells;
        } else {
            elec_cell(a->elec, &a->cursor, t0, t1, &amp, &volt);
        }
        put_analog(a, a->filled, n, amp, volt);
        a->filled += n;
    }
    put_pod(a, begin, a->filled - begin);
    if (a->filled == a->count) {
        a->state = HMO_COMPLETE;
    }
}

void hmo_acq_step(struct hmo_acq *a, int64_t now_ps) {
    if (a->state == HMO_ARMED) {
        trigger_look(a, now_ps);
        if (a->trigger_at < 0) {
            return;
        }
        int64_t late = (int64_t)(a->profile.clock_offset_s * (double)ELEC_PS_PER_S);
        a->first = (int64_t)floor((double)(a->trigger_at + late) / a->cell_ps) - (int64_t)a->pre;
        int64_t kept = (int64_t)ceil((double)elec_history_from_ps(a->elec) / a->cell_ps);
        if (a->first < kept) { /* just after power-on: the record begins where there is something to be seen */
            a->pre -= a->first < kept - (int64_t)a->pre ? a->pre : (size_t)(kept - a->first);
            a->first = kept;
        }
        a->state = HMO_FILLING;
    }
    if (a->state == HMO_FILLING) {
        fill(a, now_ps);
    }
}
