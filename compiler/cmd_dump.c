/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model dump: tensors, nodes and the arena of a model. */
#include <jansson.h>
#include <stdio.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"

static void dump_shape(const struct ir_tensor *t, char *dst, size_t size) {
    size_t used = 0;
    dst[0] = '\0';
    for (int d = 0; d < t->rank && used < size; d++) {
        used += (size_t)snprintf(dst + used, size - used, "%s%d", d ? "x" : "", t->shape[d]);
    }
}

static void dump_model(const struct cmd_model *l, bool json) {
    const struct ir_model *m = &l->model;
    json_t *nodes = json_array();
    if (!json) {
        printf("model %s numerics %s\n", l->sha256, numerics_name(l->program.numerics));
    }
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        const struct ir_tensor *x = &m->tensors[n->inputs[0]], *y = &m->tensors[n->output];
        char xs[64], ys[64];
        dump_shape(x, xs, sizeof xs);
        dump_shape(y, ys, sizeof ys);
        if (json) {
            json_array_append_new(nodes, json_pack("{s:i,s:s,s:s,s:s,s:f,s:i,s:i}", "node", i, "op", ir_op_name(n->op), "input_shape", xs, "output_shape", ys, "output_scale", (double)ir_scale(y, 0),
                                                   "output_zero_point", ir_zero_point(y), "arena_offset", l->program.offset[n->output]));
        } else {
            printf("%3d %-18s %-14s -> %-14s scale %.9g zero %d at %d\n", i, ir_op_name(n->op), xs, ys, (double)ir_scale(y, 0), ir_zero_point(y), l->program.offset[n->output]);
        }
    }
    if (json) {
        json_t *doc = json_pack("{s:s,s:s,s:i,s:i,s:o}", "model_sha256", l->sha256, "numerics", numerics_name(l->program.numerics), "arena_bytes", l->program.arena_bytes, "arena_lower_bound_bytes",
                                l->program.lower_bound_bytes, "nodes", nodes);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else {
        printf("arena %d bytes, lower bound %d\n", l->program.arena_bytes, l->program.lower_bound_bytes);
        json_decref(nodes);
    }
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *numerics_word = "tflm", *words[1];
    bool json = false;
    const struct cmd_option rows[] = {
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &numerics_word, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL.tflite", 1, 1, 0, words};
    struct cmd_model m;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code) || !cmd_model_open(self, words[0], numerics_word, &m, &code)) {
        return code;
    }
    dump_model(&m, json);
    cmd_model_done(&m);
    return CMD_DONE;
}

const struct cmd cmd_dump = {"dump", "MODEL.tflite [OPTIONS]", "prints tensors, nodes and the arena", run};
