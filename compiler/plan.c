/* SPDX-License-Identifier: GPL-2.0-or-later
 * The arena's layout: which tensors share memory and where each lies. RESHAPE's output is its input's memory. Any other output may begin
 * inside an operand that dies there, as far before it as the kernel asks (lowered_node.overlap; 0: in place). Tensors are placed one after
 * another, each at the lowest place that is free of those alive at the same time. The order decides how much is wasted: by size, by time in both
 * directions, by the best layout of neighbours in time, then a bounded, deterministic search by exchanging pairs from the best of these, which
 * stops at the lower bound. The bound: what one node needs, and what the neighbours in time need, each pair of which is alive together; for a chain
 * that layout is the best there is. */
#include <stdlib.h>
#include <string.h>

#include "compiler/lower.h"

#define ALIGN 4
#define PLAN_TRIES 20000
#define PLAN_WORK 40000000 /* of the search: tries times pieces squared */

struct slot { /* one piece of memory: a tensor and those aliased to it */
    int tensor, from, to; /* alive during nodes [from, to] */
    int32_t bytes, offset;
    int donor[IR_MAX_INPUTS], n_donors; /* root tensors that die where this one is made */
    int32_t distance[IR_MAX_INPUTS]; /* this may begin so far or farther before its donor */
    bool higher; /* than its predecessor in time, in the best layout of neighbours */
    int64_t wish; /* its place there */
};

struct plan {
    struct slot *slots; /* in the order of placing */
    int n;
};

static int32_t aligned(int32_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

/* alias[t]: the root tensor whose memory t is, t itself when its own. */
static void find_roots(const struct program *p, int *alias) {
    for (int t = 0; t < p->model->n_tensors; t++) {
        alias[t] = t;
    }
    for (int i = 0; i < p->n_nodes; i++) {
        const struct lowered_node *l = &p->nodes[i];
        if (l->kernel == KERNEL_NONE && !p->model->tensors[l->in[0]].data) {
            alias[l->out[0]] = alias[l->in[0]];
        }
    }
}

/* Bytes by which s must begin before o, when s is made where o dies; negative: they may not share. */
static int32_t distance_to(const struct slot *s, const struct slot *o) {
    for (int k = 0; k < s->n_donors; k++) {
        if (s->donor[k] == o->tensor) {
            return s->distance[k];
        }
    }
    return -1;
}

/* Where s may not begin because of the placed o: the open interval (*lo, *hi). False: anywhere. */
static bool forbidden(const struct slot *s, const struct slot *o, int64_t *lo, int64_t *hi) {
    if (s->from > o->to || o->from > s->to) {
        return false;
    }
    *lo = (int64_t)o->offset - s->bytes;
    *hi = (int64_t)o->offset + o->bytes;
    int32_t into = distance_to(s, o), from = distance_to(o, s);
    if (into >= 0 && into < s->bytes) {
        *lo = (int64_t)o->offset - into;
    }
    if (from >= 0 && from < o->bytes) {
        *hi = (int64_t)o->offset + from;
    }
    return true;
}

/* The lowest offset where s fits beside the placed slots[0..n). */
static int64_t place(const struct slot *slots, int n, const struct slot *s) {
    int64_t at = 0, lo, hi;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            if (forbidden(s, &slots[i], &lo, &hi) && lo < at && at < hi) {
                at = hi;
                moved = true;
            }
        }
    }
    return at;
}

/* Places all slots in their order; the arena's end. */
static int64_t place_all(struct plan *p) {
    int64_t end = 0;
    for (int i = 0; i < p->n; i++) {
        int64_t at = place(p->slots, i, &p->slots[i]);
        if (at > PROGRAM_MAX_ARENA) {
            return (int64_t)PROGRAM_MAX_ARENA + 1;
        }
        p->slots[i].offset = (int32_t)at;
        end = at + p->slots[i].bytes > end ? at + p->slots[i].bytes : end;
    }
    return end;
}

/* What must be there at node i at least: all that is alive, less what an output can share with its donors: not more than itself. */
static int64_t need_at(const struct plan *p, int i) {
    int64_t sum = 0, saved = 0;
    for (int a = 0; a < p->n; a++) {
        const struct slot *s = &p->slots[a];
        if (s->from > i || i > s->to) {
            continue;
        }
        sum += s->bytes;
        int64_t gain = 0;
        for (int b = 0; s->from == i && b < p->n; b++) {
            const struct slot *o = &p->slots[b];
            int32_t d = distance_to(s, o);
            if (d >= 0 && d < s->bytes) {
                int64_t together = (int64_t)o->bytes + d > s->bytes ? (int64_t)o->bytes + d : s->bytes;
                gain += (int64_t)s->bytes + o->bytes - together;
            }
        }
        saved += gain < s->bytes ? gain : s->bytes;
    }
    return sum - saved;
}

static int32_t bound_of(const struct plan *p, int n_nodes) {
    int64_t most = 0;
    for (int i = 0; i < n_nodes; i++) {
        int64_t need = need_at(p, i);
        most = need > most ? need : most;
    }
    return most > PROGRAM_MAX_ARENA ? PROGRAM_MAX_ARENA : (int32_t)most;
}

static int by_size(const void *pa, const void *pb) {
    const struct slot *a = pa, *b = pb;
    return a->bytes != b->bytes ? (a->bytes < b->bytes ? 1 : -1) : a->tensor - b->tensor;
}
static int by_time(const void *pa, const void *pb) {
    const struct slot *a = pa, *b = pb;
    return a->from != b->from ? a->from - b->from : a->to != b->to ? a->to - b->to : by_size(pa, pb);
}
static int by_end(const void *pa, const void *pb) {
    const struct slot *a = pa, *b = pb;
    return a->from != b->from ? b->from - a->from : by_size(pa, pb);
}

/* The lower first: what is placed higher then finds its place, or a lower one. At the same place the one made in the other's memory is the lower. */
static int by_wish(const void *pa, const void *pb) {
    const struct slot *a = pa, *b = pb;
    return a->wish != b->wish ? (a->wish < b->wish ? -1 : 1) : by_time(pb, pa);
}

/* --- neighbours in time: slots in the order of by_time; s[0] before s[1] ------------------------------------------------------ */

static bool together(const struct slot *s) { return s[1].from <= s[0].to; }
/* By how much `upper` begins above `lower` at least. */
static int32_t step(const struct slot *lower, const struct slot *upper) {
    int32_t d = distance_to(lower, upper);
    return d >= 0 && d < lower->bytes ? d : lower->bytes;
}

/* Whether neighbours fit into `size` bytes. Two numbers tell all about a slot: the lowest place it can have when it is higher than its predecessor
 * (its successor, when lower, does not care), and the highest it can have when it is lower (its successor, when higher, does not care). The choices
 * are left in `from_*`, for the way back. */
struct reach {
    int64_t lowest, highest; /* as the higher, as the lower; lowest > size, highest < 0: impossible */
    bool lowest_from_higher, highest_from_higher; /* what the predecessor is then */
};

static bool neighbours_fit(const struct slot *s, int n, int64_t size, struct reach *r) {
    for (int i = 0; i < n; i++) {
        int64_t room = size - s[i].bytes;
        if (i == 0 || !together(&s[i - 1])) {
            bool was = i == 0 || r[i - 1].lowest <= size || r[i - 1].highest >= 0;
            r[i] = (struct reach){size + 1, was ? room : -1, true, i > 0 && r[i - 1].lowest <= size};
            continue;
        }
        const struct reach *p = &r[i - 1];
        bool higher = p->lowest <= size, lower = p->highest >= 0;
        int64_t up = step(&s[i - 1], &s[i]), down = step(&s[i], &s[i - 1]);
        r[i].lowest_from_higher = !lower;
        r[i].lowest = lower ? up : higher ? p->lowest + up : size + 1;
        r[i].lowest = r[i].lowest <= room ? r[i].lowest : size + 1;
        int64_t after_higher = higher ? size - s[i - 1].bytes - down : -1, after_lower = lower ? p->highest - down : -1;
        r[i].highest_from_higher = after_higher > after_lower;
        r[i].highest = after_higher > after_lower ? after_higher : after_lower;
        r[i].highest = r[i].highest < room ? r[i].highest : room;
    }
    return r[n - 1].lowest <= size || r[n - 1].highest >= 0;
}

/* The way back: who is higher than its predecessor, then the lowest places that this asks for. */
static void wishes(struct slot *s, int n, int64_t size, const struct reach *r) {
    bool higher = r[n - 1].lowest <= size;
    for (int i = n - 1; i >= 0; i--) {
        s[i].higher = higher;
        higher = higher ? r[i].lowest_from_higher : r[i].highest_from_higher;
    }
    for (int i = 0; i < n; i++) {
        s[i].wish = i > 0 && together(&s[i - 1]) && s[i].higher ? s[i - 1].wish + step(&s[i - 1], &s[i]) : 0;
    }
    for (int i = n - 2; i >= 0; i--) {
        int64_t least = together(&s[i]) && !s[i + 1].higher ? s[i + 1].wish + step(&s[i + 1], &s[i]) : 0;
        s[i].wish = s[i].wish > least ? s[i].wish : least;
    }
}

/* The fewest bytes in which all neighbours in time fit, found by halving; at least `low`. Leaves the slots by time, with their wishes. */
static int64_t fit_neighbours(struct plan *p, int64_t low, struct reach *r) {
    int64_t high = low;
    qsort(p->slots, (size_t)p->n, sizeof *p->slots, by_time);
    for (int i = 0; i < p->n; i++) {
        high += p->slots[i].bytes;
    }
    while (p->n > 0 && low < high) {
        int64_t half = low + (high - low) / 2;
        if (neighbours_fit(p->slots, p->n, half, r)) {
            high = half;
        } else {
            low = half + 1;
        }
    }
    if (p->n > 0 && neighbours_fit(p->slots, p->n, high, r)) {
        wishes(p->slots, p->n, high, r);
    }
    return high;
}

static void exchange(struct slot *slots, int a, int b) {
    struct slot t = slots[a];
    slots[a] = slots[b];
    slots[b] = t;
}

/* Exchanges pairs while that does not make it worse. */
static int64_t improve(struct plan *p, int64_t best, int32_t bound) {
    uint32_t x = 1;
    int64_t tries = p->n > 1 ? PLAN_WORK / ((int64_t)p->n * p->n) : 0;
    tries = tries < PLAN_TRIES ? tries : PLAN_TRIES;
    for (int64_t i = 0; i < tries && best > bound; i++) {
        x = x * 1664525u + 1013904223u;
        int a = (int)((x >> 8) % (uint32_t)p->n), b = (int)((x >> 20) % (uint32_t)p->n);
        exchange(p->slots, a, b);
        int64_t end = place_all(p);
        if (end > best) {
            exchange(p->slots, a, b);
        } else {
            best = end;
        }
    }
    return best;
}

static int64_t search(struct plan *p, int32_t bound) {
    static int (*const orders[])(const void *, const void *) = {by_size, by_time, by_end, by_wish};
    size_t best = 0;
    int64_t least = INT64_MAX;
    for (size_t k = 0; k < sizeof orders / sizeof orders[0]; k++) {
        qsort(p->slots, (size_t)p->n, sizeof *p->slots, orders[k]);
        int64_t end = place_all(p);
        if (end < least) {
            least = end;
            best = k;
        }
    }
    qsort(p->slots, (size_t)p->n, sizeof *p->slots, orders[best]);
    (void)improve(p, least, bound);
    return place_all(p);
}

/* One slot a root that is alive at some time. With share, what may begin inside what. */
static int collect(const struct program *p, const int *alias, bool share, struct slot *slots, int *slot_of) {
    const struct ir_model *m = p->model;
    int n = 0;
    for (int t = 0; t < m->n_tensors; t++) {
        const struct ir_tensor *x = &m->tensors[t];
        slot_of[t] = -1;
        if (alias[t] == t && !x->data && (t == m->input || x->producer >= 0)) {
            int from = x->producer < 0 ? 0 : x->producer;
            slot_of[t] = n;
            slots[n++] = (struct slot){.tensor = t, .from = from, .to = from, .bytes = aligned(x->elements)};
        }
    }
    for (int t = 0; t < m->n_tensors; t++) {
        int s = slot_of[alias[t]];
        if (s >= 0 && m->tensors[t].last_use > slots[s].to) {
            slots[s].to = m->tensors[t].last_use;
        }
    }
    for (int i = 0; i < p->n_nodes && share; i++) {
        const struct lowered_node *l = &p->nodes[i];
        struct slot *s = &slots[slot_of[alias[l->out[0]]]];
        for (int k = 0; k < l->n_in && l->n_out == 1 && l->kernel != KERNEL_NONE; k++) {
            int donor = slot_of[alias[l->in[k]]];
            if (donor >= 0 && l->overlap[k] != NO_OVERLAP && slots[donor].to == i && slots[donor].tensor != s->tensor) {
                s->donor[s->n_donors] = slots[donor].tensor;
                s->distance[s->n_donors++] = aligned(l->overlap[k]);
            }
        }
    }
    return n;
}

int program_plan(struct program *p, bool share) {
    const struct ir_model *m = p->model;
    size_t n_t = (size_t)m->n_tensors;
    int *alias = calloc(n_t, sizeof *alias), *slot_of = calloc(n_t, sizeof *slot_of);
    struct plan plan = {calloc(n_t, sizeof *plan.slots), 0};
    struct reach *reach = calloc(n_t, sizeof *reach);
    int r = alias && slot_of && plan.slots && reach ? 0 : JF_E_NOMEM;
    if (r == 0) {
        find_roots(p, alias);
        plan.n = collect(p, alias, share, plan.slots, slot_of);
        int64_t least = fit_neighbours(&plan, bound_of(&plan, m->n_nodes), reach);
        p->lower_bound_bytes = least > PROGRAM_MAX_ARENA ? PROGRAM_MAX_ARENA : (int32_t)least;
        int64_t end = search(&plan, p->lower_bound_bytes);
        for (int i = 0; i < plan.n; i++) {
            slot_of[plan.slots[i].tensor] = i;
        }
        r = end > PROGRAM_MAX_ARENA ? JF_E_TOO_LARGE : 0;
        p->arena_bytes = r == 0 ? (int32_t)end : 0;
        for (int t = 0; t < m->n_tensors && r == 0; t++) {
            int s = slot_of[alias[t]];
            p->offset[t] = s >= 0 ? plan.slots[s].offset : -1;
        }
    }
    free(alias);
    free(slot_of);
    free(plan.slots);
    free(reach);
    return r;
}
