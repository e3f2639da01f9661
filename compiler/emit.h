/* SPDX-License-Identifier: GPL-2.0-or-later
 * Writes a program as one .c and one .h (MIT): const tables, a static arena, no allocation, no stdio. */
#ifndef COMPILER_EMIT_H
#define COMPILER_EMIT_H

#include "compiler/pack.h"

struct emit_info {
    const char *id; /* C identifier, at most 31 characters */
    const char *source_name; /* for the head comment */
    const char *source_sha256; /* 64 hex digits */
    const char *passes, *changes; /* "exact"; what they changed (ir_changes_text), for the head comment */
    uint32_t golden_seed, golden_output_crc32, golden_all_crc32;
    const struct packing *packing; /* of the program, for other kernels than the portable ones; NULL: portable */
};

/* dir/jfm_<id>.c and .h, each written under a temporary name, flushed and renamed: both or none. */
int emit_files(const struct program *p, const struct emit_info *info, const char *dir, struct err *reterr) JF_MUST_CHECK;

#endif
