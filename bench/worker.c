/* SPDX-License-Identifier: GPL-2.0-or-later
 * The worker between attempts (bench/worker.h). */
#include "bench/worker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int worker_open(struct worker *ret_w, const char *bench_json, struct err *reterr) {
    struct worker w = {.clock = clock_system(),
                       .proc = proc_system(),
                       .lock_fd = -1,
                       .signal_fd = -1,
                       .quiet_ms = WORKER_QUIET_MS,
                       .beyond_ms = WORKER_BEYOND_MS,
                       .off_ms = WORKER_OFF_MS};
    msg_init(&w.link, -1, w.clock);
    json_error_t je;
    w.root = json_load_file(bench_json, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(w.root)) {
        json_decref(w.root);
        return err_set(reterr, JF_E_INVAL, "%s: line %d: %s", bench_json, je.line,
                       je.text[0] ? je.text : "an object was expected");
    }
    int r = bench_conf_parse(w.root, &w.conf, reterr);
    if (r < 0) {
        goto fail_root;
    }
    w.driver = power_driver_by_name(w.conf.driver);
    w.logic_driver = w.conf.logic ? power_driver_by_name(w.conf.logic_driver) : NULL;
    if (!w.driver) {
        r = err_set_at(reterr, JF_E_INVAL, "analyzer.driver", "power driver \"%.40s\" is not known", w.conf.driver);
        goto fail_root;
    }
    if (w.conf.logic && !w.logic_driver) {
        r = err_set_at(reterr, JF_E_INVAL, "logic.driver", "power driver \"%.40s\" is not known", w.conf.logic_driver);
        goto fail_root;
    }
    w.runner = flash_runner_by_name(w.conf.runner);
    if (!w.runner) {
        r = err_set_at(reterr, JF_E_INVAL, "probe.runner", "flash runner \"%.40s\" is not known", w.conf.runner);
        goto fail_root;
    }
    w.barrier = getenv("JF_BENCH_BARRIER");
    w.barrier_file = getenv("JF_BARRIER_FILE");
    *ret_w = w;
    return 0;
fail_root:
    json_decref(w.root);
    return r;
}

void worker_close(struct worker *w) {
    json_decref(w->root);
    w->root = NULL;
}

static int say(struct worker *w, json_t *m, struct err *reterr) { return msg_send(&w->link, m, MSG_WAIT_MS, reterr); }

static int hello(struct worker *w, struct err *reterr) {
    json_t *libs = version_libraries();
    return say(w,
               json_pack("{s:s, s:i, s:s, s:i, s:s, s:o}", "type", "hello", "protocol", 1, "version", JF_VERSION, "pid",
                         (int)getpid(), "bench", w->conf.name, "libraries", libs ? libs : json_object()),
               reterr);
}

/* A message while nothing runs. 1: go on, 0: leave. */
static int take(struct worker *w, json_t *m, struct err *reterr) {
    const char *type = json_string_value(json_object_get(m, "type"));
    if (strcmp(type, "drain") == 0 || strcmp(type, "bye") == 0) {
        return 0;
    }
    if (strcmp(type, "cancel") == 0 || strcmp(type, "result_ack") == 0) {
        w->refused++; /* late: the attempt it means has ended */
        return 1;
    }
    if (strcmp(type, "run") != 0) {
        return err_set(reterr, JF_E_PROTOCOL, "the daemon sent the unknown message \"%.20s\"", type);
    }
    struct err e = {0};
    (void)attempt_run(w, m, NULL, &e); /* the daemon has heard how it ended */
    if (w->drain || w->bye) {
        return 0;
    }
    if (w->link.gone) {
        return err_set(reterr, JF_E_GONE, "the daemon's socket is closed");
    }
    int r = say(w, json_pack("{s:s}", "type", "idle"), reterr);
    return r < 0 ? r : 1;
}

int worker_serve(struct worker *w, struct err *reterr) {
    int r = hello(w, reterr);
    r = r < 0 ? r : say(w, json_pack("{s:s}", "type", "idle"), reterr);
    while (r >= 0) {
        json_t *m = NULL;
        r = msg_receive(&w->link, &m, reterr);
        if (r < 0) {
            return r;
        }
        if (r == 0) {
            struct pollfd p[2] = {{w->link.fd, POLLIN, 0}, {w->signal_fd, POLLIN, 0}};
            if (poll(p, 2, 1000) > 0 && p[1].revents) {
                return 0; /* between attempts the board is safe */
            }
            continue;
        }
        r = take(w, m, reterr);
        json_decref(m);
        if (r == 0) {
            return 0;
        }
    }
    return r;
}
