/* SPDX-License-Identifier: GPL-2.0-or-later
 * What bench_trace.c and bench_jls.c share: the samples that both store, and the clock. One float32 channel, of three kinds:
 *   noise     a sine of 10 mA with white Gaussian noise of 0.1 mA: every mantissa bit is used, the worst case of any codec
 *   codes     the same behind a converter of 14 bits, 5 uA a step: what an instrument delivers
 *   triangle  the waveform of JLS's own example/performance.c: exact, no noise */
#ifndef TESTS_BENCH_TRACE_DATA_H
#define TESTS_BENCH_TRACE_DATA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DATA_PERIOD ((size_t)1 << 22) /* samples made; a longer trace repeats them */
#define DATA_BLOCK ((size_t)65536) /* handed over at a time */
#define DATA_PI 3.14159265358979323846

static inline double data_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double data_cpu(void) { /* of all threads of the process */
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double data_uniform(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)((*s >> 11) + 1) / 9007199254740993.0;
}

/* NULL: no memory or no such kind. The caller frees. */
static inline float *data_make(const char *kind) {
    float *x = malloc(DATA_PERIOD * sizeof *x);
    uint64_t s = 1;
    int k = strcmp(kind, "noise") == 0 ? 0 : strcmp(kind, "codes") == 0 ? 1 : strcmp(kind, "triangle") == 0 ? 2 : -1;
    for (size_t i = 0; x && k >= 0 && i < DATA_PERIOD; i++) {
        double at = (double)i / (double)DATA_PERIOD * 64, noise = sqrt(-2 * log(data_uniform(&s))) * cos(2 * DATA_PI * data_uniform(&s));
        double v = 0.02 + 0.01 * sin(2 * DATA_PI * at) + 1e-4 * noise;
        size_t in = i % 1000;
        x[i] = k == 0 ? (float)v : k == 1 ? (float)(round(v / 5e-6) * 5e-6) : (float)((in < 500 ? (double)in : 1000.0 - (double)in) / 500.0 - 0.5);
    }
    if (k < 0) {
        free(x);
        return NULL;
    }
    return x;
}

static inline int data_by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double data_median(double *t, size_t n) {
    qsort(t, n, sizeof *t, data_by_value);
    return t[n / 2];
}

/* VmHWM: a rusage's maximum would begin with what the parent had before exec. */
static inline long data_peak_kib(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char row[128];
    long kib = 0;
    while (f && fgets(row, sizeof row, f))
        if (strncmp(row, "VmHWM:", 6) == 0)
            kib = strtol(row + 6, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

#endif
