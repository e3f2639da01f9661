/* SPDX-License-Identifier: GPL-2.0-or-later
 * A small PPK2 on a pty for the contract tests, in a thread, paced by the host's clock. Words are put together from the
 * documented bit positions; sample i has field 800 + (7*i mod 1000), range 2 and D lines i/256 mod 256. */
#ifndef TESTS_CONTRACT_FAKE_PPK2_H
#define TESTS_CONTRACT_FAKE_PPK2_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_ppk2_fault {
    FAKE_PPK2_NONE,
    FAKE_PPK2_MUTE, /* streams no more */
    FAKE_PPK2_UNPLUG, /* the pty's master closes */
    FAKE_PPK2_SHORT_WORD, /* half a word, then unplugged */
    FAKE_PPK2_LOSE_100, /* 100 samples are not sent, once */
    FAKE_PPK2_LOSE_128,
    FAKE_PPK2_LOSE_BYTE, /* one byte is not sent, once */
    FAKE_PPK2_SATURATE, /* one word with field 3FFF */
};
struct fake_ppk2 {
    bool nan_metadata, no_metadata, streaming_at_open; /* set before start */
    char path[64]; /* of the pty's slave */
    int master;
    pthread_t thread;
    atomic_int fault;
    atomic_bool quit, output_on;
    atomic_int mv, mode, starts, stops;
};
void fake_ppk2_start(struct fake_ppk2 *f);
void fake_ppk2_stop(struct fake_ppk2 *f);
unsigned fake_ppk2_field(int64_t i);
unsigned fake_ppk2_lines(int64_t i);

#endif
