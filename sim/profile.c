/* SPDX-License-Identifier: GPL-2.0-or-later
 * Instrument error profiles: the table of what can be wrong with a virtual instrument, its declared distributions,
 * and the draws from them. Owns no device. One thread.
 * Generator: xoshiro256** seeded by splitmix64 (Blackman and Vigna, public domain reference description). */
#include "sim/profile.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* How a figure is drawn: rectangular +-limit (uniform); fixed at the limit (noise levels: a property of the type). */
enum draw { DRAW_RECTANGULAR, DRAW_FIXED, DRAW_NONNEGATIVE };

struct figure {
    const char *name;
    size_t at; /* offset in struct profile */
    int n; /* array length */
    enum draw draw;
    double limit[2][PROFILE_RANGES]; /* [kind]; where all ranges are alike, one value is repeated by figure_limit */
    double bound; /* profile_set accepts +-bound */
};

/* PPK2 gains and offsets: half widths well inside Nordic's typical figures (10 %, 15 % in range 4), as a unit with
 * a user calibration would show; a scope's current probe: 1 %, and offset after zeroing. */
static const struct figure figures[] = {
    {"gain", offsetof(struct profile, gain), PROFILE_RANGES, DRAW_RECTANGULAR,
     {{0.01, 0, 0, 0, 0}, {0.02, 0.02, 0.02, 0.02, 0.03}}, 0.9},
    {"offset_a", offsetof(struct profile, offset_a), PROFILE_RANGES, DRAW_RECTANGULAR,
     {{20e-6, 0, 0, 0, 0}, {0.1e-6, 0.25e-6, 2.5e-6, 25e-6, 250e-6}}, 10.0},
    {"noise_a", offsetof(struct profile, noise_a), PROFILE_RANGES, DRAW_FIXED,
     {{50e-6, 0, 0, 0, 0}, {0.1e-6, 0.3e-6, 3e-6, 30e-6, 300e-6}}, 10.0},
    {"voltage_gain", offsetof(struct profile, voltage_gain), 1, DRAW_RECTANGULAR, {{0.01}, {0.005}}, 0.9},
    {"voltage_offset_v", offsetof(struct profile, voltage_offset_v), 1, DRAW_RECTANGULAR, {{0.002}, {0.0}}, 10.0},
    {"voltage_noise_v", offsetof(struct profile, voltage_noise_v), 1, DRAW_FIXED, {{0.002}, {0.0}}, 10.0},
    {"rate_error", offsetof(struct profile, rate_error), 1, DRAW_RECTANGULAR, {{25e-6}, {20e-6}}, 0.1},
    {"clock_offset_s", offsetof(struct profile, clock_offset_s), 1, DRAW_NONNEGATIVE, {{0.0}, {0.005}}, 1.0},
};
#define N_FIGURES (sizeof figures / sizeof figures[0])

static double *figure_at(struct profile *p, const struct figure *f) { return (double *)(void *)((char *)p + f->at); }

void profile_ideal(struct profile *ret_p) { *ret_p = (struct profile){0}; }

void profile_draw(struct profile *ret_p, enum profile_kind kind, uint64_t seed) {
    struct profile_rng rng;
    profile_seed(&rng, seed ^ UINT64_C(0x70726f66696c65));
    profile_ideal(ret_p);
    for (size_t k = 0; k < N_FIGURES; k++) {
        const struct figure *f = &figures[k];
        double *at = figure_at(ret_p, f);
        for (int n = 0; n < f->n; n++) {
            double u = profile_uniform(&rng);
            double limit = f->limit[kind][n];
            at[n] = f->draw == DRAW_FIXED ? limit : f->draw == DRAW_NONNEGATIVE ? u * limit : (2.0 * u - 1.0) * limit;
        }
    }
    ret_p->switching = kind == PROFILE_PPK2;
}

static const char *draw_name(enum draw d) {
    switch (d) {
    case DRAW_FIXED:
        return "fixed";
    case DRAW_NONNEGATIVE:
        return "rectangular 0..limit";
    default:
        return "rectangular +-limit";
    }
}

json_t *profile_spec(enum profile_kind kind) {
    json_t *spec = json_object();
    for (size_t k = 0; spec && k < N_FIGURES; k++) {
        const struct figure *f = &figures[k];
        json_t *limits = json_array();
        for (int n = 0; n < f->n; n++) {
            json_array_append_new(limits, json_real(f->limit[kind][n]));
        }
        json_object_set_new(spec, f->name, json_pack("{s:s, s:o}", "distribution", draw_name(f->draw), "limit", limits));
    }
    return spec;
}

json_t *profile_json(const struct profile *p) {
    struct profile copy = *p;
    json_t *obj = json_pack("{s:b}", "switching", p->switching);
    for (size_t k = 0; obj && k < N_FIGURES; k++) {
        const double *at = figure_at(&copy, &figures[k]);
        json_t *v = figures[k].n == 1 ? json_real(at[0]) : json_array();
        for (int n = 0; figures[k].n > 1 && n < figures[k].n; n++) {
            json_array_append_new(v, json_real(at[n]));
        }
        json_object_set_new(obj, figures[k].name, v);
    }
    return obj;
}

static int figure_put(const struct figure *f, double *at, const json_t *v, struct err *reterr) {
    for (int n = 0; n < f->n; n++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, (size_t)n) : v; /* one number: all ranges */
        if (!json_is_number(one) || (json_is_array(v) && json_array_size(v) != (size_t)f->n)) {
            return err_set_at(reterr, JF_E_INVAL, f->name, f->n > 1 ? "must be a number or %d numbers" : "must be a number", f->n);
        }
        double x = json_number_value(one);
        if (!(fabs(x) <= f->bound) || (f->draw != DRAW_RECTANGULAR && x < 0.0)) {
            return err_set_at(reterr, JF_E_INVAL, f->name, "must be between %g and %g",
                              f->draw == DRAW_RECTANGULAR ? -f->bound : 0.0, f->bound);
        }
        at[n] = x;
    }
    return 0;
}

int profile_set(struct profile *p, const json_t *obj, struct err *reterr) {
    if (!json_is_object(obj)) {
        return err_set_at(reterr, JF_E_INVAL, "set", "must be an object");
    }
    struct profile next = *p;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)obj, key, v) {
        if (strcmp(key, "switching") == 0) {
            if (!json_is_boolean(v)) {
                return err_set_at(reterr, JF_E_INVAL, key, "must be true or false");
            }
            next.switching = json_is_true(v);
            continue;
        }
        size_t k = 0;
        while (k < N_FIGURES && strcmp(figures[k].name, key) != 0) {
            k++;
        }
        if (k == N_FIGURES) {
            return err_set_at(reterr, JF_E_INVAL, key, "there is no such figure in a profile");
        }
        int rc = figure_put(&figures[k], figure_at(&next, &figures[k]), v, reterr);
        if (rc < 0) {
            return rc;
        }
    }
    *p = next;
    return 0;
}

/* --- random numbers --------------------------------------------------------------------------------------------- */
void profile_seed(struct profile_rng *r, uint64_t seed) {
    for (int k = 0; k < 4; k++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        r->s[k] = z ^ (z >> 31);
    }
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t profile_bits(struct profile_rng *r) {
    uint64_t out = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return out;
}

double profile_uniform(struct profile_rng *r) { return (double)(profile_bits(r) >> 11) * 0x1p-53; }

/* Sum of twelve rectangular draws (Irwin-Hall): deviation 1 exactly, bounded at 6, no logarithm per sample. Three
 * 64-bit words give twelve 16-bit fields. */
double profile_normal(struct profile_rng *r) {
    uint64_t sum = 0;
    for (int k = 0; k < 3; k++) {
        uint64_t b = profile_bits(r);
        sum += (b & 0xFFFF) + ((b >> 16) & 0xFFFF) + ((b >> 32) & 0xFFFF) + (b >> 48);
    }
    return ((double)sum + 6.0) / 65536.0 - 6.0;
}
