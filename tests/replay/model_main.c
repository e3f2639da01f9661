/* SPDX-License-Identifier: MIT
 * Runs an emitted model on seeds 1 to 3 and prints, per seed, the CRC-32 of all node outputs and of the last (tests/replay/test_emitted.py).
 * For the host; boards have firmware/boards/qemu/selftest.c. */
#include <stdint.h>
#include <stdio.h>

#include "firmware/runtime/jf_model.h"

extern const struct jfm_model MODEL;

struct crcs {
    uint32_t all, last;
    int32_t nodes;
};

static void after(void *ctx, int32_t node, const int8_t *output, int32_t n) {
    struct crcs *c = ctx;
    c->nodes += node == c->nodes;
    c->all = jfm_crc32(c->all, output, n);
    c->last = jfm_crc32(0, output, n);
}

static char *put_hex(char *p, uint32_t v) {
    for (int i = 28; i >= 0; i -= 4) {
        *p++ = "0123456789abcdef"[v >> i & 15];
    }
    *p++ = ' ';
    return p;
}

static void run_all(void) {
    char line[64];
    for (uint32_t seed = 1; seed <= 3; seed++) {
        struct crcs c = {0, 0, 0};
        const struct jfm_hook hook = {after, &c};
        jfm_lcg_fill(MODEL.input, MODEL.in_n, seed);
        MODEL.run(&hook);
        jfm_lcg_fill(MODEL.input, MODEL.in_n, seed);
        MODEL.run(0);
        char *p = put_hex(put_hex(line, c.all), jfm_crc32(0, MODEL.output, MODEL.out_n));
        p = put_hex(p, c.nodes == MODEL.n_nodes && c.last == jfm_crc32(0, MODEL.output, MODEL.out_n));
        p[-1] = '\n';
        *p = '\0';
        (void)fputs(line, stdout);
    }
    uint32_t crc;
    (void)fputs(jfm_self_test(&MODEL, &crc) && crc == MODEL.golden_output_crc32 ? "self-test good\n" : "self-test bad\n", stdout);
}

int main(void) {
    run_all();
    return 0;
}
