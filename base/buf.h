/* SPDX-License-Identifier: GPL-2.0-or-later
 * A growable byte buffer with a hard bound. Single owner; no locking. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len, cap;
    size_t max; /* bytes; a put beyond this fails with JF_E_TOO_LARGE */
};

void buf_init(struct buf *ret_b, size_t max);
void buf_done(struct buf *b); /* frees; b may be reused after buf_init */
void buf_clear(struct buf *b); /* len = 0, keeps the memory */
/* All or nothing: on JF_E_NOMEM or JF_E_TOO_LARGE the content is unchanged. */
int buf_put(struct buf *b, const void *src, size_t n) JF_MUST_CHECK;
int buf_putf(struct buf *b, const char *fmt, ...) JF_PRINTF(2, 3) JF_MUST_CHECK;
/* Reserves n writable bytes behind len without changing len; pointer valid until the next call. */
int buf_reserve(struct buf *b, size_t n, uint8_t **ret_p) JF_MUST_CHECK;
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes (n <= len) */
/* NUL-terminates (not counted in len) and returns the text; NULL when memory is short. */
const char *buf_str(struct buf *b);

#endif
