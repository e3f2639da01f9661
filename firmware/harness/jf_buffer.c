/* SPDX-License-Identifier: MIT
 * See jf_buffer.h. */
#include "firmware/harness/jf_buffer.h"

void jf_buffer_expect(struct jf_buffer *b, int32_t n) {
    b->size = n;
    b->pos = 0;
}

bool jf_buffer_put(struct jf_buffer *b, uint8_t byte) {
    if (b->pos >= b->size) {
        return false;
    }
    b->byte[b->pos++] = byte;
    return b->pos == b->size;
}

static int nibble(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int jf_buffer_hex(const char digit[2]) {
    int high = nibble(digit[0]), low = nibble(digit[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}
