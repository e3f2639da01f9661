/* SPDX-License-Identifier: GPL-2.0-or-later
 * Foreign sessions: which kind a directory holds, its files, the comparison. */
#include "measure/trace/import.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/stats.h"
#include "measure/trace/import_inner.h"

static const char *const figure_names[IMPORT_N_FIGURES] = {
    [IMPORT_BEGIN] = "begin",           [IMPORT_ENERGY] = "energy",
    [IMPORT_POWER] = "power",           [IMPORT_PER_INFERENCE] = "energy per inference",
    [IMPORT_INFERENCES] = "inferences", [IMPORT_DURATION] = "duration",
    [IMPORT_THROUGHPUT] = "throughput"};

static int open_regular(int dirfd, const char *name, size_t max, size_t *ret_size, struct err *reterr) {
    struct stat st;
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return err_set_at(reterr, JF_E_NOT_FOUND, name, "the session lacks this file");
    if (fd < 0 && errno == ELOOP)
        return err_set_at(reterr, JF_E_INVAL, name, "a symbolic link is not followed");
    if (fd < 0 || fstat(fd, &st) < 0) {
        int rc = err_set_errno(reterr, JF_E_IO, errno, "cannot read %s", name);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = 0;
    if (!S_ISREG(st.st_mode))
        rc = err_set_at(reterr, JF_E_INVAL, name, "not a regular file");
    else if (st.st_size == 0)
        rc = err_set_at(reterr, JF_E_PARSE, name, "the file is empty");
    else if (st.st_size > (off_t)max)
        rc = err_set_at(reterr, JF_E_TOO_LARGE, name, "the file has %lld bytes, at most %zu are read",
                        (long long)st.st_size, max);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_size = (size_t)st.st_size;
    return fd;
}

const char *const import_names[IMPORT_N_FILES] = {
    [IMPORT_N_TRACE] = "trace1-energy.bin", [IMPORT_N_STAMPS] = "trace1-timestamps.json",
    [IMPORT_N_DATA] = "results.json",       [IMPORT_N_PRINTED] = "results.txt",
    [IMPORT_N_LOG] = "log.txt"};

/* What the archive held, moved out. */
static int take(struct import_source *src, enum import_name which, size_t max, struct import_file *ret_f,
                struct err *reterr) {
    struct import_file *f = &src->files[which];
    const char *name = import_names[which];
    if (!f->data)
        return err_set_at(reterr, JF_E_NOT_FOUND, name, "the session lacks this file");
    if (f->size == 0)
        return err_set_at(reterr, JF_E_PARSE, name, "the file is empty");
    if (f->size > max)
        return err_set_at(reterr, JF_E_TOO_LARGE, name, "the file has %zu bytes, at most %zu are read", f->size, max);
    *ret_f = *f;
    *f = (struct import_file){0};
    return 0;
}

int import_file_read(struct import_source *src, enum import_name which, size_t max, struct import_file *ret_f,
                     struct err *reterr) {
    size_t size = 0, n = 0;
    if (src->dirfd < 0)
        return take(src, which, max, ret_f, reterr);
    const char *name = import_names[which];
    int rc = 0, fd = open_regular(src->dirfd, name, max, &size, reterr);
    if (fd < 0)
        return fd;
    char *data = malloc(size + 1);
    if (!data) {
        close(fd);
        return err_set(reterr, JF_E_NOMEM, "no memory for %s", name);
    }
    while (rc == 0 && n < size) {
        ssize_t got = read(fd, data + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = err_set_errno(reterr, JF_E_IO, errno, "cannot read %s", name);
        else if (got == 0)
            rc = err_set_at(reterr, JF_E_IO, name, "the file became shorter while it was read");
        else
            n += (size_t)got;
    }
    close(fd);
    if (rc < 0) {
        free(data);
        return rc;
    }
    data[size] = 0;
    *ret_f = (struct import_file){data, size};
    return 0;
}

void import_file_done(struct import_file *f) {
    free(f->data);
    *f = (struct import_file){0};
}

int import_file_json(struct import_source *src, enum import_name which, size_t max, json_t **ret_j,
                     struct err *reterr) {
    struct import_file f = {0};
    const char *name = import_names[which];
    int rc = import_file_read(src, which, max, &f, reterr);
    if (rc < 0)
        return rc;
    json_error_t je;
    *ret_j = json_loadb(f.data, f.size, JSON_REJECT_DUPLICATES, &je);
    import_file_done(&f);
    if (*ret_j)
        return 0;
    char where[128];
    snprintf(where, sizeof where, "%s line %d column %d (byte %d)", name, je.line, je.column, je.position);
    return err_set_at(reterr, JF_E_PARSE, where, "not valid JSON (NaN and infinities are none): %s", je.text);
}

int import_lines(const struct import_file *f, const char *name, import_line_fn *fn, void *user, struct err *reterr) {
    const char *at = f->data, *end = f->data + f->size;
    char where[128], line[501];
    for (int number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        if (memchr(at, 0, n)) {
            snprintf(where, sizeof where, "%s line %d", name, number);
            return err_set_at(reterr, JF_E_PARSE, where, "not a text file: a zero byte");
        }
        size_t keep = n < sizeof line - 1 ? n : sizeof line - 1;
        memcpy(line, at, keep);
        while (keep > 0 && (line[keep - 1] == '\r' || line[keep - 1] == ' '))
            keep--;
        line[keep] = 0;
        int rc = fn(user, line, number, reterr);
        if (rc < 0)
            return rc;
        at += n + 1;
    }
    return 0;
}

void import_differ(struct import_session *s, const char *fmt, ...) {
    va_list args;
    int k = s->n_differences++;
    if (k >= IMPORT_MAX_DIFFERENCES)
        return;
    va_start(args, fmt);
    vsnprintf(s->differences[k], sizeof s->differences[k], fmt, args);
    va_end(args);
}

void import_fixed(struct import_value *v, double x, int digits) {
    snprintf(v->computed, sizeof v->computed, "%.*f", digits, x);
}

void import_shortest(struct import_value *v, double x) {
    char text[sizeof v->computed] = "";
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    memcpy(v->computed, text, sizeof text);
}

static void compare(struct import_session *s, const char *what, int window, const struct import_value *v) {
    char of[24] = "";
    if (v->printed[0] == 0 || strcmp(v->computed, v->printed) == 0)
        return;
    if (window >= 0)
        snprintf(of, sizeof of, " of window %d", window);
    import_differ(s, "results.txt line %d: %s%s is printed as %s, computed %s", v->line, what, of, v->printed,
                  v->computed);
}

void import_medians(struct import_session *s) {
    double energy[IMPORT_MAX_WINDOWS], rate[IMPORT_MAX_WINDOWS];
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_window *w = &s->windows[k];
        energy[k] = w->energy_j * 1e6 / (double)w->inferences;
        rate[k] = (double)w->inferences / w->duration_s;
    }
    double median = measure_median(energy, (size_t)s->n_windows);
    s->per_inference_j = median / 1e6;
    s->throughput = measure_median(rate, (size_t)s->n_windows);
    import_fixed(&s->median_energy, median, s->format == IMPORT_EEMBC ? 3 : 4);
    import_fixed(&s->median_throughput, s->throughput, 3);
}

/* Everything printed against everything computed. */
static void conclude(struct import_session *s) {
    import_medians(s);
    for (int k = 0; k < s->n_windows; k++)
        for (int f = 0; f < IMPORT_N_FIGURES; f++)
            compare(s, figure_names[f], s->windows[k].number, &s->windows[k].figures[f]);
    compare(s, "the median energy", -1, &s->median_energy);
    compare(s, "the median throughput", -1, &s->median_throughput);
}

bool import_source_has(const struct import_source *src, enum import_name which) {
    struct stat st;
    if (src->dirfd < 0)
        return src->files[which].data != NULL;
    return fstatat(src->dirfd, import_names[which], &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void import_source_done(struct import_source *src) {
    if (src->dirfd >= 0)
        close(src->dirfd);
    src->dirfd = -1;
    for (int k = 0; k < IMPORT_N_FILES; k++)
        import_file_done(&src->files[k]);
}

/* A directory, or an archive: what path is decides. */
static int open_source(const char *path, struct import_source *ret_src, struct err *reterr) {
    struct stat st;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = err_set_errno(reterr, errno == ENOENT ? JF_E_NOT_FOUND : JF_E_IO, errno, "cannot open %s", path);
    } else if (S_ISDIR(st.st_mode)) {
        *ret_src = (struct import_source){.dirfd = fd};
        return 0;
    } else if (!S_ISREG(st.st_mode)) {
        rc = err_set_at(reterr, JF_E_INVAL, path, "neither a directory nor an archive");
    } else {
        rc = import_tar_read(fd, (uint64_t)st.st_size, ret_src, reterr);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int read_source(struct import_source *src, const char *what, struct import_session *ret_s, struct err *reterr) {
    int rc;
    struct import_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, JF_E_NOMEM, "no memory for a session");
    bool eembc = import_source_has(src, IMPORT_N_TRACE) || import_source_has(src, IMPORT_N_STAMPS),
         mlcommons = import_source_has(src, IMPORT_N_DATA);
    if (eembc && mlcommons) {
        rc = err_set_at(reterr, JF_E_PARSE, what, "files of two runners (trace1-* and results.json): not one session");
    } else if (!eembc && !mlcommons) {
        rc = err_set_at(reterr, JF_E_NOT_FOUND, what, "no energy session: neither trace1-energy.bin nor results.json");
    } else {
        s->format = eembc ? IMPORT_EEMBC : IMPORT_MLCOMMONS;
        s->facts.voltage_v = NAN;
        (void)snprintf(s->facts.runner, sizeof s->facts.runner, eembc ? "EEMBC EnergyRunner" : "MLCommons runner");
        rc = eembc ? import_eembc(src, s, reterr) : import_mlcommons(src, s, reterr);
    }
    if (rc >= 0) {
        conclude(s);
        *ret_s = *s;
        rc = 0;
    }
    free(s);
    return rc;
}

static int read_path(const char *path, struct import_session *ret_s, struct import_samples *keep, struct err *reterr) {
    struct import_source src = {.dirfd = -1};
    int rc = open_source(path, &src, reterr);
    if (rc < 0)
        return rc;
    src.keep = keep;
    rc = read_source(&src, path, ret_s, reterr);
    import_source_done(&src);
    return rc;
}

int import_session_read(const char *path, struct import_session *ret_s, struct err *reterr) {
    return read_path(path, ret_s, NULL, reterr);
}

int import_session_read_samples(const char *path, struct import_session *ret_s, struct import_samples *ret_k,
                                struct err *reterr) {
    *ret_k = (struct import_samples){0};
    int rc = read_path(path, ret_s, ret_k, reterr);
    if (rc < 0)
        import_samples_done(ret_k);
    return rc;
}

void import_samples_done(struct import_samples *k) {
    free(k->energy_uj);
    *k = (struct import_samples){0};
}

int import_samples_grow(struct import_samples *keep, int64_t n, float **ret_at, struct err *reterr) {
    float *more = realloc(keep->energy_uj, (size_t)(keep->n + n) * sizeof *more);
    if (!more)
        return err_set(reterr, JF_E_NOMEM, "no memory for %lld more samples", (long long)n);
    keep->energy_uj = more;
    *ret_at = more + keep->n;
    keep->n += n;
    keep->run_end[keep->n_runs++] = keep->n;
    return 0;
}

int import_session_read_memory(const void *bytes, size_t n, struct import_session *ret_s, struct err *reterr) {
    struct import_source src = {.dirfd = -1};
    int rc = import_tar_read_memory(bytes, n, &src, reterr);
    if (rc < 0)
        return rc;
    rc = read_source(&src, "the archive", ret_s, reterr);
    import_source_done(&src);
    return rc;
}
