/* SPDX-License-Identifier: GPL-2.0-or-later
 * Throughput of one core on the way that a streaming capture takes: PPK2 words -> samples -> trace file -> windows -> energy -> result.
 * Beside it, in the same process: memcpy of the same words, and the PPK2's words on their own through the decoder.
 * Usage: bench_pipeline DIR SAMPLES REPEATS. Prints one JSON object, medians over the repeats; exit 1 when the analysis does not find
 * what the words were made of (verdict, energy): a fast wrong answer is no figure.
 *
 * The words are made up, not captured: five windows of inferences of 100 ms in range 3, idle in range 2, uniform noise of about one step
 * of the converter, counter and marker lines as the unit sends them (layout: tipoLi5890/ppk2lab docs/protocol-spec.md). */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/power/ppk2/ppk2_proto.h"
#include "measure/trace/trace.h"

#define READ_BYTES ((size_t)16384) /* handed to the decoder at a time, as a read of the port would */
#define WINDOWS 5
#define EDGE_IDLE 450000 /* samples before the first and behind the last window */
#define IDLE 150000 /* between two windows */
#define INFERENCE 10000
#define TAIL 8 /* from the closing toggle of line 1 to the rise of line 0 */
#define HOST0 INT64_C(1000000000000)
#define CELL_NS INT64_C(10000)
#define MIN_SAMPLES ((size_t)2000000)
#define MAX_SAMPLES ((size_t)100000000)
#define MAX_REPEATS 25
#define SUPPLY_V 3.3

struct input {
    uint32_t *words;
    float *amps; /* what the words mean, near enough: an array for the plain sum */
    size_t n, per_window, window; /* inferences; samples */
    double current_sum; /* of the windows' samples, A: the truth of the made-up words */
};

struct level {
    unsigned adc, range, lines;
};

static void input_plan(struct input *in, size_t asked) {
    in->per_window = (asked - 2 * EDGE_IDLE - (WINDOWS - 1) * IDLE) / WINDOWS / INFERENCE;
    in->window = in->per_window * INFERENCE + TAIL;
    in->n = 2 * EDGE_IDLE + (WINDOWS - 1) * IDLE + WINDOWS * in->window;
    in->current_sum = 0;
}

static size_t window_open(const struct input *in, size_t k) {
    return EDGE_IDLE + k * (in->window + IDLE);
}

/* Line 0 low: window. Line 1 toggles at each inference and behind the last. Lines 2..4: input 3, inference 2, output 6, post 4. */
static struct level level_at(const struct input *in, size_t i) {
    size_t k = i < EDGE_IDLE ? 0 : (i - EDGE_IDLE) / (in->window + IDLE);
    size_t toggles = k * (in->per_window + 1), at = i - window_open(in, k);
    if (i < EDGE_IDLE) {
        return (struct level){762, 2, 1};
    }
    if (k >= WINDOWS || at >= in->window) {
        toggles = (k < WINDOWS ? k + 1 : WINDOWS) * (in->per_window + 1);
        return (struct level){762, 2, 1u | (unsigned)(toggles & 1) << 1};
    }
    toggles += at / INFERENCE + 1;
    unsigned line1 = (unsigned)(toggles & 1) << 1;
    size_t pos = at % INFERENCE;
    if (at >= in->window - TAIL) {
        return (struct level){300, 3, line1};
    }
    if (pos < 500) {
        return (struct level){310, 3, line1 | 3u << 2};
    }
    if (pos < 9000) {
        return (struct level){428, 3, line1 | 2u << 2};
    }
    return pos < 9500 ? (struct level){330, 3, line1 | 6u << 2} : (struct level){290, 3, line1 | 4u << 2};
}

static void calibration(struct ppk2_cal *cal) {
    static const double ohm[PPK2_RANGES] = {1031.64, 101.65, 10.15, 0.94, 0.043}; /* nominal resistors */
    memset(cal, 0, sizeof *cal);
    for (int r = 0; r < PPK2_RANGES; r++) {
        cal->mod[PPK2_R][r] = ohm[r];
        cal->mod[PPK2_UG][r] = cal->mod[PPK2_GI][r] = 1;
    }
    cal->vdd_v = SUPPLY_V;
}

static void make_words(struct input *in) {
    const double volt_per_step = 4 * 1.8 / 163840, ohm3 = 0.94;
    uint32_t lcg = 1;
    for (size_t i = 0; i < in->n; i++) {
        struct level l = level_at(in, i);
        lcg = lcg * 1664525u + 1013904223u;
        unsigned adc = l.adc + (lcg >> 30);
        in->amps[i] = (float)(adc * volt_per_step / ohm3);
        in->words[i] = adc | l.range << 14 | (uint32_t)(i & 63u) << 18 | (uint32_t)l.lines << 24;
        if (!(l.lines & 1u)) {
            in->current_sum += adc * volt_per_step / ohm3;
        }
    }
}

static void fill_capture(struct measure_capture *c, const struct input *in) {
    measure_capture_init(c);
    (void)snprintf(c->instrument.driver, sizeof c->instrument.driver, "ppk2");
    c->instrument.period_s = PPK2_PERIOD_S;
    c->instrument.marker_phase = 0.5;
    c->instrument.n_markers = 5;
    c->instrument.clock_ppm = 50;
    c->instrument.voltage_gain_rel = 0.01;
    c->instrument.voltage_kind = MEASURE_SPEC_LIMIT;
    c->instrument.n_ranges = PPK2_RANGES;
    c->instrument.calibration_c = 25;
    c->temperature_c = 25;
    for (int r = 0; r < PPK2_RANGES; r++) {
        c->instrument.ranges[r] = (struct measure_range){.to_a = 1, .gain_rel = 0.1, .offset_a = 5e-5, .shunt_ohm = 1, .kind = MEASURE_SPEC_LIMIT};
    }
    c->scheme = MEASURE_SCHEME_PHASES;
    c->supply.voltage_v = SUPPLY_V;
    c->supply.provenance = MEASURE_VOLTAGE_SET;
    c->supply.capacitance = MEASURE_C_DECLARED;
    c->device.golden = MEASURE_GOOD;
    c->device.reset_cause_reported = true;
    c->clock_tol_rel = 2e-4;
    const int64_t talk = 12000000;
    int64_t quiet_from = HOST0;
    for (size_t k = 0; k < WINDOWS; k++) {
        int64_t open = HOST0 + (int64_t)window_open(in, k) * CELL_NS, length = (int64_t)in->window * CELL_NS, close = open + length;
        c->stretches[k] = (struct measure_stretch){.from_ns = quiet_from, .to_ns = open - talk, .segment = -1};
        c->requests[k] = (struct measure_request){.inferences = (uint32_t)in->per_window, .sent_ns = open - talk, .start_ns = open, .done_ns = close,
                                                  .ready_ns = close + talk, .segment = -1, .device_hz = 1e9, .device_ticks = (uint64_t)length,
                                                  .device_inferences = (uint32_t)in->per_window, .output = MEASURE_GOOD};
        quiet_from = close + talk;
    }
    c->stretches[WINDOWS] = (struct measure_stretch){.from_ns = quiet_from, .to_ns = HOST0 + (int64_t)in->n * CELL_NS, .segment = -1};
    c->n_requests = WINDOWS;
    c->n_stretches = WINDOWS + 1;
}

struct sink {
    struct trace_writer *w; /* NULL: decode alone */
    int64_t at;
};

static int sink_batch(struct sink *u, const struct ppk2_batch *b, struct err *e) {
    struct measure_block m = {.first = u->at, .count = b->count, .current_a = b->current_a, .range = b->range, .markers = b->lines};
    u->at += b->count;
    m.host_raw_ns = HOST0 + u->at * CELL_NS;
    return u->w ? trace_writer_block(u->w, &m, e) : 0;
}

/* As the driver does it: what a read left over is put before the next one. The words begin in sync and have no hole. */
static int decode(const struct input *in, struct trace_writer *w, struct err *e) {
    struct ppk2_cal cal;
    struct ppk2_batch batch;
    struct ppk2_stream s;
    struct sink sink = {w, 0};
    const uint8_t *bytes = (const uint8_t *)in->words;
    size_t total = in->n * sizeof *in->words, at = 0, end = 0;
    calibration(&cal);
    ppk2_stream_init(&s, &cal);
    while (end < total) {
        end = total - end > READ_BYTES ? end + READ_BYTES : total;
        int found = PPK2_SAMPLES;
        while (at < end && found != PPK2_NEED_MORE) {
            size_t used = 0;
            found = ppk2_stream_next(&s, bytes + at, end - at, &used, &batch, e);
            if (found < 0) {
                return found;
            }
            at += used;
            int rc = found == PPK2_SAMPLES ? sink_batch(&sink, &batch, e) : 0;
            if (rc < 0) {
                return rc;
            }
        }
    }
    return sink.at + PPK2_LOOKAHEAD < (int64_t)in->n ? err_set(e, JF_E_BUG, "samples are missing") : 0;
}

struct times {
    double wall, cpu;
};

static double clock_s(clockid_t id) {
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct times now(void) {
    return (struct times){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct times since(struct times t) {
    struct times n = now();
    return (struct times){n.wall - t.wall, n.cpu - t.cpu};
}

enum phase { COPY, SUM, DECODE, WRITE, ANALYSE, PHASES };
struct run {
    struct times t[PHASES][MAX_REPEATS];
    uint64_t size;
    uint32_t *copy;
    double sum;
    struct measure_capture *cap;
    struct measure_result *result;
};

static int write_trace(const char *path, const struct input *in, struct run *r, struct err *e) {
    const struct trace_header h = {.period_s = PPK2_PERIOD_S, .channels = TRACE_RANGE | TRACE_MARKERS, .voltage_v = SUPPLY_V};
    struct measure_config cfg;
    struct trace_writer *w;
    struct trace_summary sum;
    measure_config_init(&cfg);
    int rc = trace_writer_open(path, &h, &w, e);
    if (rc < 0) {
        return rc;
    }
    rc = decode(in, w, e);
    if (rc >= 0) {
        rc = trace_writer_capture(w, r->cap, &cfg, e);
    }
    if (rc < 0) {
        trace_writer_abort(w);
        return rc;
    }
    rc = trace_writer_close(w, &sum, e);
    r->size = rc < 0 ? 0 : sum.size;
    return rc;
}

static int repeat(const char *path, const struct input *in, struct run *r, int i, struct err *e) {
    struct times t = now();
    memcpy(r->copy, in->words, in->n * sizeof *in->words);
    r->t[COPY][i] = since(t);
    t = now();
    double sum = 0;
    for (size_t k = 0; k < in->n; k++) {
        sum += (double)in->amps[k];
    }
    r->t[SUM][i] = since(t);
    r->sum = sum;
    t = now();
    int rc = decode(in, NULL, e);
    r->t[DECODE][i] = since(t);
    if (rc < 0) {
        return rc;
    }
    (void)unlink(path);
    t = now();
    rc = write_trace(path, in, r, e);
    r->t[WRITE][i] = since(t);
    if (rc < 0) {
        return rc;
    }
    t = now();
    rc = trace_analyse(path, NULL, NULL, r->result, e);
    r->t[ANALYSE][i] = since(t);
    return rc;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct times median(const struct run *r, enum phase from, enum phase to, int n) {
    double wall[MAX_REPEATS], cpu[MAX_REPEATS];
    for (int i = 0; i < n; i++) {
        wall[i] = cpu[i] = 0;
        for (int p = (int)from; p <= (int)to; p++) {
            wall[i] += r->t[p][i].wall;
            cpu[i] += r->t[p][i].cpu;
        }
    }
    qsort(wall, (size_t)n, sizeof *wall, by_value);
    qsort(cpu, (size_t)n, sizeof *cpu, by_value);
    return (struct times){wall[n / 2], cpu[n / 2]};
}

/* Energy of the made-up words against the result's, and the last word copied. */
static int check(const struct input *in, const struct run *r) {
    double truth = in->current_sum * PPK2_PERIOD_S * SUPPLY_V / (double)(WINDOWS * in->per_window), error = r->result->energy.mean / truth - 1;
    if (r->result->verdict != MEASURE_VALID || !(fabs(error) < 1e-4)) {
        (void)fprintf(stderr, "bench_pipeline: verdict %s, energy off by %g\n", measure_verdict_name(r->result->verdict), error);
        for (int i = 0; i < MEASURE_N_CODES; i++) {
            if (r->result->reasons[i].raised) {
                (void)fprintf(stderr, "bench_pipeline: %s: %s\n", measure_code_word((enum measure_code)i), r->result->reasons[i].text);
            }
        }
        return 1;
    }
    return memcmp(r->copy, in->words, in->n * sizeof *in->words) != 0;
}

static int report(const struct input *in, const struct run *r, int repeats) {
    static const struct {
        const char *name;
        enum phase from, to;
    } rows[] = {{"memcpy", COPY, COPY}, {"c_sum", SUM, SUM}, {"decode", DECODE, DECODE}, {"write", WRITE, WRITE}, {"analysis", ANALYSE, ANALYSE}, {"pipeline", WRITE, ANALYSE}};
    json_t *doc = json_pack("{s:I,s:f,s:i,s:f}", "samples", (json_int_t)in->n, "sum", r->sum, "repeats", repeats, "bytes_per_sample", (double)r->size / (double)in->n);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct times t = median(r, rows[i].from, rows[i].to, repeats);
        json_object_set_new(doc, rows[i].name, json_pack("{s:f,s:f}", "cpu_per_s", (double)in->n / t.cpu, "wall_per_s", (double)in->n / t.wall));
    }
    int rc = json_dumpf(doc, stdout, 0);
    (void)putchar('\n');
    json_decref(doc);
    return rc < 0;
}

int main(int argc, char **argv) {
    size_t asked = argc == 4 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
    long repeats_asked = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    int repeats = repeats_asked >= 1 && repeats_asked <= MAX_REPEATS ? (int)repeats_asked : 0, failed = 1;
    char path[512];
    struct input in = {0};
    struct err e = {0};
    if (asked < MIN_SAMPLES || asked > MAX_SAMPLES || repeats < 1 ||
        (size_t)snprintf(path, sizeof path, "%s/bench.jft", argv[1]) >= sizeof path) {
        (void)fprintf(stderr, "usage: bench_pipeline DIR SAMPLES (2e6 to 1e8) REPEATS (1 to %d)\n", MAX_REPEATS);
        return 2;
    }
    input_plan(&in, asked);
    struct run *r = calloc(1, sizeof *r);
    in.words = malloc(in.n * sizeof *in.words);
    in.amps = malloc(in.n * sizeof *in.amps);
    if (!r || !in.words || !in.amps || !(r->copy = malloc(in.n * sizeof *in.words)) || !(r->cap = calloc(1, sizeof *r->cap)) ||
        !(r->result = calloc(1, sizeof *r->result))) {
        (void)fprintf(stderr, "bench_pipeline: no memory\n");
        goto out;
    }
    make_words(&in);
    memset(r->copy, 0, in.n * sizeof *in.words);
    fill_capture(r->cap, &in);
    for (int i = 0; i < repeats; i++) {
        if (repeat(path, &in, r, i, &e) < 0) {
            (void)fprintf(stderr, "bench_pipeline: %s\n", e.text);
            goto out;
        }
    }
    failed = check(&in, r) || report(&in, r, repeats);
out:
    (void)unlink(path);
    free(in.words);
    free(in.amps);
    if (r) {
        free(r->copy);
        free(r->cap);
        free(r->result);
    }
    free(r);
    return failed;
}
