/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2's spike filter, as a figure beside the raw one (never instead of it: it hides real edges at the very moment when a load
 * step changes the range). Pure.
 *
 * What the vendor's program does (facts from NordicSemiconductor/pc-nrfconnect-ppk, src/device/serialDevice.ts): two running
 * averages of the current, weights 0.18 and 0.06; the 3 samples from a change of range on are replaced by the average (the second one in range
 * 4); in range 4 the first two samples after the change do not enter the averages. */
#ifndef MEASURE_SPIKE_H
#define MEASURE_SPIKE_H

#include <stdbool.h>
#include <stdint.h>

#define SPIKE_MEMORY 256 /* 0.94^256 = 1.3e-7: what lies farther back no longer counts */

struct spike_filter {
    bool started;
    double average, slow; /* A */
    int last_range;
    int since_change; /* samples since the last change, the changed one being 0; -1: none yet */
    int replace; /* samples still to be replaced */
    int n_tail; /* the last samples, not yet in the averages: mostly nobody asks for them */
    float tail[SPIKE_MEMORY];
};

void spike_init(struct spike_filter *f);
/* One sample; true: it is replaced, *ret_a is what the filter says. */
bool spike_sample(struct spike_filter *f, double current_a, int range, double *ret_a);
/* n samples of the range that holds already, none of which would be replaced (f->replace == 0): only the last ones move the averages
 * by more than 1e-7 of a step, so only those are looked at. */
void spike_run(struct spike_filter *f, const float *current_a, int64_t n);

#endif
