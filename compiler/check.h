/* SPDX-License-Identifier: GPL-2.0-or-later
 * A model against a target's file: which limits it violates, where, and what follows. Pure; generic: a target is only data. */
#ifndef COMPILER_CHECK_H
#define COMPILER_CHECK_H

#include "compiler/target.h"

#define CHECK_MAX_VIOLATIONS 2000

enum check_verdict {
    CHECK_LEGAL,
    CHECK_FALLBACK, /* legal, and the CPU runs some nodes */
    CHECK_ILLEGAL,
    CHECK_UNDECIDED, /* nothing is violated, but which operators the target takes is not known */
};

struct check_violation {
    int node; /* -1: the model */
    char rule[48]; /* a quantity's name, "operator" or "memory" */
    char limit[96];
    int64_t value; /* of the quantity; bytes for memory; 0 for an operator */
    enum target_effect effect;
    const char *source, *change; /* borrowed from the target; change NULL: none is known */
};

struct check_result {
    enum check_verdict verdict;
    enum check_verdict requantized; /* the verdict once the scales are what the target wants */
    int cpu_nodes; /* nodes that the CPU runs */
    int64_t layers, weight_bytes, activation_bytes;
    int64_t weight_room, activation_room; /* of the target; -1: not known */
    struct check_violation *violations; /* owned */
    int n_violations;
};

/* JF_E_NOMEM only: a violation is not an error. */
int check_model(const struct ir_model *m, const struct target *t, struct check_result *ret_r, struct err *reterr) JF_MUST_CHECK;
void check_result_done(struct check_result *r);
const char *check_verdict_name(enum check_verdict v); /* "legal", "legal with CPU fallback", "illegal", "undecided" */
const char *check_verdict_word(enum check_verdict v); /* for JSON: "legal", "legal-with-cpu-fallback", "illegal", "undecided" */

#endif
