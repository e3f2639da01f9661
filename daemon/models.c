/* SPDX-License-Identifier: GPL-2.0-or-later
 * The pump of builds (daemon/models.h): each order of the shop takes the oldest build that nobody works on, until there is
 * none. One build: a folder of its own, check, firmware, the image read back and checked like an upload, the end stored. */
#include "daemon/models.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/build.h"

#define VERSION_MS 5000
#define KEY_MS 20000
#define KEY_CHARS 16 /* 64 bits of the hash */

struct board_tool {
    const char *board_type; /* the configuration's */
    char tool[STORE_HASH_SIZE];
};

struct models {
    struct models_env env;
    char tool[STORE_HASH_SIZE];
    char why[256]; /* tool "": why not */
    struct board_tool *boards;
    int n_boards;
    pthread_mutex_t lock;
    char at_work[SHOP_MAX_THREADS][STORE_ID_SIZE]; /* "" free */
};

/* ---- the tool ------------------------------------------------------------------------------------------------------ */
/* The first 16 hex digits of the program's hash: two builds of one version are two tools. "" when it is found by PATH. */
static void program_hash(const char *program, char out[20]) {
    void *data = NULL;
    size_t n = 0;
    char id[BLOB_ID_SIZE];
    out[0] = '\0';
    if (strchr(program, '/') && blob_read_file(program, 256u << 20, &data, &n, NULL) == 0) {
        blob_id(data, n, id);
        (void)snprintf(out, 20, " %.16s", id + 7);
        free(data);
    }
}

static void ask_version(struct models *m) {
    const char *argv[] = {m->env.tools->jf_model, "--version", NULL};
    const struct tool_spec spec = {.argv = argv, .deadline_ms = VERSION_MS, .output_max = 256, .file_bytes = 1 << 16};
    struct tool_end end;
    struct err e = {0};
    char hash[20];
    int r = tool_run(&m->env.tools->env, &spec, &end, &e);
    if (r == 0 && (end.signaled || end.code != 0)) {
        r = tool_refusal(&end, "jf-model", &e);
    }
    if (r < 0) {
        (void)snprintf(m->why, sizeof m->why, "models cannot be compiled here: %.200s", e.text);
    } else {
        const char *text = buf_str(&end.out);
        program_hash(m->env.tools->jf_model, hash);
        (void)snprintf(m->tool, sizeof m->tool, "%.*s%s", text ? (int)strcspn(text, "\r\n") : 0, text ? text : "", hash);
    }
    buf_done(&end.out);
}

/* The first KEY_CHARS of the key that jf-model prints, "" none: the build will say why. */
static void ask_key(const struct models *m, const char *board_type, char out[KEY_CHARS + 2]) {
    const char *argv[] = {m->env.tools->jf_model, "firmware", "--board", board_type, "--print-key", NULL};
    const struct tool_spec spec = {.argv = argv, .deadline_ms = KEY_MS, .output_max = 256, .file_bytes = 1 << 16};
    struct tool_end end;
    int r = tool_run(&m->env.tools->env, &spec, &end, NULL);
    const char *text = r == 0 && !end.signaled && end.code == 0 ? buf_str(&end.out) : NULL;
    bool good = text && strspn(text, "0123456789abcdef") == 64;
    (void)snprintf(out, KEY_CHARS + 2, good ? " %.16s" : "%s", good ? text : "");
    buf_done(&end.out);
}

static int ask_keys(struct models *m, struct err *reterr) {
    const struct conf *c = m->env.conf;
    char key[KEY_CHARS + 2];
    m->boards = calloc((size_t)c->n_benches + 1, sizeof *m->boards);
    if (!m->boards) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the models");
    }
    int n = 0;
    for (int i = 0; i < c->n_benches && m->tool[0]; i++) {
        int k = 0;
        while (k < n && strcmp(m->boards[k].board_type, c->benches[i].board_type) != 0) {
            k++;
        }
        if (k == n) {
            struct board_tool *b = &m->boards[n++];
            b->board_type = c->benches[i].board_type;
            ask_key(m, b->board_type, key);
            (void)snprintf(b->tool, sizeof b->tool, "%.*s%s", (int)(sizeof b->tool - sizeof key), m->tool, key);
        }
    }
    m->n_boards = n;
    return 0;
}

/* Folders of builds that an earlier life did not come to remove. */
static void empty_folder(const char *data_dir) {
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/builds", data_dir);
    file_tree_empty(path);
}

int models_new(const struct models_env *env, struct models **ret_m, struct err *reterr) {
    struct models *m = calloc(1, sizeof *m);
    if (!m) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the models");
    }
    m->env = *env;
    (void)pthread_mutex_init(&m->lock, NULL);
    empty_folder(env->conf->data_dir);
    ask_version(m);
    int r = ask_keys(m, reterr);
    if (r < 0) {
        models_free(m);
        return r;
    }
    *ret_m = m;
    return 0;
}

void models_free(struct models *m) {
    if (m) {
        (void)pthread_mutex_destroy(&m->lock);
        free(m->boards);
        free(m);
    }
}

int models_tool(const struct models *m, const char *board_type, const char **ret_tool, struct err *reterr) {
    *ret_tool = m->tool;
    for (int i = 0; i < m->n_boards && board_type; i++) {
        *ret_tool = strcmp(m->boards[i].board_type, board_type) == 0 ? m->boards[i].tool : *ret_tool;
    }
    return m->tool[0] ? 0 : err_set(reterr, JF_E_UNSUPPORTED, "%s", m->why);
}

int models_format(const void *data, size_t size, const char **ret_format, struct err *reterr) {
    const unsigned char *p = data;
    if (size >= 8 && memcmp(p + 4, "TFL3", 4) == 0) {
        *ret_format = "tflite";
    } else if (size >= 8 && p[0] == 0x08 && p[1] > 0 && p[1] < 0x80) {
        *ret_format = "onnx";
    } else {
        return err_set(reterr, JF_E_PARSE, "this is neither a TFLite file (TFL3 at byte 4) nor an ONNX file");
    }
    return 0;
}

/* ---- the pump ------------------------------------------------------------------------------------------------------ */
static bool is_at_work(const struct models *m, const char *id) {
    for (int i = 0; i < SHOP_MAX_THREADS; i++) {
        if (strcmp(m->at_work[i], id) == 0) {
            return true;
        }
    }
    return false;
}

/* The oldest build that is compiling and that nobody works on; true: it is ours now, in *ret_slot. */
static bool take(struct models *m, struct store_build *ret_b, int *ret_slot) {
    struct store_build *list = NULL;
    bool found = false;
    (void)pthread_mutex_lock(&m->lock);
    int n = store_build_list(m->env.store, NULL, STORE_BUILD_COMPILING, &list, NULL), slot = 0;
    while (slot < SHOP_MAX_THREADS && m->at_work[slot][0]) {
        slot++;
    }
    for (int i = 0; i < n && !found && slot < SHOP_MAX_THREADS; i++) {
        if (!is_at_work(m, list[i].id)) {
            found = true;
            *ret_b = list[i];
            list[i].doc = NULL;
            *ret_slot = slot;
            (void)snprintf(m->at_work[slot], STORE_ID_SIZE, "%s", ret_b->id);
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    store_builds_free(list, n);
    return found;
}

static void give_back(struct models *m, int slot) {
    (void)pthread_mutex_lock(&m->lock);
    m->at_work[slot][0] = '\0';
    (void)pthread_mutex_unlock(&m->lock);
}

/* false: the daemon is ending, or the store does not work: the build stays compiling. */
static bool work_on(struct models *m, const struct store_build *b) {
    struct err e = {0};
    struct build_env env = {.conf = m->env.conf, .store = m->env.store, .tools = m->env.tools};
    int tries = store_build_start(m->env.store, b->id, &e);
    if (tries < 0) {
        return tries == JF_E_CONFLICT;
    }
    int r = tries > MODELS_TRIES ? build_give_up(&env, b, tries - 1, &e) : build_run(&env, b, &e);
    if (r >= 0) {
        m->env.ready(m->env.user);
    }
    return r >= 0;
}

static void pump(void *arg) {
    struct models *m = arg;
    struct store_build b;
    int slot;
    bool on = true;
    while (on && !__atomic_load_n(m->env.tools->env.stop, __ATOMIC_RELAXED) && take(m, &b, &slot)) {
        on = work_on(m, &b);
        give_back(m, slot);
        store_build_done(&b);
    }
}

static void nothing(void *arg) { (void)arg; }

int models_kick(struct models *m, struct err *reterr) {
    const struct shop_order o = {pump, nothing, m};
    return shop_post(m->env.shop, &o, reterr);
}
