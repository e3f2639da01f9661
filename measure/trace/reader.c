/* SPDX-License-Identifier: GPL-2.0-or-later
 * The trace file's reader: file, header, end, events. Nothing in a file is trusted: every length and index is checked against the file
 * before use. One thread at a time per reader; blocks on the file system only. Memory does not depend on the length, but for 8 bytes
 * per event while events are read. */
#include "measure/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32.h"
#include "measure/grow.h"
#include "measure/trace/result_json.h"

#define MAX_EVENTS ((size_t)1 << 21)

int trace_corrupt(struct err *reterr, uint64_t offset, const char *what) {
    return err_set(reterr, JF_E_CORRUPT, "trace record at byte %llu: %s", (unsigned long long)offset, what);
}

int trace_read_at(const struct trace_reader *r, uint64_t offset, void *dst, size_t n, struct err *reterr) {
    uint8_t *p = dst;
    if (offset > r->size || n > r->size - offset)
        return trace_corrupt(reterr, offset, "beyond the end of the file");
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

int trace_read_record(struct trace_reader *r, uint64_t offset, struct trace_record *ret_rec, struct err *reterr) {
    struct trace_record rec = {0};
    int rc = trace_read_at(r, offset, &rec, sizeof rec, reterr);
    if (rc < 0)
        return rc;
    if (rec.sync != TRACE_SYNC || rec.len > TRACE_MAX_PAYLOAD || rec.len > r->size - offset - sizeof rec)
        return trace_corrupt(reterr, offset, "no record starts here");
    uint8_t *p;
    buf_clear(&r->payload);
    if (buf_reserve(&r->payload, rec.len, &p) < 0)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace record");
    rc = trace_read_at(r, offset + sizeof rec, p, rec.len, reterr);
    if (rc < 0)
        return rc;
    r->payload.len = rec.len;
    *ret_rec = rec;
    uint32_t head[2] = {rec.type, rec.len};
    if (crc32c_update(crc32c_update(0, head, sizeof head), p, rec.len) != rec.crc)
        return trace_corrupt(reterr, offset, "checksum mismatch");
    return 0;
}

int trace_mark_bad(struct trace_reader *r, uint64_t offset) {
    size_t lo = 0, hi = r->n_bad;
    int rc = 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->bad[mid] < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if ((lo < r->n_bad && r->bad[lo] == offset) || r->n_bad == TRACE_MAX_BAD)
        return JF_E_CORRUPT;
    r->bad = measure_grow(r->bad, &r->cap_bad, r->n_bad, sizeof *r->bad, TRACE_MAX_BAD, &rc);
    if (rc == 0) {
        memmove(r->bad + lo + 1, r->bad + lo, (r->n_bad - lo) * sizeof *r->bad);
        r->bad[lo] = offset;
        r->n_bad++;
        r->info.n_bad++;
    }
    return JF_E_CORRUPT;
}

int trace_add_event(struct trace_reader *r, uint64_t offset) {
    int rc = 0;
    r->events = measure_grow(r->events, &r->cap_events, r->n_events, sizeof *r->events, MAX_EVENTS, &rc);
    if (rc == 0)
        r->events[r->n_events++] = offset;
    return rc;
}

static int read_header(struct trace_reader *r, struct err *reterr) {
    char magic[8] = {0};
    struct trace_record rec = {0};
    if (r->size < sizeof magic || trace_read_at(r, 0, magic, sizeof magic, NULL) < 0 || memcmp(magic, TRACE_MAGIC, sizeof magic - 1) != 0)
        return err_set(reterr, JF_E_PARSE, "not a trace file");
    if (magic[7] != TRACE_MAGIC[7])
        return err_set(reterr, JF_E_UNSUPPORTED, "a trace file of format %c; this program reads format %d", magic[7], TRACE_VERSION);
    int rc = trace_read_record(r, sizeof magic, &rec, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? err_set(reterr, JF_E_PARSE, "the trace's header is damaged") : rc;
    if (rec.type != TRACE_T_HEADER || rec.len > TRACE_MAX_PAYLOAD / 4)
        return err_set(reterr, JF_E_PARSE, "the trace's header is missing");
    r->header = json_loadb((const char *)r->payload.data, r->payload.len, 0, NULL);
    int version = 0, channels = 0, block = 0;
    json_t *voltage = NULL;
    double period = 0;
    if (!r->header || json_unpack(r->header, "{s:i, s:F, s:i, s:o, s:b}", "version", &version, "period_s", &period, "channels", &channels,
                                  "voltage_v", &voltage, "block", &block) < 0)
        return err_set(reterr, JF_E_PARSE, "the trace's header is not understood");
    if (version != TRACE_VERSION)
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
    r->body = sizeof magic + sizeof rec + rec.len;
    return 0;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */
static int read_footer(struct trace_reader *r, struct err *reterr) {
    struct trace_record rec = {0};
    struct trace_footer f = {0};
    size_t tail = sizeof rec + sizeof f;
    if (r->size < r->body + tail)
        return trace_corrupt(reterr, r->size, "no footer");
    int rc = trace_read_record(r, r->size - tail, &rec, reterr);
    if (rc < 0)
        return rc;
    if (rec.type != TRACE_T_FOOTER || rec.len != sizeof f)
        return trace_corrupt(reterr, r->size - tail, "no footer");
    memcpy(&f, r->payload.data, sizeof f);
    if (memcmp(f.end, TRACE_END, sizeof f.end) != 0)
        return trace_corrupt(reterr, r->size - tail, "not a footer");
    if (f.root.level >= TRACE_MAX_LEVEL || (f.root.level > 0 && (f.root.end <= f.root.first || f.root.offset >= r->size || f.root.start >= f.root.offset ||
                                                                 f.root.first < -TRACE_MAX_INDEX || f.root.end > TRACE_MAX_INDEX)))
        return trace_corrupt(reterr, r->size - tail, "the footer contradicts itself");
    r->root = f.root;
    r->events_offset = f.events_offset;
    r->capture_offset = f.capture_offset;
    r->info.n_events = f.n_events < MAX_EVENTS ? (int)f.n_events : (int)MAX_EVENTS;
    return 0;
}

static int clamp_count(uint64_t n) {
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

static void summarise(struct trace_reader *r) {
    struct trace_info *in = &r->info;
    const struct trace_node *n = &r->root;
    in->size = r->size;
    if (n->level == 0)
        return;
    in->first = n->first;
    in->end = n->end;
    in->samples = n->samples;
    in->gap_samples = n->gap_samples;
    in->n_chunks = clamp_count(n->n_chunks);
    in->n_gaps = clamp_count(n->n_gaps);
    in->n_segments = clamp_count((uint64_t)n->n_segments + !(n->flags & TRACE_NODE_SEGMENT));
}

static int open_index(struct trace_reader *r, struct err *reterr) {
    int rc = read_footer(r, reterr);
    r->info.complete = rc == 0;
    if (rc == JF_E_CORRUPT) {
        rc = trace_rebuild(r, r->body, r->size, NULL, &r->root, reterr);
        r->events_known = true;
        r->info.n_events = (int)r->n_events;
    }
    if (rc == 0)
        summarise(r);
    return rc;
}

int trace_reader_open(const char *path, struct trace_reader **ret_r, struct err *reterr) {
    struct trace_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(reterr, JF_E_NOMEM, "no memory for a trace reader");
    int rc;
    struct stat st;
    r->fd = -1;
    buf_init(&r->tiles, TRACE_MAX_PAYLOAD);
    for (int d = 0; d < TRACE_MAX_DEPTH; d++)
        buf_init(&r->pages[d].buf, TRACE_MAX_PAYLOAD);
    buf_init(&r->payload, TRACE_MAX_PAYLOAD);
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
    r->current = malloc(TRACE_CHUNK * sizeof *r->current);
    r->volts = malloc(TRACE_CHUNK * sizeof *r->volts);
    r->range = malloc(TRACE_CHUNK);
    r->markers = malloc(TRACE_CHUNK);
    r->quality = malloc(TRACE_CHUNK);
    r->stamps = malloc(TRACE_MAX_STAMPS * sizeof *r->stamps);
    if (!r->current || !r->volts || !r->range || !r->markers || !r->quality || !r->stamps || trace_codec_new(&r->codec) < 0) {
        rc = err_set(reterr, JF_E_NOMEM, "no memory for a trace reader");
        goto fail;
    }
    rc = read_header(r, reterr);
    if (rc == 0)
        rc = open_index(r, reterr);
    if (rc < 0)
        goto fail;
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
    free(r->events);
    free(r->bad);
    free(r->patches);
    for (size_t i = 0; i < r->n_memory; i++)
        buf_done(&r->memory[i]);
    free(r->memory);
    for (int d = 0; d < TRACE_MAX_DEPTH; d++)
        buf_done(&r->pages[d].buf);
    buf_done(&r->tiles);
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

static int verify_leaf(void *user, const struct trace_leaf *l, struct err *reterr) {
    struct measure_block b = {0};
    if (l->flags & MEASURE_GAP)
        return 0;
    int rc = trace_chunk_load(user, l, ~0u, &b, reterr);
    return rc == JF_E_CORRUPT ? 0 : rc;
}

/* Every record that is not a chunk, events and pages; a chunk is stepped over: it was read through the pyramid. */
static int verify_records(struct trace_reader *r, struct err *reterr) {
    for (uint64_t at = r->body; at < r->size;) {
        struct trace_record rec = {0};
        int rc = trace_read_at(r, at, &rec, sizeof rec, reterr);
        bool chunk = rc == 0 && rec.sync == TRACE_SYNC && rec.type == TRACE_T_CHUNK && rec.len <= r->size - at - sizeof rec;
        if (!chunk)
            rc = trace_read_record(r, at, &rec, reterr);
        if (rc < 0 && rc != JF_E_CORRUPT)
            return rc;
        if (rc < 0)
            (void)trace_mark_bad(r, at);
        at = rc < 0 ? trace_find_sync(r, at + 1, r->size) : at + sizeof rec + rec.len;
    }
    return 0;
}

int trace_reader_verify(struct trace_reader *r, int *ret_bad, struct err *reterr) {
    int rc = trace_each_leaf(r, INT64_MIN, INT64_MAX, verify_leaf, r, reterr);
    if (rc == 0 && r->info.complete)
        rc = verify_records(r, reterr);
    *ret_bad = r->info.n_bad;
    return rc;
}

/* ---- iteration -------------------------------------------------------------------------------------------- */
struct each {
    struct trace_reader *r;
    unsigned want;
    measure_block_fn *fn;
    void *user;
};

static int emit_gap(const struct each *e, const struct trace_leaf *l) {
    int64_t from = l->first, count = l->count;
    while (count > 0) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        struct measure_block b = {.first = from, .count = n, .flags = MEASURE_GAP};
        int rc = e->fn(e->user, &b);
        if (rc < 0)
            return rc;
        from += n;
        count -= n;
    }
    return 0;
}

/* A chunk that fails its check is a GAP. */
static int each_leaf(void *user, const struct trace_leaf *l, struct err *reterr) {
    struct each *e = user;
    struct measure_block b = {0};
    if (l->flags & MEASURE_GAP)
        return emit_gap(e, l);
    int rc = trace_chunk_load(e->r, l, e->want, &b, reterr);
    if (rc == JF_E_CORRUPT)
        return emit_gap(e, l);
    return rc < 0 ? rc : e->fn(e->user, &b);
}

static int reader_each(void *self, int64_t from, int64_t to, unsigned want, measure_block_fn *fn, void *user, struct err *reterr) {
    struct each e = {self, want, fn, user};
    return trace_each_leaf(self, from, to, each_leaf, &e, reterr);
}

void trace_reader_source(struct trace_reader *r, struct measure_source *ret_src) {
    *ret_src = (struct measure_source){.each = reader_each, .self = r};
}

/* ---- events ----------------------------------------------------------------------------------------------- */
/* Follows the chain of events records, each of which must stand before the one that named it. */
static int chain_events(struct trace_reader *r, struct err *reterr) {
    uint64_t limit = r->size;
    size_t n = 0;
    for (uint64_t at = r->events_offset; at != 0;) {
        struct trace_record rec = {0};
        if (at >= limit || at < r->body)
            return trace_corrupt(reterr, at, "the list of events contradicts itself");
        int rc = trace_read_record(r, at, &rec, reterr);
        if (rc < 0)
            return rc;
        size_t here = rec.len / sizeof(uint64_t);
        if (rec.type != TRACE_T_EVENTS || here < 2 || here > 1 + TRACE_EVENTS || rec.len % sizeof(uint64_t) != 0)
            return trace_corrupt(reterr, at, "not a list of events");
        for (size_t k = here; k-- > 1 && rc == 0;) { /* backwards; turned round below */
            uint64_t offset;
            memcpy(&offset, r->payload.data + k * sizeof offset, sizeof offset);
            rc = trace_add_event(r, offset);
        }
        if (rc < 0)
            return err_set(reterr, rc, "no memory for the trace's events");
        limit = at;
        memcpy(&at, r->payload.data, sizeof at);
    }
    for (n = 0; n < r->n_events / 2; n++) {
        uint64_t t = r->events[n];
        r->events[n] = r->events[r->n_events - 1 - n];
        r->events[r->n_events - 1 - n] = t;
    }
    return 0;
}

static int know_events(struct trace_reader *r, struct err *reterr) {
    if (r->events_known)
        return 0;
    int rc = chain_events(r, reterr);
    if (rc == JF_E_CORRUPT) { /* the list is damaged: they are looked for */
        struct trace_node whole;
        r->n_events = 0;
        r->info.n_bad++;
        rc = trace_rebuild(r, r->body, r->size, NULL, &whole, reterr);
    }
    r->events_known = rc == 0;
    return rc;
}

static int load_event(struct trace_reader *r, uint64_t offset, json_t **ret_event, struct err *reterr) {
    struct trace_record rec = {0};
    int rc = trace_read_record(r, offset, &rec, reterr);
    if (rc < 0)
        return rc == JF_E_CORRUPT ? trace_mark_bad(r, offset) : rc;
    json_t *j = rec.type == TRACE_T_EVENT ? json_loadb((const char *)r->payload.data, r->payload.len, JSON_ALLOW_NUL, NULL) : NULL;
    if (!json_is_object(j)) {
        json_decref(j);
        (void)trace_corrupt(reterr, offset, "not an event");
        return trace_mark_bad(r, offset);
    }
    *ret_event = j;
    return 0;
}

int trace_reader_events(struct trace_reader *r, int (*fn)(void *user, const json_t *event), void *user, struct err *reterr) {
    int rc = know_events(r, reterr);
    for (size_t i = 0; rc == 0 && i < r->n_events; i++) {
        json_t *j = NULL;
        rc = load_event(r, r->events[i], &j, reterr);
        if (rc == JF_E_CORRUPT) {
            rc = 0;
            continue;
        }
        if (rc < 0)
            return rc;
        rc = fn(user, j);
        json_decref(j);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static bool is_capture(const json_t *event) {
    const char *kind = json_string_value(json_object_get(event, "kind"));
    return kind && strcmp(kind, TRACE_EVENT_CAPTURE) == 0;
}

/* The last event of that kind: where the footer says it is, or the last one found. NULL in *ret_event: none. */
static int find_capture(struct trace_reader *r, json_t **ret_event, struct err *reterr) {
    json_t *j = NULL;
    *ret_event = NULL;
    if (r->capture_offset != 0 && load_event(r, r->capture_offset, &j, reterr) == 0 && is_capture(j)) {
        *ret_event = j;
        return 0;
    }
    json_decref(j);
    int rc = know_events(r, reterr);
    for (size_t i = r->n_events; rc == 0 && i-- > 0;) {
        rc = load_event(r, r->events[i], &j, reterr);
        if (rc == 0 && is_capture(j)) {
            *ret_event = j;
            return 0;
        }
        if (rc == 0)
            json_decref(j);
        rc = rc == JF_E_CORRUPT ? 0 : rc;
    }
    return rc;
}

int trace_reader_capture(struct trace_reader *r, struct measure_capture *ret_cap, struct measure_config *ret_cfg, struct err *reterr) {
    json_t *j;
    int rc = find_capture(r, &j, reterr);
    if (rc < 0)
        return rc;
    if (!j) {
        const char *origin = json_string_value(json_object_get(r->info_object, "origin"));
        if (origin && strcmp(origin, "imported") == 0)
            return err_set(reterr, JF_E_NOT_FOUND, "the samples are of an imported session, whose windows its runner's rule defines: import or export the session itself");
        return err_set(reterr, JF_E_NOT_FOUND, "the trace holds no description of the capture (its run did not end)");
    }
    const json_t *data = json_object_get(j, "data");
    if (ret_cap)
        rc = measure_capture_from_json(json_object_get(data, "capture"), ret_cap, reterr);
    if (rc == 0 && ret_cfg)
        rc = measure_config_from_json(json_object_get(data, "config"), ret_cfg, reterr);
    json_decref(j);
    return rc;
}
