/* SPDX-License-Identifier: GPL-2.0-or-later
 * Which operators a .tflite file holds, also one that the front end refuses: what a vendor's converter left of a model. A custom
 * operator (ethos-u, NeutronGraph) is what the accelerator runs; a builtin one stayed on the CPU. */
#ifndef COMPILER_TFLITE_SCAN_H
#define COMPILER_TFLITE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TFLITE_SCAN_MAX 64

struct tflite_scan {
    struct {
        char name[40]; /* "ethos-u", "SOFTMAX", "operator 150" */
        bool custom;
        int count;
    } ops[TFLITE_SCAN_MAX]; /* in order of first use */
    int n, accelerator, cpu; /* nodes */
};

/* The first subgraph of a file. JF_E_PARSE names the byte; JF_E_UNSUPPORTED: more than TFLITE_SCAN_MAX kinds. */
int tflite_scan(const uint8_t *bytes, size_t n, struct tflite_scan *ret_s, struct err *reterr) JF_MUST_CHECK;

#endif
