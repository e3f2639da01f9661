/* SPDX-License-Identifier: MIT
 * See jf_net_model.h. Compiled once per model with -DJF_NET_MODEL=jfm_<id>, the name jf-model gives to what it emits, and with the sizes of its input and
 * output in JF_NET_IN_N and JF_NET_OUT_N. */
#include "firmware/boards/common/jf_net_model.h"

#include <stddef.h>

#include "firmware/harness/jf_net.h"
#include "firmware/runtime/jf_model.h"

extern const struct jfm_model JF_NET_MODEL;

_Static_assert(JF_NET_IN_N <= JF_NET_INPUT_MAX, "input of the model larger than the harness holds");
_Static_assert(JF_NET_OUT_N <= JF_NET_OUTPUT_MAX, "output of the model larger than the harness holds");

/* The arena is static and the tables are constant: nothing is left to set up. */
static void init(const void *ctx) {
    (void)ctx;
}

static void golden(const void *ctx, int8_t *ret_input) {
    const struct jfm_model *m = ctx;
    jfm_lcg_fill(ret_input, m->in_n, m->golden_seed);
}

static void infer(const void *ctx) {
    const struct jfm_model *m = ctx;
    m->run(NULL);
}

struct listener {
    void (*after)(void *user, int32_t layer, const int8_t *output, int32_t n);
    void *user;
    int32_t layers;
};

/* A node with several outputs calls several times: layers count outputs. */
static void tell(void *ctx, int32_t node, const int8_t *output, int32_t n) {
    struct listener *l = ctx;
    (void)node;
    l->after(l->user, l->layers++, output, n);
}

static void layers(const void *ctx, void (*after)(void *user, int32_t layer, const int8_t *output, int32_t n), void *user) {
    const struct jfm_model *m = ctx;
    struct listener l = {after, user, 0};
    const struct jfm_hook hook = {tell, &l};
    m->run(&hook);
}

void jf_net_model(struct jf_net *ret_net) {
    const struct jfm_model *m = &JF_NET_MODEL;
    *ret_net = (struct jf_net){.id = m->id,
                               .sha256 = m->source_sha256,
                               .numerics = m->numerics,
                               .in = {m->in_n, (double)m->in_scale, m->in_zp},
                               .out = {m->out_n, (double)m->out_scale, m->out_zp},
                               .input = m->input,
                               .output = m->output,
                               .golden_crc = m->golden_output_crc32,
                               .ctx = m,
                               .init = init,
                               .golden = golden,
                               .infer = infer,
                               .layers = layers};
}
