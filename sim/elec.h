/* SPDX-License-Identifier: GPL-2.0-or-later
 * The electrical truth of one virtual board: what the board draws, what its marker pins do, and the exact
 * integrals of both. The board (sim/board*.c, CPU and peripherals) feeds it; instruments (sim/hmo.c, sim/ppk2.c) and
 * the truth file read it. One thread. Times are virtual, int64 picoseconds since the process's start (15625 ps a
 * cycle at 64 MHz). Energies here come from the model at event times, never from instrument samples. */
#ifndef SIM_ELEC_H
#define SIM_ELEC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define ELEC_PS_PER_S INT64_C(1000000000000)

struct elec;

/* --- fed by the board ------------------------------------------------------------------------------------- */
/* The load drew charge_c (coulomb) in [from the last call's t_ps, t_ps): a constant-current segment. The board calls it at every
 * slice end and just before any marker, state or supply change, with t_ps not decreasing. Zero-length spans are ignored. */
void elec_advance(struct elec *e, int64_t t_ps, double charge_c);
/* Marker lines (bit k = line k, as wired) from t_ps on. Call elec_advance up to t_ps first. */
void elec_markers(struct elec *e, int64_t t_ps, uint8_t levels);
/* For the truth file: what the firmware is doing, as the board can see it (resets, sleep state). */
enum elec_note { ELEC_RESET, ELEC_SLEEP, ELEC_WAKE, ELEC_POWER_ON, ELEC_POWER_OFF, ELEC_SLIP, ELEC_UART_BUSY, ELEC_UART_IDLE };
void elec_note(struct elec *e, int64_t t_ps, enum elec_note note, double value);

/* --- asked by the board ----------------------------------------------------------------------------------- */
bool elec_supply_on(const struct elec *e); /* somebody feeds the DUT */
double elec_supply_v(const struct elec *e); /* at the DUT's pins now, droop included */

/* --- asked by instruments: t up to the last elec_advance; at least the last 12 s are kept ------------------- */
int64_t elec_now_ps(const struct elec *e);
double elec_current_mean_a(const struct elec *e, int64_t t0_ps, int64_t t1_ps); /* analyzer side: after shunt and C */
double elec_voltage_mean_v(const struct elec *e, int64_t t0_ps, int64_t t1_ps);
uint8_t elec_markers_at(const struct elec *e, int64_t t_ps); /* as the instrument's wires see them: marker faults included */

/* --- additions ---------------------------------------------------------------------------------------------------
 * The circuit: source (supply_v) - shunt_ohm - board pin with capacitance_f - load. Analyzer current i_a follows the
 * load's i_L by the first-order lag tau = shunt * C, solved exactly per segment; pin voltage = supply - shunt*i_a. */
#include "base/err.h"

struct faults;
struct elec_conf {
    double supply_v; /* of the supply at start */
    bool supply_on;
    double shunt_ohm, capacitance_f; /* 0, 0: ideal */
    struct faults *faults; /* borrowed; NULL: none */
};
int elec_new(const struct elec_conf *c, struct elec **ret_elec, struct err *reterr) JF_MUST_CHECK;
void elec_free(struct elec *e);

/* The supply's switch and setting, from elec_now_ps on (an analyzer that feeds the DUT, or the bench supply). */
void elec_supply_set(struct elec *e, bool on, double volt);
void elec_shunt_set(struct elec *e, double ohm); /* from now on: an analyzer changed its range */

/* Exact running integrals since the start, as unevaluated sums hi + lo. load: what the DUT took, at the pin's voltage;
 * pin: what came out of the analyzer, at the pin's voltage (equal when capacitance_f is 0). */
struct elec_sum {
    double hi, lo;
};
struct elec_totals {
    int64_t t_ps;
    struct elec_sum load_c, load_j, pin_c, pin_j;
};
double elec_sum_diff(struct elec_sum a, struct elec_sum b); /* a - b */
void elec_totals_now(const struct elec *e, struct elec_totals *ret_t);
/* At t in the kept history (clamped to it): exact, from the segments. */
void elec_totals_at(const struct elec *e, int64_t t_ps, struct elec_totals *ret_t);

/* Who writes the truth: called from inside elec_markers (before: old, levels: new; only on change) and elec_note. */
struct elec_observer {
    void (*markers)(void *ctx, int64_t t_ps, uint8_t before, uint8_t levels);
    void (*note)(void *ctx, int64_t t_ps, enum elec_note note, double value);
    void *ctx;
};
void elec_observe(struct elec *e, const struct elec_observer *o);

/* Means of one instrument cell, current and voltage at once; the cursor makes a rising sequence cheap (zero it first). */
struct elec_cursor {
    uint64_t segment, marker;
};
void elec_cell(const struct elec *e, struct elec_cursor *cur, int64_t t0_ps, int64_t t1_ps, double *ret_a, double *ret_v);
/* Constant stretch at t0: its values and its end; the end is t0 itself where the current is not constant (RC). */
int64_t elec_flat(const struct elec *e, struct elec_cursor *cur, int64_t t0_ps, double *ret_a, double *ret_v);
/* elec_markers_at for rising t; *ret_until: these levels hold for all t < *ret_until (at most elec_now_ps). */
uint8_t elec_cursor_markers(const struct elec *e, struct elec_cursor *cur, int64_t t_ps, int64_t *ret_until);
uint8_t elec_markers_true(const struct elec *e); /* now, without wire faults */
int64_t elec_history_from_ps(const struct elec *e);

#endif
