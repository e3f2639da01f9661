/* SPDX-License-Identifier: GPL-2.0-or-later
 * Fuzz target: a target's YAML file, "name: fuzz" in it. What was read is used: each text, the tool's lists, the limits' words. */
#include <stdlib.h>
#include <string.h>

#include "compiler/target.h"
#include "compiler/yaml_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct target *t) {
    size_t n = strlen(t->name) + strlen(t->title) + strlen(t->maturity);
    char text[96];
    for (int i = 0; i < t->n_unknown; i++) {
        n += strlen(t->unknown[i]);
    }
    for (int i = 0; i < t->n_limits; i++) {
        target_range_text(&t->limits[i].range, text, sizeof text);
        n += strlen(text) + strlen(t->limits[i].source) + (size_t)target_range_holds(&t->limits[i].range, INT64_MIN);
    }
    for (int s = 0; t->has_tool && s < t->tool.n_steps; s++) {
        for (int a = 0; t->tool.steps[s].argv[a]; a++) {
            n += strlen(t->tool.steps[s].argv[a]);
        }
    }
    if (n == 0) {
        abort(); /* a target without a name */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct target *t = NULL;
    struct err e = {0};
    if (size > YAML_DOC_MAX_BYTES) {
        return 0;
    }
    if (target_parse("fuzz.yaml", data, size, &t, &e) < 0) {
        if (!strstr(e.text, "fuzz.yaml:")) {
            abort(); /* a refusal without file and line */
        }
        return 0;
    }
    use(t);
    target_free(t);
    return 0;
}
