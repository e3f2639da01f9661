/* SPDX-License-Identifier: GPL-2.0-or-later
 * A target as data: what a chip, its accelerator and its tool chain can hold and compute, read from compiler/targets/NAME.yaml (format:
 * compiler/targets/README.md). Strict: an unknown field, word or source is an error with file, line and field. Nothing here knows
 * a particular target. */
#ifndef COMPILER_TARGET_H
#define COMPILER_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/quantity.h"

#define TARGET_MAX_IN 16
#define TARGET_MAX_WHEN 3
#define TARGET_MAX_LIMITS 192
#define TARGET_MAX_GROUPS 24
#define TARGET_MAX_OPS 32
#define TARGET_MAX_MEMORIES 8
#define TARGET_MAX_UNKNOWN 16
#define TARGET_MAX_ARGV 32
#define TARGET_MAX_STEPS 4
#define TARGET_MAX_NEEDS 4
#define TARGET_MAX_OUTPUTS 8
#define TARGET_MAX_REPORTS 4
#define TARGET_MAX_FIELDS 10
#define TARGET_MAX_ACCEPT 12

/* What a value must satisfy: all that is given. */
struct target_range {
    bool has_min, has_max;
    int64_t min, max, multiple; /* multiple 0: any */
    int64_t in[TARGET_MAX_IN];
    int n_in;
};
/* What follows from a violation. */
enum target_effect {
    TARGET_FALLBACK, /* the node runs on the CPU */
    TARGET_REQUANTIZE, /* the same graph with other scales would do */
    TARGET_ILLEGAL,
};
struct target_limit {
    const struct quantity *quantity;
    struct target_range range;
    struct {
        const struct quantity *quantity;
        struct target_range range;
    } when[TARGET_MAX_WHEN]; /* it holds only where all of these do */
    int n_when;
    enum target_effect effect;
    const char *source, *change; /* the source's text; change NULL: none is known */
};
/* Operators with the same limits. */
struct target_group {
    const char *ops[TARGET_MAX_OPS];
    int n_ops, first_limit, n_limits;
    bool all; /* every operator */
    bool on_cpu; /* supported, but in software beside the accelerator */
    bool layer;
    const char *source;
};
struct target_memory {
    const char *name, *source;
    int64_t bytes;
    bool weights, activations;
    int64_t banks, bank_channels, bank_bytes; /* banks 0: one piece */
};

enum target_report_format { TARGET_REPORT_CSV, TARGET_REPORT_LINES };
/* Where a number stands in what a tool left behind: CSV: the column of that name in the last row; lines: the first number
 * behind `key` of the last line that has it (and holds `line`, when given). */
struct target_report_field {
    const char *field, *line, *key;
    double scale;
    bool required;
};
struct target_report {
    enum target_report_format format;
    const char *file; /* glob inside the output directory; NULL: what the tool printed */
    struct target_report_field fields[TARGET_MAX_FIELDS];
    int n_fields;
};
struct target_tool {
    const char *name, *install, *source;
    const char *version_argv[TARGET_MAX_ARGV], *version_key, *accept[TARGET_MAX_ACCEPT];
    int n_accept;
    struct {
        const char *argv[TARGET_MAX_ARGV]; /* {model} {stem} {out} {NEED}; NULL-terminated */
    } steps[TARGET_MAX_STEPS];
    int n_steps;
    struct {
        const char *name, *what;
    } needs[TARGET_MAX_NEEDS]; /* files that the person gives beside the model */
    int n_needs;
    const char *outputs[TARGET_MAX_OUTPUTS]; /* globs; each must match */
    int n_outputs;
    struct target_report reports[TARGET_MAX_REPORTS];
    int n_reports;
    int64_t deadline_s, memory_mib;
};

struct yaml_doc;
struct target {
    struct yaml_doc *doc; /* owns every text below */
    const char *name, *title, *maturity; /* maturity: documented, partial, generic */
    const char *unknown[TARGET_MAX_UNKNOWN]; /* what is not known of it */
    int n_unknown;
    bool fallback; /* a CPU takes what the accelerator refuses */
    bool operators_known; /* false: the list of operators is not public */
    bool split_arena; /* activations may lie in several memories */
    struct target_limit limits[TARGET_MAX_LIMITS];
    int n_limits;
    struct target_group groups[TARGET_MAX_GROUPS], every; /* every: limits of each node */
    int n_groups;
    int first_model_limit, n_model_limits;
    struct target_memory memories[TARGET_MAX_MEMORIES];
    int n_memories;
    bool has_tool;
    struct target_tool tool;
};

/* Reads one file. The name in it must be the file's. */
int target_read(const char *path, struct target **ret_t, struct err *reterr) JF_MUST_CHECK;
/* The same of bytes in memory, as if they were read from path. */
int target_parse(const char *path, const void *bytes, size_t n, struct target **ret_t, struct err *reterr) JF_MUST_CHECK;
void target_free(struct target *t); /* NULL allowed */

/* The directory with the files: dir when not NULL, else $JOULEFARM_TARGETS, else ../share/joulefarm/targets beside the program, else
 * ../compiler/targets beside it (a build tree). JF_E_NOT_FOUND tells where was looked. */
int target_directory(const char *dir, char *dst, size_t size, struct err *reterr) JF_MUST_CHECK;
/* Opens NAME of that directory; JF_E_NOT_FOUND lists the names that there are. */
int target_open(const char *dir, const char *name, struct target **ret_t, struct err *reterr) JF_MUST_CHECK;
/* The names in a directory, sorted; at most max, each below 64 bytes. The number, or an error. */
int target_names(const char *dir, char (*names)[64], int max, struct err *reterr) JF_MUST_CHECK;

bool target_range_holds(const struct target_range *r, int64_t v);
/* "1 to 3", "at most 32", "1 or 3", "a multiple of 4" */
void target_range_text(const struct target_range *r, char *dst, size_t size);
/* Which operators a target's file may name. */
bool target_op_known(const char *name);

#endif
