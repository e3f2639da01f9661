/* SPDX-License-Identifier: GPL-2.0-or-later
 * The peer of bench_trace.c: the same samples through the JLS library (https://github.com/jetperch/jls, not part of this project), where a
 * user has one: `make bench JLS=DIR` with DIR the library's source directory, built in DIR/build. Written against include/jls of 0.12.
 *   bench_jls write FILE SAMPLES KIND | bench_jls read FILE */
#include <fcntl.h>
#include <unistd.h>

#include "jls/reader.h"
#include "jls/threaded_writer.h"
#include "jls/writer.h"
#include "tests/bench/trace_data.h"

#define POINTS 2000
#define REPEATS 301

static const struct jls_source_def_s source = {.source_id = 1, .name = "bench", .vendor = "", .model = "", .version = "", .serial_number = ""};
static const struct jls_signal_def_s signal_def = {.signal_id = 1, .source_id = 1, .signal_type = JLS_SIGNAL_TYPE_FSR, .data_type = JLS_DATATYPE_F32,
                                                   .sample_rate = 1000000, .name = "current", .units = "A"};

static int bench_write(const char *path, int64_t n, const char *kind) {
    struct jls_twr_s *w = NULL;
    float *x = data_make(kind);
    if (!x)
        return 2;
    double t = data_now(), cpu = data_cpu();
    int rc = jls_twr_open(&w, path);
    rc = rc ? rc : jls_twr_source_def(w, &source);
    rc = rc ? rc : jls_twr_signal_def(w, &signal_def);
    for (int64_t at = 0; at < n && rc == 0; at += (int64_t)DATA_BLOCK) {
        int64_t left = n - at;
        rc = jls_twr_fsr_f32(w, 1, at, x + (size_t)at % DATA_PERIOD, (uint32_t)(left < (int64_t)DATA_BLOCK ? left : (int64_t)DATA_BLOCK));
    }
    double before_close = data_now() - t;
    rc = rc ? rc : jls_twr_close(w);
    double closed = data_now() - t;
    int fd = open(path, O_RDWR | O_CLOEXEC); /* the library does not sync: the same promise as bench_trace's close */
    rc = rc ? rc : fd < 0 || fsync(fd) < 0;
    double took = data_now() - t;
    cpu = data_cpu() - cpu;
    double size = fd < 0 ? 0 : (double)lseek(fd, 0, SEEK_END);
    if (fd >= 0)
        (void)close(fd);
    free(x);
    if (rc)
        return 1;
    (void)printf("{\"samples_per_s\": %.17g, \"samples_per_cpu_s\": %.17g, \"samples_per_s_closed\": %.17g, \"samples_per_s_before_close\": %.17g, \"bytes_per_sample\": %.17g, \"peak_kib\": %ld}\n",
                 (double)n / took, (double)n / cpu, (double)n / closed, (double)n / before_close, size / (double)n, data_peak_kib());
    return 0;
}

static int bench_read(const char *path) {
    static double px[4 * POINTS], open_s[REPEATS], view[REPEATS], zoom[REPEATS], stats[REPEATS];
    struct jls_rd_s *r = NULL;
    int64_t n = 0;
    uint64_t s = 7;
    for (int i = 0; i < REPEATS; i++) {
        double t = data_now();
        if (jls_rd_open(&r, path))
            return 1;
        open_s[i] = data_now() - t;
        if (i + 1 < REPEATS)
            jls_rd_close(r);
    }
    if (jls_rd_fsr_length(r, 1, &n))
        return 1;
    for (int i = 0; i < REPEATS; i++) {
        double t = data_now();
        if (jls_rd_fsr_statistics(r, 1, 0, n / POINTS, px, POINTS))
            return 1;
        view[i] = data_now() - t;
        double span = (double)n * pow(2000 / (double)n, data_uniform(&s)), from = data_uniform(&s) * ((double)n - span);
        int64_t step = (int64_t)(span / POINTS) > 0 ? (int64_t)(span / POINTS) : 1;
        t = data_now();
        if (jls_rd_fsr_statistics(r, 1, (int64_t)from, step, px, POINTS))
            return 1;
        zoom[i] = data_now() - t;
        int64_t a = (int64_t)(data_uniform(&s) * (double)n), z = (int64_t)(data_uniform(&s) * (double)n), lo = a < z ? a : z, hi = a < z ? z : a;
        t = data_now();
        if (jls_rd_fsr_statistics(r, 1, lo, hi - lo > 0 ? hi - lo : 1, px, 1))
            return 1;
        stats[i] = data_now() - t;
    }
    jls_rd_close(r);
    double v = data_median(view, REPEATS), z = data_median(zoom, REPEATS), st = data_median(stats, REPEATS);
    (void)printf("{\"samples\": %lld, \"open_s\": %.9g, \"view_s\": %.9g, \"view_zoom_s\": %.9g, \"view_zoom_p95_s\": %.9g, \"stats_s\": %.9g, \"stats_worst_s\": %.9g, \"peak_kib\": %ld}\n",
                 (long long)n, data_median(open_s, REPEATS), v, z, zoom[REPEATS - 1 - REPEATS / 20], st, stats[REPEATS - 1], data_peak_kib());
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "write") == 0)
        return bench_write(argv[2], strtoll(argv[3], NULL, 10), argv[4]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return bench_read(argv[2]);
    (void)fprintf(stderr, "usage: bench_jls write FILE SAMPLES noise|codes|triangle | read FILE\n");
    return 2;
}
