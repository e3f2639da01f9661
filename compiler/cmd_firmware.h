/* SPDX-License-Identifier: GPL-2.0-or-later
 * The command `jf-model firmware`, apart from reading options and the model. */
#ifndef COMPILER_CMD_FIRMWARE_H
#define COMPILER_CMD_FIRMWARE_H

#include "compiler/board.h"
#include "compiler/emit.h"

struct cmd_firmware {
    const char *board, *out; /* --board, --out: needed */
    const char *name, *firmware_dir; /* --name, --firmware-dir: may be NULL */
    const char *mode; /* --mode: "energy" or "performance" */
    bool json;
};

/* The model's id: --name, else made of the model file's name. */
void cmd_firmware_name(const struct cmd_firmware *c, const char *model, char ret_id[32]);

/* Finds sources and board. *ret_b is freed with board_done(). */
int cmd_firmware_board(const struct cmd_firmware *c, char *ret_dir, size_t size, struct board *ret_b, struct err *reterr) JF_MUST_CHECK;

/* Builds and prints; --out may be a folder, the image is then <folder>/<id>.elf. */
int cmd_firmware_build(const struct cmd_firmware *c, const struct board *b, const char *firmware_dir, const struct program *p, const struct emit_info *info, struct err *reterr)
    JF_MUST_CHECK;

#endif
