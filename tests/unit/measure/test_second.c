/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole analyses with the markers of a second instrument: the current's own instrument sees line 0 alone, a logic analyzer with another clock sees all
 * lines. Truth: the synthetic capture's closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>

#include "measure/second.h"
#include "tests/unit/measure/synth.h"

static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};

/* The current's instrument: only line 0 is wired to it. */
struct masked {
    struct synth *s;
    measure_block_fn *fn;
    void *user;
    uint8_t m[SYNTH_BLOCK];
};
static int one_line(void *user, const struct measure_block *b) {
    struct masked *k = user;
    struct measure_block c = *b;
    for (uint32_t i = 0; b->markers && i < b->count; i++)
        k->m[i] = b->markers[i] & 1;
    c.markers = b->markers ? k->m : NULL;
    return k->fn(k->user, &c);
}
static int masked_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    struct masked *k = self;
    k->fn = fn;
    k->user = user;
    return synth_each(k->s, from, to, want, one_line, k, reterr);
}

/* One sync train (firmware/include/jf_device.h), or one with gaps all alike. */
static void train(struct synth *s, bool constant) {
    uint8_t rest = s->lv[s->n - 1].m & 2;
    unsigned state = 1;
    for (int k = 0; k < 31; k++) {
        synth_hold(s, constant ? 0.0026 : 101e-6 * (10 + state), 0.004, (uint8_t)(rest | (k % 2 ? 1 : 0)));
        state = (state >> 1) | (((state ^ (state >> 2)) & 1) << 4);
    }
    synth_hold(s, 0.02, 0.004, (uint8_t)(1 | rest));
}

enum wrong { NOTHING, CONSTANT, NO_LAST, LOST_BETWEEN };

struct lab {
    struct synth s;
    struct masked masked;
    struct measure_second second;
    struct measure_change *changes;
    struct measure_stamp stamps[2];
    double start, error; /* the second clock: reads (t - start) / (1 + error) */
};

static void make(struct lab *l, int windows, enum wrong w) {
    struct synth *s = &l->s;
    memset(l, 0, sizeof *l);
    l->start = 0.04;
    l->error = 100e-6;
    synth_init(s, 1e-5, 3.0);
    s->noise_a = 1e-5;
    synth_hold(s, 4, 0.002, 3);
    double t_loss = INFINITY;
    for (int k = 0; k < windows; k++) {
        t_loss = w == LOST_BETWEEN && k == 2 ? s->t_end - 0.7 : t_loss;
        train(s, w == CONSTANT);
        synth_idle(s, 1.4, 0.002);
        synth_window(s, 50, &usual, 0.004);
        synth_idle(s, 1.4, 0.002);
    }
    if (w != NO_LAST)
        train(s, w == CONSTANT);
    synth_hold(s, 4, 0.002, 3);
    double dt2 = 1e-6;
    l->changes = calloc(s->n + 1, sizeof *l->changes);
    assert_non_null(l->changes);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        double r = (s->lv[i].t - l->start) / (1 + l->error);
        int64_t at = (int64_t)ceil(r / dt2 - 0.5) - (s->lv[i].t > t_loss ? 640 : 0);
        if (at <= 0) {
            n = 0;
            at = 0;
        }
        if (n > 0 && (l->changes[n - 1].m == s->lv[i].m))
            continue;
        l->changes[n] = (struct measure_change){.n = at, .m = s->lv[i].m, .set = n == 0};
        n++;
    }
    int64_t end = (int64_t)((s->t_end - l->start) / (1 + l->error) / dt2) - 1000;
    l->stamps[0] = (struct measure_stamp){.end = 1000000, .host_raw_ns = synth_host(s, l->start + 1.0) + 3000000};
    l->stamps[1] = (struct measure_stamp){.end = end, .host_raw_ns = synth_host(s, l->start + (double)end * dt2 * (1 + l->error)) + 2000000};
    l->second = (struct measure_second){.period_s = dt2, .marker_phase = 0.5, .clock_ppm = 50, .sync_unit_s = 101e-6, .n_markers = 5, .end = end,
                                        .changes = l->changes, .n_changes = n, .stamps = l->stamps, .n_stamps = 2};
    l->masked.s = s;
}

static void done(struct lab *l) {
    synth_done(&l->s);
    free(l->changes);
}

static int try(struct lab *l, struct measure_result *r, struct err *e) {
    struct measure_config cfg;
    struct measure_source src = {.each = masked_each, .self = &l->masked, .second = &l->second};
    measure_config_init(&cfg);
    cfg.draws = 2000;
    return measure_run(&src, &l->s.cap_, &cfg, r, e);
}

static struct measure_result *run(struct lab *l) {
    struct measure_result *r = calloc(1, sizeof *r);
    struct err e = {0};
    assert_non_null(r);
    if (try(l, r, &e) < 0)
        fail_msg("measure_run: %s (%s)", e.text, e.where);
    return r;
}

static void near_abs(double got, double want, double tol) {
    if (!(fabs(got - want) <= tol))
        fail_msg("got %.12g, want %.12g within %g", got, want, tol);
}

static const struct measure_component *component(const struct measure_figure_stat *f, const char *name) {
    for (int i = 0; i < f->n_budget; i++)
        if (strcmp(f->budget[i].name, name) == 0)
            return &f->budget[i];
    return NULL;
}

static void aligned(void **state) {
    (void)state;
    struct lab l;
    make(&l, 5, NOTHING);
    struct measure_result *r = run(&l);
    const struct measure_alignment *f = &r->alignment;
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (r->reasons[c].raised && measure_code_grade((enum measure_code)c) == MEASURE_GRADE_INVALID)
            fail_msg("%s: %s", measure_code_word((enum measure_code)c), r->reasons[c].text);
    assert_true(f->has && f->good);
    assert_int_equal(f->trains, 6);
    assert_int_equal(f->inliers, 6 * 32);
    near_abs(f->rate, 100e-6, 1e-6); /* current's second per the other's, less 1 */
    near_abs(f->offset_s + f->rate * -f->ref_s, 0.04, 5e-6);
    assert_int_equal(r->n_usable, 5);
    assert_true(r->has_stages); /* lines that the current's own instrument never saw */
    for (int k = 0; k < 5; k++) {
        const struct measure_window *w = &r->windows[k];
        near_abs(w->from_s, l.s.win[k].t0, 2e-6); /* a fifth of the current's sample */
        near_abs(w->to_s, l.s.win[k].t1, 2e-6);
        near_abs(w->energy_j / synth_truth(&l.s, k), 1, 1e-4);
    }
    const struct measure_component *c = component(&r->energy, "alignment");
    assert_non_null(c);
    assert_true(c->u > 0 && c->u < 1e-4 * r->energy.median);
    assert_non_null(component(&r->latency, "alignment"));
    assert_non_null(component(&r->net, "alignment"));
    free(r);
    done(&l);
}

static void refused(void **state) {
    (void)state;
    static const enum wrong cases[] = {CONSTANT, LOST_BETWEEN};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lab l;
        make(&l, 5, cases[i]);
        struct measure_result *r = run(&l);
        assert_true(r->alignment.has && !r->alignment.good);
        assert_int_equal(r->verdict, MEASURE_INVALID);
        assert_true(r->reasons[MEASURE_R_ALIGNMENT_AMBIGUOUS].raised);
        assert_int_equal(r->reasons[MEASURE_R_ALIGNMENT_AMBIGUOUS].windows, 31);
        assert_false(r->reasons[MEASURE_R_MARKER_MISSING].raised); /* one reason, the true one */
        for (int k = 0; k < 5; k++)
            assert_false(r->windows[k].found);
        free(r);
        done(&l);
    }
}

/* Without a train behind it the last window would be extrapolated. */
static void outside(void **state) {
    (void)state;
    struct lab l;
    make(&l, 5, NO_LAST);
    struct measure_result *r = run(&l);
    assert_true(r->alignment.good);
    assert_int_equal(r->reasons[MEASURE_R_ALIGNMENT_AMBIGUOUS].windows, 1u << 4);
    assert_int_equal(r->n_usable, 4);
    free(r);
    done(&l);
}

static void nonsense(void **state) {
    (void)state;
    struct measure_result *r = calloc(1, sizeof *r);
    assert_non_null(r);
    for (int i = 0; i < 6; i++) {
        struct lab l;
        struct err e = {0};
        make(&l, 1, NOTHING);
        struct measure_second *s = &l.second;
        switch (i) {
        case 0: s->period_s = 0; break;
        case 1: s->period_s = (double)NAN; break;
        case 2: l.changes[3].n = l.changes[2].n; break;
        case 3: s->end = l.changes[s->n_changes - 1].n; break;
        case 4: s->sync_line = 8; break;
        default: s->sync_unit_s = 0; break;
        }
        assert_int_equal(try(&l, r, &e), JF_E_INVAL);
        assert_string_equal(e.where, "second");
        done(&l);
    }
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(aligned), cmocka_unit_test(refused), cmocka_unit_test(outside), cmocka_unit_test(nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
