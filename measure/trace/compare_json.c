/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stored results in, a comparison out. Pure. */
#include "measure/trace/compare_json.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/words.h"

#define MAX_INPUTS 1024

static int wrong(struct err *reterr, const char *where, const char *what) {
    return err_set_at(reterr, JF_E_PARSE, where, "%s: %s", where, what);
}

/* Absent and null are unknown. */
static int take_number(const json_t *o, const char *key, double *ret, struct err *reterr) {
    const json_t *v = json_object_get(o, key);
    *ret = NAN;
    if (v && !json_is_null(v) && !json_is_number(v))
        return wrong(reterr, key, "not a number");
    if (json_is_number(v))
        *ret = json_number_value(v);
    return 0;
}

static int take_text(const json_t *o, const char *key, char *dst, size_t size, struct err *reterr) {
    const json_t *v = json_object_get(o, key);
    dst[0] = 0;
    if (v && !json_is_null(v) && (!json_is_string(v) || json_string_length(v) >= size))
        return wrong(reterr, key, "not a text, or too long");
    if (json_is_string(v))
        memcpy(dst, json_string_value(v), json_string_length(v) + 1);
    return 0;
}

static int take_line(const json_t *o, struct measure_component *c, struct err *reterr) {
    static const char *const distributions[] = {"normal", "rectangular", "t", NULL};
    char type[4] = "";
    *c = (struct measure_component){0};
    int rc = take_text(o, "component", c->name, sizeof c->name, reterr);
    rc = rc == 0 ? take_text(o, "source", c->source, sizeof c->source, reterr) : rc;
    rc = rc == 0 ? take_text(o, "type", type, sizeof type, reterr) : rc;
    rc = rc == 0 ? take_number(o, "u", &c->u, reterr) : rc;
    rc = rc == 0 ? take_number(o, "dof", &c->dof, reterr) : rc;
    if (rc < 0)
        return rc;
    int d = measure_word_find(distributions, json_string_value(json_object_get(o, "distribution")));
    if (d < 0)
        return wrong(reterr, "distribution", "not one of normal, rectangular and t");
    c->distribution = distributions[d];
    c->type = type[0];
    c->dof = isnan(c->dof) ? INFINITY : c->dof;
    c->negative = json_integer_value(json_object_get(o, "sign")) < 0;
    return 0;
}

static int take_figure(const json_t *result, const char *key, struct measure_figure_stat *f, struct err *reterr) {
    const json_t *o = json_object_get(result, key), *budget = json_object_get(o, "budget");
    *f = (struct measure_figure_stat){.median = NAN, .u_c = NAN, .u95 = NAN, .k = NAN};
    if (!o || json_is_null(o))
        return 0;
    if (!json_is_object(o) || (budget && !json_is_array(budget)) || json_array_size(budget) > MEASURE_MAX_COMPONENTS)
        return wrong(reterr, key, "not a figure with a budget");
    int rc = take_number(o, "median", &f->median, reterr);
    rc = rc == 0 ? take_number(o, "u_c", &f->u_c, reterr) : rc;
    rc = rc == 0 ? take_number(o, "u95", &f->u95, reterr) : rc;
    for (size_t i = 0; rc == 0 && i < json_array_size(budget); i++)
        rc = take_line(json_array_get(budget, i), &f->budget[f->n_budget++], reterr);
    f->has = rc == 0 && isfinite(f->median);
    f->u_known = isfinite(f->u_c) && f->n_budget > 0;
    return rc;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int take_inputs(const json_t *list, char *dst, size_t size, struct err *reterr) {
    size_t n = json_array_size(list);
    dst[0] = 0;
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || n > MAX_INPUTS)
        return wrong(reterr, "inputs", "not a list of at most 1024 inputs");
    const char *names[MAX_INPUTS];
    for (size_t i = 0; i < n; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (!names[i])
            return wrong(reterr, "inputs", "an input is not a text");
    }
    qsort((void *)names, n, sizeof names[0], by_text);
    if (n == 1)
        snprintf(dst, size, "%s", names[0]);
    if (n < 2)
        return 0;
    crypto_hash_sha256_state h;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    (void)crypto_hash_sha256_init(&h);
    for (size_t i = 0; i < n; i++)
        (void)crypto_hash_sha256_update(&h, (const unsigned char *)names[i], strlen(names[i]) + 1);
    (void)crypto_hash_sha256_final(&h, digest);
    (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    snprintf(dst, size, "%zu inputs sha256:%s", n, hex);
    return 0;
}

static int take_verdict(const json_t *result, const char *key, enum measure_verdict *ret, struct err *reterr) {
    static const char *const words[] = {"valid", "suspect", "invalid", NULL};
    const json_t *v = json_object_get(result, key);
    int i = measure_word_find(words, json_string_value(v));
    if (v && !json_is_null(v) && i < 0)
        return wrong(reterr, key, "not a verdict");
    *ret = i < 0 ? MEASURE_VALID : (enum measure_verdict)i;
    return 0;
}

static int take_supply(const json_t *result, struct compare_side *s, struct err *reterr) {
    const json_t *supply = json_object_get(result, "supply");
    double set = NAN;
    int rc = take_number(supply, "voltage_v", &s->voltage_v, reterr);
    rc = rc == 0 ? take_number(supply, "set_voltage_v", &set, reterr) : rc;
    rc = rc == 0 ? take_text(supply, "plane", s->plane, sizeof s->plane, reterr) : rc;
    const char *provenance = json_string_value(json_object_get(supply, "provenance"));
    if (isfinite(set) && provenance && strcmp(provenance, "measured") != 0)
        s->voltage_v = set;
    return rc;
}

int compare_input_from_json(const json_t *result, struct compare_input *ret_in, struct err *reterr) {
    struct compare_side *s = &ret_in->side;
    const json_t *board = json_object_get(result, "board"), *prov = json_object_get(result, "provenance");
    memset(ret_in, 0, sizeof *ret_in);
    if (!json_is_object(result))
        return err_set(reterr, JF_E_PARSE, "a result is not an object");
    int rc = take_verdict(result, "verdict", &s->verdict, reterr);
    s->net_verdict = s->verdict;
    rc = rc == 0 && json_object_get(result, "net_verdict") ? take_verdict(result, "net_verdict", &s->net_verdict, reterr) : rc;
    rc = rc == 0 ? take_text(prov, "model_sha256", s->model, sizeof s->model, reterr) : rc;
    if (rc == 0 && !s->model[0]) /* imported: the benchmark's name of the model, as the board said it */
        rc = take_text(prov, "model", s->model, sizeof s->model, reterr);
    rc = rc == 0 ? take_supply(result, s, reterr) : rc;
    rc = rc == 0 ? take_text(result, "window_rule", s->rule, sizeof s->rule, reterr) : rc;
    rc = rc == 0 ? take_text(result, "method", s->method, sizeof s->method, reterr) : rc;
    rc = rc == 0 ? take_inputs(json_object_get(prov, "inputs"), s->inputs, sizeof s->inputs, reterr) : rc;
    rc = rc == 0 ? take_number(board, "core_hz", &s->core_hz, reterr) : rc;
    rc = rc == 0 ? take_text(board, "idle_state", s->idle_state, sizeof s->idle_state, reterr) : rc;
    rc = rc == 0 ? take_figure(result, "energy_per_inference_j", &ret_in->gross, reterr) : rc;
    rc = rc == 0 ? take_figure(result, "net_energy_per_inference_j", &ret_in->net, reterr) : rc;
    rc = rc == 0 ? take_figure(result, "latency_per_inference_s", &ret_in->latency, reterr) : rc;
    s->gross = &ret_in->gross;
    s->net = &ret_in->net;
    s->latency = &ret_in->latency;
    return rc;
}

/* ---- out ------------------------------------------------------------------------------------------------------ */
static json_t *real(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *figure_json(const struct compare_figure *f) {
    if (!f->has)
        return json_null();
    json_t *shared = json_array();
    for (int i = 0; shared && i < f->n_shared; i++)
        json_array_append_new(shared, json_string(f->shared[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "a", real(f->a), "b", real(f->b), "difference", real(f->difference),
                     "ratio", real(f->ratio), "u_c", real(f->u_c), "u95", real(f->u95), "k", real(f->k), "u95_unshared", real(f->u95_unshared),
                     "u_known", f->u_known, "differs", f->differs, "shared", shared);
}

json_t *compare_result_json(const struct compare_result *r) {
    json_t *unlike = json_array();
    for (int i = 0; unlike && i < r->n_unlike; i++) {
        const struct compare_unlike *u = &r->unlike[i];
        json_array_append_new(unlike, json_pack("{s:s, s:s, s:s, s:s, s:b}", "key", compare_key_name(u->key), "text", u->text, "a", u->a, "b", u->b,
                                                "net_only", u->net_only));
    }
    return json_pack("{s:b, s:b, s:b, s:o, s:o, s:o, s:o}", "refused", r->refused, "net_refused", r->net_refused, "forced", r->forced, "unlike", unlike,
                     "gross", figure_json(&r->gross), "net", figure_json(&r->net), "latency", figure_json(&r->latency));
}
