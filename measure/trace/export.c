/* SPDX-License-Identifier: GPL-2.0-or-later
 * Exports: what to write, from which samples (measure/trace/export.h). */
#include "measure/trace/export.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/export_inner.h"

static const char *const names[EXPORT_N] = {[EXPORT_EEMBC] = "eembc", [EXPORT_MLCOMMONS] = "mlcommons", [EXPORT_SR] = "sr",
                                            [EXPORT_CSV] = "csv", [EXPORT_NPY] = "npy"};

const char *export_format_name(enum export_format f) { return f < EXPORT_N ? names[f] : "?"; }

int export_format_parse(const char *s, enum export_format *ret) {
    for (int k = 0; k < EXPORT_N; k++) {
        if (strcmp(s, names[k]) == 0) {
            *ret = (enum export_format)k;
            return 0;
        }
    }
    return JF_E_INVAL;
}

int export_full(FILE *out, struct err *reterr) {
    return ferror(out) ? err_set_errno(reterr, JF_E_IO, errno, "the export cannot be written") : 0;
}

void export_sample_of(const struct measure_block *b, uint32_t i, double volts, struct export_sample *ret) {
    ret->index = b->first + i;
    ret->current_a = b->current_a[i];
    ret->voltage_v = b->voltage_v ? (double)b->voltage_v[i] : volts;
    ret->markers = b->markers ? b->markers[i] : 0;
}

/* ---- facts -------------------------------------------------------------------------------------------------------- */
static void text_of(const json_t *o, const char *key, char *dst, size_t size) {
    const char *s = json_string_value(json_object_get(o, key));
    size_t n = 0;
    for (; s && *s && n + 1 < size; s++)
        if ((unsigned char)*s >= 0x20 && (unsigned char)*s < 0x7f && *s != '[' && *s != ']')
            dst[n++] = *s;
    dst[n] = 0;
}

static int take_window(const json_t *w, size_t i, struct export_facts *f, struct err *reterr) {
    const json_t *from = json_object_get(w, "from_s"), *to = json_object_get(w, "to_s"), *n = json_object_get(w, "inferences");
    char where[48];
    if (!json_is_true(json_object_get(w, "usable")))
        return 0;
    (void)snprintf(where, sizeof where, "/windows/%zu", i);
    struct export_window x = {json_number_value(from), json_number_value(to), json_integer_value(n)};
    if (!json_is_number(from) || !json_is_number(to) || !(x.to_s > x.from_s) || x.inferences < 1)
        return err_set_at(reterr, JF_E_PARSE, where, "a usable window has a begin, a later end and inferences");
    if (f->n_windows > 0 && x.from_s <= f->windows[f->n_windows - 1].to_s)
        return err_set_at(reterr, JF_E_PARSE, where, "it begins before the one before has ended");
    f->windows[f->n_windows++] = x;
    return 0;
}

int export_facts_from_json(const json_t *doc, struct export_facts *ret_f, struct err *reterr) {
    const json_t *result = json_object_get(doc, "result"), *windows = json_object_get(doc, "windows"),
                 *volts = json_object_get(json_object_get(result, "supply"), "voltage_v");
    struct export_facts f = {.voltage_v = json_is_number(volts) ? json_number_value(volts) : NAN};
    if (!json_is_object(result) || !json_is_array(windows) || json_array_size(windows) > IMPORT_MAX_WINDOWS)
        return err_set(reterr, JF_E_PARSE, "an object of a result and at most %d windows is expected", IMPORT_MAX_WINDOWS);
    text_of(result, "id", f.result, sizeof f.result);
    text_of(json_object_get(result, "board"), "model_id", f.model, sizeof f.model);
    text_of(json_object_get(result, "board"), "name", f.board, sizeof f.board);
    text_of(json_object_get(result, "analyzer"), "model", f.analyzer, sizeof f.analyzer);
    for (size_t i = 0; i < json_array_size(windows); i++) {
        int rc = take_window(json_array_get(windows, i), i, &f, reterr);
        if (rc < 0)
            return rc;
    }
    if (f.n_windows == 0)
        return err_set(reterr, JF_E_MEASUREMENT, "the result has no usable window");
    *ret_f = f;
    return 0;
}

void export_facts_of_session(const struct import_session *s, struct export_facts *ret_f) {
    struct export_facts *f = ret_f;
    *f = (struct export_facts){.voltage_v = s->facts.voltage_v, .n_windows = s->n_windows};
    (void)snprintf(f->model, sizeof f->model, "%s", s->facts.model);
    (void)snprintf(f->board, sizeof f->board, "%s", s->facts.board);
    (void)snprintf(f->analyzer, sizeof f->analyzer, "%s", s->facts.analyzer);
    for (int k = 0; k < s->n_windows; k++)
        f->windows[k] = (struct export_window){s->windows[k].from_s, s->windows[k].to_s, s->windows[k].inferences};
}

/* ---- energies of a trace ------------------------------------------------------------------------------------------ */
struct of_trace {
    struct trace_reader *r;
    struct trace_info in;
    struct export_facts *f; /* windows move to the grid's time line */
};

static int trace_whole(void *self, struct export_grid *ret_g, struct err *reterr) {
    struct of_trace *t = self;
    double span = (double)(t->in.end - t->in.first), wide = ceil(span / EXPORT_MAX_CELLS);
    wide = wide < 1 ? 1 : wide;
    int rc = export_grid_fill(t->r, (double)t->in.first, wide, (int64_t)ceil(span / wide), ret_g, reterr);
    if (rc < 0)
        return rc;
    /* the layout holds the rate as float32: the windows move to the time line that this rate makes */
    double rate = (double)(float)ret_g->rate_hz, scale = ret_g->rate_hz / rate, begin = (double)t->in.first * t->in.period_s;
    for (int k = 0; k < t->f->n_windows; k++) {
        t->f->windows[k].from_s = (t->f->windows[k].from_s - begin) * scale;
        t->f->windows[k].to_s = (t->f->windows[k].to_s - begin) * scale;
    }
    ret_g->rate_hz = rate;
    return 0;
}

static int trace_run(void *self, int k, struct export_grid *ret_g, int64_t *ret_a, int64_t *ret_b, struct err *reterr) {
    struct of_trace *t = self;
    const struct export_window *w = &t->f->windows[k];
    double wide = 1e-3 / t->in.period_s, cells = floor((w->to_s - w->from_s) * 1e3 + 0.5);
    if (wide < 1 - 1e-9)
        return err_set(reterr, JF_E_UNSUPPORTED, "the trace has %.6g samples a second, this layout has 1000", 1 / t->in.period_s);
    if (!(cells >= 1 && cells <= EXPORT_MAX_RUN_CELLS))
        return err_set(reterr, JF_E_UNSUPPORTED, "window %d lasts %.6g s; this layout is written for 1 ms to %d s", k, w->to_s - w->from_s,
                       EXPORT_MAX_RUN_CELLS / 1000);
    *ret_a = 0;
    *ret_b = (int64_t)cells;
    return export_grid_fill(t->r, w->from_s / t->in.period_s, wide, (int64_t)cells, ret_g, reterr);
}

int export_trace(struct trace_reader *r, enum export_format as, const struct export_facts *f, FILE *out, struct err *reterr) {
    struct of_trace t = {.r = r};
    struct export_energies e = {trace_whole, trace_run, &t};
    int rc = JF_E_BUG;
    trace_reader_info(r, &t.in);
    if (t.in.samples == 0)
        return err_set(reterr, JF_E_UNSUPPORTED, "the trace has no samples");
    struct export_facts mine = f ? *f : (struct export_facts){0};
    t.f = &mine;
    if (as == EXPORT_EEMBC)
        rc = export_eembc(&e, &mine, out, reterr);
    else if (as == EXPORT_MLCOMMONS)
        rc = export_mlcommons(&e, &mine, out, reterr);
    else
        rc = as == EXPORT_SR ? export_sr(r, out, reterr) : as == EXPORT_CSV ? export_csv(r, out, reterr) : export_npy(r, out, reterr);
    if (rc == 0 && (fflush(out) != 0 || ferror(out)))
        rc = err_set_errno(reterr, JF_E_IO, errno, "the export cannot be written");
    return rc;
}

/* ---- energies of a session ---------------------------------------------------------------------------------------- */
struct of_session {
    const struct import_session *s;
    const struct import_samples *k;
    struct export_facts *f;
};

static int copy_cells(const struct of_session *t, int64_t from, int64_t n, struct export_grid *ret_g, struct err *reterr) {
    float *uj = malloc((size_t)n * sizeof *uj);
    if (!uj)
        return err_set(reterr, JF_E_NOMEM, "no memory for %lld energies", (long long)n);
    memcpy(uj, t->k->energy_uj + from, (size_t)n * sizeof *uj);
    ret_g->rate_hz = t->s->rate_hz;
    ret_g->n = n;
    ret_g->uj = uj;
    return 0;
}

static int session_whole(void *self, struct export_grid *ret_g, struct err *reterr) {
    const struct of_session *t = self;
    /* an mlcommons window is [a, b) of its samples: with timestamps half a sample earlier the eembc rule takes exactly those */
    for (int k = 0; t->s->format == IMPORT_MLCOMMONS && k < t->f->n_windows; k++) {
        t->f->windows[k].from_s -= 0.5 / t->s->rate_hz;
        t->f->windows[k].to_s -= 0.5 / t->s->rate_hz;
    }
    return copy_cells(t, 0, t->k->n, ret_g, reterr);
}

/* An mlcommons run with all that was recorded about it; of an eembc session the window alone. */
static int session_run(void *self, int k, struct export_grid *ret_g, int64_t *ret_a, int64_t *ret_b, struct err *reterr) {
    const struct of_session *t = self;
    const struct import_window *w = &t->s->windows[k];
    if (t->s->rate_hz != 1000)
        return err_set(reterr, JF_E_UNSUPPORTED, "the session has %.6g samples a second, this layout has 1000", t->s->rate_hz);
    bool whole = t->s->format == IMPORT_MLCOMMONS;
    int64_t begin = whole ? (k > 0 ? t->k->run_end[k - 1] : 0) : w->a, end = whole ? t->k->run_end[k] : w->b;
    *ret_a = whole ? w->a : 0;
    *ret_b = whole ? w->b : w->b - w->a;
    return copy_cells(t, begin, end - begin, ret_g, reterr);
}

int export_session(const struct import_session *s, const struct import_samples *k, enum export_format as, FILE *out, struct err *reterr) {
    struct export_facts f;
    struct of_session t = {s, k, &f};
    const struct export_energies e = {session_whole, session_run, &t};
    export_facts_of_session(s, &f);
    if (as != EXPORT_EEMBC && as != EXPORT_MLCOMMONS)
        return err_set(reterr, JF_E_UNSUPPORTED, "a session is exported as eembc or mlcommons; import it with --trace first");
    int rc = as == EXPORT_EEMBC ? export_eembc(&e, &f, out, reterr) : export_mlcommons(&e, &f, out, reterr);
    if (rc == 0 && (fflush(out) != 0 || ferror(out)))
        rc = err_set_errno(reterr, JF_E_IO, errno, "the export cannot be written");
    return rc;
}
