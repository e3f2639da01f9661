/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file: what goes in comes out, summaries equal full sums, damage is confined, a torn tail is recovered, and a stored trace gives
 * the very result that the live samples gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the three above */
#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32.h"
#include "measure/trace/format.h"
#include "measure/trace/result_json.h"
#include "measure/trace/trace.h"
#include "tests/unit/measure/synth.h"

static const struct synth_inference usual = {.amp = {0.010, 0.030, 0.012, 0.015, 0.008}, .s = {0.0005, 0.006, 0.0004, 0.001, 0.0003}};
static char dir[64];

static const char *path_of(const char *name) {
    static char p[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(p[turn], sizeof p[turn], "%s/%s", dir, name);
    return p[turn];
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/jf-trace-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state) {
    (void)state;
    char cmd[96];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd);
}

static void ok(int rc, const struct err *e) {
    if (rc < 0)
        fail_msg("%s (%s)", e->text, e->where);
}

static int write_block(void *user, const struct measure_block *b) {
    struct err e = {0};
    int rc = trace_writer_block(user, b, &e);
    if (rc < 0)
        print_message("%s\n", e.text);
    return rc;
}

static void record(struct synth *s, const char *path, unsigned channels, bool finish, struct trace_summary *sum) {
    struct err e = {0};
    struct trace_writer *w;
    struct measure_config cfg;
    measure_config_init(&cfg);
    cfg.draws = 2000;
    struct trace_header h = {.period_s = s->dt, .channels = channels, .voltage_v = s->volt, .block = s->n_acq > 0};
    ok(trace_writer_open(path, &h, &w, &e), &e);
    json_t *note = json_pack("{s:s}", "line", "m-ready");
    ok(trace_writer_event(w, 42, "uart", note, &e), &e);
    json_decref(note);
    struct measure_source src = synth_source(s);
    assert_int_equal(src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, write_block, w, &e), 0);
    ok(trace_writer_capture(w, &s->cap_, &cfg, &e), &e);
    if (finish)
        ok(trace_writer_close(w, sum, &e), &e);
    else
        trace_writer_abort(w);
}

#define ALL_CHANNELS (TRACE_MARKERS | TRACE_QUALITY | TRACE_RANGE | TRACE_VOLTAGE)

static struct synth usual_synth(void) {
    struct synth s;
    synth_init(&s, 1e-5, 3.0);
    s.noise_a = 1e-5;
    s.with_voltage = s.with_range = true;
    s.cap_.supply.provenance = MEASURE_VOLTAGE_MEASURED;
    s.host_jitter_s = 1e-5;
    synth_usual(&s, 3, 50, &usual, 0.002, 4);
    return s;
}

/* ---- comparison of two sources, sample by sample ---------------------------------------------------------- */
struct flat {
    float *i, *v;
    uint8_t *m, *r, *q;
    int64_t n;
    double minimum_host;
};

static int flatten(void *user, const struct measure_block *b) {
    struct flat *f = user;
    if (b->flags & MEASURE_GAP)
        return 0;
    for (uint32_t k = 0; k < b->count; k++) {
        int64_t at = b->first + k;
        assert_in_range(at, 0, f->n - 1);
        f->i[at] = b->current_a[k];
        f->v[at] = b->voltage_v ? b->voltage_v[k] : 0;
        f->m[at] = b->markers ? b->markers[k] : 0;
        f->r[at] = b->range ? b->range[k] : 0;
        f->q[at] = b->quality ? b->quality[k] : 0;
    }
    return 0;
}

static struct flat flat_of(struct measure_source *src, int64_t n) {
    struct flat f = {.n = n};
    struct err e = {0};
    f.i = calloc((size_t)n, 4);
    f.v = calloc((size_t)n, 4);
    f.m = calloc((size_t)n, 1);
    f.r = calloc((size_t)n, 1);
    f.q = calloc((size_t)n, 1);
    assert_int_equal(src->each(src->self, INT64_MIN / 4, INT64_MAX / 4, ~0u, flatten, &f, &e), 0);
    return f;
}

static void flat_free(struct flat *f) {
    free(f->i);
    free(f->v);
    free(f->m);
    free(f->r);
    free(f->q);
}

static void samples_come_back(void **state) {
    (void)state;
    struct synth s = usual_synth();
    s.range_period = 777;
    s.clip_at = 123456;
    struct trace_summary sum;
    struct err e = {0};
    const char *path = path_of("round");
    record(&s, path, ALL_CHANNELS, true, &sum);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct trace_info in;
    trace_reader_info(r, &in);
    int64_t n = (int64_t)floor(s.t_end / s.dt);
    assert_true(in.complete);
    assert_int_equal(in.samples, n);
    assert_int_equal(sum.samples, n);
    assert_int_equal(in.n_events, 2);
    struct measure_source live = synth_source(&s), stored;
    trace_reader_source(r, &stored);
    struct flat a = flat_of(&live, n), b = flat_of(&stored, n);
    assert_memory_equal(a.i, b.i, (size_t)n * 4);
    assert_memory_equal(a.v, b.v, (size_t)n * 4);
    assert_memory_equal(a.m, b.m, (size_t)n);
    assert_memory_equal(a.r, b.r, (size_t)n);
    assert_memory_equal(a.q, b.q, (size_t)n);
    flat_free(&a);
    flat_free(&b);
    trace_reader_close(r);
    synth_done(&s);
}

static void hash_is_the_files(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    const char *path = path_of("hash");
    record(&s, path, ALL_CHANNELS, true, &sum);
    char cmd[256], hex[65] = "";
    snprintf(cmd, sizeof cmd, "sha256sum %s", path);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%64s", hex), 1);
    pclose(p);
    assert_string_equal(hex, sum.sha256);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sum.size);
    synth_done(&s);
}

static void stored_trace_gives_the_live_result(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    struct err e = {0};
    struct measure_config cfg;
    measure_config_init(&cfg);
    cfg.draws = 2000;
    const char *path = path_of("same");
    record(&s, path, ALL_CHANNELS, true, &sum);
    struct measure_result *live = calloc(1, sizeof *live), *stored = calloc(1, sizeof *stored);
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_source src = synth_source(&s);
    ok(measure_run(&src, &s.cap_, &cfg, live, &e), &e);
    ok(trace_analyse(path, NULL, cap, stored, &e), &e);
    json_t *a = measure_result_json(&s.cap_, live), *b = measure_result_json(cap, stored);
    json_t *wa = measure_windows_json(live), *wb = measure_windows_json(stored);
    assert_int_equal(live->verdict, MEASURE_VALID);
    double ea = live->energy.median, eb = stored->energy.median;
    /* blocks are cut differently: only the last digits of the sums may differ */
    assert_true(fabs(ea - eb) <= 1e-12 * fabs(ea));
    assert_int_equal(json_array_size(wa), json_array_size(wb));
    assert_non_null(json_object_get(b, "energy_per_inference_j"));
    assert_int_equal(stored->n_usable, live->n_usable);
    assert_true(fabs(stored->energy.u95 - live->energy.u95) <= 1e-9 * live->energy.u95);
    json_decref(a);
    json_decref(b);
    json_decref(wa);
    json_decref(wb);
    free(live);
    free(stored);
    free(cap);
    synth_done(&s);
}

/* ---- statistics and views against full scans --------------------------------------------------------------- */
static double full_energy(const struct flat *f, double x0, double x1, double dt) {
    long double sum = 0;
    for (int64_t n = (int64_t)floor(x0); n < (int64_t)ceil(x1); n++) {
        double lo = fmax((double)n, x0), hi = fmin((double)n + 1, x1);
        sum += (long double)f->i[n] * (long double)f->v[n] * (long double)(hi - lo);
    }
    return (double)(sum * (long double)dt);
}

static void stats_equal_full_scan(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    struct err e = {0};
    const char *path = path_of("stats");
    record(&s, path, ALL_CHANNELS, true, &sum);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct measure_source stored;
    trace_reader_source(r, &stored);
    struct flat f = flat_of(&stored, sum.samples);
    struct measure_rng g;
    measure_rng_init(&g, 5);
    for (int i = 0; i < 200; i++) {
        double a = measure_rng_uniform(&g) * (double)sum.samples, z = measure_rng_uniform(&g) * (double)sum.samples;
        if (i % 4 == 0)
            z = fmin(a + measure_rng_uniform(&g) * 3, (double)sum.samples);
        if (z < a) {
            double t = a;
            a = z;
            z = t;
        }
        struct trace_stats st;
        ok(trace_stats(r, a * s.dt, z * s.dt, &st, &e), &e);
        double want = full_energy(&f, st.from_s / s.dt, st.to_s / s.dt, s.dt);
        if (!(fabs(st.energy_j - want) <= 1e-12 * fabs(want) + 1e-22))
            fail_msg("span %.3f..%.3f: %.17g, full scan %.17g (%.3g)", a, z, st.energy_j, want, st.energy_j / want - 1);
        assert_true(fabs(st.recorded_s - (z - a) * s.dt) < 1e-9);
        assert_true(st.gap_s == 0);
    }
    flat_free(&f);
    trace_reader_close(r);
    synth_done(&s);
}

static void check_view(struct trace_reader *r, const struct flat *f, double dt, double from_s, double to_s, int points, double slop) {
    struct err e = {0};
    json_t *v;
    ok(trace_view(r, from_s, to_s, points, &v, &e), &e);
    const json_t *c = json_object_get(v, "current_a"), *lo = json_object_get(c, "min"), *hi = json_object_get(c, "max"), *mid = json_object_get(c, "mean");
    assert_int_equal(json_array_size(lo), points);
    for (int p = 0; p < points; p++) {
        double a = from_s / dt + (to_s - from_s) / dt * p / points, z = from_s / dt + (to_s - from_s) / dt * (p + 1) / points;
        float wmin = INFINITY, wmax = -INFINITY;
        int64_t na = (int64_t)floor(a - slop), nz = (int64_t)ceil(z + slop);
        for (int64_t n = na < 0 ? 0 : na; n < nz && n < f->n; n++) {
            wmin = fminf(wmin, f->i[n]);
            wmax = fmaxf(wmax, f->i[n]);
        }
        double gmin = json_real_value(json_array_get(lo, (size_t)p)), gmax = json_real_value(json_array_get(hi, (size_t)p));
        double gmean = json_real_value(json_array_get(mid, (size_t)p));
        assert_true(gmin >= (double)wmin && gmax <= (double)wmax);
        assert_true(gmean >= gmin - 1e-12 && gmean <= gmax + 1e-12);
        if (slop == 0)
            assert_true(gmin == (double)wmin && gmax == (double)wmax);
    }
    json_decref(v);
}

static void views_show_what_is_there(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    struct err e = {0};
    const char *path = path_of("view");
    record(&s, path, ALL_CHANNELS, true, &sum);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct measure_source stored;
    trace_reader_source(r, &stored);
    struct flat f = flat_of(&stored, sum.samples);
    check_view(r, &f, s.dt, 0, 0.5, 500, 0); /* 100 samples a pixel: from samples */
    check_view(r, &f, s.dt, 5, 5.0001, 40, 0); /* quarter samples */
    check_view(r, &f, s.dt, 0, 12.8, 1000, TRACE_STEP); /* 1280 a pixel: from steps */
    check_view(r, &f, s.dt, 0, 13.1072, 10, TRACE_CHUNK); /* 131072 a pixel: from chunks */
    json_t *v;
    ok(trace_view(r, NAN, NAN, 100, &v, &e), &e);
    const json_t *edges = json_object_get(v, "edges");
    int falls = 0;
    size_t i;
    const json_t *edge;
    json_array_foreach(edges, i, edge) if (json_integer_value(json_object_get(edge, "line")) == 0 && json_integer_value(json_object_get(edge, "level")) == 0) {
        double t = json_real_value(json_object_get(edge, "t_s"));
        assert_true(fabs(t - s.win[falls].t0) <= 1.01 * s.dt);
        falls++;
    }
    assert_int_equal(falls, 3);
    json_decref(v);
    assert_int_equal(trace_view(r, 3, 2, 100, &v, &e), JF_E_INVAL);
    assert_int_equal(trace_view(r, 1e9, 2e9, 100, &v, &e), JF_E_INVAL);
    assert_int_equal(trace_view(r, 0, 1, 0, &v, &e), JF_E_INVAL);
    assert_int_equal(trace_view(r, -INFINITY, 1, 10, &v, &e), JF_E_INVAL);
    flat_free(&f);
    trace_reader_close(r);
    synth_done(&s);
}

/* ---- damage ------------------------------------------------------------------------------------------------- */
static void torn_tail_loses_the_last_chunk_only(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    struct err e = {0};
    const char *whole = path_of("whole"), *torn = path_of("torn");
    record(&s, whole, ALL_CHANNELS, true, &sum);
    FILE *in = fopen(whole, "rb");
    uint8_t *bytes = malloc(sum.size);
    assert_int_equal(fread(bytes, 1, sum.size, in), sum.size);
    fclose(in);
    struct measure_rng g;
    measure_rng_init(&g, 9);
    for (int i = 0; i < 40; i++) {
        size_t keep = 200 + (size_t)(measure_rng_uniform(&g) * (double)(sum.size - 200));
        unlink(torn);
        FILE *out = fopen(torn, "wb");
        assert_int_equal(fwrite(bytes, 1, keep, out), keep);
        fclose(out);
        /* what must survive: every chunk that ends inside the kept bytes */
        int64_t want = 0;
        for (size_t at = 8; at + 16 <= keep;) {
            struct trace_record rec;
            memcpy(&rec, bytes + at, sizeof rec);
            if (at + 16 + rec.len > keep)
                break;
            if (rec.type == TRACE_T_CHUNK) {
                struct trace_chunk c;
                memcpy(&c, bytes + at + 16, sizeof c);
                want += c.count;
            }
            at += 16 + rec.len;
        }
        struct trace_reader *r;
        ok(trace_reader_open(torn, &r, &e), &e);
        struct trace_info info;
        trace_reader_info(r, &info);
        assert_false(info.complete);
        assert_int_equal(info.samples, want);
        assert_int_equal(info.n_bad, 0);
        trace_reader_close(r);
    }
    free(bytes);
    synth_done(&s);
}

static void flipped_bit_is_found_and_confined(void **state) {
    (void)state;
    struct synth s = usual_synth();
    struct trace_summary sum;
    struct err e = {0};
    const char *path = path_of("flip");
    record(&s, path, ALL_CHANNELS, true, &sum);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct measure_source src;
    trace_reader_source(r, &src);
    struct flat good = flat_of(&src, sum.samples);
    trace_reader_close(r);
    int fd = open(path, O_RDWR);
    struct measure_rng g;
    measure_rng_init(&g, 3);
    for (int i = 0; i < 60; i++) {
        off_t at = (off_t)(measure_rng_uniform(&g) * (double)sum.size);
        uint8_t byte, bit = (uint8_t)(1u << (unsigned)(measure_rng_uniform(&g) * 8));
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        uint8_t bad = byte ^ bit;
        assert_int_equal(pwrite(fd, &bad, 1, at), 1);
        int rc = trace_reader_open(path, &r, &e);
        if (rc == 0) {
            int n_bad = 0;
            ok(trace_reader_verify(r, &n_bad, &e), &e);
            struct trace_info info;
            trace_reader_info(r, &info);
            assert_true(n_bad > 0 || !info.complete); /* found, or the index itself was hit */
            trace_reader_source(r, &src);
            struct flat f = flat_of(&src, sum.samples);
            int64_t wrong = 0;
            for (int64_t n = 0; n < sum.samples; n++)
                wrong += f.i[n] != good.i[n];
            assert_true(wrong <= TRACE_CHUNK); /* only the chunk that was hit may be missing */
            flat_free(&f);
            trace_reader_close(r);
        } else {
            assert_true(rc == JF_E_PARSE || rc == JF_E_UNSUPPORTED); /* the header was hit */
            assert_true(at < 400);
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    flat_free(&good);
    synth_done(&s);
}

static int touch_block(void *user, const struct measure_block *b) {
    double *sum = user;
    for (uint32_t k = 0; b->current_a && k < b->count; k++)
        *sum += (double)b->current_a[k] + (b->voltage_v ? (double)b->voltage_v[k] : 0) + (b->markers ? b->markers[k] : 0);
    return 0;
}

/* Bytes changed at will, checksums made right again: whatever the reader answers, it stays inside its memory (run under ASan). */
static void crafted_files_do_no_harm(void **state) {
    (void)state;
    struct synth s;
    synth_init(&s, 1e-4, 3.0);
    s.noise_a = 1e-5;
    s.with_voltage = s.with_range = true;
    synth_usual(&s, 2, 10, &usual, 0.002, 0.5);
    struct trace_summary sum;
    struct err e = {0};
    const char *plain = path_of("plain"), *crafted = path_of("crafted");
    record(&s, plain, ALL_CHANNELS, true, &sum);
    uint8_t *good = malloc(sum.size), *bytes = malloc(sum.size);
    FILE *f = fopen(plain, "rb");
    assert_int_equal(fread(good, 1, sum.size, f), sum.size);
    fclose(f);
    struct measure_rng g;
    measure_rng_init(&g, 17);
    double touched = 0;
    int opened = 0;
    for (int i = 0; i < 400; i++) {
        memcpy(bytes, good, sum.size);
        for (size_t at = 8; at + 16 <= sum.size;) { /* change something in about every third record */
            struct trace_record rec;
            memcpy(&rec, bytes + at, sizeof rec);
            uint8_t *p = bytes + at + 16;
            size_t head = rec.type == TRACE_T_CHUNK && measure_rng_uniform(&g) < 0.7 ? sizeof(struct trace_chunk) : rec.len;
            for (int k = 0; measure_rng_uniform(&g) < 0.3 && k < 4; k++)
                p[(size_t)(measure_rng_uniform(&g) * (double)head)] = (uint8_t)(measure_rng_uniform(&g) * 256);
            rec.crc = crc32c_update(crc32c_update(0, bytes + at + 4, 8), p, rec.len);
            memcpy(bytes + at, &rec, sizeof rec);
            at += 16 + rec.len;
        }
        f = fopen(crafted, "wb");
        assert_int_equal(fwrite(bytes, 1, sum.size, f), sum.size);
        fclose(f);
        struct trace_reader *r;
        if (trace_reader_open(crafted, &r, &e) < 0)
            continue;
        opened++;
        int bad;
        struct trace_stats st;
        json_t *v = NULL;
        struct measure_source src;
        trace_reader_source(r, &src);
        (void)(src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, touch_block, &touched, &e) < 0);
        (void)(trace_stats(r, 0.01, 2, &st, &e) < 0);
        if (trace_view(r, NAN, NAN, 50, &v, &e) == 0)
            json_decref(v);
        if (trace_view(r, 0.5, 0.7, 500, &v, &e) == 0)
            json_decref(v);
        (void)(trace_reader_verify(r, &bad, &e) < 0);
        trace_reader_close(r);
        struct measure_result *res = calloc(1, sizeof *res);
        (void)(trace_analyse(crafted, NULL, NULL, res, &e) < 0);
        free(res);
    }
    assert_true(opened > 100);
    free(good);
    free(bytes);
    synth_done(&s);
}

static void foreign_files_are_refused(void **state) {
    (void)state;
    struct trace_reader *r;
    struct err e = {0};
    assert_int_equal(trace_reader_open("/nonexistent", &r, &e), JF_E_NOT_FOUND);
    assert_int_equal(trace_reader_open("/tmp", &r, &e), JF_E_PARSE);
    const char *path = path_of("foreign");
    FILE *f = fopen(path, "wb");
    fputs("JFTRACE2 but nothing else", f);
    fclose(f);
    assert_int_equal(trace_reader_open(path, &r, &e), JF_E_PARSE);
    f = fopen(path, "wb");
    fputs("JFTRACE1 of before", f);
    fclose(f);
    assert_int_equal(trace_reader_open(path, &r, &e), JF_E_UNSUPPORTED);
    f = fopen(path, "wb");
    fclose(f);
    assert_int_equal(trace_reader_open(path, &r, &e), JF_E_PARSE);
}

static void gaps_and_segments_are_kept(void **state) {
    (void)state;
    struct synth s = usual_synth();
    s.gap_from = 200000;
    s.gap_to = 260000;
    struct trace_summary sum;
    struct err e = {0};
    const char *path = path_of("gaps");
    record(&s, path, ALL_CHANNELS, true, &sum);
    assert_int_equal(sum.gap_samples, 60000);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct trace_stats st;
    ok(trace_stats(r, 1.9, 2.7, &st, &e), &e);
    assert_true(fabs(st.gap_s - 0.6) < 1e-9 && fabs(st.recorded_s - 0.2) < 1e-9);
    json_t *v;
    ok(trace_view(r, 1.9, 2.7, 80, &v, &e), &e);
    assert_int_equal(json_array_size(json_object_get(v, "gaps")), 1);
    assert_true(json_is_null(json_array_get(json_object_get(json_object_get(v, "current_a"), "mean"), 40)));
    json_decref(v);
    trace_reader_close(r);
    synth_done(&s);

    synth_init(&s, 1e-5, 3.0);
    synth_hold(&s, 3, 0.002, 3);
    s.acq[0] = (struct synth_acquisition){0.5, 1.0};
    s.acq[1] = (struct synth_acquisition){2.0, 2.7};
    s.n_acq = 2;
    measure_capture_init(&s.cap_);
    path = path_of("segments");
    record(&s, path, TRACE_MARKERS, true, &sum);
    ok(trace_reader_open(path, &r, &e), &e);
    struct trace_info in;
    trace_reader_info(r, &in);
    assert_int_equal(in.n_segments, 2);
    assert_int_equal(in.n_gaps, 0);
    ok(trace_stats(r, 0.6, 2.4, &st, &e), &e);
    assert_true(fabs(st.recorded_s - 0.8) < 3e-5 && st.gap_s == 0); /* unrecorded is not a gap */
    trace_reader_close(r);
    synth_done(&s);
}

static void disordered_blocks_are_refused(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_writer *w;
    struct trace_header h = {.period_s = 1e-5, .voltage_v = 3};
    float x[10] = {0};
    ok(trace_writer_open(path_of("order"), &h, &w, &e), &e);
    struct measure_block b = {.first = 100, .count = 10, .current_a = x};
    ok(trace_writer_block(w, &b, &e), &e);
    assert_int_equal(trace_writer_block(w, &b, &e), JF_E_BUG);
    b.first = 105;
    assert_int_equal(trace_writer_block(w, &b, &e), JF_E_BUG);
    b.first = 200;
    ok(trace_writer_block(w, &b, &e), &e); /* a silent jump is a gap */
    struct trace_summary sum;
    ok(trace_writer_close(w, &sum, &e), &e);
    assert_int_equal(sum.gap_samples, 90);
    assert_int_equal(trace_writer_open(path_of("order2"), &(struct trace_header){.period_s = 0}, &w, &e), JF_E_INVAL);
}

/* Two acquisitions whose cells touch are two segments in the view too. */
static void touching_segments_stay_two(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_writer *w;
    struct trace_reader *r;
    struct trace_header h = {.period_s = 1e-5, .voltage_v = 3, .block = true};
    struct trace_summary sum;
    float x[100] = {0};
    ok(trace_writer_open(path_of("touch"), &h, &w, &e), &e);
    ok(trace_writer_block(w, &(struct measure_block){.first = 0, .count = 100, .current_a = x, .flags = MEASURE_SEGMENT_START}, &e), &e);
    ok(trace_writer_block(w, &(struct measure_block){.first = 100, .count = 100, .current_a = x, .flags = MEASURE_SEGMENT_START}, &e), &e);
    ok(trace_writer_close(w, &sum, &e), &e);
    ok(trace_reader_open(path_of("touch"), &r, &e), &e);
    json_t *view = NULL;
    ok(trace_view(r, (double)NAN, (double)NAN, 10, &view, &e), &e);
    const json_t *segments = json_object_get(view, "segments");
    assert_int_equal(json_array_size(segments), 2);
    assert_true(fabs(json_number_value(json_array_get(json_array_get(segments, 0), 1)) - 1e-3) < 1e-9);
    assert_int_equal(json_array_size(json_object_get(view, "gaps")), 0);
    json_decref(view);
    trace_reader_close(r);
}

/* Every combination of content that picks another encoding. */
static void encodings_round_trip(void **state) {
    (void)state;
    struct err e = {0};
    struct trace_writer *w;
    struct trace_header h = {.period_s = 1e-6, .voltage_v = 2, .channels = TRACE_MARKERS | TRACE_RANGE};
    enum { N = 70000 };
    float *x = malloc(N * sizeof *x);
    uint8_t *m = malloc(N), *g = malloc(N);
    struct measure_rng rng;
    measure_rng_init(&rng, 1);
    for (int i = 0; i < N; i++) {
        uint32_t bits = (uint32_t)(measure_rng_uniform(&rng) * 4294967295.0) & 0x7f7fffffu;
        memcpy(&x[i], &bits, 4); /* any finite pattern: incompressible */
        m[i] = (uint8_t)(measure_rng_uniform(&rng) * 256); /* too many runs */
        g[i] = (uint8_t)(i / 30000);
    }
    const char *path = path_of("enc");
    ok(trace_writer_open(path, &h, &w, &e), &e);
    struct measure_block b = {.first = 0, .count = N, .current_a = x, .markers = m, .range = g};
    ok(trace_writer_block(w, &b, &e), &e);
    struct trace_summary sum;
    ok(trace_writer_close(w, &sum, &e), &e);
    struct trace_reader *r;
    ok(trace_reader_open(path, &r, &e), &e);
    struct measure_source src;
    trace_reader_source(r, &src);
    struct flat f = flat_of(&src, N);
    assert_memory_equal(f.i, x, N * sizeof *x);
    assert_memory_equal(f.m, m, N);
    assert_memory_equal(f.r, g, N);
    flat_free(&f);
    trace_reader_close(r);
    free(x);
    free(m);
    free(g);
}

/* The checksum against its definition, bit by bit, for every alignment and tail length. */
static uint32_t crc_by_bits(uint32_t poly, uint32_t crc, const uint8_t *p, size_t n) {
    crc = ~crc;
    while (n-- > 0) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (crc & 1 ? poly : 0);
    }
    return ~crc;
}

static void checksum_is_crc32(void **state) {
    (void)state;
    uint8_t b[96];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)(i * 151 + 7);
    assert_int_equal(crc32_update(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(crc32c_update(0, "123456789", 9), 0xE3069283);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n + from <= sizeof b; n++) {
            assert_int_equal(crc32_update(0x1234567u * (uint32_t)n, b + from, n), crc_by_bits(0xEDB88320u, 0x1234567u * (uint32_t)n, b + from, n));
            assert_int_equal(crc32c_update(0x1234567u * (uint32_t)n, b + from, n), crc_by_bits(0x82F63B78u, 0x1234567u * (uint32_t)n, b + from, n));
        }
    static uint8_t long_one[10000]; /* several rounds of the lanes that run beside each other */
    for (size_t i = 0; i < sizeof long_one; i++)
        long_one[i] = (uint8_t)(i * i * 31 + i);
    for (size_t n = 3000; n <= sizeof long_one; n += 71)
        assert_int_equal(crc32c_update(5, long_one, n), crc_by_bits(0x82F63B78u, 5, long_one, n));
}

static void capture_survives_json(void **state) {
    (void)state;
    struct synth s = usual_synth();
    s.cap_.supply.tolerance_v = 0.01;
    s.cap_.instrument.calibration_c = NAN;
    snprintf(s.cap_.requests[1].input, sizeof s.cap_.requests[1].input, "sha256:%064d", 7);
    struct measure_capture *back = malloc(sizeof *back);
    struct err e = {0};
    json_t *j = measure_capture_json(&s.cap_);
    ok(measure_capture_from_json(j, back, &e), &e);
    json_t *again = measure_capture_json(back);
    assert_true(json_equal(j, again));
    assert_true(isnan(back->instrument.calibration_c));
    assert_int_equal(back->requests[2].sent_ns, s.cap_.requests[2].sent_ns);
    json_object_set_new(json_object_get(j, "instrument"), "period_s", json_string("fast"));
    assert_int_equal(measure_capture_from_json(j, back, &e), JF_E_PARSE);
    assert_string_equal(e.where, "period_s");
    json_decref(j);
    json_decref(again);
    free(back);
    synth_done(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back),
        cmocka_unit_test(hash_is_the_files),
        cmocka_unit_test(stored_trace_gives_the_live_result),
        cmocka_unit_test(stats_equal_full_scan),
        cmocka_unit_test(views_show_what_is_there),
        cmocka_unit_test(torn_tail_loses_the_last_chunk_only),
        cmocka_unit_test(flipped_bit_is_found_and_confined),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(crafted_files_do_no_harm),
        cmocka_unit_test(gaps_and_segments_are_kept),
        cmocka_unit_test(disordered_blocks_are_refused),
        cmocka_unit_test(touching_segments_stay_two),
        cmocka_unit_test(encodings_round_trip),
        cmocka_unit_test(capture_survives_json),
        cmocka_unit_test(checksum_is_crc32),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
