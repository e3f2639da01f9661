/* SPDX-License-Identifier: GPL-2.0-or-later
 * The attempt's directory spool/<attempt>: its log file (append-only, at most SPOOL_LOG_MAX bytes) and the result file
 * (temporary name, fsync, rename: its presence means complete). Main thread only. */
#ifndef BENCH_SPOOL_H
#define BENCH_SPOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define SPOOL_LOG_MAX (8u << 20)
#define SPOOL_PATH_MAX 512

struct spool {
    char dir[SPOOL_PATH_MAX];
    const struct clock_src *clock;
    int log_fd;
    size_t log_bytes, log_max;
    bool log_full; /* the line that says so was written */
};

/* Creates root/attempt (0700). The attempt's name may hold only [A-Za-z0-9._-] and not start with '.'. */
int spool_open(struct spool *ret_s, const char *root, const char *attempt, const struct clock_src *clock,
               struct err *reterr) JF_MUST_CHECK;
/* "<RFC 3339> <stream>: <text>"; control characters are replaced. Beyond the cap one last line says that the log is
 * cut. */
void spool_log(struct spool *s, const char *stream, const char *text);
int spool_path(const struct spool *s, const char *name, char ret_path[SPOOL_PATH_MAX]) JF_MUST_CHECK;
/* Writes obj as dir/name durably. ret_size and ret_sha256 (hex, 65 bytes) may be NULL. */
int spool_write_json(struct spool *s, const char *name, const json_t *obj, size_t *ret_size, char *ret_sha256,
                     struct err *reterr) JF_MUST_CHECK;
void spool_close(struct spool *s);
/* Removes dir/work, the flash tool's directory. The rest belongs to the daemon. */
void spool_remove_work(const struct spool *s);

#endif
