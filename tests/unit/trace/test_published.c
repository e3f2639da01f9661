/* SPDX-License-Identifier: GPL-2.0-or-later
 * The window rules against real published sessions: every figure as printed, to the last digit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/rules.h"
#include "measure/stats.h"

#define ROOT "tests/replay/mlperf-tiny/"

static char *slurp(const char *path, size_t *ret_n) {
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s (tests run from the top of the tree)", path);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, n, f), n);
    fclose(f);
    p[n] = 0;
    if (ret_n)
        *ret_n = n;
    return p;
}

/* The next occurrence of label behind *at must be followed by exactly this text. */
static void expect_after(const char **at, const char *label, const char *want) {
    const char *p = strstr(*at, label);
    if (!p)
        fail_msg("'%s' does not occur again", label);
    p += strlen(label);
    while (*p == ' ' || *p == ':')
        p++;
    size_t n = strlen(want);
    if (strncmp(p, want, n) != 0 || (p[n] >= '0' && p[n] <= '9'))
        fail_msg("%s: computed %s, printed %.24s", label, want, p);
    *at = p + n;
}

static const char *fixed(double v, int digits) {
    static char text[8][40];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(text[turn], sizeof text[0], "%.*f", digits, v);
    return text[turn];
}

static const char *shortest(double v) {
    static char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return text;
}

static double sum_of(const float *e, int64_t a, int64_t b) {
    struct measure_acc acc = {0};
    for (int64_t n = a; n < b; n++)
        measure_acc_add(&acc, (double)e[n]);
    return measure_acc_get(&acc);
}

static void eembc_session(void **state) {
    (void)state;
    static const char dir[] = ROOT "eembc/v1.2/NUCLEO_L4R5ZI_kws/";
    char path[160];
    size_t n;
    snprintf(path, sizeof path, "%strace1-energy.bin", dir);
    char *raw = slurp(path, &n);
    snprintf(path, sizeof path, "%sresults.txt", dir);
    char *printed = slurp(path, NULL);
    snprintf(path, sizeof path, "%strace1-timestamps.json", dir);
    json_t *stamps = json_load_file(path, 0, NULL);
    assert_int_equal((uint8_t)raw[0], 0xF1);
    float fs;
    memcpy(&fs, raw + 1, 4);
    size_t samples = (n - 5) / 4;
    float *e = malloc(samples * sizeof *e);
    memcpy(e, raw + 5, samples * sizeof *e);
    double per[5], rate[5], energy[5], duration[5];
    const int inferences = 300;
    const char *at = printed;
    for (int k = 0; k < 5; k++) {
        double t0 = json_number_value(json_array_get(stamps, (size_t)(2 * k + 1))), t1 = json_number_value(json_array_get(stamps, (size_t)(2 * k + 2)));
        int64_t a, b;
        measure_rule_eembc((double)fs, t0, t1, &a, &b);
        assert_in_range(b, 1, samples);
        energy[k] = sum_of(e, a, b);
        duration[k] = t1 - t0;
        per[k] = energy[k] / inferences;
        rate[k] = inferences / duration[k];
        expect_after(&at, "Energy       :", fixed(energy[k], 3));
        /* the printed power is the mean of the samples, not energy over runtime */
        expect_after(&at, "Power        :", fixed(energy[k] / ((double)(b - a) / (double)fs), 3));
        expect_after(&at, "Energy/Inf.  :", fixed(per[k], 3));
    }
    expect_after(&at, "Median energy cost is", fixed(measure_median(per, 5), 3));
    for (int k = 0; k < 5; k++) {
        expect_after(&at, "Runtime      :", fixed(duration[k], 3));
        expect_after(&at, "Throughput   :", fixed(rate[k], 3));
    }
    expect_after(&at, "Median throughput is", fixed(measure_median(rate, 5), 3));
    json_decref(stamps);
    free(raw);
    free(printed);
    free(e);
}

static void mlcommons_session(void **state) {
    (void)state;
    static const char dir[] = ROOT "mlcommons/v1.3/NUCLEO_U385RG_Q_kws/";
    char path[160];
    snprintf(path, sizeof path, "%sresults.txt", dir);
    char *printed = slurp(path, NULL);
    snprintf(path, sizeof path, "%sresults.json", dir);
    json_t *runs = json_load_file(path, 0, NULL);
    const char *at = printed;
    double per[5];
    assert_int_equal(json_array_size(runs), 5);
    for (size_t k = 0; k < 5; k++) {
        const json_t *run = json_array_get(runs, k), *power = json_object_get(run, "power"), *samples = json_object_get(power, "samples");
        const json_t *stamps = json_object_get(power, "timestamps");
        size_t last = json_array_size(stamps);
        int64_t a = json_integer_value(json_array_get(json_array_get(stamps, last - 2), 1));
        int64_t b = json_integer_value(json_array_get(json_array_get(stamps, last - 1), 1));
        int64_t n = json_integer_value(json_object_get(json_object_get(run, "infer"), "iterations"));
        struct measure_span span;
        measure_rule_apply(MEASURE_RULE_MLCOMMONS, 1e-3, a, b, (double)a, (double)b, &span);
        assert_true(span.x0 == (double)a && span.x1 == (double)b);
        struct measure_acc acc = {0};
        for (int64_t i = a; i < b; i++)
            measure_acc_add(&acc, json_number_value(json_array_get(samples, (size_t)i)));
        double e = measure_acc_get(&acc);
        per[k] = e / (double)n * 1e6;
        expect_after(&at, "Elapsed time  :", shortest(span.duration_s));
        expect_after(&at, "Power         :", fixed(e / span.duration_s * 1e3, 4));
        expect_after(&at, "Total Energy  :", fixed(e * 1e6, 3));
        expect_after(&at, "Energy/Inf    :", fixed(per[k], 3));
    }
    expect_after(&at, "Median energy cost is", fixed(measure_median(per, 5), 4));
    json_decref(runs);
    free(printed);
}

/* The published tool's added-up time base is part of the rule: sample 10 stands at 0.9999999999999999 at 10 Hz. */
static void eembc_time_is_added_up(void **state) {
    (void)state;
    int64_t a, b;
    measure_rule_eembc(10, 1.0, 2.0, &a, &b);
    assert_int_equal(a, 11);
    measure_rule_eembc(8, 1.0, 2.0, &a, &b); /* exact in binary */
    assert_int_equal(a, 8);
    assert_int_equal(b, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(eembc_session), cmocka_unit_test(mlcommons_session), cmocka_unit_test(eembc_time_is_added_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
