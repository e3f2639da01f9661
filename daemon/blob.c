/* SPDX-License-Identifier: GPL-2.0-or-later
 * Content-addressed files. Owns nothing in memory. */
#include "daemon/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

void blob_id(const void *data, size_t size, char ret_id[BLOB_ID_SIZE]) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, data ? data : (const void *)"", size);
    (void)snprintf(ret_id, BLOB_ID_SIZE, "sha256:");
    (void)sodium_bin2hex(ret_id + 7, BLOB_ID_SIZE - 7, hash, sizeof hash);
}

bool blob_id_valid(const char *id) {
    return strlen(id) == 71 && strncmp(id, "sha256:", 7) == 0 && id[7 + strspn(id + 7, "0123456789abcdef")] == '\0';
}

int blob_path(const char *data_dir, const char *kind, const char *id, char out[BLOB_PATH_SIZE]) {
    if (!blob_id_valid(id)) {
        return JF_E_INVAL;
    }
    int n = snprintf(out, BLOB_PATH_SIZE, "%s/blobs/%s/%s", data_dir, kind, id + 7);
    return n > 0 && n < BLOB_PATH_SIZE ? 0 : JF_E_TOO_LARGE;
}

int blob_sync_dir(const char *path) {
    char dir[BLOB_PATH_SIZE];
    (void)snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash) {
        *slash = '\0';
    }
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd >= 0 && fsync(fd) == 0 ? 0 : JF_E_IO;
    if (fd >= 0) {
        (void)close(fd);
    }
    return r;
}

int blob_make_dirs(const char *path, struct err *reterr) {
    char at[BLOB_PATH_SIZE];
    int n = snprintf(at, sizeof at, "%s", path);
    if (n <= 0 || n >= (int)sizeof at) {
        return err_set(reterr, JF_E_TOO_LARGE, "the path is too long: %.80s", path);
    }
    for (char *p = at + 1;; p++) {
        char ch = *p;
        if (ch == '/' || ch == '\0') {
            *p = '\0';
            if (mkdir(at, 0700) != 0 && errno != EEXIST) {
                return err_set_errno(reterr, JF_E_IO, errno, "directory %s", at);
            }
            *p = ch;
        }
        if (ch == '\0') {
            return 0;
        }
    }
}

int blob_write_file(const char *path, const void *data, size_t size, struct err *reterr) {
    char temporary[BLOB_PATH_SIZE + 32];
    (void)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    int bad = file_write_all(fd, data, size) != 0 || fsync(fd) != 0;
    int e = errno;
    bad = close(fd) != 0 || bad;
    if (bad || rename(temporary, path) != 0 || blob_sync_dir(path) < 0) {
        e = bad ? e : errno;
        (void)unlink(temporary);
        return err_set_errno(reterr, e == ENOSPC ? JF_E_FULL : JF_E_IO, e, "%s", path);
    }
    return 0;
}

int blob_put(const char *data_dir, const char *kind, const char *id, const void *data, size_t size,
             struct err *reterr) {
    char path[BLOB_PATH_SIZE];
    struct stat st;
    int r = blob_path(data_dir, kind, id, path);
    if (r < 0) {
        return err_set(reterr, r, "no place for %s", id);
    }
    if (stat(path, &st) == 0 && st.st_size == (off_t)size) {
        return 0;
    }
    return blob_write_file(path, data ? data : "", size, reterr);
}

int blob_read_file(const char *path, size_t max, void **ret_data, size_t *ret_size, struct err *reterr) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        int r = err_set_errno(reterr, errno == ENOENT ? JF_E_NOT_FOUND : JF_E_IO, errno, "%s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return r;
    }
    size_t size = (size_t)st.st_size, have = 0;
    char *data = size <= max ? malloc(size + 1) : NULL;
    if (!data) {
        (void)close(fd);
        return err_set(reterr, size <= max ? JF_E_NOMEM : JF_E_TOO_LARGE, "%s has %zu bytes", path, size);
    }
    while (have < size) {
        ssize_t n = read(fd, data + have, size - have);
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    (void)close(fd);
    if (have != size) {
        free(data);
        return err_set(reterr, JF_E_IO, "%s cannot be read", path);
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}
