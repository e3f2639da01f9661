/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model targets: the targets that there are, or one of them with its limits; the quantities that limits speak of. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "compiler/cmd.h"
#include "compiler/target.h"

#define MAX_TARGETS 64

static void print_limits(const struct target *t, int first, int n) {
    for (int i = first; i < first + n; i++) {
        const struct target_limit *l = &t->limits[i];
        char text[96];
        target_range_text(&l->range, text, sizeof text);
        printf("    %-20s %s", l->quantity->name, text);
        for (int k = 0; k < l->n_when; k++) {
            target_range_text(&l->when[k].range, text, sizeof text);
            printf("%s %s is %s", k ? " and" : ", when", l->when[k].quantity->name, text);
        }
        printf("%s\n", l->effect == TARGET_REQUANTIZE ? " (else requantize)" : l->effect == TARGET_FALLBACK ? " (else CPU)" : "");
    }
}

static void print_target(const struct target *t) {
    printf("%s: %s\nmaturity: %s; what the accelerator refuses %s\n", t->name, t->title, t->maturity, t->fallback ? "runs on the CPU" : "is illegal");
    for (int i = 0; i < t->n_memories; i++) {
        const struct target_memory *m = &t->memories[i];
        printf("  %-22s %10" PRId64 " bytes  %s%s%s\n", m->name, m->bytes, m->weights ? "weights" : "", m->weights && m->activations ? ", " : "", m->activations ? "activations" : "");
    }
    if (t->every.n_limits) {
        printf("  every operator\n");
        print_limits(t, t->every.first_limit, t->every.n_limits);
    }
    if (!t->operators_known) {
        printf("  operators: no public list\n");
    }
    for (int g = 0; g < t->n_groups; g++) {
        printf("  ");
        for (int i = 0; i < t->groups[g].n_ops; i++) {
            printf("%s%s", i ? ", " : "", t->groups[g].ops[i]);
        }
        printf("%s\n", t->groups[g].on_cpu ? ": in software" : "");
        print_limits(t, t->groups[g].first_limit, t->groups[g].n_limits);
    }
    if (t->n_model_limits) {
        printf("  the model\n");
        print_limits(t, t->first_model_limit, t->n_model_limits);
    }
    for (int i = 0; i < t->n_unknown; i++) {
        printf("  not known: %s\n", t->unknown[i]);
    }
    if (t->has_tool) {
        printf("  tool: %s (%s)\n", t->tool.name, t->tool.install);
    }
}

static json_t *target_json(const struct target *t) {
    json_t *memories = json_array(), *unknown = json_array();
    for (int i = 0; i < t->n_memories; i++) {
        const struct target_memory *m = &t->memories[i];
        json_array_append_new(memories, json_pack("{s:s,s:I,s:b,s:b}", "name", m->name, "bytes", (json_int_t)m->bytes, "weights", m->weights, "activations", m->activations));
    }
    for (int i = 0; i < t->n_unknown; i++) {
        json_array_append_new(unknown, json_string(t->unknown[i]));
    }
    json_t *x = json_pack("{s:s,s:s,s:s,s:b,s:b,s:i,s:o,s:o}", "name", t->name, "title", t->title, "maturity", t->maturity, "fallback", t->fallback, "operators_known", t->operators_known, "limits", t->n_limits,
                          "memories", memories, "unknown", unknown);
    json_object_set_new(x, "tool", t->has_tool ? json_string(t->tool.name) : json_null());
    return x;
}

static void print_quantities(void) {
    for (int i = 0; quantity_at(i); i++) {
        printf("%-20s %s\n", quantity_at(i)->name, quantity_at(i)->meaning);
    }
}

static int list(const char *dir, const char *only, bool json) {
    struct err e = {0};
    char at[PATH_MAX], names[MAX_TARGETS][64];
    int n = target_directory(dir, at, sizeof at, &e);
    n = n < 0 ? n : target_names(at, names, MAX_TARGETS, &e);
    if (n < 0) {
        return cmd_fail(&e, "targets");
    }
    if (only) {
        n = 1;
    }
    json_t *all = json_array();
    int code = CMD_DONE;
    for (int i = 0; i < n && code == CMD_DONE; i++) {
        struct target *t = NULL;
        if (target_open(at, only ? only : names[i], &t, &e) < 0) {
            code = cmd_fail(&e, "targets");
        } else if (json) {
            json_array_append_new(all, target_json(t));
        } else if (only) {
            print_target(t);
        } else {
            printf("%-15s %-11s %s\n", t->name, t->maturity, t->title);
        }
        target_free(t);
    }
    if (json && code == CMD_DONE) {
        json_t *doc = json_pack("{s:O}", "targets", all);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    }
    json_decref(all);
    return code;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *dir = NULL, *words[1] = {NULL};
    bool json = false, quantities = false;
    const struct cmd_option rows[] = {
        {"--targets-dir", "DIR", CMD_TARGETS_HELP, &dir, NULL},
        {"--quantities", NULL, "list what limits may speak of, and end", NULL, &quantities},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"NAME", 0, 1, 0, words};
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (quantities) {
        print_quantities();
        return CMD_DONE;
    }
    return list(dir, words[0], json);
}

const struct cmd cmd_targets = {"targets", "[NAME] [OPTIONS]", "lists the targets, or one with its limits", run};
