/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reader of int8 .tflite files (compiler/tflite.h): tensors and the graph. Operators: tflite_node.c. */
#include "compiler/tflite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/passes.h"
#include "compiler/tflite_node.h"

static int read_shape(struct fb_file *f, const struct fb_table *t, struct ir_tensor *ret) {
    struct fb_vec v;
    int32_t shape[IR_MAX_DIMS] = {0};
    int r = fb_vector(f, t, 0, 4, &v);
    if (r < 0) {
        return r;
    }
    if (v.n > IR_MAX_DIMS) {
        return err_set(f->e, JF_E_UNSUPPORTED, "tensor \"%s\" has %u dimensions; at most %d are supported", ret->name, v.n, IR_MAX_DIMS);
    }
    for (uint32_t i = 0; i < v.n; i++) {
        shape[i] = (int32_t)fb_u32(f->p + v.at + 4 * (size_t)i);
        if (shape[i] <= 0) {
            return err_set(f->e, JF_E_UNSUPPORTED, "tensor \"%s\": dimension %u is %d, which is not supported", ret->name, i, shape[i]);
        }
    }
    if (ir_set_shape(ret, (int)v.n, shape) < 0) {
        return err_set(f->e, JF_E_UNSUPPORTED, "tensor \"%s\": its dimensions' product is above %d", ret->name, IR_MAX_ELEMENTS);
    }
    return 0;
}

static int copy_quantization(struct fb_file *f, const struct fb_vec *scales, const struct fb_vec *zeros, struct ir_model *m, struct ir_tensor *ret) {
    float *s = ir_alloc(m, scales->n * sizeof *s);
    int32_t *z = ir_alloc(m, scales->n * sizeof *z);
    if (!s || !z) {
        return err_set(f->e, JF_E_NOMEM, "no memory for the model");
    }
    for (uint32_t i = 0; i < scales->n; i++) {
        uint32_t bits = fb_u32(f->p + scales->at + 4 * (size_t)i);
        memcpy(&s[i], &bits, sizeof bits);
        if (zeros->n) {
            const uint8_t *p = f->p + zeros->at + 8 * (size_t)i;
            int32_t low = (int32_t)fb_u32(p), high = (int32_t)fb_u32(p + 4);
            z[i] = high == (low < 0 ? -1 : 0) ? low : INT32_MAX; /* beyond 32 bits: beyond what any operator accepts */
        }
    }
    ret->scales = s;
    ret->zero_points = z;
    ret->n_scales = (int32_t)scales->n;
    return 0;
}

static int read_quantization(struct fb_file *f, const struct fb_table *t, struct ir_model *m, struct ir_tensor *ret) {
    struct fb_vec scales, zeros;
    size_t to = 0;
    int64_t axis = 0, at = fb_field(f, t, 4, 4);
    struct fb_table q;
    if (at <= 0) {
        return (int)at;
    }
    int r = fb_follow(f, (size_t)at, &to);
    r = r < 0 ? r : fb_open(f, to, &q);
    r = r < 0 ? r : fb_vector(f, &q, 2, 4, &scales);
    r = r < 0 ? r : fb_vector(f, &q, 3, 8, &zeros);
    r = r < 0 ? r : fb_scalar(f, &q, 6, 4, 0, &axis);
    if (r < 0 || scales.n == 0) {
        return r;
    }
    if (axis < 0 || axis >= (ret->rank ? ret->rank : 1) || scales.n > INT32_MAX || (scales.n > 1 && (int64_t)scales.n != ret->shape[axis]) ||
        (zeros.n != 0 && zeros.n != scales.n)) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": %u scales and %u zero points on axis %lld do not fit its shape", ret->name, scales.n,
                       zeros.n, (long long)axis);
    }
    ret->axis = (int32_t)axis;
    return copy_quantization(f, &scales, &zeros, m, ret);
}

static int read_data(struct fb_file *f, const struct fb_vec *buffers, int64_t index, struct ir_tensor *ret) {
    struct fb_table b;
    struct fb_vec data;
    if (index < 0 || index >= buffers->n) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": buffer %lld does not exist", ret->name, (long long)index);
    }
    int r = fb_element(f, buffers, (uint32_t)index, &b);
    r = r < 0 ? r : fb_vector(f, &b, 0, 1, &data);
    if (r < 0 || data.n == 0) {
        return r;
    }
    size_t want = (size_t)ret->elements * (ret->type == IR_I8 ? 1u : 4u);
    if (ret->type != IR_OTHER && data.n != want) {
        return err_set(f->e, JF_E_PARSE, "tensor \"%s\": %u bytes of data, its shape wants %zu", ret->name, data.n, want);
    }
    ret->data = f->p + data.at;
    return 0;
}

static enum ir_type type_of(int64_t type) { return type == 9 ? IR_I8 : type == 2 ? IR_I32 : type == 0 ? IR_F32 : IR_OTHER; }

static int read_tensor(struct fb_file *f, const struct fb_vec *tensors, const struct fb_vec *buffers, uint32_t i, struct ir_model *m) {
    struct ir_tensor *ret = &m->tensors[i];
    struct fb_table t;
    struct fb_vec name;
    int64_t type = 0, buffer = 0;
    int r = fb_element(f, tensors, i, &t);
    r = r < 0 ? r : fb_vector(f, &t, 3, 1, &name);
    r = r < 0 ? r : fb_scalar(f, &t, 1, 1, 0, &type);
    r = r < 0 ? r : fb_scalar(f, &t, 2, 4, 0, &buffer);
    if (r < 0) {
        return r;
    }
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)(name.n < 63 ? name.n : 63), (const char *)(f->p + name.at));
    for (char *c = ret->name; *c; c++) {
        *c = (*c < 32 || *c > 126 || *c == '"') ? '?' : *c;
    }
    ret->type = type_of(type);
    ret->producer = ret->last_use = -1;
    r = read_shape(f, &t, ret);
    r = r < 0 ? r : read_quantization(f, &t, m, ret);
    return r < 0 ? r : read_data(f, buffers, buffer, ret);
}

static int read_graph(struct fb_file *f, const struct fb_table *root, struct ir_model *m) {
    struct fb_vec codes, graphs, buffers, tensors, ops;
    struct fb_table g;
    int in[1], out[1], n_in, n_out;
    int r = fb_vector(f, root, 1, 4, &codes);
    r = r < 0 ? r : fb_vector(f, root, 2, 4, &graphs);
    r = r < 0 ? r : fb_vector(f, root, 4, 4, &buffers);
    if (r < 0) {
        return r;
    }
    if (graphs.n != 1) {
        return err_set(f->e, JF_E_UNSUPPORTED, "the model has %u subgraphs; one is supported", graphs.n);
    }
    r = fb_element(f, &graphs, 0, &g);
    r = r < 0 ? r : fb_vector(f, &g, 0, 4, &tensors);
    r = r < 0 ? r : fb_vector(f, &g, 3, 4, &ops);
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
        r = read_tensor(f, &tensors, &buffers, i, m);
    }
    for (uint32_t i = 0; i < ops.n && r == 0; i++) {
        r = tflite_node(f, &ops, &codes, i, m, &m->nodes[i]);
    }
    r = r < 0 ? r : tflite_indices(f, &g, 1, m->n_tensors, in, 1, &n_in);
    r = r < 0 ? r : tflite_indices(f, &g, 2, m->n_tensors, out, 1, &n_out);
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
    struct fb_file f = {bytes, n, reterr ? reterr : &local};
    struct fb_table root;
    struct ir_model m;
    int64_t version = 0;
    size_t to = 0;
    memset(&m, 0, sizeof m);
    if (n < 8 || n > TFLITE_MAX_BYTES) {
        return err_set(reterr, JF_E_PARSE, "a .tflite file has 8 bytes to %u MiB, this one %zu bytes", TFLITE_MAX_BYTES >> 20, n);
    }
    if (memcmp(bytes + 4, "TFL3", 4) != 0) {
        return fb_bad(&f, 4, "the mark TFL3 is missing: this is not a .tflite file");
    }
    int r = fb_follow(&f, 0, &to);
    r = r < 0 ? r : fb_open(&f, to, &root);
    r = r < 0 ? r : fb_scalar(&f, &root, 0, 4, 0, &version);
    if (r == 0 && version != 3) {
        r = err_set(reterr, JF_E_UNSUPPORTED, "schema version %lld; 3 is supported", (long long)version);
    }
    r = r < 0 ? r : read_graph(&f, &root, &m);
    r = r < 0 ? r : ir_normalize(&m, f.e);
    if (r < 0) {
        ir_done(&m);
        return r;
    }
    *ret_m = m;
    return 0;
}
