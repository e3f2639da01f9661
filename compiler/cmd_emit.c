/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model emit: a model as C. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/emit.h"

static bool is_identifier(const char *s) {
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

static int emit_model(const char *path, const char *id, const char *out, const char *golden, uint32_t seed, const struct cmd_model *m) {
    struct err e = {0};
    struct cmd_crcs c = {0, 0};
    int8_t *arena = NULL;
    if (cmd_model_run(m, golden, &arena, &c, &e) < 0 || !arena) {
        return cmd_fail(&e, path);
    }
    free(arena);
    const char *base = strrchr(path, '/');
    char source[64];
    (void)snprintf(source, sizeof source, "%.63s", base ? base + 1 : path);
    for (char *p = source; *p; p++) {
        *p = isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '?';
    }
    struct emit_info info = {id, source, m->sha256, seed, c.last, c.all};
    return emit_files(&m->program, &info, out, &e) < 0 ? cmd_fail(&e, path) : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *id = NULL, *out = NULL, *golden = "lcg:1", *numerics_word = "tflm", *words[1];
    const struct cmd_option rows[] = {
        {"--name", "ID", "name of the emitted model, part of its C identifiers", &id, NULL},
        {"--out", "DIR", "where jfm_ID.c and jfm_ID.h go", &out, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &numerics_word, NULL},
        {"--golden", "lcg:SEED", "input whose checksums are embedded (default lcg:1)", &golden, NULL},
        CMD_END,
    };
    struct cmd_words w = {"MODEL.tflite", 1, 1, 0, words};
    struct cmd_model m;
    uint32_t seed;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (!id || !out || !is_identifier(id)) {
        return cmd_misuse(self, "wants --name (letters, digits, _; at most 31) and --out DIR");
    }
    if (cmd_seed_parse(golden, &seed) < 0) {
        return cmd_misuse(self, "--golden wants lcg:SEED, not \"%s\"", golden);
    }
    if (!cmd_model_open(self, words[0], numerics_word, &m, &code)) {
        return code;
    }
    code = emit_model(words[0], id, out, golden, seed, &m);
    cmd_model_done(&m);
    return code;
}

const struct cmd cmd_emit = {"emit", "MODEL.tflite --name ID --out DIR [OPTIONS]", "writes jfm_ID.c and jfm_ID.h", run};
