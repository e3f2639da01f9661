/* SPDX-License-Identifier: MIT
 * The model in this image, run on the reference inputs 1 to 3. Prints, by semihosting:
 *   node <index> <CRC-32 of its output> <instructions>     input 1; one line an output
 *   seed <n> <CRC-32 of all node outputs> <of the last>
 *   run <instructions> <arena bytes>                       a whole inference without hooks
 *   self-test good|bad                                     the embedded one
 * and ends the simulator. See tests/replay/test_emitted.py and tests/bench/bench_kernels.py. */
#include "firmware/boards/qemu/selftest.h"

#include "firmware/runtime/jf_model.h"

extern const struct jfm_model JF_NET_MODEL;

struct state {
    uint32_t all, last, mark;
    int print;
};

static char *put_text(char *p, const char *s) {
    while (*s) {
        *p++ = *s++;
    }
    *p = '\0';
    return p;
}

static char *put_hex(char *p, uint32_t v) {
    for (int i = 28; i >= 0; i -= 4) {
        *p++ = "0123456789abcdef"[v >> i & 15u];
    }
    return put_text(p, " ");
}

static char *put_number(char *p, uint32_t v) {
    char digits[12];
    int n = 0;
    do {
        digits[n++] = (char)('0' + v % 10u);
        v /= 10u;
    } while (v);
    while (n > 0) {
        *p++ = digits[--n];
    }
    return put_text(p, " ");
}

static void after(void *ctx, int32_t node, const int8_t *output, int32_t n) {
    struct state *s = ctx;
    uint32_t took = (machine_count() - s->mark) & machine_count_mask;
    char line[64], *p = line;
    s->all = jfm_crc32(s->all, output, n);
    s->last = jfm_crc32(0, output, n);
    if (s->print) {
        p = put_text(p, "node ");
        p = put_hex(put_number(p, (uint32_t)node), s->last);
        (void)put_text(put_number(p, took), "\n");
        machine_put(line);
    }
    s->mark = machine_count();
}

void selftest_main(void) {
    const struct jfm_model *m = &JF_NET_MODEL;
    char line[64], *p;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        struct state s = {0, 0, 0, seed == 1};
        const struct jfm_hook hook = {after, &s};
        jfm_lcg_fill(m->input, m->in_n, seed);
        s.mark = machine_count();
        m->run(&hook);
        p = put_number(put_text(line, "seed "), seed);
        (void)put_text(put_hex(put_hex(p, s.all), s.last), "\n");
        machine_put(line);
    }
    jfm_lcg_fill(m->input, m->in_n, 1);
    uint32_t began = machine_count();
    m->run(0);
    uint32_t took = (machine_count() - began) & machine_count_mask;
    p = put_number(put_text(line, "run "), took);
    (void)put_text(put_number(p, m->arena_bytes), "\n");
    machine_put(line);
    uint32_t crc;
    int good = jfm_self_test(m, &crc);
    machine_put(good ? "self-test good\n" : "self-test bad\n");
    machine_exit(!good);
}
