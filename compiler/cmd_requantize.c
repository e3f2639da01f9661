/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model requantize: the same network with power-of-two scales, and what that costs, layer by layer, on a calibration set. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/cmd.h"
#include "compiler/cmd_model.h"
#include "compiler/layers.h"
#include "compiler/requant.h"

#define MAX_SET 10000

/* The calibration inputs: names for cmd_model_layers ("lcg:1", or a path). */
struct set {
    char **names;
    int n;
};

static void set_done(struct set *s) {
    for (int i = 0; i < s->n; i++) {
        free(s->names[i]);
    }
    free(s->names);
}

static int set_add(struct set *s, const char *text) {
    char *copy = strdup(text);
    char **p = copy && s->n < MAX_SET ? realloc(s->names, (size_t)(s->n + 1) * sizeof *p) : NULL;
    if (!p) {
        free(copy);
        return -1;
    }
    s->names = p;
    s->names[s->n++] = copy;
    return 0;
}

/* The files of a folder in the order of their names; hidden ones are left out. */
static int not_hidden(const struct dirent *e) { return e->d_name[0] != '.'; }

static int set_folder(const char *dir, struct set *s, struct err *reterr) {
    struct dirent **list = NULL;
    int n = scandir(dir, &list, not_hidden, alphasort), r = 0;
    if (n < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "--set %s", dir);
    }
    if (n == 0) {
        r = err_set(reterr, JF_E_NOT_FOUND, "--set %s: no files in it", dir);
    } else if (n > MAX_SET) {
        r = err_set(reterr, JF_E_TOO_LARGE, "--set %s: %d files, at most %d are taken", dir, n, MAX_SET);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        int len = snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        if (r >= 0 && (len < 0 || (size_t)len >= sizeof path || set_add(s, path) < 0)) {
            r = err_set(reterr, JF_E_NOMEM, "--set %s: a path too long, or no memory", dir);
        }
        free(list[i]);
    }
    free(list);
    return r;
}

/* "lcg:COUNT": seeds 1 to COUNT; else a folder whose files are inputs, in the order of their names. */
static int set_open(const char *word, struct set *ret_s, struct err *reterr) {
    uint32_t count = 0;
    memset(ret_s, 0, sizeof *ret_s);
    if (strncmp(word, "lcg:", 4) == 0) {
        if (cmd_seed_parse(word, &count) < 0 || count < 1 || count > MAX_SET) {
            return err_set(reterr, JF_E_INVAL, "--set lcg:COUNT takes 1 to %d inputs", MAX_SET);
        }
        for (uint32_t i = 1; i <= count; i++) {
            char text[16];
            (void)snprintf(text, sizeof text, "lcg:%u", i);
            if (set_add(ret_s, text) < 0) {
                return err_set(reterr, JF_E_NOMEM, "no memory");
            }
        }
        return 0;
    }
    return set_folder(word, ret_s, reterr);
}

/* What the set showed of one layer. */
struct row {
    char op[24], tensor[64];
    int exponent;
    double max_abs, max_error, mean_error;
};

struct study {
    struct row *rows;
    int n_rows, inputs, agree;
};

/* The largest absolute real value of each tensor over the set. */
static int calibrate(const struct cmd_model *m, const struct set *set, double *max_abs, struct err *reterr) {
    for (int i = 0; i < set->n; i++) {
        struct layers l = {0};
        int r = cmd_model_layers(m, set->names[i], &l, reterr);
        if (r < 0) {
            return r;
        }
        for (int k = 0; k < l.n; k++) {
            int t = l.list[k].index;
            for (int32_t v = 0; t >= 0 && v < l.list[k].n; v++) {
                max_abs[t] = fmax(max_abs[t], fabs((l.list[k].values[v] - l.list[k].zero_point) * l.list[k].scale));
            }
        }
        layers_done(&l);
    }
    return 0;
}

static int study_one(const struct layers *a, const struct layers *b, struct study *s, struct err *reterr) {
    struct layer_diff *d = NULL;
    int n = 0;
    int r = layers_compare(a, b, &d, &n, reterr);
    if (r < 0) {
        return r;
    }
    if (!s->rows) {
        s->rows = calloc((size_t)n + 1, sizeof *s->rows);
        s->n_rows = n;
    }
    if (!s->rows || n != s->n_rows) {
        free(d);
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    for (int i = 0; i < n; i++) {
        struct row *w = &s->rows[i];
        (void)snprintf(w->op, sizeof w->op, "%s", d[i].a->op);
        (void)snprintf(w->tensor, sizeof w->tensor, "%s", d[i].a->tensor);
        w->exponent = requant_exponent((float)d[i].b->scale);
        w->max_error = fmax(w->max_error, d[i].max_real);
        w->mean_error += d[i].mean_real;
        for (int32_t k = 0; k < d[i].a->n; k++) {
            w->max_abs = fmax(w->max_abs, fabs((d[i].a->values[k] - d[i].a->zero_point) * d[i].a->scale));
        }
    }
    s->agree += layers_top1(a) == layers_top1(b);
    s->inputs++;
    free(d);
    return 0;
}

/* The two inputs carry the same real values as closely as each quantization can: the second model's input is the first's, requantized. */
static int second_run(const struct cmd_model *m, const struct cmd_model *q, const char *name, struct layers *ret_l, struct err *reterr) {
    int32_t n = m->model.tensors[m->model.input].elements;
    const struct ir_tensor *x = &m->model.tensors[m->model.input], *y = &q->model.tensors[q->model.input];
    int8_t *in = malloc((size_t)n);
    if (!in) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    int r = cmd_model_input(m, name, in, reterr);
    for (int32_t k = 0; r >= 0 && k < n; k++) {
        double v = rint((in[k] - ir_zero_point(x)) * (double)ir_scale(x, 0) / (double)ir_scale(y, 0)) + ir_zero_point(y);
        in[k] = (int8_t)fmin(fmax(v, -128), 127);
    }
    r = r < 0 ? r : layers_run(&q->program, in, ret_l, reterr);
    free(in);
    return r;
}

static int study(const struct cmd_model *m, const struct cmd_model *q, const struct set *set, struct study *ret_s, struct err *reterr) {
    int r = 0;
    for (int i = 0; r >= 0 && i < set->n; i++) {
        struct layers a = {0}, b = {0};
        r = cmd_model_layers(m, set->names[i], &a, reterr);
        r = r < 0 ? r : second_run(m, q, set->names[i], &b, reterr);
        r = r < 0 ? r : study_one(&a, &b, ret_s, reterr);
        layers_done(&a);
        layers_done(&b);
    }
    for (int i = 0; i < ret_s->n_rows; i++) {
        ret_s->rows[i].mean_error /= ret_s->inputs ? ret_s->inputs : 1;
    }
    return r;
}

static void print_study(const struct study *s, const char *set, bool json) {
    json_t *rows = json_array();
    if (!json) {
        printf("      operator            scale   largest value   largest error   mean error  of the largest  tensor\n");
    }
    for (int i = 0; i < s->n_rows; i++) {
        const struct row *w = &s->rows[i];
        size_t len = strlen(w->tensor);
        double share = w->max_abs > 0 ? w->mean_error / w->max_abs : 0;
        if (json) {
            json_array_append_new(rows, json_pack("{s:s,s:s,s:i,s:f,s:f,s:f}", "op", w->op, "tensor", w->tensor, "scale_exponent", w->exponent, "largest_value", w->max_abs, "max_error", w->max_error, "mean_error", w->mean_error));
        } else {
            printf("%3d   %-18s  2^%-4d  %13.5g  %14.4g  %11.3g  %13.2f %%  %s\n", i, w->op, w->exponent, w->max_abs, w->max_error, w->mean_error, 100 * share, len > 40 ? w->tensor + len - 40 : w->tensor);
        }
    }
    if (json) {
        json_t *doc = json_pack("{s:s,s:s,s:i,s:i,s:f,s:o}", "scales", "power-of-two", "set", set, "inputs", s->inputs, "top1_agreeing", s->agree, "top1_agreement", s->inputs ? (double)s->agree / s->inputs : 0.0, "layers", rows);
        json_dumpf(doc, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(doc);
    } else {
        json_decref(rows);
        printf("largest output agrees on %d of %d inputs (%.1f %%)\n", s->agree, s->inputs, s->inputs ? 100.0 * s->agree / s->inputs : 0.0);
    }
}

/* The requantized network is another model: its hash covers the source's and every scale. */
static void rename_model(struct cmd_model *m) {
    crypto_hash_sha256_state st;
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&st);
    (void)crypto_hash_sha256_update(&st, (const unsigned char *)m->sha256, strlen(m->sha256));
    (void)crypto_hash_sha256_update(&st, (const unsigned char *)"power-of-two", 12);
    for (int i = 0; i < m->model.n_tensors; i++) {
        float s = m->model.tensors[i].n_scales ? ir_scale(&m->model.tensors[i], 0) : 0;
        (void)crypto_hash_sha256_update(&st, (const unsigned char *)&s, sizeof s);
    }
    (void)crypto_hash_sha256_final(&st, hash);
    (void)sodium_bin2hex(m->sha256, sizeof m->sha256, hash, sizeof hash);
}

struct wish {
    const char *path, *set, *out, *id, *golden;
    enum numerics numerics;
    bool json;
};

static int requantize(const struct wish *w, const struct set *set, struct cmd_model *m, struct cmd_model *q, struct err *reterr) {
    struct study s = {0};
    double *max_abs = calloc((size_t)m->model.n_tensors, sizeof *max_abs);
    if (!max_abs) {
        return err_set(reterr, JF_E_NOMEM, "no memory");
    }
    int r = calibrate(m, set, max_abs, reterr);
    r = r < 0 ? r : requant_power_of_two(&q->model, max_abs, reterr);
    r = r < 0 ? r : program_build(&q->model, w->numerics, &q->program, reterr);
    r = r < 0 ? r : study(m, q, set, &s, reterr);
    if (r >= 0 && w->out) {
        struct cmd_emit_info i;
        rename_model(q);
        r = cmd_model_info(q, w->path, w->id, w->golden, &i, reterr);
        r = r < 0 ? r : emit_files(&q->program, &i.info, w->out, reterr);
    }
    if (r >= 0) {
        print_study(&s, w->set, w->json);
    }
    free(s.rows);
    free(max_abs);
    return r;
}

static int run(const struct cmd *self, int argc, char **argv) {
    struct wish w = {NULL, "lcg:16", NULL, NULL, "lcg:1", NUMERICS_TFLM, false};
    const char *numerics_word = "tflm", *words[1];
    const struct cmd_option rows[] = {
        {"--set", "DIR|lcg:COUNT", "the calibration inputs: files of the input's size, or reference sequences (default lcg:16)", &w.set, NULL},
        {"--numerics", "tflm|litert", CMD_NUMERICS_HELP, &numerics_word, NULL},
        {"--out", "DIR", "also write the requantized model as C (with --name)", &w.out, NULL},
        {"--name", "ID", "its name", &w.id, NULL},
        {"--golden", "lcg:SEED", "input whose checksums are embedded (default lcg:1)", &w.golden, NULL},
        {"--json", NULL, "machine-readable output", NULL, &w.json},
        CMD_END,
    };
    struct cmd_words words_found = {"MODEL", 1, 1, 0, words};
    struct cmd_model m, q;
    struct set set;
    struct err e = {0};
    int code;
    if (!cmd_parse(self, argc, argv, rows, &words_found, &code)) {
        return code;
    }
    if (numerics_parse(numerics_word, &w.numerics) < 0) {
        return cmd_misuse(self, "--numerics is tflm or litert, not \"%s\"", numerics_word);
    }
    if ((w.out != NULL) != (w.id != NULL) || (w.id && !cmd_is_identifier(w.id))) {
        return cmd_misuse(self, "--out DIR and --name ID (letters, digits, _; at most 31) belong together");
    }
    w.path = words[0];
    if (cmd_model_build(w.path, w.numerics, IR_PASSES_EXACT, &m, &e) < 0) {
        return cmd_fail(&e, w.path);
    }
    int r = set_open(w.set, &set, &e);
    r = r < 0 ? r : cmd_model_read(w.path, &q, &e);
    if (r >= 0) {
        r = ir_check(&q.model, &e);
        r = r < 0 ? r : requantize(&w, &set, &m, &q, &e);
        cmd_model_done(&q);
    }
    set_done(&set);
    cmd_model_done(&m);
    return r < 0 ? cmd_fail(&e, w.path) : CMD_DONE;
}

const struct cmd cmd_requantize = {"requantize", "MODEL [OPTIONS]", "the same network with power-of-two scales, and its errors on a calibration set", run};
