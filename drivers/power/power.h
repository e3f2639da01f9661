/* SPDX-License-Identifier: GPL-2.0-or-later
 * THE contract of a power analyzer driver (design: architecture section 4). A driver is a const ops table in the
 * one visible registry (drivers/power/registry.c). Callers use the power_dev_* wrappers, never ops.
 *
 * Threads: one thread at a time per device, the capture thread; it may block inside pump for at most budget_ms
 * plus what the driver declares in max_block_ms (a driver that can block for ever says -1 and is run in a thread
 * that its process may abandon: libsigrok over TCP). power_dev_cancel is the only call allowed from another thread.
 *
 * Samples: a block is one time span of one grid. Sample n is the cell [n*dt, (n+1)*dt) of the device's own clock,
 * n counts from 0 at start (streaming) or per segment continues upwards (block instruments: segment flag). A driver
 * never invents a sample: a hole is a GAP block with its length. Sums are never made in a driver. */
#ifndef DRIVERS_POWER_H
#define DRIVERS_POWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum power_maturity { POWER_SIMULATED, POWER_REPLAYED, POWER_BENCH_TESTED };
enum power_shape { POWER_STREAMING, POWER_BLOCK };

#define POWER_MAX_RANGES 8
#define POWER_MAX_MARKERS 8

/* Capability bits. */
#define POWER_CAP_VOLTAGE (1u << 0) /* voltage is measured, in the same block */
#define POWER_CAP_SUPPLY (1u << 1) /* can feed the DUT: supply() works */
#define POWER_CAP_MARKERS (1u << 2) /* marker lines on the current's own clock */
#define POWER_CAP_COUNTER (1u << 3) /* detects loss by itself (possibly modulo) */
#define POWER_CAP_HOST_TIME (1u << 4) /* blocks carry a host arrival time: loss by clock applies */
#define POWER_CAP_METER_MODE (1u << 5) /* can measure a DUT that is fed from elsewhere */
#define POWER_CAP_MARKERS_ONLY (1u << 6) /* a logic analyzer: blocks carry markers and never current; n_ranges is 0 */

/* How a limit in an accuracy table is to be read (measurement.md section 5). */
enum power_spec_kind { POWER_SPEC_LIMIT, POWER_SPEC_K2, POWER_SPEC_TYPICAL, POWER_SPEC_UNKNOWN };

struct power_range {
    double from_a, to_a; /* usable current span; to_a is the spec's upper bound ("overrange" above) */
    double gain_rel; /* half width (limit, typical) or 2 sigma (k2), relative */
    double offset_a; /* the same, in ampere */
    double resolution_a; /* quantization step q */
    double shunt_ohm; /* burden: R(t) for RC smear and burden voltage; 0 unknown */
    enum power_spec_kind kind;
    /* Limits that are not symmetric: true = reading * (1 + gain_corr_rel) + offset_corr_a, gain_rel and offset_a hold behind it. */
    double gain_corr_rel, offset_corr_a;
};

struct power_info {
    const char *driver; /* "ppk2", "sigrok" */
    char model[64], serial[64], firmware[64];
    enum power_shape shape;
    enum power_maturity maturity;
    uint32_t caps;
    double rate_hz; /* granted */
    double marker_phase; /* phi of measurement.md section 1, or -1: unknown (taken as 1/2 +- dt/2) */
    int n_markers; /* lines delivered, bit 0 first */
    struct power_range ranges[POWER_MAX_RANGES];
    int n_ranges;
    bool range_shared_reference; /* gain errors of the ranges are fully correlated */
    double voltage_gain_rel; /* accuracy of measured or set voltage, relative */
    double voltage_offset_v;
    enum power_spec_kind voltage_kind;
    double clock_ppm; /* time base limit */
    const char *spec_source; /* datasheet with revision; lives as long as the device */
    char notes[256]; /* what a person must know about this unit's calibration or configuration; "" nothing */
    double min_capture_s, max_capture_s; /* of one acquisition; 0: unbounded */
};

/* Block flags. */
#define POWER_GAP (1u << 0) /* no samples: count cells are missing */
#define POWER_OVERRANGE (1u << 1) /* some sample is above the range's spec */
#define POWER_CLIPPED (1u << 2) /* some sample is at the converter's bound: a lower limit */
#define POWER_RANGE_CHANGED (1u << 3)
#define POWER_SEGMENT_START (1u << 4) /* block instruments: a new acquisition begins; time before it is unrecorded */
#define POWER_SEGMENT_END (1u << 5)

/* One block. Arrays are borrowed until the callback returns. NULL where the instrument has no such thing. */
struct power_block {
    int64_t first; /* sample index on the device's grid */
    uint32_t count; /* samples, or missing cells for GAP */
    double period_s; /* dt */
    uint32_t flags;
    int64_t host_raw_ns; /* CLOCK_MONOTONIC_RAW when the block's last byte arrived; 0: not meaningful */
    const float *current_a; /* [count]; NULL with POWER_CAP_MARKERS_ONLY */
    const float *voltage_v; /* [count], or NULL: constant, see supply */
    const uint8_t *range; /* [count], index into ranges, or NULL: range 0 */
    const uint8_t *markers; /* [count], bit k = marker line k as mapped, or NULL */
    const uint8_t *quality; /* [count], POWER_OVERRANGE|POWER_CLIPPED bits of each sample, or NULL: all good */
};

typedef int power_block_fn(void *user, const struct power_block *block); /* <0 stops the pump with that code */

struct power_setup { /* asked; the wrapper returns what was granted in power_info and *granted */
    double rate_hz; /* 0: the driver's best */
    double capture_s; /* block instruments: length of one acquisition, pre-trigger included */
    double pre_s; /* block instruments: part before the trigger */
    int trigger_marker; /* block instruments: falling edge of this marker line; -1: immediate */
};

enum power_supply_action { POWER_SUPPLY_OFF, POWER_SUPPLY_ON, POWER_SUPPLY_QUERY };

struct power_driver {
    const char *name;
    const char *sentence; /* one line for --help */
    enum power_shape shape;
    enum power_maturity maturity;
    int max_block_ms; /* longest a call may overrun its budget; -1: unbounded (needs a watchdog) */
    /* conf is this analyzer's object of the bench configuration ("conn", "serial", "mapping", ...), borrowed.
     * Nothing is written to a port whose USB identity is unknown unless conf says "trust_port": true. */
    int (*open)(const json_t *conf, const struct clock_src *clock, void **ret_dev, struct err *reterr);
    int (*info)(void *dev, struct power_info *ret_info);
    int (*setup)(void *dev, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr);
    int (*start)(void *dev, struct err *reterr); /* streaming: samples flow from now on */
    int (*arm)(void *dev, struct err *reterr); /* block: returns once the instrument was *seen* armed and its part before the trigger is filled */
    /* Delivers what has arrived; returns the number of blocks delivered, 0 when the budget passed in silence. Block instruments:
     * waits for the acquisition to complete and reads it out; JF_E_STALLED when it stays silent longer than stall_ms. */
    int (*pump)(void *dev, int budget_ms, power_block_fn *fn, void *user, struct err *reterr);
    int (*stop)(void *dev, struct err *reterr);
    /* set_v is used with ON. *ret_on and *ret_v tell the state afterwards. NULL slot: unsupported. */
    int (*supply)(void *dev, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v, struct err *reterr);
    void (*cancel)(void *dev); /* any thread; makes a blocked call return soon where the transport allows it */
    void (*close)(void *dev, bool leave_supply_on); /* NULL dev allowed */
    /* Lists instruments that could be opened, as a JSON array of {"driver","conn","model","serial"}; never writes to unknown ports. */
    int (*find)(json_t **ret_list, struct err *reterr);
};

/* The registry, in the order shown to people. Ends with NULL. */
extern const struct power_driver *const power_drivers[];
const struct power_driver *power_driver_by_name(const char *name); /* NULL: unknown */

/* An opened device: checks order of calls and NULL slots (JF_E_UNSUPPORTED), and validates each block (count > 0, monotone
 * `first`, arrays present) so that a driver's defect is JF_E_BUG instead of a wrong number. */
struct power_dev;
int power_dev_open(const struct power_driver *drv, const json_t *conf, const struct clock_src *clock, struct power_dev **ret_dev, struct err *reterr) JF_MUST_CHECK;
int power_dev_info(struct power_dev *d, struct power_info *ret_info) JF_MUST_CHECK;
int power_dev_setup(struct power_dev *d, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) JF_MUST_CHECK;
int power_dev_start(struct power_dev *d, struct err *reterr) JF_MUST_CHECK;
int power_dev_arm(struct power_dev *d, struct err *reterr) JF_MUST_CHECK;
int power_dev_pump(struct power_dev *d, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) JF_MUST_CHECK;
int power_dev_stop(struct power_dev *d, struct err *reterr) JF_MUST_CHECK;
int power_dev_supply(struct power_dev *d, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v, struct err *reterr) JF_MUST_CHECK;
void power_dev_cancel(struct power_dev *d);
void power_dev_close(struct power_dev *d, bool leave_supply_on);
const struct power_driver *power_dev_driver(const struct power_dev *d);

/* Version of the libsigrok behind the "sigrok" driver ("0.5.2"), for provenance; static. */
const char *power_sigrok_library_version(void);

const char *power_maturity_name(enum power_maturity m); /* "simulated" | "replayed" | "bench_tested" */

#endif
