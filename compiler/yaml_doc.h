/* SPDX-License-Identifier: GPL-2.0-or-later
 * One YAML file as a tree of numbered nodes with line numbers: the compiler's only contact with libyaml. No anchors (a tree is a
 * tree), at most 256 KiB. Every mistake is told as "file:line: field: sentence". */
#ifndef COMPILER_YAML_DOC_H
#define COMPILER_YAML_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define YAML_DOC_MAX_BYTES (256u << 10)

struct yaml_doc;

/* One document of the file at path. JF_E_PARSE, JF_E_TOO_LARGE, or what reading gave. Texts live as long as the document. */
int yaml_doc_read(const char *path, struct yaml_doc **ret_d, struct err *reterr) JF_MUST_CHECK;
/* The same of bytes in memory; name: what mistakes are told of. */
int yaml_doc_parse(const char *name, const void *bytes, size_t n, struct yaml_doc **ret_d, struct err *reterr) JF_MUST_CHECK;
void yaml_doc_free(struct yaml_doc *d); /* NULL allowed */

/* Nodes are positive numbers, 0 is "absent"; every function takes an absent node for an empty one. */
int yaml_doc_root(const struct yaml_doc *d);
bool yaml_doc_is_map(const struct yaml_doc *d, int node);
bool yaml_doc_is_list(const struct yaml_doc *d, int node);
const char *yaml_doc_text(const struct yaml_doc *d, int node); /* of a scalar; else NULL */
int yaml_doc_get(const struct yaml_doc *d, int map, const char *key);
int yaml_doc_count(const struct yaml_doc *d, int node); /* items of a list, pairs of a map */
int yaml_doc_item(const struct yaml_doc *d, int list, int i);
int yaml_doc_pair(const struct yaml_doc *d, int map, int i, const char **ret_key); /* the value */

/* A map whose keys are all among "a|b|c", none twice. */
int yaml_doc_keys(const struct yaml_doc *d, int node, const char *field, const char *keys, struct err *reterr) JF_MUST_CHECK;
/* Fills reterr with file, line and field; returns JF_E_PARSE. */
int yaml_doc_wrong(const struct yaml_doc *d, int node, const char *field, struct err *reterr, const char *fmt, ...) JF_PRINTF(5, 6);

#endif
