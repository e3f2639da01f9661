/* SPDX-License-Identifier: GPL-2.0-or-later
 * The writer's way to the disk: bytes are handed over in order, a thread hashes and writes them, so that hashing and the file system take
 * no time from summarising and compressing. At most SINK_SLOTS pieces wait; a full queue blocks the caller, as write() would.
 * Invariants: (S1) bytes are written in the order of sink_put. (S2) after a failed write nothing more is written. */
#ifndef MEASURE_TRACE_SINK_H
#define MEASURE_TRACE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sink;

/* Takes fd over in every case of success. */
int sink_new(int fd, struct sink **ret_s, struct err *reterr) JF_MUST_CHECK;
/* Copies head and body (either may be empty) as one piece. Fails with what an earlier write failed with. */
int sink_put(struct sink *s, const void *head, size_t n_head, const void *body, size_t n_body, struct err *reterr) JF_MUST_CHECK;
/* Waits until everything is written. */
int sink_drain(struct sink *s, struct err *reterr) JF_MUST_CHECK;
/* Drains, fsyncs; ret_sha256 (65 bytes) gets the hash of all bytes, hex. */
int sink_sync(struct sink *s, char *ret_sha256, struct err *reterr) JF_MUST_CHECK;
void sink_free(struct sink *s); /* writes what waits, closes fd; NULL allowed */

#endif
