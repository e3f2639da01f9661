/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whatever a board sends: splitter, line parser, values and fields keep their bounds, and cutting the stream into other
 * pieces changes nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench/dut_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t hash, lines;
};

static void need(int good) {
    if (!good) {
        abort();
    }
}

static void on_line(void *user, const char *line, size_t len) {
    struct sum *s = user;
    struct dut_line l;
    need(len <= DUT_LINE_MAX && strlen(line) == len);
    char *exact = malloc(len ? len : 1); /* no NUL behind it: a read beyond the end is seen */
    need(exact != NULL);
    memcpy(exact, line, len);
    dut_line_parse(exact, len, &l);
    need(l.kind >= DUT_OTHER && l.kind <= DUT_JF);
    need(l.text >= exact && l.text + l.text_len <= exact + len);
    need(strlen(l.word) < sizeof l.word);
    double values[64];
    int n = dut_values_parse(l.text, l.text_len, values, 64);
    need(n <= 64);
    struct dut_fields f;
    if (dut_fields_parse(l.text, l.text_len, &f) > 0) {
        for (size_t i = 0; i < f.n; i++) {
            uint64_t v = 0;
            need(strlen(f.field[i]) < sizeof f.field[i]);
            if (dut_field_u64(&f, i, &v) == 0) {
                s->hash = s->hash * 31 + v;
            }
        }
    }
    s->hash = s->hash * 31 + (uint64_t)l.kind + len + l.number;
    s->lines++;
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dut_splitter a = {0}, b = {0};
    struct sum sa = {0}, sb = {0};
    dut_splitter_feed(&a, data, size, on_line, &sa);
    for (size_t i = 0; i < size;) {
        size_t n = 1 + data[i] % 7;
        n = n < size - i ? n : size - i;
        dut_splitter_feed(&b, data + i, n, on_line, &sb);
        i += n;
    }
    need(sa.hash == sb.hash && sa.lines == sb.lines && a.n_cut == b.n_cut);
    char cmd[DUT_COMMAND_MAX + 1];
    int n = dut_db_command(data, size, cmd);
    need(n < 0 ? size == 0 || size > DUT_DB_PAYLOAD : strlen(cmd) == (size_t)n && n <= DUT_COMMAND_MAX);
    return 0;
}
