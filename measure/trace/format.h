/* SPDX-License-Identifier: GPL-2.0-or-later
 * The bytes of a trace file (FORMAT.md). Structures are little-endian without padding; hosts of other order are refused
 * at compile time. Internal to measure/trace. */
#ifndef MEASURE_TRACE_FORMAT_H
#define MEASURE_TRACE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "trace files are little-endian");

#define TRACE_MAGIC "JFTRACE2" /* 8 bytes at offset 0 */
#define TRACE_VERSION 2
#define TRACE_SYNC 0x5243524Au /* "JRCR", before each record */
#define TRACE_MAX_PAYLOAD (16u << 20)
#define TRACE_MAX_INDEX (INT64_C(1) << 53) /* sample indices and lengths: exact in double */

enum trace_type { TRACE_T_HEADER = 1, TRACE_T_CHUNK = 2, TRACE_T_EVENT = 3, TRACE_T_INDEX = 4, TRACE_T_FOOTER = 5, TRACE_T_EVENTS = 6 };

struct trace_record { /* 16 bytes */
    uint32_t sync, type, len; /* len: payload bytes */
    uint32_t crc; /* CRC-32C of type, len and payload */
};

enum trace_channel { TRACE_C_CURRENT, TRACE_C_VOLTAGE, TRACE_C_RANGE, TRACE_C_MARKERS, TRACE_C_QUALITY, TRACE_C_STAMPS, TRACE_N_CHANNELS };

enum trace_encoding {
    TRACE_E_ABSENT = 0, /* no bytes */
    TRACE_E_RAW = 1,
    TRACE_E_CONSTANT = 2, /* one element */
    TRACE_E_BLOCKS = 3, /* float channels: palette, table, blocks of TRACE_BLOCK samples in byte planes */
    TRACE_E_RUNS = 4, /* u8 channels: records {u32 start, u8 value}, first start 0 */
    TRACE_E_ZSTD = 5
};

#define TRACE_BLOCK 4096 /* samples that are decoded together */
#define TRACE_MAX_PALETTE 16384 /* distinct values */

struct trace_chunk { /* 128 bytes, then n_entries trace_entry, then the channels' bytes in order */
    int64_t first;
    uint32_t count, flags; /* MEASURE_GAP, MEASURE_SEGMENT_START, MEASURE_SEGMENT_END */
    double sum_i, sum_p; /* sum_p NAN: voltage unknown */
    float min_i, max_i;
    uint32_t n_entries, n_stamps;
    uint32_t n_changes; /* of the marker byte, inside the chunk */
    uint8_t first_markers, last_markers, enc[TRACE_N_CHANNELS];
    uint32_t len[TRACE_N_CHANNELS];
    uint32_t crc[TRACE_N_CHANNELS]; /* of a channel's bytes; of a TRACE_E_BLOCKS channel: of its front */
    uint32_t front[2]; /* current, voltage: bytes before the first block */
    uint32_t crc_entries;
    uint32_t crc_head; /* of the 124 bytes before it */
};
_Static_assert(sizeof(struct trace_chunk) == 128, "chunk head has no padding");

struct trace_entry { /* TRACE_STEP samples in a chunk, TRACE_TILE in a page */
    double sum_i, sum_p;
    float min_i, max_i;
};
_Static_assert(sizeof(struct trace_entry) == 24, "entry has no padding");

struct trace_block { /* the table of a TRACE_E_BLOCKS channel */
    uint32_t end; /* of the block's bytes, from the first block's begin */
    uint32_t crc;
};

/* ---- the pyramid over the chunks ---------------------------------------------------------------------------- */
#define TRACE_FANOUT 256 /* children of a full page */
#define TRACE_GROUP 4 /* children that a page summarises together */
#define TRACE_TILE 4096 /* samples per tile of a page of level 1 */
#define TRACE_TILES (TRACE_CHUNK / TRACE_TILE)
#define TRACE_MAX_LEVEL 6

struct trace_leaf { /* a chunk or a hole, as its page of level 1 knows it */
    uint64_t offset; /* of the record */
    int64_t first, count;
    double sum_i, sum_p;
    float min_i, max_i;
    uint32_t len, flags; /* len: payload bytes; flags as in the chunk, and TRACE_LEAF_SAME_GAP */
    uint32_t n_changes;
    uint8_t first_markers, last_markers, pad[2];
};
_Static_assert(sizeof(struct trace_leaf) == 64, "leaf has no padding");
#define TRACE_LEAF_SAME_GAP (1u << 30) /* a hole that goes on from the one before */

struct trace_node { /* a page, as its parent knows it */
    uint64_t offset, start; /* of its record; of the first record that it covers */
    int64_t first, end; /* cells [first, end) */
    int64_t samples, gap_samples;
    double sum_i, lo_i, sum_p, lo_p; /* value = sum + lo */
    float min_i, max_i;
    uint32_t n_chunks, n_segments, n_gaps; /* holes count as chunks too; segments that begin inside */
    uint32_t n_changes; /* of the marker byte, inside; stays at its maximum */
    uint32_t len; /* payload bytes of the page */
    uint8_t level, flags, first_markers, last_markers;
};
_Static_assert(sizeof(struct trace_node) == 112, "node has no padding");
#define TRACE_NODE_SEGMENT (1u << 0) /* begins with a segment's start */
#define TRACE_NODE_GAP_FIRST (1u << 1) /* begins with a hole */
#define TRACE_NODE_GAP_LAST (1u << 2) /* ends with a hole */

struct trace_group { /* TRACE_GROUP children of one page */
    int64_t first, end, samples;
    double sum_i, sum_p;
    float min_i, max_i;
};
_Static_assert(sizeof(struct trace_group) == 48, "group has no padding");

struct trace_page { /* then groups, children (leaves on level 1, nodes above), tiles (level 1: those of the leaves in order) */
    uint32_t level, n, n_groups, n_tiles;
    uint32_t crc_groups, crc_children, crc_tiles;
    uint32_t crc_head; /* of the 28 bytes before it */
};
_Static_assert(sizeof(struct trace_page) == 32, "page head has no padding");

/* ---- events and the end --------------------------------------------------------------------------------------- */
#define TRACE_EVENTS 512 /* offsets in one TRACE_T_EVENTS record at most: {u64 offset of the previous such record or 0; u64 offset of each event} */

struct trace_footer {
    struct trace_node root; /* level 0: no chunks */
    uint64_t n_events, events_offset; /* of the last TRACE_T_EVENTS record; 0: none */
    uint64_t capture_offset; /* of the last event of kind "capture"; 0: none */
    char end[8]; /* "JFTREND2" */
};
_Static_assert(sizeof(struct trace_footer) == 144, "footer has no padding");
#define TRACE_END "JFTREND2"

#define TRACE_EVENT_CAPTURE "capture"

/* Stamps are stored as pairs of int64: end, host_raw_ns. */
#define TRACE_MAX_STAMPS 8192

/* Runs of the u8 channels. */
#define TRACE_RUN_BYTES 5

#endif
