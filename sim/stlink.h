/* SPDX-License-Identifier: GPL-2.0-or-later
 * The probe of the virtual board: ST's "stlink-server" protocol on 127.0.0.1, as a front of the bench. One device, up
 * to STLINK_CLIENTS connections. Faults: probe-refuse, probe-silent, probe-drop. One thread. */
#ifndef SIM_STLINK_H
#define SIM_STLINK_H

#include "base/err.h"
#include "sim/board.h"
#include "sim/faults.h"
#include "sim/front.h"

#define STLINK_CLIENTS 4
#define STLINK_SERIAL 32

struct stlink_conf {
    int port; /* 0: any free one */
    char serial[STLINK_SERIAL + 1]; /* printable, not 12 characters long */
    struct board *board; /* borrowed */
    struct faults *faults; /* borrowed; NULL: none */
};

int stlink_open(const struct stlink_conf *conf, struct front *ret_front, int *ret_port, struct err *reterr) JF_MUST_CHECK;
/* Somebody is connected: requests want quick answers. */
bool stlink_busy(const struct front *f);

#endif
