/* SPDX-License-Identifier: GPL-2.0-or-later
 * CRC-32 by slices of eight bytes: trace files are checksummed at capture speed, where a byte table would be the bottleneck. Owns no
 * state. */
#include "base/crc32.h"

#include "base/crc32_table.h"

uint32_t crc32_update(uint32_t crc, const void *data, size_t n) {
    const uint32_t(*t)[256] = crc32_table;
    const uint8_t *p = data;
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = t[7][a & 255] ^ t[6][(a >> 8) & 255] ^ t[5][(a >> 16) & 255] ^ t[4][a >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; n > 0; n--)
        crc = (crc >> 8) ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}
