/* SPDX-License-Identifier: GPL-2.0-or-later
 * The errors of a virtual instrument: what it adds to the electrical truth. All zero is an ideal instrument; a
 * realistic one is drawn by seed from the declared distributions (profile_spec), which the control socket tells
 * and sim/README.md documents. Pure. */
#ifndef SIM_PROFILE_H
#define SIM_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PROFILE_RANGES 5

struct profile {
    double gain[PROFILE_RANGES]; /* current, relative, per range (a scope uses [0]): reading = truth*(1+gain)+offset */
    double offset_a[PROFILE_RANGES];
    double noise_a[PROFILE_RANGES]; /* per sample, standard deviation */
    double voltage_gain; /* of the measured voltage (scope) or of the source against its setting (PPK2) */
    double voltage_offset_v;
    double voltage_noise_v;
    double rate_error; /* device clock: dt_true = dt_nominal * (1 + rate_error) */
    double clock_offset_s; /* delay of the first sample after start (PPK2) or trigger point error (scope) */
    bool switching; /* range switching disturbs samples (PPK2) */
};

enum profile_kind { PROFILE_SCOPE, PROFILE_PPK2 };

void profile_ideal(struct profile *ret_p);
void profile_draw(struct profile *ret_p, enum profile_kind kind, uint64_t seed);
/* The declared limits that profile_draw keeps to, as JSON; new reference. */
json_t *profile_spec(enum profile_kind kind);
json_t *profile_json(const struct profile *p); /* new reference */
/* Changes the members named in obj; all or nothing. JF_E_INVAL with where = the member. */
int profile_set(struct profile *p, const json_t *obj, struct err *reterr) JF_MUST_CHECK;

/* splitmix64/xoshiro256** generator, used for every random draw of the virtual bench's instruments. */
struct profile_rng {
    uint64_t s[4];
};
void profile_seed(struct profile_rng *r, uint64_t seed);
uint64_t profile_bits(struct profile_rng *r);
double profile_uniform(struct profile_rng *r); /* [0, 1) */
double profile_normal(struct profile_rng *r); /* mean 0, deviation 1 */

#endif
