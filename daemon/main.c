/* SPDX-License-Identifier: GPL-2.0-or-later
 * joulefarmd: configuration, data directory and its lock, store, farm, server; ends on SIGTERM or SIGINT. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/blob.h"

#define STEP_MS 1000

static const char usage[] =
    "usage: joulefarmd --config FILE | --check-config FILE | --help | --version\n"
    "  --config FILE        run with this configuration (YAML, see config/demo.yaml)\n"
    "  --check-config FILE  list every mistake as file:line:column: field: text; exit 1 if there is one\n"
    "SIGTERM or SIGINT ends it: workers are told to make their boards safe and leave.\n";

struct program {
    struct log_ctx log;
    struct conf *conf;
    struct hub *hub;
    struct store *store;
    struct farm *farm;
    struct http_server *http;
    struct api api;
    struct shop *shop;
    struct tools tools;
    struct models *models;
    int lock_fd, signal_fd;
    char jf_bench[BLOB_PATH_SIZE];
};

static int load(const char *path, struct conf **ret_c) {
    struct conf_mistakes m = {0};
    struct err e = {0};
    int r = conf_load(path, ret_c, &m, &e);
    conf_mistakes_print(&m, stderr);
    if (r < 0) {
        (void)fprintf(stderr, "joulefarmd: %s\n", e.text);
    }
    conf_mistakes_done(&m);
    return r;
}

static int check_config(const char *path) {
    struct conf *c = NULL;
    if (load(path, &c) < 0) {
        return 1;
    }
    printf("%s: %d bench%s, no mistake\n", path, c->n_benches, c->n_benches == 1 ? "" : "es");
    conf_free(c);
    return 0;
}

static int make_data_dir(struct program *p, struct err *reterr) {
    static const char *const dirs[] = {"",         "/spool",          "/traces",      "/logs",
                                       "/benches", "/builds", "/blobs/firmware", "/blobs/inputs",
                                       "/blobs/sessions", "/blobs/models"};
    char path[BLOB_PATH_SIZE];
    int r = 0;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0] && r == 0; i++) {
        (void)snprintf(path, sizeof path, "%s%s", p->conf->data_dir, dirs[i]);
        r = blob_make_dirs(path, reterr);
    }
    if (r < 0) {
        return r;
    }
    char *real = realpath(p->conf->data_dir, NULL); /* workers and files by absolute path */
    if (real && strlen(real) < sizeof p->conf->data_dir) {
        (void)snprintf(p->conf->data_dir, sizeof p->conf->data_dir, "%s", real);
    }
    free(real);
    (void)snprintf(path, sizeof path, "%s/lock", p->conf->data_dir);
    p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->lock_fd < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    return flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0
               ? 0
               : err_set(reterr, JF_E_BUSY, "%s is in use by another joulefarmd", p->conf->data_dir);
}

/* A program of ours: as configured, else beside this one. */
static void find_program(const char *configured, const char *name, char *out, size_t size) {
    if (configured[0]) {
        (void)snprintf(out, size, "%s", configured);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", out, size - 16);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    (void)snprintf(slash ? slash + 1 : out, 16, "%s", name);
}

static void wake_farm(void *farm) { farm_wake(farm); }

static int open_shop(struct program *p, struct err *reterr) {
    int r = shop_open(p->conf->tool_threads, &p->shop, reterr);
    if (r < 0) {
        return r;
    }
    p->tools = (struct tools){.env = {proc_system(), clock_system(), shop_stop(p->shop)},
                              .deadline_ms = (int)(p->conf->tool_deadline_s * 1000),
                              .memory_bytes = (uint64_t)p->conf->tool_memory_mib << 20};
    find_program(p->conf->jf_trace, "jf-trace", p->tools.jf_trace, sizeof p->tools.jf_trace);
    find_program(p->conf->jf_model, "jf-model", p->tools.jf_model, sizeof p->tools.jf_model);
    const struct models_env env = {p->conf, p->store, p->shop, &p->tools, wake_farm, p->farm};
    r = models_new(&env, &p->models, reterr);
    for (int i = 0; i < p->conf->tool_threads && r == 0; i++) { /* what an earlier life left compiling */
        r = models_kick(p->models, reterr);
    }
    return r;
}

static int catch_signals(struct program *p, struct err *reterr) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "signals");
    }
    return 0;
}

static int start(struct program *p, struct err *reterr) {
    char path[BLOB_PATH_SIZE];
    int r = make_data_dir(p, reterr);
    r = r < 0 ? r : catch_signals(p, reterr);
    r = r < 0 ? r : hub_new(p->conf->max_streams, &p->hub, reterr);
    if (r < 0) {
        return r;
    }
    find_program(p->conf->jf_bench, "jf-bench", p->jf_bench, sizeof p->jf_bench);
    (void)snprintf(path, sizeof path, "%s/port", p->conf->data_dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/barrier", p->conf->data_dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/joulefarm.sqlite", p->conf->data_dir);
    const struct store_options so = {.path = path,
                                     .clock = clock_system(),
                                     .readers = p->conf->http_threads + 4,
                                     .events_keep = p->conf->events_keep,
                                     .committed = hub_committed,
                                     .user = p->hub};
    r = store_open(&so, &p->store, reterr);
    if (r < 0) {
        return r;
    }
    hub_set_store(p->hub, p->store);
    const struct farm_env env = {p->conf, p->store, p->hub, clock_system(), proc_system(), &p->log, p->jf_bench};
    r = farm_new(&env, &p->farm, reterr);
    r = r < 0 ? r : farm_recover(p->farm, reterr);
    r = r < 0 ? r : open_shop(p, reterr);
    if (r < 0) {
        return r;
    }
    p->api = (struct api){.conf = p->conf, .store = p->store, .hub = p->hub, .farm = p->farm, .clock = clock_system(),
                          .shop = p->shop, .tools = &p->tools, .models = p->models};
    r = helper_init(&p->api.helper, clock_system(), p->conf->data_dir, p->conf->http_threads, reterr);
    if (r < 0) {
        return r;
    }
    const struct http_handler h = api_handler(&p->api);
    return http_start(p->conf->listen, p->conf->port, p->conf->http_threads, &h, &p->http, reterr);
}

static int announce(struct program *p, struct err *reterr) {
    char path[BLOB_PATH_SIZE], text[16];
    (void)snprintf(path, sizeof path, "%s/port", p->conf->data_dir);
    int n = snprintf(text, sizeof text, "%d\n", http_port(p->http));
    log_info(&p->log, "joulefarmd %s on http://127.0.0.1:%d/, %d bench(es), data in %s", JF_VERSION, http_port(p->http),
             p->conf->n_benches, p->conf->data_dir);
    log_info(&p->log, "bound to loopback only: no token is configured");
    return blob_write_file(path, text, (size_t)n, reterr);
}

static void run(struct program *p) {
    struct signalfd_siginfo s;
    while (read(p->signal_fd, &s, sizeof s) != (ssize_t)sizeof s) {
        farm_step(p->farm, STEP_MS, p->signal_fd);
    }
    log_info(&p->log, "signal %u: ending", s.ssi_signo);
}

static void stop(struct program *p) {
    char path[BLOB_PATH_SIZE];
    if (p->http) {
        (void)snprintf(path, sizeof path, "%s/port", p->conf->data_dir);
        (void)unlink(path);
        shop_close(p->shop); /* requests that wait for a child get their answer now */
        farm_stop(p->farm);
        hub_end(p->hub);
        http_stop(p->http);
    }
    shop_free(p->shop);
    models_free(p->models);
    farm_free(p->farm);
    store_close(p->store);
    hub_free(p->hub);
    if (p->signal_fd >= 0) {
        (void)close(p->signal_fd);
    }
    if (p->lock_fd >= 0) {
        (void)close(p->lock_fd);
    }
    conf_free(p->conf);
}

static int serve(const char *path) {
    struct program p = {.lock_fd = -1, .signal_fd = -1};
    struct err e = {0};
    log_init(&p.log, clock_system(), STDERR_FILENO, "joulefarmd");
    if (load(path, &p.conf) < 0) {
        return 1;
    }
    int r = start(&p, &e);
    r = r < 0 ? r : announce(&p, &e);
    if (r == 0) {
        run(&p);
    } else {
        log_error(&p.log, "%s", e.text);
    }
    stop(&p);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", required_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL, *check = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) { /* NOLINT(concurrency-mt-unsafe) */
        if (o == 'h' || o == 'V') {
            (void)fputs(o == 'h' ? usage : "joulefarmd " JF_VERSION "\n", stdout);
            return 0;
        }
        if (o == '?') {
            (void)fputs(usage, stderr);
            return 2;
        }
        config = o == 'c' ? optarg : config;
        check = o == 'k' ? optarg : check;
    }
    if (optind < argc || (config == NULL) == (check == NULL)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (sodium_init() < 0) {
        (void)fputs("joulefarmd: libsodium does not start\n", stderr);
        return 1;
    }
    return check ? check_config(check) : serve(config);
}
