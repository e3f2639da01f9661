/* SPDX-License-Identifier: GPL-2.0-or-later
 * A logic analyzer's samples to records of changes: whatever the samples and however they come in blocks, the records give them back exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/edges.h"
#include "bench/item.h"

#define N 60000

struct lab {
    struct ring *ring;
    struct edges e;
    uint8_t in[N], out[N];
    bool have[N];
    int records;
};

/* Plays the records in the ring back into out. */
static void play(struct lab *l) {
    void *item;
    while (ring_take(l->ring, 0, &item) == 0) {
        struct item_event *ev = item;
        const json_t *d = ev->data, *list = json_object_get(d, "edges");
        int64_t end = json_integer_value(json_object_get(d, "end")), n = json_integer_value(json_object_get(d, "first"));
        assert_int_equal(ev->item.kind, ITEM_EVENT);
        assert_string_equal(ev->word, "second-edges");
        assert_true(end > n);
        size_t i = 0;
        int level = n > 0 && l->have[n - 1] ? l->out[n - 1] : -1;
        for (; n < end; n++) {
            const json_t *c = json_array_get(list, i);
            if (c && json_integer_value(json_array_get(c, 0)) == n) {
                bool set = json_integer_value(json_array_get(c, 2)) != 0;
                assert_int_equal(set, level < 0); /* found anew exactly where nothing was known */
                level = (int)json_integer_value(json_array_get(c, 1));
                i++;
            }
            assert_true(level >= 0);
            l->out[n] = (uint8_t)level;
            l->have[n] = true;
        }
        assert_int_equal(i, json_array_size(list));
        assert_true(i <= EDGES_MAX + N);
        l->records++;
        json_decref(ev->data);
        free(ev);
    }
}

static void round_trip(void **state) {
    (void)state;
    static struct lab l;
    unsigned seed = 1;
    for (int round = 0; round < 4; round++) {
        memset(&l, 0, sizeof l);
        assert_int_equal(ring_new(64, &l.ring), 0);
        edges_init(&l.e, l.ring);
        for (int i = 0; i < N; i++) {
            seed = seed * 1103515245u + 12345u;
            l.in[i] = round == 0 ? 7 : (seed >> 16) % (round == 1 ? 500 : 3) == 0 ? (uint8_t)(seed >> 8) : i > 0 ? l.in[i - 1] : 0;
        }
        int64_t hole = round == 3 ? 20000 : -1;
        for (int64_t at = 0; at < N;) {
            seed = seed * 1103515245u + 12345u;
            uint32_t n = 1 + (seed >> 16) % 3000;
            n = at + n > N ? (uint32_t)(N - at) : n;
            bool gap = hole >= 0 && at <= hole && at + n > hole;
            struct power_block b = {.first = at, .count = n, .period_s = 1e-4, .host_raw_ns = 5, .flags = gap ? POWER_GAP : 0, .markers = gap ? NULL : l.in + at};
            assert_int_equal(edges_take(&l.e, &b), 0);
            for (uint32_t i = 0; gap && i < n; i++) {
                l.in[at + i] = 0; /* nothing is said of it */
            }
            at += n;
            play(&l);
        }
        assert_int_equal(edges_flush(&l.e), 0);
        assert_int_equal(edges_flush(&l.e), 0); /* nothing left: no record */
        play(&l);
        assert_memory_equal(l.in, l.out, N);
        int missing = 0;
        for (int i = 0; i < N; i++) {
            missing += !l.have[i];
        }
        assert_true(round == 3 ? missing > 0 : missing == 0);
        assert_true(l.records >= 5); /* a record a second at least: 6 s of samples */
        edges_done(&l.e);
        ring_free(l.ring);
    }
}

static void closed_ring(void **state) {
    (void)state;
    static struct lab l;
    memset(&l, 0, sizeof l);
    assert_int_equal(ring_new(4, &l.ring), 0);
    edges_init(&l.e, l.ring);
    struct power_block b = {.count = 100, .period_s = 1, .markers = l.in};
    ring_close(l.ring);
    assert_int_equal(edges_take(&l.e, &b), JF_E_GONE);
    edges_done(&l.e);
    ring_free(l.ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(closed_ring)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
