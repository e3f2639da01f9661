/* SPDX-License-Identifier: GPL-2.0-or-later
 * The acquisition of the virtual oscilloscope: time base, trigger and sample memory, filled from the electrical model
 * as virtual time passes. No protocol here. One thread, never blocks. */
#ifndef SIM_HMO_ACQ_H
#define SIM_HMO_ACQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sim/elec.h"
#include "sim/profile.h"

#define HMO_DIVISIONS 12
#define HMO_MEMORY 2000000u /* samples per channel */
#define HMO_MAX_RATE 5e8

enum hmo_slope { HMO_FALLING, HMO_RISING, HMO_EITHER };
enum hmo_state { HMO_EMPTY, HMO_ARMED, HMO_FILLING, HMO_COMPLETE, HMO_BROKEN };

struct hmo_setup { /* of the next acquisition */
    double scale_s; /* per division, 1-2-5 */
    double position_s; /* of the trigger, right of the screen's middle is negative: record = [-T/2 + pos, T/2 + pos) */
    int trigger_line; /* pod line, -1: immediate */
    enum hmo_slope slope;
    bool automatic; /* trigger by itself after 100 ms without an edge */
};

struct hmo_acq {
    const struct elec *elec;
    struct profile profile;
    struct profile_rng rng;
    enum hmo_state state;
    struct hmo_setup setup; /* of the record */
    double rate_hz, cell_ps;
    size_t pre, count, filled;
    int64_t first; /* index of record sample 0 on the scope's free-running clock */
    int64_t armed_at, looked_until, trigger_at;
    int last_level;
    struct elec_cursor cursor;
    float *current, *voltage;
    uint8_t *pod;
};

int hmo_acq_init(struct hmo_acq *ret_a, const struct elec *e, const struct profile *p, uint64_t seed, struct err *reterr) JF_MUST_CHECK;
void hmo_acq_done(struct hmo_acq *a);
/* What a setup gives: 1-2-5 rate, the highest whose record fits the memory. */
double hmo_acq_rate(double scale_s);
void hmo_acq_arm(struct hmo_acq *a, const struct hmo_setup *s);
void hmo_acq_break(struct hmo_acq *a); /* STOP: what is not complete is lost */
void hmo_acq_step(struct hmo_acq *a, int64_t now_ps);

#endif
