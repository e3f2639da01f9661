/* SPDX-License-Identifier: MIT
 * See jf_out.h. fixed3 works on the bits of an IEEE 754 binary64: no library float formatting is linked into the image. */
#include "firmware/harness/jf_out.h"

#include <string.h>

#include "firmware/harness/jf_port.h"

void jf_out_str(const struct jf_port *p, const char *s) {
    while (*s != '\0') {
        p->putc(p->ctx, *s++);
    }
}

void jf_out_u64(const struct jf_port *p, uint64_t v) {
    char digit[20]; /* 2^64 has 20 digits */
    unsigned n = 0;
    do {
        digit[n++] = (char)('0' + (char)(v % 10));
        v /= 10;
    } while (v != 0);
    while (n > 0) {
        p->putc(p->ctx, digit[--n]);
    }
}

void jf_out_i32(const struct jf_port *p, int32_t v) {
    if (v < 0) {
        p->putc(p->ctx, '-');
    }
    jf_out_u64(p, v < 0 ? (uint64_t)-(int64_t)v : (uint64_t)v);
}

void jf_out_hex(const struct jf_port *p, uint32_t v, unsigned digits) {
    while (digits > 0) {
        digits--;
        p->putc(p->ctx, "0123456789abcdef"[(v >> (4 * digits)) & 15]);
    }
}

/* |v| * 1000 rounded to nearest even, from mantissa and exponent; v = mantissa * 2^exponent, mantissa < 2^53, exponent < 0. */
static uint64_t thousandths(uint64_t mantissa, int exponent) {
    uint64_t scaled = mantissa * 1000; /* < 2^63 */
    unsigned shift = (unsigned)-exponent;
    if (shift > 63) {
        return 0; /* below 2^63 / 2^64: less than half a thousandth */
    }
    uint64_t whole = scaled >> shift, rest = scaled & ((UINT64_C(1) << shift) - 1), half = UINT64_C(1) << (shift - 1);
    if (rest > half || (rest == half && (whole & 1) != 0)) {
        whole++;
    }
    return whole;
}

void jf_out_fixed3(const struct jf_port *p, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)((bits >> 52) & 0x7FF);
    uint64_t whole = (UINT64_C(1) << 53) - 1, part = 999;
    if (biased == 0x7FF && mantissa != 0) {
        jf_out_str(p, "nan");
        return;
    }
    if (biased < 1075) { /* |v| < 2^52 */
        uint64_t t = thousandths(biased == 0 ? mantissa : mantissa | (UINT64_C(1) << 52), (biased == 0 ? 1 : biased) - 1075);
        whole = t / 1000;
        part = t % 1000;
    } else if (biased == 1075) { /* an integer below 2^53 */
        whole = mantissa | (UINT64_C(1) << 52);
        part = 0;
    }
    if (bits >> 63) {
        p->putc(p->ctx, '-');
    }
    jf_out_u64(p, whole);
    p->putc(p->ctx, '.');
    p->putc(p->ctx, (char)('0' + (char)(part / 100)));
    p->putc(p->ctx, (char)('0' + (char)(part / 10 % 10)));
    p->putc(p->ctx, (char)('0' + (char)(part % 10)));
}

void jf_out_line(const struct jf_port *p, const char *s) {
    jf_out_str(p, s);
    jf_out_str(p, "\r\n");
}

void jf_out_line_i32(const struct jf_port *p, const char *prefix, int32_t v) {
    jf_out_str(p, prefix);
    jf_out_i32(p, v);
    jf_out_str(p, "\r\n");
}
