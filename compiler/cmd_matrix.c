/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model matrix: models against all targets, as a table. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/check.h"
#include "compiler/cmd.h"
#include "compiler/cmd_model.h"

#define MAX_MODELS 32
#define MAX_TARGETS 64

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "76.9/2048" KiB, "76.9/?" */
static void memory_text(int64_t bytes, int64_t room, char *dst, size_t size) {
    if (room < 0) {
        (void)snprintf(dst, size, "%.1f/?", (double)bytes / 1024.0);
    } else {
        (void)snprintf(dst, size, "%.1f/%.0f", (double)bytes / 1024.0, (double)room / 1024.0);
    }
}

/* The first reason that is not about scales, else the first. */
static const struct check_violation *reason(const struct check_result *r) {
    const struct check_violation *best = NULL;
    for (int i = 0; i < r->n_violations; i++) {
        const struct check_violation *v = &r->violations[i];
        if (!best || v->effect > best->effect) {
            best = v;
        }
    }
    return best;
}

static void print_row(const struct cmd_model *m, const struct target *t, const struct check_result *r) {
    char weights[32], activations[32], why[96] = "";
    const struct check_violation *v = reason(r);
    memory_text(r->weight_bytes, r->weight_room, weights, sizeof weights);
    memory_text(r->activation_bytes, r->activation_room, activations, sizeof activations);
    if (v && r->verdict == CHECK_ILLEGAL && r->requantized != CHECK_ILLEGAL) {
        (void)snprintf(why, sizeof why, "%s with other scales", check_verdict_name(r->requantized));
    } else if (v && v->node >= 0) {
        (void)snprintf(why, sizeof why, "node %d %s: %s", v->node, ir_op_name(m->model.nodes[v->node].op), strcmp(v->rule, "operator") == 0 ? "not an operator of it" : v->rule);
    } else if (v) {
        (void)snprintf(why, sizeof why, "%s", v->rule);
    }
    if (r->verdict == CHECK_FALLBACK) {
        (void)snprintf(why, sizeof why, "%d of %d nodes on the CPU", r->cpu_nodes, m->model.n_nodes);
    }
    printf("  %-15s %-23s %15s %15s%s%s\n", t->name, check_verdict_name(r->verdict), weights, activations, why[0] ? "  " : "", why);
}

static json_t *row_json(const struct target *t, const struct check_result *r) {
    json_t *x = json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:I}", "target", t->name, "maturity", t->maturity, "verdict", check_verdict_word(r->verdict), "verdict_requantized", check_verdict_word(r->requantized),
                          "violations", r->n_violations, "cpu_nodes", r->cpu_nodes, "weight_bytes", (json_int_t)r->weight_bytes, "activation_bytes", (json_int_t)r->activation_bytes);
    json_object_set_new(x, "weight_room", r->weight_room < 0 ? json_null() : json_integer(r->weight_room));
    json_object_set_new(x, "activation_room", r->activation_room < 0 ? json_null() : json_integer(r->activation_room));
    return x;
}

/* One model against all targets; its rows go to `models` or to the terminal. */
static int one_model(const char *path, struct target *const *targets, int n, json_t *models) {
    struct err e = {0};
    struct cmd_model m;
    if (cmd_model_read(path, &m, &e) < 0) {
        return cmd_fail(&e, path);
    }
    json_t *rows = models ? json_array() : NULL;
    int code = CMD_DONE;
    if (!models) {
        printf("%s: %d nodes, %.1f KiB of weights, %.1f KiB of activations\n", base_name(path), m.model.n_nodes, (double)quantity_weight_bytes(&m.model) / 1024.0,
               (double)quantity_activation_bytes(&m.model) / 1024.0);
        printf("  %-15s %-23s %15s %15s\n", "target", "verdict", "weights KiB", "activations KiB");
    }
    for (int i = 0; i < n && code == CMD_DONE; i++) {
        struct check_result r;
        if (check_model(&m.model, targets[i], &r, &e) < 0) {
            code = cmd_fail(&e, path);
            break;
        }
        if (models) {
            json_array_append_new(rows, row_json(targets[i], &r));
        } else {
            print_row(&m, targets[i], &r);
        }
        check_result_done(&r);
    }
    if (models) {
        json_array_append_new(models, json_pack("{s:s,s:s,s:o}", "model", base_name(path), "model_sha256", m.sha256, "targets", rows));
    }
    cmd_model_done(&m);
    return code;
}

static int load_targets(const char *dir, struct target **targets, int *ret_n) {
    struct err e = {0};
    char at[PATH_MAX], names[MAX_TARGETS][64];
    *ret_n = 0;
    if (target_directory(dir, at, sizeof at, &e) < 0) {
        return cmd_fail(&e, "matrix");
    }
    int n = target_names(at, names, MAX_TARGETS, &e);
    for (int i = 0; i < n; i++) {
        if (target_open(at, names[i], &targets[i], &e) < 0) {
            return cmd_fail(&e, "matrix");
        }
        (*ret_n)++;
    }
    return n < 0 ? cmd_fail(&e, "matrix") : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *dir = NULL, *words[MAX_MODELS];
    bool json = false;
    const struct cmd_option rows[] = {
        {"--targets-dir", "DIR", CMD_TARGETS_HELP, &dir, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, MAX_MODELS, 0, words};
    struct target *targets[MAX_TARGETS] = {NULL};
    int n = 0, code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    json_t *models = json ? json_array() : NULL;
    code = load_targets(dir, targets, &n);
    for (int i = 0; i < w.n && code == CMD_DONE; i++) {
        if (i > 0 && !json) {
            (void)putchar('\n');
        }
        code = one_model(words[i], targets, n, models);
    }
    if (json && code == CMD_DONE) {
        json_t *doc = json_pack("{s:O}", "models", models);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    }
    json_decref(models);
    for (int i = 0; i < n; i++) {
        target_free(targets[i]);
    }
    return code;
}

const struct cmd cmd_matrix = {"matrix", "MODEL... [OPTIONS]", "checks models against every target and prints a table", run};
