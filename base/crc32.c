/* SPDX-License-Identifier: GPL-2.0-or-later
 * CRC-32 by slices of eight bytes; CRC-32C by the processor's instruction where there is one: trace files are checksummed at capture
 * speed, where a byte table would be the bottleneck. Owns no state. */
#include "base/crc32.h"

#include <string.h>

#include "base/crc32_table.h"
#include "base/crc32c_table.h"

static uint32_t by_slices(const uint32_t (*t)[256], uint32_t crc, const uint8_t *p, size_t n) {
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = t[7][a & 255] ^ t[6][(a >> 8) & 255] ^ t[5][(a >> 16) & 255] ^ t[4][a >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; n > 0; n--)
        crc = (crc >> 8) ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t n) {
    return by_slices(crc32_table, crc, data, n);
}

#if defined(__x86_64__)
static uint32_t shift(const uint32_t (*t)[256], uint32_t c) {
    return t[0][c & 255] ^ t[1][(c >> 8) & 255] ^ t[2][(c >> 16) & 255] ^ t[3][c >> 24];
}

/* The instruction takes three cycles but a new one may start in each: three lanes at once, put together by what the later ones move the
 * earlier ones on. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t c = (uint32_t)~crc, word;
    for (; n >= 3 * (size_t)CRC32C_LANE; n -= 3 * (size_t)CRC32C_LANE, p += 2 * (size_t)CRC32C_LANE) {
        uint64_t d = 0, e = 0, x[3];
        for (size_t k = 0; k < CRC32C_LANE; k += 8, p += 8) {
            memcpy(&x[0], p, 8);
            memcpy(&x[1], p + CRC32C_LANE, 8);
            memcpy(&x[2], p + 2 * (size_t)CRC32C_LANE, 8);
            c = __builtin_ia32_crc32di(c, x[0]);
            d = __builtin_ia32_crc32di(d, x[1]);
            e = __builtin_ia32_crc32di(e, x[2]);
        }
        c = shift(crc32c_shift[1], (uint32_t)c) ^ shift(crc32c_shift[0], (uint32_t)d) ^ e;
    }
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, sizeof word);
        c = __builtin_ia32_crc32di(c, word);
    }
    uint32_t r = (uint32_t)c;
    for (; n > 0; n--)
        r = __builtin_ia32_crc32qi(r, *p++);
    return ~r;
}

uint32_t crc32c_update(uint32_t crc, const void *data, size_t n) {
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, data, n) : by_slices(crc32c_table, crc, data, n);
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t crc32c_update(uint32_t crc, const void *data, size_t n) {
    const uint8_t *p = data;
    uint64_t word;
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, sizeof word);
        crc = __crc32cd(crc, word);
    }
    for (; n > 0; n--)
        crc = __crc32cb(crc, *p++);
    return ~crc;
}
#else
uint32_t crc32c_update(uint32_t crc, const void *data, size_t n) {
    return by_slices(crc32c_table, crc, data, n);
}
#endif
