/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-trace from the outside: its main is called with arguments, standard output is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/measure/synth.h"

int jf_trace_main(int argc, char **argv);
#define main jf_trace_main
#include "measure/trace/main.c"
#undef main

static const struct synth_inference usual_inference = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};
static char dir[64], file[96], out_path[96];

static int write_block(void *user, const struct measure_block *b) {
    return trace_writer_block(user, b, NULL);
}

static int make_trace(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/jf-cli-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/trace.jft", dir);
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    struct synth s;
    synth_init(&s, 2e-5, 3.0);
    s.noise_a = 1e-5;
    s.host_jitter_s = 1e-5;
    synth_usual(&s, 5, 40, &usual_inference, 0.002, 4);
    struct trace_header h = {.period_s = s.dt, .channels = TRACE_MARKERS | TRACE_QUALITY, .voltage_v = 3.0};
    struct trace_writer *w;
    struct trace_summary sum;
    struct measure_config cfg;
    struct measure_source src = synth_source(&s);
    measure_config_init(&cfg);
    int rc = trace_writer_open(file, &h, &w, NULL);
    if (rc == 0)
        rc = src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, write_block, w, NULL);
    if (rc == 0)
        rc = trace_writer_capture(w, &s.cap_, &cfg, NULL);
    if (rc == 0)
        rc = trace_writer_close(w, &sum, NULL);
    synth_done(&s);
    return rc;
}

static int drop_trace(void **state) {
    (void)state;
    unlink(file);
    unlink(out_path);
    return rmdir(dir);
}

/* Runs jf-trace with up to six arguments; output goes to out_path. */
static int call(const char *a, const char *b, const char *c, const char *d, const char *e, const char *f) {
    const char *args[8] = {"jf-trace", a, b, c, d, e, f, NULL};
    char *argv[8] = {NULL};
    int argc = 0;
    for (; args[argc]; argc++)
        argv[argc] = strdup(args[argc]);
    fflush(stdout);
    fflush(stderr);
    int keep = dup(1), keep_err = dup(2);
    assert_non_null(freopen(out_path, "w", stdout));
    assert_true(dup2(1, 2) == 2);
    optind = 0;
    int status = jf_trace_main(argc, argv);
    fflush(stdout);
    dup2(keep, 1);
    dup2(keep_err, 2);
    close(keep);
    close(keep_err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return status;
}

static json_t *output(void) {
    json_t *j = json_load_file(out_path, 0, NULL);
    assert_non_null(j);
    return j;
}

static void usage_errors_are_2(void **state) {
    (void)state;
    assert_int_equal(call("--help", NULL, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(call("--version", NULL, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(call("info", NULL, NULL, NULL, NULL, NULL), 2);
    assert_int_equal(call("dance", file, NULL, NULL, NULL, NULL), 2);
    assert_int_equal(call("view", file, "--points", "0", NULL, NULL), 2);
    assert_int_equal(call("stats", file, "--from", "x", NULL, NULL), 2);
    assert_int_equal(call("info", file, "--nonsense", NULL, NULL, NULL), 2);
    assert_int_equal(call("analyse", file, "--rule", "guess", NULL, NULL), 2);
}

static void bad_files_are_1(void **state) {
    (void)state;
    assert_int_equal(call("info", "/nonexistent", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(call("info", "/dev/null", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(call("stats", file, "--from", "1e6", NULL, NULL), 1);
}

static bool printed(const char *words) {
    char text[2000] = "";
    FILE *f = fopen(out_path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return strstr(text, words) != NULL;
}

/* A flipped bit costs its samples, never silently, and no session is made of what is left. */
static void damage_is_told(void **state) {
    (void)state;
    char csv[96], tar[96];
    struct stat st, whole;
    uint8_t byte, bad;
    snprintf(csv, sizeof csv, "%s/damaged.csv", dir);
    snprintf(tar, sizeof tar, "%s/damaged.tar", dir);
    assert_int_equal(call("export", file, "--as=csv", "--output", csv, NULL), 0);
    assert_int_equal(stat(csv, &whole), 0);
    assert_int_equal(unlink(csv), 0);
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
    bad = byte ^ 4;
    assert_int_equal(pwrite(fd, &bad, 1, st.st_size / 2), 1);
    assert_int_equal(call("check", file, NULL, NULL, NULL, NULL), 1);
    assert_true(printed("1 damaged records"));
    assert_int_equal(call("export", file, "--as=csv", "--output", csv, NULL), 1);
    assert_true(printed("1 records of the trace are damaged: the export lacks their samples"));
    assert_int_equal(stat(csv, &st), 0);
    assert_true(st.st_size > whole.st_size / 2 && st.st_size < whole.st_size);
    assert_int_equal(call("export", file, "--as=eembc", "--output", tar, NULL), 1);
    assert_int_equal(access(tar, F_OK), -1);
    assert_int_equal(pwrite(fd, &byte, 1, lseek(fd, 0, SEEK_END) / 2), 1);
    close(fd);
    unlink(csv);
    assert_int_equal(call("check", file, NULL, NULL, NULL, NULL), 0);
}

static void answers(void **state) {
    (void)state;
    assert_int_equal(call("info", file, "--json", NULL, NULL, NULL), 0);
    json_t *j = output();
    assert_true(json_is_true(json_object_get(j, "complete")));
    json_decref(j);
    assert_int_equal(call("check", file, "--json", NULL, NULL, NULL), 0);
    j = output();
    assert_int_equal(json_integer_value(json_object_get(j, "bad_records")), 0);
    json_decref(j);
    /* one second of idle: 2 mA at 3 V */
    assert_int_equal(call("stats", file, "--json", "--from=0.5", "--to=1.5", NULL), 0);
    j = output();
    double e = json_real_value(json_object_get(j, "energy_j"));
    assert_true(fabs(e - 0.006) < 1e-5);
    json_decref(j);
    assert_int_equal(call("view", file, "--points=10", NULL, NULL, NULL), 0);
    j = output();
    assert_int_equal(json_array_size(json_object_get(json_object_get(j, "current_a"), "mean")), 10);
    json_decref(j);
    assert_int_equal(call("events", file, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(call("analyse", file, NULL, NULL, NULL, NULL), 0);
}

static void analyse_twice_gives_the_same_digits(void **state) {
    (void)state;
    assert_int_equal(call("analyse", file, "--json", "--windows", NULL, NULL), 0);
    json_t *a = output();
    assert_int_equal(call("analyse", file, "--json", "--windows", NULL, NULL), 0);
    json_t *b = output();
    assert_true(json_equal(a, b));
    const json_t *r = json_object_get(a, "result");
    assert_string_equal(json_string_value(json_object_get(r, "verdict")), "valid");
    assert_string_equal(json_string_value(json_object_get(r, "window_rule")), "edge");
    assert_int_equal(json_array_size(json_object_get(a, "windows")), 5);
    json_decref(b);
    assert_int_equal(call("analyse", file, "--json", "--rule", "eembc", NULL), 0);
    b = output();
    assert_string_equal(json_string_value(json_object_get(json_object_get(b, "result"), "window_rule")), "eembc");
    json_decref(a);
    json_decref(b);
}

static void import_answers(void **state) {
    (void)state;
    static const char published[] = "tests/replay/mlperf-tiny/eembc/v1.2/NUCLEO_L4R5ZI_kws";
    assert_int_equal(call("import", published, "--json", NULL, NULL, NULL), 0);
    json_t *j = output();
    assert_true(json_is_true(json_object_get(j, "agrees")));
    const json_t *median = json_object_get(json_object_get(j, "median"), "energy_per_inference_uj");
    assert_string_equal(json_string_value(json_object_get(median, "computed")), "1820.454"); /* as published */
    assert_int_equal(json_array_size(json_object_get(j, "windows")), 5);
    json_decref(j);
    assert_int_equal(call("import", published, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(call("import", dir, NULL, NULL, NULL, NULL), 1);
    assert_int_equal(call("import", file, NULL, NULL, NULL, NULL), 1);
    assert_int_equal(call("import", NULL, NULL, NULL, NULL, NULL), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(usage_errors_are_2), cmocka_unit_test(bad_files_are_1), cmocka_unit_test(answers), cmocka_unit_test(damage_is_told), cmocka_unit_test(import_answers),
                                       cmocka_unit_test(analyse_twice_gives_the_same_digits)};
    return cmocka_run_group_tests(tests, make_trace, drop_trace);
}
