/* SPDX-License-Identifier: GPL-2.0-or-later
 * A board on the real electrical model, for tests: programs are written through the debugger's access port. */
#ifndef TESTS_SIM_BOARD_RIG_H
#define TESTS_SIM_BOARD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim/board.h"
#include "tests/unit/sim/board_images.h"

#define US INT64_C(1000000)
#define MS INT64_C(1000000000)

struct sent {
    struct board *board;
    uint8_t byte[64];
    int64_t at_ps[64];
    size_t n;
};
struct rig_seen {
    int64_t marker_ps[64];
    uint8_t marker[64];
    size_t n_markers;
    int64_t note_ps[64];
    enum elec_note note[64];
    double note_value[64];
    size_t n_notes;
};
struct rig {
    struct elec *elec;
    struct faults *faults;
    struct board *board;
    struct sent sent;
    struct rig_seen seen;
};

static inline void rig_sent(void *ctx, uint8_t byte) {
    struct sent *s = ctx;
    if (s->n < 64) {
        s->at_ps[s->n] = board_now_ps(s->board);
        s->byte[s->n++] = byte;
    }
}
static inline void rig_marker(void *ctx, int64_t t_ps, uint8_t before, uint8_t levels) {
    (void)before;
    struct rig_seen *s = ctx;
    if (s->n_markers < 64) {
        s->marker_ps[s->n_markers] = t_ps;
        s->marker[s->n_markers++] = levels;
    }
}
static inline void rig_note(void *ctx, int64_t t_ps, enum elec_note note, double value) {
    struct rig_seen *s = ctx;
    if (s->n_notes < 64) {
        s->note_ps[s->n_notes] = t_ps;
        s->note_value[s->n_notes] = value;
        s->note[s->n_notes++] = note;
    }
}

static inline uint32_t rig_word(struct rig *r, uint32_t addr) {
    uint32_t v = 0;
    assert_true(board_mem_read(r->board, addr, 4, (uint8_t *)&v, 4));
    return v;
}
static inline void rig_poke(struct rig *r, uint32_t addr, uint32_t v) { assert_true(board_mem_write(r->board, addr, 4, (const uint8_t *)&v, 4)); }
static inline void rig_run(struct rig *r, int64_t ps) { board_run_until(r->board, board_now_ps(r->board) + ps); }

static inline struct rig *rig_new(double supply_v, bool supply_on) {
    static struct rig one;
    struct err e = {0};
    memset(&one, 0, sizeof one);
    assert_int_equal(faults_new(&one.faults, &e), 0);
    struct elec_conf ec = {.supply_v = supply_v, .supply_on = supply_on, .faults = one.faults};
    assert_int_equal(elec_new(&ec, &one.elec, &e), 0);
    struct elec_observer o = {.markers = rig_marker, .note = rig_note, .ctx = &one.seen};
    elec_observe(one.elec, &o);
    struct board_conf bc = {.elec = one.elec, .faults = one.faults, .seed = 7, .uart_sent = rig_sent, .uart_ctx = &one.sent};
    assert_int_equal(board_pins_parse("PE2,PE3,PE4,PE5,PE6", bc.marker, &bc.n_markers, &e), 0);
    assert_int_equal(board_new(&bc, &one.board, &e), 0);
    one.sent.board = one.board;
    return &one;
}
static inline void rig_free(struct rig *r) {
    board_free(r->board);
    elec_free(r->elec);
    faults_free(r->faults);
}

#define FLASH_REG(r) (0x52002000u + (r))
/* Erases sector 0 and 1, programs n words at 08000000 and leaves the core halted. */
static inline void rig_program(struct rig *r, const uint32_t *image, size_t bytes) {
    uint32_t word[4];
    rig_run(r, US);
    rig_poke(r, 0xE000EDF0u, 0xA05F0003u);
    rig_poke(r, FLASH_REG(0x04), 0x45670123u);
    rig_poke(r, FLASH_REG(0x04), 0xCDEF89ABu);
    for (uint32_t s = 0; s < 2; s++) {
        rig_poke(r, FLASH_REG(0x0C), 4u | 0x20u | s << 6);
        rig_run(r, 3 * MS);
        assert_int_equal(rig_word(r, FLASH_REG(0x10)) & 0x0FFE0007u, 0);
    }
    rig_poke(r, FLASH_REG(0x0C), 2u);
    for (size_t at = 0; at < bytes; at += 16) {
        memset(word, 0xFF, sizeof word);
        memcpy(word, (const uint8_t *)image + at, bytes - at < 16 ? bytes - at : 16);
        assert_true(board_mem_write(r->board, 0x08000000u + (uint32_t)at, 4, (const uint8_t *)word, 16));
        rig_run(r, 25 * US);
    }
    rig_poke(r, FLASH_REG(0x0C), 0);
    rig_poke(r, FLASH_REG(0x0C), 1u);
    assert_int_equal(rig_word(r, FLASH_REG(0x10)) & 0x0FFE0007u, 0);
}
/* Programs and runs from reset, with the debugger released. */
static inline void rig_start(struct rig *r, const uint32_t *image, size_t bytes) {
    rig_program(r, image, bytes);
    rig_poke(r, 0xE000EDF0u, 0xA05F0000u);
    memset(&r->seen, 0, sizeof r->seen);
    rig_poke(r, 0xE000ED0Cu, 0x05FA0004u);
}
#define RIG_START(r, name) rig_start((r), image_##name, sizeof image_##name)

#endif
