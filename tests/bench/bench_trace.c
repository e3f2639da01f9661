/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace store on the work that JLS is measured with: one float32 channel. Each command is one process, so that its peak memory is
 * that of its work. Prints one JSON object.
 *   bench_trace write FILE SAMPLES KIND    until the file is closed (and synced)
 *   bench_trace read FILE                  latencies; refuses to tell one unless the energy equals the sum over all samples
 *   bench_trace limits FILE SAMPLES        memcpy, write() and fsync of raw floats to FILE, a plain C sum */
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "measure/trace/trace.h"
#include "tests/bench/trace_data.h"

#define POINTS 2000
#define REPEATS 301
#define VOLT 3.0

static int complain(const struct err *e) {
    (void)fprintf(stderr, "bench_trace: %s\n", e->text);
    return 1;
}

static int print(json_t *j) {
    int rc = j ? json_dumpf(j, stdout, 0) : -1;
    (void)putchar('\n');
    json_decref(j);
    return rc < 0;
}

static int bench_write(const char *path, int64_t n, const char *kind) {
    const struct trace_header h = {.period_s = 1e-6, .voltage_v = VOLT};
    struct trace_writer *w;
    struct trace_summary sum = {0};
    struct err e = {0};
    float *x = data_make(kind);
    if (!x)
        return 2;
    double t = data_now(), cpu = data_cpu();
    int rc = trace_writer_open(path, &h, &w, &e);
    for (int64_t at = 0; at < n && rc == 0; at += (int64_t)DATA_BLOCK) {
        int64_t left = n - at, m = left < (int64_t)DATA_BLOCK ? left : (int64_t)DATA_BLOCK;
        struct measure_block b = {.first = at, .count = (uint32_t)m, .current_a = x + (size_t)at % DATA_PERIOD};
        rc = trace_writer_block(w, &b, &e);
    }
    double before_close = data_now() - t;
    if (rc == 0)
        rc = trace_writer_close(w, &sum, &e);
    double took = data_now() - t;
    cpu = data_cpu() - cpu;
    free(x);
    if (rc < 0)
        return complain(&e);
    return print(json_pack("{s:f, s:f, s:f, s:f, s:I}", "samples_per_s", (double)n / took, "samples_per_cpu_s", (double)n / cpu, "samples_per_s_before_close", (double)n / before_close,
                           "bytes_per_sample", (double)sum.size / (double)n, "peak_kib", (json_int_t)data_peak_kib()));
}

static int add_block(void *user, const struct measure_block *b) {
    long double *sum = user;
    for (uint32_t k = 0; k < b->count; k++)
        *sum += (long double)b->current_a[k];
    return 0;
}

/* Random spans, and a tenth of the trace against its samples. */
static int stats_latency(struct trace_reader *r, const struct trace_info *in, double *ret_median, double *ret_worst) {
    double t[REPEATS], length = (double)in->samples * in->period_s;
    uint64_t s = 7;
    struct trace_stats st;
    struct err e = {0};
    for (int i = 0; i < REPEATS; i++) {
        double a = data_uniform(&s) * length, z = data_uniform(&s) * length, from = data_now();
        if (trace_stats(r, a < z ? a : z, a < z ? z : a, &st, &e) < 0)
            return complain(&e);
        t[i] = data_now() - from;
    }
    *ret_median = data_median(t, REPEATS);
    *ret_worst = t[REPEATS - 1];
    int64_t from = in->samples / 3, to = from + (in->samples < 30000000 ? in->samples / 10 : 3000000);
    struct measure_source src;
    long double sum = 0, out = 0;
    trace_reader_source(r, &src);
    if (trace_stats(r, (double)from * in->period_s, (double)to * in->period_s, &st, &e) < 0)
        return complain(&e);
    if (src.each(src.self, from, to, MEASURE_WANT_VALUES, add_block, &sum, &e) < 0)
        return complain(&e);
    /* blocks reach beyond the span: what they hold outside is taken off through two more statistics of whole cells */
    struct trace_stats edge;
    int64_t begin = from - from % TRACE_CHUNK, end = to % TRACE_CHUNK ? to - to % TRACE_CHUNK + TRACE_CHUNK : to;
    end = end < in->end ? end : in->end;
    if (begin < from && trace_stats(r, (double)begin * in->period_s, (double)from * in->period_s, &edge, &e) == 0)
        out += (long double)edge.charge_c / (long double)in->period_s;
    if (end > to && trace_stats(r, (double)to * in->period_s, (double)end * in->period_s, &edge, &e) == 0)
        out += (long double)edge.charge_c / (long double)in->period_s;
    double want = (double)((sum - out) * (long double)in->period_s * (long double)VOLT);
    if (!(fabs(st.energy_j - want) <= 1e-10 * fabs(want))) { /* the span's ends were rounded to seconds and back */
        (void)fprintf(stderr, "bench_trace: energy %.17g J, the samples say %.17g J\n", st.energy_j, want);
        return 1;
    }
    return 0;
}

static int bench_read(const char *path) {
    struct err e = {0};
    struct trace_reader *r;
    struct trace_info in;
    static struct trace_pixel px[POINTS];
    double open[REPEATS], view[REPEATS], zoom[REPEATS], text[REPEATS], stats = 0, worst = 0, zoom_worst = 0;
    for (int i = 0; i < REPEATS; i++) {
        double t = data_now();
        if (trace_reader_open(path, &r, &e) < 0)
            return complain(&e);
        open[i] = data_now() - t;
        if (i + 1 < REPEATS)
            trace_reader_close(r);
    }
    trace_reader_info(r, &in);
    double length = (double)in.samples * in.period_s;
    uint64_t s = 3;
    for (int i = 0; i < REPEATS; i++) {
        double t = data_now();
        if (trace_pixels(r, 0, length, POINTS, px, &e) < 0)
            return complain(&e);
        view[i] = data_now() - t;
        double span = length * pow(2000 / (double)in.samples, data_uniform(&s)), from = data_uniform(&s) * (length - span);
        t = data_now();
        if (trace_pixels(r, from, from + span, POINTS, px, &e) < 0)
            return complain(&e);
        zoom[i] = data_now() - t;
        json_t *v = NULL;
        t = data_now();
        if (trace_view(r, 0, length, POINTS, &v, &e) < 0)
            return complain(&e);
        json_decref(v);
        text[i] = data_now() - t;
    }
    if (stats_latency(r, &in, &stats, &worst) != 0)
        return 1;
    trace_reader_close(r);
    double z = data_median(zoom, REPEATS);
    zoom_worst = zoom[REPEATS - 1 - REPEATS / 20];
    return print(json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "samples", (json_int_t)in.samples, "open_s", data_median(open, REPEATS), "view_s",
                           data_median(view, REPEATS), "view_zoom_s", z, "view_zoom_p95_s", zoom_worst, "view_json_s", data_median(text, REPEATS), "stats_s",
                           stats, "stats_worst_s", worst, "peak_kib", (json_int_t)data_peak_kib()));
}

static int bench_limits(const char *path, int64_t n) {
    float *x = data_make("noise"), *y = malloc(DATA_PERIOD * sizeof *y);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), failed = 0;
    double sum = 0;
    if (!x || !y || fd < 0) {
        free(x);
        free(y);
        return 1;
    }
    memset(y, 0, DATA_PERIOD * sizeof *y);
    double t = data_now();
    for (int i = 0; i < 16; i++)
        memcpy(y, x, DATA_PERIOD * sizeof *x);
    double copy = 16.0 * (double)DATA_PERIOD / (data_now() - t);
    t = data_now();
    for (int i = 0; i < 16; i++)
        for (size_t k = 0; k < DATA_PERIOD; k++)
            sum += (double)y[k];
    double add = 16.0 * (double)DATA_PERIOD / (data_now() - t);
    t = data_now();
    for (int64_t at = 0; at < n && !failed; at += (int64_t)DATA_BLOCK)
        failed = write(fd, x + (size_t)at % DATA_PERIOD, DATA_BLOCK * sizeof *x) < 0;
    failed = failed || fsync(fd) < 0;
    double raw = (double)n / (data_now() - t);
    (void)close(fd);
    free(x);
    free(y);
    return failed || print(json_pack("{s:f, s:f, s:f, s:f}", "memcpy_per_s", copy, "c_sum_per_s", add, "raw_write_per_s", raw, "sum", sum));
}

int main(int argc, char **argv) {
    int64_t n = argc > 3 ? strtoll(argv[3], NULL, 10) : 0;
    if (argc == 5 && strcmp(argv[1], "write") == 0 && n > 0)
        return bench_write(argv[2], n, argv[4]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return bench_read(argv[2]);
    if (argc == 4 && strcmp(argv[1], "limits") == 0 && n > 0)
        return bench_limits(argv[2], n);
    (void)fprintf(stderr, "usage: bench_trace write FILE SAMPLES noise|codes|triangle | read FILE | limits FILE SAMPLES\n");
    return 2;
}
