/* SPDX-License-Identifier: GPL-2.0-or-later
 * The firmware build (compiler/firmware.h). In the private folder `firmware` is a link to the sources, so that no path of this machine enters the image. */
#include "compiler/firmware.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "compiler/toolchain.h"

#define MAX_SOURCES 96
#define MAX_ELF_BYTES (64 << 20)
#define IMAGE "image.elf"

static const char *const compile_flags[] = {"-std=c17", "-ffunction-sections", "-fdata-sections", "-fno-common", "-I.", "-g"};
static const char *const strict_flags[] = {"-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"};
static const char *const link_flags[] = {"-nostartfiles", "-Wl,--gc-sections", "-Wl,--build-id", "-Wl,--fatal-warnings", "-Wl,--print-memory-usage"};

struct source {
    char path[128]; /* below the private folder */
    bool fast; /* kernels and model: -O3 */
};

struct build {
    const struct firmware_request *q;
    char dir[PATH_MAX];
    struct source sources[MAX_SOURCES];
    int n_sources;
    char objects[MAX_SOURCES][16];
    char map[PATH_MAX + 32], model[64], in_n[40], out_n[40], script[160];
    struct toolchain_job jobs[MAX_SOURCES], link;
};

static int make_dir(struct build *b, struct err *reterr) {
    const char *tmp = getenv("TMPDIR");
    char path[PATH_MAX], real[PATH_MAX];
    if (!realpath(tmp && *tmp ? tmp : "/tmp", real)) {
        return err_set_errno(reterr, JF_E_IO, errno, "TMPDIR %.200s cannot be used", tmp ? tmp : "/tmp");
    }
    int used = snprintf(path, sizeof path, "%s/jf-model.XXXXXX", real);
    if (used < 0 || (size_t)used >= sizeof path || !mkdtemp(path)) {
        return err_set_errno(reterr, JF_E_IO, errno, "no private folder in %.200s", real);
    }
    (void)snprintf(b->dir, sizeof b->dir, "%s", path);
    used = snprintf(path, sizeof path, "%.*s/firmware", PATH_MAX - 16, b->dir);
    if (used < 0 || (size_t)used >= sizeof path || symlink(b->q->firmware_dir, path) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%.200s cannot be linked to", b->q->firmware_dir);
    }
    return 0;
}

static bool is_source(const char *name) {
    size_t n = strlen(name);
    return n > 2 && name[n - 2] == '.' && (name[n - 1] == 'c' || name[n - 1] == 'S');
}

/* Every .c and .S of one folder below the firmware directory, by name. */
static int add_folder(struct build *b, const char *folder, bool fast, struct err *reterr) {
    char path[PATH_MAX];
    struct dirent **names = NULL;
    int used = snprintf(path, sizeof path, "%s/%s", b->q->firmware_dir, folder), r = 0, added = 0;
    int n = used > 0 && (size_t)used < sizeof path ? scandir(path, &names, NULL, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        struct source *s = &b->sources[b->n_sources];
        if (is_source(names[i]->d_name) && b->n_sources == MAX_SOURCES) {
            r = err_set(reterr, JF_E_UNSUPPORTED, "board %s has more than %d source files", b->q->board->name, MAX_SOURCES);
        } else if (is_source(names[i]->d_name)) {
            used = snprintf(s->path, sizeof s->path, "firmware/%s/%s", folder, names[i]->d_name);
            s->fast = fast;
            r = used > 0 && (size_t)used < sizeof s->path ? r : err_set(reterr, JF_E_UNSUPPORTED, "the name of %s is too long", names[i]->d_name);
            b->n_sources++;
            added++;
        }
        free(names[i]);
        if (r < 0) {
            for (i++; i < n; i++) {
                free(names[i]);
            }
        }
    }
    free(names);
    return r < 0 || added > 0 ? r : err_set(reterr, JF_E_NOT_FOUND, "board %s: no sources in %.200s/%.60s", b->q->board->name, b->q->firmware_dir, folder);
}

static int add_sources(struct build *b, struct err *reterr) {
    const struct board_words *w = &b->q->board->sources;
    int r = add_folder(b, "runtime", true, reterr);
    for (int i = 0; i < w->n && r == 0; i++) {
        r = add_folder(b, w->word[i], false, reterr);
    }
    if (r < 0 || b->n_sources == MAX_SOURCES) {
        return r < 0 ? r : err_set(reterr, JF_E_UNSUPPORTED, "board %s has more than %d source files", b->q->board->name, MAX_SOURCES - 1);
    }
    struct source *s = &b->sources[b->n_sources++];
    (void)snprintf(s->path, sizeof s->path, "jfm_%.40s.c", b->q->info->id);
    s->fast = true;
    return 0;
}

static int put(struct toolchain_job *j, int at, const char *arg) {
    if (at < TOOLCHAIN_MAX_ARGS) {
        j->argv[at] = arg;
        j->argv[at + 1] = NULL;
    }
    return at + 1;
}

static int put_all(struct toolchain_job *j, int at, const char *const *args, int n) {
    for (int i = 0; i < n; i++) {
        at = put(j, at, args[i]);
    }
    return at;
}

static int plan_jobs(struct build *b, struct err *reterr) {
    const struct board *board = b->q->board;
    int at = 0, most = 0;
    (void)snprintf(b->map, sizeof b->map, "-ffile-prefix-map=%s=.", b->dir);
    (void)snprintf(b->model, sizeof b->model, "-DJF_NET_MODEL=jfm_%.40s", b->q->info->id);
    const struct program *p = b->q->program;
    (void)snprintf(b->in_n, sizeof b->in_n, "-DJF_NET_IN_N=%d", (int)p->model->tensors[p->model->input].elements);
    (void)snprintf(b->out_n, sizeof b->out_n, "-DJF_NET_OUT_N=%d", (int)p->model->tensors[p->model->output].elements);
    int used = snprintf(b->script, sizeof b->script, "-Tfirmware/%s", board->link.word[0]);
    if (used < 0 || (size_t)used >= sizeof b->script) {
        return err_set(reterr, JF_E_UNSUPPORTED, "board %s: the linker script's name is too long", board->name);
    }
    for (int i = 0; i < b->n_sources; i++) {
        struct toolchain_job *j = &b->jobs[i];
        const struct source *s = &b->sources[i];
        bool assembler = s->path[strlen(s->path) - 1] == 'S';
        (void)snprintf(b->objects[i], sizeof b->objects[i], "%02d.o", i);
        at = put(j, 0, board->compiler.word[0]);
        at = put_all(j, at, board->arch.word, board->arch.n);
        if (!assembler) {
            at = put_all(j, at, compile_flags, (int)(sizeof compile_flags / sizeof compile_flags[0]));
            at = b->q->strict ? put_all(j, at, strict_flags, (int)(sizeof strict_flags / sizeof strict_flags[0])) : at;
            at = put(j, at, b->map);
            at = put(j, at, s->fast ? "-O3" : "-O2");
            at = put(j, at, b->model);
            at = put(j, at, b->in_n);
            at = put(j, at, b->out_n);
            at = put(j, at, b->q->performance ? "-DJF_MODE=JF_MODE_PERFORMANCE" : "-DJF_MODE=JF_MODE_ENERGY");
        }
        at = put(j, at, "-c");
        at = put(j, at, s->path);
        at = put(j, at, "-o");
        at = put(j, at, b->objects[i]);
        most = at > most ? at : most;
    }
    at = put(&b->link, 0, board->compiler.word[0]);
    at = put_all(&b->link, at, board->arch.word, board->arch.n);
    at = put_all(&b->link, at, link_flags, (int)(sizeof link_flags / sizeof link_flags[0]));
    at = put(&b->link, at, b->script);
    for (int i = 0; i < b->n_sources; i++) {
        at = put(&b->link, at, b->objects[i]);
    }
    at = put(&b->link, at, "-o");
    at = put(&b->link, at, IMAGE);
    most = at > most ? at : most;
    return most <= TOOLCHAIN_MAX_ARGS ? 0 : err_set(reterr, JF_E_UNSUPPORTED, "board %s: a command of more than %d words", board->name, TOOLCHAIN_MAX_ARGS);
}

/* What stands between prefix` and ' at the next place in text; the place behind the quote, or NULL. */
static const char *quoted(const char *text, const char *prefix, char *dst, size_t size) {
    const char *at = strstr(text, prefix);
    if (!at) {
        return NULL;
    }
    at += strlen(prefix);
    size_t n = strcspn(at, "'\n");
    (void)snprintf(dst, size, "%.*s", (int)n, at);
    return at[n] == '\'' ? at + n + 1 : NULL;
}

/* "section `.bss' will not fit in region `RAM'" and "region `RAM' overflowed by 123 bytes", as GNU ld says. */
static int explain_link(const char *text, const char *board, struct err *reterr) {
    static const char overflowed[] = " overflowed by ";
    char section[64], region[64];
    if (!quoted(text, "section `", section, sizeof section)) {
        (void)snprintf(section, sizeof section, "a section");
    }
    for (const char *at = text; (at = quoted(at, "region `", region, sizeof region)) != NULL;) {
        if (strncmp(at, overflowed, sizeof overflowed - 1) == 0) {
            unsigned long long bytes = strtoull(at + sizeof overflowed - 1, NULL, 10);
            return err_set(reterr, JF_E_TOO_LARGE, "it does not fit on %s: %s exceeds %s by %llu bytes", board, section, region, bytes);
        }
    }
    return 0;
}

/* The first line that names an error, of what a compiler printed. */
static void first_complaint(const char *text, char *dst, size_t size) {
    const char *at = strstr(text, "error:");
    while (at && at > text && at[-1] != '\n') {
        at--;
    }
    at = at ? at : text;
    (void)snprintf(dst, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static int explain(const struct build *b, int r, const char *text, struct err *reterr) {
    const struct board *board = b->q->board;
    char line[300], packages[200] = "";
    size_t used = 0;
    if (r == JF_E_NOT_FOUND) {
        for (int i = 0; i < board->install.n && used < sizeof packages; i++) {
            used += (size_t)snprintf(packages + used, sizeof packages - used, " %s", board->install.word[i]);
        }
        return err_set(reterr, r, "board %s needs %s, which is not installed%s%s", board->name, board->compiler.word[0], used ? ": apt install" : "", packages);
    }
    if (r != JF_E_UNSUPPORTED) {
        return r;
    }
    int fit = explain_link(text, board->name, reterr);
    if (fit < 0) {
        return fit;
    }
    first_complaint(text, line, sizeof line);
    if (strstr(line, "static assertion failed")) { /* what the sources assert is what a model may need of them */
        return err_set(reterr, JF_E_TOO_LARGE, "board %s: %s", board->name, line);
    }
    return err_prefix(reterr, "board %s: %s", board->name, line[0] ? line : "no message");
}

/* "105 KB": the number times its unit; *at moves behind it. False: not such a thing. */
static bool amount(const char **at, uint64_t *ret_bytes) {
    static const char units[] = "BKMG";
    char *end;
    unsigned long long v = strtoull(*at, &end, 10);
    const char *unit = end != *at && end[0] == ' ' && end[1] ? strchr(units, end[1]) : NULL;
    if (!unit) {
        return false;
    }
    *ret_bytes = (uint64_t)v << (10 * (unit - units));
    *at = end + (end[1] == 'B' ? 2 : 3);
    return true;
}

/* The table of ld --print-memory-usage: "   FLASH:   105 KB   2 MB   5.13%"; ld shortens only what divides evenly. */
static void read_usage(const struct board *board, const char *text, struct firmware_report *r) {
    for (const char *line = text; line && *line && r->n_regions < FIRMWARE_MAX_REGIONS; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        struct firmware_region *g = &r->regions[r->n_regions];
        const char *name = line + strspn(line, " "), *at = name + strcspn(name, ":\n");
        int n = (int)(at - name);
        if (*at++ != ':' || n == 0 || !amount(&at, &g->used_bytes) || !amount(&at, &g->size_bytes) || g->used_bytes == 0) {
            continue;
        }
        (void)snprintf(g->name, sizeof g->name, "%.*s", n, name);
        g->flash = board_has(&board->flash, g->name);
        *(g->flash ? &r->flash_bytes : &r->ram_bytes) += g->used_bytes;
        r->n_regions++;
    }
}

/* The image, hashed, under a temporary name beside the wanted one, then renamed. */
static int deliver(const struct build *b, struct firmware_report *r, struct err *reterr) {
    char from[PATH_MAX], part[PATH_MAX];
    unsigned char hash[crypto_hash_sha256_BYTES];
    void *bytes = NULL;
    size_t n = 0;
    int from_n = snprintf(from, sizeof from, "%s/%s", b->dir, IMAGE), part_n = snprintf(part, sizeof part, "%s.part", b->q->out);
    if (from_n < 0 || part_n < 0 || (size_t)from_n >= sizeof from || (size_t)part_n >= sizeof part) {
        return err_set(reterr, JF_E_INVAL, "the image's file name is too long");
    }
    int code = file_read(from, MAX_ELF_BYTES, &bytes, &n, reterr);
    if (code < 0 || !bytes) {
        return err_prefix(reterr, "the image");
    }
    (void)crypto_hash_sha256(hash, bytes, n);
    (void)sodium_bin2hex(r->sha256, sizeof r->sha256, hash, sizeof hash);
    r->elf_bytes = n;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        code = err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", b->q->out);
        goto fail_open;
    }
    bool bad = file_write_all(fd, bytes, n) < 0 || fsync(fd) != 0;
    int why = errno;
    if (close(fd) != 0 && !bad) {
        bad = true;
        why = errno;
    }
    if (bad || rename(part, b->q->out) != 0) {
        code = err_set_errno(reterr, JF_E_IO, bad ? why : errno, "%s cannot be written", b->q->out);
        (void)unlink(part);
    }
fail_open:
    free(bytes);
    return code;
}

static int compile(struct build *b, struct firmware_report *r, struct err *reterr) {
    char text[TOOLCHAIN_TEXT];
    struct toolchain t;
    toolchain_init(&t, b->dir, clock_mono_ns(clock_system()) + FIRMWARE_DEADLINE_S * CLOCK_NS_PER_S);
    int code = toolchain_run(&t, b->jobs, b->n_sources, text, reterr);
    code = code < 0 ? code : toolchain_run(&t, &b->link, 1, text, reterr);
    if (code < 0) {
        code = explain(b, code, text, reterr);
    } else {
        read_usage(b->q->board, text, r);
        code = deliver(b, r, reterr);
    }
    file_tree_remove(b->dir); /* before a pending signal may end the process */
    toolchain_done(&t);
    return code;
}

int firmware_build(const struct firmware_request *q, struct firmware_report *ret_report, struct err *reterr) {
    struct firmware_report report = {.n_regions = 0};
    struct build *b = calloc(1, sizeof *b);
    if (!b) {
        return err_set(reterr, JF_E_NOMEM, "no memory to build firmware");
    }
    b->q = q;
    int r = make_dir(b, reterr);
    r = r < 0 ? r : emit_files(q->program, q->info, b->dir, reterr);
    r = r < 0 ? r : add_sources(b, reterr);
    r = r < 0 ? r : plan_jobs(b, reterr);
    if (r == 0) {
        r = compile(b, &report, reterr);
    } else if (b->dir[0]) {
        file_tree_remove(b->dir);
    }
    free(b);
    if (r == 0) {
        *ret_report = report;
    }
    return r;
}
