/* SPDX-License-Identifier: GPL-2.0-or-later
 * The wrapper around every power driver: order of calls, missing slots, and a check of each block, so that a
 * driver's defect shows as JF_E_BUG and never as a wrong number. Knows no instrument. Threads as in power.h.
 *
 *            open        setup         start | arm          stop
 *   (none) --------> OPEN ------> READY -----------> RUNNING ----> READY
 *                     ^             |                  | arm (block: the next acquisition)
 *                     +--- setup ---+                  +--> RUNNING
 *   pump only while RUNNING. A pump that failed leaves RUNNING; stop and close are always allowed.
 *
 * Invariants of blocks, P1..P5:
 *   P1 count is between 1 and POWER_BLOCK_MAX (samples), a gap's count at least 1;
 *   P2 first is 0 after start, then always the previous block's end: time is never skipped silently;
 *   P3 the period is finite, positive and the same for all blocks after a start or arm;
 *   P4 a gap carries no arrays, anything else carries current (a logic analyzer: markers and nothing else);
 *   P5 ranges are below n_ranges, currents and voltages are finite. */
#include "drivers/power/power.h"

#include <math.h>
#include <stdlib.h>

enum power_state { STATE_OPEN, STATE_READY, STATE_RUNNING };

#define POWER_BLOCK_MAX (1u << 24)

struct power_dev {
    const struct power_driver *drv;
    void *impl; /* owned, closed by the driver */
    enum power_state state;
    int64_t next; /* P2 */
    double period_s; /* P3; 0: no block yet */
    int n_ranges;
    bool markers_only;
    power_block_fn *fn; /* while inside pump */
    void *user;
    struct err *reterr;
};

int power_dev_open(const struct power_driver *drv, const json_t *conf, const struct clock_src *clock, struct power_dev **ret_dev, struct err *reterr) {
    if (!drv || !clock || !ret_dev || !json_is_object(conf)) {
        return err_set(reterr, JF_E_INVAL, "a power analyzer needs a driver, a clock and a configuration object");
    }
    if (!drv->open || !drv->info || !drv->setup || !drv->pump || !drv->stop || !drv->close) {
        return err_set(reterr, JF_E_BUG, "driver %s lacks a required function", drv->name);
    }
    struct power_dev *d = calloc(1, sizeof *d);
    if (!d) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a power analyzer");
    }
    d->drv = drv;
    int r = drv->open(conf, clock, &d->impl, reterr);
    if (r < 0) {
        free(d);
        return r;
    }
    *ret_dev = d;
    return 0;
}

int power_dev_info(struct power_dev *d, struct power_info *ret_info) {
    struct power_info info = {0};
    int r = d->drv->info(d->impl, &info);
    if (r < 0) {
        return r;
    }
    bool markers_only = (info.caps & POWER_CAP_MARKERS_ONLY) != 0;
    if (info.n_ranges < (markers_only ? 0 : 1) || info.n_ranges > (markers_only ? 0 : POWER_MAX_RANGES) || info.n_markers < (markers_only ? 1 : 0) ||
        info.n_markers > POWER_MAX_MARKERS || !info.driver) {
        return JF_E_BUG;
    }
    d->markers_only = markers_only;
    d->n_ranges = info.n_ranges;
    *ret_info = info;
    return 0;
}

int power_dev_setup(struct power_dev *d, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) {
    if (d->state == STATE_RUNNING) {
        return err_set(reterr, JF_E_CONFLICT, "setup is not possible while a capture runs: stop first");
    }
    if (!asked || !(asked->rate_hz >= 0) || !(asked->capture_s >= 0) || !(asked->pre_s >= 0) || !isfinite(asked->rate_hz) ||
        !isfinite(asked->capture_s) || asked->pre_s > asked->capture_s || asked->trigger_marker < -1 || asked->trigger_marker >= POWER_MAX_MARKERS) {
        return err_set(reterr, JF_E_INVAL, "rate, capture and pre-trigger must be at least 0 and the pre-trigger within the capture");
    }
    struct power_setup granted = *asked;
    int r = d->drv->setup(d->impl, asked, &granted, reterr);
    if (r < 0) {
        return r;
    }
    struct power_info info;
    r = power_dev_info(d, &info);
    if (r < 0) {
        return err_set(reterr, r, "driver %s does not describe itself", d->drv->name);
    }
    d->state = STATE_READY;
    if (ret_granted) {
        *ret_granted = granted;
    }
    return 0;
}

int power_dev_start(struct power_dev *d, struct err *reterr) {
    if (!d->drv->start) {
        return err_set(reterr, JF_E_UNSUPPORTED, "driver %s does not stream: arm it", d->drv->name);
    }
    if (d->state != STATE_READY) {
        return err_set(reterr, JF_E_CONFLICT, "start is possible once, after setup");
    }
    int r = d->drv->start(d->impl, reterr);
    if (r < 0) {
        return r;
    }
    d->state = STATE_RUNNING;
    d->next = 0;
    d->period_s = 0;
    return 0;
}

int power_dev_arm(struct power_dev *d, struct err *reterr) {
    if (!d->drv->arm) {
        return err_set(reterr, JF_E_UNSUPPORTED, "driver %s streams and cannot be armed", d->drv->name);
    }
    if (d->state == STATE_OPEN) {
        return err_set(reterr, JF_E_CONFLICT, "arm is possible only after setup");
    }
    int r = d->drv->arm(d->impl, reterr);
    if (r < 0) {
        return r;
    }
    d->state = STATE_RUNNING;
    d->period_s = 0;
    return 0;
}

static int defect(struct power_dev *d, const char *what) {
    return err_set(d->reterr, JF_E_BUG, "driver %s delivered a block with %s", d->drv->name, what);
}

static bool all_finite(const float *v, uint32_t n) {
    for (uint32_t i = 0; v && i < n; i++) {
        if (!isfinite(v[i])) {
            return false;
        }
    }
    return true;
}

static int check_block(struct power_dev *d, const struct power_block *b) {
    bool gap = (b->flags & POWER_GAP) != 0;
    if (b->count == 0 || (!gap && b->count > POWER_BLOCK_MAX)) {
        return defect(d, "an impossible count (P1)");
    }
    if (b->first != d->next) {
        return defect(d, "an index that does not follow the last block (P2)");
    }
    if (!isfinite(b->period_s) || b->period_s <= 0 || (d->period_s > 0 && (b->period_s < d->period_s || b->period_s > d->period_s))) {
        return defect(d, "an impossible or changed period (P3)");
    }
    bool measured = b->current_a || b->voltage_v || b->range || b->quality;
    if (gap || d->markers_only ? measured || (gap ? b->markers != NULL : !b->markers) : !b->current_a) {
        return defect(d, "missing or surplus arrays (P4)");
    }
    if (!gap && (!all_finite(b->current_a, b->count) || !all_finite(b->voltage_v, b->count))) {
        return defect(d, "a value that is not finite (P5)");
    }
    for (uint32_t i = 0; b->range && i < b->count; i++) {
        if (b->range[i] >= d->n_ranges) {
            return defect(d, "a range that does not exist (P5)");
        }
    }
    d->next = b->first + b->count;
    d->period_s = b->period_s;
    return 0;
}

static int on_block(void *user, const struct power_block *block) {
    struct power_dev *d = user;
    int r = check_block(d, block);
    return r < 0 ? r : d->fn(d->user, block);
}

int power_dev_pump(struct power_dev *d, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) {
    if (d->state != STATE_RUNNING) {
        return err_set(reterr, JF_E_CONFLICT, "nothing to pump: neither started nor armed");
    }
    if (!fn || budget_ms < 0) {
        return err_set(reterr, JF_E_INVAL, "pump needs a callback and a budget of at least 0 ms");
    }
    d->fn = fn;
    d->user = user;
    d->reterr = reterr;
    int r = d->drv->pump(d->impl, budget_ms, on_block, d, reterr);
    d->fn = NULL;
    d->reterr = NULL;
    return r;
}

int power_dev_stop(struct power_dev *d, struct err *reterr) {
    if (d->state != STATE_RUNNING) {
        return 0;
    }
    d->state = STATE_READY;
    return d->drv->stop(d->impl, reterr);
}

int power_dev_supply(struct power_dev *d, enum power_supply_action action, double set_v, bool *ret_on, double *ret_v, struct err *reterr) {
    if (!d->drv->supply) {
        return err_set(reterr, JF_E_UNSUPPORTED, "driver %s cannot feed a board", d->drv->name);
    }
    if (action == POWER_SUPPLY_ON && !(isfinite(set_v) && set_v > 0)) {
        return err_set(reterr, JF_E_INVAL, "a supply is switched on with a positive voltage");
    }
    bool on = false;
    double v = 0;
    int r = d->drv->supply(d->impl, action, set_v, &on, &v, reterr);
    if (r < 0) {
        return r;
    }
    if (ret_on) {
        *ret_on = on;
    }
    if (ret_v) {
        *ret_v = v;
    }
    return 0;
}

void power_dev_cancel(struct power_dev *d) {
    if (d && d->drv->cancel) {
        d->drv->cancel(d->impl);
    }
}

void power_dev_close(struct power_dev *d, bool leave_supply_on) {
    if (d) {
        d->drv->close(d->impl, leave_supply_on);
        free(d);
    }
}

const struct power_driver *power_dev_driver(const struct power_dev *d) { return d->drv; }
