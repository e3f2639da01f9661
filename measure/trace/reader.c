/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file's reader: structure, checks, recovery of a torn tail, iteration. Nothing in a file is trusted: every length and
 * index is checked against the file before use. One thread at a time per reader; blocks on the file system only. */
#include "measure/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32.h"
#include "measure/trace/result_json.h"

#define MAX_HEADER (4u << 20)
#define MAX_ENTRIES ((size_t)1 << 24) /* chunks and events of one file */

static int corrupt(struct err *reterr, uint64_t offset, const char *what) {
    return err_set(reterr, JF_E_CORRUPT, "trace record at byte %llu: %s", (unsigned long long)offset, what);
}

static int read_at(const struct trace_reader *r, uint64_t offset, void *dst, size_t n, struct err *reterr) {
    uint8_t *p = dst;
    if (offset > r->size || n > r->size - offset)
        return corrupt(reterr, offset, "beyond the end of the file");
    while (n > 0) {
        ssize_t got = pread(r->fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set_errno(reterr, JF_E_IO, got < 0 ? errno : EIO, "reading the trace");
        p += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static uint32_t record_crc(const struct trace_record *rec, const void *payload) {
    uint32_t head[2] = {rec->type, rec->len};
    return crc32_update(crc32_update(0, head, sizeof head), payload, rec->len);
}

/* Reads a record at offset into r->payload; JF_E_CORRUPT when sync, length or checksum are wrong. */
static int read_record(struct trace_reader *r, uint64_t offset, struct trace_record *ret_rec, bool check, struct err *reterr) {
    struct trace_record rec = {0};
    int rc = read_at(r, offset, &rec, sizeof rec, reterr);
    if (rc < 0)
        return rc;
    if (rec.sync != TRACE_SYNC || rec.len > TRACE_MAX_PAYLOAD || rec.len > r->size - offset - sizeof rec)
        return corrupt(reterr, offset, "no record starts here");
    uint8_t *p;
    buf_clear(&r->payload);
    if (buf_reserve(&r->payload, rec.len ? rec.len : 1, &p) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace record");
    rc = read_at(r, offset + sizeof rec, p, rec.len, reterr);
    if (rc < 0)
        return rc;
    r->payload.len = rec.len;
    *ret_rec = rec;
    if (check && record_crc(&rec, p) != rec.crc)
        return corrupt(reterr, offset, "checksum mismatch");
    return 0;
}

static int read_header(struct trace_reader *r, uint64_t *ret_next, struct err *reterr) {
    char magic[8] = {0};
    struct trace_record rec = {0};
    if (r->size < sizeof magic || read_at(r, 0, magic, sizeof magic, NULL) < 0 || memcmp(magic, TRACE_MAGIC, sizeof magic) != 0)
        return err_set(reterr, JF_E_PARSE, "not a trace file");
    int rc = read_record(r, sizeof magic, &rec, true, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? err_set(reterr, JF_E_PARSE, "the trace's header is damaged") : rc;
    if (rec.type != TRACE_T_HEADER || rec.len > MAX_HEADER)
        return err_set(reterr, JF_E_PARSE, "the trace's header is missing");
    r->header = json_loadb((const char *)r->payload.data, r->payload.len, 0, NULL);
    int version = 0, channels = 0, block = 0;
    json_t *voltage = NULL;
    double period = 0;
    if (!r->header || json_unpack(r->header, "{s:i, s:F, s:i, s:o, s:b}", "version", &version, "period_s", &period, "channels", &channels,
                                  "voltage_v", &voltage, "block", &block) < 0)
        return err_set(reterr, JF_E_PARSE, "the trace's header is not understood");
    if (version != 1)
        return err_set(reterr, JF_E_UNSUPPORTED, "trace format version %d is not known", version);
    if (!(period > 0) || !isfinite(period))
        return err_set_at(reterr, JF_E_PARSE, "period_s", "the sample period must be above 0");
    json_t *info = json_object_get(r->header, "info");
    if (!json_is_object(info)) {
        json_object_set_new(r->header, "info", json_object());
        info = json_object_get(r->header, "info");
    }
    r->info_object = info;
    r->info.period_s = period;
    r->info.channels = (unsigned)channels;
    r->info.voltage_v = json_is_number(voltage) ? json_number_value(voltage) : NAN;
    r->info.block = block != 0;
    *ret_next = sizeof magic + sizeof rec + rec.len;
    return 0;
}

/* ---- building the index ------------------------------------------------------------------------------------ */
struct index_build {
    struct buf chunks, events;
    int64_t end; /* behind the last chunk */
    bool any;
};

/* I1: chunks ascend and do not overlap; a chunk of samples holds 1..TRACE_CHUNK of them. */
static int add_entry(struct index_build *b, const struct trace_index *ix, uint64_t size) {
    if (ix->offset > size)
        return JF_E_CORRUPT;
    if (ix->flags & TRACE_IX_EVENT)
        return buf_put(&b->events, ix, sizeof *ix);
    bool gap = (ix->flags & MEASURE_GAP) != 0;
    if (ix->count == 0 || (!gap && ix->count > TRACE_CHUNK) || (b->any && ix->first < b->end) || ix->first < INT64_MIN / 4 || ix->first > INT64_MAX / 4)
        return JF_E_CORRUPT;
    b->any = true;
    b->end = ix->first + ix->count;
    return buf_put(&b->chunks, ix, sizeof *ix);
}

static int load_index(struct trace_reader *r, struct index_build *b, struct err *reterr) {
    struct trace_record rec = {0};
    struct trace_footer f = {0};
    size_t tail = sizeof rec + sizeof f;
    if (r->size < tail)
        return corrupt(reterr, r->size, "no footer");
    int rc = read_record(r, r->size - tail, &rec, true, reterr);
    if (rc < 0)
        return rc;
    if (rec.type != TRACE_T_FOOTER || rec.len != sizeof f)
        return corrupt(reterr, r->size - tail, "no footer");
    memcpy(&f, r->payload.data, sizeof f);
    if (memcmp(f.end, TRACE_END, sizeof f.end) != 0 || f.n_entries > MAX_ENTRIES)
        return corrupt(reterr, r->size - tail, "not a footer");
    uint64_t at = f.index_offset, seen = 0;
    while (seen < f.n_entries) {
        rc = read_record(r, at, &rec, true, reterr);
        if (rc < 0)
            return rc;
        if (rec.type != TRACE_T_INDEX || rec.len == 0 || rec.len % sizeof(struct trace_index) != 0)
            return corrupt(reterr, at, "not an index");
        for (size_t k = 0; k < rec.len; k += sizeof(struct trace_index)) {
            struct trace_index ix;
            memcpy(&ix, r->payload.data + k, sizeof ix);
            rc = add_entry(b, &ix, r->size);
            if (rc < 0)
                return err_set(reterr, rc, "the trace's index contradicts itself");
            seen++;
        }
        at += sizeof rec + rec.len;
    }
    return 0;
}

static void index_of_chunk(const struct trace_chunk *h, uint64_t at, uint32_t len, struct trace_index *ret) {
    *ret = (struct trace_index){.offset = at, .first = h->first, .count = h->count, .flags = h->flags & ~TRACE_IX_EVENT, .sum_i = h->sum_i,
                                .sum_p = h->sum_p, .min_i = h->min_i, .max_i = h->max_i, .len = len, .n_marker_changes = h->n_marker_changes,
                                .first_markers = h->first_markers, .last_markers = h->last_markers};
}

/* The next place at or behind `at` where a sync word stands; size: none. */
static uint64_t find_sync(struct trace_reader *r, uint64_t at) {
    uint8_t window[65536];
    const uint32_t sync = TRACE_SYNC;
    while (at + sizeof sync <= r->size) {
        size_t n = r->size - at < sizeof window ? (size_t)(r->size - at) : sizeof window;
        if (read_at(r, at, window, n, NULL) < 0)
            break;
        for (size_t k = 0; k + sizeof sync <= n; k++)
            if (memcmp(window + k, &sync, sizeof sync) == 0)
                return at + k;
        at += n - (sizeof sync - 1);
    }
    return r->size;
}

/* Walks the records of a file without a usable index, stepping over damage. */
static int walk(struct trace_reader *r, struct index_build *b, uint64_t at, struct err *reterr) {
    while (at < r->size) {
        struct trace_record rec = {0};
        int rc = read_record(r, at, &rec, true, reterr);
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
        if (rc < 0) {
            uint64_t next = find_sync(r, at + 1);
            if (next < r->size)
                r->info.n_bad++; /* damage inside; the torn tail of a killed writer is not counted */
            at = next;
            continue;
        }
        struct trace_index ix = {0};
        bool use = false;
        if (rec.type == TRACE_T_CHUNK && rec.len >= sizeof(struct trace_chunk)) {
            struct trace_chunk h = {0};
            memcpy(&h, r->payload.data, sizeof h);
            index_of_chunk(&h, at, rec.len, &ix);
            use = true;
        } else if (rec.type == TRACE_T_EVENT) {
            ix = (struct trace_index){.offset = at, .flags = TRACE_IX_EVENT, .len = rec.len};
            use = true;
        }
        rc = use ? add_entry(b, &ix, r->size) : 0;
        if (rc == JF_E_CORRUPT)
            r->info.n_bad++;
        else if (rc < 0)
            return err_set(reterr, rc, "no memory for the trace's index");
        at += sizeof rec + rec.len;
    }
    return 0;
}

static void summarise(struct trace_reader *r) {
    struct trace_info *in = &r->info;
    for (size_t i = 0; i < r->n_chunks; i++) {
        const struct trace_index *c = &r->chunks[i];
        bool joined = i > 0 && !(c->flags & MEASURE_SEGMENT_START);
        if (i == 0)
            in->first = c->first;
        if (!joined)
            in->n_segments++;
        else if (c->first > in->end) { /* a hole that a lost record left */
            in->n_gaps++;
            in->gap_samples += c->first - in->end;
        }
        if (c->flags & MEASURE_GAP) {
            bool goes_on = i > 0 && (r->chunks[i - 1].flags & MEASURE_GAP) && c->first == in->end;
            in->n_gaps += !goes_on;
            in->gap_samples += c->count;
        } else {
            in->samples += c->count;
        }
        in->end = c->first + c->count;
    }
    in->n_chunks = (int)r->n_chunks;
    in->n_events = (int)r->n_events;
    in->size = r->size;
}

static int build_index(struct trace_reader *r, uint64_t next, struct err *reterr) {
    struct index_build b = {0};
    buf_init(&b.chunks, MAX_ENTRIES * sizeof(struct trace_index));
    buf_init(&b.events, MAX_ENTRIES * sizeof(struct trace_index));
    int rc = load_index(r, &b, reterr);
    r->info.complete = rc == 0;
    if (rc == JF_E_CORRUPT) {
        buf_clear(&b.chunks);
        buf_clear(&b.events);
        b.any = false;
        rc = walk(r, &b, next, reterr);
    }
    if (rc < 0) {
        buf_done(&b.chunks);
        buf_done(&b.events);
        return rc;
    }
    r->n_chunks = b.chunks.len / sizeof(struct trace_index);
    r->n_events = b.events.len / sizeof(struct trace_index);
    r->chunks = (struct trace_index *)(void *)b.chunks.data; /* ownership moves; buf memory is malloc's */
    r->events = (struct trace_index *)(void *)b.events.data;
    summarise(r);
    return 0;
}

int trace_reader_open(const char *path, struct trace_reader **ret_r, struct err *reterr) {
    struct trace_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace reader");
    int rc;
    struct stat st;
    uint64_t next = 0;
    buf_init(&r->payload, TRACE_MAX_PAYLOAD + 16);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) < 0) {
        rc = err_set_errno(reterr, errno == ENOENT ? JF_E_NOT_FOUND : JF_E_IO, errno, "opening %s", path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(reterr, JF_E_PARSE, "%s is not a file", path);
        goto fail;
    }
    r->size = (uint64_t)st.st_size;
    rc = read_header(r, &next, reterr);
    if (rc == 0)
        rc = build_index(r, next, reterr);
    if (rc < 0)
        goto fail;
    r->checked = calloc(r->n_chunks + 1, 1);
    r->current = malloc(TRACE_CHUNK * sizeof *r->current);
    r->volts = malloc(TRACE_CHUNK * sizeof *r->volts);
    r->range = malloc(TRACE_CHUNK);
    r->markers = malloc(TRACE_CHUNK);
    r->quality = malloc(TRACE_CHUNK);
    r->stamps = malloc(TRACE_MAX_STAMPS * sizeof *r->stamps);
    if (!r->checked || !r->current || !r->volts || !r->range || !r->markers || !r->quality || !r->stamps || trace_codec_new(&r->codec) < 0) {
        rc = err_set(reterr, JF_E_NOMEM, "no memory for a trace reader");
        goto fail;
    }
    *ret_r = r;
    return 0;
fail:
    trace_reader_close(r);
    return rc;
}

void trace_reader_close(struct trace_reader *r) {
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    json_decref(r->header);
    free(r->chunks);
    free(r->events);
    free(r->checked);
    trace_codec_free(r->codec);
    buf_done(&r->payload);
    free(r->current);
    free(r->volts);
    free(r->range);
    free(r->markers);
    free(r->quality);
    free(r->stamps);
    free(r);
}

void trace_reader_info(const struct trace_reader *r, struct trace_info *ret_info) {
    *ret_info = r->info;
}

const json_t *trace_reader_header(const struct trace_reader *r) {
    return r->info_object;
}

/* ---- chunks ----------------------------------------------------------------------------------------------- */
static int check_head(const struct trace_reader *r, size_t i, const struct trace_chunk *h, size_t len, struct err *reterr) {
    const struct trace_index *ix = &r->chunks[i];
    uint64_t need = sizeof *h + (uint64_t)h->n_entries * sizeof(struct trace_entry);
    for (int c = 0; c < TRACE_N_CHANNELS; c++)
        need += h->len[c];
    bool gap = (h->flags & MEASURE_GAP) != 0;
    uint32_t entries = gap ? 0 : (h->count + TRACE_STEP - 1) / TRACE_STEP;
    if (h->first != ix->first || h->count != ix->count || need != len || h->n_entries != entries || h->n_stamps > TRACE_MAX_STAMPS)
        return corrupt(reterr, ix->offset, "the chunk contradicts its index");
    return 0;
}

static int mark_bad(struct trace_reader *r, size_t i, int rc) {
    if (rc == JF_E_CORRUPT && r->checked[i] != 2) {
        r->checked[i] = 2;
        r->info.n_bad++;
    }
    return rc;
}

int trace_chunk_load(struct trace_reader *r, size_t i, struct trace_chunk *ret_head, struct err *reterr) {
    struct trace_record rec = {0};
    if (r->checked[i] == 2)
        return corrupt(reterr, r->chunks[i].offset, "damaged");
    int rc = read_record(r, r->chunks[i].offset, &rec, r->checked[i] == 0, reterr);
    if (rc == 0 && (rec.type != TRACE_T_CHUNK || rec.len < sizeof *ret_head))
        rc = corrupt(reterr, r->chunks[i].offset, "not a chunk");
    if (rc == 0) {
        memcpy(ret_head, r->payload.data, sizeof *ret_head);
        rc = check_head(r, i, ret_head, rec.len, reterr);
    }
    if (rc == 0)
        r->checked[i] = 1;
    return mark_bad(r, i, rc);
}

int trace_chunk_entries(struct trace_reader *r, size_t i, struct trace_chunk *ret_head, const struct trace_entry **ret_e, struct err *reterr) {
    const struct trace_index *ix = &r->chunks[i];
    size_t want = sizeof *ret_head + (size_t)((ix->count + TRACE_STEP - 1) / TRACE_STEP) * sizeof(struct trace_entry);
    uint8_t *p;
    buf_clear(&r->payload);
    if (ix->count > TRACE_CHUNK || want > ix->len)
        return mark_bad(r, i, corrupt(reterr, ix->offset, "the chunk contradicts its index"));
    if (buf_reserve(&r->payload, want, &p) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace record");
    int rc = read_at(r, ix->offset + sizeof(struct trace_record), p, want, reterr);
    if (rc < 0)
        return rc;
    memcpy(ret_head, p, sizeof *ret_head);
    if (ret_head->first != ix->first || ret_head->count != ix->count || ret_head->n_entries != (ix->count + TRACE_STEP - 1) / TRACE_STEP)
        return mark_bad(r, i, corrupt(reterr, ix->offset, "the chunk contradicts its index"));
    *ret_e = (const struct trace_entry *)(const void *)(p + sizeof *ret_head);
    return 0;
}

int trace_chunk_decode(struct trace_reader *r, const struct trace_chunk *h, unsigned want, struct measure_block *ret_b, struct err *reterr) {
    const struct {
        void *dst;
        size_t n, width;
        unsigned want;
    } ch[TRACE_N_CHANNELS] = {
        [TRACE_C_CURRENT] = {r->current, h->count, 4, MEASURE_WANT_VALUES}, [TRACE_C_VOLTAGE] = {r->volts, h->count, 4, MEASURE_WANT_VALUES},
        [TRACE_C_RANGE] = {r->range, h->count, 1, MEASURE_WANT_VALUES},     [TRACE_C_MARKERS] = {r->markers, h->count, 1, MEASURE_WANT_MARKERS},
        [TRACE_C_QUALITY] = {r->quality, h->count, 1, MEASURE_WANT_VALUES}, [TRACE_C_STAMPS] = {r->stamps, (size_t)h->n_stamps * 2, 8, MEASURE_WANT_STAMPS},
    };
    bool have[TRACE_N_CHANNELS] = {false};
    const uint8_t *p = r->payload.data + sizeof *h + (size_t)h->n_entries * sizeof(struct trace_entry);
    for (int c = 0; c < TRACE_N_CHANNELS; c++) {
        if (h->enc[c] != TRACE_E_ABSENT && ch[c].n > 0 && (want & ch[c].want)) {
            int rc = trace_decode(r->codec, p, h->len[c], h->enc[c], ch[c].n, ch[c].width, ch[c].dst);
            if (rc < 0)
                return err_set(reterr, JF_E_CORRUPT, "trace chunk at sample %lld: channel %d cannot be decoded", (long long)h->first, c);
            have[c] = true;
        }
        p += h->len[c];
    }
    if (((want & MEASURE_WANT_VALUES) && !have[TRACE_C_CURRENT]) || h->count == 0)
        return err_set(reterr, JF_E_CORRUPT, "trace chunk at sample %lld holds no current", (long long)h->first);
    *ret_b = (struct measure_block){
        .first = h->first,
        .count = h->count,
        .flags = h->flags,
        .stamps = have[TRACE_C_STAMPS] ? r->stamps : NULL,
        .n_stamps = have[TRACE_C_STAMPS] ? h->n_stamps : 0,
        .current_a = have[TRACE_C_CURRENT] ? r->current : NULL,
        .voltage_v = have[TRACE_C_VOLTAGE] ? r->volts : NULL,
        .range = have[TRACE_C_RANGE] ? r->range : NULL,
        .markers = have[TRACE_C_MARKERS] ? r->markers : NULL,
        .quality = have[TRACE_C_QUALITY] ? r->quality : NULL,
    };
    return 0;
}

size_t trace_chunk_find(const struct trace_reader *r, int64_t n) {
    size_t lo = 0, hi = r->n_chunks;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->chunks[mid].first + r->chunks[mid].count > n)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

int trace_reader_verify(struct trace_reader *r, int *ret_bad, struct err *reterr) {
    for (size_t i = 0; i < r->n_chunks; i++) {
        struct trace_chunk h = {0};
        struct measure_block b = {0};
        int rc = trace_chunk_load(r, i, &h, reterr);
        if (rc == 0 && !(h.flags & MEASURE_GAP))
            rc = mark_bad(r, i, trace_chunk_decode(r, &h, ~0u, &b, reterr));
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
    }
    for (size_t i = 0; i < r->n_events; i++) {
        struct trace_record rec = {0};
        int rc = read_record(r, r->events[i].offset, &rec, true, reterr);
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
        if (rc < 0)
            r->info.n_bad++;
    }
    *ret_bad = r->info.n_bad;
    return 0;
}

/* ---- iteration -------------------------------------------------------------------------------------------- */
static int emit_gap(int64_t from, int64_t count, measure_block_fn *fn, void *user) {
    while (count > 0) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        struct measure_block b = {.first = from, .count = n, .flags = MEASURE_GAP};
        int rc = fn(user, &b);
        if (rc < 0)
            return rc;
        from += n;
        count -= n;
    }
    return 0;
}

/* A hole left by a record that was lost, or by a chunk that fails its check, is a GAP. */
static int reader_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    struct trace_reader *r = self;
    for (size_t i = trace_chunk_find(r, from); i < r->n_chunks && r->chunks[i].first < to; i++) {
        const struct trace_index *ix = &r->chunks[i];
        int64_t end = i > 0 ? r->chunks[i - 1].first + r->chunks[i - 1].count : ix->first;
        int rc = 0;
        if (ix->first > end && !(ix->flags & MEASURE_SEGMENT_START))
            rc = emit_gap(end, ix->first - end, fn, user);
        if (rc < 0)
            return rc;
        if (ix->flags & MEASURE_GAP) {
            rc = emit_gap(ix->first, ix->count, fn, user);
            if (rc < 0)
                return rc;
            continue;
        }
        struct trace_chunk h = {0};
        struct measure_block b = {0};
        rc = trace_chunk_load(r, i, &h, reterr);
        if (rc == 0)
            rc = mark_bad(r, i, trace_chunk_decode(r, &h, want, &b, reterr));
        if (rc == JF_E_CORRUPT)
            rc = emit_gap(ix->first, ix->count, fn, user);
        else if (rc == 0)
            rc = fn(user, &b);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void trace_reader_source(struct trace_reader *r, struct measure_source *ret_src) {
    *ret_src = (struct measure_source){.each = reader_each, .self = r};
}

/* ---- events ----------------------------------------------------------------------------------------------- */
static int load_event(struct trace_reader *r, size_t i, json_t **ret_event, struct err *reterr) {
    struct trace_record rec = {0};
    int rc = read_record(r, r->events[i].offset, &rec, true, reterr);
    if (rc < 0)
        return rc;
    json_t *j = rec.type == TRACE_T_EVENT ? json_loadb((const char *)r->payload.data, r->payload.len, JSON_ALLOW_NUL, NULL) : NULL;
    if (!json_is_object(j)) {
        json_decref(j);
        return corrupt(reterr, r->events[i].offset, "not an event");
    }
    *ret_event = j;
    return 0;
}

int trace_reader_events(struct trace_reader *r, int (*fn)(void *user, const json_t *event), void *user, struct err *reterr) {
    for (size_t i = 0; i < r->n_events; i++) {
        json_t *j = NULL;
        int rc = load_event(r, i, &j, reterr);
        if (rc == JF_E_CORRUPT)
            continue;
        if (rc < 0)
            return rc;
        rc = fn(user, j);
        json_decref(j);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int trace_reader_capture(struct trace_reader *r, struct measure_capture *ret_cap, struct measure_config *ret_cfg, struct err *reterr) {
    for (size_t i = r->n_events; i-- > 0;) {
        json_t *j = NULL;
        int rc = load_event(r, i, &j, reterr);
        if (rc == JF_E_CORRUPT)
            continue;
        if (rc < 0)
            return rc;
        const char *kind = json_string_value(json_object_get(j, "kind"));
        if (!kind || strcmp(kind, "capture") != 0) {
            json_decref(j);
            continue;
        }
        const json_t *data = json_object_get(j, "data");
        if (ret_cap)
            rc = measure_capture_from_json(json_object_get(data, "capture"), ret_cap, reterr);
        if (rc == 0 && ret_cfg)
            rc = measure_config_from_json(json_object_get(data, "config"), ret_cfg, reterr);
        json_decref(j);
        return rc;
    }
    return err_set(reterr, JF_E_NOT_FOUND, "the trace holds no description of the capture (its run did not end)");
}
