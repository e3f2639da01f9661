/* SPDX-License-Identifier: GPL-2.0-or-later
 * The board's safe state, and giving back everything that an attempt holds, in reverse order (invariant A1). Safe is:
 * supply off where the bench feeds the board, else the core held in reset by the probe. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/attempt.h"
#include "bench/item.h"

#define JOIN_MS 2000
#define OFF_OPEN_MS 20000

static bool make_safe(struct attempt *a, char *text, size_t size) {
    struct err e = {0};
    if (!a->board_touched) {
        (void)snprintf(text, size, "the board was not touched");
        return true;
    }
    if (a->w->conf.supply == CONF_SUPPLY_ANALYZER) {
        if (a->capture && a->analyzer_open && attempt_supply(a, false, &e) == 0) {
            (void)snprintf(text, size, "supply off");
            return true;
        }
        (void)snprintf(text, size, "the supply could not be switched off: %.150s",
                       e.text[0] ? e.text : "the analyzer is not open");
        return false;
    }
    if (a->flash && attempt_flash(a, FLASH_RESET_HALT, 15000, NULL, &e) == 0) {
        (void)snprintf(text, size, "core held in reset");
        return true;
    }
    (void)snprintf(text, size, "the board could not be reset: %.150s", e.text);
    return false;
}

/* A hanging driver: say so, leave the process; the kernel gives back ports and locks. */
_Noreturn static void leave(struct attempt *a, const char *what, bool safe) {
    attempt_log(a, "worker", "%s does not end; the worker leaves", what);
    attempt_send_released(a, safe, what);
    _exit(70);
}

static void free_items(struct ring *ring) {
    void *item;
    while (ring_take(ring, 0, &item) == 0) { /* only when no writer ever ran */
        struct item *it = item;
        if (it->kind == ITEM_EVENT) {
            json_decref(((struct item_event *)item)->data);
        }
        free(item);
    }
}

bool stage_release(struct attempt *a, char *ret_text, size_t size) {
    struct err e = {0};
    if (attempt_barrier(a, "release", &e) < 0) {
        spool_log(&a->spool, "worker", e.text);
    }
    struct capture_reply rep;
    if (a->capture && a->streaming_started) { /* on a failure the stream still flows */
        struct capture_request q = {.op = CAPTURE_STOP};
        a->streaming_started = false;
        if (attempt_capture(a, &q, 2000, &rep, &e) < 0) {
            spool_log(&a->spool, "worker", e.text);
        }
    }
    if (second_stop(a, &e) < 0) {
        spool_log(&a->spool, "worker", e.text);
    }
    bool safe = make_safe(a, ret_text, size);
    bool safe_by_closing = a->w->conf.supply == CONF_SUPPLY_ANALYZER;
    if (a->capture) {
        if (capture_join(a->capture, false, JOIN_MS) < 0) {
            leave(a, "the analyzer's driver", safe || safe_by_closing);
        }
        capture_free(a->capture);
        a->capture = NULL;
    }
    if (a->second) {
        if (capture_join(a->second, false, JOIN_MS) < 0) {
            leave(a, "the logic analyzer's driver", safe);
        }
        capture_free(a->second);
        a->second = NULL;
    }
    if (a->ring) {
        ring_close(a->ring);
    }
    if (tracer_free(a->tracer, 20000) < 0) {
        leave(a, "the trace writer", safe);
    }
    a->tracer = NULL;
    if (a->ring) {
        free_items(a->ring);
        ring_free(a->ring);
        a->ring = NULL;
    }
    if (a->flash) {
        a->w->runner->close(a->flash);
        a->flash = NULL;
    }
    dut_close(&a->dut);
    spool_remove_work(&a->spool);
    return safe;
}

/* jf-bench safe: an attempt that has only its release. */
int safe_run(struct worker *w, struct err *reterr) {
    struct attempt *a = calloc(1, sizeof *a);
    if (!a) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    a->w = w;
    a->stage = STAGE_RELEASE;
    a->unwinding = true;
    a->spool.log_fd = -1;
    (void)snprintf(a->id, sizeof a->id, "safe");
    a->board_touched = true;
    a->supply_v = w->conf.measure_supply.voltage_v;
    int r = 0;
    char dir[] = "/tmp/jf-bench-safe-XXXXXX", text[256] = "";
    struct flash_env env = {
        .proc = w->proc, .clock = w->clock, .keep_fds = &w->lock_fd, .n_keep_fds = w->lock_fd >= 0 ? 1 : 0};
    struct capture_request q = {.op = CAPTURE_OPEN};
    struct capture_reply rep;
    if (!mkdtemp(dir)) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s", dir);
        goto fail_attempt;
    }
    if (w->conf.supply == CONF_SUPPLY_ANALYZER) {
        r = ring_new(16, &a->ring);
        r = r < 0 ? r : capture_new(w->driver, w->conf.analyzer, w->clock, a->ring, &a->capture, reterr);
        r = r < 0 ? r : attempt_capture(a, &q, OFF_OPEN_MS, &rep, reterr);
    } else {
        r = w->runner->open(w->conf.probe, w->conf.flash, dir, &env, &a->flash, reterr);
    }
    bool safe = stage_release(a, text, sizeof text);
    if (r == 0 && !safe) {
        r = err_set(reterr, JF_E_IO, "%s", text);
    }
    (void)rmdir(dir);
fail_attempt:
    free(a);
    return r;
}
