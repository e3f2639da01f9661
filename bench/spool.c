/* SPDX-License-Identifier: GPL-2.0-or-later
 * Files of one attempt (bench/spool.h). */
#include "bench/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static bool name_ok(const char *s) {
    size_t n = strlen(s);
    return n > 0 && n <= 128 && s[0] != '.' &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

int spool_path(const struct spool *s, const char *name, char ret_path[SPOOL_PATH_MAX]) {
    char tmp[SPOOL_PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s/%s", s->dir, name);
    if (n < 0 || (size_t)n >= sizeof tmp) {
        return JF_E_TOO_LARGE;
    }
    memcpy(ret_path, tmp, (size_t)n + 1);
    return 0;
}

int spool_open(struct spool *ret_s, const char *root, const char *attempt, const struct clock_src *clock,
               struct err *reterr) {
    struct spool s = {.clock = clock, .log_fd = -1, .log_max = SPOOL_LOG_MAX};
    if (!name_ok(attempt)) {
        return err_set(reterr, JF_E_INVAL, "\"%.40s\" is no attempt name", attempt);
    }
    int n = snprintf(s.dir, sizeof s.dir, "%s/%s", root, attempt);
    if (n < 0 || (size_t)n >= sizeof s.dir - 64) {
        return err_set(reterr, JF_E_TOO_LARGE, "the spool's path is too long");
    }
    if (mkdir(root, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(reterr, JF_E_IO, errno, "spool %s", root);
    }
    if (mkdir(s.dir, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(reterr, JF_E_IO, errno, "spool %s", s.dir);
    }
    char path[SPOOL_PATH_MAX];
    if (spool_path(&s, "log.txt", path) < 0) {
        return err_set(reterr, JF_E_TOO_LARGE, "the spool's path is too long");
    }
    s.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (s.log_fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    struct stat st;
    if (fstat(s.log_fd, &st) == 0 && st.st_size > 0) {
        s.log_bytes = (size_t)st.st_size;
    }
    *ret_s = s;
    return 0;
}

static void log_write(struct spool *s, const char *line, size_t len) {
    if (write(s->log_fd, line, len) == (ssize_t)len) {
        s->log_bytes += len;
    }
}

void spool_log(struct spool *s, const char *stream, const char *text) {
    if (s->log_fd < 0 || s->log_full) {
        return;
    }
    char when[CLOCK_RFC3339_SIZE], line[2048];
    clock_rfc3339(clock_wall_ns(s->clock), when);
    int n = snprintf(line, sizeof line - 1, "%s %s: %s", when, stream, text);
    if (n < 0) {
        return;
    }
    size_t len = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = ' ';
        }
    }
    line[len++] = '\n';
    static const char full[] = "log: the limit is reached; later lines are not kept\n";
    if (s->log_bytes + len + sizeof full > s->log_max) {
        s->log_full = true;
        log_write(s, full, sizeof full - 1);
        return;
    }
    log_write(s, line, len);
}

static int sync_dir(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int r = fsync(fd);
    (void)close(fd);
    return r;
}

static void sha256_hex(const char *text, size_t len, char *ret_hex) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(digest, (const unsigned char *)text, len);
    (void)sodium_bin2hex(ret_hex, 2 * sizeof digest + 1, digest, sizeof digest);
}

int spool_write_json(struct spool *s, const char *name, const json_t *obj, size_t *ret_size, char *ret_sha256,
                     struct err *reterr) {
    char path[SPOOL_PATH_MAX], tmp[SPOOL_PATH_MAX], tmp_name[64];
    int k = snprintf(tmp_name, sizeof tmp_name, ".%s.tmp", name);
    if (k < 0 || (size_t)k >= sizeof tmp_name || spool_path(s, name, path) < 0 || spool_path(s, tmp_name, tmp) < 0) {
        return err_set(reterr, JF_E_TOO_LARGE, "the spool's path is too long");
    }
    char *text = json_dumps(obj, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (!text) {
        return err_set(reterr, JF_E_NOMEM, "%s could not be encoded", name);
    }
    size_t len = strlen(text);
    int r = 0;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s", tmp);
        goto fail_text;
    }
    if (file_write_all(fd, text, len) != 0 || fsync(fd) != 0) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s", tmp);
        (void)close(fd);
        goto fail_text;
    }
    (void)close(fd);
    if (rename(tmp, path) != 0 || sync_dir(s->dir) != 0) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s", path);
        goto fail_text;
    }
    if (ret_size) {
        *ret_size = len;
    }
    if (ret_sha256) {
        sha256_hex(text, len, ret_sha256);
    }
fail_text:
    free(text);
    return r;
}

void spool_close(struct spool *s) {
    if (s->log_fd >= 0) {
        (void)close(s->log_fd);
        s->log_fd = -1;
    }
}

void spool_remove_work(const struct spool *s) {
    char work[SPOOL_PATH_MAX];
    DIR *d = s->dir[0] && spool_path(s, "work", work) == 0 ? opendir(work) : NULL;
    if (!d) {
        return;
    }
    struct dirent *e;
    // cppcheck-suppress readdirCalled ; the stream is this function's own, which POSIX allows in any thread
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void)unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    (void)closedir(d);
    (void)rmdir(work);
}
