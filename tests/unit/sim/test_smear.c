/* SPDX-License-Identifier: GPL-2.0-or-later
 * 1 kohm and 10 uF: the virtual bench's electrical model feeds a load of some 100 uA through the resistance of a low current range; the
 * analysis sees currents and pin voltages only. The energies that the load took, window by window and stage by stage, are the model's exact
 * integrals: uncorrected figures miss them visibly, those corrected for the declared capacitance do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/measure.h"
#include "sim/elec.h"

#define OHM 1000.0
#define FARAD 10e-6
#define VOLT 3.3
#define DT_PS (10 * INT64_C(1000000)) /* 10 us */
#define SUB_PS (DT_PS / 4) /* events lie between samples as well */
#define WINDOWS 5
#define N 6 /* inferences of a window */
#define MAX_CELLS 1200000

struct bed {
    struct elec *e;
    int64_t now_ps, cells;
    float i[MAX_CELLS], v[MAX_CELLS];
    uint8_t m[MAX_CELLS], level;
    struct measure_capture cap;
    double window_j[WINDOWS], stage_j[8];
};

/* `us` microseconds (a multiple of 2.5) of a constant load. Cells are read as soon as they are complete. Returns what the load took, J. */
static double hold(struct bed *b, double us, double load_a, uint8_t level) {
    struct elec_totals from, to;
    elec_totals_now(b->e, &from);
    if (level != b->level)
        elec_markers(b->e, b->now_ps, level);
    b->level = level;
    for (int64_t left = llround(us / 2.5); left > 0; left--) {
        b->now_ps += SUB_PS;
        elec_advance(b->e, b->now_ps, load_a * 2.5e-6);
        if (b->now_ps % DT_PS == 0) {
            int64_t t = b->now_ps - DT_PS;
            assert_true(b->cells < MAX_CELLS);
            b->i[b->cells] = (float)elec_current_mean_a(b->e, t, b->now_ps);
            b->v[b->cells] = (float)elec_voltage_mean_v(b->e, t, b->now_ps);
            b->m[b->cells++] = elec_markers_at(b->e, t + DT_PS / 2);
        }
    }
    elec_totals_now(b->e, &to);
    return elec_sum_diff(to.load_j, from.load_j);
}

static int64_t host_ns(const struct bed *b) {
    return 1000000000000LL + b->now_ps / 1000;
}

static void idle(struct bed *b) {
    struct measure_stretch *st = &b->cap.stretches[b->cap.n_stretches++];
    *st = (struct measure_stretch){.from_ns = host_ns(b), .segment = -1};
    (void)hold(b, 1.2e6, 40e-6, (uint8_t)(1 | (b->level & 2)));
    st->to_ns = host_ns(b);
}

static void window(struct bed *b, int k) {
    static const struct {
        uint8_t code;
        double us, load_a;
    } stages[] = {{3, 3000, 120e-6}, {2, 12002.5, 350e-6}, {6, 4000, 90e-6}, {4, 2500, 200e-6}};
    struct measure_request *q = &b->cap.requests[b->cap.n_requests++];
    uint8_t line1 = b->level & 2;
    *q = (struct measure_request){.inferences = N, .segment = -1, .sent_ns = host_ns(b)};
    (void)hold(b, 12000 + 1237.5 * k, 60e-6, (uint8_t)(1 | line1)); /* talk */
    q->start_ns = host_ns(b);
    int64_t from = b->now_ps;
    for (int n = 0; n < N; n++) {
        line1 ^= 2;
        for (int s = 0; s < 4; s++) {
            double j = hold(b, stages[s].us, stages[s].load_a, (uint8_t)(line1 | stages[s].code << 2));
            b->window_j[k] += j;
            b->stage_j[stages[s].code] += j / N / WINDOWS;
        }
    }
    line1 ^= 2;
    b->window_j[k] += hold(b, 200, 300e-6, line1);
    q->device_hz = 1e6;
    q->device_ticks = (uint64_t)((b->now_ps - from) / 1000000);
    q->device_inferences = N;
    q->done_ns = host_ns(b);
    (void)hold(b, 12000, 60e-6, (uint8_t)(1 | line1));
    q->ready_ns = host_ns(b);
}

static int each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    const struct bed *b = self;
    (void)want, (void)reterr;
    int rc = 0;
    for (int64_t n = 0; n < b->cells && rc >= 0; n += 1000) {
        int64_t count = b->cells - n < 1000 ? b->cells - n : 1000;
        struct measure_block blk = {.first = n, .count = (uint32_t)count, .current_a = b->i + n, .voltage_v = b->v + n, .markers = b->m + n,
                                    .host_raw_ns = 1000000000000LL + (n + count) * 10000};
        if (n < to && n + count > from)
            rc = fn(user, &blk);
    }
    return rc;
}

static struct bed *bed_new(void) {
    struct bed *b = calloc(1, sizeof *b);
    struct elec_conf conf = {.supply_v = VOLT, .supply_on = true, .shunt_ohm = OHM, .capacitance_f = FARAD};
    struct err e = {0};
    assert_non_null(b);
    assert_int_equal(elec_new(&conf, &b->e, &e), 0);
    measure_capture_init(&b->cap);
    struct measure_instrument *in = &b->cap.instrument;
    in->period_s = 10e-6;
    in->marker_phase = 0.5;
    in->n_markers = 5;
    in->n_ranges = 1;
    in->ranges[0] = (struct measure_range){.to_a = 1, .shunt_ohm = OHM, .kind = MEASURE_SPEC_LIMIT};
    in->clock_ppm = 0;
    in->voltage_kind = MEASURE_SPEC_LIMIT;
    b->cap.supply.provenance = MEASURE_VOLTAGE_MEASURED;
    b->cap.supply.plane = MEASURE_PLANE_BOARD_PIN;
    b->cap.supply.capacitance = MEASURE_C_DECLARED;
    b->level = 3;
    elec_markers(b->e, 0, 3);
    (void)hold(b, 1.0e6, 40e-6, 3);
    for (int k = 0; k < WINDOWS; k++) {
        idle(b);
        window(b, k);
    }
    idle(b);
    (void)hold(b, 1.0e6, 40e-6, (uint8_t)(1 | (b->level & 2)));
    return b;
}

static void analyse(struct bed *b, double farad, struct measure_result *r) {
    struct measure_source src = {.each = each, .self = b};
    struct measure_config cfg;
    struct err e = {0};
    measure_config_init(&cfg);
    cfg.draws = 1000;
    b->cap.supply.capacitance_f = farad;
    if (measure_run(&src, &b->cap, &cfg, r, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r->n_usable, WINDOWS);
}

static const double *stage(const struct measure_result *r, const char *name) {
    for (int i = 0; i < MEASURE_N_STAGES; i++)
        if (strcmp(r->stages[i].name, name) == 0)
            return &r->stages[i].energy_j;
    return NULL;
}

static void smear_is_corrected(void **state) {
    static const struct {
        const char *name;
        int code;
    } stages[] = {{"input", 3}, {"inference", 2}, {"output", 6}, {"post", 4}};
    struct bed *b = bed_new();
    struct measure_result *plain = calloc(1, sizeof *plain), *r = calloc(1, sizeof *r);
    (void)state;
    assert_true(plain && r);
    analyse(b, 0, plain);
    analyse(b, FARAD, r);
    for (int k = 0; k < WINDOWS; k++) {
        double off = plain->windows[k].energy_j / b->window_j[k] - 1, left = r->windows[k].energy_j / b->window_j[k] - 1;
        if (!(fabs(off) > 0.02 && fabs(left) < 0.002))
            fail_msg("window %d: %+.3f %% uncorrected, %+.3f %% corrected", k, 100 * off, 100 * left);
        if (k == 0)
            print_message("# window: %+.2f %% uncorrected, %+.3f %% corrected\n", 100 * off, 100 * left);
    }
    for (int i = 0; i < 4; i++) {
        double truth = b->stage_j[stages[i].code], off = *stage(plain, stages[i].name) / truth - 1, left = *stage(r, stages[i].name) / truth - 1;
        print_message("# %s: %+.1f %% uncorrected, %+.2f %% corrected\n", stages[i].name, 100 * off, 100 * left);
        if (!(fabs(off) > 0.05 && fabs(left) < 0.02))
            fail_msg("%s: %+.2f %% uncorrected, %+.2f %% corrected", stages[i].name, 100 * off, 100 * left);
    }
    /* idle is taken clear of it: 10 time constants from the windows */
    double pin = VOLT - OHM * 40e-6;
    assert_true(fabs(r->idle.power_w / (pin * 40e-6) - 1) < 1e-4);
    free(plain);
    free(r);
    elec_free(b->e);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(smear_is_corrected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
