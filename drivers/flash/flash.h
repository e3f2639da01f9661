/* SPDX-License-Identifier: GPL-2.0-or-later
 * THE contract of a flash runner (design: architecture section 4). Two axes that never mix: the runner knows *how*
 * (drivers/flash/openocd), the board profile (config/boards) knows *what*: chip id, regions, start recipe, scripts.
 * Main thread only (runners fork). Every call is a started operation that the caller steps: nothing blocks longer
 * than a few ms, so the worker's poll loop keeps running and cancel works while openocd hangs. */
#ifndef DRIVERS_FLASH_H
#define DRIVERS_FLASH_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/proc/proc.h"

enum flash_op { FLASH_IDENTIFY, FLASH_COMPARE, FLASH_WRITE, FLASH_VERIFY, FLASH_RESET_RUN, FLASH_RESET_HALT };

struct flash_env { /* borrowed for the device's life */
    const struct proc_sys *proc;
    const struct clock_src *clock;
    const int *keep_fds; /* handed to children (the bench lock) */
    size_t n_keep_fds;
    void (*log)(void *user, const char *line); /* each line of the tool's output, without newline */
    void *user;
};

struct flash_identity {
    char probe_serial[64];
    uint32_t chip_id; /* e.g. DBGMCU_IDCODE */
    double target_v; /* as the probe sees it; NaN unknown */
    char runner[32], runner_version[64];
};

struct flash_progress {
    enum flash_op op;
    bool done; /* then result is meaningful */
    int result; /* 0 or JF_E_* (JF_E_PROBE, JF_E_IDENTITY, JF_E_VERIFY, JF_E_TIMEOUT, JF_E_CANCELED) */
    bool equal; /* FLASH_COMPARE: the board provably holds the image */
    double fraction; /* 0..1, NaN unknown */
};

struct flash_dev;
struct flash_runner {
    const char *name;
    const char *sentence;
    /* probe: the bench's "probe" object; board: the board profile's "flash" object; work_dir: private directory that
     * exists and is empty or ours. Checks the configuration only; no child yet. */
    int (*open)(const json_t *probe, const json_t *board, const char *work_dir, const struct flash_env *env, struct flash_dev **ret_dev, struct err *reterr);
    /* image_path is copied or linked under a fixed name into work_dir. deadline_ms bounds the whole operation. */
    int (*begin)(struct flash_dev *d, enum flash_op op, const char *image_path, int deadline_ms, struct err *reterr);
    size_t (*poll_fds)(struct flash_dev *d, struct pollfd *fds, size_t max);
    int (*step)(struct flash_dev *d, struct flash_progress *ret_progress, struct err *reterr); /* never blocks */
    void (*cancel)(struct flash_dev *d); /* SIGTERM now, SIGKILL to the group after the grace; keep stepping until done */
    int (*identity)(struct flash_dev *d, struct flash_identity *ret_id); /* after FLASH_IDENTIFY */
    void (*close)(struct flash_dev *d); /* kills and reaps a running child; NULL allowed */
};

extern const struct flash_runner *const flash_runners[]; /* ends with NULL */
const struct flash_runner *flash_runner_by_name(const char *name);
const char *flash_op_name(enum flash_op op);

#endif
