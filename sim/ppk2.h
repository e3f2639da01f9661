/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2 front: a pty with the device's byte protocol, 100 kS/s of samples as virtual time passes, and the DUT's
 * supply. One thread, never blocks. What a real unit does and this one does, too: no acknowledgements; a stop that
 * takes effect late; a start right after a stop begins out of frame; a unit left streaming keeps streaming; the supply
 * drops 0.1-0.5 s after the port was closed; a reader that lags loses samples (the counter shows it, modulo 64). */
#ifndef SIM_PPK2_H
#define SIM_PPK2_H

#include "base/clock.h"
#include "base/err.h"
#include "sim/elec.h"
#include "sim/faults.h"
#include "sim/front.h"
#include "sim/profile.h"

struct ppk2_conf {
    const char *path; /* symlink to the pty, replaced; NULL: none, see ppk2_tty */
    uint64_t seed; /* of the unit: calibration constants, noise */
    double external_v; /* what feeds the DUT in ampere mode */
    bool burden; /* the range's resistor acts on the circuit (with a capacitor: smear) */
    /* Samples leave this long after they were taken, by the host's clock: a constant, as a device with a clock of its own
     * has it, however long the host needs for a slice of the board. 0: as soon as virtual time is there. */
    int64_t latency_ns;
    const struct clock_src *clock; /* for latency_ns; NULL with 0 */
    struct elec *elec; /* borrowed */
    struct faults *faults; /* borrowed */
};

struct ppk2;
int ppk2_open(const struct ppk2_conf *c, const struct profile *p, struct ppk2 **ret_ppk2, struct err *reterr) JF_MUST_CHECK;
struct front ppk2_front(struct ppk2 *d); /* its done() ends the life of d */
struct profile *ppk2_profile(struct ppk2 *d);
void ppk2_slipped(struct ppk2 *d); /* virtual time gave up some real time: learn the pace anew */
const char *ppk2_tty(const struct ppk2 *d); /* the pty's own name; changes on re-plug */
double ppk2_origin_s(const struct ppk2 *d); /* virtual time at which sample 0 of the running or last stream began */
uint64_t ppk2_dropped(const struct ppk2 *d); /* samples lost because the reader lagged */

#endif
