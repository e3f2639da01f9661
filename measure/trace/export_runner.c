/* SPDX-License-Identifier: GPL-2.0-or-later
 * The layouts of the two runners, each a tar of the files that measure/trace/import*.c reads. What they print is computed by the same
 * functions as there, from the numbers that were written. log.txt says who wrote it, and what a reader looks for in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ustar.h"
#include "measure/kernel.h"
#include "measure/rules.h"
#include "measure/trace/export_inner.h"
#include "measure/trace/import_inner.h"

#define EEMBC_HEAD 5

/* ---- a tar whose files' sizes are known only behind them ---------------------------------------------------------- */
struct tar {
    FILE *out;
    long head; /* of the file being written */
    char name[USTAR_NAME];
};

static int tar_begin(struct tar *t, const char *name, struct err *reterr) {
    static const char zeros[USTAR_BLOCK];
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->head = ftell(t->out);
    (void)fwrite(zeros, 1, sizeof zeros, t->out);
    return t->head < 0 ? err_set(reterr, JF_E_IO, "the export's file is not seekable") : export_full(t->out, reterr);
}

static int tar_end(struct tar *t, struct err *reterr) {
    static const char zeros[USTAR_BLOCK];
    char head[USTAR_BLOCK];
    uint64_t size = (uint64_t)(ftell(t->out) - t->head - USTAR_BLOCK);
    (void)fwrite(zeros, 1, ustar_padding(size), t->out);
    int rc = ustar_header(head, t->name, size, reterr);
    if (rc < 0)
        return rc;
    (void)fseek(t->out, t->head, SEEK_SET);
    (void)fwrite(head, 1, sizeof head, t->out);
    (void)fseek(t->out, 0, SEEK_END);
    return export_full(t->out, reterr);
}

static int tar_close(struct tar *t, struct err *reterr) {
    static const char zeros[USTAR_END];
    (void)fwrite(zeros, 1, sizeof zeros, t->out);
    return export_full(t->out, reterr);
}

/* ---- eembc -------------------------------------------------------------------------------------------------------- */
static void put_float(FILE *out, float x) { (void)fwrite(&x, 1, sizeof x, out); } /* little-endian hosts only (format.h) */

static void put_shortest(FILE *out, double x) {
    struct import_value v = {0};
    import_shortest(&v, x);
    fputs(v.computed, out);
}

static int eembc_windows(const struct export_grid *g, const struct export_facts *f, struct import_session *s, struct err *reterr) {
    s->format = IMPORT_EEMBC;
    s->n_windows = f->n_windows;
    for (int k = 0; k < f->n_windows; k++) {
        struct import_window *w = &s->windows[k];
        struct measure_acc acc = {0};
        double t0 = f->windows[k].from_s, t1 = f->windows[k].to_s;
        w->number = 2 * k + 2;
        w->inferences = f->windows[k].inferences;
        measure_rule_eembc(g->rate_hz, t0, t1, &w->a, &w->b);
        if (!(t0 > 0) || w->b > g->n || w->b <= w->a)
            return err_set(reterr, JF_E_UNSUPPORTED, "window %d does not lie inside the trace", k);
        for (int64_t n = w->a; n < w->b; n++)
            measure_acc_add(&acc, (double)g->uj[n]);
        import_eembc_figures(w, g->rate_hz, measure_acc_get(&acc), t0, t1);
    }
    import_medians(s);
    return 0;
}

static void eembc_results(FILE *out, const struct import_session *s) {
    static const char rule[] = "00000.000 ulp-ml: ---------------------------------------------------------\n";
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_window *w = &s->windows[k];
        const struct import_value *v = w->figures;
        fprintf(out, "00000.000 ulp-ml: Energy data for window %d at time %s for %.2f sec.:\n", w->number, v[IMPORT_BEGIN].computed, w->duration_s);
        fprintf(out, "00000.000 ulp-ml:   Energy       : %12s uJ\n", v[IMPORT_ENERGY].computed);
        fprintf(out, "00000.000 ulp-ml:   Power        : %12s uW\n", v[IMPORT_POWER].computed);
        fprintf(out, "00000.000 ulp-ml:   Energy/Inf.  : %12s uJ/inf.\n", v[IMPORT_PER_INFERENCE].computed);
    }
    fprintf(out, "%s00000.000 ulp-ml: Median energy cost is %s uJ/inf.\n%s", rule, s->median_energy.computed, rule);
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_value *v = s->windows[k].figures;
        fprintf(out, "00000.000 ulp-ml: Performance results for window %d:\n", s->windows[k].number);
        fprintf(out, "00000.000 ulp-ml:   # Inferences : %12s\n", v[IMPORT_INFERENCES].computed);
        fprintf(out, "00000.000 ulp-ml:   Runtime      : %12s sec.\n", v[IMPORT_DURATION].computed);
        fprintf(out, "00000.000 ulp-ml:   Throughput   : %12s inf./sec.\n", v[IMPORT_THROUGHPUT].computed);
    }
    fprintf(out, "%s00000.000 ulp-ml: Median throughput is %s inf./sec.\n%s", rule, s->median_throughput.computed, rule);
}

static void eembc_log(FILE *out, const struct export_facts *f, const struct import_session *s) {
    fprintf(out, "00000.000 session: m-exported-by-[joulefarm " JF_VERSION "]\n");
    if (f->result[0])
        fprintf(out, "00000.000 session: m-result-[%s]\n", f->result);
    fprintf(out, "00000.000 emon: m-regfile-fn[trace1-energy.bin]-type[emon]-name[%s]\n", f->analyzer);
    if (isfinite(f->voltage_v))
        fprintf(out, "00000.000 emon: m-voltage-mv[%.10g]\n", f->voltage_v * 1e3);
    if (f->board[0])
        fprintf(out, "00000.000 io: [dut]: m-name-dut-[%s]\n", f->board);
    if (f->model[0])
        fprintf(out, "00000.000 io: [dut]: m-model-[%s]\n", f->model);
    for (int k = 0; k < s->n_windows; k++)
        fprintf(out, "%09.3f io: [dut]: m-infer-start-%lld\n", s->windows[k].from_s, (long long)s->windows[k].inferences);
}

static int eembc_files(const struct export_grid *g, const struct export_facts *f, const struct import_session *s, FILE *out, struct err *reterr) {
    struct tar t = {.out = out};
    int rc = tar_begin(&t, import_names[IMPORT_N_TRACE], reterr);
    if (rc < 0)
        return rc;
    fputc(0xF1, out);
    put_float(out, (float)g->rate_hz);
    (void)fwrite(g->uj, sizeof *g->uj, (size_t)g->n, out);
    rc = tar_end(&t, reterr);
    rc = rc < 0 ? rc : tar_begin(&t, import_names[IMPORT_N_STAMPS], reterr);
    if (rc < 0)
        return rc;
    fputs("[0", out); /* the timestamp that the runner asks for before the runs */
    for (int k = 0; k < f->n_windows; k++) {
        fputs(", ", out);
        put_shortest(out, f->windows[k].from_s);
        fputs(", ", out);
        put_shortest(out, f->windows[k].to_s);
    }
    fputs("]\n", out);
    rc = tar_end(&t, reterr);
    rc = rc < 0 ? rc : tar_begin(&t, import_names[IMPORT_N_PRINTED], reterr);
    if (rc < 0)
        return rc;
    eembc_results(out, s);
    rc = tar_end(&t, reterr);
    rc = rc < 0 ? rc : tar_begin(&t, import_names[IMPORT_N_LOG], reterr);
    if (rc < 0)
        return rc;
    eembc_log(out, f, s);
    rc = tar_end(&t, reterr);
    return rc < 0 ? rc : tar_close(&t, reterr);
}

int export_eembc(const struct export_energies *e, const struct export_facts *f, FILE *out, struct err *reterr) {
    struct export_grid g = {0};
    struct import_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, JF_E_NOMEM, "no memory for a session");
    int rc = e->whole(e->self, &g, reterr);
    rc = rc < 0 ? rc : eembc_windows(&g, f, s, reterr);
    rc = rc < 0 ? rc : eembc_files(&g, f, s, out, reterr);
    export_grid_done(&g);
    free(s);
    return rc;
}

/* ---- mlcommons ---------------------------------------------------------------------------------------------------- */
/* The shortest decimal that is this float in uJ, as joules: the digits an analyzer sent come out again. */
static double put_joules(FILE *out, float uj) {
    char text[40], joules[40];
    int digits = 0;
    do {
        (void)snprintf(text, sizeof text, "%.*e", digits, (double)uj);
    } while (strtof(text, NULL) != uj && ++digits < 9);
    char *e = strchr(text, 'e');
    (void)snprintf(joules, sizeof joules, "%.*se%ld", (int)(e - text), text, strtol(e + 1, NULL, 10) - 6);
    fputs(joules, out);
    return strtod(joules, NULL);
}

static void mlcommons_run(FILE *out, const struct export_grid *g, const struct export_facts *f, struct import_window *w) {
    struct measure_acc acc = {0};
    fprintf(out, "%s{\"infer\": {\"iterations\": %lld, \"elapsed_time\": %.17g}, \"power\": {\"samples\": [", w->number ? ",\n " : "[",
            (long long)w->inferences, measure_rule_mlcommons_elapsed(g->rate_hz, w->a, w->b));
    for (int64_t n = 0; n < g->n; n++) {
        if (n > 0)
            fputs(", ", out);
        double joules = put_joules(out, g->uj[n]);
        if (n >= w->a && n < w->b)
            measure_acc_add(&acc, joules);
    }
    fprintf(out, "], \"timestamps\": [[\"%02d\", %lld], [\"%02d\", %lld]], \"voltage\": ", 2 * w->number, (long long)w->a, 2 * w->number + 1,
            (long long)w->b);
    if (isfinite(f->voltage_v))
        put_shortest(out, f->voltage_v);
    else
        fputs("null", out);
    fputs("}}", out);
    import_mlcommons_figures(w, measure_acc_get(&acc));
}

static int mlcommons_runs(const struct export_energies *e, const struct export_facts *f, struct import_session *s, FILE *out, struct err *reterr) {
    s->format = IMPORT_MLCOMMONS;
    s->n_windows = f->n_windows;
    for (int k = 0; k < f->n_windows; k++) {
        struct export_grid g = {0};
        struct import_window *w = &s->windows[k];
        int rc = e->run(e->self, k, &g, &w->a, &w->b, reterr);
        if (rc < 0)
            return rc;
        g.rate_hz = 1000; /* what the layout means, whatever 1 / period was rounded to */
        w->number = k;
        w->inferences = f->windows[k].inferences;
        mlcommons_run(out, &g, f, w);
        export_grid_done(&g);
    }
    fputs("]\n", out);
    import_medians(s);
    return export_full(out, reterr);
}

static void mlcommons_results(FILE *out, const struct import_session *s) {
    static const char rule[] = "---------------------------------------------------------\n";
    fputs("Power Edition Output\n", out);
    for (int k = 0; k < s->n_windows; k++) {
        const struct import_value *v = s->windows[k].figures;
        fprintf(out, "Energy data for trial %d\n  Elapsed time  : %s\n  Inferences    : %s\n", k, v[IMPORT_DURATION].computed, v[IMPORT_INFERENCES].computed);
        fprintf(out, "  Power         : %s mW.\n  Total Energy  : %s uJ\n  Energy/Inf    : %s uJ/inf\n", v[IMPORT_POWER].computed,
                v[IMPORT_ENERGY].computed, v[IMPORT_PER_INFERENCE].computed);
    }
    /* the submission checker wants something before "Median throughput"; the runner prints none in energy sessions */
    fprintf(out, "%sulp-mlperf: Median energy cost is %s uJ/inf.\nulp-mlperf: Median throughput is %s inf./sec.\n%s", rule, s->median_energy.computed,
            s->median_throughput.computed, rule);
}

static void mlcommons_log(FILE *out, const struct export_facts *f, const struct import_session *s) {
    fprintf(out, "Exported by joulefarm " JF_VERSION "%s%s\n", f->result[0] ? ", result " : "", f->result);
    if (f->board[0])
        fprintf(out, "Device name retrieved: %s\n", f->board);
    if (f->model[0])
        fprintf(out, "Device model retrieved: %s\n", f->model);
    for (int k = 0; k < s->n_windows; k++)
        fprintf(out, "Running inference with 0/%lld (warmup/measured) iterations ...\n", (long long)s->windows[k].inferences);
}

static int mlcommons_files(const struct export_energies *e, const struct export_facts *f, struct import_session *s, FILE *out, struct err *reterr) {
    struct tar t = {.out = out};
    int rc = tar_begin(&t, import_names[IMPORT_N_DATA], reterr);
    rc = rc < 0 ? rc : mlcommons_runs(e, f, s, out, reterr);
    rc = rc < 0 ? rc : tar_end(&t, reterr);
    rc = rc < 0 ? rc : tar_begin(&t, import_names[IMPORT_N_PRINTED], reterr);
    if (rc < 0)
        return rc;
    mlcommons_results(out, s);
    rc = tar_end(&t, reterr);
    rc = rc < 0 ? rc : tar_begin(&t, import_names[IMPORT_N_LOG], reterr);
    if (rc < 0)
        return rc;
    mlcommons_log(out, f, s);
    rc = tar_end(&t, reterr);
    return rc < 0 ? rc : tar_close(&t, reterr);
}

int export_mlcommons(const struct export_energies *e, const struct export_facts *f, FILE *out, struct err *reterr) {
    struct import_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, JF_E_NOMEM, "no memory for a session");
    int rc = mlcommons_files(e, f, s, out, reterr);
    free(s);
    return rc;
}
