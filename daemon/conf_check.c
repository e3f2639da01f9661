/* SPDX-License-Identifier: GPL-2.0-or-later
 * The checker over libyaml's document API. Collects every mistake; stops only at broken YAML. Anchors may make a node
 * its own child, so depth and the number of visited nodes are bounded. */
#include "daemon/conf_check.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 12
#define NODES_MAX 20000
#define SCALAR_MAX 2048
#define FIELD_MAX 160

struct check {
    const char *file;
    yaml_document_t *doc;
    json_t *positions;
    struct conf_mistakes *m;
    int visited, depth;
};

/* ---- mistakes ---------------------------------------------------------------------------------------------------- */
static void mistake_v(struct conf_mistakes *m, const char *file, int line, int column, const char *field,
                      const char *fmt, va_list ap) {
    if (m->n >= CONF_MAX_MISTAKES) {
        m->more = true;
        return;
    }
    struct conf_mistake *items = realloc(m->items, (size_t)(m->n + 1) * sizeof *items);
    if (!items) {
        m->more = true;
        return;
    }
    m->items = items;
    struct conf_mistake *x = &items[m->n++];
    (void)snprintf(x->file, sizeof x->file, "%s", file);
    (void)snprintf(x->field, sizeof x->field, "%s", field);
    x->line = line;
    x->column = column;
    (void)vsnprintf(x->text, sizeof x->text, fmt, ap);
}

void conf_mistake_add(struct conf_mistakes *m, const char *file, int line, int column, const char *field,
                      const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    mistake_v(m, file, line, column, field, fmt, ap);
    va_end(ap);
}

void conf_mistake_at(struct conf_mistakes *m, const char *file, const json_t *positions, const char *field,
                     const char *fmt, ...) {
    char at[FIELD_MAX];
    (void)snprintf(at, sizeof at, "%s", field);
    int line = 1, column = 1;
    for (;;) {
        const char *p = json_string_value(json_object_get(positions, at));
        if (p && sscanf(p, "%d:%d", &line, &column) == 2) { /* our own text; NOLINT(cert-err34-c) */
            break;
        }
        char *cut = strrchr(at, '.'), *bracket = strrchr(at, '[');
        cut = bracket > cut ? bracket : cut;
        if (!cut) {
            break;
        }
        *cut = '\0';
    }
    va_list ap;
    va_start(ap, fmt);
    mistake_v(m, file, line, column, field, fmt, ap);
    va_end(ap);
}

void conf_mistakes_done(struct conf_mistakes *m) {
    free(m->items);
    *m = (struct conf_mistakes){0};
}

static int mistake_order(const void *a, const void *b) {
    const struct conf_mistake *x = a, *y = b;
    int file = strcmp(x->file, y->file);
    return file != 0 ? file : x->line != y->line ? x->line - y->line : x->column - y->column;
}

void conf_mistakes_print(const struct conf_mistakes *m, FILE *to) {
    if (m->n > 1) {
        qsort(m->items, (size_t)m->n, sizeof m->items[0], mistake_order);
    }
    for (int i = 0; i < m->n; i++) {
        const struct conf_mistake *x = &m->items[i];
        (void)fprintf(to, "%s:%d:%d: %s%s%s\n", x->file, x->line, x->column, x->field, x->field[0] ? ": " : "",
                      x->text);
    }
    if (m->more) {
        (void)fprintf(to, "... and more\n");
    }
}

static void JF_PRINTF(4, 5) wrong(struct check *c, const yaml_node_t *n, const char *field, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    mistake_v(c->m, c->file, n ? (int)n->start_mark.line + 1 : 1, n ? (int)n->start_mark.column + 1 : 1, field, fmt,
              ap);
    va_end(ap);
}

/* ---- scalars
 * ---------------------------------------------------------------------------------------------------------- */
static bool name_char(char ch) {
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_';
}

int conf_expand(const char *text, char *out, size_t size, struct err *reterr) {
    size_t n = 0;
    while (*text) {
        const char *piece = text;
        size_t len = 1, step = 1;
        if (text[0] == '$' && text[1] == '{') {
            char name[64];
            size_t k = 0;
            const char *p = text + 2;
            while (name_char(*p) && k + 1 < sizeof name) {
                name[k++] = *p++;
            }
            name[k] = '\0';
            const char *end = strchr(p, '}');
            bool fallback = p[0] == ':' && p[1] == '-';
            if (k == 0 || !end || (*p != '}' && !fallback)) {
                return err_set(reterr, JF_E_INVAL, "a variable is written ${NAME} or ${NAME:-text}");
            }
            const char *v = getenv(name); /* NOLINT(concurrency-mt-unsafe): at start, one thread */
            if (v && v[0]) {
                piece = v;
                len = strlen(v);
            } else if (fallback) {
                piece = p + 2;
                len = (size_t)(end - piece);
            } else {
                return err_set(reterr, JF_E_INVAL, "the environment variable %s is not set", name);
            }
            step = (size_t)(end - text) + 1;
        }
        if (n + len >= size) {
            return err_set(reterr, JF_E_TOO_LARGE, "the value is longer than %zu bytes", size - 1);
        }
        memcpy(out + n, piece, len);
        n += len;
        text += step;
    }
    out[n] = '\0';
    return 0;
}

static bool word_in(const char *words, const char *w) {
    size_t n = strlen(w);
    for (const char *p = words; p && *p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        size_t len = strcspn(p, "|");
        if (len == n && strncmp(p, w, n) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_whole(const char *s, long long *ret_v) {
    char *end;
    errno = 0;
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    long long v = strtoll(s, &end, hex ? 16 : 10);
    *ret_v = v;
    return s[0] != '\0' && s[0] != ' ' && *end == '\0' && errno == 0;
}

static bool parse_number(const char *s, double *ret_v) {
    char *end;
    *ret_v = strtod(s, &end); /* the program never leaves the C locale */
    return s[0] != '\0' && s[0] != ' ' && *end == '\0' && isfinite(*ret_v);
}

static json_t *text_value(struct check *c, const yaml_node_t *n, const struct conf_field *f, const char *s,
                          const char *field) {
    if (s[0] == '\0') {
        wrong(c, n, field, "is empty");
        return NULL;
    }
    if (f->words && !word_in(f->words, s)) {
        wrong(c, n, field, "\"%.60s\" is not one of %s", s, f->words);
        return NULL;
    }
    if (f->kind == CONF_NAME && (strlen(s) > 63 || s[0] == '.' || s[0] == '-' ||
                                 s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")])) {
        wrong(c, n, field, "\"%.60s\" is no name: letters, digits, '.', '_', '-', at most 63", s);
        return NULL;
    }
    json_t *v = json_string(s);
    if (!v) {
        wrong(c, n, field, "is not UTF-8 text");
    }
    return v;
}

static json_t *number_value(struct check *c, const yaml_node_t *n, const struct conf_field *f, const char *s,
                            const char *field) {
    long long i = 0;
    double d = 0;
    bool whole = f->kind == CONF_WHOLE;
    if (whole ? !parse_whole(s, &i) : !parse_number(s, &d)) {
        wrong(c, n, field, "\"%.60s\" is no %s", s, whole ? "whole number" : "number");
        return NULL;
    }
    double v = whole ? (double)i : d;
    if (f->min < f->max && (v < f->min || v > f->max)) {
        wrong(c, n, field, "%s is out of range: %.15g to %.15g", s, f->min, f->max);
        return NULL;
    }
    return whole ? json_integer(i) : json_real(d);
}

static json_t *scalar_from_text(struct check *c, const yaml_node_t *n, const struct conf_field *f, const char *s,
                                const char *field) {
    switch (f->kind) {
    case CONF_WHOLE:
    case CONF_NUMBER:
        return number_value(c, n, f, s, field);
    case CONF_BOOL:
        if (!word_in("true|false|yes|no|on|off", s)) {
            wrong(c, n, field, "\"%.60s\" is neither true nor false", s);
            return NULL;
        }
        return json_boolean(word_in("true|yes|on", s));
    default:
        return text_value(c, n, f, s, field);
    }
}

static bool scalar_text(struct check *c, const yaml_node_t *n, const char *field, char out[SCALAR_MAX]) {
    struct err e;
    if (n->type != YAML_SCALAR_NODE) {
        wrong(c, n, field, "must be a single value");
        return false;
    }
    if (strlen((const char *)n->data.scalar.value) != n->data.scalar.length) {
        wrong(c, n, field, "contains a zero byte");
        return false;
    }
    if (conf_expand((const char *)n->data.scalar.value, out, SCALAR_MAX, &e) < 0) {
        wrong(c, n, field, "%s", e.text);
        return false;
    }
    return true;
}

/* ---- trees
 * ------------------------------------------------------------------------------------------------------------- */
static json_t *check_node(struct check *c, yaml_node_t *n, const struct conf_field *f, const char *field);

static json_t *free_value(struct check *c, yaml_node_t *n, const char *field) {
    char s[SCALAR_MAX] = "";
    long long i;
    double d;
    if (n->type == YAML_SEQUENCE_NODE) {
        static const struct conf_field item = {.key = "", .kind = CONF_FREE};
        json_t *list = json_array();
        for (yaml_node_item_t *it = n->data.sequence.items.start; it < n->data.sequence.items.top; it++) {
            json_t *v = check_node(c, yaml_document_get_node(c->doc, *it), &item, field);
            if (v) {
                (void)json_array_append_new(list, v);
            }
        }
        return list;
    }
    if (!scalar_text(c, n, field, s)) {
        return NULL;
    }
    if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0) {
            return json_boolean(s[0] == 't');
        }
        if (parse_whole(s, &i)) {
            return json_integer(i);
        }
        if (parse_number(s, &d)) {
            return json_real(d);
        }
    }
    return json_string(s);
}

static json_t *check_free(struct check *c, yaml_node_t *n, const char *field) {
    if (n->type != YAML_MAPPING_NODE) {
        return free_value(c, n, field);
    }
    static const struct conf_field item = {.key = "", .kind = CONF_FREE};
    json_t *obj = json_object();
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(c->doc, p->key);
        if (!k || k->type != YAML_SCALAR_NODE) {
            wrong(c, n, field, "has a key that is no text");
            continue;
        }
        char sub[FIELD_MAX];
        (void)snprintf(sub, sizeof sub, "%s.%s", field, (const char *)k->data.scalar.value);
        json_t *v = check_node(c, yaml_document_get_node(c->doc, p->value), &item, sub);
        if (v && json_object_set_new(obj, (const char *)k->data.scalar.value, v) < 0) {
            wrong(c, n, sub, "is not UTF-8 text");
        }
    }
    return obj;
}

static const struct conf_field *find_field(const struct conf_field *t, const char *key) {
    for (; t && t->key; t++) {
        if (strcmp(t->key, key) == 0) {
            return t;
        }
    }
    return NULL;
}

static void known_keys(const struct conf_field *a, const struct conf_field *b, char *out, size_t size) {
    size_t n = 0;
    out[0] = '\0';
    for (int pass = 0; pass < 2; pass++) {
        for (const struct conf_field *t = pass ? b : a; t && t->key && n + 1 < size; t++) {
            int k = snprintf(out + n, size - n, "%s%s", n ? ", " : "", t->key);
            n += k > 0 ? (size_t)k : 0;
        }
    }
}

static void fill_missing(struct check *c, const yaml_node_t *n, const struct conf_field *t, json_t *obj,
                         const json_t *seen, const char *prefix) {
    for (; t && t->key; t++) {
        if (json_object_get(seen, t->key)) {
            continue;
        }
        char sub[FIELD_MAX];
        (void)snprintf(sub, sizeof sub, "%s%s%s", prefix, prefix[0] ? "." : "", t->key);
        if (t->required) {
            wrong(c, n, sub, "is missing");
        } else if (t->fallback) {
            json_t *v = scalar_from_text(c, n, t, t->fallback, sub);
            (void)json_object_set_new(obj, t->key, v);
        }
    }
}

/* The table that the choosing word asks for; NULL when the word is missing or unknown (reported with its own field). */
static const struct conf_field *choose(struct check *c, const yaml_node_t *n, const struct conf_field *f) {
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; f->choice && p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(c->doc, p->key), *v = yaml_document_get_node(c->doc, p->value);
        char s[SCALAR_MAX];
        if (!k || !v || k->type != YAML_SCALAR_NODE || v->type != YAML_SCALAR_NODE ||
            strcmp((const char *)k->data.scalar.value, f->words) != 0 ||
            conf_expand((const char *)v->data.scalar.value, s, sizeof s, NULL) < 0) {
            continue;
        }
        for (const struct conf_variant *x = f->choice; x->word; x++) {
            if (strcmp(x->word, s) == 0) {
                return x->fields;
            }
        }
    }
    return NULL;
}

static json_t *check_map(struct check *c, yaml_node_t *n, const struct conf_field *f, const char *field) {
    if (n->type != YAML_MAPPING_NODE) {
        wrong(c, n, field, "must be a mapping (key: value)");
        return NULL;
    }
    const struct conf_field *extra = f->kind == CONF_CHOICE ? choose(c, n, f) : NULL;
    json_t *obj = json_object(), *seen = json_object();
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        yaml_node_t *k = yaml_document_get_node(c->doc, p->key), *v = yaml_document_get_node(c->doc, p->value);
        if (!k || !v || k->type != YAML_SCALAR_NODE) {
            wrong(c, k ? k : n, field, "has a key that is no text");
            continue;
        }
        const char *key = (const char *)k->data.scalar.value;
        char sub[FIELD_MAX];
        (void)snprintf(sub, sizeof sub, "%s%s%.100s", field, field[0] ? "." : "", key);
        const struct conf_field *t = find_field(f->sub, key);
        t = t ? t : find_field(extra, key);
        if (!t) {
            char known[240];
            known_keys(f->sub, extra, known, sizeof known);
            if (f->kind != CONF_CHOICE || extra) {
                wrong(c, k, sub, "is not known here; known are %s", known);
            }
            continue;
        }
        if (json_object_get(seen, key)) {
            wrong(c, k, sub, "appears twice");
            continue;
        }
        (void)json_object_set_new(seen, key, json_true());
        json_t *value = check_node(c, v, t, sub);
        if (value) {
            (void)json_object_set_new(obj, key, value);
        }
    }
    fill_missing(c, n, f->sub, obj, seen, field);
    fill_missing(c, n, extra, obj, seen, field);
    json_decref(seen);
    return obj;
}

static json_t *check_list(struct check *c, yaml_node_t *n, const struct conf_field *f, const char *field) {
    if (n->type != YAML_SEQUENCE_NODE) {
        wrong(c, n, field, "must be a list");
        return NULL;
    }
    struct conf_field item = *f;
    item.kind = f->kind == CONF_TEXTS ? CONF_TEXT : f->choice ? CONF_CHOICE : CONF_MAP;
    json_t *list = json_array();
    int i = 0;
    for (yaml_node_item_t *it = n->data.sequence.items.start; it < n->data.sequence.items.top; it++, i++) {
        char sub[FIELD_MAX];
        (void)snprintf(sub, sizeof sub, "%s[%d]", field, i);
        json_t *v = check_node(c, yaml_document_get_node(c->doc, *it), &item, sub);
        if (v) {
            (void)json_array_append_new(list, v);
        }
    }
    if (f->min < f->max && (i < (int)f->min || i > (int)f->max)) {
        wrong(c, n, field, "must have %d to %d entries", (int)f->min, (int)f->max);
    }
    return list;
}

static json_t *check_node(struct check *c, yaml_node_t *n, const struct conf_field *f, const char *field) {
    if (!n || c->depth >= DEPTH_MAX || ++c->visited > NODES_MAX) {
        wrong(c, n, field, "is nested too deeply");
        return NULL;
    }
    if (c->positions) {
        char at[32];
        (void)snprintf(at, sizeof at, "%zu:%zu", n->start_mark.line + 1, n->start_mark.column + 1);
        (void)json_object_set_new(c->positions, field, json_string(at));
    }
    c->depth++;
    json_t *v = NULL;
    char s[SCALAR_MAX] = "";
    switch (f->kind) {
    case CONF_MAP:
    case CONF_CHOICE:
        v = check_map(c, n, f, field);
        break;
    case CONF_TEXTS:
    case CONF_MAPS:
        v = check_list(c, n, f, field);
        break;
    case CONF_FREE:
        v = check_free(c, n, field);
        break;
    case CONF_WORD_OR_FREE:
        if (n->type == YAML_MAPPING_NODE) {
            v = check_free(c, n, field);
            break;
        }
        /* fall through */
    default:
        v = scalar_text(c, n, field, s) ? scalar_from_text(c, n, f, s, field) : NULL;
        break;
    }
    c->depth--;
    return v;
}

void conf_check_file(const char *path, const struct conf_field *table, json_t **ret_doc, json_t *positions,
                     struct conf_mistakes *m) {
    *ret_doc = NULL;
    FILE *in = fopen(path, "rbe");
    if (!in) {
        conf_mistake_add(m, path, 1, 1, "", "cannot be opened: %s",
                         strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
        return;
    }
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser)) {
        conf_mistake_add(m, path, 1, 1, "", "no memory");
        (void)fclose(in);
        return;
    }
    yaml_parser_set_input_file(&parser, in);
    if (!yaml_parser_load(&parser, &doc)) {
        conf_mistake_add(m, path, (int)parser.problem_mark.line + 1, (int)parser.problem_mark.column + 1, "",
                         "not YAML: %s", parser.problem ? parser.problem : "unreadable");
    } else {
        struct check c = {.file = path, .doc = &doc, .positions = positions, .m = m};
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        struct conf_field top = {.key = "", .kind = CONF_MAP, .sub = table};
        if (root) {
            *ret_doc = check_node(&c, root, &top, "");
        } else {
            conf_mistake_add(m, path, 1, 1, "", "is empty");
        }
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    (void)fclose(in);
}
