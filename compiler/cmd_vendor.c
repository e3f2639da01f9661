/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model vendor: runs the vendor's tool of a target on a model and reads what it says. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/cmd.h"
#include "compiler/tflite.h"
#include "compiler/tflite_scan.h"
#include "compiler/vendor.h"

static json_t *values_json(const struct vendor_result *r) {
    json_t *x = json_object();
    for (int i = 0; i < VENDOR_FIELDS; i++) {
        json_object_set_new(x, vendor_field_name((enum vendor_field)i), r->has[i] ? json_integer(r->value[i]) : json_null());
    }
    return x;
}

/* What a converter left of the model, when it wrote a .tflite file that can be read. */
static bool scan_output(const struct vendor_request *q, const struct vendor_result *r, struct tflite_scan *ret_s) {
    for (int i = 0; i < r->n_files; i++) {
        size_t len = strlen(r->files[i]), n = 0;
        char path[PATH_MAX];
        void *bytes = NULL;
        struct err e = {0};
        (void)snprintf(path, sizeof path, "%s/%s", q->out, r->files[i]);
        if (len < 7 || strcmp(r->files[i] + len - 7, ".tflite") != 0 || file_read(path, TFLITE_MAX_BYTES, &bytes, &n, &e) < 0) {
            continue;
        }
        bool ok = tflite_scan(bytes, n, ret_s, &e) == 0;
        free(bytes);
        if (!ok) {
            (void)fprintf(stderr, "jf-model: %s: its operators cannot be listed: %s\n", path, e.text);
        }
        return ok;
    }
    return false;
}

static json_t *scan_json(const struct tflite_scan *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->n; i++) {
        json_array_append_new(list, json_pack("{s:s,s:i,s:s}", "op", s->ops[i].name, "count", s->ops[i].count, "runs_on", s->ops[i].custom ? "accelerator" : "cpu"));
    }
    return list;
}

static void print_scan(const struct tflite_scan *s) {
    for (int i = 0; i < s->n; i++) {
        printf("  %s: %d %s\n", s->ops[i].custom ? "on the accelerator" : "on the CPU", s->ops[i].count, s->ops[i].name);
    }
}

static void print_result(const struct target *t, const struct vendor_request *q, const struct vendor_result *r, bool json) {
    struct tflite_scan scan;
    bool scanned = scan_output(q, r, &scan);
    if (!json) {
        printf("%s %s%s\n", t->tool.name, r->version, r->cached ? " (kept result)" : "");
        for (int i = 0; i < VENDOR_FIELDS; i++) {
            if (r->has[i]) {
                printf("  %-17s %" PRId64 "\n", vendor_field_name((enum vendor_field)i), r->value[i]);
            }
        }
        for (int i = 0; i < r->n_files; i++) {
            printf("  %s/%s\n", q->out, r->files[i]);
        }
        if (scanned) {
            print_scan(&scan);
        }
        return;
    }
    json_t *files = json_array();
    for (int i = 0; i < r->n_files; i++) {
        json_array_append_new(files, json_string(r->files[i]));
    }
    json_t *doc = json_pack("{s:s,s:s,s:s,s:b,s:s,s:o,s:o}", "target", t->name, "tool", t->tool.name, "version", r->version, "cached", r->cached, "key", r->key, "values", values_json(r), "files", files);
    json_object_set_new(doc, "operators", scanned ? scan_json(&scan) : json_null());
    json_dumpf(doc, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(doc);
}

/* "name=path" for one of the tool's needs. */
static int take_with(const struct cmd *self, const struct target_tool *t, const char *with, struct vendor_request *q) {
    for (int i = 0; with && i < t->n_needs; i++) {
        size_t n = strlen(t->needs[i].name);
        if (strncmp(with, t->needs[i].name, n) == 0 && with[n] == '=' && with[n + 1]) {
            q->need_values[i] = with + n + 1;
            return CMD_DONE;
        }
    }
    return with ? cmd_misuse(self, "--with %s: %s takes no such input", with, t->name) : CMD_DONE;
}

static int run_target(const struct cmd *self, const char *dir, const char *name, const char *const with[TARGET_MAX_NEEDS], struct vendor_request *q, bool json) {
    struct err e = {0};
    char at[PATH_MAX];
    struct target *t = NULL;
    struct vendor_result r;
    if (target_directory(dir, at, sizeof at, &e) < 0 || target_open(at, name, &t, &e) < 0) {
        return cmd_fail(&e, "vendor");
    }
    int code = CMD_DONE;
    if (!t->has_tool) {
        (void)err_set(&e, JF_E_UNSUPPORTED, "no vendor's tool is known for it: jf-model emit compiles for it");
        code = cmd_fail(&e, name);
    }
    q->tool = &t->tool;
    for (int i = 0; i < TARGET_MAX_NEEDS && code == CMD_DONE; i++) {
        code = take_with(self, &t->tool, with[i], q);
    }
    if (code == CMD_DONE && vendor_run(q, &r, &e) < 0) {
        code = cmd_fail(&e, name);
    } else if (code == CMD_DONE) {
        print_result(t, q, &r, json);
    }
    target_free(t);
    return code;
}

static int run(const struct cmd *self, int argc, char **argv) {
    const char *target = NULL, *dir = NULL, *out = NULL, *cache = NULL, *with[TARGET_MAX_NEEDS] = {NULL}, *words[1];
    bool json = false, no_cache = false;
    const struct cmd_option rows[] = {
        {"--target", "NAME", "the target; its file says which tool and how it is called", &target, NULL},
        {"--out", "DIR", "where the tool's files go", &out, NULL},
        {"--with", "NAME=FILE", "an input beside the model that the tool needs; up to four times", &with[0], NULL},
        {"--with", "NAME=FILE", "an input beside the model that the tool needs; up to four times", &with[1], NULL},
        {"--with", "NAME=FILE", "an input beside the model that the tool needs; up to four times", &with[2], NULL},
        {"--with", "NAME=FILE", "an input beside the model that the tool needs; up to four times", &with[3], NULL},
        {"--cache", "DIR", "where results are kept (default: ~/.cache/joulefarm/vendor)", &cache, NULL},
        {"--no-cache", NULL, "run the tool whatever was kept, keep nothing", NULL, &no_cache},
        {"--targets-dir", "DIR", CMD_TARGETS_HELP, &dir, NULL},
        {"--json", NULL, "machine-readable output", NULL, &json},
        CMD_END,
    };
    struct cmd_words w = {"MODEL.tflite", 1, 1, 0, words};
    char place[PATH_MAX];
    struct err e = {0};
    int code;
    if (!cmd_parse(self, argc, argv, rows, &w, &code)) {
        return code;
    }
    if (!target || !out) {
        return cmd_misuse(self, "wants --target NAME and --out DIR");
    }
    if (!no_cache && !cache && vendor_cache_default(place, sizeof place, &e) < 0) {
        return cmd_fail(&e, "vendor");
    }
    struct vendor_request q = {.model = words[0], .out = out, .cache = no_cache ? NULL : cache ? cache : place};
    return run_target(self, dir, target, with, &q, json);
}

const struct cmd cmd_vendor = {"vendor", "MODEL.tflite --target NAME --out DIR [OPTIONS]", "runs a vendor's tool on a model and reads its report", run};
