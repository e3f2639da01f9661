/* SPDX-License-Identifier: GPL-2.0-or-later
 * The logic analyzer front: a BeagleLogic server on TCP, as libsigrok's driver `beaglelogic` speaks to one (conn=tcp-raw/127.0.0.1/PORT): text commands
 * ended by a line feed, after `get` one byte per sample until `close`. It sees the marker lines 0..7 by a clock of its own. One client at a time.
 * Source of the protocol: libsigrok 0.5.2, src/hardware/beaglelogic (beaglelogic_tcp.c, api.c); nothing is shared with drivers/. One thread. */
#ifndef SIM_LOGIC_H
#define SIM_LOGIC_H

#include <jansson.h>

#include "base/err.h"
#include "sim/elec.h"
#include "sim/faults.h"
#include "sim/front.h"

struct logic_conf {
    int port; /* on 127.0.0.1; 0: any */
    uint64_t seed;
    struct elec *elec; /* borrowed */
    struct faults *faults; /* borrowed */
};

struct logic;
int logic_open(const struct logic_conf *c, struct logic **ret_logic, struct err *reterr) JF_MUST_CHECK;
struct front logic_front(struct logic *l); /* its done() ends the life of l */
int logic_port(const struct logic *l);
/* Its errors: {"rate_error", "skew_s", "edge_loss", "loss_line"}; all or nothing. They hold from the next `get` on. */
int logic_set(struct logic *l, const json_t *obj, struct err *reterr) JF_MUST_CHECK;
/* The errors, and the truth of the running or last stream: "origin_s" (virtual time of sample 0's begin), "rate_hz" (nominal), "samples", "edges_lost",
 * "dropped". New reference. */
json_t *logic_json(const struct logic *l);

#endif
