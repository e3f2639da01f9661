/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole files (base/file.h). Owns nothing between calls. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t max, void **ret_bytes, size_t *ret_n, struct err *reterr) {
    struct stat st;
    int res = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* opening a FIFO must not block */
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "cannot be read");
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > max) {
        res = err_set(reterr, JF_E_INVAL, "must be a file of 1 to %zu bytes", max);
        goto fail_fd;
    }
    size_t n = (size_t)st.st_size, got = 0;
    char *bytes = malloc(n);
    if (!bytes) {
        res = err_set(reterr, JF_E_NOMEM, "no memory for %zu bytes", n);
        goto fail_fd;
    }
    while (got < n) {
        ssize_t r = read(fd, bytes + got, n - got);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            res = err_set_errno(reterr, JF_E_IO, r < 0 ? errno : EIO, "could not be read whole");
            goto fail_bytes;
        }
        got += (size_t)r;
    }
    (void)close(fd);
    *ret_bytes = bytes;
    *ret_n = n;
    return 0;

fail_bytes:
    free(bytes);
fail_fd:
    (void)close(fd);
    return res;
}

int file_write_all(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w < 0) {
            return -1;
        }
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static int remove_any(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

static int remove_inner(const char *path, const struct stat *st, int type, struct FTW *at) { return at->level > 0 ? remove_any(path, st, type, at) : 0; }

void file_tree_remove(const char *path) { (void)nftw(path, remove_any, 8, FTW_DEPTH | FTW_PHYS); }

void file_tree_empty(const char *path) { (void)nftw(path, remove_inner, 8, FTW_DEPTH | FTW_PHYS); }
