/* SPDX-License-Identifier: GPL-2.0-or-later
 * Formats one log line and writes it whole. Owns no state beyond the caller's context. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void log_init(struct log_ctx *ret_log, const struct clock_src *clock, int fd, const char *component) {
    memset(ret_log, 0, sizeof *ret_log);
    ret_log->clock = clock;
    ret_log->fd = fd;
    ret_log->level = LOG_LEVEL_INFO;
    (void)snprintf(ret_log->component, sizeof ret_log->component, "%s", component);
}

void log_line(const struct log_ctx *log, enum log_level level, const char *fmt, ...) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (!log || level > log->level) {
        return;
    }
    char stamp[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ns(log->clock), stamp);
    char line[2048];
    int n = snprintf(line, sizeof line, "%s %s %s: ", stamp, names[level], log->component);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = strlen(line);
    if (m < 0) {
        return;
    }
    for (size_t i = (size_t)n; i < len; i++) { /* a peer's text must not forge a second line */
        if (line[i] == '\n' || line[i] == '\r') {
            line[i] = ' ';
        }
    }
    line[len++] = '\n';
    ssize_t w = write(log->fd, line, len);
    (void)w; /* nowhere to report a failing log */
}
