/* SPDX-License-Identifier: GPL-2.0-or-later
 * One build (daemon/build.h). The model is a stranger's file: only the children open it. Their answer is believed as far as
 * it can be checked: the image is read back and judged as an uploaded one would be. */
#include "daemon/build.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/elf.h"

#define ANSWER_MAX (4u << 20)
#define VIOLATIONS_MAX 200 /* kept of what check says */

struct build {
    const struct build_env *env;
    const struct store_build *b;
    char name[STORE_WORD_SIZE]; /* the board says it back */
    char dir[BLOB_PATH_SIZE], model[BLOB_PATH_SIZE + 64]; /* our folder; the model in it, under a name with its extension */
    json_t *doc;           /* what is stored of it */
    bool refused;          /* the model's fault, not the tool's */
    const char *code;      /* of the cause; NULL: the error's own word */
    struct store_artefact firmware;
};

/* ---- the folder ---------------------------------------------------------------------------------------------------- */
static int open_folder(struct build *x, struct err *reterr) {
    struct store_model m;
    char blob[BLOB_PATH_SIZE];
    (void)snprintf(x->dir, sizeof x->dir, "%s/builds/%s", x->env->conf->data_dir, x->b->id);
    file_tree_remove(x->dir); /* of an earlier life */
    int r = store_model_get(x->env->store, x->b->model, &m, reterr);
    r = r < 0 ? r : blob_path(x->env->conf->data_dir, "models", x->b->model, blob);
    r = r < 0 ? r : blob_make_dirs(x->dir, reterr);
    if (r < 0) {
        return r;
    }
    (void)snprintf(x->name, sizeof x->name, "%s", m.name);
    (void)snprintf(x->model, sizeof x->model, "%s/model.%s", x->dir, m.format);
    return symlink(blob, x->model) == 0 ? 0 : err_set(reterr, JF_E_IO, "no link to the model in %s", x->dir);
}

/* ---- the children --------------------------------------------------------------------------------------------------- */
/* Runs jf-model. *ret_doc: its JSON answer, NULL when it printed none. */
static int run(const struct build *x, const char *const *argv, struct tool_end *end, json_t **ret_doc,
               struct err *reterr) {
    const struct tools *t = x->env->tools;
    const struct tool_spec spec = {.argv = argv,
                                   .cwd = x->dir,
                                   .deadline_ms = t->deadline_ms,
                                   .memory_bytes = t->memory_bytes,
                                   .file_bytes = (uint64_t)x->env->conf->max_firmware_bytes * 4, /* objects and maps beside it */
                                   .output_max = ANSWER_MAX};
    int r = tool_run(&t->env, &spec, end, reterr);
    *ret_doc = r == 0 ? json_loadb((const char *)end->out.data, end->out.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    buf_done(&end->out);
    return r;
}

static const char *word(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* "node 3 (CONV_2D): kernel width is 9, the limit is 1..7" */
static void violation_text(const json_t *v, char *out, size_t size) {
    const json_t *node = json_object_get(v, "node");
    size_t n = json_is_integer(node) ? (size_t)snprintf(out, size, "node %lld (%.40s): ", (long long)json_integer_value(node), word(v, "op"))
                                     : (size_t)snprintf(out, size, "the model: ");
    if (strcmp(word(v, "rule"), "operator") == 0) {
        (void)snprintf(out + n, size - n, "%.120s", word(v, "limit"));
    } else {
        (void)snprintf(out + n, size - n, "%.60s is %lld, the limit is %.100s", word(v, "rule"),
                       (long long)json_integer_value(json_object_get(v, "value")), word(v, "limit"));
    }
}

/* The model against the board's chip: what makes it illegal there. 0: nothing known against it. */
static int check(struct build *x, struct err *reterr) {
    const json_t *type = json_object_get(x->env->conf->board_types, x->b->board_type);
    char target[64], text[300];
    struct tool_end end;
    json_t *answer = NULL, *v;
    size_t i, n = 0;
    const char *chip = word(type, "target");
    (void)snprintf(target, sizeof target, "%s", chip[0] ? chip : word(type, "core"));
    for (char *p = target; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    if (!target[0]) {
        return 0; /* the catalogue does not say what is on the board */
    }
    const char *argv[] = {x->env->tools->jf_model, "check", x->model, "--target", target, "--json", NULL};
    int r = run(x, argv, &end, &answer, reterr);
    if (r == 0 && end.signaled) {
        r = tool_refusal(&end, "jf-model", reterr);
    } else if (r == 0 && strcmp(word(answer, "verdict"), "illegal") == 0) {
        const json_t *all = json_object_get(answer, "violations");
        json_t *kept = json_array();
        json_array_foreach(all, i, v) {
            n += strcmp(word(v, "effect"), "illegal") == 0;
            if (i < VIOLATIONS_MAX) {
                (void)json_array_append(kept, v);
            }
        }
        (void)json_object_set_new(x->doc, "violations", kept);
        json_array_foreach(all, i, v) {
            if (strcmp(word(v, "effect"), "illegal") == 0) {
                violation_text(v, text, sizeof text);
                break;
            }
        }
        x->refused = true;
        r = err_set(reterr, JF_E_UNSUPPORTED, n > 1 ? "the model cannot run on %s: %s; and %zu more" : "the model cannot run on %s: %s", target,
                    n ? text : "the check says so, without a violation", n ? n - 1 : 0);
    } /* no verdict (a model that cannot be read, a chip without a target file): the compiler's own sentence decides */
    json_decref(answer);
    return r;
}

/* The image in our folder, judged as an upload. */
static int take_image(struct build *x, const char *path, struct err *reterr) {
    struct elf_facts *f = calloc(1, sizeof *f);
    void *data = NULL;
    size_t n = 0;
    int r = f ? blob_read_file(path, (size_t)x->env->conf->max_firmware_bytes, &data, &n, reterr)
              : err_set(reterr, JF_E_NOMEM, "no memory");
    r = r < 0 ? r : elf_read(data, n, f, reterr);
    if (r == 0) {
        json_t *segments = elf_segments_json(f);
        r = elf_fits(segments, json_object_get(x->env->conf->board_types, x->b->board_type), reterr);
        x->refused = r == JF_E_UNSUPPORTED;
        json_decref(segments);
    }
    if (r == 0) {
        char at[CLOCK_RFC3339_SIZE];
        blob_id(data, n, x->firmware.id);
        json_t *doc = elf_json(f, x->firmware.id, n);
        clock_rfc3339(clock_wall_ns(x->env->tools->env.clock), at);
        (void)json_object_set_new(doc, "created_at", json_string(at));
        (void)json_object_set_new(doc, "model", json_string(x->b->model));
        (void)json_object_set_new(doc, "numerics", json_string(x->b->numerics));
        x->firmware.kind = STORE_FIRMWARE;
        x->firmware.size = (int64_t)n;
        x->firmware.doc = doc ? json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
        json_decref(doc);
        r = x->firmware.doc ? blob_put(x->env->conf->data_dir, "firmware", x->firmware.id, data, n, reterr)
                            : err_set(reterr, JF_E_NOMEM, "no memory");
    }
    free(data);
    free(f);
    return r;
}

/* Status 1 comes with whose fault it is: refused (the model's), toolchain, io. Without that it is the tool's. */
static int judge_failure(struct build *x, const struct tool_end *end, const json_t *answer, struct err *reterr) {
    const json_t *e = json_object_get(answer, "error");
    const char *class = word(e, "class");
    int r = end->signaled || end->code != 1 || !class[0] ? JF_E_PROTOCOL
            : strcmp(class, "refused") == 0             ? JF_E_UNSUPPORTED
            : strcmp(class, "toolchain") == 0           ? JF_E_GONE
            : strcmp(class, "io") == 0                  ? JF_E_IO
                                                        : JF_E_PROTOCOL;
    if (r == JF_E_PROTOCOL) {
        (void)tool_refusal(end, "jf-model", reterr);
        return reterr->code = r;
    }
    x->refused = r == JF_E_UNSUPPORTED;
    x->code = r == JF_E_GONE ? "toolchain" : NULL;
    (void)err_set(reterr, r, "%s", word(e, "text"));
    for (char *p = reterr->text; *p; p++) { /* a name out of the model, perhaps */
        *p = (unsigned char)*p < ' ' || *p == 127 ? ' ' : *p;
    }
    return r;
}

static int compile(struct build *x, struct err *reterr) {
    char out[BLOB_PATH_SIZE + 16];
    struct tool_end end;
    json_t *answer = NULL;
    (void)snprintf(out, sizeof out, "%s/image.elf", x->dir);
    const char *argv[] = {x->env->tools->jf_model, "firmware", x->model,   "--board", x->b->board_type, "--numerics",
                          x->b->numerics,          "--name",   x->name,     "--out",   out,              "--json", NULL};
    int r = run(x, argv, &end, &answer, reterr);
    if (r == 0 && (end.signaled || end.code != 0)) {
        r = judge_failure(x, &end, answer, reterr);
    } else if (r == 0 && !json_is_object(answer)) {
        r = err_set(reterr, JF_E_PROTOCOL, "jf-model printed no JSON");
    } else if (r == 0 && (strcmp(word(answer, "model_sha256"), x->b->model + 7) != 0 ||
                          strcmp(word(answer, "numerics"), x->b->numerics) != 0)) {
        r = err_set(reterr, JF_E_PROTOCOL, "jf-model compiled something else than it was asked for");
    }
    if (r == 0) {
        static const char *const keys[] = {"kernels", "flash_bytes", "ram_bytes", "arena_bytes", "regions"};
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            json_t *v = json_object_get(answer, keys[i]);
            (void)json_object_set_new(x->doc, keys[i], v ? json_incref(v) : json_null());
        }
        r = take_image(x, out, reterr);
    }
    json_decref(answer);
    return r;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */
static int store_end(const struct build *x, int result, const struct err *why, struct err *reterr) {
    char *doc = json_dumps(x->doc, JSON_COMPACT | JSON_PRESERVE_ORDER);
    struct store_build_end end = {.event = result == 0   ? STORE_BUILD_FINISH
                                           : x->refused ? STORE_BUILD_REFUSE
                                                        : STORE_BUILD_FAIL,
                                  .firmware = result == 0 ? &x->firmware : NULL,
                                  .doc = doc ? doc : "{}"};
    if (result < 0) {
        (void)snprintf(end.cause.cls, sizeof end.cause.cls, "%s", x->refused ? "job" : "infrastructure");
        (void)snprintf(end.cause.code, sizeof end.cause.code, "%s", x->refused ? "model-refused" : x->code ? x->code : err_word(result));
        (void)snprintf(end.cause.text, sizeof end.cause.text, "%s", why->text);
        (void)snprintf(end.cause.part, sizeof end.cause.part, "%s", "model");
    }
    int r = store_build_finish(x->env->store, x->b->id, &end, reterr);
    free(doc);
    return r;
}

int build_run(const struct build_env *env, const struct store_build *b, struct err *reterr) {
    struct build x = {.env = env, .b = b, .doc = json_object()};
    struct err why = {0};
    int r = open_folder(&x, &why);
    r = r < 0 ? r : check(&x, &why);
    r = r < 0 ? r : compile(&x, &why);
    file_tree_remove(x.dir);
    r = r == JF_E_CANCELED ? err_set(reterr, r, "%s", why.text) : store_end(&x, r, &why, reterr);
    store_artefact_done(&x.firmware);
    json_decref(x.doc);
    return r;
}

int build_give_up(const struct build_env *env, const struct store_build *b, int tries, struct err *reterr) {
    struct build x = {.env = env, .b = b, .doc = json_object()};
    struct err why = {0};
    int r = err_set(&why, JF_E_IO, "the daemon ended %d times while it compiled this model", tries);
    r = store_end(&x, r, &why, reterr);
    json_decref(x.doc);
    return r;
}
