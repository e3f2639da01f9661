/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model: reads a quantized model, runs it on the host, writes it as C. This file: commands, options, files. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/cmd_firmware.h"
#include "compiler/emit.h"
#include "compiler/tflite.h"
#include "firmware/runtime/jf_model.h"

struct options {
    const char *model, *input, *numerics, *name, *out, *golden, *board, *firmware_dir, *mode;
    bool crc, json;
};

struct loaded {
    void *bytes;
    size_t n;
    char sha256[65];
    struct ir_model model;
    struct program program;
};

static void usage(FILE *f) {
    (void)fprintf(f,
                  "usage: jf-model run MODEL.tflite [--numerics tflm|litert] [--input FILE|lcg:SEED] [--crc] [--json]\n"
                  "       jf-model dump MODEL.tflite [--numerics ...] [--json]\n"
                  "       jf-model emit MODEL.tflite --name ID --out DIR [--numerics ...] [--golden lcg:SEED]\n"
                  "       jf-model firmware MODEL.tflite --board BOARD --out FILE|DIR [--numerics ...] [--name ID] [--golden lcg:SEED]\n"
                  "           [--mode energy|performance] [--firmware-dir DIR] [--json]\n\n"
                  "  run    executes on the host and prints the output; with --crc the CRC-32 of all node outputs and of the last\n"
                  "  dump   prints tensors, nodes and the arena\n"
                  "  emit   writes jfm_ID.c and jfm_ID.h\n"
                  "  firmware  compiles it for a board with the board's cross compiler: an ELF image, and what it needs of flash and RAM\n\n"
                  "  --numerics  tflm: double rounding, as TensorFlow Lite for Microcontrollers (default); litert: single rounding\n"
                  "  --input     bytes of the input tensor, or the reference sequence with that seed (default lcg:1)\n"
                  "Exit status: 0 done, 1 the model or a file was refused, 2 wrong usage.\n");
}

static int fail(const struct err *e, const char *name) {
    (void)fprintf(stderr, "jf-model: %s: %s\n", name, e->text);
    return 1;
}

static void unload(struct loaded *l) {
    program_done(&l->program);
    ir_done(&l->model);
    free(l->bytes);
}

static int load(const char *path, enum numerics numerics, struct loaded *l, struct err *reterr) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    memset(l, 0, sizeof *l);
    int r = file_read(path, TFLITE_MAX_BYTES, &l->bytes, &l->n, reterr);
    r = r < 0 ? r : tflite_read(l->bytes, l->n, &l->model, reterr);
    r = r < 0 ? r : program_build(&l->model, numerics, &l->program, reterr);
    if (r < 0) {
        unload(l);
        return r;
    }
    (void)crypto_hash_sha256(hash, l->bytes, l->n);
    (void)sodium_bin2hex(l->sha256, sizeof l->sha256, hash, sizeof hash);
    return 0;
}

struct crcs {
    uint32_t all, last;
};

static void add_crc(void *ctx, int node, const int8_t *out, int32_t n) {
    struct crcs *c = ctx;
    (void)node;
    c->all = jfm_crc32(c->all, out, n);
    c->last = jfm_crc32(0, out, n);
}

static int parse_seed(const char *s, uint32_t *ret_seed) {
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

/* Fills the input from a seed or a file of exactly the right size. */
static int fill_input(const struct loaded *l, const char *input, int8_t *dst, struct err *reterr) {
    int32_t n = l->model.tensors[l->model.input].elements;
    uint32_t seed;
    if (strncmp(input, "lcg:", 4) == 0) {
        if (parse_seed(input, &seed) < 0) {
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

static int execute(const struct loaded *l, const char *input, int8_t **ret_arena, struct crcs *ret_crcs, struct err *reterr) {
    int8_t *arena = calloc(1, (size_t)l->program.arena_bytes + 1);
    if (!arena) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the arena");
    }
    int r = fill_input(l, input, arena + l->program.offset[l->model.input], reterr);
    if (r < 0) {
        free(arena);
        return r;
    }
    *ret_crcs = (struct crcs){0, 0};
    program_run(&l->program, arena, add_crc, ret_crcs);
    *ret_arena = arena;
    return 0;
}

static int cmd_run(const struct options *o, const struct loaded *l) {
    struct err e = {0};
    struct crcs c = {0, 0};
    int8_t *arena = NULL;
    const struct ir_tensor *y = &l->model.tensors[l->model.output];
    if (execute(l, o->input, &arena, &c, &e) < 0 || !arena) {
        return fail(&e, o->model);
    }
    const int8_t *out = arena + l->program.offset[l->model.output];
    if (o->json) {
        json_t *values = json_array();
        for (int32_t i = 0; i < y->elements; i++) {
            json_array_append_new(values, json_integer(out[i]));
        }
        char all[16], last[16];
        (void)snprintf(all, sizeof all, "%08" PRIx32, c.all);
        (void)snprintf(last, sizeof last, "%08" PRIx32, c.last);
        json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "model_sha256", l->sha256, "numerics", numerics_name(l->program.numerics), "input", o->input, "all_crc32", all, "output_crc32", last,
                                "output", values);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else if (o->crc) {
        printf("%08" PRIx32 " %08" PRIx32 "\n", c.all, c.last);
    } else {
        for (int32_t i = 0; i < y->elements; i++) {
            printf("%d%s", out[i], i + 1 < y->elements ? "," : "\n");
        }
    }
    free(arena);
    return 0;
}

static void dump_shape(const struct ir_tensor *t, char *dst, size_t size) {
    size_t used = 0;
    dst[0] = '\0';
    for (int d = 0; d < t->rank && used < size; d++) {
        used += (size_t)snprintf(dst + used, size - used, "%s%d", d ? "x" : "", t->shape[d]);
    }
}

static int cmd_dump(const struct options *o, const struct loaded *l) {
    const struct ir_model *m = &l->model;
    json_t *nodes = json_array();
    if (!o->json) {
        printf("model %s numerics %s\n", l->sha256, numerics_name(l->program.numerics));
    }
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        const struct ir_tensor *x = &m->tensors[n->inputs[0]], *y = &m->tensors[n->output];
        char xs[64], ys[64];
        dump_shape(x, xs, sizeof xs);
        dump_shape(y, ys, sizeof ys);
        if (o->json) {
            json_array_append_new(nodes, json_pack("{s:i,s:s,s:s,s:s,s:f,s:i,s:i}", "node", i, "op", ir_op_name(n->op), "input_shape", xs, "output_shape", ys, "output_scale", (double)ir_scale(y, 0),
                                                   "output_zero_point", ir_zero_point(y), "arena_offset", l->program.offset[n->output]));
        } else {
            printf("%3d %-18s %-14s -> %-14s scale %.9g zero %d at %d\n", i, ir_op_name(n->op), xs, ys, (double)ir_scale(y, 0), ir_zero_point(y), l->program.offset[n->output]);
        }
    }
    if (o->json) {
        json_t *doc = json_pack("{s:s,s:s,s:i,s:i,s:o}", "model_sha256", l->sha256, "numerics", numerics_name(l->program.numerics), "arena_bytes", l->program.arena_bytes, "arena_lower_bound_bytes",
                                l->program.lower_bound_bytes, "nodes", nodes);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else {
        printf("arena %d bytes, lower bound %d\n", l->program.arena_bytes, l->program.lower_bound_bytes);
        json_decref(nodes);
    }
    return 0;
}

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

/* What is embedded beside the program: checksums of the golden input's run, the source's name (source: 64 bytes, filled). */
static int golden_info(const struct options *o, const struct loaded *l, const char *id, char *source, struct emit_info *ret_info, struct err *reterr) {
    struct crcs c = {0, 0};
    int8_t *arena = NULL;
    uint32_t seed;
    if (parse_seed(o->golden, &seed) < 0) {
        return err_set(reterr, JF_E_INVAL, "--golden wants lcg:SEED, not \"%.40s\"", o->golden);
    }
    int r = execute(l, o->golden, &arena, &c, reterr);
    if (r < 0) {
        return r;
    }
    free(arena);
    const char *base = strrchr(o->model, '/');
    (void)snprintf(source, 64, "%.63s", base ? base + 1 : o->model);
    for (char *p = source; *p; p++) {
        *p = isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '?';
    }
    *ret_info = (struct emit_info){id, source, l->sha256, seed, c.last, c.all};
    return 0;
}

static int cmd_emit(const struct options *o, const struct loaded *l) {
    struct err e = {0};
    struct emit_info info;
    char source[64];
    if (!o->name || !o->out || !is_identifier(o->name)) {
        (void)fprintf(stderr, "jf-model: emit wants --name (letters, digits, _; at most 31) and --out DIR\n");
        return 2;
    }
    int r = golden_info(o, l, o->name, source, &info, &e);
    return r < 0 || emit_files(&l->program, &info, o->out, &e) < 0 ? fail(&e, o->model) : 0;
}

static int cmd_firmware(const struct options *o, const struct loaded *l) {
    const struct cmd_firmware c = {.board = o->board, .out = o->out, .name = o->name, .firmware_dir = o->firmware_dir, .mode = o->mode, .json = o->json};
    struct err e = {0};
    struct emit_info info;
    struct board board = {0};
    char id[32], source[64], dir[4096];
    if (!o->board || !o->out || (o->name && !is_identifier(o->name)) || (strcmp(o->mode, "energy") != 0 && strcmp(o->mode, "performance") != 0)) {
        (void)fprintf(stderr, "jf-model: firmware wants --board BOARD and --out FILE|DIR; --name is letters, digits, _, at most 31; --mode is energy or performance\n");
        return 2;
    }
    cmd_firmware_name(&c, o->model, id);
    int r = cmd_firmware_board(&c, dir, sizeof dir, &board, &e);
    r = r < 0 ? r : golden_info(o, l, id, source, &info, &e);
    r = r < 0 ? r : cmd_firmware_build(&c, &board, dir, &l->program, &info, &e);
    board_done(&board);
    return r < 0 ? fail(&e, o->model) : 0;
}

static int parse(int argc, char **argv, struct options *o) {
    const struct {
        const char *name;
        const char **dst;
    } texts[] = {{"--input", &o->input}, {"--numerics", &o->numerics}, {"--name", &o->name}, {"--out", &o->out}, {"--golden", &o->golden},
                 {"--board", &o->board}, {"--firmware-dir", &o->firmware_dir}, {"--mode", &o->mode}};
    for (int i = 2; i < argc; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            if (strcmp(argv[i], texts[k].name) == 0) {
                if (i + 1 >= argc) {
                    (void)fprintf(stderr, "jf-model: %s wants a value (try --help)\n", argv[i]);
                    return -1;
                }
                *texts[k].dst = argv[++i];
                known = true;
                break;
            }
        }
        if (known) {
            continue;
        }
        if (strcmp(argv[i], "--crc") == 0) {
            o->crc = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (argv[i][0] != '-' && !o->model) {
            o->model = argv[i];
        } else {
            (void)fprintf(stderr, "jf-model: \"%s\" is not understood here (try --help)\n", argv[i]);
            return -1;
        }
    }
    if (!o->model) {
        (void)fprintf(stderr, "jf-model: %s wants a MODEL.tflite (try --help)\n", argv[1]);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(const struct options *, const struct loaded *);
    } commands[] = {{"run", cmd_run}, {"dump", cmd_dump}, {"emit", cmd_emit}, {"firmware", cmd_firmware}};
    struct options o = {.input = "lcg:1", .numerics = "tflm", .golden = "lcg:1", .mode = "energy"};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("jf-model %s\n", JF_VERSION);
        return 0;
    }
    for (size_t k = 0; argc > 1 && k < sizeof commands / sizeof commands[0]; k++) {
        if (strcmp(argv[1], commands[k].name) != 0) {
            continue;
        }
        enum numerics numerics;
        struct err e = {0};
        struct loaded l;
        if (parse(argc, argv, &o) < 0) {
            return 2;
        }
        if (numerics_parse(o.numerics, &numerics) < 0) {
            (void)fprintf(stderr, "jf-model: --numerics is tflm or litert, not \"%s\"\n", o.numerics);
            return 2;
        }
        if (load(o.model, numerics, &l, &e) < 0) {
            return fail(&e, o.model);
        }
        int code = commands[k].run(&o, &l);
        unload(&l);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            (void)fprintf(stderr, "jf-model: the output could not be written\n");
            return 1;
        }
        return code;
    }
    usage(stderr);
    return 2;
}
