/* SPDX-License-Identifier: GPL-2.0-or-later
 * Uploaded models become firmware: for each model, board type and numerics `jf-model check` and `jf-model firmware` run once,
 * as children on the shop's threads, bounded in time, memory and output. What is to be compiled stands in the store alone
 * (state compiling), so a restart goes on where it stopped. */
#ifndef DAEMON_MODELS_H
#define DAEMON_MODELS_H

#include <jansson.h>

#include "daemon/conf.h"
#include "daemon/shop.h"
#include "daemon/tool.h"
#include "db/store.h"

#define MODELS_TRIES 3 /* starts of one build, over lives of the daemon: a model that takes the daemon along does it no more */

struct models;
struct models_env { /* borrowed for its life */
    const struct conf *conf;
    struct store *store;
    struct shop *shop;
    const struct tools *tools;
    void (*ready)(void *user); /* any thread: jobs have got their firmware, or have failed */
    void *user;
};
/* Asks jf-model for its version, and for each board type of a bench for the key of its sources and compiler (at most 5 and
 * 20 s each; main thread). Builds are kept apart by these and by the hash of the program: what a restart finds changed is
 * compiled anew. Without a working jf-model this succeeds, and models_tool says why there is none; without a key builds
 * are tried all the same, and say themselves what is missing. */
int models_new(const struct models_env *env, struct models **ret_m, struct err *reterr) JF_MUST_CHECK;
void models_free(struct models *m); /* the shop must be closed; NULL allowed */
/* "jf-model 0.1.0 9f86d081884c7d65 51576b8b1a9ccb9b", part of a build's key; board_type NULL, or of no bench: without its
 * last word. JF_E_UNSUPPORTED: there is no jf-model that works. */
int models_tool(const struct models *m, const char *board_type, const char **ret_tool, struct err *reterr) JF_MUST_CHECK;
/* Any thread: something was set to compiling, or a restart left something so. JF_E_FULL: it stays in the store and goes on
 * with the next call. */
int models_kick(struct models *m, struct err *reterr) JF_MUST_CHECK;
/* "tflite", "onnx" by content, or JF_E_PARSE. Pure. A TFLite file says TFL3 at byte 4; an ONNX file begins with the field
 * ir_version (08). That it is a model at all is jf-model's to say. */
int models_format(const void *data, size_t size, const char **ret_format, struct err *reterr) JF_MUST_CHECK;

#endif
