/* SPDX-License-Identifier: GPL-2.0-or-later
 * Comparison of two results: likeness, then the difference with what both share counted once. Pure.
 * u^2(a-b) = u_a^2 + u_b^2 - 2*sum over shared components; U95 by Monte Carlo of the difference, a shared component drawn once with the
 * difference of its two sensitivities. */
#include "measure/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/analysis.h"

static const char *const key_names[COMPARE_N_KEYS] = {"verdict",   "model",     "supply voltage", "reference plane", "window rule",
                                                      "method",    "input set", "core clock",     "idle state"};

const char *compare_key_name(enum compare_key k) {
    return (unsigned)k < COMPARE_N_KEYS ? key_names[k] : "?";
}

void compare_config_init(struct compare_config *ret_c) {
    *ret_c = (struct compare_config){.voltage_rel = 0.01, .clock_rel = 0.001, .draws = 200000, .seed = 0x6a6f756c65636d70 /* "joulecmp" */};
}

/* ---- likeness ------------------------------------------------------------------------------------------------ */
static struct compare_unlike *unlike(struct compare_result *r, enum compare_key key, const char *a, const char *b) {
    struct compare_unlike *u = &r->unlike[r->n_unlike++];
    a = a[0] ? a : "unknown";
    b = b[0] ? b : "unknown";
    u->key = key;
    u->net_only = key == COMPARE_IDLE_STATE;
    snprintf(u->a, sizeof u->a, "%s", a);
    snprintf(u->b, sizeof u->b, "%s", b);
    snprintf(u->text, sizeof u->text, "%s: %s against %s", key_names[key], a, b);
    return u;
}

static void same_text(struct compare_result *r, enum compare_key key, const char *a, const char *b) {
    if (!a[0] || !b[0] || strcmp(a, b) != 0)
        (void)unlike(r, key, a, b);
}

static void same_number(struct compare_result *r, enum compare_key key, double a, double b, double rel, const char *unit, double scale) {
    if (isfinite(a) && isfinite(b) && fabs(a - b) <= rel * fmax(fabs(a), fabs(b)))
        return;
    char x[48] = "", y[48] = "";
    if (isfinite(a))
        snprintf(x, sizeof x, "%.6g %s", a * scale, unit);
    if (isfinite(b))
        snprintf(y, sizeof y, "%.6g %s", b * scale, unit);
    struct compare_unlike *u = unlike(r, key, x, y);
    if (isfinite(a) && isfinite(b) && a > 0 && b > 0)
        snprintf(u->text, sizeof u->text, "%s: %s against %s, a ratio of %.4g%s", key_names[key], x, y, fmax(a, b) / fmin(a, b),
                 key == COMPARE_VOLTAGE ? ": on a linearly regulated chip energy follows the supply voltage" : "");
}

static void find_unlike(const struct compare_side *a, const struct compare_side *b, const struct compare_config *cfg, struct compare_result *r) {
    if (a->verdict == MEASURE_INVALID || b->verdict == MEASURE_INVALID) {
        const char *x = measure_verdict_name(a->verdict), *y = measure_verdict_name(b->verdict);
        struct compare_unlike *u = unlike(r, COMPARE_VERDICT, x, y);
        snprintf(u->text, sizeof u->text, "an invalid result is never compared (the verdicts are %s and %s)", x, y);
    }
    same_text(r, COMPARE_MODEL, a->model, b->model);
    same_number(r, COMPARE_VOLTAGE, a->voltage_v, b->voltage_v, cfg->voltage_rel, "V", 1);
    same_text(r, COMPARE_PLANE, a->plane, b->plane);
    same_text(r, COMPARE_RULE, a->rule, b->rule);
    same_text(r, COMPARE_METHOD, a->method, b->method);
    same_text(r, COMPARE_INPUTS, a->inputs, b->inputs);
    same_number(r, COMPARE_CORE_CLOCK, a->core_hz, b->core_hz, cfg->clock_rel, "MHz", 1e-6);
    bool net = a->net && a->net->has && b->net && b->net->has;
    if (net)
        same_text(r, COMPARE_IDLE_STATE, a->idle_state, b->idle_state);
}

/* ---- the difference of one figure ---------------------------------------------------------------------------- */
struct difference {
    struct measure_component list[2 * MEASURE_MAX_COMPONENTS], apart[2 * MEASURE_MAX_COMPONENTS];
    int n, n_apart;
};

static bool sound(const struct measure_figure_stat *f) {
    if (f->n_budget < 0 || f->n_budget > MEASURE_MAX_COMPONENTS)
        return false;
    for (int i = 0; i < f->n_budget; i++) {
        const struct measure_component *c = &f->budget[i];
        if (!isfinite(c->u) || c->u < 0 || !c->distribution || (strcmp(c->distribution, "t") == 0 && !(c->dof >= 1)))
            return false;
    }
    return true;
}

static bool is_one_error(const struct measure_component *a, const struct measure_component *b) {
    return a->source[0] && strcmp(a->source, b->source) == 0 && strcmp(a->name, b->name) == 0 && strcmp(a->distribution, b->distribution) == 0;
}

static double signed_u(const struct measure_component *c) {
    return c->negative ? -c->u : c->u;
}

static void pair(const struct measure_figure_stat *a, const struct measure_figure_stat *b, struct difference *d, struct compare_figure *ret) {
    bool taken[MEASURE_MAX_COMPONENTS] = {false};
    for (int i = 0; i < a->n_budget; i++) {
        struct measure_component c = a->budget[i];
        d->apart[d->n_apart++] = c;
        for (int j = 0; j < b->n_budget; j++)
            if (!taken[j] && is_one_error(&c, &b->budget[j])) {
                taken[j] = true;
                c.u = fabs(signed_u(&c) - signed_u(&b->budget[j]));
                memcpy(ret->shared[ret->n_shared++], c.name, sizeof ret->shared[0]);
                break;
            }
        d->list[d->n++] = c;
    }
    for (int j = 0; j < b->n_budget; j++) {
        d->apart[d->n_apart++] = b->budget[j];
        if (!taken[j])
            d->list[d->n++] = b->budget[j];
    }
}

static int compare_figures(const struct measure_figure_stat *a, const struct measure_figure_stat *b, const struct compare_config *cfg, uint64_t salt,
                           struct compare_figure *ret, struct err *reterr) {
    if (!a || !b || !a->has || !b->has || !isfinite(a->median) || !isfinite(b->median))
        return 0;
    ret->has = true;
    ret->a = a->median;
    ret->b = b->median;
    ret->difference = a->median - b->median;
    ret->ratio = fabs(b->median) > 0 ? a->median / b->median : NAN;
    ret->u_known = a->u_known && b->u_known;
    if (!ret->u_known)
        return 0;
    if (!sound(a) || !sound(b))
        return err_set(reterr, JF_E_INVAL, "a line of the uncertainty budget is negative or not a number");
    struct difference *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(reterr, JF_E_NOMEM, "no memory for the comparison");
    pair(a, b, d, ret);
    double uc;
    int rc = budget_evaluate(d->list, d->n, cfg->draws, cfg->seed + salt, &ret->u_c, &ret->u95);
    if (rc == 0)
        rc = budget_evaluate(d->apart, d->n_apart, cfg->draws, cfg->seed + salt, &uc, &ret->u95_unshared);
    free(d);
    if (rc < 0)
        return err_set(reterr, rc, "no memory for the comparison");
    ret->k = ret->u_c > 0 ? ret->u95 / ret->u_c : NAN;
    ret->differs = fabs(ret->difference) > ret->u95;
    return 0;
}

static void nothing(struct compare_figure *f) {
    *f = (struct compare_figure){
        .a = NAN, .b = NAN, .difference = NAN, .ratio = NAN, .u_c = NAN, .u95 = NAN, .k = NAN, .u95_unshared = NAN};
}

int compare_results(const struct compare_side *a, const struct compare_side *b, const struct compare_config *cfg, struct compare_result *ret_r,
                    struct err *reterr) {
    *ret_r = (struct compare_result){0};
    nothing(&ret_r->gross);
    nothing(&ret_r->net);
    nothing(&ret_r->latency);
    find_unlike(a, b, cfg, ret_r);
    bool net_invalid = a->net_verdict == MEASURE_INVALID || b->net_verdict == MEASURE_INVALID;
    ret_r->net_refused = net_invalid;
    for (int i = 0; i < ret_r->n_unlike; i++) {
        const struct compare_unlike *u = &ret_r->unlike[i];
        if (u->key == COMPARE_VERDICT)
            ret_r->refused = true;
        else if (cfg->force || (cfg->allow >> (unsigned)u->key & 1u))
            ret_r->forced = true;
        else if (u->net_only)
            ret_r->net_refused = true;
        else
            ret_r->refused = true;
    }
    ret_r->net_refused = ret_r->net_refused || ret_r->refused;
    int rc = 0;
    if (!ret_r->refused)
        rc = compare_figures(a->gross, b->gross, cfg, 0, &ret_r->gross, reterr);
    if (rc == 0 && !ret_r->refused)
        rc = compare_figures(a->latency, b->latency, cfg, 2, &ret_r->latency, reterr);
    if (rc == 0 && !ret_r->net_refused)
        rc = compare_figures(a->net, b->net, cfg, 1, &ret_r->net, reterr);
    return rc;
}
