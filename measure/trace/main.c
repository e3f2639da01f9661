/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-trace: looks into trace files and recomputes results from them. Reads one file or one foreign session; writes standard output,
 * and the one new file that --trace or --output names. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/export.h"
#include "measure/trace/import.h"
#include "measure/trace/override.h"
#include "measure/trace/result_json.h"
#include "measure/trace/trace.h"

static const char usage[] =
    "usage: jf-trace COMMAND FILE [options]\n"
    "\n"
    "commands:\n"
    "  info     what the file holds\n"
    "  check    verify every checksum\n"
    "  stats    energy, charge and means of a span            [--from S] [--to S]\n"
    "  view     min/mean/max per pixel and marker edges        [--from S] [--to S] [--points N]\n"
    "  events   the recorded events, one JSON object per line\n"
    "  analyse  recompute the result                           [--rule edge|eembc|mlcommons] [--set KEY=VALUE]... [--windows]\n"
    "  import   recompute a published energy session (EEMBC EnergyRunner or MLCommons runner) in the directory or tar\n"
    "           archive FILE and compare it with its results.txt        [--result] [--trace OUT]\n"
    "  export   write a trace, or a session in the directory or archive FILE, in another tool's layout\n"
    "           --as eembc|mlcommons|sr|csv|npy                         [--output OUT] [--document DOC]\n"
    "\n"
    "options:\n"
    "  --json       machine-readable output (view and events always are)\n"
    "  --from S     begin of the span, seconds on the instrument's time line\n"
    "  --to S       end of the span\n"
    "  --points N   pixels of a view (1000)\n"
    "  --rule R     window rule instead of the stored one\n"
    "  --set KEY=V  threshold or marker_phase instead of the stored one; may be repeated\n"
    "  --result     import: the session as a result, one JSON document\n"
    "  --trace OUT  import: the same, and its samples as the new trace file OUT\n"
    "  --as LAYOUT  export: tar of an EEMBC or MLCommons session, sigrok session, CSV or NumPy array\n"
    "  --output OUT export: to the new file OUT, not to standard output\n"
    "  --document DOC  export: result and windows for eembc and mlcommons, as `analyse --json --windows` prints them\n"
    "  --help       this text\n"
    "  --version    version\n"
    "\n"
    "exit status: 0 good; 1 the file cannot be read, is damaged, or holds no result, or differs from its\n"
    "results.txt (import); 2 wrong usage\n";

#define MAX_SETS 32

struct options {
    bool json, windows, result;
    double from, to;
    int points;
    const char *rule, *trace, *output, *document;
    enum export_format as;
    const char *sets[MAX_SETS];
    int n_sets;
};

static int complain(const struct err *e) {
    fprintf(stderr, "jf-trace: %s%s%s\n", e->text, e->where[0] ? " at " : "", e->where);
    return 1;
}

static json_t *error_json(const struct err *e) {
    return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", err_word(e->code), "where", e->where, "text", e->text);
}

static int print_json(json_t *j) {
    if (!j) {
        fprintf(stderr, "jf-trace: out of memory\n");
        return 1;
    }
    json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(j);
    return 0;
}

static int cmd_info(struct trace_reader *r, const struct options *o) {
    struct trace_info in;
    if (o->json)
        return print_json(trace_info_json(r));
    trace_reader_info(r, &in);
    printf("%lld samples of %.9g s (%.6g s recorded), %lld missing in %d gaps\n", (long long)in.samples, in.period_s, (double)in.samples * in.period_s,
           (long long)in.gap_samples, in.n_gaps);
    printf("%d chunks, %d segments, %d events, %llu bytes, %s\n", in.n_chunks, in.n_segments, in.n_events, (unsigned long long)in.size,
           in.complete ? "complete" : "not closed by its writer");
    if (in.n_bad > 0)
        printf("%d damaged records\n", in.n_bad);
    return 0;
}

static int cmd_check(struct trace_reader *r, const struct options *o) {
    struct err e = {0};
    int bad = 0, rc = trace_reader_verify(r, &bad, &e);
    struct trace_info in;
    if (rc < 0)
        return complain(&e);
    trace_reader_info(r, &in);
    if (o->json)
        print_json(json_pack("{s:i, s:b, s:i}", "bad_records", bad, "complete", in.complete, "chunks", in.n_chunks));
    else
        printf("%d chunks, %d damaged records, %s\n", in.n_chunks, bad, in.complete ? "complete" : "not closed by its writer");
    return bad > 0 ? 1 : 0;
}

static int cmd_stats(struct trace_reader *r, const struct options *o) {
    struct err e = {0};
    struct trace_stats s;
    if (trace_stats(r, o->from, o->to, &s, &e) < 0)
        return complain(&e);
    if (o->json)
        return print_json(trace_stats_json(&s));
    printf("%.9g s to %.9g s: energy %.9g J, charge %.9g C, mean %.6g A (%.6g to %.6g A), mean %.6g W", s.from_s, s.to_s, s.energy_j, s.charge_c,
           s.current_mean_a, s.current_min_a, s.current_max_a, s.power_mean_w);
    printf(s.gap_s > 0 ? ", %.6g s missing\n" : "\n", s.gap_s);
    return 0;
}

static int cmd_view(struct trace_reader *r, const struct options *o) {
    struct err e = {0};
    json_t *view;
    if (trace_view(r, o->from, o->to, o->points, &view, &e) < 0)
        return complain(&e);
    return print_json(view);
}

static int print_event(void *user, const json_t *event) {
    (void)user;
    json_dumpf(event, stdout, JSON_COMPACT);
    putchar('\n');
    return 0;
}

static int cmd_events(struct trace_reader *r, const struct options *o) {
    struct err e = {0};
    (void)o;
    return trace_reader_events(r, print_event, NULL, &e) < 0 ? complain(&e) : 0;
}

static void print_figure(const char *name, const struct measure_figure_stat *f, const char *unit) {
    if (!f->has)
        printf("%-8s none\n", name);
    else if (f->u_known)
        printf("%-8s %.6g %s +- %.3g (U95), scatter %.2g %%\n", name, f->median, unit, f->u95, 100 * f->cv);
    else
        printf("%-8s %.6g %s, uncertainty unknown, scatter %.2g %%\n", name, f->median, unit, 100 * f->cv);
}

static void print_result(const struct measure_result *r) {
    printf("%s (rule %s, %d of %d windows usable)\n", measure_verdict_name(r->verdict), measure_rule_name(r->config.rule), r->n_usable, r->n_windows);
    print_figure("energy", &r->energy, "J/inference");
    print_figure("net", &r->net, "J/inference");
    print_figure("latency", &r->latency, "s/inference");
    for (int s = 0; r->has_stages && s < MEASURE_N_STAGES; s++)
        printf("  %-10s %.6g J  %.6g s  %.1f %%\n", r->stages[s].name, r->stages[s].energy_j, r->stages[s].duration_s, 100 * r->stages[s].share);
    for (int c = 0; c < MEASURE_N_CODES; c++)
        if (r->reasons[c].raised)
            printf("%s: %s\n", measure_code_word((enum measure_code)c), r->reasons[c].text);
}

static int analyse(const char *path, const struct measure_config *cfg, double phase, const struct options *o) {
    struct err e = {0};
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_result *res = malloc(sizeof *res);
    int status = 1;
    if (!cap || !res) {
        fprintf(stderr, "jf-trace: out of memory\n");
    } else if (trace_analyse_as(path, cfg, phase, cap, res, &e) < 0) {
        status = complain(&e);
    } else if (o->json) {
        json_t *out = json_pack("{s:o}", "result", measure_result_json(cap, res));
        if (out && o->windows)
            json_object_set_new(out, "windows", measure_windows_json(res));
        status = print_json(out);
    } else {
        print_result(res);
        status = 0;
    }
    free(cap);
    free(res);
    return status;
}

static int cmd_analyse(struct trace_reader *r, const char *path, const struct options *o) {
    struct err e = {0};
    struct measure_config cfg;
    if (trace_reader_capture(r, NULL, &cfg, &e) < 0)
        return complain(&e);
    if (o->rule && measure_rule_parse(o->rule, &cfg.rule) < 0) {
        fprintf(stderr, "jf-trace: unknown rule '%s'\n", o->rule);
        return 2;
    }
    double phase = NAN;
    for (int i = 0; i < o->n_sets; i++) {
        if (trace_override_text(o->sets[i], &cfg, &phase, &e) < 0) {
            fprintf(stderr, "jf-trace: --set: %s\n", e.text);
            return 2;
        }
    }
    return analyse(path, &cfg, phase, o);
}

/* --result: one JSON document, {"session", "result", "windows", "trace"} or {"error"}; a session that contradicts its
 * results.txt is an error here. The daemon reads this. */
static int import_document(const char *path, const struct options *o, struct import_session *s, struct import_samples *k) {
    struct err e = {0};
    struct trace_summary sum = {0};
    int rc = import_session_read_samples(path, s, k, &e);
    if (rc == 0 && s->n_differences > 0)
        rc = err_set(&e, JF_E_PARSE, "the session contradicts itself: %s", s->differences[0]);
    bool traced = rc == 0 && o->trace && s->facts.voltage_v > 0;
    if (traced)
        rc = import_trace_write(s, k, o->trace, &sum, &e);
    if (rc < 0) {
        (void)print_json(error_json(&e));
        return complain(&e);
    }
    json_t *doc = import_result_json(s);
    if (doc && (json_object_set_new(doc, "session", import_session_json(s)) < 0 ||
                json_object_set_new(doc, "trace",
                                    traced ? json_pack("{s:s, s:I, s:f}", "sha256", sum.sha256, "size", (json_int_t)sum.size, "duration_s",
                                                       sum.duration_s)
                                           : json_null()) < 0)) {
        json_decref(doc);
        doc = NULL;
    }
    return print_json(doc);
}

static int cmd_import(const char *dir, const struct options *o) {
    struct err e = {0};
    struct import_session *s = malloc(sizeof *s);
    struct import_samples *k = calloc(1, sizeof *k);
    int status = 1;
    if (!s || !k) {
        fprintf(stderr, "jf-trace: out of memory\n");
    } else if (o->result || o->trace) {
        status = import_document(dir, o, s, k);
        import_samples_done(k);
    } else if (import_session_read(dir, s, &e) < 0) {
        status = complain(&e);
    } else {
        status = s->n_differences > 0;
        if (!o->json)
            import_session_print(s, stdout);
        else if (print_json(import_session_json(s)) != 0)
            status = 1;
        if (s->n_differences > 0)
            fprintf(stderr, "jf-trace: %s: %s (%d differences)\n", dir, s->differences[0], s->n_differences);
    }
    free(k);
    free(s);
    return status;
}

/* ---- export ----------------------------------------------------------------------------------------------------- */
/* {"result", "windows"} of a file, or what the trace's own analysis says. */
static int export_facts(const char *path, const char *document, struct export_facts *f, struct err *reterr) {
    json_error_t je;
    json_t *doc = document ? json_load_file(document, JSON_REJECT_DUPLICATES, &je) : NULL;
    struct measure_capture *cap = malloc(sizeof *cap);
    struct measure_result *res = malloc(sizeof *res);
    int rc = cap && res ? 0 : err_set(reterr, JF_E_NOMEM, "no memory for a result");
    if (rc == 0 && document && !doc)
        rc = err_set_at(reterr, JF_E_PARSE, document, "line %d: %s", je.line, je.text);
    if (rc == 0 && !document) {
        rc = trace_analyse(path, NULL, cap, res, reterr);
        doc = rc == 0 ? json_pack("{s:o, s:o}", "result", measure_result_json(cap, res), "windows", measure_windows_json(res)) : NULL;
    }
    rc = rc == 0 ? export_facts_from_json(doc, f, reterr) : rc;
    json_decref(doc);
    free(cap);
    free(res);
    return rc;
}

static bool is_trace(const char *path) {
    char magic[8] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(magic, 1, sizeof magic, f) : 0;
    if (f)
        (void)fclose(f);
    return n == sizeof magic && memcmp(magic, "JFTRACE", 7) == 0; /* whatever the version: its reader says whether it can */
}

/* The rules of both runners would sum what is left of a damaged trace to a wrong energy; samples alone are given out as far as they are there. */
static int check_damage(const struct trace_reader *r, enum export_format as, int *ret_bad, struct err *reterr) {
    struct trace_info in;
    trace_reader_info(r, &in);
    if (in.n_bad > 0 && (as == EXPORT_EEMBC || as == EXPORT_MLCOMMONS))
        return err_set(reterr, JF_E_CORRUPT, "%d records of the trace are damaged: no session can be made of it", in.n_bad);
    *ret_bad = in.n_bad;
    return 0;
}

static int export_to(const char *path, const struct options *o, FILE *out, int *ret_bad, struct err *reterr) {
    struct export_facts f = {0};
    struct trace_reader *r = NULL;
    if (!is_trace(path)) {
        struct import_session *s = malloc(sizeof *s);
        struct import_samples *k = calloc(1, sizeof *k);
        int rc = s && k ? import_session_read_samples(path, s, k, reterr) : err_set(reterr, JF_E_NOMEM, "no memory for a session");
        rc = rc == 0 ? export_session(s, k, o->as, out, reterr) : rc;
        if (k)
            import_samples_done(k);
        free(k);
        free(s);
        return rc;
    }
    int rc = o->as == EXPORT_EEMBC || o->as == EXPORT_MLCOMMONS ? export_facts(path, o->document, &f, reterr) : 0;
    rc = rc == 0 ? trace_reader_open(path, &r, reterr) : rc;
    if (rc < 0 || !r)
        return rc;
    rc = export_trace(r, o->as, &f, out, reterr);
    rc = rc == 0 ? check_damage(r, o->as, ret_bad, reterr) : rc;
    trace_reader_close(r);
    return rc;
}

static int copy_out(FILE *from, struct err *reterr) {
    char piece[65536];
    size_t n;
    rewind(from);
    while ((n = fread(piece, 1, sizeof piece, from)) > 0)
        if (fwrite(piece, 1, n, stdout) != n)
            return err_set(reterr, JF_E_IO, "standard output cannot be written");
    return fflush(stdout) == 0 ? 0 : err_set(reterr, JF_E_IO, "standard output cannot be written");
}

/* Into out, which it closes. *ret_bad > 0: written, without the samples of as many damaged records. */
static int export_and_close(const char *path, const struct options *o, FILE *out, long *ret_size, int *ret_bad, struct err *reterr) {
    int rc = export_to(path, o, out, ret_bad, reterr);
    *ret_size = rc == 0 ? ftell(out) : 0;
    rc = rc == 0 && !o->output ? copy_out(out, reterr) : rc;
    if (fclose(out) != 0 && rc == 0)
        rc = err_set_errno(reterr, JF_E_IO, errno, "the export cannot be written");
    if (rc < 0)
        *ret_bad = 0;
    return *ret_bad > 0 ? err_set(reterr, JF_E_CORRUPT, "%d records of the trace are damaged: the export lacks their samples", *ret_bad) : rc;
}

static int cmd_export(const char *path, const struct options *o) {
    struct err e = {0};
    long size = 0;
    int bad = 0;
    FILE *out = o->output ? fopen(o->output, "wbx") : tmpfile();
    int rc = out ? export_and_close(path, o, out, &size, &bad, &e)
                 : err_set_errno(&e, JF_E_IO, errno, "%s cannot be written", o->output ? o->output : "a temporary file");
    if (out && o->output && rc < 0 && bad == 0)
        (void)remove(o->output);
    if (o->json && o->output)
        (void)print_json(rc < 0 ? error_json(&e) : json_pack("{s:I}", "size", (json_int_t)size));
    return rc < 0 ? complain(&e) : 0;
}

static bool number(const char *text, double *ret) {
    char *end;
    *ret = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*ret);
}

/* 0: go on; 1: done with status *ret_status. */
static int parse(int argc, char **argv, struct options *o, int *ret_status) {
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},          {"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 't'},
                                          {"points", required_argument, NULL, 'p'},  {"rule", required_argument, NULL, 'r'}, {"windows", no_argument, NULL, 'w'},
                                          {"result", no_argument, NULL, 'R'},        {"trace", required_argument, NULL, 'T'},   {"set", required_argument, NULL, 's'},
                                          {"as", required_argument, NULL, 'A'},      {"output", required_argument, NULL, 'O'}, {"document", required_argument, NULL, 'D'},
                                          {"help", no_argument, NULL, 'h'},          {"version", no_argument, NULL, 'V'},    {NULL, 0, NULL, 0}};
    double points = 0;
    bool good = true;
    int c;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'j':
            o->json = true;
            break;
        case 'w':
            o->windows = true;
            break;
        case 'R':
            o->result = true;
            break;
        case 'T':
            o->trace = optarg;
            break;
        case 'O':
            o->output = optarg;
            break;
        case 'D':
            o->document = optarg;
            break;
        case 'A':
            good = good && export_format_parse(optarg, &o->as) == 0;
            break;
        case 'f':
            good = good && number(optarg, &o->from);
            break;
        case 't':
            good = good && number(optarg, &o->to);
            break;
        case 'p':
            good = good && number(optarg, &points) && points >= 1 && points <= TRACE_VIEW_MAX_POINTS;
            o->points = good ? (int)points : 1;
            break;
        case 'r':
            o->rule = optarg;
            break;
        case 's':
            good = good && o->n_sets < MAX_SETS;
            o->sets[good ? o->n_sets++ : 0] = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            *ret_status = 0;
            return 1;
        case 'V':
            printf("jf-trace %s\n", JF_VERSION);
            *ret_status = 0;
            return 1;
        default:
            good = false;
        }
    }
    if (!good || argc - optind != 2) {
        fputs(usage, stderr);
        *ret_status = 2;
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options o = {.from = NAN, .to = NAN, .points = 1000, .as = EXPORT_N};
    struct err e = {0};
    int status = 0;
    if (parse(argc, argv, &o, &status))
        return status;
    const char *cmd = argv[optind], *path = argv[optind + 1];
    if (strcmp(cmd, "import") == 0)
        return cmd_import(path, &o);
    if (strcmp(cmd, "export") == 0 && o.as == EXPORT_N) {
        fprintf(stderr, "jf-trace: export wants --as eembc, mlcommons, sr, csv or npy\n");
        return 2;
    }
    if (strcmp(cmd, "export") == 0)
        return cmd_export(path, &o);
    static const struct {
        const char *name;
        int (*run)(struct trace_reader *r, const struct options *o);
    } commands[] = {{"info", cmd_info}, {"check", cmd_check}, {"stats", cmd_stats}, {"view", cmd_view}, {"events", cmd_events}, {"analyse", NULL}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(cmd, commands[i].name) != 0)
            continue;
        struct trace_reader *r;
        if (trace_reader_open(path, &r, &e) < 0)
            return complain(&e);
        status = commands[i].run ? commands[i].run(r, &o) : cmd_analyse(r, path, &o);
        trace_reader_close(r);
        return status;
    }
    fprintf(stderr, "jf-trace: unknown command '%s'\n%s", cmd, usage);
    return 2;
}
