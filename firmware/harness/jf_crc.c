/* SPDX-License-Identifier: MIT
 * See jf_crc.h. */
#include "firmware/harness/jf_crc.h"

uint32_t jf_crc32(const void *data, size_t n) {
    const uint8_t *s = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= s[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (UINT32_C(0xEDB88320) & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}
