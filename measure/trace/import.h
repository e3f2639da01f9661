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
#include "measure/measure.h"
#include "measure/trace/trace.h"

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
    double from_s, to_s; /* on the time line of all samples (mlcommons: of the runs behind each other) */
    struct import_value figures[IMPORT_N_FIGURES];
};

/* What the session says about itself; "" or NAN: it does not. */
struct import_facts {
    char runner[48];   /* "EEMBC EnergyRunner 3.0.10", "MLCommons runner" */
    char analyzer[32]; /* "lpm01a", "js110" */
    char board[64];    /* the vendor string that the board answered */
    char model[16];    /* "kws01" */
    double voltage_v;  /* of the supply: the last one the log tells of (eembc), of all runs (mlcommons) */
    char inputs[IMPORT_MAX_WINDOWS][48]; /* names of the input files, as loaded; one that is too long is none */
    int n_inputs;
};

struct import_session {
    enum import_format format;
    struct import_facts facts;
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

/* The samples behind the windows. mlcommons: the runs' captures behind each other. */
#define IMPORT_MAX_MARKS 4096
struct import_samples {
    float *energy_uj; /* owned; n */
    int64_t n;
    int n_runs;
    int64_t run_end[IMPORT_MAX_WINDOWS]; /* behind the last sample of each run; eembc: one */
    int64_t marks[IMPORT_MAX_MARKS];     /* sample that begins at or behind each timestamp, ascending */
    int n_marks;
};
/* import_session_read that keeps the samples too; the caller ends with import_samples_done. */
int import_session_read_samples(const char *path, struct import_session *ret_s, struct import_samples *ret_k,
                                struct err *reterr) JF_MUST_CHECK;
void import_samples_done(struct import_samples *k); /* idempotent */

/* The session as a result of this project: figures are the session's own, by its runner's rule. What an imported session cannot show
 * (uncertainty, lost samples, the model's output) is a reason, so it is never better than suspect. Both are large: heap. */
void import_result(const struct import_session *s, struct measure_capture *ret_cap, struct measure_result *ret_r);
/* {"result", "windows"}: the API's Result without id, and its Windows; new reference, NULL: out of memory. */
json_t *import_result_json(const struct import_session *s);
/* The samples as a new trace file (O_EXCL): current is energy over time and the stated voltage; line 0 falls at each timestamp; the runs
 * of an mlcommons session are segments. JF_E_UNSUPPORTED: the session does not say its voltage. */
int import_trace_write(const struct import_session *s, const struct import_samples *k, const char *path,
                       struct trace_summary *ret_sum, struct err *reterr) JF_MUST_CHECK;

json_t *import_session_json(const struct import_session *s); /* new reference; NULL: out of memory */
void import_session_print(const struct import_session *s, FILE *out);

#endif
