/* SPDX-License-Identifier: GPL-2.0-or-later
 * The MLPerf Tiny device protocol, host side, as pure functions (bench/dut_proto.h). Reply forms as printed by the
 * reference harness of mlcommons/tiny (benchmark/api/internally_implemented.cpp) and seen in published session logs. */
#include "bench/dut_proto.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fixed_form {
    const char *prefix;
    enum dut_line_kind kind;
    enum { FORM_EXACT, FORM_NUMBER, FORM_BRACKET, FORM_REST } form;
};

static const struct fixed_form forms[] = {
    {"m-ready", DUT_READY, FORM_EXACT},
    {"m-init-done", DUT_INIT_DONE, FORM_EXACT},
    {"m-timestamp-mode-", DUT_MODE, FORM_REST},
    {"m-lap-us-", DUT_LAP_US, FORM_NUMBER},
    {"m-name-dut-", DUT_NAME, FORM_BRACKET},
    {"m-profile-", DUT_PROFILE, FORM_BRACKET},
    {"m-model-", DUT_MODEL, FORM_BRACKET},
    {"m-load-done", DUT_LOAD_DONE, FORM_EXACT},
    {"m-warmup-start-", DUT_WARMUP_START, FORM_NUMBER},
    {"m-warmup-done", DUT_WARMUP_DONE, FORM_EXACT},
    {"m-infer-start-", DUT_INFER_START, FORM_NUMBER},
    {"m-infer-done", DUT_INFER_DONE, FORM_EXACT},
    {"m-results-", DUT_RESULTS, FORM_BRACKET},
};

static bool number_parse(const char *s, size_t len, uint64_t *ret_v) {
    if (len == 0 || len > 19) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    *ret_v = v;
    return true;
}

static bool has_prefix(const char *s, size_t len, const char *prefix) {
    size_t n = strlen(prefix);
    return len >= n && memcmp(s, prefix, n) == 0;
}

/* "[text]" -> text */
static bool bracket_parse(const char *s, size_t len, struct dut_line *out) {
    if (len < 2 || s[0] != '[' || s[len - 1] != ']') {
        return false;
    }
    out->text = s + 1;
    out->text_len = len - 2;
    return true;
}

static bool form_parse(const struct fixed_form *f, const char *s, size_t len, struct dut_line *out) {
    size_t n = strlen(f->prefix);
    switch (f->form) {
    case FORM_EXACT:
        return len == n;
    case FORM_NUMBER:
        return number_parse(s + n, len - n, &out->number);
    case FORM_BRACKET:
        return bracket_parse(s + n, len - n, out);
    case FORM_REST:
        out->text = s + n;
        out->text_len = len - n;
        return true;
    }
    return false;
}

/* "m-jf-<word>-[text]", "m-jf-<word>", or "m-jf-[text]" (the extension's version: word "") */
static bool jf_parse(const char *s, size_t len, struct dut_line *out) {
    const char *p = s + 5;
    size_t left = len - 5;
    const char *open = memchr(p, '[', left);
    size_t word_len = left;
    if (open) {
        if ((open > p && open[-1] != '-') || !bracket_parse(open, left - (size_t)(open - p), out)) {
            return false;
        }
        word_len = open > p ? (size_t)(open - p) - 1 : 0;
    }
    if ((word_len == 0 && open != p) || word_len >= sizeof out->word) {
        return false;
    }
    memcpy(out->word, p, word_len);
    out->word[word_len] = '\0';
    return true;
}

static bool special_parse(const char *s, size_t len, struct dut_line *out) {
    if (has_prefix(s, len, "e-[")) {
        out->kind = DUT_ERROR;
        if (!bracket_parse(s + 2, len - 2, out)) { /* cut short on the wire: still an error */
            out->text = s + 3;
            out->text_len = len - 3;
        }
        return true;
    }
    if (has_prefix(s, len, "e-?")) {
        out->kind = DUT_ERROR;
        out->text = s + 3;
        out->text_len = len - 3;
        return true;
    }
    static const char expecting[] = "m-[Expecting ", bytes[] = " bytes]";
    if (has_prefix(s, len, expecting) && len > sizeof expecting - 1 + sizeof bytes - 1 &&
        memcmp(s + len - (sizeof bytes - 1), bytes, sizeof bytes - 1) == 0 &&
        number_parse(s + sizeof expecting - 1, len - (sizeof expecting - 1) - (sizeof bytes - 1), &out->number)) {
        out->kind = DUT_EXPECTING;
        return true;
    }
    if (has_prefix(s, len, "m-jf-") && jf_parse(s, len, out)) {
        out->kind = DUT_JF;
        return true;
    }
    return false;
}

void dut_line_parse(const char *line, size_t len, struct dut_line *ret_line) {
    memset(ret_line, 0, sizeof *ret_line);
    ret_line->kind = DUT_OTHER;
    static const char tag[] = "[dut]: ";
    if (has_prefix(line, len, tag)) {
        ret_line->from_interface = true;
        line += sizeof tag - 1;
        len -= sizeof tag - 1;
    }
    ret_line->text = line;
    ret_line->text_len = len;
    if (special_parse(line, len, ret_line)) {
        return;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (has_prefix(line, len, forms[i].prefix)) {
            struct dut_line trial = *ret_line;
            if (form_parse(&forms[i], line, len, &trial)) {
                trial.kind = forms[i].kind;
                *ret_line = trial;
                return;
            }
        }
    }
    ret_line->text = line;
    ret_line->text_len = len;
}

static int field_next(const char *text, size_t len, size_t *pos, const char **ret_f, size_t *ret_len) {
    if (*pos > len) {
        return 0;
    }
    const char *start = text + *pos;
    const char *comma = memchr(start, ',', len - *pos);
    size_t n = comma ? (size_t)(comma - start) : len - *pos;
    *ret_f = start;
    *ret_len = n;
    *pos += n + 1;
    return 1;
}

int dut_values_parse(const char *text, size_t len, double *ret_values, size_t max) {
    size_t n = 0, pos = 0, flen;
    const char *f;
    while (field_next(text, len, &pos, &f, &flen)) {
        char tmp[40];
        if (flen == 0 || flen >= sizeof tmp || n >= max) {
            return JF_E_PARSE;
        }
        for (size_t i = 0; i < flen; i++) { /* only plain decimals: no "nan", no hexadecimal floats, no blanks */
            if (!strchr("0123456789+-.eE", f[i]) || f[i] == '\0') {
                return JF_E_PARSE;
            }
        }
        memcpy(tmp, f, flen);
        tmp[flen] = '\0';
        char *end;
        double v = strtod(tmp, &end);
        if (end != tmp + flen || !isfinite(v)) {
            return JF_E_PARSE;
        }
        ret_values[n++] = v;
    }
    return (int)n;
}

int dut_fields_parse(const char *text, size_t len, struct dut_fields *ret_f) {
    struct dut_fields out = {0};
    size_t pos = 0, flen;
    const char *f;
    while (field_next(text, len, &pos, &f, &flen)) {
        if (out.n >= DUT_FIELDS_MAX || flen >= sizeof out.field[0]) {
            return JF_E_PARSE;
        }
        memcpy(out.field[out.n], f, flen);
        out.field[out.n][flen] = '\0';
        out.n++;
    }
    *ret_f = out;
    return (int)out.n;
}

int dut_field_u64(const struct dut_fields *f, size_t i, uint64_t *ret_v) {
    if (i >= f->n) {
        return JF_E_PARSE;
    }
    const char *s = f->field[i];
    int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
    const char *digits = base == 16 ? s + 2 : s;
    size_t n = strlen(digits);
    if (n == 0 || strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "0123456789") != n) {
        return JF_E_PARSE;
    }
    errno = 0;
    unsigned long long v = strtoull(digits, NULL, base);
    if (errno != 0) {
        return JF_E_PARSE;
    }
    *ret_v = v;
    return 0;
}

void dut_splitter_feed(struct dut_splitter *s, const void *src, size_t n, dut_line_fn *fn, void *user) {
    const unsigned char *p = src;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = p[i];
        if (c == '\n') {
            s->line[s->len] = '\0';
            if (s->len > 0) {
                fn(user, s->line, s->len);
            }
            s->n_cut += s->cut;
            s->len = 0;
            s->cut = false;
        } else if (c == '\r') {
            continue;
        } else if (s->len < DUT_LINE_MAX) {
            s->line[s->len++] = c < 0x20 || c > 0x7e ? '?' : (char)c;
        } else {
            s->cut = true;
        }
    }
}

int dut_db_command(const uint8_t *src, size_t n, char ret_cmd[DUT_COMMAND_MAX + 1]) {
    static const char hex[] = "0123456789abcdef";
    if (n == 0 || n > DUT_DB_PAYLOAD) {
        return JF_E_INVAL;
    }
    size_t k = 0;
    ret_cmd[k++] = 'd';
    ret_cmd[k++] = 'b';
    ret_cmd[k++] = ' ';
    for (size_t i = 0; i < n; i++) {
        ret_cmd[k++] = hex[src[i] >> 4];
        ret_cmd[k++] = hex[src[i] & 15];
    }
    ret_cmd[k++] = '%';
    ret_cmd[k] = '\0';
    return (int)k;
}
