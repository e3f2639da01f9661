/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2's spike filter. Pure. */
#include "measure/spike.h"

#include <string.h>

#define WEIGHT 0.18
#define WEIGHT_SLOW 0.06
#define REPLACED 3
#define SLOW_RANGE 4
#define KEPT_OUT 2

void spike_init(struct spike_filter *f) {
    *f = (struct spike_filter){.last_range = -1, .since_change = -1};
}

static void enter(struct spike_filter *f, double x) {
    f->average = f->started ? WEIGHT * x + (1 - WEIGHT) * f->average : x;
    f->slow = f->started ? WEIGHT_SLOW * x + (1 - WEIGHT_SLOW) * f->slow : x;
    f->started = true;
}

static void fold_tail(struct spike_filter *f) {
    for (int k = 0; k < f->n_tail; k++)
        enter(f, (double)f->tail[k]);
    f->n_tail = 0;
}

bool spike_sample(struct spike_filter *f, double current_a, int range, double *ret_a) {
    fold_tail(f);
    if (f->last_range >= 0 && range != f->last_range) {
        f->since_change = 0;
        f->replace = REPLACED;
    } else if (f->since_change >= 0) {
        f->since_change++;
    }
    f->last_range = range;
    bool replaced = f->replace > 0, kept_out = replaced && range == SLOW_RANGE && f->since_change < KEPT_OUT;
    if (!kept_out)
        enter(f, current_a);
    f->replace -= replaced;
    *ret_a = !replaced ? current_a : range == SLOW_RANGE ? f->slow : f->average;
    return replaced;
}

void spike_run(struct spike_filter *f, const float *current_a, int64_t n) {
    if (n >= SPIKE_MEMORY) {
        memcpy(f->tail, current_a + (n - SPIKE_MEMORY), sizeof f->tail);
        f->n_tail = SPIKE_MEMORY;
    } else if (n > 0) {
        if (f->n_tail + n > SPIKE_MEMORY)
            fold_tail(f);
        memcpy(f->tail + f->n_tail, current_a, (size_t)n * sizeof *f->tail);
        f->n_tail += (int)n;
    }
    if (n > 0 && f->since_change >= 0)
        f->since_change = SLOW_RANGE; /* long ago */
}
