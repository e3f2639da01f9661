/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-vbench: one virtual bench. Options, files in its directory, the poll loop, and the pace: virtual time follows real
 * time; a lag of up to PACE_LAG_PS is caught up, beyond that virtual time slips, which is noted. One thread.
 *
 * P1. Virtual time never runs ahead of real time by more than one basic block.
 * P2. The pace is never adapted: the same program takes the same virtual time on every machine. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/board.h"
#include "sim/rig.h"
#include "sim/stlink.h"
#include "sim/uart.h"

#define PACE_LAG_PS (ELEC_PS_PER_S / 2)
#define SLICE_PS (ELEC_PS_PER_S / 500) /* at most this far per turn */
#define SLICE_PROBED_PS (ELEC_PS_PER_S / 5000) /* while a debugger waits for answers */
#define REST_MS 2
#define PACE_NICE (-5)
#define MAX_FRONTS (RIG_MAX_FRONTS + 2)
#define DEFAULT_SERIAL "VBOARD000000000000000001"
#define DEFAULT_MARKERS "PE2,PE3,PE4,PE5,PE6"

struct options {
    char dir[RIG_PATH_MAX];
    char serial[STLINK_SERIAL + 1];
    int stlink_port;
    bool die_with_parent;
    struct board_pin marker[BOARD_MARKERS];
    size_t n_markers;
    struct rig_conf rig;
};

struct vbench {
    struct options opt;
    struct log_ctx log;
    struct rig *rig;
    struct board *board;
    struct front stlink, uart;
    struct front front[MAX_FRONTS];
    int n_fronts;
    int stlink_port;
    int64_t origin_ns; /* real time of virtual 0 */
    int64_t slips;
    double slipped_s;
};

/* Set by the signal handler, read by the loop: the only thing they share. */
static volatile sig_atomic_t quit_signal;

static void on_signal(int number) { quit_signal = number; }

static const char usage[] =
    "usage: jf-vbench --dir DIR [options]\n"
    "One virtual bench: NUCLEO-H7A3ZI-Q behind an ST-LINK on TCP, its serial line, one instrument.\n"
    "DIR receives uart, control, ports.json and, with --ppk2, ppk2. One JSON line on stdout says when all is ready.\n"
    "  --dir DIR                   where the sockets and links go (created)\n"
    "  --serial S                  serial number of the probe (" DEFAULT_SERIAL ")\n"
    "  --stlink-port N             ST-LINK server on 127.0.0.1:N, 0: any free port (0)\n"
    "  --scope                     with an oscilloscope, port 0 unless --scope-port is given\n"
    "  --ppk2                      with a PPK2 at DIR/ppk2\n"
    "  --markers PE2,...           pin of each marker line, line 0 first (" DEFAULT_MARKERS ")\n"
    "  --noise on|off              on: the same as --realistic\n"
    "  --die-with-parent           end when the parent process ends\n"
    "  --help, --version\n"
    "Of the rig:\n";

/* --- options --------------------------------------------------------------------------------------------------- */

static int text_option(char *to, size_t size, const char *name, const char *value, struct err *reterr) {
    if (!value || !value[0] || strlen(value) >= size) {
        return err_set_at(reterr, JF_E_INVAL, name, "needs a value of at most %zu characters", size - 1);
    }
    memcpy(to, value, strlen(value) + 1);
    return 2;
}

static int port_option(int *to, const char *name, const char *value, struct err *reterr) {
    char *end = NULL;
    long v = value ? strtol(value, &end, 10) : -1;
    if (!value || end == value || *end || v < 0 || v > 65535) {
        return err_set_at(reterr, JF_E_INVAL, name, "needs a port number");
    }
    *to = (int)v;
    return 2;
}

static int noise_option(struct options *o, const char *value, struct err *reterr) {
    if (!value || (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)) {
        return err_set_at(reterr, JF_E_INVAL, "--noise", "is on or off");
    }
    o->rig.realistic = value[1] == 'n';
    return 2;
}

static int markers_option(struct options *o, const char *value, struct err *reterr) {
    struct err why = {0};
    int rc = value && value[0] ? board_pins_parse(value, o->marker, &o->n_markers, &why) : err_set(&why, JF_E_INVAL, "needs a list of pins");
    return rc < 0 ? err_set_at(reterr, rc, "--markers", "%s", why.text) : 2;
}

/* How many words were taken, or an error. */
static int one_option(struct options *o, const char *name, const char *value, struct err *reterr) {
    if (strcmp(name, "--dir") == 0) {
        return text_option(o->dir, sizeof o->dir - 32, name, value, reterr);
    }
    if (strcmp(name, "--serial") == 0) {
        return text_option(o->serial, sizeof o->serial, name, value, reterr);
    }
    if (strcmp(name, "--stlink-port") == 0) {
        return port_option(&o->stlink_port, name, value, reterr);
    }
    if (strcmp(name, "--scope") == 0) {
        o->rig.analyzer = RIG_SCOPE;
        return 1;
    }
    if (strcmp(name, "--ppk2") == 0) {
        o->rig.analyzer = RIG_PPK2;
        return 1;
    }
    if (strcmp(name, "--markers") == 0) {
        return markers_option(o, value, reterr);
    }
    if (strcmp(name, "--noise") == 0) {
        return noise_option(o, value, reterr);
    }
    if (strcmp(name, "--die-with-parent") == 0) {
        o->die_with_parent = true;
        return 1;
    }
    int rc = rig_conf_option(&o->rig, name, value, reterr);
    return rc == 0 ? err_set_at(reterr, JF_E_INVAL, name, "is not an option") : rc;
}

static int options_parse(struct options *o, int argc, char **argv, struct err *reterr) {
    *o = (struct options){0};
    rig_conf_init(&o->rig);
    memcpy(o->serial, DEFAULT_SERIAL, sizeof DEFAULT_SERIAL);
    int rc = board_pins_parse(DEFAULT_MARKERS, o->marker, &o->n_markers, reterr);
    for (int i = 1; i < argc && rc >= 0;) {
        rc = one_option(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, reterr);
        i += rc;
    }
    if (rc < 0) {
        return rc;
    }
    if (!o->dir[0]) {
        return err_set_at(reterr, JF_E_INVAL, "--dir", "is needed");
    }
    if (!o->rig.control_path[0]) {
        (void)snprintf(o->rig.control_path, sizeof o->rig.control_path, "%.480s/control", o->dir);
    }
    if (o->rig.analyzer == RIG_PPK2 && !o->rig.ppk2_path[0]) {
        (void)snprintf(o->rig.ppk2_path, sizeof o->rig.ppk2_path, "%.480s/ppk2", o->dir);
    }
    return 0;
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static void add_status(void *ctx, json_t *status) {
    struct vbench *v = ctx;
    struct board_info i;
    board_info_get(v->board, &i);
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:f, s:I, s:f, s:I}", "state", i.state, "core_hz", (json_int_t)i.core_hz, "cycles",
                          (json_int_t)i.cycles, "instructions", (json_int_t)i.instructions, "base_a", i.base_a, "resets",
                          (json_int_t)i.resets, "slipped_s", v->slipped_s, "uart_dropped", (json_int_t)uart_dropped(&v->uart));
    if (o) {
        json_object_set_new(status, "board", o);
    }
}

/* Whole or not at all: written beside and renamed. */
static int ports_write(const struct vbench *v, struct err *reterr) {
    char path[RIG_PATH_MAX];
    char temp[RIG_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.480s/ports.json", v->opt.dir);
    (void)snprintf(temp, sizeof temp, "%.480s/.ports.json", v->opt.dir);
    FILE *f = fopen(temp, "we");
    if (!f) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", temp);
    }
    int n = fprintf(f, "{\"stlink\":%d,\"scope\":%d,\"logic\":%d}\n", v->stlink_port, rig_scope_port(v->rig), rig_logic_port(v->rig));
    if (fclose(f) != 0 || n < 0 || rename(temp, path) != 0) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s", path);
    }
    return 0;
}

static int parts_open(struct vbench *v, struct err *reterr) {
    char path[RIG_PATH_MAX];
    int rc = rig_open(&v->opt.rig, &v->rig, reterr);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%.480s/uart", v->opt.dir);
    rc = uart_open(path, &v->uart, reterr);
    if (rc < 0) {
        return rc;
    }
    struct board_conf bc = {.elec = rig_elec(v->rig), .faults = rig_faults(v->rig), .n_markers = v->opt.n_markers, .seed = v->opt.rig.seed,
                            .uart_sent = uart_sent, .uart_ctx = v->uart.self};
    memcpy(bc.marker, v->opt.marker, sizeof bc.marker);
    rc = board_new(&bc, &v->board, reterr);
    if (rc < 0) {
        return rc;
    }
    uart_attach(&v->uart, v->board);
    struct stlink_conf sc = {.port = v->opt.stlink_port, .board = v->board, .faults = rig_faults(v->rig)};
    memcpy(sc.serial, v->opt.serial, sizeof sc.serial);
    rc = stlink_open(&sc, &v->stlink, &v->stlink_port, reterr);
    if (rc < 0) {
        return rc;
    }
    v->front[v->n_fronts++] = v->stlink;
    v->front[v->n_fronts++] = v->uart;
    v->n_fronts += rig_fronts(v->rig, v->front + v->n_fronts, RIG_MAX_FRONTS);
    rig_status_hook(v->rig, add_status, v);
    return ports_write(v, reterr);
}

static void vbench_close(struct vbench *v) {
    char path[RIG_PATH_MAX];
    if (v->stlink.ops) {
        v->stlink.ops->done(v->stlink.self);
    }
    if (v->uart.ops) {
        v->uart.ops->done(v->uart.self);
    }
    rig_close(v->rig);
    board_free(v->board);
    (void)snprintf(path, sizeof path, "%.480s/ports.json", v->opt.dir);
    (void)unlink(path);
}

/* --- the loop -------------------------------------------------------------------------------------------------- */

static void poll_fronts(struct vbench *v, int timeout_ms) {
    struct pollfd fds[MAX_FRONTS * FRONT_MAX_FDS];
    int first[MAX_FRONTS];
    int count[MAX_FRONTS];
    int n = 0;
    for (int i = 0; i < v->n_fronts; i++) {
        const struct front *f = &v->front[i];
        first[i] = n;
        count[i] = f->ops->fds ? f->ops->fds(f->self, fds + n, FRONT_MAX_FDS) : 0;
        n += count[i];
    }
    if (poll(fds, (nfds_t)n, timeout_ms) <= 0) {
        return;
    }
    for (int i = 0; i < v->n_fronts; i++) {
        const struct front *f = &v->front[i];
        if (count[i] > 0 && f->ops->ready) {
            f->ops->ready(f->self, fds + first[i], count[i]);
        }
    }
}

static void board_faults(struct vbench *v) {
    struct faults *f = rig_faults(v->rig);
    if (fault_fires(f, FAULT_HOST_STALL)) {
        double s = fault_param(f, FAULT_HOST_STALL, "s");
        struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
        (void)nanosleep(&t, NULL);
    }
    if (board_powered(v->board) && cm7_state(board_cpu(v->board)) != CPU_LOCKUP && fault_fires(f, FAULT_LOCKUP)) {
        cm7_lock_up(board_cpu(v->board));
    }
}

/* Real time that virtual time has still to cover; slips when it is too much. */
static int64_t lag_ps(struct vbench *v) {
    int64_t real = (clock_raw_ns(clock_system()) - v->origin_ns) * 1000;
    int64_t lag = real - board_now_ps(v->board);
    if (lag > PACE_LAG_PS) {
        v->origin_ns += lag / 1000;
        v->slips++;
        v->slipped_s += (double)lag * 1e-12;
        elec_note(rig_elec(v->rig), board_now_ps(v->board), ELEC_SLIP, (double)lag * 1e-12);
        log_warning(&v->log, "virtual time slipped by %.3f s", (double)lag * 1e-12);
        lag = 0;
    }
    return lag;
}

static void run(struct vbench *v) {
    v->origin_ns = clock_raw_ns(clock_system());
    while (!quit_signal && !rig_quit_asked(v->rig)) {
        int64_t lag = lag_ps(v);
        int64_t slice = stlink_busy(&v->stlink) && lag < 20 * SLICE_PROBED_PS ? SLICE_PROBED_PS : SLICE_PS;
        poll_fronts(v, lag < slice / 2 ? REST_MS : 0);
        board_faults(v);
        lag = lag_ps(v);
        if (lag > 0) {
            board_run_until(v->board, board_now_ps(v->board) + (lag < slice ? lag : slice)); /* P1, P2 */
        }
        for (int i = 0; i < v->n_fronts; i++) {
            if (v->front[i].ops->step) {
                v->front[i].ops->step(v->front[i].self, elec_now_ps(rig_elec(v->rig)));
            }
        }
        rig_pace(v->rig, lag, v->slips);
    }
}

static void signals(const struct options *o) {
    struct sigaction a = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &a, NULL);
    (void)sigaction(SIGINT, &a, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (o->die_with_parent) {
        pid_t parent = getppid();
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            quit_signal = SIGTERM; /* it ended in between */
        }
    }
}

int main(int argc, char **argv) {
    static struct vbench v; /* large; one per process */
    struct err e = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)printf("%s%s", usage, rig_usage());
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)puts("jf-vbench " JF_VERSION);
            return 0;
        }
    }
    if (options_parse(&v.opt, argc, argv, &e) < 0) {
        (void)fprintf(stderr, "jf-vbench: %s: %s\n", e.where, e.text);
        return 2;
    }
    log_init(&v.log, clock_system(), STDERR_FILENO, "jf-vbench");
    v.log.level = LOG_LEVEL_INFO;
    signals(&v.opt);
    (void)setpriority(PRIO_PROCESS, 0, PACE_NICE); /* keeps the pace beside a build; refused to most users, then without */
    (void)mkdir(v.opt.dir, 0700);
    if (parts_open(&v, &e) < 0) {
        log_error(&v.log, "%s", e.text);
        vbench_close(&v);
        return 1;
    }
    (void)printf("{\"ready\":true,\"stlink\":%d,\"scope\":%d,\"logic\":%d,\"pid\":%ld}\n", v.stlink_port, rig_scope_port(v.rig), rig_logic_port(v.rig), (long)getpid());
    (void)fflush(stdout);
    run(&v);
    vbench_close(&v);
    return 0;
}
