/* SPDX-License-Identifier: GPL-2.0-or-later
 * Pure codec of the PPK2: commands, metadata text, conversion. The sample stream is in ppk2_stream.c. */
#include "drivers/power/ppk2/ppk2_proto.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const mod_names[PPK2_MODIFIERS] = {"R", "GS", "GI", "O", "S", "I", "UG"};

size_t ppk2_encode(enum ppk2_command command, uint8_t dst[PPK2_COMMAND_MAX]) {
    static const struct {
        uint8_t n, bytes[2];
    } table[] = {
        [PPK2_START] = {1, {0x06, 0}},         [PPK2_STOP] = {1, {0x07, 0}},           [PPK2_OUTPUT_OFF] = {2, {0x0C, 0x00}},
        [PPK2_OUTPUT_ON] = {2, {0x0C, 0x01}},  [PPK2_MODE_AMPERE] = {2, {0x11, 0x01}}, [PPK2_MODE_SOURCE] = {2, {0x11, 0x02}},
        [PPK2_METADATA] = {1, {0x19, 0}},
    };
    size_t n = table[command].n;
    memcpy(dst, table[command].bytes, n);
    return n;
}

int ppk2_encode_voltage(int mv, uint8_t dst[PPK2_COMMAND_MAX], size_t *ret_n) {
    if (mv < PPK2_MV_MIN || mv > PPK2_MV_MAX) {
        return JF_E_INVAL;
    }
    dst[0] = 0x0D;
    dst[1] = (uint8_t)(mv >> 8);
    dst[2] = (uint8_t)(mv & 0xFF);
    *ret_n = 3;
    return 0;
}

bool ppk2_modifier_by_name(const char *name, enum ppk2_modifier *ret_mod, int *ret_range) {
    size_t len = name ? strlen(name) : 0;
    if (len < 2 || name[len - 1] < '0' || name[len - 1] >= '0' + PPK2_RANGES) {
        return false;
    }
    for (int m = 0; m < PPK2_MODIFIERS; m++) {
        if (strlen(mod_names[m]) == len - 1 && memcmp(mod_names[m], name, len - 1) == 0) {
            *ret_mod = (enum ppk2_modifier)m;
            *ret_range = name[len - 1] - '0';
            return true;
        }
    }
    return false;
}

/* A plain decimal number filling [p, p+n), independent of the locale: strtod would follow LC_NUMERIC and would
 * also take "nan", "inf" and hexadecimal. */
static bool number(const char *p, size_t n, double *ret_v) {
    size_t i = 0;
    bool negative = false;
    if (i < n && (p[i] == '-' || p[i] == '+')) {
        negative = p[i++] == '-';
    }
    double mantissa = 0;
    int exp10 = 0, digits = 0;
    bool point = false;
    for (; i < n; i++) {
        if (p[i] >= '0' && p[i] <= '9') {
            if (++digits > 40) {
                return false;
            }
            mantissa = mantissa * 10 + (p[i] - '0');
            exp10 -= point ? 1 : 0;
        } else if (p[i] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (digits == 0) {
        return false;
    }
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        int sign = 1, e = 0, ed = 0;
        i++;
        if (i < n && (p[i] == '-' || p[i] == '+')) {
            sign = p[i++] == '-' ? -1 : 1;
        }
        for (; i < n && p[i] >= '0' && p[i] <= '9' && ed < 4; i++, ed++) {
            e = e * 10 + (p[i] - '0');
        }
        if (ed == 0) {
            return false;
        }
        exp10 += sign * e;
    }
    /* pow(10, k) is exact up to 22, and one rounding of a correctly written decimal is all that is added below. */
    double v = exp10 < 0 ? mantissa / pow(10, -exp10) : mantissa * pow(10, exp10);
    if (i != n || !isfinite(v)) {
        return false;
    }
    *ret_v = negative ? -v : v;
    return true;
}

static void put_modifier(struct ppk2_meta *m, bool seen[PPK2_MODIFIERS][PPK2_RANGES], enum ppk2_modifier mod, int range, bool ok, double v) {
    if (seen[mod][range]) {
        /* Said twice: only believed when both agree. */
        double old = m->mod[mod][range];
        m->have[mod][range] = m->have[mod][range] && ok && !(v < old) && !(v > old);
        return;
    }
    seen[mod][range] = true;
    /* The resistance divides, and a user gain of 0 would make every current 0. */
    bool usable = mod == PPK2_R ? v > 0 : mod == PPK2_UG ? fabs(v) > 0 : true;
    m->have[mod][range] = ok && usable;
    m->mod[mod][range] = ok ? v : 0;
}

static bool take_line(struct ppk2_meta *m, bool seen[PPK2_MODIFIERS][PPK2_RANGES], const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    if (!colon) {
        return false;
    }
    char key[16];
    size_t kn = (size_t)(colon - line);
    const char *p = colon + 1;
    const char *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (end > p && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t')) {
        end--;
    }
    if (kn == 0 || kn >= sizeof key) {
        return false;
    }
    memcpy(key, line, kn);
    key[kn] = '\0';
    double v = 0;
    bool ok = number(p, (size_t)(end - p), &v);
    enum ppk2_modifier mod;
    int range;
    if (ppk2_modifier_by_name(key, &mod, &range)) {
        put_modifier(m, seen, mod, range, ok, v);
    } else if (strcmp(key, "Calibrated") == 0) {
        m->have_calibrated = ok;
        m->calibrated = ok && fabs(v) > 0;
    } else if (strcmp(key, "VDD") == 0) {
        m->have_vdd = ok && v > 0;
        m->vdd_mv = m->have_vdd ? v : 0;
    } else if (strcmp(key, "HW") == 0) {
        m->have_hw = ok;
        m->hw = ok ? v : 0;
    } else if (strcmp(key, "IA") == 0) {
        m->have_ia = ok;
        m->ia = ok ? v : 0;
    } else {
        return false;
    }
    return true;
}

/* Length of the line at text, without its end; *ret_next is behind the end. */
static size_t line_at(const char *text, size_t n, size_t *ret_next) {
    const char *nl = memchr(text, '\n', n);
    size_t len = nl ? (size_t)(nl - text) : n;
    *ret_next = nl ? len + 1 : n;
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    return len;
}

bool ppk2_meta_complete(const char *text, size_t n) {
    for (size_t at = 0, next = 0; at < n; at += next) {
        size_t len = line_at(text + at, n - at, &next);
        if (len == 3 && memcmp(text + at, "END", 3) == 0) {
            return true;
        }
    }
    return false;
}

int ppk2_meta_parse(const char *text, size_t n, struct ppk2_meta *ret_meta, struct err *reterr) {
    struct ppk2_meta m = {0};
    bool seen[PPK2_MODIFIERS][PPK2_RANGES] = {{false}};
    int known = 0;
    if (n > PPK2_META_MAX) {
        return err_set(reterr, JF_E_PROTOCOL, "the PPK2's metadata is longer than %d bytes", PPK2_META_MAX);
    }
    for (size_t at = 0, next = 0; at < n; at += next) {
        size_t len = line_at(text + at, n - at, &next);
        if (len == 3 && memcmp(text + at, "END", 3) == 0) {
            if (known == 0) {
                break;
            }
            *ret_meta = m;
            return 0;
        }
        known += take_line(&m, seen, text + at, len) ? 1 : 0;
    }
    return err_set(reterr, JF_E_PROTOCOL, known == 0 ? "the PPK2's metadata has no known key" : "the PPK2's metadata does not end");
}

int ppk2_meta_missing(const struct ppk2_meta *meta, char *dst, size_t cap) {
    int missing = 0;
    size_t used = 0;
    if (cap > 0) {
        dst[0] = '\0';
    }
    for (int m = 0; m < PPK2_MODIFIERS; m++) {
        for (int r = 0; r < PPK2_RANGES; r++) {
            if (meta->have[m][r]) {
                continue;
            }
            int len = snprintf(dst + used, cap - used, "%s%s%d", missing ? ", " : "", mod_names[m], r);
            used = len > 0 && (size_t)len < cap - used ? used + (size_t)len : used;
            missing++;
        }
    }
    return missing;
}

double ppk2_convert(const struct ppk2_cal *cal, unsigned field, unsigned range) {
    double adc = 4.0 * field;
    double x = (adc - cal->mod[PPK2_O][range]) * (1.8 / 163840) / cal->mod[PPK2_R][range];
    double inner = x * (cal->mod[PPK2_GS][range] * x + cal->mod[PPK2_GI][range]) + cal->mod[PPK2_S][range] * cal->vdd_v + cal->mod[PPK2_I][range];
    return cal->mod[PPK2_UG][range] * inner;
}
