/* SPDX-License-Identifier: GPL-2.0-or-later
 * The key of a board's builds (compiler/firmware.h): what an image depends on besides model and options. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "compiler/firmware.h"
#include "compiler/toolchain.h"

#define MAX_FILE_BYTES (64u << 20)
#define MAX_DEPTH 8
#define KEY_DEADLINE_S 20

struct key {
    crypto_hash_sha256_state hash;
    const char *top; /* the firmware's sources */
};

/* With its NUL, so that two texts never read as one. */
static void add_text(struct key *k, const char *text) { (void)crypto_hash_sha256_update(&k->hash, (const unsigned char *)text, strlen(text) + 1); }

static int add_content(struct key *k, const char *path, uint64_t size, struct err *reterr) {
    char length[32];
    void *bytes = NULL;
    size_t n = 0;
    int r = size > 0 ? file_read(path, MAX_FILE_BYTES, &bytes, &n, reterr) : 0;
    if (r < 0) {
        return err_prefix(reterr, "%.200s", path);
    }
    (void)snprintf(length, sizeof length, "%zu", n);
    add_text(k, length);
    if (bytes) {
        (void)crypto_hash_sha256_update(&k->hash, bytes, n);
    }
    free(bytes);
    return 0;
}

static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* All files below, by path. Of the top itself only its folders, and models/ not: no board compiles what lies there. */
static int add_tree(struct key *k, const char *rel, int depth, struct err *reterr) {
    char path[PATH_MAX], below[PATH_MAX];
    struct dirent **names = NULL;
    struct stat st;
    int used = snprintf(path, sizeof path, "%s%s", k->top, rel), r = 0;
    int n = used > 0 && (size_t)used < sizeof path && depth < MAX_DEPTH ? scandir(path, &names, visible, by_bytes) : -1;
    if (n < 0) {
        return err_set(reterr, JF_E_IO, "%.200s cannot be listed, or is more than %d folders deep", path, MAX_DEPTH);
    }
    for (int i = 0; i < n; i++) {
        used = snprintf(below, sizeof below, "%s/%s", rel, names[i]->d_name);
        int whole = snprintf(path, sizeof path, "%s%s", k->top, below);
        if (r == 0 && (used < 0 || whole < 0 || (size_t)whole >= sizeof path || stat(path, &st) != 0)) {
            r = err_set_errno(reterr, JF_E_IO, errno, "%.200s cannot be read", path);
        } else if (r == 0 && S_ISDIR(st.st_mode)) {
            r = depth == 0 && strcmp(names[i]->d_name, "models") == 0 ? 0 : add_tree(k, below, depth + 1, reterr);
        } else if (r == 0 && depth > 0 && S_ISREG(st.st_mode)) {
            add_text(k, below);
            r = add_content(k, path, (uint64_t)st.st_size, reterr);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

/* What the compiler prints when asked so; ret_text: TOOLCHAIN_TEXT bytes. */
static int ask(const struct board *b, struct toolchain *t, const char *question, char *ret_text, struct err *reterr) {
    struct toolchain_job *j = calloc(1, sizeof *j);
    if (!j) {
        return err_set(reterr, JF_E_NOMEM, "no memory to ask the compiler");
    }
    int at = 0;
    j->argv[at++] = b->compiler.word[0];
    for (int i = 0; i < b->arch.n; i++) {
        j->argv[at++] = b->arch.word[i];
    }
    j->argv[at] = question;
    int r = toolchain_run(t, j, 1, ret_text, reterr);
    free(j);
    if (r == JF_E_NOT_FOUND) {
        return err_set(reterr, r, "board %s needs %s, which is not installed", b->name, b->compiler.word[0]);
    }
    return r < 0 ? err_prefix(reterr, "%s", b->compiler.word[0]) : 0;
}

/* The compiler by what it says of itself, its programs and libraries by content. */
static int add_compiler(struct key *k, const struct board *b, struct toolchain *t, struct err *reterr) {
    static const char *const files[] = {"-print-prog-name=as", "-print-prog-name=ld", "-print-file-name=libgcc.a", "-print-file-name=libc.a"};
    char text[TOOLCHAIN_TEXT] = "";
    struct stat st;
    int r = ask(b, t, "--version", text, reterr);
    if (r == 0) {
        add_text(k, text);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0] && r == 0; i++) {
        r = ask(b, t, files[i], text, reterr);
        text[strcspn(text, "\r\n")] = '\0';
        if (r == 0 && text[0] == '/' && stat(text, &st) == 0) { /* else its bare name: it knows of none */
            r = add_content(k, text, (uint64_t)st.st_size, reterr);
        }
    }
    return r;
}

int firmware_key(const char *firmware_dir, const struct board *b, char ret_key[65], struct err *reterr) {
    const char *tmp = getenv("TMPDIR");
    char dir[PATH_MAX];
    unsigned char digest[crypto_hash_sha256_BYTES];
    struct key k = {.top = firmware_dir};
    struct toolchain t;
    (void)crypto_hash_sha256_init(&k.hash);
    add_text(&k, "joulefarm firmware key 1");
    add_text(&k, b->name);
    int r = add_tree(&k, "", 0, reterr);
    if (r < 0) {
        return r;
    }
    int used = snprintf(dir, sizeof dir, "%s/jf-model.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (used < 0 || (size_t)used >= sizeof dir || !mkdtemp(dir)) {
        return err_set_errno(reterr, JF_E_IO, errno, "no private folder in %.200s", tmp ? tmp : "/tmp");
    }
    toolchain_init(&t, dir, clock_mono_ns(clock_system()) + KEY_DEADLINE_S * CLOCK_NS_PER_S);
    r = add_compiler(&k, b, &t, reterr);
    file_tree_remove(dir); /* before a pending signal may end the process */
    toolchain_done(&t);
    if (r == 0) {
        (void)crypto_hash_sha256_final(&k.hash, digest);
        (void)sodium_bin2hex(ret_key, 65, digest, sizeof digest);
    }
    return r;
}
