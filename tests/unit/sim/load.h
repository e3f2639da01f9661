/* SPDX-License-Identifier: GPL-2.0-or-later
 * A stand-in for the board: feeds elec with loads whose integrals are known in closed form. */
#ifndef TESTS_SIM_LOAD_H
#define TESTS_SIM_LOAD_H

#include "sim/elec.h"

#define MS (ELEC_PS_PER_S / 1000)
#define US (ELEC_PS_PER_S / 1000000)

/* Constant current for a span, in slices as the board makes them. */
static inline void load_for(struct elec *e, int64_t span_ps, int64_t slice_ps, double a) {
    int64_t end = elec_now_ps(e) + span_ps;
    while (elec_now_ps(e) < end) {
        int64_t now = elec_now_ps(e);
        int64_t next = now + slice_ps < end ? now + slice_ps : end;
        elec_advance(e, next, a * (double)(next - now) / (double)ELEC_PS_PER_S);
    }
}

static inline void load_mark(struct elec *e, uint8_t levels) { elec_markers(e, elec_now_ps(e), levels); }

/* A window by the phases scheme: n inferences, each 1 ms of input at 12 mA and 3 ms at 21 mA. Idle level of the lines
 * before and after: 0x01 (line 0 high, all else low) or, when n is even, line 1 toggled. */
#define WINDOW_INPUT_A 12e-3
#define WINDOW_RUN_A 21e-3
static inline void load_window(struct elec *e, int n, int64_t slice_ps) {
    unsigned toggle = elec_markers_true(e) & 2u;
    load_mark(e, (uint8_t)toggle);
    for (int k = 0; k < n; k++) {
        toggle ^= 2u;
        load_mark(e, (uint8_t)(toggle | 3u << 2));
        load_for(e, MS, slice_ps, WINDOW_INPUT_A);
        load_mark(e, (uint8_t)(toggle | 2u << 2));
        load_for(e, 3 * MS, slice_ps, WINDOW_RUN_A);
    }
    toggle ^= 2u;
    load_mark(e, (uint8_t)toggle);
    load_for(e, MS / 10, slice_ps, WINDOW_RUN_A); /* uncoded time: stage "other" */
    load_mark(e, (uint8_t)(toggle | 1u));
}

#endif
