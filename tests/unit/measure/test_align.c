/* SPDX-License-Identifier: GPL-2.0-or-later
 * The alignment of two clocks against trains whose true offset and rate are drawn here: true event times, two clocks with their own rate, start and
 * grid, lost and surplus edges. The expected value is the drawn truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/align.h"

#define MAX_EDGES 20000

struct rng {
    uint64_t s;
};
static double uniform(struct rng *r) { /* splitmix64 */
    r->s += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = r->s;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

struct clock { /* one instrument: its reading of true time t is (t - start) / (1 + error), seen at the next sample of a grid */
    double start, error, period;
};
struct side {
    double t[MAX_EDGES];
    size_t n;
    struct clock c;
};
static struct side A, B; /* large */

static double reading(const struct clock *c, double t) { return (t - c->start) / (1 + c->error); }

/* The first sample at or behind the edge; its time is taken in the middle of what the edge can have been. */
static void see(struct side *s, double t) {
    double r = reading(&s->c, t);
    if (r < 0 || s->n == MAX_EDGES)
        return;
    s->t[s->n++] = (ceil(r / s->c.period) - 0.5) * s->c.period;
}

static int ascending(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

/* The gaps that a board sends: the 31 states of x^5 + x^2 + 1, each once. */
static double gap(int k) {
    unsigned s = 1;
    for (int i = 0; i < k; i++)
        s = (s >> 1) | (((s ^ (s >> 2)) & 1) << 4);
    return 101e-6 * (10 + s);
}

struct play {
    double lost, spurious; /* share of the edges; a lost pulse takes both its edges */
    int trains;
    double apart; /* s */
    bool constant; /* gaps all alike */
    double repeat; /* each train is sent again after this time; 0: not */
    double jump; /* B loses this much time in the middle */
};

static void both(struct rng *r, const struct play *p, double t, double t_jump) {
    struct side *side[2] = {&A, &B};
    for (int i = 0; i < 2; i++) {
        if (uniform(r) >= p->lost)
            see(side[i], i == 1 && t > t_jump ? t - p->jump : t);
        if (uniform(r) < p->spurious)
            see(side[i], t + 0.002 * uniform(r));
    }
}

static void send(struct rng *r, const struct play *p, double t0, double t_jump) {
    double t = t0;
    both(r, p, t, t_jump);
    for (int k = 0; k < 31; k++) {
        t += p->constant ? 0.0025 : gap(k);
        both(r, p, t, t_jump);
    }
}

static void make(struct rng *r, const struct play *p, struct clock a, struct clock b) {
    A.n = B.n = 0;
    A.c = a;
    B.c = b;
    double t_jump = 1.5 + p->apart * (p->trains / 2 - 0.5);
    for (int k = 0; k < p->trains; k++) {
        double t = 1.5 + k * p->apart + uniform(r);
        send(r, p, t, p->jump > 0 ? t_jump : INFINITY);
        if (p->repeat > 0)
            send(r, p, t + p->repeat, INFINITY);
        for (int i = 0; i < 4; i++)
            both(r, p, t + 1 + 0.3 * i, p->jump > 0 ? t_jump : INFINITY);
    }
    qsort(A.t, A.n, sizeof A.t[0], ascending);
    qsort(B.t, B.n, sizeof B.t[0], ascending);
}

static struct align_fit fit(double prior) {
    struct align_fit f;
    struct align_edges a = {A.t, A.n, A.c.period}, b = {B.t, B.n, B.c.period};
    assert_int_equal(align_fit(&a, &b, prior, &align_limits_default, &f, NULL), 0);
    return f;
}

/* a's true reading when b reads x */
static double truth(double x) { return reading(&A.c, B.c.start + x * (1 + B.c.error)); }

/* 60 s, 100 ppm and more, 40 ms of skew, 1 % lost on both sides, surplus edges: the error stays below one sample of the slower instrument,
 * and the stated uncertainty covers it. */
static void random_trains(void **state) {
    (void)state;
    int beyond = 0, n = 0, covered = 0;
    double e2 = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rng r = {seed};
        struct play p = {.lost = 0.01, .spurious = 0.01, .trains = 2 + (int)(4 * uniform(&r)), .apart = 15};
        p.apart = 60.0 / (p.trains - 1);
        struct clock a = {.start = 0.1 * uniform(&r), .error = 50e-6 * (2 * uniform(&r) - 1), .period = 1e-5};
        struct clock b = {.start = a.start + 0.04, .error = 100e-6 * (2 * uniform(&r) - 1), .period = seed % 2 ? 1e-6 : 1e-5};
        make(&r, &p, a, b);
        struct align_fit f = fit(0.04 + 0.9 * (2 * uniform(&r) - 1));
        if (f.refusal != ALIGN_GOOD)
            fail_msg("seed %llu: %s", (unsigned long long)seed, f.text);
        assert_int_equal(f.trains, p.trains);
        for (double x = f.from_s; x <= f.to_s; x += (f.to_s - f.from_s) / 20) {
            double e = align_map(&f, x) - truth(x), u = hypot(f.u_offset_s, f.u_rate * (x - f.ref_s));
            if (fabs(e) > 5e-6)
                fail_msg("seed %llu: %.3g s off at %.3g s", (unsigned long long)seed, e, x);
            beyond += fabs(e) > 2 * u;
            n++;
        }
        assert_true(f.to_s - f.from_s > 59);
        double middle = (align_map(&f, f.ref_s) - truth(f.ref_s)) / f.u_offset_s;
        covered += fabs(middle) <= 1.96;
        e2 += middle * middle / 400;
    }
    /* the stated standard uncertainty, against the truth: it covers, and is not twice what the errors are (the train's unit spreads the edges evenly
     * over both grids, so that their mean is somewhat better than that of random edges) */
    if (covered < 372 || sqrt(e2) < 0.5 || sqrt(e2) > 1)
        fail_msg("1.96 u covers %d of 400 alignments; the errors are %.2f u", covered, sqrt(e2));
    if (beyond > n / 10)
        fail_msg("%d of %d points lie beyond two standard uncertainties", beyond, n);
}

static void refused(void **state) {
    (void)state;
    const struct clock a = {.start = 0.02, .error = 20e-6, .period = 1e-5}, b = {.start = 0.06, .error = -80e-6, .period = 1e-6};
    static const struct {
        const char *name;
        struct play p;
        enum align_refusal want;
    } cases[] = {
        {"constant gaps", {.trains = 3, .apart = 5, .constant = true}, ALIGN_AMBIGUOUS},
        {"sent twice within the search", {.trains = 3, .apart = 5, .repeat = 0.5}, ALIGN_AMBIGUOUS},
        {"a quarter lost", {.trains = 3, .apart = 5, .lost = 0.25}, ALIGN_POOR},
        {"one train", {.trains = 1, .apart = 5}, ALIGN_NO_TRAIN},
        {"no train", {.trains = 0, .apart = 5}, ALIGN_NO_TRAIN},
        {"640 samples lost between the trains", {.trains = 4, .apart = 5, .jump = 0.0064}, ALIGN_RATE},
        {"64 samples lost between the trains: 43 ppm for the ends alone", {.trains = 4, .apart = 5, .jump = 0.00064}, ALIGN_RATE},
        {"two trains, a loss that looks like 1280 ppm", {.trains = 2, .apart = 5, .jump = 0.0064}, ALIGN_RATE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct rng r = {seed};
            make(&r, &cases[i].p, a, b);
            struct align_fit f = fit(0.04);
            if (f.refusal != cases[i].want)
                fail_msg("%s, seed %llu: refusal %d: %s", cases[i].name, (unsigned long long)seed, (int)f.refusal, f.text);
            assert_true(f.text[0]);
            assert_false(align_covers(&f, 10));
        }
    }
}

/* 300 ppm between the clocks is beyond the search, whichever side is the fast one. */
static void too_fast(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct rng r = {7};
        struct play p = {.trains = 3, .apart = 20};
        make(&r, &p, (struct clock){0.02, 150e-6 * sign, 1e-5}, (struct clock){0.06, -150e-6 * sign, 1e-6});
        assert_int_equal(fit(0.04).refusal, ALIGN_RATE);
    }
}

/* Nothing is said about times outside the trains, and the prior must be within a second. */
static void no_extrapolation(void **state) {
    (void)state;
    struct rng r = {3};
    struct play p = {.trains = 2, .apart = 10};
    make(&r, &p, (struct clock){0.02, 0, 1e-5}, (struct clock){0.06, 1e-4, 1e-6});
    struct align_fit f = fit(0.04);
    assert_int_equal(f.refusal, ALIGN_GOOD);
    assert_true(align_covers(&f, f.from_s) && align_covers(&f, f.to_s) && align_covers(&f, (f.from_s + f.to_s) / 2));
    assert_false(align_covers(&f, f.from_s - 1e-3));
    assert_false(align_covers(&f, f.to_s + 1e-3));
    assert_false(align_covers(&f, NAN));
    assert_int_not_equal(fit(-3).refusal, ALIGN_GOOD);
    assert_int_not_equal(fit(3).refusal, ALIGN_GOOD);
}

static void nonsense(void **state) {
    (void)state;
    struct align_fit f;
    struct err e = {0};
    double down[] = {2, 1}, nan[] = {1, (double)NAN}, good[] = {1, 2};
    struct align_edges ok = {good, 2, 1e-5};
    assert_int_equal(align_fit(&(struct align_edges){down, 2, 1e-5}, &ok, 0, &align_limits_default, &f, &e), JF_E_INVAL);
    assert_int_equal(align_fit(&ok, &(struct align_edges){nan, 2, 1e-5}, 0, &align_limits_default, &f, &e), JF_E_INVAL);
    assert_int_equal(align_fit(&ok, &(struct align_edges){good, 2, 0}, 0, &align_limits_default, &f, &e), JF_E_INVAL);
    assert_int_equal(align_fit(&ok, &ok, (double)NAN, &align_limits_default, &f, &e), JF_E_INVAL);
    assert_int_equal(align_fit(&(struct align_edges){NULL, 0, 1e-5}, &ok, 0, &align_limits_default, &f, &e), 0);
    assert_int_equal(f.refusal, ALIGN_NO_TRAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_trains), cmocka_unit_test(refused), cmocka_unit_test(too_fast),
                                       cmocka_unit_test(no_extrapolation), cmocka_unit_test(nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
