/* SPDX-License-Identifier: GPL-2.0-or-later
 * Event streams: every reader sees the stored events in order, without gap, and between them the newest `live` and
 * `progress` of each bench. Any thread. */
#ifndef DAEMON_HUB_H
#define DAEMON_HUB_H

#include <jansson.h>

#include "daemon/http.h"
#include "db/store.h"

struct hub;
int hub_new(int max_streams, struct hub **ret_h, struct err *reterr) JF_MUST_CHECK;
void hub_set_store(struct hub *h, struct store *s);
void hub_free(struct hub *h);  /* after http_stop */
void hub_committed(void *hub); /* store_options.committed */
/* kind: "live" or "progress"; takes over doc. Newest wins. */
void hub_offer(struct hub *h, const char *bench, const char *kind, json_t *doc);
void hub_heartbeat(struct hub *h); /* every 15 s */
void hub_end(struct hub *h);       /* ends all streams, refuses new ones; waits up to 2 s for them */
int hub_count(struct hub *h);
/* Makes *rp an event stream that begins after `after`. JF_E_FULL: too many streams; JF_E_GONE: *ret_oldest tells. */
int hub_open(struct hub *h, int64_t after, struct http_reply *rp, int64_t *ret_oldest,
             struct err *reterr) JF_MUST_CHECK;
json_t *hub_event_json(const struct store_event *e);

#endif
