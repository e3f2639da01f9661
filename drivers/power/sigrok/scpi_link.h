/* SPDX-License-Identifier: GPL-2.0-or-later
 * A short TCP connection to a SCPI instrument in which nothing waits without a limit. One owner at a time; a readable
 * cancel_fd ends any wait with JF_E_CANCELED. */
#ifndef DRIVERS_POWER_SIGROK_SCPI_LINK_H
#define DRIVERS_POWER_SIGROK_SCPI_LINK_H

#include "base/clock.h"
#include "drivers/power/sigrok/scpi_proto.h"

struct scpi_link;

/* JF_E_GONE: nobody there (or the address is unknown); JF_E_STALLED: no connection within timeout_ms.
 * Blocks longer only while a name is looked up; an address in digits is never looked up. */
int scpi_link_open(const struct scpi_conn *conn, const struct clock_src *clock, int timeout_ms, int cancel_fd, struct scpi_link **ret_l,
                   struct err *reterr) JF_MUST_CHECK;
void scpi_link_close(struct scpi_link *l); /* NULL allowed */

/* One command line, without its end. */
int scpi_link_send(struct scpi_link *l, const char *command, struct err *reterr) JF_MUST_CHECK;
/* Sends and waits for one line; answer is NUL-terminated, cut never (an answer too long is JF_E_PROTOCOL).
 * JF_E_STALLED: silence for timeout_ms; JF_E_GONE: the instrument closed the connection. */
int scpi_link_ask(struct scpi_link *l, const char *command, char answer[SCPI_LINE_MAX], struct err *reterr) JF_MUST_CHECK;

#endif
