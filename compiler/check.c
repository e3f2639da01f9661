/* SPDX-License-Identifier: GPL-2.0-or-later
 * The check of a model against a target (compiler/check.h). */
#include "compiler/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct ir_model *m;
    const struct target *t;
    struct check_result *r;
    bool no_memory;
    struct check_violation beyond; /* written, never read: the list is full or memory is short */
};

const char *check_verdict_name(enum check_verdict v) {
    static const char *const names[] = {"legal", "legal with CPU fallback", "illegal", "undecided"};
    return names[v];
}

const char *check_verdict_word(enum check_verdict v) { return v == CHECK_FALLBACK ? "legal-with-cpu-fallback" : check_verdict_name(v); }

static struct check_violation *add(struct run *c, int node, const char *rule, int64_t value, enum target_effect effect, const char *source, const char *change) {
    struct check_result *r = c->r;
    if (r->n_violations >= CHECK_MAX_VIOLATIONS) {
        return &c->beyond;
    }
    if ((r->n_violations & (r->n_violations - 1)) == 0) { /* a power of two: the room is used up */
        struct check_violation *v = realloc(r->violations, (size_t)(r->n_violations ? 2 * r->n_violations : 1) * sizeof *v);
        if (!v) {
            c->no_memory = true;
            return &c->beyond;
        }
        r->violations = v;
    }
    struct check_violation *v = &r->violations[r->n_violations++];
    *v = (struct check_violation){.node = node, .value = value, .effect = effect, .source = source, .change = change};
    (void)snprintf(v->rule, sizeof v->rule, "%s", rule);
    return v;
}

static bool applies(const struct run *c, int node, const struct target_limit *l) {
    for (int i = 0; i < l->n_when; i++) {
        int64_t v = 0;
        if (!l->when[i].quantity->node_value(c->m, node, &v) || !target_range_holds(&l->when[i].range, v)) {
            return false;
        }
    }
    return true;
}

/* Limits of one node; true when one of them sends it to the CPU. */
static bool check_limits(struct run *c, int node, int first, int n) {
    bool cpu = false;
    for (int i = first; i < first + n; i++) {
        const struct target_limit *l = &c->t->limits[i];
        int64_t v = 0;
        if (!applies(c, node, l) || !l->quantity->node_value(c->m, node, &v) || target_range_holds(&l->range, v)) {
            continue;
        }
        struct check_violation *x = add(c, node, l->quantity->name, v, l->effect, l->source, l->change);
        target_range_text(&l->range, x->limit, sizeof x->limit);
        cpu = cpu || l->effect == TARGET_FALLBACK;
    }
    return cpu;
}

static const struct target_group *group_of(const struct target *t, const char *op) {
    const struct target_group *all = NULL;
    for (int g = 0; g < t->n_groups; g++) {
        all = t->groups[g].all ? &t->groups[g] : all;
        for (int i = 0; i < t->groups[g].n_ops; i++) {
            if (strcmp(t->groups[g].ops[i], op) == 0) {
                return &t->groups[g];
            }
        }
    }
    return all;
}

/* A tensor's share of one bank of a memory that deals channels over banks. */
static void check_banks(struct run *c, int node) {
    for (int i = 0; i < c->t->n_memories; i++) {
        const struct target_memory *mem = &c->t->memories[i];
        for (int k = 0; k < 2 && mem->banks; k++) {
            bool weights = k == 0;
            int64_t share = weights ? mem->weights : mem->activations;
            share = share ? quantity_bank_bytes(c->m, node, weights, mem->banks, mem->bank_channels) : 0;
            if (share > mem->bank_bytes) {
                struct check_violation *x = add(c, node, "memory", share, TARGET_ILLEGAL, mem->source, NULL);
                (void)snprintf(x->limit, sizeof x->limit, "%lld bytes in one bank of %.40s", (long long)mem->bank_bytes, mem->name);
            }
        }
    }
}

static void check_node(struct run *c, int node) {
    const char *op = ir_op_name(c->m->nodes[node].op);
    const struct target_group *g = group_of(c->t, op);
    if (!c->t->operators_known) {
        c->r->cpu_nodes += check_limits(c, node, c->t->every.first_limit, c->t->every.n_limits);
        return;
    }
    if (!g || g->on_cpu) {
        enum target_effect effect = g || c->t->fallback ? TARGET_FALLBACK : TARGET_ILLEGAL;
        struct check_violation *x = add(c, node, "operator", 0, effect, g ? g->source : c->t->n_groups ? c->t->groups[0].source : "", NULL);
        (void)snprintf(x->limit, sizeof x->limit, g ? "%.40s is supported in software only" : "%.40s is not among the operators of this target", op);
        c->r->cpu_nodes += effect == TARGET_FALLBACK;
        return;
    }
    c->r->layers += g->layer;
    bool cpu = check_limits(c, node, c->t->every.first_limit, c->t->every.n_limits);
    cpu = check_limits(c, node, g->first_limit, g->n_limits) || cpu;
    c->r->cpu_nodes += cpu;
    if (!cpu) {
        check_banks(c, node);
    }
}

/* ---- memory: weights first go where only weights may lie, the rest shares with the activations ------------------------------ */
static void check_memory(struct run *c) {
    struct check_result *r = c->r;
    int64_t only_weights = 0, shared = 0, sum = 0, largest = 0;
    const char *ws = "", *as = "";
    r->weight_room = r->activation_room = -1;
    for (int i = 0; i < c->t->n_memories; i++) {
        const struct target_memory *m = &c->t->memories[i];
        only_weights += m->weights && !m->activations ? m->bytes : 0;
        shared += m->weights && m->activations ? m->bytes : 0;
        ws = m->weights ? m->source : ws;
        if (m->activations) {
            as = m->source;
            sum += m->bytes;
            largest = m->bytes > largest ? m->bytes : largest;
        }
    }
    if (only_weights + shared > 0) {
        r->weight_room = only_weights + shared;
    }
    if (sum > 0) {
        int64_t spilt = r->weight_bytes > only_weights && shared > 0 ? r->weight_bytes - only_weights : 0;
        int64_t room = (c->t->split_arena ? sum : largest) - spilt;
        r->activation_room = room > 0 ? room : 0;
    }
    if (r->weight_room >= 0 && r->weight_bytes > r->weight_room) {
        struct check_violation *x = add(c, -1, "weight_bytes", r->weight_bytes, TARGET_ILLEGAL, ws, NULL);
        (void)snprintf(x->limit, sizeof x->limit, "at most %lld", (long long)r->weight_room);
    }
    if (r->activation_room >= 0 && r->activation_bytes > r->activation_room) {
        struct check_violation *x = add(c, -1, "activation_bytes", r->activation_bytes, TARGET_ILLEGAL, as, NULL);
        (void)snprintf(x->limit, sizeof x->limit, "at most %lld%s", (long long)r->activation_room, c->t->split_arena ? "" : " in one memory");
    }
}

static void check_whole(struct run *c) {
    for (int i = c->t->first_model_limit; i < c->t->first_model_limit + c->t->n_model_limits; i++) {
        const struct target_limit *l = &c->t->limits[i];
        int64_t v = c->r->layers; /* the quantity without a function of its own */
        if ((l->quantity->model_value && !l->quantity->model_value(c->m, &v)) || target_range_holds(&l->range, v)) {
            continue;
        }
        struct check_violation *x = add(c, -1, l->quantity->name, v, l->effect, l->source, l->change);
        target_range_text(&l->range, x->limit, sizeof x->limit);
    }
}

static enum check_verdict verdict(const struct run *c, bool requantized) {
    bool illegal = false;
    for (int i = 0; i < c->r->n_violations; i++) {
        enum target_effect e = c->r->violations[i].effect;
        illegal = illegal || e == TARGET_ILLEGAL || (e == TARGET_REQUANTIZE && !requantized);
    }
    return illegal ? CHECK_ILLEGAL : !c->t->operators_known ? CHECK_UNDECIDED : c->r->cpu_nodes ? CHECK_FALLBACK : CHECK_LEGAL;
}

int check_model(const struct ir_model *m, const struct target *t, struct check_result *ret_r, struct err *reterr) {
    struct run c = {.m = m, .t = t, .r = ret_r};
    memset(ret_r, 0, sizeof *ret_r);
    ret_r->weight_bytes = quantity_weight_bytes(m);
    ret_r->activation_bytes = quantity_activation_bytes(m);
    for (int i = 0; i < m->n_nodes; i++) {
        check_node(&c, i);
    }
    check_memory(&c);
    check_whole(&c);
    if (c.no_memory || ret_r->activation_bytes < 0 || ret_r->weight_bytes < 0) {
        check_result_done(ret_r);
        return err_set(reterr, JF_E_NOMEM, "no memory for the check");
    }
    ret_r->verdict = verdict(&c, false);
    ret_r->requantized = verdict(&c, true);
    return 0;
}

void check_result_done(struct check_result *r) {
    free(r->violations);
    memset(r, 0, sizeof *r);
}
