/* SPDX-License-Identifier: GPL-2.0-or-later
 * Foreign sessions: a small one of each kind with figures worked out by hand, then every way in which one can be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/trace/import.h"

static const char *const names[] = {"trace1-energy.bin", "trace1-timestamps.json", "results.txt", "log.txt",
                                    "results.json"};
#define N_NAMES (sizeof names / sizeof names[0])

/* 8 Hz (exact in binary), 80 samples of 2 uJ but the last (3 uJ). Windows 1 s to 3 s: 16 samples, 32 uJ, 4 inferences;
 * 4 s to 8 s: 64 uJ. */
#define STAMPS "[0.5, 1, 3, 4, 8]"
#define RESULTS                                                                                                        \
    "00001.000 ulp-ml: Energy data for window 2 at time 1.00 for 2.00 sec.:\n"                                         \
    "00001.000 ulp-ml:   Energy       :       32.000 uJ\n"                                                             \
    "00001.000 ulp-ml:   Power        :       16.000 uW\n"                                                             \
    "00001.000 ulp-ml:   Energy/Inf.  :        8.000 uJ/inf.\n"                                                        \
    "00001.000 ulp-ml: Energy data for window 4 at time 4.00 for 4.00 sec.:\n"                                         \
    "00001.000 ulp-ml:   Energy       :       64.000 uJ\n"                                                             \
    "00001.000 ulp-ml:   Power        :       16.000 uW\n"                                                             \
    "00001.000 ulp-ml:   Energy/Inf.  :       16.000 uJ/inf.\n"                                                        \
    "00001.000 ulp-ml: Median energy cost is 12.000 uJ/inf.\n"
#define PERFORMANCE                                                                                                    \
    "00001.000 ulp-ml: Performance results for window 2:\n"                                                            \
    "00001.000 ulp-ml:   # Inferences :            4\n"                                                                \
    "00001.000 ulp-ml:   Runtime      :        2.000 sec.\n"                                                           \
    "00001.000 ulp-ml:   Throughput   :        2.000 inf./sec.\n"                                                      \
    "00001.000 ulp-ml: Performance results for window 4:\n"                                                            \
    "00001.000 ulp-ml:   # Inferences :            4\n"                                                                \
    "00001.000 ulp-ml:   Runtime      :        4.000 sec.\n"                                                           \
    "00001.000 ulp-ml:   Throughput   :        1.000 inf./sec.\n"                                                      \
    "00001.000 ulp-ml: Median throughput is 1.500 inf./sec.\n"
#define LOG "00000.100 io: [dut]: m-infer-start-4\n00000.200 io: [dut]: m-infer-start-4\n"

/* Two windows of 4 ms at 1 kHz, 1 mJ a sample, 2 inferences each. */
#define RUN(SAMPLES, EVENTS, COUNT)                                                                                    \
    "{\"infer\": {\"iterations\": " COUNT "}, \"power\": {\"samples\": " SAMPLES ", \"timestamps\": " EVENTS "}}"
#define GOOD_SAMPLES "[0.5, 0.001, 0.001, 0.001, 0.001, 0.5]"
#define GOOD_RUN RUN(GOOD_SAMPLES, "[[\"00\", 1], [\"01\", 5]]", "2")
#define RUNS(FIRST) "[" FIRST ", " GOOD_RUN "]"
#define TRIAL(K)                                                                                                       \
    "Energy data for trial " K                                                                                         \
    "\r\n  Elapsed time  : 0.004\r\n  Inferences    : 2\r\n  Power         : 1000.0000 mW.\r\n"                        \
    "  Total Energy  : 4000.000 uJ\r\n  Energy/Inf    : 2000.000 uJ/inf\r\n"
#define ML_RESULTS "Power Edition Output\r\n" TRIAL("0") TRIAL("1") "Median energy cost is 2000.0000 uJ/inf.\r\n"
#define ML_LOG                                                                                                         \
    "Running inference with 1/2 (warmup/measured) iterations ...\nRunning inference with 1/2 (warmup/measured) "       \
    "iterations ...\n"

static char dir[64];
static struct import_session session;

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const void *data, size_t n) {
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put_text(const char *name, const char *text) {
    unlink(path_of(name));
    if (text)
        put(name, text, strlen(text));
}

static void clear(void) {
    for (size_t i = 0; i < N_NAMES; i++)
        if (unlink(path_of(names[i])) < 0 && errno != ENOENT)
            rmdir(path_of(names[i]));
}

/* size: bytes of the trace, 325 when whole; value is put (as float) at byte `at` unless that is 0. */
static void put_trace(uint8_t magic, size_t size, size_t at, float value) {
    uint8_t raw[5 + 80 * 4] = {magic};
    float rate = 8;
    memcpy(raw + 1, &rate, 4);
    for (size_t k = 0; k < 80; k++) {
        float e = k == 79 ? 3 : 2;
        memcpy(raw + 5 + 4 * k, &e, 4);
    }
    if (at)
        memcpy(raw + at, &value, 4);
    put("trace1-energy.bin", raw, size);
}

static void eembc(void) {
    clear();
    put_trace(0xF1, 325, 0, 0);
    put_text("trace1-timestamps.json", STAMPS);
    put_text("results.txt", RESULTS PERFORMANCE);
    put_text("log.txt", LOG);
}

static void mlcommons(void) {
    clear();
    put_text("results.json", RUNS(GOOD_RUN));
    put_text("results.txt", ML_RESULTS);
    put_text("log.txt", ML_LOG);
}

static void good(int differences) {
    struct err e = {0};
    if (import_session_read(dir, &session, &e) < 0)
        fail_msg("%s at %s", e.text, e.where);
    if (session.n_differences != differences)
        fail_msg("%d differences, the first: %s", session.n_differences, session.differences[0]);
}

/* The session is refused with this code; place is how the error's where begins, says occurs in its text. */
static void refused(int code, const char *place, const char *says) {
    struct err e = {0};
    int rc = import_session_read(dir, &session, &e);
    if (rc != code || strncmp(e.where, place, strlen(place)) != 0 || !strstr(e.text, says))
        fail_msg("wanted %d at '%s' (%s), got %d: %s at '%s'", code, place, says, rc, e.text, e.where);
}

static void eembc_by_hand(void **state) {
    (void)state;
    eembc();
    good(0);
    assert_int_equal(session.format, IMPORT_EEMBC);
    assert_int_equal(session.n_windows, 2);
    assert_int_equal(session.leading, 1);
    assert_int_equal(session.windows[0].a, 8);
    assert_int_equal(session.windows[0].b, 24);
    assert_true(fabs(session.windows[1].energy_j - 64e-6) < 1e-18);
    assert_true(session.windows[1].duration_s == 4);
    assert_true(fabs(session.per_inference_j - 12e-6) < 1e-18);
    assert_true(session.throughput == 1.5);
    assert_string_equal(session.windows[0].figures[IMPORT_POWER].computed, "16.000");
    assert_int_equal(session.windows[0].figures[IMPORT_POWER].line, 3);
    json_t *j = import_session_json(&session);
    assert_true(json_is_true(json_object_get(j, "agrees")));
    json_decref(j);
}

static void mlcommons_by_hand(void **state) {
    (void)state;
    mlcommons();
    good(0);
    assert_int_equal(session.format, IMPORT_MLCOMMONS);
    assert_int_equal(session.samples, 12);
    assert_int_equal(session.windows[1].a, 1);
    assert_int_equal(session.windows[1].b, 5);
    assert_true(fabs(session.windows[0].energy_j - 0.004) < 1e-15);
    assert_string_equal(session.windows[0].figures[IMPORT_THROUGHPUT].computed, "500.000");
    /* an event before the window's two */
    put_text("results.json", RUNS(RUN(GOOD_SAMPLES, "[[\"x\", 0], [\"00\", 1], [\"01\", 5]]", "2")));
    good(0);
    assert_int_equal(session.leading, 1);
}

static void differences_are_told(void **state) {
    (void)state;
    eembc();
    char text[4096];
    snprintf(text, sizeof text, "%s%s", RESULTS, PERFORMANCE);
    memcpy(strstr(text, "32.000 uJ"), "32.001 uJ", 9);
    put_text("results.txt", text);
    good(1);
    assert_string_equal(session.differences[0],
                        "results.txt line 2: energy of window 2 is printed as 32.001, computed 32.000");
    json_t *j = import_session_json(&session);
    assert_true(json_is_false(json_object_get(j, "agrees")));
    json_decref(j);
    eembc();
    put_text("log.txt", "1 io: [dut]: m-infer-start-4\n2 io: [dut]: m-infer-start-5\n3 io: [dut]: m-infer-start-4\n");
    good(2);
    assert_string_equal(session.differences[0], "log.txt line 2: 5 inferences, results.txt says 4");
    mlcommons();
    put_text("results.json", RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 1], [\"01\", 5]]", "4")));
    good(4); /* inferences, energy per inference, the median, the log */
}

static void a_second_leading_timestamp(void **state) {
    (void)state;
    eembc();
    put_text("trace1-timestamps.json", "[0.25, 0.5, 1, 3, 4, 8]");
    good(0);
    assert_int_equal(session.leading, 2);
    put_text("trace1-timestamps.json", "[0.5, 1, 3, 4, 8, 9]"); /* a run began behind the last window and did not end */
    good(1);
    assert_string_equal(session.differences[0], "log.txt: 2 runs, results.txt has 2 windows");
    put_text("log.txt", LOG "00000.300 io: [dut]: m-infer-start-4\n");
    good(0);
    assert_int_equal(session.leading, 1);
    assert_int_equal(session.trailing, 1);
    put_text("log.txt", LOG);
    put_text("trace1-timestamps.json", "[0.5, 0.75, 3, 4, 8, 9]"); /* the printed begin fits neither reading */
    refused(JF_E_PARSE, "trace1-timestamps.json element 5", "surplus");
    put_text("trace1-timestamps.json", "[0.125, 0.25, 0.5, 1, 3, 4, 8]");
    refused(JF_E_PARSE, "trace1-timestamps.json element 5", "2 surplus");
    put_text("trace1-timestamps.json", "[1, 3, 4, 8]");
    refused(JF_E_PARSE, "trace1-timestamps.json", "do not hold");
}

/* 1.375 s is printed as 1.37: a tie goes down (printf would say 1.38). */
static void a_begin_between_two_decimals(void **state) {
    (void)state;
    eembc();
    put_text("trace1-timestamps.json", "[0.5, 1.375, 3.375, 4, 8]");
    good(1);
    assert_string_equal(session.differences[0], "results.txt line 1: begin of window 2 is printed as 1.00, computed 1.37");
}

static void missing_and_mixed(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        eembc();
        unlink(path_of(names[i]));
        refused(JF_E_NOT_FOUND, names[i], "lacks");
    }
    for (size_t i = 2; i < 4; i++) {
        mlcommons();
        unlink(path_of(names[i]));
        refused(JF_E_NOT_FOUND, names[i], "lacks");
    }
    clear();
    refused(JF_E_NOT_FOUND, dir, "no energy session");
    eembc();
    put_text("results.json", "[]");
    refused(JF_E_PARSE, dir, "two runners");
    struct err e = {0};
    assert_int_equal(import_session_read("/nonexistent", &session, &e), JF_E_NOT_FOUND);
}

/* A link, a directory, a device and a sparse giant under a session's names. */
static void special_files(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        eembc();
        unlink(path_of(names[i]));
        assert_int_equal(symlink("/etc/hostname", path_of(names[i])), 0);
        refused(JF_E_INVAL, names[i], "symbolic link");
        unlink(path_of(names[i]));
        assert_int_equal(mkdir(path_of(names[i]), 0700), 0);
        refused(JF_E_INVAL, names[i], "regular");
        rmdir(path_of(names[i]));
        assert_int_equal(mkfifo(path_of(names[i]), 0600), 0);
        refused(JF_E_INVAL, names[i], "regular");
        unlink(path_of(names[i]));
        put(names[i], "", 0);
        refused(JF_E_PARSE, names[i], "empty");
        assert_int_equal(truncate(path_of(names[i]), (64 << 20) + 1), 0);
        refused(JF_E_TOO_LARGE, names[i], "bytes");
    }
}

static void bad_traces(void **state) {
    (void)state;
    eembc();
    put_trace(0xF0, 325, 0, 0);
    refused(JF_E_PARSE, "trace1-energy.bin byte 0", "0xF0");
    put_trace(0xF1, 324, 0, 0);
    refused(JF_E_PARSE, "trace1-energy.bin", "cut off");
    put_trace(0xF1, 5, 0, 0);
    refused(JF_E_PARSE, "trace1-energy.bin", "cut off");
    put_trace(0xF1, 5 + 4 * 50, 0, 0); /* whole samples, but the windows go on */
    refused(JF_E_PARSE, "trace1-timestamps.json element 4", "outside the trace");
    static const float rates[] = {0, -0.0f, -8, NAN, INFINITY, 1e-30f, 1e30f};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        put_trace(0xF1, 325, 1, rates[i]);
        refused(JF_E_PARSE, "trace1-energy.bin byte 1", "rate");
    }
    put_trace(0xF1, 325, 45, NAN);
    refused(JF_E_PARSE, "trace1-energy.bin byte 45 (sample 10)", "finite");
    put_trace(0xF1, 325, 321, -INFINITY); /* the last, outside every window */
    refused(JF_E_PARSE, "trace1-energy.bin byte 321 (sample 79)", "finite");
}

static void bad_stamps(void **state) {
    static const struct {
        const char *text, *place, *says;
    } cases[] = {
        {"[0.5, 1, 0.75, 4, 8]", "trace1-timestamps.json element 2", "negative"},
        {"[0.5, 1, 1, 4, 8]", "trace1-timestamps.json element 2", "no duration"},
        {"[0.5, 1, 3, 2, 8]", "trace1-timestamps.json element 3", "order"},
        {"[0.5, 1, 3, 4, 10.001]", "trace1-timestamps.json element 4", "outside the trace"},
        {"[-0.5, 1, 3, 4, 8]", "trace1-timestamps.json element 0", "outside the trace"},
        {"[0.5, 1, 3, 4, 1e300]", "trace1-timestamps.json element 4", "outside the trace"},
        {"[0.5, 1, 3, 4, NaN]", "trace1-timestamps.json line 1", "JSON"},
        {"[0.5, 1, 3,\n4, Infinity]", "trace1-timestamps.json line 2", "JSON"},
        {"[0.5, 1, 3, 4, 1e999]", "trace1-timestamps.json line 1", "JSON"},
        {"[0.5, 1, 3, 4", "trace1-timestamps.json line 1", "JSON"},
        {"[0.5, 1, 3, \"4\", 8]", "trace1-timestamps.json element 3", "number"},
        {"{}", "trace1-timestamps.json", "array"},
        {"[1]", "trace1-timestamps.json", "array"},
        {"[0.5, 1.01, 1.02, 1.03, 8]", "window 2 of trace1-timestamps.json", "no sample"},
    };
    (void)state;
    eembc();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_text("trace1-timestamps.json", cases[i].text);
        refused(JF_E_PARSE, cases[i].place, cases[i].says);
    }
}

static void bad_results(void **state) {
    static const struct {
        const char *text, *place, *says;
    } cases[] = {
        {"nothing of the kind\n", "results.txt", "no window"},
        {RESULTS, "results.txt", "window 2: its number of inferences"},
        {RESULTS PERFORMANCE "x Energy data for window 4 at time 4.00\n  Energy       : 65.000 uJ\n",
         "results.txt line 20", "contradicts line 6"},
        {RESULTS PERFORMANCE "x Median energy cost is 13.000 uJ/inf.\n", "results.txt line 19", "contradicts line 9"},
        {RESULTS PERFORMANCE "x Energy data for window 3 at time 4.00\n", "results.txt line 19", "order"},
        {RESULTS PERFORMANCE "x Energy data for window 5 at time 4.00\n", "results.txt", "window 5: its energy"},
        {RESULTS PERFORMANCE "x Energy data for window ?\n", "results.txt line 19", "number"},
        {"  Energy       : nan uJ\n", "results.txt line 1", "before the first window"},
        {"x Energy data for window 2 at time 1.00\n  Energy       : nan uJ\n", "results.txt line 2", "finite"},
        {"x Energy data for window 2 at time 1.00\n  Energy       : 1e999 uJ\n", "results.txt line 2", "finite"},
        {"x Energy data for window 2 at time 1.00\n  Energy       :\n", "results.txt line 2", "finite"},
    };
    (void)state;
    eembc();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_text("results.txt", cases[i].text);
        refused(JF_E_PARSE, cases[i].place, cases[i].says);
    }
    put("results.txt", "a\nb\0c\n", 6);
    refused(JF_E_PARSE, "results.txt line 2", "zero byte");
    eembc();
    put("log.txt", "\0", 1);
    refused(JF_E_PARSE, "log.txt line 1", "zero byte");
    static const char *const counts[] = {"0", "-4", "4.5", "1e20"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char text[4096], *at;
        eembc();
        snprintf(text, sizeof text, "%s%s", RESULTS, PERFORMANCE);
        at = strstr(text, "           4\n");
        memcpy(at + 12 - strlen(counts[i]), counts[i], strlen(counts[i]));
        put_text("results.txt", text);
        refused(JF_E_PARSE, "results.txt line 11", "inferences");
    }
}

static void bad_runs(void **state) {
    static const struct {
        const char *text, *place, *says;
    } cases[] = {
        {"{}", "results.json", "array"},
        {"[" GOOD_RUN "]", "results.json", "1 runs, results.txt prints 2"},
        {RUNS("7"), "results.json run 0 power.samples", "no samples"},
        {RUNS("{\"a\": 1, \"a\": 2}"), "results.json line 1", "JSON"},
        {RUNS(RUN("[0.5, NaN]", "[[\"00\", 0], [\"01\", 1]]", "2")), "results.json line 1", "JSON"},
        {RUNS(RUN("[0.5, -Infinity]", "[[\"00\", 0], [\"01\", 1]]", "2")), "results.json line 1", "JSON"},
        {RUNS(RUN("[0.5, null, 1, 1, 1]", "[[\"00\", 1], [\"01\", 5]]", "2")), "results.json run 0 sample 1", "finite"},
        {RUNS(RUN("[1e308, 1e308, 1, 1, 1]", "[[\"00\", 0], [\"01\", 5]]", "2")), "results.json run 0 samples",
         "finite"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 5], [\"01\", 1]]", "2")), "results.json run 0 timestamp 1", "negative"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 5], [\"01\", 5]]", "2")), "results.json run 0 timestamp 1", "no duration"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"x\", 3], [\"00\", 1], [\"01\", 5]]", "2")), "results.json run 0 timestamp 1",
         "order"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 1], [\"01\", 7]]", "2")), "results.json run 0 timestamp 1", "outside"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", -1], [\"01\", 5]]", "2")), "results.json run 0 timestamp 0", "outside"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 1.5], [\"01\", 5]]", "2")), "results.json run 0 timestamp 0", "expected"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"01\", 5]]", "2")), "results.json run 0 timestamps", "two events"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 1], [\"01\", 5]]", "0")), "results.json run 0 infer.iterations",
         "inferences"},
        {RUNS(RUN(GOOD_SAMPLES, "[[\"00\", 1], [\"01\", 5]]", "\"2\"")), "results.json run 0 infer.iterations",
         "inferences"},
    };
    (void)state;
    mlcommons();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_text("results.json", cases[i].text);
        refused(JF_E_PARSE, cases[i].place, cases[i].says);
    }
    mlcommons();
    put_text("results.txt", TRIAL("0") TRIAL("2") "Median energy cost is 2000.0000 uJ/inf.\r\n");
    refused(JF_E_PARSE, "results.txt", "trial 2");
}

/* Reading leaves the directory as it was. */
static void nothing_is_written(void **state) {
    (void)state;
    struct stat before, after;
    eembc();
    assert_int_equal(stat(dir, &before), 0);
    assert_int_equal(chmod(dir, 0500), 0);
    good(0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(stat(dir, &after), 0);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/jf-import-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state) {
    (void)state;
    clear();
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eembc_by_hand),        cmocka_unit_test(mlcommons_by_hand),
        cmocka_unit_test(differences_are_told), cmocka_unit_test(a_second_leading_timestamp),
        cmocka_unit_test(a_begin_between_two_decimals), cmocka_unit_test(missing_and_mixed),    cmocka_unit_test(special_files),
        cmocka_unit_test(bad_traces),           cmocka_unit_test(bad_stamps),
        cmocka_unit_test(bad_results),          cmocka_unit_test(bad_runs),
        cmocka_unit_test(nothing_is_written),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
