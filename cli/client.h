/* SPDX-License-Identifier: GPL-2.0-or-later
 * The HTTP side of the client: one REST request, or one event stream. Owns the libcurl handle; the only place that
 * includes libcurl. Single thread. Every request is bounded in time and size. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CLIENT_DEFAULT_SERVER "http://127.0.0.1:8480"

struct client;

/* server: "http://host:port", no path. */
int client_open(const char *server, struct client **ret_c, struct err *reterr) JF_MUST_CHECK;
void client_close(struct client *c); /* NULL allowed */
const char *client_server(const struct client *c);

/* One request under /api/v1. body NULL: none. *ret_doc (owned by the caller) is the decoded answer, or NULL for an empty one.
 * A problem document becomes the error: its code mapped to JF_E_*, detail and pointer in the text; JF_E_GONE: the server
 * could not be reached. Blocks at most 60 s. */
int client_json(struct client *c, const char *method, const char *path, const json_t *body, json_t **ret_doc, struct err *reterr) JF_MUST_CHECK;
/* POST of raw bytes of this content type. */
int client_upload(struct client *c, const char *path, const char *type, const void *bytes, size_t n, json_t **ret_doc, struct err *reterr) JF_MUST_CHECK;
/* GET into a file, written under a temporary name and renamed; nothing is left behind on failure. Not bounded in size (traces). */
int client_download(struct client *c, const char *path, const char *file, struct err *reterr) JF_MUST_CHECK;

/* The event stream: each() gets every event (name, decoded data); tick() is called at least every 500 ms. Either one
 * ends the stream by returning true. Reconnects by itself with Last-Event-ID, at most 20 times in a row. */
struct client_stream {
    bool (*each)(void *user, const char *event, const json_t *data);
    bool (*tick)(void *user);
    void *user;
};
int client_stream(struct client *c, const struct client_stream *s, struct err *reterr) JF_MUST_CHECK;

#endif
