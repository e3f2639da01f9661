/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model check: one model against one target, violation by violation. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "compiler/check.h"
#include "compiler/cmd.h"
#include "compiler/cmd_model.h"

static const char *effect_word(enum target_effect e) { return e == TARGET_FALLBACK ? "cpu" : e == TARGET_REQUANTIZE ? "requantize" : "illegal"; }

static json_t *room(int64_t v) { return v < 0 ? json_null() : json_integer(v); }

static json_t *violation_json(const struct cmd_model *m, const struct check_violation *v) {
    json_t *x = json_pack("{s:s,s:s,s:I,s:s,s:s}", "rule", v->rule, "limit", v->limit, "value", (json_int_t)v->value, "effect", effect_word(v->effect), "source", v->source);
    if (v->node >= 0) {
        json_object_set_new(x, "node", json_integer(v->node));
        json_object_set_new(x, "op", json_string(ir_op_name(m->model.nodes[v->node].op)));
    }
    if (v->change) {
        json_object_set_new(x, "change", json_string(v->change));
    }
    return x;
}

static void print_json(const struct cmd_model *m, const struct target *t, const struct check_result *r) {
    json_t *list = json_array(), *unknown = json_array();
    for (int i = 0; i < r->n_violations; i++) {
        json_array_append_new(list, violation_json(m, &r->violations[i]));
    }
    for (int i = 0; i < t->n_unknown; i++) {
        json_array_append_new(unknown, json_string(t->unknown[i]));
    }
    json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:I,s:{s:I,s:o},s:{s:I,s:o},s:o,s:o}", "model_sha256", m->sha256, "target", t->name, "maturity", t->maturity, "verdict", check_verdict_word(r->verdict),
                            "verdict_requantized", check_verdict_word(r->requantized), "cpu_nodes", r->cpu_nodes, "layers", (json_int_t)r->layers, "weights", "bytes", (json_int_t)r->weight_bytes, "room",
                            room(r->weight_room), "activations", "bytes", (json_int_t)r->activation_bytes, "room", room(r->activation_room), "violations", list, "unknown", unknown);
    json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(doc);
}

static void print_memory(const char *what, int64_t bytes, int64_t have) {
    if (have < 0) {
        printf("  %-11s %" PRId64 " bytes; the target's file gives no size\n", what, bytes);
    } else {
        printf("  %-11s %" PRId64 " of %" PRId64 " bytes\n", what, bytes, have);
    }
}


/* Violations of one limit by several nodes are told together. */
static bool same_limit(const struct check_violation *a, const struct check_violation *b) {
    return (a->node < 0) == (b->node < 0) && a->effect == b->effect && a->change == b->change && a->source == b->source && strcmp(a->rule, b->rule) == 0 && strcmp(a->limit, b->limit) == 0;
}

/* "nodes 0 to 3, 7: 128": the nodes at which the limit of violation `first` has the value of violation i, unless told before. */
static void print_nodes(const struct cmd_model *m, const struct check_result *r, int first, int i) {
    const struct check_violation *v = &r->violations[i];
    int same = 0, from = -1, last = -1;
    for (int k = first; k < r->n_violations; k++) {
        bool equal = same_limit(&r->violations[k], v) && r->violations[k].value == v->value;
        if (equal && k < i) {
            return;
        }
        same += equal;
    }
    if (v->node < 0) {
        printf("  model");
    } else if (same == 1) {
        printf("  node %d (%s)", v->node, ir_op_name(m->model.nodes[v->node].op));
    }
    for (int k = i; same > 1 && k <= r->n_violations; k++) {
        const struct check_violation *x = k < r->n_violations ? &r->violations[k] : NULL;
        if (x && (!same_limit(x, v) || x->value != v->value)) {
            continue;
        }
        if (x && last >= 0 && x->node == last + 1) {
            last = x->node;
            continue;
        }
        if (last >= 0) {
            printf(last > from ? " to %d" : "", last);
        }
        if (x) {
            printf("%s %d", last < 0 ? "  nodes" : ",", x->node);
            from = last = x->node;
        }
    }
    if (strcmp(v->rule, "operator") == 0) {
        printf("\n");
    } else {
        printf(": %" PRId64 "\n", v->value);
    }
}

static void print_group(const struct cmd_model *m, const struct check_result *r, int first) {
    const struct check_violation *v = &r->violations[first];
    const char *then = v->effect == TARGET_FALLBACK ? ": runs on the CPU" : v->effect == TARGET_REQUANTIZE ? ": needs requantization" : "";
    bool is_operator = strcmp(v->rule, "operator") == 0;
    for (int i = 0; i < first; i++) {
        if (same_limit(&r->violations[i], v)) {
            return;
        }
    }
    if (is_operator) {
        printf("\n%s%s\n", v->limit, then);
    } else {
        printf("\n%s must be %s%s\n", v->rule, v->limit, then);
    }
    for (int i = first; i < r->n_violations; i++) {
        if (same_limit(&r->violations[i], v)) {
            print_nodes(m, r, first, i);
        }
    }
    if (v->change) {
        printf("  change: %s\n", v->change);
    }
    printf("  source: %s\n", v->source);
}

static void print_text(const struct cmd_model *m, const struct target *t, const struct check_result *r) {
    printf("%s on %s: %s", m->sha256, t->title, check_verdict_name(r->verdict));
    if (r->requantized != r->verdict) {
        printf(" (with the scales that the target wants: %s)", check_verdict_name(r->requantized));
    }
    printf("\n");
    print_memory("weights", r->weight_bytes, r->weight_room);
    print_memory("activations", r->activation_bytes, r->activation_room);
    if (r->cpu_nodes) {
        printf("  %-11s %d of %d run on the CPU\n", "nodes", r->cpu_nodes, m->model.n_nodes);
    }
    for (int i = 0; i < r->n_violations; i++) {
        print_group(m, r, i);
    }
    if (t->n_unknown) {
        printf("\nnot known of this target (maturity: %s):\n", t->maturity);
    }
    for (int i = 0; i < t->n_unknown; i++) {
        printf("  %s\n", t->unknown[i]);
    }
}

static int check(const char *path, const char *dir, const char *name, bool json) {
    struct err e = {0};
    char at[PATH_MAX];
    struct target *t = NULL;
    struct cmd_model m;
    struct check_result r;
    if (target_directory(dir, at, sizeof at, &e) < 0 || target_open(at, name, &t, &e) < 0) {
        return cmd_fail(&e, "check");
    }
    int code = CMD_REFUSED;
    if (cmd_model_read(path, &m, &e) < 0) {
        code = cmd_fail(&e, path);
        target_free(t);
        return code;
    }
    if (check_model(&m.model, t, &r, &e) < 0) {
        code = cmd_fail(&e, path);
    } else {
        (json ? print_json : print_text)(&m, t, &r);
        code = r.verdict == CHECK_LEGAL || r.verdict == CHECK_FALLBACK ? CMD_DONE : CMD_REFUSED;
        check_result_done(&r);
    }
    cmd_model_done(&m);
    target_free(t);
    return code;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *target = NULL, *dir = NULL, *words[1];
    bool json = false;
    const struct cmd_option rows[] = {
        {"--target", "NAME", "the target; jf-model targets lists them", &target, NULL},
        {"--targets-dir", "DIR", CMD_TARGETS_HELP, &dir, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, 1, 0, words};
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    return target ? check(words[0], dir, target, json) : cmd_misuse(self, "wants --target NAME");
}

const struct cmd cmd_check = {"check", "MODEL --target NAME [OPTIONS]", "says whether a target can run a model, and what stands in the way", run};
