/* SPDX-License-Identifier: GPL-2.0-or-later
 * The C writer (compiler/emit.h). What it writes contains numbers of the model and calls of firmware/runtime, nothing else. */
#include "compiler/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compiler/emit_int.h"

static const char head[] = "/* SPDX-License-Identifier: MIT\n * Made by jf-model %s from %s (sha256 %s), numerics %s.\n * Passes %s: %s. Do not edit. */\n";

static void put_requant(FILE *f, int node, const struct jfk_requant *q) {
    (void)fprintf(f, ".rq = {n%d_mult, n%d_shift, ", node, node);
    (void)fprintf(f, q->scale ? "n%d_scale" : "0", node);
    (void)fprintf(f, ", %" PRId32 ", %" PRId32 ", %" PRId32 "}", q->out_zp, q->act_min, q->act_max);
}

/* Weights, bias and scales of a node as its kernel wants them. */
struct weights {
    const int8_t *weights;
    const int32_t *bias, *mult;
    const int8_t *shift;
    int32_t n_weights, n_bias;
};

static const struct packed_node *packed_of(const struct emit_info *e, int i) { return e->packing && e->packing->nodes[i].isa != ISA_PORTABLE ? &e->packing->nodes[i] : NULL; }

static struct weights weights_of(const struct packed_node *n, const struct lowered_node *l, const int8_t *weights, int32_t n_weights, int32_t n_bias) {
    return n ? (struct weights){n->weights, n->bias, n->mult, n->shift, n->n_weights, n->n_bias} : (struct weights){weights, l->bias, l->mult, l->shift, n_weights, n_bias};
}

static void put_tables(FILE *f, int i, const struct lowered_node *l, const struct weights *w) {
    if (w->weights) {
        emit_i8(f, i, "weights", w->weights, w->n_weights);
    }
    if (w->bias) {
        emit_i32(f, i, "bias", w->bias, w->n_bias);
    }
    if (l->mult) {
        emit_i32(f, i, "mult", w->mult, l->channels);
        emit_i8(f, i, "shift", w->shift, l->channels);
    }
    if (l->scale) {
        emit_float(f, i, "scale", l->scale, l->channels);
    }
}

static void put_conv(FILE *f, int i, const struct lowered_node *l, const struct packed_node *packed) {
    const struct jfk_conv *c = &l->k.conv;
    int32_t n = (int32_t)c->k_h * c->k_w * (l->op == IR_DEPTHWISE ? c->out_c : c->in_c * c->out_c);
    const struct weights w = weights_of(packed, l, c->weights, n, c->out_c);
    put_tables(f, i, l, &w);
    (void)fprintf(f, "static const struct jfk_conv n%d = {%d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %" PRId32 ", n%d_weights, ", i, c->in_h, c->in_w, c->in_c,
                  c->out_h, c->out_w, c->out_c, c->k_h, c->k_w, c->stride_h, c->stride_w, c->pad_top, c->pad_left, c->dil_h, c->dil_w, c->depth_mult, c->in_zp, i);
    (void)fprintf(f, w.bias ? "n%d_bias, " : "0, ", i);
    put_requant(f, i, &c->rq);
    (void)fprintf(f, "};\n");
}

static void put_dense(FILE *f, int i, const struct lowered_node *l, const struct packed_node *packed) {
    const struct jfk_dense *d = &l->k.dense;
    const struct weights w = weights_of(packed, l, d->weights, d->in_n * d->out_n, d->out_n);
    put_tables(f, i, l, &w);
    (void)fprintf(f, "static const struct jfk_dense n%d = {%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", n%d_weights, ", i, d->in_n, d->out_n, d->batch, d->in_zp,
                  d->w_zp, i);
    (void)fprintf(f, w.bias ? "n%d_bias, " : "0, ", i);
    put_requant(f, i, &d->rq);
    (void)fprintf(f, ", %" PRId32 "};\n", d->rq_step);
}

static void put_node(FILE *f, int i, const struct lowered_node *l, const struct packed_node *packed) {
    switch (l->kernel) {
    case KERNEL_CONV:
    case KERNEL_DEPTHWISE:
        put_conv(f, i, l, packed);
        break;
    case KERNEL_DENSE:
        put_dense(f, i, l, packed);
        break;
    default:
        emit_arguments(f, i, l);
        break;
    }
}

/* Operands that are constants lie in tables t<tensor>, each written once. */
static bool is_constant(const struct program *p, int t) { return p->model->tensors[t].data != NULL; }

static void put_constants(FILE *f, const struct program *p) {
    for (int t = 0; t < p->model->n_tensors; t++) {
        bool used = false;
        for (int i = 0; i < p->n_nodes; i++) {
            for (int k = 0; k < p->nodes[i].n_in; k++) {
                used = used || (p->nodes[i].in[k] == t && is_constant(p, t));
            }
        }
        if (used) {
            const struct ir_tensor *x = &p->model->tensors[t];
            (void)fprintf(f, "static const int8_t t%d[%" PRId32 "] = {", t, x->elements);
            for (int32_t i = 0; i < x->elements; i++) {
                (void)fprintf(f, "%s%d,", i % 32 ? "" : "\n    ", (int8_t)x->data[i]);
            }
            (void)fprintf(f, "\n};\n");
        }
    }
}

static void put_operand(FILE *f, const struct program *p, int t) {
    if (is_constant(p, t)) {
        (void)fprintf(f, "t%d, ", t);
    } else {
        (void)fprintf(f, "arena + %" PRId32 ", ", p->offset[t]);
    }
}

static void put_call(FILE *f, const struct program *p, const struct packed_node *packed, int i) {
    static const char *const prefix[] = {[ISA_PORTABLE] = "jfk", [ISA_DSP] = "jfd", [ISA_MVE] = "jfv"};
    static const char *const calls[KERNELS] = {[KERNEL_CONV] = "conv2d",
                                               [KERNEL_DEPTHWISE] = "depthwise",
                                               [KERNEL_DENSE] = "dense",
                                               [KERNEL_ADD] = "add",
                                               [KERNEL_MUL] = "mul",
                                               [KERNEL_TABLE] = "table",
                                               [KERNEL_AVERAGE_POOL] = "average_pool",
                                               [KERNEL_MAX_POOL] = "max_pool",
                                               [KERNEL_MEAN] = "mean",
                                               [KERNEL_SOFTMAX] = "softmax",
                                               [KERNEL_RESIZE_NEAREST] = "resize_nearest",
                                               [KERNEL_RESIZE_BILINEAR] = "resize_bilinear"};
    const struct lowered_node *l = &p->nodes[i];
    if (l->fill) {
        (void)fprintf(f, "    jfk_fill(arena + %" PRId32 ", %" PRId32 ", %" PRId32 ");\n", p->offset[l->out[0]], p->model->tensors[l->out[0]].elements, l->fill_value);
    }
    for (int k = 0; k < l->n_moves; k++) {
        (void)fprintf(f, "    jfk_move(&n%d[%d], ", i, k);
        put_operand(f, p, l->in[l->n_in > 1 ? k : 0]);
        (void)fprintf(f, "arena + %" PRId32 ");\n", p->offset[l->out[l->n_out > 1 ? k : 0]]);
    }
    if (l->kernel < KERNELS && calls[l->kernel]) {
        (void)fprintf(f, "    %s_%s(&n%d, ", prefix[packed ? packed->isa : ISA_PORTABLE], calls[l->kernel], i);
        for (int k = 0; k < l->n_in; k++) {
            put_operand(f, p, l->in[k]);
        }
        (void)fprintf(f, "arena + %" PRId32, p->offset[l->out[0]]);
        if (packed && packed->scratch_bytes > 0) {
            (void)fprintf(f, ", arena + %" PRId32, packed->scratch_at);
        }
        (void)fprintf(f, ");\n");
    }
}

static void put_run(FILE *f, const struct program *p, const struct emit_info *e) {
    (void)fprintf(f, "\nstatic void after(const struct jfm_hook *hook, int32_t node, const int8_t *output, int32_t n) {\n    if (hook) {\n"
                     "        hook->after(hook->ctx, node, output, n);\n    }\n}\n\nstatic void run(const struct jfm_hook *hook) {\n");
    for (int i = 0; i < p->n_nodes; i++) {
        const struct lowered_node *l = &p->nodes[i];
        put_call(f, p, packed_of(e, i), i);
        for (int k = 0; k < l->n_out; k++) {
            (void)fprintf(f, "    after(hook, %d, arena + %" PRId32 ", %" PRId32 ");\n", i, p->offset[l->out[k]], p->model->tensors[l->out[k]].elements);
        }
    }
    (void)fprintf(f, "}\n");
}

static void put_source(FILE *f, const struct program *p, const struct emit_info *e) {
    const struct ir_tensor *x = &p->model->tensors[p->model->input], *y = &p->model->tensors[p->model->output];
    (void)fprintf(f, head, JF_VERSION, e->source_name, e->source_sha256, numerics_name(p->numerics), e->passes, e->changes);
    static const char *const headers[] = {[ISA_PORTABLE] = "jf_kernels.h", [ISA_DSP] = "jf_dsp.h", [ISA_MVE] = "jf_mve.h"};
    int32_t arena_bytes = e->packing ? e->packing->arena_bytes : p->arena_bytes;
    (void)fprintf(f, "#include \"firmware/runtime/%s\"\n#include \"jfm_%s.h\"\n\n", headers[e->packing ? e->packing->isa : ISA_PORTABLE], e->id);
    (void)fprintf(f, "static int8_t arena[%" PRId32 "] __attribute__((aligned(8)));\n\n", arena_bytes);
    put_constants(f, p);
    for (int i = 0; i < p->n_nodes; i++) {
        put_node(f, i, &p->nodes[i], packed_of(e, i));
    }
    put_run(f, p, e);
    (void)fprintf(f, "\nconst struct jfm_model jfm_%s = {\n    .id = \"%s\",\n    .source_sha256 = \"%s\",\n    .numerics = \"%s\",\n    .passes = \"%s\",\n", e->id, e->id, e->source_sha256,
                  numerics_name(p->numerics), e->passes);
    (void)fprintf(f, "    .n_nodes = %d,\n    .in_n = %" PRId32 ",\n    .out_n = %" PRId32 ",\n    .in_zp = %" PRId32 ",\n    .out_zp = %" PRId32 ",\n    .in_scale = %af,\n    .out_scale = %af,\n", p->n_nodes,
                  x->elements, y->elements, ir_zero_point(x), ir_zero_point(y), (double)ir_scale(x, 0), (double)ir_scale(y, 0));
    (void)fprintf(f, "    .input = arena + %" PRId32 ",\n    .output = arena + %" PRId32 ",\n    .arena_bytes = %" PRId32 ",\n", p->offset[p->model->input], p->offset[p->model->output], arena_bytes);
    (void)fprintf(f, "    .golden_seed = %" PRIu32 "u,\n    .golden_output_crc32 = 0x%08" PRIx32 "u,\n    .golden_all_crc32 = 0x%08" PRIx32 "u,\n    .run = run,\n};\n", e->golden_seed,
                  e->golden_output_crc32, e->golden_all_crc32);
}

static void put_header(FILE *f, const struct program *p, const struct emit_info *e) {
    (void)fprintf(f, head, JF_VERSION, e->source_name, e->source_sha256, numerics_name(p->numerics), e->passes, e->changes);
    (void)fprintf(f, "#ifndef JFM_%s_H\n#define JFM_%s_H\n\n#include \"firmware/runtime/jf_model.h\"\n\nextern const struct jfm_model jfm_%s;\n\n#endif\n", e->id, e->id, e->id);
}

/* Writes one file under a temporary name. */
static int write_part(const char *part, void (*put)(FILE *, const struct program *, const struct emit_info *), const struct program *p, const struct emit_info *e, struct err *reterr) {
    FILE *f = fopen(part, "w");
    if (!f) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", part);
    }
    put(f, p, e);
    int bad = ferror(f) || fflush(f) != 0 || fsync(fileno(f)) != 0;
    int why = errno;
    if (fclose(f) != 0 && !bad) {
        bad = 1;
        why = errno;
    }
    if (bad) {
        (void)unlink(part);
        return err_set_errno(reterr, JF_E_IO, why, "%s cannot be written", part);
    }
    return 0;
}

int emit_files(const struct program *p, const struct emit_info *info, const char *dir, struct err *reterr) {
    char c[1100], h[1100], c_part[1112], h_part[1112];
    if (strlen(dir) > 1000) {
        return err_set(reterr, JF_E_INVAL, "the directory's name is too long");
    }
    (void)snprintf(c, sizeof c, "%s/jfm_%s.c", dir, info->id);
    (void)snprintf(h, sizeof h, "%s/jfm_%s.h", dir, info->id);
    (void)snprintf(c_part, sizeof c_part, "%s.part", c);
    (void)snprintf(h_part, sizeof h_part, "%s.part", h);
    int r = write_part(c_part, put_source, p, info, reterr);
    if (r < 0) {
        return r;
    }
    r = write_part(h_part, put_header, p, info, reterr);
    if (r == 0 && (rename(h_part, h) != 0 || rename(c_part, c) != 0)) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", c);
        (void)unlink(h);
        (void)unlink(h_part);
    }
    if (r < 0) {
        (void)unlink(c_part);
    }
    return r;
}
