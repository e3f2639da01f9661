/* SPDX-License-Identifier: GPL-2.0-or-later
 * log.txt of the foreign runners, as far as it can contradict the windows: how often the board ran, how many inferences. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/import_inner.h"

struct runs {
    struct import_session *s;
    const char *(*count)(const char *line);
    const char *source;
    int n; /* runs the log tells of */
};

/* The text between what precedes it and stop becomes dst, cut at its size; the last line that says it counts. */
static void fact(const char *line, const char *before, char stop, char *dst, size_t size) {
    const char *p = strstr(line, before);
    if (!p)
        return;
    p += strlen(before);
    const char *end = strchr(p, stop);
    size_t n = end ? (size_t)(end - p) : strlen(p);
    if (n == 0 || n >= size)
        return;
    memcpy(dst, p, n);
    dst[n] = 0;
    for (char *c = dst; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
}

/* `Command "bloadp "C:\\...\\tst_000000_Stop_7.bin""` or `Loading file tst_000000_Stop_7.bin segment 0`: the file's name. */
static void input(const char *line, struct import_facts *f) {
    char text[256] = "";
    if (f->n_inputs == IMPORT_MAX_WINDOWS)
        return;
    if (strstr(line, "parser: Command \"bload"))
        fact(strstr(line, "bload"), " \"", '"', text, sizeof text);
    else if (strstr(line, " segment 0"))
        fact(line, "Loading file ", ' ', text, sizeof text);
    const char *name = text;
    for (const char *p = text; *p; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    if (*name && strlen(name) < sizeof f->inputs[0])
        memcpy(f->inputs[f->n_inputs++], name, strlen(name) + 1);
}

static void read_facts(const char *line, struct import_session *s) {
    struct import_facts *f = &s->facts;
    char text[32] = "";
    input(line, f);
    if (s->format == IMPORT_MLCOMMONS) {
        if (strncmp(line, "Exported by joulefarm", 21) == 0)
            (void)snprintf(f->runner, sizeof f->runner, "joulefarm, MLCommons layout");
        fact(line, "Device name retrieved: ", 0, f->board, sizeof f->board);
        fact(line, "Device model retrieved: ", 0, f->model, sizeof f->model);
        return;
    }
    if (strstr(line, "session: m-exported-by-[joulefarm"))
        (void)snprintf(f->runner, sizeof f->runner, "joulefarm, EEMBC layout");
    fact(line, "m-name-dut-[", ']', f->board, sizeof f->board);
    fact(line, "m-model-[", ']', f->model, sizeof f->model);
    fact(line, "parser: m-version[", ']', text, sizeof text);
    if (text[0])
        (void)snprintf(f->runner, sizeof f->runner, "EEMBC EnergyRunner %s", text);
    if (strstr(line, "trace1-energy.bin]-type[emon]"))
        fact(line, "-name[", ']', f->analyzer, sizeof f->analyzer);
    text[0] = 0;
    fact(line, "emon: m-voltage-mv[", ']', text, sizeof text);
    double mv = strtod(text, NULL);
    if (mv > 0 && mv <= 60e3)
        f->voltage_v = mv / 1e3;
}

static int log_line(void *user, const char *line, int number, struct err *reterr) {
    struct runs *r = user;
    const char *at = r->count(line);
    (void)reterr;
    read_facts(line, r->s);
    if (!at)
        return 0;
    long long count = strtoll(at, NULL, 10);
    if (r->n < r->s->n_windows && count != r->s->windows[r->n].inferences)
        import_differ(r->s, "log.txt line %d: %lld inferences, %s says %lld", number, count, r->source,
                      (long long)r->s->windows[r->n].inferences);
    r->n++;
    return 0;
}

int import_check_log(struct import_source *src, struct import_session *s, const char *(*count)(const char *line), const char *source,
                     const char *noun, struct err *reterr) {
    struct import_file f = {0};
    struct runs r = {.s = s, .count = count, .source = source};
    int rc = import_file_read(src, IMPORT_N_LOG, IMPORT_MAX_TEXT, &f, reterr);
    if (rc < 0)
        return rc;
    rc = import_lines(&f, "log.txt", log_line, &r, reterr);
    import_file_done(&f);
    if (rc == 0 && r.n > 0 && r.n != s->n_windows + s->trailing)
        import_differ(s, "log.txt: %d runs, %s has %d%s", r.n, source, s->n_windows, noun);
    return rc;
}
