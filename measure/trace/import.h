/* SPDX-License-Identifier: GPL-2.0-or-later
 * Published energy sessions of other runners (EEMBC EnergyRunner, MLCommons runner): read, recomputed with
 * measure/rules.h and compared with what their results.txt says. Reads only, one session at a time, nothing is kept
 * or written. */
#ifndef MEASURE_TRACE_IMPORT_H
#define MEASURE_TRACE_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define IMPORT_MAX_WINDOWS 64
#define IMPORT_MAX_DIFFERENCES 32 /* more are counted, not described */

enum import_format { IMPORT_EEMBC, IMPORT_MLCOMMONS };

/* What results.txt prints of a window. */
enum import_figure {
    IMPORT_BEGIN,         /* s, only eembc */
    IMPORT_ENERGY,        /* uJ */
    IMPORT_POWER,         /* uW (eembc), mW (mlcommons) */
    IMPORT_PER_INFERENCE, /* uJ */
    IMPORT_INFERENCES,
    IMPORT_DURATION,   /* s */
    IMPORT_THROUGHPUT, /* 1/s; mlcommons does not print it in energy sessions */
    IMPORT_N_FIGURES
};

/* Both as text in the runner's own notation: they agree when the texts are the same. */
struct import_value {
    char computed[40];
    char printed[40]; /* "": results.txt does not say */
    int line;         /* of results.txt; 0: none */
};

struct import_window {
    int number;   /* as results.txt counts them */
    int64_t a, b; /* samples [a, b) */
    int64_t inferences;
    double energy_j, duration_s;
    struct import_value figures[IMPORT_N_FIGURES];
};

struct import_session {
    enum import_format format;
    double rate_hz;
    int64_t samples; /* over all windows' traces */
    int leading;     /* timestamps before the first window that belong to none (mlcommons: the most of any window) */
    int trailing; /* eembc: the begin of a run that did not end, behind the last window */
    int n_windows;
    struct import_window windows[IMPORT_MAX_WINDOWS];
    double per_inference_j, throughput; /* medians */
    struct import_value median_energy, median_throughput;
    int n_differences; /* between what is computed and what results.txt or log.txt says */
    char differences[IMPORT_MAX_DIFFERENCES][160];
};

/* Reads a session: a directory, or an archive of one (tar, also within gzip or zstd; what an archive may hold is in
 * import_inner.h). Its files have fixed names, are regular files (a symbolic link is refused) and bounded
 * in size. A file that is missing, foreign, cut off or impossible is an error that names it and the byte, line or
 * element (JF_E_NOT_FOUND, _PARSE, _TOO_LARGE, _IO); figures that merely differ are differences. */
int import_session_read(const char *path, struct import_session *ret_s, struct err *reterr) JF_MUST_CHECK;
/* The same from an archive in memory, borrowed. */
int import_session_read_memory(const void *bytes, size_t n, struct import_session *ret_s,
                               struct err *reterr) JF_MUST_CHECK;

json_t *import_session_json(const struct import_session *s); /* new reference; NULL: out of memory */
void import_session_print(const struct import_session *s, FILE *out);

#endif
