/* SPDX-License-Identifier: GPL-2.0-or-later
 * From an image in flash to a board that has said who it is: start recipe, boot, description, marker scheme. */
#include <stdio.h>
#include <string.h>

#include "bench/attempt.h"

#define COMMAND_MS 5000 /* the published runners' limit for a command */

/* While the supply is off the board must be dead: a byte, a marker or a current says that something else feeds it. */
static int watch_off(struct attempt *a, struct err *reterr) {
    int r = attempt_pause(a, a->w->off_ms - a->w->off_ms / 3, reterr);
    if (r < 0) {
        return r;
    }
    struct capture_view v0, v1;
    dut_forget(&a->dut);
    capture_get_view(a->capture, &v0);
    r = attempt_pause(a, a->w->off_ms / 3, reterr);
    if (r < 0) {
        return r;
    }
    capture_get_view(a->capture, &v1);
    uint64_t n = v1.samples - v0.samples;
    double amp = n > 0 ? (v1.sum_current_a - v0.sum_current_a) / (double)n : 0.0;
    bool high = false;
    for (int k = 0; k < a->info.n_markers && k < POWER_MAX_MARKERS; k++) {
        high = high || (n > 0 && (v1.high[k] - v0.high[k]) * 100 > n);
    }
    bool talks = a->dut.n_lines > 0 || a->dut.n_printable >= 4;
    a->cap->device.back_powered = talks || high || amp > a->w->conf.off_current_a;
    attempt_log(a, "worker", "supply off: %.3g A, markers %s, serial line %s%s", amp, high ? "high" : "low",
                talks ? "talking" : "silent", a->cap->device.back_powered ? ": fed from elsewhere" : "");
    return 0;
}

static int power_cycle(struct attempt *a, struct err *reterr) {
    attempt_progress(a, -1, "supply off and on");
    int r = attempt_supply(a, false, reterr);
    r = r < 0 ? r : watch_off(a, reterr);
    if (r < 0) {
        return r;
    }
    dut_forget(&a->dut);
    return attempt_supply(a, true, reterr);
}

static int probe_reset(struct attempt *a, struct err *reterr) {
    attempt_progress(a, -1, "reset through the probe, debug unit cleared");
    dut_forget(&a->dut); /* old firmware runs for some ms at every connect: what it says belongs to nobody */
    return attempt_flash(a, FLASH_RESET_RUN, 20000, NULL, reterr);
}

static int wait_boot(struct attempt *a, struct err *reterr) {
    attempt_progress(a, -1, "waiting for the board's m-ready");
    int64_t until = clock_mono_ns(a->w->clock) + (int64_t)(a->w->conf.boot_s * 1e9);
    while (!(a->dut.n_boots > 0 && a->dut.n_ready > 0 && !a->dut.reply_open)) {
        if (clock_mono_ns(a->w->clock) >= until) {
            return attempt_blame(
                a, "board",
                err_set(reterr, JF_E_DUT_SILENT, "the board did not say m-ready within %.0f s of its start%s%s",
                        a->w->conf.boot_s, a->dut.error ? "; it said " : "", a->dut.error ? a->dut.error_text : ""));
        }
        int r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    return attempt_pause(a, 50, reterr); /* a probe's reset may be followed by a second boot: let it show */
}

static enum measure_tri tri(bool known, bool good) {
    return !known ? MEASURE_UNCHECKED : good ? MEASURE_GOOD : MEASURE_BAD;
}

/* What the board reports becomes input of the verdict. */
static void take_about(struct attempt *a) {
    const struct dut_about *b = &a->dut.about;
    struct measure_device *d = &a->cap->device;
    d->golden = tri(b->golden_reported, b->golden_ok);
    bool known = a->build_id && a->build_id[0] && b->build_id[0] && strcmp(b->build_id, "none") != 0;
    d->firmware = tri(known, known && strcmp(a->build_id, b->build_id) == 0);
    d->model = tri(b->build_model[0] && b->model[0], strcmp(b->build_model, b->model) == 0);
    d->debug_reported = b->debug_reported;
    d->c_debugen = b->c_debugen;
    d->dbgmcu_cr = b->dbgmcu_cr;
    d->reset_cause_reported = b->reset_reported;
    d->brownout_reset = d->brownout_reset || strcmp(b->reset_cause, "brownout") == 0;
    d->core_hz = b->core_hz;
    (void)snprintf(d->idle_state, sizeof d->idle_state, "%s", b->idle);
}

static int ask_who(struct attempt *a, struct err *reterr) {
    int r = attempt_command(a, "name%", COMMAND_MS, reterr);
    r = r < 0 ? r : attempt_command(a, "profile%", COMMAND_MS, reterr);
    if (r < 0) {
        return r;
    }
    r = attempt_command(a, "jf on%", COMMAND_MS, reterr);
    if (r == JF_E_DUT_ERROR) { /* plain MLPerf Tiny firmware: measured without the extension */
        attempt_log(a, "worker", "the firmware has no jf extension: time by the host, no golden output");
        a->part = NULL;
        return 0;
    }
    if (r < 0) {
        return r;
    }
    if (!a->dut.about.jf) {
        return attempt_blame(
            a, "board", err_set(reterr, JF_E_PROTOCOL, "the board accepted \"jf on\" and did not report its version"));
    }
    const char *scheme = measure_scheme_name(a->w->conf.scheme);
    char text[DUT_COMMAND_MAX];
    (void)snprintf(text, sizeof text, "jf markers %s%%", scheme);
    r = attempt_command(a, text, COMMAND_MS, reterr);
    if (r == 0 && strcmp(a->dut.about.scheme, scheme) != 0) {
        r = attempt_blame(a, "board",
                          err_set(reterr, JF_E_UNSUPPORTED, "the board's markers are \"%s\", the bench is wired for %s",
                                  a->dut.about.scheme, scheme));
    }
    if (r == 0 && a->w->conf.idle && strcmp(a->w->conf.idle, a->dut.about.idle) != 0) {
        (void)snprintf(text, sizeof text, "jf idle %s%%", a->w->conf.idle);
        r = attempt_command(a, text, COMMAND_MS, reterr);
    }
    return r;
}

int run_start_board(struct attempt *a, struct err *reterr) {
    bool cycle = a->w->conf.start == CONF_START_POWER_CYCLE && a->info.shape == POWER_STREAMING;
    int r = cycle ? power_cycle(a, reterr) : probe_reset(a, reterr);
    r = r < 0 ? r : wait_boot(a, reterr);
    r = r < 0 ? r : ask_who(a, reterr);
    if (r < 0) {
        return r;
    }
    take_about(a);
    a->boots_expected = a->dut.n_boots;
    const struct dut_about *b = &a->dut.about;
    attempt_log(a, "worker", "board: %s, model %s, build %s, %.0f MHz, idle %s, reset by %s, golden output %s", b->name,
                b->model, b->build_id, b->core_hz / 1e6, b->idle, b->reset_cause,
                !b->golden_reported ? "not reported"
                : b->golden_ok      ? "as expected"
                                    : "WRONG");
    return 0;
}
