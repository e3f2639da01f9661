/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file's writer: gathers blocks into chunks, summarises, compresses, appends. One caller at a time; a thread of its own
 * hashes and writes (sink.h); blocks on the file system only.
 * Invariants: (W1) what is on disk before the last write() is a valid prefix of a trace file. (W2) a chunk holds samples of one
 * segment without a hole. (W3) memory does not depend on the length: one chunk, one unfinished page per level, one page of events. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32.h"
#include "measure/kernel.h"
#include "measure/trace/codec.h"
#include "measure/trace/format.h"
#include "measure/trace/pyramid.h"
#include "measure/trace/result_json.h"
#include "measure/trace/sink.h"
#include "measure/trace/trace.h"

#define MAX_HOLE (INT64_C(1) << 40) /* samples between two blocks of one segment: 12 days at 1 MS/s */

struct trace_writer {
    struct sink *sink;
    uint64_t offset; /* bytes handed to the sink */
    struct trace_codec *codec;
    struct buf out; /* one chunk's record */
    struct pyramid pyramid;
    uint64_t events[1 + TRACE_EVENTS]; /* an events record under construction: [0] is the offset of the one before */
    size_t n_events_here;
    uint64_t n_events, capture_offset;
    double voltage;
    unsigned channels;
    int64_t next; /* index behind the last sample accepted */
    bool started;
    /* the chunk under construction */
    int64_t first;
    uint32_t count, flags, n_stamps;
    float *current, *volts; /* [TRACE_CHUNK] */
    uint8_t *range, *markers, *quality; /* [TRACE_CHUNK] */
    struct measure_stamp *stamps; /* [TRACE_MAX_STAMPS] */
    int64_t samples, gap_samples;
    double period_s;
};

static struct trace_record record_of(enum trace_type type, const void *payload, size_t n) {
    struct trace_record rec = {.sync = TRACE_SYNC, .type = type, .len = (uint32_t)n};
    uint32_t head[2] = {rec.type, rec.len};
    rec.crc = crc32c_update(crc32c_update(0, head, sizeof head), payload, n);
    return rec;
}

static int write_record(struct trace_writer *w, enum trace_type type, const void *data, size_t n, struct err *reterr) {
    if (n > TRACE_MAX_PAYLOAD)
        return err_set(reterr, JF_E_TOO_LARGE, "a trace record of %zu bytes is too long", n);
    struct trace_record rec = record_of(type, data, n);
    w->offset += sizeof rec + n;
    return sink_put(w->sink, &rec, sizeof rec, data, n, reterr);
}

static int write_page(void *user, const uint8_t *payload, size_t len, uint64_t *ret_offset, struct err *reterr) {
    struct trace_writer *w = user;
    *ret_offset = w->offset;
    return write_record(w, TRACE_T_INDEX, payload, len, reterr);
}

static int no_memory(struct err *reterr) {
    return err_set(reterr, JF_E_NOMEM, "no memory for the trace");
}

static void writer_free(struct trace_writer *w) {
    if (!w)
        return;
    sink_free(w->sink);
    trace_codec_free(w->codec);
    buf_done(&w->out);
    pyramid_done(&w->pyramid);
    free(w->current);
    free(w->volts);
    free(w->range);
    free(w->markers);
    free(w->quality);
    free(w->stamps);
    free(w);
}

static int write_header(struct trace_writer *w, const struct trace_header *hdr, struct err *reterr) {
    json_t *j = json_pack("{s:i, s:f, s:i, s:o, s:b, s:O?}", "version", TRACE_VERSION, "period_s", hdr->period_s, "channels", (int)hdr->channels, "voltage_v",
                          isfinite(hdr->voltage_v) ? json_real(hdr->voltage_v) : json_null(), "block", hdr->block, "info", hdr->info);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(j);
    if (!text)
        return no_memory(reterr);
    int rc = sink_put(w->sink, TRACE_MAGIC, 8, NULL, 0, reterr);
    w->offset = 8;
    if (rc == 0)
        rc = write_record(w, TRACE_T_HEADER, text, strlen(text), reterr);
    free(text);
    return rc < 0 ? rc : sink_drain(w->sink, reterr);
}

int trace_writer_open(const char *path, const struct trace_header *hdr, struct trace_writer **ret_w, struct err *reterr) {
    if (!(hdr->period_s > 0) || !isfinite(hdr->period_s))
        return err_set_at(reterr, JF_E_INVAL, "period_s", "the sample period must be above 0");
    struct trace_writer *w = calloc(1, sizeof *w);
    if (!w)
        return no_memory(reterr);
    int rc;
    w->voltage = hdr->voltage_v;
    w->channels = hdr->channels;
    w->period_s = hdr->period_s;
    buf_init(&w->out, TRACE_MAX_PAYLOAD);
    pyramid_init(&w->pyramid, write_page, w, true);
    w->current = malloc(TRACE_CHUNK * sizeof *w->current);
    w->volts = malloc(TRACE_CHUNK * sizeof *w->volts);
    w->range = calloc(TRACE_CHUNK, 1);
    w->markers = calloc(TRACE_CHUNK, 1);
    w->quality = calloc(TRACE_CHUNK, 1);
    w->stamps = malloc(TRACE_MAX_STAMPS * sizeof *w->stamps);
    if (!w->current || !w->volts || !w->range || !w->markers || !w->quality || !w->stamps || trace_codec_new(&w->codec) < 0) {
        rc = no_memory(reterr);
        goto fail;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        rc = err_set_errno(reterr, JF_E_IO, errno, "creating %s", path);
        goto fail;
    }
    rc = sink_new(fd, &w->sink, reterr);
    if (rc < 0) {
        (void)close(fd);
        goto fail;
    }
    rc = write_header(w, hdr, reterr);
    if (rc < 0)
        goto fail;
    *ret_w = w;
    return 0;
fail:
    writer_free(w);
    return rc;
}

/* Fills the chunk's sums and appends its entries. */
static int put_entries(struct trace_writer *w, struct trace_chunk *h) {
    const float *v = (w->channels & TRACE_VOLTAGE) ? w->volts : NULL;
    struct measure_acc si = {0}, sp = {0};
    h->min_i = INFINITY;
    h->max_i = -INFINITY;
    for (uint32_t at = 0; at < w->count; at += TRACE_STEP) {
        uint32_t n = w->count - at < TRACE_STEP ? w->count - at : TRACE_STEP;
        struct measure_sums s;
        measure_sums(w->current + at, v ? v + at : NULL, w->voltage, n, &s);
        struct trace_entry e = {.sum_i = s.i, .sum_p = s.p, .min_i = s.i_min, .max_i = s.i_max};
        measure_acc_add(&si, s.i);
        measure_acc_add(&sp, s.p);
        h->min_i = s.i_min < h->min_i ? s.i_min : h->min_i;
        h->max_i = s.i_max > h->max_i ? s.i_max : h->max_i;
        int rc = buf_put(&w->out, &e, sizeof e);
        if (rc < 0)
            return rc;
        h->n_entries++;
    }
    h->sum_i = measure_acc_get(&si);
    h->sum_p = measure_acc_get(&sp);
    return 0;
}

static uint32_t count_changes(const uint8_t *restrict m, uint32_t n) {
    uint32_t changes = 0;
    for (uint32_t i = 1; i < n; i++)
        changes += m[i] != m[i - 1];
    return changes;
}

/* ---- chunks: out holds the chunk's head, the entries, the channels ----------------------------- */
#define ENTRIES_AT sizeof(struct trace_chunk)

static int begin_chunk(struct trace_writer *w) {
    static const uint8_t room[ENTRIES_AT];
    buf_clear(&w->out);
    return buf_put(&w->out, room, sizeof room);
}

static int put_channels(struct trace_writer *w, struct trace_chunk *h) {
    const struct {
        const void *data;
        size_t n, width;
    } ch[TRACE_N_CHANNELS] = {
        [TRACE_C_CURRENT] = {w->current, w->count, 4},
        [TRACE_C_VOLTAGE] = {w->volts, (w->channels & TRACE_VOLTAGE) ? w->count : 0, 4},
        [TRACE_C_RANGE] = {w->range, (w->channels & TRACE_RANGE) ? w->count : 0, 1},
        [TRACE_C_MARKERS] = {w->markers, (w->channels & TRACE_MARKERS) ? w->count : 0, 1},
        [TRACE_C_QUALITY] = {w->quality, (w->channels & TRACE_QUALITY) ? w->count : 0, 1},
        [TRACE_C_STAMPS] = {w->stamps, (size_t)w->n_stamps * 2, 8},
    };
    for (int c = 0; c < TRACE_N_CHANNELS; c++) {
        size_t at = w->out.len;
        if (ch[c].n == 0)
            continue;
        int rc = ch[c].width == 4 ? trace_floats_encode(w->codec, ch[c].data, ch[c].n, &w->out, &h->enc[c], &h->len[c], &h->front[c])
                                  : trace_encode(w->codec, ch[c].data, ch[c].n, ch[c].width, &w->out, &h->enc[c], &h->len[c]);
        if (rc < 0)
            return rc;
        h->crc[c] = crc32c_update(0, w->out.data + at, ch[c].width == 4 ? h->front[c] : h->len[c]);
    }
    return 0;
}

static int write_chunk(struct trace_writer *w, struct trace_chunk *h, struct err *reterr) {
    size_t entries = h->n_entries * sizeof(struct trace_entry), len = w->out.len;
    h->crc_entries = crc32c_update(0, w->out.data + ENTRIES_AT, entries);
    h->crc_head = crc32c_update(0, h, offsetof(struct trace_chunk, crc_head));
    memcpy(w->out.data, h, sizeof *h);
    struct trace_leaf leaf = {.offset = w->offset, .first = h->first, .count = h->count, .sum_i = h->sum_i, .sum_p = h->sum_p, .min_i = h->min_i,
                              .max_i = h->max_i, .len = (uint32_t)len, .flags = h->flags, .n_changes = h->n_changes,
                              .first_markers = h->first_markers, .last_markers = h->last_markers};
    int rc = write_record(w, TRACE_T_CHUNK, w->out.data, w->out.len, reterr);
    /* the entries stay in out: a page is written from a buffer of its own */
    return rc < 0 ? rc : pyramid_add(&w->pyramid, &leaf, (const struct trace_entry *)(const void *)(w->out.data + ENTRIES_AT), h->n_entries, reterr);
}

static int flush_chunk(struct trace_writer *w, struct err *reterr) {
    if (w->count == 0)
        return 0;
    struct trace_chunk h = {.first = w->first, .count = w->count, .flags = w->flags, .n_stamps = w->n_stamps};
    if (begin_chunk(w) < 0 || put_entries(w, &h) < 0 || put_channels(w, &h) < 0)
        return no_memory(reterr);
    if (w->channels & TRACE_MARKERS) {
        h.n_changes = count_changes(w->markers, w->count);
        h.first_markers = w->markers[0];
        h.last_markers = w->markers[w->count - 1];
    }
    int rc = write_chunk(w, &h, reterr);
    w->samples += w->count;
    w->count = w->flags = w->n_stamps = 0;
    return rc;
}

int trace_writer_flush(struct trace_writer *w, struct err *reterr) {
    int rc = flush_chunk(w, reterr);
    return rc < 0 ? rc : sink_drain(w->sink, reterr);
}

static int write_gap(struct trace_writer *w, int64_t first, int64_t count, struct err *reterr) {
    int rc = flush_chunk(w, reterr);
    while (rc == 0 && count > 0) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        struct trace_chunk h = {.first = first, .count = n, .flags = MEASURE_GAP};
        if (begin_chunk(w) < 0)
            return no_memory(reterr);
        rc = write_chunk(w, &h, reterr);
        first += n;
        count -= n;
        w->gap_samples += n;
    }
    return rc;
}

static void put_stamp(struct trace_writer *w, int64_t end, int64_t host_raw_ns) {
    if (host_raw_ns != 0 && w->n_stamps < TRACE_MAX_STAMPS)
        w->stamps[w->n_stamps++] = (struct measure_stamp){.end = end, .host_raw_ns = host_raw_ns};
}

static void copy_channel(uint8_t *dst, const uint8_t *src, uint32_t at, uint32_t n) {
    if (src)
        memcpy(dst, src + at, n);
    else
        memset(dst, 0, n);
}

/* Copies samples [at, at+n) of b behind the chunk's end; they fit. */
static void copy_samples(struct trace_writer *w, const struct measure_block *b, uint32_t at, uint32_t n) {
    memcpy(w->current + w->count, b->current_a + at, n * sizeof(float));
    if (w->channels & TRACE_VOLTAGE)
        memcpy(w->volts + w->count, b->voltage_v + at, n * sizeof(float));
    if (w->channels & TRACE_RANGE)
        copy_channel(w->range + w->count, b->range, at, n);
    if (w->channels & TRACE_MARKERS)
        copy_channel(w->markers + w->count, b->markers, at, n);
    if (w->channels & TRACE_QUALITY)
        copy_channel(w->quality + w->count, b->quality, at, n);
    w->count += n;
}

static int append_samples(struct trace_writer *w, const struct measure_block *b, struct err *reterr) {
    uint32_t stamp = 0;
    for (uint32_t at = 0; at < b->count;) {
        if (w->count == 0)
            w->first = b->first + at;
        uint32_t room = TRACE_CHUNK - w->count, left = b->count - at;
        uint32_t n = left < room ? left : room;
        copy_samples(w, b, at, n);
        at += n;
        while (b->stamps && stamp < b->n_stamps && b->stamps[stamp].end <= b->first + at) {
            put_stamp(w, b->stamps[stamp].end, b->stamps[stamp].host_raw_ns);
            stamp++;
        }
        if (!b->stamps && at == b->count)
            put_stamp(w, b->first + b->count, b->host_raw_ns);
        if (at == b->count)
            w->flags |= b->flags & MEASURE_SEGMENT_END;
        if (w->count == TRACE_CHUNK || w->n_stamps == TRACE_MAX_STAMPS || (w->flags & MEASURE_SEGMENT_END)) {
            int rc = flush_chunk(w, reterr);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

int trace_writer_block(struct trace_writer *w, const struct measure_block *b, struct err *reterr) {
    int rc = 0;
    bool gap = (b->flags & MEASURE_GAP) != 0;
    if (w->started && b->first > w->next && b->first - w->next > MAX_HOLE && !(b->flags & MEASURE_SEGMENT_START))
        return err_set(reterr, JF_E_INVAL, "a hole of %lld samples cannot be true", (long long)(b->first - w->next));
    if (b->first < -TRACE_MAX_INDEX || b->first > TRACE_MAX_INDEX - b->count)
        return err_set(reterr, JF_E_INVAL, "a sample of index %lld cannot be stored", (long long)b->first);
    if (b->count == 0 || (w->started && b->first < w->next))
        return err_set(reterr, JF_E_BUG, "block of %u samples at %lld does not follow %lld", b->count, (long long)b->first, (long long)w->next);
    if (!gap && (!b->current_a || ((w->channels & TRACE_VOLTAGE) && !b->voltage_v)))
        return err_set(reterr, JF_E_BUG, "block at %lld lacks a channel", (long long)b->first);
    if (b->flags & MEASURE_SEGMENT_START)
        rc = flush_chunk(w, reterr);
    else if (w->started && b->first > w->next)
        rc = write_gap(w, w->next, b->first - w->next, reterr);
    if (rc < 0)
        return rc;
    w->started = true;
    w->next = b->first + b->count;
    if (gap)
        return write_gap(w, b->first, b->count, reterr);
    w->flags |= b->flags & MEASURE_SEGMENT_START;
    return append_samples(w, b, reterr);
}

static int write_events(struct trace_writer *w, struct err *reterr) {
    uint64_t at = w->offset;
    if (w->n_events_here == 0)
        return 0;
    int rc = write_record(w, TRACE_T_EVENTS, w->events, (1 + w->n_events_here) * sizeof w->events[0], reterr);
    w->events[0] = at;
    w->n_events_here = 0;
    return rc;
}

int trace_writer_event(struct trace_writer *w, int64_t host_raw_ns, const char *kind, const json_t *data, struct err *reterr) {
    json_t *j = json_pack("{s:s, s:I, s:O?}", "kind", kind, "host_raw_ns", (json_int_t)host_raw_ns, "data", data);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(j);
    if (!text)
        return no_memory(reterr);
    uint64_t at = w->offset;
    int rc = write_record(w, TRACE_T_EVENT, text, strlen(text), reterr);
    free(text);
    if (rc < 0)
        return rc;
    if (strcmp(kind, TRACE_EVENT_CAPTURE) == 0)
        w->capture_offset = at;
    w->events[1 + w->n_events_here++] = at;
    w->n_events++;
    return w->n_events_here == TRACE_EVENTS ? write_events(w, reterr) : 0;
}

int trace_writer_capture(struct trace_writer *w, const struct measure_capture *cap, const struct measure_config *cfg, struct err *reterr) {
    json_t *c = measure_capture_json(cap), *g = measure_config_json(cfg);
    json_t *data = c && g ? json_pack("{s:O, s:O}", "capture", c, "config", g) : NULL;
    json_decref(c);
    json_decref(g);
    if (!data)
        return no_memory(reterr);
    int rc = trace_writer_event(w, 0, TRACE_EVENT_CAPTURE, data, reterr);
    json_decref(data);
    return rc;
}

static int write_end(struct trace_writer *w, struct err *reterr) {
    struct trace_footer f = {.n_events = w->n_events, .capture_offset = w->capture_offset};
    memcpy(f.end, TRACE_END, sizeof f.end);
    int rc = pyramid_finish(&w->pyramid, &f.root, reterr);
    if (rc == 0)
        rc = write_events(w, reterr);
    f.events_offset = w->events[0];
    return rc < 0 ? rc : write_record(w, TRACE_T_FOOTER, &f, sizeof f, reterr);
}

int trace_writer_close(struct trace_writer *w, struct trace_summary *ret_sum, struct err *reterr) {
    int rc = flush_chunk(w, reterr);
    if (rc == 0)
        rc = write_end(w, reterr);
    if (rc == 0)
        rc = sink_sync(w->sink, ret_sum->sha256, reterr);
    if (rc == 0) {
        ret_sum->size = w->offset;
        ret_sum->samples = w->samples;
        ret_sum->gap_samples = w->gap_samples;
        ret_sum->duration_s = (double)w->samples * w->period_s;
    }
    writer_free(w);
    return rc;
}

void trace_writer_abort(struct trace_writer *w) {
    if (w && w->sink) {
        /* Best effort: what cannot be written now is the tail that a reader does without. */
        if (trace_writer_flush(w, NULL) < 0)
            w->count = 0;
    }
    writer_free(w);
}
