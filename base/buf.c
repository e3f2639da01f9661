/* SPDX-License-Identifier: GPL-2.0-or-later
 * The bounded byte buffer of base/buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *ret_b, size_t max) {
    memset(ret_b, 0, sizeof *ret_b);
    ret_b->max = max;
}

void buf_done(struct buf *b) {
    if (b) {
        free(b->data);
        b->data = NULL;
        b->len = b->cap = 0;
    }
}

void buf_clear(struct buf *b) { b->len = 0; }

int buf_reserve(struct buf *b, size_t n, uint8_t **ret_p) {
    if (n > b->max || b->len > b->max - n || b->len + n > SIZE_MAX / 2 - 1) {
        return JF_E_TOO_LARGE; /* the last: doubling must reach it */
    }
    size_t need = b->len + n + 1; /* one spare for buf_str */
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need) {
            cap *= 2;
        }
        uint8_t *p = realloc(b->data, cap);
        if (!p) {
            return JF_E_NOMEM;
        }
        b->data = p;
        b->cap = cap;
    }
    *ret_p = b->data + b->len;
    return 0;
}

int buf_put(struct buf *b, const void *src, size_t n) {
    uint8_t *p;
    int r = buf_reserve(b, n, &p);
    if (r < 0) {
        return r;
    }
    if (n) {
        memcpy(p, src, n);
    }
    b->len += n;
    return 0;
}

int buf_putf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    va_list ap2;
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    uint8_t *p;
    int r = n < 0 ? JF_E_INVAL : buf_reserve(b, (size_t)n, &p);
    if (r == 0) {
        (void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap2);
        b->len += (size_t)n;
    }
    va_end(ap2);
    return r;
}

void buf_consume(struct buf *b, size_t n) {
    assert(n <= b->len);
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

const char *buf_str(struct buf *b) {
    uint8_t *end;
    if (buf_reserve(b, 0, &end) < 0) {
        return NULL;
    }
    *end = '\0';
    return (const char *)b->data;
}
