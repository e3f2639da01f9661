/* SPDX-License-Identifier: GPL-2.0-or-later
 * A foreign session for people and for programs. */
#include <string.h>

#include "measure/trace/import_inner.h"

static const char *const keys[IMPORT_N_FIGURES] = {[IMPORT_BEGIN] = "begin_s",
                                                   [IMPORT_ENERGY] = "energy_uj",
                                                   [IMPORT_POWER] = "power",
                                                   [IMPORT_PER_INFERENCE] = "energy_per_inference_uj",
                                                   [IMPORT_INFERENCES] = "inferences",
                                                   [IMPORT_DURATION] = "duration_s",
                                                   [IMPORT_THROUGHPUT] = "throughput_per_s"};

static const char *key_of(const struct import_session *s, int figure) {
    if (figure == IMPORT_POWER)
        return s->format == IMPORT_EEMBC ? "power_uw" : "power_mw";
    return keys[figure];
}

static const char *format_name(const struct import_session *s) {
    return s->format == IMPORT_EEMBC ? "eembc" : "mlcommons";
}

static bool said(const struct import_value *v) { return v->printed[0] != 0; }

static bool agrees(const struct import_value *v) { return strcmp(v->printed, v->computed) == 0; }

static json_t *value_json(const struct import_value *v) {
    if (!said(v))
        return json_pack("{s:s, s:n, s:n}", "computed", v->computed, "printed", "agrees");
    return json_pack("{s:s, s:s, s:b, s:i}", "computed", v->computed, "printed", v->printed, "agrees", agrees(v),
                     "line", v->line);
}

static json_t *window_json(const struct import_session *s, const struct import_window *w) {
    json_t *figures = json_object();
    for (int f = 0; f < IMPORT_N_FIGURES; f++)
        if (json_object_set_new(figures, key_of(s, f), value_json(&w->figures[f])) < 0) {
            json_decref(figures);
            return NULL;
        }
    return json_pack("{s:i, s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "window", w->number, "from_sample", (json_int_t)w->a,
                     "to_sample", (json_int_t)w->b, "inferences", (json_int_t)w->inferences, "energy_j", w->energy_j,
                     "duration_s", w->duration_s, "throughput_per_s", (double)w->inferences / w->duration_s, "figures",
                     figures);
}

json_t *import_session_json(const struct import_session *s) {
    json_t *windows = json_array(), *differences = json_array();
    bool good = windows && differences;
    for (int k = 0; good && k < s->n_windows; k++)
        good = json_array_append_new(windows, window_json(s, &s->windows[k])) == 0;
    for (int k = 0; good && k < s->n_differences && k < IMPORT_MAX_DIFFERENCES; k++)
        good = json_array_append_new(differences, json_string(s->differences[k])) == 0;
    if (!good) {
        json_decref(windows);
        json_decref(differences);
        return NULL;
    }
    return json_pack("{s:s, s:f, s:I, s:i, s:i, s:o, s:{s:f, s:f, s:o, s:o}, s:b, s:i, s:o}", "format", format_name(s),
                     "rate_hz", s->rate_hz, "samples", (json_int_t)s->samples, "leading_timestamps", s->leading,
                     "trailing_timestamps", s->trailing, "windows", windows, "median", "energy_per_inference_j", s->per_inference_j, "throughput_per_s",
                     s->throughput, "energy_per_inference_uj", value_json(&s->median_energy), "throughput",
                     value_json(&s->median_throughput), "agrees", s->n_differences == 0, "n_differences",
                     s->n_differences, "differences", differences);
}

static const char *mark(const struct import_value *v) { return !said(v) ? " " : agrees(v) ? "=" : "!"; }

void import_session_print(const struct import_session *s, FILE *out) {
    static const enum import_figure columns[] = {IMPORT_ENERGY, IMPORT_DURATION, IMPORT_INFERENCES,
                                                 IMPORT_PER_INFERENCE, IMPORT_THROUGHPUT};
    fprintf(out, "%s session, %lld samples at %g Hz, %d windows, %d leading and %d trailing timestamps\n",
            format_name(s), (long long)s->samples, s->rate_hz, s->n_windows, s->leading, s->trailing);
    fprintf(out, "%6s %17s  %20s  %12s  %14s  %14s\n", "window", "energy uJ", "duration s", "inferences",
            "uJ/inference", "inferences/s");
    for (int k = 0; k < s->n_windows; k++) {
        static const int width[] = {17, 20, 12, 14, 14};
        fprintf(out, "%6d", s->windows[k].number);
        for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
            const struct import_value *v = &s->windows[k].figures[columns[c]];
            fprintf(out, " %*s%s", width[c], v->computed, mark(v));
        }
        fputc('\n', out);
    }
    fprintf(out, "median %s uJ/inference%s (printed: %s)\n", s->median_energy.computed, mark(&s->median_energy),
            s->median_energy.printed);
    fprintf(out, "median %s inferences/s%s (printed: %s)\n", s->median_throughput.computed, mark(&s->median_throughput),
            said(&s->median_throughput) ? s->median_throughput.printed : "no");
    fputs("=: as results.txt prints it; !: it prints something else; otherwise it does not say\n", out);
    for (int k = 0; k < s->n_differences && k < IMPORT_MAX_DIFFERENCES; k++)
        fprintf(out, "%s\n", s->differences[k]);
    fprintf(out, s->n_differences ? "results.txt differs in %d places\n" : "results.txt agrees\n", s->n_differences);
}
