/* SPDX-License-Identifier: GPL-2.0-or-later
 * The samples of a foreign session as a trace file of ours, and its result's documents. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/trace/import_inner.h"
#include "measure/trace/result_json.h"

#define STEP 4096
#define MARK_CELLS 3 /* how long the line stays low: published ports hold it for some ms at 1 kHz */

/* Line 0 rests high and falls at each timestamp. */
static uint8_t level(const struct import_samples *k, int *next, int64_t n) {
    while (*next < k->n_marks && k->marks[*next] + MARK_CELLS <= n)
        (*next)++;
    return *next < k->n_marks && n >= k->marks[*next] ? 0 : 1;
}

static int write_run(struct trace_writer *w, const struct import_samples *k, int64_t from, int64_t to, double amps_per_uj,
                     bool segments, int *next, struct err *reterr) {
    static const int64_t step = STEP;
    float current[STEP];
    uint8_t markers[STEP];
    for (int64_t at = from; at < to; at += step) {
        int64_t n = to - at < step ? to - at : step;
        for (int64_t i = 0; i < n; i++) {
            current[i] = (float)((double)k->energy_uj[at + i] * amps_per_uj);
            markers[i] = level(k, next, at + i);
        }
        struct measure_block b = {.first = at, .count = (uint32_t)n, .current_a = current, .markers = markers};
        if (segments)
            b.flags = (at == from ? MEASURE_SEGMENT_START : 0) | (at + n == to ? MEASURE_SEGMENT_END : 0);
        int rc = trace_writer_block(w, &b, reterr);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int import_trace_write(const struct import_session *s, const struct import_samples *k, const char *path,
                       struct trace_summary *ret_sum, struct err *reterr) {
    bool segments = s->format == IMPORT_MLCOMMONS;
    double volts = s->facts.voltage_v;
    if (!(volts > 0))
        return err_set(reterr, JF_E_UNSUPPORTED, "the session does not say its supply voltage, so its energies are no currents");
    json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s}", "origin", "imported", "runner", s->facts.runner, "analyzer",
                             s->facts.analyzer, "board", s->facts.board, "model", s->facts.model);
    const struct trace_header h = {.period_s = 1 / s->rate_hz, .channels = TRACE_MARKERS, .voltage_v = volts, .block = segments, .info = info};
    struct trace_writer *w;
    int next = 0, rc = trace_writer_open(path, &h, &w, reterr);
    json_decref(info);
    if (rc < 0)
        return rc;
    for (int run = 0; rc == 0 && run < k->n_runs; run++)
        rc = write_run(w, k, run ? k->run_end[run - 1] : 0, k->run_end[run], 1e-6 * s->rate_hz / volts, segments, &next, reterr);
    if (rc < 0)
        trace_writer_abort(w);
    else
        rc = trace_writer_close(w, ret_sum, reterr);
    if (rc < 0)
        (void)unlink(path);
    return rc;
}

static json_t *text(const char *s) { return *s ? json_string(s) : json_null(); }

static json_t *inputs(const struct import_facts *f) {
    json_t *a = f->n_inputs > 0 ? json_array() : json_null();
    for (int k = 0; k < f->n_inputs; k++)
        (void)json_array_append_new(a, json_string(f->inputs[k]));
    return a;
}

static json_t *provenance(const struct import_session *s) {
    return json_pack("{s:s, s:o, s:o, s:o, s:{s:s, s:s, s:b}, s:{s:s}}", "origin", "imported", "runner", text(s->facts.runner), "model",
                     text(s->facts.model), "inputs", inputs(&s->facts), "printed", "median_energy_uj", s->median_energy.printed, "median_throughput",
                     s->median_throughput.printed, "agrees", s->n_differences == 0, "tools", "jf-trace", JF_VERSION);
}

json_t *import_result_json(const struct import_session *s) {
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_result *r = malloc(sizeof *r);
    json_t *result = NULL, *windows = NULL, *out = NULL;
    if (cap && r) {
        import_result(s, cap, r);
        result = measure_result_json(cap, r);
        windows = measure_windows_json(r);
    }
    if (result && windows) {
        (void)json_object_set_new(result, "board", json_pack("{s:n, s:n, s:o, s:o, s:b}", "type", "serial", "name", text(s->facts.board), "model_id",
                                                              text(s->facts.model), "virtual", 0));
        (void)json_object_set_new(result, "analyzer", json_pack("{s:s, s:o, s:n, s:n, s:f}", "driver", "imported", "model", text(s->facts.analyzer),
                                                                 "serial", "firmware", "rate_hz", s->rate_hz));
        (void)json_object_set_new(result, "memory", json_null());
        (void)json_object_set_new(result, "provenance", provenance(s));
        out = json_pack("{s:O, s:O}", "result", result, "windows", windows);
    }
    json_decref(result);
    json_decref(windows);
    free(cap);
    free(r);
    return out;
}
