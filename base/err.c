/* SPDX-License-Identifier: GPL-2.0-or-later
 * The error table and the functions that fill struct err. Owns no state. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

struct err_row {
    int code;
    const char *word;
    enum err_cause cause;
    int http;
    const char *sentence;
};

static const struct err_row err_rows[] = {
#define X(sym, num, word, cause, http, text) {sym, word, ERR_CAUSE_##cause, http, text},
#include "base/errors.def"
#undef X
};

static const struct err_row *err_find(int code) {
    size_t n = sizeof err_rows / sizeof err_rows[0];
    const struct err_row *bug = &err_rows[0];
    for (size_t i = 0; i < n; i++) {
        if (err_rows[i].code == code) {
            return &err_rows[i];
        }
        if (err_rows[i].code == JF_E_BUG) {
            bug = &err_rows[i];
        }
    }
    return bug;
}

static void err_fill(struct err *reterr, int code, const char *where, const char *fmt, va_list ap) {
    if (!reterr) {
        return;
    }
    reterr->code = code;
    (void)snprintf(reterr->where, sizeof reterr->where, "%s", where ? where : "");
    (void)vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
}

int err_set(struct err *reterr, int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err_fill(reterr, code, NULL, fmt, ap);
    va_end(ap);
    return code;
}

int err_set_at(struct err *reterr, int code, const char *where, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err_fill(reterr, code, where, fmt, ap);
    va_end(ap);
    return code;
}

int err_set_errno(struct err *reterr, int code, int errnum, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err_fill(reterr, code, NULL, fmt, ap);
    va_end(ap);
    if (reterr) {
        size_t used = strlen(reterr->text);
        char buf[128];
        const char *why = strerror_r(errnum, buf, sizeof buf);
        (void)snprintf(reterr->text + used, sizeof reterr->text - used, ": %s", why);
    }
    return code;
}

int err_prefix(struct err *reterr, const char *fmt, ...) {
    if (!reterr) {
        return JF_E_BUG;
    }
    char old[sizeof reterr->text];
    memcpy(old, reterr->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
    va_end(ap);
    size_t used = strlen(reterr->text);
    (void)snprintf(reterr->text + used, sizeof reterr->text - used, ": %.400s", old);
    return reterr->code;
}

const char *err_word(int code) { return err_find(code)->word; }
const char *err_sentence(int code) { return err_find(code)->sentence; }
int err_http_status(int code) { return err_find(code)->http; }
enum err_cause err_cause_of(int code) { return err_find(code)->cause; }

const char *err_cause_name(enum err_cause cause) {
    static const char *const names[] = {"job", "infrastructure", "measurement", "canceled", "bug"};
    size_t i = (size_t)cause;
    return i < sizeof names / sizeof names[0] ? names[i] : "bug";
}
