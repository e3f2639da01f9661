/* SPDX-License-Identifier: GPL-2.0-or-later
 * The one visible list of power drivers. Adding an instrument family: one extern, one row. */
#include <string.h>

#include "drivers/power/power.h"
#include "drivers/power/ppk2/ppk2.h"
#include "drivers/power/sigrok/sigrok.h"

const struct power_driver *const power_drivers[] = {&power_driver_ppk2, &power_driver_sigrok, NULL};

const struct power_driver *power_driver_by_name(const char *name) {
    for (size_t i = 0; name && power_drivers[i]; i++) {
        if (strcmp(power_drivers[i]->name, name) == 0) {
            return power_drivers[i];
        }
    }
    return NULL;
}

const char *power_maturity_name(enum power_maturity m) {
    static const char *const names[] = {"simulated", "replayed", "bench_tested"};
    size_t i = (size_t)m;
    return i < sizeof names / sizeof names[0] ? names[i] : "simulated";
}
