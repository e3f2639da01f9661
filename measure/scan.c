/* SPDX-License-Identifier: GPL-2.0-or-later
 * First pass: everything rare in a capture. The sample loop compares eight marker bytes at a time. */
#include "measure/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GAPS ((size_t)1 << 20)
#define MAX_SEGMENTS ((size_t)1 << 16)
#define MAX_MINIMA ((size_t)1 << 20)
#define MAX_INDEX ((int64_t)1 << 52) /* exact in double; a year at 140 MS/s */
#define MAX_NS ((int64_t)1 << 61)

struct scanner {
    struct scan *s;
    double period_s, block_s;
    bool fresh; /* the next marker level is found, not an edge */
    uint8_t last;
    int64_t minimum_block; /* number of the block the last minimum belongs to */
    int64_t next;
};

static int put_mark(struct scan *s, int64_t n, uint8_t m, bool set) {
    int rc;
    s->marks = measure_grow(s->marks, &s->cap_marks, s->n_marks, sizeof *s->marks, MEASURE_MAX_EDGES, &rc);
    if (rc == 0)
        s->marks[s->n_marks++] = (struct mark){.n = n, .m = m, .set = set};
    return rc;
}

static int scan_markers(struct scanner *c, const struct measure_block *b) {
    const uint8_t *m = b->markers;
    uint32_t i = 0;
    if (c->fresh) {
        int rc = put_mark(c->s, b->first, m[0], true);
        if (rc < 0)
            return rc;
        c->fresh = false;
        c->last = m[0];
    }
    while (i < b->count) {
        uint64_t pattern = c->last * 0x0101010101010101ull, word;
        while (i + 8 <= b->count && (memcpy(&word, m + i, 8), word == pattern))
            i += 8;
        while (i < b->count && m[i] == c->last)
            i++;
        if (i < b->count) {
            int rc = put_mark(c->s, b->first + i, m[i], false);
            if (rc < 0)
                return rc;
            c->last = m[i];
        }
    }
    return 0;
}

static int put_stretch(struct stretch_n **list, size_t *n, size_t *cap, size_t max, int64_t from, int64_t to) {
    if (*n > 0 && (*list)[*n - 1].to == from) {
        (*list)[*n - 1].to = to;
        return 0;
    }
    int rc;
    *list = measure_grow(*list, cap, *n, sizeof **list, max, &rc);
    if (rc == 0)
        (*list)[(*n)++] = (struct stretch_n){.from = from, .to = to};
    return rc;
}

static int scan_stamp(struct scanner *c, int64_t end, int64_t host_ns) {
    struct scan *s = c->s;
    if (host_ns == 0 || host_ns < -MAX_NS || host_ns > MAX_NS || end < -MAX_INDEX || end > MAX_INDEX)
        return 0;
    if (s->n_minima == 0)
        s->base_ns = host_ns;
    double t = (double)end * c->period_s, delay = (double)(host_ns - s->base_ns) * 1e-9 - t;
    int64_t block = (int64_t)floor(t / c->block_s);
    if (s->n_minima > 0 && block == c->minimum_block) {
        struct minimum *m = &s->minima[s->n_minima - 1];
        if (delay < m->delay_s)
            *m = (struct minimum){.t_s = t, .delay_s = delay, .n = end};
        return 0;
    }
    int rc;
    s->minima = measure_grow(s->minima, &s->cap_minima, s->n_minima, sizeof *s->minima, MAX_MINIMA, &rc);
    if (rc == 0)
        s->minima[s->n_minima++] = (struct minimum){.t_s = t, .delay_s = delay, .n = end};
    c->minimum_block = block;
    return rc;
}

static int scan_extent(struct scanner *c, const struct measure_block *b) {
    struct scan *s = c->s;
    if (b->first < -MAX_INDEX || b->first > MAX_INDEX)
        return JF_E_TOO_LARGE;
    int64_t end = b->first + b->count;
    int rc = 0;
    bool start = !s->any || (b->flags & MEASURE_SEGMENT_START);
    if (!s->any) {
        s->any = true;
        s->first = c->next = b->first;
    }
    if (start)
        c->fresh = true;
    else if (b->first > c->next) { /* an unannounced hole is a hole */
        s->gap_samples += b->first - c->next;
        rc = put_stretch(&s->gaps, &s->n_gaps, &s->cap_gaps, MAX_GAPS, c->next, b->first);
        c->fresh = true;
    }
    if (rc == 0 && start) {
        s->segments = measure_grow(s->segments, &s->cap_segments, s->n_segments, sizeof *s->segments, MAX_SEGMENTS, &rc);
        if (rc == 0)
            s->segments[s->n_segments++] = (struct stretch_n){.from = b->first, .to = end};
    } else if (rc == 0) {
        s->segments[s->n_segments - 1].to = end;
    }
    if (rc == 0 && (b->flags & MEASURE_GAP)) {
        s->gap_samples += b->count;
        rc = put_stretch(&s->gaps, &s->n_gaps, &s->cap_gaps, MAX_GAPS, b->first, end);
        c->fresh = true;
    } else if (rc == 0) {
        s->samples += b->count;
    }
    c->next = s->end = end;
    return rc;
}

static int scan_block(void *user, const struct measure_block *b) {
    struct scanner *c = user;
    int rc = scan_extent(c, b);
    if (rc == 0 && b->markers && !(b->flags & MEASURE_GAP))
        rc = scan_markers(c, b);
    for (uint32_t k = 0; rc == 0 && b->stamps && k < b->n_stamps; k++)
        rc = scan_stamp(c, b->stamps[k].end, b->stamps[k].host_raw_ns);
    if (rc == 0 && !b->stamps && !(b->flags & MEASURE_GAP))
        rc = scan_stamp(c, b->first + b->count, b->host_raw_ns);
    return rc;
}

int scan_run(const struct measure_source *src, double period_s, double block_s, struct scan *ret_s, struct err *reterr) {
    memset(ret_s, 0, sizeof *ret_s);
    struct scanner c = {.s = ret_s, .period_s = period_s, .block_s = block_s, .fresh = true};
    if (reterr)
        *reterr = (struct err){0};
    int rc = src->each(src->self, INT64_MIN / 4, INT64_MAX / 4, MEASURE_WANT_MARKERS | MEASURE_WANT_STAMPS, scan_block, &c, reterr);
    if (rc < 0) {
        scan_done(ret_s);
        if (reterr && reterr->code == 0)
            err_set(reterr, rc, rc == JF_E_TOO_LARGE ? "the capture has too many marker edges, gaps or segments, or an absurd sample index" : "reading the capture");
    }
    return rc;
}

void scan_done(struct scan *s) {
    free(s->marks);
    free(s->gaps);
    free(s->segments);
    free(s->minima);
    memset(s, 0, sizeof *s);
}

size_t scan_find(const struct scan *s, int64_t n) {
    size_t lo = 0, hi = s->n_marks;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->marks[mid].n >= n)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

int64_t scan_gap_overlap(const struct scan *s, double from, double to) {
    int64_t sum = 0;
    for (size_t i = 0; i < s->n_gaps; i++) {
        double a = (double)s->gaps[i].from, z = (double)s->gaps[i].to;
        a = a > from ? a : from;
        z = z < to ? z : to;
        if (z > a)
            sum += (int64_t)ceil(z - a);
    }
    return sum;
}

/* ---- one line ---------------------------------------------------------------------------------------------- */
static int put_code(int64_t **list, size_t *len, size_t *cap, int64_t v) {
    int rc;
    *list = measure_grow(*list, cap, *len, sizeof **list, (size_t)MEASURE_MAX_EDGES + 1, &rc);
    if (rc == 0)
        (*list)[(*len)++] = v;
    return rc;
}

/* A level that lasts less than min_samples between two others never was: both its edges go, its beginning is listed. The level found
 * at a start is exempt (its beginning is unknown). */
int track_build(const struct scan *s, int line, int64_t min_samples, struct track *ret_t) {
    memset(ret_t, 0, sizeof *ret_t);
    bool known = false, level = false;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n_marks; i++) {
        const struct mark *m = &s->marks[i];
        bool now = (m->m >> line) & 1;
        if (known && now == level)
            continue; /* also behind a hole: what it found is what was there before */
        int64_t code = m->n * 4 + (m->set ? 2 : 0) + (now ? 1 : 0);
        int64_t last = ret_t->len > 0 ? ret_t->at[ret_t->len - 1] : 0;
        if (!m->set && ret_t->len > 0 && !track_set(last) && m->n - track_n(last) < min_samples) {
            rc = put_code(&ret_t->glitch, &ret_t->n_glitch, &ret_t->cap_glitch, track_n(last));
            ret_t->len--;
        } else {
            rc = put_code(&ret_t->at, &ret_t->len, &ret_t->cap, code);
        }
        known = true;
        level = now;
    }
    if (rc < 0)
        track_done(ret_t);
    return rc;
}

void track_done(struct track *t) {
    free(t->at);
    free(t->glitch);
    memset(t, 0, sizeof *t);
}

size_t track_find(const struct track *t, int64_t n) {
    size_t lo = 0, hi = t->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (track_n(t->at[mid]) >= n)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}
