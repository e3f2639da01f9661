/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file at sizes and damages that one window of a measurement does not reach: pages on three levels, each damaged in turn; a file
 * without its end; spans whose sums lie twelve orders of magnitude below their neighbours'; every size of palette. Expected values are
 * computed from the samples, in integers or long double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/trace/format.h"
#include "measure/trace/trace.h"

#define CHUNKS 66000 /* more than 256 * 256: three levels */
#define EACH 3 /* samples per chunk */
#define DT 0.001

static char dir[64];

static const char *path_of(const char *name) {
    static char p[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(p[turn], sizeof p[turn], "%s/%s", dir, name);
    return p[turn];
}

static int make_dir(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/jf-pyramid-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state) {
    (void)state;
    char cmd[96];
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd);
}

static void ok(int rc, const struct err *e) {
    if (rc < 0)
        fail_msg("%s (%s)", e->text, e->where);
}

static uint64_t next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

static int value(int64_t n) { /* of sample n, in units of 1 A: sums of integers are exact in double */
    return (int)((uint64_t)n * 2654435761u >> 7 & 1023) + 1;
}

static uint8_t line(int64_t n) {
    return (n / 50000) & 1;
}

/* One segment per chunk, so that each is flushed; every 1000th chunk is a hole instead. */
static void write_many(const char *path, bool finish) {
    struct err e = {0};
    struct trace_writer *w;
    struct trace_summary sum;
    const struct trace_header h = {.period_s = DT, .voltage_v = 2, .block = true, .channels = TRACE_MARKERS};
    ok(trace_writer_open(path, &h, &w, &e), &e);
    for (int64_t c = 0; c < CHUNKS; c++) {
        float x[EACH];
        uint8_t m[EACH];
        for (int k = 0; k < EACH; k++) {
            x[k] = (float)value(c * EACH + k);
            m[k] = line(c * EACH + k);
        }
        struct measure_block b = {.first = c * EACH, .count = EACH, .current_a = x, .markers = m, .flags = MEASURE_SEGMENT_START};
        if (c % 1000 == 999)
            b = (struct measure_block){.first = c * EACH, .count = EACH, .flags = MEASURE_GAP};
        ok(trace_writer_block(w, &b, &e), &e);
        if (c % 5000 == 0) {
            json_t *j = json_integer((json_int_t)c);
            ok(trace_writer_event(w, c, "note", j, &e), &e);
            json_decref(j);
        }
    }
    if (finish)
        ok(trace_writer_close(w, &sum, &e), &e);
    else
        trace_writer_abort(w);
}

static int touch(void *user, const struct measure_block *b) {
    *(int64_t *)user += b->count;
    return 0;
}

/* Writing and reading take less than 64 MiB whatever the length: 30 million samples are 120 MB of floats. First of its program, so that the peak is its own. */
static void memory_is_bounded(void **state) {
    (void)state;
    enum { STEP = 10000, STEPS = 3000 };
    static float x[STEP];
    struct err e = {0};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_summary sum;
    struct trace_stats st;
    struct measure_source src;
    struct rusage peak;
    json_t *view;
    uint64_t seed = 5;
    int64_t seen = 0;
    const struct trace_header h = {.period_s = 1e-5, .voltage_v = 3};
    for (int i = 0; i < STEP; i++)
        x[i] = (float)(next_random(&seed) % 4000) * 1e-5f;
    ok(trace_writer_open(path_of("long"), &h, &w, &e), &e);
    for (int64_t k = 0; k < STEPS; k++)
        ok(trace_writer_block(w, &(struct measure_block){.first = k * STEP, .count = STEP, .current_a = x}, &e), &e);
    ok(trace_writer_close(w, &sum, &e), &e);
    ok(trace_reader_open(path_of("long"), &r, &e), &e);
    trace_reader_source(r, &src);
    ok(src.each(src.self, 0, (int64_t)STEP * STEPS, ~0u, touch, &seen, &e), &e);
    ok(trace_stats(r, 1.234567, 298.7654321, &st, &e), &e);
    ok(trace_view(r, (double)NAN, (double)NAN, 2000, &view, &e), &e);
    json_decref(view);
    trace_reader_close(r);
    assert_int_equal(seen, (int64_t)STEP * STEPS);
    assert_int_equal(getrusage(RUSAGE_SELF, &peak), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(peak.ru_maxrss < 64 * 1024); /* KiB */
#endif
    (void)unlink(path_of("long"));
}

static bool hole(int64_t n) {
    return n / EACH % 1000 == 999;
}

struct tally {
    int64_t samples, gaps, sum;
    int wrong;
};

static int count_block(void *user, const struct measure_block *b) {
    struct tally *t = user;
    for (uint32_t k = 0; k < b->count; k++) {
        int64_t n = b->first + k;
        if (b->flags & MEASURE_GAP) {
            t->gaps++;
            continue;
        }
        t->samples++;
        t->sum += value(n);
        t->wrong += b->current_a[k] != (float)value(n) || b->markers[k] != line(n) || hole(n);
    }
    return 0;
}

static struct tally tally_of(struct trace_reader *r) {
    struct tally t = {0};
    struct measure_source src;
    struct err e = {0};
    trace_reader_source(r, &src);
    ok(src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, count_block, &t, &e), &e);
    return t;
}

static void check_span(struct trace_reader *r, int64_t a, int64_t z) {
    struct err e = {0};
    struct trace_stats st;
    int64_t sum = 0, gaps = 0;
    int lo = 9999, hi = 0;
    for (int64_t n = a; n < z; n++) {
        gaps += hole(n);
        sum += hole(n) ? 0 : value(n);
        lo = !hole(n) && value(n) < lo ? value(n) : lo;
        hi = !hole(n) && value(n) > hi ? value(n) : hi;
    }
    ok(trace_stats(r, (double)a * DT, (double)z * DT, &st, &e), &e);
    if (!(fabs(st.charge_c / DT - (double)sum) <= 1e-6 + 1e-9 * (double)sum)) /* span ends go through seconds: cells are cut by 1e-10 */
        fail_msg("%lld..%lld: %.17g instead of %lld", (long long)a, (long long)z, st.charge_c / DT, (long long)sum);
    assert_true(fabs(st.energy_j - 2 * st.charge_c) <= 1e-12 * st.energy_j);
    assert_true(fabs(st.gap_s / DT - (double)gaps) < 1e-6);
    assert_true(sum == 0 || (st.current_min_a <= lo && st.current_max_a >= hi));
}

static void check_whole(struct trace_reader *r, int lost) {
    struct err e = {0};
    struct trace_info in;
    struct tally t = tally_of(r);
    json_t *v = NULL;
    int gap = CHUNKS / 1000 * EACH;
    trace_reader_info(r, &in);
    assert_int_equal(in.end, (int64_t)CHUNKS * EACH);
    assert_int_equal(in.n_gaps, CHUNKS / 1000);
    assert_int_equal(in.gap_samples, gap);
    assert_int_equal(in.samples, (int64_t)CHUNKS * EACH - gap);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(t.samples, (int64_t)CHUNKS * EACH - gap - lost);
    assert_int_equal(t.gaps, gap + lost);
    ok(trace_view(r, 0, CHUNKS * EACH * DT, 2000, &v, &e), &e);
    size_t i;
    const json_t *mean;
    json_array_foreach(json_object_get(json_object_get(v, "current_a"), "mean"), i, mean) assert_true(json_real_value(mean) >= 1 && json_real_value(mean) <= 1024);
    assert_int_equal(json_array_size(json_object_get(v, "gaps")), CHUNKS / 1000);
    json_decref(v);
}

static void many_chunks_are_found_again(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_reader *r;
    struct trace_info in;
    uint64_t s = 1;
    write_many(path_of("many"), true);
    ok(trace_reader_open(path_of("many"), &r, &e), &e);
    trace_reader_info(r, &in);
    assert_true(in.complete);
    assert_int_equal(in.n_chunks, CHUNKS);
    assert_int_equal(in.n_events, 14);
    assert_int_equal(in.n_segments, CHUNKS - CHUNKS / 1000);
    check_whole(r, 0);
    for (int i = 0; i < 300; i++) {
        int64_t a = (int64_t)(next_random(&s) % (CHUNKS * EACH - 1)), most = CHUNKS * EACH - a;
        check_span(r, a, a + 1 + (int64_t)(next_random(&s) % (uint64_t)(i % 3 == 0 ? (most < 9 ? most : 9) : most)));
    }
    check_span(r, 0, (int64_t)CHUNKS * EACH);
    int bad = 0;
    ok(trace_reader_verify(r, &bad, &e), &e);
    assert_int_equal(bad, 0);
    trace_reader_close(r);
}

/* Marker edges lie between chunks of different pages here; a segment's start hides them, so the trace has none of its own. */
static void without_its_end_it_holds_the_same(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_reader *r;
    struct trace_info in;
    write_many(path_of("open"), false);
    ok(trace_reader_open(path_of("open"), &r, &e), &e);
    trace_reader_info(r, &in);
    assert_false(in.complete);
    assert_int_equal(in.n_bad, 0);
    assert_int_equal(in.n_chunks, CHUNKS);
    assert_int_equal(in.n_events, 14);
    check_whole(r, 0);
    for (int64_t a = 1; a < 100000; a = a * 3 + 1)
        check_span(r, a, a * 2);
    trace_reader_close(r);
}

static int count_event(void *user, const json_t *event) {
    int *n = user;
    assert_int_equal(json_integer_value(json_object_get(event, "data")), (json_int_t)*n * 5000);
    (*n)++;
    return 0;
}

/* Each page of each level in turn loses a bit: it is found, counted, and nothing of the samples is missing. */
static void damaged_pages_are_rebuilt(void **state) {
    (void)state;
    struct err e = {0};
    struct stat st;
    const char *path = path_of("pages");
    write_many(path, true);
    int fd = open(path, O_RDWR), seen[TRACE_MAX_LEVEL] = {0}, events = 0;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 8; at < st.st_size;) {
        struct trace_record rec;
        struct trace_page page = {0};
        uint8_t byte;
        assert_int_equal(pread(fd, &rec, sizeof rec, at), sizeof rec);
        assert_int_equal(rec.sync, TRACE_SYNC);
        off_t hit = 0;
        if (rec.type == TRACE_T_INDEX && pread(fd, &page, sizeof page, at + 16) == sizeof page && (page.level > 1 || seen[1] % 64 == 0))
            hit = at + 16 + (off_t)sizeof page + (off_t)(page.n_groups * sizeof(struct trace_group)) + seen[page.level] % 60;
        else if (rec.type == TRACE_T_EVENTS)
            hit = at + 20;
        if (page.level > 0)
            seen[page.level]++;
        if (hit) {
            assert_int_equal(pread(fd, &byte, 1, hit), 1);
            byte ^= 16;
            assert_int_equal(pwrite(fd, &byte, 1, hit), 1);
            struct trace_reader *r;
            struct trace_info in;
            int bad = 0, n = 0;
            ok(trace_reader_open(path, &r, &e), &e);
            check_whole(r, 0);
            check_span(r, 1, 150000);
            ok(trace_reader_events(r, count_event, &n, &e), &e);
            assert_int_equal(n, 14);
            ok(trace_reader_verify(r, &bad, &e), &e);
            assert_true(bad > 0);
            trace_reader_info(r, &in);
            assert_true(in.complete);
            trace_reader_close(r);
            byte ^= 16;
            assert_int_equal(pwrite(fd, &byte, 1, hit), 1);
            events += rec.type == TRACE_T_EVENTS;
        }
        at += 16 + (off_t)rec.len;
    }
    close(fd);
    assert_true(seen[1] > 256 && seen[2] == 2 && seen[3] == 1 && events == 1);
}

/* A whole page and a chunk that it covers: that chunk is missing, nothing else. */
static void page_and_chunk_together(void **state) {
    (void)state;
    struct err e = {0};
    struct stat st;
    struct trace_reader *r;
    const char *path = path_of("both");
    write_many(path, true);
    int fd = open(path, O_RDWR), chunks = 0;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 8; at < st.st_size;) {
        struct trace_record rec;
        assert_int_equal(pread(fd, &rec, sizeof rec, at), sizeof rec);
        chunks += rec.type == TRACE_T_CHUNK;
        if (rec.type == TRACE_T_CHUNK && chunks == 300)
            assert_int_equal(pwrite(fd, "x", 1, at + 16 + 150), 1);
        if (rec.type == TRACE_T_INDEX && chunks == 512) {
            assert_int_equal(pwrite(fd, "JUNK", 4, at + 16), 4);
            break;
        }
        at += 16 + (off_t)rec.len;
    }
    close(fd);
    ok(trace_reader_open(path, &r, &e), &e);
    struct tally t = tally_of(r);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(t.samples, (int64_t)CHUNKS * EACH - CHUNKS / 1000 * EACH - EACH);
    struct trace_stats stats;
    ok(trace_stats(r, 299 * EACH * DT, 300 * EACH * DT, &stats, &e), &e);
    assert_true(fabs(stats.gap_s - EACH * DT) < 1e-9);
    trace_reader_close(r);
}

/* A quiet stretch behind a loud one: sums must not be differences of totals. */
static void quiet_spans_keep_their_digits(void **state) {
    (void)state;
    enum { LOUD = 3 * TRACE_CHUNK, ALL = 6 * TRACE_CHUNK };
    struct err e = {0};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_summary sum;
    const struct trace_header h = {.period_s = 1.0 / 1024, .voltage_v = 3}; /* exact in double, as are the span's ends */
    float *x = malloc(ALL * sizeof *x);
    uint64_t s = 3;
    for (int i = 0; i < ALL; i++)
        x[i] = (float)((double)(next_random(&s) % 100000 + 1) * (i < LOUD ? 1e3 : 1e-12));
    ok(trace_writer_open(path_of("quiet"), &h, &w, &e), &e);
    ok(trace_writer_block(w, &(struct measure_block){.count = ALL, .current_a = x}, &e), &e);
    ok(trace_writer_close(w, &sum, &e), &e);
    ok(trace_reader_open(path_of("quiet"), &r, &e), &e);
    for (int i = 0; i < 200; i++) {
        int a = LOUD + (int)(next_random(&s) % (ALL - LOUD - 1)), z = a + 1 + (int)(next_random(&s) % (uint64_t)(ALL - a));
        long double want = 0;
        struct trace_stats st;
        for (int n = a; n < z && n < ALL; n++)
            want += (long double)x[n];
        want *= 3.0L / 1024;
        ok(trace_stats(r, a / 1024.0, z / 1024.0, &st, &e), &e);
        assert_true(fabsl((long double)st.energy_j - want) <= 1e-12L * want);
    }
    trace_reader_close(r);
    free(x);
}

static int same_bits(void *user, const struct measure_block *b) {
    const float *x = user;
    return memcmp(b->current_a, x + b->first, b->count * sizeof *x) == 0 ? 0 : JF_E_BUG;
}

/* Every kind of content, among it values that are no numbers: bit for bit, and no larger than raw floats but for the summaries. */
static void floats_round_trip(void **state) {
    (void)state;
    static const uint32_t distinct[] = {1, 2, 3, 255, 256, 257, 1000, 4096, 16383, 16384, 16385, 40000, 0};
    static const uint32_t odd[] = {0x80000000u, 0x7fc00000u, 0xff800000u, 0x7f800001u, 1};
    enum { N = TRACE_CHUNK + 5000 };
    float *x = malloc(N * sizeof *x);
    for (size_t d = 0; d < sizeof distinct / sizeof distinct[0]; d++) {
        struct err e = {0};
        struct trace_writer *w;
        struct trace_reader *r;
        struct trace_summary sum;
        struct measure_source src;
        uint64_t s = d + 1;
        char name[16];
        (void)snprintf(name, sizeof name, "floats%zu", d);
        for (int i = 0; i < N; i++) {
            uint32_t k = distinct[d] ? (uint32_t)(next_random(&s) % distinct[d]) : 0, bits = distinct[d] ? k * 2654435761u : (uint32_t)next_random(&s) * 2 + (uint32_t)i % 2;
            if (distinct[d] > 5 && k < 5)
                bits = odd[k];
            memcpy(&x[i], &bits, sizeof bits);
        }
        const struct trace_header h = {.period_s = 1e-6, .voltage_v = 3, .channels = d % 2 ? TRACE_VOLTAGE : 0};
        ok(trace_writer_open(path_of(name), &h, &w, &e), &e);
        ok(trace_writer_block(w, &(struct measure_block){.count = N, .current_a = x, .voltage_v = x}, &e), &e);
        ok(trace_writer_close(w, &sum, &e), &e);
        assert_true((double)sum.size < N * 4.15 * (d % 2 ? 2 : 1) + 12000);
        if (distinct[d] > 1 && distinct[d] <= 256 && d % 2 == 0)
            assert_true((double)sum.size < N * 1.2 + 12000);
        ok(trace_reader_open(path_of(name), &r, &e), &e);
        trace_reader_source(r, &src);
        assert_int_equal(src.each(src.self, 0, N, ~0u, same_bits, x, &e), 0);
        trace_reader_close(r);
    }
    free(x);
}

static int count_calls(void *user, const struct measure_block *b) {
    int *n = user;
    (void)b;
    (*n)++;
    return 0;
}

/* Holes as long as the time line: the file says so in few records, and reading takes few calls. */
static void long_holes_are_short_work(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_summary sum;
    struct trace_info in;
    struct measure_source src;
    float x[4] = {1, 2, 3, 4};
    int calls = 0;
    const struct trace_header h = {.period_s = 1e-6, .voltage_v = 3};
    ok(trace_writer_open(path_of("hole"), &h, &w, &e), &e);
    ok(trace_writer_block(w, &(struct measure_block){.count = 4, .current_a = x}, &e), &e);
    ok(trace_writer_block(w, &(struct measure_block){.first = INT64_C(1) << 39, .count = 4, .current_a = x}, &e), &e);
    assert_int_equal(trace_writer_block(w, &(struct measure_block){.first = INT64_C(1) << 45, .count = 4, .current_a = x}, &e), JF_E_INVAL);
    assert_int_equal(trace_writer_block(w, &(struct measure_block){.first = INT64_MAX - 2, .count = 4, .current_a = x}, &e), JF_E_INVAL);
    ok(trace_writer_close(w, &sum, &e), &e);
    assert_int_equal(sum.gap_samples, (INT64_C(1) << 39) - 4);
    ok(trace_reader_open(path_of("hole"), &r, &e), &e);
    trace_reader_info(r, &in);
    assert_int_equal(in.n_gaps, 1);
    trace_reader_source(r, &src);
    ok(src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, count_calls, &calls, &e), &e);
    assert_true(calls < 200);
    struct trace_stats st;
    ok(trace_stats(r, 1e-6, (double)(INT64_C(1) << 39) * 1e-6, &st, &e), &e);
    assert_true(fabs(st.charge_c - 9e-6) < 1e-9 && fabs(st.gap_s / st.to_s - 1) < 1e-6);
    trace_reader_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(many_chunks_are_found_again),   cmocka_unit_test(without_its_end_it_holds_the_same), cmocka_unit_test(damaged_pages_are_rebuilt),
        cmocka_unit_test(page_and_chunk_together),       cmocka_unit_test(quiet_spans_keep_their_digits),     cmocka_unit_test(floats_round_trip),
        cmocka_unit_test(long_holes_are_short_work),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
