/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model diff: two models, or a model and somebody else's answers, layer by layer. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/layers.h"

#define CMD_DIFFER 3

static bool is_model(const char *path) {
    size_t n = strlen(path);
    return (n > 7 && strcmp(path + n - 7, ".tflite") == 0) || (n > 5 && strcmp(path + n - 5, ".onnx") == 0);
}

/* A side: run here when it is a model, else read. */
static int side(const char *path, enum numerics numerics, const char *input, struct layers *ret_l, struct err *reterr) {
    struct cmd_model m;
    if (!is_model(path)) {
        return layers_read(path, ret_l, reterr);
    }
    int r = cmd_model_build(path, numerics, IR_PASSES_EXACT, &m, reterr);
    if (r < 0) {
        return r;
    }
    r = cmd_model_layers(&m, input, ret_l, reterr);
    cmd_model_done(&m);
    return r;
}

static json_t *diff_json(const struct layer_diff *d) {
    return json_pack("{s:s,s:s,s:i,s:b,s:o,s:o,s:o,s:o,s:o}", "op", d->a->op[0] ? d->a->op : d->b->op, "tensor", d->a->tensor[0] ? d->a->tensor : d->b->tensor, "elements", d->a->n, "equal", d->equal, "differing",
                     d->by_values ? json_integer(d->differing) : json_null(), "max_steps", d->by_values ? json_integer(d->max_steps) : json_null(), "max_error", d->by_values ? json_real(d->max_real) : json_null(),
                     "mean_error", d->by_values ? json_real(d->mean_real) : json_null(), "first", d->first >= 0 ? json_integer(d->first) : json_null());
}

static void print_row(int i, const struct layer_diff *d) {
    const char *op = d->a->op[0] ? d->a->op : d->b->op, *tensor = d->a->tensor[0] ? d->a->tensor : d->b->tensor;
    size_t len = strlen(tensor);
    printf("%3d  %-18s %9d  ", i, op[0] ? op : "-", d->a->n);
    if (!d->by_values) {
        printf("%-7s (checksums only)", d->equal ? "equal" : "DIFFERS");
    } else if (d->equal) {
        printf("equal                                          ");
    } else {
        printf("DIFFERS %7d values, at most %3d steps, mean %.3g", d->differing, d->max_steps, d->mean_real);
    }
    printf("  %s\n", len > 40 ? tensor + len - 40 : tensor);
}

static int report(const struct layers *a, const struct layers *b, bool json) {
    struct err e = {0};
    struct layer_diff *d = NULL;
    int n = 0, differing = 0;
    if (layers_compare(a, b, &d, &n, &e) < 0) {
        return cmd_fail(&e, "diff");
    }
    json_t *rows = json_array();
    for (int i = 0; i < n; i++) {
        differing += !d[i].equal;
        if (json) {
            json_array_append_new(rows, diff_json(&d[i]));
        } else {
            print_row(i, &d[i]);
        }
    }
    int32_t ta = layers_top1(a), tb = layers_top1(b);
    if (json) {
        json_t *doc = json_pack("{s:b,s:i,s:i,s:i,s:o,s:o}", "equal", differing == 0, "layers_compared", n, "layers_a", a->n, "layers_b", b->n, "top1_agrees", ta >= 0 && tb >= 0 ? json_boolean(ta == tb) : json_null(),
                                "layers", rows);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else {
        json_decref(rows);
        printf("%d of %d layers differ", differing, n);
        if (n != a->n || n != b->n) {
            printf(" (%d and %d layers, %d in common)", a->n, b->n, n);
        }
        if (ta >= 0 && tb >= 0) {
            printf("; largest output: %d%s%d", ta, ta == tb ? " = " : " against ", tb);
        }
        printf("\n");
    }
    free(d);
    return differing ? CMD_DIFFER : CMD_DONE;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *input = "lcg:1", *word_a = "tflm", *word_b = NULL, *words[2];
    bool json = false;
    const struct cmd_option rows[] = {
        {"--input", "FILE|lcg:SEED", "bytes of the input tensor, or the reference sequence with that seed (default lcg:1)", &input, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &word_a, NULL},
        {"--numerics-b", "tflm|litert", "of the second model, when it is another one", &word_b, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"A B", 2, 2, 0, words};
    struct layers a = {0}, b = {0};
    struct err e = {0};
    enum numerics na, nb;
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (numerics_parse(word_a, &na) < 0 || numerics_parse(word_b ? word_b : word_a, &nb) < 0) {
        return cmd_misuse(self, "--numerics is tflm or litert");
    }
    if (side(words[0], na, input, &a, &e) < 0) {
        return cmd_fail(&e, words[0]);
    }
    if (side(words[1], nb, input, &b, &e) < 0) {
        layers_done(&a);
        return cmd_fail(&e, words[1]);
    }
    code = report(&a, &b, json);
    layers_done(&a);
    layers_done(&b);
    return code;
}

const struct cmd cmd_diff = {"diff", "A B [OPTIONS]", "compares two models, or a model and answers of a run or a board, layer by layer; status 3: they differ", run};
