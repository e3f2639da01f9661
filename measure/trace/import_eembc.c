/* SPDX-License-Identifier: GPL-2.0-or-later
 * EEMBC EnergyRunner sessions: trace1-energy.bin (0xF1, float32 rate, float32 energies in uJ), trace1-timestamps.json
 * (seconds), results.txt, log.txt. Window W of results.txt lies between elements W-1 and W; what stands before the
 * first is not a window's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/kernel.h"
#include "measure/rules.h"
#include "measure/trace/import_inner.h"

#define TRACE "trace1-energy.bin"
#define STAMPS "trace1-timestamps.json"
#define HEAD 5 /* bytes before the first sample */
#define MAX_STAMPS (2 * IMPORT_MAX_WINDOWS + 2)
#define MAX_RATE_HZ 10e6

static float float_at(const struct import_file *f, size_t byte) {
    const uint8_t *p = (const uint8_t *)f->data + byte;
    uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int read_trace(struct import_source *src, struct import_session *s, struct import_file *ret_f, struct err *reterr) {
    struct import_file f = {0};
    int rc = import_file_read(src, IMPORT_N_TRACE, IMPORT_MAX_DATA, &f, reterr);
    if (rc < 0)
        return rc;
    if ((uint8_t)f.data[0] != 0xF1) {
        rc = err_set_at(reterr, JF_E_PARSE, TRACE " byte 0",
                        "not an EnergyRunner trace: it begins with 0x%02X, not with 0xF1", (uint8_t)f.data[0]);
        goto fail_file;
    }
    if (f.size < HEAD + 4 || (f.size - HEAD) % 4 != 0) {
        rc = err_set_at(reterr, JF_E_PARSE, TRACE, "cut off: %zu bytes are not 5 and a multiple of 4", f.size);
        goto fail_file;
    }
    s->rate_hz = (double)float_at(&f, 1);
    if (!(s->rate_hz >= 1 && s->rate_hz <= MAX_RATE_HZ)) {
        rc = err_set_at(reterr, JF_E_PARSE, TRACE " byte 1", "a sample rate of %g Hz is not possible", s->rate_hz);
        goto fail_file;
    }
    s->samples = (int64_t)((f.size - HEAD) / 4);
    for (size_t byte = HEAD; byte < f.size; byte += 4) {
        if (isfinite(float_at(&f, byte)))
            continue;
        char where[128];
        snprintf(where, sizeof where, TRACE " byte %zu (sample %zu)", byte, (byte - HEAD) / 4);
        rc = err_set_at(reterr, JF_E_PARSE, where, "not a finite energy");
        goto fail_file;
    }
    *ret_f = f;
    return 0;
fail_file:
    import_file_done(&f);
    return rc;
}

/* Finite, not negative, ascending, inside the trace. */
static int check_stamps(const json_t *j, const struct import_session *s, double *t, struct err *reterr) {
    double end = (double)s->samples / s->rate_hz;
    size_t n = json_array_size(j);
    char where[128];
    if (!json_is_array(j) || n < 2 || n > MAX_STAMPS)
        return err_set_at(reterr, JF_E_PARSE, STAMPS, "an array of 2 to %d seconds is expected", MAX_STAMPS);
    for (size_t k = 0; k < n; k++) {
        const json_t *x = json_array_get(j, k);
        snprintf(where, sizeof where, STAMPS " element %zu", k);
        if (!json_is_number(x))
            return err_set_at(reterr, JF_E_PARSE, where, "not a number");
        t[k] = json_number_value(x);
        if (!(t[k] >= 0 && t[k] <= end))
            return err_set_at(reterr, JF_E_PARSE, where, "%.9g s is outside the trace of %.9g s", t[k], end);
        if (k > 0 && t[k] <= t[k - 1])
            return err_set_at(reterr, JF_E_PARSE, where,
                              "not in order (a window of negative or no duration): %.9g s after %.9g s", t[k],
                              t[k - 1]);
    }
    return (int)n;
}

static int read_stamps(struct import_source *src, const struct import_session *s, double *t, struct err *reterr) {
    json_t *j;
    int rc = import_file_json(src, IMPORT_N_STAMPS, IMPORT_MAX_TEXT, &j, reterr);
    if (rc < 0)
        return rc;
    rc = check_stamps(j, s, t, reterr);
    json_decref(j);
    return rc;
}

/* The printed begin: a tie is rounded down (all 599 begins that rounds v0.7 to v1.3 publish say so, 45 of them ties;
 * stamps are whole milliseconds nearly everywhere, so a nanosecond is far below them). */
static void print_begin(struct import_value *v, double t) { import_fixed(v, t - 1e-9 > 0 ? t - 1e-9 : 0, 2); }

static bool begins_at(const struct import_session *s, double t) {
    struct import_value at = {0};
    print_begin(&at, t);
    return strcmp(at.computed, s->windows[0].figures[IMPORT_BEGIN].printed) == 0;
}

/* Which element begins the first window. The runner stamps once before the runs. One more element than results.txt has windows
 * for is legal when the printed begin says whether it is a second stamp before the runs, or the begin of a run that never
 * ended (both were published). Anything else is an error that names the element or the window. */
static int place(struct import_session *s, const double *t, int n, struct err *reterr) {
    int first = s->windows[0].number, last = s->windows[s->n_windows - 1].number;
    char where[128];
    for (int k = 0; k < s->n_windows; k++)
        if (s->windows[k].number != first + 2 * k)
            return err_set_at(reterr, JF_E_PARSE, "results.txt",
                              "window %d follows window %d: every second one is expected", s->windows[k].number,
                              s->windows[k - 1].number);
    int shift = n - 1 - last;
    if (shift < 0 || first < 1 || first > 2)
        return err_set_at(reterr, JF_E_PARSE, STAMPS, "%d elements do not hold the windows %d to %d of results.txt", n,
                          first, last);
    if (shift == 1 && begins_at(s, t[first - 1])) {
        s->trailing = 1;
        shift = 0;
    } else if (shift > 1 || (shift == 1 && !begins_at(s, t[first]))) {
        snprintf(where, sizeof where, STAMPS " element %d", last + 1);
        return err_set_at(reterr, JF_E_PARSE, where, "%d surplus: results.txt ends with window %d", shift, last);
    }
    s->leading = first - 1 + shift;
    return 0;
}

void import_eembc_figures(struct import_window *w, double rate_hz, double energy_uj, double t0, double t1) {
    double inferences = (double)w->inferences;
    w->energy_j = energy_uj * 1e-6;
    w->from_s = t0;
    w->to_s = t1;
    w->duration_s = t1 - t0;
    print_begin(&w->figures[IMPORT_BEGIN], t0);
    import_fixed(&w->figures[IMPORT_ENERGY], energy_uj, 3);
    /* the printed power is the mean of the samples, not energy over runtime */
    import_fixed(&w->figures[IMPORT_POWER], energy_uj / ((double)(w->b - w->a) / rate_hz), 3);
    import_fixed(&w->figures[IMPORT_PER_INFERENCE], energy_uj / inferences, 3);
    import_fixed(&w->figures[IMPORT_INFERENCES], inferences, 0);
    import_fixed(&w->figures[IMPORT_DURATION], w->duration_s, 3);
    import_fixed(&w->figures[IMPORT_THROUGHPUT], inferences / w->duration_s, 3);
}

static int compute(struct import_session *s, struct import_window *w, const struct import_file *f, const double *t,
                   struct err *reterr) {
    struct measure_acc acc = {0};
    char where[128];
    measure_rule_eembc(s->rate_hz, t[0], t[1], &w->a, &w->b);
    if (w->b > s->samples || w->b <= w->a) {
        snprintf(where, sizeof where, "window %d of " STAMPS, w->number);
        return err_set_at(reterr, JF_E_PARSE, where, w->b <= w->a ? "it holds no sample" : "it ends behind the trace");
    }
    for (int64_t n = w->a; n < w->b; n++)
        measure_acc_add(&acc, (double)float_at(f, HEAD + 4 * (size_t)n));
    double e = measure_acc_get(&acc);
    const struct import_value *count = &w->figures[IMPORT_INFERENCES];
    double inferences = strtod(count->printed, NULL);
    if (!(inferences >= 1 && inferences <= 1e9) || inferences != floor(inferences)) {
        snprintf(where, sizeof where, "results.txt line %d", count->line);
        return err_set_at(reterr, JF_E_PARSE, where, "%s is not a possible number of inferences", count->printed);
    }
    w->inferences = (int64_t)inferences;
    import_eembc_figures(w, s->rate_hz, e, t[0], t[1]);
    return 0;
}

/* The board's own line, as the log repeats it. */
static const char *log_count(const char *line) {
    const char *p = strstr(line, "m-infer-start-");
    return p && strstr(line, "[dut]") ? p + 14 : NULL;
}

/* The samples and where the timestamps fall on them. */
static int keep_samples(struct import_samples *keep, const struct import_session *s, const struct import_file *f,
                        const double *t, int n, struct err *reterr) {
    float *to;
    int64_t at, end;
    int rc = import_samples_grow(keep, s->samples, &to, reterr);
    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < s->samples; i++)
        to[i] = float_at(f, HEAD + 4 * (size_t)i);
    for (int k = 0; k < n; k++) {
        measure_rule_eembc(s->rate_hz, t[k], t[k], &at, &end);
        keep->marks[keep->n_marks++] = at < s->samples ? at : s->samples - 1;
    }
    return 0;
}

int import_eembc(struct import_source *src, struct import_session *s, struct err *reterr) {
    struct import_file f = {0};
    double t[MAX_STAMPS];
    int n, rc = read_trace(src, s, &f, reterr);
    if (rc < 0)
        return rc;
    rc = n = read_stamps(src, s, t, reterr);
    if (rc >= 0)
        rc = import_printed(src, s, reterr);
    if (rc >= 0)
        rc = place(s, t, n, reterr);
    for (int k = 0; rc >= 0 && k < s->n_windows; k++)
        rc = compute(s, &s->windows[k], &f, t + s->leading + 2 * k, reterr);
    if (rc >= 0)
        rc = import_check_log(src, s, log_count, "results.txt", " windows", reterr);
    if (rc >= 0 && src->keep)
        rc = keep_samples(src->keep, s, &f, t, n, reterr);
    import_file_done(&f);
    return rc;
}
