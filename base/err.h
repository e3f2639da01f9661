/* SPDX-License-Identifier: GPL-2.0-or-later
 * Errors. Functions return 0 or a positive count on success and a negative JF_E_* code on failure; `ret_x`
 * outputs are written only on success, `struct err *reterr` only on failure (it may be NULL). Libraries fill
 * in an error and return; only programs log. Any thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum jf_error {
#define X(sym, num, word, cause, http, text) sym = num,
#include "base/errors.def"
#undef X
};

enum err_cause { ERR_CAUSE_JOB, ERR_CAUSE_INFRASTRUCTURE, ERR_CAUSE_MEASUREMENT, ERR_CAUSE_CANCELED, ERR_CAUSE_BUG };

/* One failure: code, a sentence for a person, and where it happened (a field path, file:line or byte). */
struct err {
    int code;
    char where[128];
    char text[512];
};

#if defined(__GNUC__)
#define JF_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define JF_MUST_CHECK __attribute__((warn_unused_result))
#else
#define JF_PRINTF(a, b)
#define JF_MUST_CHECK
#endif

/* Fills *reterr (when not NULL) and returns code, so that `return err_set(reterr, JF_E_X, ...)` reads well.
 * err_set clears where; err_set_at sets it (NULL: none). Text is cut at the buffer's end. */
int err_set(struct err *reterr, int code, const char *fmt, ...) JF_PRINTF(3, 4);
int err_set_at(struct err *reterr, int code, const char *where, const char *fmt, ...) JF_PRINTF(4, 5);
/* Same, appending strerror(errnum) to the text. */
int err_set_errno(struct err *reterr, int code, int errnum, const char *fmt, ...) JF_PRINTF(4, 5);
/* Prefixes the text already in *reterr with "fmt: " (no-op for NULL); returns reterr's code. */
int err_prefix(struct err *reterr, const char *fmt, ...) JF_PRINTF(2, 3);

/* Table look-ups; an unknown code answers as JF_E_BUG. Strings are static. */
const char *err_word(int code);
const char *err_sentence(int code);
int err_http_status(int code);
enum err_cause err_cause_of(int code);
const char *err_cause_name(enum err_cause cause); /* "job", "infrastructure", ... */

#endif
