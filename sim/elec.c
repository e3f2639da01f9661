/* SPDX-License-Identifier: GPL-2.0-or-later
 * The electrical model: one load behind one series resistance with one capacitor, as a history of segments in which
 * the load's current is constant and everything else is known in closed form. Owns the history and the running
 * integrals; knows nothing of instruments, protocols or what the markers mean. One thread.
 *
 * Circuit: supply (v_src) - R - pin (C to ground) - load i_L. With C = 0 the analyzer's current i_a equals i_L. Else
 * i_a(t) = i_L + (a0 - i_L) exp(-(t - t0)/RC), from R i_a = v_src - v_pin and C dv_pin/dt = i_a - i_L; state is v_pin,
 * which is continuous across changes of the load, the source and the range resistor.
 *
 * Invariants:
 *  E1  segments are contiguous: segment k begins where k-1 ends; the last one ends at now.
 *  E2  the running totals are the sum over every segment ever, including those no longer kept.
 *  E3  the first kept marker entry is at or before the first kept segment's start. */
#include "sim/elec.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/faults.h"

#define KEEP_PS (INT64_C(13) * ELEC_PS_PER_S)
#define SEGMENTS_MIN (UINT64_C(1) << 12)
#define SEGMENTS_MAX (UINT64_C(1) << 19)
#define MARKERS_MIN (UINT64_C(1) << 10)
#define MARKERS_MAX (UINT64_C(1) << 19)
#define OFF_STATES 0xFFu /* an unpowered board's marker wires: see elec_wires */

struct segment {
    int64_t t0, t1;
    double load_a; /* constant inside */
    double a0; /* analyzer current at t0 (equals load_a where tau is 0) */
    double src_v, ohm;
};

struct marker {
    int64_t t;
    uint8_t levels;
};

struct elec {
    struct segment *seg; /* ring, seg_cap a power of two */
    uint64_t seg_cap, seg_first, seg_end; /* absolute indices */
    struct marker *mark;
    uint64_t mark_cap, mark_first, mark_end;
    int64_t now;
    double farad;
    double ohm, supply_v;
    bool on;
    double pin_v;
    int64_t sag_until; /* brown-out fault */
    struct elec_totals total;
    struct faults *faults;
    struct elec_observer observer;
};

/* Neumaier's compensated addition. */
static void sum_add(struct elec_sum *s, double x) {
    double t = s->hi + x;
    if (fabs(s->hi) >= fabs(x)) {
        s->lo += (s->hi - t) + x;
    } else {
        s->lo += (x - t) + s->hi;
    }
    s->hi = t;
}

double elec_sum_diff(struct elec_sum a, struct elec_sum b) { return (a.hi - b.hi) + (a.lo - b.lo); }

static double seconds(int64_t ps) { return (double)ps / (double)ELEC_PS_PER_S; }

static struct segment *seg_at(const struct elec *e, uint64_t k) { return &e->seg[k & (e->seg_cap - 1)]; }
static struct marker *mark_at(const struct elec *e, uint64_t k) { return &e->mark[k & (e->mark_cap - 1)]; }

struct part { /* integrals over a part of one segment */
    double load_c, load_j, pin_c, pin_j, volt_s;
};

static bool seg_flat(const struct elec *e, const struct segment *s) {
    return e->farad <= 0.0 || s->ohm <= 0.0 || s->a0 == s->load_a;
}

static void seg_integrate(const struct elec *e, const struct segment *s, int64_t ta, int64_t tb, struct part *ret_p) {
    double dt = seconds(tb - ta);
    double decay1 = 0.0; /* integral of exp(-(t-t0)/tau) */
    double decay2 = 0.0; /* of its square */
    double k = 0.0;
    if (!seg_flat(e, s)) {
        double tau = s->ohm * e->farad;
        double xa = exp(-seconds(ta - s->t0) / tau);
        k = s->a0 - s->load_a;
        decay1 = -tau * xa * expm1(-dt / tau);
        decay2 = -0.5 * tau * xa * xa * expm1(-2.0 * dt / tau);
    }
    double i = s->load_a;
    ret_p->load_c = i * dt;
    ret_p->pin_c = i * dt + k * decay1;
    ret_p->volt_s = s->src_v * dt - s->ohm * ret_p->pin_c;
    ret_p->load_j = i * ret_p->volt_s;
    ret_p->pin_j = s->src_v * ret_p->pin_c - s->ohm * (i * i * dt + 2.0 * i * k * decay1 + k * k * decay2);
}

static double seg_analyzer_a(const struct elec *e, const struct segment *s, int64_t t) {
    if (seg_flat(e, s)) {
        return s->load_a;
    }
    return s->load_a + (s->a0 - s->load_a) * exp(-seconds(t - s->t0) / (s->ohm * e->farad));
}

static void totals_add(struct elec_totals *t, const struct part *p, double sign) {
    sum_add(&t->load_c, sign * p->load_c);
    sum_add(&t->load_j, sign * p->load_j);
    sum_add(&t->pin_c, sign * p->pin_c);
    sum_add(&t->pin_j, sign * p->pin_j);
}

int elec_new(const struct elec_conf *c, struct elec **ret_elec, struct err *reterr) {
    struct elec *e = calloc(1, sizeof *e);
    if (!e) {
        return err_set(reterr, JF_E_NOMEM, "electrical model");
    }
    e->seg = calloc(SEGMENTS_MIN, sizeof *e->seg);
    e->mark = calloc(MARKERS_MIN, sizeof *e->mark);
    if (!e->seg || !e->mark) {
        elec_free(e);
        return err_set(reterr, JF_E_NOMEM, "electrical model's history");
    }
    e->seg_cap = SEGMENTS_MIN;
    e->mark_cap = MARKERS_MIN;
    e->mark[0] = (struct marker){.t = 0, .levels = OFF_STATES};
    e->mark_end = 1;
    e->farad = c->capacitance_f;
    e->ohm = c->shunt_ohm;
    e->supply_v = c->supply_v;
    e->on = c->supply_on;
    e->pin_v = e->on ? e->supply_v : 0.0;
    e->faults = c->faults;
    *ret_elec = e;
    return 0;
}

void elec_free(struct elec *e) {
    if (!e) {
        return;
    }
    free(e->seg);
    free(e->mark);
    free(e);
}

void elec_observe(struct elec *e, const struct elec_observer *o) { e->observer = *o; }

/* --- history ------------------------------------------------------------------------------------------------- */
static void *ring_grown(const void *old, uint64_t cap, uint64_t first, uint64_t end, size_t item) {
    unsigned char *p = malloc((size_t)(cap * 2) * item);
    if (!p) {
        return NULL;
    }
    for (uint64_t k = first; k < end; k++) {
        memcpy(p + (size_t)(k & (cap * 2 - 1)) * item, (const unsigned char *)old + (size_t)(k & (cap - 1)) * item, item);
    }
    return p;
}

static void seg_push(struct elec *e, const struct segment *s) {
    while (e->seg_first < e->seg_end && seg_at(e, e->seg_first)->t1 < e->now - KEEP_PS) {
        e->seg_first++;
    }
    if (e->seg_end > e->seg_first) { /* merge: idle stretches are one segment however they were sliced */
        struct segment *last = seg_at(e, e->seg_end - 1);
        if (last->ohm == s->ohm && last->src_v == s->src_v && fabs(last->load_a - s->load_a) <= 1e-12 * fabs(s->load_a) &&
            s->t1 - last->t0 < ELEC_PS_PER_S) {
            last->t1 = s->t1;
            return;
        }
    }
    if (e->seg_end - e->seg_first == e->seg_cap) {
        void *p = e->seg_cap < SEGMENTS_MAX ? ring_grown(e->seg, e->seg_cap, e->seg_first, e->seg_end, sizeof *e->seg) : NULL;
        if (p) {
            free(e->seg);
            e->seg = p;
            e->seg_cap *= 2;
        } else {
            e->seg_first++; /* bounded: the oldest goes */
        }
    }
    *seg_at(e, e->seg_end++) = *s;
}

static void mark_push(struct elec *e, int64_t t, uint8_t levels) {
    int64_t keep = elec_history_from_ps(e) - ELEC_PS_PER_S; /* a second more: marker-delay looks back */
    while (e->mark_first + 1 < e->mark_end && mark_at(e, e->mark_first + 1)->t <= keep) {
        e->mark_first++;
    }
    if (mark_at(e, e->mark_end - 1)->t == t) {
        mark_at(e, e->mark_end - 1)->levels = levels;
        return;
    }
    if (e->mark_end - e->mark_first == e->mark_cap) {
        void *p = e->mark_cap < MARKERS_MAX ? ring_grown(e->mark, e->mark_cap, e->mark_first, e->mark_end, sizeof *e->mark) : NULL;
        if (p) {
            free(e->mark);
            e->mark = p;
            e->mark_cap *= 2;
        } else {
            e->mark_first++;
        }
    }
    *mark_at(e, e->mark_end++) = (struct marker){.t = t, .levels = levels};
}

int64_t elec_history_from_ps(const struct elec *e) {
    return e->seg_first < e->seg_end ? seg_at(e, e->seg_first)->t0 : e->now;
}

/* --- fed by the board ------------------------------------------------------------------------------------------ */
static double source_now_v(const struct elec *e) {
    if (!e->on) {
        return 0.0;
    }
    if (e->now < e->sag_until && e->faults) {
        return fmin(e->supply_v, fault_param(e->faults, FAULT_BROWN_OUT, "v"));
    }
    return e->supply_v;
}

void elec_advance(struct elec *e, int64_t t_ps, double charge_c) {
    if (t_ps <= e->now) {
        return;
    }
    if (e->faults && e->on && e->now >= e->sag_until && fault_fires(e->faults, FAULT_BROWN_OUT)) {
        double s = fault_param(e->faults, FAULT_BROWN_OUT, "s");
        e->sag_until = e->now + (int64_t)(s * (double)ELEC_PS_PER_S);
    }
    struct segment s = {.t0 = e->now, .t1 = t_ps, .src_v = source_now_v(e), .ohm = e->ohm};
    s.load_a = e->on ? charge_c / seconds(t_ps - e->now) : 0.0;
    bool lag = e->on && e->farad > 0.0 && s.ohm > 0.0;
    s.a0 = lag ? (s.src_v - e->pin_v) / s.ohm : s.load_a;
    struct part p;
    seg_integrate(e, &s, s.t0, s.t1, &p);
    totals_add(&e->total, &p, 1.0);
    e->pin_v = e->on ? s.src_v - s.ohm * seg_analyzer_a(e, &s, t_ps) : 0.0;
    e->now = t_ps;
    e->total.t_ps = t_ps;
    seg_push(e, &s);
}

void elec_markers(struct elec *e, int64_t t_ps, uint8_t levels) {
    uint8_t before = mark_at(e, e->mark_end - 1)->levels;
    if (before == levels) {
        return;
    }
    mark_push(e, t_ps > e->now ? t_ps : e->now, levels);
    if (e->observer.markers) {
        e->observer.markers(e->observer.ctx, t_ps, before, levels);
    }
}

void elec_note(struct elec *e, int64_t t_ps, enum elec_note note, double value) {
    if (e->observer.note) {
        e->observer.note(e->observer.ctx, t_ps, note, value);
    }
}

/* --- supply ------------------------------------------------------------------------------------------------------ */
void elec_supply_set(struct elec *e, bool on, double volt) {
    bool was = e->on;
    e->supply_v = volt;
    e->on = on;
    if (!on) {
        e->pin_v = 0.0; /* the capacitor is taken as discharged at once: no back-feeding is modelled */
    } else if (e->farad <= 0.0 || e->ohm <= 0.0) {
        e->pin_v = volt;
    }
    if (was != on) {
        elec_note(e, e->now, on ? ELEC_POWER_ON : ELEC_POWER_OFF, volt);
    }
}

void elec_shunt_set(struct elec *e, double ohm) { e->ohm = ohm; }

bool elec_supply_on(const struct elec *e) { return e->on; }

double elec_supply_v(const struct elec *e) {
    if (e->now < e->sag_until) { /* the sag is seen at once, before the next segment is drawn from it */
        return fmin(e->pin_v, source_now_v(e));
    }
    return e->pin_v;
}

/* --- totals ------------------------------------------------------------------------------------------------------ */
void elec_totals_now(const struct elec *e, struct elec_totals *ret_t) { *ret_t = e->total; }

void elec_totals_at(const struct elec *e, int64_t t_ps, struct elec_totals *ret_t) {
    *ret_t = e->total;
    for (uint64_t k = e->seg_end; k > e->seg_first && ret_t->t_ps > t_ps; k--) {
        const struct segment *s = seg_at(e, k - 1);
        int64_t from = s->t0 > t_ps ? s->t0 : t_ps;
        struct part p;
        seg_integrate(e, s, from, s->t1, &p);
        totals_add(ret_t, &p, -1.0);
        ret_t->t_ps = from;
    }
}

/* --- asked by instruments ------------------------------------------------------------------------------------------ */
int64_t elec_now_ps(const struct elec *e) { return e->now; }

/* The segment that holds t: from the cursor forward when near, else by bisection. */
static uint64_t seg_find(const struct elec *e, struct elec_cursor *cur, int64_t t) {
    uint64_t lo = e->seg_first;
    uint64_t hi = e->seg_end - 1;
    if (cur->segment >= lo && cur->segment <= hi && seg_at(e, cur->segment)->t0 <= t) {
        for (int k = 0; k < 4; k++) {
            if (t < seg_at(e, cur->segment)->t1 || cur->segment == hi) {
                return cur->segment;
            }
            cur->segment++;
        }
        lo = cur->segment;
    }
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (seg_at(e, mid)->t1 > t) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    cur->segment = lo;
    return lo;
}

void elec_cell(const struct elec *e, struct elec_cursor *cur, int64_t t0_ps, int64_t t1_ps, double *ret_a, double *ret_v) {
    int64_t from = elec_history_from_ps(e);
    int64_t ta = t0_ps < from ? from : t0_ps;
    int64_t tb = t1_ps > e->now ? e->now : t1_ps;
    *ret_a = 0.0;
    *ret_v = 0.0;
    if (ta >= tb || e->seg_first == e->seg_end) {
        return;
    }
    uint64_t k = seg_find(e, cur, ta);
    double charge = 0.0;
    double volt_s = 0.0;
    for (; k < e->seg_end && seg_at(e, k)->t0 < tb; k++) {
        const struct segment *s = seg_at(e, k);
        struct part p;
        seg_integrate(e, s, s->t0 > ta ? s->t0 : ta, s->t1 < tb ? s->t1 : tb, &p);
        charge += p.pin_c;
        volt_s += p.volt_s;
    }
    *ret_a = charge / seconds(tb - ta);
    *ret_v = volt_s / seconds(tb - ta);
}

int64_t elec_flat(const struct elec *e, struct elec_cursor *cur, int64_t t0_ps, double *ret_a, double *ret_v) {
    if (e->seg_first == e->seg_end || t0_ps < elec_history_from_ps(e) || t0_ps >= e->now) {
        return t0_ps;
    }
    const struct segment *s = seg_at(e, seg_find(e, cur, t0_ps));
    if (!seg_flat(e, s)) {
        return t0_ps;
    }
    *ret_a = s->load_a;
    *ret_v = s->src_v - s->ohm * s->load_a;
    return s->t1;
}

double elec_current_mean_a(const struct elec *e, int64_t t0_ps, int64_t t1_ps) {
    struct elec_cursor cur = {0};
    double a, v;
    elec_cell(e, &cur, t0_ps, t1_ps, &a, &v);
    return a;
}

double elec_voltage_mean_v(const struct elec *e, int64_t t0_ps, int64_t t1_ps) {
    struct elec_cursor cur = {0};
    double a, v;
    elec_cell(e, &cur, t0_ps, t1_ps, &a, &v);
    return v;
}

/* --- markers ------------------------------------------------------------------------------------------------------ */
static uint64_t mark_find(const struct elec *e, uint64_t hint, int64_t t) {
    uint64_t lo = e->mark_first;
    uint64_t hi = e->mark_end - 1;
    if (hint >= lo && hint <= hi && mark_at(e, hint)->t <= t) {
        lo = hint;
        if (lo == hi || mark_at(e, lo + 1)->t > t) {
            return lo;
        }
    }
    while (lo < hi) { /* last entry with t_k <= t; the first one stands for everything older */
        uint64_t mid = lo + (hi - lo + 1) / 2;
        if (mark_at(e, mid)->t <= t) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    return lo;
}

static unsigned line_of(const struct elec *e, enum fault_id id) { return (unsigned)fault_param(e->faults, id, "line") & 7u; }

/* What the instrument's wires carry when the board's pins are at levels: wire faults applied. */
static uint8_t elec_wires(const struct elec *e, unsigned levels, int64_t t) {
    if (fault_on(e->faults, FAULT_MARKER_DELAY)) {
        unsigned bit = 1u << line_of(e, FAULT_MARKER_DELAY);
        int64_t late = (int64_t)(fault_param(e->faults, FAULT_MARKER_DELAY, "us") * 1e6);
        levels = (levels & ~bit) | (mark_at(e, mark_find(e, e->mark_end - 1, t - late))->levels & bit);
    }
    if (fault_on(e->faults, FAULT_MARKER_OPEN)) {
        levels |= 1u << line_of(e, FAULT_MARKER_OPEN);
    }
    if (fault_on(e->faults, FAULT_MARKER_STUCK)) {
        unsigned bit = 1u << line_of(e, FAULT_MARKER_STUCK);
        levels = fault_param(e->faults, FAULT_MARKER_STUCK, "level") >= 0.5 ? levels | bit : levels & ~bit;
    }
    return (uint8_t)levels;
}

uint8_t elec_cursor_markers(const struct elec *e, struct elec_cursor *cur, int64_t t_ps, int64_t *ret_until) {
    cur->marker = mark_find(e, cur->marker, t_ps);
    uint8_t levels = mark_at(e, cur->marker)->levels;
    int64_t until = cur->marker + 1 < e->mark_end ? mark_at(e, cur->marker + 1)->t : e->now;
    if (e->faults && fault_on(e->faults, FAULT_MARKER_DELAY)) {
        until = t_ps + 1; /* a delayed line changes at times of its own */
    }
    *ret_until = until;
    return e->faults ? elec_wires(e, levels, t_ps) : levels;
}

uint8_t elec_markers_at(const struct elec *e, int64_t t_ps) {
    struct elec_cursor cur = {.marker = e->mark_end - 1};
    int64_t until;
    return elec_cursor_markers(e, &cur, t_ps, &until);
}

uint8_t elec_markers_true(const struct elec *e) { return mark_at(e, e->mark_end - 1)->levels; }
