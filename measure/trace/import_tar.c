/* SPDX-License-Identifier: GPL-2.0-or-later
 * A session out of an archive: tar, plain or within gzip or zstd, read by libarchive (only here and in export_*.c) into memory.
 * Nothing is extracted to the file system, so an archive cannot name a place; its names are checked all the same, because an
 * archive that holds a link or a way out of its folder was not made by a runner. */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/import_inner.h"

#define BLOCK (64u << 10)
#define FREE_BYTES (1u << 20) /* before the ratio counts: small files compress well */

struct walk {
    struct archive *a;
    struct import_source *src;
    uint64_t size;  /* of the archive */
    uint64_t bytes; /* out of it so far */
    int entries;
    char folder[256]; /* of the session's first file, with its last slash */
    bool found;
    char block[BLOCK];
};

static int bad_archive(struct archive *a, struct err *reterr) {
    const char *why = archive_error_string(a);
    return err_set(reterr, JF_E_PARSE, "not a readable tar archive: %s", why ? why : "no reason given");
}

/* The name in an error: printable, cut. */
static void printable(const char *name, char out[100]) {
    size_t n = 0;
    for (; *name && n < 99; name++)
        out[n++] = (char)(*name >= 0x20 && *name < 0x7f ? *name : '?');
    out[n] = 0;
}

static int refuse(const char *name, const char *why, struct err *reterr) {
    char shown[100];
    printable(name, shown);
    return err_set_at(reterr, JF_E_PARSE, shown, "this entry of the archive is refused: %s", why);
}

/* Why an entry is not acceptable; NULL: it is. */
static const char *fault(struct archive_entry *e, const char *name) {
    if (archive_entry_hardlink(e))
        return "a hard link";
    if (archive_entry_filetype(e) == AE_IFLNK || archive_entry_symlink(e))
        return "a symbolic link";
    if (archive_entry_filetype(e) != AE_IFREG && archive_entry_filetype(e) != AE_IFDIR)
        return "neither a regular file nor a directory";
    if (name[0] == '/')
        return "an absolute path";
    if (archive_entry_sparse_count(e) > 0)
        return "a sparse file";
    if (archive_entry_filetype(e) == AE_IFREG && !archive_entry_size_is_set(e))
        return "no size";
    for (const char *p = name; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0))
            return "a path with \"..\"";
    return strlen(name) >= 256 ? "its path is too long" : NULL;
}

/* Where the entry belongs in the session, or -1. */
static int which(const char *base) {
    for (int k = 0; k < IMPORT_N_FILES; k++)
        if (strcmp(base, import_names[k]) == 0)
            return k;
    return -1;
}

/* Counts n more bytes out of the archive against both bounds. */
static int count(struct walk *w, uint64_t n, const char *name, struct err *reterr) {
    char shown[100];
    w->bytes += n;
    printable(name, shown);
    if (w->bytes > IMPORT_MAX_BYTES)
        return err_set_at(reterr, JF_E_TOO_LARGE, shown, "the archive holds more than %u bytes", IMPORT_MAX_BYTES);
    if (w->bytes > FREE_BYTES && w->bytes / IMPORT_MAX_RATIO > w->size)
        return err_set_at(reterr, JF_E_TOO_LARGE, shown, "the archive unpacks to more than %u times its size",
                          IMPORT_MAX_RATIO);
    return 0;
}

/* The entry's bytes: kept in *f, or counted only (f NULL). */
static int read_entry(struct walk *w, const char *name, uint64_t size, struct import_file *f, struct err *reterr) {
    uint64_t at = 0;
    char *data = NULL;
    int rc = size > IMPORT_MAX_BYTES ? count(w, size, name, reterr) : 0; /* what it announces is refused unread */
    if (rc < 0)
        return rc;
    for (;;) {
        la_ssize_t n = archive_read_data(w->a, w->block, sizeof w->block);
        if (n == 0)
            break;
        rc = n < 0 ? bad_archive(w->a, reterr) : count(w, (uint64_t)n, name, reterr);
        if (rc == 0 && at + (uint64_t)n > size)
            rc = refuse(name, "it is longer than it says", reterr);
        if (rc == 0 && f) { /* grows with what came, not with what was announced */
            char *more = realloc(data, at + (uint64_t)n + 1);
            data = more ? more : data;
            rc = more ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for %s", name);
            if (more)
                memcpy(data + at, w->block, (size_t)n);
        }
        if (rc < 0) {
            free(data);
            return rc;
        }
        at += (uint64_t)n;
    }
    if (at != size) {
        free(data);
        return refuse(name, "it is cut off", reterr);
    }
    if (f && !data)
        data = malloc(1);
    if (f && !data)
        return err_set(reterr, JF_E_NOMEM, "no memory for %s", name);
    if (f) {
        data[at] = 0;
        *f = (struct import_file){data, (size_t)at};
    }
    return 0;
}

static int take_entry(struct walk *w, struct archive_entry *e, struct err *reterr) {
    const char *name = archive_entry_pathname(e);
    if (!name || !*name)
        return err_set(reterr, JF_E_PARSE, "entry %d of the archive has no readable name", w->entries);
    if (++w->entries > IMPORT_MAX_ENTRIES)
        return refuse(name, "more entries than a session has", reterr);
    const char *why = fault(e, name);
    if (why)
        return refuse(name, why, reterr);
    if (archive_entry_filetype(e) == AE_IFDIR)
        return 0;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    size_t folder = (size_t)(base - name);
    int k = which(base);
    if (k >= 0 && w->found && (strlen(w->folder) != folder || strncmp(w->folder, name, folder) != 0))
        return refuse(name, "files of a session lie in two folders; one session at a time", reterr);
    if (k >= 0 && w->src->files[k].data)
        return refuse(name, "it is there twice", reterr);
    if (k >= 0) {
        w->found = true;
        memcpy(w->folder, name, folder);
        w->folder[folder] = 0;
    }
    return read_entry(w, name, (uint64_t)archive_entry_size(e), k >= 0 ? &w->src->files[k] : NULL, reterr);
}

static int walk(struct walk *w, struct err *reterr) {
    struct archive_entry *e;
    for (;;) {
        int r = archive_read_next_header(w->a, &e);
        if (r == ARCHIVE_EOF)
            break;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
            return bad_archive(w->a, reterr);
        r = take_entry(w, e, reterr);
        if (r < 0)
            return r;
    }
    return w->entries > 0 ? 0 : err_set(reterr, JF_E_PARSE, "the archive is empty");
}

/* fd -1: bytes[size]. */
static int read_archive(int fd, const void *bytes, uint64_t size, struct import_source *ret_src, struct err *reterr) {
    struct import_source src = {.dirfd = -1};
    struct walk *w = calloc(1, sizeof *w);
    struct archive *a = archive_read_new();
    int rc;
    if (!w || !a) {
        rc = err_set(reterr, JF_E_NOMEM, "no memory for an archive");
        goto out;
    }
    w->a = a;
    w->src = &src;
    w->size = size;
    int r = archive_read_support_format_tar(a);
    r = r == ARCHIVE_OK ? archive_read_support_filter_gzip(a) : r;
    r = r == ARCHIVE_OK ? archive_read_support_filter_zstd(a) : r;
    if (r == ARCHIVE_OK)
        r = fd >= 0 ? archive_read_open_fd(a, fd, BLOCK) : archive_read_open_memory(a, bytes, (size_t)size);
    rc = r == ARCHIVE_OK ? walk(w, reterr) : bad_archive(a, reterr);
out:
    if (a)
        archive_read_free(a);
    free(w);
    if (rc < 0)
        import_source_done(&src);
    else
        *ret_src = src;
    return rc;
}

int import_tar_read(int fd, uint64_t size, struct import_source *ret_src, struct err *reterr) {
    return read_archive(fd, NULL, size, ret_src, reterr);
}

int import_tar_read_memory(const void *bytes, size_t n, struct import_source *ret_src, struct err *reterr) {
    return read_archive(-1, bytes, n, ret_src, reterr);
}
