/* SPDX-License-Identifier: GPL-2.0-or-later
 * The control socket: unix stream socket, one JSON object per line in, one per line out, for tests and people. It
 * frames and dispatches; what a command means is the handler's (sim/rig.c). One thread, never blocks; at most 8
 * clients; lines of at most 64 KiB. */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include <jansson.h>

#include "base/err.h"
#include "sim/front.h"

/* Answers one request; returns a new reference (never NULL unless memory is short). */
typedef json_t *control_fn(void *ctx, const json_t *request);

struct control;
/* An old socket file at path is replaced when nobody listens on it. */
int control_open(const char *path, control_fn *fn, void *ctx, struct control **ret_control, struct err *reterr) JF_MUST_CHECK;
struct front control_front(struct control *c);
/* {"error": {"code","where","text"}} from an err */
json_t *control_error(const struct err *e);

#endif
