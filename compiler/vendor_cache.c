/* SPDX-License-Identifier: GPL-2.0-or-later
 * Kept results of vendors' tools (compiler/vendor.h): cache/<key>/result.json and the files. An entry appears whole, by rename. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "compiler/vendor_impl.h"

#define FILE_MAX_BYTES (256u << 20)

int vendor_cache_default(char *dst, size_t size, struct err *reterr) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (xdg && xdg[0] == '/') {
        (void)snprintf(dst, size, "%s/joulefarm/vendor", xdg);
    } else if (home && home[0] == '/') {
        (void)snprintf(dst, size, "%s/.cache/joulefarm/vendor", home);
    } else {
        return err_set(reterr, JF_E_NOT_FOUND, "neither XDG_CACHE_HOME nor HOME names a directory: give --cache DIR or --no-cache");
    }
    return 0;
}

static int hash_file(crypto_hash_sha256_state *s, const char *path, struct err *reterr) {
    void *bytes = NULL;
    size_t n = 0;
    int r = file_read(path, FILE_MAX_BYTES, &bytes, &n, reterr);
    if (r < 0) {
        return err_prefix(reterr, "%s", path);
    }
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, bytes, n);
    (void)crypto_hash_sha256_update(s, hash, sizeof hash);
    free(bytes);
    return 0;
}

static void hash_text(crypto_hash_sha256_state *s, const char *text) { (void)crypto_hash_sha256_update(s, (const unsigned char *)text, strlen(text) + 1); }

int vendor_key(const struct vendor_job *j, const char *version, char dst[65], struct err *reterr) {
    const struct target_tool *t = j->q->tool;
    crypto_hash_sha256_state s;
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&s);
    hash_text(&s, JF_VERSION);
    hash_text(&s, t->name);
    hash_text(&s, version);
    hash_text(&s, j->stem);
    for (int i = 0; i < t->n_steps; i++) {
        for (int k = 0; t->steps[i].argv[k]; k++) {
            hash_text(&s, t->steps[i].argv[k]);
        }
        hash_text(&s, "");
    }
    for (int i = 0; i < t->n_outputs; i++) {
        hash_text(&s, t->outputs[i]);
    }
    for (int i = 0; i < t->n_reports; i++) { /* another way to read means another result */
        for (int k = 0; k < t->reports[i].n_fields; k++) {
            char scale[32];
            (void)snprintf(scale, sizeof scale, "%.17g", t->reports[i].fields[k].scale);
            hash_text(&s, t->reports[i].fields[k].field);
            hash_text(&s, t->reports[i].fields[k].line ? t->reports[i].fields[k].line : "");
            hash_text(&s, t->reports[i].fields[k].key);
            hash_text(&s, scale);
        }
    }
    int r = hash_file(&s, j->model, reterr);
    for (int i = 0; i < t->n_needs && r == 0; i++) {
        r = hash_file(&s, j->needs[i], reterr);
    }
    (void)crypto_hash_sha256_final(&s, hash);
    (void)sodium_bin2hex(dst, 65, hash, sizeof hash);
    return r;
}

int vendor_file_copy(const char *from, const char *dir, const char *name, struct err *reterr) {
    char part[PATH_MAX], to[PATH_MAX];
    void *bytes = NULL;
    size_t n = 0;
    int r = file_read(from, FILE_MAX_BYTES, &bytes, &n, reterr);
    if (r < 0) {
        return err_prefix(reterr, "%s", name);
    }
    (void)snprintf(to, sizeof to, "%s/%s", dir, name);
    (void)snprintf(part, sizeof part, "%s/.%s.part", dir, name);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && file_write_all(fd, bytes, n) == 0;
    ok = fd >= 0 && close(fd) == 0 && ok && rename(part, to) == 0;
    if (!ok) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s", to);
        (void)unlink(part);
    }
    free(bytes);
    return r;
}

/* ---- entries ----------------------------------------------------------------------------------------------------------------- */
static json_t *to_json(const struct vendor_result *r) {
    json_t *values = json_object(), *files = json_array();
    for (int i = 0; i < VENDOR_FIELDS; i++) {
        if (r->has[i]) {
            json_object_set_new(values, vendor_field_name((enum vendor_field)i), json_integer(r->value[i]));
        }
    }
    for (int i = 0; i < r->n_files; i++) {
        json_array_append_new(files, json_string(r->files[i]));
    }
    return json_pack("{s:s,s:o,s:o}", "version", r->version, "values", values, "files", files);
}

static bool from_json(const json_t *doc, struct vendor_result *r) {
    const json_t *values = json_object_get(doc, "values"), *files = json_object_get(doc, "files");
    if (!json_is_object(values) || !json_is_array(files) || json_array_size(files) > VENDOR_MAX_FILES) {
        return false;
    }
    for (int i = 0; i < VENDOR_FIELDS; i++) {
        const json_t *v = json_object_get(values, vendor_field_name((enum vendor_field)i));
        r->has[i] = json_is_integer(v);
        r->value[i] = json_integer_value(v);
    }
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *name = json_string_value(json_array_get(files, i));
        if (!name || strchr(name, '/') || strlen(name) >= sizeof r->files[0]) {
            return false;
        }
        (void)snprintf(r->files[r->n_files++], sizeof r->files[0], "%s", name);
    }
    return true;
}

bool vendor_cache_get(const char *cache, const char *out, struct vendor_result *r) {
    char path[PATH_MAX];
    struct vendor_result kept = *r;
    (void)snprintf(path, sizeof path, "%s/%s/result.json", cache, r->key);
    json_t *doc = json_load_file(path, 0, NULL);
    bool ok = doc && from_json(doc, &kept);
    json_decref(doc);
    for (int i = 0; ok && i < kept.n_files; i++) {
        struct err e = {0};
        (void)snprintf(path, sizeof path, "%s/%s/%s", cache, r->key, kept.files[i]);
        ok = vendor_file_copy(path, out, kept.files[i], &e) == 0;
    }
    if (ok) {
        (void)snprintf(path, sizeof path, "%s/%s", cache, r->key);
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* used now: the last to go */
        *r = kept;
    }
    return ok;
}

static int make_directories(const char *path) {
    char at[PATH_MAX];
    (void)snprintf(at, sizeof at, "%s", path);
    for (char *p = strchr(at + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(at, 0777) != 0 && errno != EEXIST) {
            return -1;
        }
        *p = '/';
    }
    return mkdir(at, 0777) != 0 && errno != EEXIST ? -1 : 0;
}

struct entry {
    char name[65];
    struct timespec used;
    int64_t bytes;
};

static int64_t entry_bytes(const char *dir) {
    int64_t sum = 0;
    DIR *d = opendir(dir);
    /* cppcheck-suppress readdirCalled; a stream of its own */
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) { /* NOLINT(concurrency-mt-unsafe): one thread */
        struct stat st;
        sum += fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    }
    if (d) {
        (void)closedir(d);
    }
    return sum;
}

static int oldest_first(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    return x->used.tv_sec != y->used.tv_sec ? (x->used.tv_sec < y->used.tv_sec ? -1 : 1) : x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static void bound(const char *cache) {
    struct entry *entries = calloc(4 * VENDOR_CACHE_ENTRIES, sizeof *entries);
    DIR *d = entries ? opendir(cache) : NULL;
    int n = 0;
    int64_t sum = 0;
    char path[PATH_MAX];
    /* cppcheck-suppress readdirCalled; a stream of its own */
    for (const struct dirent *e = d ? readdir(d) : NULL; e && n < 4 * VENDOR_CACHE_ENTRIES; e = readdir(d)) { /* NOLINT(concurrency-mt-unsafe): one thread */
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", cache, e->d_name);
        if (strlen(e->d_name) == 64 && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            (void)snprintf(entries[n].name, sizeof entries[n].name, "%.64s", e->d_name);
            entries[n].used = st.st_mtim;
            entries[n].bytes = entry_bytes(path);
            sum += entries[n++].bytes;
        }
    }
    if (d) {
        (void)closedir(d);
    }
    if (n > 1) {
        qsort(entries, (size_t)n, sizeof *entries, oldest_first);
    }
    for (int i = 0, left = n; i < n && (left > VENDOR_CACHE_ENTRIES || sum > VENDOR_CACHE_BYTES); i++, left--) {
        (void)snprintf(path, sizeof path, "%s/%s", cache, entries[i].name);
        file_tree_remove(path);
        sum -= entries[i].bytes;
    }
    free(entries);
}

void vendor_cache_put(const char *cache, const char *out, const struct vendor_result *r) {
    char part[PATH_MAX], path[PATH_MAX], json[PATH_MAX + 16];
    struct err e = {0};
    if (make_directories(cache) != 0 || snprintf(part, sizeof part, "%s/part-XXXXXX", cache) < 0 || !mkdtemp(part)) {
        return;
    }
    bool ok = true;
    for (int i = 0; i < r->n_files && ok; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", out, r->files[i]);
        ok = vendor_file_copy(path, part, r->files[i], &e) == 0;
    }
    json_t *doc = ok ? to_json(r) : NULL;
    (void)snprintf(json, sizeof json, "%s/result.json", part);
    (void)snprintf(path, sizeof path, "%s/%s", cache, r->key);
    ok = doc && json_dump_file(doc, json, JSON_INDENT(2)) == 0;
    if (ok) {
        file_tree_remove(path); /* a damaged entry may be there */
    }
    if (!ok || rename(part, path) != 0) {
        file_tree_remove(part);
    }
    json_decref(doc);
    bound(cache);
}
