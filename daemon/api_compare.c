/* SPDX-License-Identifier: GPL-2.0-or-later
 * GET /compare: the first result against each of the others. What is unlike is refused with a problem whose code names the
 * difference, unless ?allow= names it; an invalid result is never compared. The science is measure/compare.h; its work is
 * bounded (RESULTS_MAX results, some 30 ms a figure) and reads documents of the store only, so it runs in the request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "measure/compare.h"
#include "measure/trace/compare_json.h"

#define RESULTS_MAX 8

/* The words of ?allow= and of the problem codes ("unlike-voltage"). */
static const char *const words[COMPARE_N_KEYS] = {"verdict", "model",  "voltage",    "plane",     "rule",
                                                  "method",  "inputs", "core-clock", "idle-state"};

struct comparison {
    char ids[RESULTS_MAX][STORE_ID_SIZE];
    int n;
    struct compare_input *in; /* n */
    struct compare_config cfg;
    json_t *allowed;
};

static bool complain(struct api_call *c, const char *pointer, const char *text) {
    api_problem(c, 400, "invalid", pointer, text);
    return false;
}

/* The next word of a list "a,b,c"; false at its end. */
static bool next_word(const char **at, char *dst, size_t size) {
    if (**at == '\0') {
        return false;
    }
    size_t n = strcspn(*at, ",");
    (void)snprintf(dst, size, "%.*s", n < size ? (int)n : 0, *at);
    *at += n + ((*at)[n] == ',');
    return true;
}

static bool take_ids(struct api_call *c, struct comparison *x) {
    const char *at = http_query(c->rq, "results");
    char word[64];
    if (!at || !at[0]) {
        return complain(c, "?results", "is missing: name 2 to 8 results, separated by commas");
    }
    while (next_word(&at, word, sizeof word)) {
        if (x->n == RESULTS_MAX) {
            return complain(c, "?results", "at most 8 results are compared at once");
        }
        if (strlen(word) != 36) {
            return complain(c, "?results", "an entry is not the id of a result");
        }
        for (int i = 0; i < x->n; i++) {
            if (strcmp(x->ids[i], word) == 0) {
                return complain(c, "?results", "the same result is named twice");
            }
        }
        (void)snprintf(x->ids[x->n++], STORE_ID_SIZE, "%s", word);
    }
    return x->n >= 2 || complain(c, "?results", "name at least 2 results");
}

static bool take_allow(struct api_call *c, struct comparison *x) {
    const char *at = http_query(c->rq, "allow");
    char word[64];
    while (at && next_word(&at, word, sizeof word)) {
        int k = COMPARE_MODEL;
        while (k < COMPARE_N_KEYS && strcmp(words[k], word) != 0) {
            k++;
        }
        if (k == COMPARE_N_KEYS) {
            return complain(c, "?allow", "known are model, voltage, plane, rule, method, inputs, core-clock, idle-state");
        }
        x->cfg.allow |= 1u << k;
        (void)json_array_append_new(x->allowed, json_string(word));
    }
    return true;
}

static bool read_results(struct api_call *c, struct comparison *x) {
    struct err e = {0};
    x->in = calloc((size_t)x->n, sizeof *x->in);
    for (int i = 0; i < x->n; i++) {
        struct store_result r = {0};
        if (!x->in || store_result_get(c->a->store, x->ids[i], &r, &e) < 0) {
            if (x->in && e.code == JF_E_NOT_FOUND) {
                api_problem(c, 404, "not-found", "?results", e.text);
            } else {
                api_problem(c, 500, "internal-error", "", x->in ? e.text : "no memory");
            }
            return false;
        }
        json_t *doc = api_result_doc(&r);
        int rc = doc ? compare_input_from_json(doc, &x->in[i], &e) : err_set(&e, JF_E_NOMEM, "no memory");
        json_decref(doc);
        store_result_done(&r);
        if (rc < 0) {
            (void)err_prefix(&e, "result %s", x->ids[i]);
            api_problem(c, 500, "corrupt", "?results", e.text);
            return false;
        }
    }
    return true;
}

static int first_refusal(const struct compare_result *r, unsigned allow) {
    int i = 0;
    while (i < r->n_unlike && (r->unlike[i].net_only || (allow >> r->unlike[i].key & 1u))) {
        i++;
    }
    return i < r->n_unlike ? i : 0;
}

/* Names every difference in one sentence and in the member "unlike". */
static void refuse(struct api_call *c, const struct comparison *x, int b, const struct compare_result *r) {
    char text[480], code[48];
    int first = first_refusal(r, x->cfg.allow);
    size_t n = (size_t)snprintf(text, sizeof text, "results %.36s and %.36s are not alike: %s", x->ids[0], x->ids[b],
                                r->unlike[first].text);
    for (int i = 0; i < r->n_unlike && n < sizeof text; i++) {
        if (i != first && !r->unlike[i].net_only && !(x->cfg.allow >> r->unlike[i].key & 1u)) {
            n += (size_t)snprintf(text + n, sizeof text - n, "; %s", r->unlike[i].text);
        }
    }
    (void)snprintf(code, sizeof code, "unlike-%s", words[r->unlike[first].key]);
    json_t *all = compare_result_json(r), *unlike = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(all, "unlike"), i, one) {
        (void)json_object_set_new(one, "allow", r->unlike[i].key == COMPARE_VERDICT ? json_null()
                                                                                   : json_string(words[r->unlike[i].key]));
        (void)json_array_append(unlike, one);
    }
    json_decref(all);
    api_problem_with(c, 409, code, "?results", text,
                     json_pack("{s:s, s:s, s:o}", "a", x->ids[0], "b", x->ids[b], "unlike", unlike));
}

/* false: refused, or failed, and that is answered. */
static bool compare_pair(struct api_call *c, const struct comparison *x, int b, json_t *pairs) {
    struct err e = {0};
    struct compare_result *r = malloc(sizeof *r);
    if (!r) {
        api_problem(c, 500, "out-of-memory", "", "no memory for the comparison");
        return false;
    }
    int rc = compare_results(&x->in[0].side, &x->in[b].side, &x->cfg, r, &e);
    if (rc < 0) {
        api_problem(c, 500, err_word(e.code), "?results", e.text);
    } else if (r->refused) {
        refuse(c, x, b, r);
        rc = JF_E_CONFLICT;
    } else {
        json_t *one = json_pack("{s:s, s:s}", "a", x->ids[0], "b", x->ids[b]), *rest = compare_result_json(r);
        (void)json_object_update(one, rest);
        json_decref(rest);
        (void)json_array_append_new(pairs, one);
    }
    free(r);
    return rc == 0;
}

void api_compare(struct api_call *c) {
    struct comparison x = {.allowed = json_array()};
    json_t *pairs = json_array(), *ids = json_array();
    compare_config_init(&x.cfg);
    bool good = take_ids(c, &x) && take_allow(c, &x) && read_results(c, &x);
    for (int i = 0; good && i < x.n; i++) {
        (void)json_array_append_new(ids, json_string(x.ids[i]));
        good = i == 0 || compare_pair(c, &x, i, pairs);
    }
    free(x.in);
    if (good) {
        api_json(c, 200, json_pack("{s:o, s:o, s:o}", "results", ids, "allowed", x.allowed, "pairs", pairs));
        return;
    }
    json_decref(ids);
    json_decref(pairs);
    json_decref(x.allowed);
}
