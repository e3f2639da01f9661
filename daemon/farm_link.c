/* SPDX-License-Identifier: GPL-2.0-or-later
 * The worker process and its socket: starting it with the bench's lock, packets to and from it (bench/PROTOCOL.md).
 * Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/blob.h"
#include "daemon/farm_impl.h"

#define PACKET_MAX 65536
#define SEND_MS 2000
#define WORKER_LOG_MAX (8 << 20)

int farm_link_send(struct farm_bench *b, json_t *msg, struct err *reterr) {
    char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
    json_decref(msg);
    if (!text) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a message");
    }
    size_t n = strlen(text);
    int r = b->sock < 0      ? err_set(reterr, JF_E_GONE, "there is no worker")
            : n > PACKET_MAX ? err_set(reterr, JF_E_TOO_LARGE, "a message of %zu bytes", n)
                             : 0;
    const struct clock_src *clock = b->farm->env.clock;
    int64_t until = clock_mono_ns(clock) + SEND_MS * CLOCK_NS_PER_MS;
    while (r == 0 && send(b->sock, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        struct pollfd p = {.fd = b->sock, .events = POLLOUT};
        int left = clock_left_ms(clock, until, SEND_MS);
        if (errno != EAGAIN && errno != EINTR) {
            r = err_set_errno(reterr, JF_E_GONE, errno, "the worker's socket");
        } else if (left == 0) {
            r = err_set(reterr, JF_E_TIMEOUT, "the worker does not read its messages");
        } else {
            (void)poll(&p, 1, left);
        }
    }
    free(text);
    return r;
}

int farm_link_receive(struct farm_bench *b, json_t **ret_msg, struct err *reterr) {
    static const size_t room = PACKET_MAX;
    char *packet = malloc(room);
    if (!packet) {
        return err_set(reterr, JF_E_NOMEM, "no memory for a message");
    }
    struct iovec iov = {packet, room};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = recvmsg(b->sock, &h, MSG_DONTWAIT);
    int r = 1;
    if (n < 0) {
        r = errno == EAGAIN || errno == EINTR ? 0 : err_set_errno(reterr, JF_E_GONE, errno, "the worker's socket");
    } else if (n == 0) {
        r = err_set(reterr, JF_E_GONE, "the worker closed its socket");
    } else if (h.msg_flags & MSG_TRUNC) {
        r = err_set(reterr, JF_E_PROTOCOL, "a packet of the worker was longer than %zu bytes", room);
    } else {
        json_t *msg = json_loadb(packet, (size_t)n, 0, NULL);
        if (json_is_object(msg) && json_is_string(json_object_get(msg, "type"))) {
            *ret_msg = msg;
        } else {
            json_decref(msg);
            r = err_set(reterr, JF_E_PROTOCOL, "a packet of the worker is no message");
        }
    }
    free(packet);
    return r;
}

int farm_link_lock(struct farm_bench *b, int *ret_fd, struct err *reterr) {
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/benches/%s.lock", b->farm->env.conf->data_dir, b->conf->name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int e = errno;
        (void)close(fd);
        return err_set_errno(reterr, e == EWOULDBLOCK ? JF_E_BUSY : JF_E_IO, e, "the lock of bench %s", b->conf->name);
    }
    *ret_fd = fd;
    return 0;
}

static int open_worker_log(const struct farm_bench *b) {
    char path[BLOB_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/logs/worker-%s.log", b->farm->env.conf->data_dir, b->conf->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && lseek(fd, 0, SEEK_END) > WORKER_LOG_MAX) {
        (void)!ftruncate(fd, 0);
    }
    return fd;
}

static int write_bench_json(const struct farm_bench *b, char path[BLOB_PATH_SIZE], struct err *reterr) {
    (void)snprintf(path, BLOB_PATH_SIZE, "%s/benches/%s.json", b->farm->env.conf->data_dir, b->conf->name);
    char *text = json_dumps(b->conf->doc, JSON_INDENT(1));
    int r = text ? blob_write_file(path, text, strlen(text), reterr) : err_set(reterr, JF_E_NOMEM, "no memory");
    free(text);
    return r;
}

int farm_link_spawn(struct farm_bench *b, bool safe, int lock_fd, struct err *reterr) {
    char json[BLOB_PATH_SIZE], spool[BLOB_PATH_SIZE], sock_text[16], lock_text[16];
    int pair[2] = {-1, -1};
    const struct farm_env *env = &b->farm->env;
    int r = write_bench_json(b, json, reterr);
    if (r < 0) {
        return r;
    }
    if (!safe && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "socket pair");
    }
    int log_fd = open_worker_log(b);
    (void)snprintf(spool, sizeof spool, "%s/spool", env->conf->data_dir);
    (void)snprintf(sock_text, sizeof sock_text, "%d", pair[1]);
    (void)snprintf(lock_text, sizeof lock_text, "%d", lock_fd);
    const char *run_argv[] = {env->jf_bench, "run",     "--bench-json", json,      "--spool", spool,
                              "--socket-fd", sock_text, "--lock-fd",    lock_text, NULL};
    const char *safe_argv[] = {env->jf_bench, "safe", "--bench-json", json, "--lock-fd", lock_text, NULL};
    int keep[2] = {lock_fd, pair[1]};
    struct proc_spec spec = {.argv = safe ? safe_argv : run_argv,
                             .stdin_fd = -1,
                             .stdout_fd = log_fd,
                             .stderr_fd = log_fd,
                             .merge_stderr = true,
                             .keep_fds = keep,
                             .n_keep_fds = safe ? 1 : 2,
                             .survives_parent = !safe};
    r = log_fd < 0 ? err_set(reterr, JF_E_IO, "the log of the worker cannot be written")
                   : proc_spawn(env->proc, &spec, &b->proc, reterr);
    if (log_fd >= 0) {
        (void)close(log_fd);
    }
    if (pair[1] >= 0) {
        (void)close(pair[1]);
    }
    if (r < 0) {
        if (pair[0] >= 0) {
            (void)close(pair[0]);
        }
        return r;
    }
    b->sock = pair[0];
    uint64_t ticks = 0;
    pid_t pid = proc_pid(env->proc, b->proc);
    (void)proc_start_ticks(pid, &ticks);
    return store_bench_worker(env->store, b->conf->name, pid, (int64_t)ticks, reterr);
}
