/* SPDX-License-Identifier: GPL-2.0-or-later
 * From an order to a new result (daemon/reanalysis.h). The measured part of the document is jf-trace's; board, analyzer,
 * memory and provenance are the source's, because they belong to the run and not to its analysis. */
#include "daemon/reanalysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake.h"
#include "daemon/jobspec.h"
#include "measure/trace/override.h"

#define SETS_TEXT 96

/* ---- the order ---------------------------------------------------------------------------------------------------- */
void reanalysis_free(struct reanalysis *r) {
    if (r) {
        store_result_done(&r->source);
        json_decref(r->set);
        json_decref(r->labels);
        free(r->answer);
        free(r);
    }
}

/* One override into *scratch, which only serves the check. */
static int check_override(json_t *set, const char *at, const char *key, json_t *value, struct measure_config *scratch,
                          struct err *reterr) {
    double phase;
    if (strcmp(key, "rule") == 0 && strcmp(at, "/rule") != 0) {
        return err_set_at(reterr, JF_E_INVAL, at, "the rule is a field of its own");
    }
    int r = trace_override(key, value, scratch, &phase, reterr);
    if (r < 0) {
        struct err e = *reterr;
        return err_set_at(reterr, e.code, at, "%s", e.text);
    }
    return json_object_set(set, key, value) < 0 ? err_set(reterr, JF_E_NOMEM, "no memory") : 0;
}

static int take_body(const json_t *body, struct reanalysis *r, struct err *reterr) {
    struct measure_config scratch;
    const char *key;
    json_t *v, *x;
    int rc = 0;
    measure_config_init(&scratch);
    json_object_foreach((json_t *)(uintptr_t)body, key, v) {
        char at[96];
        (void)snprintf(at, sizeof at, "/%.60s", key);
        if (strcmp(key, "rule") == 0) {
            rc = json_is_null(v) ? 0 : check_override(r->set, at, "rule", v, &scratch, reterr);
        } else if (strcmp(key, "labels") == 0) {
            rc = jobspec_labels(v, at, reterr);
            r->labels = json_incref(v);
        } else if (strcmp(key, "set") != 0) {
            rc = err_set_at(reterr, JF_E_INVAL, at, "\"%.60s\" is not known here; known are rule, set, labels", key);
        } else if (!json_is_object(v)) {
            rc = err_set_at(reterr, JF_E_INVAL, at, "must be an object of overrides");
        } else {
            const char *name;
            json_object_foreach(v, name, x) {
                (void)snprintf(at, sizeof at, "/set/%.60s", name);
                rc = rc < 0 ? rc : check_override(r->set, at, name, x, &scratch, reterr);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* "As stored" is as the source was made: a re-analysis of a re-analysis begins with what that one changed. */
static void inherit(const struct store_result *source, json_t *set) {
    json_t *doc = json_loads(source->doc, 0, NULL);
    const json_t *how = json_object_get(json_object_get(doc, "provenance"), "reanalysis");
    (void)json_object_update(set, json_object_get(how, "set"));
    json_decref(doc);
}

int reanalysis_new(const json_t *body, struct store_result *source, const char *data_dir, const struct clock_src *clock,
                   struct reanalysis **ret_r, struct err *reterr) {
    struct reanalysis *r = calloc(1, sizeof *r);
    if (!r || !(r->set = json_object())) {
        free(r);
        return err_set(reterr, JF_E_NOMEM, "no memory for the analysis");
    }
    inherit(source, r->set);
    int rc = take_body(body, r, reterr);
    if (rc < 0) {
        reanalysis_free(r);
        return rc;
    }
    const char *hex = source->trace + (strncmp(source->trace, "sha256:", 7) == 0 ? 7 : 0);
    (void)snprintf(r->trace_path, sizeof r->trace_path, "%s/traces/%s.jft", data_dir, hex);
    store_id_new(clock, r->id);
    r->source = *source;
    source->doc = NULL;
    *ret_r = r;
    return 0;
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */
static int run_jf_trace(const struct reanalysis *r, const struct tools *tools, json_t **ret_doc, struct err *reterr) {
    const char *argv[8 + 2 * REANALYSIS_SETS_MAX] = {tools->jf_trace, "analyse", r->trace_path, "--json", "--windows"};
    char text[REANALYSIS_SETS_MAX][SETS_TEXT];
    size_t n = 5, k = 0;
    const char *key;
    json_t *v;
    json_object_foreach(r->set, key, v) {
        if (k == REANALYSIS_SETS_MAX) {
            return err_set(reterr, JF_E_BUG, "more overrides than keys");
        }
        if (json_is_string(v)) {
            (void)snprintf(text[k], SETS_TEXT, "%s=%s", key, json_string_value(v));
        } else if (json_is_integer(v)) {
            (void)snprintf(text[k], SETS_TEXT, "%s=%lld", key, (long long)json_integer_value(v));
        } else {
            (void)snprintf(text[k], SETS_TEXT, "%s=%.17g", key, json_real_value(v));
        }
        argv[n++] = "--set";
        argv[n++] = text[k++];
    }
    const struct tool_spec spec = {.argv = argv,
                                   .deadline_ms = tools->deadline_ms,
                                   .memory_bytes = tools->memory_bytes,
                                   .file_bytes = 1 << 16, /* it only prints */
                                   .output_max = INTAKE_RESULT_MAX};
    struct tool_end end;
    int rc = tool_run(&tools->env, &spec, &end, reterr);
    if (rc == 0 && (end.signaled || end.code != 0)) {
        rc = tool_refusal(&end, "jf-trace", reterr);
    } else if (rc == 0) {
        json_error_t e;
        *ret_doc = json_loadb((const char *)end.out.data, end.out.len, JSON_REJECT_DUPLICATES, &e);
        rc = *ret_doc ? 0 : err_set(reterr, JF_E_PROTOCOL, "jf-trace printed no JSON: %s", e.text);
    }
    buf_done(&end.out);
    return rc;
}

/* The document of the new result; NULL: no memory. */
static json_t *compose(const struct reanalysis *r, const json_t *result, const struct clock_src *clock) {
    char at[CLOCK_RFC3339_SIZE];
    json_t *doc = json_loads(r->source.doc, 0, NULL), *copy = json_deep_copy(result);
    clock_rfc3339(clock_wall_ns(clock), at);
    json_t *how = json_pack("{s:s, s:s, s:O}", "tool", "jf-trace " JF_VERSION, "source", r->source.id, "set", r->set);
    bool bad = !doc || !copy || !how || json_object_update(doc, copy) < 0 ||
               json_object_set_new(doc, "id", json_string(r->id)) < 0 ||
               json_object_set_new(doc, "created_at", json_string(at)) < 0 ||
               (r->labels && json_object_set(doc, "labels", r->labels) < 0);
    json_t *provenance = bad ? NULL : json_object_get(doc, "provenance");
    if (!bad && !json_is_object(provenance)) {
        provenance = json_object();
        bad = json_object_set_new(doc, "provenance", provenance) < 0;
    }
    bad = bad || json_object_set(provenance, "reanalysis", how) < 0;
    json_decref(how);
    json_decref(copy);
    if (bad) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int fill_row(const struct reanalysis *r, const json_t *doc, struct store_result *row, struct err *reterr) {
    *row = r->source; /* job, bench, board, firmware, trace: of the run */
    row->doc = NULL;
    row->attempt[0] = '\0';
    row->origin = STORE_ORIGIN_REANALYSED;
    (void)snprintf(row->id, sizeof row->id, "%s", r->id);
    (void)snprintf(row->source_result, sizeof row->source_result, "%s", r->source.id);
    int rc = intake_figures(doc, row, reterr);
    if (!row->model[0]) {
        (void)snprintf(row->model, sizeof row->model, "%s", r->source.model);
    }
    if (!row->numerics[0]) {
        (void)snprintf(row->numerics, sizeof row->numerics, "%s", r->source.numerics);
    }
    return rc;
}

static int store_it(struct reanalysis *r, const json_t *out, struct store *store, const struct clock_src *clock,
                    struct err *reterr) {
    struct store_result row;
    struct store_window *windows = NULL;
    int n = 0;
    if (!json_is_object(json_object_get(out, "result"))) {
        return err_set(reterr, JF_E_PROTOCOL, "jf-trace printed no result");
    }
    json_t *doc = compose(r, json_object_get(out, "result"), clock);
    int rc = doc ? fill_row(r, doc, &row, reterr) : err_set(reterr, JF_E_NOMEM, "no memory for the result");
    rc = rc < 0 ? rc : intake_windows(json_object_get(out, "windows"), &windows, &n, reterr);
    if (rc == 0) {
        row.doc = r->answer = json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER);
        r->idem.answer = r->answer;
        r->idem.status = 201;
        const struct store_result_new one = {&row, windows, n, NULL};
        rc = r->answer ? store_results_add(store, &one, 1, r->idem.key[0] ? &r->idem : NULL, reterr)
                       : err_set(reterr, JF_E_NOMEM, "no memory for the result");
    }
    store_windows_free(windows, n);
    json_decref(doc);
    return rc;
}

int reanalysis_run(struct reanalysis *r, const struct tools *tools, struct store *store, const struct clock_src *clock,
                   struct err *reterr) {
    json_t *out = NULL;
    int rc = run_jf_trace(r, tools, &out, reterr);
    rc = rc < 0 ? rc : store_it(r, out, store, clock, reterr);
    json_decref(out);
    return rc;
}
