/* SPDX-License-Identifier: GPL-2.0-or-later
 * A program as firmware for a board: emits C into a private folder, runs the board's cross compiler there, copies the image out. The folder goes on
 * every path. The same sources, compiler and options give the same image: its content hash is its identity. Main thread (base/proc); blocks until the
 * compiler is done. */
#ifndef COMPILER_FIRMWARE_H
#define COMPILER_FIRMWARE_H

#include "compiler/board.h"
#include "compiler/emit.h"

#define FIRMWARE_MAX_REGIONS 8
#define FIRMWARE_DEADLINE_S 120

struct firmware_request {
    const struct program *program;
    const struct emit_info *info;
    const struct board *board;
    const char *firmware_dir; /* absolute */
    bool performance; /* JF_MODE: performance instead of energy */
    bool strict; /* the compiler's warnings are errors */
    const char *out; /* the image's file, replaced at once, or untouched */
};

struct firmware_region {
    char name[32];
    bool flash; /* else RAM, by the board's description */
    uint64_t used_bytes, size_bytes;
};

struct firmware_report {
    char sha256[65]; /* of the ELF file */
    uint64_t elf_bytes, flash_bytes, ram_bytes; /* sums over the regions; RAM holds arena, stack and the harness's own */
    struct firmware_region regions[FIRMWARE_MAX_REGIONS]; /* those that hold something */
    int n_regions;
};

/* JF_E_NOT_FOUND: no compiler (the sentence says what to install); JF_E_TOO_LARGE: the model's fault: section, region and bytes that do not fit, or more
 * than a static assertion of the sources allows; JF_E_UNSUPPORTED: the board's sources are too many, or the compiler's own first complaint; JF_E_TIMEOUT after FIRMWARE_DEADLINE_S; JF_E_CANCELED: a signal; JF_E_IO. */
int firmware_build(const struct firmware_request *q, struct firmware_report *ret_report, struct err *reterr) JF_MUST_CHECK;

/* SHA-256 in hex over all that an image for this board depends on besides model, options and this program: the firmware's sources (all but models/),
 * the compiler by what it says of itself, its assembler, linker, libgcc and libc by content. Blocks at most 20 s; errors as above, JF_E_IO: a source cannot be read. */
int firmware_key(const char *firmware_dir, const struct board *b, char ret_key[65], struct err *reterr) JF_MUST_CHECK;

#endif
