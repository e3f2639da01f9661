/* SPDX-License-Identifier: MIT
 * The `jf` command and the lines of the extension, as firmware/include/jf_device.h defines them. */
#ifndef FIRMWARE_HARNESS_JF_EXT_H
#define FIRMWARE_HARNESS_JF_EXT_H

#include <stdbool.h>

struct jf_harness;

/* The rest of a command whose first token was `jf`. False: not claimed (the extension is off and this is not `jf on`). */
bool jf_ext_command(struct jf_harness *h);
/* The lines after a window; nothing when the extension is off. n: inferences in it. */
void jf_ext_window(const struct jf_harness *h, int n);

#endif
