/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model firmware: a model as an image for a board; what it says about it. */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/firmware.h"

/* The model file's name as a C identifier: lower case, what is not a letter or digit becomes _, without the extension. */
static void name_from_file(const char *path, char *dst, size_t size) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t n = strcspn(base, "."), used = 0;
    if (n == 0 || isdigit((unsigned char)base[0])) {
        dst[used++] = 'm';
    }
    for (size_t i = 0; i < n && used + 1 < size; i++) {
        unsigned char c = (unsigned char)base[i];
        dst[used++] = (char)(c < 128 && isalnum(c) ? tolower(c) : '_');
    }
    dst[used] = '\0';
}

struct wish {
    const char *model, *board, *out, *id, *golden, *firmware_dir, *mode;
    bool json, strict, print_key;
};

/* Whose fault a failure is, for programs that start this one. */
enum stage { STAGE_MODEL, STAGE_BOARD, STAGE_BUILD };

static const char *class_of(enum stage stage, int code) {
    if (code == JF_E_IO) {
        return "io";
    }
    bool model = stage == STAGE_MODEL ? code != JF_E_BUG : stage == STAGE_BUILD && (code == JF_E_TOO_LARGE || code == JF_E_NOMEM);
    return model ? "refused" : "toolchain";
}

/* The sentence on stderr; with --json the same, and its class, as an object on stdout. */
static int fail(const struct wish *c, enum stage stage, const struct err *e, const char *name) {
    if (c->json) {
        json_t *doc = json_pack("{s:{s:s,s:s,s:s}}", "error", "class", class_of(stage, e->code), "code", err_word(e->code), "text", e->text);
        if (doc) {
            (void)json_dumpf(doc, stdout, JSON_INDENT(2));
            (void)putchar('\n');
        }
        json_decref(doc);
    }
    return cmd_fail(e, name);
}

static int32_t arena_bytes(const struct firmware_request *q) { return q->info->packing ? q->info->packing->arena_bytes : q->program->arena_bytes; }

static void print_json(const struct wish *c, const struct firmware_request *q, const struct firmware_report *r) {
    json_t *regions = json_array();
    for (int i = 0; i < r->n_regions; i++) {
        const struct firmware_region *g = &r->regions[i];
        json_array_append_new(regions, json_pack("{s:s,s:s,s:I,s:I}", "name", g->name, "kind", g->flash ? "flash" : "ram", "used_bytes", (json_int_t)g->used_bytes, "size_bytes",
                                                 (json_int_t)g->size_bytes));
    }
    json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:i,s:o}", "board", c->board, "name", q->info->id, "model_sha256", q->info->source_sha256, "numerics",
                            numerics_name(q->program->numerics), "passes", q->info->passes, "kernels", isa_name(q->board->isa), "mode", c->mode, "file", q->out, "elf_sha256", r->sha256, "elf_bytes",
                            (json_int_t)r->elf_bytes, "flash_bytes", (json_int_t)r->flash_bytes, "ram_bytes", (json_int_t)r->ram_bytes, "arena_bytes", (int)arena_bytes(q), "regions",
                            regions);
    (void)json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(doc);
}

static void print_text(const struct firmware_request *q, const struct firmware_report *r) {
    printf("%s  sha256 %s\n", q->out, r->sha256);
    printf("board %s, kernels %s, numerics %s, passes %s, arena %" PRId32 " bytes\n", q->board->name, isa_name(q->board->isa), numerics_name(q->program->numerics),
           q->info->passes, arena_bytes(q));
    for (int i = 0; i < r->n_regions; i++) {
        const struct firmware_region *g = &r->regions[i];
        printf("%-5s %-10s %9" PRIu64 " of %" PRIu64 " bytes, %.1f %%\n", g->flash ? "flash" : "ram", g->name, g->used_bytes, g->size_bytes, 100.0 * (double)g->used_bytes / (double)g->size_bytes);
    }
}

/* --out may be a folder: the image is then <folder>/<id>.elf. */
static int build(const struct wish *c, const struct cmd_model *m, const struct board *b, const char *firmware_dir, enum stage *stage, struct err *reterr) {
    char path[4096];
    struct stat st;
    struct firmware_report report;
    struct cmd_emit_info i;
    bool folder = stat(c->out, &st) == 0 && S_ISDIR(st.st_mode);
    int used = snprintf(path, sizeof path, folder ? "%s/%s.elf" : "%s", c->out, c->id);
    if (used < 0 || (size_t)used >= sizeof path) {
        return err_set(reterr, JF_E_INVAL, "--out is too long");
    }
    struct packing packing = {.nodes = NULL};
    *stage = STAGE_MODEL;
    const struct firmware_request q = {.program = &m->program, .info = &i.info, .board = b, .firmware_dir = firmware_dir, .performance = strcmp(c->mode, "performance") == 0, .strict = c->strict, .out = path};
    int r = cmd_model_info(m, c->model, c->id, c->golden, &i, reterr);
    if (r == 0 && b->isa != ISA_PORTABLE) {
        r = packing_build(&m->program, b->isa, &packing, reterr);
        i.info.packing = &packing;
    }
    if (r == 0) {
        *stage = STAGE_BUILD;
        r = firmware_build(&q, &report, reterr);
    }
    if (r == 0 && c->json) {
        print_json(c, &q, &report);
    } else if (r == 0) {
        print_text(&q, &report);
    }
    packing_done(&packing);
    return r;
}

static int print_key(const struct wish *c, const char *firmware_dir, const struct board *b, struct err *reterr) {
    char key[65];
    int r = firmware_key(firmware_dir, b, key, reterr);
    if (r == 0 && c->json) {
        printf("{\"board\": \"%s\", \"key\": \"%s\"}\n", b->name, key); /* a board's name is a folder's that was found, and has no quotes */
    } else if (r == 0) {
        printf("%s\n", key);
    }
    return r;
}

/* The words are understood; m is read unless only the key is wanted. */
static int work(const struct wish *c, enum numerics numerics, enum ir_passes passes) {
    struct cmd_model m = {.bytes = NULL};
    struct board board = {0};
    struct err e = {0};
    char dir[4096];
    enum stage stage = STAGE_MODEL;
    int r = c->print_key ? 0 : cmd_model_build(c->model, numerics, passes, &m, &e);
    if (r >= 0) {
        stage = STAGE_BOARD;
        r = board_firmware_dir(c->firmware_dir, dir, sizeof dir, &e);
        r = r < 0 ? r : board_read(dir, c->board, &board, &e);
    }
    if (r >= 0) {
        r = c->print_key ? print_key(c, dir, &board, &e) : build(c, &m, &board, dir, &stage, &e);
    }
    board_done(&board);
    cmd_model_done(&m);
    return r < 0 ? fail(c, stage, &e, c->print_key ? c->board : c->model) : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    struct wish c = {.golden = "lcg:1", .mode = "energy"};
    struct cmd_model_words how = CMD_MODEL_DEFAULTS;
    const char *words[1];
    const struct cmd_option rows[] = {
        {"--board", "BOARD", "a folder of the firmware sources' boards/", &c.board, NULL},
        {"--out", "FILE|DIR", "the image, or the folder for ID.elf", &c.out, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &how.numerics, NULL},
        {"--passes", "none|exact|rounding", CMD_PASSES_HELP, &how.passes, NULL},
        {"--name", "ID", "name of the model on the board (default: made of its file's name)", &c.id, NULL},
        {"--golden", "lcg:SEED", "input whose checksums are embedded (default lcg:1)", &c.golden, NULL},
        {"--mode", "energy|performance", "of the MLPerf Tiny protocol (default energy)", &c.mode, NULL},
        {"--firmware-dir", "DIR", "the firmware's sources (default: beside the program)", &c.firmware_dir, NULL},
        {"--print-key", NULL, "only the hash of sources and compiler that images depend on", NULL, &c.print_key},
        {"--strict", NULL, "the compiler's warnings are errors", NULL, &c.strict},
        {"--json", NULL, "machine-readable output", NULL, &c.json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 0, 1, 0, words};
    enum numerics numerics;
    enum ir_passes passes;
    char made[32];
    uint32_t seed;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (c.print_key && (!c.board || c.out || w.n > 0)) {
        return cmd_misuse(self, "--print-key wants --board BOARD, and neither a model nor --out");
    }
    if (!c.print_key && w.n == 0) {
        return cmd_misuse(self, "wants a MODEL");
    }
    if (!c.board || (!c.out && !c.print_key) || (c.id && !cmd_is_identifier(c.id))) {
        return cmd_misuse(self, "wants --board BOARD and --out FILE|DIR; --name is letters, digits, _; at most 31");
    }
    if (strcmp(c.mode, "energy") != 0 && strcmp(c.mode, "performance") != 0) {
        return cmd_misuse(self, "--mode is energy or performance, not \"%s\"", c.mode);
    }
    if (cmd_seed_parse(c.golden, &seed) < 0) {
        return cmd_misuse(self, "--golden wants lcg:SEED, not \"%s\"", c.golden);
    }
    if (!cmd_model_words_parse(self, &how, &numerics, &passes, &code)) {
        return code;
    }
    c.model = w.n > 0 ? words[0] : "";
    if (!c.id) {
        name_from_file(c.model, made, sizeof made);
        c.id = made;
    }
    return work(&c, numerics, passes);
}

const struct cmd cmd_firmware = {"firmware", "MODEL --board BOARD --out FILE|DIR [OPTIONS]", "compiles a model for a board: an ELF image, and what it needs of flash and RAM", run};
