/* SPDX-License-Identifier: GPL-2.0-or-later
 * Children of the API (daemon/helper.h). */
#include "daemon/helper.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/blob.h"
#include "daemon/tool.h"

#define ANSWER_MAX (8u << 20)

int helper_init(struct helper *h, const struct clock_src *clock, const char *data_dir, int http_threads, struct err *reterr) {
    h->proc = proc_system();
    h->clock = clock;
    h->most = http_threads > 2 ? http_threads / 2 : 1;
    ssize_t n = readlink("/proc/self/exe", h->program, sizeof h->program - 16);
    h->program[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(h->program, '/');
    (void)snprintf(slash ? slash + 1 : h->program, 16, "jf-trace");
    if ((size_t)snprintf(h->work, sizeof h->work, "%s/work", data_dir) >= sizeof h->work - 64) {
        return err_set(reterr, JF_E_INVAL, "the data directory's path is too long");
    }
    int r = blob_make_dirs(h->work, reterr);
    if (r == 0) {
        file_tree_empty(h->work); /* what an earlier life left */
    }
    return r;
}

int helper_dir_make(struct helper *h, char ret_dir[HELPER_PATH], struct err *reterr) {
    if (atomic_fetch_add(&h->running, 1) >= h->most) {
        (void)atomic_fetch_sub(&h->running, 1);
        return err_set(reterr, JF_E_BUSY, "%d imports or exports are running; try again", h->most);
    }
    (void)snprintf(ret_dir, HELPER_PATH, "%.1000s/XXXXXX", h->work);
    if (mkdtemp(ret_dir)) {
        return 0;
    }
    (void)atomic_fetch_sub(&h->running, 1);
    return err_set_errno(reterr, JF_E_IO, errno, "%s", h->work);
}

void helper_dir_drop(struct helper *h, const char *dir) {
    file_tree_remove(dir);
    (void)atomic_fetch_sub(&h->running, 1);
}

/* The error that the child's document tells of. */
static int told(const json_t *error, struct err *reterr) {
    const char *code = json_string_value(json_object_get(error, "code")), *where = json_string_value(json_object_get(error, "where")),
               *text = json_string_value(json_object_get(error, "text"));
    for (int k = -1; code && text && k > -64; k--) {
        if (strcmp(err_word(k), code) == 0) {
            return err_set_at(reterr, k, where, "%s", text);
        }
    }
    return err_set(reterr, JF_E_PROTOCOL, "jf-trace failed without saying how");
}

static int understand(const struct tool_end *x, json_t **ret_doc, struct err *reterr) {
    json_t *doc = x->out.len ? json_loadb((const char *)x->out.data, x->out.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *error = json_object_get(doc, "error");
    int r = 0;
    if (x->signaled && (x->code == SIGXFSZ || x->code == SIGKILL)) {
        r = err_set(reterr, JF_E_TOO_LARGE, "the file would be larger than what is written here");
    } else if (error) {
        r = told(error, reterr);
    } else if (x->signaled || x->code != 0 || !json_is_object(doc)) {
        r = err_set(reterr, JF_E_BUG, "jf-trace ended with %s %d and no answer", x->signaled ? "signal" : "status", x->code);
    }
    if (r < 0) {
        json_decref(doc);
        return r;
    }
    *ret_doc = doc;
    return 0;
}

int helper_run(struct helper *h, const struct helper_run *q, json_t **ret_doc, struct err *reterr) {
    const char *argv[HELPER_ARGS + 2] = {h->program};
    for (int i = 0; i < HELPER_ARGS && q->args[i]; i++) {
        argv[i + 1] = q->args[i];
    }
    static const bool never = false; /* it ends by its deadline, the daemon waits for its handlers */
    const struct tool_env env = {h->proc, h->clock, &never};
    const struct tool_spec spec = {.argv = argv, .cwd = q->dir, .deadline_ms = q->deadline_ms, .memory_bytes = q->memory_bytes,
                                   .file_bytes = q->file_bytes, .output_max = ANSWER_MAX};
    struct tool_end end;
    int r = tool_run(&env, &spec, &end, reterr);
    if (r == JF_E_TIMEOUT) {
        r = err_set(reterr, r, "this took more than %d s; jf-trace on your own machine has no such limit", q->deadline_ms / 1000);
    }
    r = r < 0 ? r : understand(&end, ret_doc, reterr);
    buf_done(&end.out);
    return r;
}
