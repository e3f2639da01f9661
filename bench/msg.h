/* SPDX-License-Identifier: GPL-2.0-or-later
 * Packets between worker and daemon (bench/PROTOCOL.md): one JSON object per SOCK_SEQPACKET packet, at most
 * MSG_BYTES_MAX bytes. Main thread only. With fd -1 (stand-alone mode) everything sent is accepted and nothing comes.
 */
#ifndef BENCH_MSG_H
#define BENCH_MSG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define MSG_BYTES_MAX 65536
#define MSG_TEXT_MAX 4096 /* longest text put into one message; the rest is in the log file */
#define MSG_WAIT_MS 5000  /* budget of a message that must arrive */

struct msg_link {
    int fd; /* borrowed; -1: none */
    const struct clock_src *clock;
    uint64_t dropped; /* messages not sent because the socket was full */
    bool gone;        /* end of file or a hard error was seen */
};

void msg_init(struct msg_link *ret_m, int fd, const struct clock_src *clock);
/* Sends if there is room now, else drops and counts. Takes over the reference obj (also on failure). */
void msg_offer(struct msg_link *m, json_t *obj);
/* Sends, waiting at most budget_ms for room. Takes over obj. JF_E_TIMEOUT, JF_E_GONE, JF_E_TOO_LARGE, JF_E_NOMEM. */
int msg_send(struct msg_link *m, json_t *obj, int budget_ms, struct err *reterr) JF_MUST_CHECK;
/* One waiting packet. 1: *ret_obj is an object with a string "type" (caller's reference); 0: nothing waiting;
 * JF_E_GONE: end of file; JF_E_PROTOCOL: truncated, no JSON, no object, no type. Never blocks. */
int msg_receive(struct msg_link *m, json_t **ret_obj, struct err *reterr) JF_MUST_CHECK;

#endif
