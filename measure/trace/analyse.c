/* SPDX-License-Identifier: GPL-2.0-or-later
 * Analysis of a stored trace: the worker's and jf-trace's one way from a file to a result. */
#include <math.h>
#include <stdlib.h>

#include "measure/trace/trace.h"

int trace_analyse_as(const char *path, const struct measure_config *cfg, double marker_phase, struct measure_capture *ret_cap,
                     struct measure_result *ret_result, struct err *reterr) {
    struct trace_reader *r = NULL;
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_config stored;
    struct measure_source src;
    if (!cap)
        return err_set(reterr, JF_E_NOMEM, "no memory for the analysis");
    int rc = trace_reader_open(path, &r, reterr);
    if (rc == 0)
        rc = trace_reader_capture(r, cap, &stored, reterr);
    if (rc == 0 && isfinite(marker_phase))
        cap->instrument.marker_phase = marker_phase;
    if (rc == 0) {
        trace_reader_source(r, &src);
        rc = measure_run(&src, cap, cfg ? cfg : &stored, ret_result, reterr);
    }
    if (rc == 0 && ret_cap)
        *ret_cap = *cap;
    trace_reader_close(r);
    free(cap);
    return rc;
}

int trace_analyse(const char *path, const struct measure_config *cfg, struct measure_capture *ret_cap, struct measure_result *ret_result,
                  struct err *reterr) {
    return trace_analyse_as(path, cfg, (double)NAN, ret_cap, ret_result, reterr);
}
