/* SPDX-License-Identifier: GPL-2.0-or-later
 * A job's document: checked field by field, defaults filled in. The first two calls are pure; any thread. reterr.where
 * is a JSON pointer. */
#ifndef DAEMON_JOBSPEC_H
#define DAEMON_JOBSPEC_H

#include <jansson.h>

#include "daemon/conf.h"
#include "db/store.h"

#define JOBSPEC_BYTES_MAX (256u << 10)

/* One JSON text -> an object, or JF_E_PARSE. Duplicate keys are refused. */
int jobspec_json(const void *text, size_t size, json_t **ret_obj, struct err *reterr) JF_MUST_CHECK;
/* Checks obj and returns the complete, defaulted job (new reference). */
int jobspec_check(const json_t *obj, json_t **ret_spec, struct err *reterr) JF_MUST_CHECK;
/* Labels: at most 16 texts of at most 256 bytes. at: their JSON pointer. */
int jobspec_labels(const json_t *v, const char *at, struct err *reterr) JF_MUST_CHECK;
/* Finds benches that could run it, fills in board_type, and the columns of *ret_j that scheduling needs (spec stays
 * NULL). */
int jobspec_place(json_t *spec, const struct conf *conf, struct store_job *ret_j, struct err *reterr) JF_MUST_CHECK;

#endif
