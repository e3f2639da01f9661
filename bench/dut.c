/* SPDX-License-Identifier: GPL-2.0-or-later
 * State of the conversation with the board (bench/dut.h). Formats: bench/dut_proto.h, firmware/include/jf_device.h. */
#include "bench/dut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_MS 1000

void dut_init(struct dut *ret_d, const struct clock_src *clock, bool via_interface,
              void (*log)(void *user, const char *line), void *user) {
    memset(ret_d, 0, sizeof *ret_d);
    ret_d->clock = clock;
    ret_d->via_interface = via_interface;
    ret_d->log = log;
    ret_d->user = user;
}

int dut_open(struct dut *d, const char *path, int baud, const char *backend, struct err *reterr) {
    return serial_open(path, baud, backend, &d->port, reterr);
}

void dut_close(struct dut *d) {
    serial_close(d->port);
    d->port = NULL;
}

int dut_fd(const struct dut *d) { return d->port ? serial_poll_fd(d->port) : -1; }

void dut_forget(struct dut *d) {
    if (d->port) {
        (void)serial_drain(d->port);
    }
    memset(&d->split, 0, sizeof d->split);
    memset(&d->about, 0, sizeof d->about);
    memset(&d->infer, 0, sizeof d->infer);
    d->reply_open = d->load_done = d->error = false;
    d->n_ready = d->n_boots = d->n_lines = d->n_printable = 0;
    d->error_text[0] = '\0';
}

static void copy_text(char *dst, size_t size, const char *src, size_t n) {
    if (n >= size) {
        n = size - 1;
    }
    memcpy(dst, src, n);
    dst[n] = '\0';
}

static void copy_field(char *dst, size_t size, const struct dut_fields *f, size_t i) {
    if (i < f->n) {
        copy_text(dst, size, f->field[i], strlen(f->field[i]));
    }
}

/* <hex8>: eight hexadecimal digits without prefix. */
static bool hex8(const struct dut_fields *f, size_t i, uint32_t *ret_v) {
    if (i >= f->n || strlen(f->field[i]) != 8 || strspn(f->field[i], "0123456789abcdefABCDEF") != 8) {
        return false;
    }
    *ret_v = (uint32_t)strtoul(f->field[i], NULL, 16);
    return true;
}

static uint64_t field_or_0(const struct dut_fields *f, size_t i) {
    uint64_t v;
    return dut_field_u64(f, i, &v) == 0 ? v : 0;
}

static void jf_build(struct dut_about *a, const struct dut_fields *f) {
    copy_field(a->build_id, sizeof a->build_id, f, 0);
    copy_field(a->build_model, sizeof a->build_model, f, 1);
    copy_field(a->model_sha256, sizeof a->model_sha256, f, 2);
    copy_field(a->numerics, sizeof a->numerics, f, 3);
    a->core_hz = (double)field_or_0(f, 4);
    copy_field(a->idle, sizeof a->idle, f, 5);
}

static void jf_state(struct dut_about *a, const char *word, const struct dut_fields *f) {
    uint64_t v, hz;
    if (strcmp(word, "") == 0) {
        a->jf = field_or_0(f, 0) >= 1;
    } else if (strcmp(word, "build") == 0) {
        jf_build(a, f);
    } else if (strcmp(word, "reset") == 0 && f->n >= 2) {
        copy_field(a->reset_cause, sizeof a->reset_cause, f, 0);
        a->reset_flags = (uint32_t)field_or_0(f, 1);
        a->reset_reported = true;
    } else if (strcmp(word, "debug") == 0 && dut_field_u64(f, 0, &v) == 0 && f->n >= 2) {
        a->c_debugen = v != 0;
        a->dbgmcu_cr = (uint32_t)field_or_0(f, 1);
        a->debug_reported = true;
    } else if (strcmp(word, "golden") == 0 && hex8(f, 0, &a->golden_crc)) {
        a->golden_ok = field_or_0(f, 1) == 1;
        a->golden_reported = true;
    } else if (strcmp(word, "init") == 0 && dut_field_u64(f, 1, &v) == 0 && dut_field_u64(f, 2, &hz) == 0 && hz > 0) {
        copy_field(a->init_when, sizeof a->init_when, f, 0);
        a->init_s = (double)v / (double)hz;
        a->init_reported = true;
    } else if (strcmp(word, "markers") == 0) {
        copy_field(a->scheme, sizeof a->scheme, f, 0);
        a->hold_s = (double)field_or_0(f, 1) * 1e-6;
    } else if (strcmp(word, "idle") == 0) {
        copy_field(a->idle, sizeof a->idle, f, 0);
    }
}

static void jf_infer(struct dut_infer *i, const char *word, const struct dut_fields *f) {
    if (strcmp(word, "window") == 0) {
        i->window_reported = dut_field_u64(f, 0, &i->window_no) == 0 && dut_field_u64(f, 1, &i->window_n) == 0 &&
                             dut_field_u64(f, 2, &i->ticks) == 0 && dut_field_u64(f, 3, &i->hz) == 0 && i->hz > 0;
    } else if (strcmp(word, "input") == 0) {
        i->input_reported = hex8(f, 0, &i->input_crc);
    } else if (strcmp(word, "output") == 0) {
        i->output_reported = hex8(f, 0, &i->output_crc);
    }
}

static void on_text(struct dut *d, const struct dut_line *l) {
    struct dut_about *a = &d->about;
    switch (l->kind) {
    case DUT_NAME:
        copy_text(a->name, sizeof a->name, l->text, l->text_len);
        break;
    case DUT_PROFILE:
        copy_text(a->profile, sizeof a->profile, l->text, l->text_len);
        break;
    case DUT_MODEL:
        copy_text(a->model, sizeof a->model, l->text, l->text_len);
        break;
    case DUT_INIT_DONE: /* once a boot; the line before it may have run into the cut-off last words of the old firmware
                         */
        d->n_boots++;
        break;
    case DUT_MODE:
        copy_text(a->mode, sizeof a->mode, l->text, l->text_len);
        break;
    case DUT_ERROR:
        if (!d->error) {
            copy_text(d->error_text, sizeof d->error_text, l->text, l->text_len);
        }
        d->error = true;
        break;
    case DUT_RESULTS:
        d->infer.n_results = dut_values_parse(l->text, l->text_len, d->infer.results, DUT_RESULTS_MAX);
        if (d->infer.n_results < 0) {
            d->infer.n_results = -1;
        }
        break;
    default:
        break;
    }
}

static void on_line(void *user, const char *line, size_t len) {
    struct dut *d = user;
    struct dut_line l;
    dut_line_parse(line, len, &l);
    int64_t now = clock_raw_ns(d->clock);
    if (d->log) {
        d->log(d->user, line);
    }
    if (d->via_interface && !l.from_interface) {
        return; /* the interface board's own words: two m-ready would otherwise be seen per command */
    }
    d->n_lines += l.kind != DUT_OTHER;
    on_text(d, &l);
    struct dut_fields f;
    switch (l.kind) {
    case DUT_READY:
        d->n_ready++;
        d->reply_open = false;
        d->infer.ready_ns = now;
        break;
    case DUT_LOAD_DONE:
        d->load_done = true;
        break;
    case DUT_INFER_START:
        d->infer.start_ns = now;
        d->infer.n_reported = l.number;
        break;
    case DUT_INFER_DONE:
        d->infer.done_ns = now;
        break;
    case DUT_LAP_US:
        if (d->infer.n_laps < 2) {
            d->infer.lap_us[d->infer.n_laps++] = (double)l.number;
        }
        break;
    case DUT_JF:
        if (dut_fields_parse(l.text, l.text_len, &f) > 0) {
            jf_state(&d->about, l.word, &f);
            jf_infer(&d->infer, l.word, &f);
        }
        break;
    default:
        break;
    }
}

void dut_feed(struct dut *d, const void *src, size_t n) {
    const unsigned char *p = src;
    for (size_t i = 0; i < n; i++) {
        d->n_printable += p[i] >= 0x20 && p[i] < 0x7f;
    }
    if (n > 0) {
        d->last_byte_ns = clock_raw_ns(d->clock);
    }
    dut_splitter_feed(&d->split, src, n, on_line, d);
}

int dut_read(struct dut *d, struct err *reterr) {
    char block[512];
    for (int i = 0; i < 32 && d->port; i++) { /* bounded: a babbling board must not hold the loop */
        int n = serial_read(d->port, block, sizeof block, reterr);
        if (n <= 0) {
            return n;
        }
        dut_feed(d, block, (size_t)n);
    }
    return 0;
}

int dut_send(struct dut *d, const char *text, struct err *reterr) {
    if (d->reply_open) {
        return err_set(reterr, JF_E_CONFLICT, "the board has not finished its last reply");
    }
    char out[DUT_COMMAND_MAX + 16];
    int n = snprintf(out, sizeof out, "%s%s", d->via_interface ? "dut " : "", text);
    if (n < 0 || (size_t)n >= sizeof out || (size_t)n > DUT_COMMAND_MAX + 4) {
        return err_set(reterr, JF_E_BUG, "a command of %d characters", n);
    }
    d->error = false;
    d->error_text[0] = '\0';
    d->load_done = false;
    d->reply_open = true;
    if (strncmp(text, "infer ", 6) == 0) {
        memset(&d->infer, 0, sizeof d->infer);
    }
    if (d->log) {
        char line[DUT_COMMAND_MAX + 32];
        (void)snprintf(line, sizeof line, "> %s", out);
        d->log(d->user, line);
    }
    d->infer.sent_ns = d->last_byte_ns = clock_raw_ns(d->clock);
    return serial_write(d->port, out, (size_t)n, WRITE_MS, reterr);
}
