/* SPDX-License-Identifier: GPL-2.0-or-later
 * The arena's layout: which tensors share memory and where each lies. RESHAPE aliases its input; ADD writes over an input that
 * dies there; the rest is placed, in some order, at the lowest place that no tensor alive at the same time covers. The order decides how
 * much is wasted: largest first, then a bounded, deterministic search by exchanging pairs, which stops at the lower bound. */
#include <stdlib.h>

#include "compiler/lower.h"

#define ALIGN 4
#define PLAN_TRIES 4000
#define PLAN_SEARCHED 128 /* pieces; beyond, largest first must do */

struct slot { /* one piece of memory: a tensor and those aliased to it */
    int tensor, from, to; /* alive during nodes [from, to] */
    int32_t bytes, offset;
};

static int32_t aligned(int32_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static int root_of(const int *alias, int t) { return alias[t] >= 0 ? alias[t] : t; }

/* alias[t]: the root tensor whose memory t shares, -1: its own. group_last[root]: when the last tensor that shares it dies. An
 * ADD may write over an input only when nothing else that shares the input's memory is read later. */
static void share(const struct ir_model *m, int *alias, int *group_last) {
    for (int t = 0; t < m->n_tensors; t++) {
        alias[t] = -1;
        group_last[t] = m->tensors[t].last_use;
    }
    for (int i = 0; i < m->n_nodes; i++) {
        const struct ir_node *n = &m->nodes[i];
        int root = n->op == IR_RESHAPE ? root_of(alias, n->inputs[0]) : -1;
        for (int k = 0; n->op == IR_ADD && root < 0 && k < 2; k++) {
            int r = root_of(alias, n->inputs[k]);
            root = group_last[r] == i ? r : -1;
        }
        if (root >= 0) {
            int last = m->tensors[n->output].last_use;
            alias[n->output] = root;
            group_last[root] = last > group_last[root] ? last : group_last[root];
        }
    }
}

static bool overlap(const struct slot *a, const struct slot *b) { return a->from <= b->to && b->from <= a->to; }

static int by_size(const void *pa, const void *pb) {
    const struct slot *a = pa, *b = pb;
    return a->bytes != b->bytes ? (a->bytes < b->bytes ? 1 : -1) : a->tensor - b->tensor;
}

/* The lowest offset where s fits beside the placed slots[0..n). */
static int32_t place(const struct slot *slots, int n, const struct slot *s) {
    int32_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const struct slot *o = &slots[i];
            if (overlap(s, o) && at < o->offset + o->bytes && o->offset < at + s->bytes) {
                at = o->offset + o->bytes;
                moved = true;
            }
        }
    }
    return at;
}

static int32_t bound_of(const struct slot *slots, int n, int n_nodes) {
    int64_t most = 0;
    for (int i = 0; i < n_nodes; i++) {
        int64_t sum = 0;
        for (int k = 0; k < n; k++) {
            sum += slots[k].from <= i && i <= slots[k].to ? slots[k].bytes : 0;
        }
        most = sum > most ? sum : most;
    }
    return most > PROGRAM_MAX_ARENA ? PROGRAM_MAX_ARENA : (int32_t)most;
}

/* Places all slots in their present order; the arena's end. */
static int64_t place_all(struct slot *slots, int n) {
    int64_t end = 0;
    for (int i = 0; i < n; i++) {
        slots[i].offset = place(slots, i, &slots[i]);
        int64_t e = (int64_t)slots[i].offset + slots[i].bytes;
        end = e > end ? e : end;
        if (end > 2 * (int64_t)PROGRAM_MAX_ARENA) {
            break;
        }
    }
    return end;
}

static void exchange(struct slot *slots, int a, int b) {
    struct slot t = slots[a];
    slots[a] = slots[b];
    slots[b] = t;
}

static int64_t search(struct slot *slots, int n, int32_t bound) {
    qsort(slots, (size_t)n, sizeof *slots, by_size);
    int64_t best = place_all(slots, n);
    uint32_t x = 1;
    for (int i = 0; i < PLAN_TRIES && best > bound && n > 1 && n <= PLAN_SEARCHED; i++) {
        x = x * 1664525u + 1013904223u;
        int a = (int)((x >> 8) % (uint32_t)n), b = (int)((x >> 20) % (uint32_t)n);
        exchange(slots, a, b);
        int64_t end = place_all(slots, n);
        if (end > best) {
            exchange(slots, a, b);
        } else {
            best = end;
        }
    }
    return place_all(slots, n);
}

static int collect(const struct program *p, const int *alias, int *slot_of, struct slot *slots) {
    const struct ir_model *m = p->model;
    int n = 0;
    for (int t = 0; t < m->n_tensors; t++) {
        const struct ir_tensor *x = &m->tensors[t];
        bool active = (t == m->input || x->producer >= 0) && x->last_use >= -1 && !x->data;
        slot_of[t] = -1;
        if (active && alias[t] < 0) {
            int from = x->producer < 0 ? 0 : x->producer, to = x->last_use < from ? from : x->last_use;
            slot_of[t] = n;
            slots[n++] = (struct slot){t, from, to, aligned(x->elements), 0};
        }
    }
    for (int t = 0; t < m->n_tensors; t++) {
        if (alias[t] >= 0) {
            struct slot *s = &slots[slot_of[root_of(alias, t)]];
            int last = m->tensors[t].last_use;
            s->to = last > s->to ? last : s->to;
        }
    }
    return n;
}

int program_plan(struct program *p) {
    const struct ir_model *m = p->model;
    size_t n_t = (size_t)m->n_tensors;
    int *alias = calloc(n_t, sizeof *alias), *slot_of = calloc(n_t, sizeof *slot_of);
    int *group_last = calloc(n_t, sizeof *group_last);
    struct slot *slots = calloc(n_t, sizeof *slots);
    int r = alias && slot_of && group_last && slots ? 0 : JF_E_NOMEM;
    if (r == 0) {
        share(m, alias, group_last);
        int n = collect(p, alias, slot_of, slots);
        p->lower_bound_bytes = bound_of(slots, n, m->n_nodes);
        int64_t end = search(slots, n, p->lower_bound_bytes);
        for (int i = 0; i < n; i++) {
            slot_of[slots[i].tensor] = i;
        }
        r = end > PROGRAM_MAX_ARENA ? JF_E_TOO_LARGE : 0;
        p->arena_bytes = (int32_t)end;
        for (int t = 0; t < m->n_tensors && r == 0; t++) {
            int s = slot_of[root_of(alias, t)];
            p->offset[t] = s >= 0 ? slots[s].offset : -1;
        }
    }
    free(alias);
    free(slot_of);
    free(group_last);
    free(slots);
    return r;
}
