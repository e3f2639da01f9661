/* SPDX-License-Identifier: GPL-2.0-or-later
 * Exports of traces that are not a session at 1 kHz: rates that do not divide, edges between samples, losses, acquisitions with time
 * between them. Expected energies are worked out by hand from powers of two, the runners' layouts are read back by the importer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/trace/export.h"

#define COUNT 1000

static char dir[64], path[96], out_path[96];
static struct import_session session;

/* COUNT samples from `first` on; sample n draws (n + 1) * 2^-20 A. */
static void add(struct trace_writer *w, int64_t first, int64_t count, uint32_t flags) {
    static float current[COUNT];
    static uint8_t markers[COUNT];
    struct err e = {0};
    struct measure_block b = {.first = first, .count = (uint32_t)count, .flags = flags, .current_a = current, .markers = markers};
    assert_true(count <= COUNT);
    for (int64_t i = 0; i < count; i++) {
        current[i] = (float)(first + i + 1) / 1048576;
        markers[i] = (uint8_t)((first + i) & 3);
    }
    if (flags & MEASURE_GAP)
        b.current_a = NULL, b.markers = NULL;
    if (trace_writer_block(w, &b, &e) < 0)
        fail_msg("%s", e.text);
}

/* [0, 400) recorded, [400, 420) lost, [420, 1000) recorded; with segments: the second part is an acquisition of its own, 5000 later. */
static struct trace_reader *make(double rate_hz, double volts, bool segments) {
    const struct trace_header h = {.period_s = 1 / rate_hz, .channels = TRACE_MARKERS, .voltage_v = volts, .block = segments};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_summary sum;
    struct err e = {0};
    (void)unlink(path);
    assert_int_equal(trace_writer_open(path, &h, &w, &e), 0);
    add(w, 0, 400, segments ? MEASURE_SEGMENT_START | MEASURE_SEGMENT_END : 0);
    if (!segments)
        add(w, 400, 20, MEASURE_GAP);
    add(w, segments ? 5420 : 420, 580, segments ? MEASURE_SEGMENT_START | MEASURE_SEGMENT_END : 0);
    assert_int_equal(trace_writer_close(w, &sum, &e), 0);
    assert_int_equal(trace_reader_open(path, &r, &e), 0);
    return r;
}

static int export(struct trace_reader *r, enum export_format as, const struct export_facts *f, struct err *e) {
    FILE *out = fopen(out_path, "wb");
    assert_non_null(out);
    int rc = export_trace(r, as, f, out, e);
    assert_int_equal(fclose(out), 0);
    return rc;
}

static void exported(struct trace_reader *r, enum export_format as, const struct export_facts *f) {
    struct err e = {0};
    if (export(r, as, f, &e) < 0)
        fail_msg("%s: %s %s", export_format_name(as), e.text, e.where);
}

static void imported(void) {
    struct err e = {0};
    if (import_session_read(out_path, &session, &e) < 0)
        fail_msg("%s %s", e.text, e.where);
    if (session.n_differences > 0)
        fail_msg("%s", session.differences[0]);
}

/* 1 + 2 + ... of samples [a, b), as joules at `volts` and `rate`. */
static double joules(double a, double b, double volts, double rate) { return (a + 1 + b) * (b - a) / 2 / 1048576 * volts / rate; }

static void near(double x, double want, double rel) {
    if (!(fabs(x - want) <= rel * fabs(want)))
        fail_msg("%.17g, wanted %.17g", x, want);
}

static void every_sample_of_a_window(void **state) {
    (void)state;
    struct trace_reader *r = make(4096, 2, false);
    struct export_facts f = {.voltage_v = 2, .n_windows = 2, .windows = {{100 / 4096.0, 300 / 4096.0, 4}, {500 / 4096.0, 900 / 4096.0, 8}}};
    exported(r, EXPORT_EEMBC, &f);
    imported();
    assert_true(session.rate_hz == 4096);
    assert_int_equal(session.samples, 1000);
    assert_int_equal(session.windows[0].a, 100);
    assert_int_equal(session.windows[1].b, 900);
    near(session.windows[0].energy_j, joules(100, 300, 2, 4096), 1e-7);
    near(session.windows[1].energy_j, joules(500, 900, 2, 4096), 1e-7);
    assert_int_equal(session.windows[1].inferences, 8);
    assert_true(session.facts.voltage_v == 2);
    trace_reader_close(r);
}

/* 4096 Hz into cells of 1 ms: 4.096 samples each, so that nearly every cell shares two samples with its neighbours. 125 ms are 512. */
static void cells_share_samples(void **state) {
    (void)state;
    struct trace_reader *r = make(4096, 2, false);
    struct export_facts f = {.voltage_v = 2, .n_windows = 1, .windows = {{430 / 4096.0, 942 / 4096.0, 5}}};
    exported(r, EXPORT_MLCOMMONS, &f);
    imported();
    assert_int_equal(session.windows[0].b - session.windows[0].a, 125);
    near(session.windows[0].energy_j, joules(430, 942, 2, 4096), 1e-6);
    near(session.windows[0].duration_s, 0.125, 1e-12);
    /* half a sample later: half of the first is out, half of sample 942 (at its end) is in */
    f.windows[0] = (struct export_window){430.5 / 4096.0, 942.5 / 4096.0, 5};
    exported(r, EXPORT_MLCOMMONS, &f);
    imported();
    double half = 0.5 * 2 / 4096 / 1048576;
    near(session.windows[0].energy_j, joules(430, 942, 2, 4096) - 431 * half + 943 * half, 1e-6);
    trace_reader_close(r);
}

static void what_was_not_recorded(void **state) {
    (void)state;
    struct trace_reader *r = make(1000, 1, true);
    struct export_facts f = {.voltage_v = 1, .n_windows = 2, .windows = {{0.1, 0.3, 1}, {5.5, 5.9, 1}}};
    exported(r, EXPORT_EEMBC, &f);
    imported();
    assert_int_equal(session.samples, 6000); /* the time between the acquisitions is there, as nothing */
    near(session.per_inference_j, (joules(100, 300, 1, 1000) + joules(5500, 5900, 1, 1000)) / 2, 1e-6);
    exported(r, EXPORT_MLCOMMONS, &f);
    imported();
    near(session.windows[1].energy_j, joules(5500, 5900, 1, 1000), 1e-6);
    f.windows[1].to_s = 7; /* beyond the trace */
    struct err e = {0};
    assert_int_equal(export(r, EXPORT_EEMBC, &f, &e), JF_E_UNSUPPORTED);
    trace_reader_close(r);
}

static void lines_and_records(void **state) {
    (void)state;
    char line[160];
    int lines = 0;
    struct trace_reader *r = make(1000, 1.5, false);
    exported(r, EXPORT_CSV, NULL);
    FILE *f = fopen(out_path, "rb");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (++lines == 1)
            assert_string_equal(line, "time_s,current_a,voltage_v,power_w,markers\n");
        if (lines == 3)
            assert_string_equal(line, "0.001,1.90734863e-06,1.5,2.86102295e-06,1\n");
        if (lines == 402) /* behind the loss */
            assert_memory_equal(line, "0.42,", 5);
    }
    fclose(f);
    assert_int_equal(lines, 1 + 980);
    exported(r, EXPORT_NPY, NULL);
    f = fopen(out_path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    assert_int_equal(ftell(f), 256 + 980 * 21);
    assert_int_equal(fseek(f, 256 + 400 * 21, SEEK_SET), 0);
    uint8_t record[21];
    double t, v;
    assert_int_equal(fread(record, 1, 21, f), 21);
    memcpy(&t, record, 8);
    memcpy(&v, record + 12, 8);
    assert_true(t == 420 * 0.001 && v == 1.5 && record[20] == 0);
    fclose(f);
    trace_reader_close(r);
    r = make(1000, NAN, false); /* no voltage: empty cells */
    exported(r, EXPORT_CSV, NULL);
    f = fopen(out_path, "rb");
    assert_non_null(fgets(line, sizeof line, f));
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "0,9.53674316e-07,,,0\n");
    fclose(f);
    trace_reader_close(r);
}

static void refusals(void **state) {
    (void)state;
    struct err e = {0};
    struct export_facts f = {.voltage_v = 2, .n_windows = 1, .windows = {{0.1, 0.2, 1}}};
    struct trace_reader *r = make(1000, NAN, false);
    assert_int_equal(export(r, EXPORT_EEMBC, &f, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "voltage"));
    trace_reader_close(r);
    r = make(500, 1, false);
    assert_int_equal(export(r, EXPORT_MLCOMMONS, &f, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "500 samples a second"));
    trace_reader_close(r);
    r = make(1000.5, 1, false);
    assert_int_equal(export(r, EXPORT_SR, &f, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "whole hertz"));
    f.windows[0].from_s = 0; /* no room for the timestamp before the runs */
    assert_int_equal(export(r, EXPORT_EEMBC, &f, &e), JF_E_UNSUPPORTED);
    trace_reader_close(r);
}

static void documents(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{\"result\":{},\"windows\":[{\"usable\":true,\"from_s\":1,\"to_s\":2,\"inferences\":3}]}", 0},
        {"{\"result\":{},\"windows\":[]}", JF_E_MEASUREMENT},
        {"{\"result\":{},\"windows\":[{\"usable\":false,\"from_s\":1,\"to_s\":2,\"inferences\":3}]}", JF_E_MEASUREMENT},
        {"{\"result\":{}}", JF_E_PARSE},
        {"{\"windows\":[]}", JF_E_PARSE},
        {"{\"result\":{},\"windows\":[{\"usable\":true,\"from_s\":2,\"to_s\":2,\"inferences\":3}]}", JF_E_PARSE},
        {"{\"result\":{},\"windows\":[{\"usable\":true,\"from_s\":null,\"to_s\":2,\"inferences\":3}]}", JF_E_PARSE},
        {"{\"result\":{},\"windows\":[{\"usable\":true,\"from_s\":1,\"to_s\":2,\"inferences\":0}]}", JF_E_PARSE},
        {"{\"result\":{},\"windows\":[{\"usable\":true,\"from_s\":1,\"to_s\":2,\"inferences\":3},{\"usable\":true,\"from_s\":2,\"to_s\":3,"
         "\"inferences\":3}]}",
         JF_E_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct export_facts f;
        struct err e = {0};
        json_t *j = json_loads(cases[i].text, 0, NULL);
        assert_non_null(j);
        if (export_facts_from_json(j, &f, &e) != cases[i].code)
            fail_msg("%s: %s", cases[i].text, e.text);
        json_decref(j);
    }
}

static int setup(void **state) {
    (void)state;
    strcpy(dir, "/tmp/jf-export-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/trace.jft", dir);
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)unlink(path);
    (void)unlink(out_path);
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_of_a_window), cmocka_unit_test(cells_share_samples), cmocka_unit_test(what_was_not_recorded),
        cmocka_unit_test(lines_and_records),        cmocka_unit_test(refusals),            cmocka_unit_test(documents),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
