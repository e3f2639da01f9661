/* SPDX-License-Identifier: GPL-2.0-or-later
 * The ONNX front end's numbers (compiler/onnx.h): QuantizeLinear, DequantizeLinear, the QLinear operators, constants and biases. uint8
 * becomes int8 here and nowhere else.
 *
 * An int8 tensor and its dequantized float are one tensor of the model. A float that an operator makes has no quantization until a
 * QuantizeLinear reads it; what only moves data between two float operators (a pooling before the QuantizeLinear) gets its input's, and
 * gives it backwards too (pending_from). */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "compiler/onnx_impl.h"

#define FLOAT ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define UINT8 ONNX__TENSOR_PROTO__DATA_TYPE__UINT8
#define INT8 ONNX__TENSOR_PROTO__DATA_TYPE__INT8
#define INT32 ONNX__TENSOR_PROTO__DATA_TYPE__INT32

/* ---- quantization ------------------------------------------------------------------------------------------------- */
bool onnx_pending(const struct onnx_cx *cx, int tensor) { return cx->m->tensors[tensor].n_scales == 0; }

int onnx_set_quantization(struct onnx_cx *cx, int tensor, float scale, int32_t zero, struct err *reterr) {
    if (!(scale > 0) || !isfinite(scale)) {
        return err_set(reterr, JF_E_PARSE, "'%s' has the scale %g", cx->m->tensors[tensor].name, (double)scale);
    }
    for (int hops = 0; tensor >= 0 && hops < IR_MAX_TENSORS; hops++) {
        struct ir_tensor *t = &cx->m->tensors[tensor];
        float *s = ir_alloc(cx->m, sizeof *s);
        int32_t *z = ir_alloc(cx->m, sizeof *z);
        if (!s || !z) {
            return err_set(reterr, JF_E_NOMEM, "no memory");
        }
        *s = scale;
        *z = zero;
        t->scales = s;
        t->zero_points = z;
        t->n_scales = 1;
        tensor = cx->pending_from[tensor];
    }
    return 0;
}

int onnx_same_quantization(struct onnx_cx *cx, int from, int to, struct err *reterr) {
    if (onnx_pending(cx, from)) {
        cx->pending_from[to] = from;
        return 0;
    }
    return onnx_set_quantization(cx, to, ir_scale(&cx->m->tensors[from], 0), ir_zero_point(&cx->m->tensors[from]), reterr);
}

/* Scale and zero point of a per-tensor quantization, uint8 turned into int8. zero NULL: uint8 0, as the standard says. */
static int read_quantization(const Onnx__TensorProto *scale, const Onnx__TensorProto *zero, float *ret_scale, int32_t *ret_zero, struct err *reterr) {
    struct onnx_array s, z;
    int r = onnx_array(scale, &s, reterr);
    if (r < 0) {
        return r;
    }
    if (s.type != FLOAT || s.n != 1) {
        return onnx_unsupported(reterr, "an activation needs one scale, here are %lld", (long long)s.n);
    }
    *ret_scale = onnx_array_float(&s, 0);
    *ret_zero = -128;
    if (!zero) {
        return 0;
    }
    r = onnx_array(zero, &z, reterr);
    if (r < 0) {
        return r;
    }
    if (z.n != 1 || (z.type != INT8 && z.type != UINT8)) {
        return onnx_unsupported(reterr, "an activation needs one int8 or uint8 zero point");
    }
    *ret_zero = (int32_t)onnx_array_int(&z, 0) - (z.type == UINT8 ? 128 : 0);
    return 0;
}

/* Inputs k, k+1 of the node as constants: a scale and (may be absent) a zero point. */
static int scale_and_zero(const struct onnx_cx *cx, size_t k, const Onnx__TensorProto **ret_scale, const Onnx__TensorProto **ret_zero, struct err *reterr) {
    struct onnx_value s = {0}, z = {0};
    int r = onnx_input(cx, k, &s, reterr);
    if (r >= 0 && onnx_has_input(cx, k + 1)) {
        r = onnx_input(cx, k + 1, &z, reterr);
    }
    if (r < 0) {
        return r;
    }
    if (!s.data || s.scale || (z.name && (!z.data || z.scale))) {
        return onnx_unsupported(reterr, "scale and zero point have to be constants (dynamic quantization is not handled)");
    }
    *ret_scale = s.data;
    *ret_zero = z.data;
    return 0;
}

int onnx_dequantize(struct onnx_cx *cx, struct err *reterr) {
    const Onnx__TensorProto *scale = NULL, *zero = NULL;
    struct onnx_value v = {0};
    int r = onnx_input(cx, 0, &v, reterr);
    r = r < 0 ? r : scale_and_zero(cx, 1, &scale, &zero, reterr);
    if (r < 0) {
        return r;
    }
    if (v.tensor < 0) {
        if (v.scale) {
            return err_set(reterr, JF_E_PARSE, "'%s' is float already", v.name);
        }
        v.scale = scale;
        v.zero = zero;
        v.axis = (int32_t)onnx_attr_int(cx->node, "axis", 1);
        return onnx_define(cx, 0, &v, reterr);
    }
    float s = 0;
    int32_t z = 0;
    r = read_quantization(scale, zero, &s, &z, reterr);
    if (r < 0) {
        return r;
    }
    if (!v.integer) {
        return err_set(reterr, JF_E_PARSE, "'%s' is float already", v.name);
    }
    if (onnx_pending(cx, v.tensor)) {
        r = onnx_set_quantization(cx, v.tensor, s, z, reterr);
    } else if (ir_scale(&cx->m->tensors[v.tensor], 0) != s || ir_zero_point(&cx->m->tensors[v.tensor]) != z) {
        r = err_set(reterr, JF_E_PARSE, "'%s' was quantized with another scale or zero point", v.name);
    }
    v.integer = false;
    return r < 0 ? r : onnx_define(cx, 0, &v, reterr);
}

int onnx_quantize(struct onnx_cx *cx, struct err *reterr) {
    const Onnx__TensorProto *scale = NULL, *zero = NULL;
    struct onnx_value v = {0};
    float s = 0;
    int32_t z = 0;
    int r = onnx_activation(cx, 0, &v, reterr);
    r = r < 0 ? r : scale_and_zero(cx, 1, &scale, &zero, reterr);
    r = r < 0 ? r : read_quantization(scale, zero, &s, &z, reterr);
    if (r < 0) {
        return r;
    }
    if (v.integer) {
        return err_set(reterr, JF_E_PARSE, "'%s' is quantized already", v.name);
    }
    v.integer = true;
    if (onnx_pending(cx, v.tensor)) {
        if (onnx_float_uses(cx, v.name) > 0) { /* they would see the float */
            return onnx_unsupported(reterr, "'%s' is also read as float by another node", v.name);
        }
        r = onnx_set_quantization(cx, v.tensor, s, z, reterr);
    } else if (ir_scale(&cx->m->tensors[v.tensor], 0) != s || ir_zero_point(&cx->m->tensors[v.tensor]) != z) {
        int node = onnx_emit(cx, IR_QUANTIZE, &v.tensor, 1, reterr);
        r = node < 0 ? node : onnx_shape(cx, node, reterr);
        if (r >= 0) {
            v.tensor = cx->m->nodes[node].output;
            r = onnx_set_quantization(cx, v.tensor, s, z, reterr);
        }
    }
    return r < 0 ? r : onnx_define(cx, 0, &v, reterr);
}

/* QLinearConv, QLinearMatMul: input k with its scale and zero point behind it, as DequantizeLinear would give it. */
static int qlinear_operand(struct onnx_cx *cx, const Onnx__NodeProto *whole, size_t k, const char *name, int64_t axis, struct err *reterr) {
    char *in[3] = {whole->input[k], whole->input[k + 1], whole->input[k + 2]};
    char *out[1] = {(char *)(uintptr_t)name};
    Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT, *list[1] = {&a};
    Onnx__NodeProto n = ONNX__NODE_PROTO__INIT;
    a.name = (char *)(uintptr_t) "axis";
    a.has_i = 1;
    a.i = axis;
    n.n_input = 3;
    n.input = in;
    n.n_output = 1;
    n.output = out;
    n.n_attribute = 1;
    n.attribute = list;
    cx->node = &n;
    int r = onnx_dequantize(cx, reterr);
    cx->node = whole;
    return r;
}

/* A QLinear operator is its float operator between the operators that quantize. */
int onnx_qlinear(struct onnx_cx *cx, const char *op, struct err *reterr) {
    const Onnx__NodeProto *whole = cx->node;
    if (whole->n_input < 8) {
        return err_set(reterr, JF_E_PARSE, "eight inputs expected, %zu found", whole->n_input);
    }
    /* names that no file can have collided with: they live as long as the model, and are forgotten below */
    static const char x_name[] = "\001x", w_name[] = "\001w", y_name[] = "\001y";
    int first = cx->n_values;
    int r = qlinear_operand(cx, whole, 0, x_name, 1, reterr);
    r = r < 0 ? r : qlinear_operand(cx, whole, 3, w_name, strcmp(op, "Conv") == 0 ? 0 : 1, reterr);
    if (r < 0) {
        return r;
    }
    char *in[3] = {(char *)(uintptr_t)x_name, (char *)(uintptr_t)w_name, whole->n_input > 8 ? whole->input[8] : NULL};
    char *out[1] = {(char *)(uintptr_t)y_name};
    Onnx__NodeProto n = *whole;
    n.n_input = whole->n_input > 8 ? 3 : 2;
    n.input = in;
    n.n_output = 1;
    n.output = out;
    n.op_type = (char *)(uintptr_t)op;
    cx->node = &n;
    r = onnx_convert(cx, reterr);
    if (r >= 0) {
        char *qin[3] = {out[0], whole->input[6], whole->input[7]};
        n = *whole;
        n.n_input = 3;
        n.input = qin;
        n.n_attribute = 0;
        r = onnx_quantize(cx, reterr);
    }
    cx->node = whole;
    if (r < 0) {
        return r;
    }
    struct onnx_value y = cx->values[cx->n_values - 1]; /* the node's output, defined last */
    cx->n_values = first;
    struct ir_tensor *t = &cx->m->tensors[y.tensor];
    (void)snprintf(t->name, sizeof t->name, "%s", y.name);
    return onnx_define_name(cx, y.name, &y, reterr);
}

/* ---- constants of the model --------------------------------------------------------------------------------------- */
/* The scale list of a constant: one, or one per output channel. */
static int constant_scales(struct onnx_cx *cx, const struct onnx_value *v, const struct onnx_array *s, struct ir_tensor *t, const struct onnx_place *place, struct err *reterr) {
    float *scales = ir_alloc(cx->m, (size_t)s->n * sizeof *scales);
    if (!scales) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int64_t i = 0; i < s->n; i++) {
        scales[i] = onnx_array_float(s, i);
        if (!(scales[i] > 0) || !isfinite(scales[i])) {
            return err_set(reterr, JF_E_PARSE, "'%s' has the scale %g", v->name, (double)scales[i]);
        }
    }
    int32_t rank = (int32_t)v->data->n_dims, axis = v->axis < 0 ? v->axis + rank : v->axis;
    if (s->n > 1 && (place->scale_axis < 0 || axis != place->file_axis || t->shape[place->scale_axis] != s->n)) {
        return onnx_unsupported(reterr, "'%s' has %lld scales, which are not one a channel of the output", v->name, (long long)s->n);
    }
    t->scales = scales;
    t->n_scales = (int32_t)s->n;
    t->axis = s->n > 1 ? place->scale_axis : 0;
    return 0;
}

int onnx_constant(struct onnx_cx *cx, const struct onnx_value *v, const struct onnx_place *place, int *ret_tensor, struct err *reterr) {
    struct onnx_array a, s, z = {0};
    if (!v->data || !v->scale) {
        return onnx_unsupported(reterr, "'%s' has to be an int8 constant behind a DequantizeLinear", v->name);
    }
    int r = onnx_array(v->data, &a, reterr);
    r = r < 0 ? r : onnx_array(v->scale, &s, reterr);
    r = r < 0 || !v->zero ? r : onnx_array(v->zero, &z, reterr);
    if (r < 0) {
        return r;
    }
    if ((a.type != INT8 && a.type != UINT8) || s.type != FLOAT || (v->zero && (z.type != a.type || (z.n != 1 && z.n != s.n)))) {
        return onnx_unsupported(reterr, "'%s' has to be int8 or uint8 with float scales and zero points of its own type", v->name);
    }
    int i = onnx_tensor(cx, reterr);
    if (i < 0) {
        return i;
    }
    struct ir_tensor *t = &cx->m->tensors[i];
    (void)snprintf(t->name, sizeof t->name, "%s", v->name[0] == '\001' && v->data->name ? v->data->name : v->name);
    if (ir_set_shape(t, place->rank, place->shape) < 0 || t->elements != a.n || s.n < 1) {
        return err_set(reterr, JF_E_PARSE, "'%s' holds %lld values, the operator's shapes say otherwise", v->name, (long long)a.n);
    }
    r = constant_scales(cx, v, &s, t, place, reterr);
    int8_t *data = r < 0 ? NULL : ir_alloc(cx->m, (size_t)a.n);
    int32_t *zero = ir_alloc(cx->m, (size_t)s.n * sizeof *zero);
    if (r < 0 || !data || !zero) {
        return r < 0 ? r : err_set(reterr, JF_E_NOMEM, "no memory");
    }
    int64_t inner = 1; /* elements of the stored order per step of the scale axis */
    for (int d = place->rank - 1; d > place->scale_axis; d--) {
        inner *= place->shape[d];
    }
    int32_t shift = a.type == UINT8 ? 128 : 0;
    bool symmetric = place->symmetric || s.n > 1;
    for (int64_t k = 0; k < a.n; k++) {
        int64_t c = s.n > 1 ? k / inner % s.n : 0;
        int64_t zp = z.n == 0 ? 0 : onnx_array_int(&z, z.n > 1 ? c : 0);
        int64_t q = onnx_array_int(&a, place->order ? place->order[k] : k) - (symmetric ? zp : shift);
        if (q < -128 || q > 127) {
            return onnx_unsupported(reterr, "'%s': weights less their zero point leave int8 (%lld); quantize them symmetrically", t->name, (long long)q);
        }
        data[k] = (int8_t)q;
        zero[c] = symmetric ? 0 : (int32_t)(zp - shift);
    }
    t->data = (const uint8_t *)data;
    t->zero_points = zero;
    *ret_tensor = i;
    return 0;
}

int onnx_bias(struct onnx_cx *cx, const struct onnx_value *v, int x, int w, int32_t n, int *ret_tensor, struct err *reterr) {
    struct onnx_array a, s = {0};
    *ret_tensor = -1;
    if (!v) {
        return 0;
    }
    if (!v->data) {
        return onnx_unsupported(reterr, "the bias '%s' has to be a constant", v->name);
    }
    int r = onnx_array(v->data, &a, reterr);
    r = r < 0 || !v->scale ? r : onnx_array(v->scale, &s, reterr);
    if (r < 0) {
        return r;
    }
    if (a.n != n || (a.type != INT32 && a.type != FLOAT) || (v->scale && (s.type != FLOAT || (s.n != 1 && s.n != n)))) {
        return err_set(reterr, JF_E_PARSE, "the bias '%s' has to hold %d int32 or float values", v->name, n);
    }
    int i = onnx_tensor(cx, reterr);
    int32_t *data = ir_alloc(cx->m, (size_t)n * sizeof *data);
    float *scales = ir_alloc(cx->m, (size_t)n * sizeof *scales);
    if (i < 0 || !data || !scales) {
        return i < 0 ? i : err_set(reterr, JF_E_NOMEM, "no memory");
    }
    const struct ir_tensor *wt = &cx->m->tensors[w];
    for (int32_t k = 0; k < n; k++) {
        float product = ir_scale(&cx->m->tensors[x], 0) * ir_scale(wt, wt->n_scales > 1 ? k : 0);
        double unit = a.type == FLOAT ? 1 : s.n ? (double)onnx_array_float(&s, s.n > 1 ? k : 0) : (double)product; /* QLinearConv: the product's own */
        double value = a.type == FLOAT ? (double)onnx_array_float(&a, k) : (double)onnx_array_int(&a, k);
        /* equal scales, as far as a float product can be: the integer stays as it is */
        double q = a.type != FLOAT && fabs(unit - (double)product) <= 1e-6 * unit ? value : rint(value * unit / (double)product);
        if (!(fabs(q) <= 2147483647.0)) {
            return onnx_unsupported(reterr, "the bias '%s' leaves int32 at the product's scale (value %d)", v->name, k);
        }
        data[k] = (int32_t)q;
        scales[k] = product;
    }
    struct ir_tensor *t = &cx->m->tensors[i];
    (void)snprintf(t->name, sizeof t->name, "%s", v->name);
    t->type = IR_I32;
    if (ir_set_shape(t, 1, &n) < 0) {
        return err_set(reterr, JF_E_PARSE, "the bias '%s' is empty", v->name);
    }
    t->data = (const uint8_t *)data;
    t->scales = scales;
    t->n_scales = wt->n_scales > 1 ? n : 1;
    *ret_tensor = i;
    return 0;
}
