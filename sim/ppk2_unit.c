/* SPDX-License-Identifier: GPL-2.0-or-later
 * The measuring head of the virtual PPK2; see ppk2_unit.h. Pure. Word: bits 0-13 ADC / 4, 14-16 range, 18-23 counter,
 * 24-31 D0-D7. Documented conversion: x = (4 field - O) (1.8 / 163840) / R; I = UG (x (GS x + GI) + S VDD + I0). */
#include "sim/ppk2_unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADC_VOLT (1.8 / 163840.0)
#define SWITCH_DISTURBED 3 /* samples after a range change that real units show disturbed */
#define DOWN_RATIO 0.8 /* hysteresis: a range is left downwards below this part of the lower range's end */

static const double range_end_a[PPK2_RANGES - 1] = {50e-6, 500e-6, 5e-3, 50e-3}; /* Nordic's table of ranges */

/* Typical constants of one published unit dump, and how far units are drawn around them (rectangular, relative). */
static const struct {
    double r, gs, gi, o, s, i0;
} typical[PPK2_RANGES] = {
    {1003.35, 0.0, 1.0000, 112.94, 48e-9, -104e-9},
    {101.58, 112.789, 0.9695, 75.46, 596e-9, -1.443e-6},
    {10.303, 18.0115, 0.9609, 64.60, 5.281e-6, 36.439e-6},
    {0.9636, 2.4217, 0.9519, 50.50, 62.577e-6, -374.119e-6},
    {0.0564, 0.0729, 0.9582, 87.22, 2.940743e-3, -9.388455e-3},
};
#define SPREAD 0.02

/* What is printed is what counts: rounds a constant to the digits of the metadata. */
static double as_printed(const char *fmt, double v) {
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, fmt, v);
#pragma GCC diagnostic pop
    return strtod(text, NULL);
}

static double around(struct profile_rng *rng, double v) { return v * (1.0 + SPREAD * (2.0 * profile_uniform(rng) - 1.0)); }

void ppk2_unit_init(struct ppk2_unit *ret_u, uint64_t seed) {
    struct ppk2_unit *u = ret_u;
    memset(u, 0, sizeof *u);
    profile_seed(&u->rng, seed ^ UINT64_C(0x50504b32));
    for (int k = 0; k < PPK2_RANGES; k++) {
        struct ppk2_calibration *c = &u->cal;
        c->r[k] = as_printed("%.4f", around(&u->rng, typical[k].r));
        c->gs[k] = as_printed("%.4f", around(&u->rng, typical[k].gs));
        c->gi[k] = as_printed("%.4f", around(&u->rng, typical[k].gi));
        c->o[k] = as_printed("%.4f", around(&u->rng, typical[k].o));
        c->s[k] = as_printed("%.9f", typical[k].s); /* S and I cancel nearly: drawn apart they would leave the ADC's span */
        c->i0[k] = as_printed("%.9f", typical[k].i0);
        c->ug[k] = 1.0;
    }
    u->cal.hw = 9000 + (int)(profile_bits(&u->rng) % 1000);
    u->cal.ia = 50 + (int)(profile_bits(&u->rng) % 20);
    u->range = PPK2_RANGES - 1;
    u->since_change = SWITCH_DISTURBED;
}

struct text {
    char *out;
    size_t cap, len;
};

static void text_five(struct text *t, const char *key, const char *fmt, const double v[PPK2_RANGES]) {
    for (int k = 0; k < PPK2_RANGES && t->len < t->cap; k++) {
        char number[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(number, sizeof number, fmt, v[k]);
#pragma GCC diagnostic pop
        t->len += (size_t)snprintf(t->out + t->len, t->cap - t->len, "%s%d: %s\n", key, k, number);
    }
}

static void text_one(struct text *t, const char *key, int v) {
    if (t->len < t->cap) {
        t->len += (size_t)snprintf(t->out + t->len, t->cap - t->len, "%s: %d\n", key, v);
    }
}

size_t ppk2_unit_metadata(const struct ppk2_unit *u, int vdd_mv, int mode, char *out, size_t cap) {
    struct text t = {.out = out, .cap = cap};
    text_one(&t, "Calibrated", 0); /* good units say 0, too */
    text_five(&t, "R", "%.4f", u->cal.r);
    text_five(&t, "GS", "%.4f", u->cal.gs);
    text_five(&t, "GI", "%.4f", u->cal.gi);
    text_five(&t, "O", "%.4f", u->cal.o);
    text_one(&t, "VDD", vdd_mv);
    text_one(&t, "HW", u->cal.hw);
    text_one(&t, "mode", mode);
    text_five(&t, "S", "%.9f", u->cal.s);
    text_five(&t, "I", "%.9f", u->cal.i0);
    text_five(&t, "UG", "%.6f", u->cal.ug);
    text_one(&t, "IA", u->cal.ia);
    if (t.len < cap) {
        t.len += (size_t)snprintf(out + t.len, cap - t.len, "END\n");
    }
    return t.len < cap ? t.len : 0;
}

static int range_for(int now, double a) {
    int r = now;
    while (r < PPK2_RANGES - 1 && a > range_end_a[r]) {
        r++;
    }
    while (r > 0 && a < DOWN_RATIO * range_end_a[r - 1]) {
        r--;
    }
    return r;
}

/* ADC code (not rounded, in units of the 14-bit field) for a reading: the documented conversion solved for adc. */
static double code_for(const struct ppk2_calibration *c, int r, double reading_a, double vdd_v) {
    double q = reading_a / c->ug[r] - c->s[r] * vdd_v - c->i0[r]; /* = x (GS x + GI) */
    double disc = c->gi[r] * c->gi[r] + 4.0 * c->gs[r] * q;
    double x = disc > 0.0 ? 2.0 * q / (c->gi[r] + sqrt(disc)) : -c->gi[r] / (2.0 * c->gs[r]);
    return (x * c->r[r] / ADC_VOLT + c->o[r]) / 4.0;
}

/* Disturbance after a range change: decays over three samples, overshoot downwards, undershoot upwards. */
static double disturbed(const struct ppk2_unit *u, double a) {
    static const double share[SWITCH_DISTURBED] = {0.30, 0.10, 0.03};
    return u->since_change < SWITCH_DISTURBED ? a * (1.0 - u->change_sign * share[u->since_change]) : a;
}

uint32_t ppk2_unit_word(struct ppk2_unit *u, const struct profile *p, double current_a, double vdd_v, uint8_t logic, bool saturate) {
    int r = range_for(u->range, fabs(current_a));
    if (r != u->range) {
        u->change_sign = r > u->range ? 1.0 : -1.0;
        u->since_change = 0;
        u->range = r;
    }
    double reading = current_a * (1.0 + p->gain[r]) + p->offset_a[r];
    if (p->noise_a[r] > 0.0) {
        reading += p->noise_a[r] * profile_normal(&u->rng);
    }
    if (p->switching) {
        reading = disturbed(u, reading);
    }
    /* One LSB of rectangular dither: the mean of many samples has no quantization bias. */
    double code = floor(code_for(&u->cal, r, reading, vdd_v) + profile_uniform(&u->rng));
    uint32_t field = code <= 0.0 ? 0 : code >= (double)PPK2_ADC_FULL ? PPK2_ADC_FULL : (uint32_t)code;
    if (saturate) {
        field = PPK2_ADC_FULL;
    }
    uint32_t word = field | (uint32_t)r << 14 | (u->counter & 0x3Fu) << 18 | (uint32_t)logic << 24;
    u->counter = (u->counter + 1) & 0x3Fu;
    if (u->since_change < SWITCH_DISTURBED) {
        u->since_change++;
    }
    return word;
}
