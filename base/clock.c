/* SPDX-License-Identifier: GPL-2.0-or-later
 * The system clock behind base/clock.h. Owns no state. */
#include "base/clock.h"

#include <stdio.h>

static int64_t read_ns(clockid_t id) {
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0) {
        return 0;
    }
    return (int64_t)ts.tv_sec * CLOCK_NS_PER_S + ts.tv_nsec;
}

static int64_t system_mono(void *ctx) {
    (void)ctx;
    return read_ns(CLOCK_MONOTONIC);
}
static int64_t system_raw(void *ctx) {
    (void)ctx;
    return read_ns(CLOCK_MONOTONIC_RAW);
}
static int64_t system_boot(void *ctx) {
    (void)ctx;
    return read_ns(CLOCK_BOOTTIME);
}
static int64_t system_wall(void *ctx) {
    (void)ctx;
    return read_ns(CLOCK_REALTIME);
}

const struct clock_src *clock_system(void) {
    static const struct clock_ops ops = {system_mono, system_raw, system_boot, system_wall};
    static const struct clock_src src = {&ops, NULL};
    return &src;
}

int64_t clock_mono_ns(const struct clock_src *c) { return c->ops->mono_ns(c->ctx); }
int64_t clock_raw_ns(const struct clock_src *c) { return c->ops->raw_ns(c->ctx); }
int64_t clock_boot_ns(const struct clock_src *c) { return c->ops->boot_ns(c->ctx); }
int64_t clock_wall_ns(const struct clock_src *c) { return c->ops->wall_ns(c->ctx); }

int clock_left_ms(const struct clock_src *c, int64_t deadline_mono_ns, int cap_ms) {
    int64_t left = deadline_mono_ns - clock_mono_ns(c);
    if (left <= 0) {
        return 0;
    }
    int64_t ms = (left + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
    return ms < cap_ms ? (int)ms : cap_ms;
}

int clock_cond_init(pthread_cond_t *ret_cond) {
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return -1;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int e = pthread_cond_init(ret_cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    return e == 0 ? 0 : -1;
}

struct timespec clock_mono_in(int ms) {
    int64_t ns = system_mono(NULL) + ms * CLOCK_NS_PER_MS;
    return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_S), .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};
}

void clock_rfc3339(int64_t wall_ns, char out[CLOCK_RFC3339_SIZE]) {
    int64_t s = wall_ns / CLOCK_NS_PER_S;
    int64_t rest = wall_ns % CLOCK_NS_PER_S;
    if (rest < 0) {
        s--;
        rest += CLOCK_NS_PER_S;
    }
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm)) {
        out[0] = '\0';
        return;
    }
    char date[24];
    size_t n = strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%.*s.%03dZ", (int)n, date, (int)(rest / CLOCK_NS_PER_MS));
}
