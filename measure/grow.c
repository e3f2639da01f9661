/* SPDX-License-Identifier: GPL-2.0-or-later
 * Growing arrays: doubling, up to a bound. */
#include "measure/grow.h"

#include <stdlib.h>
#include <string.h>

void *measure_grow(void *data, size_t *cap, size_t len, size_t width, size_t max, int *ret_rc) {
    *ret_rc = 0;
    if (len < *cap)
        return data;
    if (len >= max) {
        *ret_rc = JF_E_TOO_LARGE;
        return data;
    }
    size_t want = *cap ? *cap * 2 : 64;
    void *p = malloc(want * width);
    if (!p) {
        *ret_rc = JF_E_NOMEM;
        return data;
    }
    if (len > 0)
        memcpy(p, data, len * width);
    free(data);
    *cap = want;
    return p;
}
