/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file: append-only, chunked, checksummed, with its summaries; layout in FORMAT.md. A writer that dies loses at most the
 * chunk under construction and what is on its way to the file (two chunks); the reader recovers the rest. No knowledge of drivers: plain structs of measure/block.h. */
#ifndef MEASURE_TRACE_TRACE_H
#define MEASURE_TRACE_TRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "measure/block.h"
#include "measure/measure.h"

/* ---- writer: one thread at a time --------------------------------------------------------------------------- */
struct trace_writer;

/* Channels beside the current, which is always stored. A block may lack a channel that the header names only if it is a GAP. */
#define TRACE_VOLTAGE (1u << 0)
#define TRACE_RANGE (1u << 1)
#define TRACE_MARKERS (1u << 2)
#define TRACE_QUALITY (1u << 3)

struct trace_header {
    double period_s; /* dt, > 0 */
    unsigned channels; /* TRACE_* */
    double voltage_v; /* where no voltage channel exists: the constant used for power; NAN: unknown (no energies) */
    bool block; /* segmented acquisitions */
    const json_t *info; /* object, borrowed: device and provenance, for people and exports; NULL: {} */
};

/* What close tells. */
struct trace_summary {
    char sha256[65]; /* of the whole file, hex, hashed as written */
    uint64_t size;
    int64_t samples, gap_samples;
    double duration_s; /* recorded time: samples * dt */
};

/* Creates path (O_EXCL) and writes the header. Blocking: file system only. */
int trace_writer_open(const char *path, const struct trace_header *hdr, struct trace_writer **ret_w, struct err *reterr) JF_MUST_CHECK;
/* Appends; blocks must come in ascending order without overlap (a jump of `first` without GAP or SEGMENT_START is recorded as
 * a GAP of that length). Copies; compresses and hands to the writing thread when a chunk is full (TRACE_CHUNK samples); a write that failed
 * is told by the next call. */
int trace_writer_block(struct trace_writer *w, const struct measure_block *b, struct err *reterr) JF_MUST_CHECK;
/* A JSON record at its place in the file: kind is a short word ("uart", "note"), data any JSON, borrowed. */
int trace_writer_event(struct trace_writer *w, int64_t host_raw_ns, const char *kind, const json_t *data, struct err *reterr) JF_MUST_CHECK;
/* Everything the analysis needs beside the samples; the last one written counts. */
int trace_writer_capture(struct trace_writer *w, const struct measure_capture *cap, const struct measure_config *cfg, struct err *reterr) JF_MUST_CHECK;
/* Writes the chunk under construction now, and returns when it is written (end of a segment, before a risky step). */
int trace_writer_flush(struct trace_writer *w, struct err *reterr) JF_MUST_CHECK;
/* Flushes, writes index and footer, fsyncs, closes, frees w in every case. */
int trace_writer_close(struct trace_writer *w, struct trace_summary *ret_sum, struct err *reterr) JF_MUST_CHECK;
void trace_writer_abort(struct trace_writer *w); /* closes without index (file stays, readable); NULL allowed */

#define TRACE_CHUNK 65536 /* samples per chunk at most */
#define TRACE_STEP 256 /* samples per entry of a chunk's own summary */

/* ---- reader: one thread at a time per reader; many readers per file ------------------------------------------- */
struct trace_reader;

struct trace_info {
    double period_s;
    unsigned channels;
    double voltage_v;
    bool block;
    int64_t first, end; /* sample indices covered */
    int64_t samples, gap_samples;
    int n_chunks, n_segments, n_gaps, n_events;
    int n_bad; /* records found damaged so far; samples that cannot be had are treated as a GAP */
    bool complete; /* false: torn, the writer did not close it */
    uint64_t size;
};

/* Opens and validates the ends: what is between them is read and checked when a query needs it (trace_reader_verify: all of it now). A file
 * that its writer did not close is walked, record by record. JF_E_PARSE: not a trace file; JF_E_UNSUPPORTED: of another version; JF_E_IO. */
int trace_reader_open(const char *path, struct trace_reader **ret_r, struct err *reterr) JF_MUST_CHECK;
void trace_reader_close(struct trace_reader *r); /* NULL allowed */
void trace_reader_info(const struct trace_reader *r, struct trace_info *ret_info);
const json_t *trace_reader_header(const struct trace_reader *r); /* borrowed: the info object */
int trace_reader_verify(struct trace_reader *r, int *ret_bad, struct err *reterr) JF_MUST_CHECK;
/* The samples as measure_run wants them; valid as long as r. */
void trace_reader_source(struct trace_reader *r, struct measure_source *ret_src);
/* Events in file order; fn gets borrowed JSON {"kind","host_raw_ns","data"}. */
int trace_reader_events(struct trace_reader *r, int (*fn)(void *user, const json_t *event), void *user, struct err *reterr) JF_MUST_CHECK;
/* The stored capture and configuration; JF_E_NOT_FOUND when the file has none. Either output may be NULL. */
int trace_reader_capture(struct trace_reader *r, struct measure_capture *ret_cap, struct measure_config *ret_cfg, struct err *reterr) JF_MUST_CHECK;

/* ---- reading views: time in seconds on the instrument's time line (sample n begins at n*dt) -------------------- */
#define TRACE_VIEW_MAX_POINTS 20000
#define TRACE_VIEW_MAX_EDGES 4096

/* One pixel; a mean is sum / samples, and there is nothing to draw where samples is 0. */
struct trace_pixel {
    double sum_i, sum_p, samples; /* A, W (NAN: voltage unknown), of this many samples */
    float min_i, max_i;
};
/* Pixel i is the span from_s + i*(to_s-from_s)/points; ret_px: points of them. Pixels of many samples are made of summaries narrower
 * than they are, each of which belongs to the pixel of its middle. from_s/to_s NAN: the whole recording. JF_E_INVAL: empty or absurd span. */
int trace_pixels(struct trace_reader *r, double from_s, double to_s, int points, struct trace_pixel *ret_px, struct err *reterr) JF_MUST_CHECK;

/* {"from_s","to_s","period_s","points","voltage_v":V|null,
 *  "current_a":{"min":[..],"mean":[..],"max":[..]}, "power_w":{"mean":[..]},     (null where a pixel has no sample)
 *  "edges":[{"t_s","line","level"}...], "edges_truncated":bool, "gaps":[[from_s,to_s]...], "segments":[[from_s,to_s]...]}
 * The same pixels; gaps and segments are cut to the span. */
int trace_view(struct trace_reader *r, double from_s, double to_s, int points, json_t **ret_view, struct err *reterr) JF_MUST_CHECK;

struct trace_stats {
    double from_s, to_s; /* the span asked for, cut to the recording */
    double recorded_s; /* of it, covered by samples */
    double energy_j, charge_c; /* partial cells counted by their fraction; energy NAN when the voltage is unknown */
    double current_mean_a, current_min_a, current_max_a, power_mean_w;
    int64_t samples; /* cells touched */
    double gap_s; /* missing inside the span: never delivered, or damaged where samples had to be read */
};
int trace_stats(struct trace_reader *r, double from_s, double to_s, struct trace_stats *ret_s, struct err *reterr) JF_MUST_CHECK;
json_t *trace_stats_json(const struct trace_stats *s); /* new reference; NULL: no memory */
json_t *trace_info_json(const struct trace_reader *r); /* new reference */

/* ---- analysis of a stored trace ------------------------------------------------------------------------------ */
/* Opens path, reads the stored capture, runs measure_run. cfg NULL: the stored configuration. ret_cap may be NULL. */
int trace_analyse(const char *path, const struct measure_config *cfg, struct measure_capture *ret_cap,
                  struct measure_result *ret_result, struct err *reterr) JF_MUST_CHECK;
/* The same with another marker phase (cells, 0..1) than the instrument's; NAN: as stored. */
int trace_analyse_as(const char *path, const struct measure_config *cfg, double marker_phase, struct measure_capture *ret_cap,
                     struct measure_result *ret_result, struct err *reterr) JF_MUST_CHECK;

#endif
