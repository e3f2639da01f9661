/* SPDX-License-Identifier: GPL-2.0-or-later
 * A vendor's tool as a child process: its command lines, version probe and reports are data of the target's file, its files are
 * collected, its numbers read, and both kept under a hash of everything that went in. Main thread only (base/proc). Blocks for
 * as long as the tool runs, at most its deadline. */
#ifndef COMPILER_VENDOR_H
#define COMPILER_VENDOR_H

#include "compiler/target.h"

/* Numbers that a report can give. */
enum vendor_field { VENDOR_WEIGHT_BYTES, VENDOR_ACTIVATION_BYTES, VENDOR_FLASH_BYTES, VENDOR_RAM_BYTES, VENDOR_CYCLES, VENDOR_MACS, VENDOR_NPU_OPERATORS, VENDOR_CPU_OPERATORS, VENDOR_FIELDS };
#define VENDOR_FIELDS_TEXT "weight_bytes, activation_bytes, flash_bytes, ram_bytes, cycles, macs, npu_operators, cpu_operators"
int vendor_field_index(const char *name); /* -1: there is none */
const char *vendor_field_name(enum vendor_field f);

#define VENDOR_MAX_FILES 32
#define VENDOR_MAX_OUTPUT (4u << 20) /* of what a tool may print */

struct vendor_request {
    const struct target_tool *tool;
    const char *model; /* path */
    const char *out; /* directory, made if missing */
    const char *cache; /* directory; NULL: no cache */
    const char *need_values[TARGET_MAX_NEEDS]; /* paths, in the order of tool->needs; NULL: not given */
};
struct vendor_result {
    char version[64], key[65]; /* key: the hash, hexadecimal */
    bool cached;
    bool has[VENDOR_FIELDS];
    int64_t value[VENDOR_FIELDS];
    char files[VENDOR_MAX_FILES][160]; /* names inside `out` */
    int n_files;
};

/* JF_E_NOT_FOUND: the tool is absent (the text ends with how to install it), or an input is. JF_E_TIMEOUT, JF_E_TOO_LARGE,
 * JF_E_UNSUPPORTED (version), JF_E_PARSE (its output is not what the file describes), JF_E_IO: it failed; the text holds its last
 * line. On failure nothing is left in `out` but what was there. */
int vendor_run(const struct vendor_request *q, struct vendor_result *ret_r, struct err *reterr) JF_MUST_CHECK;

/* Parts, for tests. Reads one report; text is not NUL-terminated. */
int vendor_report_read(const struct target_report *p, const char *text, size_t n, struct vendor_result *r, struct err *reterr) JF_MUST_CHECK;
/* The first dotted number behind key (NULL: anywhere), e.g. "3.12.0". */
int vendor_version_find(const char *text, const char *key, char *dst, size_t size);

/* Where results are kept when nothing else is asked for: $XDG_CACHE_HOME/joulefarm/vendor, else ~/.cache/joulefarm/vendor. */
int vendor_cache_default(char *dst, size_t size, struct err *reterr) JF_MUST_CHECK;
/* At most this many entries and bytes; the oldest go first. */
#define VENDOR_CACHE_ENTRIES 64
#define VENDOR_CACHE_BYTES (INT64_C(512) << 20)

#endif
