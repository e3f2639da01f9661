/* SPDX-License-Identifier: GPL-2.0-or-later
 * libmicrohttpd glue (0.9.75). Owns connections, body buffers and the sleep of event streams.
 * Streams suspend their connection: a reader callback that returns 0 without it is called again at once and burns a
 * core. DNS rebinding: Host must be a loopback name. Cross-site pages: Origin, when sent, must be one too. */
#include "daemon/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#define CONNECTIONS_MAX 1024
#define CONNECTION_TIMEOUT_S 60
#define PATH_MAX_BYTES 2048
#define DISCARD_FACTOR                                                                                                 \
    64 /* of a body beyond its limit so many times the limit is swallowed, to be able to answer; then the connection   \
          is cut */
#define DISCARD_MIN ((size_t)256 << 20)

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handler h;
    int port;
};

struct exchange { /* one request */
    struct http_request rq;
    struct buf body;
    size_t limit, dropped;
    bool answered;
};

struct http_stream {
    pthread_mutex_t lock;
    struct MHD_Connection *conn;
    bool suspended, pending;
    const struct http_stream_ops *ops;
    void *ctx;
};

/* ---- requests ---------------------------------------------------------------------------------------------------- */
const char *http_header(const struct http_request *rq, const char *name) {
    return rq->conn ? MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, name) : NULL;
}

const char *http_query(const struct http_request *rq, const char *name) {
    return rq->conn ? MHD_lookup_connection_value(rq->conn, MHD_GET_ARGUMENT_KIND, name) : NULL;
}

struct query_walk {
    http_query_fn *fn;
    void *user;
    int result;
};

static enum MHD_Result query_one(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct query_walk *w = cls;
    (void)kind;
    w->result = w->fn(w->user, key, value ? value : "");
    return w->result == 0 ? MHD_YES : MHD_NO;
}

int http_query_each(const struct http_request *rq, http_query_fn *fn, void *user) {
    struct query_walk w = {fn, user, 0};
    if (rq->conn) {
        (void)MHD_get_connection_values(rq->conn, MHD_GET_ARGUMENT_KIND, query_one, &w);
    }
    return w.result;
}

bool http_host_is_local(const char *host) {
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; host && i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) == 0) {
            const char *rest = host + n;
            if (*rest == '\0') {
                return true;
            }
            size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
            return digits > 0 && digits <= 5 && rest[1 + digits] == '\0';
        }
    }
    return false;
}

bool http_origin_is_local(const char *origin) {
    return (strncmp(origin, "http://", 7) == 0 && http_host_is_local(origin + 7)) ||
           (strncmp(origin, "https://", 8) == 0 && http_host_is_local(origin + 8));
}

void http_reply_header(struct http_reply *rp, const char *name, const char *fmt, ...) {
    if (rp->n_headers < HTTP_MAX_HEADERS) {
        va_list ap;
        va_start(ap, fmt);
        rp->headers[rp->n_headers].name = name;
        (void)vsnprintf(rp->headers[rp->n_headers].value, sizeof rp->headers[0].value, fmt, ap);
        va_end(ap);
        rp->n_headers++;
    }
}

static void request_id(char out[40]) {
    uint8_t r[8] = {0};
    ssize_t n = getrandom(r, sizeof r, 0);
    (void)n;
    for (size_t i = 0; i < sizeof r; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", r[i]);
    }
}

/* ---- streams -------------------------------------------------------------------------------------------------------
 */
static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max) {
    struct http_stream *s = cls;
    (void)pos;
    for (;;) {
        (void)pthread_mutex_lock(&s->lock);
        s->pending = false;
        (void)pthread_mutex_unlock(&s->lock);
        int n = s->ops->fill(s->ctx, out, max);
        if (n != 0) {
            return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
        }
        (void)pthread_mutex_lock(&s->lock);
        if (!s->pending) {
            s->suspended = true;
            MHD_suspend_connection(s->conn);
            (void)pthread_mutex_unlock(&s->lock);
            return 0;
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
}

void http_stream_wake(struct http_stream *s) {
    (void)pthread_mutex_lock(&s->lock);
    s->pending = true;
    if (s->suspended) {
        s->suspended = false;
        MHD_resume_connection(s->conn);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void stream_free(void *cls) {
    struct http_stream *s = cls;
    s->ops->closed(s->ctx);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct MHD_Response *stream_response(struct MHD_Connection *conn, struct http_reply *rp) {
    struct http_stream *s = calloc(1, sizeof *s);
    if (!s) {
        rp->stream->closed(rp->stream_ctx);
        return NULL;
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    s->conn = conn;
    s->ops = rp->stream;
    s->ctx = rp->stream_ctx;
    if (rp->stream_opened) {
        rp->stream_opened(rp->stream_ctx, s);
    }
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, stream_read, s, stream_free);
    if (!r) {
        stream_free(s);
    }
    return r;
}

/* ---- replies
 * ---------------------------------------------------------------------------------------------------------- */
static struct MHD_Response *make_response(struct MHD_Connection *conn, struct http_reply *rp) {
    if (rp->stream) {
        return stream_response(conn, rp);
    }
    if (rp->fd >= 0) {
        struct stat st;
        struct MHD_Response *r =
            fstat(rp->fd, &st) == 0 ? MHD_create_response_from_fd64((uint64_t)st.st_size, rp->fd) : NULL;
        return r;
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer(rp->size, rp->body ? rp->body : (void *)(uintptr_t) "",
                                        rp->body && !rp->static_body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r && rp->body && !rp->static_body) {
        free(rp->body);
    }
    return r;
}

static enum MHD_Result send_reply(struct MHD_Connection *conn, struct http_reply *rp) {
    struct MHD_Response *r = make_response(conn, rp);
    if (!r) {
        return MHD_NO;
    }
    if (rp->content_type) {
        (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, rp->content_type);
    }
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(r, "Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'");
    for (int i = 0; i < rp->n_headers; i++) {
        (void)MHD_add_response_header(r, rp->headers[i].name, rp->headers[i].value);
    }
    enum MHD_Result q = MHD_queue_response(conn, (unsigned)rp->status, r);
    MHD_destroy_response(r);
    return q;
}

static enum MHD_Result refuse(struct http_server *s, struct exchange *x, int status, const char *code,
                              const char *pointer, const char *text) {
    struct http_reply rp = {.fd = -1};
    s->h.refuse(s->h.user, &x->rq, &rp, status, code, pointer, text);
    x->answered = true;
    if (status == 413) {
        http_reply_header(&rp, "Connection", "close");
    }
    return send_reply(x->rq.conn, &rp);
}

/* The head is here, the body is not read yet. 0: go on; else the result for the library. */
static int check_head(struct http_server *s, struct exchange *x, enum MHD_Result *ret) {
    const char *host = http_header(&x->rq, "Host"), *origin = http_header(&x->rq, "Origin");
    const char *length = http_header(&x->rq, "Content-Length");
    if (!http_host_is_local(host)) {
        *ret = refuse(s, x, 403, "host-not-allowed", "#Host",
                      "this daemon answers to loopback names only (no token is configured)");
        return 1;
    }
    if (origin && !http_origin_is_local(origin)) {
        *ret = refuse(s, x, 403, "origin-not-allowed", "#Origin", "pages of other sites may not talk to this daemon");
        return 1;
    }
    x->limit = s->h.limit(s->h.user, x->rq.method, x->rq.path);
    unsigned long long n = length ? strtoull(length, NULL, 10) : 0;
    if (n > x->limit) {
        char text[128];
        (void)snprintf(text, sizeof text, "the body has %llu bytes, at most %zu are accepted here", n, x->limit);
        *ret = refuse(s, x, 413, "too-large", "", text);
        return 1;
    }
    return 0;
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *size) {
    if (x->dropped > 0 || x->body.len + *size > x->limit || buf_put(&x->body, data, *size) < 0) {
        x->dropped += *size;
        buf_clear(&x->body);
        if (x->dropped / DISCARD_FACTOR > x->limit && x->dropped > DISCARD_MIN) {
            return MHD_NO;
        }
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **state) {
    struct http_server *s = cls;
    struct exchange *x = *state;
    (void)version;
    if (!x) {
        x = calloc(1, sizeof *x);
        if (!x) {
            return MHD_NO;
        }
        *state = x;
        x->rq = (struct http_request){.method = method, .path = url, .conn = conn};
        request_id(x->rq.id);
        enum MHD_Result r = MHD_YES;
        if (strlen(url) > PATH_MAX_BYTES) {
            return refuse(s, x, 414, "too-large", "", "the path is too long");
        }
        if (check_head(s, x, &r) == 0) {
            buf_init(&x->body, x->limit + 1);
        }
        return r;
    }
    if (x->answered) {
        *size = 0;
        return MHD_YES;
    }
    if (*size > 0) {
        return take_body(x, data, size);
    }
    if (x->dropped > 0) {
        return refuse(s, x, 413, "too-large", "", "the body is larger than what is accepted here");
    }
    x->answered = true;
    x->rq.method = method;
    x->rq.path = url;
    x->rq.body = x->body.data;
    x->rq.body_size = x->body.len;
    struct http_reply rp = {.fd = -1};
    s->h.handle(s->h.user, &x->rq, &rp);
    return send_reply(conn, &rp);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode why) {
    struct exchange *x = *state;
    (void)cls;
    (void)conn;
    (void)why;
    if (x) {
        buf_done(&x->body);
        free(x);
        *state = NULL;
    }
}

/* ---- life
 * ---------------------------------------------------------------------------------------------------------------- */
int http_start(const char *listen, int port, int threads, const struct http_handler *h, struct http_server **ret_s,
               struct err *reterr) {
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the server");
    }
    s->h = *h;
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool six = strcmp(listen, "::1") == 0;
    const struct sockaddr *at = six ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (six ? MHD_USE_IPv6 : 0u);
    s->daemon = MHD_start_daemon(flags, (uint16_t)port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, at,
                                 MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(threads > 1 ? threads : 0),
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                 MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (!s->daemon) {
        free(s);
        return err_set(reterr, JF_E_BUSY, "%s port %d cannot be listened on", listen, port);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info && info->port ? info->port : port;
    *ret_s = s;
    return 0;
}

int http_port(const struct http_server *s) { return s->port; }

void http_stop(struct http_server *s) {
    if (s) {
        MHD_stop_daemon(s->daemon);
        free(s);
    }
}
