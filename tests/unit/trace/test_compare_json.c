/* SPDX-License-Identifier: GPL-2.0-or-later
 * A result's JSON as compare_results reads it: out of the analysis and back in nothing of the budget is lost; what is absent is unknown; what is foreign
 * is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "measure/trace/compare_json.h"
#include "measure/trace/result_json.h"
#include "tests/unit/measure/synth.h"

static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};

static json_t *result_of(uint64_t seed, double active, struct measure_result *r) {
    struct synth s;
    struct synth_inference inf = usual;
    struct measure_config cfg;
    struct err e = {0};
    synth_init(&s, 1e-4, 3.0);
    for (int i = 0; i < SYNTH_STAGES; i++)
        inf.amp[i] *= active;
    synth_usual(&s, 5, 50, &inf, 0.002, 4);
    s.noise_a = 1e-5;
    s.seed = seed;
    struct measure_instrument *in = &s.cap_.instrument;
    in->ranges[0].gain_rel = 0.05;
    in->ranges[0].offset_a = 1e-5;
    in->clock_ppm = 50;
    snprintf(in->driver, sizeof in->driver, "ppk2");
    snprintf(in->serial, sizeof in->serial, "F0E1");
    snprintf(in->calibration, sizeof in->calibration, "K-7");
    snprintf(s.cap_.device.idle_state, sizeof s.cap_.device.idle_state, "wfi");
    measure_config_init(&cfg);
    cfg.draws = 1000;
    struct measure_source src = synth_source(&s);
    assert_int_equal(measure_run(&src, &s.cap_, &cfg, r, &e), 0);
    json_t *j = measure_result_json(&s.cap_, r);
    assert_non_null(j);
    json_object_set_new(j, "board", json_pack("{s:f, s:s}", "core_hz", 280e6, "idle_state", "wfi"));
    json_object_set_new(j, "provenance", json_pack("{s:s, s:[s, s]}", "model_sha256", "sha256:aa", "inputs", "sha256:y", "sha256:x"));
    synth_done(&s);
    return j;
}

static void there_and_back(void **state) {
    struct measure_result *ra = calloc(1, sizeof *ra), *rb = calloc(1, sizeof *rb);
    struct compare_input *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    struct compare_result *c = malloc(sizeof *c);
    struct compare_config cfg;
    struct err e = {0};
    (void)state;
    assert_true(ra && rb && a && b && c);
    json_t *ja = result_of(1, 1, ra), *jb = result_of(2, 1.02, rb);
    json_t *swapped = json_pack("[s, s]", "sha256:x", "sha256:y"); /* the same set in another order */
    json_object_set_new(json_object_get(jb, "provenance"), "inputs", swapped);
    assert_int_equal(compare_input_from_json(ja, a, &e), 0);
    assert_int_equal(compare_input_from_json(jb, b, &e), 0);
    assert_string_equal(a->side.model, "sha256:aa");
    assert_string_equal(a->side.rule, "edge");
    assert_string_equal(a->side.idle_state, "wfi");
    assert_true(strncmp(a->side.inputs, "2 inputs sha256:", 16) == 0);
    assert_int_equal(a->gross.n_budget, ra->energy.n_budget);
    assert_int_equal(a->net.n_budget, ra->net.n_budget);
    for (int i = 0; i < a->net.n_budget; i++) {
        const struct measure_component *x = &a->net.budget[i], *y = &ra->net.budget[i];
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->distribution, y->distribution);
        assert_string_equal(x->source, y->source);
        assert_int_equal(x->negative, y->negative);
        assert_true(fabs(x->u - y->u) <= 1e-15 * y->u && x->type == y->type && (x->dof == y->dof));
    }
    compare_config_init(&cfg);
    cfg.draws = 20000;
    assert_int_equal(compare_results(&a->side, &b->side, &cfg, c, &e), 0);
    assert_false(c->refused || c->n_unlike);
    /* one unit, one calibration: 5 % of each, but of the difference of 2 % only 5 % */
    assert_true(c->gross.n_shared >= 2 && c->gross.differs && c->gross.u95 < 0.01 * c->gross.a && c->gross.u95_unshared > 0.05 * c->gross.a);
    json_t *out = compare_result_json(c);
    assert_true(json_is_true(json_object_get(json_object_get(out, "gross"), "differs")));
    assert_true(json_array_size(json_object_get(json_object_get(out, "gross"), "shared")) >= 2);
    assert_true(json_is_false(json_object_get(out, "refused")) && json_array_size(json_object_get(out, "unlike")) == 0);
    json_decref(out);
    json_decref(ja);
    json_decref(jb);
    free(ra);
    free(rb);
    free(a);
    free(b);
    free(c);
}

static void foreign_json(void **state) {
    static const struct {
        const char *json, *where;
    } bad[] = {{"[]", ""},
               {"{\"verdict\": \"superb\"}", "verdict"},
               {"{\"supply\": {\"voltage_v\": \"three\"}}", "voltage_v"},
               {"{\"provenance\": {\"inputs\": [7]}}", "inputs"},
               {"{\"energy_per_inference_j\": [1]}", "energy_per_inference_j"},
               {"{\"energy_per_inference_j\": {\"median\": 1, \"budget\": [{\"component\": \"x\", \"distribution\": \"cauchy\"}]}}", "distribution"},
               {"{\"window_rule\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "window_rule"}};
    struct compare_input *in = malloc(sizeof *in);
    (void)state;
    assert_non_null(in);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = {0};
        json_t *j = json_loads(bad[i].json, 0, NULL);
        assert_non_null(j);
        if (compare_input_from_json(j, in, &e) != JF_E_PARSE)
            fail_msg("%s passed", bad[i].json);
        assert_string_equal(e.where, bad[i].where);
        json_decref(j);
    }
    struct err e = {0};
    json_t *j = json_object(); /* nothing is known: read, and like nothing */
    assert_int_equal(compare_input_from_json(j, in, &e), 0);
    assert_false(in->gross.has);
    struct compare_result *c = malloc(sizeof *c);
    struct compare_config cfg;
    assert_non_null(c);
    compare_config_init(&cfg);
    assert_int_equal(compare_results(&in->side, &in->side, &cfg, c, &e), 0);
    assert_true(c->refused && c->n_unlike == 7);
    json_decref(j);
    free(c);
    free(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(foreign_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
