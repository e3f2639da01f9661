/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-bench: the worker process of one bench. Arguments and sub-commands; all the work is in bench/. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "bench/worker.h"

static const char usage[] =
    "usage: jf-bench run   --bench-json FILE --spool DIR --socket-fd N [--lock-fd M]\n"
    "       jf-bench safe  --bench-json FILE [--lock-fd M]\n"
    "       jf-bench check --bench-json FILE\n"
    "       jf-bench once  --bench-json FILE --firmware ELF [options]\n"
    "\n"
    "The worker of one joulefarm bench: flashes the board, captures, computes energy per inference.\n"
    "  run    serve joulefarmd over a socket (bench/PROTOCOL.md)\n"
    "  safe   bring the board to its safe state; exit status 0 when confirmed\n"
    "  check  read the bench's configuration, open nothing\n"
    "  once   one attempt without a daemon; prints the result\n"
    "\n"
    "options of once:\n"
    "  --method quick|mlperf-tiny   default quick\n"
    "  --windows N                  default 5\n"
    "  --window-s SECONDS           length of a window, default 1.0 (quick), 10.5 (mlperf-tiny)\n"
    "  --inferences N               per window; default: as many as the length needs\n"
    "  --warmup N                   inferences before each window, default 10\n"
    "  --input FILE                 input bytes, may be repeated; default: the firmware's own input\n"
    "  --expect-crc HEX             CRC-32 of the output that the windows must show\n"
    "  --spool DIR                  where trace, log and result go, default ./spool\n"
    "  --json                       print result.json instead of a summary\n"
    "      --help, --version\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 wrong usage, 3 done but the verdict is invalid\n";

struct options {
    const char *bench_json, *spool, *firmware, *method, *expect_crc;
    const char *inputs[JOB_MAX_INPUTS];
    int n_inputs;
    int socket_fd, lock_fd;
    long windows, inferences, warmup;
    double window_s;
    bool json;
};

enum {
    OPT_BENCH = 256,
    OPT_SPOOL,
    OPT_SOCKET,
    OPT_LOCK,
    OPT_FW,
    OPT_METHOD,
    OPT_WINDOWS,
    OPT_WINDOW_S,
    OPT_INFERENCES,
    OPT_WARMUP,
    OPT_INPUT,
    OPT_EXPECT,
    OPT_JSON,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {{"bench-json", required_argument, NULL, OPT_BENCH},
                                             {"spool", required_argument, NULL, OPT_SPOOL},
                                             {"socket-fd", required_argument, NULL, OPT_SOCKET},
                                             {"lock-fd", required_argument, NULL, OPT_LOCK},
                                             {"firmware", required_argument, NULL, OPT_FW},
                                             {"method", required_argument, NULL, OPT_METHOD},
                                             {"windows", required_argument, NULL, OPT_WINDOWS},
                                             {"window-s", required_argument, NULL, OPT_WINDOW_S},
                                             {"inferences", required_argument, NULL, OPT_INFERENCES},
                                             {"warmup", required_argument, NULL, OPT_WARMUP},
                                             {"input", required_argument, NULL, OPT_INPUT},
                                             {"expect-crc", required_argument, NULL, OPT_EXPECT},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"help", no_argument, NULL, OPT_HELP},
                                             {"version", no_argument, NULL, OPT_VERSION},
                                             {NULL, 0, NULL, 0}};

static bool to_long(const char *s, long lo, long hi, long *ret_v) {
    char *end;
    errno = 0;
    long v = strtol(s, &end, 10);
    if (errno != 0 || end == s || *end || v < lo || v > hi) {
        return false;
    }
    *ret_v = v;
    return true;
}

static bool to_seconds(const char *s, double *ret_v) {
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end || !(v > 0 && v <= 3600)) {
        return false;
    }
    *ret_v = v;
    return true;
}

/* One option; false: its value is not acceptable. */
static bool take_option(struct options *o, int c) {
    long n = 0;
    bool good = true;
    switch (c) {
    case OPT_BENCH:
        o->bench_json = optarg;
        break;
    case OPT_SPOOL:
        o->spool = optarg;
        break;
    case OPT_FW:
        o->firmware = optarg;
        break;
    case OPT_METHOD:
        o->method = optarg;
        break;
    case OPT_EXPECT:
        o->expect_crc = optarg;
        break;
    case OPT_JSON:
        o->json = true;
        break;
    case OPT_SOCKET:
        good = to_long(optarg, 0, 1 << 20, &n);
        o->socket_fd = (int)n;
        break;
    case OPT_LOCK:
        good = to_long(optarg, 0, 1 << 20, &n);
        o->lock_fd = (int)n;
        break;
    case OPT_WINDOWS:
        good = to_long(optarg, 1, MEASURE_MAX_WINDOWS, &o->windows);
        break;
    case OPT_INFERENCES:
        good = to_long(optarg, 1, 100000000, &o->inferences);
        break;
    case OPT_WARMUP:
        good = to_long(optarg, 0, 1000000, &o->warmup);
        break;
    case OPT_WINDOW_S:
        good = to_seconds(optarg, &o->window_s);
        break;
    case OPT_INPUT:
        good = o->n_inputs < JOB_MAX_INPUTS;
        if (good) {
            o->inputs[o->n_inputs++] = optarg;
        }
        break;
    default:
        good = false;
        break;
    }
    return good;
}

static json_t *file_object(const char *path) { /* {"id": "sha256:...", "path"}; NULL: cannot be read */
    FILE *f = fopen(path, "rbe");
    if (!f) {
        return NULL;
    }
    crypto_hash_sha256_state st;
    (void)crypto_hash_sha256_init(&st);
    unsigned char block[65536], digest[crypto_hash_sha256_BYTES];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0) {
        (void)crypto_hash_sha256_update(&st, block, n);
    }
    bool bad = ferror(f) != 0;
    (void)fclose(f);
    (void)crypto_hash_sha256_final(&st, digest);
    char id[8 + 2 * sizeof digest] = "sha256:";
    (void)sodium_bin2hex(id + 7, 2 * sizeof digest + 1, digest, sizeof digest);
    return bad ? NULL : json_pack("{s:s, s:s}", "id", id, "path", path);
}

static json_t *once_request(const struct options *o, struct err *reterr) {
    json_t *job = json_pack("{s:s, s:I, s:I, s:f}", "method", o->method, "windows", (json_int_t)o->windows, "warmup",
                            (json_int_t)o->warmup, "window_s", o->window_s);
    json_t *inputs = json_array(), *fw = file_object(o->firmware);
    if (!fw) {
        (void)err_set_errno(reterr, JF_E_IO, errno, "%s", o->firmware);
    }
    for (int i = 0; i < o->n_inputs && fw; i++) {
        json_t *in = file_object(o->inputs[i]);
        if (!in) {
            (void)err_set_errno(reterr, JF_E_IO, errno, "%s", o->inputs[i]);
            json_decref(fw);
            fw = NULL;
        }
        (void)json_array_append_new(inputs, in);
    }
    if (!fw || !job || !inputs) {
        json_decref(job);
        json_decref(inputs);
        return NULL;
    }
    if (o->inferences > 0) {
        (void)json_object_set_new(job, "inferences", json_integer(o->inferences));
    }
    if (o->expect_crc) {
        (void)json_object_set_new(job, "expect_output", json_pack("{s:s}", "crc32", o->expect_crc));
    }
    char name[64];
    (void)snprintf(name, sizeof name, "once-%lld-%ld", (long long)time(NULL), (long)getpid());
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:i}", "type", "run", "attempt", name, "epoch", 0, "job", job,
                     "firmware", fw, "inputs", inputs, "deadline_s", 7200);
}

static void say(void *user, const char *text) {
    (void)user;
    (void)fprintf(stderr, "  %s\n", text);
}

static double figure(const json_t *result, const char *key, const char *field) {
    return json_number_value(json_object_get(json_object_get(result, key), field));
}

static void print_summary(const json_t *stored) {
    const json_t *r = json_object_get(stored, "result");
    const json_t *trace = json_object_get(stored, "trace");
    (void)printf("verdict            %s\n", json_string_value(json_object_get(r, "verdict")));
    size_t i;
    json_t *reason;
    json_array_foreach(json_object_get(r, "reasons"), i, reason) {
        (void)printf("  %-16s %s\n", json_string_value(json_object_get(reason, "code")),
                     json_string_value(json_object_get(reason, "text")));
    }
    (void)printf("gross energy       %.6g J per inference, U95 %.3g J\n", figure(r, "energy_per_inference_j", "median"),
                 figure(r, "energy_per_inference_j", "u95"));
    (void)printf("net energy         %.6g J per inference, U95 %.3g J\n",
                 figure(r, "net_energy_per_inference_j", "median"), figure(r, "net_energy_per_inference_j", "u95"));
    (void)printf("latency            %.6g s\n", figure(r, "latency_per_inference_s", "median"));
    (void)printf("trace              %s\n", json_string_value(json_object_get(trace, "path")));
}

static int run_once(struct worker *w, const struct options *o, struct err *reterr) {
    json_t *request = once_request(o, reterr);
    if (!request) {
        return JF_E_IO;
    }
    w->on_text = o->json ? NULL : say;
    json_t *stored = NULL;
    int r = attempt_run(w, request, &stored, reterr);
    json_decref(request);
    if (stored) {
        const char *verdict = json_string_value(json_object_get(json_object_get(stored, "result"), "verdict"));
        if (o->json) {
            (void)json_dumpf(stored, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
            (void)printf("\n");
        } else {
            print_summary(stored);
        }
        r = r == 0 && verdict && strcmp(verdict, "invalid") == 0 ? 3 : r;
        json_decref(stored);
    }
    return r;
}

/* SIGINT and SIGTERM become a descriptor: an attempt ends by its release, never in the middle. Blocked before any
 * thread starts. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int dispatch(const char *command, const struct options *o, struct err *reterr) {
    struct worker w;
    int r = worker_open(&w, o->bench_json, reterr);
    if (r < 0) {
        return r;
    }
    w.lock_fd = o->lock_fd;
    w.signal_fd = open_signals();
    w.spool_root = o->spool;
    if (strcmp(command, "run") == 0) {
        msg_init(&w.link, o->socket_fd, w.clock);
        r = worker_serve(&w, reterr);
    } else if (strcmp(command, "safe") == 0) {
        r = safe_run(&w, reterr);
    } else if (strcmp(command, "once") == 0) {
        r = run_once(&w, o, reterr);
    }
    if (w.signal_fd >= 0) {
        (void)close(w.signal_fd);
    }
    worker_close(&w);
    return r;
}

static int bad_usage(const char *text) {
    (void)fprintf(stderr, "jf-bench: %s\n%s", text, usage);
    return 2;
}

int main(int argc, char **argv) {
    struct options o = {
        .spool = "spool", .method = "quick", .socket_fd = -1, .lock_fd = -1, .windows = 5, .warmup = 10};
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == OPT_HELP) {
            (void)fputs(usage, stdout);
            return 0;
        }
        if (c == OPT_VERSION) {
            (void)printf("jf-bench %s\n", JF_VERSION);
            return 0;
        }
        if (!take_option(&o, c)) {
            return bad_usage("wrong option or value");
        }
    }
    const char *command = optind < argc ? argv[optind] : "";
    static const char *const commands[] = {"run", "safe", "check", "once"};
    bool known = false;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        known = known || strcmp(command, commands[i]) == 0;
    }
    if (!known || optind + 1 != argc || !o.bench_json || (strcmp(command, "once") == 0 && !o.firmware) ||
        (strcmp(command, "run") == 0 && o.socket_fd < 0)) {
        return bad_usage("a command and its options are needed");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    struct log_ctx log;
    log_init(&log, clock_system(), STDERR_FILENO, "jf-bench");
    if (sodium_init() < 0) {
        log_error(&log, "libsodium cannot be initialised");
        return 1;
    }
    struct err e = {0};
    int r = dispatch(command, &o, &e);
    if (r < 0) {
        log_error(&log, "%s: %s%s%s", err_word(r), e.where, e.where[0] ? ": " : "",
                  e.text[0] ? e.text : err_sentence(r));
    }
    return r < 0 ? 1 : r;
}
