/* SPDX-License-Identifier: GPL-2.0-or-later
 * Logging for programs (libraries return errors instead). One context per program, lines go to one descriptor:
 * "2026-11-21T09:08:23.120Z level component: text". Any thread; one write(2) per line, so lines do not mix. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

#include "base/clock.h"
#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_ctx {
    const struct clock_src *clock;
    int fd; /* borrowed */
    enum log_level level; /* lines above this are dropped */
    char component[48];
};

void log_init(struct log_ctx *ret_log, const struct clock_src *clock, int fd, const char *component);
void log_line(const struct log_ctx *log, enum log_level level, const char *fmt, ...) JF_PRINTF(3, 4);

#define log_error(log, ...) log_line((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_line((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...) log_line((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
