/* SPDX-License-Identifier: GPL-2.0-or-later
 * A bounded queue of pointers between one or more producers and consumers (mutex and condition). Used for the
 * block ring driver -> writer. A full ring makes put wait up to its budget and then fail: never a silent drop. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ring;

int ring_new(size_t slots, struct ring **ret_ring) JF_MUST_CHECK;
void ring_free(struct ring *r); /* items left inside are not freed; NULL allowed; no thread may be inside */
/* Any thread. Blocks at most budget_ms. JF_E_FULL: no room in time. JF_E_GONE: the ring is closed. */
int ring_put(struct ring *r, void *item, int budget_ms) JF_MUST_CHECK;
/* Any thread. JF_E_TIMEOUT: nothing in time. JF_E_GONE: closed and empty. */
int ring_take(struct ring *r, int budget_ms, void **ret_item) JF_MUST_CHECK;
void ring_close(struct ring *r); /* wakes everybody; what is inside can still be taken */
size_t ring_count(struct ring *r);

#endif
