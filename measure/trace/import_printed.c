/* SPDX-License-Identifier: GPL-2.0-or-later
 * results.txt of the foreign runners: the printed figures, as text. Lines it does not know are skipped. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/import_inner.h"

struct reading {
    struct import_session *s;
    struct import_window *w; /* the window that figures belong to; NULL before the first */
};

static const struct {
    const char *label;
    enum import_figure figure;
} labels[] = {{"Energy       :", IMPORT_ENERGY},        {"Power        :", IMPORT_POWER},
              {"Energy/Inf.  :", IMPORT_PER_INFERENCE}, {"# Inferences :", IMPORT_INFERENCES},
              {"Runtime      :", IMPORT_DURATION},      {"Throughput   :", IMPORT_THROUGHPUT},
              {"Elapsed time  :", IMPORT_DURATION},     {"Inferences    :", IMPORT_INFERENCES},
              {"Power         :", IMPORT_POWER},        {"Total Energy  :", IMPORT_ENERGY},
              {"Energy/Inf    :", IMPORT_PER_INFERENCE}};

static int bad_line(int number, struct err *reterr, const char *what) {
    char where[128];
    snprintf(where, sizeof where, "results.txt line %d", number);
    return err_set_at(reterr, JF_E_PARSE, where, "%s", what);
}

/* The number at text becomes v's printed text. */
static int take(struct import_value *v, const char *text, int number, struct err *reterr) {
    text += strspn(text, " ");
    size_t n = strcspn(text, " ");
    char token[sizeof v->printed], *end;
    if (n == 0 || n >= sizeof token || strspn(text, "0123456789.+-e") < n)
        return bad_line(number, reterr, "a finite number is expected here");
    memcpy(token, text, n);
    token[n] = 0;
    double x = strtod(token, &end);
    if (*end || !isfinite(x))
        return bad_line(number, reterr, "a finite number is expected here");
    if (v->line && strcmp(v->printed, token) != 0) {
        char what[120];
        snprintf(what, sizeof what, "contradicts line %d: %s against %s", v->line, token, v->printed);
        return bad_line(number, reterr, what);
    }
    memcpy(v->printed, token, n + 1);
    v->line = number;
    return 0;
}

/* "... window 2 at time ..." and the like: later figures belong to that window. */
static int begin_window(struct reading *r, const char *text, int number, struct err *reterr) {
    char *end;
    long k = strtol(text, &end, 10);
    if (end == text || k < 0 || k > 4096)
        return bad_line(number, reterr, "a window's number is expected here");
    struct import_session *s = r->s;
    r->w = NULL;
    for (int i = 0; i < s->n_windows; i++)
        if (s->windows[i].number == k)
            r->w = &s->windows[i];
    if (!r->w) {
        if (s->n_windows == IMPORT_MAX_WINDOWS)
            return bad_line(number, reterr, "more windows than are read");
        if (s->n_windows > 0 && s->windows[s->n_windows - 1].number > k)
            return bad_line(number, reterr, "the windows are not in order");
        r->w = &s->windows[s->n_windows++];
        r->w->number = (int)k;
    }
    const char *at = strstr(end, "at time ");
    return at ? take(&r->w->figures[IMPORT_BEGIN], at + 8, number, reterr) : 0;
}

static const char *behind(const char *line, const char *label) {
    const char *p = strstr(line, label);
    return p ? p + strlen(label) : NULL;
}

static int read_line(void *user, const char *line, int number, struct err *reterr) {
    static const char *const begins[] = {"Energy data for window ", "Performance results for window ",
                                         "Energy data for trial "};
    struct reading *r = user;
    const char *p;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if ((p = behind(line, begins[i])))
            return begin_window(r, p, number, reterr);
    if ((p = behind(line, "Median energy cost is ")))
        return take(&r->s->median_energy, p, number, reterr);
    if ((p = behind(line, "Median throughput is ")))
        return take(&r->s->median_throughput, p, number, reterr);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        if (!(p = behind(line, labels[i].label)))
            continue;
        if (!r->w)
            return bad_line(number, reterr, "a figure before the first window");
        return take(&r->w->figures[labels[i].figure], p, number, reterr);
    }
    return 0;
}

/* An energy session prints these for every window. */
static int complete(const struct import_session *s, struct err *reterr) {
    if (s->n_windows == 0)
        return err_set_at(reterr, JF_E_PARSE, "results.txt", "no window of an energy session is printed here");
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_value *f = s->windows[k].figures;
        const char *lacks = !f[IMPORT_ENERGY].line          ? "energy"
                            : !f[IMPORT_PER_INFERENCE].line ? "energy per inference"
                            : !f[IMPORT_INFERENCES].line    ? "number of inferences"
                            : !f[IMPORT_DURATION].line      ? "duration"
                                                            : NULL;
        if (lacks)
            return err_set_at(reterr, JF_E_PARSE, "results.txt", "window %d: its %s is not printed (cut off?)",
                              s->windows[k].number, lacks);
    }
    if (!s->median_energy.line)
        return err_set_at(reterr, JF_E_PARSE, "results.txt", "the median energy is not printed (cut off?)");
    return 0;
}

int import_printed(struct import_source *src, struct import_session *s, struct err *reterr) {
    struct import_file f = {0};
    struct reading r = {.s = s};
    int rc = import_file_read(src, IMPORT_N_PRINTED, IMPORT_MAX_TEXT, &f, reterr);
    if (rc < 0)
        return rc;
    rc = import_lines(&f, "results.txt", read_line, &r, reterr);
    import_file_done(&f);
    return rc < 0 ? rc : complete(s, reterr);
}
