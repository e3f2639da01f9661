/* SPDX-License-Identifier: GPL-2.0-or-later
 * Growing arrays with a hard bound. Pure. */
#ifndef MEASURE_GROW_H
#define MEASURE_GROW_H

#include <stddef.h>

#include "base/err.h"

/* Room for one more element of a growing array: the array to use from now on. *ret_rc: 0, JF_E_NOMEM, or JF_E_TOO_LARGE beyond max
 * elements (then the array is unchanged). */
void *measure_grow(void *data, size_t *cap, size_t len, size_t width, size_t max, int *ret_rc) JF_MUST_CHECK;

#endif
