/* SPDX-License-Identifier: GPL-2.0-or-later
 * The HTTP server: the only file that knows libmicrohttpd is http.c. Requests arrive whole (bodies bounded) at one
 * handler, on one of the server's threads; replies are bytes, a file, or an event stream that sleeps until it is woken.
 * Checks Host and Origin itself. */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct http_request {
    const char *method, *path; /* path is percent-decoded, begins with '/' */
    const void *body;
    size_t body_size;
    char id[40]; /* for the problem document and the log */
    void *conn;  /* opaque */
};
/* Borrowed until the handler returns; NULL: none. */
const char *http_header(const struct http_request *rq, const char *name);
const char *http_query(const struct http_request *rq, const char *name);
typedef int http_query_fn(void *user, const char *name, const char *value); /* non-zero ends the walk */
int http_query_each(const struct http_request *rq, http_query_fn *fn, void *user);

/* ---- streams ---------------------------------------------------------------------------------------------------- */
struct http_stream;
struct http_stream_ops {
    /* Puts up to max bytes; 0: nothing now (sleep until woken), negative: end. Never blocks for long. */
    int (*fill)(void *ctx, char *out, size_t max);
    /* The client is gone, or fill ended it; ctx is no longer used. The stream must not be woken any more. */
    void (*closed)(void *ctx);
};
void http_stream_wake(struct http_stream *s); /* any thread, not from fill */

/* ---- replies --------------------------------------------------------------------------------------------------------
 */
#define HTTP_MAX_HEADERS 8
struct http_reply {
    int status;
    const char *content_type; /* static */
    void *body;               /* taken over (free) */
    size_t size;
    bool static_body;                     /* body is borrowed for ever */
    int fd;                               /* >= 0: the file is sent instead; taken over */
    const struct http_stream_ops *stream; /* NULL: none */
    void *stream_ctx;
    void (*stream_opened)(void *ctx, struct http_stream *s); /* before the first fill */
    struct {
        const char *name; /* static */
        char value[160];
    } headers[HTTP_MAX_HEADERS];
    int n_headers;
};
void http_reply_header(struct http_reply *rp, const char *name, const char *fmt, ...) JF_PRINTF(3, 4);

/* What the server asks its owner. limit: largest body for this method and path (called before the body is read).
 * handle: fills *rp (zeroed, fd -1). refuse: a problem reply made by the server itself (status, code word, sentence,
 * field). */
struct http_handler {
    size_t (*limit)(void *user, const char *method, const char *path);
    void (*handle)(void *user, const struct http_request *rq, struct http_reply *rp);
    void (*refuse)(void *user, const struct http_request *rq, struct http_reply *rp, int status, const char *code,
                   const char *pointer, const char *text);
    void *user;
};

struct http_server;
int http_start(const char *listen, int port, int threads, const struct http_handler *h, struct http_server **ret_s,
               struct err *reterr) JF_MUST_CHECK;
int http_port(const struct http_server *s);
/* Every stream must have ended or been woken to end before. Blocks until running handlers are through. */
void http_stop(struct http_server *s);

/* Pure: is this Host header (or the host of this Origin) one of this machine's loopback names? Port ignored, but must
 * be digits. */
bool http_host_is_local(const char *host);
bool http_origin_is_local(const char *origin);

#endif
