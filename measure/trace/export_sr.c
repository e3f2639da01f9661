/* SPDX-License-Identifier: GPL-2.0-or-later
 * A sigrok session file, format version 2 (sigrok wiki, "File format:Sigrok/v2"): a zip archive of "version", "metadata",
 * logic-1-<chunk> (a byte of marker lines a sample) and analog-1-<channel>-<chunk> (float32 little-endian), chunks from 1 on. */
#include <archive.h>
#include <archive_entry.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/export_inner.h"

#define CHUNK (1 << 20) /* samples */
#define LINES 8

struct sr {
    struct archive *a;
    struct archive_entry *entry;
    double volts;
    int probes; /* marker lines; 0: none */
    int chunk;
    uint32_t n;
    float *current, *voltage;
    uint8_t *markers;
    struct err *reterr;
};

static int bad(struct sr *z) {
    return err_set(z->reterr, JF_E_IO, "the export cannot be written: %s", archive_error_string(z->a) ? archive_error_string(z->a) : "no reason given");
}

static int member(struct sr *z, const char *name, const void *bytes, size_t n) {
    archive_entry_clear(z->entry);
    archive_entry_set_pathname(z->entry, name);
    archive_entry_set_filetype(z->entry, AE_IFREG);
    archive_entry_set_perm(z->entry, 0644);
    archive_entry_set_mtime(z->entry, 315532800, 0); /* 1980, the first that zip knows: the same trace gives the same file */
    archive_entry_set_size(z->entry, (la_int64_t)n);
    if (archive_write_header(z->a, z->entry) != ARCHIVE_OK || archive_write_data(z->a, bytes, n) != (la_ssize_t)n)
        return bad(z);
    return 0;
}

static int flush(struct sr *z) {
    char name[48];
    int rc = 0;
    if (z->n == 0)
        return 0;
    z->chunk++;
    if (z->probes > 0) {
        (void)snprintf(name, sizeof name, "logic-1-%d", z->chunk);
        rc = member(z, name, z->markers, z->n);
    }
    (void)snprintf(name, sizeof name, "analog-1-%d-%d", z->probes + 1, z->chunk);
    rc = rc < 0 ? rc : member(z, name, z->current, z->n * sizeof(float));
    (void)snprintf(name, sizeof name, "analog-1-%d-%d", z->probes + 2, z->chunk);
    rc = rc < 0 ? rc : member(z, name, z->voltage, z->n * sizeof(float));
    z->n = 0;
    return rc;
}

static int on_block(void *user, const struct measure_block *b) {
    struct sr *z = user;
    struct export_sample s = {.current_a = NAN, .voltage_v = NAN};
    for (uint32_t i = 0; i < b->count; i++) {
        if (!(b->flags & MEASURE_GAP))
            export_sample_of(b, i, z->volts, &s);
        z->current[z->n] = s.current_a;
        z->voltage[z->n] = (float)s.voltage_v;
        z->markers[z->n++] = s.markers;
        int rc = z->n == CHUNK ? flush(z) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int metadata(struct sr *z, long long rate) {
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "[global]\nsigrok version=0.5.2\n\n[device 1]\n"); /* in libsigrok's own order: it reads as it goes */
    if (z->probes > 0)
        n += (size_t)snprintf(text + n, sizeof text - n, "capturefile=logic-1\ntotal probes=%d\n", z->probes);
    n += (size_t)snprintf(text + n, sizeof text - n, "samplerate=%lld Hz\ntotal analog=2\n", rate);
    for (int k = 0; k < z->probes; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, "probe%d=marker%d\n", k + 1, k);
    n += (size_t)snprintf(text + n, sizeof text - n, "analog%d=current\nanalog%d=voltage\n%s", z->probes + 1, z->probes + 2,
                          z->probes > 0 ? "unitsize=1\n" : "");
    int rc = member(z, "version", "2", 1);
    return rc < 0 ? rc : member(z, "metadata", text, n);
}

/* The lines that the instrument delivers, as far as the trace says; else all that a sample can hold. */
static int probes(struct trace_reader *r, const struct trace_info *in) {
    struct measure_capture *cap = malloc(sizeof *cap);
    int n = in->channels & TRACE_MARKERS ? LINES : 0;
    if (cap && n && trace_reader_capture(r, cap, NULL, NULL) == 0 && cap->instrument.n_markers > 0 && cap->instrument.n_markers < LINES)
        n = cap->instrument.n_markers;
    free(cap);
    return n;
}

static int write_all(struct trace_reader *r, struct sr *z, long long rate, const struct trace_info *in, FILE *out) {
    struct measure_source src;
    int ok = archive_write_set_format_zip(z->a);
    ok = ok == ARCHIVE_OK ? archive_write_set_bytes_in_last_block(z->a, 1) : ok;
    ok = ok == ARCHIVE_OK ? archive_write_open_FILE(z->a, out) : ok;
    int rc = ok == ARCHIVE_OK ? metadata(z, rate) : bad(z);
    if (rc < 0)
        return rc;
    trace_reader_source(r, &src);
    rc = src.each(src.self, in->first, in->end, MEASURE_WANT_VALUES | MEASURE_WANT_MARKERS, on_block, z, z->reterr);
    rc = rc < 0 ? rc : flush(z);
    return rc < 0 ? rc : archive_write_close(z->a) == ARCHIVE_OK ? 0 : bad(z);
}

int export_sr(struct trace_reader *r, FILE *out, struct err *reterr) {
    struct trace_info in;
    trace_reader_info(r, &in);
    double rate = round(1 / in.period_s);
    if (!(rate >= 1) || fabs(rate * in.period_s - 1) > 1e-9)
        return err_set(reterr, JF_E_UNSUPPORTED, "the trace has %.12g samples a second; a sigrok session holds whole hertz only", 1 / in.period_s);
    struct sr z = {.a = archive_write_new(), .entry = archive_entry_new(), .volts = in.voltage_v, .probes = probes(r, &in),
                   .current = malloc(CHUNK * sizeof(float)), .voltage = malloc(CHUNK * sizeof(float)), .markers = malloc(CHUNK), .reterr = reterr};
    int rc = z.a && z.entry && z.current && z.voltage && z.markers ? write_all(r, &z, (long long)rate, &in, out)
                                                                   : err_set(reterr, JF_E_NOMEM, "no memory for an archive");
    if (z.entry)
        archive_entry_free(z.entry);
    if (z.a)
        archive_write_free(z.a);
    free(z.current);
    free(z.voltage);
    free(z.markers);
    return rc;
}
