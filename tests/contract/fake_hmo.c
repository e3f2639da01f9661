/* SPDX-License-Identifier: GPL-2.0-or-later
 * The contract tests' oscilloscope (fake_hmo.h). Shares nothing with the driver or the virtual bench. */
#include "tests/contract/fake_hmo.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOGIC 8
struct scope {
    double scale, pos;
    int chan[2], logic[LOGIC], pod;
    char mode[8], source[8], slope[8];
    enum { STOPPED, RUNNING, COMPLETE, BROKEN } state;
    int64_t armed_ms;
};

static int64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say(int fd, const void *p, size_t n) {
    const char *at = p;
    while (n > 0) {
        ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
        if (put <= 0) {
            return;
        }
        at += put;
        n -= (size_t)put;
    }
}
static void say_text(int fd, const char *text) {
    char line[256]; /* in one piece: libsigrok takes what one recv returns for the whole answer */
    int n = snprintf(line, sizeof line, "%s\n", text);
    say(fd, line, (size_t)n);
}

/* false: close the connection now */
static bool say_block(struct fake_hmo *f, int fd, const void *data, size_t n) {
    int fault = atomic_load(&f->fault);
    char head[16], digits[12];
    if (fault == FAKE_HMO_MUTE_DATA) {
        return true;
    }
    n = fault == FAKE_HMO_SHORT_BLOCK ? n / 2 : n;
    (void)snprintf(digits, sizeof digits, "%zu", n);
    (void)snprintf(head, sizeof head, "#%zu%s", strlen(digits), digits);
    say(fd, head, strlen(head));
    bool cut = fault == FAKE_HMO_CUT_MUTE || fault == FAKE_HMO_CUT_CLOSE;
    say(fd, data, cut ? n / 2 : n);
    /* No newline behind the block: one that arrives in a segment of its own is the next answer's first byte to libsigrok. */
    return fault != FAKE_HMO_CUT_CLOSE;
}

static bool say_channel(struct fake_hmo *f, int fd, int channel) {
    float *v = calloc(f->samples, sizeof *v);
    assert(v);
    int k = atomic_load(&f->runs) - 1;
    for (unsigned i = 0; i < f->samples; i++) {
        v[i] = channel == 1 ? (float)(0.010 + 1e-6 * i + 0.001 * k) : (float)(3.3 - 1e-5 * i);
    }
    bool keep = say_block(f, fd, v, f->samples * sizeof *v);
    free(v);
    return keep;
}

static bool say_pod(struct fake_hmo *f, int fd) {
    uint8_t *v = calloc(f->samples, 1);
    assert(v);
    for (unsigned i = 0; i < f->samples; i++) {
        v[i] = (uint8_t)(i / 64);
    }
    bool keep = say_block(f, fd, v, f->samples - (atomic_load(&f->fault) == FAKE_HMO_SHORT_POD ? 1 : 0));
    free(v);
    return keep;
}

static void step(struct fake_hmo *f, struct scope *s) {
    int fault = atomic_load(&f->fault);
    if (s->state == RUNNING && fault != FAKE_HMO_NEVER_TRIGGERS && now_ms() - s->armed_ms > atomic_load(&f->trigger_after_ms)) {
        s->state = fault == FAKE_HMO_BREAKS ? BROKEN : COMPLETE;
    }
}

static bool query(struct fake_hmo *f, struct scope *s, int fd, const char *q) {
    static const char *const states[] = {"STOP", "RUN", "COMP", "BRE"};
    int fault = atomic_load(&f->fault), n = 0;
    double span = s->scale * 12;
    char text[128] = "";
    if (strcasecmp(q, "*IDN?") == 0) {
        if (fault == FAKE_HMO_MUTE_IDN) {
            return true;
        }
        (void)snprintf(text, sizeof text, "HAMEG,HMO1202,012345678,05.886");
    } else if (strcasecmp(q, "*OPC?") == 0) {
        (void)snprintf(text, sizeof text, "1");
    } else if (strcasecmp(q, "SYST:ERR?") == 0) {
        (void)snprintf(text, sizeof text, "0,\"No error\"");
    } else if (strcasecmp(q, "ACQ:STAT?") == 0) {
        if (fault == FAKE_HMO_MUTE_STATE) {
            return true;
        }
        step(f, s);
        (void)snprintf(text, sizeof text, "%s", states[s->state]);
    } else if (strcasecmp(q, "ACQ:SRAT?") == 0) {
        (void)snprintf(text, sizeof text, "%.6E", f->samples / span);
    } else if (strcasecmp(q, "TIM:SCAL?") == 0) {
        (void)snprintf(text, sizeof text, "%.3E", s->scale);
    } else if (strcasecmp(q, "TIM:DIV?") == 0) {
        (void)snprintf(text, sizeof text, "12");
    } else if (strcasecmp(q, "TIM:POS?") == 0) {
        (void)snprintf(text, sizeof text, "%.4E", s->pos);
    } else if (strcasecmp(q, "TRIG:A:SOUR?") == 0) {
        (void)snprintf(text, sizeof text, "%s", s->source);
    } else if (strcasecmp(q, "TRIG:A:EDGE:SLOP?") == 0) {
        (void)snprintf(text, sizeof text, "%s", s->slope);
    } else if (strcasecmp(q, "TRIG:A:PATT:SOUR?") == 0) {
        (void)snprintf(text, sizeof text, "\"XXXXXXXXXX\"");
    } else if (strcasecmp(q, "ACQ:HRES?") == 0 || strcasecmp(q, "ACQ:PEAK?") == 0) {
        (void)snprintf(text, sizeof text, "OFF");
    } else if (sscanf(q, "CHAN%d:", &n) == 1 && (n == 1 || n == 2)) {
        const char *tail = strchr(q, ':') + 1;
        double from = -(span / 2 - s->pos) * (fault == FAKE_HMO_WRONG_SPAN ? 2 : 1);
        if (fault == FAKE_HMO_MUTE_OPEN && strcasecmp(tail, "STAT?") == 0 && atomic_load(&f->runs) > 0) {
            return true;
        }
        if (strcasecmp(tail, "DATA?") == 0) {
            return say_channel(f, fd, n);
        }
        if (strcasecmp(tail, "DATA:HEAD?") == 0) {
            (void)snprintf(text, sizeof text, "%.6E,%.6E,%u,1", from, from + span, f->samples);
        } else {
            (void)snprintf(text, sizeof text, "%s", strcasecmp(tail, "STAT?") == 0 ? (s->chan[n - 1] ? "1" : "0")
                                                    : strcasecmp(tail, "SCAL?") == 0 ? "5.00E-03"
                                                    : strcasecmp(tail, "POS?") == 0  ? "0.00E+00"
                                                                                     : "DCL");
        }
    } else if (sscanf(q, "PROB%d:", &n) == 1) {
        (void)snprintf(text, sizeof text, "%s", n == 1 && fault != FAKE_HMO_VOLTS ? "A" : "V");
    } else if (sscanf(q, "LOG%d:", &n) == 1 && n >= 0 && n < LOGIC) {
        (void)snprintf(text, sizeof text, "%d", s->logic[n]);
    } else if (sscanf(q, "POD%d:", &n) == 1 && n == 1) {
        const char *tail = strchr(q, ':') + 1;
        if (strcasecmp(tail, "DATA?") == 0) {
            return say_pod(f, fd);
        }
        (void)snprintf(text, sizeof text, "%s", strcasecmp(tail, "STAT?") == 0 ? (s->pod ? "1" : "0") : "CMOS");
    } else {
        return true; /* a real instrument stays silent, too */
    }
    say_text(fd, text);
    return true;
}

static void order(struct fake_hmo *f, struct scope *s, const char *c) {
    int n = 0, v = 0;
    char word[8] = "";
    if (sscanf(c, "TIM:SCAL %lf", &s->scale) == 1 || sscanf(c, "TIM:POS %lf", &s->pos) == 1) {
        return;
    }
    if (sscanf(c, "CHAN%d:STAT %d", &n, &v) == 2 && n >= 1 && n <= 2) {
        s->chan[n - 1] = v;
    } else if (sscanf(c, "LOG%d:STAT %d", &n, &v) == 2 && n >= 0 && n < LOGIC) {
        s->logic[n] = v;
    } else if (sscanf(c, "POD%d:STAT %d", &n, &v) == 2) {
        s->pod = v;
    } else if (sscanf(c, "TRIG:A:SOUR %7s", word) == 1) {
        (void)snprintf(s->source, sizeof s->source, "%s", word);
    } else if (sscanf(c, "TRIG:A:EDGE:SLOP %7s", word) == 1) {
        (void)snprintf(s->slope, sizeof s->slope, "%s", word);
    } else if (sscanf(c, "TRIG:A:MODE %7s", word) == 1) {
        (void)snprintf(s->mode, sizeof s->mode, "%s", word);
    } else if (strcasecmp(c, "STOP") == 0) {
        s->state = s->state == RUNNING ? BROKEN : s->state;
    } else if ((strcasecmp(c, "RUNS") == 0 || strcasecmp(c, "SING") == 0) && atomic_load(&f->fault) != FAKE_HMO_NEVER_ARMS) {
        s->state = RUNNING;
        s->armed_ms = now_ms();
        atomic_fetch_add(&f->runs, 1);
    }
}

/* One line, several commands separated by ';'. */
static bool line(struct fake_hmo *f, struct scope *s, int fd, char *text) {
    char *save = NULL;
    for (char *c = strtok_r(text, ";\r", &save); c; c = strtok_r(NULL, ";\r", &save)) {
        c += strspn(c, ": ");
        if (strchr(c, '?')) {
            if (!query(f, s, fd, c)) {
                return false;
            }
        } else {
            order(f, s, c);
        }
    }
    return true;
}

static void serve(struct fake_hmo *f, struct scope *s, int fd) {
    char buf[4096];
    size_t have = 0;
    while (!atomic_load(&f->quit)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        step(f, s);
        if (poll(&p, 1, 10) <= 0) {
            continue;
        }
        ssize_t got = recv(fd, buf + have, sizeof buf - 1 - have, 0);
        if (got <= 0) {
            return;
        }
        have += (size_t)got;
        buf[have] = '\0';
        for (char *nl = strchr(buf, '\n'); nl; nl = strchr(buf, '\n')) {
            *nl = '\0';
            if (!line(f, s, fd, buf)) {
                return;
            }
            have -= (size_t)(nl + 1 - buf);
            memmove(buf, nl + 1, have + 1);
        }
    }
}

static void *run(void *arg) {
    struct fake_hmo *f = arg;
    struct scope s = {.scale = 1e-3, .chan = {1, 1}, .pod = 1, .mode = "AUTO", .source = "CH1", .slope = "POS", .state = COMPLETE};
    while (!atomic_load(&f->quit)) {
        struct pollfd p = {.fd = f->listen_fd, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0) {
            step(f, &s);
            continue;
        }
        int fd = accept(f->listen_fd, NULL, NULL);
        if (fd >= 0) {
            atomic_fetch_add(&f->connections, 1);
            serve(f, &s, fd);
            (void)close(fd);
        }
    }
    return NULL;
}

void fake_hmo_start(struct fake_hmo *f) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    f->samples = f->samples ? f->samples : 12000;
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = bind(f->listen_fd, (struct sockaddr *)&a, sizeof a);
    assert(r == 0 && listen(f->listen_fd, 4) == 0 && getsockname(f->listen_fd, (struct sockaddr *)&a, &n) == 0);
    f->port = ntohs(a.sin_port);
    r = pthread_create(&f->thread, NULL, run, f);
    assert(r == 0);
    (void)r;
}

void fake_hmo_stop(struct fake_hmo *f) {
    atomic_store(&f->quit, true);
    (void)pthread_join(f->thread, NULL);
    (void)close(f->listen_fd);
}
