/* SPDX-License-Identifier: GPL-2.0-or-later
 * Runs a vendor's tool (compiler/vendor.h): command lines, deadline, what it prints, what it leaves behind. */
#include "compiler/vendor.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc/proc.h"
#include "compiler/vendor_impl.h"

#define ARG_MAX_BYTES 4096
#define FILE_MAX_BYTES (256u << 20)

/* ---- one child ------------------------------------------------------------------------------------------------------------ */

/* Takes what is there; 1 at the end of the pipe. */
static int take(int fd, struct buf *out) {
    uint8_t *p = NULL;
    int r = buf_reserve(out, 4096, &p);
    if (r < 0) {
        return r;
    }
    ssize_t n = read(fd, p, 4096);
    if (n > 0) {
        out->len += (size_t)n;
        return 0;
    }
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* The last line that says something, for an error's text. */
static const char *last_line(struct buf *out) {
    const char *text = buf_str(out);
    if (!text) {
        return "";
    }
    size_t n = out->len;
    while (n > 0 && strchr(" \r\n\t", text[n - 1])) {
        n--;
    }
    out->data[n] = '\0';
    const char *line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

static int wait_for(struct proc *p, const struct vendor_child *c, struct buf *out, struct err *reterr) {
    const struct proc_sys *sys = proc_system();
    struct proc_exit x = {false, 0};
    int fd = proc_output_fd(sys, p, 1), ended = 0, done = fd < 0;
    int64_t deadline = clock_mono_ns(clock_system()) + c->deadline_s * INT64_C(1000000000);
    while (ended == 0 || !done) {
        struct pollfd pf = {fd, POLLIN, 0};
        (void)poll(&pf, done ? 0 : 1, 50);
        int r = done ? 0 : take(fd, out);
        if (r < 0) {
            return err_set(reterr, JF_E_TOO_LARGE, "%s printed more than %u MiB and was stopped", c->argv[0], VENDOR_MAX_OUTPUT >> 20);
        }
        done = done || r > 0;
        ended = ended ? ended : proc_poll_exit(sys, p, &x);
        if (clock_mono_ns(clock_system()) > deadline) {
            return err_set(reterr, JF_E_TIMEOUT, "%s did not end within %lld s and was stopped", c->argv[0], (long long)c->deadline_s);
        }
    }
    if (x.signaled) {
        return err_set(reterr, JF_E_IO, "%s was ended by signal %d; its last line: %.200s", c->argv[0], x.code, last_line(out));
    }
    return x.code == 0 ? 0 : err_set(reterr, JF_E_IO, "%s ended with status %d; its last line: %.200s", c->argv[0], x.code, last_line(out));
}

int vendor_child_run(const struct vendor_child *c, struct buf *out, struct err *reterr) {
    const struct proc_sys *sys = proc_system();
    struct proc *p = NULL;
    const struct proc_spec spec = {.argv = c->argv, .cwd = c->cwd, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .merge_stderr = true,
                                   .limit_as_bytes = (uint64_t)c->memory_mib << 20, .limit_fsize_bytes = FILE_MAX_BYTES};
    int r = proc_spawn(sys, &spec, &p, reterr);
    if (r < 0) {
        return r;
    }
    r = wait_for(p, c, out, reterr);
    proc_free(sys, p); /* kills the group when it still runs */
    return r;
}

/* ---- the tool ------------------------------------------------------------------------------------------------------------ */
static int absent(const struct target_tool *t, const char *program, struct err *reterr) {
    return err_set(reterr, JF_E_NOT_FOUND, "%s is not installed (%s was not found): %s", t->name, program, t->install);
}

static bool in_path(const char *program) {
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (strchr(program, '/')) {
        return access(program, X_OK) == 0;
    }
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        char full[PATH_MAX];
        (void)snprintf(full, sizeof full, "%.*s/%s", (int)n, p, program);
        if (n && access(full, X_OK) == 0) {
            return true;
        }
        p += n + (p[n] == ':');
    }
    return false;
}

static int probe(const struct target_tool *t, char *dst, size_t size, struct err *reterr) {
    struct buf out;
    (void)snprintf(dst, size, "unknown");
    if (!t->version_argv[0]) {
        return 0;
    }
    if (!in_path(t->version_argv[0])) {
        return absent(t, t->version_argv[0], reterr);
    }
    buf_init(&out, VENDOR_MAX_OUTPUT);
    struct vendor_child c = {t->version_argv, NULL, 30, t->memory_mib};
    int r = vendor_child_run(&c, &out, reterr);
    const char *text = r < 0 ? NULL : buf_str(&out);
    if (r < 0) {
        (void)err_prefix(reterr, "the version of %s is not known (if it is not installed: %s)", t->name, t->install);
    } else if (!text || vendor_version_find(text, t->version_key, dst, size) < 0) {
        r = err_set(reterr, JF_E_PARSE, "%s does not say its version; its last line: %.100s", t->name, last_line(&out));
    }
    bool fits = false;
    for (int i = 0; i < t->n_accept && r == 0; i++) {
        fits = fits || strncmp(dst, t->accept[i], strlen(t->accept[i])) == 0;
    }
    if (r == 0 && !fits) {
        r = err_set(reterr, JF_E_UNSUPPORTED, "%s has version %s; its output is known for versions that start with %s%s", t->name, dst, t->accept[0], t->n_accept > 1 ? " and others" : "");
    }
    buf_done(&out);
    return r;
}

/* Fills {words} of one argument. */
static int expand(const struct vendor_job *j, const char *arg, char *dst, size_t size, struct err *reterr) {
    size_t n = 0;
    while (*arg) {
        const char *value = NULL;
        size_t len = *arg == '{' ? strcspn(arg, "}") : 0;
        for (int i = 0; len && i < j->n_words; i++) {
            value = strlen(j->words[i].name) == len - 1 && strncmp(j->words[i].name, arg + 1, len - 1) == 0 ? j->words[i].value : value;
        }
        size_t step = value ? len + 1 : 1, put = value ? strlen(value) : 1;
        if (n + put >= size) {
            return err_set(reterr, JF_E_TOO_LARGE, "an argument for %s is longer than %zu bytes", j->q->tool->name, size - 1);
        }
        memcpy(dst + n, value ? value : arg, put);
        n += put;
        arg += step;
    }
    dst[n] = '\0';
    return 0;
}

static int run_step(const struct vendor_job *j, const char *const *argv, struct buf *out, struct err *reterr) {
    char(*room)[ARG_MAX_BYTES] = calloc(TARGET_MAX_ARGV, sizeof *room);
    const char *filled[TARGET_MAX_ARGV] = {"", NULL}; /* the reader of the file refuses an empty list */
    if (!room) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a command line");
    }
    int r = 0;
    for (int i = 0; i < TARGET_MAX_ARGV - 1 && argv[i] && r == 0; i++) {
        r = expand(j, argv[i], room[i], sizeof room[i], reterr);
        filled[i] = room[i];
    }
    if (r == 0 && !in_path(filled[0])) {
        r = absent(j->q->tool, filled[0], reterr);
    }
    struct vendor_child c = {filled, j->work, j->q->tool->deadline_s, j->q->tool->memory_mib};
    r = r < 0 ? r : vendor_child_run(&c, out, reterr);
    free(room);
    return r;
}

/* ---- what it left behind ---------------------------------------------------------------------------------------------------- */
static int read_reports(const struct vendor_job *j, const struct buf *printed, struct vendor_result *r, struct err *reterr) {
    const struct target_tool *t = j->q->tool;
    int e = 0;
    for (int i = 0; i < t->n_reports && e == 0; i++) {
        const struct target_report *p = &t->reports[i];
        if (!p->file) {
            e = vendor_report_read(p, (const char *)printed->data, printed->len, r, reterr);
            continue;
        }
        char pattern[PATH_MAX + 256];
        glob_t g;
        void *bytes = NULL;
        size_t n = 0;
        (void)snprintf(pattern, sizeof pattern, "%s/%s", j->work, p->file);
        if (glob(pattern, 0, NULL, &g) != 0) {
            return err_set(reterr, JF_E_PARSE, "%s left no %s", t->name, p->file);
        }
        e = file_read(g.gl_pathv[0], VENDOR_MAX_OUTPUT, &bytes, &n, reterr);
        e = e < 0 ? err_prefix(reterr, "%s", p->file) : vendor_report_read(p, bytes, n, r, reterr);
        free(bytes);
        globfree(&g);
    }
    return e;
}

static int collect(const struct vendor_job *j, struct vendor_result *r, struct err *reterr) {
    const struct target_tool *t = j->q->tool;
    for (int i = 0; i < t->n_outputs; i++) {
        char pattern[PATH_MAX + 256];
        glob_t g;
        (void)snprintf(pattern, sizeof pattern, "%s/%s", j->work, t->outputs[i]);
        if (glob(pattern, 0, NULL, &g) != 0) {
            return err_set(reterr, JF_E_PARSE, "%s ended well but left no %s", t->name, t->outputs[i]);
        }
        for (size_t k = 0; k < g.gl_pathc && r->n_files < VENDOR_MAX_FILES; k++) {
            const char *base = strrchr(g.gl_pathv[k], '/');
            (void)snprintf(r->files[r->n_files++], sizeof r->files[0], "%s", base ? base + 1 : g.gl_pathv[k]);
            if (vendor_file_copy(g.gl_pathv[k], j->q->out, r->files[r->n_files - 1], reterr) < 0) {
                globfree(&g);
                return reterr ? reterr->code : JF_E_IO;
            }
        }
        globfree(&g);
    }
    return 0;
}

static int run_tool(const struct vendor_job *j, struct vendor_result *r, struct err *reterr) {
    struct buf printed;
    int e = 0;
    buf_init(&printed, VENDOR_MAX_OUTPUT);
    for (int i = 0; i < j->q->tool->n_steps && e == 0; i++) {
        e = run_step(j, j->q->tool->steps[i].argv, &printed, reterr);
    }
    e = e < 0 ? e : read_reports(j, &printed, r, reterr);
    e = e < 0 ? e : collect(j, r, reterr);
    for (int i = 0; e < 0 && i < r->n_files; i++) { /* nothing half: what was copied goes again */
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", j->q->out, r->files[i]);
        (void)unlink(path);
    }
    buf_done(&printed);
    return e;
}

static int absolute(const char *path, char dst[PATH_MAX], struct err *reterr) {
    return realpath(path, dst) ? 0 : err_set_errno(reterr, JF_E_NOT_FOUND, errno, "%s", path);
}

static void add_word(struct vendor_job *j, const char *name, const char *value) {
    j->words[j->n_words].name = name;
    j->words[j->n_words++].value = value;
}

/* Absolute paths of everything that a command line may name. */
static int prepare(struct vendor_job *j, struct err *reterr) {
    const struct target_tool *t = j->q->tool;
    int e = absolute(j->q->model, j->model, reterr);
    const char *base = strrchr(j->model, '/');
    (void)snprintf(j->stem, sizeof j->stem, "%s", base ? base + 1 : "model");
    char *dot = strrchr(j->stem, '.');
    if (dot) {
        *dot = '\0';
    }
    for (int i = 0; i < t->n_needs && e == 0; i++) {
        e = j->q->need_values[i] ? absolute(j->q->need_values[i], j->needs[i], reterr)
                                 : err_set(reterr, JF_E_NOT_FOUND, "%s needs %s: give it as --with %s=FILE", t->name, t->needs[i].what, t->needs[i].name);
    }
    if (e == 0 && mkdir(j->q->out, 0777) != 0 && errno != EEXIST) {
        e = err_set_errno(reterr, JF_E_IO, errno, "%s", j->q->out);
    }
    char out[PATH_MAX];
    e = e < 0 ? e : absolute(j->q->out, out, reterr);
    if (e < 0) {
        return e;
    }
    if (snprintf(j->work, sizeof j->work, "%.*s/.jf-vendor-XXXXXX", PATH_MAX - 32, out) < 0 || !mkdtemp(j->work)) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s: no working directory can be made", j->q->out);
    }
    add_word(j, "model", j->model);
    add_word(j, "stem", j->stem);
    add_word(j, "out", j->work);
    for (int i = 0; i < t->n_needs; i++) {
        add_word(j, t->needs[i].name, j->needs[i]);
    }
    return 0;
}

int vendor_run(const struct vendor_request *q, struct vendor_result *ret_r, struct err *reterr) {
    struct vendor_job *j = calloc(1, sizeof *j);
    memset(ret_r, 0, sizeof *ret_r);
    if (!j) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the run");
    }
    j->q = q;
    int e = probe(q->tool, ret_r->version, sizeof ret_r->version, reterr);
    e = e < 0 ? e : prepare(j, reterr);
    e = e < 0 ? e : vendor_key(j, ret_r->version, ret_r->key, reterr);
    if (e == 0 && q->cache && vendor_cache_get(q->cache, q->out, ret_r)) {
        ret_r->cached = true;
    } else if (e == 0) {
        e = run_tool(j, ret_r, reterr);
        if (e == 0 && q->cache) {
            vendor_cache_put(q->cache, q->out, ret_r);
        }
    }
    if (j->work[0]) {
        file_tree_remove(j->work);
    }
    free(j);
    return e;
}
