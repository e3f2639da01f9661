/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where target files lie and which there are (compiler/target.h). */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/target.h"

static bool is_directory(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int target_directory(const char *dir, char *dst, size_t size, struct err *reterr) {
    static const char *const beside[] = {"../share/joulefarm/targets", "../compiler/targets", "../../compiler/targets"};
    const char *env = getenv("JOULEFARM_TARGETS"); /* NOLINT(concurrency-mt-unsafe): one thread */
    const char *given = dir ? dir : env && env[0] ? env : NULL;
    char exe[PATH_MAX];
    if (given) {
        (void)snprintf(dst, size, "%s", given);
        return is_directory(dst) ? 0 : err_set(reterr, JF_E_NOT_FOUND, "%s: there is no such directory of targets", given);
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        (void)snprintf(dst, size, "%s/%s", exe, beside[i]);
        if (is_directory(dst)) {
            return 0;
        }
    }
    return err_set(reterr, JF_E_NOT_FOUND, "no targets: neither --targets-dir nor JOULEFARM_TARGETS is given, and %s/%s does not exist", exe, beside[0]);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

int target_names(const char *dir, char (*names)[64], int max, struct err *reterr) {
    int n = 0;
    DIR *d = opendir(dir);
    if (!d) {
        return err_set(reterr, JF_E_NOT_FOUND, "%s: the directory of targets cannot be read", dir);
    }
    /* cppcheck-suppress readdirCalled; a stream of its own */
    for (const struct dirent *e = readdir(d); e && n < max; e = readdir(d)) { /* NOLINT(concurrency-mt-unsafe): one thread */
        size_t len = strlen(e->d_name);
        if (len > 5 && len - 5 < 64 && strcmp(e->d_name + len - 5, ".yaml") == 0) {
            (void)snprintf(names[n++], 64, "%.*s", (int)(len - 5), e->d_name);
        }
    }
    (void)closedir(d);
    qsort(names, (size_t)n, sizeof names[0], by_name);
    return n;
}

int target_open(const char *dir, const char *name, struct target **ret_t, struct err *reterr) {
    char path[PATH_MAX], names[64][64], list[400] = "";
    (void)snprintf(path, sizeof path, "%s/%s.yaml", dir, name);
    if (!strchr(name, '/') && access(path, F_OK) == 0) {
        return target_read(path, ret_t, reterr);
    }
    int n = target_names(dir, names, 64, reterr);
    if (n < 0) {
        return n;
    }
    size_t used = 0;
    for (int i = 0; i < n && used + 70 < sizeof list; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    return err_set(reterr, JF_E_NOT_FOUND, "there is no target \"%.60s\"; there are %s", name, list[0] ? list : "none");
}
