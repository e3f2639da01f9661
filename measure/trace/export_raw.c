/* SPDX-License-Identifier: GPL-2.0-or-later
 * Every recorded sample as a line of text (csv) or a record of an array (npy). */
#include <math.h>
#include <string.h>

#include "measure/trace/export_inner.h"

#define NPY_HEAD 256 /* with magic and length; a multiple of 64, as the format asks */
#define NPY_RECORD 21

struct raw {
    FILE *out;
    double dt, volts;
    int64_t n;
};

static int csv_block(void *user, const struct measure_block *b) {
    struct raw *w = user;
    struct export_sample s;
    if (b->flags & MEASURE_GAP)
        return 0;
    for (uint32_t i = 0; i < b->count; i++) {
        export_sample_of(b, i, w->volts, &s);
        fprintf(w->out, "%.12g,%.9g,", (double)s.index * w->dt, (double)s.current_a);
        if (isfinite(s.voltage_v))
            fprintf(w->out, "%.9g,%.9g", s.voltage_v, (double)s.current_a * s.voltage_v);
        else
            fputs(",", w->out);
        fprintf(w->out, ",%u\n", s.markers);
    }
    return ferror(w->out) ? JF_E_IO : 0;
}

static void put(uint8_t *to, const void *from, size_t n) { memcpy(to, from, n); } /* trace files are little-endian hosts' (format.h) */

static int npy_block(void *user, const struct measure_block *b) {
    struct raw *w = user;
    struct export_sample s;
    uint8_t record[NPY_RECORD];
    if (b->flags & MEASURE_GAP)
        return 0;
    for (uint32_t i = 0; i < b->count; i++) {
        export_sample_of(b, i, w->volts, &s);
        double t = (double)s.index * w->dt;
        put(record, &t, 8);
        put(record + 8, &s.current_a, 4);
        put(record + 12, &s.voltage_v, 8);
        record[20] = s.markers;
        (void)fwrite(record, 1, sizeof record, w->out);
        w->n++;
    }
    return ferror(w->out) ? JF_E_IO : 0;
}

static int walk(struct trace_reader *r, struct raw *w, measure_block_fn *fn, struct err *reterr) {
    struct trace_info in;
    struct measure_source src;
    trace_reader_info(r, &in);
    w->dt = in.period_s;
    w->volts = in.voltage_v;
    trace_reader_source(r, &src);
    int rc = src.each(src.self, in.first, in.end, MEASURE_WANT_VALUES | MEASURE_WANT_MARKERS, fn, w, reterr);
    return export_full(w->out, reterr) < 0 ? JF_E_IO : rc;
}

int export_csv(struct trace_reader *r, FILE *out, struct err *reterr) {
    struct raw w = {.out = out};
    fputs("time_s,current_a,voltage_v,power_w,markers\n", out);
    return walk(r, &w, csv_block, reterr);
}

/* NumPy enhancement proposal 1 / numpy.lib.format, version 1.0: magic, version, u16 length, a dictionary padded with spaces. */
static void npy_head(FILE *out, int64_t n) {
    static const char magic[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)((NPY_HEAD - 10) & 0xff), (char)((NPY_HEAD - 10) >> 8)};
    char text[NPY_HEAD];
    memset(text, ' ', sizeof text);
    memcpy(text, magic, sizeof magic);
    int used = snprintf(text + 10, sizeof text - 10,
                        "{'descr': [('time_s', '<f8'), ('current_a', '<f4'), ('voltage_v', '<f8'), ('markers', '|u1')], 'fortran_order': False, "
                        "'shape': (%lld,), }",
                        (long long)n);
    text[10 + used] = ' ';
    text[NPY_HEAD - 1] = '\n';
    (void)fwrite(text, 1, sizeof text, out);
}

int export_npy(struct trace_reader *r, FILE *out, struct err *reterr) {
    struct raw w = {.out = out};
    npy_head(out, 0); /* the count follows: a damaged chunk shows only when it is read */
    int rc = walk(r, &w, npy_block, reterr);
    if (rc < 0)
        return rc;
    rewind(out);
    npy_head(out, w.n);
    (void)fseek(out, 0, SEEK_END);
    return export_full(out, reterr);
}
