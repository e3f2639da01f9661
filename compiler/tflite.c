/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reader of int8 .tflite files (compiler/tflite.h). Owns the bounds checks and nothing else. */
#include "compiler/tflite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    const uint8_t *p;
    size_t n;
    struct err *e;
};
struct table {
    size_t at, vtable;
    uint32_t vtable_len;
};
struct vec {
    size_t at; /* of the first element */
    uint32_t n;
};

static uint32_t u32_at(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint16_t u16_at(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static int bad(struct file *f, size_t at, const char *what) {
    char where[32];
    (void)snprintf(where, sizeof where, "byte %zu", at);
    return err_set_at(f->e, JF_E_PARSE, where, "at byte %zu: %s", at, what);
}

static bool inside(const struct file *f, size_t at, size_t len) { return at <= f->n && len <= f->n - at; }

static int follow(struct file *f, size_t at, size_t *ret_to) {
    if (!inside(f, at, 4)) {
        return bad(f, at, "an offset lies outside the file");
    }
    size_t to = at + u32_at(f->p + at);
    if (to == at || !inside(f, to, 4)) {
        return bad(f, at, "an offset points outside the file");
    }
    *ret_to = to;
    return 0;
}

static int table_open(struct file *f, size_t at, struct table *ret_t) {
    if (!inside(f, at, 4)) {
        return bad(f, at, "a table lies outside the file");
    }
    int64_t vt = (int64_t)at - (int32_t)u32_at(f->p + at);
    if (vt < 0 || !inside(f, (size_t)vt, 4)) {
        return bad(f, at, "a table's vtable lies outside the file");
    }
    uint16_t len = u16_at(f->p + vt), size = u16_at(f->p + vt + 2);
    if (len < 4 || (len & 1) || !inside(f, (size_t)vt, len) || size < 4 || !inside(f, at, size)) {
        return bad(f, (size_t)vt, "a vtable is malformed");
    }
    *ret_t = (struct table){at, (size_t)vt, len};
    return 0;
}

/* Position of a field's value of `size` bytes, 0 when absent, negative when malformed. */
static int64_t field(struct file *f, const struct table *t, int slot, size_t size) {
    size_t entry = 4 + 2 * (size_t)slot;
    if (entry + 2 > t->vtable_len) { /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): table_open filled t or failed */
        return 0;
    }
    uint16_t off = u16_at(f->p + t->vtable + entry);
    if (off == 0) {
        return 0;
    }
    if (!inside(f, t->at + off, size)) {
        return bad(f, t->vtable + entry, "a field lies outside the file");
    }
    return (int64_t)(t->at + off);
}

static int scalar(struct file *f, const struct table *t, int slot, int size, int64_t fallback, int64_t *ret_v) {
    int64_t at = field(f, t, slot, (size_t)size);
    if (at < 0) {
        return (int)at;
    }
    *ret_v = at == 0 ? fallback : size == 1 ? (int8_t)f->p[at] : (int64_t)(int32_t)u32_at(f->p + at);
    return 0;
}

static int vector(struct file *f, const struct table *t, int slot, size_t size, struct vec *ret_v) {
    size_t to = 0;
    int64_t at = field(f, t, slot, 4);
    *ret_v = (struct vec){0, 0};
    if (at <= 0) {
        return (int)at;
    }
    int r = follow(f, (size_t)at, &to);
    if (r < 0) {
        return r;
    }
    uint32_t n = u32_at(f->p + to);
    if (n > f->n / size || !inside(f, to + 4, n * size)) {
        return bad(f, to, "a vector is longer than the file");
    }
    *ret_v = (struct vec){to + 4, n};
    return 0;
}

static int table_in(struct file *f, const struct vec *v, uint32_t i, struct table *ret_t) {
    size_t to = 0;
    int r = follow(f, v->at + 4 * (size_t)i, &to);
    return r < 0 ? r : table_open(f, to, ret_t);
}

static int read_shape(struct file *f, const struct table *t, struct ir_tensor *ret) {
    struct vec v;
    int r = vector(f, t, 0, 4, &v);
    if (r < 0) {
        return r;
    }
    if (v.n > IR_MAX_DIMS) {
        return err_set(f->e, JF_E_UNSUPPORTED, "tensor \"%s\" has %u dimensions; at most %d are supported", ret->name, v.n, IR_MAX_DIMS);
    }
    int64_t elements = 1;
    ret->rank = (int)v.n;
    for (uint32_t i = 0; i < v.n; i++) {
        int32_t d = (int32_t)u32_at(f->p + v.at + 4 * (size_t)i);
        if (d <= 0 || d > IR_MAX_ELEMENTS || elements > IR_MAX_ELEMENTS / d) {
            return err_set(f->e, JF_E_UNSUPPORTED, "tensor \"%s\": dimension %u is %d, which is not supported", ret->name, i, d);
        }
        ret->shape[i] = d;
        elements *= d;
    }
    ret->elements = (int32_t)elements;
    return 0;
}

static int read_quantization(struct file *f, const struct table *t, struct ir_tensor *ret) {
    struct vec scales, zeros;
    size_t to = 0;
    int64_t axis = 0, at = field(f, t, 4, 4);
    struct table q;
    if (at <= 0) {
        return (int)at;
    }
    int r = follow(f, (size_t)at, &to);
    r = r < 0 ? r : table_open(f, to, &q);
    r = r < 0 ? r : vector(f, &q, 2, 4, &scales);
    r = r < 0 ? r : vector(f, &q, 3, 8, &zeros);
    r = r < 0 ? r : scalar(f, &q, 6, 4, 0, &axis);
    if (r < 0 || scales.n == 0) {
        return r;
    }
    if (axis < 0 || axis >= (ret->rank ? ret->rank : 1) || scales.n > INT32_MAX || (scales.n > 1 && (int64_t)scales.n != ret->shape[axis]) ||
        (zeros.n != 0 && zeros.n != scales.n)) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": %u scales and %u zero points on axis %lld do not fit its shape", ret->name, scales.n,
                       zeros.n, (long long)axis);
    }
    ret->scales = f->p + scales.at;
    ret->zero_points = zeros.n ? f->p + zeros.at : NULL;
    ret->n_scales = (int32_t)scales.n;
    ret->axis = (int32_t)axis;
    return 0;
}

static int read_data(struct file *f, const struct vec *buffers, int64_t index, struct ir_tensor *ret) {
    struct table b;
    struct vec data;
    if (index < 0 || index >= buffers->n) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": buffer %lld does not exist", ret->name, (long long)index);
    }
    int r = table_in(f, buffers, (uint32_t)index, &b);
    r = r < 0 ? r : vector(f, &b, 0, 1, &data);
    if (r < 0 || data.n == 0) {
        return r;
    }
    size_t want = (size_t)ret->elements * (ret->type == IR_I32 ? 4u : 1u);
    if (ret->type != IR_OTHER && data.n != want) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": %u bytes of data, its shape wants %zu", ret->name, data.n, want);
    }
    ret->data = f->p + data.at;
    return 0;
}

static int read_tensor(struct file *f, const struct vec *tensors, const struct vec *buffers, uint32_t i, struct ir_tensor *ret) {
    struct table t;
    struct vec name;
    int64_t type = 0, buffer = 0;
    int r = table_in(f, tensors, i, &t);
    r = r < 0 ? r : vector(f, &t, 3, 1, &name);
    r = r < 0 ? r : scalar(f, &t, 1, 1, 0, &type);
    r = r < 0 ? r : scalar(f, &t, 2, 4, 0, &buffer);
    if (r < 0) {
        return r;
    }
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)(name.n < 63 ? name.n : 63), (const char *)(f->p + name.at));
    for (char *c = ret->name; *c; c++) {
        *c = (*c < 32 || *c > 126 || *c == '"') ? '?' : *c;
    }
    ret->type = type == 9 ? IR_I8 : type == 2 ? IR_I32 : IR_OTHER;
    ret->producer = ret->last_use = -1;
    r = read_shape(f, &t, ret);
    r = r < 0 ? r : read_quantization(f, &t, ret);
    return r < 0 ? r : read_data(f, buffers, buffer, ret);
}

/* Which options field holds what, per operator; slot -1: not there. */
struct op_row {
    int builtin;
    enum ir_op op;
    int padding, stride_w, stride_h, filter_w, filter_h, mult, act, dil_w, dil_h;
};
static const struct op_row op_rows[] = {
    {3, IR_CONV, 0, 1, 2, -1, -1, -1, 3, 4, 5},     {4, IR_DEPTHWISE, 0, 1, 2, -1, -1, 3, 4, 5, 6},
    {9, IR_DENSE, -1, -1, -1, -1, -1, -1, 0, -1, -1}, {0, IR_ADD, -1, -1, -1, -1, -1, -1, 0, -1, -1},
    {1, IR_AVERAGE_POOL, 0, 1, 2, 3, 4, -1, 5, -1, -1}, {17, IR_MAX_POOL, 0, 1, 2, 3, 4, -1, 5, -1, -1},
    {22, IR_RESHAPE, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {25, IR_SOFTMAX, -1, -1, -1, -1, -1, -1, -1, -1, -1},
};

static int read_options(struct file *f, const struct table *o, const struct op_row *row, struct ir_node *n) {
    const struct {
        int slot, size;
        int64_t fallback;
        int32_t *dst;
    } fields[] = {{row->stride_w, 4, 0, &n->stride_w}, {row->stride_h, 4, 0, &n->stride_h}, {row->filter_w, 4, 0, &n->filter_w},
                  {row->filter_h, 4, 0, &n->filter_h}, {row->mult, 4, 0, &n->depth_mult}, {row->dil_w, 4, 1, &n->dil_w},
                  {row->dil_h, 4, 1, &n->dil_h}};
    n->dil_w = n->dil_h = 1;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        int64_t v;
        if (fields[i].slot >= 0) {
            int r = scalar(f, o, fields[i].slot, fields[i].size, fields[i].fallback, &v);
            if (r < 0) {
                return r;
            }
            *fields[i].dst = (int32_t)v;
        }
    }
    int64_t v = 0, act = 0;
    int r = row->padding >= 0 ? scalar(f, o, row->padding, 1, 0, &v) : 0;
    r = r < 0 || row->act < 0 ? r : scalar(f, o, row->act, 1, 0, &act);
    n->same_padding = v == 0;
    n->activation = (int)act;
    if (r == 0 && row->op == IR_SOFTMAX) {
        int64_t at = field(f, o, 0, 4);
        if (at < 0) {
            return (int)at;
        }
        uint32_t bits = at ? u32_at(f->p + at) : 0;
        memcpy(&n->beta, &bits, sizeof bits);
    }
    return r;
}

static int builtin_of(struct file *f, const struct vec *codes, int64_t index, int *ret_builtin) {
    struct table c;
    int64_t old = 0, fresh = 0;
    if (index < 0 || index >= codes->n) {
        return err_set(f->e, JF_E_PARSE, "operator code %lld does not exist", (long long)index);
    }
    int r = table_in(f, codes, (uint32_t)index, &c);
    r = r < 0 ? r : scalar(f, &c, 0, 1, 0, &old);
    r = r < 0 ? r : scalar(f, &c, 3, 4, 0, &fresh);
    if (r == 0) {
        *ret_builtin = (int)(old > fresh ? old : fresh);
    }
    return r;
}

static int read_indices(struct file *f, const struct table *t, int slot, int n_tensors, int *dst, int max, int *ret_n) {
    struct vec v;
    int r = vector(f, t, slot, 4, &v);
    if (r < 0) {
        return r;
    }
    if (v.n > (uint32_t)max) {
        return err_set(f->e, JF_E_UNSUPPORTED, "a node or model has %u tensors where at most %d are supported", v.n, max);
    }
    for (uint32_t i = 0; i < v.n; i++) {
        int32_t t_index = (int32_t)u32_at(f->p + v.at + 4 * (size_t)i);
        if (t_index < -1 || t_index >= n_tensors) {
            return bad(f, v.at + 4 * (size_t)i, "a tensor index does not exist");
        }
        dst[i] = t_index;
    }
    *ret_n = (int)v.n;
    return 0;
}

static int read_node(struct file *f, const struct vec *ops, const struct vec *codes, uint32_t i, int n_tensors, struct ir_node *n) {
    struct table t, o;
    int64_t code = 0;
    int builtin = 0, outputs[1] = {-1}, n_out = 0;
    int r = table_in(f, ops, i, &t);
    r = r < 0 ? r : scalar(f, &t, 0, 4, 0, &code);
    r = r < 0 ? r : builtin_of(f, codes, code, &builtin);
    r = r < 0 ? r : read_indices(f, &t, 1, n_tensors, n->inputs, IR_MAX_INPUTS, &n->n_inputs);
    r = r < 0 ? r : read_indices(f, &t, 2, n_tensors, outputs, 1, &n_out);
    if (r < 0) {
        return err_prefix(f->e, "node %u", i);
    }
    const struct op_row *row = NULL;
    for (size_t k = 0; k < sizeof op_rows / sizeof op_rows[0]; k++) {
        row = op_rows[k].builtin == builtin ? &op_rows[k] : row;
    }
    if (!row) {
        return err_set(f->e, JF_E_UNSUPPORTED, "node %u: operator %d of TensorFlow Lite is not supported", i, builtin);
    }
    if (n_out != 1 || outputs[0] < 0) {
        return err_set(f->e, JF_E_PARSE, "node %u: it must have one output", i);
    }
    n->op = row->op;
    n->output = outputs[0];
    int64_t at = field(f, &t, 4, 4);
    if (at < 0) {
        return (int)at;
    }
    if (at == 0) { /* all defaults; fine where the operator has no options that matter */
        n->dil_w = n->dil_h = 1;
        return row->padding >= 0 || row->op == IR_SOFTMAX ? err_set(f->e, JF_E_PARSE, "node %u: its options are missing", i) : 0;
    }
    size_t to = 0;
    r = follow(f, (size_t)at, &to);
    r = r < 0 ? r : table_open(f, to, &o);
    return r < 0 ? r : read_options(f, &o, row, n);
}

static int read_graph(struct file *f, const struct table *root, struct ir_model *m) {
    struct vec codes, graphs, buffers, tensors, ops;
    struct table g;
    int in[1], out[1], n_in, n_out;
    int r = vector(f, root, 1, 4, &codes);
    r = r < 0 ? r : vector(f, root, 2, 4, &graphs);
    r = r < 0 ? r : vector(f, root, 4, 4, &buffers);
    if (r < 0) {
        return r;
    }
    if (graphs.n != 1) {
        return err_set(f->e, JF_E_UNSUPPORTED, "the model has %u subgraphs; one is supported", graphs.n);
    }
    r = table_in(f, &graphs, 0, &g);
    r = r < 0 ? r : vector(f, &g, 0, 4, &tensors);
    r = r < 0 ? r : vector(f, &g, 3, 4, &ops);
    if (r < 0) {
        return r;
    }
    if (tensors.n > IR_MAX_TENSORS || ops.n > IR_MAX_NODES || tensors.n == 0 || ops.n == 0) {
        return err_set(f->e, JF_E_UNSUPPORTED, "the model has %u tensors and %u nodes; 1 to %d and 1 to %d are supported", tensors.n, ops.n,
                       IR_MAX_TENSORS, IR_MAX_NODES);
    }
    m->tensors = calloc(tensors.n, sizeof *m->tensors);
    m->nodes = calloc(ops.n, sizeof *m->nodes);
    if (!m->tensors || !m->nodes) {
        return err_set(f->e, JF_E_NOMEM, "no memory for the model");
    }
    m->n_tensors = (int)tensors.n;
    m->n_nodes = (int)ops.n;
    for (uint32_t i = 0; i < tensors.n && r == 0; i++) {
        r = read_tensor(f, &tensors, &buffers, i, &m->tensors[i]);
    }
    for (uint32_t i = 0; i < ops.n && r == 0; i++) {
        r = read_node(f, &ops, &codes, i, m->n_tensors, &m->nodes[i]);
    }
    r = r < 0 ? r : read_indices(f, &g, 1, m->n_tensors, in, 1, &n_in);
    r = r < 0 ? r : read_indices(f, &g, 2, m->n_tensors, out, 1, &n_out);
    if (r == 0 && (n_in != 1 || n_out != 1 || in[0] < 0 || out[0] < 0)) {
        r = err_set(f->e, JF_E_UNSUPPORTED, "the model must have one input and one output");
    }
    if (r == 0) {
        m->input = in[0];
        m->output = out[0];
    }
    return r;
}

int tflite_read(const uint8_t *bytes, size_t n, struct ir_model *ret_m, struct err *reterr) {
    struct err local = {0};
    struct file f = {bytes, n, reterr ? reterr : &local};
    struct table root;
    struct ir_model m;
    int64_t version = 0;
    size_t to = 0;
    memset(&m, 0, sizeof m);
    if (n < 8 || n > TFLITE_MAX_BYTES) {
        return err_set(reterr, JF_E_PARSE, "a .tflite file has 8 bytes to %u MiB, this one %zu bytes", TFLITE_MAX_BYTES >> 20, n);
    }
    if (memcmp(bytes + 4, "TFL3", 4) != 0) {
        return bad(&f, 4, "the mark TFL3 is missing: this is not a .tflite file");
    }
    int r = follow(&f, 0, &to);
    r = r < 0 ? r : table_open(&f, to, &root);
    r = r < 0 ? r : scalar(&f, &root, 0, 4, 0, &version);
    if (r == 0 && version != 3) {
        r = err_set(reterr, JF_E_UNSUPPORTED, "schema version %lld; 3 is supported", (long long)version);
    }
    r = r < 0 ? r : read_graph(&f, &root, &m);
    r = r < 0 ? r : ir_check(&m, reterr);
    if (r < 0) {
        ir_done(&m);
        return r;
    }
    *ret_m = m;
    return 0;
}
