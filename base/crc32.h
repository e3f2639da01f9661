/* SPDX-License-Identifier: GPL-2.0-or-later
 * CRC-32 (ISO-HDLC: reflected 0xEDB88320, init and final xor 0xFFFFFFFF), as in zip and PNG. Pure; any thread. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to start) over n bytes. crc32_update(0, "123456789", 9) == 0xCBF43926. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t n);
/* The same with Castagnoli's polynomial (CRC-32C, reflected 0x82F63B78, RFC 3720 B.4), which x86 and ARM compute in hardware.
 * crc32c_update(0, "123456789", 9) == 0xE3069283. */
uint32_t crc32c_update(uint32_t crc, const void *data, size_t n);

#endif
