/* SPDX-License-Identifier: GPL-2.0-or-later
 * Any bytes as an instrument's answer: line, number, state, header, identity, connection string, block. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/power/sigrok/scpi_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t len = 0, drop = 0, begin = 0;
    uint64_t block = 0;
    double v = 0;
    int r = scpi_block(data, size, 1u << 20, &begin, &block);
    check(r <= 1 && (r != 1 || (begin <= size && block <= (1u << 20))));
    if (scpi_number((const char *)data, size, &v) == 0) {
        check(isfinite(v));
    }
    r = scpi_line((const char *)data, size, &len, &drop, NULL);
    check(r <= 1 && (r != 1 || (len < drop && drop <= size && drop <= SCPI_LINE_MAX)));
    if (r == 1) {
        struct scpi_header h;
        struct scpi_idn idn;
        struct scpi_conn conn;
        struct scpi_timebase t;
        enum scpi_state state;
        char *text = malloc(len + 1); /* the exact size, so that a sanitizer sees an overread */
        check(text != NULL);
        memcpy(text, data, len);
        text[len] = '\0';
        (void)scpi_state(text, &state);
        if (scpi_header(text, &h) == 0) {
            check(h.to_s > h.from_s && h.count >= 2);
            (void)scpi_timebase(h.to_s - h.from_s, &t);
        }
        if (scpi_idn(text, &idn) == 0) {
            check(strlen(idn.firmware) < sizeof idn.firmware && strlen(idn.maker) > 0);
        }
        (void)scpi_conn(text, &conn, NULL);
        free(text);
    }
    return 0;
}
