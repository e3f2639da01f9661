/* SPDX-License-Identifier: GPL-2.0-or-later
 * A YAML file as a tree (compiler/yaml_doc.h), over libyaml's document API. */
#include "compiler/yaml_doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"

struct yaml_doc {
    char name[160]; /* the file's, for messages */
    yaml_document_t doc;
};

static yaml_node_t *node_of(const struct yaml_doc *d, int node) {
    return node > 0 ? yaml_document_get_node((yaml_document_t *)&d->doc, node) : NULL; /* libyaml lacks the const */
}

static int count_use(unsigned char *used, int n, int node) { return node < 1 || node > n || used[node - 1]++ ? -1 : 0; }

/* Anchors may make a node its own child, or a small file a huge tree: every node must have one parent. */
static int check_tree(const struct yaml_doc *d) {
    int n = (int)(d->doc.nodes.top - d->doc.nodes.start), bad = 0;
    unsigned char *used = calloc((size_t)n + 1, 1);
    if (!used) {
        return -1;
    }
    used[0] = n > 0; /* the root has none, so it is nobody's child */
    for (int i = 1; i <= n; i++) {
        const yaml_node_t *x = node_of(d, i);
        if (x->type == YAML_SEQUENCE_NODE) {
            for (const yaml_node_item_t *p = x->data.sequence.items.start; p < x->data.sequence.items.top; p++) {
                bad |= count_use(used, n, *p);
            }
        } else if (x->type == YAML_MAPPING_NODE) {
            for (const yaml_node_pair_t *p = x->data.mapping.pairs.start; p < x->data.mapping.pairs.top; p++) {
                bad |= count_use(used, n, p->key) | count_use(used, n, p->value);
            }
        }
    }
    free(used);
    return bad;
}

static int parse(struct yaml_doc *d, const void *bytes, size_t n, struct err *reterr) {
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p)) {
        return err_set(reterr, JF_E_NOMEM, "no memory to read %s", d->name);
    }
    yaml_parser_set_input_string(&p, bytes, n);
    int r = 0;
    if (!yaml_parser_load(&p, &d->doc)) {
        char where[200];
        (void)snprintf(where, sizeof where, "%s:%zu", d->name, p.problem_mark.line + 1);
        r = err_set_at(reterr, JF_E_PARSE, where, "%s: %s", where, p.problem ? p.problem : "no YAML");
    }
    yaml_parser_delete(&p);
    return r;
}

int yaml_doc_parse(const char *name, const void *bytes, size_t n, struct yaml_doc **ret_d, struct err *reterr) {
    struct yaml_doc *d = calloc(1, sizeof *d);
    if (!d) {
        return err_set(reterr, JF_E_NOMEM, "no memory to read %s", name);
    }
    (void)snprintf(d->name, sizeof d->name, "%s", name);
    int r = parse(d, bytes, n, reterr);
    if (r < 0) {
        free(d);
        return r;
    }
    if (!yaml_document_get_root_node(&d->doc)) {
        r = err_set_at(reterr, JF_E_PARSE, d->name, "%s:1: the file is empty", d->name);
    } else if (check_tree(d) != 0) {
        r = err_set_at(reterr, JF_E_PARSE, d->name, "%s:1: anchors are not used here", d->name);
    }
    if (r < 0) {
        yaml_doc_free(d);
        return r;
    }
    *ret_d = d;
    return 0;
}

int yaml_doc_read(const char *path, struct yaml_doc **ret_d, struct err *reterr) {
    void *bytes = NULL;
    size_t n = 0;
    int r = file_read(path, YAML_DOC_MAX_BYTES, &bytes, &n, reterr);
    if (r < 0) {
        return err_prefix(reterr, "%s", path);
    }
    r = yaml_doc_parse(path, bytes, n, ret_d, reterr);
    free(bytes);
    return r;
}

void yaml_doc_free(struct yaml_doc *d) {
    if (d) {
        yaml_document_delete(&d->doc);
        free(d);
    }
}

int yaml_doc_root(const struct yaml_doc *d) {
    (void)d;
    return 1;
}

bool yaml_doc_is_map(const struct yaml_doc *d, int node) {
    const yaml_node_t *x = node_of(d, node);
    return x && x->type == YAML_MAPPING_NODE;
}

bool yaml_doc_is_list(const struct yaml_doc *d, int node) {
    const yaml_node_t *x = node_of(d, node);
    return x && x->type == YAML_SEQUENCE_NODE;
}

const char *yaml_doc_text(const struct yaml_doc *d, int node) {
    const yaml_node_t *x = node_of(d, node);
    return x && x->type == YAML_SCALAR_NODE ? (const char *)x->data.scalar.value : NULL;
}

int yaml_doc_count(const struct yaml_doc *d, int node) {
    const yaml_node_t *x = node_of(d, node);
    return !x                              ? 0
           : x->type == YAML_SEQUENCE_NODE ? (int)(x->data.sequence.items.top - x->data.sequence.items.start)
           : x->type == YAML_MAPPING_NODE  ? (int)(x->data.mapping.pairs.top - x->data.mapping.pairs.start)
                                           : 0;
}

int yaml_doc_item(const struct yaml_doc *d, int list, int i) {
    return yaml_doc_is_list(d, list) && i >= 0 && i < yaml_doc_count(d, list) ? node_of(d, list)->data.sequence.items.start[i] : 0;
}

int yaml_doc_pair(const struct yaml_doc *d, int map, int i, const char **ret_key) {
    if (!yaml_doc_is_map(d, map) || i < 0 || i >= yaml_doc_count(d, map)) {
        return 0;
    }
    const yaml_node_pair_t *p = &node_of(d, map)->data.mapping.pairs.start[i];
    *ret_key = yaml_doc_text(d, p->key);
    return p->value;
}

int yaml_doc_get(const struct yaml_doc *d, int map, const char *key) {
    for (int i = 0; i < yaml_doc_count(d, map); i++) {
        const char *k = NULL;
        int value = yaml_doc_pair(d, map, i, &k);
        if (k && strcmp(k, key) == 0) {
            return value;
        }
    }
    return 0;
}

int yaml_doc_wrong(const struct yaml_doc *d, int node, const char *field, struct err *reterr, const char *fmt, ...) {
    char text[300], where[200];
    const yaml_node_t *x = node_of(d, node);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is the line above */
    va_end(ap);
    (void)snprintf(where, sizeof where, "%s:%zu", d->name, x ? x->start_mark.line + 1 : 1);
    return err_set_at(reterr, JF_E_PARSE, where, "%s: %s%s%s", where, field, field[0] ? ": " : "", text);
}

static bool among(const char *keys, const char *k) {
    size_t n = strlen(k);
    for (const char *p = keys; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strcspn(p, "|") == n && strncmp(p, k, n) == 0) {
            return true;
        }
    }
    return false;
}

int yaml_doc_keys(const struct yaml_doc *d, int node, const char *field, const char *keys, struct err *reterr) {
    if (!yaml_doc_is_map(d, node)) {
        return yaml_doc_wrong(d, node, field, reterr, "must be a map of %s", keys);
    }
    for (int i = 0; i < yaml_doc_count(d, node); i++) {
        const char *k = NULL;
        int value = yaml_doc_pair(d, node, i, &k);
        if (!k || !among(keys, k)) {
            return yaml_doc_wrong(d, value, field, reterr, "has no field \"%.60s\" (it has %s)", k ? k : "", keys);
        }
        if (yaml_doc_get(d, node, k) != value) {
            return yaml_doc_wrong(d, value, field, reterr, "the field %.60s is given twice", k);
        }
    }
    return 0;
}
