/* SPDX-License-Identifier: GPL-2.0-or-later
 * The second instrument's records to plain data (measure/trace/second.h). Nothing in a file is trusted. */
#include "measure/trace/second.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/grow.h"

#define MAX_STAMPS ((size_t)1 << 20)

struct reading {
    struct measure_second *s; /* NULL: not seen yet */
    struct measure_change *changes;
    size_t n_changes, cap_changes;
    struct measure_stamp *stamps;
    size_t n_stamps, cap_stamps;
    struct err *reterr;
};

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static int bad(struct reading *g, const char *what) {
    return err_set(g->reterr, JF_E_PARSE, "the second instrument's record: %s", what);
}

static int describe(struct reading *g, const json_t *d) {
    if (g->s)
        return bad(g, "described twice");
    g->s = calloc(1, sizeof *g->s);
    if (!g->s)
        return err_set(g->reterr, JF_E_NOMEM, "no memory for the second instrument");
    double lines = number(d, "lines"), sync = number(d, "sync_line"), ppm = number(d, "clock_ppm"), phase = number(d, "marker_phase");
    *g->s = (struct measure_second){.period_s = number(d, "period_s"), .marker_phase = isnan(phase) ? -1 : phase, .clock_ppm = isnan(ppm) ? -1 : ppm,
                                    .sync_unit_s = number(d, "sync_unit_s")};
    if (!(lines >= 1 && lines <= 8 && sync >= 0 && sync <= 7 && g->s->period_s > 0 && g->s->sync_unit_s > 0))
        return bad(g, "lines, sync_line, period_s or sync_unit_s is missing or absurd");
    g->s->n_markers = (int)lines;
    g->s->sync_line = (int)sync;
    return 0;
}

static int put_change(struct reading *g, const json_t *c, int64_t first, int64_t end) {
    const json_t *n = json_array_get(c, 0), *m = json_array_get(c, 1);
    int64_t at = json_integer_value(n), level = json_integer_value(m), last = g->n_changes > 0 ? g->changes[g->n_changes - 1].n : -1;
    if (!json_is_integer(n) || !json_is_integer(m) || at < first || at >= end || at <= last || level < 0 || level > 255)
        return bad(g, "an edge outside its record, or out of order");
    int rc = 0;
    struct measure_change *list = measure_grow(g->changes, &g->cap_changes, g->n_changes, sizeof *list, MEASURE_MAX_EDGES, &rc);
    if (list)
        g->changes = list;
    if (rc < 0)
        return err_set(g->reterr, rc, "the second instrument's record has too many edges");
    g->changes[g->n_changes++] = (struct measure_change){.n = at, .m = (uint8_t)level, .set = json_integer_value(json_array_get(c, 2)) != 0};
    return 0;
}

static int take(struct reading *g, const json_t *d) {
    const json_t *f = json_object_get(d, "first"), *e = json_object_get(d, "end"), *list = json_object_get(d, "edges"), *c;
    int64_t first = json_integer_value(f), end = json_integer_value(e), host = json_integer_value(json_object_get(d, "host_raw_ns"));
    struct measure_second *s = g->s;
    if (!s)
        return bad(g, "edges before its description");
    if (!json_is_integer(f) || !json_is_integer(e) || !json_is_array(list) || first < 0 || end <= first || end > INT64_MAX / 16 || first < s->end)
        return bad(g, "a span that makes no sense");
    if (s->end == 0)
        s->first = first;
    else if (first > s->end) { /* a hole: announced by a level found anew, or a record that was lost */
        const json_t *next = json_array_get(list, 0);
        s->damaged = s->damaged || json_integer_value(json_array_get(next, 2)) == 0;
    }
    s->end = end;
    int rc = 0;
    size_t i;
    json_array_foreach(list, i, c) {
        rc = rc < 0 ? rc : put_change(g, c, first, end);
    }
    if (rc == 0 && host > 0) {
        struct measure_stamp *p = measure_grow(g->stamps, &g->cap_stamps, g->n_stamps, sizeof *p, MAX_STAMPS, &rc);
        if (p)
            g->stamps = p;
        if (rc == 0)
            g->stamps[g->n_stamps++] = (struct measure_stamp){.end = end, .host_raw_ns = host};
    }
    return rc;
}

static int on_event(void *user, const json_t *event) {
    struct reading *g = user;
    const char *kind = json_string_value(json_object_get(event, "kind"));
    const json_t *data = json_object_get(event, "data");
    if (!kind || strncmp(kind, "second", 6) != 0)
        return 0;
    return strcmp(kind, "second") == 0 ? describe(g, data) : strcmp(kind, "second-edges") == 0 ? take(g, data) : 0;
}

int trace_second_read(struct trace_reader *r, struct measure_second **ret_s, struct err *reterr) {
    struct reading g = {.reterr = reterr};
    int rc = trace_reader_events(r, on_event, &g, reterr);
    if (rc < 0 || !g.s) {
        free(g.changes);
        free(g.stamps);
        free(g.s);
        *ret_s = NULL;
        return rc;
    }
    g.s->changes = g.changes;
    g.s->n_changes = g.n_changes;
    g.s->stamps = g.stamps;
    g.s->n_stamps = g.n_stamps;
    *ret_s = g.s;
    return 0;
}

void trace_second_free(struct measure_second *s) {
    if (s) {
        free((void *)(uintptr_t)s->changes); /* const for everybody but its owner */
        free((void *)(uintptr_t)s->stamps);
        free(s);
    }
}
