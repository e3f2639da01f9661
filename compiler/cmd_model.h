/* SPDX-License-Identifier: GPL-2.0-or-later
 * What several commands do with a model: read its file, build the program, fill its input, run it. */
#ifndef COMPILER_CMD_MODEL_H
#define COMPILER_CMD_MODEL_H

#include "compiler/cmd.h"
#include "compiler/emit.h"
#include "compiler/layers.h"
#include "compiler/passes.h"

struct cmd_model {
    void *bytes; /* owned: the model's constants point into it */
    size_t n;
    char sha256[65];
    struct ir_model model;
    enum ir_passes passes; /* what was asked, and what it changed */
    struct ir_changes changes;
    struct program program; /* zero until cmd_model_build */
};

struct cmd_crcs {
    uint32_t all, last; /* CRC-32 of all node outputs in order, and of the last */
};

int cmd_model_read(const char *path, struct cmd_model *ret_m, struct err *reterr) JF_MUST_CHECK;
/* Reads, checks, runs the passes and lowers. On failure nothing is left behind. */
int cmd_model_build(const char *path, enum numerics numerics, enum ir_passes passes, struct cmd_model *ret_m, struct err *reterr) JF_MUST_CHECK;
/* The same for a command: the words of --numerics and --passes are checked, a failure is told. False: *ret_code is the exit code. */
struct cmd_model_words {
    const char *numerics, *passes;
};
#define CMD_MODEL_DEFAULTS {"tflm", "exact"}
bool cmd_model_words_parse(const struct cmd *self, const struct cmd_model_words *how, enum numerics *ret_numerics, enum ir_passes *ret_passes, int *ret_code);
bool cmd_model_open_as(const struct cmd *self, const char *path, const struct cmd_model_words *how, struct cmd_model *ret_m, int *ret_code);
bool cmd_model_open(const struct cmd *self, const char *path, const char *numerics_word, struct cmd_model *ret_m, int *ret_code); /* exact passes */
#define CMD_PASSES_HELP "exact: only what leaves every output as it is (default); rounding: multiplications into weights too; none"
#define CMD_NUMERICS_HELP "tflm: double rounding, as TensorFlow Lite for Microcontrollers (default); litert: single rounding"
void cmd_model_done(struct cmd_model *m);

/* "lcg:SEED". 0, or -1. */
int cmd_seed_parse(const char *s, uint32_t *ret_seed);
/* Runs a built model on the input that `input` names: "lcg:SEED", or a file of exactly the input's size. *ret_arena is the
 * caller's to free. */
int cmd_model_run(const struct cmd_model *m, const char *input, int8_t **ret_arena, struct cmd_crcs *ret_crcs, struct err *reterr) JF_MUST_CHECK;

/* The bytes of that input. */
int cmd_model_input(const struct cmd_model *m, const char *input, int8_t *dst, struct err *reterr) JF_MUST_CHECK;
/* The same run, layer by layer; the model's hash and the input's name are noted. layers_done() frees it. */
int cmd_model_layers(const struct cmd_model *m, const char *input, struct layers *ret_l, struct err *reterr) JF_MUST_CHECK;

/* Letters, digits, _; at most 31, not a digit first: what a model may be called. */
bool cmd_is_identifier(const char *s);

/* What is embedded beside the program: checksums of the run on `golden`, the source's name. */
struct cmd_emit_info {
    struct emit_info info; /* points to source, to changes, to the model's hash and to id */
    char source[64], changes[160];
};
int cmd_model_info(const struct cmd_model *m, const char *path, const char *id, const char *golden, struct cmd_emit_info *ret_i, struct err *reterr) JF_MUST_CHECK;

#endif
