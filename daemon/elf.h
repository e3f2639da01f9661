/* SPDX-License-Identifier: GPL-2.0-or-later
 * Is this an image that a board can run? Pure: bytes in, facts out. libelf reads; every bound is checked here again.
 * Any thread. */
#ifndef DAEMON_ELF_H
#define DAEMON_ELF_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ELF_MAX_SEGMENTS 64

struct elf_segment {
    uint32_t paddr, vaddr, file_bytes, memory_bytes;
    int writable, executable;
};
struct elf_facts {
    struct elf_segment segments[ELF_MAX_SEGMENTS]; /* PT_LOAD with memory_bytes > 0 */
    int n_segments;
    uint32_t entry;
    uint64_t flash_bytes; /* bytes in the file that have to be written */
    uint64_t ram_bytes;   /* memory of the writable segments */
    char build_id[81];    /* GNU build id, hex; "" none */
};
/* JF_E_PARSE: not a 32-bit little-endian ARM executable with something to load, or damaged. */
int elf_read(const void *image, size_t size, struct elf_facts *ret_f, struct err *reterr) JF_MUST_CHECK;
json_t *elf_segments_json(const struct elf_facts *f);
/* The API's Firmware without created_at; new reference, NULL: no memory. */
json_t *elf_json(const struct elf_facts *f, const char *id, size_t size);
/* Does every segment (as elf_segments_json gave it) lie in a region of the catalogue entry? JF_E_UNSUPPORTED names the
 * segment. */
int elf_fits(const json_t *segments, const json_t *board_type, struct err *reterr) JF_MUST_CHECK;

#endif
