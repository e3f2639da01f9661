/* SPDX-License-Identifier: GPL-2.0-or-later
 * A model's answers layer by layer (compiler/layers.h). */
#include "compiler/layers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "firmware/runtime/jf_model.h"

#define FORMAT "joulefarm-layers-1"
#define MAX_FILE (256u << 20)
#define MAX_LAYERS (IR_MAX_NODES * 2)

void layers_done(struct layers *l) {
    for (int i = 0; i < l->n; i++) {
        free(l->list[i].values);
    }
    free(l->list);
    memset(l, 0, sizeof *l);
}

/* Appends y, whose values become the list's; on failure they are freed. */
static int add_layer(struct layers *l, const struct layer *y, struct err *reterr) {
    if (!l->list) {
        l->list = calloc(MAX_LAYERS, sizeof *l->list);
    }
    if (!l->list || l->n >= MAX_LAYERS) {
        free(y->values);
        return l->list ? err_set(reterr, JF_E_TOO_LARGE, "more than %d layers", MAX_LAYERS) : err_set(reterr, JF_E_NOMEM, "no memory");
    }
    l->list[l->n++] = *y;
    return 0;
}

/* ---- a run -------------------------------------------------------------------------------------------------------- */
struct collector {
    const struct program *p;
    struct layers *l;
    int node, k; /* output k of the node comes next */
    int error;
    struct err *e;
};

static void collect(void *ctx, int node, const int8_t *out, int32_t n) {
    struct collector *c = ctx;
    c->k = node == c->node ? c->k + 1 : 0;
    c->node = node;
    if (c->error < 0) {
        return;
    }
    const struct ir_tensor *t = &c->p->model->tensors[c->p->nodes[node].out[c->k]];
    struct layer y = {.node = node, .index = c->p->nodes[node].out[c->k], .n = n, .crc = jfm_crc32(0, out, n), .scale = (double)ir_scale(t, 0), .zero_point = t->n_scales ? ir_zero_point(t) : 0};
    y.values = malloc((size_t)n + 1);
    if (!y.values) {
        c->error = err_set(c->e, JF_E_NOMEM, "no memory");
        return;
    }
    memcpy(y.values, out, (size_t)n);
    (void)snprintf(y.op, sizeof y.op, "%s", ir_op_name(c->p->nodes[node].op));
    (void)snprintf(y.tensor, sizeof y.tensor, "%s", t->name);
    c->error = add_layer(c->l, &y, c->e);
}

int layers_run(const struct program *p, const int8_t *input, struct layers *ret_l, struct err *reterr) {
    memset(ret_l, 0, sizeof *ret_l);
    int8_t *arena = calloc(1, (size_t)p->arena_bytes + 1);
    if (!arena) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the arena");
    }
    memcpy(arena + p->offset[p->model->input], input, (size_t)p->model->tensors[p->model->input].elements);
    struct collector c = {p, ret_l, -1, 0, 0, reterr};
    program_run(p, arena, collect, &c);
    free(arena);
    (void)snprintf(ret_l->numerics, sizeof ret_l->numerics, "%s", numerics_name(p->numerics));
    if (c.error < 0) {
        layers_done(ret_l);
    }
    return c.error;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */
json_t *layers_json(const struct layers *l) {
    json_t *list = json_array();
    for (int i = 0; i < l->n; i++) {
        const struct layer *y = &l->list[i];
        char crc[12];
        (void)snprintf(crc, sizeof crc, "%08" PRIx32, y->crc);
        json_t *o = json_pack("{s:i,s:i,s:s,s:s,s:i,s:f,s:i,s:s}", "node", y->node, "index", y->index, "op", y->op, "tensor", y->tensor, "elements", y->n, "scale", y->scale, "zero_point", y->zero_point, "crc32", crc);
        if (y->values) {
            json_t *values = json_array();
            for (int32_t k = 0; k < y->n; k++) {
                json_array_append_new(values, json_integer(y->values[k]));
            }
            json_object_set_new(o, "values", values);
        }
        json_array_append_new(list, o);
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:o}", "format", FORMAT, "model_sha256", l->model_sha256, "numerics", l->numerics, "input", l->input, "layers", list);
}

static int hex32(const char *s, uint32_t *ret) {
    char *end = NULL;
    if (strlen(s) != 8 || strspn(s, "0123456789abcdefABCDEF") != 8) {
        return -1;
    }
    *ret = (uint32_t)strtoul(s, &end, 16);
    return *end ? -1 : 0;
}

static int read_values(const json_t *values, struct layer *y, int i, struct err *reterr) {
    if (json_array_size(values) != (size_t)y->n) {
        return err_set(reterr, JF_E_PARSE, "layers[%d].values: %zu numbers, elements says %d", i, json_array_size(values), y->n);
    }
    y->values = malloc((size_t)y->n + 1);
    if (!y->values) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int32_t k = 0; k < y->n; k++) {
        const json_t *v = json_array_get(values, (size_t)k);
        if (!json_is_integer(v) || json_integer_value(v) < -128 || json_integer_value(v) > 127) {
            return err_set(reterr, JF_E_PARSE, "layers[%d].values[%d] is no int8", i, k);
        }
        y->values[k] = (int8_t)json_integer_value(v);
    }
    if (jfm_crc32(0, y->values, y->n) != y->crc) {
        return err_set(reterr, JF_E_PARSE, "layers[%d]: crc32 and values contradict each other", i);
    }
    return 0;
}

static int read_layer(const json_t *o, struct layers *l, struct err *reterr) {
    struct layer y = {.index = -1};
    int i = l->n, node = -1, n = 0, zero = 0;
    const char *op = "", *tensor = "", *crc = "";
    json_t *values = NULL;
    if (json_unpack((json_t *)(uintptr_t)o, "{s?i,s?s,s?s,s:i,s?F,s?i,s:s,s?o}", "node", &node, "op", &op, "tensor", &tensor, "elements", &n, "scale", &y.scale, "zero_point", &zero, "crc32", &crc, "values", &values) <
            0 ||
        n < 1 || n > IR_MAX_ELEMENTS || hex32(crc, &y.crc) < 0 || !(y.scale >= 0) || !isfinite(y.scale)) {
        return err_set(reterr, JF_E_PARSE, "layers[%d] needs elements (from 1), crc32 (8 hex digits), and may have node, op, tensor, scale, zero_point, values", i);
    }
    y.node = node;
    y.n = n;
    y.zero_point = zero;
    (void)snprintf(y.op, sizeof y.op, "%s", op);
    (void)snprintf(y.tensor, sizeof y.tensor, "%s", tensor);
    int r = values && !json_is_null(values) ? read_values(values, &y, i, reterr) : 0;
    if (r < 0) {
        free(y.values);
        return r;
    }
    return add_layer(l, &y, reterr);
}

static int read_json(const json_t *doc, struct layers *l, struct err *reterr) {
    const char *format = "", *sha = "", *numerics = "", *input = "";
    json_t *list = NULL;
    if (json_unpack((json_t *)(uintptr_t)doc, "{s:s,s?s,s?s,s?s,s:o}", "format", &format, "model_sha256", &sha, "numerics", &numerics, "input", &input, "layers", &list) < 0 ||
        strcmp(format, FORMAT) != 0 || !json_is_array(list)) {
        return err_set(reterr, JF_E_PARSE, "no answers of `jf-model run --layers` (format " FORMAT ")");
    }
    (void)snprintf(l->model_sha256, sizeof l->model_sha256, "%s", sha);
    (void)snprintf(l->numerics, sizeof l->numerics, "%s", numerics);
    (void)snprintf(l->input, sizeof l->input, "%s", input);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        r = read_layer(json_array_get(list, i), l, reterr);
    }
    return r;
}

/* A decimal number of at most 9 digits and the comma behind it. */
static bool number(const char **at, int32_t *ret) {
    int32_t v = 0;
    const char *s = *at;
    while (*s >= '0' && *s <= '9' && s - *at < 9) {
        v = v * 10 + (*s++ - '0');
    }
    *ret = v;
    if (s == *at || *s != ',') {
        return false;
    }
    *at = s + 1;
    return true;
}

/* "... m-jf-layer-[3,160,9a3b0c11] ..." in any line; other lines are a board's other talk. */
static int read_transcript(const char *text, struct layers *l, struct err *reterr) {
    static const char mark[] = "m-jf-layer-[";
    int line = 1;
    for (const char *s = text; *s; s++) {
        line += *s == '\n';
        if (strncmp(s, mark, sizeof mark - 1) != 0) {
            continue;
        }
        const char *at = s + sizeof mark - 1;
        int32_t k = -1, n = -1;
        char crc[9] = "";
        struct layer y = {.node = -1, .index = -1};
        if (!number(&at, &k) || !number(&at, &n) || n < 1 || n > IR_MAX_ELEMENTS || strcspn(at, "]\r\n") != 8 || at[8] != ']') {
            return err_set(reterr, JF_E_PARSE, "line %d: m-jf-layer-[K,N,CRC32] is malformed", line);
        }
        if (k != l->n) {
            return err_set(reterr, JF_E_PARSE, "line %d: layer %d where %d belongs", line, k, l->n);
        }
        y.n = n;
        memcpy(crc, at, 8);
        if (hex32(crc, &y.crc) < 0) {
            return err_set(reterr, JF_E_PARSE, "line %d: the checksum has to have 8 hex digits", line);
        }
        int r = add_layer(l, &y, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int layers_read(const char *path, struct layers *ret_l, struct err *reterr) {
    void *bytes = NULL;
    size_t n = 0;
    memset(ret_l, 0, sizeof *ret_l);
    int r = file_read(path, MAX_FILE, &bytes, &n, reterr);
    if (r < 0 || !bytes) {
        return r < 0 ? r : err_set(reterr, JF_E_PARSE, "the file is empty");
    }
    json_error_t je;
    json_t *doc = json_loadb(bytes, n, 0, &je);
    if (doc) {
        r = read_json(doc, ret_l, reterr);
        json_decref(doc);
    } else {
        char *text = calloc(n + 1, 1);
        if (!text) {
            r = err_set(reterr, JF_E_NOMEM, "no memory");
        } else {
            for (size_t i = 0; i < n; i++) { /* a line of noise must not end the text */
                text[i] = ((char *)bytes)[i] ? ((char *)bytes)[i] : ' ';
            }
            r = read_transcript(text, ret_l, reterr);
            free(text);
        }
    }
    free(bytes);
    if (r >= 0 && ret_l->n == 0) {
        r = err_set(reterr, JF_E_PARSE, "no layer in it: neither answers of `jf-model run --layers` nor a board's lines m-jf-layer-[K,N,CRC32]");
    }
    if (r < 0) {
        layers_done(ret_l);
    }
    return r;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */
static void compare(const struct layer *a, const struct layer *b, struct layer_diff *d) {
    *d = (struct layer_diff){a, b, a->crc == b->crc && a->scale == b->scale && a->zero_point == b->zero_point, a->values && b->values, 0, 0, 0, 0, -1};
    bool known = a->scale > 0 && b->scale > 0;
    if (!known) {
        d->equal = a->crc == b->crc;
    }
    if (!d->by_values) {
        return;
    }
    double sum = 0;
    for (int32_t k = 0; k < a->n; k++) {
        int32_t steps = abs((int)a->values[k] - (int)b->values[k]);
        double real = known ? fabs((a->values[k] - a->zero_point) * a->scale - (b->values[k] - b->zero_point) * b->scale) : 0;
        if (steps && d->first < 0) {
            d->first = k;
        }
        d->differing += steps != 0;
        d->max_steps = steps > d->max_steps ? steps : d->max_steps;
        d->max_real = real > d->max_real ? real : d->max_real;
        sum += real;
    }
    d->mean_real = sum / a->n;
}

static int by_name(const struct layers *l, const char *name) {
    int found = -1;
    for (int i = 0; name[0] && i < l->n; i++) {
        if (strcmp(l->list[i].tensor, name) == 0) {
            if (found >= 0) {
                return -1;
            }
            found = i;
        }
    }
    return found;
}

int layers_compare(const struct layers *a, const struct layers *b, struct layer_diff **ret_d, int *ret_n, struct err *reterr) {
    struct layer_diff *d = calloc((size_t)(a->n ? a->n : 1), sizeof *d);
    int n = 0;
    if (!d) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int i = 0; i < a->n; i++) { /* names first: two front ends, or a folded layer, give other numbers */
        int k = by_name(a, a->list[i].tensor) >= 0 ? by_name(b, a->list[i].tensor) : -1;
        if (k >= 0 && a->list[i].n == b->list[k].n) {
            compare(&a->list[i], &b->list[k], &d[n++]);
        }
    }
    if (n == 0) {
        if (a->n != b->n) {
            free(d);
            return err_set(reterr, JF_E_CONFLICT, "%d layers beside %d, and no common names: these are not runs of one network", a->n, b->n);
        }
        for (int i = 0; i < a->n; i++) {
            if (a->list[i].n != b->list[i].n) {
                free(d);
                return err_set(reterr, JF_E_CONFLICT, "layer %d has %d values beside %d: these are not runs of one network", i, a->list[i].n, b->list[i].n);
            }
            compare(&a->list[i], &b->list[i], &d[n++]);
        }
    }
    *ret_d = d;
    *ret_n = n;
    return 0;
}

int32_t layers_top1(const struct layers *l) {
    const struct layer *y = l->n ? &l->list[l->n - 1] : NULL;
    int32_t best = -1;
    for (int32_t k = 0; y && y->values && k < y->n; k++) {
        best = best < 0 || y->values[k] > y->values[best] ? k : best;
    }
    return best;
}
