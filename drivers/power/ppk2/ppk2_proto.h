/* SPDX-License-Identifier: GPL-2.0-or-later
 * The PPK2's bytes, both ways; pure functions on buffers, no I/O, no clock, any thread.
 * Facts: NordicSemiconductor/pc-nrfconnect-ppk src/device/serialDevice.ts and src/constants.ts; tipoLi5890/ppk2lab
 * docs/protocol-spec.md and docs/calibration.md. */
#ifndef DRIVERS_POWER_PPK2_PROTO_H
#define DRIVERS_POWER_PPK2_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PPK2_RANGES 5
#define PPK2_PERIOD_S 10e-6
#define PPK2_MV_MIN 800
#define PPK2_MV_MAX 5000

/* --- commands: raw bytes, never acknowledged ---------------------------------------------------------------- */
enum ppk2_command { PPK2_START, PPK2_STOP, PPK2_OUTPUT_OFF, PPK2_OUTPUT_ON, PPK2_MODE_AMPERE, PPK2_MODE_SOURCE, PPK2_METADATA };
#define PPK2_COMMAND_MAX 3
/* Bytes written to dst. */
size_t ppk2_encode(enum ppk2_command command, uint8_t dst[PPK2_COMMAND_MAX]);
/* 0D, high byte, low byte of the millivolts; JF_E_INVAL outside 800..5000. */
int ppk2_encode_voltage(int mv, uint8_t dst[PPK2_COMMAND_MAX], size_t *ret_n) JF_MUST_CHECK;

/* --- metadata ------------------------------------------------------------------------------------------------ */
enum ppk2_modifier { PPK2_R, PPK2_GS, PPK2_GI, PPK2_O, PPK2_S, PPK2_I, PPK2_UG, PPK2_MODIFIERS };
struct ppk2_meta {
    double mod[PPK2_MODIFIERS][PPK2_RANGES]; /* meaningful where have is set */
    bool have[PPK2_MODIFIERS][PPK2_RANGES]; /* present, finite, R above 0, UG not 0 */
    bool have_calibrated, calibrated;
    bool have_vdd, have_hw, have_ia;
    double vdd_mv, hw, ia;
};
#define PPK2_META_MAX 8192 /* bytes; a unit sends about 40 short lines */

/* True once text holds the line that ends the answer. */
bool ppk2_meta_complete(const char *text, size_t n);
/* Lenient about unknown keys and order, strict about numbers: "nan", "-nan", garbage or a doubled key with another value
 * leave have[] false. JF_E_PROTOCOL when there is no END or no known key at all. */
int ppk2_meta_parse(const char *text, size_t n, struct ppk2_meta *ret_meta, struct err *reterr) JF_MUST_CHECK;
/* "R0", "GS3", ...; false: no such modifier. */
bool ppk2_modifier_by_name(const char *name, enum ppk2_modifier *ret_mod, int *ret_range);
/* Lists what is missing ("R2, GS4"), cut to cap; the number of missing modifiers. */
int ppk2_meta_missing(const struct ppk2_meta *meta, char *dst, size_t cap);

/* --- samples --------------------------------------------------------------------------------------------------- */
/* One word to ampere: adc = 4*field; x = (adc - O)*(1.8/163840)/R; I = UG*(x*(GS*x + GI) + S*VDD + I0), VDD in volt. */
struct ppk2_cal {
    double mod[PPK2_MODIFIERS][PPK2_RANGES];
    double vdd_v;
};
double ppk2_convert(const struct ppk2_cal *cal, unsigned field, unsigned range);

#define PPK2_BATCH 1000
/* What ppk2_stream_next found: samples, or a hole. */
enum ppk2_found { PPK2_NEED_MORE, PPK2_SAMPLES, PPK2_HOLE };
struct ppk2_batch {
    uint32_t count;
    bool saturated; /* any sample */
    bool range_changed; /* inside the batch, or against the sample before it */
    float current_a[PPK2_BATCH];
    uint8_t range[PPK2_BATCH];
    uint8_t lines[PPK2_BATCH]; /* D0 is bit 0 */
    uint8_t saturated_at[PPK2_BATCH]; /* 1: the converter's bound, a lower limit only */
};
struct ppk2_stream {
    const struct ppk2_cal *cal; /* borrowed */
    bool started, in_sync;
    unsigned expect; /* the next counter value */
    int last_range; /* -1: none yet */
    uint64_t dropped_bytes; /* since sync was lost */
    uint64_t resyncs, holes, hole_samples; /* totals, for people */
};

void ppk2_stream_init(struct ppk2_stream *ret_s, const struct ppk2_cal *cal);
/* Looks at in[0..n). *ret_used bytes are done with and must not be passed again. PPK2_HOLE: batch->count cells are missing
 * (a lower bound: the counter cannot show multiples of 64). JF_E_PROTOCOL: no sample framing within 64 KiB.
 * Invariants: S1 a sample is never made up; S2 every call either uses bytes, or reports a hole, or says NEED_MORE;
 * S3 at most PPK2_LOOKAHEAD bytes are left over with NEED_MORE. */
#define PPK2_LOOKAHEAD 72
int ppk2_stream_next(struct ppk2_stream *s, const uint8_t *in, size_t n, size_t *ret_used, struct ppk2_batch *batch, struct err *reterr) JF_MUST_CHECK;

#endif
