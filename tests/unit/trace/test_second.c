/* SPDX-License-Identifier: GPL-2.0-or-later
 * The second instrument's records in a trace file: what was written is read, and what makes no sense is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/trace/second.h"

#define GOOD_HEAD "{\"lines\":5,\"sync_line\":1,\"period_s\":1e-6,\"marker_phase\":-1,\"clock_ppm\":50,\"sync_unit_s\":1.01e-4}"
#define GOOD_EDGES "{\"first\":0,\"end\":100,\"edges\":[[0,31,1],[40,30,0]],\"host_raw_ns\":7}"

/* A trace of some samples with these records; answers the reading's result. */
static int reading(const char *const (*records)[2], size_t n, struct measure_second **ret_s, struct err *e) {
    char path[] = "/tmp/jf-second-XXXXXX";
    struct trace_writer *w = NULL;
    struct trace_reader *r = NULL;
    struct trace_summary sum;
    float current[64] = {0};
    struct trace_header h = {.period_s = 1e-5, .voltage_v = 3};
    struct measure_block b = {.count = 64, .current_a = current};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(trace_writer_open(path, &h, &w, e), 0);
    assert_int_equal(trace_writer_block(w, &b, e), 0);
    for (size_t i = 0; i < n; i++) {
        json_t *data = json_loads(records[i][1], 0, NULL);
        assert_non_null(data);
        assert_int_equal(trace_writer_event(w, 1, records[i][0], data, e), 0);
        json_decref(data);
    }
    assert_int_equal(trace_writer_close(w, &sum, e), 0);
    assert_int_equal(trace_reader_open(path, &r, e), 0);
    int rc = trace_second_read(r, ret_s, e);
    trace_reader_close(r);
    (void)unlink(path);
    return rc;
}

static void read_back(void **state) {
    (void)state;
    struct measure_second *s = NULL;
    struct err e = {0};
    static const char *const records[][2] = {{"uart", "{}"},
                                             {"second", GOOD_HEAD},
                                             {"second-edges", GOOD_EDGES},
                                             {"second-edges", "{\"first\":100,\"end\":200,\"edges\":[],\"host_raw_ns\":9}"},
                                             {"second-edges", "{\"first\":300,\"end\":400,\"edges\":[[300,5,1]],\"host_raw_ns\":0}"}};
    assert_int_equal(reading(records, 5, &s, &e), 0);
    assert_non_null(s);
    assert_int_equal(s->n_markers, 5);
    assert_int_equal(s->sync_line, 1);
    assert_true(s->marker_phase < 0 && s->period_s > 0.99e-6 && s->period_s < 1.01e-6);
    assert_int_equal(s->first, 0);
    assert_int_equal(s->end, 400);
    assert_int_equal(s->n_changes, 3);
    assert_true(s->changes[0].set && !s->changes[1].set && s->changes[2].set);
    assert_int_equal(s->changes[1].n, 40);
    assert_int_equal(s->changes[1].m, 30);
    assert_int_equal(s->n_stamps, 2);
    assert_int_equal(s->stamps[1].end, 200);
    assert_false(s->damaged); /* an announced hole */
    trace_second_free(s);
    assert_int_equal(reading(records, 1, &s, &e), 0);
    assert_null(s);
    /* a record is missing in between: what follows does not begin with a level found anew */
    static const char *const torn[][2] = {{"second", GOOD_HEAD}, {"second-edges", GOOD_EDGES}, {"second-edges", "{\"first\":300,\"end\":400,\"edges\":[]}"}};
    assert_int_equal(reading(torn, 3, &s, &e), 0);
    assert_true(s->damaged);
    trace_second_free(s);
}

static void refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"second", "{}"},
        {"second", "{\"lines\":9,\"sync_line\":0,\"period_s\":1,\"sync_unit_s\":1}"},
        {"second", "{\"lines\":5,\"sync_line\":0,\"period_s\":-1,\"sync_unit_s\":1}"},
        {"second", "{\"lines\":5,\"sync_line\":\"0\",\"period_s\":1,\"sync_unit_s\":1}"},
        {"second", "[]"},
        {"second-edges", GOOD_EDGES},
    };
    static const char *const worse[] = {
        "{}", "[]", "{\"first\":5,\"end\":5,\"edges\":[]}", "{\"first\":-5,\"end\":5,\"edges\":[]}", "{\"first\":0,\"end\":9,\"edges\":{}}",
        "{\"first\":0,\"end\":9,\"edges\":[[9,1,0]]}", "{\"first\":0,\"end\":9,\"edges\":[[3,1,0],[3,2,0]]}",
        "{\"first\":0,\"end\":9,\"edges\":[[3,256,0]]}", "{\"first\":0,\"end\":9,\"edges\":[[3.5,1,0]]}", "{\"first\":0,\"end\":9,\"edges\":[7]}",
        "{\"first\":0,\"end\":9223372036854775807,\"edges\":[]}"};
    struct measure_second *s = NULL;
    struct err e = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(reading(&bad[i], 1, &s, &e), JF_E_PARSE);
        assert_null(s);
        assert_non_null(strstr(e.text, "second instrument"));
    }
    for (size_t i = 0; i < sizeof worse / sizeof worse[0]; i++) {
        const char *const records[][2] = {{"second", GOOD_HEAD}, {"second-edges", worse[i]}};
        assert_int_equal(reading(records, 2, &s, &e), JF_E_PARSE);
    }
    static const char *const twice[][2] = {{"second", GOOD_HEAD}, {"second", GOOD_HEAD}};
    static const char *const back[][2] = {{"second", GOOD_HEAD}, {"second-edges", GOOD_EDGES}, {"second-edges", GOOD_EDGES}};
    assert_int_equal(reading(twice, 2, &s, &e), JF_E_PARSE);
    assert_int_equal(reading(back, 3, &s, &e), JF_E_PARSE);
    static const char *const overlap[][2] = {{"second", GOOD_HEAD}, {"second-edges", GOOD_EDGES}, {"second-edges", "{\"first\":99,\"end\":200,\"edges\":[]}"}};
    assert_int_equal(reading(overlap, 3, &s, &e), JF_E_PARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_back), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
