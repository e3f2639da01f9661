/* SPDX-License-Identifier: GPL-2.0-or-later
 * Pure SCPI codec (see scpi_proto.h). Every loop is bounded by its argument. */
#include "drivers/power/sigrok/scpi_proto.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int scpi_line(const char *buf, size_t n, size_t *ret_len, size_t *ret_drop, struct err *reterr) {
    const char *nl = memchr(buf, '\n', n < SCPI_LINE_MAX ? n : SCPI_LINE_MAX);
    if (!nl) {
        return n >= SCPI_LINE_MAX ? err_set(reterr, JF_E_PROTOCOL, "the instrument's answer has no end within %d bytes", SCPI_LINE_MAX) : 0;
    }
    size_t len = (size_t)(nl - buf);
    *ret_drop = len + 1;
    while (len > 0 && (buf[len - 1] == '\r' || buf[len - 1] == ' ')) {
        len--;
    }
    if (memchr(buf, '\0', len)) {
        return err_set(reterr, JF_E_PROTOCOL, "the instrument's answer holds a zero byte");
    }
    *ret_len = len;
    return 1;
}

int scpi_number(const char *text, size_t n, double *ret_v) {
    size_t i = 0;
    bool negative = false, point = false, exp_negative = false;
    double mantissa = 0;
    int exp10 = 0, digits = 0, exponent = 0;
    if (n > 64) {
        return JF_E_PROTOCOL;
    }
    if (i < n && (text[i] == '-' || text[i] == '+')) {
        negative = text[i++] == '-';
    }
    for (; i < n && ((text[i] >= '0' && text[i] <= '9') || (text[i] == '.' && !point)); i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        mantissa = mantissa * 10 + (text[i] - '0');
        exp10 -= point ? 1 : 0;
        digits++;
    }
    if (digits == 0) {
        return JF_E_PROTOCOL;
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        int exp_digits = 0;
        i++;
        if (i < n && (text[i] == '-' || text[i] == '+')) {
            exp_negative = text[i++] == '-';
        }
        for (; i < n && text[i] >= '0' && text[i] <= '9' && exp_digits < 4; i++, exp_digits++) {
            exponent = exponent * 10 + (text[i] - '0');
        }
        if (exp_digits == 0) {
            return JF_E_PROTOCOL;
        }
    }
    exp10 += exp_negative ? -exponent : exponent;
    double v = exp10 < 0 ? mantissa / pow(10, -exp10) : mantissa * pow(10, exp10);
    if (i != n || !isfinite(v) || fabs(v) >= 9.8e37) {
        return JF_E_PROTOCOL;
    }
    *ret_v = negative ? -v : v;
    return 0;
}

int scpi_block(const uint8_t *buf, size_t n, uint64_t max, size_t *ret_begin, uint64_t *ret_len) {
    if (n >= 1 && buf[0] != '#') {
        return JF_E_PROTOCOL;
    }
    if (n < 2) {
        return 0;
    }
    if (buf[1] < '1' || buf[1] > '9') {
        return JF_E_PROTOCOL; /* #0, the indefinite form, cannot be bounded */
    }
    size_t digits = (size_t)(buf[1] - '0');
    uint64_t len = 0;
    for (size_t i = 0; i < digits && i + 2 < n; i++) {
        if (buf[i + 2] < '0' || buf[i + 2] > '9') {
            return JF_E_PROTOCOL;
        }
        len = len * 10 + (uint64_t)(buf[i + 2] - '0');
    }
    if (n < 2 + digits) {
        return 0;
    }
    if (len > max) {
        return JF_E_TOO_LARGE;
    }
    *ret_begin = 2 + digits;
    *ret_len = len;
    return 1;
}

int scpi_state(const char *text, enum scpi_state *ret_state) {
    static const struct {
        const char *word;
        enum scpi_state state;
    } words[] = {
        {"RUN", SCPI_RUN},           {"STOP", SCPI_STOPPING}, {"STOPPING", SCPI_STOPPING}, {"COMP", SCPI_COMPLETE},
        {"COMPLETE", SCPI_COMPLETE}, {"BRE", SCPI_BREAK},     {"BREAK", SCPI_BREAK},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *ret_state = words[i].state;
            return 0;
        }
    }
    return JF_E_PROTOCOL;
}

/* The next comma-separated field of *p; false at the end. */
static bool field(const char **p, const char **ret_at, size_t *ret_n) {
    if (!*p) {
        return false;
    }
    const char *comma = strchr(*p, ',');
    const char *at = *p;
    size_t n = comma ? (size_t)(comma - at) : strlen(at);
    while (n > 0 && *at == ' ') {
        at++;
        n--;
    }
    while (n > 0 && at[n - 1] == ' ') {
        n--;
    }
    *ret_at = at;
    *ret_n = n;
    *p = comma ? comma + 1 : NULL;
    return true;
}

int scpi_header(const char *text, struct scpi_header *ret_h) {
    double v[4] = {0};
    const char *p = text, *at = NULL;
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        if (!field(&p, &at, &n) || scpi_number(at, n, &v[i]) < 0) {
            return JF_E_PROTOCOL;
        }
    }
    /* The fourth field is the number of values per sample interval: 2 for envelope or peak records, which are no time series. */
    if (p || !(v[1] > v[0]) || !(v[2] >= 2) || v[2] > 1e10 || floor(v[2]) < v[2] || v[3] < 1 || v[3] > 1) {
        return JF_E_PROTOCOL;
    }
    *ret_h = (struct scpi_header){.from_s = v[0], .to_s = v[1], .count = (uint64_t)v[2]};
    return 0;
}

int scpi_idn(const char *text, struct scpi_idn *ret_idn) {
    struct scpi_idn idn = {{0}, {0}, {0}, {0}};
    char *const dst[4] = {idn.maker, idn.model, idn.serial, idn.firmware};
    const char *p = text, *at = NULL;
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        if (!field(&p, &at, &n) || n == 0 || n >= sizeof idn.maker) {
            return JF_E_PROTOCOL;
        }
        memcpy(dst[i], at, n);
        dst[i][n] = '\0';
    }
    if (p) {
        return JF_E_PROTOCOL;
    }
    *ret_idn = idn;
    return 0;
}

int scpi_conn(const char *conn, struct scpi_conn *ret_c, struct err *reterr) {
    static const char prefix[] = "tcp-raw/";
    struct scpi_conn c;
    const char *host = conn && strncmp(conn, prefix, sizeof prefix - 1) == 0 ? conn + sizeof prefix - 1 : NULL;
    const char *slash = host ? strchr(host, '/') : NULL;
    size_t hn = slash ? (size_t)(slash - host) : 0;
    size_t pn = slash ? strlen(slash + 1) : 0;
    if (hn == 0 || hn >= sizeof c.host || pn == 0 || pn > 5 || strspn(slash + 1, "0123456789") != pn) {
        return err_set_at(reterr, JF_E_INVAL, "conn", "arming over SCPI needs tcp-raw/HOST/PORT");
    }
    memcpy(c.host, host, hn);
    c.host[hn] = '\0';
    memcpy(c.port, slash + 1, pn + 1);
    unsigned port = 0;
    for (size_t i = 0; i < pn; i++) {
        port = port * 10 + (unsigned)(c.port[i] - '0');
    }
    if (port == 0 || port > 65535) {
        return err_set_at(reterr, JF_E_INVAL, "conn", "%u is not a TCP port", port);
    }
    *ret_c = c;
    return 0;
}

int scpi_timebase(double capture_s, struct scpi_timebase *ret_t) {
    static const int mantissa[] = {1, 2, 5};
    for (int exponent = -9; exponent <= 1; exponent++) {
        for (size_t m = 0; m < 3; m++) {
            double scale = exponent < 0 ? mantissa[m] / pow(10, -exponent) : mantissa[m] * pow(10, exponent);
            /* 1e-12: asked 0.6 s must fit 12 * 0.05 s, whatever the rounding */
            if (scale < 1.5e-9 || scale * SCPI_DIVISIONS < capture_s * (1 - 1e-12)) {
                continue;
            }
            *ret_t = (struct scpi_timebase){.scale_s = scale, .span_s = scale * SCPI_DIVISIONS};
            (void)snprintf(ret_t->text, sizeof ret_t->text, "%dE%d", mantissa[m], exponent);
            return 0;
        }
    }
    return JF_E_INVAL;
}

double scpi_position(double span_s, double pre_s) { return span_s / 2 - pre_s; }
