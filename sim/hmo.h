/* SPDX-License-Identifier: GPL-2.0-or-later
 * The oscilloscope front: a Hameg/R&S HMO1202 with a current probe on CH1, the supply's voltage on CH2 and the marker
 * lines on POD1, spoken to in SCPI over TCP, loopback only, one client at a time (a second one waits). One thread,
 * never blocks. Commands: sim/hmo_scpi.c. */
#ifndef SIM_HMO_H
#define SIM_HMO_H

#include "base/err.h"
#include "sim/elec.h"
#include "sim/faults.h"
#include "sim/front.h"
#include "sim/profile.h"

struct hmo_conf {
    int port; /* 0: any free one */
    uint64_t seed;
    struct elec *elec; /* borrowed */
    struct faults *faults; /* borrowed */
};

struct hmo;
int hmo_open(const struct hmo_conf *c, const struct profile *p, struct hmo **ret_hmo, struct err *reterr) JF_MUST_CHECK;
struct front hmo_front(struct hmo *h); /* its done() ends the life of h */
struct profile *hmo_profile(struct hmo *h);
int hmo_port(const struct hmo *h);

#endif
