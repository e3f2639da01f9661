/* SPDX-License-Identifier: GPL-2.0-or-later
 * Losses that no counter shows, from arrival times alone: made-up stamps of an hour at speed, without samples. The true time line is
 * computed here: a sample index that jumps, a host clock with an offset and a rate, arrivals that are late now and then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "measure/loss.h"
#include "measure/stats.h"

#define PERIOD 10e-6 /* a PPK2's */
#define PIECE 1000 /* samples between two arrivals: 10 ms */

struct stream {
    double seconds;
    double rate; /* host seconds per device second, minus 1 */
    double wander; /* of the oscillator: amplitude of the rate over 40 minutes */
    double jitter_s; /* of an arrival, exponential */
    double stall_share; /* arrivals that find the host stalled for 20 to 100 ms */
    double late_at_s, late_s, late_for_s; /* one stretch that is late throughout */
    int64_t loss_at[8], loss_n[8];
    int n_losses;
    uint64_t seed;
};

static int stream_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    const struct stream *s = self;
    struct measure_rng g;
    int64_t end = (int64_t)(s->seconds / PERIOD), lost = 0;
    double stalled_until = 0;
    int rc = 0;
    (void)from, (void)to, (void)want, (void)reterr;
    measure_rng_init(&g, s->seed);
    for (int64_t n = 0, at = 0; n < end && rc >= 0; n += PIECE) {
        for (; at < s->n_losses && n >= s->loss_at[at]; at++)
            lost += s->loss_n[at];
        double t = (double)(n + PIECE + lost) * PERIOD; /* true time of the last sample */
        double host = t * (1 + s->rate) + s->wander * 2400 / (2 * M_PI) * (1 - cos(2 * M_PI * t / 2400));
        host -= s->jitter_s * log(1 - measure_rng_uniform(&g));
        if (measure_rng_uniform(&g) < s->stall_share)
            stalled_until = fmax(stalled_until, host + 0.02 + 0.08 * measure_rng_uniform(&g));
        host = fmax(host, stalled_until); /* a stalled host reads everything when it wakes */
        if (t >= s->late_at_s && t < s->late_at_s + s->late_for_s)
            host += s->late_s;
        struct measure_block b = {.first = n, .count = PIECE, .host_raw_ns = 1000000000000 + (int64_t)(host * 1e9)};
        rc = fn(user, &b);
    }
    return rc;
}

static struct hostmap fit(struct stream *s) {
    struct measure_source src = {.each = stream_each, .self = s};
    struct measure_config cfg;
    struct hostmap map;
    struct scan scan;
    struct err e = {0};
    measure_config_init(&cfg);
    assert_int_equal(scan_run(&src, PERIOD, cfg.loss_block_s, &scan, &e), 0);
    assert_int_equal(loss_fit(&scan, &cfg, PERIOD, &map, &e), 0);
    scan_done(&scan);
    return map;
}

/* 1 % of the arrivals stall for 20 to 100 ms: with an arrival every 10 ms the host is late for half of each second. */
static struct stream usual(double seconds, uint64_t seed) {
    return (struct stream){.seconds = seconds, .rate = 40e-6, .jitter_s = 40e-6, .stall_share = 0.01, .seed = seed};
}

static void each_loss_is_found(void **state) {
    static const int64_t sizes[] = {64, 128, 640};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct stream s = usual(120, seed);
            s.loss_at[0] = (int64_t)((20 + 4.37 * (double)seed) / PERIOD);
            s.loss_n[0] = sizes[i];
            s.n_losses = 1;
            struct hostmap m = fit(&s);
            double at = (double)s.loss_at[0] * PERIOD;
            if (m.n_steps != 1)
                fail_msg("loss of %d, seed %d: %d steps", (int)sizes[i], (int)seed, m.n_steps);
            assert_true(m.steps[0].from_s <= at + PIECE * PERIOD && m.steps[0].to_s >= at && m.steps[0].to_s - m.steps[0].from_s < 2.5);
            assert_true(fabs(m.steps[0].size_s / PERIOD - (double)sizes[i]) < 20);
            assert_true(m.scatter_s < 1e-4);
        }
}

static void several_losses_each_by_itself(void **state) {
    (void)state;
    struct stream s = usual(600, 5);
    for (int i = 0; i < 6; i++) {
        s.loss_at[i] = (int64_t)((60 + 80 * i) / PERIOD);
        s.loss_n[i] = (const int64_t[]){64, 640, 128, 64, 64, 128}[i];
    }
    s.n_losses = 6;
    struct hostmap m = fit(&s);
    assert_int_equal(m.n_steps, 6);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(m.steps[i].size_s / PERIOD - (double)s.loss_n[i]) < 20);
    /* and the map between the clocks knows them: host time of a sample behind all of them */
    double t = 590, want = t - 1088 * PERIOD; /* device time that the index shows */
    assert_true(fabs(hostmap_device_s(&m, 1000000000000 + (int64_t)(t * (1 + s.rate) * 1e9)) - want) < 2e-4);
}

static void an_hour_without_loss_is_quiet(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct stream s = usual(3600, seed);
        s.wander = seed > 2 ? 2e-6 : 0; /* a crystal in a room that warms and cools */
        struct hostmap m = fit(&s);
        if (m.n_steps > 0)
            fail_msg("seed %d: %d false losses, the first of %.3g s at %.3g s", (int)seed, m.n_steps, m.steps[0].size_s, m.steps[0].to_s);
        assert_true(m.scatter_s < 1e-4); /* nor is the check called weak */
        assert_true(fabs(m.rate - 40e-6) < 3e-6);
    }
}

/* Late for seconds, then back: latency. */
static void lateness_that_recovers(void **state) {
    static const double lasts[] = {1.5, 4, 12};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct stream s = usual(120, 9);
        s.late_at_s = 50.3;
        s.late_for_s = lasts[i];
        s.late_s = 0.02;
        struct hostmap m = fit(&s);
        if (m.n_steps != 0)
            fail_msg("%g s late: %d steps", lasts[i], m.n_steps);
    }
}

static void scatter_is_told(void **state) {
    (void)state;
    struct stream s = usual(120, 2);
    s.jitter_s = 0.05; /* a host that is never on time */
    assert_true(fit(&s).scatter_s > 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_loss_is_found), cmocka_unit_test(several_losses_each_by_itself), cmocka_unit_test(an_hour_without_loss_is_quiet),
        cmocka_unit_test(lateness_that_recovers), cmocka_unit_test(scatter_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
