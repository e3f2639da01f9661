/* SPDX-License-Identifier: GPL-2.0-or-later
 * The registry of flash runners. One visible table; a runner is a folder beside this file. */
#include "drivers/flash/flash.h"

#include <string.h>

#include "drivers/flash/openocd/openocd.h"

const struct flash_runner *const flash_runners[] = {&flash_openocd, NULL};

const struct flash_runner *flash_runner_by_name(const char *name) {
    for (size_t i = 0; flash_runners[i]; i++) {
        if (strcmp(flash_runners[i]->name, name) == 0) {
            return flash_runners[i];
        }
    }
    return NULL;
}

const char *flash_op_name(enum flash_op op) {
    static const char *const names[] = {"identify", "compare", "write", "verify", "reset-run", "reset-halt"};
    size_t i = (size_t)op;
    return i < sizeof names / sizeof names[0] ? names[i] : "?";
}
