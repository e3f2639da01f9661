/* SPDX-License-Identifier: GPL-2.0-or-later
 * How an image for a board is built, as data: <firmware directory>/boards/<board>/build.conf. One "key words..." a line, # to the line's end is a
 * comment. Keys: title, compiler, install (packages, for the sentence when the compiler is absent), arch (flags), kernels (portable, dsp or mve),
 * sources (folders below the firmware directory, besides runtime/), link (linker script), flash and ram (memory regions of that script),
 * run (argv of a simulator that runs the image; the image's path is appended). compiler, kernels, sources, link, flash and ram must be there. */
#ifndef COMPILER_BOARD_H
#define COMPILER_BOARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "compiler/isa.h"

#define BOARD_MAX_WORDS 32

/* A line's words, NULL-terminated; borrowed from text. */
struct board_words {
    const char *word[BOARD_MAX_WORDS + 1];
    int n;
};

struct board {
    char *text; /* owned: the file, words separated by NUL */
    char name[64];
    struct board_words title, compiler, install, arch, kernels, sources, link, flash, ram, run;
    enum isa isa;
};

/* firmware_dir/boards/name/build.conf. JF_E_NOT_FOUND names the boards that there are; JF_E_PARSE "build.conf of X, line 3: ...". Free with board_done(). */
int board_read(const char *firmware_dir, const char *name, struct board *ret_b, struct err *reterr) JF_MUST_CHECK;
void board_done(struct board *b); /* a zeroed one too */

/* Is the region one of the words? */
bool board_has(const struct board_words *w, const char *word);

/* Where the firmware's sources are, the first that holds runtime/jf_model.h of: option (--firmware-dir, may be NULL; nothing else is tried then),
 * $JOULEFARM_FIRMWARE_DIR, <program's folder>/../share/joulefarm/firmware (installed), and firmware/ one or two folders above the program's
 * (a build tree). ret_dir: absolute. JF_E_NOT_FOUND lists what was tried. */
int board_firmware_dir(const char *option, char *ret_dir, size_t size, struct err *reterr) JF_MUST_CHECK;

#endif
