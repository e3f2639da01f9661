/* SPDX-License-Identifier: GPL-2.0-or-later
 * Pure codec of the PPK2's sample stream: little-endian words every 10 us, bits 0-13 converter, 14-16 range,
 * 18-23 counter, 24-31 D0-D7. There is no sync mark: the six-bit counter is all that tells a word's start.
 *
 *   A word whose counter is not the expected one is one of four things, told apart by the next WINDOW words:
 *     the bytes are out of step (another phase counts on)     -> drop to that phase, report the hole;
 *     this one word is damaged (the next has expected + 1)    -> a hole of 1;
 *     words are missing (the count goes on from here)         -> a hole of (counter - expected) mod 64;
 *     nothing counts anywhere                                 -> drop a word and look again.
 * Bytes lost in fours across a word's bounds leave one word made of two that looks sound. It can only stand next to a
 * reported hole: whoever uses a sample beside a hole must know. */
#include <string.h>

#include "drivers/power/ppk2/ppk2_proto.h"

#define WORD 4u
#define WINDOW 16u /* words looked at when the count breaks; a wrong phase passes by chance with 2^-78 */
#define SCORE_SURE 12 /* of WINDOW-1 steps: three may be hit by further damage */
#define LOST_MAX (64u * 1024u)
#define COUNTER_MASK 0x3Fu
#define FIELD_MASK 0x3FFFu

_Static_assert(PPK2_LOOKAHEAD >= WINDOW * WORD + 3, "a whole window in the worst phase must fit the lookahead");

static uint32_t word_at(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static unsigned counter_of(uint32_t w) { return (w >> 18) & COUNTER_MASK; }
static unsigned range_of(uint32_t w) { return (w >> 14) & 7u; }

void ppk2_stream_init(struct ppk2_stream *ret_s, const struct ppk2_cal *cal) {
    struct ppk2_stream s = {.cal = cal, .last_range = -1};
    *ret_s = s;
}

/* From the word at p to the one behind it the count goes on, both in a valid range. */
static bool step_good(const uint8_t *p) {
    uint32_t a = word_at(p), b = word_at(p + WORD);
    return counter_of(b) == ((counter_of(a) + 1) & COUNTER_MASK) && range_of(a) < PPK2_RANGES && range_of(b) < PPK2_RANGES;
}

/* How many of WINDOW-1 steps in this phase count on by one between words of a valid range. */
static int score(const uint8_t *p) {
    int good = 0;
    for (unsigned i = 0; i + 1 < WINDOW; i++) {
        good += step_good(p + (size_t)i * WORD) ? 1 : 0;
    }
    return good;
}

/* The best phase of a full window, or -1. Phase 0 wins a tie. */
static int best_phase(const uint8_t *p) {
    int best = -1, best_score = SCORE_SURE - 1;
    for (int phase = 0; phase < (int)WORD; phase++) {
        int got = score(p + phase);
        if (got > best_score) {
            best = phase;
            best_score = got;
        }
    }
    return best;
}

/* Missing cells: congruent to the counter's step, and of those the nearest to what the dropped bytes stand for. */
static uint32_t hole_size(const struct ppk2_stream *s, unsigned counter) {
    uint32_t low = (counter - s->expect) & COUNTER_MASK;
    uint64_t dropped = (s->dropped_bytes + WORD - 1) / WORD;
    uint64_t turns = dropped > low ? (dropped - low + 32) / 64 : 0;
    return low + (uint32_t)(turns * 64);
}

static int report_hole(struct ppk2_stream *s, uint32_t count, struct ppk2_batch *batch) {
    batch->count = count;
    s->expect = (s->expect + count) & COUNTER_MASK;
    s->holes++;
    s->hole_samples += count;
    return PPK2_HOLE;
}

/* in[0] is where a word should start but the count broke, or nothing is known yet. n >= PPK2_LOOKAHEAD. */
static int find_sync(struct ppk2_stream *s, const uint8_t *in, int phase, size_t *ret_used, struct ppk2_batch *batch, struct err *reterr) {
    if (phase < 0) {
        /* Nothing counts here. One word at most goes, so that the true start is never jumped over. */
        s->in_sync = false;
        s->dropped_bytes += WORD;
        *ret_used = WORD;
        if (s->dropped_bytes > LOST_MAX) {
            return err_set(reterr, JF_E_PROTOCOL, "no PPK2 sample framing in %u bytes", LOST_MAX);
        }
        return PPK2_NEED_MORE;
    }
    size_t used = (size_t)phase;
    /* The first words of the right phase may be damaged themselves: two good steps in a row tell where we are.
     * A score of SCORE_SURE leaves room for them well inside the window. */
    for (unsigned i = 0; i + 3 < WINDOW && !(step_good(in + used) && step_good(in + used + WORD)); i++) {
        used += WORD;
    }
    if (phase != 0 && s->started) {
        used += WORD; /* it shares bytes with the last word of the old phase: one of the two is damaged, nobody knows which */
    }
    unsigned counter = counter_of(word_at(in + used));
    s->dropped_bytes += used;
    s->resyncs += phase != 0 ? 1 : 0;
    if (!s->started) {
        s->started = true;
        s->expect = counter;
        s->dropped_bytes = 0; /* what came before the first sample is not part of the time line */
    }
    uint32_t hole = hole_size(s, counter);
    s->in_sync = true;
    s->dropped_bytes = 0;
    *ret_used = used;
    return hole > 0 ? report_hole(s, hole, batch) : PPK2_NEED_MORE;
}

/* Sound in itself and confirmed by the word behind it. */
static bool confirmed(const struct ppk2_stream *s, uint32_t w, uint32_t after) {
    return counter_of(w) == s->expect && range_of(w) < PPK2_RANGES && counter_of(after) == ((s->expect + 1) & COUNTER_MASK) &&
           range_of(after) < PPK2_RANGES;
}

/* This word alone is damaged: the two behind it count on as if it had been there. */
static bool damaged_alone(const struct ppk2_stream *s, const uint8_t *in) {
    uint32_t b = word_at(in + WORD), c = word_at(in + (size_t)2 * WORD);
    return counter_of(b) == ((s->expect + 1) & COUNTER_MASK) && range_of(b) < PPK2_RANGES && counter_of(c) == ((s->expect + 2) & COUNTER_MASK);
}

static void take(struct ppk2_stream *s, struct ppk2_batch *batch, uint32_t w) {
    uint32_t i = batch->count++;
    unsigned range = range_of(w);
    bool full = (w & FIELD_MASK) == FIELD_MASK;
    batch->current_a[i] = (float)ppk2_convert(s->cal, w & FIELD_MASK, range);
    batch->range[i] = (uint8_t)range;
    batch->lines[i] = (uint8_t)(w >> 24);
    batch->saturated_at[i] = full ? 1 : 0;
    batch->saturated = batch->saturated || full;
    batch->range_changed = batch->range_changed || (s->last_range >= 0 && s->last_range != (int)range);
    s->last_range = (int)range;
    s->expect = (s->expect + 1) & COUNTER_MASK;
}

/* in holds a whole window and its first word is not confirmed. */
static int judge(struct ppk2_stream *s, const uint8_t *in, size_t *ret_used, struct ppk2_batch *batch, struct err *reterr) {
    uint32_t w = word_at(in);
    bool sound = s->in_sync && counter_of(w) == s->expect && range_of(w) < PPK2_RANGES;
    if (s->in_sync && !sound && damaged_alone(s, in)) {
        *ret_used = WORD;
        return report_hole(s, 1, batch);
    }
    int phase = best_phase(in);
    if (sound && phase == 0) {
        take(s, batch, w); /* the last sample before a loss of whole words */
        *ret_used = WORD;
        return PPK2_SAMPLES;
    }
    return find_sync(s, in, phase, ret_used, batch, reterr);
}

int ppk2_stream_next(struct ppk2_stream *s, const uint8_t *in, size_t n, size_t *ret_used, struct ppk2_batch *batch, struct err *reterr) {
    size_t used = 0;
    batch->count = 0;
    batch->saturated = batch->range_changed = false;
    *ret_used = 0;
    while (batch->count < PPK2_BATCH) {
        if (s->in_sync && n - used >= (size_t)2 * WORD && confirmed(s, word_at(in + used), word_at(in + used + WORD))) {
            take(s, batch, word_at(in + used));
            used += WORD;
            continue;
        }
        if (batch->count > 0 || n - used < PPK2_LOOKAHEAD) {
            break; /* hand over what is sound first; then wait for a window to judge by */
        }
        size_t step = 0;
        int found = judge(s, in + used, &step, batch, reterr);
        if (found < 0) {
            return found;
        }
        used += step;
        if (found != PPK2_NEED_MORE) {
            *ret_used = used;
            return found;
        }
    }
    *ret_used = used;
    return batch->count > 0 ? PPK2_SAMPLES : PPK2_NEED_MORE;
}
