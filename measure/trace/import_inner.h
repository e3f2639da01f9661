/* SPDX-License-Identifier: GPL-2.0-or-later
 * Shared by the readers of foreign sessions, for nobody else. */
#ifndef MEASURE_TRACE_IMPORT_INNER_H
#define MEASURE_TRACE_IMPORT_INNER_H

#include "measure/trace/import.h"

#define IMPORT_MAX_TEXT (4u << 20)  /* results.txt, log.txt, timestamps */
#define IMPORT_MAX_DATA (64u << 20) /* samples */
#define IMPORT_MAX_ENTRIES 256
#define IMPORT_MAX_BYTES (96u << 20)
#define IMPORT_MAX_RATIO 100u

struct import_file {
    char *data; /* owned, one NUL behind size */
    size_t size;
};

/* The files that make a session; nothing else is read. */
enum import_name {
    IMPORT_N_TRACE,
    IMPORT_N_STAMPS,
    IMPORT_N_DATA,
    IMPORT_N_PRINTED,
    IMPORT_N_LOG,
    IMPORT_N_FILES
};
extern const char *const import_names[IMPORT_N_FILES];

/* Where they come from: a directory, or what an archive held (then dirfd is -1 and the files are in memory). */
struct import_source {
    int dirfd;
    struct import_file files[IMPORT_N_FILES]; /* data NULL: not there */
    struct import_samples *keep;              /* where the readers put the samples; NULL: nowhere */
};

/* An archive (tar, gzip or zstd around it) of at most one session, in one folder at any depth; other regular files in it
 * are counted and skipped. Refused, with the entry's name: links, devices, absolute paths, "..", one name twice, sparse
 * files, more than IMPORT_MAX_ENTRIES entries, more than IMPORT_MAX_BYTES in all, more than IMPORT_MAX_RATIO times the
 * archive's own size (beyond the first MiB). Nothing is written anywhere. size: bytes of the archive. On failure nothing is kept. */
int import_tar_read(int fd, uint64_t size, struct import_source *ret_src, struct err *reterr) JF_MUST_CHECK;
int import_tar_read_memory(const void *bytes, size_t n, struct import_source *ret_src, struct err *reterr) JF_MUST_CHECK;
void import_source_done(struct import_source *src); /* closes and frees; idempotent */
bool import_source_has(const struct import_source *src, enum import_name name);

/* Whole file of the source. A missing, special, linked, empty or too large one is an error that names it. From memory it is moved
 * out: each file is read once. */
int import_file_read(struct import_source *src, enum import_name name, size_t max, struct import_file *ret_f,
                     struct err *reterr) JF_MUST_CHECK;
void import_file_done(struct import_file *f); /* idempotent */
/* The same, as JSON; the error names line and column. */
int import_file_json(struct import_source *src, enum import_name name, size_t max, json_t **ret_j,
                     struct err *reterr) JF_MUST_CHECK;

/* Walks lines without their ends, each cut at 500 characters. fn: < 0 ends the walk and is returned. A NUL byte:
 * JF_E_PARSE. */
typedef int import_line_fn(void *user, const char *line, int number, struct err *reterr);
int import_lines(const struct import_file *f, const char *name, import_line_fn *fn, void *user,
                 struct err *reterr) JF_MUST_CHECK;

/* results.txt into the printed texts and window numbers of s (format is set before). At least one window. */
int import_printed(struct import_source *src, struct import_session *s, struct err *reterr) JF_MUST_CHECK;

/* log.txt against the windows of s: one run a window, with the same count of inferences; what differs is noted in s, a log without
 * runs says nothing. count: where a line's count begins, NULL: not a run. source and noun word the differences. */
int import_check_log(struct import_source *src, struct import_session *s, const char *(*count)(const char *line), const char *source,
                     const char *noun, struct err *reterr) JF_MUST_CHECK;

/* Room for n more samples in keep; *ret_at is where they go. */
int import_samples_grow(struct import_samples *keep, int64_t n, float **ret_at, struct err *reterr) JF_MUST_CHECK;

/* A window's figures and their texts, as the runner prints them; a, b and inferences are set. */
void import_eembc_figures(struct import_window *w, double rate_hz, double energy_uj, double t0, double t1);
void import_mlcommons_figures(struct import_window *w, double energy_j);
/* The medians over the windows and their texts. */
void import_medians(struct import_session *s);

void import_differ(struct import_session *s, const char *fmt, ...) JF_PRINTF(2, 3);
void import_fixed(struct import_value *v, double x, int digits); /* computed text with that many decimals */
void import_shortest(struct import_value *v, double x);          /* the shortest text that reads back as x */

int import_eembc(struct import_source *src, struct import_session *s, struct err *reterr) JF_MUST_CHECK;
int import_mlcommons(struct import_source *src, struct import_session *s, struct err *reterr) JF_MUST_CHECK;

#endif
