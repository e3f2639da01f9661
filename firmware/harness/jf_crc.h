/* SPDX-License-Identifier: MIT
 * CRC-32 of zip and PNG (reflected polynomial edb88320), bit by bit: small, used on tensors of at most some ten kilobytes. Pure. */
#ifndef FIRMWARE_HARNESS_JF_CRC_H
#define FIRMWARE_HARNESS_JF_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t jf_crc32(const void *data, size_t n);

#endif
