/* SPDX-License-Identifier: MIT
 * The byte buffer behind `db`: what the host loads, byte by byte. Pure, bounded; knows neither the wire nor the model. */
#ifndef FIRMWARE_HARNESS_JF_BUFFER_H
#define FIRMWARE_HARNESS_JF_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#define JF_BUFFER_MAX 27648 /* 96 * 96 * 3, the protocol's largest input */

struct jf_buffer {
    uint8_t byte[JF_BUFFER_MAX];
    int32_t size; /* announced by `db load`; 0: nothing announced since boot */
    int32_t pos;  /* received so far, at most size */
};

/* n in 1..JF_BUFFER_MAX: expects n bytes from the start. */
void jf_buffer_expect(struct jf_buffer *b, int32_t n);
/* Appends; what exceeds the size is ignored. True: this byte was the last one expected. */
bool jf_buffer_put(struct jf_buffer *b, uint8_t byte);
/* Two hexadecimal digits, either case: 0..255, or -1. */
int jf_buffer_hex(const char digit[2]);

#endif
