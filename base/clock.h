/* SPDX-License-Identifier: GPL-2.0-or-later
 * Time as a seam: a small vtable, so that a test can own it. Times are int64 nanoseconds; never float seconds.
 * mono: CLOCK_MONOTONIC, for deadlines. raw: CLOCK_MONOTONIC_RAW, for comparing devices with the host (not
 * slewed by NTP). boot: CLOCK_BOOTTIME, for leases. wall: CLOCK_REALTIME, for people. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S INT64_C(1000000000)
#define CLOCK_NS_PER_MS INT64_C(1000000)

struct clock_ops {
    int64_t (*mono_ns)(void *ctx);
    int64_t (*raw_ns)(void *ctx);
    int64_t (*boot_ns)(void *ctx);
    int64_t (*wall_ns)(void *ctx);
};
struct clock_src {
    const struct clock_ops *ops;
    void *ctx;
};

/* The machine's clocks; static, never freed. */
const struct clock_src *clock_system(void);

int64_t clock_mono_ns(const struct clock_src *c);
int64_t clock_raw_ns(const struct clock_src *c);
int64_t clock_boot_ns(const struct clock_src *c);
int64_t clock_wall_ns(const struct clock_src *c);

/* Milliseconds from now to a mono deadline, at least 0 and at most cap_ms: the argument poll() wants. */
int clock_left_ms(const struct clock_src *c, int64_t deadline_mono_ns, int cap_ms);

/* A condition variable whose timed waits count CLOCK_MONOTONIC, and such a wait's end. 0, or -1. */
int clock_cond_init(pthread_cond_t *ret_cond);
struct timespec clock_mono_in(int ms);

/* RFC 3339 UTC with milliseconds, "2026-11-21T09:08:23.120Z"; out must hold 32 bytes. */
#define CLOCK_RFC3339_SIZE 32
void clock_rfc3339(int64_t wall_ns, char out[CLOCK_RFC3339_SIZE]);

#endif
