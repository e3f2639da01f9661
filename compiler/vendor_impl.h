/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the parts of the vendor adapters share (vendor.c, vendor_cache.c). */
#ifndef COMPILER_VENDOR_IMPL_H
#define COMPILER_VENDOR_IMPL_H

#include <limits.h>

#include "base/buf.h"
#include "compiler/vendor.h"

struct vendor_child {
    const char *const *argv;
    const char *cwd; /* NULL: the parent's */
    int64_t deadline_s, memory_mib;
};
/* Runs one child to its end; what it prints is appended to out. */
int vendor_child_run(const struct vendor_child *c, struct buf *out, struct err *reterr) JF_MUST_CHECK;

struct vendor_job {
    const struct vendor_request *q;
    char model[PATH_MAX], work[PATH_MAX], stem[256], needs[TARGET_MAX_NEEDS][PATH_MAX]; /* absolute */
    struct {
        const char *name, *value;
    } words[3 + TARGET_MAX_NEEDS];
    int n_words;
};

/* The hash of everything that decides the result: tool, version, command lines, bytes of model and needs. */
int vendor_key(const struct vendor_job *j, const char *version, char dst[65], struct err *reterr) JF_MUST_CHECK;
/* Copies a kept result into `out` and fills r; false when there is none (or it is damaged). */
bool vendor_cache_get(const char *cache, const char *out, struct vendor_result *r);
/* Keeps r's files of `out`; then removes the oldest entries beyond the bounds. Failing to keep is no failure. */
void vendor_cache_put(const char *cache, const char *out, const struct vendor_result *r);

/* Copies a file to dir/name over a temporary name. */
int vendor_file_copy(const char *from, const char *dir, const char *name, struct err *reterr) JF_MUST_CHECK;

#endif
