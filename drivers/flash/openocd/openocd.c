/* SPDX-License-Identifier: GPL-2.0-or-later
 * The OpenOCD runner: starts one openocd per operation, reads its output, bounds its life. Owns the child and the work
 * directory's fixed files. Refuses to know boards. Main thread only.
 *
 * A probe that accepts and then says nothing blocks openocd in recv; it then ignores SIGTERM (seen with 0.12.0). So:
 * deadline -> SIGTERM to the group -> GRACE_MS -> SIGKILL to the group. */
#include "drivers/flash/openocd/openocd.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/usb/usb.h"

#define GRACE_MS 1500
#define LINE_MAX_BYTES 4096
#define OUTPUT_MAX_BYTES (1u << 20) /* of one operation; a tool gone mad is stopped */

enum ending { END_NONE, END_DEADLINE, END_CANCEL, END_FLOOD };

struct flash_dev {
    struct openocd_conf conf;
    struct flash_env env;
    const struct usb_sys *usb;
    char work_dir[512];
    struct proc *child; /* NULL between operations */
    enum flash_op op;
    int64_t deadline_ns, kill_ns;
    enum ending ending;
    struct openocd_text text;
    struct buf line;
    size_t output_bytes;
    struct flash_identity identity;
    bool identified;
};

static int openocd_open(const json_t *probe, const json_t *board, const char *work_dir, const struct flash_env *env,
                        struct flash_dev **ret_dev, struct err *reterr) {
    struct openocd_conf conf;
    int r = openocd_conf_parse(probe, board, &conf, reterr);
    if (r < 0) {
        return r;
    }
    struct flash_dev *d = calloc(1, sizeof *d);
    if (!d) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a flash runner");
    }
    if ((size_t)snprintf(d->work_dir, sizeof d->work_dir, "%s", work_dir) >= sizeof d->work_dir) {
        free(d);
        return err_set(reterr, JF_E_INVAL, "the work directory's name is too long");
    }
    d->conf = conf;
    d->env = *env;
    d->usb = usb_system();
    buf_init(&d->line, LINE_MAX_BYTES);
    *ret_dev = d;
    return 0;
}

static int copy_fd(int from, int to) {
    char block[65536];
    for (;;) {
        ssize_t n = read(from, block, sizeof block);
        if (n == 0) {
            return 0;
        }
        if (n < 0) {
            return -1;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, block + done, (size_t)(n - done));
            if (w < 0) {
                return -1;
            }
            done += w;
        }
    }
}

/* The image gets the fixed name: what its own name contains cannot matter. */
static int place_image(struct flash_dev *d, const char *image_path, struct err *reterr) {
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", d->work_dir, OPENOCD_IMAGE);
    int from = open(image_path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "the image %s cannot be read", image_path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        int e = errno;
        (void)close(from);
        return err_set_errno(reterr, JF_E_IO, e, "%s cannot be replaced", path);
    }
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) {
        int e = errno;
        (void)close(from);
        return err_set_errno(reterr, JF_E_IO, e, "%s cannot be written", path);
    }
    int bad = copy_fd(from, to);
    int e = errno;
    (void)close(from);
    if (close(to) != 0 && !bad) {
        bad = -1;
        e = errno;
    }
    return bad ? err_set_errno(reterr, JF_E_IO, e, "%s cannot be written", path) : 0;
}

/* A real probe is first looked up by its descriptors: openocd is not even started for the wrong one. */
static int check_probe(struct flash_dev *d, struct err *reterr) {
    if (d->conf.tcp) {
        return 0;
    }
    struct usb_id ids[8];
    for (size_t i = 0; i < d->conf.n_usb_ids; i++) {
        ids[i].vid = d->conf.usb_ids[i].vid;
        ids[i].pid = d->conf.usb_ids[i].pid;
    }
    struct usb_device_info found;
    int r = usb_find(d->usb, ids, d->conf.n_usb_ids, d->conf.serial, &found, reterr);
    if (r < 0) {
        return r == JF_E_NOT_FOUND || r == JF_E_CONFLICT ? err_prefix(reterr, "debug probe") : r;
    }
    return 0;
}

static int openocd_begin(struct flash_dev *d, enum flash_op op, const char *image_path, int deadline_ms, struct err *reterr) {
    bool wants_image = op == FLASH_COMPARE || op == FLASH_WRITE || op == FLASH_VERIFY;
    if (d->child) {
        return err_set(reterr, JF_E_BUG, "%s asked for while %s runs", flash_op_name(op), flash_op_name(d->op));
    }
    if (wants_image != (image_path != NULL) || deadline_ms <= 0) {
        return err_set(reterr, JF_E_BUG, "%s: image or deadline do not fit", flash_op_name(op));
    }
    int r = wants_image ? place_image(d, image_path, reterr) : 0;
    r = r < 0 ? r : check_probe(d, reterr);
    struct openocd_argv args;
    if (r == 0) {
        r = openocd_argv_build(&d->conf, op, &args);
        if (r < 0) {
            (void)err_set(reterr, r, "the openocd command line could not be built");
        }
    }
    if (r < 0) {
        return r;
    }
    struct proc_spec spec = {.argv = args.argv, .cwd = d->work_dir, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1,
                             .merge_stderr = true, .keep_fds = d->env.keep_fds, .n_keep_fds = d->env.n_keep_fds};
    r = proc_spawn(d->env.proc, &spec, &d->child, reterr);
    openocd_argv_done(&args);
    if (r < 0) {
        return r == JF_E_NOT_FOUND ? err_set(reterr, JF_E_NOT_FOUND, "%s is not installed (apt-get install openocd)", d->conf.binary) : r;
    }
    d->op = op;
    d->ending = END_NONE;
    d->deadline_ns = clock_mono_ns(d->env.clock) + deadline_ms * CLOCK_NS_PER_MS;
    d->output_bytes = 0;
    buf_clear(&d->line);
    openocd_text_init(&d->text);
    return 0;
}

static size_t openocd_poll_fds(struct flash_dev *d, struct pollfd *fds, size_t max) {
    int fd = d->child ? proc_output_fd(d->env.proc, d->child, 1) : -1;
    if (fd < 0 || max == 0) {
        return 0;
    }
    fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    return 1;
}

static void end_child(struct flash_dev *d, enum ending why) {
    if (d->ending == END_NONE) {
        d->ending = why;
        d->kill_ns = clock_mono_ns(d->env.clock) + GRACE_MS * CLOCK_NS_PER_MS;
        (void)d->env.proc->ops->signal_group(d->child, SIGTERM);
    }
}

static void take_line(struct flash_dev *d) {
    const char *line = buf_str(&d->line);
    if (line) {
        openocd_text_line(&d->text, line);
        if (d->env.log) {
            d->env.log(d->env.user, line);
        }
    }
    buf_clear(&d->line);
}

static void take_bytes(struct flash_dev *d, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            take_line(d);
        } else if (bytes[i] != '\r' && bytes[i] != '\0') {
            if (buf_put(&d->line, &bytes[i], 1) < 0) { /* longer than a line may be: given out in pieces */
                take_line(d);
            }
        }
    }
}

/* At most 64 KiB a step, so that a flood cannot hold the caller's loop. */
static void read_output(struct flash_dev *d) {
    int fd = proc_output_fd(d->env.proc, d->child, 1);
    char block[4096];
    for (int i = 0; i < 16; i++) {
        ssize_t n = read(fd, block, sizeof block);
        if (n <= 0) {
            return;
        }
        d->output_bytes += (size_t)n;
        if (d->output_bytes > OUTPUT_MAX_BYTES) {
            end_child(d, END_FLOOD);
            return;
        }
        take_bytes(d, block, (size_t)n);
    }
}

static int verdict(struct flash_dev *d, const struct proc_exit *ex, bool *ret_equal, struct err *reterr) {
    *ret_equal = false;
    switch (d->ending) {
    case END_CANCEL:
        return err_set(reterr, JF_E_CANCELED, "%s was canceled", flash_op_name(d->op));
    case END_DEADLINE:
        return err_set(reterr, JF_E_TIMEOUT, "openocd did not finish %s in time; the probe %s is suspect%s%s", flash_op_name(d->op),
                       d->conf.serial, d->text.last_error[0] ? ": " : "", d->text.last_error);
    case END_FLOOD:
        return err_set(reterr, JF_E_PROBE, "openocd wrote more than %u bytes during %s", OUTPUT_MAX_BYTES, flash_op_name(d->op));
    case END_NONE:
        break;
    }
    if (ex->signaled) {
        return err_set(reterr, JF_E_PROBE, "openocd died of signal %d during %s", ex->code, flash_op_name(d->op));
    }
    return openocd_text_judge(&d->text, &d->conf, d->op, ex->code, ret_equal, reterr);
}

static void keep_identity(struct flash_dev *d) {
    struct flash_identity *id = &d->identity;
    memset(id, 0, sizeof *id);
    (void)snprintf(id->probe_serial, sizeof id->probe_serial, "%s", d->conf.serial);
    (void)snprintf(id->runner, sizeof id->runner, "openocd");
    (void)snprintf(id->runner_version, sizeof id->runner_version, "%s", d->text.version);
    id->chip_id = d->text.id;
    id->target_v = d->text.target_v;
    d->identified = true;
}

static int openocd_step(struct flash_dev *d, struct flash_progress *ret_progress, struct err *reterr) {
    struct flash_progress p = {.op = d->op, .fraction = (double)NAN};
    if (!d->child) {
        return err_set(reterr, JF_E_BUG, "no openocd operation runs");
    }
    read_output(d);
    struct proc_exit ex;
    int r = proc_poll_exit(d->env.proc, d->child, &ex);
    int64_t now = clock_mono_ns(d->env.clock);
    if (r == 0) {
        if (d->ending == END_NONE && now >= d->deadline_ns) {
            end_child(d, END_DEADLINE);
        } else if (d->ending != END_NONE && now >= d->kill_ns) {
            (void)d->env.proc->ops->signal_group(d->child, SIGKILL);
            d->kill_ns = now + GRACE_MS * CLOCK_NS_PER_MS;
        }
        *ret_progress = p;
        return 0;
    }
    read_output(d);
    if (d->line.len) {
        take_line(d);
    }
    proc_free(d->env.proc, d->child);
    d->child = NULL;
    p.done = true;
    p.result = verdict(d, &ex, &p.equal, reterr);
    if (d->op == FLASH_IDENTIFY && p.result == 0) {
        keep_identity(d);
    }
    *ret_progress = p;
    return 0;
}

static void openocd_cancel(struct flash_dev *d) {
    if (d->child) {
        end_child(d, END_CANCEL);
    }
}

static int openocd_identity(struct flash_dev *d, struct flash_identity *ret_id) {
    if (!d->identified) {
        return JF_E_CONFLICT;
    }
    *ret_id = d->identity;
    return 0;
}

static void openocd_close(struct flash_dev *d) {
    if (d) {
        if (d->child) {
            proc_free(d->env.proc, d->child);
        }
        buf_done(&d->line);
        free(d);
    }
}

const struct flash_runner flash_openocd = {
    .name = "openocd",
    .sentence = "OpenOCD 0.12 (Debian), one process per step, ST-Link over USB or TCP",
    .open = openocd_open,
    .begin = openocd_begin,
    .poll_fds = openocd_poll_fds,
    .step = openocd_step,
    .cancel = openocd_cancel,
    .identity = openocd_identity,
    .close = openocd_close,
};
