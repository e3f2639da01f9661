/* SPDX-License-Identifier: GPL-2.0-or-later
 * What travels through the ring from capture thread and main thread to the trace-writing thread. */
#ifndef BENCH_ITEM_H
#define BENCH_ITEM_H

#include <jansson.h>
#include <stdint.h>

#include "drivers/power/power.h"

enum item_kind { ITEM_BLOCK, ITEM_EVENT };

struct item { /* first member of both */
    enum item_kind kind;
};
/* A block with its own copies of the arrays: one allocation, freed with free(). */
struct item_block {
    struct item item;
    struct power_block b;
};
/* Ownership of data (a tree that nobody else refers to) goes along. */
struct item_event {
    struct item item;
    int64_t host_raw_ns;
    char word[16];
    json_t *data;
};

#endif
