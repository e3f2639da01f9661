/* SPDX-License-Identifier: GPL-2.0-or-later
 * `joulefarm models`: uploaded models and what became of them on each kind of board. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define HASH_SHORT 12

/* "9f86d081884c" of "sha256:9f86...": hashes are told apart by their beginning. */
static const char *short_hash(const char *id, char dst[HASH_SHORT + 1]) {
    const char *hex = strncmp(id, "sha256:", 7) == 0 ? id + 7 : id;
    (void)snprintf(dst, HASH_SHORT + 1, "%.*s", HASH_SHORT, hex);
    return dst;
}

static void build_rows(struct show_table *t, const json_t *m) {
    char model[HASH_SHORT + 1], firmware[HASH_SHORT + 1];
    const json_t *b;
    size_t i;
    json_array_foreach(json_object_get(m, "builds"), i, b) {
        const char *fw = show_text(b, "firmware");
        const char *cells[] = {short_hash(show_text(m, "id"), model), show_text(m, "name"), show_text(m, "format"),   show_text(b, "board_type"), show_text(b, "numerics"),
                               show_text(b, "state"),                 short_hash(fw, firmware), show_text(b, "cause.text")};
        show_table_row(t, cells);
    }
}

static void print_table(const json_t *models) {
    static const char *const head[] = {"model", "name", "format", "board", "numerics", "state", "firmware", "cause"};
    struct show_table *t = show_table_new(head, 8);
    const json_t *m;
    size_t i;
    json_array_foreach(models, i, m) { build_rows(t, m); }
    show_table_print(t);
    show_table_free(t);
}

static void print_violations(const json_t *build) {
    const json_t *v;
    size_t i;
    char text[512], node[64];
    json_array_foreach(json_object_get(build, "violations"), i, v) {
        const json_t *n = json_object_get(v, "node");
        (void)snprintf(node, sizeof node, json_is_integer(n) ? "node %lld (%.40s)" : "the model", (long long)json_integer_value(n), show_text(v, "op"));
        (void)snprintf(text, sizeof text, "  %s: %s is %.0f, the limit is %s (%s)", node, show_text(v, "rule"), show_number(v, "value"), show_text(v, "limit"), show_text(v, "effect"));
        printf("%s\n", show_clean(text));
        if (json_is_string(json_object_get(v, "change"))) {
            (void)snprintf(text, sizeof text, "    change: %s", show_text(v, "change"));
            printf("%s\n", show_clean(text));
        }
    }
}

static void print_one(const json_t *m) {
    const json_t *b;
    size_t i;
    printf("model     %s\nname      %s\nformat    %s, %.0f bytes\nstate     %s\n", show_text(m, "id"), show_text(m, "name"), show_text(m, "format"), show_number(m, "size_bytes"), show_text(m, "state"));
    json_array_foreach(json_object_get(m, "builds"), i, b) {
        printf("\n%s, %s, by %s: %s\n", show_text(b, "board_type"), show_text(b, "numerics"), show_text(b, "tool"), show_text(b, "state"));
        if (json_is_string(json_object_get(b, "firmware"))) {
            printf("  firmware %s\n  flash %.0f bytes, RAM %.0f bytes (arena %.0f)\n", show_text(b, "firmware"), show_number(b, "flash_bytes"), show_number(b, "ram_bytes"),
                   show_number(b, "arena_bytes"));
        }
        if (json_is_object(json_object_get(b, "cause"))) {
            char text[600];
            (void)snprintf(text, sizeof text, "%s: %s", show_text(b, "cause.code"), show_text(b, "cause.text"));
            printf("  %s\n", show_clean(text));
        }
        print_violations(b);
    }
}

/* The one model whose hash begins so. */
static const json_t *find(const json_t *models, const char *word, struct err *reterr) {
    const json_t *m, *found = NULL;
    size_t i, len = strlen(word), n = 0;
    json_array_foreach(models, i, m) {
        const char *id = show_text(m, "id");
        if (strcmp(id, word) == 0 || (len >= 4 && strncmp(id + 7, word, len) == 0)) {
            found = m;
            n++;
        }
    }
    if (n != 1) {
        (void)err_set(reterr, n ? JF_E_CONFLICT : JF_E_NOT_FOUND, n ? "\"%.80s\" fits several models; give more of the hash" : "no model has a hash that begins with \"%.80s\"", word);
        return NULL;
    }
    return found;
}

int cmd_models(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *words[1];
    long long limit = 20;
    const struct opt_row rows[] = {{"limit", OPT_INT, &limit, 1, 100000, "N", "at most N models (20)"},
                                   {"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    struct err e = {0};
    size_t n;
    json_t *items;
    if (opts_parse(argc, argv, rows, words, 1, &n, &e) < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    if (help) {
        return cmd_help("models", rows);
    }
    if (cmd_collect(c, "/models", n == 1 ? 1000 : limit, &items, &e) < 0) {
        return cmd_fail(&e);
    }
    const json_t *one = n == 1 ? find(items, words[0], &e) : NULL;
    int code = n == 1 && !one ? cmd_fail(&e) : EXIT_OK;
    if (json && code == EXIT_OK) {
        show_json(one ? one : items);
    } else if (one) {
        print_one(one);
    } else if (n == 0) {
        print_table(items);
    }
    json_decref(items);
    return code;
}
