/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model dump: the representation of a model after the passes, and the arena; with --json the manifest of what would be emitted. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/ir_text.h"

static json_t *tensor_json(const struct cmd_model *l, int t) {
    const struct ir_tensor *x = &l->model.tensors[t];
    json_t *shape = json_array(), *o;
    for (int d = 0; d < x->rank; d++) {
        json_array_append_new(shape, json_integer(x->shape[d]));
    }
    o = json_pack("{s:i,s:s,s:o}", "tensor", t, "name", x->name, "shape", shape);
    if (x->n_scales == 1) {
        json_object_set_new(o, "scale", json_real((double)ir_scale(x, 0)));
        json_object_set_new(o, "zero_point", json_integer(ir_zero_point(x)));
    }
    if (x->data) {
        json_object_set_new(o, "constant", json_true());
    } else {
        json_object_set_new(o, "arena_offset", json_integer(l->program.offset[t]));
    }
    return o;
}

static json_t *node_json(const struct cmd_model *l, int i) {
    const struct ir_node *n = &l->model.nodes[i];
    json_t *inputs = json_array(), *outputs = json_array();
    char attributes[300];
    ir_attributes_text(n, l->model.tensors[n->inputs[0]].rank, attributes, sizeof attributes);
    for (int k = 0; k < n->n_inputs; k++) {
        json_array_append_new(inputs, n->inputs[k] < 0 ? json_null() : tensor_json(l, n->inputs[k]));
    }
    for (int k = 0; k < n->n_outputs; k++) {
        json_array_append_new(outputs, tensor_json(l, n->outputs[k]));
    }
    return json_pack("{s:i,s:s,s:s,s:o,s:o}", "node", i, "op", ir_op_name(n->op), "attributes", attributes, "inputs", inputs, "outputs", outputs);
}

static int64_t constant_bytes(const struct ir_model *m) {
    int64_t sum = 0;
    for (int t = 0; t < m->n_tensors; t++) {
        const struct ir_tensor *x = &m->tensors[t];
        sum += x->data && x->last_use >= 0 ? (int64_t)x->elements * (x->type == IR_I8 ? 1 : 4) : 0;
    }
    return sum;
}

static void dump_json(const struct cmd_model *l) {
    const struct ir_model *m = &l->model;
    const struct program *p = &l->program;
    const struct ir_changes *c = &l->changes;
    json_t *nodes = json_array();
    for (int i = 0; i < m->n_nodes; i++) {
        json_array_append_new(nodes, node_json(l, i));
    }
    json_t *passes = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i}", "level", ir_passes_name(l->passes), "dead", c->dead, "transposes", c->transposes, "pads", c->pads, "activations", c->activations,
                               "multiplications", c->multiplications);
    json_t *doc = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:b,s:b,s:I,s:i,s:i,s:i,s:o}", "model_sha256", l->sha256, "compiler", "jf-model " JF_VERSION, "numerics", numerics_name(p->numerics), "passes",
                            passes, "input", tensor_json(l, m->input), "output", tensor_json(l, m->output), "float_input", m->float_input, "float_output", m->float_output, "constant_bytes",
                            (json_int_t)constant_bytes(m), "arena_bytes", p->arena_bytes, "arena_lower_bound_bytes", p->lower_bound_bytes, "arena_gap_bytes", p->arena_bytes - p->lower_bound_bytes,
                            "nodes", nodes);
    json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(doc);
}

static void dump_text(const struct cmd_model *l) {
    const struct ir_model *m = &l->model;
    const struct program *p = &l->program;
    char changes[160];
    ir_changes_text(&l->changes, changes, sizeof changes);
    printf("model %s numerics %s passes %s: %s\n", l->sha256, numerics_name(p->numerics), ir_passes_name(l->passes), changes);
    ir_print(stdout, m);
    for (int t = 0; t < m->n_tensors; t++) {
        const struct ir_tensor *x = &m->tensors[t];
        if (!x->data && p->offset[t] >= 0) {
            printf("place %%%d at %" PRId32 " to %" PRId32 " nodes %d to %d\n", t, p->offset[t], p->offset[t] + x->elements, x->producer < 0 ? 0 : x->producer, x->last_use);
        }
    }
    printf("constants %" PRId64 " bytes\n", constant_bytes(m));
    printf("arena %d bytes, lower bound %d, gap %d\n", p->arena_bytes, p->lower_bound_bytes, p->arena_bytes - p->lower_bound_bytes);
}

static int run(const struct cmd *self, int argc, char **argv) {
    struct cmd_model_words how = CMD_MODEL_DEFAULTS;
    const char *words[1];
    bool json = false;
    const struct cmd_option rows[] = {
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &how.numerics, NULL},
        {"--passes", "none|exact|rounding", CMD_PASSES_HELP, &how.passes, NULL},
        {"--json", NULL, "the manifest: source, passes, nodes, quantization, memory", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, 1, 0, words};
    struct cmd_model m;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code) || !cmd_model_open_as(self, words[0], &how, &m, &code)) {
        return code;
    }
    if (json) {
        dump_json(&m);
    } else {
        dump_text(&m);
    }
    cmd_model_done(&m);
    return CMD_DONE;
}

const struct cmd cmd_dump = {"dump", "MODEL [OPTIONS]", "prints the representation after the passes, and the arena", run};
