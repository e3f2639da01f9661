/* SPDX-License-Identifier: GPL-2.0-or-later
 * Models as the commands use them (compiler/cmd_model.h). */
#include "compiler/cmd_model.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/onnx.h"
#include "compiler/tflite.h"
#include "firmware/runtime/jf_model.h"

void cmd_model_done(struct cmd_model *m) {
    program_done(&m->program);
    ir_done(&m->model);
    free(m->bytes);
    memset(m, 0, sizeof *m);
}

/* By content: a TFLite file says TFL3 at byte 4; an ONNX file, which has no mark, begins with the field ir_version (1 to 127), as every writer of
 * fields in their order does. A name that ends in .onnx counts too, unless the mark is there. */
static bool is_onnx(const char *path, const unsigned char *p, size_t n) {
    size_t len = strlen(path);
    if (n >= 8 && memcmp(p + 4, "TFL3", 4) == 0) {
        return false;
    }
    return (n >= 8 && p[0] == 0x08 && p[1] > 0 && p[1] < 0x80) || (len > 5 && strcmp(path + len - 5, ".onnx") == 0);
}

int cmd_model_read(const char *path, struct cmd_model *ret_m, struct err *reterr) {
    struct cmd_model *m = ret_m;
    unsigned char hash[crypto_hash_sha256_BYTES];
    memset(m, 0, sizeof *m);
    int r = file_read(path, TFLITE_MAX_BYTES, &m->bytes, &m->n, reterr);
    if (r >= 0) {
        r = is_onnx(path, m->bytes, m->n) ? onnx_read(m->bytes, m->n, &m->model, reterr) : tflite_read(m->bytes, m->n, &m->model, reterr);
    }
    if (r < 0) {
        cmd_model_done(m);
        return r;
    }
    (void)crypto_hash_sha256(hash, m->bytes, m->n);
    (void)sodium_bin2hex(m->sha256, sizeof m->sha256, hash, sizeof hash);
    return 0;
}

int cmd_model_build(const char *path, enum numerics numerics, enum ir_passes passes, struct cmd_model *ret_m, struct err *reterr) {
    int r = cmd_model_read(path, ret_m, reterr);
    if (r < 0) {
        return r;
    }
    ret_m->passes = passes;
    r = ir_optimize(&ret_m->model, passes, &ret_m->changes, reterr);
    r = r < 0 ? r : program_build(&ret_m->model, numerics, &ret_m->program, reterr);
    if (r < 0) {
        cmd_model_done(ret_m);
    }
    return r;
}

bool cmd_model_open(const struct cmd *self, const char *path, const char *numerics_word, struct cmd_model *ret_m, int *ret_code) {
    struct cmd_model_words how = CMD_MODEL_DEFAULTS;
    how.numerics = numerics_word;
    return cmd_model_open_as(self, path, &how, ret_m, ret_code);
}

bool cmd_model_words_parse(const struct cmd *self, const struct cmd_model_words *how, enum numerics *ret_numerics, enum ir_passes *ret_passes, int *ret_code) {
    if (numerics_parse(how->numerics, ret_numerics) < 0) {
        *ret_code = cmd_misuse(self, "--numerics is tflm or litert, not \"%s\"", how->numerics);
        return false;
    }
    if (ir_passes_parse(how->passes, ret_passes) < 0) {
        *ret_code = cmd_misuse(self, "--passes is none, exact or rounding, not \"%s\"", how->passes);
        return false;
    }
    return true;
}

bool cmd_model_open_as(const struct cmd *self, const char *path, const struct cmd_model_words *how, struct cmd_model *ret_m, int *ret_code) {
    enum numerics numerics;
    enum ir_passes passes;
    struct err e = {0};
    if (!cmd_model_words_parse(self, how, &numerics, &passes, ret_code)) {
        return false;
    }
    if (cmd_model_build(path, numerics, passes, ret_m, &e) < 0) {
        *ret_code = cmd_fail(&e, path);
        return false;
    }
    return true;
}

static void add_crc(void *ctx, int node, const int8_t *out, int32_t n) {
    struct cmd_crcs *c = ctx;
    (void)node;
    c->all = jfm_crc32(c->all, out, n);
    c->last = jfm_crc32(0, out, n);
}

int cmd_seed_parse(const char *s, uint32_t *ret_seed) {
    char *end;
    if (strncmp(s, "lcg:", 4) != 0 || !isdigit((unsigned char)s[4])) {
        return -1;
    }
    errno = 0;
    unsigned long long v = strtoull(s + 4, &end, 10);
    if (*end || errno || v > UINT32_MAX) {
        return -1;
    }
    *ret_seed = (uint32_t)v;
    return 0;
}

int cmd_model_input(const struct cmd_model *m, const char *input, int8_t *dst, struct err *reterr) {
    int32_t n = m->model.tensors[m->model.input].elements;
    uint32_t seed;
    if (strncmp(input, "lcg:", 4) == 0) {
        if (cmd_seed_parse(input, &seed) < 0) {
            return err_set(reterr, JF_E_INVAL, "--input %s: the seed must be a number from 0 to %u", input, UINT32_MAX);
        }
        jfm_lcg_fill(dst, n, seed);
        return 0;
    }
    void *bytes = NULL;
    size_t got = 0;
    int r = file_read(input, (size_t)n, &bytes, &got, reterr);
    if (r < 0 || !bytes) {
        return err_prefix(reterr, "--input %s", input);
    }
    if (got != (size_t)n) {
        free(bytes);
        return err_set(reterr, JF_E_INVAL, "--input %s: %zu bytes, the model's input has %d", input, got, n);
    }
    memcpy(dst, bytes, got);
    free(bytes);
    return 0;
}

int cmd_model_run(const struct cmd_model *m, const char *input, int8_t **ret_arena, struct cmd_crcs *ret_crcs, struct err *reterr) {
    int8_t *arena = calloc(1, (size_t)m->program.arena_bytes + 1);
    if (!arena) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the arena");
    }
    int r = cmd_model_input(m, input, arena + m->program.offset[m->model.input], reterr);
    if (r < 0) {
        free(arena);
        return r;
    }
    *ret_crcs = (struct cmd_crcs){0, 0};
    program_run(&m->program, arena, add_crc, ret_crcs);
    *ret_arena = arena;
    return 0;
}

int cmd_model_layers(const struct cmd_model *m, const char *input, struct layers *ret_l, struct err *reterr) {
    memset(ret_l, 0, sizeof *ret_l);
    int8_t *in = malloc((size_t)m->model.tensors[m->model.input].elements);
    if (!in) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the input");
    }
    int r = cmd_model_input(m, input, in, reterr);
    r = r < 0 ? r : layers_run(&m->program, in, ret_l, reterr);
    free(in);
    if (r >= 0) {
        (void)snprintf(ret_l->model_sha256, sizeof ret_l->model_sha256, "%s", m->sha256);
        (void)snprintf(ret_l->input, sizeof ret_l->input, "%s", input);
    }
    return r;
}

bool cmd_is_identifier(const char *s) {
    size_t n = strlen(s);
    if (n == 0 || n > 31 || isdigit((unsigned char)s[0])) {
        return false;
    }
    for (; *s; s++) {
        if (!isalnum((unsigned char)*s) && *s != '_') {
            return false;
        }
    }
    return true;
}

int cmd_model_info(const struct cmd_model *m, const char *path, const char *id, const char *golden, struct cmd_emit_info *ret_i, struct err *reterr) {
    struct cmd_crcs c = {0, 0};
    int8_t *arena = NULL;
    uint32_t seed;
    if (cmd_seed_parse(golden, &seed) < 0) {
        return err_set(reterr, JF_E_INVAL, "--golden wants lcg:SEED, not \"%.40s\"", golden);
    }
    int r = cmd_model_run(m, golden, &arena, &c, reterr);
    if (r < 0) {
        return r;
    }
    free(arena);
    ir_changes_text(&m->changes, ret_i->changes, sizeof ret_i->changes);
    const char *base = strrchr(path, '/');
    (void)snprintf(ret_i->source, sizeof ret_i->source, "%.63s", base ? base + 1 : path);
    for (char *p = ret_i->source; *p; p++) {
        *p = isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '?';
    }
    ret_i->info = (struct emit_info){.id = id,
                                      .source_name = ret_i->source,
                                      .source_sha256 = m->sha256,
                                      .passes = ir_passes_name(m->passes),
                                      .changes = ret_i->changes,
                                      .golden_seed = seed,
                                      .golden_output_crc32 = c.last,
                                      .golden_all_crc32 = c.all};
    return 0;
}
