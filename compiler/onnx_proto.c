/* SPDX-License-Identifier: GPL-2.0-or-later
 * The messages of an ONNX file: a look at the bytes before protobuf-c unpacks them, and typed access to attributes and constants.
 * protobuf-c 1.4 recurses as deep as the file nests; only subgraphs, functions, training graphs and types that contain types nest
 * without bound, and none of them occurs in a quantized network, so they are refused first. Field numbers: onnx.proto. */
#include <stdio.h>
#include <string.h>

#include "compiler/onnx_impl.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little-endian");

enum kind { MODEL, GRAPH, NODE, ATTRIBUTE, VALUE_INFO, TYPE, KINDS };
static const char *const kind_name[KINDS] = {"ModelProto", "GraphProto", "NodeProto", "AttributeProto", "ValueInfoProto", "TypeProto"};

struct rule {
    enum kind in;
    uint32_t field;
    int child;        /* enum kind; -1: refused */
    const char *what; /* refused: as what */
};
static const struct rule rules[] = {
    {MODEL, 7, GRAPH, NULL},      {MODEL, 20, -1, "training information"}, {MODEL, 25, -1, "a function"},
    {GRAPH, 1, NODE, NULL},       {GRAPH, 11, VALUE_INFO, NULL},           {GRAPH, 12, VALUE_INFO, NULL},
    {GRAPH, 13, VALUE_INFO, NULL}, {NODE, 5, ATTRIBUTE, NULL},             {ATTRIBUTE, 6, -1, "a subgraph"},
    {ATTRIBUTE, 11, -1, "subgraphs"}, {ATTRIBUTE, 14, -1, "a type"},       {ATTRIBUTE, 15, -1, "types"},
    {VALUE_INFO, 2, TYPE, NULL},  {TYPE, 4, -1, "a sequence type"},        {TYPE, 5, -1, "a map type"},
    {TYPE, 9, -1, "an optional type"},
};
#define N_RULES (sizeof rules / sizeof *rules)

struct span {
    const uint8_t *p;
    size_t at, end;
};

static int varint(struct span *s, uint64_t *ret) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (s->at >= s->end) {
            return -1;
        }
        uint8_t b = s->p[s->at++];
        if (shift < 64) {
            v |= (uint64_t)(b & 0x7f) << shift;
        }
        if (!(b & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -1;
}

static int torn(const struct span *s, struct err *reterr) {
    char where[32];
    (void)snprintf(where, sizeof where, "byte %zu", s->at);
    return err_set_at(reterr, JF_E_PARSE, where, "at byte %zu: no ONNX file, or a damaged one", s->at);
}

/* One field's key and extent: *ret_child covers a length-delimited one, empty for the others. */
static int field_next(struct span *s, uint32_t *ret_field, struct span *ret_child, struct err *reterr) {
    uint64_t key = 0, len = 0;
    if (varint(s, &key) < 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        return torn(s, reterr);
    }
    *ret_field = (uint32_t)(key >> 3);
    *ret_child = (struct span){s->p, 0, 0};
    switch (key & 7) {
    case 0:
        return varint(s, &len) < 0 ? torn(s, reterr) : 0;
    case 1:
        len = 8;
        break;
    case 5:
        len = 4;
        break;
    case 2:
        if (varint(s, &len) < 0) {
            return torn(s, reterr);
        }
        break;
    default: /* groups are not in this schema */
        return torn(s, reterr);
    }
    if (len > s->end - s->at) {
        return torn(s, reterr);
    }
    if ((key & 7) == 2) {
        *ret_child = (struct span){s->p, s->at, s->at + (size_t)len};
    }
    s->at += (size_t)len;
    return 0;
}

/* Walks the messages that the rules name; no deeper than model, graph, node, attribute. */
static int prescan(const uint8_t *bytes, size_t n, struct err *reterr) {
    struct {
        enum kind kind;
        struct span s;
    } stack[KINDS + 1];
    int depth = 0;
    stack[0].kind = MODEL;
    stack[0].s = (struct span){bytes, 0, n};
    while (depth >= 0) {
        struct span *s = &stack[depth].s, child = {NULL, 0, 0};
        uint32_t field = 0;
        if (s->at >= s->end) {
            depth--;
            continue;
        }
        size_t at = s->at;
        int r = field_next(s, &field, &child, reterr);
        if (r < 0) {
            return r;
        }
        for (size_t i = 0; i < N_RULES; i++) {
            if (rules[i].in != stack[depth].kind || rules[i].field != field) {
                continue;
            }
            if (rules[i].child < 0) {
                return err_set(reterr, JF_E_UNSUPPORTED, "at byte %zu: %s contains %s, which has no place in a quantized network", at, kind_name[stack[depth].kind], rules[i].what);
            }
            depth++;
            stack[depth].kind = (enum kind)rules[i].child;
            stack[depth].s = child;
            break;
        }
    }
    return 0;
}

int onnx_unpack(const uint8_t *bytes, size_t n, Onnx__ModelProto **ret_p, struct err *reterr) {
    int r = prescan(bytes, n, reterr);
    if (r < 0) {
        return r;
    }
    Onnx__ModelProto *p = onnx__model_proto__unpack(NULL, n, bytes);
    if (!p) {
        return err_set(reterr, JF_E_PARSE, "no ONNX file, or a damaged one");
    }
    if (!p->graph || p->graph->n_node == 0) {
        onnx__model_proto__free_unpacked(p, NULL);
        return err_set(reterr, JF_E_PARSE, "no graph in the file");
    }
    *ret_p = p;
    return 0;
}

const Onnx__AttributeProto *onnx_attr(const Onnx__NodeProto *n, const char *name) {
    for (size_t i = 0; i < n->n_attribute; i++) {
        if (n->attribute[i]->name && strcmp(n->attribute[i]->name, name) == 0) {
            return n->attribute[i];
        }
    }
    return NULL;
}

int64_t onnx_attr_int(const Onnx__NodeProto *n, const char *name, int64_t dflt) {
    const Onnx__AttributeProto *a = onnx_attr(n, name);
    return a && a->has_i ? a->i : dflt;
}

float onnx_attr_float(const Onnx__NodeProto *n, const char *name, float dflt) {
    const Onnx__AttributeProto *a = onnx_attr(n, name);
    return a && a->has_f ? a->f : dflt;
}

bool onnx_attr_is(const Onnx__NodeProto *n, const char *name, const char *value, const char *dflt) {
    const Onnx__AttributeProto *a = onnx_attr(n, name);
    if (!a || !a->has_s) {
        return strcmp(value, dflt) == 0;
    }
    return a->s.len == strlen(value) && memcmp(a->s.data, value, a->s.len) == 0;
}

static int32_t clamp32(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }

int onnx_attr_ints(const Onnx__NodeProto *n, const char *name, int want, int32_t *dst, struct err *reterr) {
    const Onnx__AttributeProto *a = onnx_attr(n, name);
    if (!a) {
        return 0;
    }
    if (a->n_ints != (size_t)want) {
        return err_set(reterr, JF_E_PARSE, "%s has %zu numbers where %d belong", name, a->n_ints, want);
    }
    for (int i = 0; i < want; i++) {
        dst[i] = clamp32(a->ints[i]);
    }
    return 0;
}

/* Bytes of an element in raw_data; 0: a type that does not occur. */
static size_t element_size(int type) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
        return 1;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return 8;
    default:
        return 0;
    }
}

int onnx_array(const Onnx__TensorProto *t, struct onnx_array *ret_a, struct err *reterr) {
    const char *name = t->name ? t->name : "";
    struct onnx_array a = {.type = t->has_data_type ? t->data_type : 0, .rank = (int)t->n_dims, .n = 1, .t = t};
    size_t size = element_size(a.type);
    if (size == 0) {
        return err_set(reterr, JF_E_UNSUPPORTED, "constant '%s' has element type %d; float, int8, uint8, int32 and int64 are known", name, a.type);
    }
    if (t->n_dims > IR_MAX_DIMS) {
        return err_set(reterr, JF_E_UNSUPPORTED, "constant '%s' has %zu dimensions, at most %d are handled", name, t->n_dims, IR_MAX_DIMS);
    }
    if (t->n_external_data || (t->has_data_location && t->data_location != 0)) {
        return err_set(reterr, JF_E_UNSUPPORTED, "constant '%s' lies in another file; save the model as one file", name);
    }
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0 || t->dims[i] > IR_MAX_ELEMENTS || (a.n *= t->dims[i]) > IR_MAX_ELEMENTS) {
            return err_set(reterr, JF_E_PARSE, "constant '%s' has an absurd shape", name);
        }
        a.dims[i] = t->dims[i];
    }
    size_t have = t->has_raw_data                                     ? t->raw_data.len / size
                  : a.type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT    ? t->n_float_data
                  : a.type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64    ? t->n_int64_data
                                                                      : t->n_int32_data;
    if (have != (size_t)a.n || (t->has_raw_data && t->raw_data.len % size)) {
        return err_set(reterr, JF_E_PARSE, "constant '%s' holds %zu values, its shape says %lld", name, have, (long long)a.n);
    }
    *ret_a = a;
    return 0;
}

float onnx_array_float(const struct onnx_array *a, int64_t i) {
    if (!a->t->has_raw_data) {
        return a->t->float_data[i];
    }
    float v;
    memcpy(&v, a->t->raw_data.data + 4 * i, sizeof v);
    return v;
}

int64_t onnx_array_int(const struct onnx_array *a, int64_t i) {
    const Onnx__TensorProto *t = a->t;
    if (!t->has_raw_data) {
        return a->type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64    ? t->int64_data[i]
               : a->type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT8  ? (uint8_t)t->int32_data[i]
               : a->type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8   ? (int8_t)t->int32_data[i]
                                                                  : t->int32_data[i];
    }
    const uint8_t *p = t->raw_data.data;
    int32_t v32;
    int64_t v64;
    switch (a->type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
        return p[i];
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
        return (int8_t)p[i];
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        memcpy(&v32, p + 4 * i, sizeof v32);
        return v32;
    default:
        memcpy(&v64, p + 8 * i, sizeof v64);
        return v64;
    }
}
