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
enum elec_note { ELEC_RESET, ELEC_SLEEP, ELEC_WAKE, ELEC_POWER_ON, ELEC_POWER_OFF, ELEC_SLIP };
void elec_note(struct elec *e, int64_t t_ps, enum elec_note note, double value);

/* --- asked by the board ----------------------------------------------------------------------------------- */
bool elec_supply_on(const struct elec *e); /* somebody feeds the DUT */
double elec_supply_v(const struct elec *e); /* at the DUT's pins now, droop included */

/* --- asked by instruments: t up to the last elec_advance; at least the last 12 s are kept ------------------- */
int64_t elec_now_ps(const struct elec *e);
double elec_current_mean_a(const struct elec *e, int64_t t0_ps, int64_t t1_ps); /* analyzer side: after shunt and C */
double elec_voltage_mean_v(const struct elec *e, int64_t t0_ps, int64_t t1_ps);
uint8_t elec_markers_at(const struct elec *e, int64_t t_ps);

#endif
