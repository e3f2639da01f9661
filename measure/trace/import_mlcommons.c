/* SPDX-License-Identifier: GPL-2.0-or-later
 * MLCommons runner sessions: results.json (one object per window: energies in J at 1 kHz, events as [number, samples
 * seen so far]; the window lies between the last two), results.txt, log.txt. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/rules.h"
#include "measure/trace/import_inner.h"

#define DATA "results.json"
#define RATE_HZ 1000.0 /* the runner's virtual rate; the file does not say it */
#define MAX_EVENTS 64

static int bad(struct err *reterr, int run, const char *what, int64_t element, const char *why) {
    char where[128];
    if (element >= 0)
        snprintf(where, sizeof where, DATA " run %d %s %lld", run, what, (long long)element);
    else
        snprintf(where, sizeof where, DATA " run %d %s", run, what);
    return err_set_at(reterr, JF_E_PARSE, where, "%s", why);
}

/* The events ascend and lie in the trace; the last two are the window. */
static int read_events(const json_t *events, int run, int64_t samples, struct import_window *w, struct err *reterr) {
    size_t n = json_array_size(events);
    int64_t before = 0;
    if (!json_is_array(events) || n < 2 || n > MAX_EVENTS)
        return bad(reterr, run, "timestamps", -1, "at least two events are expected");
    for (size_t k = 0; k < n; k++) {
        const json_t *pair = json_array_get(events, k), *at = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_integer(at))
            return bad(reterr, run, "timestamp", (int64_t)k, "[number, samples seen] is expected");
        int64_t i = json_integer_value(at);
        if (i < 0 || i > samples)
            return bad(reterr, run, "timestamp", (int64_t)k, "outside the trace");
        if (k > 0 && i <= before)
            return bad(reterr, run, "timestamp", (int64_t)k, "not in order (a window of negative or no duration)");
        w->a = before;
        w->b = before = i;
    }
    return (int)n - 2;
}

static int sum(const json_t *samples, int run, const struct import_window *w, double *ret_e, struct err *reterr) {
    struct measure_acc acc = {0};
    size_t i;
    const json_t *x;
    json_array_foreach(samples, i, x) {
        if (!json_is_number(x) || !isfinite(json_number_value(x)))
            return bad(reterr, run, "sample", (int64_t)i, "not a finite energy");
        if ((int64_t)i >= w->a && (int64_t)i < w->b)
            measure_acc_add(&acc, json_number_value(x));
    }
    double e = measure_acc_get(&acc);
    if (!isfinite(e))
        return bad(reterr, run, "samples", -1, "their sum is not finite");
    *ret_e = e;
    return 0;
}

/* The runs may not contradict each other, and a voltage is one of a small board. */
static int read_voltage(struct import_session *s, int run, const json_t *power, struct err *reterr) {
    const json_t *j = json_object_get(power, "voltage");
    double v = json_number_value(j);
    if (!j || json_is_null(j))
        return 0;
    if (!json_is_number(j) || !(v > 0 && v <= 60))
        return bad(reterr, run, "power.voltage", -1, "not a possible supply voltage");
    if (run > 0 && v != s->facts.voltage_v)
        return bad(reterr, run, "power.voltage", -1, "another voltage than in the runs before");
    s->facts.voltage_v = v;
    return 0;
}

static int keep_run(struct import_samples *keep, const json_t *samples, const json_t *events, int run,
                    struct err *reterr) {
    float *to;
    size_t i;
    const json_t *x;
    int64_t begin = keep->n;
    int rc = import_samples_grow(keep, (int64_t)json_array_size(samples), &to, reterr);
    if (rc < 0)
        return rc;
    json_array_foreach(samples, i, x) {
        double e = json_number_value(x) * 1e6;
        if (!(fabs(e) <= (double)FLT_MAX))
            return bad(reterr, run, "sample", (int64_t)i, "no possible energy of a sample");
        to[i] = (float)e;
    }
    json_array_foreach(events, i, x) {
        int64_t at = begin + json_integer_value(json_array_get(x, 1));
        keep->marks[keep->n_marks++] = at < keep->n ? at : keep->n - 1;
    }
    return 0;
}

void import_mlcommons_figures(struct import_window *w, double e) {
    w->energy_j = e;
    w->duration_s = measure_rule_mlcommons_elapsed(RATE_HZ, w->a, w->b);
    double inferences = (double)w->inferences;
    import_fixed(&w->figures[IMPORT_BEGIN], (double)w->a / RATE_HZ, 3);
    import_fixed(&w->figures[IMPORT_ENERGY], e * 1e6, 3);
    import_fixed(&w->figures[IMPORT_POWER], e / w->duration_s * 1e3, 4);
    import_fixed(&w->figures[IMPORT_PER_INFERENCE], e / inferences * 1e6, 3);
    import_fixed(&w->figures[IMPORT_INFERENCES], inferences, 0);
    import_shortest(&w->figures[IMPORT_DURATION], w->duration_s);
    import_fixed(&w->figures[IMPORT_THROUGHPUT], inferences / w->duration_s, 3);
}

static int read_run(struct import_samples *keep, struct import_session *s, int run, const json_t *j,
                    struct err *reterr) {
    struct import_window *w = &s->windows[run];
    const json_t *power = json_object_get(j, "power"), *samples = json_object_get(power, "samples");
    const json_t *count = json_object_get(json_object_get(j, "infer"), "iterations");
    if (!json_is_array(samples) || json_array_size(samples) == 0)
        return bad(reterr, run, "power.samples", -1, "no samples: not an energy session");
    if (!json_is_integer(count) || json_integer_value(count) < 1 || json_integer_value(count) > 1000000000)
        return bad(reterr, run, "infer.iterations", -1, "not a possible number of inferences");
    int64_t n = (int64_t)json_array_size(samples);
    double e = 0;
    int rc = read_events(json_object_get(power, "timestamps"), run, n, w, reterr);
    if (rc < 0)
        return rc;
    s->leading = rc > s->leading ? rc : s->leading;
    rc = sum(samples, run, w, &e, reterr);
    rc = rc == 0 ? read_voltage(s, run, power, reterr) : rc;
    if (rc == 0 && keep)
        rc = keep_run(keep, samples, json_object_get(power, "timestamps"), run, reterr);
    if (rc < 0)
        return rc;
    w->from_s = (double)(s->samples + w->a) / RATE_HZ;
    w->to_s = (double)(s->samples + w->b) / RATE_HZ;
    s->samples += n;
    w->inferences = json_integer_value(count);
    import_mlcommons_figures(w, e);
    return 0;
}

static int read_runs(struct import_source *src, struct import_session *s, struct err *reterr) {
    json_t *j;
    int rc = import_file_json(src, IMPORT_N_DATA, IMPORT_MAX_DATA / 2, &j, reterr);
    if (rc < 0)
        return rc;
    if (!json_is_array(j))
        rc =
            err_set_at(reterr, JF_E_PARSE, DATA, "not a session of the MLCommons runner: an array of runs is expected");
    else if ((int64_t)json_array_size(j) != s->n_windows)
        rc = err_set_at(reterr, JF_E_PARSE, DATA, "%zu runs, results.txt prints %d", json_array_size(j), s->n_windows);
    for (int k = 0; rc == 0 && k < s->n_windows; k++)
        rc = s->windows[k].number == k
                 ? read_run(src->keep, s, k, json_array_get(j, (size_t)k), reterr)
                 : err_set_at(reterr, JF_E_PARSE, "results.txt", "trial %d stands where trial %d is expected",
                              s->windows[k].number, k);
    json_decref(j);
    return rc;
}

static const char *log_count(const char *line) {
    static const char head[] = "Running inference with ";
    const char *slash = strncmp(line, head, sizeof head - 1) == 0 ? strchr(line, '/') : NULL;
    return slash ? slash + 1 : NULL;
}

int import_mlcommons(struct import_source *src, struct import_session *s, struct err *reterr) {
    s->rate_hz = RATE_HZ;
    int rc = import_printed(src, s, reterr);
    if (rc == 0)
        rc = read_runs(src, s, reterr);
    return rc < 0 ? rc : import_check_log(src, s, log_count, DATA, "", reterr);
}
