/* SPDX-License-Identifier: GPL-2.0-or-later
 * A front: anything of the virtual bench that the outside talks to (instrument, control socket, debug probe, UART)
 * and that the one poll loop of sim/main.c drives. One thread; nothing here may block.
 *
 * The loop, once per turn:
 *   1. collect every front's descriptors with fds(), poll() them with a short time-out;
 *   2. ready() for every front that asked for descriptors, with its own slice of the array;
 *   3. advance the board (and with it elec) to the virtual time that real time has reached;
 *   4. step(now) for every front: elec_now_ps(e) == now; the front emits what has become due, samples < now only. */
#ifndef SIM_FRONT_H
#define SIM_FRONT_H

#include <poll.h>
#include <stdint.h>

#define FRONT_MAX_FDS 8 /* of one front */

struct front_ops {
    const char *name;
    /* Fills up to cap entries (fd and events); returns how many, at most FRONT_MAX_FDS. */
    int (*fds)(void *self, struct pollfd *out, int cap);
    /* The same n entries with revents filled. Reads and writes without blocking. */
    void (*ready)(void *self, const struct pollfd *fds, int n);
    /* Virtual time is now_ps (never decreasing). Called at least every few milliseconds of real time. */
    void (*step)(void *self, int64_t now_ps);
    void (*done)(void *self); /* closes everything, removes sockets and symlinks, frees self */
};

struct front {
    const struct front_ops *ops; /* any slot but name and done may be NULL */
    void *self;
};

#endif
