/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model emit: a model as C. */
#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/emit.h"

static int emit_model(const char *path, const char *id, const char *out, const char *golden, enum isa isa, const struct cmd_model *m) {
    struct err e = {0};
    struct cmd_emit_info i;
    struct packing packing = {.nodes = NULL};
    int r = cmd_model_info(m, path, id, golden, &i, &e);
    if (r == 0 && isa != ISA_PORTABLE) {
        r = packing_build(&m->program, isa, &packing, &e);
        i.info.packing = &packing;
    }
    r = r < 0 ? r : emit_files(&m->program, &i.info, out, &e);
    packing_done(&packing);
    return r < 0 ? cmd_fail(&e, path) : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    struct cmd_model_words how = CMD_MODEL_DEFAULTS;
    const char *id = NULL, *out = NULL, *golden = "lcg:1", *kernels = "portable", *words[1];
    const struct cmd_option rows[] = {
        {"--name", "ID", "name of the emitted model, part of its C identifiers", &id, NULL},
        {"--out", "DIR", "where jfm_ID.c and jfm_ID.h go", &out, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &how.numerics, NULL},
        {"--passes", "none|exact|rounding", CMD_PASSES_HELP, &how.passes, NULL},
        {"--kernels", "portable|dsp|mve", "portable C99 (default), Cortex-M4/M7/M33 DSP, or Cortex-M55 Helium", &kernels, NULL},
        {"--golden", "lcg:SEED", "input whose checksums are embedded (default lcg:1)", &golden, NULL},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, 1, 0, words};
    struct cmd_model m;
    uint32_t seed;
    enum isa isa;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (!id || !out || !cmd_is_identifier(id)) {
        return cmd_misuse(self, "wants --name (letters, digits, _; at most 31) and --out DIR");
    }
    if (isa_parse(kernels, &isa) < 0) {
        return cmd_misuse(self, "--kernels is portable, dsp or mve, not \"%s\"", kernels);
    }
    if (cmd_seed_parse(golden, &seed) < 0) {
        return cmd_misuse(self, "--golden wants lcg:SEED, not \"%s\"", golden);
    }
    if (!cmd_model_open_as(self, words[0], &how, &m, &code)) {
        return code;
    }
    code = emit_model(words[0], id, out, golden, isa, &m);
    cmd_model_done(&m);
    return code;
}

const struct cmd cmd_emit = {"emit", "MODEL --name ID --out DIR [OPTIONS]", "writes jfm_ID.c and jfm_ID.h", run};
