/* SPDX-License-Identifier: GPL-2.0-or-later
 * `joulefarm submit`: uploads a firmware image and inputs, creates a job. Nothing is created when a check fails. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define UPLOAD_MAX (64u << 20)

struct submit {
    const char *bench, *board_type, *method, *key;
    struct opt_list inputs, labels;
    long long windows, inferences, warmup, priority, timeout_s, retries;
    double window_s, supply_v, rate_hz;
    const char *expect_crc32, *model, *numerics;
    bool dry_run, wait, json, help;
};

/* Uploads one file; *ret_id is the content's id (owned). */
static int upload(struct client *c, const char *where, const char *path, char **ret_id, struct err *reterr) {
    void *bytes = NULL;
    size_t n = 0;
    json_t *doc = NULL;
    int r = file_read(path, UPLOAD_MAX, &bytes, &n, reterr);
    if (r < 0) {
        return err_prefix(reterr, "%s", path);
    }
    r = client_upload(c, where, "application/octet-stream", bytes, n, &doc, reterr);
    free(bytes);
    if (r < 0) {
        (void)err_prefix(reterr, "%s", path);
        return r;
    }
    const char *id = json_string_value(json_object_get(doc, "id"));
    *ret_id = id ? strdup(id) : NULL;
    json_decref(doc);
    return *ret_id ? 0 : err_set(reterr, JF_E_PROTOCOL, "the server gave no id for %s", path);
}

static int add_labels(json_t *job, const struct opt_list *labels, struct err *reterr) {
    json_t *obj = json_object();
    for (size_t i = 0; i < labels->n; i++) {
        const char *eq = strchr(labels->items[i], '=');
        char key[128];
        if (!eq || eq == labels->items[i] || (size_t)(eq - labels->items[i]) >= sizeof key) {
            json_decref(obj);
            return err_set(reterr, JF_E_INVAL, "--label wants NAME=VALUE, not \"%s\"", labels->items[i]);
        }
        (void)snprintf(key, sizeof key, "%.*s", (int)(eq - labels->items[i]), labels->items[i]);
        json_object_set_new(obj, key, json_string(eq + 1));
    }
    json_object_set_new(job, "labels", obj);
    return 0;
}

/* What can be refused before anything is sent. */
static int check(const struct submit *s, unsigned long *ret_crc, struct err *reterr) {
    char *end = NULL;
    const char *hex = s->expect_crc32;
    *ret_crc = hex ? strtoul(hex, &end, 16) : 0;
    if (hex && (end == hex || *end || hex[0] == '-' || *ret_crc > 0xFFFFFFFFu)) {
        return err_set(reterr, JF_E_INVAL, "--expect-crc32 wants up to eight hex digits, not \"%s\"", hex);
    }
    json_t *scratch = json_object();
    int r = add_labels(scratch, &s->labels, reterr);
    json_decref(scratch);
    return r;
}

static int make_job(struct client *c, const char *program, const struct submit *s, unsigned long crc, json_t **ret_job, struct err *reterr) {
    json_t *job = json_pack("{s:s, s:s}", s->model ? "model" : "firmware", program, "method", s->method);
    int r = 0;
    if (!job) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the job");
    }
    if (s->model) {
        json_object_set_new(job, "numerics", json_string(s->numerics));
    }
    json_object_set_new(job, s->bench ? "bench" : "board_type", json_string(s->bench ? s->bench : s->board_type));
    const struct {
        const char *key;
        long long value;
    } ints[] = {{"windows", s->windows}, {"inferences", s->inferences}, {"warmup", s->warmup}, {"priority", s->priority}, {"timeout_s", s->timeout_s}, {"retries", s->retries}};
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        if (ints[i].value >= 0) {
            json_object_set_new(job, ints[i].key, json_integer(ints[i].value));
        }
    }
    const struct {
        const char *key;
        double value;
    } reals[] = {{"window_s", s->window_s}, {"supply_v", s->supply_v}, {"rate_hz", s->rate_hz}};
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        if (isfinite(reals[i].value)) {
            json_object_set_new(job, reals[i].key, json_real(reals[i].value));
        }
    }
    if (s->expect_crc32) {
        json_object_set_new(job, "expect_output", json_pack("{s:I}", "crc32", (json_int_t)crc));
    }
    if (r == 0 && s->labels.n) {
        r = add_labels(job, &s->labels, reterr);
    }
    json_t *inputs = s->inputs.n ? json_array() : NULL;
    for (size_t i = 0; i < s->inputs.n && r == 0; i++) {
        char *id;
        r = upload(c, "/inputs", s->inputs.items[i], &id, reterr);
        if (r == 0) {
            json_array_append_new(inputs, json_string(id));
            free(id);
        }
    }
    if (inputs) {
        json_object_set_new(job, "inputs", inputs);
    }
    if (r < 0) {
        json_decref(job);
        return r;
    }
    *ret_job = job;
    return 0;
}

/* "/models?name=ad01_int8": the file's name as an identifier, without its extension. */
static void model_path(const char *file, char *dst, size_t size) {
    const char *base = strrchr(file, '/');
    char name[32] = "";
    size_t n = 0;
    base = base ? base + 1 : file;
    if (base[0] >= '0' && base[0] <= '9') {
        name[n++] = 'm';
    }
    for (; *base && *base != '.' && n + 1 < sizeof name; base++) {
        bool plain = (*base >= '0' && *base <= '9') || (*base >= 'A' && *base <= 'Z') || (*base >= 'a' && *base <= 'z');
        name[n++] = plain ? *base : '_';
    }
    name[n] = '\0';
    (void)snprintf(dst, size, "/models");
    cmd_query(dst, size, "name", name);
}

static int submit(struct client *c, const char *path, const struct submit *s, unsigned long crc) {
    struct err e = {0};
    char *program = NULL;
    json_t *job = NULL, *doc = NULL;
    int code;
    char where[80] = "/firmware";
    if (s->model) {
        model_path(s->model, where, sizeof where);
    }
    int r = upload(c, where, path, &program, &e);
    r = r < 0 ? r : make_job(c, program, s, crc, &job, &e);
    r = r < 0 ? r : client_json(c, "POST", s->dry_run ? "/jobs/validate" : "/jobs", job, &doc, &e);
    free(program);
    json_decref(job);
    if (r < 0) {
        return cmd_fail(&e);
    }
    const char *id = show_text(doc, "id");
    if (s->json && !(s->wait && !s->dry_run)) {
        show_json(doc);
    } else if (s->dry_run) {
        printf("the job is acceptable; nothing was queued\n");
    } else if (!s->json) {
        printf("%s\n", id);
    }
    code = s->wait && !s->dry_run ? watch_job(c, id, s->json) : EXIT_OK;
    json_decref(doc);
    return code;
}

int cmd_submit(struct client *c, int argc, char **argv) {
    struct submit s = {.board_type = "nucleo-h7a3zi-q", .method = "quick", .numerics = "tflm", .windows = -1, .inferences = -1, .warmup = -1, .priority = -1,
                       .timeout_s = -1, .retries = -1, .window_s = (double)NAN, .supply_v = (double)NAN, .rate_hz = (double)NAN};
    const struct opt_row rows[] = {
        {"model", OPT_TEXT, &s.model, 0, 0, "FILE", "a model (.tflite or .onnx) that the farm compiles, instead of FIRMWARE.elf"},
        {"numerics", OPT_TEXT, &s.numerics, 0, 0, "NUMERICS", "of a model: tflm (default) or litert"},
        {"bench", OPT_TEXT, &s.bench, 0, 0, "NAME", "run on this bench"},
        {"board-type", OPT_TEXT, &s.board_type, 0, 0, "TYPE", "run on any bench with this board (nucleo-h7a3zi-q)"},
        {"method", OPT_TEXT, &s.method, 0, 0, "METHOD", "quick, or mlperf-tiny (5 windows of at least 10.5 s)"},
        {"windows", OPT_INT, &s.windows, 1, 1000, "N", "measured windows (5)"},
        {"inferences", OPT_INT, &s.inferences, 1, 1e9, "N", "inferences a window (default: as many as the window's time needs)"},
        {"window-s", OPT_REAL, &s.window_s, 0.01, 3600, "S", "least seconds a window, method quick"},
        {"warmup", OPT_INT, &s.warmup, 0, 1e6, "N", "unmeasured inferences before each window (10)"},
        {"input", OPT_LIST, &s.inputs, 0, 0, "FILE", "input tensor bytes; repeatable (default: the firmware's own)"},
        {"expect-crc32", OPT_TEXT, &s.expect_crc32, 0, 0, "HEX", "CRC-32 that the output must have"},
        {"supply-v", OPT_REAL, &s.supply_v, 0.5, 6, "V", "supply voltage"},
        {"rate-hz", OPT_REAL, &s.rate_hz, 1, 1e9, "HZ", "sample rate asked of the analyzer"},
        {"priority", OPT_INT, &s.priority, 0, 100, "N", "0 to 100 (50); higher first"},
        {"timeout-s", OPT_INT, &s.timeout_s, 1, 1e6, "S", "longest time of one attempt"},
        {"retries", OPT_INT, &s.retries, 0, 100, "N", "further attempts after infrastructure failures"},
        {"label", OPT_LIST, &s.labels, 0, 0, "NAME=VALUE", "stored with the job; repeatable"},
        {"dry-run", OPT_FLAG, &s.dry_run, 0, 0, NULL, "check only"},
        {"wait", OPT_FLAG, &s.wait, 0, 0, NULL, "follow the job to its end, as `watch` does"},
        {"json", OPT_FLAG, &s.json, 0, 0, NULL, "print JSON"},
        {"help", OPT_FLAG, &s.help, 0, 0, NULL, "this text"},
        {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    const char *words[1];
    size_t n;
    struct err e = {0};
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && s.help) {
        return cmd_help("submit", rows);
    }
    if (r == 0 && n + (s.model != NULL) != 1) {
        r = err_set(&e, JF_E_INVAL, "submit wants one firmware image (an ELF file), or --model FILE");
    }
    unsigned long crc = 0;
    r = r < 0 ? r : check(&s, &crc, &e);
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    return submit(c, s.model ? s.model : words[0], &s, crc);
}
