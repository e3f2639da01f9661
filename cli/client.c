/* SPDX-License-Identifier: GPL-2.0-or-later
 * REST and event stream over libcurl (cli/client.h). */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define ANSWER_MAX (64u << 20)
#define EVENT_MAX (1u << 20)
#define REQUEST_MS 60000L
#define RECONNECTS_MAX 20

struct client {
    CURL *curl;
    char server[256];
    char reason[CURL_ERROR_SIZE];
    char last_id[32]; /* of the event stream */
};

int client_open(const char *server, struct client **ret_c, struct err *reterr) {
    if (strncmp(server, "http://", 7) != 0 || strlen(server) >= 200) {
        return err_set(reterr, JF_E_INVAL, "the server must look like http://host:port, not \"%s\"", server);
    }
    struct client *c = calloc(1, sizeof *c);
    if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->curl = curl_easy_init())) {
        free(c);
        return err_set(reterr, JF_E_NOMEM, "the HTTP library could not be started");
    }
    size_t n = strlen(server);
    while (n > 0 && server[n - 1] == '/') {
        n--;
    }
    (void)snprintf(c->server, sizeof c->server, "%.*s", (int)n, server);
    *ret_c = c;
    return 0;
}

void client_close(struct client *c) {
    if (c) {
        curl_easy_cleanup(c->curl);
        curl_global_cleanup();
        free(c);
    }
}

const char *client_server(const struct client *c) { return c->server; }

static size_t take_answer(char *data, size_t size, size_t n, void *user) {
    struct buf *b = user;
    return buf_put(b, data, size * n) == 0 ? size * n : 0;
}

/* Options that every request shares. A proxy of the environment is not for a lab's own daemon. */
static int prepare(struct client *c, const char *path, struct err *reterr) {
    char url[2048];
    if ((size_t)snprintf(url, sizeof url, "%s/api/v1%s", c->server, path) >= sizeof url) {
        return err_set(reterr, JF_E_INVAL, "the request's address is too long");
    }
    curl_easy_reset(c->curl);
    c->reason[0] = '\0';
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->reason);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "joulefarm/" JF_VERSION);
    return 0;
}

static int transport_error(const struct client *c, CURLcode code, struct err *reterr) {
    const char *why = c->reason[0] ? c->reason : curl_easy_strerror(code);
    if (code == CURLE_WRITE_ERROR) {
        return err_set(reterr, JF_E_TOO_LARGE, "the answer is larger than this client takes");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return err_set(reterr, JF_E_TIMEOUT, "%s did not answer in time: %s", c->server, why);
    }
    return err_set(reterr, JF_E_GONE, "no joulefarm daemon at %s: %s", c->server, why);
}

static const char *text_of(const json_t *doc, const char *key) {
    const char *s = json_string_value(json_object_get(doc, key));
    return s ? s : "";
}

static int code_of_status(long status) {
    switch (status) {
    case 404:
        return JF_E_NOT_FOUND;
    case 409:
        return JF_E_CONFLICT;
    case 410: /* not JF_E_GONE, which says here that no server answers */
        return JF_E_NOT_FOUND;
    case 413:
        return JF_E_TOO_LARGE;
    case 422:
        return JF_E_UNSUPPORTED;
    case 503:
        return JF_E_BUSY;
    default:
        return status >= 500 ? JF_E_IO : JF_E_INVAL;
    }
}

static int problem_error(long status, const json_t *doc, struct err *reterr) {
    const char *detail = text_of(doc, "detail");
    const char *pointer = text_of(doc, "pointer");
    const char *what = detail[0] ? detail : text_of(doc, "title");
    return err_set_at(reterr, code_of_status(status), pointer, "%s%s%s (%ld %s)", pointer, pointer[0] ? ": " : "",
                      what[0] ? what : "the server refused", status, text_of(doc, "code"));
}

static int decode(struct client *c, struct buf *b, json_t **ret_doc, struct err *reterr) {
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    json_error_t je;
    json_t *doc = b->len ? json_loadb((const char *)b->data, b->len, JSON_REJECT_DUPLICATES, &je) : NULL;
    if (status >= 400) {
        int r = problem_error(status, doc, reterr);
        json_decref(doc);
        return r;
    }
    if (b->len && !doc) {
        return err_set(reterr, JF_E_PROTOCOL, "%s answered something that is not JSON (line %d: %s)", c->server, je.line, je.text);
    }
    *ret_doc = doc;
    return 0;
}

static int run(struct client *c, const char *method, const char *path, const char *type, const void *bytes, size_t n,
               json_t **ret_doc, struct err *reterr) {
    int r = prepare(c, path, reterr);
    if (r < 0) {
        return r;
    }
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (bytes) {
        headers = curl_slist_append(headers, type);
        headers = curl_slist_append(headers, "Expect:");
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, bytes);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    }
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, REQUEST_MS);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(c->curl);
    r = code == CURLE_OK ? decode(c, &answer, ret_doc, reterr) : transport_error(c, code, reterr);
    curl_slist_free_all(headers);
    buf_done(&answer);
    return r;
}

int client_json(struct client *c, const char *method, const char *path, const json_t *body, json_t **ret_doc, struct err *reterr) {
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text) {
        return err_set(reterr, JF_E_NOMEM, "the request could not be written as JSON");
    }
    bool post_empty = !body && strcmp(method, "POST") == 0;
    int r = run(c, method, path, "Content-Type: application/json", post_empty ? "{}" : text, post_empty ? 2 : text ? strlen(text) : 0,
                ret_doc, reterr);
    free(text);
    return r;
}

int client_upload(struct client *c, const char *path, const char *type, const void *bytes, size_t n, json_t **ret_doc, struct err *reterr) {
    char header[96];
    (void)snprintf(header, sizeof header, "Content-Type: %.60s", type);
    return run(c, "POST", path, header, bytes, n, ret_doc, reterr);
}

static size_t take_file(char *data, size_t size, size_t n, void *user) { return fwrite(data, size, n, user) * size; }

int client_download(struct client *c, const char *path, const char *file, struct err *reterr) {
    char part[4096];
    int r = prepare(c, path, reterr);
    if (r < 0) {
        return r;
    }
    if ((size_t)snprintf(part, sizeof part, "%s.part", file) >= sizeof part) {
        return err_set(reterr, JF_E_INVAL, "the file name is too long");
    }
    FILE *f = fopen(part, "wb");
    if (!f) {
        return err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", part);
    }
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_file);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, 150L); /* above the time that the daemon gives an export to be written */
    CURLcode code = curl_easy_perform(c->curl);
    long status = 0;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (fclose(f) != 0 && code == CURLE_OK) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", part);
    } else if (code != CURLE_OK) {
        r = transport_error(c, code, reterr);
    } else if (status >= 400) {
        json_t *problem = json_load_file(part, 0, NULL);
        r = problem_error(status, problem, reterr);
        json_decref(problem);
    } else if (rename(part, file) != 0) {
        r = err_set_errno(reterr, JF_E_IO, errno, "%s cannot be written", file);
    }
    if (r < 0) {
        (void)unlink(part);
    }
    return r;
}

/* --- the event stream ------------------------------------------------------------------------------------------ */

struct stream_state {
    struct client *client;
    const struct client_stream *s;
    struct buf line, data;
    char event[32], id[32];
    bool ended, progressed;
};

static void stream_dispatch(struct stream_state *st) {
    if (st->data.len > 0) {
        json_t *doc = json_loadb((const char *)st->data.data, st->data.len, 0, NULL);
        if (doc) {
            st->progressed = true;
            st->ended = st->ended || st->s->each(st->s->user, st->event[0] ? st->event : "message", doc);
            json_decref(doc);
        }
        if (st->id[0]) {
            memcpy(st->client->last_id, st->id, sizeof st->id);
        }
    }
    st->event[0] = st->id[0] = '\0';
    buf_clear(&st->data);
}

/* One line of text/event-stream (WHATWG HTML, section 9.2.6). */
static bool stream_line(struct stream_state *st, const char *line) {
    if (line[0] == '\0') {
        stream_dispatch(st);
        return true;
    }
    const char *colon = strchr(line, ':');
    if (!colon || colon == line) {
        return true; /* comment, or a field without value */
    }
    const char *value = colon[1] == ' ' ? colon + 2 : colon + 1;
    size_t key = (size_t)(colon - line);
    if (key == 4 && strncmp(line, "data", 4) == 0) {
        return buf_put(&st->data, value, strlen(value)) == 0;
    }
    if (key == 5 && strncmp(line, "event", 5) == 0) {
        (void)snprintf(st->event, sizeof st->event, "%s", value);
    } else if (key == 2 && strncmp(line, "id", 2) == 0) {
        (void)snprintf(st->id, sizeof st->id, "%s", value);
    }
    return true;
}

static size_t take_stream(char *data, size_t size, size_t n, void *user) {
    struct stream_state *st = user;
    for (size_t i = 0; i < size * n; i++) {
        if (data[i] == '\n') {
            const char *line = buf_str(&st->line);
            if (!line || !stream_line(st, line)) {
                return 0;
            }
            buf_clear(&st->line);
        } else if (data[i] != '\r' && buf_put(&st->line, &data[i], 1) < 0) {
            return 0;
        }
        if (st->ended) {
            return 0; /* ends the transfer */
        }
    }
    return size * n;
}

static int stream_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e) {
    struct stream_state *st = user;
    (void)a;
    (void)b;
    (void)d;
    (void)e;
    st->ended = st->ended || st->s->tick(st->s->user);
    return st->ended ? 1 : 0;
}

static int stream_once(struct client *c, struct stream_state *st, struct err *reterr) {
    char resume[64];
    int r = prepare(c, "/events", reterr);
    if (r < 0) {
        return r;
    }
    buf_clear(&st->line);
    buf_clear(&st->data);
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
    if (c->last_id[0]) {
        (void)snprintf(resume, sizeof resume, "Last-Event-ID: %s", c->last_id);
        headers = curl_slist_append(headers, resume);
    }
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_stream);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, st);
    curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, stream_progress);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, st);
    curl_easy_setopt(c->curl, CURLOPT_FAILONERROR, 1L);
    CURLcode code = curl_easy_perform(c->curl);
    curl_slist_free_all(headers);
    if (st->ended || code == CURLE_OK) {
        return 0;
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        c->last_id[0] = '\0'; /* the daemon may no longer have what followed that event */
    }
    return transport_error(c, code, reterr);
}

int client_stream(struct client *c, const struct client_stream *s, struct err *reterr) {
    struct stream_state st = {.client = c, .s = s};
    buf_init(&st.line, EVENT_MAX);
    buf_init(&st.data, EVENT_MAX);
    int r = 0;
    for (int lost = 0; !st.ended && lost < RECONNECTS_MAX; lost++) {
        st.progressed = false;
        r = stream_once(c, &st, reterr);
        if (st.progressed) {
            lost = 0;
        }
        if (!st.ended) {
            (void)usleep(250000); /* the retry delay of a stream that broke */
            st.ended = s->tick(s->user);
        }
    }
    buf_done(&st.line);
    buf_done(&st.data);
    return st.ended ? 0 : r;
}
