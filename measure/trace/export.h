/* SPDX-License-Identifier: GPL-2.0-or-later
 * A stored trace, or a foreign session, in the layouts of other tools. Memory does not depend on the trace's length. Numbers are written
 * in the C locale. One thread.
 *
 *   eembc      tar: trace1-energy.bin, trace1-timestamps.json, results.txt, log.txt. One energy a sample; a trace of more than
 *              EXPORT_MAX_CELLS samples is summed into fewer. What was not recorded is 0 uJ; only usable windows have timestamps.
 *   mlcommons  tar: results.json, results.txt, log.txt. One run a usable window, energies per 1 ms from the window's first edge on.
 *   sr         sigrok session, version 2: logic channels marker0.., analog channels current and voltage. Lost samples are NaN; the time
 *              between two acquisitions is left out, as the format has no place for it. The rate must be whole hertz.
 *   csv        a line of names, then time_s,current_a,voltage_v,power_w,markers for each recorded sample; markers is the lines' bits.
 *              An unknown voltage and what follows from it are empty.
 *   npy        NumPy format 1.0, one array of records (time_s <f8, current_a <f4, voltage_v <f8, markers u1); an unknown voltage is NaN.
 *
 * In results.txt of both runners' layouts stands what their own rule makes of the exported samples, so an import of the export says the
 * same. That differs from a result of another rule by at most the share of a sample at each edge (mlcommons: 0.5 ms). */
#ifndef MEASURE_TRACE_EXPORT_H
#define MEASURE_TRACE_EXPORT_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"
#include "measure/trace/import.h"
#include "measure/trace/trace.h"

enum export_format { EXPORT_EEMBC, EXPORT_MLCOMMONS, EXPORT_SR, EXPORT_CSV, EXPORT_NPY, EXPORT_N };
#define EXPORT_MAX_CELLS (4 << 20)
#define EXPORT_MAX_RUN_CELLS (1 << 20) /* of a window in the mlcommons layout: 17 minutes */

const char *export_format_name(enum export_format f); /* eembc | mlcommons | sr | csv | npy */
int export_format_parse(const char *s, enum export_format *ret); /* 0, or JF_E_INVAL */

struct export_window {
    double from_s, to_s; /* on the trace's time line */
    int64_t inferences;
};
/* What the runners' layouts tell beside the samples. */
struct export_facts {
    char result[48], model[32], board[64], analyzer[64]; /* "" unknown */
    double voltage_v;                                    /* NAN unknown */
    int n_windows;                                       /* usable ones */
    struct export_window windows[IMPORT_MAX_WINDOWS];
};
/* From {"result", "windows"} as the API and `jf-trace analyse --json --windows` write them. JF_E_PARSE names the field;
 * JF_E_MEASUREMENT: no window is usable. */
int export_facts_from_json(const json_t *doc, struct export_facts *ret_f, struct err *reterr) JF_MUST_CHECK;
void export_facts_of_session(const struct import_session *s, struct export_facts *ret_f);

/* out is seekable and empty; facts are used by eembc and mlcommons only. JF_E_UNSUPPORTED: the layout cannot hold this trace. */
int export_trace(struct trace_reader *r, enum export_format as, const struct export_facts *f, FILE *out, struct err *reterr) JF_MUST_CHECK;
/* A session in a runner's layout (eembc, mlcommons), sample by sample what it was. */
int export_session(const struct import_session *s, const struct import_samples *k, enum export_format as, FILE *out,
                   struct err *reterr) JF_MUST_CHECK;

#endif
