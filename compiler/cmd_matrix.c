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
#define SUMMARY_COLUMNS 12 /* models beside each other */

struct matrix {
    struct target *targets[MAX_TARGETS];
    int n_targets;
    json_t *json; /* NULL: text */
    bool summary;
    int n_models; /* done so far */
    struct {
        char name[64];
        double weights_kib, activations_kib;
        const char *word[MAX_TARGETS];
    } models[MAX_MODELS];
};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* KiB: what is needed, and of what; "?" when the target's is not known */
static void memory_text(int64_t bytes, int64_t room, char *dst, size_t size) {
    char of[24] = "?";
    if (room >= 0) {
        (void)snprintf(of, sizeof of, "%.0f", (double)room / 1024.0);
    }
    (void)snprintf(dst, size, "%8.1f of %5s", (double)bytes / 1024.0, of);
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
    printf("  %-15s %-23s  %s  %s%s%s\n", t->name, check_verdict_name(r->verdict), weights, activations, why[0] ? "  " : "", why);
}

static json_t *row_json(const struct target *t, const struct check_result *r) {
    json_t *x = json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:I}", "target", t->name, "maturity", t->maturity, "verdict", check_verdict_word(r->verdict), "verdict_requantized", check_verdict_word(r->requantized),
                          "violations", r->n_violations, "cpu_nodes", r->cpu_nodes, "weight_bytes", (json_int_t)r->weight_bytes, "activation_bytes", (json_int_t)r->activation_bytes);
    json_object_set_new(x, "weight_room", r->weight_room < 0 ? json_null() : json_integer(r->weight_room));
    json_object_set_new(x, "activation_room", r->activation_room < 0 ? json_null() : json_integer(r->activation_room));
    return x;
}

/* ---- one word for each model and target --------------------------------------------------------------------------------- */
static const char *word_of(const struct check_result *r) {
    static const char *const words[] = {"legal", "cpu", "no", "?"};
    return r->verdict == CHECK_ILLEGAL && r->requantized != CHECK_ILLEGAL ? "scales" : words[r->verdict];
}

static void print_summary(const struct matrix *x) {
    for (int k = 0; k < x->n_models; k++) {
        printf("%3d  %-32s %8.1f KiB of weights %8.1f KiB of activations\n", k + 1, x->models[k].name, x->models[k].weights_kib, x->models[k].activations_kib);
    }
    for (int from = 0; from < x->n_models; from += SUMMARY_COLUMNS) {
        int to = from + SUMMARY_COLUMNS < x->n_models ? from + SUMMARY_COLUMNS : x->n_models;
        printf("\n%-15s", "target");
        for (int k = from; k < to; k++) {
            printf(" %7d", k + 1);
        }
        (void)putchar('\n');
        for (int i = 0; i < x->n_targets; i++) {
            printf("%-15s", x->targets[i]->name);
            for (int k = from; k < to; k++) {
                printf(" %7s", x->models[k].word[i]);
            }
            (void)putchar('\n');
        }
    }
    printf("\ncpu: legal, some nodes run on the CPU; scales: legal with the target's scales, see jf-model requantize; no: a limit is violated,\n"
           "jf-model check says which; ?: nothing is violated, but which operators the target takes is not public\n");
}

/* ---- models ------------------------------------------------------------------------------------------------------------ */
static void print_head(const char *name, const struct cmd_model *m) {
    printf("%s: %d nodes, %.1f KiB of weights, %.1f KiB of activations\n", name, m->model.n_nodes, (double)quantity_weight_bytes(&m->model) / 1024.0,
           (double)quantity_activation_bytes(&m->model) / 1024.0);
    printf("  %-15s %-23s  %17s  %17s\n", "target", "verdict", "weights KiB", "activations KiB");
}

/* One model against all targets; its rows go to the JSON, to the summary or to the terminal. */
static int one_model(struct matrix *x, const char *path) {
    struct err e = {0};
    struct cmd_model m;
    if (cmd_model_read(path, &m, &e) < 0) {
        return cmd_fail(&e, path);
    }
    bool text = !x->json && !x->summary;
    json_t *rows = x->json ? json_array() : NULL;
    int code = CMD_DONE, k = x->n_models++;
    (void)snprintf(x->models[k].name, sizeof x->models[k].name, "%s", base_name(path));
    x->models[k].weights_kib = (double)quantity_weight_bytes(&m.model) / 1024.0;
    x->models[k].activations_kib = (double)quantity_activation_bytes(&m.model) / 1024.0;
    if (text) {
        print_head(base_name(path), &m);
    }
    for (int i = 0; i < x->n_targets; i++) {
        struct check_result r;
        if (check_model(&m.model, x->targets[i], &r, &e) < 0) {
            code = cmd_fail(&e, path);
            break;
        }
        x->models[k].word[i] = word_of(&r);
        if (x->json) {
            json_array_append_new(rows, row_json(x->targets[i], &r));
        } else if (text) {
            print_row(&m, x->targets[i], &r);
        }
        check_result_done(&r);
    }
    if (x->json) {
        json_array_append_new(x->json, json_pack("{s:s,s:s,s:o}", "model", base_name(path), "model_sha256", m.sha256, "targets", rows));
    }
    cmd_model_done(&m);
    return code;
}

static int load_targets(struct matrix *x, const char *dir) {
    struct err e = {0};
    char at[PATH_MAX], names[MAX_TARGETS][64];
    if (target_directory(dir, at, sizeof at, &e) < 0) {
        return cmd_fail(&e, "matrix");
    }
    int n = target_names(at, names, MAX_TARGETS, &e);
    for (int i = 0; i < n; i++) {
        if (target_open(at, names[i], &x->targets[i], &e) < 0) {
            return cmd_fail(&e, "matrix");
        }
        x->n_targets++;
    }
    return n < 0 ? cmd_fail(&e, "matrix") : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *dir = NULL, *words[MAX_MODELS];
    struct matrix x = {.n_targets = 0};
    bool json = false;
    const struct cmd_option rows[] = {
        {"--summary", NULL, "only one word for each model and target", NULL, &x.summary},
        {"--targets-dir", "DIR", CMD_TARGETS_HELP, &dir, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL", 1, MAX_MODELS, 0, words};
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    x.json = json ? json_array() : NULL;
    code = load_targets(&x, dir);
    for (int i = 0; i < w.n && code == CMD_DONE; i++) {
        if (i > 0 && !json && !x.summary) {
            (void)putchar('\n');
        }
        code = one_model(&x, words[i]);
    }
    if (json && code == CMD_DONE) {
        json_t *doc = json_pack("{s:O}", "models", x.json);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else if (x.summary && code == CMD_DONE) {
        print_summary(&x);
    }
    json_decref(x.json);
    for (int i = 0; i < x.n_targets; i++) {
        target_free(x.targets[i]);
    }
    return code;
}

const struct cmd cmd_matrix = {"matrix", "MODEL... [OPTIONS]", "checks models against every target and prints a table", run};
