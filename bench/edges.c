/* SPDX-License-Identifier: GPL-2.0-or-later
 * Marker samples to changes of level (bench/edges.h). The sample loop compares eight at a time. */
#include "bench/edges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/item.h"

#define RING_PUT_MS 4000 /* as the capture's blocks */

void edges_init(struct edges *ret_e, struct ring *ring) { *ret_e = (struct edges){.ring = ring, .first = -1}; }

void edges_done(struct edges *e) {
    json_decref(e->list);
    e->list = NULL;
}

int edges_flush(struct edges *e) {
    if (e->first < 0 || e->end == e->first) {
        return 0;
    }
    json_t *list = e->list ? e->list : json_array();
    e->list = NULL;
    json_t *data = json_pack("{s:I, s:I, s:o, s:I}", "first", (json_int_t)e->first, "end", (json_int_t)e->end, "edges", list, "host_raw_ns",
                             (json_int_t)e->host_raw_ns);
    struct item_event *ev = data ? calloc(1, sizeof *ev) : NULL;
    if (!ev) {
        json_decref(data);
        return JF_E_NOMEM;
    }
    ev->item.kind = ITEM_EVENT;
    ev->host_raw_ns = e->host_raw_ns;
    (void)snprintf(ev->word, sizeof ev->word, "second-edges");
    ev->data = data;
    e->first = e->end;
    int r = ring_put(e->ring, ev, RING_PUT_MS);
    if (r < 0) {
        json_decref(data);
        free(ev);
    }
    return r;
}

static int put(struct edges *e, int64_t n, uint8_t level, bool set) {
    e->list = e->list ? e->list : json_array();
    e->known = true;
    e->level = level;
    json_t *change = json_pack("[I, i, i]", (json_int_t)n, (int)level, set ? 1 : 0);
    return json_array_append_new(e->list, change) < 0 ? JF_E_NOMEM : 0;
}

int edges_take(struct edges *e, const struct power_block *b) {
    if (e->first < 0) {
        e->first = e->end = b->first;
    }
    e->period_s = b->period_s;
    int r = 0;
    if (b->flags & POWER_GAP) { /* a record speaks of samples only */
        r = edges_flush(e);
        e->first = e->end = b->first + b->count;
        e->known = false;
        return r;
    }
    if (!e->known) {
        r = put(e, b->first, b->markers[0], true);
    }
    for (uint32_t i = 0; r == 0 && i < b->count;) {
        uint64_t pattern = e->level * UINT64_C(0x0101010101010101), word;
        while (i + 8 <= b->count && (memcpy(&word, b->markers + i, 8), word == pattern)) {
            i += 8;
        }
        while (i < b->count && b->markers[i] == e->level) {
            i++;
        }
        if (i < b->count) {
            r = put(e, b->first + i, b->markers[i], false);
        }
    }
    e->end = b->first + b->count;
    e->host_raw_ns = b->host_raw_ns;
    bool due = (double)(e->end - e->first) * e->period_s >= 1 || json_array_size(e->list) >= EDGES_MAX;
    return r == 0 && due ? edges_flush(e) : r;
}
