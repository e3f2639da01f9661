/* SPDX-License-Identifier: GPL-2.0-or-later
 * The measuring head of one virtual PPK2: its calibration constants (drawn by serial seed, told in the metadata), its
 * five ranges, and the ADC word it forms from a current. Pure, no I/O. This is a second, independent implementation of
 * the published conversion, in the opposite direction to the driver's; nothing is shared with drivers/.
 * Source: Nordic pc-nrfconnect-ppk (constants, conversion), ppk2lab docs/protocol-spec.md (word layout). */
#ifndef SIM_PPK2_UNIT_H
#define SIM_PPK2_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/profile.h"

#define PPK2_RANGES 5
#define PPK2_ADC_FULL 0x3FFFu /* saturated: a lower bound, not a reading */

struct ppk2_calibration { /* exactly the numbers that the metadata prints */
    double r[PPK2_RANGES], gs[PPK2_RANGES], gi[PPK2_RANGES], o[PPK2_RANGES], s[PPK2_RANGES], i0[PPK2_RANGES], ug[PPK2_RANGES];
    int hw, ia;
};

struct ppk2_unit {
    struct ppk2_calibration cal;
    struct profile_rng rng;
    int range;
    int since_change; /* samples since the last range change, saturating */
    double change_sign; /* +1: went up in current */
    unsigned counter; /* 6 bit, of the next sample */
};

void ppk2_unit_init(struct ppk2_unit *ret_u, uint64_t seed);
/* The metadata answer, 40 lines and END; returns its length (< cap, else 0). mode 1 ampere, 2 source. */
size_t ppk2_unit_metadata(const struct ppk2_unit *u, int vdd_mv, int mode, char *out, size_t cap);
/* One sample: true mean current of its 10 us, logic levels; moves range and counter on. Little-endian word value. */
uint32_t ppk2_unit_word(struct ppk2_unit *u, const struct profile *p, double current_a, double vdd_v, uint8_t logic, bool saturate);

#endif
