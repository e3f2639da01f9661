/* SPDX-License-Identifier: GPL-2.0-or-later
 * The registry of named faults of one virtual bench: set and cleared through the control socket, asked by the part
 * that acts on it. It knows names, parameters and counters, and nothing of what a fault does. One thread. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum fault_id {
#define X(sym, name, who, text) sym,
#include "sim/faults.def"
    FAULT_IDS
};

struct faults;

int faults_new(struct faults **ret_faults, struct err *reterr) JF_MUST_CHECK;
void faults_free(struct faults *f); /* NULL allowed */

/* Is it on (set, past "after" or without it, "count" not used up)? Does not count. Cheap: for every sample. */
bool fault_on(const struct faults *f, enum fault_id id);
/* One opportunity for the effect: honours "after", counts the effect, switches itself off after "count". */
bool fault_fires(struct faults *f, enum fault_id id);
/* The parameter's value, or its default; an unknown name is a programmer's error (abort). */
double fault_param(const struct faults *f, enum fault_id id, const char *name);

/* Control socket: params may be NULL or an object. A bad name, type or value: JF_E_INVAL, reterr->where the field
 * ("name", "params.samples"); nothing is changed then. Setting again restarts "after" and "count". */
int faults_set(struct faults *f, const char *name, bool on, const json_t *params, struct err *reterr) JF_MUST_CHECK;
/* [{"name","on","who","text","params":{...},"opportunities":n,"effects":n}, ...]; new reference, NULL: no memory. */
json_t *faults_list(const struct faults *f);
const char *fault_name(enum fault_id id);

#endif
