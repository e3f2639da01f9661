/* SPDX-License-Identifier: GPL-2.0-or-later
 * Host clock against instrument clock: the map between them, and losses that no counter shows. Pure. */
#ifndef MEASURE_LOSS_H
#define MEASURE_LOSS_H

#include "measure/scan.h"

#define LOSS_MAX_STEPS 256
#define LOSS_LOOK_AHEAD 30 /* blocks in which a lift may still turn out to be latency */

struct loss_step {
    double from_s, to_s; /* the loss lies in this bracket of device time */
    double size_s;
};

struct hostmap {
    bool ok; /* at least two stamped blocks */
    int64_t base_ns;
    double offset_s, rate; /* host = device + offset + rate * device (+ steps before) */
    struct loss_step steps[LOSS_MAX_STEPS];
    int n_steps;
    double scatter_s; /* robust standard deviation of the minima, from neighbour to neighbour */
    double first_s, last_s; /* device times of the first and last minimum */
};

/* JF_E_NOMEM only. Without stamps ret->ok is false. */
int loss_fit(const struct scan *s, const struct measure_config *cfg, double period_s, struct hostmap *ret, struct err *reterr) JF_MUST_CHECK;
double hostmap_device_s(const struct hostmap *m, int64_t host_ns);

#endif
