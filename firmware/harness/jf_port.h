/* SPDX-License-Identifier: MIT
 * What the harness needs from a board: one struct of functions and facts. Each board (firmware/boards/<board>/board.c), the qemu machine and the
 * host's unit tests fill one in; the harness includes nothing of theirs. One thread (the board's main loop); a board's interrupt handlers stay behind
 * these functions. */
#ifndef FIRMWARE_HARNESS_JF_PORT_H
#define FIRMWARE_HARNESS_JF_PORT_H

#include <stdbool.h>
#include <stdint.h>

struct jf_port {
    void *ctx; /* given back to every function */

    /* Serial line. putc waits (bounded by one character's time) for room; flush returns when the last stop bit has left the pin. */
    void (*putc)(void *ctx, char c);
    void (*flush)(void *ctx);
    int (*getc)(void *ctx); /* the next received byte, 0..255, or -1: none waits */

    /* Returns when a byte waits, or earlier for any other reason. sleep: wait in the core's sleep state, else return at once (spin). */
    void (*idle)(void *ctx, bool sleep);

    /* Marker lines: those in mask take the level of their bit in levels, all by one store to the port. */
    void (*markers)(void *ctx, uint32_t mask, uint32_t levels);

    /* Free-running time in ticks_hz, unwrapped to 64 bit, counting in every idle state offered. */
    uint64_t (*ticks)(void *ctx);
    uint32_t ticks_hz;

    /* Debug residue as it is now: DHCSR.C_DEBUGEN and the chip's debug control register. */
    void (*debug)(void *ctx, bool *ret_c_debugen, uint32_t *ret_dbgmcu_cr);

    uint32_t core_hz;         /* nominal */
    const char *vendor;       /* for name% */
    const char *build_id;     /* GNU build id, hex; "none" */
    const char *reset_cause;  /* a JF_RESET_* word (firmware/include/jf_device.h) */
    uint32_t reset_flags;     /* raw, as read before they were cleared */
};

#endif
