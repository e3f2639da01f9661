/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the parts of the reader of target files share (target.c, target_tool.c). `at` is the field's path, for messages. */
#ifndef COMPILER_TARGET_IMPL_H
#define COMPILER_TARGET_IMPL_H

#include "compiler/target.h"
#include "compiler/yaml_doc.h"

#define TARGET_FIELD 96

struct target_reader {
    const struct yaml_doc *d;
    struct target *t;
    struct err *e;
    int sources; /* the file's map of documents */
};

int target_text(struct target_reader *r, int map, const char *at, const char *key, bool required, const char **ret_s) JF_MUST_CHECK;
int target_whole(struct target_reader *r, int map, const char *at, const char *key, bool required, int64_t min, int64_t max, int64_t *ret_v) JF_MUST_CHECK;
int target_flag(struct target_reader *r, int map, const char *at, const char *key, bool *ret_v) JF_MUST_CHECK;
int target_texts(struct target_reader *r, int map, const char *at, const char *key, int min, int max, const char **dst, int *ret_n) JF_MUST_CHECK;
int target_source(struct target_reader *r, int map, const char *at, bool required, const char **ret_s) JF_MUST_CHECK;
int target_read_tool(struct target_reader *r, int map) JF_MUST_CHECK; /* map 0: there is none */

#endif
