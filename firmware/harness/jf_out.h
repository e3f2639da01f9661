/* SPDX-License-Identifier: MIT
 * Text to the serial line without printf: strings, decimal and hexadecimal integers, numbers with three decimals. Pure but for the port's putc. */
#ifndef FIRMWARE_HARNESS_JF_OUT_H
#define FIRMWARE_HARNESS_JF_OUT_H

#include <stdint.h>

struct jf_port;

void jf_out_str(const struct jf_port *p, const char *s);
void jf_out_u64(const struct jf_port *p, uint64_t v);
void jf_out_i32(const struct jf_port *p, int32_t v);
/* The lowest `digits` (1..8) hexadecimal digits of v, lower case. */
void jf_out_hex(const struct jf_port *p, uint32_t v, unsigned digits);
/* As printf("%.3f"): rounded to nearest, ties to even, exactly. Magnitudes of 2^53 and more print as 9007199254740991.999 with their sign;
 * not-a-number prints nan. */
void jf_out_fixed3(const struct jf_port *p, double v);

/* Whole lines: prefix, number, CR LF. */
void jf_out_line(const struct jf_port *p, const char *s);
void jf_out_line_i32(const struct jf_port *p, const char *prefix, int32_t v);

#endif
