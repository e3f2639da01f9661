/* SPDX-License-Identifier: GPL-2.0-or-later
 * Any bytes as a trace file: opened, checked, looked at, summed, read, analysed by each rule. Inputs of even length get their checksums made
 * right first, from the inside out, so that what is behind them is reached; those of odd length are taken as they are. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32.h"
#include "measure/trace/format.h"
#include "measure/trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok)
        abort();
}

static void put32(uint8_t *p, uint32_t v) {
    memcpy(p, &v, sizeof v);
}

static void right_chunk(uint8_t *p, size_t n) {
    struct trace_chunk h;
    size_t at = sizeof h;
    if (n < sizeof h)
        return;
    memcpy(&h, p, sizeof h);
    size_t entries = (size_t)h.n_entries * sizeof(struct trace_entry);
    if (entries <= n - at) {
        h.crc_entries = crc32c_update(0, p + at, entries);
        at += entries;
    }
    for (int c = 0; c < TRACE_N_CHANNELS && h.len[c] <= n - at; c++) {
        size_t front = c < 2 ? (h.front[c] <= h.len[c] ? h.front[c] : h.len[c]) : h.len[c], left = h.len[c] - front, from = 0;
        size_t blocks = h.count <= TRACE_CHUNK ? (h.count + TRACE_BLOCK - 1) / TRACE_BLOCK : 0;
        for (size_t k = 0; c < 2 && h.enc[c] == TRACE_E_BLOCKS && k < blocks && (blocks - k) * sizeof(struct trace_block) <= front; k++) {
            struct trace_block b;
            uint8_t *t = p + at + front - (blocks - k) * sizeof b;
            memcpy(&b, t, sizeof b);
            if (b.end < from || b.end > left)
                break;
            b.crc = crc32c_update(0, p + at + front + from, b.end - from);
            memcpy(t, &b, sizeof b);
            from = b.end;
        }
        h.crc[c] = crc32c_update(0, p + at, front);
        at += h.len[c];
    }
    h.crc_head = crc32c_update(0, &h, offsetof(struct trace_chunk, crc_head));
    memcpy(p, &h, sizeof h);
}

static void right_page(uint8_t *p, size_t n) {
    struct trace_page h;
    if (n < sizeof h)
        return;
    memcpy(&h, p, sizeof h);
    size_t groups = (size_t)h.n_groups * sizeof(struct trace_group), tiles = (size_t)h.n_tiles * sizeof(struct trace_entry);
    size_t children = (size_t)h.n * (h.level == 1 ? sizeof(struct trace_leaf) : sizeof(struct trace_node));
    if (groups + children + tiles == n - sizeof h) {
        h.crc_groups = crc32c_update(0, p + sizeof h, groups);
        h.crc_children = crc32c_update(0, p + sizeof h + groups, children);
        h.crc_tiles = crc32c_update(0, p + sizeof h + groups + children, tiles);
    }
    h.crc_head = crc32c_update(0, &h, offsetof(struct trace_page, crc_head));
    memcpy(p, &h, sizeof h);
}

static void right_checksums(uint8_t *p, size_t size) {
    for (size_t at = 8; at + sizeof(struct trace_record) <= size;) {
        struct trace_record rec;
        memcpy(&rec, p + at, sizeof rec);
        size_t room = size - at - sizeof rec;
        uint8_t *payload = p + at + sizeof rec;
        if (rec.sync != TRACE_SYNC || rec.len > room) {
            at++;
            continue;
        }
        if (rec.type == TRACE_T_CHUNK)
            right_chunk(payload, rec.len);
        else if (rec.type == TRACE_T_INDEX)
            right_page(payload, rec.len);
        put32(p + at + 12, crc32c_update(crc32c_update(0, p + at + 4, 8), payload, rec.len));
        at += sizeof rec + rec.len;
    }
}

struct seen {
    int64_t end;
    double sum;
    int calls;
};

static int see_block(void *user, const struct measure_block *b) {
    struct seen *s = user;
    check(b->count > 0 && b->first >= s->end && b->first <= TRACE_MAX_INDEX);
    check(++s->calls < (1 << 22));
    s->end = b->first + b->count;
    for (uint32_t k = 0; !(b->flags & MEASURE_GAP) && k < b->count; k++)
        s->sum += (double)b->current_a[k] + (b->voltage_v ? (double)b->voltage_v[k] : 0) + (b->markers ? b->markers[k] : 0) +
                  (b->range ? b->range[k] : 0) + (b->quality ? b->quality[k] : 0);
    for (uint32_t k = 0; b->stamps && k < b->n_stamps; k++)
        s->sum += (double)b->stamps[k].end;
    return 0;
}

static int see_event(void *user, const json_t *event) {
    (void)user;
    check(json_is_object(event));
    return 0;
}

static void look(struct trace_reader *r) {
    static const double spans[][2] = {{(double)NAN, (double)NAN}, {0.01, 0.05}, {0.013, 0.01301}, {0, 1}, {-1, 1e9}};
    struct err e = {0};
    struct trace_info in;
    struct trace_stats st;
    struct measure_source src;
    struct seen s = {.end = -TRACE_MAX_INDEX};
    int bad = 0;
    trace_reader_info(r, &in);
    check(in.end >= in.first && in.n_bad >= 0);
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        json_t *v = NULL;
        if (trace_stats(r, spans[i][0], spans[i][1], &st, &e) == 0)
            json_decref(trace_stats_json(&st));
        if (trace_view(r, spans[i][0], spans[i][1], i == 2 ? 2000 : 37, &v, &e) == 0)
            json_decref(v);
    }
    trace_reader_source(r, &src);
    (void)(src.each(src.self, INT64_MIN / 4, INT64_MAX / 4, ~0u, see_block, &s, &e) < 0);
    (void)(trace_reader_events(r, see_event, NULL, &e) < 0);
    (void)(trace_reader_verify(r, &bad, &e) < 0);
    json_decref(trace_info_json(r));
}

static void analyse(const char *path, enum measure_rule rule) {
    struct err e = {0};
    struct measure_config cfg;
    struct measure_result *res = malloc(sizeof *res);
    measure_config_init(&cfg);
    cfg.rule = rule;
    cfg.draws = 100;
    if (res)
        (void)(trace_analyse(path, &cfg, NULL, res, &e) < 0);
    free(res);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err e = {0};
    struct trace_reader *r;
    uint8_t *bytes = malloc(size ? size : 1);
    int fd = memfd_create("trace", MFD_CLOEXEC);
    char path[64];
    check(bytes != NULL && fd >= 0);
    memcpy(bytes, data, size);
    if (size % 2 == 0)
        right_checksums(bytes, size);
    check(write(fd, bytes, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (trace_reader_open(path, &r, &e) == 0) {
        look(r);
        trace_reader_close(r);
        analyse(path, MEASURE_RULE_EDGE);
        analyse(path, MEASURE_RULE_EEMBC);
        analyse(path, MEASURE_RULE_MLCOMMONS);
    }
    (void)close(fd);
    free(bytes);
    return 0;
}
