/* SPDX-License-Identifier: GPL-2.0-or-later
 * SCPI text and block parsing for the short connections of our own; pure functions on buffers, any thread.
 * Facts: R&S/Hameg HMO Series SCPI Programmers Manual (ACQuire:STATe?, CHANnel:DATA:HEADer?, TIMebase); IEEE 488.2 section 8.7.9
 * (definite length block); libsigrok 0.5.2 src/hardware/hameg-hmo (trigger position as a fraction of the screen). */
#ifndef DRIVERS_POWER_SIGROK_SCPI_PROTO_H
#define DRIVERS_POWER_SIGROK_SCPI_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SCPI_LINE_MAX 1024 /* a text answer with its end */
#define SCPI_DIVISIONS 12 /* of the time axis, all models of the hameg-hmo driver */

/* One answer line in buf[0..n): 1 and its length without CR LF and how many bytes to drop; 0: not complete yet;
 * JF_E_PROTOCOL: longer than SCPI_LINE_MAX or with a NUL inside. */
int scpi_line(const char *buf, size_t n, size_t *ret_len, size_t *ret_drop, struct err *reterr) JF_MUST_CHECK;

/* A decimal number filling text[0..n), whatever the locale. SCPI's 9.9E37 (infinity) and 9.91E37 (not a number) are refused. */
int scpi_number(const char *text, size_t n, double *ret_v) JF_MUST_CHECK;

/* "#<digits><length>": 1 with where the data begin and how many bytes they are; 0: more bytes needed; JF_E_PROTOCOL.
 * A length above max is JF_E_TOO_LARGE. */
int scpi_block(const uint8_t *buf, size_t n, uint64_t max, size_t *ret_begin, uint64_t *ret_len) JF_MUST_CHECK;

enum scpi_state { SCPI_RUN, SCPI_STOPPING, SCPI_COMPLETE, SCPI_BREAK };
/* ACQuire:STATe?, short or long form, any case; JF_E_PROTOCOL for anything else. */
int scpi_state(const char *text, enum scpi_state *ret_state) JF_MUST_CHECK;

struct scpi_header { /* CHANnel<m>:DATA:HEADer? */
    double from_s, to_s; /* relative to the trigger */
    uint64_t count;
};
int scpi_header(const char *text, struct scpi_header *ret_h) JF_MUST_CHECK;

/* *IDN?: maker, model, serial, firmware. Exactly four fields, each shorter than 64. */
struct scpi_idn {
    char maker[64], model[64], serial[64], firmware[64];
};
int scpi_idn(const char *text, struct scpi_idn *ret_idn) JF_MUST_CHECK;

/* libsigrok's "tcp-raw/HOST/PORT". */
struct scpi_conn {
    char host[128], port[8];
};
int scpi_conn(const char *conn, struct scpi_conn *ret_c, struct err *reterr) JF_MUST_CHECK;

/* The smallest 1-2-5 time base (2 ns .. 50 s per division) whose screen holds capture_s; text as the instrument wants it. */
struct scpi_timebase {
    double scale_s; /* per division */
    double span_s; /* scale * SCPI_DIVISIONS */
    char text[16]; /* "5E-2" */
};
int scpi_timebase(double capture_s, struct scpi_timebase *ret_t) JF_MUST_CHECK;
/* TIMebase:POSition that leaves pre_s in front of the trigger: the trigger stands at fraction 1/2 - position/span. */
double scpi_position(double span_s, double pre_s);

#endif
