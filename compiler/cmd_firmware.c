/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model firmware: a model as an image for a board; what it says about it. */
#include "compiler/cmd_firmware.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

void cmd_firmware_name(const struct cmd_firmware *c, const char *model, char ret_id[32]) {
    if (c->name) {
        (void)snprintf(ret_id, 32, "%s", c->name);
    } else {
        name_from_file(model, ret_id, 32);
    }
}

static void print_json(const struct cmd_firmware *c, const struct firmware_request *q, const struct firmware_report *r) {
    json_t *regions = json_array();
    for (int i = 0; i < r->n_regions; i++) {
        const struct firmware_region *g = &r->regions[i];
        json_array_append_new(regions, json_pack("{s:s,s:s,s:I,s:I}", "name", g->name, "kind", g->flash ? "flash" : "ram", "used_bytes", (json_int_t)g->used_bytes, "size_bytes",
                                                 (json_int_t)g->size_bytes));
    }
    json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:i,s:o}", "board", c->board, "name", q->info->id, "model_sha256", q->info->source_sha256, "numerics",
                            numerics_name(q->program->numerics), "kernels", isa_name(q->board->isa), "mode", c->mode, "file", q->out, "elf_sha256", r->sha256, "elf_bytes",
                            (json_int_t)r->elf_bytes, "flash_bytes", (json_int_t)r->flash_bytes, "ram_bytes", (json_int_t)r->ram_bytes, "arena_bytes", (int)q->program->arena_bytes, "regions",
                            regions);
    (void)json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(doc);
}

static void print_text(const struct firmware_request *q, const struct firmware_report *r) {
    printf("%s  sha256 %s\n", q->out, r->sha256);
    printf("board %s, kernels %s, numerics %s, arena %" PRId32 " bytes\n", q->board->name, isa_name(q->board->isa), numerics_name(q->program->numerics), q->program->arena_bytes);
    for (int i = 0; i < r->n_regions; i++) {
        const struct firmware_region *g = &r->regions[i];
        printf("%-5s %-10s %9" PRIu64 " of %" PRIu64 " bytes, %.1f %%\n", g->flash ? "flash" : "ram", g->name, g->used_bytes, g->size_bytes, 100.0 * (double)g->used_bytes / (double)g->size_bytes);
    }
}

int cmd_firmware_board(const struct cmd_firmware *c, char *ret_dir, size_t size, struct board *ret_b, struct err *reterr) {
    int r = board_firmware_dir(c->firmware_dir, ret_dir, size, reterr);
    return r < 0 ? r : board_read(ret_dir, c->board, ret_b, reterr);
}

int cmd_firmware_build(const struct cmd_firmware *c, const struct board *b, const char *firmware_dir, const struct program *p, const struct emit_info *info, struct err *reterr) {
    char path[4096];
    struct stat st;
    struct firmware_report report;
    int used = snprintf(path, sizeof path, "%s", c->out);
    if (stat(c->out, &st) == 0 && S_ISDIR(st.st_mode)) {
        used = snprintf(path, sizeof path, "%s/%s.elf", c->out, info->id);
    }
    if (used < 0 || (size_t)used >= sizeof path) {
        return err_set(reterr, JF_E_INVAL, "--out is too long");
    }
    const struct firmware_request q = {.program = p, .info = info, .board = b, .firmware_dir = firmware_dir, .performance = strcmp(c->mode, "performance") == 0, .out = path};
    int r = firmware_build(&q, &report, reterr);
    if (r == 0 && c->json) {
        print_json(c, &q, &report);
    } else if (r == 0) {
        print_text(&q, &report);
    }
    return r;
}
