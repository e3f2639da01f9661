/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reader of a target's tool section (compiler/target.h): how a vendor's tool is called and what it leaves behind. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target_impl.h"
#include "compiler/vendor.h"

static int read_field(struct target_reader *r, int map, const char *at, struct target_report_field *f) {
    const char *scale = NULL;
    char *end = NULL;
    int e = yaml_doc_keys(r->d, map, at, "field|line|key|scale|required", r->e);
    e = e < 0 ? e : target_text(r, map, at, "field", true, &f->field);
    e = e < 0 ? e : target_text(r, map, at, "line", false, &f->line);
    e = e < 0 ? e : target_text(r, map, at, "key", true, &f->key);
    e = e < 0 ? e : target_text(r, map, at, "scale", false, &scale);
    e = e < 0 ? e : target_flag(r, map, at, "required", &f->required);
    if (e == 0 && vendor_field_index(f->field) < 0) {
        e = yaml_doc_wrong(r->d, map, at, r->e, "field: \"%.40s\" is not one of %s", f->field, VENDOR_FIELDS_TEXT);
    }
    f->scale = scale ? strtod(scale, &end) : 1.0; /* the program never leaves the C locale */
    if (e == 0 && scale && (*end || !isfinite(f->scale) || f->scale <= 0.0)) {
        e = yaml_doc_wrong(r->d, map, at, r->e, "scale: must be a positive number, not \"%.40s\"", scale);
    }
    return e;
}

static int read_report(struct target_reader *r, int map, const char *at, struct target_report *p) {
    const char *format = NULL;
    int list = yaml_doc_get(r->d, map, "fields"), n = yaml_doc_count(r->d, list);
    int e = yaml_doc_keys(r->d, map, at, "format|file|fields", r->e);
    e = e < 0 ? e : target_text(r, map, at, "format", true, &format);
    e = e < 0 ? e : target_text(r, map, at, "file", false, &p->file);
    if (e == 0 && strcmp(format, "csv") != 0 && strcmp(format, "lines") != 0) {
        e = yaml_doc_wrong(r->d, map, at, r->e, "format: is csv or lines, not \"%.40s\"", format);
    }
    if (e == 0 && (!yaml_doc_is_list(r->d, list) || n < 1 || n > TARGET_MAX_FIELDS)) {
        e = yaml_doc_wrong(r->d, list ? list : map, at, r->e, "fields: must be a list of 1 to %d", TARGET_MAX_FIELDS);
    }
    if (e < 0) {
        return e;
    }
    p->format = strcmp(format, "csv") == 0 ? TARGET_REPORT_CSV : TARGET_REPORT_LINES;
    for (int i = 0; i < n && e == 0; i++) {
        char field[TARGET_FIELD + 32];
        (void)snprintf(field, sizeof field, "%s.fields[%d]", at, i);
        e = read_field(r, yaml_doc_item(r->d, list, i), field, &p->fields[p->n_fields++]);
    }
    return e;
}

static int read_reports(struct target_reader *r, int list) {
    struct target_tool *tool = &r->t->tool;
    int n = yaml_doc_count(r->d, list), e = 0;
    if (list && (!yaml_doc_is_list(r->d, list) || n > TARGET_MAX_REPORTS)) {
        return yaml_doc_wrong(r->d, list, "tool.reports", r->e, "must be a list of at most %d", TARGET_MAX_REPORTS);
    }
    for (int i = 0; i < n && e == 0; i++) {
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "tool.reports[%d]", i);
        e = read_report(r, yaml_doc_item(r->d, list, i), field, &tool->reports[tool->n_reports++]);
    }
    return e;
}

static int read_steps(struct target_reader *r, int list) {
    struct target_tool *tool = &r->t->tool;
    int n = yaml_doc_count(r->d, list), e = 0;
    if (!yaml_doc_is_list(r->d, list) || n < 1 || n > TARGET_MAX_STEPS) {
        return yaml_doc_wrong(r->d, list, "tool.steps", r->e, "must be a list of 1 to %d command lines", TARGET_MAX_STEPS);
    }
    for (int i = 0; i < n && e == 0; i++) {
        int count = 0, map = yaml_doc_item(r->d, list, i);
        char field[TARGET_FIELD];
        (void)snprintf(field, sizeof field, "tool.steps[%d]", i);
        e = yaml_doc_keys(r->d, map, field, "argv", r->e);
        e = e < 0 ? e : target_texts(r, map, field, "argv", 1, TARGET_MAX_ARGV - 1, tool->steps[i].argv, &count);
        tool->n_steps++;
    }
    return e;
}

static int read_needs(struct target_reader *r, int list) {
    struct target_tool *tool = &r->t->tool;
    int n = yaml_doc_count(r->d, list), e = 0;
    if (list && (!yaml_doc_is_list(r->d, list) || n > TARGET_MAX_NEEDS)) {
        return yaml_doc_wrong(r->d, list, "tool.needs", r->e, "must be a list of at most %d", TARGET_MAX_NEEDS);
    }
    for (int i = 0; i < n && e == 0; i++) {
        int map = yaml_doc_item(r->d, list, i);
        e = yaml_doc_keys(r->d, map, "tool.needs", "name|what", r->e);
        e = e < 0 ? e : target_text(r, map, "tool.needs", "name", true, &tool->needs[i].name);
        e = e < 0 ? e : target_text(r, map, "tool.needs", "what", true, &tool->needs[i].what);
        tool->n_needs++;
    }
    return e;
}

/* Every {word} of a command line must be one that the run can fill in. */
static int check_words(struct target_reader *r, int map) {
    const struct target_tool *tool = &r->t->tool;
    for (int s = 0; s < tool->n_steps; s++) {
        for (int a = 0; tool->steps[s].argv[a]; a++) {
            for (const char *p = strchr(tool->steps[s].argv[a], '{'); p; p = strchr(p + 1, '{')) {
                size_t n = strcspn(p + 1, "}");
                bool known = false;
                const char *const fixed[] = {"model", "stem", "out"};
                for (size_t k = 0; k < 3; k++) {
                    known = known || (strlen(fixed[k]) == n && strncmp(fixed[k], p + 1, n) == 0);
                }
                for (int k = 0; k < tool->n_needs; k++) {
                    known = known || (strlen(tool->needs[k].name) == n && strncmp(tool->needs[k].name, p + 1, n) == 0);
                }
                if (!known || p[n + 1] != '}') {
                    return yaml_doc_wrong(r->d, yaml_doc_get(r->d, map, "steps"), "tool.steps", r->e, "\"%.40s\": only {model}, {stem}, {out} and the names of needs are filled in", p);
                }
            }
        }
    }
    return 0;
}

int target_read_tool(struct target_reader *r, int map) {
    struct target_tool *t = &r->t->tool;
    int version = yaml_doc_get(r->d, map, "version"), n = 0;
    if (!map) {
        return 0;
    }
    int e = yaml_doc_keys(r->d, map, "tool", "name|install|source|version|steps|needs|outputs|reports|deadline_s|memory_mib", r->e);
    e = e < 0 ? e : target_text(r, map, "tool", "name", true, &t->name);
    e = e < 0 ? e : target_text(r, map, "tool", "install", true, &t->install);
    e = e < 0 ? e : target_source(r, map, "tool", true, &t->source);
    e = e < 0 ? e : target_whole(r, map, "tool", "deadline_s", true, 1, 86400, &t->deadline_s);
    e = e < 0 ? e : target_whole(r, map, "tool", "memory_mib", true, 16, 1 << 20, &t->memory_mib);
    e = e < 0 ? e : target_texts(r, map, "tool", "outputs", 1, TARGET_MAX_OUTPUTS, t->outputs, &t->n_outputs);
    e = e < 0 ? e : read_needs(r, yaml_doc_get(r->d, map, "needs"));
    e = e < 0 ? e : read_steps(r, yaml_doc_get(r->d, map, "steps"));
    e = e < 0 ? e : check_words(r, map);
    e = e < 0 ? e : read_reports(r, yaml_doc_get(r->d, map, "reports"));
    if (e == 0 && version) {
        e = yaml_doc_keys(r->d, version, "tool.version", "argv|key|accept", r->e);
        e = e < 0 ? e : target_texts(r, version, "tool.version", "argv", 1, TARGET_MAX_ARGV - 1, t->version_argv, &n);
        e = e < 0 ? e : target_text(r, version, "tool.version", "key", false, &t->version_key);
        e = e < 0 ? e : target_texts(r, version, "tool.version", "accept", 1, TARGET_MAX_ACCEPT, t->accept, &t->n_accept);
    }
    r->t->has_tool = e == 0;
    return e;
}
