/* SPDX-License-Identifier: GPL-2.0-or-later
 * The version of the libsigrok in use, for provenance. */
#include <libsigrok/libsigrok.h>

#include "drivers/power/sigrok/sigrok.h"

const char *power_sigrok_library_version(void) { return sr_package_version_string_get(); }
