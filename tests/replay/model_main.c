/* SPDX-License-Identifier: MIT
 * Runs an emitted model on seeds 1 to 3 and prints, per seed, the CRC-32 of all node outputs and of the last (tests/replay/test_emitted.py).
 * For the host, and bare for Arm's MPS2 images under qemu (-DBARE): vectors, start-up and semihosting output are here. */
#include <stdint.h>

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

static void put_line(const char *s);
static uint32_t ticks(void);

static void run_all(void) {
    char line[64];
    for (uint32_t seed = 1; seed <= 3; seed++) {
        struct crcs c = {0, 0, 0};
        const struct jfm_hook hook = {after, &c};
        jfm_lcg_fill(MODEL.input, MODEL.in_n, seed);
        MODEL.run(&hook);
        jfm_lcg_fill(MODEL.input, MODEL.in_n, seed);
        uint32_t began = ticks();
        MODEL.run(0);
        uint32_t took = began - ticks(); /* counts down */
        char *p = put_hex(put_hex(line, c.all), jfm_crc32(0, MODEL.output, MODEL.out_n));
        p = put_hex(p, c.nodes == MODEL.n_nodes && c.last == jfm_crc32(0, MODEL.output, MODEL.out_n));
        p = put_hex(p, took & 0xFFFFFFu);
        p[-1] = '\n';
        *p = '\0';
        put_line(line);
    }
    uint32_t crc;
    put_line(jfm_self_test(&MODEL, &crc) && crc == MODEL.golden_output_crc32 ? "self-test good\n" : "self-test bad\n");
}

#ifdef BARE
extern uint32_t image_stack_top, image_data_load, image_data_start, image_data_end, image_bss_start, image_bss_end;
void start(void);
void trap(void);

static int semihost(int op, const void *arg) {
    register int r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void put_line(const char *s) { (void)semihost(4, s); }

/* SysTick: 24 bits down, on the core clock. */
static uint32_t ticks(void) { return *(volatile uint32_t *)0xE000E018; }

static void leave(uint32_t reason) {
    (void)semihost(0x18, (const void *)(uintptr_t)reason);
    for (;;) {
    }
}

void trap(void) {
    put_line("trap\n");
    leave(0x20024); /* internal error */
}

void start(void) {
    const uint32_t *from = &image_data_load;
    for (uint32_t *p = &image_data_start; p < &image_data_end; p++) {
        *p = *from++;
    }
    for (uint32_t *p = &image_bss_start; p < &image_bss_end; p++) {
        *p = 0;
    }
    *(volatile uint32_t *)0xE000E014 = 0xFFFFFF;
    *(volatile uint32_t *)0xE000E018 = 0;
    *(volatile uint32_t *)0xE000E010 = 5;
    run_all();
    leave(0x20026); /* application exit */
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &image_stack_top, (void *)start, (void *)trap, (void *)trap, (void *)trap, (void *)trap, (void *)trap, (void *)trap,
    (void *)trap,     (void *)trap,  (void *)trap, (void *)trap, (void *)trap, (void *)trap, (void *)trap, (void *)trap};
#else
#include <stdio.h>

static void put_line(const char *s) { (void)fputs(s, stdout); }
static uint32_t ticks(void) { return 0; }
int main(void) {
    run_all();
    return 0;
}
#endif
