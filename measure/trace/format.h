/* SPDX-License-Identifier: GPL-2.0-or-later
 * The bytes of a trace file (FORMAT.md). Structures are little-endian without padding; hosts of other order are refused
 * at compile time. Internal to measure/trace. */
#ifndef MEASURE_TRACE_FORMAT_H
#define MEASURE_TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "trace files are little-endian");

#define TRACE_MAGIC "JFTRACE1" /* 8 bytes at offset 0 */
#define TRACE_SYNC 0x5243524Au /* "JRCR", before each record */
#define TRACE_MAX_PAYLOAD (64u << 20)

enum trace_type { TRACE_T_HEADER = 1, TRACE_T_CHUNK = 2, TRACE_T_EVENT = 3, TRACE_T_INDEX = 4, TRACE_T_FOOTER = 5 };

struct trace_record { /* 16 bytes */
    uint32_t sync, type, len; /* len: payload bytes */
    uint32_t crc; /* CRC-32 of type, len and payload */
};

enum trace_channel { TRACE_C_CURRENT, TRACE_C_VOLTAGE, TRACE_C_RANGE, TRACE_C_MARKERS, TRACE_C_QUALITY, TRACE_C_STAMPS, TRACE_N_CHANNELS };

enum trace_encoding {
    TRACE_E_ABSENT = 0, /* no bytes */
    TRACE_E_RAW = 1,
    TRACE_E_CONSTANT = 2, /* one element */
    TRACE_E_PLANES = 3, /* byte planes (all first bytes, all second bytes, ...), then zstd */
    TRACE_E_RUNS = 4, /* u8 channels: records {u32 start, u8 value}, first start 0 */
    TRACE_E_ZSTD = 5
};

struct trace_chunk { /* 88 bytes, then n_entries trace_entry, then the channels' bytes in order */
    int64_t first;
    uint32_t count, flags; /* MEASURE_GAP, MEASURE_SEGMENT_START, MEASURE_SEGMENT_END */
    double sum_i, sum_p; /* sum_p NAN: voltage unknown */
    float min_i, max_i;
    uint32_t n_entries, n_stamps;
    uint32_t n_marker_changes; /* inside the chunk */
    uint8_t first_markers, last_markers, pad[2];
    uint32_t len[TRACE_N_CHANNELS];
    uint8_t enc[8];
};
_Static_assert(sizeof(struct trace_chunk) == 88, "chunk head has no padding");

struct trace_entry { /* TRACE_STEP samples */
    double sum_i, sum_p;
    float min_i, max_i;
};
_Static_assert(sizeof(struct trace_entry) == 24, "entry has no padding");

struct trace_index { /* one per chunk, in file order; event records have count 0 and flags TRACE_IX_EVENT */
    uint64_t offset; /* of the record */
    int64_t first;
    uint32_t count, flags;
    double sum_i, sum_p;
    float min_i, max_i;
    uint32_t len, n_marker_changes; /* len: payload bytes */
    uint8_t first_markers, last_markers, pad[6];
};
_Static_assert(sizeof(struct trace_index) == 64, "index entry has no padding");
#define TRACE_IX_EVENT (1u << 31)

struct trace_footer {
    uint64_t index_offset; /* of the first index record; several follow each other when one would be too long */
    uint64_t n_entries; /* index entries in all */
    int64_t samples, gap_samples;
    char end[8]; /* "JFTREND1" */
};
#define TRACE_END "JFTREND1"

/* Stamps are stored as pairs of int64: end, host_raw_ns. */
#define TRACE_MAX_STAMPS 8192

/* Runs of the u8 channels. */
#define TRACE_RUN_BYTES 5

#endif
