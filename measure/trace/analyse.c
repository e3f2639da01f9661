/* SPDX-License-Identifier: GPL-2.0-or-later
 * Analysis of a stored trace: the worker's and jf-trace's one way from a file to a result. */
#include <math.h>
#include <stdlib.h>

#include "measure/trace/second.h"

/* The rule eembc adds the sample period up to each window's ends, as the published tool does: its work grows with the time line. */
#define MAX_EEMBC_STEPS ((double)(INT64_C(1) << 34))

static int check_length(const struct trace_reader *r, const struct measure_capture *cap, const struct measure_config *cfg, struct err *reterr) {
    struct trace_info in;
    trace_reader_info(r, &in);
    if (cfg->rule == MEASURE_RULE_EEMBC && (double)in.end * cap->n_requests > MAX_EEMBC_STEPS)
        return err_set(reterr, JF_E_TOO_LARGE, "%d windows on a time line of %lld samples are too many for the rule eembc", cap->n_requests, (long long)in.end);
    return 0;
}

int trace_analyse_as(const char *path, const struct measure_config *cfg, double marker_phase, struct measure_capture *ret_cap,
                     struct measure_result *ret_result, struct err *reterr) {
    struct trace_reader *r = NULL;
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_config stored;
    struct measure_second *second = NULL;
    struct measure_source src;
    if (!cap)
        return err_set(reterr, JF_E_NOMEM, "no memory for the analysis");
    int rc = trace_reader_open(path, &r, reterr);
    if (rc == 0)
        rc = trace_reader_capture(r, cap, &stored, reterr);
    if (rc == 0)
        rc = check_length(r, cap, cfg ? cfg : &stored, reterr);
    if (rc == 0 && isfinite(marker_phase))
        cap->instrument.marker_phase = marker_phase;
    if (rc == 0)
        rc = trace_second_read(r, &second, reterr);
    if (rc == 0) {
        trace_reader_source(r, &src);
        src.second = second;
        rc = measure_run(&src, cap, cfg ? cfg : &stored, ret_result, reterr);
    }
    if (rc == 0 && ret_cap)
        *ret_cap = *cap;
    trace_second_free(second);
    trace_reader_close(r);
    free(cap);
    return rc;
}

int trace_analyse(const char *path, const struct measure_config *cfg, struct measure_capture *ret_cap, struct measure_result *ret_result,
                  struct err *reterr) {
    return trace_analyse_as(path, cfg, (double)NAN, ret_cap, ret_result, reterr);
}
