/* SPDX-License-Identifier: GPL-2.0-or-later
 * The device's side of the conversation as pure functions: bytes to lines, lines to meaning, commands to bytes.
 * Language: the MLPerf Tiny device protocol (commands end with '%', replies are lines, "m-ready" ends every reply,
 * "e-[...]" is an error), plus the opt-in m-jf-* reports. Knows no port and no clock. Any thread. */
#ifndef BENCH_DUT_PROTO_H
#define BENCH_DUT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DUT_LINE_MAX 1024 /* bytes of one line; what follows is cut off and the line is marked */
#define DUT_DB_PAYLOAD 31 /* input bytes of one `db` command: with "db " and '%' it fits the device's 80 characters */
#define DUT_COMMAND_MAX 80
#define DUT_FIELDS_MAX 16

enum dut_line_kind {
    DUT_OTHER,        /* anything else: kept in the log */
    DUT_READY,        /* m-ready */
    DUT_ERROR,        /* e-[text] or e-?text */
    DUT_INIT_DONE,    /* m-init-done */
    DUT_MODE,         /* m-timestamp-mode-<text> */
    DUT_LAP_US,       /* m-lap-us-<number> */
    DUT_NAME,         /* m-name-dut-[text] */
    DUT_PROFILE,      /* m-profile-[text] */
    DUT_MODEL,        /* m-model-[text] */
    DUT_EXPECTING,    /* m-[Expecting <number> bytes] */
    DUT_LOAD_DONE,    /* m-load-done */
    DUT_WARMUP_START, /* m-warmup-start-<number> */
    DUT_WARMUP_DONE,
    DUT_INFER_START, /* m-infer-start-<number> */
    DUT_INFER_DONE,
    DUT_RESULTS, /* m-results-[text] */
    DUT_JF       /* m-jf-<word>-[text] */
};

struct dut_line {
    enum dut_line_kind kind;
    bool from_interface; /* the line came through an interface board: "[dut]: " was taken off */
    uint64_t number;     /* where the kind has one */
    char word[24];       /* DUT_JF */
    const char *text;    /* borrowed from the line, without brackets */
    size_t text_len;
};

/* Never fails: what is not understood is DUT_OTHER. line needs no NUL and holds no CR or LF. */
void dut_line_parse(const char *line, size_t len, struct dut_line *ret_line);

/* "0.000,0.996" -> values; the number of values, or JF_E_PARSE (empty field, no number, more than max). */
int dut_values_parse(const char *text, size_t len, double *ret_values, size_t max) JF_MUST_CHECK;

/* One comma-separated field list of an m-jf report. */
struct dut_fields {
    size_t n;
    char field[DUT_FIELDS_MAX][72];
};
int dut_fields_parse(const char *text, size_t len, struct dut_fields *ret_f) JF_MUST_CHECK;
/* The whole field as an unsigned number, decimal or with 0x: JF_E_PARSE. */
int dut_field_u64(const struct dut_fields *f, size_t i, uint64_t *ret_v) JF_MUST_CHECK;

/* Bytes to lines. Bounded; CR is dropped, NUL and other control bytes become '?'. */
struct dut_splitter {
    char line[DUT_LINE_MAX + 1];
    size_t len;
    bool cut;
    uint64_t n_cut; /* lines that were too long */
};
typedef void dut_line_fn(void *user, const char *line, size_t len);
void dut_splitter_feed(struct dut_splitter *s, const void *src, size_t n, dut_line_fn *fn, void *user);

/* "db 00ff..%": the command for up to DUT_DB_PAYLOAD bytes; its length, or JF_E_INVAL. */
int dut_db_command(const uint8_t *src, size_t n, char ret_cmd[DUT_COMMAND_MAX + 1]) JF_MUST_CHECK;

#endif
