/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2 codec against values worked out from the documented formula with exact fractions (given beside each), and
 * against streams whose words are put together here, field by field, from the documented bit positions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/power/ppk2/ppk2_proto.h"

/* cmocka's own comparison is in single precision. */
#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (double)(tolerance))

/* R = nominal values as Nordic's code has them, everything else neutral. */
static struct ppk2_cal neutral(void) {
    struct ppk2_cal c = {.vdd_v = 3.3};
    const double r[PPK2_RANGES] = {1031.64, 101.65, 10.15, 0.94, 0.043};
    for (int i = 0; i < PPK2_RANGES; i++) {
        c.mod[PPK2_R][i] = r[i];
        c.mod[PPK2_GS][i] = c.mod[PPK2_GI][i] = c.mod[PPK2_UG][i] = 1;
    }
    return c;
}

static void test_conversion(void **state) {
    (void)state;
    struct ppk2_cal c = neutral();
    /* field 1000, range 2: x = 4000*1.8/163840/10.15; I = x*(x+1) = 4.3483327658106e-3 */
    assert_near(ppk2_convert(&c, 1000, 2), 0.0043483327658106015, 1e-15);
    /* field 250, range 0: 1.0649495097710012e-5 */
    assert_near(ppk2_convert(&c, 250, 0), 1.0649495097710012e-5, 1e-18);
    /* field 5000, range 3, O 120, GS 0.98, GI 1.02, S 2e-5, I -3e-5, UG 1.01, 3.3 V: 0.2928379267038732 */
    c.mod[PPK2_O][3] = 120;
    c.mod[PPK2_GS][3] = 0.98;
    c.mod[PPK2_GI][3] = 1.02;
    c.mod[PPK2_S][3] = 2e-5;
    c.mod[PPK2_I][3] = -3e-5;
    c.mod[PPK2_UG][3] = 1.01;
    assert_near(ppk2_convert(&c, 5000, 3), 0.2928379267038732, 1e-13);
}

static void test_commands(void **state) {
    (void)state;
    uint8_t b[PPK2_COMMAND_MAX];
    size_t n = 0;
    assert_int_equal(ppk2_encode(PPK2_START, b), 1);
    assert_int_equal(b[0], 0x06);
    assert_int_equal(ppk2_encode(PPK2_STOP, b), 1);
    assert_int_equal(b[0], 0x07);
    assert_int_equal(ppk2_encode(PPK2_METADATA, b), 1);
    assert_int_equal(b[0], 0x19);
    assert_int_equal(ppk2_encode(PPK2_OUTPUT_ON, b), 2);
    assert_memory_equal(b, "\x0c\x01", 2);
    assert_int_equal(ppk2_encode(PPK2_OUTPUT_OFF, b), 2);
    assert_memory_equal(b, "\x0c\x00", 2);
    assert_int_equal(ppk2_encode(PPK2_MODE_AMPERE, b), 2);
    assert_memory_equal(b, "\x11\x01", 2);
    assert_int_equal(ppk2_encode(PPK2_MODE_SOURCE, b), 2);
    assert_memory_equal(b, "\x11\x02", 2);
    /* 3300 = 0x0CE4 */
    assert_int_equal(ppk2_encode_voltage(3300, b, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(b, "\x0d\x0c\xe4", 3);
    assert_int_equal(ppk2_encode_voltage(799, b, &n), JF_E_INVAL);
    assert_int_equal(ppk2_encode_voltage(5001, b, &n), JF_E_INVAL);
    assert_int_equal(ppk2_encode_voltage(800, b, &n), 0);
    assert_int_equal(ppk2_encode_voltage(5000, b, &n), 0);
}

#define FULL_META                                                                                                     \
    "Calibrated: 0\nR0: 1031.64\nR1: 101.65\nR2: 10.15\nR3: 0.94\nR4: 0.043\nGS0: 1\nGS1: 1\nGS2: 1\nGS3: 1\nGS4: 1\n" \
    "GI0: 1\nGI1: 1\nGI2: 1\nGI3: 1\nGI4: 1\nO0: 0\nO1: 0\nO2: 0\nO3: 0\nO4: 0\nVDD: 3700\nHW: 9173\nmode: 2\n"       \
    "S0: 0\nS1: 0\nS2: 0\nS3: 0\nS4: 0\nI0: 0\nI1: 0\nI2: 0\nI3: -1.5e-6\nI4: 0\nUG0: 1\nUG1: 1\nUG2: 1\nUG3: 1\n"

static void test_metadata(void **state) {
    (void)state;
    const char *text = FULL_META "UG4: 1\nIA: 56\nEND\n";
    struct ppk2_meta m;
    char missing[64];
    assert_true(ppk2_meta_complete(text, strlen(text)));
    assert_false(ppk2_meta_complete(text, strlen(text) - 5));
    assert_int_equal(ppk2_meta_parse(text, strlen(text), &m, NULL), 0);
    assert_int_equal(ppk2_meta_missing(&m, missing, sizeof missing), 0);
    assert_true(m.have_calibrated);
    assert_false(m.calibrated);
    assert_near(m.vdd_mv, 3700, 0);
    assert_near(m.mod[PPK2_R][0], 1031.64, 1e-12);
    assert_near(m.mod[PPK2_R][4], 0.043, 1e-17);
    assert_near(m.mod[PPK2_I][3], -1.5e-6, 1e-21);
}

/* A value that is missing or not a number must never become a default. */
static void test_metadata_missing(void **state) {
    (void)state;
    static const struct {
        const char *tail, *missing;
        int n;
    } cases[] = {
        {"END\n", "UG4", 1},
        {"UG4: -nan\nEND\n", "UG4", 1},
        {"UG4: nan\nEND\n", "UG4", 1},
        {"UG4: inf\nEND\n", "UG4", 1},
        {"UG4: 0\nEND\n", "UG4", 1},
        {"UG4:\nEND\n", "UG4", 1},
        {"UG4: 1.0x\nEND\n", "UG4", 1},
        {"UG4: 0x1\nEND\n", "UG4", 1},
        {"UG4: 1,05\nEND\n", "UG4", 1},
        {"UG4: 1\nR2: 11\nEND\n", "R2", 1}, /* said twice, differently */
        {"UG4: 1\nR2: 10.15\nEND\n", "", 0}, /* said twice, alike */
        {"UG4: 1\r\nEND\r\n", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048], missing[64];
        struct ppk2_meta m;
        (void)snprintf(text, sizeof text, "%s%s", FULL_META, cases[i].tail);
        assert_int_equal(ppk2_meta_parse(text, strlen(text), &m, NULL), 0);
        assert_int_equal(ppk2_meta_missing(&m, missing, sizeof missing), cases[i].n);
        assert_string_equal(missing, cases[i].missing);
    }
    struct ppk2_meta m;
    assert_int_equal(ppk2_meta_parse("R0: 1\n", 6, &m, NULL), JF_E_PROTOCOL);
    assert_int_equal(ppk2_meta_parse("END\n", 4, &m, NULL), JF_E_PROTOCOL);
    assert_int_equal(ppk2_meta_parse("", 0, &m, NULL), JF_E_PROTOCOL);
}

/* --- streams: bits 0-13 converter, 14-16 range, 18-23 counter, 24-31 D0-D7, little-endian ---------------------- */
struct bytes {
    uint8_t at[32768];
    size_t n;
};
static void put_word(struct bytes *b, unsigned field, unsigned range, unsigned counter, unsigned lines) {
    b->at[b->n++] = (uint8_t)(field & 0xFF);
    b->at[b->n++] = (uint8_t)((field >> 8 & 0x3F) | (range & 3) << 6);
    b->at[b->n++] = (uint8_t)((range >> 2 & 1) | (counter & 63) << 2);
    b->at[b->n++] = (uint8_t)lines;
}
/* n words; the field carries the low 12 bits of the true index, so that order and loss can be checked. */
static void put_run(struct bytes *b, unsigned from, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        put_word(b, (from + i) & 0xFFF, 0, from + i, (from + i) & 0xFF);
    }
}

struct seen {
    unsigned samples, holes, missing, max_left;
    bool clipped, changed;
    uint8_t lines[16384];
    uint8_t is_hole[16384]; /* by cell of the time line */
    unsigned cells;
};
/* Feeds the bytes in pieces of `piece` and lays samples and holes on one time line. */
static int run(const struct bytes *b, size_t piece, struct seen *s, struct ppk2_stream *st) {
    static struct ppk2_cal cal;
    static struct ppk2_batch batch;
    uint8_t hold[PPK2_LOOKAHEAD + 32768];
    size_t have = 0;
    cal = neutral();
    memset(s, 0, sizeof *s);
    ppk2_stream_init(st, &cal);
    for (size_t at = 0; at < b->n;) {
        size_t take = b->n - at < piece ? b->n - at : piece;
        memcpy(hold + have, b->at + at, take);
        have += take;
        at += take;
        for (int guard = 0;; guard++) {
            size_t used = 0;
            assert_true(guard < 40000); /* S2 */
            int r = ppk2_stream_next(st, hold, have, &used, &batch, NULL);
            if (r < 0) {
                return r;
            }
            assert_true(used <= have);
            memmove(hold, hold + used, have - used);
            have -= used;
            if (r == PPK2_NEED_MORE) {
                assert_true(have < PPK2_LOOKAHEAD); /* S3 */
                break;
            }
            for (uint32_t i = 0; i < batch.count; i++) {
                assert_true(s->cells < 16384);
                s->is_hole[s->cells] = r == PPK2_HOLE;
                s->lines[s->cells++] = r == PPK2_HOLE ? 0 : batch.lines[i];
            }
            s->samples += r == PPK2_SAMPLES ? batch.count : 0;
            s->holes += r == PPK2_HOLE ? 1 : 0;
            s->missing += r == PPK2_HOLE ? batch.count : 0;
            s->clipped = s->clipped || (r == PPK2_SAMPLES && batch.saturated);
            s->changed = s->changed || (r == PPK2_SAMPLES && batch.range_changed);
        }
    }
    return 0;
}
/* Every sample stands in its true cell: lines hold the low 8 bits of the index, cell 0 is index `base`. Right before a hole
 * a word may be made of two (see ppk2_stream.c): `beside` excuses it. */
static void check_cells_but(const struct seen *s, unsigned base, bool beside) {
    for (unsigned i = 0; i < s->cells; i++) {
        if (!s->is_hole[i] && !(beside && i + 1 < s->cells && s->is_hole[i + 1])) {
            assert_int_equal(s->lines[i], (base + i) & 0xFF);
        }
    }
}

static void check_cells(const struct seen *s, unsigned base) { check_cells_but(s, base, false); }

static struct bytes B;
static struct seen S;
static struct ppk2_stream ST;

static void test_stream_plain(void **state) {
    (void)state;
    static const size_t pieces[] = {1, 3, 4, 5, 64, 1000, 4096, 32768};
    B.n = 0;
    put_run(&B, 7, 5000);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(run(&B, pieces[i], &S, &ST), 0);
        assert_int_equal(S.holes, 0);
        assert_in_range(S.samples, 4998, 5000); /* the last word waits for its successor */
        assert_false(S.clipped);
        check_cells(&S, 7);
    }
}

static void test_stream_one_word(void **state) {
    (void)state;
    /* field 1000, range 2, counter 5, D = A5: 0x3E8 | 2<<14 | 5<<18 | 0xA5<<24 = A51483E8 */
    static const uint8_t first[4] = {0xE8, 0x83, 0x14, 0xA5};
    static struct ppk2_batch batch;
    struct ppk2_cal cal = neutral();
    struct ppk2_stream st;
    size_t used = 0;
    B.n = 0;
    memcpy(B.at, first, 4);
    B.n = 4;
    for (unsigned i = 1; i < 40; i++) {
        put_word(&B, 16383, i % 5, 5 + i, 0);
    }
    ppk2_stream_init(&st, &cal);
    assert_int_equal(ppk2_stream_next(&st, B.at, B.n, &used, &batch, NULL), PPK2_SAMPLES);
    assert_int_equal(batch.lines[0], 0xA5);
    assert_int_equal(batch.range[0], 2);
    assert_int_equal(batch.saturated_at[0], 0);
    assert_near((double)batch.current_a[0], 0.0043483327658106015, 1e-9);
    assert_int_equal(batch.saturated_at[1], 1); /* 3FFF is a bound */
    assert_true(batch.saturated);
    assert_true(batch.range_changed);
}

/* Lost words: the hole is what the counter shows, modulo 64, exactly (the vendor's formula is one short). */
static void test_stream_loss(void **state) {
    (void)state;
    static const struct {
        unsigned lost, shown;
    } cases[] = {{1, 1}, {2, 2}, {30, 30}, {63, 63}, {64, 0}, {65, 1}, {100, 36}, {128, 0}, {300, 44}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
            B.n = 0;
            put_run(&B, 0, 500);
            put_run(&B, 500 + cases[i].lost, 500);
            assert_int_equal(run(&B, piece, &S, &ST), 0);
            assert_int_equal(S.missing, cases[i].shown);
            assert_int_equal(S.holes, cases[i].shown ? 1 : 0);
            assert_in_range(S.samples, 998, 1000);
            if (cases[i].lost < 64) {
                check_cells(&S, 0);
            }
        }
    }
}

/* Bytes lost, not in fours: framing shifts; every sample afterwards must be right and stand in its true cell. */
static void test_stream_byte_loss(void **state) {
    (void)state;
    for (unsigned lost = 1; lost < 12; lost++) {
        for (unsigned offset = 0; offset < 4; offset++) {
            B.n = 0;
            put_run(&B, 0, 1000);
            size_t at = 500 * 4 + offset;
            memmove(B.at + at, B.at + at + lost, B.n - at - lost);
            B.n -= lost;
            assert_int_equal(run(&B, 777, &S, &ST), 0);
            check_cells_but(&S, 0, lost % 4 == 0);
            assert_in_range(S.missing, 1, 5); /* the damaged words, and at most one sound neighbour */
            assert_in_range(S.cells, 998, 1000);
            assert_int_equal(ST.resyncs, lost % 4 ? 1 : 0);
        }
    }
}

static void test_stream_start_out_of_step(void **state) {
    (void)state;
    for (unsigned junk = 1; junk < 9; junk++) {
        B.n = 0;
        for (unsigned i = 0; i < junk; i++) {
            B.at[B.n++] = (uint8_t)(0x5A + 77 * i);
        }
        put_run(&B, 0, 300);
        assert_int_equal(run(&B, 100, &S, &ST), 0);
        assert_int_equal(S.missing, 0); /* what came before the first sample is not a loss */
        assert_in_range(S.samples, 298, 300);
        check_cells(&S, 0);
    }
}

/* One damaged word, and a word of a range that does not exist: a hole of one, nothing else. */
static void test_stream_damaged_word(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        B.n = 0;
        put_run(&B, 0, 200);
        if (kind < 3) {
            put_word(&B, 0, 5 + kind, 200, 200);
        } else {
            put_word(&B, 0, 0, 200 + 21, 200);
        }
        put_run(&B, 201, 200);
        assert_int_equal(run(&B, 333, &S, &ST), 0);
        assert_int_equal(S.missing, 1);
        check_cells(&S, 0);
    }
}

static void test_stream_noise(void **state) {
    (void)state;
    uint32_t x = 12345;
    B.n = 0;
    for (unsigned i = 0; i < 4000; i++) {
        x = x * 1664525u + 1013904223u;
        B.at[B.n++] = (uint8_t)(x >> 24);
    }
    put_run(&B, 0, 1000);
    assert_int_equal(run(&B, 512, &S, &ST), 0);
    assert_in_range(S.samples, 990, 1000);
    /* noise without an end is an error, not a wait for ever */
    static struct ppk2_batch batch;
    struct ppk2_cal cal = neutral();
    struct ppk2_stream st;
    ppk2_stream_init(&st, &cal);
    int r = 0;
    for (int i = 0; i < 200 && r >= 0; i++) {
        for (size_t k = 0; k < 1024; k++) {
            x = x * 1664525u + 1013904223u;
            B.at[k] = (uint8_t)(x >> 24);
        }
        for (size_t at = 0, used = 0;; at += used) {
            r = ppk2_stream_next(&st, B.at + at, 1024 - at, &used, &batch, NULL);
            if (r <= PPK2_NEED_MORE) {
                break;
            }
        }
    }
    assert_int_equal(r, JF_E_PROTOCOL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversion),        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_metadata),          cmocka_unit_test(test_metadata_missing),
        cmocka_unit_test(test_stream_plain),      cmocka_unit_test(test_stream_one_word),
        cmocka_unit_test(test_stream_loss),       cmocka_unit_test(test_stream_byte_loss),
        cmocka_unit_test(test_stream_start_out_of_step), cmocka_unit_test(test_stream_damaged_word),
        cmocka_unit_test(test_stream_noise),
    };
    return cmocka_run_group_tests_name("ppk2_proto", tests, NULL, NULL);
}
