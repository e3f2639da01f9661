/* SPDX-License-Identifier: GPL-2.0-or-later
 * Names of compiler/isa.h. */
#include "compiler/isa.h"

#include <string.h>

#include "base/err.h"

static const char *const names[] = {"portable", "dsp", "mve"};

const char *isa_name(enum isa isa) { return names[isa]; }

int isa_parse(const char *s, enum isa *ret_isa) {
    for (int i = ISA_PORTABLE; i <= ISA_MVE; i++) {
        if (strcmp(s, names[i]) == 0) {
            *ret_isa = (enum isa)i;
            return 0;
        }
    }
    return JF_E_INVAL;
}
