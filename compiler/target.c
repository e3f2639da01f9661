/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reader of target files (compiler/target.h): limits, operators, memories. The tool section is in compiler/target_tool.c. */
#include "compiler/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target_impl.h"

/* Operators of TensorFlow Lite that a file may name; what the front ends do not read yet is allowed, a misspelt word is not. */
bool target_op_known(const char *name) {
    static const char *const known[] = {
        "ABS", "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DIV", "EXP", "EXPAND_DIMS",
        "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "RELU",
        "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB",
        "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- scalars ------------------------------------------------------------------------------------------------------------ */
int target_text(struct target_reader *r, int map, const char *at, const char *key, bool required, const char **ret_s) {
    int node = yaml_doc_get(r->d, map, key);
    const char *s = yaml_doc_text(r->d, node);
    if (!node && !required) {
        return 0;
    }
    if (!s || !s[0]) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "%s%s%s", at, at[0] ? "." : "", key);
        return yaml_doc_wrong(r->d, node ? node : map, field, r->e, node ? "must be a text that is not empty" : "is missing");
    }
    *ret_s = s;
    return 0;
}

static int whole(struct target_reader *r, int node, const char *field, int64_t min, int64_t max, int64_t *ret_v) {
    const char *s = yaml_doc_text(r->d, node);
    char *end = NULL;
    errno = 0;
    long long v = s && s[0] ? strtoll(s, &end, 10) : 0;
    if (!s || !s[0] || *end || errno) {
        return yaml_doc_wrong(r->d, node, field, r->e, "must be a whole number, not \"%.40s\"", s ? s : "a list or map");
    }
    if (v < min || v > max) {
        return yaml_doc_wrong(r->d, node, field, r->e, "%lld is outside %lld to %lld", v, (long long)min, (long long)max);
    }
    *ret_v = v;
    return 0;
}

int target_whole(struct target_reader *r, int map, const char *at, const char *key, bool required, int64_t min, int64_t max, int64_t *ret_v) {
    int node = yaml_doc_get(r->d, map, key);
    char field[TARGET_FIELD];
    (void)snprintf(field, sizeof field, "%s%s%s", at, at[0] ? "." : "", key);
    return node ? whole(r, node, field, min, max, ret_v) : required ? yaml_doc_wrong(r->d, map, field, r->e, "is missing") : 0;
}

int target_flag(struct target_reader *r, int map, const char *at, const char *key, bool *ret_v) {
    const char *s = NULL;
    int e = target_text(r, map, at, key, false, &s);
    if (e < 0 || !s) {
        return e;
    }
    char field[TARGET_FIELD];
    (void)snprintf(field, sizeof field, "%s%s%s", at, at[0] ? "." : "", key);
    *ret_v = strcmp(s, "true") == 0;
    return *ret_v || strcmp(s, "false") == 0 ? 0 : yaml_doc_wrong(r->d, yaml_doc_get(r->d, map, key), field, r->e, "is true or false, not \"%.40s\"", s);
}

int target_texts(struct target_reader *r, int map, const char *at, const char *key, int min, int max, const char **dst, int *ret_n) {
    int list = yaml_doc_get(r->d, map, key), n = yaml_doc_count(r->d, list);
    char field[TARGET_FIELD];
    (void)snprintf(field, sizeof field, "%s%s%s", at, at[0] ? "." : "", key);
    if (!list && min == 0) {
        *ret_n = 0;
        return 0;
    }
    if (!yaml_doc_is_list(r->d, list) || n < min || n > max) {
        return yaml_doc_wrong(r->d, list ? list : map, field, r->e, "must be a list of %d to %d texts", min, max);
    }
    for (int i = 0; i < n; i++) {
        dst[i] = yaml_doc_text(r->d, yaml_doc_item(r->d, list, i));
        if (!dst[i] || !dst[i][0]) {
            return yaml_doc_wrong(r->d, yaml_doc_item(r->d, list, i), field, r->e, "item %d is no text", i + 1);
        }
    }
    *ret_n = n;
    return 0;
}

int target_source(struct target_reader *r, int map, const char *at, bool required, const char **ret_s) {
    const char *key = NULL, *text = NULL;
    int e = target_text(r, map, at, "source", required, &key);
    if (e < 0 || !key) {
        return e;
    }
    text = yaml_doc_text(r->d, yaml_doc_get(r->d, r->sources, key));
    if (!text) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "%s.source", at);
        return yaml_doc_wrong(r->d, yaml_doc_get(r->d, map, "source"), field, r->e, "\"%.40s\" is not among the file's sources", key);
    }
    *ret_s = text;
    return 0;
}

/* ---- limits ------------------------------------------------------------------------------------------------------------- */
#define RANGE_KEYS "min|max|in|multiple_of"

static int read_range(struct target_reader *r, int map, const char *at, struct target_range *ret) {
    int list = yaml_doc_get(r->d, map, "in"), e = 0;
    ret->has_min = yaml_doc_get(r->d, map, "min") != 0;
    ret->has_max = yaml_doc_get(r->d, map, "max") != 0;
    e = target_whole(r, map, at, "min", false, INT32_MIN, INT64_MAX, &ret->min);
    e = e < 0 ? e : target_whole(r, map, at, "max", false, INT32_MIN, INT64_MAX, &ret->max);
    e = e < 0 ? e : target_whole(r, map, at, "multiple_of", false, 1, INT32_MAX, &ret->multiple);
    if (e < 0) {
        return e;
    }
    if (list && (!yaml_doc_is_list(r->d, list) || yaml_doc_count(r->d, list) < 1 || yaml_doc_count(r->d, list) > TARGET_MAX_IN)) {
        return yaml_doc_wrong(r->d, list, at, r->e, "in: must be a list of 1 to %d numbers", TARGET_MAX_IN);
    }
    for (int i = 0; i < yaml_doc_count(r->d, list) && e == 0; i++) {
        e = whole(r, yaml_doc_item(r->d, list, i), at, INT32_MIN, INT64_MAX, &ret->in[ret->n_in++]);
    }
    if (e == 0 && !ret->has_min && !ret->has_max && !ret->multiple && !ret->n_in) {
        e = yaml_doc_wrong(r->d, map, at, r->e, "bounds nothing: it needs min, max, in or multiple_of");
    }
    if (e == 0 && ret->has_min && ret->has_max && ret->min > ret->max) {
        e = yaml_doc_wrong(r->d, map, at, r->e, "min %lld is above max %lld", (long long)ret->min, (long long)ret->max);
    }
    return e;
}

static int find_quantity(struct target_reader *r, int node, const char *at, bool model, const struct quantity **ret_q) {
    const char *s = yaml_doc_text(r->d, node);
    const struct quantity *q = s ? quantity_find(s) : NULL;
    if (!q) {
        return yaml_doc_wrong(r->d, node, at, r->e, "\"%.40s\" is no quantity (jf-model targets --quantities lists them)", s ? s : "");
    }
    if (q->model != model) {
        return yaml_doc_wrong(r->d, node, at, r->e, "%s is a quantity of %s", q->name, q->model ? "the model" : "a node");
    }
    *ret_q = q;
    return 0;
}

static int read_when(struct target_reader *r, int list, const char *at, struct target_limit *l) {
    int n = yaml_doc_count(r->d, list);
    if (list && (!yaml_doc_is_list(r->d, list) || n > TARGET_MAX_WHEN)) {
        return yaml_doc_wrong(r->d, list, at, r->e, "when: must be a list of at most %d conditions", TARGET_MAX_WHEN);
    }
    for (int i = 0; i < n; i++) {
        int map = yaml_doc_item(r->d, list, i);
        int e = yaml_doc_keys(r->d, map, at, "quantity|" RANGE_KEYS, r->e);
        e = e < 0 ? e : find_quantity(r, yaml_doc_get(r->d, map, "quantity"), at, false, &l->when[i].quantity);
        e = e < 0 ? e : read_range(r, map, at, &l->when[i].range);
        if (e < 0) {
            return e;
        }
        l->n_when++;
    }
    return 0;
}

static int read_effect(struct target_reader *r, int map, const char *at, bool model, struct target_limit *l) {
    const char *s = NULL;
    int e = target_text(r, map, at, "otherwise", false, &s);
    l->effect = r->t->fallback && !model ? TARGET_FALLBACK : TARGET_ILLEGAL;
    if (e < 0 || !s) {
        return e;
    }
    l->effect = strcmp(s, "cpu") == 0 ? TARGET_FALLBACK : strcmp(s, "requantize") == 0 ? TARGET_REQUANTIZE : TARGET_ILLEGAL;
    return l->effect != TARGET_ILLEGAL || strcmp(s, "illegal") == 0
               ? 0
               : yaml_doc_wrong(r->d, yaml_doc_get(r->d, map, "otherwise"), at, r->e, "otherwise: is cpu, requantize or illegal, not \"%.40s\"", s);
}

/* One entry; several quantities in a list become as many limits. */
static int read_limit(struct target_reader *r, int map, const char *at, bool model) {
    struct target_limit one = {0};
    int e = yaml_doc_keys(r->d, map, at, "quantity|when|otherwise|source|change|" RANGE_KEYS, r->e);
    e = e < 0 ? e : read_range(r, map, at, &one.range);
    e = e < 0 ? e : read_when(r, yaml_doc_get(r->d, map, "when"), at, &one);
    e = e < 0 ? e : read_effect(r, map, at, model, &one);
    e = e < 0 ? e : target_source(r, map, at, true, &one.source);
    e = e < 0 ? e : target_text(r, map, at, "change", false, &one.change);
    int quantities = yaml_doc_get(r->d, map, "quantity"), n = yaml_doc_is_list(r->d, quantities) ? yaml_doc_count(r->d, quantities) : 1;
    for (int i = 0; i < n && e == 0; i++) {
        if (r->t->n_limits >= TARGET_MAX_LIMITS) {
            return yaml_doc_wrong(r->d, map, at, r->e, "is beyond the %d limits that a target may have", TARGET_MAX_LIMITS);
        }
        e = find_quantity(r, yaml_doc_is_list(r->d, quantities) ? yaml_doc_item(r->d, quantities, i) : quantities, at, model, &one.quantity);
        if (e == 0) {
            r->t->limits[r->t->n_limits++] = one;
        }
    }
    return e;
}

static int read_limits(struct target_reader *r, int list, const char *at, bool model, int *ret_first, int *ret_n) {
    *ret_first = r->t->n_limits;
    *ret_n = 0;
    if (list && !yaml_doc_is_list(r->d, list)) {
        return yaml_doc_wrong(r->d, list, at, r->e, "must be a list of limits");
    }
    for (int i = 0; i < yaml_doc_count(r->d, list); i++) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "%s[%d]", at, i);
        int e = read_limit(r, yaml_doc_item(r->d, list, i), field, model);
        if (e < 0) {
            return e;
        }
    }
    *ret_n = r->t->n_limits - *ret_first;
    return 0;
}

static int read_group(struct target_reader *r, int map, const char *at) {
    struct target_group *g = &r->t->groups[r->t->n_groups];
    char field[TARGET_FIELD + 32];
    int e = yaml_doc_keys(r->d, map, at, "ops|limits|runs_on_cpu|layer|source", r->e);
    e = e < 0 ? e : target_texts(r, map, at, "ops", 1, TARGET_MAX_OPS, g->ops, &g->n_ops);
    e = e < 0 ? e : target_flag(r, map, at, "runs_on_cpu", &g->on_cpu);
    e = e < 0 ? e : target_flag(r, map, at, "layer", &g->layer);
    e = e < 0 ? e : target_source(r, map, at, true, &g->source);
    for (int i = 0; i < g->n_ops && e == 0; i++) {
        g->all = g->all || strcmp(g->ops[i], "all") == 0;
        if (strcmp(g->ops[i], "all") != 0 && !target_op_known(g->ops[i])) {
            e = yaml_doc_wrong(r->d, yaml_doc_get(r->d, map, "ops"), at, r->e, "ops: \"%.40s\" is no operator", g->ops[i]);
        }
        for (int k = 0; k < r->t->n_groups && e == 0; k++) {
            for (int j = 0; j < r->t->groups[k].n_ops && e == 0; j++) {
                e = strcmp(r->t->groups[k].ops[j], g->ops[i]) == 0 ? yaml_doc_wrong(r->d, map, at, r->e, "ops: %s is in two entries", g->ops[i]) : 0;
            }
        }
    }
    (void)snprintf(field, sizeof field, "%s.limits", at);
    e = e < 0 ? e : read_limits(r, yaml_doc_get(r->d, map, "limits"), field, false, &g->first_limit, &g->n_limits);
    r->t->n_groups += e == 0;
    return e;
}

static int read_operators(struct target_reader *r, int root) {
    int list = yaml_doc_get(r->d, root, "operators");
    const char *word = yaml_doc_text(r->d, list);
    r->t->operators_known = true;
    if (word && strcmp(word, "unknown") == 0) {
        r->t->operators_known = false;
        return r->t->n_unknown > 0 ? 0 : yaml_doc_wrong(r->d, list, "operators", r->e, "is unknown: `unknown` must say so");
    }
    if (!yaml_doc_is_list(r->d, list) || yaml_doc_count(r->d, list) > TARGET_MAX_GROUPS) {
        return yaml_doc_wrong(r->d, list ? list : root, "operators", r->e, "must be a list of at most %d entries, or the word unknown", TARGET_MAX_GROUPS);
    }
    for (int i = 0; i < yaml_doc_count(r->d, list); i++) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "operators[%d]", i);
        int e = read_group(r, yaml_doc_item(r->d, list, i), field);
        if (e < 0) {
            return e;
        }
    }
    return 0;
}

/* ---- memories ------------------------------------------------------------------------------------------------------------ */
static int read_memory(struct target_reader *r, int map, const char *at, struct target_memory *m) {
    const char *holds[2];
    int n = 0, banks = yaml_doc_get(r->d, map, "banks");
    char field[TARGET_FIELD + 32];
    int e = yaml_doc_keys(r->d, map, at, "name|bytes|holds|banks|source", r->e);
    e = e < 0 ? e : target_text(r, map, at, "name", true, &m->name);
    e = e < 0 ? e : target_whole(r, map, at, "bytes", true, 1, INT64_C(1) << 40, &m->bytes);
    e = e < 0 ? e : target_texts(r, map, at, "holds", 1, 2, holds, &n);
    e = e < 0 ? e : target_source(r, map, at, true, &m->source);
    for (int i = 0; i < n && e == 0; i++) {
        bool weights = strcmp(holds[i], "weights") == 0, activations = strcmp(holds[i], "activations") == 0;
        m->weights = m->weights || weights;
        m->activations = m->activations || activations;
        e = weights || activations ? 0 : yaml_doc_wrong(r->d, map, at, r->e, "holds: weights or activations, not \"%.40s\"", holds[i]);
    }
    if (e < 0 || !banks) {
        return e;
    }
    (void)snprintf(field, sizeof field, "%s.banks", at);
    e = yaml_doc_keys(r->d, banks, field, "count|channels|bytes", r->e);
    e = e < 0 ? e : target_whole(r, banks, field, "count", true, 1, 65536, &m->banks);
    e = e < 0 ? e : target_whole(r, banks, field, "channels", true, 1, 65536, &m->bank_channels);
    return e < 0 ? e : target_whole(r, banks, field, "bytes", true, 1, m->bytes, &m->bank_bytes);
}

static int read_memories(struct target_reader *r, int root) {
    int list = yaml_doc_get(r->d, root, "memories"), n = yaml_doc_count(r->d, list);
    if (!yaml_doc_is_list(r->d, list) || n > TARGET_MAX_MEMORIES) {
        return yaml_doc_wrong(r->d, list ? list : root, "memories", r->e, "must be a list of at most %d", TARGET_MAX_MEMORIES);
    }
    for (int i = 0; i < n; i++) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "memories[%d]", i);
        int e = read_memory(r, yaml_doc_item(r->d, list, i), field, &r->t->memories[i]);
        if (e < 0) {
            return e;
        }
        r->t->n_memories++;
    }
    return 0;
}

/* ---- the file ----------------------------------------------------------------------------------------------------------- */
static int read_head(struct target_reader *r, int root, const char *path) {
    struct target *t = r->t;
    const char *fallback = NULL, *base = strrchr(path, '/');
    int e = yaml_doc_keys(r->d, root, "", "name|title|maturity|unknown|sources|fallback|split_arena|memories|every_operator|operators|model|tool", r->e);
    r->sources = yaml_doc_get(r->d, root, "sources");
    e = e < 0 ? e : target_text(r, root, "", "name", true, &t->name);
    e = e < 0 ? e : target_text(r, root, "", "title", true, &t->title);
    e = e < 0 ? e : target_text(r, root, "", "maturity", true, &t->maturity);
    e = e < 0 ? e : target_text(r, root, "", "fallback", true, &fallback);
    e = e < 0 ? e : target_flag(r, root, "", "split_arena", &t->split_arena);
    e = e < 0 ? e : target_texts(r, root, "", "unknown", 0, TARGET_MAX_UNKNOWN, t->unknown, &t->n_unknown);
    if (e < 0 || !t->name || !t->maturity || !fallback) {
        return e;
    }
    base = base ? base + 1 : path;
    size_t n = strlen(t->name);
    if (strncmp(base, t->name, n) != 0 || strcmp(base + n, ".yaml") != 0) {
        return yaml_doc_wrong(r->d, yaml_doc_get(r->d, root, "name"), "name", r->e, "is \"%.40s\", the file is %.60s", t->name, base);
    }
    if (strcmp(t->maturity, "documented") != 0 && strcmp(t->maturity, "partial") != 0 && strcmp(t->maturity, "generic") != 0) {
        return yaml_doc_wrong(r->d, yaml_doc_get(r->d, root, "maturity"), "maturity", r->e, "is documented, partial or generic, not \"%.40s\"", t->maturity);
    }
    if (strcmp(t->maturity, "partial") == 0 && t->n_unknown == 0) {
        return yaml_doc_wrong(r->d, root, "unknown", r->e, "is missing: a partial target says what is not known of it");
    }
    t->fallback = strcmp(fallback, "cpu") == 0;
    if (!t->fallback && strcmp(fallback, "none") != 0) {
        return yaml_doc_wrong(r->d, yaml_doc_get(r->d, root, "fallback"), "fallback", r->e, "is cpu or none, not \"%.40s\"", fallback);
    }
    return yaml_doc_is_map(r->d, r->sources) ? 0 : yaml_doc_wrong(r->d, root, "sources", r->e, "must be a map of short names to documents");
}

/* Takes doc, on failure too. */
static int target_take(const char *path, struct yaml_doc *doc, struct target **ret_t, struct err *reterr) {
    struct target *t = calloc(1, sizeof *t);
    if (!t) {
        yaml_doc_free(doc);
        return err_set(reterr, JF_E_NOMEM, "no memory for the target");
    }
    t->doc = doc;
    struct target_reader r = {t->doc, t, reterr, 0};
    int root = yaml_doc_root(t->doc);
    int e = read_head(&r, root, path);
    e = e < 0 ? e : read_memories(&r, root);
    e = e < 0 ? e : read_limits(&r, yaml_doc_get(t->doc, root, "every_operator"), "every_operator", false, &t->every.first_limit, &t->every.n_limits);
    e = e < 0 ? e : read_operators(&r, root);
    e = e < 0 ? e : read_limits(&r, yaml_doc_get(t->doc, root, "model"), "model", true, &t->first_model_limit, &t->n_model_limits);
    e = e < 0 ? e : target_read_tool(&r, yaml_doc_get(t->doc, root, "tool"));
    if (e < 0) {
        target_free(t);
        return e;
    }
    *ret_t = t;
    return 0;
}

int target_read(const char *path, struct target **ret_t, struct err *reterr) {
    struct yaml_doc *doc = NULL;
    int e = yaml_doc_read(path, &doc, reterr);
    return e < 0 ? e : target_take(path, doc, ret_t, reterr);
}

int target_parse(const char *path, const void *bytes, size_t n, struct target **ret_t, struct err *reterr) {
    struct yaml_doc *doc = NULL;
    int e = yaml_doc_parse(path, bytes, n, &doc, reterr);
    return e < 0 ? e : target_take(path, doc, ret_t, reterr);
}

void target_free(struct target *t) {
    if (t) {
        yaml_doc_free(t->doc);
        free(t);
    }
}

bool target_range_holds(const struct target_range *r, int64_t v) {
    bool in = r->n_in == 0;
    for (int i = 0; i < r->n_in; i++) {
        in = in || r->in[i] == v;
    }
    return in && (!r->has_min || v >= r->min) && (!r->has_max || v <= r->max) && (r->multiple == 0 || v % r->multiple == 0);
}

void target_range_text(const struct target_range *r, char *dst, size_t size) {
    size_t n = 0;
    dst[0] = '\0';
    if (r->has_min && r->has_max) {
        n += (size_t)snprintf(dst, size, r->min == r->max ? "%lld" : "%lld to %lld", (long long)r->min, (long long)r->max);
    } else if (r->has_max || r->has_min) {
        n += (size_t)snprintf(dst, size, "%s %lld", r->has_max ? "at most" : "at least", (long long)(r->has_max ? r->max : r->min));
    }
    for (int i = 0; i < r->n_in && n < size; i++) {
        n += (size_t)snprintf(dst + n, size - n, "%s%lld", i == 0 ? (n ? ", " : "") : i + 1 < r->n_in ? ", " : " or ", (long long)r->in[i]);
    }
    if (r->multiple && n < size) {
        (void)snprintf(dst + n, size - n, "%sa multiple of %lld", n ? ", " : "", (long long)r->multiple);
    }
}
