/* SPDX-License-Identifier: GPL-2.0-or-later
 * Children of the API (daemon/helper.h). */
#include "daemon/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/blob.h"

#define ANSWER_MAX (8u << 20)
#define STEP_MS 100
/* The sanitizers reserve terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_MEMORY 0
#else
#define LIMIT_MEMORY 1
#endif

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    if (at->level > 0) {
        (void)remove(path);
    }
    return 0;
}

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
        (void)nftw(h->work, remove_entry, 8, FTW_DEPTH | FTW_PHYS); /* what an earlier life left */
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
    (void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    (void)rmdir(dir);
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

/* 0: the pipe has ended. */
static int drain(int fd, struct buf *out, struct err *reterr) {
    char piece[16384];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0) {
            return 0;
        }
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 1 : err_set_errno(reterr, JF_E_IO, errno, "jf-trace");
        }
        if (buf_put(out, piece, (size_t)n) < 0) {
            return err_set(reterr, JF_E_TOO_LARGE, "jf-trace says more than %u bytes", ANSWER_MAX);
        }
    }
}

/* To the child's end or the deadline. */
static int collect(struct helper *h, const struct helper_run *q, struct proc *p, struct buf *out, struct proc_exit *ret_exit,
                   struct err *reterr) {
    int fd = proc_output_fd(h->proc, p, 1), more = 1;
    int64_t until = clock_mono_ns(h->clock) + q->deadline_ms * CLOCK_NS_PER_MS;
    for (;;) {
        struct pollfd poll_fd = {.fd = more > 0 ? fd : -1, .events = POLLIN};
        (void)poll(&poll_fd, 1, more > 0 ? STEP_MS : 5);
        if (more > 0) {
            more = drain(fd, out, reterr);
        }
        if (more < 0) {
            return more;
        }
        if (more == 0 && proc_poll_exit(h->proc, p, ret_exit) != 0) {
            return 0;
        }
        if (clock_mono_ns(h->clock) >= until) {
            return err_set(reterr, JF_E_TIMEOUT, "this took more than %d s; jf-trace on your own machine has no such limit", q->deadline_ms / 1000);
        }
    }
}

static int understand(const struct proc_exit *x, const struct buf *out, json_t **ret_doc, struct err *reterr) {
    json_t *doc = out->len ? json_loadb((const char *)out->data, out->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
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
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "/dev/null");
    }
    const struct proc_spec spec = {.argv = argv, .cwd = q->dir, .stdin_fd = null, .stdout_fd = -1, .stderr_fd = null,
                                   .limit_as_bytes = LIMIT_MEMORY ? q->memory_bytes : 0, .limit_fsize_bytes = q->file_bytes};
    struct proc *p = NULL;
    struct proc_exit x = {0};
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    int r = proc_spawn(h->proc, &spec, &p, reterr);
    if (r >= 0) {
        r = collect(h, q, p, &out, &x, reterr);
        proc_free(h->proc, p); /* kills what still runs */
        r = r < 0 ? r : understand(&x, &out, ret_doc, reterr);
    }
    buf_done(&out);
    (void)close(null);
    return r < 0 ? r : 0;
}
