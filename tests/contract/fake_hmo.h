/* SPDX-License-Identifier: GPL-2.0-or-later
 * A small HMO1202 on 127.0.0.1 for the contract tests: one client at a time, single acquisitions, one record.
 * Sample i of an acquisition k is current 0.010 + 1e-6*i + 0.001*k ampere, voltage 3.3 - 1e-5*i, lines i/64 mod 256. */
#ifndef TESTS_CONTRACT_FAKE_HMO_H
#define TESTS_CONTRACT_FAKE_HMO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_hmo_fault {
    FAKE_HMO_NONE,
    FAKE_HMO_MUTE_IDN, /* never answers *IDN? */
    FAKE_HMO_MUTE_STATE, /* never answers ACQ:STAT? */
    FAKE_HMO_NEVER_ARMS, /* RUNSingle does nothing: still the last acquisition's COMPlete */
    FAKE_HMO_NEVER_TRIGGERS,
    FAKE_HMO_BREAKS, /* the acquisition is stopped by somebody */
    FAKE_HMO_SHORT_BLOCK, /* the block declares and holds half of the samples */
    FAKE_HMO_CUT_MUTE, /* the block declares all, half is sent, then nothing */
    FAKE_HMO_CUT_CLOSE, /* the same, then the connection closes */
    FAKE_HMO_MUTE_DATA, /* no answer to the data query */
    FAKE_HMO_MUTE_OPEN, /* no answer to what libsigrok asks when it opens */
    FAKE_HMO_WRONG_SPAN, /* the header tells another time range */
    FAKE_HMO_SHORT_POD, /* one marker sample less */
    FAKE_HMO_VOLTS, /* both probes measure volts */
};
struct fake_hmo {
    int listen_fd, port;
    pthread_t thread;
    atomic_int fault, trigger_after_ms; /* from arming */
    atomic_bool quit;
    atomic_int runs, connections;
    unsigned samples; /* of a record, whatever the time base */
};
void fake_hmo_start(struct fake_hmo *f);
void fake_hmo_stop(struct fake_hmo *f);

#endif
