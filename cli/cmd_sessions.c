/* SPDX-License-Identifier: GPL-2.0-or-later
 * `joulefarm import` and `joulefarm export`: published sessions in, a result's data out in other tools' layouts. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/ustar.h"
#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define ARCHIVE_MAX (32u << 20) /* what the daemon takes */

static int pack_file(struct buf *b, const char *dir, const char *name, struct err *reterr) {
    char path[4096], head[USTAR_BLOCK];
    static const char zeros[USTAR_BLOCK];
    struct stat st;
    void *bytes = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (lstat(path, &st) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return 0;
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(reterr, JF_E_INVAL, "%s is not a regular file; links are not followed", path);
    }
    int r = st.st_size > 0 ? file_read(path, ARCHIVE_MAX, &bytes, &n, reterr) : 0;
    if (r < 0) {
        return err_prefix(reterr, "%s", path);
    }
    r = ustar_header(head, name, n, reterr);
    r = r < 0 ? r : buf_put(b, head, sizeof head);
    r = r < 0 || n == 0 ? r : buf_put(b, bytes, n);
    r = r < 0 ? r : buf_put(b, zeros, ustar_padding(n));
    free(bytes);
    return r == JF_E_TOO_LARGE ? err_set(reterr, r, "%s holds more than %u bytes", dir, ARCHIVE_MAX) : r;
}

static int pack_dir(const char *dir, struct buf *b, struct err *reterr) {
    static const char end[USTAR_END];
    struct dirent **list = NULL;
    int n = scandir(dir, &list, NULL, alphasort), r = 0;
    if (n < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", dir);
    }
    for (int i = 0; i < n; i++) {
        if (r == 0 && list[i]->d_name[0] != '.') {
            r = pack_file(b, dir, list[i]->d_name, reterr);
        }
        free(list[i]);
    }
    free(list);
    if (r == 0 && b->len == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "%s holds no file", dir);
    }
    return r < 0 ? r : buf_put(b, end, sizeof end);
}

/* A directory is packed, a file is sent as it is. */
static int take_session(const char *path, struct buf *b, struct err *reterr) {
    struct stat st;
    void *bytes = NULL;
    size_t n = 0;
    if (stat(path, &st) != 0) {
        return err_set_errno(reterr, JF_E_NOT_FOUND, errno, "%s", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return pack_dir(path, b, reterr);
    }
    int r = file_read(path, ARCHIVE_MAX, &bytes, &n, reterr);
    if (r < 0) {
        return err_prefix(reterr, "%s", path);
    }
    r = buf_put(b, bytes, n);
    free(bytes);
    return r;
}

static int print_windows(struct client *c, const char *id) {
    static const char *const headings[] = {">window", ">inferences", ">duration", ">energy", ">per inference", ">inferences/s"};
    char path[128], cell[6][SHOW_CELL];
    struct err e = {0};
    json_t *doc = NULL, *w;
    size_t i;
    (void)snprintf(path, sizeof path, "/results/%.60s/windows", id);
    if (client_json(c, "GET", path, NULL, &doc, &e) < 0) {
        return cmd_fail(&e);
    }
    struct show_table *t = show_table_new(headings, 6);
    json_array_foreach(json_object_get(doc, "items"), i, w) {
        double n = show_number(w, "inferences"), s = show_number(w, "duration_s"), j = show_number(w, "energy_j");
        (void)snprintf(cell[0], SHOW_CELL, "%.0f", show_number(w, "index"));
        (void)snprintf(cell[1], SHOW_CELL, "%.0f", n);
        (void)snprintf(cell[2], SHOW_CELL, "%.3f s", s);
        (void)snprintf(cell[3], SHOW_CELL, "%.3f uJ", j * 1e6);
        (void)snprintf(cell[4], SHOW_CELL, "%.3f uJ", j * 1e6 / n);
        (void)snprintf(cell[5], SHOW_CELL, "%.3f", n / s);
        show_table_row(t, (const char *const[]){cell[0], cell[1], cell[2], cell[3], cell[4], cell[5]});
    }
    show_table_print(t);
    show_table_free(t);
    json_decref(doc);
    return EXIT_OK;
}

/* Why the verdict is what it is. */
static int print_reasons(struct client *c, const char *id) {
    char path[128];
    struct err e = {0};
    json_t *doc = NULL;
    (void)snprintf(path, sizeof path, "/results/%.60s", id);
    if (client_json(c, "GET", path, NULL, &doc, &e) < 0) {
        return cmd_fail(&e);
    }
    show_reasons(doc);
    json_decref(doc);
    return EXIT_OK;
}

static int import_one(struct client *c, const char *path, bool json) {
    struct err e = {0};
    struct buf b;
    json_t *doc = NULL, *item;
    size_t i;
    int code = EXIT_OK;
    buf_init(&b, ARCHIVE_MAX);
    int r = take_session(path, &b, &e);
    r = r < 0 ? r : client_upload(c, "/import", "application/x-tar", b.data, b.len, &doc, &e);
    buf_done(&b);
    if (r < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(doc);
    }
    json_array_foreach(json_object_get(doc, "items"), i, item) {
        if (!json && code == EXIT_OK) {
            printf("result    %s   verdict %s\nmedian    %.3f uJ per inference\n", show_text(item, "id"), show_text(item, "verdict"),
                   show_number(item, "energy_per_inference_j") * 1e6);
            code = print_windows(c, show_text(item, "id"));
            code = code == EXIT_OK ? print_reasons(c, show_text(item, "id")) : code;
        }
    }
    json_decref(doc);
    return code;
}

int cmd_import(struct client *c, int argc, char **argv) {
    bool json = false, help = false;
    const struct opt_row rows[] = {{"json", OPT_FLAG, &json, 0, 0, NULL, "print the daemon's answer as JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    const char *words[1];
    size_t n;
    struct err e = {0};
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && help) {
        return cmd_help("import", rows);
    }
    if (r == 0 && n != 1) {
        r = err_set(&e, JF_E_INVAL, "import wants a session's directory, or a tar archive of one");
    }
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    return import_one(c, words[0], json);
}

static int export_one(struct client *c, const char *word, const char *as, const char *output) {
    char id[CMD_ID], path[160], file[128];
    struct err e = {0};
    if (cmd_resolve(c, "/results", word, id, &e) < 0) {
        return cmd_fail(&e);
    }
    (void)snprintf(path, sizeof path, "/results/%s/export", id);
    cmd_query(path, sizeof path, "as", as);
    bool tar = strcmp(as, "eembc") == 0 || strcmp(as, "mlcommons") == 0;
    (void)snprintf(file, sizeof file, "%s%s%s.%s", cmd_short(id), tar ? "-" : "", tar ? as : "", tar ? "tar" : as);
    if (client_download(c, path, output ? output : file, &e) < 0) {
        return cmd_fail(&e);
    }
    printf("%s\n", output ? output : file);
    return EXIT_OK;
}

int cmd_export(struct client *c, int argc, char **argv) {
    static const char *const layouts[] = {"eembc", "mlcommons", "sr", "csv", "npy"};
    const char *as = NULL, *output = NULL;
    const char *layout = NULL;
    bool help = false;
    const struct opt_row rows[] = {{"as", OPT_TEXT, &as, 0, 0, "LAYOUT", "eembc, mlcommons, sr, csv or npy"},
                                   {"output", OPT_TEXT, &output, 0, 0, "FILE", "write this file (default: named after the result)"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    const char *words[1];
    size_t n;
    struct err e = {0};
    for (int i = 1; i < argc; i++) { /* -o as in other tools */
        if (strcmp(argv[i], "-o") == 0) {
            argv[i] = "--output";
        }
    }
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && help) {
        return cmd_help("export", rows);
    }
    for (size_t i = 0; as && i < sizeof layouts / sizeof layouts[0]; i++) {
        layout = strcmp(as, layouts[i]) == 0 ? layouts[i] : layout;
    }
    if (r == 0 && (n != 1 || !layout)) {
        r = err_set(&e, JF_E_INVAL, "export wants one result and --as eembc, mlcommons, sr, csv or npy");
    }
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    return layout ? export_one(c, words[0], layout, output) : EXIT_USAGE;
}
