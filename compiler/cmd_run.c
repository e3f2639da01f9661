/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model run: executes a model on the host. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"

static int run_model(const char *name, const char *input, bool crc, bool json, const struct cmd_model *m) {
    struct err e = {0};
    struct cmd_crcs c = {0, 0};
    int8_t *arena = NULL;
    const struct ir_tensor *y = &m->model.tensors[m->model.output];
    if (cmd_model_run(m, input, &arena, &c, &e) < 0 || !arena) {
        return cmd_fail(&e, name);
    }
    const int8_t *out = arena + m->program.offset[m->model.output];
    if (json) {
        json_t *values = json_array();
        for (int32_t i = 0; i < y->elements; i++) {
            json_array_append_new(values, json_integer(out[i]));
        }
        char all[16], last[16];
        (void)snprintf(all, sizeof all, "%08" PRIx32, c.all);
        (void)snprintf(last, sizeof last, "%08" PRIx32, c.last);
        json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "model_sha256", m->sha256, "numerics", numerics_name(m->program.numerics), "input", input, "all_crc32", all, "output_crc32", last,
                                "output", values);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else if (crc) {
        printf("%08" PRIx32 " %08" PRIx32 "\n", c.all, c.last);
    } else {
        for (int32_t i = 0; i < y->elements; i++) {
            printf("%d%s", out[i], i + 1 < y->elements ? "," : "\n");
        }
    }
    free(arena);
    return CMD_DONE;
}

/* Under a temporary name, then renamed: what is there is complete. */
static int write_layers(const char *name, const char *input, const char *path, const struct cmd_model *m) {
    struct err e = {0};
    struct layers l = {0};
    char part[4096];
    if (cmd_model_layers(m, input, &l, &e) < 0) {
        return cmd_fail(&e, name);
    }
    json_t *doc = layers_json(&l);
    int len = snprintf(part, sizeof part, "%s.part", path), r = 0;
    if (!doc || len < 0 || (size_t)len >= sizeof part || json_dump_file(doc, part, JSON_COMPACT) < 0 || rename(part, path) < 0) {
        r = err_set_errno(&e, JF_E_IO, errno, "--layers %s", path);
        (void)remove(part);
    }
    json_decref(doc);
    layers_done(&l);
    return r < 0 ? cmd_fail(&e, name) : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    struct cmd_model_words how = CMD_MODEL_DEFAULTS;
    const char *input = "lcg:1", *layers = NULL, *words[1];
    bool crc = false, json = false;
    const struct cmd_option rows[] = {
        {"--input", "FILE|lcg:SEED", "bytes of the input tensor, or the reference sequence with that seed (default lcg:1)", &input, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &how.numerics, NULL},
        {"--passes", "none|exact|rounding", CMD_PASSES_HELP, &how.passes, NULL},
        {"--layers", "FILE", "also write every layer's output there, for `jf-model diff`", &layers, NULL},
        {"--crc", NULL, "print the CRC-32 of all node outputs and of the last", NULL, &crc},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, 1, 0, words};
    struct cmd_model m;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code) || !cmd_model_open_as(self, words[0], &how, &m, &code)) {
        return code;
    }
    code = layers ? write_layers(words[0], input, layers, &m) : CMD_DONE;
    code = code == CMD_DONE ? run_model(words[0], input, crc, json, &m) : code;
    cmd_model_done(&m);
    return code;
}

const struct cmd cmd_run = {"run", "MODEL [OPTIONS]", "executes on the host and prints the output", run};
